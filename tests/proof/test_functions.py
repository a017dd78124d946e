"""Functions of one number: their slopes, and gradients in which they stand, right and wrong."""

import math

import numpy as np
import pytest

from backprop_lib.proof import prove
from backprop_lib.proof.dual import slopes

SLOPES = {
    "sin": (lambda x: np.sin(3 * x), lambda x: 3 * np.cos(3 * x)),
    "cos": (lambda x: np.cos(x * x), lambda x: -2 * x * np.sin(x * x)),
    "tan": (lambda x: np.tan(x), lambda x: 1 + np.tan(x) ** 2),
    "arcsin": (lambda x: np.arcsin(x / 9), lambda x: 1 / np.sqrt(81 - x * x)),
    "arctan": (lambda x: np.arctan(2 * x), lambda x: 2 / (1 + 4 * x * x)),
    "sinh": (lambda x: np.sinh(x), lambda x: np.cosh(x)),
    "cosh": (lambda x: np.cosh(2 * x), lambda x: 2 * np.sinh(2 * x)),
    "tanh": (lambda x: np.tanh(x / 2), lambda x: (1 - np.tanh(x / 2) ** 2) / 2),
    "arctanh": (lambda x: np.arctanh(x / 9), lambda x: 9 / (81 - x * x)),
    "log2": (lambda x: np.log2(1 + x * x), lambda x: 2 * x / ((1 + x * x) * np.log(2))),
    "log10": (lambda x: np.log10(1 + x * x), lambda x: 2 * x / (1 + x * x) / np.log(10)),
    "exp2": (lambda x: np.exp2(x), lambda x: np.exp2(x) * np.log(2)),
    "hypot": (lambda x: np.hypot(x, 1 + x), lambda x: (2 * x + 1) / np.hypot(x, 1 + x)),
    "logaddexp": (lambda x: np.logaddexp(0, x), lambda x: 1 / (1 + np.exp(-x))),
    "clip": (lambda x: np.clip(x, -1, 3) ** 2, lambda x: 2 * x * (x > -1) * (x < 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", SLOPES)
def test_exact_slopes_are_those_of_the_derivative(name):
    f, slope = SLOPES[name]
    for point in (2, -3):
        x = np.array([point])
        left, right = slopes(lambda x: (f(x), ()), x=x, along={"x": np.array([1])})
        assert left == right
        assert math.isclose(float(right), slope(point), rel_tol=1e-12)


@pytest.mark.parametrize("name", SLOPES)
def test_their_gradients_are_proven_and_damaged_ones_are_not(name):
    f, slope = SLOPES[name]
    (right,) = prove(lambda x: (f(x), (x,)), lambda dy, x: dy * slope(x), x="N C")
    assert right.status == "proven", right
    assert right.reason == " for all sizes"
    (wrong,) = prove(lambda x: (f(x), (x,)), lambda dy, x: dy * slope(-x) * 2, x="N C")
    assert wrong.status == "refuted", wrong
