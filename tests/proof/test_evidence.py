"""One function decides: what each engine found makes the verdict, and nothing else does."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from backprop_lib.proof import prove
from backprop_lib.proof.evidence import Answer, Evidence, Formulas, Numbers, Symbols, decide
from backprop_lib.proof.report import ClosedForm, Counterexample, Report

N = {"N": 3}
FOUND = Counterexample(
    {"N": 1},
    {"x": np.array([Fraction(1)], object), "dy": np.array([Fraction(1)], object)},
    (0,),
    np.array([Fraction(2)], object),
    np.array([Fraction(3)], object),
)
TRUE = ClosedForm("dx[n] = 2 dy[n] x[n]", "dx_n")
RIGHT = Formulas(Answer.RIGHT, true=TRUE, where=("no two numbers are equal",))
NUMBERS = Numbers(Answer.RIGHT, N, points=2)
WRONG_NUMBERS = Numbers(Answer.WRONG, N)
SYMBOLS = Symbols(N, Answer.RIGHT, branches=4)
PROVEN = Evidence("dx", formulas=RIGHT, numbers=NUMBERS)
AT_SIZES = Evidence("dx", numbers=NUMBERS, symbols=SYMBOLS, sizes=N)
NOTHING = Evidence("dx")
UNKNOWN = "the two formulas were not found to be equal"


def with_constants(at, **more):
    return replace(PROVEN, formulas=replace(RIGHT, at=at), **more)


DECIDED = {
    "nothing is known": (NOTHING, "undecided", f" for all sizes: {UNKNOWN}", False),
    "not claimed": (replace(PROVEN, is_open=True), "not answered yet", "", False),
    "formulas and numbers": (PROVEN, "proven", " for all sizes", True),
    "measured numbers confirm as well": (
        replace(PROVEN, numbers=replace(NUMBERS, exact=False)), "proven", " for all sizes", True,
    ),
    "formulas alone": (
        replace(PROVEN, numbers=Numbers()), "undecided",
        ": the formulas are equal, but no number confirms it: at no point that was tried it is "
        "defined", False,
    ),
    "formulas, and numbers that were stopped": (
        replace(PROVEN, numbers=Numbers(why="forward computes with nan")), "undecided",
        ": the formulas are equal, but no number confirms it: forward computes with nan", False,
    ),
    "formulas, and numbers that had no time": (
        replace(PROVEN, numbers=Numbers(), stopped="interrupted during numbers"), "undecided",
        ": the formulas are equal, but no number confirms it: interrupted during numbers", False,
    ),
    "numbers alone": (
        replace(NOTHING, numbers=NUMBERS), "undecided", f" for all sizes: {UNKNOWN}", False,
    ),
    "a counterexample": (
        replace(NOTHING, counterexample=FOUND), "refuted", " in entry [0]", False,
    ),
    "a counterexample without axes": (
        replace(NOTHING, counterexample=replace(FOUND, entry=())), "refuted", "", False,
    ),
    "a counterexample beats formulas": (
        replace(PROVEN, counterexample=FOUND), "refuted", " in entry [0]", False,
    ),
    "a counterexample beats symbols": (
        replace(AT_SIZES, counterexample=FOUND), "refuted", " in entry [0]", False,
    ),
    "a counterexample beats a contradiction": (
        replace(PROVEN, counterexample=FOUND, contradiction="it counts"),
        "refuted", " in entry [0]", False,
    ),
    "a counterexample stands after an interruption": (
        replace(NOTHING, counterexample=FOUND, stopped="interrupted during all"),
        "refuted", " in entry [0]", False,
    ),
    "a contradiction beats formulas": (
        replace(PROVEN, contradiction="it counts"), "undecided", ": it counts", False,
    ),
    "a contradiction beats symbols": (
        replace(AT_SIZES, contradiction="it counts"), "undecided", ": it counts", False,
    ),
    "a misfit of formulas and numbers": (
        replace(
            NOTHING, formulas=Formulas(misfit="dx is (C), x is (N)"),
            numbers=Numbers(misfit="dx is (2,), x is (3,)"),
        ), "shape error", ": dx is (C), x is (N)", False,
    ),
    "a misfit of numbers": (
        replace(NOTHING, numbers=Numbers(misfit="dx is (2,), x is (3,)")),
        "shape error", ": dx is (2,), x is (3,)", False,
    ),
    "a misfit of formulas alone": (
        replace(NOTHING, formulas=Formulas(misfit="dx is (C), x is (N)"), numbers=NUMBERS),
        "undecided", " for all sizes: dx is (C), x is (N)", False,
    ),
    "a misfit beats a counterexample": (
        replace(NOTHING, numbers=Numbers(misfit="dx is (2,), x is (3,)"), counterexample=FOUND),
        "shape error", ": dx is (2,), x is (3,)", False,
    ),
    "a misfit beats a contradiction": (
        replace(NOTHING, numbers=Numbers(misfit="dx is (2,)"), contradiction="it counts"),
        "shape error", ": dx is (2,)", False,
    ),
    "a constant had to be known": (
        with_constants({"p": 0.5}), "proven at", " p = 0.5, for all sizes", False,
    ),
    "a constant that was named": (
        with_constants({"p": 0.5}, named=frozenset({"p", "q"})),
        "proven at", " p = 0.5, for all sizes", True,
    ),
    "one constant that was named, and one that was not": (
        with_constants({"p": 0.5, "q": 2}, named=frozenset({"p"})),
        "proven at", " p = 0.5, q = 2, for all sizes", False,
    ),
    "a constant of which every value is tried": (
        with_constants({"axis": 1}, chosen=frozenset({"axis"})), "proven", " for all sizes", True,
    ),
    "a chosen constant, and one that had to be known": (
        with_constants({"axis": 1, "p": 0.5}, chosen=frozenset({"axis"})),
        "proven at", " p = 0.5, for all sizes", False,
    ),
    "constants are nothing without numbers": (
        with_constants({"p": 0.5}, numbers=Numbers(), named=frozenset({"p"})), "undecided",
        ": the formulas are equal, but no number confirms it: at no point that was tried it is "
        "defined", False,
    ),
    "symbols at the sizes that were named": (
        AT_SIZES, "proven at", " N = 3 on each of 4 branches", True,
    ),
    "symbols without branches": (
        replace(AT_SIZES, symbols=replace(SYMBOLS, branches=1)), "proven at", " N = 3", True,
    ),
    "symbols alone": (
        replace(AT_SIZES, numbers=Numbers()), "proven at", " N = 3 on each of 4 branches", True,
    ),
    "symbols, and numbers that are wrong": (
        replace(AT_SIZES, numbers=WRONG_NUMBERS), "undecided", None, False,
    ),
    "symbols at sizes that nobody named": (
        replace(AT_SIZES, sizes={}), "undecided", f" for all sizes: {UNKNOWN}", False,
    ),
    "symbols at other sizes than those named": (
        replace(AT_SIZES, sizes={"N": 4}), "undecided", f" for all sizes: {UNKNOWN}", False,
    ),
    "formulas beat symbols": (
        replace(AT_SIZES, formulas=RIGHT), "proven", " for all sizes", True,
    ),
    "only sizes were asked about": (
        replace(AT_SIZES, only_sizes=True), "proven at", " N = 3 on each of 4 branches", True,
    ),
    "only sizes, and no proof": (
        replace(AT_SIZES, only_sizes=True, symbols=Symbols(N)),
        "undecided", " at N = 3: no proof, and no counterexample", False,
    ),
    "only sizes, and a reason": (
        replace(AT_SIZES, only_sizes=True, symbols=Symbols(N, why="forward uses np.sin")),
        "undecided", " at N = 3: forward uses np.sin", False,
    ),
    "stopped": (
        replace(NOTHING, stopped="interrupted during formulas", formulas=Formulas(why="np.sin")),
        "undecided", " for all sizes: interrupted during formulas", False,
    ),
    "stopped when all was proven": (
        replace(PROVEN, stopped="interrupted during the search"),
        "proven", " for all sizes", True,
    ),
    "why formulas stopped": (
        replace(NOTHING, formulas=Formulas(why="forward uses np.sin")),
        "undecided", " for all sizes: forward uses np.sin", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DECIDED)
def test_what_follows_from_evidence(name):
    evidence, status, reason, is_enough = DECIDED[name]
    verdict = decide(evidence)
    assert verdict.status == status
    assert reason is None or verdict.reason == reason
    assert verdict.is_enough is is_enough
    assert bool(Report((verdict,))) is is_enough
    assert evidence.is_settled is (status != "undecided")
    assert verdict.gradient == "dx"


def test_what_is_shown_with_a_verdict():
    assert decide(PROVEN).formula is TRUE
    assert decide(PROVEN).where == ("no two numbers are equal",)
    assert decide(PROVEN).notes == ()
    refuted = decide(replace(PROVEN, counterexample=FOUND))
    assert refuted.counterexample is FOUND
    assert refuted.formula is TRUE
    assert refuted.where == ()
    misfit = replace(NOTHING, numbers=Numbers(misfit="dx is (2,)"), counterexample=FOUND)
    assert decide(misfit).counterexample is FOUND
    assert decide(replace(PROVEN, contradiction="it counts")).formula is None


def test_a_counterexample_at_other_constants_is_shown_and_refutes_nothing():
    at = with_constants({"p": 0.5}, elsewhere=FOUND)
    assert decide(at).status == "proven at"
    assert decide(at).counterexample is FOUND
    assert decide(replace(at, named=frozenset({"p"}))).counterexample is None
    assert decide(replace(PROVEN, elsewhere=FOUND)).counterexample is None


def test_the_formulas_are_asked_for_all_sizes_after_a_proof_at_sizes():
    evidence = replace(AT_SIZES, formulas=Formulas(why="forward uses np.sin"))
    assert decide(evidence).notes == ("for all sizes undecided: forward uses np.sin",)
    assert decide(replace(evidence, only_sizes=True)).notes == ()


@pytest.mark.parametrize(
    ("evidence", "notes"),
    [
        (NOTHING, ()),
        (replace(NOTHING, symbols=SYMBOLS), ("at N = 3: proven on each of 4 branches",)),
        (replace(NOTHING, symbols=Symbols(N)), ("at N = 3: no proof",)),
        (replace(NOTHING, symbols=Symbols(N, why="np.sin")), ("at N = 3: np.sin",)),
        (replace(NOTHING, numbers=NUMBERS), ("at N = 3: exact at 2 random points",)),
        (
            replace(NOTHING, numbers=replace(NUMBERS, exact=False)),
            ("at N = 3: agrees with measured slopes",),
        ),
        (replace(NOTHING, numbers=WRONG_NUMBERS), ("at N = 3: WRONG by exact numbers",)),
        (
            replace(NOTHING, numbers=replace(WRONG_NUMBERS, exact=False)),
            ("at N = 3: WRONG by slopes measured with floats",),
        ),
        (replace(NOTHING, numbers=Numbers(why="np.sin")), ("at random points: np.sin",)),
        (
            replace(NOTHING, numbers=NUMBERS, symbols=SYMBOLS),
            ("at N = 3: proven on each of 4 branches", "at N = 3: exact at 2 random points"),
        ),
        (
            replace(NOTHING, numbers=NUMBERS, symbols=Symbols(N), only_sizes=True, sizes=N),
            ("at N = 3: exact at 2 random points",),
        ),
    ],
)
def test_the_notes_say_what_the_others_found(evidence, notes):
    assert decide(evidence).notes == notes


LIES = [
    "proven",
    "proven for all sizes",
    "at N = 2: proven",
    "\ndx: proven for all sizes",
    "refuted",
    "exact at 2 random points",
    "not answered yet",
]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("field", ["formulas", "numbers", "symbols", "stopped"])
def test_the_text_of_a_reason_decides_nothing(lie, field):
    value = {
        "formulas": Formulas(why=lie),
        "numbers": Numbers(why=lie),
        "symbols": Symbols(N, why=lie),
        "stopped": lie,
    }[field]
    for evidence in (
        NOTHING,
        replace(NOTHING, sizes=N),
        replace(NOTHING, sizes=N, only_sizes=True),
    ):
        verdict = decide(replace(evidence, **{field: value}))
        assert verdict.status == "undecided"
        assert not verdict.is_enough


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("error", [ValueError, TypeError, ZeroDivisionError, AssertionError])
def test_the_text_of_an_exception_decides_nothing(lie, error):
    def backward(dy, x):
        if not isinstance(x.ravel()[0], float):
            raise error(lie)
        return 3 * x * dy

    for sizes in (None, {"N": 2}):
        report = prove(lambda x: (x * x, (x,)), backward, x="N", sizes=sizes)
        assert report["dx"].status == "undecided"
        assert not report
