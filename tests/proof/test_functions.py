"""Functions of one number: their slopes, and gradients in which they stand, right and wrong."""

import math
from math import sqrt
from math import sqrt as root

import numpy as np
import pytest

from backprop_lib.proof import calculus, prove
from backprop_lib.proof.dual import slopes
from backprop_lib.proof.refusal import NotFollowedError, followed
from backprop_lib.proof.symbolic import Run

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
    "third root": (lambda x: (1 + x * x) ** (1 / 3), lambda x: 2 * x / 3 * (1 + x * x) ** (-2 / 3)),
    "broken power": (lambda x: (1 + x * x) ** 1.7, lambda x: 3.4 * x * (1 + x * x) ** 0.7),
    "heaviside": (lambda x: x * np.heaviside(x, 0), lambda x: np.heaviside(x, 0) + 0 * x),
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


def damaged(backward):
    """Multiply every gradient by 1 + 1/100: wrong everywhere, and not by much."""

    def wrong(*arguments):
        result = backward(*arguments)
        many = result if isinstance(result, tuple) else (result,)
        return tuple(gradient * 1.01 for gradient in many)

    return wrong


def standardised(x, eps=1e-6):
    centred = x - x.mean(axis=1, keepdims=True)
    deviation = x.std(axis=1, keepdims=True)
    return centred / (deviation + eps), (centred, deviation, eps)


def of_standardised(dy, centred, deviation, eps):
    below = deviation + eps
    along = (dy * centred).mean(axis=1, keepdims=True)
    return (dy - dy.mean(axis=1, keepdims=True)) / below - centred * along / (deviation * below**2)


def unit(x, eps=1e-8):
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / (length + eps), (x, length, eps)


def of_unit(dy, x, length, eps):
    along = (dy * x).sum(axis=1, keepdims=True)
    return dy / (length + eps) - x * along / (length * (length + eps) ** 2)


def cosine(a, b, eps=1e-8):
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1) + eps
    return (a * b).sum(axis=1) / lengths, (a, b, lengths)


def of_cosine(dy, a, b, below):
    product = (a * b).sum(axis=1)
    la, lb = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    to_a = (dy / below)[:, None] * b - (dy * product * lb / (la * below**2))[:, None] * a
    to_b = (dy / below)[:, None] * a - (dy * product * la / (lb * below**2))[:, None] * b
    return to_a, to_b


def squash(x):
    square = (x * x).sum(axis=1, keepdims=True)
    return x * np.sqrt(square) / (1 + square), (x, square)


def of_squash(dy, x, square):
    length, along = np.sqrt(square), (dy * x).sum(axis=1, keepdims=True)
    return dy * length / (1 + square) + x * along * (1 - square) / (length * (1 + square) ** 2)


def mish(x):
    return x * np.tanh(np.log1p(np.exp(x))), (x,)


def of_mish(dy, x):
    e = np.exp(x)
    above = 4 * (x + 1) + 4 * e**2 + e**3 + e * (4 * x + 6)
    return dy * e * above / (2 * e + e**2 + 2) ** 2


def hinge(s, t):
    loss = np.maximum(0, 1 - s * t)
    return loss.mean(), (s, t, loss)


def of_hinge(dy, s, t, loss):
    return dy * np.where(loss > 0, -t, 0) / s.shape[0]


def entropy(p, t):
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(), (p, t)


def of_entropy(dy, p, t):
    return dy * (p - t) / (p * (1 - p)) / p.shape[0]


def two_roots(x):
    return 1 / (np.sqrt(1 + x * x) + np.sqrt(2 + x * x)), (x,)


def of_two_roots(dy, x):
    a, b = np.sqrt(1 + x * x), np.sqrt(2 + x * x)
    return -dy * x * (1 / a + 1 / b) / (a + b) ** 2


def weighted(x, w):
    """Sums in which the denominator is summed, too."""
    return w * (1 / (1 + np.sqrt(1 + x * x))).sum(axis=0), (x, w)


def of_weighted(dy, x, w):
    root = np.sqrt(1 + x * x)
    return -dy * w * x / (root * (1 + root) ** 2), (dy * (root - 1) / (x * x)).sum(axis=0)


_erf = np.vectorize(math.erf)


def gelu(x):
    half = 0.5 * (1 + _erf(x / np.sqrt(2)))
    return x * half, (x, half)


def of_gelu(dy, x, half):
    return dy * (half + x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi))


normal = np.vectorize(lambda z: (1 + math.erf(z / math.sqrt(2))) / 2)


def scores(q, k):
    return q @ k.T / math.sqrt(q.shape[1]), (q, k)


def of_scores(dy, q, k):
    return dy @ k / math.sqrt(q.shape[-1]), dy.T @ q / q.shape[-1] ** 0.5


def scores_by_name(q, k):
    return q @ k.T / sqrt(q.shape[1]), (q, k)


def of_scores_by_name(dy, q, k):
    scale = 1 / root(float(q.shape[-1]))
    return dy @ k * scale, dy.T @ q * scale


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def deep(x):
    return np.tanh(sigmoid(np.tanh(sigmoid(np.tanh(x))))), (x,)


