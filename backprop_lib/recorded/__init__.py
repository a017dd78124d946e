"""What PyTorch computes for the layers of this book, recorded once as data.

The files beside this one are made by ``scripts/record_pytorch.py``; nothing here needs PyTorch.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One forward and backward pass of PyTorch."""

    inputs: dict[str, np.ndarray]
    """By name, in forward's order."""
    dy: np.ndarray
    y: np.ndarray
    gradients: dict[str, np.ndarray]
    """By the name of the input."""

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in self.inputs.items())
        return f"Case({self.dy.dtype}: {shapes})"


def load(layer: str) -> list[Case]:
    """Return the recorded cases of a layer, float64 and float32, at several shapes.

    Parameters
    ----------
    layer : str
        The name of its module, such as ``"linear"``.

    Raises
    ------
    FileNotFoundError
        If nothing is recorded for it.
    """
    source = files(__name__).joinpath(f"{layer}.json")
    if not source.is_file():
        raise FileNotFoundError(f"nothing is recorded for layer {layer!r}: no {source.name}")
    return [_case(**case) for case in json.loads(source.read_text(encoding="utf8"))["cases"]]


def _case(dtype: str, inputs: dict[str, Any], dy: Any, y: Any, gradients: dict[str, Any]) -> Case:
    def arrays(lists: dict[str, Any]) -> dict[str, np.ndarray]:
        return {name: np.array(value, dtype) for name, value in lists.items()}

    return Case(arrays(inputs), np.array(dy, dtype), np.array(y, dtype), arrays(gradients))
