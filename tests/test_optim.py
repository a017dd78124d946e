"""Adam against its equations one number at a time, against PyTorch, and its schedules."""

from math import cos, pi, sqrt

import numpy as np
import pytest

from backprop_lib.optim import Adam, NotFiniteError, cosine, step_decay

SETTINGS = [
    {},
    {"betas": (0.5, 0.8), "eps": 0.01},
    {"weight_decay": 0.3},
    {"weight_decay": 0.3, "decoupled": True},
    {"amsgrad": True},
    {"rate": lambda steps: 0.1 / (steps + 1)},
]
# What PyTorch 2.13.0 makes of one number that starts at 1, after four steps with these gradients
# and rate 0.1: torch.optim.Adam, or AdamW where the decay is decoupled, in float64.
GRADIENTS = [0.5, -1.0, 2.0, 0.25]
PYTORCH = [
    ({}, 0.8541649956594549),
    ({"betas": (0.5, 0.8), "eps": 0.01}, 0.8496979326195817),
    ({"weight_decay": 0.3}, 0.7857150400482468),
    ({"weight_decay": 0.3, "decoupled": True}, 0.7472858005130572),
    ({"amsgrad": True}, 0.8541649956594549),
]


def one_number(gradients, *, rate=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0,
               decoupled=False, amsgrad=False):  # fmt: skip
    """Follow the equations of the docstring for a single number that starts at 1."""
    theta, m, v, largest = 1.0, 0.0, 0.0, 0.0
    for k, g in enumerate(gradients, start=1):
        eta = rate(k - 1) if callable(rate) else rate
        if decoupled:
            theta -= eta * weight_decay * theta
        else:
            g += weight_decay * theta
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        largest = max(largest, v)
        v_hat = (largest if amsgrad else v) / (1 - betas[1] ** k)
        theta -= eta * m / (1 - betas[0] ** k) / (sqrt(v_hat) + eps)
    return theta


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(settings) or "plain")
def test_each_entry_follows_the_equations(settings):
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((7, 2, 3)) * np.geomspace(1, 1e-4, 7)[:, None, None]
    theta = np.ones((2, 3))
    adam = Adam({"theta": theta}, **{"rate": 0.1, **settings})
    for g in gradients:
        adam.step({"theta": g.tolist(), "points": np.ones(5)})
    expected = [[one_number(gradients[:, i, j], **settings) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(theta, expected, rtol=1e-12)


@pytest.mark.parametrize(("settings", "expected"), PYTORCH, ids=repr)
def test_agrees_with_pytorch(settings, expected):
    theta = np.ones(1)
    adam = Adam({"theta": theta}, 0.1, **settings)
    for g in GRADIENTS:
        adam.step({"theta": np.array([g])})
    np.testing.assert_allclose(theta, expected, rtol=1e-12)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(settings) or "plain")
@pytest.mark.parametrize("kind", [np.array, np.float64, float])
def test_a_parameter_of_shape_0_is_stepped_in_place(settings, kind):
    theta = np.array(1.0)
    adam = Adam({"theta": theta}, **{"rate": 0.1, **settings})
    for g in GRADIENTS[:2]:
        adam.step({"theta": kind(g)})
    again = Adam({"theta": theta}, **{"rate": 0.1, **settings})
    again.restore({name: value[()] for name, value in adam.state().items()})  # NumPy's scalars
    for g in GRADIENTS[2:]:
        again.step({"theta": kind(g)})
    assert (theta.shape, theta.dtype) == ((), np.float64)
    np.testing.assert_allclose(theta, one_number(GRADIENTS, **settings), rtol=1e-12)


READ_ONLY = np.ones(2)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("theta", "error", "message"),
    [
        (np.float64(1), TypeError, r"float64, which cannot be changed in place: expected an array"),
        (1.0, TypeError, r"float, which cannot be .*such as np.array\(0.5\) of shape \(\)"),
        ([1.0, 2.0], TypeError, "list, which cannot be changed in place"),
        (np.ones(2, int), TypeError, "holds int64, expected float32, float64 or longdouble"),
        (np.ones(2, complex), TypeError, "holds complex128, expected"),
        (np.ones(2, np.float16), TypeError, "holds float16, expected"),
        (np.ones(2, object), TypeError, "holds object, expected"),
        (np.ones((1, 2)).view(np.matrix), TypeError, r'pass np.asarray\(parameters\["W"\]\)'),
        (np.ma.ones(2), TypeError, r'a masked array: pass parameters\["W"\].filled\(0\)'),
        (READ_ONLY, ValueError, "is read-only, and a step changes it in place"),
    ],
)
def test_a_parameter_that_cannot_be_stepped_is_told_before_a_step(theta, error, message):
    with pytest.raises(error, match=f"the parameter W .*{message}"):
        Adam({"b": np.ones(1), "W": theta})


