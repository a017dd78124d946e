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
    assert not report
    assert [c.name for c in report.comparisons if not c.agrees] == [wrong]
    assert report.errors[wrong] > 1e-6


def test_says_which_entry_is_wrong():
    def backward(dy, x, W):
        dW = dy.T @ x
        dW[1, 2] += 1
        return dy @ W, dW, dy.sum(0)

    assert "dW entry [1, 2] is claimed" in repr(gradcheck(linear.forward, backward, **POINT))


def test_a_gradient_of_the_wrong_shape_does_not_hide_the_others():
    report = gradcheck(linear.forward, lambda dy, x, W: (dy @ W, x.T @ dy, dy.sum(0)), **POINT)
    assert not report
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
    assert len(calls) == 5  # three for y, to see that it does not change, and the cache


@given(st.floats(-300, 300), st.floats(1e-3, 1e3))
def test_curved_functions_agree_at_any_scale(x, factor):
    def forward(x):
        return np.sin(x) + factor * x**3, (x,)

    def backward(dy, x):
        return dy * (np.cos(x) + 3 * factor * x**2)

    assert gradcheck(forward, backward, x=np.array([x, x / 7 + 1]))


def centred(x, b):
    shifted = x + b
    return shifted - shifted.mean(), ()


@pytest.mark.parametrize(("claimed", "agrees"), [(0.0, True), (1e-5, False)])
def test_a_gradient_that_is_zero_agrees_with_zero_only(claimed, agrees):
    def backward(dy):
        return dy - dy.mean(), np.full((), claimed)

    point = {"x": RNG.standard_normal(50), "b": np.array(0.7)}
    assert bool(gradcheck(centred, backward, **point)) is agrees


def test_says_when_rounding_hides_the_slopes():
    x = np.array([1.3, 2.7])
    for factor in (2, 2.0001):
        report = gradcheck(lambda x: (1e11 + x**2, (x,)), lambda dy, x, f=factor: f * dy * x, x=x)
        assert not report
        assert "it cannot be measured here to 1e-06" in repr(report)
    assert "they differ" in repr(
        gradcheck(lambda x: (1e11 + x**2, (x,)), lambda dy, x: -2 * dy * x, x=x)
    )


@METHODS
def test_our_random_numbers_are_not_the_callers(method):
    """With dy equal to x, the wrong xᵀ dy would be symmetric, and pass."""
    rng = np.random.default_rng(0)
    x, W, b = rng.standard_normal((5, 3)), rng.standard_normal((3, 3)), rng.standard_normal(3)
    wrong = gradcheck(
        linear.forward, lambda dy, x, W: (dy @ W, x.T @ dy, dy.sum(0)), x=x, W=W, b=b, method=method
    )
    assert [c.name for c in wrong.comparisons if not c.agrees] == ["W"]


def test_a_small_entry_is_checked_beside_a_large_one():
    def backward(dy, x):
        return np.where(x > 2, 2 * dy * x, -5 * dy)

    report = gradcheck(lambda x: (x * x, (x,)), backward, x=np.array([1e8, 1.0]))
    assert "dx entry [1]" in repr(report)
    assert not report


def test_forward_may_reuse_its_buffer():
    buffer = np.empty(2)

    def forward(x):
        np.multiply(x, x, out=buffer)
        return buffer, (x,)

    x = np.array([1.3, 2.0])
    assert gradcheck(forward, lambda dy, x: 2 * dy * x, x=x)
    assert not gradcheck(forward, lambda dy, x: 0 * x, x=x)


def normalise_forward(x):
    centre = x - x.mean(axis=0)
    deviation = np.sqrt((centre * centre).mean(axis=0))
    return centre / deviation, (centre / deviation, deviation)


