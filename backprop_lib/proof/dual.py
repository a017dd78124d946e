"""Dual numbers a + b·t with t² = 0, exact: a gradient check without step size and rounding.

If the inputs move along a direction v, each input is x + v·t. The code's own operations carry the
slope b along: (a + b·t)(c + d·t) = ac + (ad + bc)·t. So one run of forward at rational numbers
gives the slope of L = Σ dy·y along v, exactly, and backward must give Σ dx·v.

Where two numbers that are compared are equal, the slopes decide: the one that grows faster is the
larger for every small t > 0. So the slope is the one-sided one, to the side to which v points.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np
import sympy as sp

from backprop_lib.layer import Layer
from backprop_lib.proof.arithmetic import EXACTLY, Arithmetic
from backprop_lib.proof.constants import closed_form
from backprop_lib.proof.creators import making, watched
from backprop_lib.proof.exact_creation import ExactCreator
from backprop_lib.proof.object_arrays import filled
from backprop_lib.proof.refusal import (
    NotFollowedError,
    Refusals,
    errors_of_the_code,
    followed,
    fraction,
    written,
)
from backprop_lib.proof.scalar import (
    MINUS_ONE,
    Exact,
    ExactArray,
    constant,
    exact,
    exact_constant,
    expression,
    is_float,
)
from backprop_lib.shapes import unchecked
from backprop_lib.steps import Trace

HIGHEST_EXPONENT = 200
CLOSE = Fraction(1, 10**9)
"""Where constants are rounded, numbers so close to each other cannot be told apart."""
AMPLIFIED = 100
"""So many times what a constant is off may its results be."""
Arrays = Mapping[str, np.ndarray]
"""Arrays of exact numbers, by name."""


class Met(Refusals):
    """How a run on dual numbers computes, and what it has met."""

    def __init__(self, of: Arithmetic = EXACTLY, *, may_round: bool = False) -> None:
        super().__init__()
        self.of = of
        self.may_round = may_round
        """Whether a float of many digits is taken for what it stands for, or refused."""
        self.compares = False
        self.tie = False
        """Whether two numbers that are compared were equal."""
        self.touches = False
        """Whether two of them stay equal to first order, so that slopes do not tell them apart."""
        self.rounded = False
        """Whether there was such a float."""
        self.close = CLOSE
        """If so, numbers so close to each other cannot be told apart."""

    def round(self, number: float) -> None:
        """Note a float of many digits; if it has not all digits of what it stands for, how far off.

        1.4142135 stands for √2, which differs from it in the eighth digit.
        """
        self.rounded = True
        found = closed_form(written(abs(number))) if number else None
        if found is not None:
            off = abs(found.square / Fraction(float(number)) ** 2 - 1) / 2
            self.close = max(self.close, AMPLIFIED * off)


class UndefinedError(ArithmeticError):
    """The code is not defined at this point, or has no slope there."""


class Dual(Exact):
    """A number and its slope."""

    def __init__(
        self, value: Any, slope: Any, met: Met, *, constant: bool = False, moves: bool | None = None
    ):
        self.value = value
        self.slope = slope
        self.met = met
        self.constant = constant
        self.moves = slope != 0 if moves is None else moves
        """Whether it depends on what moves, though its slope may be 0."""

    def lift(self, constant: Any) -> "Dual":
        """Return a constant as a number of this kind."""
        of = self.met.of
        return Dual(of.number(constant), of.zero, self.met, constant=True)

    def _made(self, value: Any, slope: Any, *others: "Dual") -> "Dual":
        constant = self.constant and all(other.constant for other in others)
        moves = self.moves or any(other.moves for other in others)
        return Dual(value, slope, self.met, constant=constant, moves=moves)

    def _lifted(self, other: Any) -> Any:
        if not is_float(other):
            return super()._lifted(other)
        try:
            return self.lift(exact(other))
        except NotFollowedError as error:
            if not self.met.may_round:
                self.refuse(str(error))
        self.met.round(other)
        return self.lift(nearest(other))

    def plus(self, other: "Dual") -> "Dual":
        """Add."""
        of = self.met.of
        slope = self.slope if self.moves else other.slope
        if self.moves and other.moves:
            slope = of.plus(self.slope, other.slope)
        return self._made(of.plus(self.value, other.value), slope, other)

    def times(self, other: "Dual") -> "Dual":
        """Multiply."""
        if any(factor.constant and factor.value == 0 for factor in (self, other)):
            return self.lift(Fraction(0))
        of = self.met.of
        slope = of.zero
        if self.moves:
            slope = of.times(self.slope, other.value)
        if other.moves:
            slope = of.plus(slope, of.times(self.value, other.slope))
        return self._made(of.times(self.value, other.value), slope, other)

    def power(self, exponent: Any) -> "Dual":
        """Raise to a constant power."""
        of = self.met.of
        whole = isinstance(exponent, Fraction) and exponent.denominator == 1
        sign = of.sign(self.value)
        if sign is None or (sign < 0 and not whole) or (sign == 0 and exponent < 0):
            raise UndefinedError(f"{self.value} to the power {exponent}")
        if sign == 0 and exponent < 1 and not self.constant and exponent != 0:
            raise UndefinedError(f"the slope of a root at {self.value}")
        slope = of.zero
        if exponent != 0 and self.moves:
            inner = of.times(of.number(exponent), of.power(self.value, exponent - 1))
            slope = of.times(inner, self.slope)
        return self._made(of.power(self.value, exponent), slope)

    def exp(self) -> "Dual":
        """Return e to this power."""
        if self.value > HIGHEST_EXPONENT:
            raise UndefinedError(f"e to the power {self.value}: too large to compute with")
        of = self.met.of
        value = of.exp(self.value)
        return self._made(value, of.times(value, self.slope) if self.moves else of.zero)

    def log(self) -> "Dual":
        """Return the natural logarithm."""
        of = self.met.of
        sign = of.sign(self.value)
        if sign is None or sign <= 0:
            raise UndefinedError(f"the logarithm of {self.value}")
        slope = of.zero
        if self.moves:
            slope = of.times(self.slope, of.power(self.value, MINUS_ONE))
        return self._made(of.log(self.value), slope)

    def function(self, name: str) -> "Dual":
        """Return a sine, a cosine, and so on."""
        of, one = self.met.of, self.lift(Fraction(1))
        if name == "arcsin" and of.sign(of.plus(one.value, -of.times(self.value, self.value))) != 1:
            raise UndefinedError(f"the slope of arcsin at {self.value}")
        slope = of.zero
        if self.moves:
            here = Dual(self.value, of.zero, self.met)
            slope = of.times(SLOPES[name](here).value, self.slope)
        return self._made(of.function(name, self.value), slope)

    def compared(self, other: "Dual", with_zero: int) -> int:
        """Return the sign of self - other just beside the point, in the direction of the slopes."""
        constant = self.constant and other.constant
        self.met.compares = self.met.compares or not constant
        if self is other:
            return 0
        of = self.met.of
        difference = of.plus(self.value, of.times(of.number(MINUS_ONE), other.value))
        sign = of.sign(difference, self.value, other.value)
        if sign is None or (self.met.rounded and sign and abs(float(difference)) < self.met.close):
            self.met.note("compares two numbers that cannot be told apart")
            return 0
        if sign == 0 and not constant:
            self.met.tie = True
            slope = of.plus(self.slope, of.times(of.number(MINUS_ONE), other.slope))
            sign = of.sign(slope, self.slope, other.slope)
            self.met.touches = self.met.touches or (sign == 0 and (self.moves or other.moves))
        return sign or 0

    def refuse(self, reason: str) -> NoReturn:
        """Say that the code does something that is not followed."""
        self.met.refuse(reason)

    def __repr__(self) -> str:
        return f"{self.value} + {self.slope}·t"


SLOPES: dict[str, Callable[[Any], Any]] = {
    "sin": lambda u: u.cos(),
    "cos": lambda u: -u.sin(),
    "arcsin": lambda u: 1 / (1 - u * u).sqrt(),
    "arctan": lambda u: 1 / (1 + u * u),
    "erf": lambda u: 2 * (-(u * u)).exp() / u.lift(sp.pi).sqrt(),
}
"""The derivatives."""


class Point:
    """A layer at one point: exact inputs, and an exact upstream gradient.

    Parameters
    ----------
    layer : Layer
        Whose forward is run.
    inputs, const : dict
        Its arguments; of the inputs slopes are taken. Arrays hold exact numbers.
    of : Arithmetic
        How numbers are computed with.
    may_round : bool
        Whether a float of many digits is taken for the simple number that it stands for, or for
        the fraction that it is.
    """

    def __init__(
        self,
        layer: Layer,
        inputs: Arrays,
        const: Mapping[str, Any],
        of: Arithmetic = EXACTLY,
        *,
        may_round: bool = False,
    ):
        self.layer = layer
        self.of = of
        self.inputs = {name: numbers(value, of) for name, value in inputs.items()}
        self.const = const
        self.met = Met(of, may_round=may_round)
        self.trace = Trace(self.arguments)
        """The steps of the first run."""
        self.y, self.cache = self.run(self.met, {}, self.trace)
        self.shape = self.y.shape

    @property
    def arguments(self) -> set[str]:
        """The names of all that forward is given."""
        return {*self.inputs, *self.const}

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of an input, or of a step.

        Raises
        ------
        UndefinedError
            If forward does not come by this step here.
        """
        if name not in self.inputs and name not in self.trace.values:
            raise UndefinedError(f"forward names no {name} here")
        value = self.inputs[name] if name in self.inputs else self.trace.values[name]
        return value.shape

    def run(
        self, met: Met, direction: Arrays, trace: Trace | None = None
    ) -> tuple[np.ndarray, Any]:
        """Run forward, inputs and steps moving along a direction; return y and the cache."""
        if trace is None:
            steps = {name: moves for name, moves in direction.items() if name not in self.inputs}
            still = {name: np.full(moves.shape, self.of.zero) for name, moves in steps.items()}
            shifts = {name: duals(still[name], moves, met) for name, moves in steps.items()}
            trace = Trace(self.arguments, shifts)
        moving = {
            name: duals(value, direction.get(name), met) for name, value in self.inputs.items()
        }
        const = {
            name: exact_constant(value, Dual(self.of.zero, self.of.zero, met).lift)
            for name, value in self.const.items()
        }
        with unchecked(), making(creator(met)), trace.of_forward():
            return followed("forward", met, lambda: self.layer.run_forward({**moving, **const}))

    def repeats(self, y: np.ndarray) -> bool:
        """Say whether another run gave the same y."""
        pairs = zip(self.y.flat, y.flat, strict=True)
        return y.shape == self.shape and all(
            value_of(a, self.of) == value_of(b, self.of) for a, b in pairs
        )

    def slopes(self, direction: Arrays, met: Met) -> np.ndarray:
        """Return the slope of every entry of y in a direction.

        Raises
        ------
        UndefinedError
            If y jumps, so that just beside the point it is another number than at it.
        RuntimeError
            If y is another number each time.
        """
        y, _ = self.run(met, direction)
        if not self.repeats(y):
            if met.tie:
                raise UndefinedError("forward jumps here")
            raise RuntimeError(
                "forward computes something else each time it is run; pass its random numbers in"
            )
        return filled(y.shape, (_slope(entry, self.of) for entry in y.flat))

    def slope(self, direction: Arrays, dy: np.ndarray, met: Met) -> Any:
        """Return the slope of L = Σ dy·y in a direction."""
        return dot(self.slopes(direction, met), dy, self.of)


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
    RuntimeError
        If forward computes something else each time it is run.

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
    layer = Layer.without_backward(forward, [*arrays, *(const or {})])
    layer.inputs(arrays, const or {})
    direction = {name: exact_array(value) for name, value in along.items()}
    back = {name: exact_array(np.asarray(-value)) for name, value in direction.items()}
    with errors_of_the_code(), watched(forward):
        point = Point(layer, arrays, const or {})
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


