"""The convolution, with kernel 1 and any kernel: exact sums, windows, settings that do not fit."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from backprop_lib.layers import conv1d, linear
from backprop_lib.proof import prove_at
from backprop_lib.shapes import ShapeError

SHAPES = [(4, 3, 2, 5), (1, 3, 2, 4), (3, 1, 4, 2), (2, 4, 1, 3), (3, 2, 4, 1), (2, 2, 2, 2)]
GENERAL = conv1d.forward_general, conv1d.backward_general


def draw(n, c_in, c_out, length, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {
        "x": (n, c_in, length),
        "W": (c_out, c_in),
        "b": (c_out,),
        "dy": (n, c_out, length),
    }
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def draw_general(length, kernel, n=3, c_in=2, c_out=4, seed=0, **settings):
    """Draw inputs, and dy of the shape of y."""
    rng = np.random.default_rng(seed)
    shapes = {"x": (n, c_in, length), "W": (c_out, c_in, kernel), "b": (c_out,)}
    inputs = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    y, _ = conv1d.forward_general(**inputs, **settings)
    return inputs, rng.standard_normal(y.shape)


def by_loops(dy, x, W, b, stride, padding, dilation):
    """Return y, dx, dW and db, one entry of x after the other, without a padded array."""
    (n, _, length), kernel = x.shape, W.shape[2]
    places = dy.shape[2]
    y, dx, dW = np.zeros((n, len(W), places)), np.zeros(x.shape), np.zeros(W.shape)
    for p in range(places):
        y[:, :, p] = b
        for k in range(kernel):
            at = stride * p + dilation * k - padding
            if 0 <= at < length:
                y[:, :, p] += x[:, :, at] @ W[:, :, k].T
                dx[:, :, at] += dy[:, :, p] @ W[:, :, k]
                dW[:, :, k] += dy[:, :, p].T @ x[:, :, at]
    return y, dx, dW, np.einsum("nop->o", dy)


def integers(rng, *shapes):
    return [rng.integers(-9, 10, shape).astype(float) for shape in shapes]


@pytest.mark.parametrize(
    ("length", "kernel", "settings"),
    [
        (7, 2, {"stride": 3}),
        (2, 1, {"stride": 3, "padding": 4}),
        (5, 3, {"stride": 2, "padding": 1, "dilation": 2}),
    ],
)
def test_is_proven_where_places_stay_unseen_or_windows_see_zeros_only(length, kernel, settings):
    sizes = {"N": 2, "C_in": 1, "C_out": 3, "L": length, "K": kernel}
    assert prove_at(*GENERAL, sizes=sizes, const=settings)


@given(st.tuples(*[st.integers(0, 4)] * 4), st.integers(0, 2**32 - 1))
def test_is_the_sum_over_indices_exactly(shape, seed):
    n, c_in, c_out, length = shape
    rng = np.random.default_rng(seed)
    x, W, b, dy = integers(rng, (n, c_in, length), (c_out, c_in), c_out, (n, c_out, length))
    y, cache = conv1d.forward(x, W, b)
    dx, dW, db = conv1d.backward(dy, *cache)
    assert np.array_equal(y, np.einsum("oi,nil->nol", W, x) + b[None, :, None])
    assert np.array_equal(dx, np.einsum("oi,nol->nil", W, dy))
    assert np.array_equal(dW, np.einsum("nol,nil->oi", dy, x))
    assert np.array_equal(db, np.einsum("nol->o", dy))


@given(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.integers(0, 8), st.integers(1, 4)),
    st.tuples(st.integers(1, 4), st.integers(0, 4), st.integers(1, 3)),
    st.integers(0, 2**32 - 1),
)
def test_the_general_one_is_the_sum_over_windows_exactly(channels, sizes, settings, seed):
    (n, c_in, c_out), (length, kernel), (stride, padding, dilation) = channels, sizes, settings
    free = length + 2 * padding - dilation * (kernel - 1) - 1
    assume(free >= 0)
    rng = np.random.default_rng(seed)
    x, W, b, dy = integers(
        rng, (n, c_in, length), (c_out, c_in, kernel), c_out, (n, c_out, free // stride + 1)
    )
    y, cache = conv1d.forward_general(x, W, b, *settings)
    results = (y, *conv1d.backward_general(dy, *cache))
    for ours, expected in zip(results, by_loops(dy, x, W, b, *settings), strict=True):
        assert np.array_equal(ours, expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_with_one_weight_both_are_the_same(shape):
    arrays = draw(*shape)
    dy = arrays.pop("dy")
    y, cache = conv1d.forward(**arrays)
    kernel = {**arrays, "W": arrays["W"][:, :, None]}
    y_general, cache_general = conv1d.forward_general(**kernel)
    np.testing.assert_allclose(y_general, y, rtol=1e-13)
    dx, dW, db = conv1d.backward(dy, *cache)
    for ours, theirs in zip(
        conv1d.backward_general(dy, *cache_general), (dx, dW[:, :, None], db), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_every_place_is_a_sample_of_the_linear_layer():
    arrays = draw(4, 3, 2, 5)
    dy = arrays.pop("dy")

    def rows(array):
        return np.moveaxis(array, 1, 2).reshape(20, -1)

    y, cache = conv1d.forward(**arrays)
    y_rows, cache_rows = linear.forward(**{**arrays, "x": rows(arrays["x"])})
    np.testing.assert_allclose(rows(y), y_rows, rtol=1e-13)
    dx, dW, db = conv1d.backward(dy, *cache)
    for ours, theirs in zip(
        (rows(dx), dW, db), linear.backward(rows(dy), *cache_rows), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_a_place_that_no_window_sees_has_gradient_zero():
    inputs, dy = draw_general(7, 2, stride=3)
    _, cache = conv1d.forward_general(**inputs, stride=3)
    dx, _, _ = conv1d.backward_general(dy, *cache)
    assert (dx[:, :, [2, 5, 6]] == 0).all()
    assert (dx[:, :, [0, 1, 3, 4]] != 0).all()


def test_no_places_give_zero_gradients_and_padding_alone_gives_the_bias():
    y, cache = conv1d.forward(np.ones((2, 3, 0)), np.ones((4, 3)), np.ones(4))
    dx, dW, db = conv1d.backward(y, *cache)
    assert (y.shape, dx.shape) == ((2, 4, 0), (2, 3, 0))
    assert np.array_equal(dW, np.zeros((4, 3)))
    assert np.array_equal(db, np.zeros(4))

    b = np.arange(4.0)
    y, cache = conv1d.forward_general(np.ones((2, 3, 0)), np.ones((4, 3, 2)), b, padding=2)
    assert np.array_equal(y, np.broadcast_to(b[:, None], (2, 4, 3)))
    dx, dW, db = conv1d.backward_general(y, *cache)
    assert dx.shape == (2, 3, 0)
    assert np.array_equal(dW, np.zeros((4, 3, 2)))
    assert np.array_equal(db, 6 * b)


def test_nan_and_infinity_reach_what_depends_on_them_and_nothing_else():
    arrays = draw(3, 2, 4, 5)
    dy = arrays.pop("dy")
    arrays["x"][1, 0, 2], arrays["b"][2] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        y, cache = conv1d.forward(**arrays)
        dx, dW, db = conv1d.backward(dy, *cache)
    assert np.argwhere(np.isnan(y)).tolist() == [[1, o, 2] for o in range(4)]
    assert np.isinf(y[[0, 2], 2]).all()
    assert np.isfinite(y[[0, 2]][:, [0, 1, 3]]).all()
    assert np.isnan(dW[:, 0]).all()
    assert np.isfinite(dW[:, 1]).all()
    assert np.isfinite(dx).all()
    assert np.isfinite(db).all()


def test_nan_reaches_the_windows_that_see_it():
    inputs, dy = draw_general(7, 2, stride=2)
    inputs["x"][0, 0, 2] = np.nan
    y, cache = conv1d.forward_general(**inputs, stride=2)
    assert np.argwhere(np.isnan(y)).tolist() == [[0, o, 1] for o in range(4)]
    dy[2, 1, 0] = np.nan
    dx, _, db = conv1d.backward_general(dy, *cache)
    assert np.argwhere(np.isnan(dx)).tolist() == [[2, i, at] for i in range(2) for at in range(2)]
    assert np.isnan(db).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"W": np.ones((4, 3, 6))},
            ShapeError,
            "W has shape (4, 3, 6), and with dilation 1 its window is 6 long; "
            "expected at most 5, the length of x with padding",
        ),
        (
            {"dilation": 4, "padding": 1},
            ShapeError,
            "W has shape (4, 3, 3), and with dilation 4 its window is 9 long; "
            "expected at most 7, the length of x with padding",
        ),
        ({"stride": 0}, ValueError, "stride is 0, expected a whole number of at least 1"),
        ({"padding": -1}, ValueError, "padding is -1, expected a whole number of at least 0"),
        ({"dilation": 0}, ValueError, "dilation is 0, expected a whole number of at least 1"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(change, error, message):
    arrays = {"x": np.ones((2, 3, 5)), "W": np.ones((4, 3, 3)), "b": np.ones(4)} | change
    with pytest.raises(error) as raised:
        conv1d.forward_general(**arrays)
    assert str(raised.value) == f"conv1d.forward_general: {message}"
    settings = {"stride": 1, "padding": 0, "dilation": 1, **arrays}
    del settings["b"]
    with pytest.raises(error) as raised:
        conv1d.backward_general(np.ones((2, 4, 3)), **settings)
    assert str(raised.value) == f"conv1d.backward_general: {message}"


def test_a_stride_of_zero_is_told_by_a_proof_as_well():
    sizes = {"N": 1, "C_in": 1, "C_out": 1, "L": 3, "K": 2}
    with pytest.raises(ValueError, match="stride is 0, expected a whole number of at least 1"):
        prove_at(*GENERAL, sizes=sizes, const={"stride": 0})


def test_a_window_may_be_as_long_as_the_input():
    y, _ = conv1d.forward_general(np.ones((2, 3, 5)), np.ones((4, 3, 3)), np.ones(4), dilation=2)
    assert y.tolist() == np.full((2, 4, 1), 10.0).tolist()


@pytest.mark.parametrize("places", [1, 3])
def test_the_general_backward_names_a_wrong_number_of_windows(places):
    _, cache = conv1d.forward_general(np.ones((2, 3, 5)), np.ones((4, 3, 2)), np.ones(4), stride=2)
    with pytest.raises(ShapeError) as raised:
        conv1d.backward_general(np.ones((2, 4, places)), *cache)
    assert str(raised.value) == (
        f"conv1d.backward_general: dy has shape (2, 4, {places}), expected 2 places: "
        "so many windows fit into x of shape (2, 3, 5)"
    )
