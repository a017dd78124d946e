"""PointNet as a whole: PyTorch's gradients, exact slopes, measured slopes, and its symmetries."""

from functools import cache
from math import isqrt

import numpy as np
import pytest
import sympy as sp

from backprop_lib.gradcheck import gradcheck
from backprop_lib.pointnet import network
from backprop_lib.pointnet.network import PointNet, Settings, loss_and_gradients_of
from backprop_lib.proof import slopes
from backprop_lib.proof.dual import Met, duals, exact_array, value_of
from backprop_lib.recorded import load
from backprop_lib.shapes import ShapeError, unchecked

TINY = Settings(
    classes=4, local=(4, 3), features=(5, 6), head=(5,), transform=(4, 5), transform_head=(4,),
    dropout=0,
)  # fmt: skip
FORMS = pytest.mark.parametrize("derived", [False, True], ids=["readable", "derived"])


def drawn(n=5, length=7, dtype=np.float64, seed=0, settings=TINY):
    """Return a network whose parameters are all random, none of them 0 or 1, and a batch."""
    rng = np.random.default_rng(seed)
    net = PointNet(settings, dtype=dtype)
    for values in net.parameters.values():
        values[...] = rng.standard_normal(values.shape)
    points = rng.standard_normal((n, settings.channels, length)).astype(dtype)
    return net, points, rng.integers(settings.classes, size=n)


def loss_of(case, *, derived):
    """Return the network of a recorded case as a forward and a backward."""
    net = PointNet(TINY, dtype=case.dy.dtype, derived=derived)
    const = dict(case.const)
    labels, weight, training = (const.pop(k) for k in ("labels", "regulariser", "training"))
    net.running = const
    left = {}

    def forward(points, **parameters):
        parameters = {k: v for k, v in parameters.items() if k in net.parameters}
        out = net.forward(points, training=training, parameters=parameters)
        left.update(out.running)
        loss, gradients = loss_and_gradients_of(out, labels, weight)
        return np.asarray(loss, case.dy.dtype), (gradients,)

    def backward(dy, gradients):
        return [dy * gradients[name] for name in case.inputs]

    return forward, backward, left


@FORMS
@pytest.mark.parametrize("case", load("pointnet"), ids=lambda case: f"{case.dy.dtype}")
def test_every_gradient_and_statistic_agrees_with_pytorch(case, derived):
    forward, backward, left = loss_of(case, derived=derived)
    # twenty layers in a row: in float32, PyTorch itself is this far from its own float64
    limit = case.limit * (10 if case.dy.dtype == np.float32 else 1)
    assert case.error_of(forward, backward) < limit
    assert set(left) == set(case.after)
    for name, expected in case.after.items():
        np.testing.assert_allclose(left[name], expected, rtol=0, atol=limit)
        assert left[name].dtype == expected.dtype


def as_layer(net, labels, weight=0.1, seed=3):
    """Return the loss of a network, with dropout drawn anew from the same seed each time."""

    def forward(points, **parameters):
        rng = np.random.default_rng(seed)
        out = net.forward(points, training=True, rng=rng, parameters=parameters)
        loss, gradients = loss_and_gradients_of(out, labels, weight)
        return np.asarray(loss), (gradients, ["points", *parameters])

    def backward(dy, gradients, names):
        return [dy * gradients[name] for name in names]

    return forward, backward


def with_underscores(arrays):
    """Return arrays by names that can be those of parameters."""
    return {name.replace(".", "_"): value for name, value in arrays.items()}


def signature_with(function, names):
    """Give a function of keywords the signature that gradcheck reads."""
    text = ", ".join(with_underscores(dict.fromkeys(names)))
    given = ", ".join(f"{name!r}: {name.replace('.', '_')}" for name in names)
    scope = {"function": function}
    exec(f"def forward({text}):\n    return function(**{{{given}}})", scope)
    return scope["forward"]


@FORMS
def test_the_whole_gradient_agrees_with_measured_slopes(derived):
    settings = Settings(
        classes=4, local=(8,), features=(9, 16), head=(10,), transform=(8, 12),
        transform_head=(7,), dropout=0.3,
    )  # fmt: skip
    net, points, labels = drawn(6, 11, settings=settings)
    net.derived = derived
    forward, backward = as_layer(net, labels)
    arrays = {"points": points, **net.parameters}
    assert gradcheck(
        signature_with(forward, list(arrays)),
        backward,
        method="direction",
        **with_underscores(arrays),
    )


EXACT = Settings(
    channels=2, classes=2, local=(2,), features=(3,), head=(3,), transform=(3,),
    transform_head=(3,), dropout=0,
)  # fmt: skip


