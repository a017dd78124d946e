"""The batched matrix product: exact sums, square matrices, and what each sample sees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.ops import bmm
from backprop_lib.proof import refute
from backprop_lib.recorded import load


def draw(n, length, c, d, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"x": (n, length, c), "t": (n, c, d), "dy": (n, length, d)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def run(x, t, dy):
    y, cache = bmm.forward(x, t)
    return y, *bmm.backward(dy, *cache)


def test_pytorch_was_asked_with_one_sample_one_point_and_square_matrices():
    shapes = {(*case.inputs["x"].shape, case.inputs["t"].shape[2]) for case in load("bmm")}
    assert any(n == 1 for n, *_ in shapes)
    assert any(length == 1 for _, length, *_ in shapes)
    assert any(c == d > 1 for *_, c, d in shapes)
    assert any(len(set(shape)) == 4 for shape in shapes)


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


def test_the_cache_holds_the_arrays_themselves():
    arrays = draw(3, 4, 2, 5)
    _, (x, t) = bmm.forward(arrays["x"], arrays["t"])
    assert x is arrays["x"]
    assert t is arrays["t"]
