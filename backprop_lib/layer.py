"""What a layer is: a forward and a backward that fit together, and what both promise.

::

    y, cache = forward(x, W, b)
    dx, dW, db = backward(dy, *cache)

``backward`` takes the upstream gradient dy = ∂L/∂y, which has the shape of y, and what ``forward``
kept in the cache. It returns one gradient for each array that ``forward`` takes, of the same shape
and in the same order; a single gradient is returned by itself, not in a tuple. Constants have no
gradient: masks and running statistics (`Constant`), labels (`Labels`), and numbers such as eps. A
variant is a pair, too: ``backward_evaluation`` belongs to ``forward_evaluation``.

This is all that the checks of this library ask of a layer. The layers, ops and faster forms of the
library itself promise more, all of them the same, so their docstrings do not repeat it:

- The shapes are in the signature, and every call is checked against them (see
  `backprop_lib.shapes`). A size that occurs twice must be the same size twice, and an axis with a
  star stands for any number of axes.
- No argument is changed, and results are new arrays. A y of shape (), such as a loss, may be a
  NumPy scalar such as ``np.float64``, which is not an array.
- The cache may hold the arrays of the call, y, and intermediates. None of these is a copy:
  do not change any of them in place before ``backward``.
- Results have the dtype of the inputs: float32 stays float32. If the arguments of ``forward``
  and dy have several dtypes, y has the widest of those of ``forward``, and a gradient has one of
  all, but not always the widest.
- Arrays may have any layout in memory: slices, transposes and read-only arrays will do.
- An empty batch (N = 0) has an empty y, and zeros as gradients of the weights. A ``forward`` that
  takes a mean, a sum or a maximum over the batch refuses it.
- NaN and infinity propagate as the formulas say. NaN in an argument of ``forward`` reaches every
  entry of y that depends on it, and NaN in dy every entry of a gradient that depends on it. Some
  faster forms treat products of 0 with NaN or infinity differently: see `backprop_lib.fast`.
- Wrong arguments are refused in one line that names the argument, with

  - `ShapeError` if the number of axes or a size is not that of the signature;
  - ``TypeError`` if an argument is not an array of floats (of integers if it holds labels), or is
    of another type than the signature says;
  - ``ValueError`` if a number is out of bounds, or a label names no place.

  A docstring lists what a layer refuses beyond that.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Layer:
    """A forward and its backward, whose promises are checked whenever they run."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]

    @classmethod
    def of(cls, layer: Any, backward: Callable[..., Any] | None = None) -> "Layer":
        """Take a module or object with ``forward`` and ``backward``, or the two functions.

        Raises
        ------
        TypeError
            If ``layer`` is neither.
        """
        if backward is None:
            given = f"layer is {layer!r}, without a backward"
            forward, backward = (getattr(layer, name, None) for name in ("forward", "backward"))
        else:
            given = f"forward is {layer!r} and backward is {backward!r}"
            forward = layer
        if not (callable(forward) and callable(backward)):
            raise TypeError(
                "expected a module with forward and backward, or the two functions: " + given
            )
        return cls(forward, backward)

    def inputs(self, given: Mapping[str, Any], const: Mapping[str, Any]) -> list[str]:
        """Put the names of the given inputs into forward's order.

        Raises
        ------
        TypeError
            If forward has no parameter of a given name, or one without default is not given.
        """
        parameters = inspect.signature(self.forward).parameters
        takes = f"forward takes {', '.join(parameters)}"
        for name in [*given, *const]:
            if name not in parameters:
                raise TypeError(f"{name} is no parameter of forward: {takes}")
            if name in given and name in const:
                raise TypeError(f"{name} is given as an input and in const: leave one out")
        for name, parameter in parameters.items():
            if parameter.default is parameter.empty and name not in {**given, **const}:
                raise TypeError(f"{name} is not given: {takes}")
        return [name for name in parameters if name in given]

    def run_forward(self, arguments: Mapping[str, Any]) -> tuple[np.ndarray, tuple[Any, ...]]:
        """Call forward and return y and the cache.

        Raises
        ------
        TypeError
            If it does not return a pair (y, cache) of an array and a tuple.
        RuntimeError
            If it changes an argument in place.
        """
        with unchanged("forward", arguments):
            result = self.forward(**arguments)
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], tuple)):
            raise TypeError(
                f"forward returned {_kind(result)}; expected (y, cache), "
                "the cache a tuple of what backward takes after dy"
            )
        y, cache = result
        return (y if _is_foreign(y) else np.asanyarray(y)), cache

    def run_backward(
        self, dy: np.ndarray, cache: tuple[Any, ...], inputs: list[str]
    ) -> dict[str, Any]:
        """Call backward and return each input's claimed gradient by the input's name.

        Raises
        ------
        TypeError
            If it does not return as many gradients as there are inputs, or returns None for one.
        RuntimeError
            If it changes dy or the cache in place.
        """
        arguments = {"dy": dy} | {f"cache[{i}]": value for i, value in enumerate(cache)}
        with unchanged("backward", arguments):
            result = self.backward(dy, *cache)
        gradients = result if isinstance(result, tuple | list) else (result,)
        if len(gradients) != len(inputs):
            raise TypeError(
                f"backward returned {len(gradients)} gradient(s), expected {len(inputs)}: "
                f"one for each of {', '.join(inputs)}, in this order"
            )
        for name, gradient in zip(inputs, gradients, strict=True):
            if gradient is None:
                raise TypeError(f"backward returned None for d{name}, expected an array")
        return dict(zip(inputs, gradients, strict=True))


def _kind(result: Any) -> str:
    if isinstance(result, tuple):
        return f"({', '.join(type(part).__name__ for part in result)})"
    return f"a {type(result).__name__}"


@contextmanager
def unchanged(function: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Raise RuntimeError if an array in the arguments is not what it was before."""
    arrays = [(name, array) for name, value in arguments.items() for array in _arrays_in(value)]
    before = [array.copy() for _, array in arrays]
    yield
    for (name, array), old in zip(arrays, before, strict=True):
        if not _same(array, old):
            raise RuntimeError(
                f"{function} changed {name} in place; whoever passed it may still need it"
            )


def _is_foreign(value: Any) -> bool:
    """Say whether this is an array that is not NumPy's, but that NumPy's functions take."""
    return hasattr(value, "__array_function__") and not isinstance(value, np.ndarray)


def _arrays_in(value: Any) -> Iterator[Any]:
    if isinstance(value, np.ndarray) or hasattr(type(value), "same"):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _arrays_in(part)
    elif isinstance(value, dict):
        yield from _arrays_in(list(value.values()))


def _same(array: Any, old: Any) -> bool:
    if _is_foreign(array):  # one of `backprop_lib.proof.symbolic`
        return bool(array.same(old))
    if array.dtype == object:  # by identity: exact symbols do not compare
        return all(new is entry for new, entry in zip(array.flat, old.flat, strict=True))
    return np.array_equal(array, old, equal_nan=old.dtype.kind == "f")
