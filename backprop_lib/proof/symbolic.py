"""Arrays whose sizes are symbols: a layer's own code runs once and means all sizes.

A `SymbolicArray` behaves in NumPy's functions as an array of shape (N, C_in), with N and C_in
left open. It holds one formula, its entry at an index for each axis; what the code computes from
it are formulas again (`backprop_lib.proof.calculus`). A mask is a formula that is 0 or 1, and
argmax gives indices of which nothing is known, so that what is proven holds away from ties.

The functions are in `backprop_lib.proof.numpy_functions`; whatever is not there is refused by name.
"""

import _weakrefset
import inspect
import math
import os
import sys
import weakref
from collections.abc import Callable, Iterable, Sequence
from itertools import count, zip_longest
from pathlib import Path
from typing import Any, NoReturn
from weakref import WeakSet

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from backprop_lib import layer, shapes
from backprop_lib.proof import calculus
from backprop_lib.proof.calculus import ONE, ZERO, CalculusError, Formula, Index, Place
from backprop_lib.proof.constants import Floats
from backprop_lib.proof.python_math import METHODS as METHODS_OF_MATH
from backprop_lib.proof.refusal import MismatchError, NotFollowedError, Refusals, fraction
from backprop_lib.shapes import format_shape

Axis = tuple[Index, ...]
"""The indices along one axis: none if its size is 1, more than one after axes were merged."""


UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}
OF_MATH: dict[str, Callable[..., Any]] = {}
IN_PLACE: list[Callable[..., Any]] = []
"""What stands for NumPy's functions, for an array's methods, and for functions of Python's module
math that NumPy has not, filled in by
`backprop_lib.proof.numpy_functions`; those in IN_PLACE change an argument."""


KINDS = ("bool", "int", "float")
"""What an array holds, from the narrowest; a wider kind is not written into a narrower one."""


class Run(Refusals):
    """What one run of the code has met: refusals, searches, indices looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: MismatchError | None = None
        self.given: list[SymbolicArray] = []
        """The constants that are given as numbers."""
        self.searched: dict[str, frozenset[str]] = {}
        """Where a largest or smallest entry was sought, and of which arrays it is made."""
        self.taken: set[str] = set()
        self._picks: dict[calculus.Key, str] = {}
        self._floats = Floats()

    def mismatch(self, error: MismatchError) -> NoReturn:
        """Raise a shape error; should the code catch it, that is not followed."""
        self.note(f"catches an error of shapes: {error}")
        raise error

    def number(self, value: Any) -> Formula:
        """Return a number of the code; a float of many digits is the number it stands for.

        Raises
        ------
        NotFollowedError
            If it is no number.
        """
        try:
            return calculus.number(fraction(value))
        except NotFollowedError:
            if not isinstance(value, float | np.floating) or not np.isfinite(value):
                raise
        size: Any = abs(value)
        found = calculus.of_float(self._floats.read(size))
        return found if value > 0 else -found

    def pick_name(self, key: calculus.Key, letter: str) -> str:
        """Name the result of an argmax; the same array and axis have the same name."""
        if key not in self._picks:
            names = (letter + "'" * i for i in count())
            self._picks[key] = next(name for name in names if name not in self.taken)
            self.taken.add(self._picks[key])
        return self._picks[key]

    def searches(self, indices: Iterable[Index], extreme: str, arrays: frozenset[str]) -> None:
        """Note that the largest or smallest entry is sought along some axes."""
        axes = ", ".join(str(index.size) for index in indices)
        condition = f"the {extreme} entry along {axes} occurs only once"
        self.searched[condition] = self.searched.get(condition, frozenset()) | arrays

    def array(self, name: str, sizes: Sequence[str | int]) -> "SymbolicArray":
        """Return an array of independent numbers, of the given shape."""
        axes = [() if size == 1 else (Index(size),) for size in sizes]
        places = [axis[0] if axis else 0 for axis in axes]
        return SymbolicArray(self, axes, calculus.entry(name, *places))


HERE = (  # fast forms are shown equal to their twins by tests of their own
    f"{Path(__file__).parent.parent / 'fast'}{os.sep}",
    *(f"{Path(str(module.__file__)).parent}{os.sep}" for module in (calculus, np)),
    *(str(module.__file__) for module in (layer, shapes, weakref, _weakrefset, inspect)),
)


def _asked_by_code() -> bool:
    """Say whether the code that is judged asks, and not one of our modules, or NumPy's."""
    return not sys._getframe(2).f_code.co_filename.startswith(HERE)