def normalise_backward(dy, y, deviation):
    return (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / deviation


@METHODS
@pytest.mark.parametrize("offset", [0, 1e3, 1e4])
def test_inputs_far_from_zero_are_measured_with_other_steps(method, offset):
    x = offset + RNG.standard_normal((8, 3))
    assert gradcheck(normalise_forward, normalise_backward, x=x, method=method)
    assert not gradcheck(
        normalise_forward, lambda *a: 1.001 * normalise_backward(*a), x=x, method=method
    )


@pytest.mark.parametrize(
    ("function", "derivative", "x"),
    [
        (np.sin, np.cos, [1000.0, 999.0]),
        (np.log, lambda x: 1 / x, [1e-3, 1.0]),
        (np.log, lambda x: 1 / x, [1e-6, 1.0]),
        (np.sqrt, lambda x: 0.5 / np.sqrt(x), [1e-3, 1.0]),
        (np.cos, lambda x: -np.sin(x), [0.0, 1.0]),
        (np.square, lambda x: 2 * x, [0.0, 1e-9]),
        (lambda x: x**3, lambda x: 3 * x**2, [0.0, 1.0]),
        (lambda x: (x + 1e6) - 1e6, np.ones_like, [1.0, 0.3]),
    ],
)
def test_smooth_functions_agree_and_no_kink_is_seen(function, derivative, x):
    x = np.array(x)
    assert gradcheck(lambda x: (function(x), (x,)), lambda dy, x: dy * derivative(x), x=x)
    wrong = gradcheck(lambda x: (function(x), (x,)), lambda dy, x: dy * (derivative(x) + 1), x=x)
    assert not wrong
    assert "kink" not in repr(wrong)


def test_infinite_outputs_that_do_not_move_do_not_matter():
    mask = np.array([[0, -np.inf], [0, 0]])
    x = RNG.standard_normal((2, 2))
    assert gradcheck(lambda x: (x + mask, ()), lambda dy: np.where(mask == 0, dy, 0), x=x)


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (relu_forward, relu_backward),
        (relu_forward, lambda dy, x: dy * ((x > 0) + 0.5 * (x == 0))),
        (lambda x: (abs(x), (x,)), lambda dy, x: dy * np.sign(x)),
    ],
)
def test_a_kink_is_named_even_if_the_claim_fits(forward, backward):
    report = gradcheck(forward, backward, x=np.array([1.0, 0.0, -1.0]))
    assert not report
    assert repr(report) == "dx entry [1] sits at a kink or a tie, where there is no gradient"
    assert gradcheck(forward, backward, x=np.array([1.0, 0.001, -1.0]))


def test_a_changed_cache_changes_nothing_else():
    def backward(dy, cache):
        cache["x"][...] = 0
        return cache["x"]

    with pytest.raises(RuntimeError, match=r"backward changed cache\[0\] in place"):
        gradcheck(lambda x: (x**2, ({"x": x},)), backward, x=np.array([1.0, 2.0]))


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
        ({"dy": np.zeros((3, 2))}, ValueError, r"dy is constant \(every entry is 0\)"),
        ({"x": np.full((3, 4), 10, np.longdouble) ** 400}, ValueError, r"x\[0, 0\] is inf"),
        ({"method": "all"}, ValueError, "method is 'all', expected"),
        ({"x": np.ma.ones((3, 4))}, TypeError, r"x to be floats: it is a masked array: pass x\."),
        ({"dy": np.eye(3, 2).view(np.matrix)}, TypeError, r"pass np\.asarray\(dy\)"),
        ({"method": 3}, TypeError, "method is 3, expected 'entries' or 'direction'"),
        ({"tol": None}, TypeError, "tol is None, expected a number above 0 and below 1"),
        ({"tol": 0}, ValueError, "tol is 0, expected a number above 0 and below 1"),
    ],
)
def test_misleading_questions_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        gradcheck(linear, **POINT | change)


def test_nothing_to_check_is_no_agreement():
    with pytest.raises(TypeError, match="no input is given to check"):
        gradcheck(lambda x: (x, ()), lambda dy: (), const={"x": np.ones(2)})


def test_a_forward_that_counts_is_refused():
    count = iter(range(9))
    with pytest.raises(ValueError, match="forward returns another y each time"):
        gradcheck(lambda x: (x * next(count), ()), lambda dy: dy, x=np.array([1.0, 2.0]))


def test_random_numbers_are_the_same_each_time():
    rng = np.random.default_rng(0)

    def forward(x):
        factor = rng.random(2)
        return x * factor, (factor,)

    x = np.array([1.0, 2.0])
    assert gradcheck(forward, lambda dy, factor: dy * factor, x=x)
    assert not gradcheck(forward, lambda dy, factor: dy, x=x)
    assert rng.random() == np.random.default_rng(0).random()


def test_a_complex_output_is_refused():
    with pytest.raises(TypeError, match="forward returned y of complex128"):
        gradcheck(lambda x: (x + 1j * x, ()), lambda dy: dy, x=np.array([1.0, 2.0]))


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
