"""Every exercise: open as it stands, proven with its solution, refuted with its wrong answer."""

import ast
import re
from dataclasses import dataclass
from functools import cached_property

import nbformat
import pytest
from conftest import ROOT
from notebooks import all_notebooks

from website.live.notebook import needed

DETAILS = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@dataclass
class Exercise:
    name: str
    above: list[str]
    cell: str
    folded: dict[str, str]

    @cached_property
    def names(self):
        """What the cells above give to it; only those run that the page would run, too."""
        names = {}
        for number in needed([*self.above, self.cell], len(self.above), []):
            exec(self.above[number], names)
        return names


def exercises(path):
    """Return the exercises of a notebook, each with the cells above it."""
    cells = nbformat.read(path, as_version=4).cells
    found, above = [], []
    for i, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        if "exercise" in cell.metadata.get("tags", []):
            folded = {}
            for later in cells[i + 1 :]:
                if later.cell_type == "code":
                    break
                folded |= dict(DETAILS.findall(later.source))
            name = f"{path.relative_to(ROOT / 'chapters').with_suffix('')}-{len(found) + 1}"
            found.append(Exercise(name, list(above), cell.source, folded))
        above.append(cell.source)
    return found


def answer(exercise, source):
    """Run an answer where the exercise stands, and return the value of its last line."""
    *body, last = ast.parse(source).body
    names = dict(exercise.names)
    exec(compile(ast.Module(body, []), "exercise", "exec"), names)
    return eval(compile(ast.Expression(last.value), "exercise", "eval"), names)


ALL = [exercise for path in all_notebooks() for exercise in exercises(path)]
EACH = pytest.mark.parametrize("exercise", ALL, ids=[exercise.name for exercise in ALL])


CHAPTERS = [path for path in all_notebooks() if path.parent.name != "reference"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_there_are_at_least_three(path):
    assert len(exercises(path)) >= 3


@EACH
def test_is_open_as_it_stands(exercise):
    assert not answer(exercise, exercise.cell)


@EACH
def test_has_hint_solution_and_wrong_answer(exercise):
    assert list(exercise.folded) == ["Hint", "Solution", "A wrong answer, and why"]


@EACH
def test_the_solution_is_proven(exercise):
    (solution,) = CODE.findall(exercise.folded["Solution"])
    report = answer(exercise, solution)
    assert report, report


@EACH
def test_the_wrong_answer_is_found_out(exercise):
    (wrong,) = CODE.findall(exercise.folded["A wrong answer, and why"])
    report = answer(exercise, wrong)
    statuses = {verdict.status for verdict in report.verdicts}
    assert statuses & {"refuted", "shape error"}, report
    assert statuses <= {"proven", "proven at", "refuted", "shape error"}, report


@EACH
def test_the_check_is_the_same_in_question_and_answers(exercise):
    checks = {
        ast.unparse(ast.parse(source).body[-1])
        for source in [exercise.cell, *CODE.findall("".join(exercise.folded.values()))]
    }
    assert len(checks) == 1
