"""prove says "proven" of what is right, for all sizes, and of nothing else."""

import numpy as np
import pytest

from backprop_lib.layer import Layer
from backprop_lib.layers import batchnorm1d, batchnorm1d_relu, conv1d, linear
from backprop_lib.ops import bmm, dropout, log_softmax_nll, orthogonality
from backprop_lib.ops import max as max_
from backprop_lib.proof import DisagreementError, exact, prove, prove_at, prover, refute
from backprop_lib.proof.all_sizes import findings
from backprop_lib.proof.evidence import Answer, Formulas
from backprop_lib.proof.refusal import NotFollowedError
from backprop_lib.proof.task import Task
from backprop_lib.shapes import Array, Shaped, shaped

PROVEN = {
    "linear": (linear, {}),
    "batchnorm1d (N, C)": (batchnorm1d, {"x": "N C"}),
    "batchnorm1d (N, C, L)": (batchnorm1d, {"x": "N C L"}),
    "batchnorm1d": (batchnorm1d, {}),
    "batchnorm1d_relu (N, C, L)": (batchnorm1d_relu, {"x": "N C L"}),
    "conv1d": (conv1d, {}),
    "max": (max_, {}),
    "bmm": (bmm, {}),
    "bmm, square": (bmm, {"t": "N C C"}),
    "log_softmax_nll": (log_softmax_nll, {}),
    "orthogonality": (orthogonality, {}),
    "dropout": (dropout, {}),
}
COMPARED = "no two numbers that are compared are equal"


@pytest.mark.parametrize("name", PROVEN)
def test_a_right_layer_is_proven_for_all_sizes(name):
    layer, shapes = PROVEN[name]
    report = prove(layer, **shapes)
    assert report, report
    for verdict in report:
        assert verdict.reason.startswith(" for all sizes")
        assert verdict.formula.text.startswith(verdict.gradient)
        assert bool(verdict.where) == (layer in (batchnorm1d_relu, max_))


def test_the_closed_forms_are_derived():
    report = prove(linear)
    assert [verdict.formula.text for verdict in report] == [
        "dx[n, i] = Σ_o dy[n, o] W[o, i]",
        "dW[o, i] = Σ_n dy[n, o] x[n, i]",
        "db[o] = Σ_n dy[n, o]",
    ]
    assert prove(max_, x="N C L")["dx"].formula.text == "dx[n, c, l] = dy[n, c] δ[k[n, c], l]"
    assert prove(log_softmax_nll)["dx"].formula.text == (
        "dx[n, c] = dy exp(x[n, c]) / (N (Σ_c' exp(x[n, c']))) - dy δ[t[n], c] / N"
    )


def test_a_starred_axis_is_proven_for_several_numbers_of_axes():
    report = prove(batchnorm1d)
    assert "with x of shape (N, C) and (N, C, L) and (N, C, L_1, L_2)" in report["dx"].reason


@shaped
def square_bmm(x: Shaped[Array, "N L C"], t: Shaped[Array, "N C C"]):
    return bmm.forward(x, t)


