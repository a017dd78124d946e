"""Log-softmax and NLL: loops over labels, exact slopes, large scores, what is no number."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.ops import log_softmax_nll
from backprop_lib.proof import prove, slopes

REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum"])


def draw(n, c, seed=0):
    rng = np.random.default_rng(seed)
    return 2 * rng.standard_normal((n, c)), rng.integers(c, size=n)


@REDUCTIONS
def test_is_proven_for_all_sizes_without_a_condition(reduction):
    report = prove(log_softmax_nll, const={"reduction": reduction})
    assert report
    assert report["dx"].where == ()


def test_the_default_is_the_mean():
    x, t = draw(4, 3)
    default, mean = log_softmax_nll.forward(x, t), log_softmax_nll.forward(x, t, "mean")
    assert default[0] == mean[0]
    assert default[1][2] == "mean"


@given(st.tuples(st.integers(1, 5), st.integers(1, 5)), st.integers(0, 2**32 - 1))
def test_is_the_formula_sample_by_sample(shape, seed):
    rng = np.random.default_rng(seed)
    n, c = shape
    x, t, dy = rng.normal(0, 3, shape), rng.integers(c, size=n), rng.normal()
    total, gradient = 0.0, np.empty(shape)
    for i in range(n):
        exponentials = [math.exp(score) for score in x[i]]
        p = [e / math.fsum(exponentials) for e in exponentials]
        total -= math.log(p[t[i]])
        gradient[i] = [(p[j] - (j == t[i])) * dy for j in range(c)]
    for reduction, divisor in (("sum", 1), ("mean", n)):
        y, cache = log_softmax_nll.forward(x, t, reduction)
        dx = log_softmax_nll.backward(np.float64(dy), *cache)
        np.testing.assert_allclose(y, total / divisor, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(dx, gradient / divisor, rtol=1e-12, atol=1e-14)


@given(st.integers(0, 2**32 - 1))
def test_adding_a_number_to_a_row_changes_nothing_and_rows_of_dx_sum_to_zero(seed):
    rng = np.random.default_rng(seed)
    x, t = rng.integers(-9, 10, (4, 3)).astype(float), rng.integers(3, size=4)
    y, cache = log_softmax_nll.forward(x, t)
    moved, _ = log_softmax_nll.forward(x + rng.integers(-999, 1000, (4, 1)), t)
    assert moved == y
    dx = log_softmax_nll.backward(np.float64(3), *cache)
    assert np.abs(dx.sum(axis=1)).max() < 1e-15


def test_a_tie_for_the_maximum_is_no_kink():
    point = {"x": [[1, 1, 1]], "const": {"t": np.array([2])}}
    left, right = slopes(log_softmax_nll.forward, along={"x": [[3, -1, 4]]}, **point)
    assert left == right == -2
    _, cache = log_softmax_nll.forward(np.ones((1, 3)), np.array([2]))
    dx = log_softmax_nll.backward(np.float64(1), *cache)
    np.testing.assert_allclose((dx * [3, -1, 4]).sum(), -2, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e2, 1e3, 1e4])
def test_large_scores_neither_overflow_nor_vanish(dtype, size):
    x = np.array([[0, size, -size], [size, -size, 0], [-9 * size, -9 * size, -8 * size]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y, cache = log_softmax_nll.forward(x, np.array([0, 1, 1]), "sum")
        dx = log_softmax_nll.backward(dtype(1), *cache)
    assert y == 4 * size
    np.testing.assert_allclose(dx, [[-1, 1, 0], [1, -1, 0], [0, -1, 1]], rtol=0, atol=1e-40)


def test_the_loss_of_a_uniform_guess_is_the_logarithm_of_the_number_of_classes():
    y, _ = log_softmax_nll.forward(np.full((6, 40), 2.5), np.arange(6))
    np.testing.assert_allclose(y, math.log(40), rtol=1e-14)


def test_one_class_has_no_loss_and_no_gradient():
    y, cache = log_softmax_nll.forward(np.array([[5.0], [-3.0]]), np.array([0, 0]))
    assert y == 0
    assert not log_softmax_nll.backward(np.float64(2), *cache).any()


@pytest.mark.parametrize("name", ["int8", "uint8", "int32", "uint64"])
def test_labels_may_be_integers_of_any_kind(name):
    x, t = draw(4, 3)
    y, cache = log_softmax_nll.forward(x, t.astype(name))
    expected, expected_cache = log_softmax_nll.forward(x, t)
    assert y == expected
    upstream = np.float64(2)
    assert np.array_equal(
        log_softmax_nll.backward(upstream, *cache),
        log_softmax_nll.backward(upstream, *expected_cache),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_is_a_scalar_of_numpy(dtype, reduction):
    x, t = draw(4, 3)
    y, _ = log_softmax_nll.forward(x.astype(dtype), t, reduction)
    assert type(y) is dtype


def test_nan_reaches_its_own_sample_and_the_loss_only():
    x, t = draw(3, 4)
    x[1, 2] = np.nan
    y, cache = log_softmax_nll.forward(x, t)
    dx = log_softmax_nll.backward(np.float64(1), *cache)
    assert np.isnan(y)
    assert np.isnan(dx[1]).all()
    assert np.isfinite(dx[[0, 2]]).all()


def test_a_score_of_minus_infinity_takes_a_class_out():
    x, t = np.array([[1.0, -np.inf, 2.0], [0.5, 1.0, -np.inf]]), np.array([0, 1])
    y, cache = log_softmax_nll.forward(x, t, "sum")
    without = [
        log_softmax_nll.forward(row[None], np.array([label]))[0]
        for row, label in ((x[0, [0, 2]], 0), (x[1, [0, 1]], 1))
    ]
    np.testing.assert_allclose(y, sum(without), rtol=1e-14)
    dx = log_softmax_nll.backward(np.float64(1), *cache)
    assert dx[0, 1] == dx[1, 2] == 0
    assert np.isfinite(dx).all()


@pytest.mark.parametrize("function", ["forward", "backward"])
def test_a_reduction_that_is_neither_is_refused(function):
    call = getattr(log_softmax_nll, function)
    before = () if function == "forward" else (np.float64(1),)
    with pytest.raises(ValueError, match="reduction") as raised:
        call(*before, np.zeros((2, 3)), np.array([0, 2]), "average")
    assert str(raised.value) == (
        f"log_softmax_nll.{function}: reduction is 'average', expected 'mean' or 'sum'"
    )


@pytest.mark.parametrize("reduction", [3, None])
def test_a_reduction_that_is_no_word_is_refused_in_both_directions(reduction):
    x, t = draw(4, 3)
    told = rf"reduction is {reduction}, expected 'mean' or 'sum'$"
    with pytest.raises(TypeError, match=rf"^log_softmax_nll\.forward: {told}"):
        log_softmax_nll.forward(x, t, reduction)
    with pytest.raises(TypeError, match=rf"^log_softmax_nll\.backward: {told}"):
        log_softmax_nll.backward(np.float64(1), x, t, reduction)


def test_a_reduction_that_is_neither_is_not_proven():
    with pytest.raises(ValueError, match=r"forward: reduction is 'average', expected 'mean' or"):
        prove(log_softmax_nll, const={"reduction": "average"})
