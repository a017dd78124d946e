"""Arguments of every kind, each checked by one function, which tells in one line what is wrong.

The name of an argument is what its error begins with, such as ``eps`` or ``data.split: seed``.
`backprop_lib.shapes` asks the same of what a signature says.
"""

import operator
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np

KINDS = {"f": "floats", "iu": "integers", "iuf": "numbers"}
"""NumPy's letters for the kinds of entries, and our words."""
NUMBERS: dict[type, tuple[tuple[type, ...], str]] = {
    int: ((int, np.integer), "a whole number"),
    float: ((int, float, np.integer, np.floating), "a number"),
    Real: ((Real,), "a number"),
}
"""What is a number of each kind, and how it is called. A Fraction is Real, and no float."""
BOUNDS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    ">": (operator.gt, "above"),
    ">=": (operator.ge, "of at least"),
    "<": (operator.lt, "below"),
    "<=": (operator.le, "at most"),
}
"""What may be said of a number, and how it is read aloud."""
LONGEST = 60


class ShapeError(ValueError):
    """An array whose axes or sizes are not those that are expected."""


def check_number(name: str, value: Any, kind: Any, *bounds: str) -> Any:
    """Return a number, one of NumPy's as one of Python's.

    Parameters
    ----------
    name : str
    value : object
    kind : int, float or numbers.Real
    *bounds : str
        Such as ``">= 0"``. A number with bounds is finite.

    Raises
    ------
    TypeError
        If the value is no number of this kind; True and False are none.
    ValueError
        If it is out of its bounds.
    """
    types, _ = NUMBERS[kind]
    if isinstance(value, bool | np.timedelta64) or not isinstance(value, types):
        raise TypeError(f"{name} is {describe_value(value)}, expected {_number(kind, bounds)}")
    if isinstance(value, np.integer | np.floating):
        value = int(value) if kind is int else float(value)
    limits = _limits(bounds)
    if not all(is_within(value, limit) for is_within, _, limit in limits):
        raise ValueError(f"{name} is {describe_value(value)}, expected {_number(kind, bounds)}")
    if limits and kind is not int and abs(value) > sys.float_info.max:
        expected = _number(kind, bounds, "finite ")
        raise ValueError(f"{name} is {describe_value(value)}, expected {expected}")
    return value


@lru_cache
def _limits(bounds: tuple[str, ...]) -> list[tuple[Callable[[Any, Any], bool], str, float]]:
    """Read bounds: the comparison, its words, and the number that is compared with."""
    return [(*BOUNDS[sign], float(limit)) for sign, limit in map(str.split, bounds)]


def _number(kind: Any, bounds: tuple[str, ...], adjective: str = "") -> str:
    """Say in words which numbers are meant: a number of at least 0 and below 1."""
    article, noun = NUMBERS[kind][1].split(" ", 1)
    told = " and ".join(f"{words} {limit:g}" for _, words, limit in _limits(bounds))
    return f"{article} {adjective}{noun} {told}".rstrip()


def check_sizes(name: str, sizes: Any, bound: str) -> tuple[int, ...]:
    """Return whole numbers as a tuple of Python's.

    Raises
    ------
    TypeError, ValueError
        If they are not in a tuple or a list, or as `check_number`.
    """
    if not isinstance(sizes, tuple | list):
        raise TypeError(f"{name} is {describe_value(sizes)}, expected a tuple of whole numbers")
    return tuple(
        size  # one that is open, while code is proven
        if getattr(size, "is_exact", False)
        else check_number(f"{name}[{i}]", size, int, bound)
        for i, size in enumerate(sizes)
    )


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse what is none of these words.

    Raises
    ------
    TypeError
        If it is no word at all.
    ValueError
        If it is another one.
    """
    if not isinstance(value, str) or value not in choices:
        error = ValueError if isinstance(value, str) else TypeError
        raise error(f"{name} is {describe_value(value)}, expected {list_choices(choices)}")


def check_flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {describe_value(value)}, expected True or False")


def check_array(
    function: str, name: str, array: Any, kinds: str, shape: tuple[str | int, ...]
) -> None:
    """Refuse what is no array of this kind, or of another shape; a name is any size."""
    expected = f"{KINDS[kinds]} of shape {format_shape(shape)}"
    if (why := why_not_plain(name, array)) is not None:
        raise TypeError(f"{function}: expected {name} to be {expected}: {why}")
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"{function}: {name} is of type {type(array).__name__}, "
            f"expected a NumPy array of {KINDS[kinds]}"
        )
    if array.dtype.kind not in kinds:
        raise TypeError(f"{function}: {name} holds {array.dtype}, expected {expected}")
    is_as_expected = len(array.shape) == len(shape) and all(
        isinstance(axis, str) or size == axis for size, axis in zip(array.shape, shape, strict=True)
    )
    if not is_as_expected:
        given = format_shape(array.shape)
        raise ShapeError(f"{function}: {name} has shape {given}, expected {expected}")


def check_generator(function: str, rng: Any) -> None:
    """Refuse what draws no random numbers."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{function}: rng is of type {type(rng).__name__}, "
            "expected a numpy.random.Generator, such as numpy.random.default_rng(0)"
        )


def why_not_plain(name: str, value: Any) -> str | None:
    """Say of an array that is not NumPy's plain one what to pass in its place."""
    if type(value) is np.ndarray:
        return None
    if type(value).__module__.partition(".")[0] == "torch":
        return f"it is a torch tensor: pass {name}.numpy()"
    if isinstance(value, np.matrix):
        return f"it is a np.matrix: pass np.asarray({name})"
    if isinstance(value, np.ma.MaskedArray):
        return f"it is a masked array: pass {name}.filled(0), or another number for what is masked"
    return None


def format_shape(axes: Iterable[object]) -> str:
    """Write axes, be they names or sizes, as Python writes a shape: ``(N, C)``, ``(N,)``."""
    words = [str(axis) for axis in axes]
    return f"({words[0]},)" if len(words) == 1 else f"({', '.join(words)})"


def list_choices(choices: Sequence[object]) -> str:
    """Write what may be chosen: ``'a', 'b' or 'c'``."""
    *others, last = map(repr, choices)
    return f"{', '.join(others)} or {last}" if others else last


def describe_value(value: Any) -> str:
    """Write a value in one line, whatever it is."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {format_shape(value.shape)}"
    if isinstance(value, int) and abs(value) >= 10**LONGEST:
        return f"an integer of more than {LONGEST} digits"  # of many more, Python writes none
    text = repr(value)
    return text if len(text) <= LONGEST and "\n" not in text else f"a {type(value).__name__}"
