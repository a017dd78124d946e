"""The functions with which code makes arrays, such as np.zeros, while the code is judged.

Of other functions NumPy asks their arguments, but np.zeros is handed a shape and nothing else. So
while code is judged, its name `np` stands for a module of ours: NumPy's, with functions of ours in
the place of those that make arrays. In the run of an engine they make arrays of the engine's kind;
in any other run, or thread, they do what NumPy's do. NumPy itself is not changed. Code that imports
NumPy where it needs it is given that module as well, and has functions of Python's math by name
replaced by those of `backprop_lib.proof.python_math`.

Of Python's own functions, `float(N)` and its like would ask a size for a number that it does not
have. Where code calls them, the name stands for what takes a size, too, and is a type still.
"""

import builtins
import functools
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from backprop_lib.proof import python_math
from backprop_lib.proof.budget import undisturbed
from backprop_lib.proof.code import called_by, functions_of, modules_of

Creator = Callable[[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""What an engine makes of a call: from the function's name, NumPy's function and its arguments."""

OF_NUMPY = (
    *("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like"),
    *("array", "asarray", "asanyarray", "ascontiguousarray"),
    *("eye", "identity", "tri", "arange", "prod"),
)
OF_PYTHON = ("len", "range", "float", "int")
ABSENT = object()

_creator: ContextVar[Creator | None] = ContextVar("creator", default=None)


@contextmanager
def making(creator: Creator) -> Iterator[None]:
    """Let an engine make the arrays that code asks for."""
    token = _creator.set(creator)
    try:
        yield
    finally:
        _creator.reset(token)


@contextmanager
def watched(*code: Any) -> Iterator[None]:
    """Let the code that is judged call functions of ours in the place of those that make arrays.

    It must have them by name: `np`, or `zeros` after `from numpy import zeros`.
    """
    functions = functions_of(*code)
    wanted = frozenset(called_by(functions, OF_PYTHON))
    places: list[_Namespace | _Cell] = []
    places += [_Namespace(vars(module), wanted) for module in modules_of(functions)]
    places += [_Namespace(function.__globals__, wanted) for function in functions]
    places += [_Cell(cell) for function in functions for cell in function.__closure__ or ()]
    used = {place.key: place for place in places}
    undisturbed(lambda: _swap(used.values()))
    try:
        yield
    finally:
        undisturbed(lambda: _swap_back(used.values()))


@dataclass(frozen=True)
class _Namespace:
    """The names of a module."""

    names: dict[str, Any]
    wanted: frozenset[str]
    """The names of Python's own that the code calls."""

    @property
    def key(self) -> int:
        return id(self.names)

    def put(self, stand_ins: dict[int, Any]) -> dict[str, Any]:
        """Replace what has a stand-in, and return what was replaced."""
        before = {name: v for name, v in self.names.items() if id(v) in stand_ins}
        self.names.update({name: stand_ins[id(value)] for name, value in before.items()})
        missing = [name for name in self.wanted if name not in self.names]
        self.names.update({name: _OF_PYTHON[name] for name in missing})
        return before | dict.fromkeys(missing, ABSENT)

    def put_back(self, before: dict[str, Any], ours: set[int]) -> None:
        """Undo that, but for what was assigned since."""
        for name, value in before.items():
            if id(self.names.get(name)) in ours:
                if value is ABSENT:
                    del self.names[name]
                else:
                    self.names[name] = value


@dataclass(frozen=True)
class _Cell:
    """A variable of an enclosing function."""

    cell: types.CellType

    @property
    def key(self) -> int:
        return id(self.cell)

    def put(self, stand_ins: dict[int, Any]) -> dict[str, Any]:
        """Replace the value if it has a stand-in, and return what it was."""
        try:
            value = self.cell.cell_contents
        except ValueError:  # not bound yet
            return {}
        if id(value) not in stand_ins:
            return {}
        self.cell.cell_contents = stand_ins[id(value)]
        return {"": value}

    def put_back(self, before: dict[str, Any], ours: set[int]) -> None:
        """Undo that."""
        if before and id(self.cell.cell_contents) in ours:
            self.cell.cell_contents = before[""]


@dataclass
class _Swapped:
    """A place where something was replaced, and by how many calls."""

    before: dict[str, Any]
    times: int = 0


_lock = threading.RLock()
_swapped: dict[int, _Swapped] = {}


def _swap(places: Iterable[_Namespace | _Cell]) -> None:
    global _imported
    with _lock:
        if not _swapped:
            _imported = builtins.__import__
            setattr(builtins, "__import__", _importing)  # noqa: B010
        for place in places:
            if place.key not in _swapped:
                _swapped[place.key] = _Swapped(place.put(_STAND_INS))
            _swapped[place.key].times += 1


def _swap_back(places: Iterable[_Namespace | _Cell]) -> None:
    with _lock:
        for place in places:
            _swapped[place.key].times -= 1
            if not _swapped[place.key].times:
                place.put_back(_swapped.pop(place.key).before, _OURS)
        if not _swapped and builtins.__import__ is _importing:
            setattr(builtins, "__import__", _imported)  # noqa: B010


def _importing(name: str, names: Any = None, *others: Any, **options: Any) -> Any:
    """Import a module; NumPy is our module for code that is judged, while an engine runs it."""
    module = _imported(name, names, *others, **options)
    is_ours = module is np and _creator.get() is not None and id(names) in _swapped
    return _NUMPY if is_ours else module


def _stand_in(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def function(*args: Any, **options: Any) -> Any:
        creator = _creator.get()
        if creator is None:
            return original(*args, **options)
        args = tuple(map(_type_of, args))
        options = {key: _type_of(value) for key, value in options.items()}
        return creator(name, original, args, options)

    return function


class _Type:
    """What stands for a type of Python's: called it asks the engine, else it is that type."""

    def __init__(self, original: type):
        self.original = original
        self.call = _stand_in(original.__name__, original)
        if original is not range:
            self.dtype: np.dtype[Any] = np.dtype(original)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.call(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __eq__(self, other: object) -> bool:
        return bool(self.original == _type_of(other))

    def __hash__(self) -> int:
        return hash(self.original)

    def __or__(self, other: Any) -> Any:
        return self.original | _type_of(other)

    def __ror__(self, other: Any) -> Any:
        return other | self.original

    def __repr__(self) -> str:
        return repr(self.original)


def _type_of(value: Any) -> Any:
    return value.original if isinstance(value, _Type) else value


def _standing_for(original: type) -> _Type:
    """Return a stand-in whose instances are those of the type, found as the type finds them."""
    checks = {name: getattr(original, name) for name in ("__instancecheck__", "__subclasscheck__")}
    made: _Type = type(original.__name__, (_Type,), checks)(original)
    return made


_NUMPY = types.ModuleType("numpy")
_NUMPY.__dict__.update(vars(np))
_STAND_INS: dict[int, Any] = {id(np): _NUMPY}
for _name in OF_NUMPY:
    _STAND_INS[id(getattr(np, _name))] = _stand_in(_name, getattr(np, _name))
    setattr(_NUMPY, _name, _STAND_INS[id(getattr(np, _name))])
for _name, _function in python_math.ORIGINALS.items():
    _STAND_INS[id(_function)] = python_math.STAND_INS[_function]
_OF_PYTHON: dict[str, Any] = {"len": _stand_in("len", len)}
_OF_PYTHON |= {kind.__name__: _standing_for(kind) for kind in (range, float, int)}
_imported: Callable[..., Any] = builtins.__import__
"""Python's own import."""
_OURS = {id(value) for value in (*_STAND_INS.values(), *_OF_PYTHON.values())}
