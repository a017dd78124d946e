"""Exact numbers that NumPy computes with: a layer's own code runs on arrays of them.

`Exact` has the operators and the functions; what they do is said by two kinds of numbers.
`Scalar` is an expression in SymPy's symbols. `backprop_lib.proof.dual.Dual` is a number together
with its slope.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np
import sympy as sp

from backprop_lib.proof.constants import Floats, Irrational, Opaque, closed_form
from backprop_lib.proof.hints import name_of, not_followed
from backprop_lib.proof.object_arrays import CONTRACTIONS, contracted, filled
from backprop_lib.proof.python_math import METHODS
from backprop_lib.proof.refusal import NotFollowedError, Refusals, decimal, fraction, written

HALF, MINUS_ONE = Fraction(1, 2), Fraction(-1)
DIGITS = 30
"""To how many digits a number is computed, to be sure of its sign."""
MOST_BRANCHES = 1000
"""So many outcomes of comparisons are followed at named sizes, and no more."""


def expression(number: Any) -> sp.Expr:
    """Return a number as an exact SymPy expression.

    Raises
    ------
    NotFollowedError
        If it is a float that is not a short fraction, or no number.
    """
    if isinstance(number, sp.Rational):
        return number
    if isinstance(number, sp.Expr) and not number.has(sp.Float):
        return number
    value = fraction(number)
    return sp.Rational(value.numerator, value.denominator)


def exact(number: Any) -> Any:
    """Return a number as a fraction, or, if it is irrational, as a SymPy expression.

    Raises
    ------
    NotFollowedError
        As `expression`.
    """
    if isinstance(number, sp.Expr) and not number.is_Rational and not number.has(sp.Float):
        return number
    return fraction(number)


def constant(number: Any) -> Any:
    """Return a number of the code, as `exact`; a float of many digits as what it stands for.

    Raises
    ------
    NotFollowedError
        If it stands for no simple number.
    """
    try:
        return exact(number)
    except NotFollowedError:
        if not is_float(number):
            raise
        found = closed_form(written(abs(number)))
        if found is None:
            raise
        return exact(_irrational(found) * (1 if number > 0 else -1))


def _irrational(value: Irrational) -> sp.Expr:
    """Return a product of roots of numbers, of π, and of e or a logarithm."""
    factor = sp.Rational(value.factor.numerator, value.factor.denominator)
    result = factor * sp.sqrt(value.root) * sp.pi ** sp.Rational(value.half_powers, 2)
    if value.other:
        base = sp.E if value.other == "e" else sp.log(int(value.other.split()[1]))
        result *= base**value.other_power
    return result


def is_float(number: Any) -> bool:
    """Say whether a number is a finite float."""
    return isinstance(number, float | np.floating) and bool(np.isfinite(number))


def exact_constant(value: Any, number: Callable[[Any], "Exact"]) -> Any:
    """Return an argument that is no input, its floats as the decimals that they are written as.

    `number` makes a number of the engine's kind; what is no real number stays as it is.
    """
    if isinstance(value, sp.Expr):
        return number(exact(value))
    if isinstance(value, float | np.floating):
        return number(decimal(float(value)))
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return filled(value.shape, (exact_constant(float(e), number) for e in value.flat))
    return value


def number_sign(value: sp.Expr) -> int | None:
    """Return the sign of a real number, or None if it is not certain or there is none."""
    if value.is_Rational:
        return int(value.p > 0) - int(value.p < 0)
    approximate = value.evalf(DIGITS)
    if not approximate.is_Float or not approximate.is_finite or approximate._prec == 1:
        return 0 if value.expand() == 0 else None
    return 1 if approximate > 0 else -1


class Exact(ABC):
    """A real number that never becomes a float."""

    is_exact = True  # what `backprop_lib.shapes.Array` asks of an object

    @abstractmethod
    def lift(self, constant: Any) -> "Exact":
        """Return a constant, a fraction or a SymPy expression, as a number of this kind."""

    @abstractmethod
    def plus(self, other: Any) -> "Exact":
        """Add."""

    @abstractmethod
    def times(self, other: Any) -> "Exact":
        """Multiply."""

    @abstractmethod
    def power(self, exponent: Any) -> "Exact":
        """Raise to a constant power."""

    @abstractmethod
    def exp(self) -> "Exact":
        """Return e to this power."""

    @abstractmethod
    def log(self) -> "Exact":
        """Return the natural logarithm."""

    @abstractmethod
    def function(self, name: str) -> "Exact":
        """Return one of `FUNCTIONS` of this number."""

    @abstractmethod
    def compared(self, other: Any, with_zero: int) -> int:
        """Return the sign of self - other; it must not raise, for NumPy hides exceptions here.

        The comparison treats 0 as numbers of the sign `with_zero`, or as a case of its own.
        """

    @abstractmethod
    def refuse(self, reason: str) -> NoReturn:
        """Say that the code does something that is not followed."""

    def _lifted(self, other: Any) -> Any:
        if isinstance(other, np.ndarray) and not other.ndim:  # a scalar parameter
            return self._lifted(other[()])
        if isinstance(other, type(self) | MinusInfinity):
            return other
        if is_minus_infinity(other):
            return MinusInfinity(self)
        try:
            return self.lift(constant(other))
        except NotFollowedError as error:
            self.refuse(str(error))

    def __add__(self, other: Any) -> Any:
        if _is_array(other):
            return NotImplemented
        lifted = self._lifted(other)
        return lifted.plus(self) if isinstance(lifted, MinusInfinity) else self.plus(lifted)

    __radd__ = __add__

    def __mul__(self, other: Any) -> Any:
        if _is_array(other):
            return NotImplemented
        lifted = self._lifted(other)
        return lifted.times(self) if isinstance(lifted, MinusInfinity) else self.times(lifted)

    __rmul__ = __mul__

    def __sub__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self.plus(-self._lifted(other))

    def __rsub__(self, other: Any) -> Any:
        return (-self) + other

    def __neg__(self) -> Any:
        return self.times(self.lift(MINUS_ONE))

    def __pos__(self) -> "Exact":
        return self

    def __truediv__(self, other: Any) -> Any:
        if _is_array(other):
            return NotImplemented
        return self.times(self._lifted(other).power(MINUS_ONE))

    def __rtruediv__(self, other: Any) -> Any:
        return self.power(MINUS_ONE) * other

    def __pow__(self, exponent: Any) -> Any:
        if _is_array(exponent):
            return NotImplemented
        exponent = exponent[()] if isinstance(exponent, np.ndarray) else exponent
        if isinstance(exponent, Exact):
            self.refuse("raises to a power that is no number; use np.exp(b * np.log(a))")
        return self.power(self._constant(exponent))

    def __rpow__(self, base: Any) -> NoReturn:
        self.refuse("raises to a power that is no number; use np.exp(b * np.log(a))")

    def _constant(self, number: Any) -> Any:
        try:
            return constant(number)
        except NotFollowedError as error:
            self.refuse(str(error))

    # NumPy's functions of an object array call the method of the same name.
    def sqrt(self) -> "Exact":
        """Return the square root."""
        return self.power(HALF)

    def tanh(self) -> Any:
        """Return the hyperbolic tangent, written with exp so that it can be compared."""
        return 1 - 2 / ((2 * self).exp() + 1)

    def sinh(self) -> Any:
        """Return the hyperbolic sine."""
        return (self.exp() - (-self).exp()) / 2

    def cosh(self) -> Any:
        """Return the hyperbolic cosine."""
        return (self.exp() + (-self).exp()) / 2

    def arctanh(self) -> Any:
        """Return the number of which this is the hyperbolic tangent."""
        return ((1 + self).log() - (1 - self).log()) / 2

    def sin(self) -> "Exact":
        """Return the sine."""
        return self.function("sin")

    def cos(self) -> "Exact":
        """Return the cosine."""
        return self.function("cos")

    def tan(self) -> Any:
        """Return the tangent."""
        return self.sin() / self.cos()

    def arcsin(self) -> "Exact":
        """Return the angle of which this is the sine."""
        return self.function("arcsin")

    def arctan(self) -> "Exact":
        """Return the angle of which this is the tangent."""
        return self.function("arctan")

    def erf(self) -> "Exact":
        """Return the error function."""
        return self.function("erf")

    def of_math(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Return a function of Python's module math."""
        first, *others = map(self._lifted, arguments)
        if name == "pow":
            return first ** arguments[1]
        if name == "log" and others:
            return first.log() / others[0].log()
        return getattr(first, METHODS.get(name, name))(*others)

    def hypot(self, other: Any) -> Any:
        """Return the root of the sum of two squares."""
        return (self * self + other * other).sqrt()

    def logaddexp(self, other: Any) -> Any:
        """Return the logarithm of the sum of two exponentials."""
        return (self.exp() + self._lifted(other).exp()).log()

    def heaviside(self, at_zero: Any) -> Any:
        """Return 1 if this is positive, 0 if it is negative, and what is given if it is 0."""
        return self.lift(Fraction(int(self > 0))) if self != 0 else self._lifted(at_zero)

    def log2(self) -> Any:
        """Return the logarithm to base 2."""
        return self.log() / self.lift(sp.Integer(2)).log()

    def log10(self) -> Any:
        """Return the logarithm to base 10."""
        return self.log() / self.lift(sp.Integer(10)).log()

    def exp2(self) -> Any:
        """Return 2 to this power."""
        return (self * self.lift(sp.Integer(2)).log()).exp()

    def expm1(self) -> Any:
        """Return e to this power, minus 1."""
        return self.exp() - 1

    def log1p(self) -> Any:
        """Return the logarithm of 1 plus this."""
        return (self + 1).log()

    def conjugate(self) -> "Exact":
        """Return the number itself: it is real."""
        return self

    def _sign(self, other: Any, with_zero: int) -> int:
        lifted = self._lifted(other)
        if isinstance(lifted, MinusInfinity) and not isinstance(self, MinusInfinity):
            return 1
        return self.compared(lifted, with_zero)

    def __lt__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self._sign(other, 1) < 0

    def __le__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self._sign(other, -1) <= 0

    def __gt__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self._sign(other, -1) > 0

    def __ge__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self._sign(other, 1) >= 0

    def __eq__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self._sign(other, 0) == 0

    def __ne__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self._sign(other, 0) != 0

    def __abs__(self) -> "Exact":
        return self if self._sign(0, 1) >= 0 else -self

    __hash__ = None  # type: ignore[assignment]

    def _refuse_conversion(self, *_: Any) -> NoReturn:
        self.refuse("converts entries to float, int or bool; keep the arrays' own type")

    __bool__ = __float__ = __int__ = __index__ = __complex__ = _refuse_conversion

    def _refuse_rounding(self, *_: Any) -> NoReturn:
        self.refuse("rounds entries or divides them with a remainder")

    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __round__ = _refuse_rounding
    __trunc__ = floor = ceil = rint = trunc = _refuse_rounding


