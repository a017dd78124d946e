"""The orthogonality penalty: exact sums and slopes, and what it wants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.ops import orthogonality
from backprop_lib.proof import slopes


def draw(n, c, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, c, c)), rng.standard_normal(n)


def run(A, dy):
    y, cache = orthogonality.forward(A)
    return y, orthogonality.backward(dy, *cache)


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
