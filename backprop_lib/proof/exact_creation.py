"""Arrays that code makes itself, in a run on exact numbers: they hold exact numbers, too."""

import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from backprop_lib.proof.object_arrays import filled
from backprop_lib.proof.scalar import Exact, ExactArray

GIVEN = ("array", "asarray", "asanyarray", "ascontiguousarray")
"""The functions that are handed what the array is to hold."""


class Unwritten:
    """An entry of np.empty before something is written into it."""

    def __init__(self, refuse: Callable[[str], NoReturn]):
        self._refused = refuse

    def _refuse(self, *_: Any) -> NoReturn:
        self._refused(f"computes with {self!r}")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = __pos__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __abs__ = __float__ = __bool__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse
    sqrt = exp = log = tanh = expm1 = log1p = conjugate = _refuse
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "an entry of np.empty that it has not written"


class ExactCreator:
    """Makes arrays for a run on exact numbers, of which one shows how to make others."""

    def __init__(self, number: Exact):
        self.number = number

    def __call__(
        self,
        name: str,
        original: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        """Make what NumPy's function would make, with exact numbers in the place of floats."""
        if name == "float" and len(args) == 1 and isinstance(args[0], Exact):
            return args[0]
        if name in ("len", "prod", "range", "float", "int"):
            return original(*args, **options)
        if isinstance(options.get("like"), ExactArray):
            options = {key: value for key, value in options.items() if key != "like"}
        values = [*args, *options.values()]
        if any(_holds_exact(value) for value in values):
            args = tuple(map(_for_objects, args))
            options = {key: _for_objects(value) for key, value in options.items()}
        result = original(*args, **options)
        if not isinstance(result, np.ndarray) or result.dtype.kind not in "fO":
            return result
        if name in GIVEN and result.dtype == object:
            return ExactArray.of(result, self.number.lift)  # it may share memory
        return ExactArray.of(self._exactly(name, result), self.number.lift)

    def _exactly(self, name: str, array: np.ndarray) -> np.ndarray:
        if name.startswith("empty"):
            return np.full(array.shape, Unwritten(self.number.refuse), dtype=object)
        if name.startswith(("zeros", "ones")):
            one_for_all = self.number.lift(int(name.startswith("ones")))
            return np.full(array.shape, one_for_all, dtype=object)
        return filled(array.shape, map(self._number, array.flat))

    def _number(self, entry: Any) -> Any:
        if isinstance(entry, float) and not math.isfinite(entry):
            return entry
        return entry if isinstance(entry, Unwritten) else self.number._lifted(entry)


def _holds_exact(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.dtype == object)
    if isinstance(value, list | tuple):
        return any(map(_holds_exact, value))
    return isinstance(value, Exact)


def _for_objects(value: Any) -> Any:
    """Replace a type of floats, which has no place for exact numbers."""
    is_type = isinstance(value, str | np.dtype) or value is float
    if is_type or (isinstance(value, type) and issubclass(value, np.floating)):
        return object if np.dtype(value).kind == "f" else value
    return value