class Size:
    """The number of entries along an axis, or a product of such numbers."""

    def __init__(self, run: Run, parts: Sequence[str | int]):
        self.run = run
        self.parts = tuple(parts)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What isinstance sees: the code that is judged would be given an int."""
        return int if _asked_by_code() else Size

    @property
    def formula(self) -> Formula:
        """The size as a formula."""
        return calculus.multiplied(map(calculus.size, self.parts))

    def number(self) -> "SymbolicArray":
        """Return the size as a number to compute with."""
        return SymbolicArray(self.run, (), self.formula, kind="int")

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Size):
            return Size(self.run, (*self.parts, *other.parts))
        if isinstance(other, int) and other == 1:
            return self
        return self.number() * other

    def __rmul__(self, other: Any) -> Any:
        return self if isinstance(other, int) and other == 1 else other * self.number()

    def _number_method(name: str) -> Any:  # type: ignore[misc] # noqa: N805
        return lambda self, *others: getattr(self.number(), name)(*others)

    for _name in ("add", "sub", "truediv", "pow", "radd", "rsub", "rtruediv", "rpow", "neg"):
        locals()[f"__{_name}__"] = _number_method(f"__{_name}__")
    sqrt = _number_method("sqrt")
    del _name, _number_method

    def of_math(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Return a function of Python's module math."""
        return self.number().of_math(name, arguments)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Size) and self.formula == other.formula:
            return True
        if isinstance(other, int) and other < 1:
            return False  # a proof is about sizes from 1 on
        self.run.note(f"asks whether the size {self} is {other}")
        return False

    def __abs__(self) -> "Size":
        return self

    def _refuse(self, *_: Any) -> NoReturn:
        self.run.refuse(
            f"needs the size {self} as a number (in np.zeros, range, a loop or a comparison); "
            "use np.zeros_like, np.broadcast_to, sums over an axis"
        )

    __index__ = __int__ = __float__ = __bool__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __floordiv__ = __mod__ = __rfloordiv__ = __rmod__ = __hash__ = _refuse

    def __repr__(self) -> str:
        if _asked_by_code():
            self.run.note(f"spells the size {self} out, as str, repr and f-strings do")
        return "·".join(map(str, self.parts)) or "1"

    def __str__(self) -> str:
        if _asked_by_code():
            self.run.note(f"spells the size {self} out, as str, repr and f-strings do")
        return repr(self)

    def __format__(self, how: str) -> str:
        if _asked_by_code():
            self.run.note(f"spells the size {self} out, as str, repr and f-strings do")
        return str(self)


class DType:
    """The type of an array's entries, as the code sees it: it can be passed on, and not looked at.

    A proof is about real numbers, so it must not depend on how they are stored.
    """

    def __init__(self, run: Run, dtype: "np.dtype[Any]"):
        self.run = run
        self.dtype = dtype  # what np.dtype makes of this

    def _refuse(self, *_: Any) -> NoReturn:
        self.run.refuse("looks at the dtype of an array; a proof is about real numbers")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse()

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __str__ = __repr__ = __format__ = __hash__ = _refuse


class HasAxes:
    """What has a shape: one axis after the other."""

    run: Run
    axes: tuple[Axis, ...]

    @property
    def shape(self) -> tuple[Any, ...]:
        """The sizes, known or symbolic."""
        return tuple(size_along(self.run, axis) for axis in self.axes)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.axes)


