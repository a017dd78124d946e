"""A mask of -inf before a softmax is followed; all else that is done with infinity is refused."""

import numpy as np
import pytest

from backprop_lib.proof import prove, prove_at

SHAPES = {"s": "N C", "mask": "const N C"}
ROWS = "not all entries along C are -inf"


def normalised(s):
    e = np.exp(s - s.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def of_softmax(dy, p):
    return p * (dy - (dy * p).sum(axis=1, keepdims=True))


def chosen(s, mask):
    return normalised(np.where(mask == 0, -np.inf, s))


def written(s, mask):
    hidden = s.copy()
    hidden[mask < 1] = -np.inf
    return normalised(hidden)


def added(s, mask):
    return normalised(s / 2 + np.where(mask != 0, 0, float("-inf")))


def added_twice(s, mask):
    hidden = np.where(mask > 0, s, -np.inf)
    return normalised((hidden + np.where(mask < 9, 0.0, -np.inf)) / np.sqrt(s.shape[1]))


def without_a_shift(s, mask):
    e = np.exp(np.where(mask > 0.5, s, -np.inf))
    return e / e.sum(axis=1, keepdims=True)


MASKED = {
    "chosen": (chosen, 1, {ROWS}),
    "written": (written, 1, {ROWS}),
    "added": (added, 0.5, {ROWS}),
    "added twice": (added_twice, None, {ROWS}),
    "without a shift": (without_a_shift, 1, set()),
}


def judged(name, of):
    forward, factor, _ = MASKED[name]

    def backward(dy, p, mask, columns):
        return of(dy, p, mask) * (columns**-0.5 if factor is None else factor)

    def passing(s, mask):
        p = forward(s, mask)
        return p, (p, mask, s.shape[1])

    return prove(passing, backward, **SHAPES)["ds"]


@pytest.mark.parametrize("name", MASKED)
def test_a_masked_softmax_is_proven(name):
    verdict = judged(name, lambda dy, p, mask: of_softmax(dy, p))
    assert verdict.status == "proven", verdict
    assert set(verdict.where) == MASKED[name][2]


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize(
    "wrong",
    [
        lambda dy, p, mask: p * dy,
        lambda dy, p, mask: p * (dy - (dy * p).mean(axis=1, keepdims=True)),
        lambda dy, p, mask: of_softmax(dy, p) + (mask == 0),
        lambda dy, p, mask: np.where(mask == 0, dy, of_softmax(dy, p)),
    ],
)
def test_a_wrong_gradient_of_one_is_refuted(name, wrong):
    assert judged(name, wrong).status == "refuted"


def causal(q, k):
    T, D = q.shape
    s = q @ k.T / np.sqrt(D) + np.triu(np.full((T, T), -np.inf), k=1)
    p = normalised(s)
    return p, (q, k, p)


@pytest.mark.parametrize(("power", "status"), [(1, "proven"), (0, "refuted")])
def test_causal_scores(power, status):
    def backward(dy, q, k, p):
        ds = of_softmax(dy, p) / np.sqrt(q.shape[1]) ** power
        return ds @ k, ds.T @ q

    report = prove(causal, backward, q="T D", k="T D")
    assert {verdict.status for verdict in report} == {status}


def test_a_mask_that_an_option_chooses_keeps_its_condition():
    def forward(s, mask, hides=False):
        p = normalised(np.where(mask > 0, s, -np.inf) if hides else s)
        return p, (p,)

    report = prove(forward, of_softmax, **SHAPES)
    assert report["ds"].reason == " for all sizes and every hides"
    assert report["ds"].where == (ROWS,)


def test_symbols_at_sizes_are_not_misled():
    """Where a whole row is masked, the code divides by zero; symbols go no further."""

    def forward(s, mask):
        p = without_a_shift(s, mask)
        return p, (p,)

    right = prove_at(forward, of_softmax, sizes={"N": 1, "C": 2}, **SHAPES)
    assert right["ds"].status == "undecided"
    assert "exact at 3 random points" in repr(right)
    wrong = prove_at(forward, lambda dy, p: p * dy, sizes={"N": 1, "C": 2}, **SHAPES)
    assert wrong["ds"].status == "refuted"


def hidden(mask, s):
    return np.where(mask > 0.5, s, -np.inf)


NOT_FOLLOWED = {
    "its logistic function": lambda s, mask: 1 / (1 + np.exp(-hidden(mask, s))),
    "times a mask": lambda s, mask: hidden(mask, s) * mask,
    "compared": lambda s, mask: np.where(hidden(mask, s) == -np.inf, 7, s),
    "the larger": lambda s, mask: np.maximum(hidden(mask, s), 0),
    "summed": lambda s, mask: np.exp(hidden(mask, s).sum(axis=1)),
    "subtracted": lambda s, mask: np.exp(s - hidden(mask, s)),
    "squared": lambda s, mask: np.exp(-(hidden(mask, s) ** 2)),
    "inverted": lambda s, mask: 1 / hidden(mask, s),
    "returned": hidden,
    "+inf": lambda s, mask: np.exp(-np.where(mask > 0.5, s, np.inf)),
    "the smallest": lambda s, mask: np.exp(hidden(mask, s) - hidden(mask, s).min()),
}


@pytest.mark.parametrize("name", NOT_FOLLOWED)
def test_what_else_is_done_with_infinity_is_not_proven(name):
    """A gradient of zeros, which is right wherever the result does not depend on s."""
    code = NOT_FOLLOWED[name]
    report = prove(lambda s, mask: (code(s, mask), (s,)), lambda dy, s: 0 * s, **SHAPES, budget=4)
    assert report["ds"].status in ("undecided", "refuted"), report
    assert not any("proven" in note for note in report["ds"].notes)
