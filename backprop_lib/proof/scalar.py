"""A number that computes exactly, and that refuses what symbols cannot decide.

An array of these runs a layer's own NumPy code. Sums, products, quotients, powers and a few
functions become SymPy expressions. A comparison, a conversion to float, or a float that is not
exact would make what follows untrue for other numbers, so each is refused with the reason.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np
import sympy as sp

SHORT = 2**20
"""A float with at most so large a denominator, such as 0.5, is taken for the fraction it is."""


class NotFollowedError(TypeError):
    """The code does something that exact symbols cannot follow."""


def exact(number: Any) -> sp.Expr:
    """Return a number as an exact SymPy expression.

    Raises
    ------
    NotFollowedError
        If it is a float that is not a short fraction, or no number.
    """
    if isinstance(number, Scalar):
        return number.expression
    if isinstance(number, int | np.integer) and not isinstance(number, bool):
        return sp.Integer(int(number))
    if isinstance(number, Fraction):
        return sp.Rational(number.numerator, number.denominator)
    if isinstance(number, float | np.floating) and np.isfinite(number):
        fraction = Fraction(float(number))
        if fraction.denominator <= SHORT:
            return sp.Rational(fraction.numerator, fraction.denominator)
        raise NotFollowedError(
            f"computes with the float {number!r}, which is rounded; divide integers instead, "
            "or pass it in const"
        )
    if isinstance(number, sp.Expr) and not number.has(sp.Float):
        return number
    raise NotFollowedError(f"computes with {number!r}, which is no exact number")


def _operator(combine: Callable[[sp.Expr, sp.Expr], sp.Expr]) -> Callable[[Any, Any], Any]:
    def operate(self: "Scalar", other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented  # NumPy does it, entry by entry
        return Scalar(combine(self.expression, exact(other)))

    return operate


def _refused(what: str, instead: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any) -> NoReturn:
        raise NotFollowedError(f"{what} entries, which symbols cannot decide; {instead}")

    return refuse


_compares = _refused("compares", "use gradcheck, away from ties and kinks")
_converts = _refused("converts to float, int or bool", "keep the arrays' own dtype")


class Scalar:
    """An exact real number, known as a SymPy expression."""

    is_exact = True  # what `backprop_lib.shapes.Array` asks of an object

    def __init__(self, expression: sp.Expr):
        self.expression = expression

    __add__ = _operator(lambda a, b: a + b)
    __radd__ = _operator(lambda a, b: b + a)
    __sub__ = _operator(lambda a, b: a - b)
    __rsub__ = _operator(lambda a, b: b - a)
    __mul__ = _operator(lambda a, b: a * b)
    __rmul__ = _operator(lambda a, b: b * a)
    __truediv__ = _operator(lambda a, b: a / b)
    __rtruediv__ = _operator(lambda a, b: b / a)
    __pow__ = _operator(lambda a, b: a**b)
    __rpow__ = _operator(lambda a, b: b**a)

    def __neg__(self) -> "Scalar":
        return Scalar(-self.expression)

    def __pos__(self) -> "Scalar":
        return self

    # NumPy's functions of an object array call the method of the same name.
    def sqrt(self) -> "Scalar":
        """Return the square root."""
        return Scalar(sp.sqrt(self.expression))

    def exp(self) -> "Scalar":
        """Return e to this power."""
        return Scalar(sp.exp(self.expression))

    def log(self) -> "Scalar":
        """Return the natural logarithm."""
        return Scalar(sp.log(self.expression))

    def tanh(self) -> "Scalar":
        """Return the hyperbolic tangent, written with exp so that it can be compared."""
        return Scalar(1 - 2 / (sp.exp(2 * self.expression) + 1))

    def conjugate(self) -> "Scalar":
        """Return the number itself: it is real."""
        return self

    __lt__ = __le__ = __gt__ = __ge__ = __abs__ = __floordiv__ = __mod__ = _compares
    __eq__ = __ne__ = _compares
    __bool__ = __float__ = __int__ = __index__ = __complex__ = _converts
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return str(self.expression)
