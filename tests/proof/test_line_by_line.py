"""Steps that are named are judged: each line of backward by itself, and then the whole."""

from dataclasses import replace

import numpy as np
import pytest

from backprop_lib.layer import Layer
from backprop_lib.layers import linear
from backprop_lib.proof import Status, calculus, prove, prove_at, refute
from backprop_lib.proof.all_sizes import findings
from backprop_lib.proof.apart import LINES, are_apart
from backprop_lib.proof.calculus import Index
from backprop_lib.proof.evidence import Answer
from backprop_lib.proof.task import Task
from backprop_lib.steps import step

# Layers whose steps are named.


def hidden(x, W, b, V):
    h = step("h", x @ W + b)
    a = step("a", np.maximum(h, 0))
    return a @ V, (x, W, h, a, V)


def hidden_backward(dy, x, W, h, a, V):
    da = step("da", dy @ V.T)
    dh = step("dh", da * (h > 0))
    return dh @ W.T, x.T @ dh, dh.sum(axis=0), a.T @ dy


HIDDEN = {"x": "N D", "W": "D H", "b": "H", "V": "H K"}


def normalised(x, W, b, eps=1e-5):
    mu = step("mu", x.mean(axis=0, keepdims=True))
    xc = step("xc", x - mu)
    var = step("var", (xc**2).mean(axis=0))
    r = step("r", 1 / np.sqrt(var + eps))
    xhat = step("xhat", xc * r)
    return W * xhat + b, (xc, r, xhat, W)


def normalised_backward(dy, xc, r, xhat, W):
    N = dy.shape[0]
    dxhat = step("dxhat", dy * W)
    dr = step("dr", (dxhat * xc).sum(axis=0))
    dvar = step("dvar", -dr * r**3 / 2)
    dxc = step("dxc", dxhat * r + 2 / N * xc * dvar)
    dmu = step("dmu", -dxc.sum(axis=0, keepdims=True))
    return dxc + dmu / N, (dy * xhat).sum(axis=0), dy.sum(axis=0)


def normalised_at_once(dy, xc, r, xhat, W):
    dxhat = step("dxhat", dy * W)
    dx = r * (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0))
    return dx, (dy * xhat).sum(axis=0), dy.sum(axis=0)


NORMALISED = {"x": "N C", "W": "C", "b": "C"}


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attention(x, Wq, Wk, Wv):
    q, k, v = step("q", x @ Wq), step("k", x @ Wk), step("v", x @ Wv)
    s = step("s", q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1]))
    p = step("p", softmax(s))
    return p @ v, (x, Wq, Wk, Wv, q, k, v, p)


def attention_backward(dy, x, Wq, Wk, Wv, q, k, v, p):
    scale = 1 / np.sqrt(q.shape[-1])
    dp = step("dp", dy @ v.transpose(0, 2, 1))
    dv = step("dv", p.transpose(0, 2, 1) @ dy)
    ds = step("ds", p * (dp - (dp * p).sum(axis=-1, keepdims=True)))
    dq = step("dq", ds @ k * scale)
    dk = step("dk", ds.transpose(0, 2, 1) @ q * scale)
    dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
    return dx, *(np.einsum("nld,nle->de", x, d) for d in (dq, dk, dv))


def attention_without_scale(dy, x, Wq, Wk, Wv, q, k, v, p):
    scale = 1 / np.sqrt(q.shape[-1])
    dp = step("dp", dy @ v.transpose(0, 2, 1))
    dv = step("dv", p.transpose(0, 2, 1) @ dy)
    ds = step("ds", p * (dp - (dp * p).sum(axis=-1, keepdims=True)))
    dq = step("dq", ds @ k * scale)
    dk = step("dk", ds.transpose(0, 2, 1) @ q)
    dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
    return dx, *(np.einsum("nld,nle->de", x, d) for d in (dq, dk, dv))


ATTENTION = {"x": "N L D", "Wq": "D K", "Wk": "D K", "Wv": "D V"}


