"""prove_at proves what is right, refutes what is wrong with a true witness, and says what it is."""

import numpy as np
import pytest
import sympy as sp

from backprop_lib.layers import linear
from backprop_lib.proof import prove_at

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
    assert all(v.status == "proven at" for v in report.verdicts if v.gradient not in wrong)
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
    def backward(dy, x, W):
        return dy @ W, x.T @ dy, dy.sum(0)

    report = prove_at(linear.forward, backward, sizes=SQUARE)
    found = report["dW"].counterexample
    assert found.sizes == {"N": 1, "C_in": 2, "C_out": 2}
    assert sum(np.count_nonzero(array) for array in found.inputs.values()) == 2
    assert repr(report["dW"]) == (
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
    assert [v.status for v in report.verdicts] == ["proven at", "shape error", "proven at"]
    assert report["dW"].reason == ": dW is (3, 4), W is (4, 3)"


def test_factors_that_do_not_multiply_are_a_shape_error():
    report = prove_at(linear.forward, lambda dy, x, W: (dy @ W, x @ dy, dy.sum(0)), sizes=SIZES)
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
    report = prove_at(
        lambda x, z: (x, (z,)),
        lambda dy, z: dy + z * dy,
        sizes={"N": 1},
        x="N",
        const={"z": hidden_zero},
    )
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


def square(x):
    return x * x, (x,)


def down(dy, x):
    return 2 * x * dy


@pytest.mark.parametrize(
    ("forward", "backward", "message"),
    [
        (lambda x: (np.where(x, x, 0), (x,)), down, "forward converts entries"),
        (lambda x: (x.astype(float), (x,)), down, "forward converts entries"),
        (lambda x: (np.arcsinh(x), (x,)), down, "forward uses np.arcsinh, which is not followed"),
        (lambda x: (x + np.nan, (x,)), down, "forward computes with nan"),
        (square, lambda dy, x: x**1.23456789 * dy, "backward computes with the float 1.234"),
        (square, lambda dy, x: np.sort(x) // 2, "backward rounds entries"),
    ],
)
def test_what_symbols_cannot_follow_is_undecided_with_the_reason(forward, backward, message):
    (verdict,) = prove_at(forward, backward, sizes={"N": 2}, x="N")
    assert verdict.status == "undecided"
    assert message in verdict.reason


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (lambda x: (x / (1 / 3), (x,)), down),
        (square, lambda dy, x: x * (2 / 3) * dy),
    ],
)
def test_a_float_of_many_digits_does_not_hide_what_is_wrong(forward, backward):
    assert prove_at(forward, backward, sizes={"N": 2}, x="N")["dx"].status == "refuted"


def relu(x):
    return np.maximum(x, 0), (x,)


@pytest.mark.parametrize(
    ("forward", "backward", "branches"),
    [
        (relu, lambda dy, x: dy * (x > 0), 9),
        (relu, lambda dy, x: np.where(x >= 0, dy, 0), 4),
        (lambda x: (np.abs(x), (x,)), lambda dy, x: dy * np.sign(x), 9),
        (lambda x: (x.max(), (x,)), lambda dy, x: dy * (x == x.max()), 3),
        (lambda x: (x[x.argmax()], (x,)), lambda dy, x: dy * (np.arange(2) == x.argmax()), 2),
        (lambda x: (np.sort(x), (x,)), lambda dy, x: dy[np.argsort(np.argsort(x))], 3),
    ],
)
def test_comparisons_are_proven_on_every_branch(forward, backward, branches):
    """np.maximum(x, 0) asks x >= 0: beside x > 0, 0 is a third outcome."""
    (verdict,) = prove_at(forward, backward, sizes={"N": 2}, x="N")
    assert verdict.status == "proven at", verdict
    assert verdict.reason == f" N = 2 on each of {branches} branches"


def test_a_branch_that_no_numbers_can_reach_leaves_it_undecided():
    """|x| < 1 is asked apart from x > 1: on the branch with both, nothing is proven."""

    def forward(x):
        return np.clip(x, -1, 1), (x,)

    (verdict,) = prove_at(forward, lambda dy, x: dy * (abs(x) < 1), sizes={"N": 2}, x="N")
    assert verdict.status == "undecided"


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (relu, lambda dy, x: dy * (x < 0)),
        (relu, lambda dy, x: dy),
        (lambda x: (x.max(), (x,)), lambda dy, x: dy + 0 * x),
        (lambda x: (x.max(), (x,)), lambda dy, x: dy * (x == x.min())),
    ],
)
def test_wrong_routes_are_refuted_on_a_branch(forward, backward):
    assert prove_at(forward, backward, sizes={"N": 2}, x="N")["dx"].status == "refuted"


