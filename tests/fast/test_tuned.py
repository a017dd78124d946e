"""The tuned functions: exact equality with the readable ones, tiles and pieces, edges."""

import layer_by_layer as by_layer
import numpy as np
import pytest

from backprop_lib.fast import batchnorm1d, batchnorm1d_relu, bmm, conv1d, normalising
from backprop_lib.fast import max as largest
from backprop_lib.layers import batchnorm1d as layers_batchnorm1d
from backprop_lib.layers import batchnorm1d_relu as layers_batchnorm1d_relu
from backprop_lib.layers import conv1d as layers_conv1d
from backprop_lib.ops import bmm as ops_bmm
from backprop_lib.ops import max as ops_max
from backprop_lib.shapes import unchecked

PAIRS = {
    "conv1d": (conv1d, layers_conv1d, ""),
    "bmm": (bmm, ops_bmm, ""),
    "max": (largest, ops_max, ""),
    "batchnorm1d": (batchnorm1d, layers_batchnorm1d, ""),
    "batchnorm1d_relu": (batchnorm1d_relu, layers_batchnorm1d_relu, ""),
    "batchnorm1d_evaluation": (batchnorm1d, layers_batchnorm1d, "_evaluation"),
    "batchnorm1d_relu_evaluation": (batchnorm1d_relu, layers_batchnorm1d_relu, "_evaluation"),
}
SHAPES = {
    "conv1d": [{"x": (n, i, p), "W": (o, i), "b": (o,)} for n, i, o, p in by_layer.SHAPES],
    "bmm": [{"x": (n, p, i), "t": (n, i, o)} for n, i, o, p in by_layer.SHAPES],
    "max": [{"x": (n, i, p)} for n, i, _, p in by_layer.SHAPES],
    "batchnorm1d": [
        {"x": x, "W": x[1:2], "b": x[1:2]}
        for x in [(6, 3), (5, 1), (4, 3, 2), (1, 2, 5), (3, 2, 1), (2, 3, 2, 2), (1, 3, 1), (1, 2)]
    ],
}
CASES = [
    pytest.param(name, shapes, id=f"{name} {shapes['x']}")
    for name in PAIRS
    for shapes in SHAPES.get(name, SHAPES["batchnorm1d"])
]
EACH = pytest.mark.parametrize(("name", "shapes"), CASES)
EACH_NAME = pytest.mark.parametrize("name", PAIRS)


def functions(name, which):
    """Return forward and backward, fast (0) or readable (1)."""
    module, variant = PAIRS[name][which], PAIRS[name][2]
    return getattr(module, f"forward{variant}"), getattr(module, f"backward{variant}")


def draw(name, shapes, dtype=float, seed=0):
    rng = np.random.default_rng(seed)
    inputs = {key: rng.standard_normal(shape).astype(dtype) for key, shape in shapes.items()}
    const = {}
    if name.endswith("_evaluation"):
        channels = shapes["W"]
        const = {"mean": rng.standard_normal(channels), "var": rng.uniform(0.3, 2, channels)}
    y, _ = functions(name, 1)[0](**inputs, **const)
    dy = rng.standard_normal(y.shape).astype(dtype)
    return inputs, {key: value.astype(dtype) for key, value in const.items()}, dy


def run(name, which, inputs, const, dy, **options):
    forward, backward = functions(name, which)
    y, cache = forward(**inputs, **const, **options)
    gradients = backward(dy, *cache, **options)
    return y, *(gradients if isinstance(gradients, tuple) else (gradients,))


