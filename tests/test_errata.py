"""The note's statements: all of them are on the page, and the verdicts are what the prover says."""

import re

import nbformat
import pytest
from conftest import ROOT

from backprop_lib.errata import JUDGES, VERDICTS, Erratum, Judgement, counts, errata, statements
from backprop_lib.layers import linear
from backprop_lib.proof import Report, prove, refute

PAGE = ROOT / "chapters" / "reference" / "errata.ipynb"
NUMBERS = {"N": 1, "L": 6, "B": 15, "C": 6, "M": 2, "T": 5}
EXPECTED = {
    "holds": "L3 L5 L6 B5 C2 C3 C4",
    "holds for (N, C) only": "B2 B3 B7 B8 B9 B11 B12 B13",
    "refuted": "M2 T3",
    "shape error": "L2 C1 C5 C6 T1 T4",
    "definition": "N1 L1 B1 M1 T2",
    "imprecise": "L4 B4 B6 B10 B14 B15 T5",
}


def cells():
    return nbformat.read(PAGE, as_version=4).cells


def test_every_statement_of_the_note_has_its_number_and_a_judge():
    expected = [f"{letter}{i + 1}" for letter, n in NUMBERS.items() for i in range(n)]
    assert list(statements()) == expected == list(JUDGES)


def test_the_verdicts():
    found = {verdict: [] for verdict in VERDICTS}
    for name, erratum in errata().items():
        found[erratum.verdict].append(name)
    assert {verdict: " ".join(names) for verdict, names in found.items()} == EXPECTED
    assert counts() == {verdict: len(names) for verdict, names in found.items()}


@pytest.mark.parametrize("name", list(JUDGES))
def test_the_page_says_what_the_note_says_and_shows_the_verdict(name):
    texts = [cell.source for cell in cells() if cell.cell_type == "markdown"]
    (text,) = [text for text in texts if f"(erratum-{name.lower()})=" in text]
    assert f"\n> {statements()[name].says}\n" in text
    assert re.search(r"\{eq\}`|\]\(batchnorm1d-", text), "no link to the chapter"
    (cell,) = [cell for cell in cells() if cell.source == f'judged["{name}"]']
    shown = cell.outputs[0].data["text/markdown"]
    assert shown == errata()[name]._repr_markdown_()
    verdict = next(v for v, names in EXPECTED.items() if name in names.split())
    assert shown.lower().startswith(f"**{verdict}.**".lower())


def test_the_page_counts():
    (cell,) = [cell for cell in cells() if "counts().items()" in cell.source and cell.outputs]
    lines = [f"{number:2} {verdict}" for verdict, number in counts().items()]
    assert cell.outputs[0].text.splitlines() == [*lines, f"{len(statements())} statements"]


def test_what_is_refuted_has_a_counterexample_and_what_should_stand_there():
    for name in ["L2", "C1", "C5", "C6", "M2", "T3", "T4"]:
        judgement = errata()[name].judgement
        (verdict,) = judgement.stated[""]
        assert verdict.counterexample is not None, name
        assert judgement.instead
        assert all(judgement.instead.values())


def right():
    return refute(linear.forward, wrt="W", claim=lambda dy, x, W, b: dy.T @ x)


def shapes():
    return refute(linear.forward, wrt="W", claim=lambda dy, x, W, b: x.T @ dy)


def wrong():
    return refute(linear.forward, wrt="W", claim=lambda dy, x, W, b: 2 * dy.T @ x)


@pytest.mark.parametrize(
    ("judgement", "verdict"),
    [
        (lambda: Judgement({"": right()}), "holds"),
        (lambda: Judgement({"": right()}, defines=True), "definition"),
        (lambda: Judgement({"": wrong()}, instead={"dyᵀ x": right()}), "refuted"),
        (lambda: Judgement({"": wrong()}, instead={"dyᵀ x": right()}, defines=True), "refuted"),
        (lambda: Judgement({"": shapes()}, instead={"dyᵀ x": right()}), "shape error"),
        (
            lambda: Judgement({"N C": right(), "N C L": wrong()}, instead={"": right()}),
            "holds for (N, C) only",
        ),
        (
            lambda: Judgement({"N C": wrong(), "N C L": right()}, instead={"": right()}),
            "refuted",
        ),
        (lambda: Judgement(readings={"a": right(), "b": wrong()}), "imprecise"),
    ],
)
def test_the_verdict_follows_from_the_answers(judgement, verdict):
    assert judgement().verdict == verdict


def undecided():
    return prove(lambda x: (x * x, (x,)), lambda dy, x: 2 * dy * x + 0 * x.cumprod(), x="N")


@pytest.mark.parametrize(
    ("judgement", "message"),
    [
        (lambda: Judgement({"": wrong()}), "needs a formula in its place"),
        (lambda: Judgement({"": wrong()}, instead={"": wrong()}), "not proven"),
        (lambda: Judgement(readings={"a": right()}), "right readings and wrong ones"),
        (lambda: Judgement({"": undecided()}, instead={"": right()}), "answers undecided"),
        (lambda: Judgement({"": Report(())}, instead={"": right()}), "prover answers nothing"),
        (Judgement, "prover answers nothing"),
        (lambda: Judgement(defines=True), "prover answers nothing"),
        (lambda: Judgement(readings={"a": right(), "b": Report(())}), "prover answers proven"),
        (lambda: Judgement(readings={"a": right(), "b": undecided()}), "proven, undecided"),
        (
            lambda: Judgement({"N C": right(), "N C L": undecided()}, instead={"": right()}),
            "proven, undecided",
        ),
    ],
)
def test_a_judgement_that_proves_nothing_has_no_verdict(judgement, message):
    with pytest.raises(ValueError, match=message):
        _ = judgement().verdict


def test_an_erratum_can_be_read_without_a_browser():
    erratum = Erratum(statements()["L3"], Judgement({"": right()}), "code")
    assert repr(erratum).splitlines()[:3] == [
        "L3: holds",
        "As it stands:",
        "  dW: proven for all sizes",
    ]
