"""Arrays whose sizes are symbols: a layer's own code runs once and means all sizes.

A `SymbolicArray` behaves in NumPy's functions as an array of shape (N, C_in), with N and C_in
left open. It holds one formula, its entry at an index for each axis; what the code computes from
it are formulas again (`backprop_lib.proof.calculus`). A mask is a formula that is 0 or 1, and
argmax gives indices of which nothing is known, so that what is proven holds away from ties.

The functions are in `backprop_lib.proof.numpy_functions`; whatever is not there is refused by name.
"""

import _weakrefset
import inspect
import itertools
import math
import os
import sys
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn
from weakref import WeakSet

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from backprop_lib import arguments, conventions, draws, layer, models, shapes
from backprop_lib.proof import calculus
from backprop_lib.proof.assumptions import Assumed, IsSize, Larger, Multiple, Number, Wish
from backprop_lib.proof.calculus import ONE, CalculusError, Formula, Index, Place, Search
from backprop_lib.proof.constants import Floats
from backprop_lib.proof.hints import LEAVE, MEASURED, PARTLY, name_of, not_followed
from backprop_lib.proof.lines import file_of
from backprop_lib.proof.python_math import METHODS as METHODS_OF_MATH
from backprop_lib.proof.refusal import (
    MismatchError,
    NotFollowedError,
    Refusals,
    fraction,
    line_of_code,
)
from backprop_lib.shapes import format_shape

Axis = tuple[Index, ...]
"""The indices along one axis: none if its size is 1, more than one after axes were merged."""


UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}
AT: dict[np.ufunc, Callable[..., Any]] = {}
OF_PLACES: dict[Any, Callable[..., Any]] = {}
OF_MATH: dict[str, Callable[..., Any]] = {}
IN_PLACE: list[Callable[..., Any]] = []
REARRANGING: list[Callable[..., Any]] = []
WITH_INFINITY: list[Callable[..., Any]] = []
"""What stands for NumPy's functions and for an array's methods, filled in by
`backprop_lib.proof.numpy_functions` and those before it. Those in IN_PLACE change an argument,
those in REARRANGING compute nothing, those in AT are the method `at` of a ufunc, those in OF_PLACES
take an array of places, those in OF_MATH are of Python's module math, and not of NumPy, and those
in WITH_INFINITY take arrays in which there is -inf."""
MINUS_INFINITY = "-inf"


MOST_SMALL = 4
"""So many of the smallest sizes are proven one by one, where code treats them apart."""
REDUCTIONS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
}
"""Which function a ufunc's method `reduce` is."""
MOST_ENTRIES = 64
"""Of a known array with more entries, all must be the same number."""
SPELLED_OUT = f"spells an array or a number out, as str, repr and f-strings do; {LEAVE}"
KINDS = ("bool", "int", "float")
"""What an array holds, from the narrowest; a wider kind is not written into a narrower one."""


