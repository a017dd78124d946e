"""Where compared numbers are equal, a claim is free only if forward has no gradient there."""

from fractions import Fraction

import numpy as np
import pytest

from backprop_lib.layer import Layer
from backprop_lib.proof import prove, prove_at
from backprop_lib.proof.all_sizes import COMPARED
from backprop_lib.proof.dual import UndefinedError
from backprop_lib.proof.object_arrays import filled
from backprop_lib.proof.task import Task
from backprop_lib.proof.witness import Evaluated
from backprop_lib.steps import step

ONE = {"x": "N"}
TWO = {"x": "N", "w": "N"}
ROWS = {"x": "N C"}
LARGEST = ("the largest entry along C occurs only once",)
WHERE = (COMPARED,)


def of_x(function):
    """Make a forward of a function; backward is given x."""
    return lambda x: (function(x), (x,))


def of_two(function):
    return lambda x, w: (function(x, w), (x, w))


relu = of_x(lambda x: np.maximum(x, 0))
relu6 = of_x(lambda x: np.minimum(np.maximum(x, 0), 6))
hard_tanh = of_x(lambda x: np.maximum(np.minimum(x, 1), -1))
absolute = of_x(np.abs)
leaky = of_x(lambda x: np.where(x > 0, x, 0.01 * x))
elu = of_x(lambda x: np.where(x > 0, x, np.exp(x) - 1))
huber = of_x(lambda x: np.where(np.abs(x) <= 1, x * x / 2, np.abs(x) - 0.5))
softplus = of_x(lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))
odd = of_x(lambda x: np.maximum(x, 0) - np.maximum(-x, 0))
even = of_x(lambda x: np.maximum(x, 0) + np.maximum(-x, 0))
sigmoid = of_x(lambda x: np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x))))
hinge = of_x(lambda x: np.maximum(0, 1 - x))
larger = of_two(np.maximum)
logaddexp = of_two(lambda x, w: np.maximum(x, w) + np.log1p(np.exp(-np.abs(x - w))))
product = of_two(lambda x, w: x * w)
gate = of_two(lambda x, w: (x > 0) * w)
maximum = of_x(lambda x: x.max(axis=1))
log_sum = of_x(
    lambda x: np.log(np.exp(x - x.max(axis=1, keepdims=True)).sum(axis=1)) + x.max(axis=1)
)


def is_largest(x):
    return x == x.max(axis=1, keepdims=True)


def slope_of_sigmoid(x):
    return np.exp(-x) / (1 + np.exp(-x)) ** 2


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


KINKS = {
    "relu, >": (relu, lambda dy, x: dy * (x > 0)),
    "relu, >=": (relu, lambda dy, x: dy * (x >= 0)),
    "relu, <= set to 0": (relu, lambda dy, x: np.where(x <= 0, 0, dy)),
    "relu, half at 0": (relu, lambda dy, x: dy * ((x > 0) + 0.5 * (x == 0))),
    "relu, anything at 0": (relu, lambda dy, x: dy * ((x > 0) + 5 * (x == 0))),
    "relu, by its sign": (relu, lambda dy, x: dy * (1 + np.sign(x)) / 2),
    "relu, sign of the output": (relu, lambda dy, x: dy * np.sign(np.maximum(x, 0))),
    "relu, output == 0": (relu, lambda dy, x: np.where(np.maximum(x, 0) == 0, 0, dy)),
    "relu, output != 0": (relu, lambda dy, x: dy * (np.maximum(x, 0) != 0)),
    "relu6, strict": (relu6, lambda dy, x: dy * (x > 0) * (x < 6)),
    "relu6, not strict": (relu6, lambda dy, x: dy * (x >= 0) * (x <= 6)),
    "hard tanh": (hard_tanh, lambda dy, x: dy * (x < 1) * (x > -1)),
    "hinge, strict": (hinge, lambda dy, x: -dy * (x < 1)),
    "hinge, not strict": (hinge, lambda dy, x: -dy * (x <= 1)),
    "abs, sign": (absolute, lambda dy, x: dy * np.sign(x)),
    "abs, where": (absolute, lambda dy, x: np.where(x > 0, dy, -dy)),
    "abs, quotient": (absolute, lambda dy, x: dy * x / np.abs(x)),
    "abs of two relus": (even, lambda dy, x: dy * np.sign(x)),
    "leaky, >": (leaky, lambda dy, x: np.where(x > 0, dy, 0.01 * dy)),
    "leaky, >=": (leaky, lambda dy, x: np.where(x >= 0, dy, 0.01 * dy)),
    "elu, right by both": (elu, lambda dy, x: dy * np.where(x > 0, 1, np.exp(x))),
    "huber": (huber, lambda dy, x: dy * np.where(np.abs(x) <= 1, x, np.sign(x))),
    "huber, the other side": (huber, lambda dy, x: dy * np.where(np.abs(x) < 1, x, np.sign(x))),
}