@cache
def exact_network():
    """Return a network of whole numbers, with an eps for each channel that makes roots rational."""
    net, points, _ = drawn(4, 4, settings=EXACT, seed=3)
    rng = np.random.default_rng(53)
    arrays = {"points": points, **net.parameters}
    exact = {
        name: exact_array(rng.integers(-99, 100, a.shape).astype(object))
        for name, a in arrays.items()
    }
    chosen = {}

    def eps(name, z):
        if name not in chosen:
            values = exact_array(np.vectorize(value_of, otypes=[object])(z))
            axes = (0, *range(2, z.ndim))
            count = sp.Integer(z.size // z.shape[1])
            mean = values.sum(axis=axes) / count
            square = (values * values).sum(axis=axes) / count
            var = square - mean * mean
            roots = [sp.Integer(isqrt(int(v)) + 1) for v in var]
            chosen[name] = np.array(
                [r * r - v for r, v in zip(roots, var, strict=True)], dtype=object
            )
        return chosen[name]

    net.eps = eps
    return net, exact


def exact_slope_and_claim():
    """Return the slope along one direction through all arrays, what pull claims, and gradients."""
    net, exact = exact_network()
    rng = np.random.default_rng(7)

    def run(points, **parameters):
        return net.forward(points, training=True, parameters=parameters)

    def forward(**arrays):
        out = run(**arrays)
        return np.concatenate([out.scores.ravel(), out.transform.ravel()]), ()

    def whole(shape):
        return exact_array(rng.integers(-9, 10, shape).astype(object))

    along = {name: whole(value.shape) for name, value in exact.items()}
    met = Met()
    with unchecked():
        out = run(**{name: duals(value, None, met) for name, value in exact.items()})
        dscores, dt = whole(out.scores.shape), whole(out.transform.shape)
        gradients = out.pull(duals(dscores, None, met), duals(dt, None, met))
        left, right = slopes(
            signature_with(forward, list(exact)),
            along=with_underscores(along),
            dy=np.concatenate([dscores.ravel(), dt.ravel()]),
            **with_underscores(exact),
        )
    assert left == right  # no tie at this point: there is one gradient
    values = {name: [value_of(entry) for entry in gradients[name].flat] for name in exact}
    slope = sp.Rational(left.numerator, left.denominator)
    claim = sum(
        a * b for name in exact for a, b in zip(values[name], along[name].flat, strict=True)
    )
    return slope, claim, values


def test_exact_slopes_agree_with_the_whole_gradient():
    """No rounding and no step: one direction through all parameters and points, exactly."""
    slope, claim, gradients = exact_slope_and_claim()
    assert slope == claim != 0
    assert all(any(values) for values in gradients.values())  # no part of the network is closed


@pytest.mark.parametrize("forgotten", [0, 1])
def test_a_forgotten_path_is_noticed_exactly(monkeypatch, forgotten):
    """The points of a product go one way, its matrices another; each is left out once."""
    right = network._Pass.transformed

    def wrong(self, name, x, t):
        y, pull = right(self, name, x, t)

        def without(dy):
            gradients = list(pull(dy))
            gradients[forgotten] = 0 * gradients[forgotten]
            return gradients

        return y, without

    monkeypatch.setattr(network._Pass, "transformed", wrong)
    slope, claim, _ = exact_slope_and_claim()
    assert slope != claim


@FORMS
@pytest.mark.parametrize("training", [True, False])
def test_the_order_of_the_points_changes_nothing(derived, training):
    net, points, _ = drawn()
    net.derived = derived
    order = np.random.default_rng(1).permutation(points.shape[2])
    before = net.forward(points, training=training)
    after = net.forward(points[:, :, order], training=training)
    np.testing.assert_allclose(after.scores, before.scores, rtol=1e-9, atol=1e-9)
    taken = before.feature > 0  # where the ReLU is closed at every point, the first is named
    assert 0.3 < taken.mean() < 1
    assert np.array_equal(order[after.places][taken], before.places[taken])


@FORMS
def test_the_critical_points_alone_have_the_same_feature(derived):
    """With transforms that are the same for every input; else they see fewer points, too."""
    net, points, _ = drawn(4, 30)
    net.derived = derived
    for part in ("input_transform", "feature_transform"):
        net.parameters[f"{part}.out.W"][...] = 0
    whole = net.forward(points, training=False)
    assert np.array_equal(net.critical_points(points), whole.places)
    for n in range(4):
        kept = np.unique(whole.places[n][whole.feature[n] > 0])
        assert 1 < len(kept) <= 6
        alone = net.forward(points[n : n + 1][:, :, kept], training=False)
        np.testing.assert_allclose(alone.scores, whole.scores[n : n + 1], rtol=1e-12)
        fewer = net.forward(points[n : n + 1][:, :, kept[1:]], training=False)
        assert not np.allclose(fewer.feature, whole.feature[n : n + 1])


def test_derived_and_readable_form_are_the_same_network():
    net, points, labels = drawn(6, 9)
    results = []
    for derived in (False, True):
        net.derived = derived
        out = net.forward(points, training=True)
        loss, gradients = loss_and_gradients_of(out, labels, 0.1)
        results.append({"loss": np.array(loss), **gradients, **out.running})
    readable, fast = results
    assert set(readable) == set(fast) >= set(net.parameters)
    for name, value in readable.items():
        limit = 1e-10 * max(1, np.abs(value).max())
        np.testing.assert_allclose(fast[name], value, rtol=0, atol=limit, err_msg=name)


def test_reused_buffers_change_nothing():
    net, points, labels = drawn(6, 9)
    net.derived = True
    expected = net.loss_and_gradients(points, labels)
    net.buffers = network.Buffers()
    for _ in range(3):
        loss, gradients = net.loss_and_gradients(points, labels)
        assert loss == expected[0]
        assert all(np.array_equal(gradients[name], g) for name, g in expected[1].items())


@FORMS
def test_a_pass_leaves_the_network_and_the_batch_as_they_were(derived):
    net, points, _ = drawn()
    net.derived = derived
    before = {k: v.copy() for k, v in {**net.parameters, **net.running, "p": points}.items()}
    out = net.forward(points, training=True)
    first = out.pull(np.ones_like(out.scores), np.ones_like(out.transform))
    again = out.pull(np.ones_like(out.scores), np.ones_like(out.transform))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    after = {**net.parameters, **net.running, "p": points}
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_the_same_seed_draws_the_same_network_and_dropout():
    points = np.random.default_rng(0).standard_normal((3, 3, 5)).astype(np.float32)
    settings = Settings(local=(4,), features=(8,), head=(6,), transform=(4,), transform_head=(4,))

    def scores(seed, drop):
        net = PointNet(settings, seed=seed)
        return net.forward(points, training=True, rng=np.random.default_rng(drop)).scores

    assert np.array_equal(scores(1, 2), scores(1, 2))
    assert not np.array_equal(scores(1, 2), scores(1, 3))
    assert not np.array_equal(scores(1, 2), scores(2, 2))


def test_a_new_network_turns_nothing_and_evaluation_drops_nothing():
    net = PointNet(Settings(local=(4,), features=(8,), head=(6,), dropout=0.9), dtype=np.float64)
    points = np.random.default_rng(0).standard_normal((1, 3, 5))
    out = net.forward(points, training=False)
    assert np.array_equal(out.transform, np.eye(4)[None])
    assert np.array_equal(out.scores, net.forward(points, training=False).scores)
    assert out.running == {}


@pytest.mark.parametrize(
    ("points", "training", "error", "message"),
    [
        (
            np.ones((2, 4, 5)),
            True,
            ShapeError,
            r"points has shape \(2, 4, 5\), expected \(N, 3, L\)",
        ),
        (np.ones((2, 3)), True, ShapeError, r"points has shape \(2, 3\), expected \(N, 3, L\)"),
        (np.ones((0, 3, 5)), False, ShapeError, "with no empty axis"),
        (np.ones((2, 3, 0)), False, ShapeError, "with no empty axis"),
        (np.ones((1, 3, 5)), True, ShapeError, "which is one sample; training needs at least 2"),
        ([[[1.0]]], True, TypeError, "points is of type list, expected a NumPy array of float64"),
        (np.ma.ones((2, 3, 5)), True, TypeError, r"a masked array: pass points\.filled\(0\)"),
        (np.ones((2, 3, 5), np.float32), True, TypeError, "holds float32, expected float64"),
        (np.ones((2, 3, 5)), True, TypeError, "rng is missing: dropout is 0.3"),
    ],
)
def test_points_that_do_not_fit_are_told(points, training, error, message):
    net = PointNet(Settings(local=(4,), features=(8,), head=(6,)), dtype=np.float64)
    with pytest.raises(error, match=message):
        net.forward(points, training=training)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 0}, "channels is 0, expected a whole number of at least 1"),
        ({"head": (2, 0)}, r"head\[1\] is 0, expected a whole number of at least 1"),
        ({"head": ()}, "head is empty, expected at least one size"),
        ({"dropout": 1}, "dropout is 1, expected a number of at least 0 and below 1"),
    ],
)
def test_settings_out_of_range_are_told(settings, message):
    with pytest.raises(ValueError, match=message):
        Settings(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": (64, 2.5)}, r"features\[1\] is 2.5, expected a whole number of at least 1"),
        ({"local": 3}, "local is 3, expected a tuple of whole numbers"),
        ({"classes": True}, "classes is True, expected a whole number of at least 1"),
        ({"dropout": None}, "dropout is None, expected a number of at least 0 and below 1"),
    ],
)
def test_settings_of_other_kinds_are_told(settings, message):
    with pytest.raises(TypeError, match=message):
        Settings(**settings)


@pytest.mark.parametrize(
    "names", [("a", "b", "c"), ("a", "b", "c", "c"), (1, 2, 3, 4), tuple("abcde")]
)
def test_names_that_are_not_one_for_each_class_are_told(names):
    with pytest.raises(ValueError, match="expected 4 different names, one for each class"):
        PointNet(TINY, class_names=names)


def test_other_precisions_are_refused():
    with pytest.raises(ValueError, match="dtype is float16, expected float32 or float64"):
        PointNet(TINY, dtype=np.float16)


def test_labels_out_of_range_are_told():
    net, points, _ = drawn(3)
    with pytest.raises(ValueError, match="4"):
        net.loss_and_gradients(points, np.array([0, 4, 1]))
