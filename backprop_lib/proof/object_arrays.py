"""Arrays of objects: how they are filled, and their sums of products.

If an entry raises an exception in `@`, np.dot or np.einsum, NumPy goes on all the same, or frees an
object that is still in use, so that the process may crash. So NumPy is only asked which products
are summed, with entries that never raise; the products are computed afterwards.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import add, mul
from typing import Any

import numpy as np

from backprop_lib.proof.budget import undisturbed

CONTRACTIONS = (np.dot, np.inner, np.vdot, np.einsum, np.correlate)
"""The functions that do this in C, and are no ufuncs."""


def filled(shape: Sequence[int], entries: Iterable[Any]) -> np.ndarray:
    """Return an array of objects, its entries in order."""
    return np.fromiter(list(entries), dtype=object).reshape(tuple(shape))


def contracted(function: Callable[..., Any], args: Any, options: Any) -> Any:
    """Call a function that only multiplies and adds entries, and compute them outside of it."""
    noted = [_noted(value) for value in args]
    out = options.pop("out", None)
    result = undisturbed(lambda: function(*noted, **options))
    if isinstance(result, np.ndarray):
        result = filled(result.shape, map(_computed, result.flat))
    else:
        result = _computed(result)
    if out is None:
        return result
    into = out[0] if isinstance(out, tuple) else out
    into[...] = result
    return into


class _Sum:
    """A sum of products that are not computed yet."""

    def __init__(self, products: tuple[tuple[Any, ...], ...]):
        self.products = products

    def __mul__(self, other: Any) -> "_Sum":
        others = _products(other)
        return _Sum(tuple(a + b for a in self.products for b in others))

    def __rmul__(self, other: Any) -> "_Sum":
        return _Sum(_products(other)) * self

    def __add__(self, other: Any) -> "_Sum":
        return _Sum(self.products + _products(other))

    def __radd__(self, other: Any) -> "_Sum":
        return self if isinstance(other, int) and other == 0 else _Sum(_products(other)) + self

    def conjugate(self) -> "_Sum":
        """Return the same, since all numbers are real."""
        return self


def _products(value: Any) -> tuple[tuple[Any, ...], ...]:
    return value.products if isinstance(value, _Sum) else ((value,),)


def _noted(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return filled(value.shape, (_Sum(((entry,),)) for entry in value.astype(object).flat))


def _computed(value: Any) -> Any:
    if not isinstance(value, _Sum):
        return value  # the sum of no products
    return reduce(add, (reduce(mul, factors) for factors in value.products))
