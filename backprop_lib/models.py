"""Objects that keep on themselves what their backward needs.

::

    class Affine:
        def __init__(self, W):
            self.W = W

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, dy):
            self.dW = self.x.T @ dy
            return dy @ self.W.T

An object is given, or a class of which one can be made. ``__call__`` may stand for ``forward``.
Parameters are arguments of the class, or attributes, ``self.W`` or ``self.params["W"]``; their
gradients are returned, or left in ``self.dW`` or ``self.grads["W"]``. Each run has a copy of the
object, or a new one, so that no run leaves anything in it.
"""

import ast
import copy
import re
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import Parameter, getattr_static, unwrap
from typing import Any

import numpy as np

from backprop_lib.conventions import GRADIENT_NAMES, by_name, called, parameters_of

PARAMETER_TABLES = ("params", "parameters", "weights")
GRADIENT_TABLES = ("grads", "gradients", "grad", "dparams")
VALUE_NAMES = ("value", "data")
"""Where an object that is a parameter keeps its numbers; its gradient is in ``grad``."""
DEPTH = 6
"""So deep an object is looked into."""
OF_LIBRARIES = ("numpy", "scipy", "sympy", "backprop_lib")
NO_PARTS = (type, types.ModuleType, types.FunctionType, types.MethodType, np.ndarray)
NOT_READ = ("__init__", "__repr__", "__str__")
"""Methods that take no part in forward and backward."""
STEP = re.compile(r"\.?(?P<name>[A-Za-z_]\w*)|\[(?P<key>[^\]]+)\]")
Place = tuple[tuple[str, Any], ...]
"""The way to a value in an object: self.W, self.params["W"], self.grads[0]."""


@dataclass(frozen=True)
class Kept:
    """The cache of an object: the copy that ran forward, and what that returned beside y."""

    object: Any
    cache: Any