@pytest.mark.parametrize("name", KINKS)
def test_at_a_kink_any_convention_is_proven_and_the_kink_is_named(name):
    verdict = prove(*KINKS[name], **ONE)["dx"]
    assert verdict.status == "proven", verdict
    assert verdict.where == WHERE


@pytest.mark.parametrize("name", KINKS)
def test_at_a_kink_any_convention_is_proven_at_sizes(name):
    verdict = prove_at(*KINKS[name], **ONE, sizes={"N": 2})["dx"]
    assert verdict.status == "proven at", verdict


SMOOTH = {
    "softplus": (softplus, lambda dy, x: dy / (1 + np.exp(-x))),
    "sigmoid": (sigmoid, lambda dy, x: dy * slope_of_sigmoid(x)),
    "x of two relus": (odd, lambda dy, x: dy + 0 * x),
    "the same on both sides": (
        of_x(lambda x: np.where(x > 0, x * x, x * x)), lambda dy, x: 2 * dy * x,
    ),
    "0 written as 0": (of_x(lambda x: np.where(x == 0, 0, x)), lambda dy, x: dy + 0 * x),
    "steps": (of_x(lambda x: (x > 0) * 1.0), lambda dy, x: 0 * x),
    "signs": (of_x(np.sign), lambda dy, x: 0 * dy),
    "second-order contact": (of_x(lambda x: np.where(x * x > 0, x, 0)), lambda dy, x: dy + 0 * x),
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_what_has_no_kink_is_proven_without_where(name):
    verdict = prove(*SMOOTH[name], **ONE)["dx"]
    assert verdict.status == "proven", verdict
    assert verdict.where == ()
    assert prove_at(*SMOOTH[name], **ONE, sizes={"N": 2})


WRONG_AT_A_TIE = {
    "linear, 0 at 0": (of_x(lambda x: 3 * x), lambda dy, x: np.where(x == 0, 0, 3 * dy), 0),
    "linear, 0 at 1": (of_x(lambda x: 3 * x), lambda dy, x: np.where(x == 1, 0, 3 * dy), 1),
    "0 written as 0": (of_x(lambda x: np.where(x == 0, 0, x)), lambda dy, x: dy * (x != 0), 0),
    "x of two relus": (odd, lambda dy, x: dy * (x > 0) + dy * (x < 0), 0),
    "softplus": (
        softplus,
        lambda dy, x: dy * ((x > 0) - np.sign(x) / (1 + np.exp(np.abs(x)))), 0,
    ),
    "sigmoid": (sigmoid, lambda dy, x: dy * slope_of_sigmoid(x) * (x != 0), 0),
    "elu": (elu, lambda dy, x: dy * ((x > 0) + (x < 0) * np.exp(x)), 0),
    "huber": (
        huber,
        lambda dy, x: dy * (x * (np.abs(x) < 1) + np.sign(x) * (np.abs(x) > 1)), 1,
    ),
    "relu6, where it is linear": (relu6, lambda dy, x: dy * (x > 0) * (x < 6) * (x != 3), 3),
    "hard tanh, where it is linear": (
        hard_tanh, lambda dy, x: dy * (x < 1) * (x > -1) * (x != 0), 0,
    ),
    "x |x|": (
        of_x(lambda x: x * np.abs(x)), lambda dy, x: dy * (2 * np.abs(x) + (x == 0)), 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_AT_A_TIE)
def test_what_is_wrong_at_a_tie_is_refuted_there(name):
    forward, backward, tie = WRONG_AT_A_TIE[name]
    for report in (
        prove(forward, backward, **ONE),
        prove_at(forward, backward, **ONE, sizes=ONE_ROW),
    ):
        found = report["dx"].counterexample
        assert report["dx"].status == "refuted", report
        assert abs(found.inputs["x"][found.entry]) == tie
        assert found.true[found.entry] != found.claimed[found.entry]


ONE_ROW = {"N": 1}
PAIRS = {
    "larger, both": (larger, lambda dy, x, w: (dy * (x >= w), dy * (x <= w)), True),
    "larger, the first": (larger, lambda dy, x, w: (dy * (x >= w), dy * (x < w)), True),
    "larger, halves": (
        larger,
        lambda dy, x, w: (
            dy * ((x > w) + (x == w) / 2), dy * ((x < w) + (x == w) / 2),
        ), True,
    ),
    "both together": (
        of_two(lambda x, w: np.maximum(x, w) + np.minimum(x, w)),
        lambda dy, x, w: (dy, dy), False,
    ),
    "logaddexp": (
        logaddexp,
        lambda dy, x, w: (dy / (1 + np.exp(w - x)), dy / (1 + np.exp(x - w))), False,
    ),
    "product, what is 0 anyway": (
        product, lambda dy, x, w: (np.where(w == 0, 0, dy * w), np.where(x == 0, 0, dy * x)), False,
    ),
    "gate": (gate, lambda dy, x, w: (0 * x, dy * (x > 0)), False),
    "gate at 0": (
        of_two(lambda x, w: (x == 0) * w), lambda dy, x, w: (0 * x, dy * (x == 0)), False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_two_inputs_are_proven(name):
    forward, backward, has_kink = PAIRS[name]
    report = prove(forward, backward, **TWO)
    assert report, report
    assert [verdict.where for verdict in report] == [WHERE if has_kink else ()] * 2
    assert prove_at(forward, backward, **TWO, sizes={"N": 1})


def set_to_zero(dy, x, w):
    dx = dy * w
    dx[x == 0] = 0
    return dx, dy * x


WRONG_PAIRS = {
    "product, dx[x == 0] = 0": (product, set_to_zero, ["dx"]),
    "product, by np.where": (
        product, lambda dy, x, w: (np.where(x == 0, 0, dy * w), dy * x), ["dx"],
    ),
    "product, both": (
        product,
        lambda dy, x, w: (np.where(x == 0, 0, dy * w), np.where(w == 0, 0, dy * x)), ["dx", "dw"],
    ),
    "logaddexp": (
        logaddexp,
        lambda dy, x, w: (np.where(x == w, 0, dy / (1 + np.exp(w - x))), dy / (1 + np.exp(x - w))),
        ["dx"],
    ),
    "both together": (
        of_two(lambda x, w: np.maximum(x, w) + np.minimum(x, w)),
        lambda dy, x, w: (dy * (x > w) + dy * (x < w), dy), ["dx"],
    ),
    "gate, open at 0": (gate, lambda dy, x, w: (0 * x, dy * (x >= 0)), ["dw"]),
    "gate at 0, never open": (
        of_two(lambda x, w: (x == 0) * w), lambda dy, x, w: (0 * x, 0 * dy), ["dw"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_PAIRS)
def test_of_two_inputs_the_wrong_gradient_is_refuted(name):
    """Where forward compares x only, it has a gradient by w at every x."""
    forward, backward, wrong = WRONG_PAIRS[name]
    for report in (
        prove(forward, backward, **TWO),
        prove_at(forward, backward, **TWO, sizes=ONE_ROW),
    ):
        assert [verdict.gradient for verdict in report if verdict.status == "refuted"] == wrong
        assert all(bool(v) is (v.gradient not in wrong) for v in report)


SLOPE = {"x": "N", "a": ""}
prelu = lambda x, a: (np.where(x > 0, x, a * x), (x, a))  # noqa: E731


@pytest.mark.parametrize(
    ("da", "status"),
    [
        (lambda dy, x: (dy * np.minimum(x, 0)).sum(), True),
        (lambda dy, x: (dy * x * (x <= 0)).sum(), True),
        (lambda dy, x: (dy * (x * (x < 0) + (x == 0))).sum(), False),
    ],
)
def test_a_number_as_weight_has_a_gradient_at_the_kink_of_x(da, status):
    def backward(dy, x, a):
        return np.where(x > 0, dy, a * dy), da(dy, x)

    for report in (
        prove(prelu, backward, **SLOPE),
        prove_at(prelu, backward, **SLOPE, sizes={"N": 2}),
    ):
        assert report["dx"]
        assert bool(report["da"]) is status
        assert status or report["da"].status == "refuted"


MATRICES = {"x": "N C", "W": "D C"}


@pytest.mark.parametrize("compare", [np.greater, np.greater_equal])
def test_a_kink_of_a_sum_is_a_kink_of_its_parts(compare):
    def forward(x, W):
        return np.maximum(x @ W.T, 0), (x, W)

    def backward(dy, x, W):
        dz = dy * compare(x @ W.T, 0)
        return dz @ W, dz.T @ x

    report = prove(forward, backward, **MATRICES)
    assert report
    assert [verdict.where for verdict in report] == [WHERE, WHERE]
    assert prove_at(forward, backward, **MATRICES, sizes={"N": 1, "C": 2, "D": 1})


CONSTANT = {
    "a mask": (
        lambda x, c: (np.where(c == 0, 0, x), (x, c)),
        lambda dy, x, c: np.where(c == 0, 0, dy), True,
    ),
    "a mask by !=": (
        lambda x, c: (np.where(c == 0, 0, x), (x, c)), lambda dy, x, c: dy * (c != 0), True,
    ),
    "a mask forgotten": (
        lambda x, c: (np.where(c == 0, 0, x), (x, c)), lambda dy, x, c: dy, False,
    ),
    "a mask for another number": (
        lambda x, c: (x * (c == 1), (x, c)), lambda dy, x, c: dy * (c == 0), False,
    ),
    "a mask that is never used": (
        lambda x, c: (x * (c == 1), (x, c)), lambda dy, x, c: 0 * dy, False,
    ),
    "a weight": (lambda x, c: (x * c, (x, c)), lambda dy, x, c: dy * np.where(c == 0, 0, c), True),
    "a weight, wrong at 0": (
        lambda x, c: (x * c, (x, c)), lambda dy, x, c: dy * np.where(c == 0, 1, c), False,
    ),
    "one that x may meet": (
        lambda x, c: (2 * x, (x, c)), lambda dy, x, c: np.where(x == c, 0, 2 * dy), False,
    ),
    "distance": (
        lambda x, c: (np.abs(x - c).sum(), (x, c)), lambda dy, x, c: dy * np.sign(x - c), True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTANT)
def test_both_outcomes_of_a_comparison_of_constants_count(name):
    forward, backward, right = CONSTANT[name]
    shapes = {"x": "N", "c": "const N"}
    for report in (
        prove(forward, backward, **shapes),
        prove_at(forward, backward, **shapes, sizes={"N": 2}),
    ):
        assert bool(report) is right, report
        assert right or report["dx"].status == "refuted"


SEARCHES = {
    "the first": (
        maximum, lambda dy, x: dy[:, None] * (np.zeros_like(x) + is_largest(x)), LARGEST,
    ),
    "a fair share": (
        maximum,
        lambda dy, x: dy[:, None] * is_largest(x) / is_largest(x).sum(axis=1, keepdims=True),
        LARGEST,
    ),
    "the largest of squares": (
        of_x(lambda x: x[np.arange(len(x)), (x * x).argmax(axis=1)]),
        lambda dy, x: dy[:, None] * (x == x[np.arange(len(x)), (x * x).argmax(axis=1)][:, None]),
        LARGEST,
    ),
    "log of a sum of exponentials": (log_sum, lambda dy, x: dy[:, None] * softmax(x), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", SEARCHES)
def test_a_largest_entry_that_occurs_twice_is_a_kink(name):
    forward, backward, where = SEARCHES[name]
    verdict = prove(forward, backward, **ROWS)["dx"]
    assert verdict.status == "proven", verdict
    assert verdict.where == where
    for sizes in ({"N": 1, "C": 2}, {"N": 1, "C": 3}):
        assert prove_at(forward, backward, **ROWS, sizes=sizes)


SEARCHED_ELSEWHERE = {
    "reversed": lambda x: x - 2 * x[:, ::-1],
    "other rows": lambda x: x - 2 * x[::-1],
    "a sum": lambda x: x + x.sum(axis=0),
    "two of its axes": lambda x: x * x - 3 * x[:, ::-1],
}


@pytest.mark.parametrize("name", SEARCHED_ELSEWHERE)
def test_equal_entries_are_no_tie_if_the_largest_is_sought_of_something_else(name):
    searched = SEARCHED_ELSEWHERE[name]

    def forward(x):
        y = x[np.arange(len(x)), searched(x).argmax(axis=1)]
        return y, (x, y)

    report = prove(forward, lambda dy, x, y: dy[:, None] * (x == y[:, None]), **ROWS)
    assert report["dx"].status == "refuted", report


SEVERAL_AXES = {
    "two axes": (
        of_x(lambda x: x.max(axis=(1, 2))),
        lambda dy, x: dy[:, None, None] * (x == x.max(axis=(1, 2), keepdims=True)),
        lambda dy, x: dy[:, None, None] * (x == x.max(axis=2, keepdims=True)),
        "N H W",
    ),
    "at least": (
        of_x(lambda x: x.max(axis=(1, 2))),
        lambda dy, x: dy[:, None, None] * (x >= x.max(axis=(1, 2), keepdims=True)),
        lambda dy, x: dy[:, None, None] * (x >= x.max(axis=1, keepdims=True)),
        "N H W",
    ),
    "all": (
        of_x(lambda x: x.max()),
        lambda dy, x: dy * (x == x.max()) / (x == x.max()).sum(),
        lambda dy, x: dy * (x == x.max()) / 2,
        "N C",
    ),
}


@pytest.mark.parametrize("name", SEVERAL_AXES)
def test_the_largest_entry_along_several_axes(name):
    forward, right, wrong, axes = SEVERAL_AXES[name]
    assert prove(forward, right, x=axes)
    assert prove(forward, wrong, x=axes)["dx"].status == "refuted"


def pooled(x):
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // 2, 2, w // 2, 2)
    y = parts.max(axis=(3, 5))
    return y, (parts, y, x.shape)


def pooled_back(dy, parts, y, shape):
    mask = parts == y[:, :, :, None, :, None]
    return (mask * dy[:, :, :, None, :, None]).reshape(shape)


def test_max_pooling_by_a_mask_is_proven():
    report = prove(pooled, pooled_back, x="N C H W")
    assert report["dx"].status == "proven", report
    wrong = prove(pooled, lambda *given: pooled_back(*given) / 4, x="N C H W")
    assert wrong["dx"].status == "refuted", wrong


def test_what_is_not_the_largest_is_compared_as_ever():
    """x >= max(x[:, 1:]) says something else than ==."""
    forward = of_x(lambda x: np.where(x >= x[:, 1:].max(axis=1, keepdims=True), x, 0))

    def backward(dy, x):
        return dy * (x >= x[:, 1:].max(axis=1, keepdims=True))

    def of_equal(dy, x):
        return dy * (x == x[:, 1:].max(axis=1, keepdims=True))

    assert prove(forward, backward, x="N C")["dx"].status != "refuted"
    assert prove(forward, of_equal, x="N C")["dx"].status == "refuted"


COMPARED_WITH_THE_LARGEST = {
    "all that are at least the largest": (
        maximum,
        lambda dy, x: dy[:, None] * (x >= x.max(axis=1, keepdims=True)),
        LARGEST,
    ),
    "all but the smaller ones": (
        maximum,
        lambda dy, x: np.where(x.max(axis=1, keepdims=True) > x, 0, dy[:, None]),
        LARGEST,
    ),
    "all that are at most the smallest": (
        of_x(lambda x: x.min(axis=1)),
        lambda dy, x: dy[:, None] * (x <= x.min(axis=1, keepdims=True)),
        ("the smallest entry along C occurs only once",),
    ),
}


@pytest.mark.parametrize("name", COMPARED_WITH_THE_LARGEST)
def test_no_number_is_above_the_largest(name):
    forward, backward, where = COMPARED_WITH_THE_LARGEST[name]
    verdict = prove(forward, backward, **ROWS)["dx"]
    assert verdict.status == "proven", verdict
    assert verdict.where == where
    wrong = prove(forward, lambda dy, x: 2 * backward(dy, x), **ROWS)
    assert wrong["dx"].status == "refuted", wrong


def test_what_is_smooth_where_the_largest_entry_occurs_twice_is_judged_there():
    def backward(dy, x):
        return dy[:, None] * softmax(x) * (2 - is_largest(x).sum(axis=1, keepdims=True))

    for report in (
        prove(log_sum, backward, **ROWS),
        prove_at(log_sum, backward, **ROWS, sizes={"N": 1, "C": 2}),
    ):
        found = report["dx"].counterexample
        assert report["dx"].status == "refuted"
        assert len(set(found.inputs["x"][found.entry[0]])) < found.sizes["C"]


def test_the_range_of_numbers_has_two_kinks():
    def backward(dy, x):
        smallest = x == x.min(axis=1, keepdims=True)
        return dy[:, None] * (1.0 * is_largest(x) - smallest)

    forward = of_x(lambda x: x.max(axis=1) - x.min(axis=1))
    verdict = prove(forward, backward, **ROWS)["dx"]
    assert verdict.status == "proven", verdict
    assert verdict.where == (*LARGEST, "the smallest entry along C occurs only once")


CONTACTS = {
    "the gradient is 1": (
        of_x(lambda x: np.where(x * x > 0, x, 0)), lambda dy, x: dy * (x * x > 0),
    ),
    "the gradient is 0": (
        of_x(lambda x: np.where(x**3 > 0, x * x, 0)),
        lambda dy, x: dy * np.where(x**3 > 0, 2 * x, x == 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTACTS)
def test_where_numbers_touch_to_second_order_nothing_is_refuted_or_proven(name):
    """Slopes do not tell x² from 0 at 0; both claims are wrong there."""
    assert prove(*CONTACTS[name], **ONE)["dx"].status == "undecided"
    assert prove_at(*CONTACTS[name], **ONE, sizes={"N": 1})["dx"].status == "undecided"


def test_the_loss_may_be_smooth_where_forward_has_a_kink():
    """With dy = (1, -1), dy·y is x on both sides of 0, and forward has no gradient there."""

    def forward(x):
        return np.stack([np.maximum(x, 0), np.maximum(-x, 0)]), (x,)

    def backward(dy, x):
        return dy[0] * (x > 0) - dy[1] * (x < 0)

    task = Task.of_backward(Layer(forward, backward), {"x": "N"}, {})
    zero, dy = filled((1,), [Fraction(0)]), filled((2, 1), [Fraction(1), Fraction(-1)])
    case = Evaluated(task, {"x": zero}, dy)
    with pytest.raises(UndefinedError, match="forward has no gradient here"):
        case.wrong_entry("x", case.claimed("x"), np.random.default_rng(0))


def test_both_halves_of_a_relu_are_not_refuted():
    def forward(x, w):
        z = x * w
        return np.stack([np.maximum(z, 0), 2 * np.maximum(-z, 0)]), (x, w)

    def backward(dy, x, w):
        dz = dy[0] * (x * w > 0) - 2 * dy[1] * (x * w < 0)
        return dz * w, dz * x

    report = prove(forward, backward, x="N", w="N")
    assert [verdict.status for verdict in report if verdict.status == "refuted"] == []


def test_a_minimum_with_0_in_an_exponent_is_followed():
    def forward(x):
        return np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1), (x,)

    def right(dy, x):
        return dy * np.where(x > 0, 1, np.exp(np.minimum(x, 0)))

    def wrong(dy, x):
        return np.where(x == 0, 0, right(dy, x))

    assert prove(forward, right, x="N")
    assert prove_at(forward, right, x="N", sizes={"N": 2})
    assert prove(forward, wrong, x="N")["dx"].status == "refuted"


def test_a_kink_that_another_number_switches_off_excuses_nothing_there():
    """Of a jump with roots in it one point was asked, whatever its masks were there."""

    def forward(x, m):
        return x + np.maximum(x, 0) * np.maximum(m, 0) * np.exp(np.sqrt(1 + m * m)), (x, m)

    def backward(where, dy, x, m):
        slope = 1 + (x > 0) * np.maximum(m, 0) * np.exp(np.sqrt(1 + m * m))
        return dy * slope + np.where((x == 0) & where(m), 7, 0)

    def status(where):
        shapes = {"x": "N", "m": "const N"}
        return prove(forward, lambda *args: backward(where, *args), **shapes)["dx"].status

    assert status(lambda m: m < 0) == "refuted"
    assert status(lambda m: m > 0) == "proven"


def first_entry(dx, d):
    dx[0] += d


def last_entry(dx, d):
    dx[-1] += d


def on_the_diagonal(dx, d):
    dx += np.diag(d)


FIRST = (lambda x, t: x[0], lambda dx, d, t: first_entry(dx, d))
LAST = (lambda x, t: x[-1], lambda dx, d, t: last_entry(dx, d))
LOOKED_UP = (lambda x, t: x[t], lambda dx, d, t: np.add.at(dx, t, d))
DIAGONAL = (lambda x, t: np.diagonal(x), lambda dx, d, t: on_the_diagonal(dx, d))
COINCIDENT = {
    "the first entry, and the last": (FIRST, LAST, {"x": "N", "t": "N < N"}),
    "an entry that is looked up, and the first": (LOOKED_UP, FIRST, {"x": "V", "t": "N < V"}),
    "the diagonal, and the first row": (DIAGONAL, FIRST, {"x": "N N", "t": "N < N"}),
}


@pytest.mark.parametrize("name", COINCIDENT)
@pytest.mark.parametrize("named", [step, lambda _, value: value])
def test_kinks_that_cancel_where_two_places_are_one_excuse_nothing(name, named):
    """Forward is smooth there, and a claim that takes different sides of the two is wrong."""
    (one, to_one), (other, to_other), shapes = COINCIDENT[name]

    def forward(x, t):
        a, b = named("a", one(x, t)), named("b", other(x, t))
        return np.sum(np.maximum(a, 0)) - np.sum(np.maximum(b, 0)), (x, t, a, b)

    def on_one_side(dy, x, t, a, b):
        dx = np.zeros_like(x)
        to_one(dx, named("da", dy * (a > 0)), t)
        to_other(dx, named("db", -dy * (b > 0)), t)
        return dx

    def on_two_sides(dy, x, t, a, b):
        dx = np.zeros_like(x)
        to_one(dx, named("da", dy * (a > 0)), t)
        to_other(dx, named("db", -dy * (b >= 0)), t)
        return dx

    assert prove(forward, on_one_side, **shapes)
    assert not prove(forward, on_two_sides, **shapes)


def test_kinks_of_sums_may_cancel_where_two_places_are_one():
    def forward(x, W):
        return np.maximum(x @ W[:, 0], 0) - np.maximum(x @ W[:, -1], 0), (x, W)

    def backward(dy, x, W):
        first, last = dy * (x @ W[:, 0] > 0), -dy * (x @ W[:, -1] >= 0)
        return first[:, None] * W[:, 0] + last[:, None] * W[:, -1]

    assert not prove(forward, backward, x="N D", W="const D H")
