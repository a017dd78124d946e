"""Dropout: exact products, the mask's statistics, and what is no probability."""

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.ops import dropout


def draw(shape, p=0.3, seed=0):
    rng = np.random.default_rng(seed)
    x, dy = rng.standard_normal((2, *shape))
    return x, dropout.draw_mask(shape, p, rng), dy


@given(st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_is_the_product_entry_by_entry_exactly(shape, seed):
    rng = np.random.default_rng(seed)
    x, dy = rng.integers(-9, 10, (2, *shape)).astype(float)
    mask = 4.0 * rng.integers(0, 2, shape)
    y, cache = dropout.forward(x, mask)
    dx = dropout.backward(dy, *cache)
    assert y.shape == dx.shape == x.shape
    for at in np.ndindex(*shape):
        kept = mask[at] != 0
        assert y[at] == (4 * x[at] if kept else 0)
        assert dx[at] == (4 * dy[at] if kept else 0)


@pytest.mark.parametrize("p", [0, 0.25, 0.3, 0.5, 0.9, 0.99])
def test_a_mask_is_zero_or_scaled_up_and_one_on_average(p):
    mask = dropout.draw_mask((200, 300), p, np.random.default_rng(5))
    size = mask.size
    assert mask.dtype == np.float64
    kept = mask[mask != 0]
    np.testing.assert_allclose(kept, 1 / (1 - p), rtol=1e-15)
    assert abs(kept.size - (1 - p) * size) <= 4 * np.sqrt(size * p * (1 - p))
    assert abs(mask.mean() - 1) <= 4 * np.sqrt(p / (1 - p) / size)


def test_masks_of_rows_and_columns_are_independent():
    mask = dropout.draw_mask((400, 50), 0.5, np.random.default_rng(6)) > 0
    assert np.unique(mask, axis=0).shape == mask.shape
    correlation = np.corrcoef(mask.T) - np.eye(50)
    assert np.abs(correlation).max() < 5 / np.sqrt(400)


def test_the_generator_decides_the_mask():
    first, again, other = (
        dropout.draw_mask((4, 30), 0.4, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    rng = np.random.default_rng(1)
    assert np.array_equal(dropout.draw_mask((4, 30), 0.4, rng), first)
    assert not np.array_equal(dropout.draw_mask((4, 30), 0.4, rng), first)


def test_an_entry_is_dropped_if_the_number_drawn_is_below_p():
    drawn = np.random.default_rng(8).random((5, 6))
    mask = dropout.draw_mask((5, 6), 0.3, np.random.default_rng(8))
    assert np.array_equal(mask == 0, drawn < 0.3)


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, np.nan])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match="of at least 0 and below 1") as raised:
        dropout.draw_mask((2, 3), p, np.random.default_rng(0))
    assert str(raised.value) == (
        f"dropout.draw_mask: p is {p}, expected a number of at least 0 and below 1"
    )


@pytest.mark.parametrize(
    ("shape", "p", "message"),
    [
        ((2, 3), "0.5", "p is '0.5', expected a number of at least 0 and below 1"),
        ((2, 3), None, "p is None, expected a number of at least 0 and below 1"),
        ((2, 3), True, "p is True, expected"),
        ((2, 3), np.full((2, 3), 0.5), "p is an array of shape (2, 3), expected a number"),
        (None, 0.5, "shape is None, expected a tuple of whole numbers"),
        ((2, 3.0), 0.5, "shape[1] is 3.0, expected a whole number of at least 0"),
        ((2, -1), 0.5, "shape[1] is -1, expected a whole number of at least 0"),
    ],
)
def test_a_shape_or_probability_of_another_kind_is_refused(shape, p, message):
    error = ValueError if " is -1" in message else TypeError
    with pytest.raises(error, match="^" + re.escape(f"dropout.draw_mask: {message}")):
        dropout.draw_mask(shape, p, np.random.default_rng(0))


@pytest.mark.parametrize("p", [Fraction(1, 4), np.float32(0.25), np.float64(0.25)])
def test_a_probability_of_any_kind_makes_the_same_mask(p):
    mask = dropout.draw_mask((4, 30), p, np.random.default_rng(1))
    assert mask.dtype == np.float64
    assert np.array_equal(mask, dropout.draw_mask([4, 30], 0.25, np.random.default_rng(1)))


@pytest.mark.parametrize("rng", [3, None, np.random, np.eye(3)])
def test_what_draws_no_numbers_is_refused(rng):
    with pytest.raises(TypeError) as raised:
        dropout.draw_mask((2, 3), 0.5, rng)
    assert str(raised.value) == (
        f"dropout.draw_mask: rng is of type {type(rng).__name__}, expected a "
        "numpy.random.Generator, such as numpy.random.default_rng(0)"
    )


def test_nan_and_infinity_stay_in_their_entry():
    x, mask, dy = np.ones((3, 2, 3))
    mask[0], mask[1] = [2, 0, 2], [2, 2, 0]
    x[0, 0], x[0, 1], dy[1, 2], dy[1, 1] = np.nan, np.inf, np.nan, -np.inf
    with np.errstate(invalid="ignore"):
        y, cache = dropout.forward(x, mask)
        dx = dropout.backward(dy, *cache)
    np.testing.assert_array_equal(y, [[np.nan, np.nan, 2], [2, 2, 0]])
    np.testing.assert_array_equal(dx, [[2, 0, 2], [2, -np.inf, np.nan]])


def test_results_are_new_where_nothing_is_dropped_too():
    x, mask, dy = draw((3, 4), p=0)
    y, cache = dropout.forward(x, mask)
    for result in (y, dropout.backward(dy, *cache)):
        assert not any(np.shares_memory(result, array) for array in (x, mask, dy))