def test_an_eps_that_a_precision_does_not_hold_is_told():
    with pytest.raises(ValueError, match="eps is 1e-50, which is 0 in float32, the precision of W"):
        Adam({"W": np.ones(2, np.float32)}, eps=1e-50)
    Adam({"W": np.ones(2)}, eps=1e-50)


@pytest.mark.parametrize(("rate", "error"), [(np.nan, ValueError), ("0.1", TypeError)])
def test_a_schedule_whose_rate_is_no_number_is_told_and_nothing_is_changed(rate, error):
    theta = np.ones(2)
    adam = Adam({"W": theta}, lambda steps: [0.1, rate][steps])
    adam.step({"W": np.ones(2)})
    before = theta.copy()
    with pytest.raises(error, match=rf"rate\(1\) is {rate!r}, expected a number of at least 0"):
        adam.step({"W": np.ones(2)})
    assert np.array_equal(theta, before)
    assert adam.steps == 1


def test_the_precision_is_kept_and_the_gradient_not_changed():
    theta = np.ones(3, np.float32)
    g = np.array([1, -2, 0], np.float32)
    adam = Adam({"theta": theta}, weight_decay=0.1)
    assert adam.step({"theta": g}) == 0.001
    assert {a.dtype for a in (theta, adam.m["theta"], adam.v["theta"])} == {np.dtype(np.float32)}
    assert g.tolist() == [1, -2, 0]


@pytest.mark.parametrize("amsgrad", [False, True])
def test_a_restored_state_goes_on_to_the_last_bit(amsgrad):
    rng = np.random.default_rng(1)
    gradients = rng.standard_normal((6, 4)).astype(np.float32)

    def begun():
        theta = {"theta": np.ones(4, np.float32)}
        return Adam(theta, step_decay(0.1, 2), amsgrad=amsgrad)

    whole, first = begun(), begun()
    for g in gradients:
        whole.step({"theta": g})
    for g in gradients[:3]:
        first.step({"theta": g})
    second = begun()
    second.parameters["theta"][...] = first.parameters["theta"]
    state = first.state()
    second.restore(state)
    first.step({"theta": gradients[3]})  # which changes nothing in the copy
    for g in gradients[3:]:
        second.step({"theta": g})
    assert np.array_equal(whole.parameters["theta"], second.parameters["theta"])
    assert second.steps == 6


def test_a_state_of_another_adam_is_refused_and_changes_nothing():
    adam = Adam({"W": np.ones(3)})
    adam.step({"W": np.ones(3)})
    before = adam.state()
    with pytest.raises(ValueError, match=r"another Adam: m\.b, v\.b on one side only"):
        adam.restore(Adam({"W": np.ones(3), "b": np.ones(1)}).state())
    with pytest.raises(ValueError, match=r"largest_v\.W on one side only"):
        adam.restore(Adam({"W": np.ones(3)}, amsgrad=True).state())
    with pytest.raises(ValueError, match=r"m.W has shape \(2,\) in the state, expected \(3,\)"):
        adam.restore(Adam({"W": np.ones(2)}).state())
    after = adam.state()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        ({"W": np.ones(2)}, "gradients has none of b"),
        (
            {"W": np.ones(3), "b": np.ones(1)},
            r"the gradient of W has shape \(3,\), expected \(2,\)",
        ),
        ({"W": np.ones(2), "b": np.array([np.nan])}, "the gradient of b is not finite"),
        ({"W": np.ones(2), "b": np.array([np.inf])}, "the gradient of b is not finite"),
    ],
)
def test_gradients_that_do_not_fit_are_told_and_nothing_is_changed(gradients, message):
    _is_refused(gradients, ValueError, message)


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (np.ones(1) * 1j, "the gradient of b holds complex128, expected real numbers"),
        (np.ones(1, bool), "the gradient of b holds bool, expected real numbers"),
        (["1"], "the gradient of b holds <U1, expected real numbers"),
        (np.ma.ones(1), r'it is a masked array: pass gradients\["b"\].filled\(0\)'),
        (np.ones((1, 1)).view(np.matrix), r'pass np.asarray\(gradients\["b"\]\)'),
    ],
)
def test_gradients_of_another_kind_are_told_and_nothing_is_changed(gradient, message):
    _is_refused({"W": np.ones(2), "b": gradient}, TypeError, message)


