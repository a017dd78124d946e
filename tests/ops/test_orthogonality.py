"""The orthogonality penalty: PyTorch's values, exact sums, what it wants, edge cases, bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.gradcheck import gradcheck
from backprop_lib.ops import orthogonality
from backprop_lib.proof import prove, slopes
from backprop_lib.recorded import load
from backprop_lib.shapes import ShapeError

SHAPES = [(3, 4), (1, 5), (4, 1), (2, 2), (5, 3)]


def draw(n, c, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, c, c)), rng.standard_normal(n)


def run(A, dy):
    y, cache = orthogonality.forward(A)
    return y, orthogonality.backward(dy, *cache)


@pytest.mark.parametrize("case", load("orthogonality"), ids=repr)
def test_agrees_with_pytorch(case):
    assert case.error_of(orthogonality) < case.limit


@pytest.mark.parametrize("method", ["entries", "direction"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_agrees_with_measured_slopes(shape, method):
    assert gradcheck(orthogonality, A=draw(*shape)[0], method=method)


def test_is_proven_where_all_sizes_differ():
    assert prove(orthogonality)


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_is_the_sum_over_indices_exactly(n, c, seed):
    rng = np.random.default_rng(seed)
    A = rng.integers(-9, 10, (n, c, c)).astype(float)
    dy = rng.integers(-9, 10, n).astype(float)
    y, dA = run(A, dy)
    gap = np.einsum("nik,njk->nij", A, A) - np.eye(c)
    both_arms = np.einsum("npj,njq->npq", gap, A) + np.einsum("nip,niq->npq", gap, A)
    assert np.array_equal(y, np.einsum("nij,nij->n", gap, gap))
    assert np.array_equal(dA, 2 * np.einsum("n,npq->npq", dy, both_arms))


@given(st.integers(0, 2**32 - 1))
def test_is_the_exact_slope_in_any_direction(seed):
    rng = np.random.default_rng(seed)
    A, direction = rng.integers(-4, 5, (2, 2, 3, 3))
    dy = rng.integers(-4, 5, 2)
    _, dA = run(A.astype(float), dy.astype(float))
    left, right = slopes(orthogonality.forward, A=A, along={"A": direction}, dy=dy)
    assert left == right == (dA * direction).sum()


@pytest.mark.parametrize("c", [1, 2, 5])
def test_is_zero_with_a_zero_gradient_at_orthogonal_matrices(c):
    Q, _ = np.linalg.qr(draw(4, c)[0])
    y, dA = run(Q, np.array([1.0, -2.0, 3.0, 4.0]))
    np.testing.assert_allclose(y, 0, atol=1e-28)
    np.testing.assert_allclose(dA, 0, atol=1e-13)


def test_what_has_lost_directions_costs_one_for_each_and_does_not_move():
    flat = np.stack([np.diag(d) for d in ([1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0])])
    y, dA = run(flat, np.ones(3))
    assert np.array_equal(y, [1, 2, 3])
    assert np.array_equal(dA, np.zeros((3, 3, 3)))


def test_rows_and_columns_are_judged_alike():
    A, dy = draw(3, 4)
    y, dA = run(A, dy)
    of_columns, turned = run(A.swapaxes(1, 2), dy)
    np.testing.assert_allclose(of_columns, y, rtol=1e-12)
    np.testing.assert_allclose(turned.swapaxes(1, 2), dA, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_keeps_the_precision(dtype):
    A, dy = (array.astype(dtype) for array in draw(3, 2))
    y, cache = orthogonality.forward(A)
    results = (y, *cache, orthogonality.backward(dy, *cache))
    assert {array.dtype for array in results} == {np.dtype(dtype)}


@pytest.mark.parametrize(("n", "c"), [(0, 3), (2, 0), (0, 0)])
def test_empty_arrays_give_empty_sums(n, c):
    y, dA = run(np.ones((n, c, c)), np.ones(n))
    assert np.array_equal(y, np.zeros(n))
    assert dA.shape == (n, c, c)


def test_nan_and_infinity_stay_in_their_sample():
    A, dy = draw(4, 3)
    expected = run(A, dy)
    A[1, 0, 2], A[2, 1, 1] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        y, dA = run(A, dy)
    assert np.isnan(y[1])
    assert np.isinf(y[2]) or np.isnan(y[2])
    assert np.isnan(dA[1]).all()
    assert not np.isfinite(dA[2]).all()
    for ours, theirs in zip((y, dA), expected, strict=True):
        np.testing.assert_allclose(ours[[0, 3]], theirs[[0, 3]], rtol=1e-14)


def test_each_sample_has_its_own_weight():
    A, dy = draw(3, 4)
    dy[1] = 0
    _, dA = run(A, dy)
    assert np.array_equal(dA[1], np.zeros((4, 4)))
    for n in (0, 2):
        np.testing.assert_allclose(dA[n : n + 1], run(A[n : n + 1], dy[n : n + 1])[1], rtol=1e-12)


def test_any_memory_layout_gives_the_same():
    A, dy = draw(3, 4)
    expected = run(A, dy)
    layouts = [np.asfortranarray(A), np.repeat(A, 2, axis=2)[:, :, ::2]]
    layouts.append(A.swapaxes(1, 2).copy().swapaxes(1, 2))
    strided = np.repeat(dy, 3)[::3]
    strided.flags.writeable = False
    for layout in layouts:
        layout.flags.writeable = False
        for ours, theirs in zip(run(layout, strided), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def test_results_are_new_and_the_upstream_gradient_is_left_alone():
    A, dy = draw(3, 4)
    A_before, dy_before = A.copy(), dy.copy()
    y, cache = orthogonality.forward(A)
    E_before = cache[1].copy()
    dA = orthogonality.backward(dy, *cache)
    assert np.array_equal(A, A_before)
    assert np.array_equal(dy, dy_before)
    assert np.array_equal(cache[1], E_before)
    for result in (y, dA):
        assert not any(np.shares_memory(result, given) for given in (*cache, dy))


@pytest.mark.parametrize(
    ("A", "error", "message"),
    [
        (
            np.ones((2, 3, 4)),
            ShapeError,
            "orthogonality.forward: A has shape (2, 3, 4), expected (N, C, C): "
            "axis 2 is 4, but A has C = 3",
        ),
        (
            np.eye(3),
            ShapeError,
            "orthogonality.forward: A has shape (3, 3), expected (N, C, C): "
            "the number of axes is 2, not 3",
        ),
        (
            [[[1.0]]],
            TypeError,
            "orthogonality.forward: expected A to be floats of shape (N, C, C): "
            "it is a list, not a NumPy array",
        ),
        (
            np.ones((1, 2, 2), dtype=int),
            TypeError,
            "orthogonality.forward: expected A to be floats of shape (N, C, C): "
            "it holds int64; A.astype(float) makes floats of it",
        ),
        (
            np.ones((1, 2, 2), dtype=complex),
            TypeError,
            "orthogonality.forward: expected A to be floats of shape (N, C, C): "
            "it holds complex128",
        ),
    ],
)
def test_forward_names_the_wrong_argument(A, error, message):
    with pytest.raises(error) as raised:
        orthogonality.forward(A)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("dy", "error", "message"),
    [
        (
            np.ones(5),
            ShapeError,
            "orthogonality.backward: A has shape (2, 3, 3), expected (N, C, C): "
            "axis 0 is 2, but dy has N = 5",
        ),
        (
            np.ones((2, 1)),
            ShapeError,
            "orthogonality.backward: dy has shape (2, 1), expected (N,): "
            "the number of axes is 2, not 1",
        ),
        (
            0.001,
            TypeError,
            "orthogonality.backward: expected dy to be floats of shape (N,): "
            "it is a float, not a NumPy array",
        ),
    ],
)
def test_backward_names_the_wrong_argument(dy, error, message):
    _, cache = orthogonality.forward(np.ones((2, 3, 3)))
    with pytest.raises(error) as raised:
        orthogonality.backward(dy, *cache)
    assert str(raised.value) == message
