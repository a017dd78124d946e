"""Log-softmax and NLL: PyTorch's values, loops over labels, large scores and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.gradcheck import gradcheck
from backprop_lib.ops import log_softmax_nll
from backprop_lib.proof import prove, slopes
from backprop_lib.recorded import load
from backprop_lib.shapes import ShapeError

SHAPES = [(4, 3), (1, 5), (5, 2), (3, 1), (3, 3)]
REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum"])


def draw(n, c, seed=0):
    rng = np.random.default_rng(seed)
    return 2 * rng.standard_normal((n, c)), rng.integers(c, size=n)


@pytest.mark.parametrize("case", load("log_softmax_nll"), ids=repr)
def test_agrees_with_pytorch(case):
    assert case.error_of(log_softmax_nll) < case.limit


@REDUCTIONS
@pytest.mark.parametrize("method", ["entries", "direction"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_agree_with_measured_slopes(shape, method, reduction):
    x, t = draw(*shape)
    const = {"t": t, "reduction": reduction}
    assert gradcheck(log_softmax_nll, x=x, const=const, method=method)


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


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@REDUCTIONS
def test_keeps_the_precision(dtype, reduction):
    x, t = draw(3, 4)
    y, cache = log_softmax_nll.forward(x.astype(dtype), t, reduction)
    dx = log_softmax_nll.backward(dtype(0.5), *cache)
    assert {y.dtype, cache[0].dtype, dx.dtype} == {np.dtype(dtype)}


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


def test_any_memory_layout_gives_the_same():
    x, t = draw(5, 4)
    y, cache = log_softmax_nll.forward(x, t)
    expected = log_softmax_nll.backward(np.float64(2), *cache)
    for layout in (np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], x[::-1].copy()[::-1]):
        labels = np.repeat(t, 3)[::3]
        layout.flags.writeable = labels.flags.writeable = False
        strided_y, strided_cache = log_softmax_nll.forward(layout, labels)
        np.testing.assert_allclose(strided_y, y, rtol=1e-14)
        log_p = np.asfortranarray(strided_cache[0])
        log_p.flags.writeable = False
        dx = log_softmax_nll.backward(np.float64(2), log_p, *strided_cache[1:])
        np.testing.assert_allclose(dx, expected, rtol=1e-13, atol=1e-16)


@REDUCTIONS
def test_results_are_new_and_arguments_are_left_alone(reduction):
    x, t = draw(4, 3)
    dy = np.array(0.5)
    before = x.copy(), t.copy()
    _, cache = log_softmax_nll.forward(x, t, reduction)
    kept = cache[0].copy()
    first = log_softmax_nll.backward(dy, *cache)
    second = log_softmax_nll.backward(dy, *cache)
    assert np.array_equal(first, second)
    assert np.array_equal(x, before[0])
    assert np.array_equal(t, before[1])
    assert np.array_equal(cache[0], kept)
    assert dy == 0.5
    for result in (cache[0], first):
        assert not any(np.shares_memory(result, given) for given in (x, t, dy))
    assert not np.shares_memory(first, cache[0])


X, T = np.zeros((2, 3)), np.array([0, 2])
WRONG = [
    (
        (X, np.array([0, 3])),
        ValueError,
        "log_softmax_nll.forward: t[1] is 3, expected a label from 0 to 2: x has C = 3",
    ),
    (
        (X, np.array([-1, 0])),
        ValueError,
        "log_softmax_nll.forward: t[0] is -1, expected a label from 0 to 2: x has C = 3",
    ),
    (
        (X, T.astype(float)),
        TypeError,
        "log_softmax_nll.forward: expected t to be integers of shape (N,): it holds float64",
    ),
    (
        (X, T > 0),
        TypeError,
        "log_softmax_nll.forward: expected t to be integers of shape (N,): it holds bool",
    ),
    (
        (X, [0, 2]),
        TypeError,
        "log_softmax_nll.forward: expected t to be integers of shape (N,): "
        "it is a list, not a NumPy array",
    ),
    (
        (X, T[:1]),
        ShapeError,
        "log_softmax_nll.forward: t has shape (1,), expected (N,): axis 0 is 1, but x has N = 2",
    ),
    (
        (X, T[:, None]),
        ShapeError,
        "log_softmax_nll.forward: t has shape (2, 1), expected (N,): "
        "the number of axes is 2, not 1",
    ),
    (
        (X[0], T),
        ShapeError,
        "log_softmax_nll.forward: x has shape (3,), expected (N, C): "
        "the number of axes is 1, not 2",
    ),
    (
        (X.astype(int), T),
        TypeError,
        "log_softmax_nll.forward: expected x to be floats of shape (N, C): "
        "it holds int64; x.astype(float) makes floats of it",
    ),
    (
        (X[:0], T[:0]),
        ShapeError,
        "log_softmax_nll.forward: x has shape (0, 3), expected (N, C) with N at least 1",
    ),
    (
        (X[:, :0], T),
        ShapeError,
        "log_softmax_nll.forward: x has shape (2, 0), expected (N, C) with C at least 1",
    ),
    (
        (X, T, "average"),
        ValueError,
        "log_softmax_nll: reduction is 'average', expected 'mean' or 'sum'",
    ),
]


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG)
def test_forward_names_the_wrong_argument(arguments, error, message):
    with pytest.raises(error) as raised:
        log_softmax_nll.forward(*arguments)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"dy": 1.0},
            TypeError,
            "log_softmax_nll.backward: expected dy to be floats of shape (): "
            "it is a float, not a NumPy array",
        ),
        (
            {"dy": np.ones(1)},
            ShapeError,
            "log_softmax_nll.backward: dy has shape (1,), expected (): "
            "the number of axes is 1, not 0",
        ),
        (
            {"t": np.array([0, 3])},
            ValueError,
            "log_softmax_nll.backward: t[1] is 3, expected a label from 0 to 2: log_p has C = 3",
        ),
        (
            {"t": np.array([0, 1, 2])},
            ShapeError,
            "log_softmax_nll.backward: t has shape (3,), expected (N,): "
            "axis 0 is 3, but log_p has N = 2",
        ),
    ],
)
def test_backward_names_the_wrong_argument(change, error, message):
    _, (log_p, t, reduction) = log_softmax_nll.forward(X, T)
    arguments = {"dy": np.float64(1), "log_p": log_p, "t": t, "reduction": reduction} | change
    with pytest.raises(error) as raised:
        log_softmax_nll.backward(**arguments)
    assert str(raised.value) == message
