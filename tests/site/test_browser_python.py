"""Every notebook of the book on the Python that the site brings along, its outputs compared."""

import json
import subprocess
from pathlib import Path

import nbformat
import pytest
from conftest import BOOK, ROOT

from website.npm import NODE

NOTEBOOKS = sorted((ROOT / "chapters").rglob("*.ipynb"))
ALWAYS = "linear"
"""The notebook that make test runs, too."""
SCRIPT = Path(__file__).with_name("run_notebook.mjs")


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def stored(cell):
    """Return what a cell's stored outputs say, as text; a drawing by its description."""
    return [
        output.text if output.output_type == "stream" else output.data["text/plain"]
        for output in cell.outputs
    ]


def told(answers):
    """Return the same of what a cell answered, neighbouring pieces of a stream put together."""
    texts, stream = [], None
    for answer in answers:
        name = answer.get("name")
        if name and name == stream:
            texts[-1] += answer["text"]
        else:
            texts.append(answer["text"])
        stream = name
    return texts


@pytest.fixture(scope="module")
def python():
    """Start the site's Python once, for all notebooks that this process asks it to run."""
    (runtime,) = (BOOK / "runtime").iterdir()
    command = [NODE, SCRIPT, runtime, BOOK / "live" / "notebook.py"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()


def answers_of(python, cells):
    """Return what each cell of a notebook answers."""
    python.stdin.write(json.dumps([cell.source for cell in cells]) + "\n")
    python.stdin.flush()
    for line in python.stdout:
        word, _, answers = line.partition(" ")
        if word == "answers":
            return json.loads(answers)
    raise AssertionError(f"the site's Python ended with status {python.wait()}")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=() if path.stem == ALWAYS else pytest.mark.thorough)
        for path in NOTEBOOKS
    ],
)
def test_a_notebook_answers_in_the_browser_what_the_book_shows(path, python):
    cells = code_cells(path)
    answers = answers_of(python, cells)
    assert len(answers) == len(cells)
    for cell, answer in zip(cells, answers, strict=True):
        assert told(answer) == stored(cell), cell.source


HARDLY_EVER_ENDING = """
from backprop_lib.proof import prove

def forward(x):
    return 2 * x, ()

def backward(dy):
    for _ in range(10**9):
        pass

report = prove(forward, backward, x="N", budget=1)
print(report["dx"].status, "did not end" in str(report))
"""


def test_what_hardly_ever_ends_is_given_up(python):
    """There is no timer in the browser, and its clock of the processor stands still."""
    cell = nbformat.v4.new_code_cell(HARDLY_EVER_ENDING)
    (answers,) = answers_of(python, [cell])
    assert told(answers) == ["undecided True\n"]
