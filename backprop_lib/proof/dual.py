"""Dual numbers a + b·t with t² = 0, exact: a gradient check without step size and rounding.

If the inputs move along a direction v, each input is x + v·t. The code's own operations carry the
slope b along: (a + b·t)(c + d·t) = ac + (ad + bc)·t. So one run of forward at rational numbers
gives the slope of L = Σ dy·y along v, exactly, and backward must give Σ dx·v.

Where two numbers that are compared are equal, the slopes decide: the one that grows faster is the
larger for every small t > 0. So the slope is the one-sided one, to the side to which v points.
"""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import sympy as sp

from backprop_lib.layer import Layer
from backprop_lib.proof.refusal import (
    NotFollowedError,
    errors_of_the_code,
    followed,
    fraction,
)
from backprop_lib.proof.scalar import Exact, exact_constant, expression, filled, number_sign
from backprop_lib.shapes import unchecked

ZERO = sp.Integer(0)
HIGHEST_EXPONENT = 200
Arrays = Mapping[str, np.ndarray]
"""Arrays of exact numbers, by name."""


class Met:
    """What a run on dual numbers has met."""

    def __init__(self) -> None:
        self.refused: str | None = None
        self.tie = False


class UndefinedError(ArithmeticError):
    """The code is not defined at this point, or has no slope there."""


class Dual(Exact):
    """A number and its slope."""

    def __init__(self, value: sp.Expr, slope: sp.Expr, met: Met, *, constant: bool = False):
        self.value = value
        self.slope = slope
        self.met = met
        self.constant = constant

    def lift(self, constant: sp.Expr) -> "Dual":
        """Return a constant as a number of this kind."""
        return Dual(constant, ZERO, self.met, constant=True)

    def _made(self, value: sp.Expr, slope: sp.Expr, *others: "Dual") -> "Dual":
        constant = self.constant and all(other.constant for other in others)
        return Dual(value, slope, self.met, constant=constant)

    def plus(self, other: "Dual") -> "Dual":
        """Add."""
        return self._made(self.value + other.value, self.slope + other.slope, other)

    def times(self, other: "Dual") -> "Dual":
        """Multiply."""
        if any(factor.constant and factor.value == 0 for factor in (self, other)):
            return self.lift(ZERO)
        slope = ZERO
        if self.slope is not ZERO:
            slope = self.slope * other.value
        if other.slope is not ZERO:
            slope += self.value * other.slope
        return self._made(self.value * other.value, slope, other)

    def raised(self, exponent: sp.Expr) -> "Dual":
        """Raise to a constant power."""
        whole = bool(exponent.is_integer)
        sign = number_sign(self.value)
        if sign is None or (sign < 0 and not whole) or (sign == 0 and exponent < 0):
            raise UndefinedError(f"{self.value} to the power {exponent}")
        if sign == 0 and exponent < 1 and not self.constant and exponent != 0:
            raise UndefinedError(f"the slope of a root at {self.value}")
        slope = ZERO
        if exponent != 0 and self.slope is not ZERO:
            slope = exponent * self.value ** (exponent - 1) * self.slope
        return self._made(self.value**exponent, slope)

    def exp(self) -> "Dual":
        """Return e to this power."""
        if abs(self.value) > HIGHEST_EXPONENT:
            raise UndefinedError(f"e to the power {self.value}: too large to compute with")
        value = sp.exp(self.value)
        return self._made(value, value * self.slope)

    def log(self) -> "Dual":
        """Return the natural logarithm."""
        sign = number_sign(self.value)
        if sign is None or sign <= 0:
            raise UndefinedError(f"the logarithm of {self.value}")
        return self._made(sp.log(self.value), self.slope / self.value)

    def compared(self, other: "Dual") -> int:
        """Return the sign of self - other just beside the point, in the direction of the slopes."""
        if self is other:
            return 0
        sign = number_sign(self.value - other.value)
        if sign is None:
            self.met.refused = self.met.refused or "compares two numbers that cannot be told apart"
            return 0
        if sign == 0 and not (self.constant and other.constant):
            self.met.tie = True
            sign = number_sign(self.slope - other.slope)
        return sign or 0

    def refuse(self, reason: str) -> NoReturn:
        """Say that the code does something that is not followed; keep it, for NumPy may hide it."""
        self.met.refused = self.met.refused or reason
        raise NotFollowedError(reason)

    def __repr__(self) -> str:
        return f"{self.value} + {self.slope}·t"


