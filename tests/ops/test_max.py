"""The maximum along an axis: PyTorch's values, exact scatters, ties, edge cases and bad input."""

from itertools import permutations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.gradcheck import gradcheck
from backprop_lib.ops import max as max_op
from backprop_lib.proof import output, prove, prove_at, slopes
from backprop_lib.recorded import load
from backprop_lib.shapes import ShapeError

SHAPES = [
    ((3, 4, 5), -1),
    ((3, 4, 5), 0),
    ((3, 4, 5), 1),
    ((1, 4, 3), 2),
    ((4, 3, 1), -1),
    ((7,), 0),
    ((2, 3, 2, 4), -3),
]


def draw(shape, axis, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape), rng.standard_normal(np.delete(shape, axis))


def by_loops(x, dy, axis):
    """Return y and dx, searched entry by entry; of equal entries the first one wins."""
    rows = np.moveaxis(x, axis, -1)
    y, dx = np.zeros(rows.shape[:-1]), np.zeros(rows.shape)
    for index in np.ndindex(y.shape):
        place = 0
        for candidate in range(rows.shape[-1]):
            if rows[index][candidate] > rows[index][place]:
                place = candidate
        y[index] = rows[index][place]
        dx[(*index, place)] = dy[index]
    return y, np.moveaxis(dx, -1, axis)


@pytest.mark.parametrize("case", load("max"), ids=repr)
def test_agrees_with_pytorch(case):
    assert case.error_of(max_op) < case.limit


