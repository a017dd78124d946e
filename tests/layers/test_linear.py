"""The linear layer: exact sums, and how far what is no number reaches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.layers import linear


def draw(n, c_in, c_out, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"x": (n, c_in), "W": (c_out, c_in), "b": (c_out,), "dy": (n, c_out)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


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