class Run(Refusals):
    """What one run of the code has met: refusals, searches, indices looked up."""

    def __init__(self, assumed: Assumed | None = None) -> None:
        super().__init__()
        self.assumed = assumed or Assumed()
        self.wanted: Wish | None = None
        """What would help where the code was refused."""
        self.lost: MismatchError | None = None
        self.conditions: set[str] = set()
        """What has to hold so that something is a number."""
        self.given: list[SymbolicArray] = []
        """The constants that are given as numbers."""
        self.searched: dict[str, frozenset[str]] = {}
        """Where a largest or smallest entry was sought, and of which arrays it is made."""
        self.drawn: dict[Any, SymbolicArray] = {}
        """What forward has drawn from sources with a seed, by all that was drawn from them."""
        self.taken: set[str] = set()
        self.unwritten: set[str] = set()
        """The names of arrays that np.empty made."""
        self.searches_of: dict[str, Search] = {}
        """From the name of a place to the search that finds it."""
        self.picks: dict[calculus.Key, str] = {}
        """The names of places of largest entries, by what tells them from others."""
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
        if key not in self.picks:
            names = (letter + "'" * i for i in itertools.count())
            self.picks[key] = next(name for name in names if name not in self.taken)
            self.taken.add(self.picks[key])
        return self.picks[key]

    def empty(self, axes: Sequence[Axis], kind: str) -> "SymbolicArray":
        """Return an array of entries of which nothing is known, not even that they are numbers."""
        name = f"np.empty{len(self.unwritten)}"
        self.unwritten.add(name)
        places = [index for axis in axes for index in axis]
        return SymbolicArray(self, axes, calculus.entry(name, *places), kind=kind)

    def check_written(self, formula: Formula) -> None:
        """Refuse to go on with entries of np.empty."""
        if self.unwritten and not self.unwritten.isdisjoint(formula.arrays):
            self.refuse(
                "uses entries of np.empty that are not known to be written; use np.zeros, or write "
                "them all at once"
            )

    def searches(self, indices: Iterable[Index], extreme: str, arrays: frozenset[str]) -> None:
        """Note that the largest or smallest entry is sought along some axes."""
        axes = ", ".join(str(index.size) for index in indices)
        condition = f"the {extreme} entry along {axes} occurs only once"
        self.searched[condition] = self.searched.get(condition, frozenset()) | arrays

    def wish(self, wanted: Wish) -> None:
        """Note what would help, before the code is refused; the first wish counts."""
        if self.refused is None and self.wanted is None:
            self.wanted = wanted

    def needs_numbers(self, formula: Formula, reason: str) -> NoReturn:
        """Refuse what only a number could answer; a size of which it is made is wished as one."""
        for name in sorted({a.name for a in formula.atoms() if isinstance(a, calculus.Size)}):
            self.wish(Number(name))
        self.refuse(reason)

    def check_finite(self, formula: Formula, what: str) -> None:
        """Refuse -inf where it is not followed."""
        if MINUS_INFINITY in formula.arrays:
            self.refuse(f"{what} -inf; it is followed in a mask before a softmax only")

    def least(self, size: str, number: int) -> None:
        """Go on if a size is at least a number; the smaller sizes are then proven by themselves."""
        if self.assumed.least(size) < number:
            self.wish(Larger(size, number - 1))
            self.refuse(f"needs a size {size} of at least {number}")

    def lowest(self, formula: Formula) -> Fraction | float:
        """Return a number that a formula of sizes is never below."""
        result = Fraction(0)
        for term, coefficient in formula.terms.items():
            if not all(isinstance(a, calculus.Size) and p > 0 for a, p in term.powers.items()):
                return -math.inf
            if term.powers and coefficient < 0:
                return -math.inf
            sizes = {a: p for a, p in term.powers.items() if isinstance(a, calculus.Size)}
            result += coefficient * math.prod(
                self.assumed.least(a.name) ** p for a, p in sizes.items()
            )
        return result

    def wish_larger(self, difference: Formula) -> None:
        """Wish for sizes from which on a difference of sizes, or its opposite, is above 0."""
        names = {a.name for a in difference.atoms() if isinstance(a, calculus.Size)}
        if len(names) == 1:
            (name,) = names
            for than in range(1, MOST_SMALL + 1):
                larger = Run(self.assumed.granting(Larger(name, than)))
                if any(larger.lowest(one) > 0 for one in (difference, -difference)):
                    self.wish(Larger(name, than))
                    return

    def array(self, name: str, sizes: Iterable[str | int | Sequence[str | int]]) -> "SymbolicArray":
        """Return an array of independent numbers; a size may be a product of others."""
        axes = [self.axis(*([size] if isinstance(size, str | int) else size)) for size in sizes]
        places = [place for axis in axes for place in axis or (0,)]
        return SymbolicArray(self, axes, calculus.entry(name, *places))

    def axis(self, *sizes: str | int) -> Axis:
        """Return an axis whose size is the product of the given ones."""
        parts = [part for size in sizes for part in self.assumed.parts(size)]
        return tuple(Index(part) for part in parts if part != 1)


HERE = (  # fast forms are shown equal to their twins by tests of their own
    f"{Path(__file__).parent.parent / 'fast'}{os.sep}",
    *(f"{Path(str(module.__file__)).parent}{os.sep}" for module in (calculus, np)),
    *(file_of(module) for module in (arguments, layer, conventions, draws, models, shapes)),
    *(file_of(module) for module in (weakref, _weakrefset, inspect)),
)


