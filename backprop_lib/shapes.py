"""The shape table of a layer is its signature, and it is checked at every call.

The note that this book is made from opens each layer with a table of names and shapes.
Here the same table is the function's annotations::

    @shaped
    def forward(
        x: Shaped[Array, "N C_in"],
        W: Shaped[Array, "C_out C_in"],
        b: Shaped[Array, "C_out"],
    ): ...

A size that occurs twice must be the same size twice. A number has its bounds beside its type,
``eps: Annotated[float, ">= 0"]``. jaxtyping and beartype do the checking; this module adds what an
array of *real numbers* and what one of *labels* is, which axes may not be empty and which numbers
are meant, and says in one line what was wrong.
"""

import functools
import inspect
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from numbers import Rational
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, overload

import numpy as np
from beartype import BeartypeConf, beartype
from beartype.door import is_bearable
from jaxtyping import Shaped, TypeCheckError, jaxtyped

__all__ = [
    "Array",
    "Cache",
    "Constant",
    "Labels",
    "ShapeError",
    "Shaped",
    "format_shape",
    "shape_table",
    "shaped",
    "unchecked",
]

Cache = tuple[Any, ...]
"""What forward returns beside y, and backward takes after dy (see `backprop_lib.layer`)."""

PLAIN_AXIS = re.compile(r"\*?[A-Za-z]\w*|\d+")
CONF = BeartypeConf(is_pep484_tower=True)  # a float may be a whole number
TYPES = beartype(conf=CONF)
BOUNDS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    ">": (operator.gt, "above"),
    ">=": (operator.ge, "of at least"),
    "<": (operator.lt, "below"),
    "<=": (operator.le, "at most"),
}
"""What may be said of a number beside its type, and how it is read aloud."""
NEVER_ROUNDED_TO_0 = 1e-7
"""No kind of float is so coarse that it has nothing between 0 and this."""
NUMBERS: dict[Any, tuple[tuple[type, ...], str]] = {
    int: ((int, np.integer), "a whole number"),
    float: ((int, float, np.integer, np.floating), "a number"),
}
_LABELS = "_axes_of_labels"
_is_checked = ContextVar("_is_checked", default=True)
Function = TypeVar("Function", bound=Callable[..., Any])


class ShapeError(ValueError):
    """An array whose axes or sizes are not those of the signature."""


if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[np.floating[Any]]]
    Constant = np.ndarray[Any, np.dtype[np.floating[Any]]]
    Labels = np.ndarray[Any, np.dtype[np.integer[Any]]]
else:

    class _RealNumbers(type):
        def __instancecheck__(cls, value):
            return _why_not_real("", value) is None

    class Array(metaclass=_RealNumbers):
        """An array of real numbers: floats, or exact numbers in their place.

        Floats are NumPy's ``float16`` to ``longdouble``. Exact numbers come in arrays of
        ``dtype=object`` and are ``int``, ``Fraction``, SymPy expressions without floats, or
        objects with ``is_exact = True``; they let a proof run the very code that is used with
        floats. Integer, boolean and complex arrays are refused: NumPy would round, wrap or
        conjugate where the derivations do not.
        """

    class Constant(Array):
        """An `Array` by which nothing is differentiated, such as a mask or a running mean."""

    class _WholeNumbers(type):
        def __instancecheck__(cls, value):
            return _why_no_labels("", value) is None

    class Labels(metaclass=_WholeNumbers):
        """An array of NumPy's integers that name places along an axis, from 0 on."""


