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
array of *real numbers* and what one of *labels* is and which axes may not be empty, and says in one
line what was wrong. Numbers and words are checked by ``backprop_lib.arguments``.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from numbers import Rational
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, overload

import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype
from beartype.door import is_bearable
from jaxtyping import Shaped, TypeCheckError, jaxtyped

from backprop_lib.arguments import (
    ShapeError,
    check_choice,
    check_number,
    describe_value,
    format_shape,
    why_not_plain,
)

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
CONF = BeartypeConf(hint_overrides=FrozenDict({float: int | float | np.longdouble}))
"""A float may be a whole number, or one that is longer; any other has been made a float before."""
TYPES = beartype(conf=CONF)
NEVER_ROUNDED_TO_0 = 1e-7
"""No kind of float is so coarse that it has nothing between 0 and this."""
_LABELS = "_axes_of_labels"
_is_checked = ContextVar("_is_checked", default=True)
Function = TypeVar("Function", bound=Callable[..., Any])


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
        beside arrays of longdouble, a longdouble stays one.
        ``Annotated[float, ">= 0", "<= 1"]`` bounds it, and ``Literal["mean", "sum"]`` is one of
        these words.
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
        By the call, if a label names no place, a number is out of its bounds, or a word is none
        of those in the signature.
    TypeError
        By the call, if an argument is not an array of real numbers (see `Array`), or of labels,
        or is not of its annotated type.
    """
    if function is None:
        return functools.partial(shaped, nonempty=nonempty, labels=labels)
    checked = jaxtyped(typechecker=TYPES)(function)
    signature, axes = inspect.signature(function), _axes(function)
    checks = [
        (place, name, check)
        for place, (name, parameter) in enumerate(signature.parameters.items())
        if (check := _check_of(parameter.annotation)) is not None
    ]
    settings = [
        (place, name, check)
        for place, name, check in checks
        if _kind(signature.parameters[name].annotation) is not float
    ]
    ranges, filled = dict(labels or {}), tuple(nonempty)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        is_checked = _is_checked.get()
        if checks:
            asked = checks if is_checked else settings
            args, kwargs = _with_checked_values(_name(function), asked, args, kwargs)
        if not is_checked:
            return function(*args, **kwargs)
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
            raise _explain(function, bound.arguments, error) from None

    setattr(wrapper, _LABELS, ranges)
    return wrapper


class unchecked:  # noqa: N801
    """Let decorated functions run as if they were not decorated, but for words and whole numbers.

    A proof runs them on symbols, in the place of arrays and of such numbers as eps, and judges the
    shape of each gradient by itself.
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


def _explain(
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
            told = f"{argument} is {describe_value(value)}, expected {_describe_hint(hint)}"
            return TypeError(f"{name}: {told}")
    returned = re.search(r"return value.*\nActual value: (.*)\nExpected type: (.*)\.\n", str(error))
    if returned is None:
        return error
    sizes = ", ".join(f"{axis} = {size}" for axis, (size, _) in given.items())
    return ShapeError(f"{name}: returned {returned[1]}, expected {returned[2]} with {sizes}")


def _name(function: Callable[..., Any]) -> str:
    module = function.__module__.rpartition(".")[2]
    return function.__qualname__ if module == "__main__" else f"{module}.{function.__qualname__}"


def _describe_hint(hint: Any) -> str:
    """Write the type of an argument as a signature has it, without the names of modules."""
    return hint.__name__ if isinstance(hint, type) else re.sub(r"\b(\w+\.)+", "", str(hint))


Check = Callable[[str, Any, set[np.dtype]], Any]
"""From an argument's name and value, and the dtypes of all arrays, to what the function gets."""


def _check_of(hint: Any) -> Check | None:
    """Return how a number or a word is checked; None if an annotation means neither."""
    kind = _kind(hint)
    if kind is Literal:
        return functools.partial(_checked_word, get_args(hint))
    if kind in (int, float):
        return functools.partial(_checked_number, kind, getattr(hint, "__metadata__", ()))
    return None


def _kind(hint: Any) -> Any:
    """Return what an annotation is about: of Annotated[int, ">= 1"] the int."""
    return getattr(hint, "__origin__", hint)


def _checked_word(words: tuple[str, ...], name: str, value: Any, dtypes: set[np.dtype]) -> Any:
    check_choice(name, value, words)
    return value


def _checked_number(
    kind: type, bounds: tuple[str, ...], name: str, value: Any, dtypes: set[np.dtype]
) -> Any:
    """Return one of Python's numbers, but a longdouble beside arrays of them."""
    number = check_number(name, value, kind, *bounds)
    if bounds:
        _check_not_lost(name, value, dtypes)
    return value if isinstance(value, np.longdouble) and value.dtype in dtypes else number


def _check_not_lost(name: str, value: Any, dtypes: set[np.dtype]) -> None:
    """Refuse a number that is not 0, and would be 0 beside the entries of an array."""
    if 0 < value < NEVER_ROUNDED_TO_0:
        for dtype in dtypes:
            if dtype.kind == "f" and value < (least := np.finfo(dtype).smallest_subnormal):
                expected = f"expected 0, or at least {least:.0e}"
                raise ValueError(f"{name} is {value!s}, which may become 0 in {dtype}; {expected}")


def _with_checked_values(
    function: str,
    checks: Iterable[tuple[int, str, Check]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call, with numbers and words as they were checked."""
    dtypes = {one.dtype for one in (*args, *kwargs.values()) if isinstance(one, np.ndarray)}
    for place, name, check in checks:
        if place < len(args):
            value = check(f"{function}: {name}", args[place], dtypes)
            args = (*args[:place], value, *args[place + 1 :])
        elif name in kwargs:
            kwargs = {**kwargs, name: check(f"{function}: {name}", kwargs[name], dtypes)}
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


def _why_no_labels(name: str, value: Any) -> str | None:
    if (why := why_not_plain(name, value)) is not None:
        return why
    if not isinstance(value, np.ndarray):
        return f"it is a {type(value).__name__}, not a NumPy array"
    return None if value.dtype.kind in "iu" else f"it holds {value.dtype}"


def _why_not_real(name: str, value: Any) -> str | None:
    if (why := why_not_plain(name, value)) is not None:
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
