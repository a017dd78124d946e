"""gradcheck accepts right gradients, rejects wrong ones, and refuses misleading questions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.gradcheck import STEP, gradcheck
from backprop_lib.layers import linear

RNG = np.random.default_rng(5)
POINT = {"x": RNG.standard_normal((3, 4)), "W": RNG.standard_normal((2, 4)), "b": RNG.random(2)}
METHODS = pytest.mark.parametrize("method", ["entries", "direction"])


def exp_forward(x):
    y = np.exp(x)
    return y, (y,)


def exp_backward(dy, y):
    return dy * y


def relu_forward(x):
    return np.maximum(x, 0), (x,)


def relu_backward(dy, x):
    return dy * (x > 0)


@METHODS
def test_right_gradients_agree(method):
    report = gradcheck(linear, **POINT, method=method)
    assert report
    assert repr(report) == "\n".join(f"d{name} agrees within 1e-06" for name in POINT)
    assert all(0 <= error < 1e-9 for error in report.errors.values())


@METHODS
@pytest.mark.parametrize(
    ("wrong", "backward"),
    [
        ("x", lambda dy, x, W: (-dy @ W, dy.T @ x, dy.sum(0))),
        ("x", lambda dy, x, W: ((dy @ W) * 1.00001, dy.T @ x, dy.sum(0))),
        ("W", lambda dy, x, W: (dy @ W, dy.T @ x / 3, dy.sum(0))),
        ("W", lambda dy, x, W: (dy @ W, dy.T @ x[::-1], dy.sum(0))),
        ("b", lambda dy, x, W: (dy @ W, dy.T @ x, dy[0])),
        ("b", lambda dy, x, W: (dy @ W, dy.T @ x, 0 * dy[0])),
    ],
)
def test_wrong_gradients_are_found_and_no_other_is_blamed(method, wrong, backward):
    report = gradcheck(linear.forward, backward, **POINT, method=method)
    assert [c.name for c in report.comparisons if not c.agrees] == [wrong]
    assert report.errors[wrong] > 1e-6


def test_says_which_entry_is_wrong():
    def backward(dy, x, W):
        dW = dy.T @ x
        dW[1, 2] += 1
        return dy @ W, dW, dy.sum(0)

    assert "dW differs: entry [1, 2] is claimed" in repr(
        gradcheck(linear.forward, backward, **POINT)
    )


def test_a_gradient_of_the_wrong_shape_does_not_hide_the_others():
    report = gradcheck(linear.forward, lambda dy, x, W: (dy @ W, x.T @ dy, dy.sum(0)), **POINT)
    assert repr(report) == (
        "dx agrees within 1e-06\ndW has shape (4, 2), expected W's (2, 4)\ndb agrees within 1e-06"
    )


def test_a_gradient_of_nan_does_not_agree():
    report = gradcheck(
        linear.forward, lambda dy, x, W: (dy @ W * np.nan, dy.T @ x, dy.sum(0)), **POINT
    )
    assert [c.name for c in report.comparisons if not c.agrees] == ["x"]


def test_a_random_direction_costs_two_evaluations_whatever_the_size():
    calls = []

    def counted(x):
        calls.append(x)
        return exp_forward(x)

    report = gradcheck(counted, exp_backward, x=RNG.standard_normal(1000), method="direction")
    assert report
    assert report.comparisons[0].evaluations == 2
    assert len(calls) == 3  # one for y and the cache


@given(st.floats(-300, 300), st.floats(1e-3, 1e3))
def test_curved_functions_agree_at_any_scale(x, factor):
    def forward(x):
        return np.sin(x) + factor * x**3, (x,)

    def backward(dy, x):
        return dy * (np.cos(x) + 3 * factor * x**2)

    assert gradcheck(forward, backward, x=np.array([x, x / 7 + 1]))


def test_a_gradient_that_is_zero_agrees():
    def forward(x, b):
        shifted = x + b
        return shifted - shifted.mean(), ()

    def backward(dy):
        return dy - dy.mean(), np.zeros(())

    report = gradcheck(forward, backward, x=RNG.standard_normal(50), b=np.array(0.7))
    assert report
    assert "db agrees, but the slopes are lost in rounding" in repr(report)


def test_says_when_rounding_hides_the_slopes():
    report = gradcheck(lambda x: (1e8 + x**2, (x,)), lambda dy, x: 2 * dy * x, x=np.array([1.5, 2]))
    assert report
    assert "the slopes are lost in rounding" in repr(report)


def test_a_kink_is_named():
    report = gradcheck(relu_forward, relu_backward, x=np.array([1.0, 0.0, -1.0]))
    assert not report
    assert "a kink or a tie, where there is no gradient" in repr(report)
    assert gradcheck(relu_forward, relu_backward, x=np.array([1.0, 0.1, -1.0]))


def test_an_empty_input_agrees():
    assert gradcheck(linear, **POINT | {"x": np.ones((0, 4))})


def test_const_is_passed_on_and_not_checked():
    def forward(x, eps):
        return x / eps, (eps,)

    report = gradcheck(
        forward, lambda dy, eps: dy / eps, x=np.array([1.0, 2.0]), const={"eps": 0.25}
    )
    assert report
    assert list(report.errors) == ["x"]


def test_float32_is_checked_in_float64():
    assert gradcheck(linear, **{name: array.astype(np.float32) for name, array in POINT.items()})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.ones((3, 4), int)}, TypeError, "x holds int64, expected floats"),
        ({"x": np.ones((3, 4), object)}, TypeError, "x holds object, expected floats"),
        ({"x": np.full((3, 4), np.nan)}, ValueError, r"x\[0, 0\] is nan"),
        ({"dy": np.ones((3, 2))}, ValueError, r"dy is constant \(every entry is 1\)"),
        ({"dy": np.ones((2, 3))}, ValueError, r"dy has shape \(2, 3\), expected y's \(3, 2\)"),
        ({"dy": np.full((3, 2), np.inf)}, ValueError, r"dy\[0, 0\] is inf"),
        ({"method": "all"}, ValueError, "method is 'all', expected"),
    ],
)
def test_misleading_questions_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        gradcheck(linear, **POINT | change)


def test_a_single_output_may_have_a_constant_upstream():
    assert gradcheck(
        lambda x: (x.sum(keepdims=True), ()),
        lambda dy: np.repeat(dy, 3),
        x=np.array([1.0, 2.0, 4.0]),
        dy=np.array([1.0]),
    )


def test_the_step_balances_truncation_and_rounding():
    def error(step):
        slope = (np.exp(1 + step) - np.exp(1 - step)) / (2 * step)
        return abs(slope / np.e - 1)

    assert error(STEP) < error(100 * STEP)
    assert error(STEP) < error(STEP / 1000)
