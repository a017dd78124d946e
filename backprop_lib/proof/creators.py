"""The functions with which code makes arrays, such as np.zeros, while the code is judged.

Of other functions NumPy asks their arguments, but np.zeros is handed a shape and nothing else. So
while code is judged, its name `np` stands for a module of ours: NumPy's, with functions of ours in
the place of those that make arrays. In the run of an engine they make arrays of the engine's kind;
in any other run, or thread, they do what NumPy's do. NumPy itself is not changed.
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

from backprop_lib.proof.budget import undisturbed
from backprop_lib.proof.code import functions_of, modules_of

Creator = Callable[[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""What an engine makes of a call: from the function's name, NumPy's function and its arguments."""

OF_NUMPY = (
    *("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like"),
    *("array", "asarray", "asanyarray", "ascontiguousarray"),
    *("eye", "identity", "tri", "arange", "prod"),
)
OF_PYTHON = ("len",)
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
    places: list[_Namespace | _Cell] = []
    places += [_Namespace(vars(module)) for module in modules_of(functions)]
    places += [_Namespace(function.__globals__) for function in functions]
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

    @property
    def key(self) -> int:
        return id(self.names)

    def put(self, stand_ins: dict[int, Any]) -> dict[str, Any]:
        """Replace what has a stand-in, and return what was replaced."""
        before = {name: v for name, v in self.names.items() if id(v) in stand_ins}
        self.names.update({name: stand_ins[id(value)] for name, value in before.items()})
        missing = [name for name in OF_PYTHON if name not in self.names]
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
    with _lock:
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


def _stand_in(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def function(*args: Any, **options: Any) -> Any:
        creator = _creator.get()
        if creator is None:
            return original(*args, **options)
        return creator(name, original, args, options)

    return function


_NUMPY = types.ModuleType("numpy")
_NUMPY.__dict__.update(vars(np))
_STAND_INS: dict[int, Any] = {id(np): _NUMPY}
for _name in OF_NUMPY:
    _STAND_INS[id(getattr(np, _name))] = _stand_in(_name, getattr(np, _name))
    setattr(_NUMPY, _name, _STAND_INS[id(getattr(np, _name))])
_OF_PYTHON = {name: _stand_in(name, getattr(builtins, name)) for name in OF_PYTHON}
_OURS = {id(value) for value in (*_STAND_INS.values(), *_OF_PYTHON.values())}