def recurrent(x, W, U):
    N, T, _ = x.shape
    h = [np.zeros((N, len(U)))]
    for t in range(T):
        h.append(step(f"h{t}", np.tanh(x[:, t] @ W + h[-1] @ U)))
    return h[-1], (x, W, U, h)


def recurrent_backward(dy, x, W, U, h):
    dx, dW, dU = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U)
    dh = dy
    for t in reversed(range(x.shape[1])):
        dz = step(f"dh{t}", dh) * (1 - h[t + 1] ** 2)
        dx[:, t] = dz @ W.T
        dW += x[:, t].T @ dz
        dU += h[t].T @ dz
        dh = dz @ U.T
    return dx, dW, dU


RECURRENT = {"x": "N T D", "W": "D H", "U": "H H"}


def lines(report):
    return {verdict.gradient: verdict.status for verdict in report.lines.values()}


# What is right.


def test_each_line_is_proven_and_the_whole():
    report = prove(hidden, hidden_backward, **HIDDEN)
    assert report
    assert lines(report) == {"da": Status.PROVEN, "dh": Status.PROVEN}
    assert all(verdict.status is Status.PROVEN for verdict in report)
    text = str(report)
    assert text.startswith("steps da, dh: proven for all sizes\ndx: proven for all sizes\n")
    assert "dx[n, d] = Σ_h W[d, h] dh[n, h]" in text
    assert "✓ steps $da$, $dh$: **proven** for all sizes\n\n✓ $dx$" in report._repr_markdown_()


def test_a_line_that_is_right_only_because_of_how_a_step_is_computed_is_proven():
    for backward in (normalised_backward, normalised_at_once):
        report = prove(normalised, backward, **NORMALISED)
        assert report, report


def test_what_is_too_deep_as_a_whole_is_proven_step_by_step():
    def deep(x, W, depth=6):
        h = [x]
        for n in range(depth):
            h.append(step(f"h{n}", np.tanh(h[-1] @ W)))
        return h[-1], (W, h, depth)

    def backward(dy, W, h, depth):
        dW, dh = np.zeros_like(W), dy
        for n in reversed(range(depth)):
            dz = step(f"dh{n}", dh) * (1 - h[n + 1] ** 2)
            dW += h[n].T @ dz
            dh = dz @ W.T
        return dh, dW

    report = prove(deep, backward, x="N D", W="D D", const={"depth": 6})
    assert report
    assert len(report.lines) == 6


def test_an_attention_is_proven():
    assert prove(attention, attention_backward, **ATTENTION)


def test_a_loop_has_steps_for_each_pass():
    report = prove(recurrent, recurrent_backward, **RECURRENT)
    assert {verdict.status for verdict in report} == {Status.PROVEN_AT}
    assert "at T = 1, 2, 3, for all N, D, H" in str(report["dx"])
    assert set(lines(report).values()) == {Status.PROVEN_AT}
    assert set(lines(report)) == {"dh0", "dh1"}  # of the passes that were tried with numbers
    assert " T = 2, 3, for all" in report["dh1"].reason  # with T = 1 there is none


def test_names_in_forward_alone_do_no_harm():
    def backward(dy, x, W, h, a, V):
        dh = (dy @ V.T) * (h > 0)
        return dh @ W.T, x.T @ dh, dh.sum(axis=0), a.T @ dy

    report = prove(hidden, backward, **HIDDEN)
    assert report
    assert not report.lines
    assert [one.name for one in report.steps] == ["h", "a", "y"]


def test_some_steps_may_be_claimed_and_others_not():
    def backward(dy, x, W, h, a, V):
        dh = step("dh", (dy @ V.T) * (h > 0))
        return dh @ W.T, x.T @ dh, dh.sum(axis=0), a.T @ dy

    report = prove(hidden, backward, **HIDDEN)
    assert report
    assert lines(report) == {"dh": Status.PROVEN}


