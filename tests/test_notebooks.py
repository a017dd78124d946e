"""The notebooks are in one normal form, executed, and can fail."""

import ast
import re
import subprocess
import sys

import nbformat
import pytest
import yaml
from conftest import ROOT
from notebooks import all_notebooks, normalise, to_text, volatile

TAGS = {"exercise", "hide-input", "nbval-ignore-output"}
NOTEBOOKS = pytest.mark.parametrize(
    "path", all_notebooks(), ids=lambda path: path.relative_to(ROOT / "chapters").as_posix()
)


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def test_every_notebook_is_in_the_table_of_contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    listed = {chapter["file"] for part in toc["parts"] for chapter in part["chapters"]}
    files = {p.relative_to(ROOT).with_suffix("").as_posix() for p in all_notebooks()}
    assert files
    assert files <= listed


@NOTEBOOKS
def test_is_in_normal_form(path):
    nbformat.validate(nbformat.read(path, as_version=4))
    text = path.read_text(encoding="utf8")
    assert text == to_text(normalise(nbformat.reads(text, as_version=4))), "run make notebooks"


@NOTEBOOKS
def test_was_executed_in_order_from_the_top_without_errors(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert "error" not in kinds
    assert not any(o.get("name") == "stderr" for cell in cells for o in cell.outputs)
    assert volatile(nbformat.read(path, as_version=4)) == []


@NOTEBOOKS
def test_no_cell_escapes_the_check_but_drawings(path):
    for cell in code_cells(path):
        tags = set(cell.metadata.get("tags", []))
        assert tags <= TAGS
        assert "NBVAL" not in cell.source
        if "nbval-ignore-output" in tags:
            (output,) = cell.outputs
            assert output.data["text/plain"].startswith("Figure: ")


@NOTEBOOKS
def test_asserts_or_shows_something_in_most_cells(path):
    cells = code_cells(path)
    asserting = [
        cell
        for cell in cells
        if any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source)))
    ]
    checked = [cell for cell in cells if cell in asserting or cell.outputs]
    assert len(asserting) >= 4
    assert len(checked) >= len(cells) - 1  # all but the imports


@NOTEBOOKS
def test_every_reference_to_an_equation_has_its_equation(path):
    text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells)
    everything = "\n".join(p.read_text(encoding="utf8") for p in all_notebooks())
    labels = re.findall(r"\$\$ \(([a-z0-9-]+)\)", everything)
    assert len(labels) == len(set(labels))
    assert set(re.findall(r"\{eq\}`([^`]+)`", text)) <= set(labels)


def test_normalising_drops_what_varies_and_keeps_what_matters():
    cell = nbformat.v4.new_code_cell("1 + 1  \n", execution_count=3)
    cell.metadata = {"tags": ["exercise"], "collapsed": True, "execution": {"t": "now"}}
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stdout", text="a"),
        nbformat.v4.new_output("stream", name="stdout", text="b"),
        nbformat.v4.new_output("stream", name="stderr", text="c"),
    ]
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": 1})
    clean = normalise(notebook)
    assert set(clean.metadata) == {"kernelspec", "language_info"}
    assert clean.cells[0].metadata == {"tags": ["exercise"]}
    assert clean.cells[0].source == "1 + 1"
    assert clean.cells[0].execution_count == 3
    assert [o.text for o in clean.cells[0].outputs] == ["ab", "c"]
    assert to_text(normalise(clean)) == to_text(clean)


def test_volatile_outputs_are_found():
    output = nbformat.v4.new_output("stream", name="stdout", text="<f at 0x7f12ab34cd56>")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("f", outputs=[output])])
    assert volatile(notebook) == ["0x7f12ab34cd56"]


def test_nbval_finds_a_changed_output(tmp_path):
    notebook = nbformat.read(ROOT / "chapters" / "notation.ipynb", as_version=4)
    (changed,) = (
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "GiB" in output.get("text", "")
    )
    changed.text = changed.text.replace("4.0 GiB", "4.1 GiB")
    nbformat.write(notebook, tmp_path / "changed.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "."]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stdout
    assert "1 failed" in run.stdout
