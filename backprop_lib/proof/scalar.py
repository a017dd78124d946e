"""Exact numbers that NumPy computes with: a layer's own code runs on arrays of them.

`Exact` has the operators and the functions; what they do is said by two kinds of numbers.
`Scalar` is an expression in SymPy's symbols. `backprop_lib.proof.dual.Dual` is a number together
with its slope.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
import sympy as sp

from backprop_lib.proof.refusal import NotFollowedError, decimal, fraction

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


def filled(shape: Sequence[int], entries: Iterable[Any]) -> np.ndarray:
    """Return an array of objects, its entries in order."""
    return np.fromiter(entries, dtype=object).reshape(tuple(shape))


def exact_constant(value: Any, number: Callable[[sp.Expr], "Exact"]) -> Any:
    """Return an argument that is no input, its floats as the decimals that they are written as.

    `number` makes a number of the engine's kind; what is no real number stays as it is.
    """
    if isinstance(value, sp.Expr):
        return number(expression(value))
    if isinstance(value, float | np.floating):
        return number(expression(decimal(float(value))))
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
    def lift(self, constant: sp.Expr) -> "Exact":
        """Return a constant as a number of this kind."""

    @abstractmethod
    def plus(self, other: Any) -> "Exact":
        """Add."""

    @abstractmethod
    def times(self, other: Any) -> "Exact":
        """Multiply."""

    @abstractmethod
    def raised(self, exponent: sp.Expr) -> "Exact":
        """Raise to a constant power."""

    @abstractmethod
    def exp(self) -> "Exact":
        """Return e to this power."""

    @abstractmethod
    def log(self) -> "Exact":
        """Return the natural logarithm."""

    @abstractmethod
    def compared(self, other: Any) -> int:
        """Return the sign of self - other; it must not raise, for NumPy hides exceptions here."""

    @abstractmethod
    def refuse(self, reason: str) -> NoReturn:
        """Say that the code does something that is not followed."""

    def _lifted(self, other: Any) -> Any:
        if isinstance(other, type(self)):
            return other
        try:
            return self.lift(expression(other))
        except NotFollowedError as error:
            self.refuse(str(error))

    def __add__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self.plus(self._lifted(other))

    __radd__ = __add__

    def __mul__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self.times(self._lifted(other))

    __rmul__ = __mul__

    def __sub__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self.plus(-self._lifted(other))

    def __rsub__(self, other: Any) -> Any:
        return (-self) + other

    def __neg__(self) -> Any:
        return self.times(self.lift(sp.Integer(-1)))

    def __pos__(self) -> "Exact":
        return self

    def __truediv__(self, other: Any) -> Any:
        if _is_array(other):
            return NotImplemented
        return self.times(self._lifted(other).raised(sp.Integer(-1)))

    def __rtruediv__(self, other: Any) -> Any:
        return self.raised(sp.Integer(-1)) * other

    def __pow__(self, exponent: Any) -> Any:
        if _is_array(exponent):
            return NotImplemented
        if isinstance(exponent, Exact):
            self.refuse("raises to a power that is no number; use np.exp(b * np.log(a))")
        return self.raised(self._constant(exponent))

    def __rpow__(self, base: Any) -> NoReturn:
        self.refuse("raises to a power that is no number; use np.exp(b * np.log(a))")

    def _constant(self, number: Any) -> sp.Expr:
        try:
            return expression(number)
        except NotFollowedError as error:
            self.refuse(str(error))

    # NumPy's functions of an object array call the method of the same name.
    def sqrt(self) -> "Exact":
        """Return the square root."""
        return self.raised(sp.Rational(1, 2))

    def tanh(self) -> Any:
        """Return the hyperbolic tangent, written with exp so that it can be compared."""
        return 1 - 2 / ((2 * self).exp() + 1)

    def expm1(self) -> Any:
        """Return e to this power, minus 1."""
        return self.exp() - 1

    def log1p(self) -> Any:
        """Return the logarithm of 1 plus this."""
        return (self + 1).log()

    def conjugate(self) -> "Exact":
        """Return the number itself: it is real."""
        return self

    def _sign(self, other: Any) -> int:
        return self.compared(self._lifted(other))

    def __lt__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self._sign(other) < 0

    def __le__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self._sign(other) <= 0

    def __gt__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self._sign(other) > 0

    def __ge__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self._sign(other) >= 0

    def __eq__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self._sign(other) == 0

    def __ne__(self, other: Any) -> Any:
        return NotImplemented if _is_array(other) else self._sign(other) != 0

    def __abs__(self) -> "Exact":
        return self if self._sign(0) >= 0 else -self

    __hash__ = None  # type: ignore[assignment]

    def _refuse_conversion(self, *_: Any) -> NoReturn:
        self.refuse("converts entries to float, int or bool; keep the arrays' own type")

    __bool__ = __float__ = __int__ = __index__ = __complex__ = _refuse_conversion

    def _refuse_rounding(self, *_: Any) -> NoReturn:
        self.refuse("rounds entries or divides them with a remainder")

    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __round__ = _refuse_rounding
    __trunc__ = floor = ceil = rint = trunc = _refuse_rounding


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 0


class Branch:
    """One way in which all comparisons may turn out.

    Asked for the sign of an expression that is neither a number nor known to be of one sign, it
    answers from its list, or with + if the list has ended. Expressions that happen to be zero at
    some point do not count: the sign of what is not zero everywhere is + or -.
    """

    def __init__(self, answers: tuple[int, ...] = ()):
        self.answers = list(answers)
        self.refused: str | None = None
        self._known: dict[sp.Expr, int] = {}

    def sign(self, difference: sp.Expr) -> int:
        """Return the sign of an expression on this branch."""
        value = sp.expand(difference)
        if value.is_number:
            return self._sign_of_number(value)
        if value.is_nonnegative or value.is_nonpositive:
            return 1 if value.is_nonnegative else -1
        content, value = value.as_content_primitive()
        if content < 0:
            return -self.sign(-content * value)
        for known, factor in ((value, 1), (sp.expand(-value), -1)):
            if known in self._known:
                return factor * self._known[known]
        asked = len(self._known)
        if asked == len(self.answers):
            self.answers.append(1)
        self._known[value] = self.answers[asked]
        return self.answers[asked]

    def _sign_of_number(self, value: sp.Expr) -> int:
        sign = number_sign(value)
        if sign is None:
            self.refused = self.refused or f"compares {value} with 0, which is not decided"
        return sign or 0

    def following(self) -> "Branch | None":
        """Return the branch after this one, or None if this was the last."""
        answers = list(self.answers)
        while answers and answers[-1] == -1:
            answers.pop()
        return Branch((*answers[:-1], -1)) if answers else None


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

    def __init__(self, expression: sp.Expr, branch: Branch):
        self.expression = expression
        self.branch = branch

    def lift(self, constant: sp.Expr) -> "Scalar":
        """Return a constant as a number of this kind."""
        return Scalar(constant, self.branch)

    def plus(self, other: "Scalar") -> "Scalar":
        """Add."""
        return Scalar(self.expression + other.expression, self.branch)

    def times(self, other: "Scalar") -> "Scalar":
        """Multiply."""
        return Scalar(self.expression * other.expression, self.branch)

    def raised(self, exponent: sp.Expr) -> "Scalar":
        """Raise to a constant power."""
        if self.expression == 0 and exponent.is_negative:
            raise ZeroDivisionError("division by zero")
        return Scalar(self.expression**exponent, self.branch)

    def exp(self) -> "Scalar":
        """Return e to this power."""
        return Scalar(sp.exp(self.expression), self.branch)

    def log(self) -> "Scalar":
        """Return the natural logarithm."""
        return Scalar(sp.log(self.expression), self.branch)

    def compared(self, other: "Scalar") -> int:
        """Return the sign of self - other on this branch."""
        return self.branch.sign(self.expression - other.expression)

    def refuse(self, reason: str) -> NoReturn:
        """Say that the code does something that is not followed; keep it, for NumPy may hide it."""
        self.branch.refused = self.branch.refused or reason
        raise NotFollowedError(reason)

    def __repr__(self) -> str:
        return str(self.expression)
