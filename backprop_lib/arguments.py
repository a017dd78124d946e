"""Arguments that are arrays, whole numbers or generators, checked in one line.

For functions whose shapes are not in their signature, as `shapes.shaped` has it.
"""

from typing import Any

import numpy as np

from backprop_lib.shapes import ShapeError, format_shape

KINDS = {"f": "floats", "iu": "integers", "iuf": "numbers"}
"""NumPy's letters for the kinds of entries, and our words."""


def check_array(
    function: str, name: str, array: Any, kinds: str, shape: tuple[str | int, ...]
) -> None:
    """Refuse what is no array of this kind, or of another shape; a name is any size."""
    expected = f"expected {KINDS[kinds]} of shape {format_shape(shape)}"
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"{function}: {name} is of type {type(array).__name__}, "
            f"expected a NumPy array of {KINDS[kinds]}"
        )
    if array.dtype.kind not in kinds:
        raise TypeError(f"{function}: {name} holds {array.dtype}, {expected}")
    is_as_expected = len(array.shape) == len(shape) and all(
        isinstance(axis, str) or size == axis for size, axis in zip(array.shape, shape, strict=True)
    )
    if not is_as_expected:
        raise ShapeError(f"{function}: {name} has shape {format_shape(array.shape)}, {expected}")


def check_integer(function: str, name: str, value: Any, at_least: int) -> None:
    """Refuse what is no whole number, or too small."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise TypeError(f"{function}: {name} is {value!r}, expected an integer")
    if value < at_least:
        raise ValueError(f"{function}: {name} is {value}, expected at least {at_least}")


def check_generator(function: str, rng: Any) -> None:
    """Refuse what draws no random numbers."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{function}: rng is of type {type(rng).__name__}, "
            "expected a numpy.random.Generator, such as numpy.random.default_rng(0)"
        )