def numbers(values: np.ndarray, of: Arithmetic) -> np.ndarray:
    """Return an array of numbers of an arithmetic."""
    return filled(values.shape, map(of.number, values.flat))


def dot(a: np.ndarray, b: np.ndarray, of: Arithmetic) -> Any:
    """Return the sum of the products of the entries of two arrays."""
    result = of.zero
    for one, other in zip(a.flat, b.flat, strict=True):
        result = of.plus(result, of.times(one, other))
    return result


def duals(values: np.ndarray, direction: np.ndarray | None, met: Met) -> np.ndarray:
    """Return numbers that move along a direction, or stand still."""
    moves = np.full(values.shape, met.of.zero) if direction is None else direction
    pairs = zip(values.flat, moves.flat, strict=True)
    entries = (Dual(value, slope, met) for value, slope in pairs)
    lift = Dual(met.of.zero, met.of.zero, met).lift
    return ExactArray.of(filled(values.shape, entries), lift)


def creator(met: Met) -> ExactCreator:
    """Return what makes arrays in a run."""
    return ExactCreator(Dual(met.of.zero, met.of.zero, met, constant=True))


def nearest(number: float) -> Any:
    """Return the simple number that a float of many digits stands for, or the fraction it is."""
    try:
        return constant(number)
    except NotFollowedError:
        return Fraction(float(number))


def value_of(entry: Any, of: Arithmetic = EXACTLY) -> Any:
    """Return the value of an entry, which may be a plain number."""
    if is_float(entry):
        entry = nearest(entry)
    return entry.value if isinstance(entry, Dual) else of.number(entry)


def _slope(entry: Any, of: Arithmetic) -> Any:
    return entry.slope if isinstance(entry, Dual) else of.zero


def _shown(number: sp.Expr) -> Any:
    return fraction(number) if number.is_Rational else number