class Point:
    """A layer at one point: exact inputs, and an exact upstream gradient.

    Parameters
    ----------
    forward : callable
        As in `backprop_lib.layer`.
    inputs, const : dict
        Its arguments; of the inputs slopes are taken. Arrays hold exact numbers.
    """

    def __init__(self, forward: Callable[..., Any], inputs: Arrays, const: Mapping[str, Any]):
        self.layer = Layer(forward, forward)
        self.inputs = {name: exact_array(value) for name, value in inputs.items()}
        self.const = const
        self.y = self.run(Met(), {})[0]
        self.shape = self.y.shape

    def run(self, met: Met, direction: Arrays) -> tuple[np.ndarray, Any]:
        """Run forward, the inputs moving along a direction; return y and the cache."""
        moving = {
            name: duals(value, direction.get(name), met) for name, value in self.inputs.items()
        }
        const = {
            name: exact_constant(value, lambda number: Dual(number, ZERO, met, constant=True))
            for name, value in self.const.items()
        }
        with unchecked():
            return followed("forward", met, lambda: self.layer.run_forward({**moving, **const}))

    def repeats(self, y: np.ndarray) -> bool:
        """Say whether another run gave the same y."""
        pairs = zip(self.y.flat, y.flat, strict=True)
        return y.shape == self.shape and all(value_of(a) == value_of(b) for a, b in pairs)

    def slope(self, direction: Arrays, dy: np.ndarray, met: Met) -> sp.Expr:
        """Return the slope of L = Σ dy·y in a direction."""
        y, _ = self.run(met, direction)
        slopes = [_slope(entry) * up for entry, up in zip(y.flat, dy.flat, strict=True)]
        return sp.Add(*slopes)


def slopes(
    forward: Callable[..., Any],
    /,
    *,
    along: Mapping[str, Any],
    dy: Any = 1,
    const: Mapping[str, Any] | None = None,
    **inputs: Any,
) -> tuple[Any, Any]:
    """Return the exact slopes of L = Σ dy·y on both sides of a point, along a direction.

    Moving by t·v for small t > 0 changes L by t times the second slope; coming from the other
    side, L changes by t times the first. Where the two are equal for every direction, there is
    one gradient g, and both are Σ g·v. Where they differ, L has a kink, and no gradient.

    Parameters
    ----------
    forward : callable
        It returns y and a cache.
    along : dict
        The direction v: for some inputs an array of their shape; the others stand still.
    dy : array or number, optional
        The upstream gradient; a number stands for all of its entries.
    const : dict, optional
        Arguments that are no inputs.
    **inputs : array
        The point, exact: whole numbers, fractions, or floats with a short fraction.

    Returns
    -------
    left, right : Fraction
        The slopes on the two sides; a SymPy number if it is not rational.

    Raises
    ------
    TypeError
        If forward does what exact numbers do not follow.
    ValueError
        If a direction does not fit its input, or dy does not fit y.
    ArithmeticError
        If forward is not defined at the point, or has no finite slope there.

    References
    ----------
    A. Griewank, A. Walther, Evaluating Derivatives, SIAM 2008, chapters 3 and 14.
    """
    arrays = {name: exact_array(value) for name, value in inputs.items()}
    for name, value in along.items():
        if name not in arrays or np.shape(value) != arrays[name].shape:
            have = f"{np.shape(value)}" if name in arrays else "there is no such input"
            raise ValueError(
                f"along has {name}: {have}, expected directions for {', '.join(arrays)}, "
                "each of the shape of its input"
            )
    Layer(forward, forward).inputs(arrays, const or {})
    direction = {name: exact_array(value) for name, value in along.items()}
    back = {name: exact_array(-value) for name, value in direction.items()}
    with errors_of_the_code():
        point = Point(forward, arrays, const or {})
        if np.ndim(dy) and np.shape(dy) != point.shape:
            raise ValueError(
                f"dy has shape {np.shape(dy)}, expected {point.shape}, that of y, or a number"
            )
        upstream = exact_array(np.broadcast_to(np.asarray(dy, dtype=object), point.shape))
        right = point.slope(direction, upstream, Met())
        left = -point.slope(back, upstream, Met())
    return _shown(left), _shown(right)


def exact_array(values: Any) -> np.ndarray:
    """Return an array of SymPy numbers."""
    array = np.array(values, dtype=object) if not isinstance(values, np.ndarray) else values
    return filled(array.shape, (expression(entry) for entry in array.flat))


def duals(values: np.ndarray, direction: np.ndarray | None, met: Met) -> np.ndarray:
    """Return numbers that move along a direction, or stand still."""
    moves = np.full(values.shape, ZERO) if direction is None else direction
    pairs = zip(values.flat, moves.flat, strict=True)
    return filled(values.shape, (Dual(value, slope, met) for value, slope in pairs))


def value_of(entry: Any) -> sp.Expr:
    """Return the value of an entry, which may be a plain number."""
    return entry.value if isinstance(entry, Dual) else expression(entry)


def _slope(entry: Any) -> sp.Expr:
    return entry.slope if isinstance(entry, Dual) else ZERO


def _shown(number: sp.Expr) -> Any:
    return fraction(number) if number.is_Rational else number
