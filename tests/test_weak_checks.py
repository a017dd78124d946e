"""Every weak check passes what is right, misses what its docstring says, and catches the rest."""

import numpy as np
import pytest

from backprop_lib import weak_checks
from backprop_lib.layers import batchnorm1d, conv1d, linear
from backprop_lib.ops import bmm, log_softmax_nll
from backprop_lib.ops import max as max_op
from backprop_lib.weak_checks import CHECKS

NC = {"x": "N C"}


def relu(x):
    y = np.maximum(x, 0)
    return y, (x, y)


def mean_of_rows(x):
    return x.mean(axis=1), (x,)


def scaled_centred(x, W):
    """Return what has mean 0 in every channel, times W."""
    return (x - x.mean(axis=0)) * W, (x, W)


def scaled_centred_backward(dx):
    def backward(dy, x, W):
        return dx(dy, W), (dy * (x - x.mean(axis=0))).sum(axis=0)

    return backward


def largest(x):
    return x.max(axis=1), (x,)


def masked(x, mask):
    return x * mask, (x, x * mask)


def writing(dy, x, y):
    dy[x <= 0] = 0
    return dy


def erasing(dy, x, y):
    dy[...] = 0
    return dy


SCALED = {"x": "N C", "W": "C"}
RIGHT = {
    "linear, axes from the signature": (linear.forward, linear.backward, {}),
    "batch norm, *L from the signature": (batchnorm1d.forward, batchnorm1d.backward, {}),
    "conv": (conv1d.forward, conv1d.backward, {}),
    "bmm": (bmm.forward, bmm.backward, {"x": "N L C", "t": "N C C"}),
    "max": (max_op.forward, max_op.backward, {"x": "N C L"}),
    "relu": (relu, lambda dy, x, y: dy * (x > 0), NC),
    "one input, no tuple": (mean_of_rows, lambda dy, x: dy[:, None] / x.shape[1] + 0 * x, NC),
    "a constant array": (
        lambda x, mask: (x * mask, (mask,)),
        lambda dy, mask: dy * mask,
        {"x": "N C", "mask": "const N C"},
    ),
}
WRONG = {
    "transposed": (
        linear.forward,
        lambda dy, x, W: (dy @ W, x.T @ dy, dy.sum(axis=0)),
        {},
    ),
    "not summed": (linear.forward, lambda dy, x, W: (dy @ W, dy.T @ x, dy), {}),
    "zero": (scaled_centred, scaled_centred_backward(lambda dy, W: 0 * dy), SCALED),
    "W left out": (
        scaled_centred,
        scaled_centred_backward(lambda dy, W: dy - dy.mean(axis=0)),
        SCALED,
    ),
    "no branch": (relu, lambda dy, x, y: 1 * dy, NC),
    "wrong count": (mean_of_rows, lambda dy, x: dy[:, None] / x.shape[0] + 0 * x, NC),
    "every tied": (
        largest,
        lambda dy, x: dy[:, None] * (x == x.max(axis=1, keepdims=True)),
        NC,
    ),
    "passed on at 0": (
        masked,
        lambda dy, x, y: dy * np.where(x == 0, 1, y / np.where(x == 0, 1, x)),
        {"x": "N C", "mask": "const N C"},
    ),
    "writes into dy": (relu, writing, NC),
    "writes 0 into dy": (relu, erasing, NC),
    "twice as much": (relu, lambda dy, x, y: 2 * dy * (x > 0), NC),
    "not a number": (relu, lambda dy, x, y: np.nan * dy, NC),
}
PASS = {
    "shapes": set(WRONG) - {"not summed"},
    "dy = 1": {"zero", "W left out", "every tied", "passed on at 0", "writes into dy"},
    "W = 1": {"W left out", "every tied", "passed on at 0", "writes into dy"},
    "x > 0": {"no branch", "every tied", "passed on at 0", "writes into dy"},
    "equal": {"wrong count", "every tied", "passed on at 0", "writes into dy"},
    "random": {"every tied", "passed on at 0", "writes into dy"},
    "ties": {"no branch", "passed on at 0", "writes into dy"},
    "zeros": {"every tied", "writes into dy"},
    "prove": {"every tied"},
}
"""Which wrong gradients each check lets pass: what it misses, and nothing else."""


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("case", RIGHT)
def test_a_right_gradient_passes(name, case):
    assert CHECKS[name](*RIGHT[case]) is True


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_gradient_passes_only_where_it_is_said_to(name, case):
    assert CHECKS[name](*WRONG[case]) is (case in PASS[name])