def test_a_gradient_that_the_precision_does_not_hold_is_told_and_nothing_is_changed():
    gradients = {"W": np.ones(2), "b": np.array([1e39])}
    _is_refused(gradients, NotFiniteError, "the gradient of b is not finite in float32$")


def _is_refused(gradients, error, message):
    parameters = {"W": np.ones(2), "b": np.ones(1, np.float32)}
    adam = Adam(parameters)
    with pytest.raises(error, match=message):
        adam.step(gradients)
    assert adam.steps == 0
    assert parameters["W"].tolist() == [1, 1]
    assert not adam.m["W"].any()


def test_gradients_of_small_integers_do_not_wrap():
    wide, narrow = {"W": np.ones(1)}, {"W": np.ones(1)}
    Adam(wide).step({"W": np.array([100.0])})
    Adam(narrow).step({"W": np.array([100], np.int8)})
    assert narrow["W"] == wide["W"] == pytest.approx(0.999)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": -1}, "rate is -1, expected a number of at least 0"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"rate": np.inf}, "rate is inf, expected a finite number of at least 0"),
        ({"betas": (0.9, 1.0)}, r"betas\[1\] is 1.0, expected a number of at least 0 and below 1"),
        ({"betas": (-0.1, 0.9)}, r"betas\[0\] is -0.1, expected"),
        ({"eps": 0}, "eps is 0, expected a number above 0"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1"),
    ],
)
def test_settings_out_of_range_are_told(settings, message):
    with pytest.raises(ValueError, match=message):
        Adam({}, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": None}, "rate is None, expected a number of at least 0"),
        ({"rate": True}, "rate is True, expected"),
        ({"betas": 0.9}, "betas is 0.9, expected a tuple of two numbers"),
        ({"betas": (0.9,)}, r"betas is \(0.9,\), expected a tuple of two numbers"),
        ({"betas": [0.9, "0.9"]}, r"betas\[1\] is '0.9', expected a number"),
        ({"eps": "a"}, "eps is 'a', expected a number above 0"),
        ({"eps": True}, "eps is True, expected"),
        ({"weight_decay": 1j}, "weight_decay is 1j, expected"),
        ({"amsgrad": 3}, "amsgrad is 3, expected True or False"),
        ({"decoupled": None}, "decoupled is None, expected True or False"),
    ],
)
def test_settings_of_other_kinds_are_told(settings, message):
    with pytest.raises(TypeError, match=f"^{message}"):
        Adam({}, **settings)


def test_schedules_are_their_equations():
    halved = step_decay(0.8, 3)
    assert [halved(k) for k in range(8)] == [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2]
    assert step_decay(1.0, 2, 0.1)(2) == 0.1
    falling = cosine(2.0, 10, warmup=2, last=0.5)
    rates = [falling(k) for k in range(13)]
    assert rates[:3] == [2 / 3, 4 / 3, 2.0]
    assert rates[6] == pytest.approx(0.5 + 1.5 * (1 + cos(pi / 2)) / 2)
    assert rates[10:] == [0.5, 0.5, 0.5]
    assert cosine(2.0, 10)(0) == 2.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: step_decay(0.1, 0), "every is 0, expected a whole number of at least 1"),
        (lambda: step_decay(np.nan, 5), "rate is nan, expected a number of at least 0"),
        (lambda: step_decay(0.1, 5, 0.0), "factor is 0.0, expected a number above 0"),
        (lambda: cosine(0.1, 5, warmup=5), "warmup is 5, expected a whole number below steps, 5"),
        (lambda: cosine(0.1, 5, warmup=-1), "warmup is -1"),
        (lambda: cosine(0.1, 0), "steps is 0, expected a whole number of at least 1"),
        (lambda: cosine(0.1, 5, last=np.inf), "last is inf, expected a finite number"),
    ],
)
def test_schedules_refuse_what_they_cannot_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: step_decay("0.1", 5), "rate is '0.1', expected a number"),
        (lambda: step_decay(0.1, 2.5), "every is 2.5, expected a whole number"),
        (lambda: step_decay(0.1, 5, None), "factor is None, expected a number above 0"),
        (lambda: cosine(None, 5), "rate is None, expected a number"),
        (lambda: cosine(0.1, "5"), "steps is '5', expected a whole number"),
        (lambda: cosine(0.1, 5, warmup=1.0), "warmup is 1.0, expected a whole number"),
    ],
)
def test_schedules_refuse_what_is_no_number(make, message):
    with pytest.raises(TypeError, match=message):
        make()
