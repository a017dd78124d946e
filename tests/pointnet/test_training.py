"""Training: it learns, it is repeatable to the last bit, and it goes on where it was stopped."""

import dataclasses

import numpy as np
import pytest

from backprop_lib.optim import NotFiniteError
from backprop_lib.pointnet import weights
from backprop_lib.pointnet.network import PointNet, Settings
from backprop_lib.pointnet.training import Plan, Training, accuracy, changed, predictions
from backprop_lib.pointnet.weights import WeightsError
from backprop_lib.shapes import ShapeError

SMALL = Settings(
    channels=2, classes=3, local=(6,), features=(8, 12), head=(8,), transform=(6,),
    transform_head=(4,), dropout=0.2,
)  # fmt: skip
PLAN = Plan(epochs=3, batch=8, rate=0.01, turn=0.3, jitter=0.01, shift=0.1, stretch=0.1, seed=4)


def shapes(n=44, length=16, dtype=np.float32, seed=0):
    """Return points on circles, squares' diagonals and lines, and which of them they are."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    t = rng.uniform(-1, 1, (n, length))
    sign = rng.choice([-1, 1], (n, length))
    circle = np.stack([np.cos(np.pi * t), np.sin(np.pi * t)], 1)
    cross = np.stack([t, sign * t], 1)
    line = np.stack([t, 0 * t], 1)
    points = np.stack([circle, cross, line])[labels, np.arange(n)]
    return points.astype(dtype), labels


def begun(plan=PLAN, derived=False, **settings):
    points, labels = shapes()
    network = PointNet(dataclasses.replace(SMALL, **settings), derived=derived, seed=1)
    return Training(network, plan, points, labels)


def numbers(training):
    return {
        **weights.arrays_of(training.network),
        **training.adam.state(),
        "losses": np.array(training.progress.losses),
    }


def same(a, b):
    a, b = numbers(a), numbers(b)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("derived", [False, True], ids=["readable", "derived"])
def test_it_learns(derived):
    points, labels = shapes(240)
    plan = dataclasses.replace(PLAN, epochs=12, batch=16)
    training = Training(PointNet(SMALL, derived=derived), plan, points[:160], labels[:160])
    before = accuracy(training.network, points[160:], labels[160:])
    steps = list(training.steps())
    assert len(steps) == 120
    assert steps[-1].epoch == 12
    assert np.mean([s.loss for s in steps[-10:]]) < 0.5 * np.mean([s.loss for s in steps[:10]])
    assert accuracy(training.network, points[160:], labels[160:]) > max(0.9, before)


def test_the_same_seed_gives_the_same_training_to_the_last_bit():
    first, second, other = begun(), begun(), begun(dataclasses.replace(PLAN, seed=5))
    for training in (first, second, other):
        list(training.steps())
    assert same(first, second)
    assert not same(first, other)


@pytest.mark.parametrize("derived", [False, True], ids=["readable", "derived"])
@pytest.mark.parametrize("stops", [[0], [1], [5], [3, 9], [15]])
def test_an_interrupted_training_ends_as_an_uninterrupted_one(tmp_path, stops, derived):
    whole = begun(derived=derived)
    list(whole.steps())
    path = tmp_path / "run.npz"
    training = begun(derived=derived)
    for stop in stops:
        while len(training.progress.losses) < stop:
            training.step()
        training.save(path)
        training.step() if not training.done else None  # which is lost
        training = Training.resume(path, *shapes(), derived=derived)
    list(training.steps())
    assert len(training.progress.losses) == 15
    assert same(whole, training)


def test_a_saved_training_is_a_saved_network_too(tmp_path):
    training = begun()
    training.step()
    training.save(tmp_path / "run.npz")
    network = weights.load(tmp_path / "run.npz")
    points, _ = shapes()
    assert np.array_equal(predictions(network, points), predictions(training.network, points))


def test_what_cannot_be_resumed_is_told(tmp_path):
    path = tmp_path / "run.npz"
    training = begun()
    training.step()
    training.save(path)
    points, labels = shapes()
    with pytest.raises(WeightsError, match="trained with other points or labels"):
        Training.resume(path, points + 1, labels)
    with pytest.raises(WeightsError, match="trained with other points or labels"):
        Training.resume(path, points, labels[::-1])
    weights.save(path, training.network)
    with pytest.raises(WeightsError, match="it holds a network, expected a training"):
        Training.resume(path, points, labels)


def test_each_epoch_sees_each_sample_once_and_in_another_order(monkeypatch):
    seen = []
    right = PointNet.loss_and_gradients

    def noted(self, points, labels, **more):
        seen.append(points)
        return right(self, points, labels, **more)

    monkeypatch.setattr(PointNet, "loss_and_gradients", noted)
    plan = Plan(epochs=2, batch=8)
    points, labels = shapes(40)
    list(Training(PointNet(SMALL), plan, points, labels).steps())
    epochs = [np.concatenate(seen[:5]), np.concatenate(seen[5:])]
    for epoch in epochs:
        assert sorted(map(bytes, epoch)) == sorted(map(bytes, points))
    assert not np.array_equal(*epochs)


def test_changes_stay_within_what_was_asked_for_and_leave_the_rest():
    points = np.random.default_rng(0).standard_normal((200, 3, 5))
    rng = np.random.default_rng(1)
    before = points.copy()
    turned = changed(points, Plan(turn=0.3), rng)
    assert np.array_equal(points, before)
    np.testing.assert_allclose(np.hypot(*turned[:, :2].swapaxes(0, 1)),
                               np.hypot(*points[:, :2].swapaxes(0, 1)))  # fmt: skip
    z = turned[:, 0] + 1j * turned[:, 1]
    angles = np.angle(z / (points[:, 0] + 1j * points[:, 1]))
    assert 0.28 < np.abs(angles).max() <= 0.3 + 1e-12
    assert np.ptp(angles, axis=1).max() < 1e-12
    ratio = changed(points, Plan(stretch=0.2), rng)[:, :2] / points[:, :2]
    assert 0.8 <= ratio.min() < 0.82
    assert 1.18 < ratio.max() <= 1.2
    moved = changed(points, Plan(shift=0.5), rng)[:, :2] - points[:, :2]
    assert 0.48 < np.abs(moved).max() <= 0.5 + 1e-12
    noise = changed(points, Plan(jitter=0.1), rng)[:, :2] - points[:, :2]
    assert 0.09 < noise.std() < 0.11
    assert np.array_equal(turned[:, 2], points[:, 2])
    assert changed(points.astype(np.float32), PLAN, rng).dtype == np.float32


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is 0, expected a whole number of at least 1"),
        ({"batch": 1}, "batch is 1, expected a whole number of at least 2"),
        ({"rate": -0.1}, "rate is -0.1, expected a number of at least 0"),
        ({"turn": float("inf")}, "turn is inf"),
        ({"turn": 10**400}, "turn is an integer of more than 60 digits, expected a finite number"),
        ({"schedule": "linear"}, "schedule is 'linear', expected 'constant', 'step' or 'cosine'"),
    ],
)
def test_a_plan_out_of_range_is_told(settings, message):
    with pytest.raises(ValueError, match=message):
        Plan(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 2.5}, "epochs is 2.5, expected a whole number of at least 1"),
        ({"epochs": True}, "epochs is True, expected"),
        ({"seed": None}, "seed is None, expected a whole number of at least 0"),
        ({"rate": "0.1"}, "rate is '0.1', expected a number of at least 0"),
        ({"jitter": False}, "jitter is False, expected"),
        ({"shift": np.ones(2)}, r"shift is an array of shape \(2,\), expected"),
        ({"schedule": 3}, "schedule is 3, expected 'constant', 'step' or 'cosine'"),
    ],
)
def test_a_plan_of_other_kinds_is_told(settings, message):
    with pytest.raises(TypeError, match=message):
        Plan(**settings)


def test_a_plan_with_numbers_of_numpy_is_that_with_numbers_of_python(tmp_path):
    plan = Plan(epochs=np.int64(3), batch=np.uint8(8), seed=np.int32(4), rate=np.float32(0.25))
    assert plan == Plan(epochs=3, batch=8, seed=4, rate=0.25)
    training = begun(plan, dropout=np.float32(0.25), local=[np.int64(6)], classes=np.int8(3))
    training.save(tmp_path / "run.npz")
    again = Training.resume(tmp_path / "run.npz", *shapes())
    assert again.plan == plan
    assert again.network.settings == dataclasses.replace(SMALL, dropout=0.25)


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine"])
def test_rates_follow_the_schedule(schedule):
    training = begun(dataclasses.replace(PLAN, schedule=schedule, rate=0.01))
    rates = [step.rate for step in training.steps()]
    assert max(rates) <= 0.01
    expected = {"constant": 0.01, "step": 0.01 / 16, "cosine": 0.0002}[schedule]
    assert rates[-1] == pytest.approx(expected, rel=0.9 if schedule == "cosine" else 1e-12)


def test_data_that_do_not_fit_are_told():
    points, labels = shapes()
    net = PointNet(SMALL)
    with pytest.raises(ValueError, match=r"labels\[2\] is 3, expected 0 to 2"):
        Training(net, PLAN, points[:4], np.array([0, 1, 3, 2]))
    with pytest.raises(ValueError, match=r"labels\[1\] is -1, expected 0 to 2"):
        accuracy(net, points[:3], np.array([0, -1, 2]))
    with pytest.raises(
        TypeError, match=r"labels holds float64, expected integers of shape \(44,\)"
    ):
        Training(net, PLAN, points, labels.astype(float))
    with pytest.raises(ShapeError, match=r"shape \(3,\), expected integers of shape \(44,\)"):
        Training(net, PLAN, points, labels[:3])
    with pytest.raises(TypeError, match="labels is of type list, expected a NumPy array"):
        Training(net, PLAN, points, labels.tolist())
    with pytest.raises(TypeError, match=r"it is a masked array: pass labels\.filled\(0\)"):
        accuracy(net, points, np.ma.array(labels))
    with pytest.raises(ValueError, match="points has N = 5, expected at least one batch of 8"):
        Training(net, PLAN, points[:5], labels[:5])
    with pytest.raises(ShapeError, match=r"expected \(N, 2, L\)"):
        Training(net, PLAN, points[:, :1], labels)
    for wrong in (None, points.tolist()):
        told = f"points is of type {type(wrong).__name__}, expected a NumPy array of float32"
        with pytest.raises(TypeError, match=told):
            Training(net, PLAN, wrong, labels)
        with pytest.raises(TypeError, match=told):
            predictions(net, wrong)


def test_a_gradient_that_is_not_finite_stops_before_it_spoils_the_parameters():
    training = begun(dataclasses.replace(PLAN, regulariser=0.001))
    training.points = training.points.copy()
    training.points[:] = np.nan
    before = {name: value.copy() for name, value in training.network.parameters.items()}
    told = "epoch 1, step 1: the gradient of .* is not finite; no step was taken yet, so the rate"
    with pytest.raises(NotFiniteError, match=told):
        training.step()
    assert all(np.array_equal(before[n], v) for n, v in training.network.parameters.items())
    assert training.progress.losses == []


@pytest.mark.parametrize("derived", [False, True], ids=["readable", "derived"])
@pytest.mark.parametrize(
    ("rate", "place"),
    [
        (1e20, "step 2: the gradient of .* is not finite"),
        (1e37, "step 2: the gradient of .* is not finite"),
        (1e38, "step 1: parameters/.* is not finite after the step"),
        (1e300, "step 1: parameters/.* is not finite after the step"),
    ],
)
def test_a_training_that_diverges_says_where_and_without_warnings(rate, place, derived):
    """In the tests warnings are errors."""
    training = begun(dataclasses.replace(PLAN, rate=rate, schedule="constant"), derived)
    with pytest.raises(NotFiniteError, match=f"epoch 1, {place}.*the rate is 1e"):
        list(training.steps())


def test_running_statistics_that_are_not_finite_are_told():
    training = begun()
    list(zip(training.steps(), range(6), strict=False))
    training.network.running["local.conv1.var"][2] = np.inf
    told = r"epoch 2, step 3: running/local\.conv1\.var is not finite after the step"
    with pytest.raises(NotFiniteError, match=told):
        training.step()