def _asked_by_code() -> bool:
    """Say whether the code that is judged asks, and not one of our modules, or NumPy's."""
    return not sys._getframe(2).f_code.co_filename.startswith(HERE)


class Size:
    """The number of entries along an axis, or a whole number made of such: N·L, L - 2."""

    is_exact = True  # what `backprop_lib.arguments` asks of a size

    def __init__(self, run: Run, parts: Sequence[str | int]):
        self.run = run
        self.parts = tuple(parts)
        """The sizes of which this is the product, in the order in which axes are merged."""

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

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a + b, "__add__")

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b, "__sub__")

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a, "__rsub__")

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Size):
            return Size(self.run, (*self.parts, *other.parts))
        return self._with(other, lambda a, b: a * b, "__mul__")

    __radd__, __rmul__ = __add__, __mul__

    def _with(self, other: Any, function: Callable[..., Formula], name: str) -> Any:
        """Compute with a whole number, which makes a size, or with any other."""
        if not is_whole(other):
            return getattr(self.number(), name)(other)
        return size_of(self.run, function(self.formula, as_array(self.run, other).formula))

    def _number_method(name: str) -> Any:  # type: ignore[misc] # noqa: N805
        return lambda self, *others: getattr(self.number(), name)(*others)

    for _name in ("truediv", "pow", "rtruediv", "rpow", "neg", "pos"):
        locals()[f"__{_name}__"] = _number_method(f"__{_name}__")
    sqrt = _number_method("sqrt")
    del _name, _number_method

    def __floordiv__(self, other: Any) -> Any:
        return self.divided(other)

    def __mod__(self, other: Any) -> int:
        self.divided(other)
        return 0

    def __divmod__(self, other: Any) -> Any:
        return self.divided(other), 0

    def divided(self, other: Any, *, inner: bool = False) -> Any:
        """Divide by what divides this size; if that is not known, it is wished."""
        divisor = whole_number(self.run, other)
        if isinstance(divisor, int) and divisor < 1:
            self._refuse()
        by = as_array(self.run, divisor).formula
        with suppress(CalculusError):
            quotient = self.formula * calculus.power(by, Fraction(-1))
            calculus.size_name(quotient)
            return size_of(self.run, quotient)
        parts = self.parts, divisor.parts if isinstance(divisor, Size) else (divisor,)
        (size, *more), (of, *others) = parts
        are_single = calculus.is_single(size) and (isinstance(of, int) or calculus.is_single(of))
        if isinstance(size, str) and not (more or others) and are_single:
            self.run.wish(Multiple(size, of, inner))
        return self.needs_number(f"divides the size {self} by {other}, which may leave a rest")

    def of_math(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Return a function of Python's module math."""
        return self.number().of_math(name, arguments)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, float | np.floating) and float(other).is_integer():
            other = int(other)
        if not is_whole(other):
            return NotImplemented if isinstance(other, SymbolicArray) else False
        difference = self.formula - as_array(self.run, other).formula
        if not difference.terms:
            return True
        if isinstance(other, Size):
            self.run.note(f"asks whether the size {self} is {other}")
            return False
        return not (self._is_above(difference) or self._is_above(-difference))

    def __gt__(self, other: Any) -> bool:
        return self._is_above(self._less(other))

    def __ge__(self, other: Any) -> bool:
        return self._is_above(self._less(other) + ONE)

    def __lt__(self, other: Any) -> bool:
        return not self >= other

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __bool__(self) -> bool:
        return not self == 0  # noqa: SIM201  != is made of it

    def _less(self, other: Any) -> Formula:
        return self.formula - as_array(self.run, whole_number(self.run, other)).formula

    def _is_above(self, difference: Formula) -> bool:
        """Say whether a difference of sizes is above 0, if that is so for all sizes, or for none.

        Otherwise it is for large ones: sizes from which on it is so are wished.
        """
        if self.run.lowest(difference) > 0:
            return True
        if self.run.lowest(ONE - difference) > 0:
            return False
        self.run.wish_larger(difference)
        return self.needs_number(f"compares the size {self} with another number")

    def __abs__(self) -> Any:
        return self if self >= 0 else 0 - self

    def needs_number(self, reason: str) -> NoReturn:
        """Refuse what only a number could answer; it is wished."""
        self.run.needs_numbers(self.formula, reason)

    def _refuse(self, *_: Any) -> NoReturn:
        self.needs_number(
            f"needs the size {self} as a number (in range, a loop or an index); use sums over an "
            "axis, np.broadcast_to"
        )

    __index__ = __int__ = __float__ = __rfloordiv__ = __rmod__ = _refuse

    def __hash__(self) -> int:
        self.run.refuse(f"uses the size {self} as a key, or in a set")

    def __repr__(self) -> str:
        return self._spelled_out(by_code=_asked_by_code())

    def __str__(self) -> str:
        return self._spelled_out(by_code=_asked_by_code())

    def __format__(self, how: str) -> str:
        return self._spelled_out(by_code=_asked_by_code())

    def _spelled_out(self, *, by_code: bool) -> str:
        text = "·".join(map(str, self.parts)) or "1"
        if by_code:
            self.run.note(f"spells the size {text} out, as str, repr and f-strings do; {LEAVE}")
        return text


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


