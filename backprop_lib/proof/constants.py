"""Floats of many digits in code: the numbers that they stand for.

Code writes √(2/π) as 0.7978845608028654, or as 0.7978845608. Such a float is read as the product
p/q · √r · π^(k/2) with small whole numbers, or as p/q times e, log 2 or log 10, if there is one
within the digits that it has; the factor p/q may be a decimal of few digits, too. No other float
of many digits is read as an exact number.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from itertools import permutations
from math import ulp

from backprop_lib.proof.refusal import SHORT, written

PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459")
OTHERS = {
    "e": Fraction("2.71828182845904523536028747135266249775724709369995957496697"),
    "log 2": Fraction("0.693147180559945309417232121458176568075500134360255254120680"),
    "log 10": Fraction("2.30258509299404568401799145468436420760110148862877297603333"),
}
ROOTS = (1, 2, 3, 5, 6, 7, 10)
HALF_POWERS = (0, 1, -1, 2, -2, 3, -3, 4, -4)
FEWEST_DIGITS = 7
MANY_DIGITS = 15
"""A float of so many digits may be the result of a computation, which is wrong in its last bits."""
LAST_BITS = 4
LAST_BIT = 2
"""By so many of its last bits it may be off, if it is the result of one operation."""
LARGEST = 200
LARGEST_OF_A_RATIO = 1000
"""Numerators and denominators up to this are small; fewer are, beside a float of few digits."""


@dataclass(frozen=True)
class Irrational:
    """A positive number: factor · √root · π^(half_powers/2) · other^other_power."""

    factor: Fraction
    root: int = 1
    half_powers: int = 0
    other: str = ""
    other_power: int = 0

    @property
    def is_rational(self) -> bool:
        """Whether it is its factor."""
        return self.root == 1 and not self.half_powers and not self.other

    @property
    def square(self) -> Fraction:
        """The square, to more digits than any float has."""
        other = OTHERS[self.other] if self.other else Fraction(1)
        return self.factor**2 * self.root * PI**self.half_powers * other ** (2 * self.other_power)


@dataclass(frozen=True)
class Opaque:
    """A positive number of which nothing is known: a factor, and powers of floats as written."""

    factor: Fraction
    powers: tuple[tuple[str, int], ...]


class Floats:
    """The floats of many digits that a run has met, and that stand for nothing simple."""

    def __init__(self) -> None:
        self._met: dict[str, float] = {}

    def read(self, number: float) -> Irrational | Opaque:
        """Return what a float of many digits, positive and finite, stands for.

        If it is nothing simple, it may be a multiple of another one, or of the product or the
        ratio of two others, as Python has computed it. If not, it is a number of its own.
        """
        text, value = written(number), float(number)
        simple = closed_form(text)
        if simple is not None:
            return simple
        if text not in self._met:
            for powers, unit in self._products():
                factor = factor_of(value, unit)
                if factor is not None and (factor != 1 or value == unit):
                    return Opaque(factor, powers)
            self._met[text] = value
        return Opaque(Fraction(1), ((text, 1),))

    def _products(self) -> Iterator[tuple[tuple[tuple[str, int], ...], float]]:
        """Yield powers and products of two of the floats that were met."""
        for text, value in self._met.items():
            for power in (1, -1, 2):
                yield ((text, power),), value**power
        for (a, first), (b, second) in permutations(self._met.items(), 2):
            yield ((a, 1), (b, 1)), first * second
            yield ((a, 1), (b, -1)), first / second


def factor_of(value: float, unit: float) -> Fraction | None:
    """Return the small ratio, or the decimal of few digits, by which a float is a multiple."""
    quotient = value / unit
    ratio = Fraction(quotient).limit_denominator(LARGEST)
    for factor in (ratio, Fraction(f"{quotient:.{SHORT - 1}e}")):
        is_small = factor is not ratio or 0 < factor.numerator <= LARGEST
        if is_small and abs(float(factor) * unit - value) <= LAST_BIT * ulp(value):
            return factor
    return None


@lru_cache(maxsize=4096)
def closed_form(text: str) -> Irrational | None:
    """Return the simple number that a positive float, as it is written, stands for, if any."""
    value, exactly = float(text), Fraction(text)
    _, all_digits, exponent = Decimal(text).normalize().as_tuple()
    digits = len(all_digits)
    if digits < FEWEST_DIGITS:
        return None
    last = Fraction(10) ** int(exponent)
    bits = LAST_BITS * Fraction(ulp(value)) if digits >= MANY_DIGITS else Fraction(0)
    off = max(last, bits)
    near = 2 * float(off) + value / 10**MANY_DIGITS
    for unit, size in _units():
        most = _largest(digits, LARGEST_OF_A_RATIO if unit.is_rational else LARGEST)
        quotient = value / size
        factors = [Fraction(quotient).limit_denominator(most)] if quotient < 2 * most else []
        if bits:
            factors.append(Fraction(f"{quotient:.{SHORT - 1}e}"))
        elif unit.is_rational and factors and _ends(factors[0]):
            continue
        for factor in factors:
            if abs(float(factor) * size - value) > near:
                continue
            found = replace(unit, factor=factor)
            is_small = bool(bits) or factor.numerator <= most
            if is_small and (exactly - off) ** 2 < found.square < (exactly + off) ** 2:
                return found
    return None


@cache
def _units() -> list[tuple[Irrational, float]]:
    """Return what a factor is sought for, the simplest first, and how large each is."""
    one = Fraction(1)
    units = [Irrational(one, root, half) for half in HALF_POWERS for root in ROOTS]
    units += [Irrational(one, other=o, other_power=power) for o in OTHERS for power in (1, -1)]
    return [(unit, float(unit.square) ** 0.5) for unit in units]


def _largest(digits: int, most: int) -> int:
    """Return which numbers are small beside a float, so that hardly any float is hit by chance."""
    return min(most, int((10 if most == LARGEST else 30) * 10 ** ((digits - FEWEST_DIGITS) / 2)))


def _ends(ratio: Fraction) -> bool:
    """Say whether a ratio has a decimal that ends, which one would have written instead."""
    left = ratio.denominator
    for prime in (2, 5):
        while left % prime == 0:
            left //= prime
    return left == 1
