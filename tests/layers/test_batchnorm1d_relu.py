"""Batch normalisation with ReLU: plain loops, open and closed places, what is no number."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.layers import batchnorm1d, batchnorm1d_relu
from backprop_lib.proof import slopes
from backprop_lib.recorded import load

TRAINING = batchnorm1d_relu
EVALUATION = SimpleNamespace(
    forward=batchnorm1d_relu.forward_evaluation, backward=batchnorm1d_relu.backward_evaluation
)


def draw(shape, seed=0):
    rng = np.random.default_rng(seed)
    x, dy = rng.standard_normal(shape), rng.standard_normal(shape)
    W, b = rng.uniform(0.5, 2, shape[1]) * rng.choice([-1, 1], shape[1]), rng.normal(size=shape[1])
    return {"x": x, "W": W, "b": b / 3}, dy


def given_statistics(channels, seed=1):
    rng = np.random.default_rng(seed)
    return {"mean": rng.standard_normal(channels), "var": rng.uniform(0.3, 2, channels)}


def run(mode, arrays, dy):
    const = given_statistics(arrays["x"].shape[1]) if mode is EVALUATION else {}
    const = {name: value.astype(dy.dtype) for name, value in const.items()}
    y, cache = mode.forward(**arrays, **const)
    return y, *mode.backward(dy, *cache)


EACH_MODE = pytest.mark.parametrize("mode", [TRAINING, EVALUATION], ids=["training", "evaluation"])


@pytest.mark.parametrize("name", ["batchnorm1d_relu", "batchnorm1d_relu_evaluation"])
def test_pytorch_was_asked_where_the_relu_is_open_and_where_it_is_closed(name):
    mixed = [case for case in load(name) if 0 < np.mean(case.y > 0) < 1]
    assert len(mixed) >= 8


@given(
    st.integers(2, 4),
    st.integers(1, 3),
    st.sampled_from([(), (1,), (3,), (2, 2)]),
    st.integers(0, 2**32 - 1),
)
def test_is_the_chain_rule_with_the_whole_jacobian(n, c, lengths, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, (n, c, *lengths)).astype(float)
    W, b = rng.integers(-3, 4, c).astype(float), rng.integers(-3, 4, c).astype(float)
    dy = rng.integers(-9, 10, x.shape).astype(float)
    y, cache = TRAINING.forward(x, W, b, eps=0.5)
    dx, dW, db = TRAINING.backward(dy, *cache)
    for channel in range(c):
        entries, upstream = x[:, channel].ravel(), dy[:, channel].ravel()
        M = len(entries)
        r = 1 / np.sqrt(((entries - entries.mean()) ** 2).sum() / M + 0.5)
        x_hat = (entries - entries.mean()) * r
        z = W[channel] * x_hat + b[channel]
        if (abs(z) < 1e-9).any():  # a kink, but for rounding
            return
        by_x = np.zeros((M, M))
        for i in range(M):
            for j in range(M):
                by_x[i, j] = W[channel] * r * ((i == j) - 1 / M - x_hat[i] * x_hat[j] / M)
        is_open = np.diag([1.0 if entry > 0 else 0.0 for entry in z])
        expected = upstream @ is_open @ by_x
        np.testing.assert_allclose(y[:, channel].ravel(), is_open @ z, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(dx[:, channel].ravel(), expected, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(dW[channel], upstream @ is_open @ x_hat, atol=1e-10)
        assert db[channel] == sum(
            entry for entry, before in zip(upstream, z, strict=True) if before > 0
        )


def test_a_closed_place_has_a_gradient_in_training_and_none_in_evaluation():
    x = np.array([0.0, 2, 3, 4, 6])[:, None]
    W, b, dy = np.array([2.0]), np.array([-0.5]), np.array([3.0, -1, 2, 1, 1])[:, None]
    _, cache = TRAINING.forward(x, W, b, eps=0.0)
    dx, dW, db = TRAINING.backward(dy, *cache)
    np.testing.assert_allclose(dx[:, 0], [0.2, -0.2, -0.4, 0.4, 0], rtol=0, atol=1e-15)
    assert (dW[0], db[0]) == (2, 2)
    _, cache = EVALUATION.forward(x, W, b, np.array([3.0]), np.array([4.0]), eps=0.0)
    dx, dW, db = EVALUATION.backward(dy, *cache)
    assert dx[:, 0].tolist() == [0, 0, 0, 1, 1]
    assert (dW[0], db[0]) == (2, 2)


def test_at_zero_the_slope_to_the_left_is_taken():
    x, W, b = np.array([0.0, 2, 3, 4, 6])[:, None], np.array([2.0]), np.zeros(1)
    dy = np.array([3.0, -1, 2, 1, 1])[:, None]
    y, cache = TRAINING.forward(x, W, b, eps=0.0)
    assert y[:, 0].tolist() == [0, 0, 0, 1, 3]
    dx, _, db = TRAINING.backward(dy, *cache)
    assert db[0] == 2
    step = [[0], [0], [1], [0], [0]]
    left, right = slopes(
        TRAINING.forward,
        x=x,
        W=[2],
        b=[0],
        along={"x": step},
        dy=dy,
        const={"eps": 0.0},
    )
    assert (left, right) == (Fraction(-2, 5), Fraction(6, 5))
    assert dx[2, 0] == pytest.approx(float(left), abs=1e-15)


@EACH_MODE
def test_a_channel_that_is_closed_everywhere_has_no_gradient(mode):
    arrays, dy = draw((5, 3, 2))
    arrays["b"] = np.array([0.0, -50.0, 0.0])
    y, dx, dW, db = run(mode, arrays, dy)
    assert not y[:, 1].any()
    assert not dx[:, 1].any()
    assert dW[1] == db[1] == 0
    assert dx[:, [0, 2]].any()
    assert dW[[0, 2]].all()
    assert db[[0, 2]].all()


@EACH_MODE
def test_where_all_is_open_it_is_the_batch_normalisation(mode):
    arrays, dy = draw((5, 3, 2, 2))
    arrays["b"] = np.full(3, 50.0)
    const = given_statistics(3) if mode is EVALUATION else {}
    suffix = "_evaluation" if mode is EVALUATION else ""
    z, cache = getattr(batchnorm1d, f"forward{suffix}")(**arrays, **const)
    expected = (z, *getattr(batchnorm1d, f"backward{suffix}")(dy, *cache))
    for ours, theirs in zip(run(mode, arrays, dy), expected, strict=True):
        assert np.array_equal(ours, theirs)


def test_nan_stays_in_its_channel_in_training_and_in_its_place_in_evaluation():
    arrays, dy = draw((4, 3, 2))
    arrays["x"][1, 2, 0] = np.nan
    y, dx, dW, db = run(TRAINING, arrays, dy)
    assert np.isnan(y[:, 2]).all()
    assert np.isnan(dx[:, 2]).all()
    assert np.isnan(dW[2])
    for array in (y[:, :2], dx[:, :2], dW[:2], db):
        assert np.isfinite(array).all()
    y, dx, dW, db = run(EVALUATION, arrays, dy)
    assert np.argwhere(np.isnan(y)).tolist() == [[1, 2, 0]]
    assert np.isnan(dW[2])
    for array in (dx, dW[:2], db):
        assert np.isfinite(array).all()


@EACH_MODE
def test_an_infinite_upstream_gradient_does_not_pass_a_closed_place(mode):
    arrays, dy = draw((4, 3, 2))
    y, *expected = run(mode, arrays, dy)
    spoilt = np.where(y == 0, np.inf, dy)
    assert np.isinf(spoilt).any()
    for ours, theirs in zip(run(mode, arrays, spoilt)[1:], expected, strict=True):
        assert np.array_equal(ours, theirs)


def test_the_cache_holds_the_output_itself():
    arrays, _ = draw((3, 2, 4))
    y, cache = TRAINING.forward(**arrays)
    assert cache[0] is y
    assert cache[3] is arrays["W"]
