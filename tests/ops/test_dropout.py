"""Dropout: PyTorch's values, exact products, the mask's statistics, edge cases and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.gradcheck import gradcheck
from backprop_lib.ops import dropout
from backprop_lib.proof import prove
from backprop_lib.recorded import load
from backprop_lib.shapes import ShapeError

SHAPES = [(7,), (1, 3), (5, 1), (4, 3), (2, 3, 5)]


def draw(shape, p=0.3, seed=0):
    rng = np.random.default_rng(seed)
    x, dy = rng.standard_normal((2, *shape))
    return x, dropout.draw_mask(shape, p, rng), dy


@pytest.mark.parametrize("case", load("dropout"), ids=repr)
def test_agrees_with_pytorch(case):
    assert case.error_of(dropout) < case.limit


@pytest.mark.parametrize("method", ["entries", "direction"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_agree_with_measured_slopes(shape, method):
    x, mask, _ = draw(shape)
    assert gradcheck(dropout, x=x, const={"mask": mask}, method=method)


def test_is_proven_for_all_sizes_and_the_mask_has_no_gradient():
    report = prove(dropout)
    assert [(v.gradient, v.status) for v in report] == [("dx", "proven")]


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
    with pytest.raises(ValueError, match="expected at least 0 and below 1") as raised:
        dropout.draw_mask((2, 3), p, np.random.default_rng(0))
    assert str(raised.value) == f"dropout.draw_mask: p is {p}, expected at least 0 and below 1"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_keeps_the_precision(dtype):
    x, mask, dy = (array.astype(dtype) for array in draw((3, 4)))
    y, cache = dropout.forward(x, mask)
    assert {y.dtype, dropout.backward(dy, *cache).dtype} == {np.dtype(dtype)}


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_an_empty_array_stays_one(shape):
    x, mask, dy = draw(shape)
    y, cache = dropout.forward(x, mask)
    assert y.shape == dropout.backward(dy, *cache).shape == shape


def test_nan_and_infinity_stay_in_their_entry():
    x, mask, dy = np.ones((3, 2, 3))
    mask[0], mask[1] = [2, 0, 2], [2, 2, 0]
    x[0, 0], x[0, 1], dy[1, 2], dy[1, 1] = np.nan, np.inf, np.nan, -np.inf
    with np.errstate(invalid="ignore"):
        y, cache = dropout.forward(x, mask)
        dx = dropout.backward(dy, *cache)
    np.testing.assert_array_equal(y, [[np.nan, np.nan, 2], [2, 2, 0]])
    np.testing.assert_array_equal(dx, [[2, 0, 2], [2, -np.inf, np.nan]])


def test_any_memory_layout_gives_the_same():
    x, mask, dy = draw((3, 4))
    expected = x * mask, dy * mask
    x, mask = (np.repeat(array, 2, axis=0)[::2] for array in (x, mask))
    dy = np.asfortranarray(dy)
    for array in (x, mask, dy):
        array.flags.writeable = False
    y, cache = dropout.forward(x, mask)
    assert np.array_equal(y, expected[0])
    assert np.array_equal(dropout.backward(dy, *cache), expected[1])


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_results_are_new_and_nothing_given_is_changed(p):
    arrays = draw((3, 4), p)
    before = [array.copy() for array in arrays]
    x, mask, dy = arrays
    y, cache = dropout.forward(x, mask)
    dx = dropout.backward(dy, *cache)
    for array, old in zip(arrays, before, strict=True):
        assert np.array_equal(array, old)
    for result in (y, dx):
        assert not any(np.shares_memory(result, array) for array in arrays)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"mask": np.ones((2, 4))},
            ShapeError,
            "dropout.forward: mask has shape (2, 4), expected (N, *C): "
            "axis 1 is 4, but x has C.0 = 3",
        ),
        (
            {"mask": np.ones((5, 3))},
            ShapeError,
            "dropout.forward: mask has shape (5, 3), expected (N, *C): "
            "axis 0 is 5, but x has N = 2",
        ),
        (
            {"x": np.ones(())},
            ShapeError,
            "dropout.forward: x has shape (), expected (N, *C): the number of axes is 0, not 1",
        ),
        (
            {"mask": np.ones((2, 3), dtype=bool)},
            TypeError,
            "dropout.forward: expected mask to be floats of shape (N, *C): "
            "it holds bool; mask.astype(float) makes floats of it",
        ),
        (
            {"mask": 0.3},
            TypeError,
            "dropout.forward: expected mask to be floats of shape (N, *C): "
            "it is a float, not a NumPy array",
        ),
        (
            {"x": [[1.0, 2.0, 3.0]]},
            TypeError,
            "dropout.forward: expected x to be floats of shape (N, *C): "
            "it is a list, not a NumPy array",
        ),
        (
            {"x": np.ones((2, 3), dtype=complex)},
            TypeError,
            "dropout.forward: expected x to be floats of shape (N, *C): it holds complex128",
        ),
    ],
)
def test_forward_names_the_wrong_argument(change, error, message):
    with pytest.raises(error) as raised:
        dropout.forward(**({"x": np.ones((2, 3)), "mask": np.ones((2, 3))} | change))
    assert str(raised.value) == message


def test_backward_names_the_wrong_argument():
    _, cache = dropout.forward(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ShapeError) as raised:
        dropout.backward(np.ones((5, 3)), *cache)
    assert str(raised.value) == (
        "dropout.backward: mask has shape (2, 3), expected (N, *C): axis 0 is 2, but dy has N = 5"
    )
