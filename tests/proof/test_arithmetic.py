"""Numbers of many digits are the exact ones, and what is equal is never called different."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp

from backprop_lib.proof.arithmetic import DIGITS, EXACTLY, SAME, WITH_DIGITS

BOTH = [EXACTLY, WITH_DIGITS]
HALF = Fraction(1, 2)


def minus(of, a, b):
    return of.plus(a, of.times(of.number(Fraction(-1)), b))


def tanh(of, a):
    one, two = of.number(Fraction(1)), of.number(Fraction(2))
    return minus(of, one, of.times(two, of.power(of.plus(of.exp(of.times(two, a)), one), -1)))


def random_number(of, rng, depth):
    """Build the same expression for the same seed, whatever the arithmetic."""
    if depth == 0:
        return of.number(Fraction(int(rng.integers(-9, 10)), int(rng.integers(1, 7))))
    kind = rng.integers(0, 7)
    a = random_number(of, rng, depth - 1)
    if kind < 2:
        return (of.plus, of.times)[kind](a, random_number(of, rng, depth - 1))
    if kind == 2:
        return of.power(a, int(rng.integers(0, 4)))
    positive = of.plus(of.times(a, a), of.number(Fraction(1, 3)))
    if kind == 3:
        return of.power(positive, (HALF, -HALF, Fraction(-1), Fraction(3, 2))[rng.integers(0, 4)])
    if kind == 4:
        return of.log(positive)
    if kind == 5:
        return of.exp(of.power(positive, Fraction(-1)))
    return tanh(of, of.power(positive, Fraction(-1)))


@pytest.mark.parametrize("seed", range(80))
def test_digits_are_those_of_the_exact_number(seed):
    exact, digits = (random_number(of, np.random.default_rng(seed), 4) for of in BOTH)
    value = sp.sympify(exact).evalf(DIGITS)
    found = sp.Rational(digits) if isinstance(digits, Fraction) else sp.Float(str(digits), DIGITS)
    assert abs(value - found) <= sp.Float(10) ** (10 - DIGITS) * (1 + abs(value))


@pytest.mark.parametrize("seed", range(80))
def test_a_sign_that_is_certain_is_the_exact_one(seed):
    signs = []
    for of in BOTH:
        rng = np.random.default_rng(seed)
        a, b = random_number(of, rng, 3), random_number(of, rng, 3)
        signs.append(of.sign(minus(of, a, b), a, b))
    exact, digits = signs
    assert digits in (exact, None)


@pytest.mark.parametrize("of", BOTH)
@pytest.mark.parametrize(
    ("value", "sign"), [(0, 0), (Fraction(1, 10**80), 1), (-(10**80), -1), (Fraction(-1, 3), -1)]
)
def test_the_sign_of_a_fraction_is_certain_however_small(of, value, sign):
    assert of.sign(of.number(Fraction(value))) == sign


@pytest.mark.parametrize("of", BOTH)
@pytest.mark.parametrize(
    ("number", "sign"),
    [
        (lambda of, one: minus(of, of.exp(one), of.number(Fraction(271828, 10**5))), 1),
        (lambda of, one: minus(of, of.log(of.plus(one, one)), of.number(Fraction(7, 10))), -1),
        (lambda of, one: minus(of, of.power(of.plus(one, one), HALF), one), 1),
        (lambda of, one: minus(of, one, tanh(of, of.times(one, of.number(20)))), 1),
    ],
)
def test_the_sign_of_what_is_not_rational(of, number, sign):
    assert of.sign(number(of, of.number(Fraction(1)))) == sign


def product_of_exponentials(of, rng):
    a, b = (of.number(Fraction(int(n), 7)) for n in rng.integers(-40, 40, 2))
    return of.times(of.exp(a), of.exp(b)), of.exp(of.plus(a, b))


def logarithm_of_an_exponential(of, rng):
    a = of.number(Fraction(int(rng.integers(-99, 99)), 13))
    return of.log(of.exp(a)), a


def square_of_a_root(of, rng):
    a = of.number(Fraction(int(rng.integers(1, 10**6)), 997))
    root = of.power(a, HALF)
    return of.times(root, root), a


def difference_of_squares(of, rng):
    """(a + b)(a - b) = a² - b² where a - b has few digits left."""
    a = of.exp(of.number(Fraction(int(rng.integers(1, 30)), 10)))
    b = of.plus(a, of.number(Fraction(1, 10**20)))
    left = of.times(of.plus(a, b), minus(of, a, b))
    return left, minus(of, of.times(a, a), of.times(b, b))


def tanh_of_the_negative(of, rng):
    a = of.number(Fraction(int(rng.integers(1, 400))))
    return tanh(of, a), of.times(of.number(Fraction(-1)), tanh(of, minus(of, of.number(0), a)))


def softmax(of, rng):
    """e^a / (e^a + e^b), with and without a shift."""
    a, b = (of.number(Fraction(int(n))) for n in rng.integers(-60, 60, 2))
    plain = of.times(of.exp(a), of.power(of.plus(of.exp(a), of.exp(b)), -1))
    return plain, of.power(of.plus(of.number(1), of.exp(minus(of, b, a))), -1)


def slope_of_tanh(of, rng):
    """1 - tanh² and 4 / (e^a + e^-a)², which is smaller than 10^-60 for a large a."""
    a = of.number(Fraction(int(rng.integers(1, 150))))
    y, one = tanh(of, a), of.number(1)
    both = of.plus(of.exp(a), of.exp(minus(of, of.number(0), a)))
    return minus(of, one, of.times(y, y)), of.times(of.number(4), of.power(both, -2))


EQUAL = [
    product_of_exponentials, logarithm_of_an_exponential, square_of_a_root, difference_of_squares,
    tanh_of_the_negative, softmax, slope_of_tanh,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("pair", EQUAL)
def test_nothing_is_called_different_that_is_equal(pair, seed):
    a, b = pair(WITH_DIGITS, np.random.default_rng(seed))
    assert not WITH_DIGITS.sign(minus(WITH_DIGITS, a, b), a, b)


def test_what_is_lost_in_rounding_has_no_certain_sign():
    a = WITH_DIGITS.exp(Fraction(1))
    b = WITH_DIGITS.plus(a, WITH_DIGITS.number(Fraction(1, 10 ** (DIGITS + 5))))
    assert WITH_DIGITS.sign(minus(WITH_DIGITS, a, b), a, b) in (0, None)
    c = WITH_DIGITS.plus(a, WITH_DIGITS.number(Fraction(1, 10 ** (SAME - 5))))
    assert WITH_DIGITS.sign(minus(WITH_DIGITS, c, a), c, a) == 1


def test_the_scale_is_that_of_the_numbers_that_are_compared():
    """1e40 + e and 1e40 + e + 1e-5 differ in the 45th digit, of which many may be wrong."""
    large = WITH_DIGITS.plus(WITH_DIGITS.exp(Fraction(1)), Fraction(10**40))
    other = WITH_DIGITS.plus(large, WITH_DIGITS.number(Fraction(1, 10**5)))
    assert WITH_DIGITS.sign(minus(WITH_DIGITS, other, large), other, large) is None


@pytest.mark.parametrize("value", [Fraction(9, 4), Fraction(1, 10**40), Fraction(0)])
def test_roots_of_squares_and_e_to_the_0_stay_rational(value):
    assert isinstance(WITH_DIGITS.power(value, HALF), Fraction)
    assert WITH_DIGITS.power(value, HALF) ** 2 == value
    assert WITH_DIGITS.exp(Fraction(0)) == 1
    assert isinstance(WITH_DIGITS.exp(Fraction(0)), Fraction)
    assert isinstance(WITH_DIGITS.log(Fraction(1)), Fraction)


def test_the_digits_are_those_of_a_context_of_its_own():
    with mpmath.workdps(10):
        third = WITH_DIGITS.times(WITH_DIGITS.exp(Fraction(1)), Fraction(1, 3))
    assert abs(third * 3 - WITH_DIGITS.exp(Fraction(1))) < mpmath.mpf(10) ** (5 - DIGITS)
    assert WITH_DIGITS.number(sp.sqrt(2)) ** 2 - 2 < mpmath.mpf(10) ** (5 - DIGITS)
