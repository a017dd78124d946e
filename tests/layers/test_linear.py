"""The linear layer: PyTorch's values, exact sums, edge cases and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.gradcheck import gradcheck
from backprop_lib.layers import linear
from backprop_lib.proof import prove
from backprop_lib.recorded import load
from backprop_lib.shapes import ShapeError

SHAPES = [(4, 3, 2), (1, 3, 2), (5, 1, 4), (3, 4, 1), (2, 3, 3)]


def draw(n, c_in, c_out, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"x": (n, c_in), "W": (c_out, c_in), "b": (c_out,), "dy": (n, c_out)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("case", load("linear"), ids=repr)
def test_agrees_with_pytorch(case):
    assert case.error_of(linear) < case.limit


@pytest.mark.parametrize("method", ["entries", "direction"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_agree_with_measured_slopes(shape, method):
    arrays = draw(*shape)
    arrays.pop("dy")
    assert gradcheck(linear, **arrays, method=method)


def test_is_proven_where_all_sizes_differ():
    assert prove(linear)


@given(st.tuples(*[st.integers(0, 5)] * 3), st.integers(0, 2**32 - 1))
def test_is_the_sum_over_indices_exactly(shape, seed):
    n, c_in, c_out = shape
    rng = np.random.default_rng(seed)
    x, W, b, dy = (
        rng.integers(-9, 10, size).astype(float)
        for size in [(n, c_in), (c_out, c_in), (c_out,), (n, c_out)]
    )
    y, cache = linear.forward(x, W, b)
    dx, dW, db = linear.backward(dy, *cache)
    assert np.array_equal(y, np.einsum("ni,oi->no", x, W) + b)
    assert np.array_equal(dx, np.einsum("no,oi->ni", dy, W))
    assert np.array_equal(dW, np.einsum("no,ni->oi", dy, x))
    assert np.array_equal(db, np.einsum("no->o", dy))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_keeps_the_precision(dtype):
    arrays = {name: array.astype(dtype) for name, array in draw(3, 2, 4).items()}
    dy = arrays.pop("dy")
    y, cache = linear.forward(**arrays)
    assert {array.dtype for array in (y, *linear.backward(dy, *cache))} == {np.dtype(dtype)}


def test_an_empty_batch_gives_zero_gradients():
    y, cache = linear.forward(np.ones((0, 3)), np.ones((4, 3)), np.ones(4))
    dx, dW, db = linear.backward(y, *cache)
    assert (y.shape, dx.shape) == ((0, 4), (0, 3))
    assert np.array_equal(dW, np.zeros((4, 3)))
    assert np.array_equal(db, np.zeros(4))


def test_nan_and_infinity_reach_what_depends_on_them_and_nothing_else():
    arrays = draw(3, 2, 4)
    dy = arrays.pop("dy")
    arrays["x"][1, 0], arrays["b"][2] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        y, cache = linear.forward(**arrays)
        dx, dW, db = linear.backward(dy, *cache)
    assert np.isnan(y[1]).all()
    assert np.isinf(y[[0, 2], 2]).all()
    assert np.isfinite(y[[0, 2]][:, [0, 1, 3]]).all()
    assert np.isnan(dW[:, 0]).all()
    assert np.isfinite(dW[:, 1]).all()
    assert np.isfinite(dx).all()
    assert np.isfinite(db).all()


def test_any_memory_layout_gives_the_same():
    arrays = draw(3, 2, 4)
    dy = arrays.pop("dy")
    expected = linear.backward(dy, *linear.forward(**arrays)[1])
    strided = {name: np.repeat(array, 2, axis=0)[::2] for name, array in arrays.items()}
    for array in strided.values():
        array.flags.writeable = False
    dy = np.asfortranarray(dy)
    dy.flags.writeable = False
    for ours, theirs in zip(
        linear.backward(dy, *linear.forward(**strided)[1]), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)


def test_results_are_new_and_the_upstream_gradient_is_left_alone():
    arrays = draw(3, 2, 4)
    dy = arrays.pop("dy")
    before = dy.copy()
    y, cache = linear.forward(**arrays)
    results = (y, *linear.backward(dy, *cache))
    assert np.array_equal(dy, before)
    for result in results:
        assert not any(np.shares_memory(result, given) for given in (*arrays.values(), dy))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"W": np.ones((3, 4))},
            ShapeError,
            "linear.forward: W has shape (3, 4), expected (C_out, C_in): "
            "axis 1 is 4, but x has C_in = 3",
        ),
        (
            {"x": np.ones(3)},
            ShapeError,
            "linear.forward: x has shape (3,), expected (N, C_in): the number of axes is 1, not 2",
        ),
        (
            {"b": np.ones((4, 1))},
            ShapeError,
            "linear.forward: b has shape (4, 1), expected (C_out,): the number of axes is 2, not 1",
        ),
        (
            {"b": 1.0},
            TypeError,
            "linear.forward: expected b to be floats of shape (C_out,): "
            "it is a float, not a NumPy array",
        ),
        (
            {"x": [[1.0, 2.0, 3.0]]},
            TypeError,
            "linear.forward: expected x to be floats of shape (N, C_in): "
            "it is a list, not a NumPy array",
        ),
        (
            {"x": np.ones((2, 3), dtype=int)},
            TypeError,
            "linear.forward: expected x to be floats of shape (N, C_in): "
            "it holds int64; x.astype(float) makes floats of it",
        ),
        (
            {"x": np.ones((2, 3), dtype=complex)},
            TypeError,
            "linear.forward: expected x to be floats of shape (N, C_in): it holds complex128",
        ),
        (
            {"x": np.array([[1, 2, "3"], [4, 5, 6]], dtype=object)},
            TypeError,
            "linear.forward: expected x to be floats of shape (N, C_in): "
            "it holds objects, and x[0, 2] is '3'",
        ),
    ],
)
def test_forward_names_the_wrong_argument(change, error, message):
    arrays = {"x": np.ones((2, 3)), "W": np.ones((4, 3)), "b": np.ones(4)} | change
    with pytest.raises(error) as raised:
        linear.forward(**arrays)
    assert str(raised.value) == message


def test_backward_names_the_wrong_argument():
    _, cache = linear.forward(np.ones((2, 3)), np.ones((4, 3)), np.ones(4))
    with pytest.raises(ShapeError, match=r"linear.backward: x has shape \(2, 3\).*dy has N = 5"):
        linear.backward(np.ones((5, 4)), *cache)
