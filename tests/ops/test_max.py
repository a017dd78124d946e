"""The maximum along an axis: exact scatters, ties, any axis, and axes that are not there."""

from itertools import permutations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.ops import max as max_op
from backprop_lib.proof import output, prove, prove_at, slopes
from backprop_lib.shapes import ShapeError


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


@pytest.mark.parametrize(
    ("x", "axis", "message"),
    [
        (
            np.ones((2, 3)),
            2,
            "axis is 2, expected -2 to 1: x has shape (2, 3)",
        ),
        (
            np.ones((2, 3)),
            -3,
            "axis is -3, expected -2 to 1: x has shape (2, 3)",
        ),
        (
            np.ones((2, 0)),
            -1,
            "x has shape (2, 0), expected at least one entry along axis -1",
        ),
        (
            np.ones((0, 2)),
            0,
            "x has shape (0, 2), expected at least one entry along axis 0",
        ),
    ],
)
def test_an_axis_that_is_not_there_or_has_no_entry_is_named(x, axis, message):
    with pytest.raises(ShapeError) as raised:
        max_op.forward(x, axis)
    assert str(raised.value) == f"max.forward: {message}"
    with pytest.raises(ShapeError) as raised:
        max_op.backward(np.ones(2), x, np.zeros((2, 1), dtype=int), axis)
    assert str(raised.value) == f"max.backward: {message}"


@pytest.mark.parametrize("axis", [1.0, None, (0, 1)])
def test_an_axis_is_one_whole_number(axis):
    with pytest.raises(TypeError, match="axis"):
        max_op.forward(np.ones((2, 3)), axis)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"dy": np.ones((2, 1))},
            "max.backward: dy has shape (2, 1), expected (2,)",
        ),
        (
            {"dy": np.ones(3)},
            "max.backward: dy has shape (3,), expected (2,)",
        ),
        (
            {"k": np.zeros((1, 1), dtype=int)},
            "max.backward: k has shape (1, 1), expected (2, 1)",
        ),
    ],
)
def test_backward_names_what_does_not_belong_to_x_and_the_axis(change, message):
    _, (x, k, axis) = max_op.forward(np.ones((2, 3)))
    with pytest.raises(ShapeError) as raised:
        max_op.backward(**({"dy": np.ones(2), "x": x, "k": k, "axis": axis} | change))
    assert str(raised.value) == message


@pytest.mark.parametrize("axis", [-2, 1])
@pytest.mark.parametrize("label", [-1, 3])
def test_backward_names_a_place_that_is_not_there(label, axis):
    y, (x, k, axis) = max_op.forward(np.ones((2, 3, 4)), axis)
    k[1, 0, 2] = label
    with pytest.raises(ValueError, match=r"^max.backward: ") as raised:
        max_op.backward(y, x, k, axis)
    assert str(raised.value) == (
        f"max.backward: k[1, 0, 2] is {label}, expected a label from 0 to 2: x has shape (2, 3, 4)"
    )


def test_backward_wants_the_upstream_gradient_in_the_shape_of_y_along_any_axis():
    for axis in (0, 1, -1, -3):
        y, cache = max_op.forward(np.ones((2, 3, 4)), axis)
        assert max_op.backward(y, *cache).shape == (2, 3, 4)
        with pytest.raises(ShapeError):
            max_op.backward(np.ones(y.shape[::-1]), *cache)