def is_whole(value: Any) -> bool:
    """Say whether a number is known to be whole: a size, or an integer."""
    return isinstance(value, Size | int | np.integer) and not isinstance(value, bool)


def size_of(run: Run, formula: Formula) -> Any:
    """Return a formula of sizes as a size, a number if it is one."""
    name = calculus.size_name(formula)
    if isinstance(name, int):
        return name
    (term, coefficient), *more = formula.terms.items()
    if more or coefficient != 1:
        return Size(run, (name,))
    powers = {a: p for a, p in term.powers.items() if isinstance(a, calculus.Size)}
    return Size(run, sorted(a.name for a, p in powers.items() for _ in range(p)))


def whole_number(run: Run, value: Any) -> Any:
    """Return a size or an int; a constant that is used as a size is wished to be one."""
    if isinstance(value, SymbolicArray) and not value.axes and value.kind == "int":
        known = value.formula.as_number()
        if known is not None:
            return int(known)
        entry = value.formula.as_entry()
        if entry is not None:
            run.wish(IsSize(entry.array))
        run.refuse("uses a number that is left open as a size")
    if not is_whole(value):
        run.refuse(f"uses {type(value).__name__} as a size; expected a whole number")
    return value if isinstance(value, Size) else int(value)


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

    @abstractmethod
    def __getitem__(self, key: Any) -> Any:
        """Return a part of the array."""

    def __len__(self) -> int:
        if not self.axes:
            raise TypeError("len() of unsized object")
        size = size_along(self.run, self.axes[0])
        if isinstance(size, int):
            return size
        return self.run.needs_numbers(
            size.formula,
            f"needs the length {size} of an array as a number (in a loop over it); use operations "
            "on the whole array",
        )

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


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
        part_of: "SymbolicArray | None" = None,
        fixed: Mapping[Index, Place] | None = None,
    ):
        self.run = run
        self.axes = tuple(axes)
        self.formula = formula
        self.kind = kind
        self.writeable = writeable
        self._base = part_of
        """The array of which this is a part, if it is one and has the indices of that array."""
        self._fixed = fixed or {}
        """Where this part stands in its base."""
        self._is_loose = memory is not None and part_of is None
        """Whether this shares memory with another array, and it is not known how."""
        self.is_number = False
        """Whether NumPy would have a number here, which `+=` does not change but replaces."""
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
        return self.view(self.axes[::-1], self.formula, fixed={})

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(getattr(type(value), "is_masked", False) for value in inputs):
            return NotImplemented
        if method == "at" and ufunc in AT:
            return called(self.run, f"{ufunc.__name__}.at", AT[ufunc], inputs, options)
        if method == "reduce" and ufunc in REDUCTIONS:
            options = {"axis": 0, **options}
            model = FUNCTIONS[REDUCTIONS[ufunc]]
            return called(self.run, f"{ufunc.__name__}.reduce", model, inputs, options)
        if method == "outer" and len(inputs) == 2 and ufunc in UFUNCS and ufunc is not np.matmul:
            first, second = (as_array(self.run, value) for value in inputs)
            return ufunc(first[(..., *[None] * second.ndim)], second, **options)
        if method != "__call__":
            self.run.refuse(not_followed(f"{name_of(ufunc)}.{method}"))
        (target,) = options.pop("out", (None,))
        where = options.pop("where", True)
        if not (isinstance(where, bool) and where):
            return self._written_where(ufunc, where, target, inputs, options)
        if options:
            self.run.refuse(f"calls np.{ufunc.__name__} with {', '.join(options)}; leave that out")
        function = UFUNCS.get(ufunc)
        if function is None:
            self.run.refuse(not_followed(name_of(ufunc)))
        result = called(self.run, ufunc.__name__, function, inputs, {})
        if target is None:
            return result
        if not isinstance(target, SymbolicArray):
            self.run.refuse(
                f"writes the result of np.{ufunc.__name__} into another array; leave out=... out"
            )
        target[...] = result
        return target

    def _written_where(
        self, ufunc: np.ufunc, where: Any, target: Any, inputs: Any, options: Any
    ) -> Any:
        """Do what `out=` and `where=` ask for: nothing is computed where the mask is not true."""
        if not isinstance(target, SymbolicArray):
            self.run.refuse(
                f"calls np.{ufunc.__name__} with where=... and without out=...; pass "
                "out=np.zeros_like(x)"
            )
        choose = FUNCTIONS[np.where]
        safe = [called(self.run, "where", choose, (where, value, 1), {}) for value in inputs]
        result = ufunc(*safe, **options)
        target[...] = called(self.run, "where", choose, (where, result, target), {})
        return target

    def __array_function__(
        self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        function = FUNCTIONS.get(func)
        if function is None:
            self.run.refuse(not_followed(name_of(func)))
        if func is np.eye:  # called with like=self, which is no argument of its model
            args = (self.run, *args)
        return called(self.run, func.__name__, function, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        function = METHODS.get(name)
        if function is None:
            self.run.refuse(not_followed(f".{name}", " of an array"))
        return lambda *args, **kwargs: called(self.run, f"{name}", function, (self, *args), kwargs)

    def of_math(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Return a function of Python's module math."""
        if any(as_array(self.run, value).axes for value in arguments):
            self.run.refuse(f"calls math.{name} with an array; use NumPy's function")
        numbers = [as_array(self.run, value) for value in arguments]
        if name == "log" and len(numbers) > 1:
            return np.log(numbers[0]) / np.log(numbers[1])
        function = OF_MATH.get(name) or UFUNCS[getattr(np, METHODS_OF_MATH.get(name, name))]
        return called(self.run, name, function, numbers, {})

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
            self.run.refuse(f"reshapes in the order {order!r}; use x.T.reshape(...)")
        return called(self.run, "reshape", FUNCTIONS[np.reshape], (self, _one_tuple(shape)), {})

    def transpose(self, *axes: Any) -> Any:
        """Return the array with its axes in another order."""
        return called(
            self.run, "transpose", FUNCTIONS[np.transpose], (self, _one_tuple(axes) or None), {}
        )

    def astype(self, dtype: Any, **options: Any) -> "SymbolicArray":
        """Return a copy; all types of floats are the same here."""
        wanted = np.dtype(dtype)
        kind = "float" if wanted.kind in "fO" else wanted.name
        if wanted.kind == "i" and wanted.itemsize >= np.dtype(np.intp).itemsize:
            kind = "int"
        if (
            wanted == np.float16
            or kind not in KINDS
            or KINDS.index(kind) < KINDS.index(self.kind)
            or options.keys() - {"copy"}
        ):
            self.run.refuse(f"calls astype({dtype!r}); keep the arrays' own type")
        if self.kind == kind and not options.get("copy", True):
            return self
        return SymbolicArray(self.run, self.axes, self.formula, kind=kind)

    def copy(self, order: str = "C") -> "SymbolicArray":
        """Return a copy that shares no memory."""
        return SymbolicArray(self.run, self.axes, self.formula, kind=self.kind)

    def same(self, other: "SymbolicArray") -> bool:
        """Say whether nothing was written since `other` was copied from this."""
        return self.formula is other.formula

    def view(
        self,
        axes: Iterable[Axis],
        formula: Formula,
        *,
        writeable: bool = True,
        fixed: Mapping[Index, Place] | None = None,
    ) -> "SymbolicArray":
        """Return an array that shares this one's memory.

        With `fixed`, it has the indices of this array but for those that are fixed, so that what
        is written into one of the two is known to be in the other.
        """
        return SymbolicArray(
            self.run,
            axes,
            formula,
            kind=self.kind,
            writeable=self.writeable and writeable,
            memory=self._memory,
            part_of=None if fixed is None or self._is_loose else self._root,
            fixed=_fixed_in(self._fixed, fixed or {}),
        )

    @property
    def _root(self) -> "SymbolicArray":
        return self if self._base is None else self._base

    def __getitem__(self, key: Any) -> Any:
        return called(self.run, "ndarray[...]", METHODS["__getitem__"], (self, key), {})

    def _in_place(name: str) -> Any:  # type: ignore[misc] # noqa: N805
        def method(self: "SymbolicArray", other: Any) -> Any:
            kind = "" if self.is_number else "i"
            return getattr(NDArrayOperatorsMixin, f"__{kind}{name}__")(self, other)

        return method

    for _name in ("add", "sub", "mul", "truediv", "pow", "and", "or", "xor"):
        locals()[f"__i{_name}__"] = _in_place(_name)
    del _name, _in_place

    def __setitem__(self, key: Any, value: Any) -> None:
        others = [array for array in self._memory if array is not self]
        if others and (self._is_loose or any(array._is_loose for array in others)):
            self.run.refuse("writes into an array of which it keeps a view; copy it first")
        if not self.writeable:
            self.run.refuse("writes into the result of np.broadcast_to; copy it first")
        if isinstance(value, LostArray):
            self.run.mismatch(value.reason)
        self.formula = called(
            self.run, "ndarray[...] = ", METHODS["__setitem__"], (self, key, value), {}
        )
        base = self._root
        if base is not self:
            here = calculus.multiplied(calculus.delta(i, at) for i, at in self._fixed.items())
            whole = {index for axis in base.axes for index in axis}
            new = {index for axis in self.axes for index in axis} - whole
            change = self.formula - base.formula.substituted(self._fixed)
            base.formula += calculus.total(here * change, new)
        if not self.run.unwritten.isdisjoint(base.formula.arrays):
            base.formula = _where_all_is_written(self.run, base)
        for array in self._memory:
            array.formula = base.formula.substituted(array._fixed)

    def __bool__(self) -> bool:
        value = None if self.axes else self.formula.as_number()
        if value is None:
            self._refuse_choice()
        return bool(value)

    def _needs_number(self, where: str, instead: str) -> NoReturn:
        reason = f"needs an entry as a number ({where}); {instead}"
        if self.formula.arrays:
            self.run.refuse(reason)
        self.run.needs_numbers(self.formula, reason)

    def _refuse_choice(self, *_: Any) -> NoReturn:
        self._needs_number("in if, while or a loop", "use np.where for a choice")

    def _refuse_number(self, *_: Any) -> NoReturn:
        self._needs_number("in float, int or an index", "leave that out")

    __contains__ = _refuse_choice
    __float__ = __int__ = __index__ = __complex__ = _refuse_number

    def __hash__(self) -> int:
        if _asked_by_code():
            self.run.note("uses an array or a number as a key, or in a set")
        return object.__hash__(self)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self.run.refuse(
            "makes a plain array of one whose sizes are open (np.array, np.asarray, or a function "
            "that is not followed); leave that out, or compute with whole arrays"
        )

    def __repr__(self) -> str:
        if _asked_by_code():
            self.run.note(SPELLED_OUT)
        return f"{shape_text(self)}: {self.formula!r}"

    def __str__(self) -> str:
        if _asked_by_code():
            self.run.note(SPELLED_OUT)
        return repr(self)

    def __format__(self, how: str) -> str:
        if _asked_by_code():
            self.run.note(SPELLED_OUT)
        return repr(self)


def _fixed_in(outer: Mapping[Index, Place], inner: Mapping[Index, Place]) -> dict[Index, Place]:
    """Return where a part of a part stands in the whole."""
    between = frozenset().union(*map(calculus.free_indices_in, outer.values()))
    own = {index: place for index, place in inner.items() if index not in between}
    return {index: calculus.substituted(place, inner) for index, place in outer.items()} | own


class PlaceArray(HasAxes, NDArrayOperatorsMixin):
    """Places along an axis, one for each entry: from argmax or np.arange, or labels."""

    def __init__(self, run: Run, axes: Iterable[Axis], place: Place):
        self.run = run
        self.axes = tuple(axes)
        self.place = place

    @property
    def size(self) -> Any:
        """The number of entries."""
        return math.prod(self.shape)

    @property
    def T(self) -> "PlaceArray":  # noqa: N802
        """The axes in reverse order."""
        return PlaceArray(self.run, self.axes[::-1], self.place)

    def copy(self) -> "PlaceArray":
        """Return itself: nothing can be written into it."""
        return self

    def same(self, other: "PlaceArray") -> bool:
        """Say that nothing was written into it."""
        return self is other

    def __getitem__(self, key: Any) -> Any:
        return called(self.run, "ndarray[...]", OF_PLACES["__getitem__"], (self, key), {})

    def __array_function__(
        self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        function = OF_PLACES.get(func)
        if function is None:
            self._refuse()
        return called(self.run, func.__name__, function, args, kwargs)

    def _refuse(self, *_: Any) -> NoReturn:
        self.run.refuse(
            "computes with argmax's result, labels or np.arange as with numbers; use them as "
            "indices, or compare them with each other"
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        function = OF_PLACES.get(ufunc)
        if function is None or method != "__call__" or options:
            self._refuse()
        return called(self.run, ufunc.__name__, function, inputs, {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        function = OF_PLACES.get(name)
        if function is None:
            self._refuse()
        return lambda *args, **kwargs: called(self.run, name, function, (self, *args), kwargs)

    __array__ = __index__ = __int__ = __float__ = __bool__ = _refuse
    __setitem__ = __contains__ = _refuse
    __hash__ = None  # type: ignore[assignment]


class LostArray(NDArrayOperatorsMixin):
    """The result of an operation whose shapes do not fit; whatever is made of it is lost too.

    So one gradient may be wrong in its shapes, and the others are still judged.
    """

    __array_priority__ = 2000.0

    def __init__(self, run: Run, reason: MismatchError):
        self.run = run
        self.reason = reason
        self.reason.line = reason.line or line_of_code()
        run.lost = run.lost or reason

    def _self(self, *_: Any, **__: Any) -> "LostArray":
        return self

    __getitem__ = _self

    def __array_ufunc__(self, *_: Any, **options: Any) -> "LostArray":
        return self if not options.get("out") else self._raise()

    def __array_function__(self, func: Callable[..., Any], *_: Any) -> "LostArray":
        if func not in FUNCTIONS:
            self.run.refuse(not_followed(name_of(func)))
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


def called(
    run: Run, name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Any
) -> Any:
    """Call a model of a NumPy function with the arguments of the original."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, LostArray):
            return value if function not in IN_PLACE else run.mismatch(value.reason)
        if isinstance(value, SymbolicArray) and function not in REARRANGING:
            run.check_written(value.formula)
        if isinstance(value, SymbolicArray) and function not in WITH_INFINITY:
            run.check_finite(value.formula, f"calls np.{name} with")
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        given = ", ".join(["array"] * len(args) + [f"{key}=..." for key in kwargs])
        instead = PARTLY.get(f"np.{name}", MEASURED)
        run.refuse(f"calls np.{name}({given}), which is not followed; {instead}")
    try:
        result = function(*bound.args, **bound.kwargs)
        if isinstance(result, SymbolicArray) and not result.axes and len(result._memory) == 1:
            result.is_number = all(result is not value for value in args)
        return result
    except MismatchError as error:
        return LostArray(run, error) if function not in IN_PLACE else run.mismatch(error)
    except NotFollowedError as error:
        run.refuse(str(error))
    except RecursionError:
        run.refuse("computes formulas that grow too large")
    except (CalculusError, ZeroDivisionError) as error:
        run.refuse(f"computes what is not followed: {error}")


def _where_all_is_written(run: Run, array: SymbolicArray) -> Formula:
    """Return the formula entry by entry of the known axes, if no entry of np.empty is left so."""
    known = [index for axis in array.axes for index in axis if isinstance(index.size, int)]
    if math.prod(int(index.size) for index in known) <= MOST_ENTRIES:
        parts = parts_of(array.formula, known)
        if all(run.unwritten.isdisjoint(part.arrays) for _, part in parts):
            return calculus.added(here * part for here, part in parts)
    return array.formula


def parts_of(formula: Formula, known: Sequence[Index]) -> list[tuple[Formula, Formula]]:
    """Return a formula at each value of indices over known sizes, after what is 1 only there."""
    parts = []
    for values in itertools.product(*(range(int(index.size)) for index in known)):
        here = calculus.multiplied(map(calculus.delta, known, values))
        parts.append((here, formula.substituted(dict(zip(known, values, strict=True)))))
    return parts


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
        return _known(run, value)
    if isinstance(value, float | np.floating) and value == -math.inf:
        return SymbolicArray(run, (), calculus.entry(MINUS_INFINITY))
    if isinstance(value, bool | np.bool_):
        kind = "bool"
    else:
        kind = "int" if isinstance(value, int | np.integer) else "float"
    return SymbolicArray(run, (), run.number(value), kind=kind)


def _known(run: Run, array: np.ndarray) -> SymbolicArray:
    """Take an array of numbers for one of known sizes."""
    if not array.size:
        run.refuse(f"uses an array without entries, of the shape {format_shape(array.shape)}")
    if array.dtype.kind not in "bifO":
        run.refuse(f"uses an array of {array.dtype} beside open sizes")
    axes = axes_for(run, array.shape)
    entries = [as_array(run, entry) for entry in array.flat]
    if any(entry.axes for entry in entries):
        run.refuse("uses an array of arrays")
    kind = max((entry.kind for entry in entries), key=KINDS.index)
    formulas = [entry.formula for entry in entries]
    if all(formula == formulas[0] for formula in formulas):
        return SymbolicArray(run, axes, formulas[0], kind=kind)
    if len(formulas) > MOST_ENTRIES:
        run.refuse(
            f"uses an array of the known shape {format_shape(array.shape)} beside open sizes, with "
            f'more than {MOST_ENTRIES} entries; pass it as an argument, with its axes: w="const K"'
        )
    indices = [index for axis in axes for index in axis]
    places = parts_of(ONE, indices)
    formula = calculus.added(here * f for (here, _), f in zip(places, formulas, strict=True))
    return SymbolicArray(run, axes, formula, kind=kind)


def axes_for(run: Run, shape: Any) -> list[Axis]:
    """Return axes of the sizes that are asked for."""
    sizes = list(shape) if isinstance(shape, tuple | list) else [shape]
    return [_axis_for(run, size) for size in sizes]


def _axis_for(run: Run, size: Any) -> Axis:
    whole = whole_number(run, size)
    if isinstance(whole, int) and whole < 1:
        run.refuse(f"makes an axis of {whole} entries")
    parts = whole.parts if isinstance(whole, Size) else (whole,)
    return tuple(Index(part) for part in parts if part != 1)


def run_of(*values: Any) -> Run:
    """Return the run to which one of the values belongs."""
    for value in values:
        if isinstance(value, SymbolicArray | Size | PlaceArray):
            return value.run
    raise NotFollowedError("computes with no array of open sizes")


def aligned(*arrays: SymbolicArray) -> tuple[list[Axis], list[Formula]]:
    """Broadcast: return the common axes, and the formulas of the arrays on them."""
    columns = list(
        itertools.zip_longest(*(reversed(array.axes) for array in arrays), fillvalue=())
    )[::-1]
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
    """Refuse axes of equal sizes that are made of others in different ways."""
    if len({calculus.multiplied(map(calculus.size, axis)) for axis in axes}) == 1:
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
