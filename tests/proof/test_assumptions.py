"""Code that computes with sizes is proven for those that it can have, and what is left out is told.

A size is left open as long as that is possible. What the code asks of it is assumed, and said in
the verdict, or the sizes for which it does not hold are proven one by one.
"""

import operator

import numpy as np
import pytest

from backprop_lib.proof import calculus, prove, prover
from backprop_lib.proof.assumptions import Assumed, Larger, Multiple
from backprop_lib.proof.symbolic import Run, Size


def each(report):
    return [f"{v.status}{v.reason}" for v in report]


# Sizes are whole numbers to compute with.

COMPUTED = {
    "sum": lambda n, c: n + c + 2,
    "difference": lambda n, c: 3 + n - c - 1,
    "from the other side": lambda n, c: 7 - n,
    "product": lambda n, c: 2 * n * c - n,
    "a product over one": lambda n, c: (n * c) // c,
    "half of a double": lambda n, c: (2 * n + 4) // 2,
    "no rest": lambda n, c: (6 * c) % 3,
}


def at(size, n, c):
    """Return what a size is where N and C are numbers."""
    if type(size) is int:
        return size
    total = 0
    for term, coefficient in size.formula.terms.items():
        factors = [{"N": n, "C": c}[atom.name] ** power for atom, power in term.powers.items()]
        total += coefficient * np.prod(factors, dtype=int)
    return total


@pytest.mark.parametrize("name", COMPUTED)
def test_sizes_are_computed_as_numbers_are(name):
    run, compute = Run(), COMPUTED[name]
    size = compute(Size(run, ["N"]), Size(run, ["C"]))
    assert type(size) in (int, Size)
    for n, c in ((4, 3), (5, 2), (2, 7)):
        assert at(size, n, c) == compute(n, c)


def test_the_name_of_an_axis_tells_its_size():
    n, c = calculus.size("N"), calculus.size("C")
    for formula in (n, n + c, 2 * n, n * n - 3 * c, n - calculus.number(2)):
        name = calculus.size_name(formula)
        assert calculus.size(name) == formula
        assert calculus.size_name(calculus.size(name)) == name
    assert calculus.size_name(n - calculus.number(2)) == "N - 2"
    assert calculus.size_name(calculus.number(3)) == 3
    with pytest.raises(calculus.CalculusError, match="no number of entries"):
        calculus.size_name(n * calculus.power(c, -calculus.number(1).as_number()))


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
@pytest.mark.parametrize("number", [-1, 0, 3, 4])
def test_a_size_is_compared_if_all_that_it_may_be_agree(compare, number):
    run = Run(Assumed().granting(Larger("N", 3)))  # 4 at least
    outcomes = {compare(n, number) for n in range(4, 9)}
    size = Size(run, ["N"])
    if len(outcomes) == 1:
        assert compare(size, number) in outcomes
        assert run.refused is None
    else:
        with pytest.raises(TypeError):
            compare(size, number)
        assert isinstance(run.wanted, Larger)


def test_the_last_wish_for_an_order_counts():
    assumed = Assumed().granting(Multiple("C", 2))
    assert assumed.parts("C") == (2, "C/2")
    assumed = assumed.granting(Multiple("C", 2, inner=True))
    assert assumed.parts("C") == ("C/2", 2)
    assert assumed.granting(Multiple("C/2", "G")).parts("C") == ("G", "C/2/G", 2)
    assert assumed.at("C", 6).parts("C") == (6,)


# Multiples.


