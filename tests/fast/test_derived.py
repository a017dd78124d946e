"""Convolution, normalisation and ReLU in one, with and without the maximum behind them."""

import layer_by_layer as by_layer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backprop_lib.fast import conv1d_batchnorm1d_relu, derivation
from backprop_lib.fast.folding import moments, moments_about
from backprop_lib.layers import batchnorm1d, conv1d
from backprop_lib.proof import prove
from backprop_lib.shapes import unchecked

KERNELS = [name for name in by_layer.ALL if "formulas" not in name]
EACH = pytest.mark.parametrize("layer", by_layer.ALL.values(), ids=by_layer.ALL)
EACH_KERNEL = pytest.mark.parametrize("name", KERNELS)
EACH_SHAPE = pytest.mark.parametrize("shape", by_layer.SHAPES, ids=str)
SHAPES = {"x": "N C_in L", "W": "C_out C_in", "gamma": "C_out", "beta": "C_out"}


# Proofs


def test_they_are_the_gradients_of_the_layers_one_after_the_other_for_all_sizes():
    def forward(x, W, gamma, beta, eps=1e-5):
        y, _ = by_layer.forward(x, W, gamma, beta, eps)
        return y, derivation.forward(x, W, gamma, beta, eps)[1]

    assert prove(forward, derivation.backward, **SHAPES)


def test_the_bias_of_the_convolution_has_gradient_zero_for_all_sizes():
    def forward(x, W, b, gamma, beta):
        y, _ = conv1d.forward(x, W, b)
        y, cache = batchnorm1d.forward(y, gamma, beta)
        return y, (x, W, cache)

    def backward(dy, x, W, cache):
        dz, dgamma, dbeta = batchnorm1d.backward(dy, *cache)
        dx, dW, db = conv1d.backward(dz, x, W)
        return dx, dW, np.zeros_like(db), dgamma, dbeta

    assert prove(forward, backward, b="C_out", **SHAPES)


@EACH
@EACH_SHAPE
def test_equals_the_layers_exactly(layer, shape):
    with unchecked():
        inputs, const, dy = by_layer.draw_exact(shape, layer)
        ours = by_layer.results(layer.fast, inputs, const, dy)
        theirs = by_layer.results(layer.twin, inputs, const, dy)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert (by_layer.values(a) == by_layer.values(b)).all()
    assert any((by_layer.values(a) != 0).any() for a in ours)


# Numbers


@EACH
@EACH_SHAPE
def test_equals_the_layers(layer, shape):
    inputs, const, dy = by_layer.draw(shape, layer)
    ours = by_layer.results(layer.fast, inputs, const, dy)
    theirs = by_layer.results(layer.twin, inputs, const, dy)
    assert by_layer.worst_error(ours, theirs) < 1e-11


@EACH_KERNEL
@pytest.mark.parametrize("offset", [0, 1, 10, 100, 1000])
def test_loses_no_digits_far_from_zero(name, offset):
    layer = by_layer.ALL[name]
    inputs, const, dy = by_layer.draw((6, 5, 7, 40), layer, dtype=np.float32)
    inputs["x"] += np.float32(offset)
    if const:
        const["mean"] += inputs["W"].sum(axis=1) * np.float32(offset)
    ours = by_layer.results(layer.fast, inputs, const, dy)
    wide = [{k: v.astype(float) for k, v in group.items()} for group in (inputs, const)]
    reference = by_layer.results(layer.twin, *wide, dy.astype(float))
    assert {result.dtype for result in ours} == {np.dtype(np.float32)}
    if const:  # Σ w x itself has to be rounded: so far from the layers' own error
        theirs = by_layer.results(layer.twin, inputs, const, dy)
        limit = 1e-6 + 3 * by_layer.worst_error(theirs, reference)
        assert by_layer.worst_error(ours, reference) < limit
    else:
        assert by_layer.worst_error(ours, reference) < 1e-6


@EACH
def test_scales_that_are_zero_or_negative(layer):
    inputs, const, dy = by_layer.draw((4, 3, 5, 6), layer)
    inputs["gamma"] = np.array([0.0, -1.5, 0.0, -0.5, 0.0])
    inputs["beta"] = np.array([1.0, 0.3, -1.0, 0.1, 0.0])
    ours = by_layer.results(layer.fast, inputs, const, dy)
    theirs = by_layer.results(layer.twin, inputs, const, dy)
    assert by_layer.worst_error(ours, theirs) < 1e-11
    if layer in (by_layer.TRAINING_MAX, by_layer.EVALUATION_MAX):
        _, (_, k, *_) = layer.fast.forward(*inputs.values(), **const)
        _, (of_max, _) = layer.twin.forward(*inputs.values(), **const)
        assert np.array_equal(k, of_max[1][..., 0])


