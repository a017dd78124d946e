"""prove_at proves what is right, refutes what is wrong with a true witness, and says what it is."""

import numpy as np
import pytest
import sympy as sp

from backprop_lib.layers import linear
from backprop_lib.proof import prove_at, refute

SIZES = {"N": 2, "C_in": 3, "C_out": 4}
SQUARE = {"N": 2, "C_in": 3, "C_out": 3}


def test_linear_is_proven():
    report = prove_at(linear, sizes=SIZES)
    assert report
    assert repr(report) == "\n".join(
        f"{name}: proven at N = 2, C_in = 3, C_out = 4" for name in ("dx", "dW", "db")
    )


@pytest.mark.parametrize(
    ("wrong", "backward"),
    [
        (["dx"], lambda dy, x, W: (dy @ W.T, dy.T @ x, dy.sum(0))),
        (["dW"], lambda dy, x, W: (dy @ W, x.T @ dy, dy.sum(0))),
        (["dW"], lambda dy, x, W: (dy @ W, -dy.T @ x, dy.sum(0))),
        (["dW", "db"], lambda dy, x, W: (dy @ W, dy.T @ x / 2, dy.sum(0) / 2)),
        (["db"], lambda dy, x, W: (dy @ W, dy.T @ x, dy[0])),
        (["db"], lambda dy, x, W: (dy @ W, dy.T @ x, dy.sum(0) + W.sum() - W.sum(0).sum() + 1)),
    ],
)
def test_wrong_gradients_are_refuted_by_a_witness_that_holds_in_floats(wrong, backward):
    report = prove_at(linear.forward, backward, sizes=SQUARE)
    assert not report
    assert [v.gradient for v in report.verdicts if v.status == "refuted"] == wrong
    assert all(v.status == "proven" for v in report.verdicts if v.gradient not in wrong)
    for gradient in wrong:
        found = report[gradient].counterexample
        arrays = {name: array.astype(float) for name, array in found.inputs.items()}
        dy = arrays.pop("dy")
        names = ["dx", "dW", "db"]
        _, cache = linear.forward(**arrays)
        true = dict(zip(names, linear.backward(dy, *cache), strict=True))[gradient]
        claimed = dict(zip(names, backward(dy, *cache), strict=True))[gradient]
        assert np.array_equal(found.true.astype(float), true)
        assert np.array_equal(found.claimed.astype(float), claimed)
        assert true[found.entry] != claimed[found.entry]


def test_the_counterexample_is_the_smallest():
    report = refute(linear.forward, wrt="W", claim=lambda dy, x, W, b: x.T @ dy, sizes=SQUARE)
    found = report["dW"].counterexample
    assert found.sizes == {"N": 1, "C_in": 2, "C_out": 2}
    assert sum(np.count_nonzero(array) for array in found.inputs.values()) == 2
    assert repr(report) == (
        "dW: refuted in entry [0, 1]\n"
        "  with N = 1, C_in = 2, C_out = 2 and\n"
        "    x = [[0, 1]]\n"
        "    W = [[0, 0], [0, 0]]\n"
        "    b = [0, 0]\n"
        "    dy = [[1, 0]]\n"
        "  the gradient is [[0, 1], [0, 0]], the claim [[0, 0], [1, 0]]"
    )


def test_a_shape_error_names_the_shapes_and_blames_one_gradient():
    report = prove_at(linear.forward, lambda dy, x, W: (dy @ W, x.T @ dy, dy.sum(0)), sizes=SIZES)
    assert [v.status for v in report.verdicts] == ["proven", "shape error", "proven"]
    assert repr(report["dW"]) == "dW: shape error: dW is (3, 4), W is (4, 3)"


def test_factors_that_do_not_multiply_are_a_shape_error():
    report = refute(linear.forward, wrt="W", claim=lambda dy, x, W, b: x @ dy, sizes=SIZES)
    assert not report
    assert report["dW"].status == "shape error"


def test_dots_are_an_open_question():
    report = prove_at(linear.forward, lambda dy, x, W: (dy @ W, ..., dy.sum(0)), sizes=SIZES)
    assert not report
    assert repr(report["dW"]) == "dW: not answered yet"


def quotient(x):
    return x / (1 + x * x), (x,)


def test_quotients_are_decided():
    right = prove_at(
        quotient, lambda dy, x: dy * (1 - x * x) / (1 + x * x) ** 2, sizes={"N": 2}, x="N"
    )
    wrong = prove_at(quotient, lambda dy, x: dy / (1 + x * x) ** 2, sizes={"N": 2}, x="N")
    assert right
    assert wrong["dx"].status == "refuted"


def test_a_zero_that_is_not_recognised_is_undecided_and_not_refuted():
    hidden_zero = sp.sqrt(5 + 2 * sp.sqrt(6)) - sp.sqrt(2) - sp.sqrt(3)
    assert sp.expand(hidden_zero) != 0
    report = prove_at(lambda x: (x, ()), lambda dy: dy + hidden_zero * dy, sizes={"N": 1}, x="N")
    assert not report
    assert report["dx"].status == "undecided"


def test_equal_sizes_are_allowed_and_constants_too():
    def forward(x, scale):
        return scale * x, (scale,)

    report = prove_at(
        forward,
        lambda dy, scale: scale * dy,
        sizes={"N": 2},
        x="N",
        const={"scale": sp.Rational(1, 3)},
    )
    assert report


def test_a_number_is_an_array_without_axes():
    report = prove_at(
        lambda x, b: (x + b, ()), lambda dy: (dy, dy.sum()), sizes={"N": 2}, x="N", b=""
    )
    assert report


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"N": 2}, "sizes lacks C_in"),
        (SIZES | {"K": 2}, "sizes has K, expected C_in, C_out, N"),
        (SIZES | {"N": 0}, "sizes has N = 0, expected a positive integer"),
        (SIZES | {"N": 1.5}, "sizes has N = 1.5, expected a positive integer"),
    ],
)
def test_names_the_wrong_size(sizes, message):
    with pytest.raises(ValueError, match=message):
        prove_at(linear, sizes=sizes)


def test_asks_for_shapes_that_it_does_not_know():
    with pytest.raises(TypeError, match="no shapes: annotate forward"):
        prove_at(lambda x: (x, ()), lambda dy: dy, sizes={"N": 2})


def test_names_the_wrong_input():
    with pytest.raises(ValueError, match="wrt is 'V', expected one of W, b, x"):
        refute(linear.forward, wrt="V", claim=lambda *_: 0, sizes=SIZES)


def test_comparisons_are_refused_with_the_reason():
    with pytest.raises(TypeError, match="forward compares entries"):
        prove_at(lambda x: (np.maximum(x, 0), (x,)), lambda dy, x: dy, sizes={"N": 2}, x="N")


def test_a_report_knows_its_gradients():
    report = prove_at(linear, sizes=SIZES)
    with pytest.raises(KeyError, match="dV is not among the gradients dx, dW, db"):
        report["dV"]
