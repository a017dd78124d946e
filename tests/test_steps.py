"""step returns its value; while it is watched, names are checked and numbers are kept."""

import numpy as np
import pytest

from backprop_lib.steps import Trace, Watch, step

X = np.array([[1.0, -2.0]])


def test_nothing_happens_if_nobody_watches():
    assert step("h", X) is X
    assert step("h", 3.0) == 3.0
    assert step("not a name", None) is None


def test_values_and_claims_are_kept_as_they_were():
    trace = Trace(["x"])
    with trace.of_forward():
        h = step("h", X)
        h[0, 0] = 7
        assert step("a", 2.5) == 2.5
    with trace.of_backward():
        dh = step("dh", 2 * X)
        dh[...] = 0
    assert trace.names == ["h", "a"]
    assert list(trace.claims) == ["h"]
    assert trace.values["h"].tolist() == [[1, -2]]
    assert trace.claims["h"].tolist() == [[2, -4]]
    assert X.tolist() == [[1, -2]]


def test_a_shift_moves_the_step_and_not_what_is_kept():
    trace = Trace(["x"], {"h": np.array([[0.5, 0]])})
    with trace.of_forward():
        assert step("h", X).tolist() == [[1.5, -2]]
    assert trace.values["h"].tolist() == [[1, -2]]


def test_a_true_gradient_may_stand_for_a_claimed_one():
    trace = Trace(["x"])
    with trace.of_forward():
        step("h", X)
        step("a", X)
    trace.instead = {"h": np.ones((1, 2))}
    with trace.of_backward():
        assert step("dh", 2 * X).tolist() == [[1, 1]]
        assert np.isnan(step("da", ...)).all()
    assert trace.claims["h"].tolist() == [[2, -4]]
    assert trace.claims["a"] is ...


def test_a_backward_may_run_forward_once_more():
    trace = Trace(["x"])
    with trace.of_forward():
        step("h", X)
    with trace.of_backward():
        assert step("h", X) is X
        assert step("dx", X) is X  # what backward returns is judged anyway
    assert trace.claims == {}


def test_a_backward_is_watched_anew():
    trace = Trace(["x"])
    with trace.of_forward():
        step("h", X)
    for _ in range(2):
        with trace.of_backward():
            step("dh", X)
    assert list(trace.claims) == ["h"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("a b", X, "step is given the name 'a b', expected one such as \"h\""),
        (1, X, "step is given the name 1"),
        ("x", X, "step names x, which is an argument of forward; choose another"),
        ("h", X, 'step names h twice; give each its own name, in a loop as in step\\(f"h{t}"'),
        ("q", [1.0], "step names q a list, expected an array or a number"),
        ("q", None, "step names q a NoneType, expected an array or a number"),
    ],
)
def test_a_wrong_name_in_forward_is_refused(name, value, message):
    watch = Watch(["x"])
    with watch.of_forward():
        step("h", X)
        with pytest.raises(TypeError, match=message):
            step(name, value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("dq", X, "step names dq in backward, expected one of dh, dmask"),
        ("q", X, "step names q in backward, expected one of dh, dmask"),
        ("dh", "dh", "step names dh a str, expected an array or a number"),
        ("dmask", X, "step names dmask, but mask holds truth values or whole numbers"),
    ],
)
def test_a_wrong_name_in_backward_is_refused(name, value, message):
    trace = Trace(["x"])
    with trace.of_forward():
        step("h", X)
        step("mask", X > 0)
    with trace.of_backward(), pytest.raises(TypeError, match=message):
        step(name, value)


def test_a_gradient_is_claimed_once():
    watch = Watch(["x"])
    with watch.of_forward():
        step("h", X)
    with watch.of_backward():
        step("dh", X)
        with pytest.raises(TypeError, match="step names dh twice: it is the sum that is the"):
            step("dh", X)


def test_a_backward_without_any_steps_of_forward_is_told():
    watch = Watch(["x"])
    with watch.of_backward(), pytest.raises(TypeError, match="expected one of none, as forward"):
        step("dh", X)