@given(shape=st.tuples(*[st.integers(1, 5)] * 4), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_of_equal_entries_the_first_is_taken(shape, seed):
    n, c_in, c_out, length = shape
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (n, c_in, length)).astype(float)
    W = rng.integers(-2, 3, (c_out, c_in)).astype(float)
    gamma, beta, mean = rng.integers(-2, 3, (3, c_out)).astype(float)
    inputs = {"x": x, "W": W, "gamma": gamma, "beta": beta, "mean": mean}
    const = {"var": np.full(c_out, 4.0), "eps": 0.0}  # r = 1/2: nothing is rounded
    y, (_, k, *_) = by_layer.EVALUATION_MAX.fast.forward(**inputs, **const)
    expected, (of_max, _) = by_layer.EVALUATION_MAX.twin.forward(**inputs, **const)
    assert np.array_equal(y, expected)
    assert np.array_equal(k, of_max[1][..., 0])


def test_statistics_are_those_of_the_convolution():
    for layer in (by_layer.TRAINING, by_layer.TRAINING_MAX):
        for dtype, limit in [(np.float64, 1e-12), (np.float32, 1e-5)]:
            inputs, _, _ = by_layer.draw((4, 3, 2, 6), layer, dtype=dtype)
            _, cache = layer.fast.forward(**inputs)
            mean, var, M = layer.fast.batch_statistics(*cache)
            z = inputs["W"] @ inputs["x"]
            assert M == 24
            assert mean.dtype == var.dtype == dtype
            np.testing.assert_allclose(mean, z.mean(axis=(0, 2)), rtol=limit, atol=limit)
            np.testing.assert_allclose(var, z.var(axis=(0, 2)), rtol=limit)
            running = batchnorm1d.running_statistics(np.zeros(2), np.ones(2), z, momentum=0.1)
            np.testing.assert_allclose(0.1 * mean, running[0], rtol=10 * limit, atol=limit)
            np.testing.assert_allclose(0.9 + 0.1 * var * M / (M - 1), running[1], rtol=limit)


def test_moments_are_right_where_the_mean_is_rounded():
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((5, 3, 700)) + 1e4).astype(np.float32)
    mean, cov = moments(x)
    rows = x.astype(float).transpose(1, 0, 2).reshape(3, -1)
    np.testing.assert_allclose(mean, rows.mean(axis=1), rtol=1e-11)
    np.testing.assert_allclose(cov, np.cov(rows, bias=True), rtol=1e-6, atol=1e-6)


def test_moments_do_not_depend_on_what_is_subtracted_first():
    x = np.random.default_rng(0).standard_normal((5, 3, 7))
    rows = x.transpose(1, 0, 2).reshape(3, -1)
    mean, cov = moments_about(x, np.array([2.0, -1, 0.5]))
    np.testing.assert_allclose(mean, rows.mean(axis=1), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(cov, np.cov(rows, bias=True), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("layer", [by_layer.TRAINING, by_layer.TRAINING_MAX])
def test_what_rounding_leaves_of_the_mean_is_made_good(layer, monkeypatch):
    inputs, const, dy = by_layer.draw((4, 3, 2, 6), layer)
    expected = by_layer.results(layer.fast, inputs, const, dy)
    with_rest = []

    def split(mean, dtype):
        with_rest.append(mean - (mean + 0.5).astype(dtype))
        return (mean + 0.5).astype(dtype), with_rest[-1]

    monkeypatch.setattr(layer.fast, "split", split)
    assert by_layer.worst_error(by_layer.results(layer.fast, inputs, const, dy), expected) < 1e-12
    assert len(with_rest) == 2


def test_a_variance_that_rounding_makes_negative_is_zero():
    x = np.random.default_rng(0).standard_normal((2, 1, 50)).astype(np.float32)
    x = np.concatenate([x, 3 * x, 7 * x], axis=1)
    W = np.array([[3, -1, 0], [7, 0, -1], [0, 7, -3]], np.float32)
    ones = np.ones(3, np.float32)
    y, cache = conv1d_batchnorm1d_relu.forward(x, W, ones, ones)
    assert (cache[6] >= 0).all()
    assert np.isfinite(y).all()


# Edges


@EACH_KERNEL
def test_nan_reaches_the_output(name):
    layer = by_layer.ALL[name]
    inputs, const, _ = by_layer.draw((3, 2, 4, 5), layer)
    inputs["x"][1, 0, 2] = np.nan
    with np.errstate(invalid="ignore"):
        y, _ = layer.fast.forward(*inputs.values(), **const)
        expected, _ = layer.twin.forward(*inputs.values(), **const)
    assert np.array_equal(np.isnan(y), np.isnan(expected))