@dataclass(frozen=True)
class Model:
    """An object, or a class of them, whose forward keeps what its backward needs."""

    given: Any
    forward: str
    backward: str
    params: Mapping[str, str] = field(default_factory=dict)
    """Where a parameter is that is no argument of forward, such as ``params["W"]``."""
    grads: Mapping[str, str] = field(default_factory=dict)
    """Where its gradient is."""

    @property
    def name(self) -> str:
        """The name of the class."""
        return str(self.kind.__name__)

    @property
    def kind(self) -> Any:
        """The class."""
        return self.given if isinstance(self.given, type) else type(self.given)

    def method(self, name: str) -> Any:
        """Return a method, as a function that can be asked for its signature."""
        if not isinstance(self.given, type):
            return getattr(self.given, name)
        return types.MethodType(getattr(self.given, name), _bare(self.given))

    @cached_property
    def arguments(self) -> dict[str, Parameter]:
        """The parameters of forward."""
        return parameters_of(self.method(self.forward))

    @cached_property
    def constructor(self) -> dict[str, Parameter]:
        """The parameters of the class, if it is one."""
        if (
            not isinstance(self.given, type)
            or getattr_static(self.given, "__init__") is object.__init__
        ):
            return {}
        return parameters_of(self.given)

    def parameters(self, named: Iterable[str]) -> dict[str, Parameter]:
        """Return all that can be given: arguments of forward, of the class, and attributes.

        Raises
        ------
        TypeError
            If something is named that the object does not have.
        """
        found = dict(self.arguments)
        found |= {name: p for name, p in self.constructor.items() if name not in found}
        for name, number in self.numbers.items():  # a place in a part is no name of a parameter
            found.setdefault(name, Parameter("number", Parameter.KEYWORD_ONLY, default=number))
        for name in named:
            if name in found:
                continue
            place = None if isinstance(self.given, type) else self._place(self.given, name)
            if place is not None:
                self._refuse_views(self.given, name, place)
            elif not isinstance(self.given, type):
                has = ", ".join([*_state(self.given), *self._in_tables(self.given)]) or "none"
                raise TypeError(
                    f"{name} is no parameter of forward, and no attribute of {self.name}: "
                    f"forward takes {', '.join(self.arguments)}; attributes are {has}"
                )
            found[name] = Parameter(name, Parameter.KEYWORD_ONLY)
        return found

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """The attributes that are numbers, and that the code may compute with."""
        if isinstance(self.given, type):
            return {}
        found = {}
        for place, value in leaves(self.given):
            is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if is_number and place and place[-1][0] == ".":
                holder = get(self.given, place[:-1])
                if place[-1][1] in names_in(type(holder)):
                    found[text(place)] = value
        return found

    @cached_property
    def choices(self) -> dict[str, Any]:
        """The attributes that are truth values or words, and that the code may look at."""
        if isinstance(self.given, type):
            return {}
        return {name: value for name, value in self._read.items() if isinstance(value, bool | str)}

    def arrays(self, named: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the arrays of the object that the code may read, without those that are named."""
        if isinstance(self.given, type):
            return {}
        left = {n: v for n, v in self._read.items() if n not in {*named}}
        gradients = {form.format(name) for name in named for form in GRADIENT_NAMES}
        return {
            name: value
            for name, value in left.items()
            if isinstance(value, np.ndarray) and name not in gradients
        }

    @property
    def _read(self) -> dict[str, Any]:
        names = set(names_in(self.kind))
        return {name: value for name, value in _state(self.given).items() if name in names}

    def fresh(self, arguments: Mapping[str, Any]) -> Any:
        """Return an object that has not run yet, with our arrays as its parameters.

        Raises
        ------
        TypeError
            If it cannot be made, or has no parameter of a name.
        """
        if isinstance(self.given, type):
            given = {
                name: arguments[name]
                for name, parameter in self.constructor.items()
                if name in arguments
                and (name not in self.arguments or parameter.default is parameter.empty)
            }
            made = called(self.given, self.constructor, given)
        else:
            made = copied(self.given)
        return self.prepared(made, arguments)

    def prepared(self, made: Any, arguments: Mapping[str, Any]) -> Any:
        """Put arrays in the place of an object's parameters, and 0 into their gradients."""
        for name, value in arguments.items():
            if name in self.arguments:
                continue
            if name not in self.constructor:
                place = self._place(made, name)
                if place is None:
                    has = ", ".join([*_state(made), *self._in_tables(made)]) or "none"
                    raise TypeError(
                        f"{name} is no parameter of forward, and no attribute of {self.name}: "
                        f"attributes are {has}"
                    )
                try:
                    self._put_everywhere(made, name, place, value)
                except AttributeError as error:
                    raise TypeError(f"{name} of {self.name} cannot be set: {error}") from error
            gradient = self._gradient_place(made, name)
            if gradient is not None and isinstance(get(made, gradient), np.ndarray):
                put(made, gradient, np.zeros_like(value))
        return made

    def _put_everywhere(self, made: Any, name: str, place: Place, value: Any) -> None:
        """Put an array into its place, and where the object holds the same array once more.

        Raises
        ------
        TypeError
            If it also holds a view of it, which would stay what it was.
        """
        self._refuse_views(made, name, place)
        old = get(made, place)
        if isinstance(old, np.ndarray):
            for other, array in list(leaves(made)):
                if array is old and other != place:
                    put(made, other, value)
        put(made, place, value)

    def _refuse_views(self, of: Any, name: str, place: Place) -> None:
        old = get(of, place)
        if not isinstance(old, np.ndarray):
            return
        for other, array in leaves(of):
            if _is_view(array, old):
                raise TypeError(
                    f"{self.name} holds {name} also as a view, {text(other)}, which stays what "
                    f"it was if {name} changes"
                )

    def run(self, made: Any, arguments: Mapping[str, Any]) -> Any:
        """Run forward of an object."""
        own = {name: value for name, value in arguments.items() if name in self.arguments}
        return called(getattr(made, self.forward), self.arguments, own)

    def gradients(self, result: Any, kept: Kept, names: Sequence[str]) -> Any:
        """Return what backward has returned, with the gradients that it has left in the object."""
        own = [name for name in names if name in self.arguments]
        if isinstance(result, dict):
            found = by_name(result, names)
        elif result is None:
            found = {}
        else:
            parts = list(result) if isinstance(result, tuple | list) else [result]
            if not len(own) <= len(parts) < len(names):
                return result
            found = dict(zip([*own, *(n for n in names if n not in own)], parts, strict=False))
        for name in names:
            if name not in found:
                place = self._gradient_place(kept.object, name)
                if place is None:
                    if not found and result is None:
                        return result
                    raise TypeError(
                        f"no gradient of {name} was found: backward returned "
                        f"{len(found)} for {', '.join(found) or 'nothing'}, and {self.name} has no "
                        f"d{name} and no grads[{name!r}]; name its place, as in "
                        f'grads={{"{name}": "grads[0]"}}'
                    )
                found[name] = get(kept.object, place)
        return tuple(found[name] for name in names)

    def _place(self, of: Any, name: str) -> Place | None:
        """Return where a parameter is kept."""
        if name in self.params:
            return _existing(of, _parsed("params", name, self.params[name]))
        if not name.isidentifier():  # of a part of the object
            return _existing(of, _parsed("params", name, name))
        if hasattr(of, name):
            value = getattr(of, name)
            inner = next((n for n in VALUE_NAMES if _is_holder(value, n)), None)
            return ((".", name),) if inner is None else ((".", name), (".", inner))
        for table in PARAMETER_TABLES:
            place = ((".", table), ("[", name))
            if isinstance(getattr(of, table, None), dict) and name in getattr(of, table):
                return place
        return None

    def _gradient_place(self, of: Any, name: str) -> Place | None:
        """Return where the gradient of a parameter is left."""
        if name in self.grads:
            return _existing(of, _parsed("grads", name, self.grads[name]))
        if any(_is_holder(getattr(of, name, None), n) for n in VALUE_NAMES):
            return ((".", name), (".", "grad"))
        for form in GRADIENT_NAMES:
            if hasattr(of, form.format(name)):
                return ((".", form.format(name)),)
        for table in GRADIENT_TABLES:
            entries = getattr(of, table, None)
            if isinstance(entries, dict):
                for form in ("{}", *GRADIENT_NAMES):
                    if form.format(name) in entries:
                        return ((".", table), ("[", form.format(name)))
        return None

    @staticmethod
    def _in_tables(of: Any) -> Iterator[str]:
        for table in PARAMETER_TABLES:
            entries = getattr(of, table, None)
            if isinstance(entries, dict):
                yield from (f"{table}[{key!r}]" for key in entries)


def copied(value: Any) -> Any:
    """Return a copy of an object and of all that it holds, except modules.

    Raises
    ------
    TypeError
        If it holds what cannot be copied.
    """
    memo = {id(module): module for module in sys.modules.values()}
    try:
        return copy.deepcopy(value, memo)
    except Exception as error:
        raise TypeError(
            f"every run needs a copy of its own, and this {type(value).__name__} cannot be copied: "
            f"{error}"
        ) from error


def names_in(of: type) -> Iterator[str]:
    """Yield the names in the code of the methods of a class, attributes among them."""
    for base in of.__mro__[:-1]:
        for name, method in vars(base).items():
            function = getattr(method, "fget", None) or getattr(method, "__func__", method)
            code = getattr(unwrap(function), "__code__", None) if callable(function) else None
            if code is not None and name not in NOT_READ:
                yield from _names(code)


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _bare(of: type) -> Any:
    """Return an object of a class that was not initialised, for its methods to belong to."""
    try:
        return object.__new__(of)
    except TypeError:
        return of


def _state(of: Any) -> dict[str, Any]:
    slots = [name for base in type(of).__mro__ for name in getattr(base, "__slots__", ())]
    found = {name: getattr(of, name) for name in slots if hasattr(of, name)}
    return {**getattr(of, "__dict__", {}), **found}


def _is_view(array: Any, old: np.ndarray) -> bool:
    is_other = isinstance(array, np.ndarray) and array is not old
    return is_other and np.may_share_memory(array, old)


def leaves(of: Any, depth: int = DEPTH) -> Iterator[tuple[Place, Any]]:
    """Yield all that an object holds, itself and in its parts, and where."""
    entries: Iterable[tuple[tuple[str, Any], Any]] = ()
    if isinstance(of, dict):
        entries = ((("[", key), value) for key, value in of.items())
    elif isinstance(of, list):
        entries = ((("[", i), value) for i, value in enumerate(of))
    elif not isinstance(of, NO_PARTS) and type(of).__module__.partition(".")[0] not in OF_LIBRARIES:
        entries = (((".", name), value) for name, value in _state(of).items())
    parts = list(entries)
    if not depth or not parts:
        yield (), of
    else:
        for step, value in parts:
            yield from (((step, *place), leaf) for place, leaf in leaves(value, depth - 1))


def text(place: Place) -> str:
    """Write a place as code does, without self."""
    steps = (f".{step}" if kind == "." else f"[{step!r}]" for kind, step in place)
    return "".join(steps).removeprefix(".")


def _is_holder(value: Any, inner: str) -> bool:
    if isinstance(value, np.ndarray) or hasattr(value, "__array_function__"):
        return False
    return hasattr(value, inner) and hasattr(value, "grad")


def _parsed(keyword: str, name: str, text: Any) -> Place:
    """Read ``params["W"]`` or ``fc.W``.

    Raises
    ------
    TypeError
        If it is nothing of the kind.
    """
    steps: list[tuple[str, Any]] = []
    position = 0
    given, text = text, text.removeprefix("self.") if isinstance(text, str) else ""
    while match := STEP.match(text, position):
        if match["name"]:
            steps.append((".", match["name"]))
        else:
            try:
                steps.append(("[", ast.literal_eval(match["key"])))
            except (ValueError, SyntaxError):
                steps.append(("[", match["key"]))
        position = match.end()
    if not steps or position < len(text) or steps[0][0] != ".":
        raise TypeError(
            f"{keyword} has {name}: {given!r}, expected a place in the object, as "
            f'"{name}" or "{keyword}[0]"'
        )
    return tuple(steps)


def _existing(of: Any, place: Place) -> Place | None:
    try:
        get(of, place)
    except (AttributeError, KeyError, IndexError, TypeError):
        return None
    return place


def get(of: Any, place: Place) -> Any:
    """Return what stands at a place in an object."""
    for kind, step in place:
        of = getattr(of, step) if kind == "." else of[step]
    return of


def put(of: Any, place: Place, value: Any) -> None:
    """Put something at a place in an object."""
    *before, (kind, step) = place
    holder = get(of, tuple(before))
    if kind == ".":
        setattr(holder, step, value)
    else:
        holder[step] = value
