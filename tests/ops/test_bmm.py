"""The batched matrix product: PyTorch's values, exact sums, edge cases and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.gradcheck import gradcheck
from backprop_lib.ops import bmm
from backprop_lib.proof import prove, refute
from backprop_lib.recorded import load
from backprop_lib.shapes import ShapeError

SHAPES = [(3, 4, 2, 5), (1, 5, 3, 2), (4, 1, 2, 3), (2, 3, 1, 4), (2, 3, 4, 1), (3, 3, 3, 3)]


def draw(n, length, c, d, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"x": (n, length, c), "t": (n, c, d), "dy": (n, length, d)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def run(x, t, dy):
    y, cache = bmm.forward(x, t)
    return y, *bmm.backward(dy, *cache)


@pytest.mark.parametrize("case", load("bmm"), ids=repr)
def test_agrees_with_pytorch(case):
    assert case.error_of(bmm) < case.limit


def test_pytorch_was_asked_with_one_sample_one_point_and_square_matrices():
    shapes = {(*case.inputs["x"].shape, case.inputs["t"].shape[2]) for case in load("bmm")}
    assert any(n == 1 for n, *_ in shapes)
    assert any(length == 1 for _, length, *_ in shapes)
    assert any(c == d > 1 for *_, c, d in shapes)
    assert any(len(set(shape)) == 4 for shape in shapes)


@pytest.mark.parametrize("method", ["entries", "direction"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_agree_with_measured_slopes(shape, method):
    arrays = draw(*shape)
    arrays.pop("dy")
    assert gradcheck(bmm, **arrays, method=method)


def test_is_proven_where_all_sizes_differ():
    assert prove(bmm)


def turned(stack):
    return stack.swapaxes(1, 2)


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("x", lambda dy, x, t: dy @ t),
        ("x", lambda dy, x, t: dy @ t.reshape(t.shape[0], t.shape[2], t.shape[1])),
        ("t", lambda dy, x, t: turned(dy) @ x),
        ("t", lambda dy, x, t: np.broadcast_to((turned(x) @ dy).sum(axis=0), t.shape)),
    ],
)
def test_what_has_the_right_shape_is_refuted_where_matrices_are_square(name, claim):
    verdict = refute(bmm.forward, wrt=name, claim=claim, x="N L C", t="N C C")[f"d{name}"]
    assert verdict.status == "refuted"


@given(st.tuples(*[st.integers(0, 4)] * 4), st.integers(0, 2**32 - 1))
def test_is_the_sum_over_indices_exactly(shape, seed):
    n, length, c, d = shape
    rng = np.random.default_rng(seed)
    x, t, dy = (
        rng.integers(-9, 10, size).astype(float)
        for size in [(n, length, c), (n, c, d), (n, length, d)]
    )
    y, dx, dt = run(x, t, dy)
    assert np.array_equal(y, np.einsum("nlc,ncd->nld", x, t))
    assert np.array_equal(dx, np.einsum("nld,ncd->nlc", dy, t))
    assert np.array_equal(dt, np.einsum("nlc,nld->ncd", x, dy))


@given(st.tuples(*[st.integers(1, 4)] * 4), st.integers(0, 2**32 - 1))
def test_no_sample_sees_another(shape, seed):
    arrays = draw(*shape, seed)
    together = run(**arrays)
    for n in range(shape[0]):
        alone = run(**{name: array[n : n + 1] for name, array in arrays.items()})
        for whole, part in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[n : n + 1], part, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_keeps_the_precision(dtype):
    arrays = {name: array.astype(dtype) for name, array in draw(3, 4, 2, 5).items()}
    assert {array.dtype for array in run(**arrays)} == {np.dtype(dtype)}


@pytest.mark.parametrize("shape", [(0, 4, 2, 5), (3, 0, 2, 5), (3, 4, 0, 5), (3, 4, 2, 0)])
def test_an_empty_axis_gives_sums_of_nothing(shape):
    n, length, c, d = shape
    arrays = draw(*shape)
    y, dx, dt = run(**arrays)
    assert (y.shape, dx.shape, dt.shape) == ((n, length, d), (n, length, c), (n, c, d))
    for array, summed in ((y, c), (dx, d), (dt, length)):
        if summed == 0:
            assert np.array_equal(array, np.zeros(array.shape))


def test_nan_and_infinity_reach_what_depends_on_them_and_nothing_else():
    arrays = draw(2, 3, 2, 4)
    arrays["x"][1, 2, 0], arrays["t"][0, 1, 3] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        y, dx, dt = run(**arrays)
    expected = {
        "y": np.zeros((2, 3, 4), bool),
        "dx": np.zeros((2, 3, 2), bool),
        "dt": np.zeros((2, 2, 4), bool),
    }
    expected["y"][1, 2, :] = expected["y"][0, :, 3] = True
    expected["dx"][0, :, 1] = True
    expected["dt"][1, 0, :] = True
    assert np.isnan(y[1, 2]).all()
    assert np.isinf(y[0, :, 3]).all()
    assert np.isinf(dx[0, :, 1]).all()
    assert np.isnan(dt[1, 0]).all()
    for name, array in {"y": y, "dx": dx, "dt": dt}.items():
        assert np.array_equal(~np.isfinite(array), expected[name]), name


def test_any_memory_layout_gives_the_same():
    arrays = draw(3, 4, 2, 5)
    expected = run(**arrays)
    strided = {name: np.repeat(array, 2, axis=2)[:, :, ::2] for name, array in arrays.items()}
    turned_in_memory = {name: np.asfortranarray(array) for name, array in arrays.items()}
    backwards = {name: array[:, ::-1].copy()[:, ::-1] for name, array in arrays.items()}
    for layout in (strided, turned_in_memory, backwards):
        for array in layout.values():
            array.flags.writeable = False
        for ours, theirs in zip(run(**layout), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_results_are_new_and_the_upstream_gradient_is_left_alone():
    arrays = draw(3, 4, 2, 5)
    before = {name: array.copy() for name, array in arrays.items()}
    results = run(**arrays)
    for name, array in arrays.items():
        assert np.array_equal(array, before[name])
    for result in results:
        assert not any(np.shares_memory(result, given) for given in arrays.values())


def test_the_cache_holds_the_arrays_themselves():
    arrays = draw(3, 4, 2, 5)
    _, (x, t) = bmm.forward(arrays["x"], arrays["t"])
    assert x is arrays["x"]
    assert t is arrays["t"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"x": np.ones((2, 3))},
            ShapeError,
            "bmm.forward: x has shape (2, 3), expected (N, L, C): the number of axes is 2, not 3",
        ),
        (
            {"t": np.ones((3, 5))},
            ShapeError,
            "bmm.forward: t has shape (3, 5), expected (N, C, D): the number of axes is 2, not 3",
        ),
        (
            {"t": np.ones((2, 5, 3))},
            ShapeError,
            "bmm.forward: t has shape (2, 5, 3), expected (N, C, D): axis 1 is 5, but x has C = 3",
        ),
        (
            {"t": np.ones((1, 3, 5))},
            ShapeError,
            "bmm.forward: t has shape (1, 3, 5), expected (N, C, D): axis 0 is 1, but x has N = 2",
        ),
        (
            {"x": [[[1.0, 2.0, 3.0]]]},
            TypeError,
            "bmm.forward: expected x to be floats of shape (N, L, C): "
            "it is a list, not a NumPy array",
        ),
        (
            {"t": np.ones((2, 3, 5), dtype=int)},
            TypeError,
            "bmm.forward: expected t to be floats of shape (N, C, D): "
            "it holds int64; t.astype(float) makes floats of it",
        ),
        (
            {"t": np.ones((2, 3, 5), dtype=complex)},
            TypeError,
            "bmm.forward: expected t to be floats of shape (N, C, D): it holds complex128",
        ),
    ],
)
def test_forward_names_the_wrong_argument(change, error, message):
    arrays = {"x": np.ones((2, 4, 3)), "t": np.ones((2, 3, 5))} | change
    with pytest.raises(error) as raised:
        bmm.forward(**arrays)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"dy": np.ones((2, 4, 3))},
            "bmm.backward: t has shape (2, 3, 5), expected (N, C, D): "
            "axis 2 is 5, but dy has D = 3",
        ),
        (
            {"dy": np.ones((1, 4, 5))},
            "bmm.backward: x has shape (2, 4, 3), expected (N, L, C): "
            "axis 0 is 2, but dy has N = 1",
        ),
        (
            {"x": np.ones((2, 7, 3))},
            "bmm.backward: x has shape (2, 7, 3), expected (N, L, C): "
            "axis 1 is 7, but dy has L = 4",
        ),
    ],
)
def test_backward_names_the_wrong_argument(change, message):
    arrays = {"dy": np.ones((2, 4, 5)), "x": np.ones((2, 4, 3)), "t": np.ones((2, 3, 5))} | change
    with pytest.raises(ShapeError) as raised:
        bmm.backward(**arrays)
    assert str(raised.value) == message