@EACH
def test_equals_the_readable_one_exactly(name, shapes):
    rng = np.random.default_rng(0)
    whole = {k: rng.integers(-5, 6, v).astype(object) for k, v in shapes.items()}
    inputs = {k: by_layer.exact(v) for k, v in whole.items()}
    const = {}
    with unchecked():
        if "batchnorm" in name:
            x, c = inputs["x"], len(inputs["W"])
            axes, column = (0, *range(2, x.ndim)), (-1, *(1,) * (x.ndim - 2))
            var = by_layer.exact(np.full(c, 5, object))
            if name.endswith("_evaluation"):
                const = {"mean": by_layer.exact(rng.integers(-5, 6, c).astype(object)), "var": var}
            else:
                centred = x - x.mean(axis=axes).reshape(column)
                var = (centred * centred).mean(axis=axes)
            root = by_layer.exact(rng.integers(20, 30, c).astype(object))
            const["eps"] = root * root - var  # so that every root is rational
        y, _ = functions(name, 1)[0](**inputs, **const)
        dy = by_layer.exact(rng.integers(-5, 6, y.shape).astype(object))
        ours, theirs = (run(name, which, inputs, const, dy) for which in (0, 1))
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert (by_layer.values(a) == by_layer.values(b)).all()


@EACH
def test_equals_the_readable_one(name, shapes):
    inputs, const, dy = draw(name, shapes)
    ours, theirs = (run(name, which, inputs, const, dy) for which in (0, 1))
    assert by_layer.worst_error(ours, theirs) < 1e-12


@EACH_NAME
@pytest.mark.parametrize("offset", [0, 1, 10, 100, 1000])
def test_loses_no_digits_far_from_zero(name, offset):
    shapes = {"conv1d": {"x": (6, 5, 40), "W": (3, 5), "b": (3,)}, "max": {"x": (6, 5, 40)}}
    shapes["bmm"] = {"x": (6, 40, 5), "t": (6, 5, 3)}
    inputs, const, dy = draw(
        name, shapes.get(name, {"x": (6, 5, 40), "W": (5,), "b": (5,)}), np.float32
    )
    inputs["x"] += np.float32(offset)
    if const:
        const["mean"] += np.float32(offset)
    ours = run(name, 0, inputs, const, dy)
    wide = [{k: v.astype(float) for k, v in group.items()} for group in (inputs, const)]
    reference = run(name, 1, *wide, dy.astype(float))
    assert {result.dtype for result in ours} == {np.dtype(np.float32)}
    assert by_layer.worst_error(ours, reference) < 1e-6


@pytest.mark.parametrize("name", ["batchnorm1d", "batchnorm1d_relu"])
@pytest.mark.parametrize("shape", [(3, 5, 40_000), (2, 400, 300), (500, 700)])
def test_many_entries_are_worked_on_in_tiles(name, shape):
    shapes = {"x": shape, "W": shape[1:2], "b": shape[1:2]}
    inputs, const, dy = draw(name, shapes)
    ours, theirs = (run(name, which, inputs, const, dy) for which in (0, 1))
    assert by_layer.worst_error(ours, theirs) < 1e-11