class SymbolicArray(HasAxes, NDArrayOperatorsMixin):
    """An array of symbolic shape, known by the formula of its entry."""

    __array_priority__ = 1000.0  # before object arrays of NumPy

    def __init__(
        self,
        run: Run,
        axes: Iterable[Axis],
        formula: Formula,
        *,
        kind: str = "float",
        writeable: bool = True,
        memory: "WeakSet[SymbolicArray] | None" = None,
    ):
        self.run = run
        self.axes = tuple(axes)
        self.formula = formula
        self.kind = kind
        self.writeable = writeable
        self._memory = WeakSet() if memory is None else memory  # all arrays that share it
        self._memory.add(self)

    # What NumPy's arrays tell of themselves.
    @property
    def size(self) -> Any:
        """The number of entries."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> Any:
        """The type of an entry: objects stand for floats."""
        dtype: np.dtype[Any] = np.dtype({"bool": bool, "int": int}.get(self.kind, object))
        return DType(self.run, dtype) if _asked_by_code() else dtype

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What isinstance sees: the code that is judged would be given an array of NumPy."""
        if not _asked_by_code():
            return SymbolicArray
        if not self.axes and self.kind != "bool":
            self.run.note("asks what kind of number it is given")
        return np.ndarray

    @property
    def is_mask(self) -> bool:
        """Whether this holds truth values."""
        return self.kind == "bool"

    @property
    def T(self) -> "SymbolicArray":  # noqa: N802
        """The axes in reverse order."""
        return self.view(self.axes[::-1], self.formula)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__":
            self.run.refuse(f"uses np.{ufunc.__name__}.{method}, which is not followed")
        (target,) = options.pop("out", (None,))
        if options:
            self.run.refuse(f"calls np.{ufunc.__name__} with {', '.join(options)}")
        function = UFUNCS.get(ufunc)
        if function is None:
            self.run.refuse(_not_modelled(ufunc.__name__))
        result = _called(self.run, ufunc.__name__, function, inputs, {})
        if target is None:
            return result
        if not isinstance(target, SymbolicArray):
            self.run.refuse(f"writes the result of np.{ufunc.__name__} into another array")
        target[...] = result
        return target

    def __array_function__(
        self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        function = FUNCTIONS.get(func)
        if function is None:
            self.run.refuse(_not_modelled(func.__name__))
        if func is np.eye:  # called with like=self, which is no argument of its model
            args = (self.run, *args)
        return _called(self.run, func.__name__, function, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        function = METHODS.get(name)
        if function is None:
            self.run.refuse(f"uses .{name} of an array, which is not followed")
        return lambda *args, **kwargs: _called(self.run, f"{name}", function, (self, *args), kwargs)

    def of_math(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Return a function of Python's module math."""
        if any(as_array(self.run, value).axes for value in arguments):
            self.run.refuse(f"calls math.{name} with an array; use NumPy's function")
        numbers = [as_array(self.run, value) for value in arguments]
        if name == "log" and len(numbers) > 1:
            return np.log(numbers[0]) / np.log(numbers[1])
        function = OF_MATH.get(name) or UFUNCS[getattr(np, METHODS_OF_MATH.get(name, name))]
        return _called(self.run, name, function, numbers, {})

    def entrywise(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Return what np.vectorize makes of a function, which is called once, with one entry."""
        arrays = [as_array(self.run, value) for value in arguments]
        axes, formulas = aligned(*arrays)
        entries = (
            SymbolicArray(self.run, (), formula, kind=array.kind)
            for formula, array in zip(formulas, arrays, strict=True)
        )
        result = as_array(self.run, function(*entries))
        if result.axes:
            self.run.refuse("calls np.vectorize of a function that returns an array")
        return SymbolicArray(self.run, axes, result.formula, kind=result.kind)

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        """Return the same entries under another shape."""
        if order != "C":
            self.run.refuse(f"reshapes in the order {order!r}")
        return _called(self.run, "reshape", FUNCTIONS[np.reshape], (self, _one_tuple(shape)), {})

    def transpose(self, *axes: Any) -> Any:
        """Return the array with its axes in another order."""
        return _called(
            self.run, "transpose", FUNCTIONS[np.transpose], (self, _one_tuple(axes) or None), {}
        )

    def astype(self, dtype: Any, **options: Any) -> "SymbolicArray":
        """Return a copy; all types of floats are the same here."""
        wanted = np.dtype(dtype)
        if wanted == np.float16 or wanted.kind not in "fO" or options.keys() - {"copy"}:
            self.run.refuse(f"calls astype({dtype!r}); keep the arrays' own type")
        if self.kind == "float" and not options.get("copy", True):
            return self
        return SymbolicArray(self.run, self.axes, self.formula)

    def copy(self, order: str = "C") -> "SymbolicArray":
        """Return a copy that shares no memory."""
        return SymbolicArray(self.run, self.axes, self.formula, kind=self.kind)

    def same(self, other: "SymbolicArray") -> bool:
        """Say whether nothing was written since `other` was copied from this."""
        return self.formula is other.formula

    def view(
        self, axes: Iterable[Axis], formula: Formula, *, writeable: bool = True
    ) -> "SymbolicArray":
        """Return an array that shares this one's memory."""
        return SymbolicArray(
            self.run,
            axes,
            formula,
            kind=self.kind,
            writeable=self.writeable and writeable,
            memory=self._memory,
        )

    def __getitem__(self, key: Any) -> Any:
        return _called(self.run, "ndarray[...]", _get, (self, key), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        if len(self._memory) > 1:
            self.run.refuse("writes into an array of which it keeps a view; copy it first")
        if not self.writeable:
            self.run.refuse("writes into the result of np.broadcast_to; copy it first")
        if isinstance(value, LostArray):
            self.run.mismatch(value.reason)
        part = as_array(self.run, value)
        if KINDS.index(part.kind) > KINDS.index(self.kind):
            self.run.refuse(f"writes {part.kind} numbers into an array of {self.kind}")
        try:
            self.formula = self._after_assignment(key, part)
        except MismatchError as error:
            self.run.mismatch(error)

    def _after_assignment(self, key: Any, part: "SymbolicArray") -> Formula:
        """Return the formula after an assignment."""
        if isinstance(key, SymbolicArray) and key.is_mask:
            if part.axes:
                self.run.refuse("writes an array into the masked entries; use np.where")
            own = self.axes[: key.ndim]  # a mask of the leading axes picks whole rows
            if [sizes_along(a) for a in key.axes] != [sizes_along(a) for a in own]:
                raise MismatchError(f"a mask {shape_text(key)} on an array {shape_text(self)}")
            mask = key.formula.substituted(renaming(key.axes, own))
            return mask * part.formula + (ONE - mask) * self.formula
        kept, fixed = _indexed(self.run, self.axes, key)
        while part.ndim > len(kept) and not part.axes[0]:  # NumPy drops leading axes of size 1
            part = part.view(part.axes[1:], part.formula)
        axes, (_, inside) = aligned(SymbolicArray(self.run, kept, ZERO), part)
        if [sizes_along(axis) for axis in axes] != [sizes_along(axis) for axis in kept]:
            raise MismatchError(f"{shape_text(part)} into {axes_text(self.run, kept)}")
        inside = inside.substituted(renaming(axes, kept))
        here = calculus.multiplied(calculus.delta(i, place) for i, place in fixed.items())
        return here * inside + (ONE - here) * self.formula

    def __bool__(self) -> bool:
        value = None if self.axes else self.formula.as_number()
        if value is None:
            self._refuse_number()
        return bool(value)

    def _refuse_number(self, *_: Any) -> NoReturn:
        self.run.refuse(
            "needs an entry, or the length of an array, as a number (in if, float, len or a loop); "
            "use np.where for a choice and x.shape[0] for a length"
        )

    __float__ = __int__ = __index__ = __complex__ = __len__ = __iter__ = _refuse_number
    __contains__ = _refuse_number

    def __hash__(self) -> int:
        if _asked_by_code():
            self.run.note("uses an array or a number as a key, or in a set")
        return object.__hash__(self)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self.run.refuse(
            "makes a plain array of one whose sizes are open (np.array, np.asarray, or a function "
            "that is not followed); leave that out"
        )

    def __repr__(self) -> str:
        if _asked_by_code():
            self.run.note("spells an array or a number out, as str, repr and f-strings do")
        return f"{shape_text(self)}: {self.formula!r}"

    def __str__(self) -> str:
        if _asked_by_code():
            self.run.note("spells an array or a number out, as str, repr and f-strings do")
        return repr(self)

    def __format__(self, how: str) -> str:
        if _asked_by_code():
            self.run.note("spells an array or a number out, as str, repr and f-strings do")
        return repr(self)


class PlaceArray(HasAxes):
    """Places along an axis, one for each entry: what argmax returns, or labels that are given."""

    def __init__(self, run: Run, axes: Iterable[Axis], place: Place):
        self.run = run
        self.axes = tuple(axes)
        self.place = place

    def copy(self) -> "PlaceArray":
        """Return itself: nothing can be written into it."""
        return self

    def same(self, other: "PlaceArray") -> bool:
        """Say that nothing was written into it."""
        return self is other

    def __getitem__(self, key: Any) -> "PlaceArray":
        axes, fixed = _indexed(self.run, self.axes, key)
        if fixed:
            self.run.refuse("takes a part of argmax's result; use np.take_along_axis")
        return PlaceArray(self.run, axes, self.place)

    def __array_function__(
        self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        function = FUNCTIONS.get(func)
        if func is np.expand_dims:
            array, axis = args if len(args) == 2 else (args[0], kwargs["axis"])
            return PlaceArray(self.run, with_new_axes(array.axes, axis), array.place)
        if func not in (np.take_along_axis, np.put_along_axis) or function is None:
            self._refuse()
        return _called(self.run, func.__name__, function, args, kwargs)

    def _refuse(self, *_: Any) -> NoReturn:
        self.run.refuse(
            "computes with argmax's result; use np.take_along_axis and np.put_along_axis"
        )

    def __array_ufunc__(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()

    __array__ = __index__ = __int__ = __len__ = __iter__ = __eq__ = __add__ = _refuse
    __mul__ = __sub__ = __lt__ = __gt__ = __radd__ = __rsub__ = __rmul__ = _refuse
    __hash__ = None  # type: ignore[assignment]


class LostArray(NDArrayOperatorsMixin):
    """The result of an operation whose shapes do not fit; whatever is made of it is lost too.

    So one gradient may be wrong in its shapes, and the others are still judged.
    """

    __array_priority__ = 2000.0

    def __init__(self, run: Run, reason: MismatchError):
        self.run = run
        self.reason = reason
        run.lost = run.lost or reason

    def _self(self, *_: Any, **__: Any) -> "LostArray":
        return self

    __getitem__ = _self

    def __array_ufunc__(self, *_: Any, **options: Any) -> "LostArray":
        return self if not options.get("out") else self._raise()

    def __array_function__(self, func: Callable[..., Any], *_: Any) -> "LostArray":
        if func not in FUNCTIONS:
            self.run.refuse(_not_modelled(func.__name__))
        return self if FUNCTIONS[func] not in IN_PLACE else self._raise()

    @property
    def T(self) -> "LostArray":  # noqa: N802
        """The same: it has no axes to turn."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name in METHODS or name in ("reshape", "transpose", "astype", "copy"):
            return self._self
        if name.startswith("_"):
            raise AttributeError(name)
        return self._raise()

    def _raise(self, *_: Any) -> NoReturn:
        self.run.mismatch(self.reason)

    __setitem__ = __bool__ = __len__ = __iter__ = __array__ = __float__ = __index__ = _raise


def _called(
    run: Run, name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Any
) -> Any:
    """Call a model of a NumPy function with the arguments of the original."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, LostArray):
            return value if function not in IN_PLACE else run.mismatch(value.reason)
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        given = ", ".join(["array"] * len(args) + [f"{key}=..." for key in kwargs])
        run.refuse(f"calls np.{name}({given}), which is not followed")
    try:
        return function(*bound.args, **bound.kwargs)
    except MismatchError as error:
        return LostArray(run, error) if function not in IN_PLACE else run.mismatch(error)
    except NotFollowedError as error:
        run.refuse(str(error))
    except RecursionError:
        run.refuse("computes formulas that grow too large")
    except (CalculusError, ZeroDivisionError) as error:
        run.refuse(f"computes what is not followed: {error}")


def _not_modelled(name: str) -> str:
    instead = {
        "nan_to_num": "formulas that are defined everywhere",
        "concatenate": "np.where with a mask, or separate arrays",
        "append": "separate arrays",
        "cumsum": "a matrix product",
        "amax": "np.max",
    }
    hint = f"; use {instead[name]}" if name in instead else ""
    return f"uses np.{name}, which is not followed{hint}"


# Axes.


def sizes_along(axis: Axis) -> tuple[str | int, ...]:
    """Return the sizes that make up an axis: none if it is 1, several if axes were merged."""
    return tuple(index.size for index in axis)


def size_along(run: Run, axis: Axis) -> Any:
    """Return the size of an axis, as it stands in a shape."""
    sizes = sizes_along(axis)
    numbers = [size for size in sizes if isinstance(size, int)]
    return math.prod(numbers) if len(numbers) == len(sizes) else Size(run, sizes)


def axes_text(run: Run, axes: Iterable[Axis]) -> str:
    """Write axes as a shape."""
    return format_shape(size_along(run, axis) for axis in axes)


def shape_text(array: SymbolicArray) -> str:
    """Write the shape of an array."""
    return axes_text(array.run, array.axes)


def renaming(old: Iterable[Axis], new: Iterable[Axis]) -> dict[Index, Place]:
    """Map the indices of axes to those of other axes of the same sizes."""
    return {i: j for a, b in zip(old, new, strict=True) if a for i, j in zip(a, b, strict=True)}


def fresh_axes(axes: Iterable[Axis]) -> list[Axis]:
    """Return axes of the same sizes with indices of their own."""
    return [tuple(index.fresh() for index in axis) for axis in axes]


def as_array(run: Run, value: Any) -> SymbolicArray:
    """Take a number for an array without axes."""
    if isinstance(value, SymbolicArray):
        return value
    if isinstance(value, Size):
        return value.number()
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, np.ndarray):
        run.refuse(
            f"uses an array of the known shape {format_shape(value.shape)} beside open sizes"
        )
    if isinstance(value, bool | np.bool_):
        kind = "bool"
    else:
        kind = "int" if isinstance(value, int | np.integer) else "float"
    return SymbolicArray(run, (), run.number(value), kind=kind)


def run_of(*values: Any) -> Run:
    """Return the run to which one of the values belongs."""
    for value in values:
        if isinstance(value, SymbolicArray | Size | PlaceArray):
            return value.run
    raise NotFollowedError("computes with no array of open sizes")


def aligned(*arrays: SymbolicArray) -> tuple[list[Axis], list[Formula]]:
    """Broadcast: return the common axes, and the formulas of the arrays on them."""
    columns = list(zip_longest(*(reversed(array.axes) for array in arrays), fillvalue=()))[::-1]
    common: list[Axis] = []
    for column in columns:
        sizes = {sizes_along(axis) for axis in column if axis}
        if len(sizes) > 1:
            check_order(run_of(*arrays), *sizes)
            shapes = " and ".join(map(shape_text, arrays))
            these = " and ".join("·".join(map(str, s)) for s in sorted(sizes, key=str))
            raise MismatchError(f"{shapes} do not fit: {these} meet")
        common.append(tuple(index.fresh() for index in max(column, key=len)))
    formulas = []
    for array in arrays:
        axes = common[len(common) - array.ndim :]
        formulas.append(array.formula.substituted(renaming(array.axes, axes)))
    return common, formulas


def check_order(run: Run, *axes: Sequence[str | int]) -> None:
    """Refuse axes that were merged in different orders: their sizes are equal."""
    if len({tuple(sorted(map(str, axis))) for axis in axes}) == 1:
        run.refuse("combines axes that were merged in different orders")


def axes_of(array: SymbolicArray, axis: Any) -> list[int]:
    """Return axis numbers from NumPy's argument of that name."""
    if axis is None:
        return list(range(array.ndim))
    numbers = list(axis) if isinstance(axis, tuple | list | np.ndarray) else [axis]
    for number in numbers:
        if not isinstance(number, int | np.integer) or not -array.ndim <= number < array.ndim:
            raise MismatchError(f"there is no axis {number} in {shape_text(array)}")
    found = [int(number) % array.ndim for number in numbers]
    if len(set(found)) < len(found):
        raise MismatchError(f"axis {axis} names an axis twice")
    return found


def with_new_axes(axes: Sequence[Axis], axis: Any) -> list[Axis]:
    """Insert axes of size 1, as np.expand_dims does."""
    numbers = axis if isinstance(axis, tuple | list) else (axis,)
    total = len(axes) + len(numbers)
    if not all(-total <= number < total for number in numbers):
        raise MismatchError(f"there is no place for an axis {axis} among {len(axes)}")
    places = {number % total for number in numbers}
    left = iter(axes)
    return [() if i in places else next(left) for i in range(total)]


def _one_tuple(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) == 1 and isinstance(arguments[0], tuple | list):
        return tuple(arguments[0])
    return () if len(arguments) == 1 and arguments[0] is None else arguments


def _indexed(run: Run, axes: Sequence[Axis], key: Any) -> tuple[list[Axis], dict[Index, int]]:
    """Apply NumPy's basic indexing: return the axes that stay, and the indices that are fixed."""
    keys = list(key) if isinstance(key, tuple) else [key]
    for part in keys:
        if isinstance(part, SymbolicArray) and part.is_mask:
            run.refuse("picks the entries under a mask; use np.where(mask, x, 0)")
        if not (part is None or part is ... or isinstance(part, slice | int | np.integer)):
            run.refuse("indexes with an array or a list; use np.take_along_axis")
        if isinstance(part, bool | np.bool_):
            run.refuse("indexes with a truth value")
        if isinstance(part, slice) and part != slice(None):
            run.refuse("takes a slice of an axis whose size is open")
    used = sum(part is not None and part is not ... for part in keys)
    if used > len(axes):
        raise MismatchError(f"{used} indices for {axes_text(run, axes)}")
    if ... not in keys:
        keys.append(...)
    left = len(axes) - used
    kept: list[Axis] = []
    fixed: dict[Index, int] = {}
    position = 0
    for part in keys:
        if part is None:
            kept.append(())
        elif part is ...:
            kept += axes[position : position + left]
            position += left
        elif isinstance(part, slice):
            kept.append(axes[position])
            position += 1
        else:
            axis = axes[position]
            position += 1
            if part < 0 and axis:
                run.refuse("counts an index from the end of an axis whose size is open")
            if part and len(axis) != 1:
                if not axis:
                    raise MismatchError(f"index {part} of an axis of size 1")
                run.refuse("takes a part of an axis that was merged from several")
            fixed |= {index: int(part) for index in axis}
    return kept, fixed


def _get(a: SymbolicArray, key: Any) -> SymbolicArray:
    axes, fixed = _indexed(a.run, a.axes, key)
    return a.view(axes, a.formula.substituted(fixed))