def test_halves_are_exact():
    def forward(x):
        return 0.5 * x**2, (x,)

    assert prove_at(forward, lambda dy, x: dy * x, sizes={"N": 2}, x="N")


def normalise(x, eps):
    centre = x - x.mean(axis=0)
    deviation = np.sqrt((centre * centre).mean(axis=0) + eps)
    return centre / deviation, (centre / deviation, deviation)


@pytest.mark.parametrize(
    ("factor", "status"), [(1, "proven at"), (2, "refuted"), (-1, "refuted"), (0, "refuted")]
)
def test_a_float_in_const_is_the_decimal_it_is_written_as(factor, status):
    def backward(dy, y, deviation):
        return factor * (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / deviation

    report = prove_at(normalise, backward, sizes={"N": 2, "C": 1}, x="N C", const={"eps": 1e-5})
    assert report["dx"].status == status


def tanh(x):
    y = np.tanh(x)
    return y, (x, y)


@pytest.mark.parametrize(
    ("backward", "status"),
    [
        (lambda dy, x, y: dy * (1 - y * y), {"proven at"}),
        (lambda dy, x, y: 4 * dy / (np.exp(x) + np.exp(-x)) ** 2, {"proven at", "undecided"}),
        (lambda dy, x, y: dy * (1 - y), {"refuted"}),
        (lambda dy, x, y: dy * (1 + y * y), {"refuted"}),
    ],
)
def test_equal_numbers_never_refute(backward, status):
    assert prove_at(tanh, backward, sizes={"N": 1}, x="N")["dx"].status in status


def test_a_witness_is_a_point_where_the_layer_is_defined():
    def forward(x, s):
        return x + 1 / s, (s,)

    report = prove_at(forward, lambda dy, s: (2 * dy, dy / s**2), sizes={"N": 1}, x="N", s="N")
    for gradient in ("dx", "ds"):
        assert report[gradient].status == "refuted"
        assert report[gradient].counterexample.inputs["s"][0] != 0


def test_a_claim_that_is_wrong_below_zero_only_is_refuted():
    def forward(x):
        return np.sqrt(x**6), (x,)

    report = prove_at(forward, lambda dy, x: 3 * dy * x**2, sizes={"N": 1}, x="N")
    assert report["dx"].status == "refuted"
    assert report["dx"].counterexample.inputs["x"][0] < 0


def test_writing_into_the_arguments_proves_nothing_and_refutes_nothing():
    def zeros(dy, x):
        dy[...] = 0
        return 0 * x

    with pytest.raises(RuntimeError, match="backward changed dy in place"):
        prove_at(square, zeros, sizes={"N": 2}, x="N")

    def forward(x):
        y = x * x
        return y, ({"x": x, "y": y},)

    def reusing(dy, cache):
        cache["y"][...] = 2 * dy * cache["x"]
        return cache["y"]

    with pytest.raises(RuntimeError, match=r"backward changed cache\[0\] in place"):
        prove_at(forward, reusing, sizes={"N": 1}, x="N")


def test_a_single_output_needs_no_axis():
    report = prove_at(
        lambda x: ((x * x).sum(), (x,)), lambda dy, x: 2 * dy * x, sizes={"N": 2}, x="N"
    )
    assert report


@pytest.mark.parametrize(
    ("forward", "backward", "size", "const"),
    [
        (lambda x: (x.reshape(2, 2).sum(0), (x,)), lambda dy, x: 0 * x, 4, {}),
        (lambda x, m: (x * m, (m,)), lambda dy, m: dy, 3, {"m": np.array([1, 2, 3], object)}),
        (lambda x: (x, ()), lambda dy: dy + dy[1], 3, {}),
    ],
)
def test_code_that_works_at_one_size_only_is_refuted_there(forward, backward, size, const):
    report = prove_at(forward, backward, sizes={"N": size}, x="N", const=const)
    assert report["dx"].status == "refuted"


def test_an_error_of_the_backward_itself_is_not_called_a_shape_error():
    def backward(dy, x, W):
        raise ValueError("not finished")

    with pytest.raises(ValueError, match="not finished"):
        prove_at(linear.forward, backward, sizes=SIZES)


def test_what_has_no_axes_is_proven_at_its_only_size():
    report = prove_at(relu, lambda dy, x: dy * (x > 0), sizes={}, x="2")
    assert report["dx"].status == "proven at"