def in_groups(x, w, groups=2):
    N, C, L = x.shape
    parted = x.reshape(N, groups, C // groups, L)
    centred = (parted - parted.mean(axis=(2, 3), keepdims=True)).reshape(N, C, L)
    return centred * w[:, None], (centred, w, groups)


def in_groups_backward(dy, centred, w, groups, *, axes=(2, 3)):
    N, C, L = dy.shape
    parted = (dy * w[:, None]).reshape(N, groups, C // groups, L)
    dx = (parted - parted.mean(axis=axes, keepdims=True)).reshape(N, C, L)
    return dx, (dy * centred).sum(axis=(0, 2))


def test_groups_are_proven_for_every_number_of_them():
    report = prove(in_groups, in_groups_backward, x="N C L", w="C")
    assert report
    assert each(report) == ["proven for all sizes"] * 2
    multiple = ("C is a multiple of groups", "groups is a whole number, and at least 1")
    assert report["dx"].where == (multiple[0], multiple[1])
    named = prove(in_groups, in_groups_backward, const={"groups": 3}, x="N C L", w="C")
    assert named


def test_wrong_groups_are_refuted():
    def wrong(*args):
        return in_groups_backward(*args, axes=(1, 2))

    report = prove(in_groups, wrong, x="N C L", w="C")
    assert report["dx"].status == "refuted"


@pytest.mark.parametrize("last", [True, False])
def test_an_axis_is_parted_in_either_order(last):
    shape = (2, -1) if last else (-1, 2)
    axis = 1 if last else 2

    def forward(x):
        return x.reshape(len(x), *shape).sum(axis=axis), (x,)

    def backward(dy, x):
        kept = np.zeros_like(x).reshape(len(x), *shape) + np.expand_dims(dy, axis)
        return kept.reshape(x.shape)

    def wrong(dy, x):
        kept = np.zeros_like(x).reshape(len(x), *shape[::-1]) + np.expand_dims(dy, 3 - axis)
        return kept.reshape(x.shape)

    report = prove(forward, backward, x="N C")
    assert report["dx"].where == ("C is a multiple of 2",)
    assert report
    assert prove(forward, wrong, x="N C")["dx"].status == "refuted"


def test_where_forward_runs_at_other_sizes_too_the_verdict_is_another():
    def forward(x):
        return x * (x.shape[1] // 2), (x,)

    def backward(dy, x):
        return dy * (x.shape[1] / 2)

    report = prove(forward, backward, x="N C", budget=5)
    assert not report
    assert each(report) == ["proven at all sizes at which C is a multiple of 2"]


# Sizes that are compared.


def steep_if_small(x):
    return x * (3 if x.shape[0] < 3 else 2), (x,)


def test_small_sizes_are_proven_one_by_one():
    def right(dy, x):
        return dy * (3 if x.shape[0] < 3 else 2)

    assert each(prove(steep_if_small, right, x="N C")) == ["proven for all sizes"]

    def as_if_large(dy, x):
        return 2 * dy

    report = prove(steep_if_small, as_if_large, x="N C")
    assert report["dx"].status == "refuted"
    assert report["dx"].counterexample.sizes["N"] < 3


def length_by_a_loop(rows):
    return sum(1 for _ in rows)


ASSUMED_AT_ONE_SIZE = {
    "a loop": lambda x: 3 if len(x) < 2 and length_by_a_loop(x.T) == 23 else 2,
    "a rest": lambda x: 2 + (x.shape[1] % 2 if len(x) < 2 else 0),
}


@pytest.mark.parametrize("name", ASSUMED_AT_ONE_SIZE)
def test_what_is_assumed_at_one_size_is_not_forgotten(name):
    """It was: the proof for N = 1 held for some T only, and the whole was called proven."""
    factor = ASSUMED_AT_ONE_SIZE[name]
    report = prove(lambda x: (x * x, (x,)), lambda dy, x: factor(x) * x * dy, x="N T")
    assert not report
    assert report["dx"].status != "proven"


def test_what_is_assumed_for_one_choice_is_said_of_the_whole():
    def forward(x, in_halves=False):
        y = x.reshape(len(x), 2, -1).mean(axis=1) if in_halves else x * 1
        return y, (x, in_halves)

    def backward(dy, x, in_halves):
        return np.concatenate([dy, dy], axis=1) / 2 if in_halves else dy * 1

    report = prove(forward, backward, x="N C")
    assert report
    assert report["dx"].where == ("C is a multiple of 2",)


@pytest.mark.parametrize("odd", [1, 2, 4, 5, 6, 40])
def test_what_is_wrong_at_one_size_is_not_proven(odd):
    def forward(x):
        return 2 * x, (x,)

    def backward(dy, x):
        return dy * (3 if x.shape[0] == odd else 2)

    report = prove(forward, backward, x="N C")
    assert report["dx"].status == "refuted"
    assert report["dx"].counterexample.sizes["N"] == odd


WRONG_WHERE_SIZES_ARE_SMALL = {
    "a distance": lambda n, c: abs(n - 2) - n + 4,
    "a distance of two": lambda n, c: abs(n - c) - n + c + 2,
    "the larger": lambda n, c: max(n, c) - n + 2,
    "a truth value": lambda n, c: 2 if n - 2 else 3,
    "a truth value of less than 0": lambda n, c: 3 if not n - 1 else 2,
    "a float": lambda n, c: 3 if n == 2.0 else 2,
    "not": lambda n, c: 3 if not n // 1 - 3 else 2,
    "a rest": lambda n, c: 2 + n % 2,
    "a chain": lambda n, c: 2 if 1 < n <= c + n - 1 else 3,
}


@pytest.mark.parametrize("name", WRONG_WHERE_SIZES_ARE_SMALL)
def test_arithmetic_of_sizes_is_not_taken_for_that_of_large_ones(name):
    factor = WRONG_WHERE_SIZES_ARE_SMALL[name]
    assert any(factor(n, c) != 2 for n in range(1, 5) for c in range(1, 5))
    report = prove(lambda x: (x * x, (x,)), lambda dy, x: factor(*x.shape) * x * dy, x="N C")
    assert report["dx"].status in ("refuted", "undecided", "proven at")
    assert not report
    if report["dx"].status == "proven at":
        assert "is a multiple of 2" in report["dx"].reason


# Sizes that are needed as numbers.


def running_sum(x, w):
    total, sums = 0 * w, []
    for row in x:
        total = total * w + row
        sums.append(total)
    return total, (x, w, sums)


def running_sum_backward(dy, x, w, sums, *, late=1):
    dx, dw = np.zeros_like(x), 0 * w
    for t in reversed(range(len(x))):
        dx[t] = dy
        if t >= late:
            dw += dy * sums[t - late]
        dy = dy * w
    return dx, dw


def test_only_the_axis_of_a_loop_is_pinned():
    report = prove(running_sum, running_sum_backward, x="T D", w="D")
    assert each(report) == ["proven at T = 1, 2, 3, for all D"] * 2
    assert not report
    named = prove(running_sum, running_sum_backward, x="T D", w="D", sizes={"T": 4, "D": 2})
    assert named
    assert each(named) == ["proven at T = 4, for all D"] * 2


def test_a_loop_that_takes_the_wrong_step_is_refuted():
    def wrong(*args):
        return running_sum_backward(*args, late=2)

    report = prove(running_sum, wrong, x="T D", w="D")
    assert report["dw"].status == "refuted"
    assert report["dx"].status == "proven at"


def test_what_is_wrong_at_larger_sizes_than_those_pinned_is_searched():
    def wrong(dy, x, w, sums):
        dx, dw = running_sum_backward(dy, x, w, sums)
        return dx, dw * (1 if len(x) < 4 else 2)

    assert prove(running_sum, wrong, x="T D", w="D")["dw"].status == "refuted"


def sizes_searched(monkeypatch, *layer, **shapes):
    """Return the sizes at which a counterexample is searched."""
    searched = []

    def search(task, name, candidates, rng):
        searched.extend(candidates)

    monkeypatch.setattr(prover, "smallest_counterexample", search)
    prove(*layer, **shapes)
    return searched


def test_no_counterexample_is_searched_where_all_is_proven(monkeypatch):
    searched = sizes_searched(monkeypatch, running_sum, running_sum_backward, x="T D", w="D")
    assert {sizes["T"] for sizes in searched} == {4, 5, 6}


def test_a_counterexample_is_searched_where_a_proof_leaves_something_out(monkeypatch):
    def forward(x):
        y = np.stack([np.maximum(row, 0) for row in x])
        return y, (x,)

    searched = sizes_searched(monkeypatch, forward, lambda dy, x: dy * (x > 0), x="T D")
    assert {sizes["T"] for sizes in searched} == {1, 2, 3, 4, 5, 6}


def test_two_loops_have_two_sizes():
    def forward(x):
        total = 0 * x[0, 0]
        for row in x:
            for entry in row:
                total = total + entry * entry
        return total, (x,)

    report = prove(forward, lambda dy, x: 2 * x * dy, x="N C D")
    assert each(report)[0].startswith("proven at N = 1, C = ")
    assert each(report)[0].endswith("for all D")


# Products of axes.


def flat(x, W):
    return x.reshape(x.shape[0], -1) @ W, (x, W)


def test_an_axis_may_be_a_product_of_others():
    def backward(dy, x, W):
        return (dy @ W.T).reshape(x.shape), x.reshape(x.shape[0], -1).T @ dy

    report = prove(flat, backward, x="N C H", W="C*H D")
    assert each(report) == ["proven for all sizes"] * 2
    assert prove(flat, backward, x="N C 3", W="C*3 D")
    assert prove(flat, backward, x="N 2 3", W="6 D")

    def wrong(dy, x, W):
        dx, dW = backward(dy, x, W)
        return dx, dW.reshape(x.shape[2], x.shape[1], -1).swapaxes(0, 1).reshape(W.shape)

    assert prove(flat, wrong, x="N C H", W="C*H D")["dW"].status == "refuted"


@pytest.mark.parametrize("axes", ["C**H", "C*", "C*0", "C*h-1"])
def test_what_is_no_product_is_refused(axes):
    with pytest.raises(ValueError, match=r"W has the axis .*products of them"):
        prove(flat, flat, x="N C H", W=f"{axes} D")
