"""Dual numbers give the slope, exactly; at a kink, that of the side to which they move."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from backprop_lib.layers import batchnorm1d
from backprop_lib.ops import max as max_
from backprop_lib.proof import slopes
from backprop_lib.proof.dual import Dual, Met, UndefinedError
from backprop_lib.proof.refusal import NotFollowedError
from backprop_lib.proof.scalar import OF_ENTRIES

A, B = sp.Rational(3, 2), sp.Integer(5)


@pytest.mark.parametrize(
    ("compute", "value", "slope"),
    [
        (lambda u: u + 2, A + 2, B),
        (lambda u: 2 - u, 2 - A, -B),
        (lambda u: u - u, 0, 0),
        (lambda u: 3 * u, 3 * A, 3 * B),
        (lambda u: u * u, A**2, 2 * A * B),
        (lambda u: 1 / u, 1 / A, -B / A**2),
        (lambda u: u / 4, A / 4, B / 4),
        (lambda u: u**3, A**3, 3 * A**2 * B),
        (lambda u: u**0, 1, 0),
        (lambda u: u**0.5, sp.sqrt(A), B / (2 * sp.sqrt(A))),
        (lambda u: u.sqrt(), sp.sqrt(A), B / (2 * sp.sqrt(A))),
        (lambda u: u.exp(), sp.exp(A), B * sp.exp(A)),
        (lambda u: u.expm1(), sp.exp(A) - 1, B * sp.exp(A)),
        (lambda u: u.log(), sp.log(A), B / A),
        (lambda u: u.log1p(), sp.log(A + 1), B / (A + 1)),
        (lambda u: u.tanh(), sp.tanh(A), B * (1 - sp.tanh(A) ** 2)),
        (lambda u: abs(-u), A, B),
        (lambda u: -u, -A, -B),
        (lambda u: u.conjugate(), A, B),
        (lambda u: u + Fraction(1, 3), A + sp.Rational(1, 3), B),
        (lambda u: 0.1 * u, A / 10, B / 10),
    ],
)
def test_computes_value_and_slope(compute, value, slope):
    result = compute(Dual(A, B, Met()))
    assert abs(sp.N(result.value - value, 40)) < 1e-35
    assert abs(sp.N(result.slope - slope, 40)) < 1e-35


@pytest.mark.parametrize(
    ("compute", "error"),
    [
        (lambda z: 1 / z, UndefinedError),
        (lambda z: z.sqrt(), UndefinedError),
        (lambda z: (z - 1).sqrt(), UndefinedError),
        (lambda z: z.log(), UndefinedError),
        (lambda z: 2**z, NotFollowedError),
        (lambda z: z**z, NotFollowedError),
        (lambda z: float(z), NotFollowedError),
        (lambda z: z // 2, NotFollowedError),
        (lambda z: bool(z), NotFollowedError),
        (lambda z: z * (1 / 3), NotFollowedError),
    ],
)
def test_what_has_no_slope_or_no_exact_value_is_refused(compute, error):
    with pytest.raises(error):
        compute(Dual(sp.Integer(0), B, Met()))


def test_a_tie_is_noted_and_decided_by_the_slopes():
    met = Met()
    slow, fast = Dual(A, sp.Integer(1), met), Dual(A, sp.Integer(2), met)
    assert not met.tie
    assert slow < fast
    assert fast >= slow
    assert slow != fast
    assert met.tie


def test_what_is_equal_by_construction_is_no_tie():
    met = Met()
    u = Dual(A, B, met)
    assert u == u
    zero = u * 0
    assert zero == 0
    assert not zero > 0
    assert not met.tie
    assert u - u == 0  # nobody can tell that it is always 0
    assert met.tie


def relu(z):
    return np.maximum(z, 0), (z,)


def test_the_two_slopes_of_relu_at_zero():
    assert slopes(relu, z=[0], along={"z": [1]}) == (0, 1)
    assert slopes(relu, z=[0], along={"z": [-1]}) == (-1, 0)
    assert slopes(relu, z=[2], along={"z": [3]}) == (3, 3)


def test_every_tied_entry_is_no_subgradient():
    x = [[[1, 1, 1, 1, 1]]]
    everyone = np.ones((1, 1, 5), dtype=int)
    left, right = slopes(max_.forward, x=x, along={"x": everyone})
    assert (left, right) == (1, 1)
    every_tied_entry = everyone  # the claimed gradient with dy = 1
    assert (every_tied_entry * everyone).sum() == 5  # neither slope, nor between them
    first_only = np.zeros_like(everyone)
    first_only[0, 0, 0] = 1
    for direction in (everyone, [[[1, 0, 0, 0, 0]]], [[[-1, 2, 0, -3, 1]]]):
        left, right = slopes(max_.forward, x=x, along={"x": direction})
        assert left <= (first_only * direction).sum() <= right


def test_an_upstream_of_ones_hides_batch_normalisation():
    x, v = [[1], [2], [5]], [[1], [0], [3]]
    inputs = {"x": x, "W": [2], "b": [1], "along": {"x": v}, "const": {"eps": 1}}
    assert slopes(batchnorm1d.forward, **inputs) == (0, 0)
    left, right = slopes(batchnorm1d.forward, dy=[[1], [2], [4]], **inputs)
    assert left == right != 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"z": [0], "along": {"z": [1, 2]}},
            ValueError,
            r"along has z: \(2,\), expected directions",
        ),
        (
            {"z": [0], "along": {"z": [1]}, "dy": [1, 2]},
            ValueError,
            r"dy has shape \(2,\), expected",
        ),
        ({"z": [0], "along": {"w": [1]}}, ValueError, "along has w: there is no such input"),
        ({"z": [1 / 3], "along": {"z": [1]}}, TypeError, "0.333"),
        ({"along": {}}, TypeError, "z is not given: forward takes z"),
    ],
)
def test_bad_points_and_directions_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        slopes(relu, **arguments)


def test_a_point_without_a_slope_is_an_arithmetic_error():
    with pytest.raises(ArithmeticError, match="the slope of a root at 0"):
        slopes(lambda x: (np.sqrt(x), ()), x=[0], along={"x": [1]})


def test_an_input_may_be_a_single_number():
    assert slopes(lambda s: (s * s, (s,)), s=3, along={"s": 2}) == (12, 12)
    assert slopes(lambda s: (np.maximum(s, 0), (s,)), s=0, along={"s": 1}) == (0, 1)


@pytest.mark.parametrize("name", [function.__name__ for function in OF_ENTRIES])
def test_functions_of_plain_numbers_among_the_entries_are_followed(name):
    """np.maximum(x, 1/4) puts a plain 1/4 beside exact numbers."""
    small, large = Fraction(1, 8), Fraction(1, 2)
    more = [1] * (getattr(np, name).nin - 1)

    def function(x):
        return getattr(np, name)(x, *more), ()

    left, right = slopes(
        lambda x: function(np.maximum(x, 0.25)), along={"x": [1, 1]}, x=[small, large]
    )
    beside = slopes(function, along={"x": [1]}, x=[large])
    assert left == right == beside[0] == beside[1] != 0
