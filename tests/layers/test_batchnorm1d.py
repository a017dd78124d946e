"""Batch normalisation: exact sums, training and evaluation, running statistics."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.layers import batchnorm1d
from backprop_lib.proof import prove
from backprop_lib.recorded import load
from backprop_lib.shapes import ShapeError

SHAPES = [(5, 3), (3, 1), (4, 3, 2), (1, 2, 5), (2, 3, 1, 4), (3, 3, 3)]
EVALUATION = (batchnorm1d.forward_evaluation, batchnorm1d.backward_evaluation)


def draw(shape, seed=0):
    rng = np.random.default_rng(seed)
    channels = shape[1:2]
    shapes = {"x": shape, "W": channels, "b": channels, "dy": shape}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def statistics(channels, seed=1):
    rng = np.random.default_rng(seed)
    return {"mean": rng.standard_normal(channels), "var": rng.uniform(0.5, 2, channels)}


def train(x, W, b, dy, **eps):
    y, cache = batchnorm1d.forward(x, W, b, **eps)
    return y, *batchnorm1d.backward(dy, *cache)


def evaluate(x, W, b, dy, mean, var, **eps):
    y, cache = batchnorm1d.forward_evaluation(x, W, b, mean, var, **eps)
    return y, *batchnorm1d.backward_evaluation(dy, *cache)


def test_running_statistics_are_those_of_pytorch():
    for case in load("batchnorm1d"):
        W = case.inputs["W"]
        zero, one = np.zeros_like(W), np.ones_like(W)
        mean, var = batchnorm1d.running_statistics(zero, one, case.inputs["x"])
        assert mean.dtype == var.dtype == case.dy.dtype
        assert np.abs(mean - case.after["mean"]).max() < case.limit, case
        assert np.abs(var - case.after["var"]).max() < case.limit, case


def test_the_two_backwards_are_not_interchangeable():
    shapes = {"x": "N C", "W": "C", "b": "C"}
    swapped = prove(batchnorm1d.forward, batchnorm1d.backward_evaluation, **shapes)
    assert [verdict.status for verdict in swapped] == ["refuted", "proven", "proven"]


@given(
    st.sampled_from([(2, 1), (4, 3), (2, 2, 4), (1, 3, 2), (8, 2, 1)]),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.integers(0, 2**32 - 1),
)
def test_is_the_sum_of_three_paths_exactly(shape, deviation, seed):
    """Half of a channel lies as far above the mean as half of it below: all is exact in floats."""
    rng = np.random.default_rng(seed)
    M = int(np.prod(shape)) // shape[1]
    signs = np.array([rng.permutation([1, -1] * (M // 2)) for _ in range(shape[1])])
    values = rng.integers(-5, 6, (shape[1], 1)) + deviation * signs
    dy = rng.integers(-9, 10, signs.shape).astype(float)
    W, b = (rng.integers(-3, 4, shape[1]).astype(float) for _ in range(2))

    def arranged(rows):
        """From one row for each channel to the shape of x."""
        return np.ascontiguousarray(np.moveaxis(rows.reshape(shape[1], shape[0], *shape[2:]), 0, 1))

    eps = 3 * deviation**2  # so that the root is 2 deviation
    y, dx, dW, db = train(arranged(values), W, b, arranged(dy), eps=eps)

    for c in range(shape[1]):
        x_c, dy_c = ([Fraction(v) for v in rows[c]] for rows in (values, dy))
        mean = sum(x_c) / M
        r = 1 / (2 * Fraction(deviation))
        centred = [v - mean for v in x_c]
        assert sum(v * v for v in centred) / M + Fraction(eps) == 1 / r**2
        g = [v * Fraction(W[c]) for v in dy_c]
        d_var = sum(a * -v for a, v in zip(g, centred, strict=True)) * r**3 / 2
        d_mean = -r * sum(g)
        expected = [a * r + d_var * 2 * v / M + d_mean / M for a, v in zip(g, centred, strict=True)]
        assert [Fraction(v) for v in dx[:, c].ravel()] == expected
        assert [Fraction(v) for v in y[:, c].ravel()] == [
            v * r * Fraction(W[c]) + Fraction(b[c]) for v in centred
        ]
        assert Fraction(dW[c]) == sum(a * v * r for a, v in zip(dy_c, centred, strict=True))
        assert Fraction(db[c]) == sum(dy_c)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.integers(0, 2**32 - 1))
def test_is_the_product_with_the_jacobian(shape, seed):
    arrays = draw(tuple(shape), seed)
    _, dx, _, _ = train(**arrays, eps=0.25)
    for c in range(shape[1]):
        x, dy = (arrays[name][:, c].ravel() for name in ("x", "dy"))
        r = (x.var() + 0.25) ** -0.5
        x_hat = (x - x.mean()) * r
        jacobian = r * (np.eye(x.size) - (1 + np.outer(x_hat, x_hat)) / x.size)
        expected = np.einsum("i,ij->j", dy * arrays["W"][c], jacobian)
        np.testing.assert_allclose(dx[:, c].ravel(), expected, rtol=1e-9, atol=1e-12)


@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=4).filter(lambda shape: shape[1] > 0),
    st.integers(0, 2**32 - 1),
)
def test_evaluation_is_exact_and_takes_an_empty_batch(shape, seed):
    rng = np.random.default_rng(seed)
    x, dy = (rng.integers(-9, 10, shape).astype(float) for _ in range(2))
    W, b, mean = (rng.integers(-5, 6, shape[1]).astype(float) for _ in range(3))
    root = rng.choice([1.0, 2.0, 4.0], shape[1])
    y, dx, dW, db = evaluate(x, W, b, dy, mean, root**2 - 0.5, eps=0.5)
    x_hat = np.einsum("nc...,c->nc...", x, 1 / root)
    x_hat -= np.einsum("nc...,c->nc...", np.ones_like(x), mean / root)
    assert np.array_equal(dx, np.einsum("nc...,c->nc...", dy, W / root))
    assert np.array_equal(
        dW, np.einsum("nc...,nc...->c...", dy, x_hat).reshape(shape[1], -1).sum(1)
    )
    assert np.array_equal(db, np.moveaxis(dy, 1, 0).reshape(shape[1], -1).sum(1))
    ones = np.ones_like(x)
    expected = np.einsum("nc...,c->nc...", x_hat, W) + np.einsum("nc...,c->nc...", ones, b)
    assert np.array_equal(y, expected)


def test_one_entry_has_no_gradient_and_two_have_almost_none():
    arrays = draw((1, 4))
    y, dx, dW, db = train(**arrays)
    assert np.array_equal(y[0], arrays["b"])
    assert not dx.any()
    assert not dW.any()
    assert np.array_equal(db, arrays["dy"][0])

    arrays = draw((2, 3))
    _, (x_hat, r, W) = batchnorm1d.forward(*(arrays[name] for name in ("x", "W", "b")), eps=0.1)
    _, dx, _, _ = train(**arrays, eps=0.1)
    centred = arrays["dy"] - arrays["dy"].mean(axis=0)
    np.testing.assert_allclose(dx, 0.1 * r**3 * W * centred, rtol=1e-12)
    np.testing.assert_allclose(x_hat**2, np.stack([1 - 0.1 * r**2] * 2), rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_left_along_ones_and_along_the_normalised_input(shape):
    arrays = draw(shape)
    axes = (0, *range(2, len(shape)))
    _, (x_hat, r, W) = batchnorm1d.forward(*(arrays[name] for name in ("x", "W", "b")), eps=0.3)
    _, dx, dW, _ = train(**arrays, eps=0.3)
    np.testing.assert_allclose(dx.sum(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose((x_hat * dx).sum(axis=axes), 0.3 * r**3 * W * dW, rtol=1e-9)


def test_axes_behind_the_channels_may_be_put_into_one():
    arrays = draw((2, 3, 4, 5))
    flat = {k: a.reshape(2, 3, 20) if a.ndim == 4 else a for k, a in arrays.items()}
    for ours, theirs in zip(train(**arrays), train(**flat), strict=True):
        np.testing.assert_allclose(ours.ravel(), theirs.ravel(), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_running_statistics_keep_the_precision(dtype):
    given = {name: array.astype(dtype) for name, array in statistics(3).items()}
    x = draw((4, 3, 2))["x"].astype(dtype)
    results = batchnorm1d.running_statistics(**given, x=x)
    assert {result.dtype for result in results} == {np.dtype(dtype)}


def test_a_large_mean_costs_no_digits():
    arrays = draw((64, 2))
    arrays["x"] = np.round(arrays["x"] * 16) / 16
    expected = train(**arrays)
    arrays["x"] = arrays["x"] + 4096  # exact in float32
    ours = train(**{name: array.astype(np.float32) for name, array in arrays.items()})
    for result, exact in zip(ours, expected, strict=True):
        assert np.abs(result - exact).max() < 1e-4 * np.abs(exact).max()


def test_a_constant_channel_is_shifted_to_the_bias():
    arrays = draw((6, 2)) | {"x": np.full((6, 2), 3.0)}
    y, dx, dW, _ = train(**arrays, eps=0.25)
    assert np.array_equal(y, np.stack([arrays["b"]] * 6))
    assert not dW.any()
    centred = arrays["dy"] - arrays["dy"].mean(axis=0)
    np.testing.assert_allclose(dx, 2 * arrays["W"] * centred, rtol=1e-12, atol=1e-14)


def test_nan_stays_in_its_channel():
    arrays = draw((4, 3, 2))
    arrays["x"][1, 2, 0] = np.nan
    y, dx, dW, db = train(**arrays)
    assert np.isnan(y[:, 2]).all()
    assert np.isnan(dx[:, 2]).all()
    assert np.isnan(dW[2])
    assert np.isfinite(db).all()
    for result in (y[:, :2], dx[:, :2], dW[:2]):
        assert np.isfinite(result).all()

    y, dx, dW, _ = evaluate(**arrays, **statistics(3))
    assert np.isnan(y).sum() == np.isnan(dW).sum() == 1
    assert np.isfinite(dx).all()


def test_running_statistics_move_by_the_momentum_and_keep_the_unbiased_variance():
    mean, var = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    x = np.array([[[0.0, 2.0], [1.0, 1.0]], [[4.0, 6.0], [3.0, 7.0]]])
    new_mean, new_var = batchnorm1d.running_statistics(mean, var, x, momentum=0.25)
    assert new_mean.tolist() == [0.75 + 0.25 * 3, 1.5 + 0.25 * 3]
    np.testing.assert_allclose(
        new_var, [0.75 * 3 + 0.25 * 20 / 3, 0.75 * 4 + 0.25 * 24 / 3], rtol=1e-15
    )
    assert (mean.tolist(), var.tolist()) == ([1, 2], [3, 4])


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1), (0, 3)])
def test_running_statistics_need_two_entries(shape):
    count = int(np.prod(shape)) // 3
    with pytest.raises(ValueError, match="at least 2") as raised:
        batchnorm1d.running_statistics(np.zeros(3), np.ones(3), np.ones(shape))
    assert str(raised.value) == (
        f"batchnorm1d.running_statistics: x has shape {shape}, which is {count} to a channel; "
        "expected at least 2, of which a variance can be estimated"
    )


@pytest.mark.parametrize(("shape", "axis"), [((0, 3), "N"), ((2, 0), "C"), ((2, 3, 0), "L")])
def test_there_must_be_an_entry_to_average(shape, axis):
    channels = np.ones(shape[1])
    with pytest.raises(ShapeError, match=f"forward: x has shape .* with {axis} at least 1"):
        batchnorm1d.forward(np.ones(shape), channels, channels)
    with pytest.raises(ShapeError, match=f"backward: dy has shape .* with {axis} at least 1"):
        batchnorm1d.backward(np.ones(shape), np.ones(shape), channels, channels)


def test_running_statistics_name_a_wrong_number_of_channels():
    with pytest.raises(ShapeError, match=r"running_statistics: var has shape \(2,\).*C = 3"):
        batchnorm1d.running_statistics(np.ones(3), np.ones(2), np.ones((2, 3)))