def test_an_input_may_be_a_single_number():
    for name in ("shapes", "dy = 1", "equal", "random", "prove"):
        square = (lambda s: (s * s, (s,)), lambda dy, s: 2 * dy * s, {"s": ""})
        assert CHECKS[name](*square)


def test_every_check_has_a_name_and_says_what_it_misses():
    public = {
        thing
        for name, thing in vars(weak_checks).items()
        if getattr(thing, "__module__", "") == weak_checks.__name__ and name[0].islower()
    }
    assert set(CHECKS.values()) == public
    for check in CHECKS.values():
        assert "It misses" in check.__doc__


@pytest.mark.parametrize("name", [n for n in CHECKS if n not in ("ties", "zeros")])
def test_labels_have_no_gradient(name):
    axes = {"x": "N C", "t": "N < C"}

    def wrong(*cache):
        return 2 * log_softmax_nll.backward(*cache)

    assert CHECKS[name](log_softmax_nll.forward, log_softmax_nll.backward, axes)
    assert CHECKS[name](log_softmax_nll.forward, wrong, axes) is (name == "shapes")


@pytest.mark.parametrize("name", ["ties", "zeros"])
def test_labels_stay_labels_where_numbers_are_chosen(name):
    seen = []

    def picked(x, t):
        seen.append(t)
        return np.take_along_axis(x, t[:, None], axis=1)[:, 0], (x, t)

    def put_back(dy, x, t):
        dx = np.zeros_like(x)
        np.put_along_axis(dx, t[:, None], dy[:, None], axis=1)
        return dx

    axes = {"x": "N C", "t": "N < C"}
    assert CHECKS[name](picked, put_back, axes)
    assert not CHECKS[name](picked, lambda dy, x, t: 2 * put_back(dy, x, t), axes)
    assert all(np.issubdtype(t.dtype, np.integer) for t in seen if t.dtype != object)
    assert {int(label) for t in seen for label in t} <= {0, 1}  # C is 2


@pytest.mark.parametrize("name", ["ties", "zeros"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_subgradient_passes_at_a_kink_and_more_does_not(name, share):
    def absolute(x):
        return np.abs(x - 2), (x,)

    def with_slope_at_the_kink(slope):
        return lambda dy, x: dy * np.where(x == 2, slope, np.sign(x - 2))

    assert CHECKS[name](absolute, with_slope_at_the_kink(share), NC)
    if name == "ties":
        assert not CHECKS[name](absolute, with_slope_at_the_kink(1.5 + share), NC)

    def turned_over(x):  # concave: the slope to the left is the larger one
        return -np.abs(x - 2), (x,)

    backward = with_slope_at_the_kink(share)
    assert CHECKS[name](turned_over, lambda dy, x: -backward(dy, x), NC)


def test_ties_and_zeros_are_where_they_are_said_to_be():
    seen = {}

    def look(dy, x):
        seen["x"] = x.copy()
        return dy

    forward = (lambda x: (1 * x, (x,)), look, {"x": "N C L"})
    CHECKS["ties"](*forward)
    assert set(seen["x"].ravel()) == {2, 3}
    CHECKS["zeros"](*forward)
    assert (seen["x"][..., 0] == 0).all()
    rest = seen["x"][..., 1:].ravel()
    assert 0 not in rest
    assert len(set(np.abs(rest))) == len(rest)
    assert (rest < 0).any()
    assert (rest > 0).any()


def test_an_error_of_the_code_is_not_taken_for_a_wrong_gradient():
    def broken(dy, x, y):
        raise KeyError("mask")

    for name in ("shapes", "random", "ties"):
        with pytest.raises(KeyError, match="mask"):
            CHECKS[name](relu, broken, NC)
