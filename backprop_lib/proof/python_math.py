"""Functions of Python's module math, and np.vectorize, on numbers that are no floats.

math.sqrt(d) asks d for a float, which an open size or an exact number does not have. So while code
is judged, the functions of math first look whether an argument says itself what they make of it.
Of all other arguments they make what they always make.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from backprop_lib.proof.budget import undisturbed

METHODS = {"asin": "arcsin", "atan": "arctan", "atanh": "arctanh", "fabs": "__abs__"}
"""The functions that NumPy calls by another name."""
NAMES = (
    *("sqrt", "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "pow", "hypot", "erf"),
    *("sin", "cos", "tan", "sinh", "cosh", "tanh", *METHODS),
)


class Followed(Protocol):
    """What says itself what functions of math make of it."""

    def of_math(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Return math's function of this name of some arguments, of which this is one."""

    def entrywise(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Return what np.vectorize makes of a function and some arrays, of which this is one."""


def _first(arguments: tuple[Any, ...], method: str) -> Any:
    return next((a for a in arguments if hasattr(type(a), method)), None)


def _asking(name: str) -> Callable[..., Any]:
    function = getattr(math, name)

    def asking(*arguments: Any) -> Any:
        ours = _first(arguments, "of_math")
        return function(*arguments) if ours is None else ours.of_math(name, arguments)

    return asking


ORIGINALS = {name: getattr(math, name) for name in NAMES if hasattr(math, name)}
STAND_INS = {function: _asking(name) for name, function in ORIGINALS.items()}
"""What stands for each function while code is judged."""
_vectorized = np.vectorize.__call__


def _vectorized_asking(vectorized: Any, *arguments: Any, **options: Any) -> Any:
    ours = _first(arguments, "entrywise")
    if ours is None or options or vectorized.excluded or vectorized.signature is not None:
        return _vectorized(vectorized, *arguments, **options)
    function = vectorized.pyfunc
    if getattr(function, "__module__", None) == "math":
        function = STAND_INS.get(function, function)
    return ours.entrywise(function, arguments)


_lock = threading.Lock()
_users = 0


def _use(change: int) -> None:
    """Put the functions in their places with the first user, and back with the last."""
    global _users
    with _lock:
        _users += change
        for name, function in ORIGINALS.items():
            setattr(math, name, STAND_INS[function] if _users else function)
        setattr(np.vectorize, "__call__", _vectorized_asking if _users else _vectorized)  # noqa: B010


@contextmanager
def followed_functions() -> Iterator[None]:
    """Let the functions of math, and np.vectorize, ask their arguments."""
    undisturbed(lambda: _use(1))
    try:
        yield
    finally:
        undisturbed(lambda: _use(-1))
