"""Two ways to compute with real numbers: exactly, or with so many digits that it hardly matters."""

from fractions import Fraction
from functools import cache
from math import isqrt
from typing import Any, Protocol

import mpmath  # type: ignore[import-untyped]
import sympy as sp

from backprop_lib.proof.refusal import NotFollowedError, fraction
from backprop_lib.proof.scalar import FUNCTIONS, exact, expression, number_sign

DIGITS = 60
HIGHEST_EXPONENT = 1000
SAME = 30
"""What is smaller than the last of so many digits may be an error of rounding."""

OF_MPMATH = {"arcsin": "asin", "arctan": "atan"}

_context = mpmath.MPContext()
_context.dps = DIGITS


class Arithmetic(Protocol):
    """How numbers are computed with."""

    zero: Any

    def number(self, value: Any) -> Any:
        """Return a fraction or a SymPy expression as a number of this kind."""

    def plus(self, a: Any, b: Any) -> Any:
        """Add."""

    def times(self, a: Any, b: Any) -> Any:
        """Multiply."""

    def power(self, a: Any, exponent: Any) -> Any:
        """Raise to a constant power."""

    def exp(self, a: Any) -> Any:
        """Return e to a power."""

    def log(self, a: Any) -> Any:
        """Return the natural logarithm."""

    def function(self, name: str, a: Any) -> Any:
        """Return one of the functions of `backprop_lib.proof.scalar.FUNCTIONS`."""

    def sign(self, a: Any, *of: Any) -> int | None:
        """Return the sign, or None if it is not certain; `of` are the numbers a is made of."""


class Exactly:
    """Arithmetic of SymPy's expressions: slow, and exact."""

    zero = sp.Integer(0)

    def number(self, value: Any) -> Any:
        """Return a number as an expression."""
        return expression(value)

    def plus(self, a: Any, b: Any) -> Any:
        """Add."""
        return a + b

    def times(self, a: Any, b: Any) -> Any:
        """Multiply."""
        return a * b

    def power(self, a: Any, exponent: Any) -> Any:
        """Raise to a constant power."""
        _check_exponent(exponent)
        return a ** expression(exponent)

    def exp(self, a: Any) -> Any:
        """Return e to a power."""
        return sp.exp(a)

    def log(self, a: Any) -> Any:
        """Return the natural logarithm."""
        return sp.log(a)

    def function(self, name: str, a: Any) -> Any:
        """Return a sine, a cosine, and so on."""
        return FUNCTIONS[name](a)

    def sign(self, a: Any, *of: Any) -> int | None:
        """Return the sign, or None if it is not certain."""
        return number_sign(a)


class Digits:
    """Arithmetic of fractions, and of 60 digits where a number is irrational: fast."""

    zero = Fraction(0)

    def number(self, value: Any) -> Any:
        """Return a number as a fraction, or with 60 digits."""
        if isinstance(value, Fraction | mpmath.mpf):
            return value
        value = exact(value)
        return value if isinstance(value, Fraction) else _digits(value.evalf(DIGITS))

    def plus(self, a: Any, b: Any) -> Any:
        """Add."""
        return a + b if type(a) is type(b) else _digits(a) + _digits(b)

    def times(self, a: Any, b: Any) -> Any:
        """Multiply."""
        return a * b if type(a) is type(b) else _digits(a) * _digits(b)

    def power(self, a: Any, exponent: Any) -> Any:
        """Raise to a constant power."""
        _check_exponent(exponent)
        power = fraction(exponent)
        if power.denominator == 1:
            return a ** int(power)
        if power.denominator == 2 and isinstance(a, Fraction):
            roots = isqrt(a.numerator), isqrt(a.denominator)
            if roots[0] ** 2 == a.numerator and roots[1] ** 2 == a.denominator:
                return Fraction(*roots) ** power.numerator
        return _digits(a) ** _digits(power)

    def exp(self, a: Any) -> Any:
        """Return e to a power."""
        return Fraction(1) if a == 0 else _context.exp(_digits(a))

    def log(self, a: Any) -> Any:
        """Return the natural logarithm."""
        return Fraction(0) if a == 1 else _context.log(_digits(a))

    def function(self, name: str, a: Any) -> Any:
        """Return a sine, a cosine, and so on."""
        if a == 0:
            return Fraction(int(name == "cos"))
        return getattr(_context, OF_MPMATH.get(name, name))(_digits(a))

    def sign(self, a: Any, *of: Any) -> int | None:
        """Return the sign, or None if it is not certain."""
        if isinstance(a, Fraction) or a == 0:
            return int(a > 0) - int(a < 0)
        scale = max([abs(_digits(number)) for number in of], default=_context.one)
        if abs(a) <= max(scale, _context.one) * _smallest():
            return None
        return 1 if a > 0 else -1


def _check_exponent(exponent: Any) -> None:
    if abs(exponent) > HIGHEST_EXPONENT:
        raise NotFollowedError(f"raises to the power {exponent}, which is too much to compute")


@cache
def _smallest() -> Any:
    return _context.mpf(10) ** -SAME


def _digits(value: Any) -> Any:
    if isinstance(value, Fraction):
        return _context.mpf(value.numerator) / value.denominator
    return _context.mpf(value)


EXACTLY, WITH_DIGITS = Exactly(), Digits()