@pytest.mark.parametrize("method", ["entries", "direction"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_gradients_agree_with_measured_slopes(shape, axis, method):
    x, _ = draw(shape, axis)
    assert gradcheck(max_op, x=x, const={"axis": axis}, method=method)


def test_is_proven_with_any_number_of_axes():
    assert prove(max_op)


@pytest.mark.parametrize("axis", [-3, -2, -1, 0, 1, 2])
def test_is_proven_along_every_axis(axis):
    report = prove(max_op, x="N C L", const={"axis": axis})
    assert report
    searched = "NCL"[axis]
    assert report["dx"].where == (f"the largest entry along {searched} occurs only once",)


def test_is_proven_on_every_branch_of_the_comparisons():
    assert prove_at(max_op, x="N C L", sizes={"N": 1, "C": 2, "L": 3})


def test_computes_the_formula_of_the_page():
    n, c = sp.symbols("n c", integer=True)
    assert str(output(max_op.forward, n, c, x="N C L")) == "x[n, c, k[n, c]]"


@given(
    st.tuples(*[st.integers(0, 3)] * 2, st.integers(1, 5)),
    st.permutations(range(3)),
    st.integers(0, 2**32 - 1),
)
def test_is_the_search_by_loops_exactly_ties_included(shape, order, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, shape).astype(float).transpose(order)
    axis = order.index(2)
    dy = rng.integers(-9, 10, np.delete(x.shape, axis)).astype(float)
    y, cache = max_op.forward(x, axis)
    expected_y, expected_dx = by_loops(x, dy, axis)
    assert np.array_equal(y, expected_y)
    assert np.array_equal(max_op.backward(dy, *cache), expected_dx)
    y, cache = max_op.forward(x, axis - 3)
    assert np.array_equal(y, expected_y)
    assert np.array_equal(max_op.backward(dy, *cache), expected_dx)


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_lies_between_the_slopes_on_both_sides_at_ties(size, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (1, size))
    v = rng.integers(-9, 10, (1, size))
    left, right = slopes(max_op.forward, x=x, along={"x": v})
    tied = v[x == x.max()]
    assert (left, right) == (tied.min(), tied.max())
    _, cache = max_op.forward(x.astype(float))
    assert left <= (max_op.backward(np.ones(1), *cache) * v).sum() <= right


def test_backward_is_the_transpose_of_the_gather():
    rng = np.random.default_rng(0)
    x = rng.permutation(np.arange(-12.0, 12)).reshape(3, 2, 4)
    dy = rng.integers(-9, 10, (3, 2)).astype(float)
    y, cache = max_op.forward(x)
    assert (y * dy).sum() == (x * max_op.backward(dy, *cache)).sum() != 0


def test_follows_a_permutation_of_the_places():
    x, dy = draw((2, 3, 4), -1)
    y, cache = max_op.forward(x)
    dx = max_op.backward(dy, *cache)
    for order in permutations(range(4)):
        permuted_y, cache = max_op.forward(x[..., order])
        assert np.array_equal(permuted_y, y)
        assert np.array_equal(max_op.backward(dy, *cache), dx[..., order])


def test_the_cache_holds_x_itself_and_the_first_place():
    x = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    _, (kept, k, axis) = max_op.forward(x)
    assert kept is x
    assert k.tolist() == [[1], [0]]
    assert axis == -1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_keeps_the_precision(dtype):
    x, dy = (array.astype(dtype) for array in draw((3, 4, 5), 1))
    y, cache = max_op.forward(x, 1)
    assert {y.dtype, max_op.backward(dy, *cache).dtype} == {np.dtype(dtype)}


@pytest.mark.parametrize(("shape", "axis"), [((0, 4, 5), -1), ((3, 0, 5), 0)])
def test_an_empty_batch_has_an_empty_gradient(shape, axis):
    y, cache = max_op.forward(np.ones(shape), axis)
    assert y.shape == tuple(np.delete(shape, axis))
    assert max_op.backward(y, *cache).shape == shape


def test_the_first_nan_is_the_largest():
    y, cache = max_op.forward(np.array([[1.0, np.nan, np.inf, np.nan], [1.0, np.inf, 2.0, 0.0]]))
    assert np.isnan(y[0])
    assert y[1] == np.inf
    assert max_op.backward(np.array([2.0, 3.0]), *cache).tolist() == [[0, 2, 0, 0], [0, 3, 0, 0]]


def test_minus_infinity_may_be_the_largest():
    y, cache = max_op.forward(np.full((1, 3), -np.inf))
    assert y == -np.inf
    assert max_op.backward(np.ones(1), *cache).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("upstream", [np.inf, np.nan])
def test_an_upstream_gradient_that_is_no_number_stays_in_its_place(upstream):
    _, cache = max_op.forward(np.array([[3.0, 7.0, 5.0], [1.0, 0.0, 0.0]]))
    dx = max_op.backward(np.array([upstream, 2.0]), *cache)
    assert np.array_equal(dx, [[0, upstream, 0], [2, 0, 0]], equal_nan=True)


def test_any_memory_layout_gives_the_same():
    x, dy = draw((3, 4, 5), 1)
    y, cache = max_op.forward(x, 1)
    dx = max_op.backward(dy, *cache)
    for layout in (
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[:, ::-1].copy()[:, ::-1],
    ):
        other_x, other_dy = layout(x), layout(dy)
        other_x.flags.writeable = other_dy.flags.writeable = False
        other_y, cache = max_op.forward(other_x, 1)
        assert np.array_equal(other_y, y)
        assert np.array_equal(max_op.backward(other_dy, *cache), dx)


def test_an_upstream_gradient_that_is_a_broadcast_view_is_taken():
    x, _ = draw((3, 4, 5), -1)
    dy = np.broadcast_to(2.0, (3, 4))
    dx = max_op.backward(dy, *max_op.forward(x)[1])
    assert np.array_equal(dx.sum(axis=-1), dy)


def test_results_are_new_and_nothing_given_is_changed():
    x, dy = draw((3, 4, 1), -1)  # of one place, y could be a view of x
    x_before, dy_before = x.copy(), dy.copy()
    y, cache = max_op.forward(x)
    k_before = cache[1].copy()
    dx = max_op.backward(dy, *cache)
    assert np.array_equal(x, x_before)
    assert np.array_equal(dy, dy_before)
    assert np.array_equal(cache[1], k_before)
    for result in (y, dx):
        assert not np.shares_memory(result, x)
        assert not np.shares_memory(result, dy)


def test_backward_may_be_called_again():
    x, dy = draw((3, 4, 5), -1)
    _, cache = max_op.forward(x)
    assert np.array_equal(max_op.backward(dy, *cache), max_op.backward(dy, *cache))


@pytest.mark.parametrize(
    ("x", "axis", "error", "message"),
    [
        (
            np.ones((2, 3)),
            2,
            ShapeError,
            "max.forward: axis is 2, but x has shape (2, 3)",
        ),
        (
            np.ones((2, 3)),
            -3,
            ShapeError,
            "max.forward: axis is -3, but x has shape (2, 3)",
        ),
        (
            np.ones((2, 0)),
            -1,
            ShapeError,
            "max.forward: x has shape (2, 0), expected at least one entry along axis -1",
        ),
        (
            np.ones((0, 2)),
            0,
            ShapeError,
            "max.forward: x has shape (0, 2), expected at least one entry along axis 0",
        ),
        (
            np.array(1.0),
            0,
            ShapeError,
            "max.forward: x has shape (), expected (N, *L): the number of axes is 0, not 1",
        ),
        (
            np.ones((2, 3), dtype=int),
            -1,
            TypeError,
            "max.forward: expected x to be floats of shape (N, *L): "
            "it holds int64; x.astype(float) makes floats of it",
        ),
        (
            [1.0, 2.0],
            -1,
            TypeError,
            "max.forward: expected x to be floats of shape (N, *L): "
            "it is a list, not a NumPy array",
        ),
    ],
)
def test_forward_names_the_wrong_argument(x, axis, error, message):
    with pytest.raises(error) as raised:
        max_op.forward(x, axis)
    assert str(raised.value) == message


@pytest.mark.parametrize("axis", [1.0, None, (0, 1)])
def test_an_axis_is_one_whole_number(axis):
    with pytest.raises(TypeError, match="axis"):
        max_op.forward(np.ones((2, 3)), axis)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"dy": np.ones((2, 1))},
            ShapeError,
            "max.backward: dy has shape (2, 1), expected (2,)",
        ),
        (
            {"dy": np.ones(3)},
            ShapeError,
            "max.backward: dy has shape (3,), expected (2,)",
        ),
        (
            {"k": np.zeros((1, 1), dtype=int)},
            ShapeError,
            "max.backward: k has shape (1, 1), expected (2, 1)",
        ),
        (
            {"k": np.zeros((2, 1))},
            TypeError,
            "max.backward: expected k to be integers of shape (*K,): it holds float64",
        ),
        (
            {"dy": np.ones(2, dtype=int)},
            TypeError,
            "max.backward: expected dy to be floats of shape (*M,): "
            "it holds int64; dy.astype(float) makes floats of it",
        ),
    ],
)
def test_backward_names_the_wrong_argument(change, error, message):
    _, (x, k, axis) = max_op.forward(np.ones((2, 3)))
    with pytest.raises(error) as raised:
        max_op.backward(**({"dy": np.ones(2), "x": x, "k": k, "axis": axis} | change))
    assert str(raised.value) == message


def test_backward_wants_the_upstream_gradient_in_the_shape_of_y_along_any_axis():
    for axis in (0, 1, -1, -3):
        y, cache = max_op.forward(np.ones((2, 3, 4)), axis)
        assert max_op.backward(y, *cache).shape == (2, 3, 4)
        with pytest.raises(ShapeError):
            max_op.backward(np.ones(y.shape[::-1]), *cache)