def test_the_steps_of_a_class_are_judged():
    class Hidden:
        def forward(self, x, W):
            self.x, self.W = x, W
            self.h = step("h", x @ W)
            return self.h**2

        def backward(self, dy):
            dh = step("dh", 2 * self.h * dy)
            return dh @ self.W.T, self.x.T @ dh

    report = prove(Hidden, x="N D", W="D H")
    assert report
    assert lines(report) == {"dh": Status.PROVEN}


def test_y_may_be_a_step():
    def forward(x, W):
        return step("y", x @ W), (x, W)

    def backward(dy, x, W):
        dy = step("dy", dy)
        return dy @ W.T, x.T @ dy

    report = prove(forward, backward, x="N D", W="D H")
    assert report
    assert [one.name for one in report.steps] == ["y"]


def test_a_formula_may_be_judged_beside_named_steps():
    def claim(dy, x, W, b, V):
        return (dy @ V.T * (x @ W + b > 0)) @ W.T

    assert refute(hidden, wrt="x", claim=claim, **HIDDEN)


def test_without_steps_nothing_is_said_of_any():
    report = prove(linear)
    assert not report.lines
    assert list(report.steps) == []


# What is wrong.

WRONG = {
    "dh": (hidden, HIDDEN, hidden_backward, "h > 0", "h > 1"),
    "da": (hidden, HIDDEN, hidden_backward, "dy @ V.T", "2 * dy @ V.T"),
    "dr": (normalised, NORMALISED, normalised_backward, "dxhat * xc", "dxhat * xhat"),
    "dvar": (normalised, NORMALISED, normalised_backward, "r**3", "r**2"),
    "dxc": (normalised, NORMALISED, normalised_backward, "2 / N", "1 / N"),
    "dmu": (normalised, NORMALISED, normalised_backward, "-dxc.sum", "dxc.sum"),
    "ds": (attention, ATTENTION, attention_backward, "p * (dp", "(dp"),
    "dq": (attention, ATTENTION, attention_backward, "ds @ k * scale", "ds @ k"),
}


def changed(backward, old, new):
    """Return the same function with another line."""
    import inspect

    source = inspect.getsource(backward)
    assert source.count(old) == 1
    names = dict(backward.__globals__)
    exec(source.replace(old, new), names)
    return names[backward.__name__]


@pytest.mark.parametrize("line", WRONG)
def test_the_wrong_line_is_named_and_the_others_are_not_blamed(line):
    forward, shapes, backward, old, new = WRONG[line]
    report = prove(forward, changed(backward, old, new), **shapes)
    assert not report
    assert report.first_wrong == line
    refuted = {name for name, status in lines(report).items() if status is Status.REFUTED}
    assert refuted == {line}
    assert report[line].counterexample is not None
    text = str(report)
    assert f"the first wrong step is {line}\n" in text
    assert text.count("the gradient is") == 1  # on one screen


def test_what_rests_on_a_wrong_line_says_so():
    forward, shapes, backward, old, new = WRONG["ds"]
    report = prove(forward, changed(backward, old, new), **shapes)
    wrong = [verdict for verdict in report if verdict.status is Status.REFUTED]
    assert wrong
    assert all(", and it rests on ds, which is refuted" in verdict.reason for verdict in wrong)


def test_two_wrong_lines_are_both_found_in_the_order_of_backward():
    backward = changed(attention_without_scale, "ds @ k * scale", "ds @ k")
    report = prove(attention, backward, **ATTENTION)
    refuted = [name for name, status in lines(report).items() if status is Status.REFUTED]
    assert refuted == ["dq", "dk"]
    assert report.first_wrong == "dq"


def test_a_wrong_claim_that_nothing_rests_on_is_wrong_all_the_same():
    def backward(dy, x, W, h, a, V):
        da = dy @ V.T
        step("da", 3 * da)
        dh = da * (h > 0)
        return dh @ W.T, x.T @ dh, dh.sum(axis=0), a.T @ dy

    report = prove(hidden, backward, **HIDDEN)
    assert not report
    assert report["da"].status is Status.REFUTED
    assert all(report[f"d{name}"] for name in HIDDEN)