class MinusInfinity(Exact):
    """What a mask puts before a softmax: less than all numbers, and e to its power is 0."""

    def __init__(self, number: Exact):
        self.number = number  # of the kind that is computed with

    def lift(self, constant: Any) -> Exact:
        """Return a constant as a number."""
        return self.number.lift(constant)

    def _lifted(self, other: Any) -> Any:
        return other if isinstance(other, Exact) else self.number._lifted(other)

    def plus(self, other: Any) -> Exact:
        """Add: nothing that is added makes a number of it."""
        return self

    def times(self, other: Any) -> Exact:
        """Multiply by a positive number."""
        if isinstance(other, MinusInfinity) or other._sign(0, 0) <= 0:
            self._undefined()
        return self

    def exp(self) -> Exact:
        """Return e to this power: 0."""
        return self.number.lift(sp.Integer(0))

    def compared(self, other: Any, with_zero: int) -> int:
        """Return the sign of the difference: it is less than every number."""
        return 0 if isinstance(other, MinusInfinity) else -1

    def _undefined(self, *_: Any) -> NoReturn:
        raise ZeroDivisionError("infinity is no number to compute with")

    power = log = function = __neg__ = _undefined  # type: ignore[assignment]

    def refuse(self, reason: str) -> NoReturn:
        """Say that the code does something that is not followed."""
        self.number.refuse(reason)