def of_deep(dy, x):
    a = np.tanh(x)
    b = sigmoid(a)
    c = np.tanh(b)
    d = sigmoid(c)
    return dy * (1 - np.tanh(d) ** 2) * d * (1 - d) * (1 - c * c) * b * (1 - b) * (1 - a * a)


def gated(x, h, u, v, w):
    """A cell with a gate: its state is h, its new one lies between h and a tanh."""
    gate, reset = sigmoid(x @ u + h @ v), sigmoid(h @ w)
    new = np.tanh(x @ w + (reset * h) @ v)
    return gate * h + (1 - gate) * new, (x, h, u, v, w, gate, reset, new)


def of_gated(dy, x, h, u, v, w, gate, reset, new):
    d_new = dy * (1 - gate) * (1 - new**2)
    d_gate = dy * (h - new) * gate * (1 - gate)
    d_product = d_new @ v.T
    d_reset = d_product * h * reset * (1 - reset)
    return (
        d_gate @ u.T + d_new @ w.T,
        dy * gate + d_gate @ v.T + d_product * reset + d_reset @ w.T,
        x.T @ d_gate,
        h.T @ d_gate + (reset * h).T @ d_new,
        x.T @ d_new + h.T @ d_reset,
    )


TWO = {"a": "N C", "b": "N C"}
PAIRS = {
    "deviation plus eps": (standardised, of_standardised, {"x": "N C"}),
    "length plus eps": (unit, of_unit, {"x": "N C"}),
    "cosine with eps": (cosine, of_cosine, TWO),
    "squash": (squash, of_squash, {"x": "N C"}),
    "Mish": (mish, of_mish, {"x": "N C"}),
    "hinge": (hinge, of_hinge, {"s": "N", "t": "const N"}),
    "entropy": (entropy, of_entropy, {"p": "N", "t": "const N"}),
    "two roots in a denominator": (two_roots, of_two_roots, {"x": "N"}),
    "roots in a sum": (weighted, of_weighted, {"x": "N C", "w": "C"}),
    "GELU with erf": (gelu, of_gelu, {"x": "N C"}),
    "a function of one number, vectorized": (
        lambda x: (x * normal(x), (x,)),
        lambda dy, x: dy * (normal(x) + x * np.exp(-(x**2) / 2) * 0.3989422804),
        {"x": "N"},
    ),
    "the root of a size, by math": (scores, of_scores, {"q": "N D", "k": "M D"}),
    "the root of a size, by name": (
        scores_by_name, of_scores_by_name, {"q": "N D", "k": "M D"},
    ),
    "five functions, one in the other": (deep, of_deep, {"x": "N"}),
    "a gated cell": (
        gated, of_gated, {"x": "N D", "h": "N D", "u": "D D", "v": "D D", "w": "D D"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_right_gradients_are_proven(name):
    forward, backward, shapes = PAIRS[name]
    for verdict in prove(forward, backward, **shapes):
        assert verdict.status == "proven", verdict
        assert verdict.reason == " for all sizes"


@pytest.mark.parametrize("name", PAIRS)
def test_damaged_gradients_are_never_proven(name):
    forward, backward, shapes = PAIRS[name]
    verdicts = list(prove(forward, damaged(backward), budget=8, **shapes))
    assert all(verdict.status not in ("proven", "proven at") for verdict in verdicts), verdicts
    assert any(verdict.status == "refuted" for verdict in verdicts)


def test_what_a_mask_leaves_is_not_multiplied_by_what_is_zero_there():
    p, t = calculus.entry("p"), calculus.entry("t")
    rest = calculus.ONE - p
    equal = (p - t) * (p * rest) ** -1 + t * p**-1 - (calculus.ONE - t) * rest**-1
    assert equal.terms
    assert calculus.vanishes(equal)
    assert not calculus.vanishes(equal + 7 * calculus.zero(rest))
    assert not calculus.vanishes(equal + t)


def test_two_comparisons_of_one_number_are_told_by_their_bounds():
    x = calculus.entry("x")
    above = {bound: calculus.step(x - calculus.number(bound)) for bound in (1, 2)}
    below = calculus.step(calculus.ONE - x)
    assert above[1] * above[2] == above[2]
    assert not (above[1] * below).terms
    assert not (above[2] * calculus.zero(x - calculus.ONE)).terms


def test_math_is_as_it_was_after_a_run():
    before = math.sqrt, math.erf, np.vectorize.__call__
    prove(scores, of_scores, q="N D", k="M D")
    with pytest.raises(ValueError, match="math domain error"):
        followed("forward", Run(), lambda: math.sqrt(-1))
    assert (math.sqrt, math.erf, np.vectorize.__call__) == before


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (lambda x: math.sqrt(x), "calls math.sqrt with an array"),
        (lambda x: x * math.gamma(x.shape[0]), "needs the size N as a number"),
        (lambda x: np.vectorize(lambda z: x * z)(x), "of a function that returns an array"),
        (lambda x: np.vectorize(lambda z: 1 if z > 0 else z)(x), "needs an entry"),
    ],
)
def test_what_math_cannot_be_asked_is_refused(code, reason):
    run = Run()
    with pytest.raises(NotFollowedError, match=reason):
        followed("forward", run, lambda: code(run.array("x", ("N",))))