def test_a_wrong_shape_of_a_line_is_told():
    def backward(dy, x, W, h, a, V):
        da = dy @ V.T
        step("da", da.sum(axis=0))
        dh = da * (h > 0)
        return dh @ W.T, x.T @ dh, dh.sum(axis=0), a.T @ dy

    report = prove(hidden, backward, **HIDDEN)
    assert report["da"].status is Status.SHAPE_ERROR
    assert "da is (H,), a is (N, H)" in str(report)
    assert not report


def test_a_line_may_be_left_open():
    def backward(dy, x, W, h, a, V):
        step("da", ...)
        dh = step("dh", (dy @ V.T) * (h > 0))
        return dh @ W.T, x.T @ dh, dh.sum(axis=0), a.T @ dy

    report = prove(hidden, backward, **HIDDEN)
    assert report["da"].status is Status.OPEN
    assert report["dh"]
    assert not report


def test_what_is_right_but_rests_on_an_open_line_says_both():
    def backward(dy, x, W, h, a, V):
        da = dy @ V.T
        dh = step("dh", ...)
        return dh @ W.T, x.T @ dh, dh.sum(axis=0), a.T @ dy + 0 * da.sum()

    report = prove(hidden, backward, **HIDDEN)
    assert [verdict.status for verdict in report] == [*[Status.UNDECIDED] * 3, Status.PROVEN]
    assert repr(report).count("its own line is right, but rests on dh: not answered yet") == 3


def test_what_follows_an_open_line_is_judged_with_the_true_gradient():
    def right(dy, x, W, h, a, V):
        da = step("da", ...)
        dh = step("dh", da * (h > 0))
        return dh @ W.T, x.T @ dh, dh.sum(axis=0), a.T @ dy

    def wrong(dy, x, W, h, a, V):
        da = step("da", ...)
        dh = step("dh", da * (h > 1))
        return dh @ W.T, x.T @ dh, dh.sum(axis=0), a.T @ dy

    report = prove(hidden, right, **HIDDEN)
    assert report["dh"].status is Status.PROVEN
    assert not report["dx"]
    assert prove(hidden, wrong, **HIDDEN)["dh"].status is Status.REFUTED


# What must not be proven, though each line of it is right, or looks so.


def both_signs(x):
    h = step("h", np.concatenate([x, -x], axis=1))
    a = step("a", np.maximum(h, 0))
    D = x.shape[1]
    return a[:, :D] - a[:, D:], (h,)


def both_signs_backward(dy, h):
    da = step("da", np.concatenate([dy, -dy], axis=1))
    dh = step("dh", da * (h > 0))
    D = dy.shape[1]
    return dh[:, :D] - dh[:, D:]


def negated(x):
    g = step("g", -x)
    return np.maximum(x, 0) - np.maximum(g, 0), (x, g)


def negated_backward(dy, x, g):
    dg = step("dg", -dy * (g > 0))
    return dy * (x > 0) - dg


def larger(x, w):
    a, b = step("a", x + w), step("b", x * 1)
    return np.maximum(a, b), (a, b)


def neither_of_both(dy, a, b):
    da = step("da", dy * (a > b))
    db = step("db", dy * (a < b))
    return da + db, da


def largest(x, b):
    h = step("h", x + b)
    return h.max(axis=0), (h,)


def each_of_the_largest(dy, h):
    dh = step("dh", dy * (h == h.max(axis=0)))
    return dh, dh.sum(axis=0)


def always_equal(x):
    h = step("h", x - x)
    return np.where(h == 0, x, 2 * x), (x,)


def never_equal(dy, x):
    step("dh", 0 * dy)
    return 2 * dy


def nowhere_compared(x, w):
    h = step("h", x * w)
    return h * 3, (x, w, h)


def cut_at_zero(dy, x, w, h):
    dh = step("dh", np.where(h == 0, 0, 3 * dy))
    return dh * w, dh * x


def twice_the_same(x):
    h = step("h", np.stack([x, x]))
    a = step("a", np.maximum(h, 0))
    return a[0] - a[1], (h,)