def is_minus_infinity(value: Any) -> bool:
    """Say whether a float is -inf."""
    return isinstance(value, float | np.floating) and value == -np.inf


class ExactArray(np.ndarray):
    """An array of exact numbers, in which NumPy's functions meet no others.

    np.maximum(x, 0) has a plain 0 in it, of which np.exp would ask for a method `exp`. So plain
    numbers are lifted before a function is applied to the entries.
    """

    lift: Callable[[Any], Exact] | None = None

    def __array_finalize__(self, other: Any) -> None:
        self.lift = getattr(other, "lift", None)

    @classmethod
    def of(cls, array: np.ndarray, lift: Callable[[Any], Exact]) -> "ExactArray":
        """Return an array of the same entries, which knows how to lift plain numbers."""
        result = array.view(cls)
        result.lift = lift
        return result

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [_plain(value) for value in inputs]
        if ufunc.signature is not None:  # @ and its like
            return self._wrapped(contracted(ufunc, plain, options))
        if ufunc in WITHOUT_OBJECTS and self.lift is not None:
            ufunc, plain = (
                WITHOUT_OBJECTS[ufunc],
                [_lifted(np.asarray(a), self.lift) for a in plain],
            )
        if ufunc in OF_ENTRIES and self.lift is not None and isinstance(plain[0], np.ndarray):
            plain[0] = _lifted(plain[0], self.lift)
        if ufunc in SHIFTING and self.lift is not None:
            plain = [_without_floats_of_infinity(value, self.lift) for value in plain]
        if "out" in options:
            options["out"] = tuple(map(_plain, options["out"]))
        result = getattr(ufunc, method)(*plain, **options)
        return self._wrapped(result)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func in CREATING:  # called with like=self, which is no argument of theirs
            return self._wrapped(func(*args, **kwargs))
        if func is np.bincount and self.lift is not None:
            return self._wrapped(_bincount(self.lift, *args, **kwargs))
        if func in CONTRACTIONS:
            return self._wrapped(contracted(func, [_plain(value) for value in args], kwargs))
        try:
            return self._wrapped(super().__array_function__(func, types, args, kwargs))
        except TypeError:
            if self.lift is not None and func.__module__ in ("numpy.linalg", "numpy.fft"):
                self.lift(sp.Integer(0)).refuse(not_followed(name_of(func)))
            raise

    def dot(self, b: Any, out: Any = None) -> Any:
        """Do what np.dot does; the method of arrays would not ask this class."""
        return np.dot(self, b, out=out)

    def entrywise(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Return what np.vectorize makes of a function."""
        result = np.frompyfunc(function, len(arguments), 1)(*map(_plain, arguments))
        return self._wrapped(np.asarray(result))

    def _wrapped(self, result: Any) -> Any:
        if type(result) is np.ndarray and result.dtype == object and self.lift is not None:
            return ExactArray.of(result, self.lift)
        return result


CREATING = (np.eye, np.zeros, np.ones, np.full, np.empty, np.arange)
OF_ENTRIES = (
    *(np.exp, np.log, np.sqrt, np.tanh, np.expm1, np.log1p, np.log2, np.log10, np.exp2),
    *(np.sin, np.cos, np.tan, np.arcsin, np.arctan, np.sinh, np.cosh, np.arctanh, np.hypot),
)
"""The functions for which NumPy calls a method of each entry, or of the first of two."""
SHIFTING = (np.add, np.subtract, np.multiply, np.true_divide)
FUNCTIONS = {"sin": sp.sin, "cos": sp.cos, "arcsin": sp.asin, "arctan": sp.atan, "erf": sp.erf}
"""What they are in SymPy."""
WITHOUT_OBJECTS = {
    np.logaddexp: np.frompyfunc(lambda a, b: a.logaddexp(b), 2, 1),
    np.heaviside: np.frompyfunc(lambda a, b: a.heaviside(b), 2, 1),
}
"""What stands for functions that NumPy has of floats only."""


def _plain(value: Any) -> Any:
    if isinstance(value, np.float32):  # among objects, NumPy would make a float of its bits
        return float(written(value))
    return value.view(np.ndarray) if isinstance(value, ExactArray) else value


def _lifted(array: np.ndarray, lift: Callable[[Any], Exact]) -> np.ndarray:
    if array.dtype == object and all(isinstance(entry, Exact) for entry in array.flat):
        return array
    entries = (e if isinstance(e, Exact) else _number(e, lift) for e in array.flat)
    return filled(array.shape, entries)


def _without_floats_of_infinity(value: Any, lift: Callable[[Any], Exact]) -> Any:
    """Lift the floats -inf in an array of objects: of two of them, the difference is NaN."""
    if not isinstance(value, np.ndarray) or value.dtype != object:
        return value
    if not any(map(is_minus_infinity, value.flat)):
        return value
    entries = (_number(e, lift) if is_minus_infinity(e) else e for e in value.flat)
    return filled(value.shape, entries)


def _number(value: Any, lift: Callable[[Any], Exact]) -> Exact:
    if is_minus_infinity(value):
        return MinusInfinity(lift(sp.Integer(0)))
    return lift(constant(value))


def _bincount(
    lift: Callable[[Any], Exact], x: Any, /, weights: Any = None, minlength: int = 0
) -> np.ndarray:
    """Return what np.bincount does, which has no place for exact weights."""
    length = len(np.bincount(_plain(x), minlength=minlength))
    result = np.full(length, lift(exact(0)), dtype=object)
    np.add.at(result, np.asarray(x), _plain(weights))
    return result


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 0


class Branch(Refusals):
    """One way in which all comparisons may turn out.

    Asked for the sign of an expression that is neither a number nor known to be of one sign, it
    answers from its list, or with + if the list has ended: +, then -, then 0. The answer 0 is
    left out where it would change nothing: x > 0 and 0 < x, for all that is asked, make of 0 what
    they make of negative numbers. Where x >= 0 or x == 0 is asked as well, 0 is a case of its own.
    """

    def __init__(
        self, answers: tuple[int, ...] = (), with_zero: "dict[sp.Expr, set[int]] | None" = None
    ):
        super().__init__()
        self.answers = list(answers)
        self.known: dict[sp.Expr, int] = {}
        """The expressions that were asked for, in order, and their signs."""
        self._floats = Floats()
        self._with_zero = {} if with_zero is None else with_zero
        """For each expression, with which sign comparisons put the 0, over all branches."""

    def sign(self, difference: sp.Expr, with_zero: int = 0) -> int:
        """Return the sign of an expression on this branch.

        The comparison treats 0 as it treats numbers of the sign `with_zero`, or, if that is 0, as
        a case of its own.
        """
        value = sp.expand(difference)
        if value.is_number:
            return self._sign_of_number(value)
        if value.is_positive or value.is_negative:
            return 1 if value.is_positive else -1
        if value.is_nonpositive:
            return -self.sign(-value, -with_zero)
        content, value = value.as_content_primitive()
        if content < 0:
            value, with_zero = sp.expand(-value), -with_zero
        factor = -1 if content < 0 else 1
        opposite = sp.expand(-value)
        if value not in self.known and opposite in self.known:
            value, factor, with_zero = opposite, -factor, -with_zero
        self._with_zero.setdefault(value, set()).add(with_zero)
        if value not in self.known:
            asked = len(self.known)
            if asked == len(self.answers):
                self.answers.append(1)
            self.known[value] = self.answers[asked]
        return factor * self.known[value]

    def _zero_is_on_a_side(self, value: sp.Expr) -> bool:
        """Say whether the code treats 0 as the numbers of one sign, which there are beside it."""
        sides = self._with_zero[value]
        if value.is_nonnegative:
            return sides == {1}
        both_are = any(not sp.diff(value, symbol).has(symbol) for symbol in value.free_symbols)
        return both_are and sides in ({1}, {-1})

    def number(self, number: Any) -> sp.Expr:
        """Return a number of the code; a float of many digits as a symbol, if it is not simple."""
        try:
            return expression(constant(number))
        except NotFollowedError:
            if not is_float(number):
                raise
        found = self._floats.read(abs(number))
        assert isinstance(found, Opaque)
        factor = sp.Rational(found.factor.numerator, found.factor.denominator)
        powers = (sp.Symbol(text, positive=True) ** power for text, power in found.powers)
        return sp.Mul(factor if number > 0 else -factor, *powers)

    @property
    def ties(self) -> list[sp.Expr]:
        """The expressions that are 0 on this branch."""
        return [value for value, sign in self.known.items() if sign == 0]

    def _sign_of_number(self, value: sp.Expr) -> int:
        sign = number_sign(value)
        if sign is None:
            self.note(f"compares {value} with 0, which is not decided")
        return sign or 0

    def following(self) -> "Branch | None":
        """Return the branch after this one, or None if this was the last."""
        answers, asked = list(self.answers), list(self.known)
        while answers:
            last = answers.pop()
            value = asked[len(answers)]
            if last == 1 and not value.is_nonnegative:
                return Branch((*answers, -1), self._with_zero)
            if last != 0 and not self._zero_is_on_a_side(value):
                return Branch((*answers, 0), self._with_zero)
        return None


def branches() -> Iterator[Branch]:
    """Yield every branch, depth first; run the code on each before asking for the next.

    Raises
    ------
    NotFollowedError
        If there are more than `MOST_BRANCHES`.
    """
    branch: Branch | None = Branch()
    for _ in range(MOST_BRANCHES):
        assert branch is not None
        yield branch
        branch = branch.following()
        if branch is None:
            return
    raise NotFollowedError(
        f"has more than {MOST_BRANCHES} outcomes of its comparisons at these sizes; "
        "choose smaller ones"
    )


class Scalar(Exact):
    """A number known as an expression in symbols."""

    def __init__(self, expression: sp.Expr, branch: Branch, *, constant: bool = False):
        self.expression = expression
        self.branch = branch
        self.constant = constant

    def lift(self, constant: Any) -> "Scalar":
        """Return a constant as a number of this kind."""
        return Scalar(expression(constant), self.branch, constant=True)

    def _lifted(self, other: Any) -> Any:
        return self.lift(self.branch.number(other)) if is_float(other) else super()._lifted(other)

    def _made(self, expression: sp.Expr, other: "Scalar | None" = None) -> "Scalar":
        constant = self.constant and (other is None or other.constant)
        return Scalar(expression, self.branch, constant=constant)

    def plus(self, other: "Scalar") -> "Scalar":
        """Add."""
        return self._made(self.expression + other.expression, other)

    def times(self, other: "Scalar") -> "Scalar":
        """Multiply."""
        return self._made(self.expression * other.expression, other)

    def power(self, exponent: Any) -> "Scalar":
        """Raise to a constant power."""
        if self.expression == 0 and exponent < 0:
            raise ZeroDivisionError("division by zero")
        return self._made(self.expression ** expression(exponent))

    def exp(self) -> "Scalar":
        """Return e to this power."""
        return self._made(sp.exp(self.expression))

    def log(self) -> "Scalar":
        """Return the natural logarithm."""
        return self._made(sp.log(self.expression))

    def function(self, name: str) -> "Scalar":
        """Return one of `FUNCTIONS` of this number."""
        return self._made(FUNCTIONS[name](self.expression))

    def compared(self, other: "Scalar", with_zero: int) -> int:
        """Return the sign of self - other on this branch."""
        if self is other:
            return 0
        difference = self.expression - other.expression
        if not (self.constant and other.constant) and sp.expand(difference).is_number:
            self.branch.note("compares what is the same for all numbers")
        return self.branch.sign(difference, with_zero)

    def refuse(self, reason: str) -> NoReturn:
        """Say that the code does something that is not followed."""
        self.branch.refuse(reason)

    def __repr__(self) -> str:
        return str(self.expression)