@pytest.mark.parametrize("places", [127, 128, 129, 300])
@pytest.mark.parametrize("channels", [(3, 5), (64, 64), (70, 130)])
def test_a_long_matrix_is_multiplied_in_pieces(places, channels):
    size_in, size_out = channels
    is_small = size_in * size_out * bmm.PIECE <= bmm.SMALL
    assert bmm._whole(places, size_in * size_out) == (places // 128 * 128 if is_small else 0)
    rng = np.random.default_rng(places)
    shapes = (2, places, size_in), (2, size_in, size_out), (2, places, size_out)
    x, t, dy = (rng.integers(-9, 10, shape).astype(np.float32) for shape in shapes)  # no rounding
    ours, theirs = (run("bmm", which, {"x": x, "t": t}, {}, dy) for which in (0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("name", ["batchnorm1d", "batchnorm1d_relu"])
def test_what_rounding_leaves_of_the_mean_is_made_good(name, monkeypatch):
    inputs, const, dy = draw(name, {"x": (6, 5, 4), "W": (5,), "b": (5,)})
    expected = run(name, 0, inputs, const, dy)
    mean, met = normalising._mean, []

    def wrong_mean(rows, ones):
        met.append(len(met))
        return mean(rows, ones) + (0.5 if len(met) == 1 else 0)

    def split(mean, dtype):
        met.append(len(met))
        return mean.astype(dtype) + 0.5, np.full_like(mean, -0.5)

    monkeypatch.setattr(normalising, "_mean", wrong_mean)
    monkeypatch.setattr(normalising, "split", split)
    assert by_layer.worst_error(run(name, 0, inputs, const, dy), expected) < 1e-12
    assert len(met) == 3


@pytest.mark.parametrize("name", ["batchnorm1d", "batchnorm1d_relu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_entry_to_a_channel_gives_the_shift_and_no_gradient(name, dtype):
    inputs, const, dy = draw(name, {"x": (1, 3, 1), "W": (3,), "b": (3,)}, dtype)
    inputs["x"] += dtype(1000)
    y, dx, dW, _ = run(name, 0, inputs, const, dy)
    b = inputs["b"][None, :, None]
    assert np.array_equal(y, np.maximum(b, 0) if name.endswith("relu") else b)
    assert not dx.any()
    assert not dW.any()


def test_of_equal_largest_entries_the_first_gets_all():
    x = np.array([[[1.0, 3, 3, 2], [0, 0, 0, 0]]])
    y, cache = largest.forward(x)
    assert y.tolist() == [[3, 0]]
    assert largest.backward(np.array([[5.0, 7]]), *cache).tolist() == [[[0, 5, 0, 0], [7, 0, 0, 0]]]


@pytest.mark.parametrize("sizes", [(300, 0, 3), (300, 3, 0), (0, 3, 4), (300, 0, 0)])
def test_a_product_with_an_axis_of_size_0_has_no_entries_or_zeros(sizes):
    places, size_in, size_out = sizes
    x, t = np.ones((2, places, size_in)), np.ones((2, size_in, size_out))
    dy = np.ones((2, places, size_out))
    ours, theirs = (run("bmm", which, {"x": x, "t": t}, {}, dy) for which in (0, 1))
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert not a.any()
        assert not b.any()


def test_no_places_give_zero_gradients():
    results = run("conv1d", 0, *draw("conv1d", {"x": (2, 3, 0), "W": (4, 3), "b": (4,)}))
    assert [r.shape for r in results] == [(2, 4, 0), (2, 3, 0), (4, 3), (4,)]
    assert not any(result.any() for result in results)


@pytest.mark.parametrize("ending", ["", "_evaluation"])
def test_nan_before_the_relu_is_closed_in_both_forms(ending):
    x = np.random.default_rng(5).standard_normal((4, 3))
    mask = np.ones(3)
    const = {"mean": np.zeros(3), "var": mask} if ending else {}
    dy = np.random.default_rng(6).standard_normal(x.shape)
    b = np.array([0.3, np.nan, -0.2])
    for module in (layers_batchnorm1d_relu, batchnorm1d_relu):
        y, cache = getattr(module, f"forward{ending}")(x, mask, b, **const)
        dx, dW, db = getattr(module, f"backward{ending}")(dy, *cache)
        assert np.isnan(y[:, 1]).all()
        assert not np.isnan(y[:, [0, 2]]).any()
        assert (dx[:, 1], dW[1], db[1]) == (pytest.approx(np.zeros(4), abs=0), 0, 0)
        assert np.abs(dx[:, [0, 2]]).max() > 0.1


def test_an_infinite_upstream_at_a_closed_place_stops_in_the_readable_form_only():
    x = np.random.default_rng(5).standard_normal((4, 3))
    y, cache = layers_batchnorm1d_relu.forward_evaluation(
        x, np.ones(3), np.zeros(3), np.zeros(3), np.ones(3)
    )
    dy = np.where(y > 0, 1.0, np.inf)
    with np.errstate(invalid="ignore"):
        of_readable = layers_batchnorm1d_relu.backward_evaluation(dy, *cache)
        _, cache = batchnorm1d_relu.forward_evaluation(
            x, np.ones(3), np.zeros(3), np.zeros(3), np.ones(3)
        )
        of_fast = batchnorm1d_relu.backward_evaluation(dy, *cache)
    assert all(np.isfinite(gradient).all() for gradient in of_readable)
    closed = (y == 0).any(axis=0)
    assert closed.any()
    assert np.array_equal(np.isnan(of_fast[1]), closed)