@overload
def shaped(function: Function) -> Function: ...
@overload
def shaped(
    *, nonempty: Iterable[str] = (), labels: Mapping[str, str] | None = None
) -> Callable[[Function], Function]: ...
def shaped(
    function: Any = None,
    *,
    nonempty: Iterable[str] = (),
    labels: Mapping[str, str] | None = None,
) -> Any:
    """Check the arrays of every call against the shapes in the function's signature.

    Parameters
    ----------
    function : callable
        Its array parameters, and if it likes its results, are annotated
        ``Shaped[Array, "N C_in"]``: one name or number for each axis, ``*L`` for any number of
        axes. Parameters with other annotations are checked against those. A number may be one
        of NumPy's, and reaches the function as one of Python's, which leaves float32 what it is;
        ``Annotated[float, ">= 0", "<= 1"]`` bounds it.
    nonempty : names of axes, optional
        Axes that may not have the size 0, such as one along which a mean is taken. Each must
        be an axis of some parameter.
    labels : dict, optional
        From a parameter annotated ``Shaped[Labels, "N"]`` to the axis whose places it names:
        with ``{"t": "C"}``, every entry of t must be one of 0, ..., C - 1.

    Returns
    -------
    callable
        The same function; a call costs some 50 microseconds more. Without a function, a
        decorator with these settings.

    Raises
    ------
    ShapeError
        By the call, if an array has the wrong number of axes, or a size differs from the one
        that an earlier argument gave to the same name, or an axis is empty that may not be.
    ValueError
        By the call, if a label names no place, or a number is out of its bounds.
    TypeError
        By the call, if an argument is not an array of real numbers (see `Array`), or of labels,
        or is not of its annotated type.
    """
    if function is None:
        return functools.partial(shaped, nonempty=nonempty, labels=labels)
    checked = jaxtyped(typechecker=TYPES)(function)
    signature, axes = inspect.signature(function), _axes(function)
    numbers = [
        (place, name, number)
        for place, (name, parameter) in enumerate(signature.parameters.items())
        if (number := _Number.of(parameter.annotation)) is not None
    ]
    ranges, filled = dict(labels or {}), tuple(nonempty)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not _is_checked.get():
            return function(*args, **kwargs)
        if numbers:
            args, kwargs = _with_pythons_numbers(function, numbers, args, kwargs)
        if ranges or filled:
            bound = signature.bind(*args, **kwargs)
            error = _why_out_of_range(function, axes, bound.arguments, filled, ranges)
            if error is not None:
                raise error
        try:
            return checked(*args, **kwargs)
        except TypeCheckError as error:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            raise _explained(function, bound.arguments, error) from None

    setattr(wrapper, _LABELS, ranges)
    return wrapper


class unchecked:  # noqa: N801
    """Let decorated functions run as if they were not decorated.

    A proof runs them on symbols, and judges the shape of each gradient by itself.
    """

    def __enter__(self) -> None:
        self._token = _is_checked.set(False)

    def __exit__(self, *_: object) -> None:
        _is_checked.reset(self._token)


def shape_table(function: Callable[..., Any]) -> dict[str, str]:
    """Read a function's shape table from its signature.

    Returns
    -------
    dict
        From the name of each array parameter to its axes, in order:
        ``shape_table(linear.forward)["x"] == "N C_in"``. A `Constant` is written ``"const C"``,
        `Labels` are ``"N < C"``.
    """
    ranges = getattr(function, _LABELS, {})
    table = {}
    for name, axes in _axes(function).items():
        annotation = inspect.signature(function).parameters[name].annotation
        constant = "const " if annotation.array_type is Constant else ""
        below = f" < {ranges[name]}" if name in ranges else ""
        table[name] = f"{constant}{axes}{below}"
    return table


def _axes(function: Callable[..., Any]) -> dict[str, str]:
    """Return the axes of each array parameter, as they are annotated."""
    return {
        name: parameter.annotation.dim_str
        for name, parameter in inspect.signature(function).parameters.items()
        if hasattr(parameter.annotation, "dim_str")
    }


def format_shape(axes: Iterable[object]) -> str:
    """Write axes, be they names or sizes, as Python writes a shape: ``(N, C)``, ``(N,)``."""
    words = [str(axis) for axis in axes]
    return f"({words[0]},)" if len(words) == 1 else f"({', '.join(words)})"


def _explained(
    function: Callable[..., Any], arguments: dict[str, Any], error: TypeCheckError
) -> Exception:
    """Say in one line which argument failed the check, what it is and what was expected."""
    name = _name(function)
    table = _axes(function)
    if not all(PLAIN_AXIS.fullmatch(axis) for axes in table.values() for axis in axes.split()):
        return error  # axes that we cannot explain: jaxtyping's own words
    given: dict[str, tuple[int, str]] = {}  # size and giver of every axis met so far
    for argument, axes in table.items():
        value, expected = arguments[argument], format_shape(axes.split())
        annotation = inspect.signature(function).parameters[argument].annotation
        is_label = annotation.array_type is Labels
        why_not = _why_no_labels if is_label else _why_not_real
        if (why := why_not(argument, value)) is not None:
            kind = "integers" if is_label else "floats"
            return TypeError(f"{name}: expected {argument} to be {kind} of shape {expected}: {why}")
        if (why := _why_not_shaped(value.shape, axes, argument, given)) is not None:
            shape = format_shape(value.shape)
            return ShapeError(f"{name}: {argument} has shape {shape}, expected {expected}: {why}")
    for argument, parameter in inspect.signature(function).parameters.items():
        hint, value = parameter.annotation, arguments[argument]
        if argument not in table and not is_bearable(value, hint, conf=CONF):
            return TypeError(f"{name}: {argument} is {_shown(value)}, expected {_expected(hint)}")
    returned = re.search(r"return value.*\nActual value: (.*)\nExpected type: (.*)\.\n", str(error))
    if returned is None:
        return error
    sizes = ", ".join(f"{axis} = {size}" for axis, (size, _) in given.items())
    return ShapeError(f"{name}: returned {returned[1]}, expected {returned[2]} with {sizes}")


