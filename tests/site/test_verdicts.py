"""Verdicts at a glance: a box and a badge for each, and one line that tells them apart."""

import json
import re

import nbformat
import pytest
from conftest import BOOK, ROOT, switch_theme
from playwright.sync_api import expect

from backprop_lib.proof.report import MARKS, Report, Status, Verdict
from website.npm import node
from website.verdicts import KINDS

SCRIPT = ROOT / "website" / "live" / "verdicts.js"
STORED = re.compile(r"^[✓✗?] .*?\*\*([a-z ]+)\*\*", re.MULTILINE)
BOX = re.compile(r'<div class="verdict verdict-([a-z-]+)[^"]*">\s*<p>.*?</p>', re.DOTALL)
BADGE = re.compile(r'<strong class="verdict-badge">([✓✗?]) (.*?)</strong>')
ASK = """
import { inShort, judgement } from "SCRIPT";
const reports = JSON.parse(process.argv[2]);
console.log(JSON.stringify(reports.map((report) => [inShort(report), judgement(report)])));
"""
PROVEN = " for all sizes"
SAID = [
    ([("dx", "proven"), ("db", "proven")], "✓ proven: dx, db", "✓ All is proven."),
    (
        [("dx", "proven"), ("dW", "refuted"), ("db", "undecided")],
        "✗ refuted: dW; ? undecided: db; ✓ proven: dx",
        "✗ refuted: dW; ? undecided: db. See below.",
    ),
    ([("dx", "undecided")], "? undecided: dx", "? undecided: dx. See below."),
    ([("dW", "shape error")], "✗ shape error: dW", "✗ shape error: dW. See below."),
    ([("dx", "not answered yet")], "? not answered yet: dx", "? not answered yet: dx. See below."),
    (
        [("dx", "proven at"), ("dh", "proven")],
        "✓ proven at: dx; ✓ proven: dh",
        "✓ Proven at some sizes or values; see below.",
    ),
    ([], "", "Not all is proven; see below."),
]


def report(verdicts):
    """Return a report with these verdicts."""
    return Report(
        tuple(
            Verdict(name, Status(word), PROVEN if word == "proven" else " here")
            for name, word in verdicts
        )
    )


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What the script of the pages says of each report."""
    script = tmp_path_factory.mktemp("said") / "ask.mjs"
    script.write_text(ASK.replace("SCRIPT", SCRIPT.as_uri()), encoding="utf8")
    texts = [repr(report(verdicts)) for verdicts, _, _ in SAID]
    done = node(script, json.dumps([*texts, "<Figure: dx: a picture>", LIMITED, STEPS]))
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


LIMITED = "dx: proven for all sizes\n  where no two numbers that forward compares are equal"
STEPS = (
    "steps dz, dh: proven for all sizes\nstep dp: refuted in entry [0]\ndx: proven for all sizes"
)


@pytest.mark.parametrize("case", range(len(SAID)))
def test_one_line_tells_the_verdicts_apart_and_the_worst_first(said, case):
    _, short, whole = SAID[case]
    assert said[case] == [short, whole]


def test_one_line_on_what_is_no_report_on_limits_and_on_steps(said):
    nothing, limited, steps = said[len(SAID) :]
    assert nothing[0] == ""
    assert limited[1] == "✓ All is proven, where the report says."
    assert steps[0] == "✗ refuted: dp; ✓ proven: dz, dh, dx"


def test_every_status_has_a_kind_on_pages_and_on_live_ones():
    assert {str(status) for status in Status} == set(KINDS)
    text = SCRIPT.read_text(encoding="utf8")
    body = re.search(r"const KINDS = \{(.*?)\}", text, re.DOTALL)[1]
    assert dict(re.findall(r'"?([a-z][a-z ]*)"?: "([a-z-]+)"', body)) == KINDS


def stored(path):
    """Return the words of the verdicts in the stored outputs of a notebook, in their order."""
    outputs = [
        output["data"]["text/markdown"]
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
        if "text/markdown" in output.get("data", {})
    ]
    return [word for text in outputs for word in STORED.findall(text)]


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("chapters/**/*.ipynb")), ids=lambda path: path.stem
)
def test_every_stored_verdict_has_its_box_and_badge(path):
    page = (BOOK / path.relative_to(ROOT)).with_suffix(".html").read_text(encoding="utf8")
    boxes = [(box[1], BADGE.search(box[0])) for box in BOX.finditer(page)]
    assert [badge[2] for _, badge in boxes] == stored(path)
    for kind, badge in boxes:
        assert kind == KINDS[badge[2]]
        assert badge[1] == MARKS.get(Status(badge[2]), "?")


def test_a_box_holds_the_counterexample_and_not_what_comes_after(visit):
    page = visit("chapters/layers/linear").page
    box = page.locator(".verdict-refuted").filter(has_text="A counterexample").first
    expect(box.locator(".math").last).to_be_visible()
    for box in page.locator(".verdict").all():
        assert box.locator(".verdict-badge").count() == 1
        assert box.locator(".verdict").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_kinds_differ_in_colour_and_line(visit, theme):
    page = visit("chapters/proof").page
    switch_theme(page, theme)
    looks = {
        kind: page.locator(f".verdict-{kind}").first.evaluate(
            """box => [getComputedStyle(box).borderLeftColor, getComputedStyle(box).borderTopStyle,
                getComputedStyle(box.querySelector(".verdict-badge")).backgroundColor].join()"""
        )
        for kind in ("proven", "proven-at", "refuted", "open")
    }
    assert len(set(looks.values())) == len(looks)
