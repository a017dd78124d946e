"""What PyTorch computes for the layers of this book, recorded once as data.

The files beside this one are made by ``scripts/record_pytorch.py``; nothing here needs PyTorch.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import numpy as np

from backprop_lib.layer import Layer


@dataclass(frozen=True)
class Case:
    """One forward and backward pass of PyTorch."""

    inputs: dict[str, np.ndarray]
    """By name, in forward's order."""
    const: dict[str, Any]
    """What forward takes beside them, such as labels, running statistics, settings."""
    dy: np.ndarray
    y: np.ndarray
    gradients: dict[str, np.ndarray]
    """By the name of the input."""
    after: dict[str, np.ndarray]
    """What the call left behind, such as running statistics."""

    @property
    def limit(self) -> float:
        """How far apart two right results may be, 1e-10 in float64 and 1e-5 in float32."""
        return {"float64": 1e-10, "float32": 1e-5}[self.dy.dtype.name]

    def error_of(self, layer: Any, backward: Callable[..., Any] | None = None, /) -> float:
        """Run a layer on the same inputs, and return how far it is from PyTorch.

        Parameters
        ----------
        layer, backward
            A module with ``forward`` and ``backward``, or the two functions.

        Returns
        -------
        float
            The largest difference in y or a gradient, relative to the largest entry of that
            array; infinite if an array has another shape or precision.

        Raises
        ------
        TypeError, RuntimeError
            If the functions are not those of a layer (see `backprop_lib.layer`).
        """
        run = Layer.of(layer, backward)
        y, cache = run.run_forward({**self.inputs, **self.const})
        gradients = run.run_backward(self.dy, cache, list(self.inputs))
        pairs = [(y, self.y), *((gradients[name], g) for name, g in self.gradients.items())]
        return max(_relative_error(np.asarray(ours), theirs) for ours, theirs in pairs)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in self.inputs.items())
        settings = "".join(f", {k} {v}" for k, v in self.const.items() if np.ndim(v) == 0)
        return f"Case({self.dy.dtype}: {shapes}{settings})"


def _relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
        return np.inf
    difference, largest = np.abs(ours - theirs).max(), np.abs(theirs).max()
    return float(difference / largest if largest else difference)


def load(layer: str) -> list[Case]:
    """Return the recorded cases of a layer, float64 and float32, at several shapes.

    Parameters
    ----------
    layer : str
        The name of its module, such as ``"linear"``; with the name of the variant behind it if
        the module has several, such as ``"batchnorm1d_evaluation"``.

    Raises
    ------
    FileNotFoundError
        If nothing is recorded for it.
    """
    source = files(__name__).joinpath(f"{layer}.json")
    if not source.is_file():
        raise FileNotFoundError(f"nothing is recorded for layer {layer!r}: no {source.name}")
    return [_case(**case) for case in json.loads(source.read_text(encoding="utf8"))["cases"]]


def _case(
    dtype: str,
    inputs: dict[str, Any],
    dy: Any,
    y: Any,
    gradients: dict[str, Any],
    const: Mapping[str, Any] = MappingProxyType({}),
    after: Mapping[str, Any] = MappingProxyType({}),
) -> Case:
    def arrays(lists: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {name: np.array(value, dtype) for name, value in lists.items()}

    given = {
        name: _array(value, dtype) if isinstance(value, list) else value
        for name, value in const.items()
    }
    upstream, output = np.array(dy, dtype), np.array(y, dtype)
    return Case(arrays(inputs), given, upstream, output, arrays(gradients), arrays(after))


def _array(values: list[Any], dtype: str) -> np.ndarray:
    """Return floats in the precision of the case, and labels as integers."""
    array = np.array(values)
    return array if array.dtype.kind == "i" else array.astype(dtype)