def _name(function: Callable[..., Any]) -> str:
    module = function.__module__.rpartition(".")[2]
    return function.__qualname__ if module == "__main__" else f"{module}.{function.__qualname__}"


@dataclass(frozen=True)
class _Number:
    """What a parameter may be that is a number."""

    kind: type
    bounds: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, hint: Any) -> "_Number | None":
        """Read an annotation; None if it is not one of a number."""
        kind, bounds = _parts(hint)
        if kind not in NUMBERS:
            return None
        return cls(kind, tuple((sign, float(limit)) for sign, limit in map(str.split, bounds)))

    def __str__(self) -> str:
        bounds = " and ".join(f"{BOUNDS[sign][1]} {limit:g}" for sign, limit in self.bounds)
        return f"{NUMBERS[self.kind][1]} {bounds}".rstrip()

    def pythons(self, value: Any) -> Any:
        """Make one of Python's numbers of one of NumPy's.

        Raises
        ------
        TypeError
            If it is no number of this kind.
        """
        if type(value) is self.kind:
            return value
        if isinstance(value, bool) or not isinstance(value, NUMBERS[self.kind][0]):
            raise TypeError(f"is {_shown(value)}, expected {self}")
        return self.kind(value) if isinstance(value, np.generic) else value

    def check_bounds(self, value: Any, others: Iterable[Any]) -> None:
        """Check that a number is within its bounds, and is not lost beside the other arguments.

        Raises
        ------
        ValueError
            If not.
        """
        if not all(BOUNDS[sign][0](value, limit) for sign, limit in self.bounds):
            raise ValueError(f"is {value!r}, expected {self}")
        if self.bounds and 0 < value < NEVER_ROUNDED_TO_0:
            for dtype in {one.dtype for one in others if isinstance(one, np.ndarray)}:
                if dtype.kind == "f" and value < (least := np.finfo(dtype).smallest_subnormal):
                    expected = f"expected 0, or at least {least:.0e}"
                    raise ValueError(f"is {value!r}, which may become 0 in {dtype}; {expected}")


def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type, and what is annotated beside it."""
    metadata = getattr(hint, "__metadata__", None)
    return (hint, ()) if metadata is None else (hint.__origin__, metadata)


def _expected(hint: Any) -> str:
    """Say in words what an annotation asks for."""
    kind, beside = _parts(hint)
    for choice in (kind, *beside):
        if get_origin(choice) is Literal:
            return " or ".join(map(repr, get_args(choice)))
    return kind.__name__ if isinstance(kind, type) else re.sub(r"\b(\w+\.)+", "", str(kind))


def _shown(value: Any) -> str:
    """Write a value in one line, whatever it is."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {format_shape(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else f"a {type(value).__name__}"