# The source's wrong formulas, and what each must be called.
WRONG = {
    "L2": (linear.forward, "W", lambda dy, x, W, b: x.T @ dy, "shape error", True),
    "L4": (linear.forward, "b", lambda dy, x, W, b: dy, "shape error", False),
    "C5": (conv1d.forward, "x", lambda dy, x, W, b: dy @ W.T, "shape error", True),
    "C5, from the left": (conv1d.forward, "x", lambda dy, x, W, b: W @ dy, "shape error", True),
    "M2": (
        max_.forward,
        "x",
        lambda dy, x: np.broadcast_to(dy[..., None], x.shape),
        "refuted",
        True,
    ),
    "T3": (square_bmm, "x", lambda dy, x, t: dy @ t, "refuted", True),
    "T3, sides all different": (bmm.forward, "x", lambda dy, x, t: dy @ t, "shape error", True),
    "T4": (square_bmm, "t", lambda dy, x, t: dy @ x, "shape error", True),
    "T4, shapes mended": (
        square_bmm,
        "t",
        lambda dy, x, t: dy.swapaxes(1, 2) @ x,
        "refuted",
        True,
    ),
    "N only": (conv1d.forward, "b", lambda dy, x, W, b: dy.sum(axis=0), "shape error", False),
    "N only, at the first place": (
        conv1d.forward,
        "b",
        lambda dy, x, W, b: dy.sum(axis=0)[:, 0],
        "refuted",
        True,
    ),
    "N only, averaged": (
        conv1d.forward,
        "b",
        lambda dy, x, W, b: dy.sum(axis=0).mean(axis=1),
        "refuted",
        True,
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_wrong_formulas_of_the_source_are_found_out(name):
    forward, wrt, claim, status, has_counterexample = WRONG[name]
    report = refute(forward, wrt=wrt, claim=claim)
    (verdict,) = report
    assert not report
    assert verdict.status == status
    assert (verdict.counterexample is not None) == has_counterexample
    if has_counterexample:
        holds_in_floats(forward, wrt, claim, verdict.counterexample)


def holds_in_floats(forward, wrt, claim, found, const=None):
    """Measure the slope at a counterexample: the true gradient is the one it says."""
    inputs = {name: array.astype(float) for name, array in found.inputs.items()}
    dy = inputs.pop("dy")
    h = 1e-5
    for index in np.ndindex(found.true.shape):
        stepped = []
        for sign in (1, -1):
            moved = {name: array.copy() for name, array in inputs.items()}
            moved[wrt][index] += sign * h
            stepped.append((dy * forward(**moved, **(const or {}))[0]).sum())
        assert abs((stepped[0] - stepped[1]) / (2 * h) - float(found.true[index])) < 1e-4
    claimed = claim(dy, *inputs.values())
    assert np.allclose(np.asarray(claimed), found.claimed.astype(float), atol=1e-9)
    assert found.true[found.entry] != found.claimed[found.entry]


def batchnorm_backward(dx_of, axes_of=lambda ndim: (0, *range(2, ndim))):
    """Write BatchNorm's backward with another formula for dx."""

    def backward(dy, x_hat, r, W):
        right = batchnorm1d.backward(dy, x_hat, r, W)
        column = (1, -1) + (1,) * (dy.ndim - 2)
        gamma, r = W.reshape(column), r.reshape(column)
        axes = axes_of(dy.ndim)
        M = dy.size / dy.shape[1]

        def mean(a):
            return a.mean(axis=axes, keepdims=True)

        return dx_of(dy, dy * gamma, x_hat, r, mean, M), *right[1:]

    return backward


BATCHNORM_MUTANTS = {
    "mean path dropped": batchnorm_backward(
        lambda dy, g, xh, r, mean, M: (g - xh * mean(g * xh)) * r
    ),
    "variance path dropped": batchnorm_backward(lambda dy, g, xh, r, mean, M: (g - mean(g)) * r),
    "both dropped": batchnorm_backward(lambda dy, g, xh, r, mean, M: g * r),
    "γ missing": batchnorm_backward(
        lambda dy, g, xh, r, mean, M: (dy - mean(dy) - xh * mean(dy * xh)) * r
    ),
    "Bessel's M - 1": batchnorm_backward(
        lambda dy, g, xh, r, mean, M: (g - mean(g) - xh * mean(g * xh) * M / (M - 1)) * r
    ),
    "sign of the variance term": batchnorm_backward(
        lambda dy, g, xh, r, mean, M: (g - mean(g) + xh * mean(g * xh)) * r
    ),
    "x for x̂": batchnorm_backward(
        lambda dy, g, xh, r, mean, M: (g - mean(g) - xh / r * mean(g * xh)) * r
    ),
    "wrong power of σ": batchnorm_backward(
        lambda dy, g, xh, r, mean, M: (g - mean(g) - xh * mean(g * xh)) * r * r
    ),
    "σ for 1/σ": batchnorm_backward(
        lambda dy, g, xh, r, mean, M: (g - mean(g) - xh * mean(g * xh)) / r
    ),
    "zeros": batchnorm_backward(lambda dy, g, xh, r, mean, M: np.zeros_like(dy)),
    "N for N·L": batchnorm_backward(
        lambda dy, g, xh, r, mean, M: (
            (g - mean(g) * M / g.shape[0] - xh * mean(g * xh) * M / g.shape[0]) * r
        )
    ),
    "statistics over N only": batchnorm_backward(
        lambda dy, g, xh, r, mean, M: (g - mean(g) - xh * mean(g * xh)) * r, lambda ndim: (0,)
    ),
}
RIGHT_WITHOUT_L = ("N for N·L", "statistics over N only")  # N is N·L there


@pytest.mark.parametrize("shape", ["N C", "N C L"])
@pytest.mark.parametrize("name", BATCHNORM_MUTANTS)
def test_no_mutant_of_batch_normalisation_is_proven(name, shape):
    backward = BATCHNORM_MUTANTS[name]
    verdict = prove(batchnorm1d.forward, backward, x=shape)["dx"]
    if shape == "N C" and name in RIGHT_WITHOUT_L:
        assert verdict.status == "proven"
        return
    assert verdict.status == "refuted"
    found = verdict.counterexample
    eps = float(found.const["eps"])
    assert eps in (1, 2, 0.25)  # with which the numbers are rational

    def claim(dy, x, W, b):
        _, cache = batchnorm1d.forward(x, W, b, eps)
        return backward(dy, *cache)[0]

    holds_in_floats(batchnorm1d.forward, "x", claim, found, {"eps": eps})


def test_the_right_form_of_the_mutants_is_proven():
    right = batchnorm_backward(lambda dy, g, xh, r, mean, M: (g - mean(g) - xh * mean(g * xh)) * r)
    assert prove(batchnorm1d.forward, right, x="N C L")


def test_a_composition_is_proven_at_once():
    def forward(x, W, b, gamma, beta, eps=1e-5):
        z, first = linear.forward(x, W, b)
        y, second = batchnorm1d_relu.forward(z, gamma, beta, eps)
        return y, (first, second)

    def backward(dy, first, second):
        dz, dgamma, dbeta = batchnorm1d_relu.backward(dy, *second)
        return (*linear.backward(dz, *first), dgamma, dbeta)

    shapes = {"x": "N C_in", "W": "C_out C_in", "b": "C_out", "gamma": "C_out", "beta": "C_out"}
    report = prove(forward, backward, **shapes)
    assert report, report
    assert report["db"].formula.text == "db[o] = 0"  # batch normalisation takes the bias out


def square(x):
    return x * x, (x,)


def relu(x):
    return np.maximum(x, 0), (x,)


def log_softmax(x):
    shifted = x - x.max(axis=1, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return y, (y,)


def with_a_running_product(dy, x):
    """Do what exact numbers follow, and the calculus does not."""
    return 2 * x * dy * np.cumprod(np.ones_like(x), axis=0)


def with_loops(dy, x):
    return np.stack([2 * x[n] * dy[n] for n in range(len(x))])


FURTHER = {
    "relu": (relu, lambda dy, x: dy * (x > 0), "proven", 1),
    "relu from its output": (
        lambda x: (np.maximum(x, 0), (np.maximum(x, 0),)),
        lambda dy, y: np.where(y > 0, dy, 0),
        "proven",
        1,
    ),
    "relu, a clipped output compared with <": (
        lambda x: (np.maximum(x, 0), (np.maximum(x, 0),)),
        lambda dy, y: np.where(y < 0, 0, dy),
        "refuted",
        0,
    ),
    "every tied entry": (
        lambda x: (x.max(axis=1), (x,)),
        lambda dy, x: (x == x.max(axis=1, keepdims=True)) * dy[:, None],
        "proven",
        1,
    ),
    "log-softmax": (
        log_softmax,
        lambda dy, y: dy - np.exp(y) * dy.sum(axis=1, keepdims=True),
        "proven",
        0,
    ),
    "log-softmax without the sum": (log_softmax, lambda dy, y: dy - np.exp(y), "refuted", 0),
    "tanh": (lambda x: (np.tanh(x), (np.tanh(x),)), lambda dy, y: dy * (1 - y * y), "proven", 0),
    "quotient": (
        lambda x: (x / (1 + x * x), (x,)),
        lambda dy, x: dy * (1 - x * x) / (1 + x * x) ** 2,
        "proven",
        0,
    ),
    "loops": (square, with_loops, "proven at", 0),
    "an open question": (square, lambda dy, x: ..., "not answered yet", 0),
}


@pytest.mark.parametrize("name", FURTHER)
def test_further_functions(name):
    forward, backward, status, conditions = FURTHER[name]
    verdict = prove(forward, backward, x="N C")["dx"]
    assert verdict.status == status, verdict
    assert len(verdict.where) == (conditions if status == "proven" else 0)


def test_what_is_undecided_for_all_sizes_is_proven_at_small_ones():
    report = prove(square, with_a_running_product, x="N C")
    assert not report
    assert repr(report) == (
        "dx: undecided for all sizes: backward uses np.cumprod, which is not followed; use a loop "
        "over the axis, which is proven at some of its sizes\n"
        f"  {report['dx'].line}\n"
        "  at N = 2, C = 3: proven\n"
        "  at N = 3, C = 2: exact at 2 random points"
    )


@pytest.mark.thorough
def test_code_that_does_not_run_at_all_sizes_is_checked_where_it_runs():
    pair = conv1d.forward_general, conv1d.backward_general
    for verdict in prove(*pair, const={"stride": 2, "dilation": 1}):
        assert verdict.status == "undecided"
        assert "exact at 2 random points" in verdict.notes[-1]

    def wrong(dy, *cache):
        dx, dW, db = conv1d.backward_general(dy, *cache)
        return dx, dW[:, :, ::-1], db

    assert prove(pair[0], wrong)["dW"].status == "refuted"


def test_sizes_may_be_chosen_for_what_is_undecided():
    report = prove(square, with_a_running_product, x="N C", sizes={"N": 4, "C": 1})
    assert report
    assert repr(report).startswith(
        "dx: proven at N = 4, C = 1\n  for all sizes undecided: backward uses np.cumprod"
    )
    with pytest.raises(ValueError, match="sizes lacks C"):
        prove(square, with_loops, x="N C", sizes={"N": 4})


@pytest.mark.parametrize("judge", [prove, prove_at])
def test_what_is_wrong_at_larger_sizes_than_those_named_is_not_searched(judge, monkeypatch):
    def wrong(dy, x):
        return np.stack([2 * x[0] * dy[n] for n in range(len(x))])

    def refuse(*_):
        raise NotFollowedError("stands in for code that symbols do not follow")

    monkeypatch.setattr(exact, "unproven", refuse)
    at_one = judge(square, wrong, x="N C", sizes={"N": 1, "C": 2})["dx"].status
    assert at_one == ("proven at" if judge is prove else "undecided")  # it is right where N = 1
    assert judge(square, wrong, x="N C", sizes={"N": 2, "C": 1})["dx"].status == "refuted"


def test_an_undecided_function_with_a_wrong_gradient_is_refuted():
    def wrong(dy, x):
        return np.stack([2 * x[0] * dy[n] for n in range(len(x))])

    verdict = prove(square, wrong, x="N C")["dx"]
    assert verdict.status == "refuted"
    assert verdict.counterexample.sizes == {"N": 2, "C": 1}


@pytest.mark.parametrize("k", [2, 3, 4])
def test_no_size_is_tried_that_a_constant_could_be_taken_for(k):
    def forward(x, k):
        return k * x * np.cumprod(np.ones_like(x)), (k,)

    def backward(dy, k):
        return k * dy

    text = repr(prove(forward, backward, x="N", const={"k": k}))
    assert text.count("at N = ") == 2
    assert f"at N = {k}:" not in text


def behind_three(x):
    return x[3:] ** 2, (x,)


def of_behind_three(factor):
    def backward(dy, x):
        dx = np.zeros_like(x)
        dx[3:] = factor * x[3:] * dy
        return dx

    return backward


def test_no_sizes_are_chosen_at_which_y_has_no_entries():
    verdict = prove(behind_three, of_behind_three(1), x="N")["dx"]
    assert verdict.status == "refuted"
    assert verdict.counterexample.sizes == {"N": 4}  # the smallest that there is
    assert prove(behind_three, of_behind_three(2), x="N")


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("judge", [prove, prove_at])
def test_nothing_is_said_where_y_has_no_entries(judge, factor):
    report = judge(behind_three, of_behind_three(factor), x="N", sizes={"N": 3})
    assert report["dx"].status == "undecided"
    assert "y has no entries" in repr(report)
    assert "agrees" not in repr(report)
    assert "exact at" not in repr(report)


def test_branches_are_counted():
    def forward(x):
        return np.fmax(x, 0), (x,)

    verdict = prove(forward, lambda dy, x: dy * (x > 0), x="N")["dx"]
    assert verdict.status == "undecided"
    assert verdict.notes[0] == "at N = 2: proven on each of 9 branches"


def test_a_shape_error_in_one_gradient_does_not_blame_the_others():
    def backward(dy, x, W):
        return dy.T @ W, dy.T @ x, dy.sum(0)

    report = prove(linear.forward, backward)
    assert [v.status for v in report] == ["shape error", "proven", "proven"]
    assert "(C_out, N) @ (C_out, C_in): N meets C_out" in report["dx"].reason


@pytest.mark.parametrize(
    "used",
    [lambda dy, one: dy + one, lambda dy, one: 2 * one * dy, lambda dy, one: dy.sum() / one],
)
def test_dots_that_backward_computes_with_are_not_answered_yet(used):
    report = prove(square, lambda dy, x: used(dy, ...), x="N C")
    assert not report
    assert repr(report) == "dx: not answered yet"


def test_a_type_error_of_another_cause_is_told():
    with pytest.raises(TypeError, match="NoneType"):
        prove(square, lambda dy, x: dy + None, x="N C")


def test_a_backward_that_runs_at_no_sizes_is_a_shape_error_in_every_gradient():
    """Nothing of it is computed, though the formula of one gradient is right by itself."""

    def forward(x, w):
        return x @ w, (x, w)

    def backward(dy, x, w):
        return (dy @ w.T) @ x, x.T @ dy  # dy has no second axis

    report = prove(forward, backward, x="N H", w="H")
    assert [verdict.status for verdict in report] == ["shape error"] * 2
    assert repr(report).count("(N,) @ (H,): N meets H") == 2


def test_a_shape_error_names_the_axes():
    report = prove(linear.forward, lambda dy, x, W: (dy @ W, x.T @ dy, dy.sum(0)))
    assert report["dW"].reason == (
        ": dW is (C_in, C_out), W is (C_out, C_in): axis 0 is C_in, not C_out; "
        "axis 1 is C_out, not C_in"
    )


def test_sizes_at_which_a_claim_does_not_fit_are_tried_once():
    tried = []

    def claim(dy, x, W, b):
        tried.append((x.shape[0], *W.shape))
        return x.T @ dy

    verdict = refute(linear.forward, wrt="W", claim=claim)["dW"]
    sizes = verdict.counterexample.sizes
    assert sizes == {"N": 1, "C_in": 2, "C_out": 2}
    in_numbers = [shape for shape in tried if type(shape[0]) is int]
    in_vain = [shape for shape in in_numbers if shape[1] != shape[2] and max(shape) <= 3]
    assert len(in_vain) == len(set(in_vain)) >= 4


def test_a_backward_of_a_decorated_layer_may_return_a_wrong_shape():
    @shaped
    def backward(
        dy: Shaped[Array, "N C_out"], x: Shaped[Array, "N C_in"], W: Shaped[Array, "C_out C_in"]
    ) -> tuple[Shaped[Array, "N C_in"], Shaped[Array, "C_out C_in"], Shaped[Array, "C_out"]]:
        return dy @ W, x.T @ dy, dy.sum(axis=0)

    report = prove(linear.forward, backward)
    assert [v.status for v in report] == ["proven", "shape error", "proven"]


def test_a_signature_that_refuses_the_upstream_gradient_is_not_proven():
    @shaped
    def backward(
        dy: Shaped[Array, "C_out N"], x: Shaped[Array, "N C_in"], W: Shaped[Array, "C_out C_in"]
    ):
        return dy @ W, dy.T @ x, dy.sum(axis=0)

    report = prove(linear.forward, backward)
    assert [v.status for v in report] == ["undecided"] * 3
    assert report["dx"].reason == (
        ": called with floats, it raises ShapeError: "
        "test_prover.test_a_signature_that_refuses_the_upstream_gradient_is_not_proven.<locals>."
        "backward: x has shape (3, 2), expected (N, C_in): axis 0 is 3, but dy has N = 4"
    )


def changes_dy(dy, x):
    dy *= 2 * x
    return dy


@pytest.mark.parametrize(
    ("forward", "backward", "error", "message"),
    [
        (square, changes_dy, RuntimeError, "backward changed dy in place"),
        (
            square,
            lambda dy, x: (dy, dy),
            TypeError,
            r"backward returned 2 gradient\(s\), expected 1",
        ),
        (lambda x: x, lambda dy: dy, TypeError, r"forward returned a .*; expected \(y, cache\)"),
        (square, lambda dy: dy, TypeError, "backward takes after dy nothing"),
        (square, lambda dy, x: {}["dx"], KeyError, "dx"),
    ],
)
def test_broken_promises_are_named(forward, backward, error, message):
    with pytest.raises(error, match=message):
        prove(forward, backward, x="N C")


@pytest.mark.parametrize(
    ("shapes", "error", "message"),
    [
        ({}, TypeError, 'no shapes: annotate forward, or name them, as in x="N C_in"'),
        ({"x": "N -C"}, ValueError, "x has the axis '-C', expected names and positive numbers"),
        ({"x": "N 0"}, ValueError, "x has the axis '0'"),
        ({"x": 3}, TypeError, "x is 3, expected its axes"),
        ({"z": "N"}, TypeError, "z is no parameter of forward: forward takes x"),
        ({"x": "const N"}, TypeError, "all of x are constant: there is no gradient"),
        ({"x": "N < C D"}, ValueError, "x is 'N < C D', expected labels that choose from one axis"),
        ({"x": "N <"}, ValueError, "x is 'N <', expected labels that choose from one axis"),
        ({"x": "N < *C"}, ValueError, "expected labels that choose from one axis"),
        ({"x": "N < 0"}, ValueError, "x has the axis '0', expected names and positive numbers"),
    ],
)
def test_shapes_that_make_no_sense_are_named(shapes, error, message):
    with pytest.raises(error, match=message):
        prove(square, lambda dy, x: 2 * x * dy, **shapes)


def test_names_the_wrong_input():
    with pytest.raises(ValueError, match="wrt is 'V', expected one of x, W, b"):
        refute(linear.forward, wrt="V", claim=lambda *_: 0)


def test_a_number_by_default_is_constant():
    def forward(x, eps=1e-5, factor=3):
        return factor * x / np.sqrt(x * x + eps), (x, eps, factor)

    def backward(dy, x, eps, factor):
        return factor * dy * eps / np.sqrt(x * x + eps) ** 3

    assert prove(forward, backward, x="N")
    assert prove(forward, backward, x="N", const={"eps": 0.25})
    assert not prove(forward, lambda dy, *_: dy, x="N")


def test_a_float_that_backward_repeats_is_proven_as_the_number_it_is():
    def forward(x, s):
        return x * s, ()

    assert prove(forward, lambda dy: dy * 0.5, x="N", const={"s": 0.5})
    assert prove(forward, lambda dy: dy * 0.25, x="N", const={"s": 0.5})["dx"].status == "refuted"


@pytest.mark.parametrize("axes", ["", "3", "N", "N 3"])
def test_any_number_of_axes(axes):
    assert prove(square, lambda dy, x: 2 * x * dy, x=axes)
    assert not prove(square, lambda dy, x: x * dy, x=axes)


@pytest.mark.parametrize(("factor", "status"), [(1, "proven"), (2, "refuted")])
def test_an_input_may_be_called_dy(factor, status):
    report = prove(lambda dy: (dy, ()), lambda up: factor * up, dy="N")
    assert report["ddy"].status == status


def into_a_mask(dy, x):
    mask = x > 0
    dx = np.zeros_like(mask)  # an array of truth values
    dx[...] = dy
    return dx * mask


def not_copied(dy, x):
    dx = 2 * x * dy
    same = dx.astype(float, copy=False)
    same *= 0
    return dx


def shape_error_caught(dy, x):
    try:
        np.zeros_like(x)[...] = x.T
    except ValueError:
        return 2 * x * dy
    return 0 * dy


def shape_error_dropped(dy, x):
    try:
        dy @ x
        return dy * 1
    except ValueError:
        return 2 * x * dy


def mask_of_rows(dy, x):
    dx = dy.copy()
    dx[x.sum(axis=1) <= 0] = 0
    return dx


def merged_in_another_order(dy, x, W):
    rows = dy.transpose(1, 0, 2).reshape(dy.shape[1], -1)
    columns = x.transpose(1, 2, 0).reshape(x.shape[1], -1)
    return W.T @ dy, rows @ columns.T, dy.sum(axis=(0, 2))


def constant_compared(x, p):
    return np.where(p == 0.5, x, 2 * x), ()


def log(x):
    return np.log(x), (x,)


def of_type(factor):
    return lambda dy, x: dy / x * (1 if x.dtype == object else factor)


# Code that once was proven, refuted or called a shape error, and must not be.
ATTACKS = {
    "gradient in a mask": (relu, into_a_mask, {}, "undecided"),
    "a copy that is none": (square, not_copied, {}, "undecided"),
    "sizes in a set": (
        square, lambda dy, x: 2 * x * dy if len({*x.shape}) == 2 else 0 * x, {}, "refuted",
    ),
    "shape error caught": (square, shape_error_caught, {}, "refuted"),
    "floats where numbers are undefined": (log, of_type(2), {}, "undecided"),
    "right where numbers are undefined": (log, lambda dy, x: dy / x, {}, "proven"),
    "constant compared": (constant_compared, lambda dy: 2 * dy, {"p": 0.5}, "refuted"),
    "right for floats": (
        lambda x: (2 * x if type(x) is np.ndarray else x, ()), lambda dy: 2 * dy, {}, "undecided",
    ),
    "wrong for floats": (
        lambda x: (2 * x if type(x) is np.ndarray else x, ()), lambda dy: 3 * dy, {}, "refuted",
    ),
    "a claim that is right for floats": (
        lambda x: (2 * x, ()), lambda dy: dy if hasattr(dy, "lift") else 2 * dy, {}, "undecided",
    ),
    "right constant compared": (constant_compared, lambda dy: dy, {"p": 0.5}, "proven at"),
    "square of a sum below": (
        lambda x: (1 / x.sum(axis=1) ** 2, (x,)),
        lambda dy, x: (-2 * dy / x.sum(axis=1) ** 3)[:, None] + 0 * x, {}, "proven",
    ),
    "merged in another order": (
        lambda x: (x.reshape(-1) + x.T.reshape(-1), (x,)),
        lambda dy, x: dy.reshape(x.shape) + dy.reshape(x.shape[::-1]).T, {}, "undecided",
    ),
    "mask as numbers": (
        lambda x: (np.maximum(x, 0).sum(), (x,)),
        lambda dy, x: dy * (x > 0).astype(float), {}, "proven",
    ),
    "a branch that is rarely taken": (
        lambda x: (x * 1, (x,)), lambda dy, x: np.where(x > 1000, 0, dy), {}, "refuted",
    ),
    "a shape error caught and its result dropped": (
        square, shape_error_dropped, {}, "refuted",
    ),
    "a constant of a special value": (
        lambda x, b: (x * x, (x, b)),
        lambda dy, x, b: np.where(b * x == 0, 0, 2 * dy * x), {"b": 0.0}, "refuted",
    ),
    "mask of rows": (
        lambda x: (x * (x.sum(axis=1) > 0)[:, None], (x,)), mask_of_rows, {}, "proven",
    ),
    "silu": (
        lambda x: (x / (1 + np.exp(-1.702 * x)), (x,)),
        lambda dy, x: dy * (
            1 / (1 + np.exp(-1.702 * x))
            + 1.702 * x * np.exp(-1.702 * x) / (1 + np.exp(-1.702 * x)) ** 2
        ), {}, "proven",
    ),
    "relu6": (
        lambda x: (np.minimum(np.maximum(x, 0), 6), (x,)),
        lambda dy, x: dy * (x > 0) * (x < 6), {}, "proven",
    ),
    "leaky": (
        lambda x: (np.where(x > 0, x, 0.01 * x), (x,)),
        lambda dy, x: np.where(x > 0, dy, 0.01 * dy), {}, "proven",
    ),
    "softplus": (
        lambda x: (np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), (x,)),
        lambda dy, x: dy / (1 + np.exp(-x)), {}, "proven",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks(name):
    forward, backward, const, status = ATTACKS[name]
    assert prove(forward, backward, x="N C", const=const)["dx"].status == status


def test_axes_merged_in_another_order_are_wrong_and_no_shape_error():
    report = prove(conv1d.forward, merged_in_another_order)
    assert [v.status for v in report] == ["undecided", "refuted", "undecided"]
    assert "axes that were merged in different orders" in report["dx"].reason


def test_three_coordinates_may_be_written_out():
    def forward(x):
        return x[:, 0] * x[:, 1] + x[:, 2], (x,)

    def backward(dy, x):
        dx = np.zeros_like(x)
        dx[:, 0], dx[:, 1], dx[:, 2] = dy * x[:, 1], dy * x[:, 0], dy
        return dx

    assert prove(forward, backward, x="N 3")
    assert not prove(forward, lambda dy, x: x * dy[:, None], x="N 3")


def test_names_that_collide_with_the_upstream_gradient():
    def forward(x, dy):
        return (x * dy).sum(), (x, dy)

    wrong = prove(forward, lambda g, x, c: c * c * np.ones_like(x), const={"dy": 0.5}, x="N")
    right = prove(forward, lambda g, x, c: g * c * np.ones_like(x), const={"dy": 0.5}, x="N")
    assert wrong["dx"].status == "refuted"
    assert right["dx"].formula.text == "dx[n] = dy dy_0"


def test_an_array_in_const_needs_sizes():
    def forward(x, mu):
        return x - mu, ()

    mu = np.array([0.5, 1.0, 2.0])
    with pytest.raises(ValueError, match="mu is an array in const, which fits some sizes only"):
        prove(forward, lambda dy: dy, const={"mu": mu}, x="N C")
    report = prove(forward, lambda dy: dy, const={"mu": mu}, x="N C", sizes={"N": 2, "C": 3})
    assert report
    assert repr(report).startswith("dx: proven at N = 2, C = 3\n")
    assert prove(forward, lambda dy: dy, x="N C", mu="const C")
    assert prove(forward, lambda dy: (dy, ...), x="N C", mu="C")["dx"].status == "proven"


def masked(x, mask):
    return x * mask, (x, mask)


def chosen(x, t):
    return np.take_along_axis(x, t[:, None], axis=1)[:, 0] ** 2, (x, t)


def chosen_backward(dy, x, t, size=None):
    dx = np.zeros_like(x)
    taken = np.take_along_axis(x, t[:, None], axis=1)
    np.put_along_axis(dx, t[:, None], 2 * dy[:, None] * taken, axis=1)
    return dx


NOT_DIFFERENTIATED = {
    "mask": (masked, lambda dy, x, mask: dy * mask, {"mask": "const N C"}, "proven"),
    "mask forgotten": (masked, lambda dy, x, mask: dy, {"mask": "const N C"}, "refuted"),
    "mask of a channel": (masked, lambda dy, x, mask: dy * mask, {"mask": "const C"}, "proven"),
    "labels": (chosen, chosen_backward, {"t": "N < C"}, "proven"),
    "labels, to every entry": (
        chosen, lambda dy, x, t: 2 * dy[:, None] * x, {"t": "N < C"}, "refuted",
    ),
    "labels, the largest for the label": (
        chosen,
        lambda dy, x, t: chosen_backward(dy, x, x.argmax(axis=1)),
        {"t": "N < C"},
        "refuted",
    ),
    "labels and a loop": (
        lambda x, t: (sum(chosen(x[None, n], t[n, None])[0][0] for n in range(2)), (x, t)),
        lambda dy, x, t: chosen_backward(dy + 0 * x[:, 0], x, t), {"x": "2 C", "t": "2 < C"},
        "proven",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_DIFFERENTIATED)
def test_constant_arrays_and_labels_have_no_gradient(name):
    forward, backward, shapes, status = NOT_DIFFERENTIATED[name]
    report = prove(forward, backward, **{"x": "N C", **shapes})
    assert [(verdict.gradient, verdict.status) for verdict in report] == [("dx", status)]
    if status == "refuted":
        found = report["dx"].counterexample
        assert list(found.inputs) == ["x", *set(shapes) - {"x"}, "dy"]
        if "t" in shapes:
            assert found.inputs["t"].dtype.kind == "i"
            assert set(found.inputs["t"].flat) <= set(range(found.sizes["C"]))


def test_labels_are_tried_in_every_way_at_small_sizes():
    forward, backward, shapes, _ = NOT_DIFFERENTIATED["labels and a loop"]
    verdict = prove_at(forward, backward, **shapes, sizes={"C": 3})["dx"]
    assert verdict.reason == " C = 3 on each of 9 branches"
    assert prove_at(forward, backward, **shapes, sizes={"C": 4})
    many = prove_at(chosen, chosen_backward, x="N C", t="N < C", sizes={"N": 5, "C": 3})
    assert "there are too many ways to label so much" in many["dx"].reason


def test_labels_of_one_class_and_a_fixed_number_of_classes():
    assert prove(chosen, chosen_backward, x="N 1", t="N < 1")
    assert prove(chosen, chosen_backward, x="N 3", t="N < 3")


def test_labels_of_another_axis_are_tried_where_they_fit():
    verdict = prove(chosen, chosen_backward, x="N C", t="N < D")["dx"]
    assert verdict.status == "undecided"
    assert verdict.reason == " for all sizes: a place along D is used along C"
    with pytest.raises(IndexError, match="out of bounds for axis 1 with size 3"):
        prove(chosen, chosen_backward, x="N C", t="N < D", sizes={"N": 2, "C": 3, "D": 4})


def test_a_label_and_an_argmax_of_the_same_name_are_kept_apart():
    def forward(x, k):
        largest = np.take_along_axis(x, x.argmax(axis=1)[:, None], axis=1)
        return largest * np.take_along_axis(x, k[:, None], axis=1), (x, k)

    wrong = refute(forward, wrt="x", claim=lambda dy, x, k: 0 * x, x="N C", k="N < C")
    assert wrong["dx"].status == "refuted"
    assert "k'[n]" in wrong["dx"].formula.text


def test_what_only_floats_can_run_is_measured():
    report = prove(square, not_copied, x="N C")
    assert "at N = 3, C = 2: WRONG by slopes measured with floats" in repr(report)


def test_measured_slopes_see_small_gradients_too():
    """Exact numbers do not follow astype; an absolute tolerance would let the factor 2 pass."""

    def forward(x):
        return x.astype(float) / 10**9, ()

    wrong = prove(forward, lambda dy: 2 * dy / 10**9, x="N C")
    assert "at N = 3, C = 2: WRONG by slopes measured with floats" in repr(wrong)
    assert prove(forward, lambda dy: dy / 10**9, x="N C")


def test_a_forward_that_counts_is_named():
    count = iter(range(1000))

    def forward(x):
        factor = next(count)
        return x * factor, (factor,)

    with pytest.raises(RuntimeError, match="forward computes something else each time"):
        prove(forward, lambda dy, factor: dy * factor, x="N C")


def test_a_gradient_may_not_be_none():
    with pytest.raises(TypeError, match="backward returned None for dx, expected an array"):
        prove(square, lambda dy, x: None, x="N")


def test_prove_at_runs_the_floats_too():
    def backward(dy, x):
        return 2 * x * dy if not isinstance(x.flat[0], float) else x * dy

    verdict = prove_at(square, backward, x="N C", sizes={"N": 2, "C": 3})["dx"]
    assert verdict.status == "undecided"
    assert "with floats, the code computes another dx" in verdict.reason


def test_rounding_to_float32_is_no_fault():
    def forward(x):
        y = np.zeros_like(x, dtype=np.float32)
        y += x / 3 + 3000 * x
        y -= 3000 * x
        return y, ()

    assert prove(forward, lambda dy: dy / 3, x="N")


def test_numbers_between_0_and_1_are_tried_where_no_others_will_do():
    def logit(p):
        return np.log(p) - np.log(1 - p), (p,)

    report = prove(logit, lambda dy, p: 4 * dy, p="N")  # right at 1/2
    assert report["dp"].status == "refuted"
    assert prove(logit, lambda dy, p: dy / (p - p * p), p="N")


def test_code_that_computes_something_else_with_floats_is_not_proven():
    def forward(x):
        return (x * x if not isinstance(x.flat[0], float) else x * x * x), (x,)

    verdict = prove(forward, lambda dy, x: 2 * x * dy, x="N")["dx"]
    assert verdict.status == "undecided"
    assert "with floats, the code computes another y" in verdict.reason


def test_code_that_asks_who_calls_makes_the_engines_disagree():
    def backward(dy, x):
        return 2 * x * dy if hasattr(x, "formula") else dy

    with pytest.raises(DisagreementError, match=r"the engines disagree on dx.*please report it"):
        prove(square, backward, x="N")


def test_an_engine_that_is_wrong_is_noticed(monkeypatch):
    """If the calculus called everything equal, the exact numbers would object."""
    monkeypatch.setattr(
        prover, "findings", lambda task, *_: dict.fromkeys(task.judged, Formulas(Answer.RIGHT))
    )
    with pytest.raises(DisagreementError):
        prove(square, lambda dy, x: x * dy, x="N")
    with pytest.raises(DisagreementError):
        prove(linear.forward, lambda dy, x, W: (dy @ W, x.T @ dy, dy.sum(0)))
    with pytest.raises(DisagreementError):
        prove(linear.forward, lambda dy, x, W: (dy @ W.T, dy.T @ x, dy.sum(0)))


@pytest.mark.parametrize("name", BATCHNORM_MUTANTS)
def test_the_calculus_alone_proves_no_mutant(name):
    task = Task.of_backward(Layer(batchnorm1d.forward, BATCHNORM_MUTANTS[name]), {"x": "N C L"}, {})
    found = findings(task)
    assert found["x"].answer is Answer.NOTHING
    assert found["W"].answer is Answer.RIGHT
    assert found["b"].answer is Answer.RIGHT


def test_progress_tells_the_steps():
    steps = []
    prove(square, with_a_running_product, x="N C", progress=steps.append)
    assert steps == [
        "exact numbers at random points",
        "formulas for all sizes",
        "dx at small sizes",
    ]


def test_a_claim_may_not_write_into_its_arguments():
    def claim(dy, x):
        dy[...] = 0
        return 0 * x

    with pytest.raises(RuntimeError, match="claim changed dy in place"):
        refute(square, wrt="x", claim=claim, x="N")