def another_at_zero(dy, h):
    da = step("da", np.stack([dy, -dy]))
    dh = step("dh", np.where(h == 0, np.arange(2)[:, None, None] * 5, da * (h > 0)))
    return dh[0] + dh[1]


SMOOTH = {
    "twice the same": (twice_the_same, another_at_zero, {"x": "N D"}),
    "both signs": (both_signs, both_signs_backward, {"x": "N D"}),
    "negated": (negated, negated_backward, {"x": "N D"}),
    "larger": (larger, neither_of_both, {"x": "N", "w": "N"}),
    "largest": (largest, each_of_the_largest, {"x": "N D", "b": "D"}),
    "always equal": (always_equal, never_equal, {"x": "N D"}),
    "nowhere compared": (nowhere_compared, cut_at_zero, {"x": "N D", "w": "N D"}),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_what_is_wrong_where_numbers_tie_is_not_proven(name):
    """Forward is smooth there, although a step of it has a kink, and the gradient is wrong."""
    forward, backward, shapes = SMOOTH[name]
    report = prove(forward, backward, **shapes)
    assert not report, report


def test_kinks_that_cancel_in_a_later_pass_of_a_loop_are_met():
    """With one pass there is one kink; with two, forward is smooth where the claim is wrong."""

    def forward(x, w):
        u, h, y = x[:, 0] - np.exp(w + 0.37), [], 0
        for t in range(x.shape[1]):
            sign = 1 if t == 0 else -1
            h.append(step(f"h{t}", sign * u))
            y = y + (sign if t < 2 else 0) * np.maximum(h[t], 0)
        return y, (x, w, h)

    def backward(dy, x, w, h):
        du = 0
        for t in range(x.shape[1]):
            sign = 1 if t == 0 else -1
            dh = step(f"dh{t}", (sign if t < 2 else 0) * dy * (h[t] > 0))
            du = du + sign * dh
        dx = np.zeros_like(x)
        dx[:, 0] = du
        return dx, -du * np.exp(w + 0.37)

    report = prove(forward, backward, x="N T", w="N")
    assert {verdict.status for verdict in report} == {Status.UNDECIDED}


def test_that_all_kinks_meet_where_a_weight_is_0_refuses_nothing():
    """With one feature each comparison has the weight as its factor."""

    def forward(x, W):
        h = [np.zeros(W.shape[1])]
        for t in range(len(x)):
            h.append(step(f"h{t}", np.maximum(x[t] @ W + h[-1], 0)))
        return h[-1], (x, W, h)

    def backward(dy, x, W, h):
        dx, dW, dh = np.zeros_like(x), np.zeros_like(W), dy
        for t in reversed(range(len(x))):
            dh = step(f"dh{t}", dh) * (h[t + 1] > 0)
            dx[t] = dh @ W.T
            dW += np.outer(x[t], dh)
        return dx, dW

    report = prove(forward, backward, x="T D", W="D H")
    assert {verdict.status for verdict in report} == {Status.PROVEN_AT}


def test_whether_step_has_returned_what_it_was_given_is_not_asked():
    def forward(x):
        h = step("h", x * 2)
        return h**2, (h,)

    def backward(dy, h):
        claimed = 2 * h * dy
        dh = step("dh", claimed)
        return 2 * dh + (7 * (np.abs(h) > 1e6) if dh is claimed else 0)

    assert not prove(forward, backward, x="N")


def test_kinks_that_are_apart_are_proven():
    def forward(x, w):
        h = step("h", x * 2)
        g = step("g", w * 3)
        return np.maximum(h, 0) - np.maximum(g, 0), (h, g)

    def backward(dy, h, g):
        dh = step("dh", dy * (h > 0))
        dg = step("dg", -dy * (g > 0))
        return 2 * dh, 3 * dg

    report = prove(forward, backward, x="N D", w="N D")
    assert report
    assert report["dx"].where == ("no two numbers that forward compares are equal",)


def test_kinks_that_are_the_same_are_proven():
    def backward(dy, h):
        da = step("da", np.stack([dy, -dy]))
        dh = step("dh", da * (h > 0))
        return dh[0] + dh[1]

    assert prove(twice_the_same, backward, x="N D")


PLACES = {
    "where a step is 0": "step('dh', np.where(h == 0, 7, DH))",
    "where two steps are equal": "step('dh', np.where(h == a, 7, DH))",
    "where two entries are equal": "step('dh', np.where(h == h[::-1], 7, DH))",
    "where an input is 0": "step('dh', np.where(x[:, :1] == 0, 7, DH))",
    "in a band": "step('dh', np.where((h > 5) & (h < 6), 7, DH))",
    "for one sign": "step('dh', np.where(h < -4, 7, DH))",
    "where what comes from above is 0": "step('dh', np.where(da == 0, 7, DH))",
    "far off": "step('dh', np.where(np.abs(h) > 1e6, 7, DH))",
}


def squared(x, W):
    h = step("h", x @ W)
    a = step("a", h**2)
    return 3 * a, (x, W, h, a)


def squared_backward(dy, x, W, h, a):
    da = step("da", 3 * dy)
    dh = step("dh", 2 * h * da)
    return dh @ W.T, x.T @ dh


@pytest.mark.parametrize("place", PLACES)
def test_a_line_that_is_damaged_on_a_thin_set_is_not_proven(place):
    line = PLACES[place].replace("DH", "2 * h * da").replace("'", '"')
    backward = changed(squared_backward, 'step("dh", 2 * h * da)', line)
    shapes = {"x": "N D", "W": "D H"}
    assert prove(squared, squared_backward, **shapes)
    report = prove(squared, backward, budget=4, **shapes)
    assert not report, report
    assert not any(report[name] for name in ("dh", "dx", "dW"))


def test_code_that_writes_into_what_it_has_named_is_told():
    def forward(x):
        z = x * 2
        h = step("h", z)
        z += 1
        return h * h, (h,)

    def backward(dy, h):
        return 4 * step("dh", dy * h)

    with pytest.raises(RuntimeError, match="writes into an array after it has named it with step"):
        prove(forward, backward, x="N D")


def test_wrong_names_are_errors():
    def twice(x):
        return step("h", step("h", x) * 2), (x,)

    with pytest.raises(TypeError, match="step names h twice"):
        prove(twice, lambda dy, x: 2 * dy, x="N")

    def unknown(dy, x, W, h, a, V):
        step("dz", dy)

    with pytest.raises(TypeError, match="step names dz in backward, expected one of dh, da"):
        prove(hidden, unknown, **HIDDEN)


def test_named_sizes_are_proven_as_a_whole():
    sizes = {"N": 1, "D": 2, "H": 1, "K": 2}
    report = prove_at(hidden, hidden_backward, sizes=sizes, **HIDDEN)
    assert report
    assert not report.lines


# The graph.


def test_the_graph_says_what_is_made_of_what():
    steps = prove(hidden, hidden_backward, **HIDDEN).steps
    assert {one.name: one.uses for one in steps} == {
        "h": ("x", "W", "b"),
        "a": ("h",),
        "y": ("V", "a"),
    }
    assert steps["h"].formula.text == "h[n, h] = b[h] + Σ_d W[d, h] x[n, d]"
    assert steps["a"].slopes["h"].text == "∂a[n, h]/∂h[n', h'] = δ[h, h'] δ[n, n'] [h[n, h] > 0]"
    assert r"\frac{\partial a_{nh}}{\partial h_{n'h'}}" in steps["a"].slopes["h"].latex
    assert steps["a"].verdict.status is Status.PROVEN
    assert steps["y"].verdict is None
    with pytest.raises(KeyError, match="q is not among the steps h, a, y"):
        steps["q"]


def test_the_graph_has_the_numbers_at_given_inputs():
    steps = prove(hidden, hidden_backward, **HIDDEN).steps
    inputs = {
        "x": np.array([[1.0, 2.0]]),
        "W": np.array([[1.0, -1.0], [0.5, -2.0]]),
        "b": np.array([0.5, 1.0]),
        "V": np.array([[3.0], [2.0]]),
    }
    found = steps.at(dy=np.array([[2.0]]), **inputs)
    assert list(found) == ["x", "W", "b", "V", "h", "a", "y"]
    _, cache = hidden(**inputs)
    expected = hidden_backward(np.array([[2.0]]), *cache)
    for name, gradient in zip("xWbV", expected, strict=True):
        assert found[name].gradient.tolist() == gradient.tolist()
    assert found["h"].value.tolist() == [[2.5, -4]]
    assert found["h"].gradient.tolist() == [[6, 0]]
    assert found["a"].gradient.tolist() == [[6, 4]]
    assert found["y"].value.tolist() == [[7.5]]


def test_numbers_for_the_graph_are_checked():
    steps = prove(hidden, hidden_backward, **HIDDEN).steps
    inputs = {name: np.ones((2,) * len(axes.split())) for name, axes in HIDDEN.items()}
    with pytest.raises(TypeError, match="dy is missing, expected \\(2, 2\\), as y is"):
        steps.at(**inputs)
    with pytest.raises(ValueError, match="dy has shape \\(2,\\), expected that of y, \\(2, 2\\)"):
        steps.at(dy=[1.0, 2.0], **inputs)
    with pytest.raises(TypeError, match="q is no input, expected x, W, b, V"):
        steps.at(dy=1.0, q=1.0, **inputs)
    del inputs["W"]
    with pytest.raises(TypeError, match="W is missing, expected x, W, b, V"):
        steps.at(dy=1.0, **inputs)


def test_the_graph_of_a_loop_is_that_of_the_sizes_that_were_tried():
    steps = prove(recurrent, recurrent_backward, **RECURRENT).steps
    assert steps["h0"].uses == ("x", "W")
    assert steps["h1"].uses == ("x", "W", "U", "h0")


def test_the_graph_of_labels_and_masks():
    def forward(x, t, mask):
        h = step("h", x * mask)
        return np.take_along_axis(h, t[:, None], axis=1)[:, 0], (x, t, mask)

    def backward(dy, x, t, mask):
        dh = np.zeros_like(x)
        np.put_along_axis(dh, t[:, None], dy[:, None], axis=1)
        return step("dh", dh) * mask

    report = prove(forward, backward, x="N C", t="N < C", mask="const N C")
    assert report
    assert list(report.steps["h"].slopes) == ["x"]
    found = report.steps.at(
        dy=np.array([2.0]), x=np.array([[1.0, 3.0]]), t=np.array([1]), mask=np.array([[0.5, 1.0]])
    )
    assert found["t"].gradient is None
    assert found["mask"].gradient is None
    assert found["x"].gradient.tolist() == [[0, 2]]


# What numbers would find as well, without them.


def test_an_equation_of_several_steps_is_not_differentiated():
    """The two are always equal, though their symbols are not."""

    def forward(x):
        h, g = step("h", x * 1), step("g", x * 1)
        return np.where(h == g, h, 2 * h), ()

    def backward(dy):
        return step("dh", 2 * dy)

    task = Task.of_backward(Layer(forward, backward), {"x": "N D"}, {})
    found = findings(replace(task, steps=("h", "g"), lines=("h",)))["x"]
    assert found.answer is Answer.NOTHING
    assert "compares numbers of several steps with ==" in found.why


@pytest.mark.parametrize(
    ("sign", "alike", "expected"),
    [(1, True, True), (1, False, False), (-1, True, False), (-1, False, False)],
)
def test_comparisons_that_tie_together_are_apart_only_if_they_are_alike(sign, alike, expected):
    rng = np.random.default_rng(0)
    ends = rng.normal(size=(LINES, 2, 3))
    index = Index("A")

    def at(line, place):
        low, high = ends[line]
        x = low + place * (high - low)
        return {"h": np.array([x[0], sign * x[0]])}

    u = calculus.entry("h", index)
    assert are_apart([u], at, {"A": 2}, alike=alike) is expected