def _with_pythons_numbers(
    function: Callable[..., Any],
    numbers: Iterable[tuple[int, str, _Number]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call, with Python's numbers in place of NumPy's."""
    for place, name, number in numbers:
        if place >= len(args) and name not in kwargs:
            continue
        given = args[place] if place < len(args) else kwargs[name]
        try:
            value = number.pythons(given)
            number.check_bounds(value, (*args, *kwargs.values()))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{_name(function)}: {name} {error}") from None
        if place < len(args):
            args = (*args[:place], value, *args[place + 1 :])
        else:
            kwargs = {**kwargs, name: value}
    return args, kwargs


def _why_out_of_range(
    function: Callable[..., Any],
    table: Mapping[str, str],
    arguments: Mapping[str, Any],
    nonempty: Iterable[str],
    labels: Mapping[str, str],
) -> Exception | None:
    """Say which axis is empty that may not be, or which label names no place.

    Of arguments that have not the shape they should have, nothing is said here.
    """
    given: dict[str, tuple[int, str]] = {}
    for argument, axes in table.items():
        value = arguments.get(argument)
        shape = getattr(value, "shape", None)
        if shape is None or _why_not_shaped(shape, axes, argument, given) is not None:
            return None
        empty = [
            axis.removeprefix("*")
            for axis in axes.split()
            if axis in nonempty and 0 in _sizes_of(axis, given)
        ]
        if empty:
            expected = f"expected {format_shape(axes.split())} with {empty[0]} at least 1"
            return ShapeError(
                f"{_name(function)}: {argument} has shape {format_shape(shape)}, {expected}"
            )
    for argument, axis in labels.items():
        value, (size, giver) = arguments[argument], given[axis]
        if _why_no_labels(argument, value) is None:
            for index in np.argwhere((value < 0) | (value >= size))[:1]:
                return ValueError(
                    f"{_name(function)}: {argument}{index.tolist()} is {value[tuple(index)]}, "
                    f"expected a label from 0 to {size - 1}: {giver} has {axis} = {size}"
                )
    return None


def _sizes_of(axis: str, given: Mapping[str, tuple[int, str]]) -> list[int]:
    """Return the size of an axis, or of all axes that *L stands for."""
    if not axis.startswith("*"):
        return [given[axis][0]]
    return [size for name, (size, _) in given.items() if name.startswith(f"{axis[1:]}.")]


def _why_another_kind(name: str, value: Any) -> str | None:
    """Say of an array that is not NumPy's plain one what to pass in its place."""
    if type(value).__module__.partition(".")[0] == "torch":
        return f"it is a torch tensor: pass {name}.numpy()"
    if isinstance(value, np.matrix):
        return f"it is a np.matrix: pass np.asarray({name})"
    if isinstance(value, np.ma.MaskedArray):
        return f"it is a masked array: pass {name}.filled(0), or another number for what is masked"
    return None


def _why_no_labels(name: str, value: Any) -> str | None:
    if type(value) is not np.ndarray and (why := _why_another_kind(name, value)) is not None:
        return why
    if not isinstance(value, np.ndarray):
        return f"it is a {type(value).__name__}, not a NumPy array"
    return None if value.dtype.kind in "iu" else f"it holds {value.dtype}"


def _why_not_real(name: str, value: Any) -> str | None:
    if type(value) is not np.ndarray and (why := _why_another_kind(name, value)) is not None:
        return why
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        return f"it is a {type(value).__name__}, not a NumPy array"
    if not isinstance(value, np.ndarray | np.generic):  # of another library
        real = re.search("float|object", str(value.dtype))
        return None if real else f"it holds {value.dtype}"
    if value.dtype == object:
        return _why_not_exact(name, np.asarray(value))
    if value.dtype.kind in "iub":
        return f"it holds {value.dtype}; {name}.astype(float) makes floats of it"
    return None if value.dtype.kind == "f" else f"it holds {value.dtype}"


def _why_not_exact(name: str, value: np.ndarray) -> str | None:
    for index, entry in np.ndenumerate(value):
        if not _is_exact(entry):
            return f"it holds objects, and {name}{list(index)} is {entry!r}"
    return None


def _is_exact(entry: Any) -> bool:
    if isinstance(entry, Rational):  # int, Fraction, SymPy's rationals
        return not isinstance(entry, bool | np.generic)
    if getattr(entry, "is_exact", False) is True:  # a number that says so of itself
        return True
    if getattr(entry, "is_commutative", None) is not True or not hasattr(entry, "free_symbols"):
        return False  # no expression of SymPy
    if entry.is_extended_real is False or any(atom.is_Float for atom in entry.atoms()):
        return False
    return bool(entry.free_symbols) or bool(entry.is_finite)


def _why_not_shaped(
    shape: tuple[int, ...], axes: str, argument: str, given: dict[str, tuple[int, str]]
) -> str | None:
    names = axes.split()
    for i, axis in enumerate(names):
        if axis.startswith("*"):  # any number of axes: spell them out as L.0, L.1, ...
            count = max(len(shape) - len(names) + 1, 0)
            names[i : i + 1] = [f"{axis[1:]}.{k}" for k in range(count)]
            break
    if len(shape) != len(names):
        return f"the number of axes is {len(shape)}, not {len(names)}"
    for i, (axis, size) in enumerate(zip(names, shape, strict=True)):
        if axis.isdecimal() and int(axis) != size:
            return f"axis {i} is {size}"
        expected, giver = given.setdefault(axis, (size, argument))
        if expected != size:
            return f"axis {i} is {size}, but {giver} has {axis} = {expected}"
    return None
