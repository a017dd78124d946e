"""What runs the cells of a page, tested where it can be reached most easily: here."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
import sympy as sp
from matplotlib.figure import Figure

from website.live import notebook as runner


@pytest.fixture
def ran(monkeypatch):
    """Run cells one after the other, and return whether each ended well and what all have sent."""
    main = type(sys)("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    sent = []
    notebook = runner.Notebook(sent.append)

    def go(*sources):
        sent.clear()
        return [notebook.run(source) for source in sources], list(sent)

    go.notebook = notebook
    return go


def printed(sent):
    return "".join(output["text"] for output in sent if output["kind"] == "stream")


def test_cells_share_names_and_the_last_expression_is_shown(ran):
    well, sent = ran("a = 6\nprint('p')", "a * 7", "a;", "", "None")
    assert well == [True] * 5
    assert printed(sent) == "p\n"
    assert [o["data"] for o in sent if o["kind"] == "rich"] == ["42"]


def test_a_semicolon_hides_the_value_but_not_the_work(ran):
    _, sent = ran("found = []\nfound.append(1);", "print(found)")
    assert printed(sent) == "[1]\n"


def test_what_was_defined_is_forgotten_on_request(ran):
    ran("a = 1")
    ran.notebook.forget()
    (well,), sent = ran("a")
    assert not well
    assert sent[-1]["text"].endswith("NameError: name 'a' is not defined\n")


def test_a_traceback_begins_at_the_cell_and_shows_its_lines(ran):
    _, sent = ran("def f(x):\n    return 1 / x", "f(0)")
    lines = sent[-1]["text"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == '  File "cell [2]", line 1, in <module>'
    assert '  File "cell [1]", line 2, in f' in lines
    assert "    return 1 / x" in lines
    assert lines[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("source", ["if", "x = = 2", "raise SystemExit", "raise KeyboardInterrupt"])
def test_no_cell_ends_python(ran, source):
    (well,), sent = ran(source)
    assert not well
    assert sent[-1]["kind"] == "error"
    assert "runner" not in sent[-1]["text"]


def test_streams_are_put_back_and_too_much_is_cut(ran):
    before = sys.stdout, sys.stderr
    (well,), sent = ran("import sys\nsys.stderr.write('e')\nprint('x' * 99_000)\nprint('y' * 5000)")
    assert well
    assert (sys.stdout, sys.stderr) == before
    assert {o["name"] for o in sent if o["kind"] == "stream"} == {"stdout", "stderr"}
    text = printed(sent)
    assert 100_000 < len(text) < 100_100
    assert text.endswith("(only the first 100000 characters are shown)\n")


def test_each_value_is_shown_in_its_best_form():
    class Page:
        def _repr_markdown_(self):
            return "**m**"

        def _repr_html_(self):
            return "<b>h</b>"

    assert runner.form_of(Page())["mime"] == "text/html"
    assert runner.form_of(Page) == {"mime": "text/plain", "data": repr(Page), "text": repr(Page)}
    assert runner.form_of(sp.Symbol("x"))["mime"] == "text/latex"
    assert runner.form_of(np.arange(2))["data"] == "array([0, 1])"
    assert runner.form_of(Figure())["mime"] == "image/png"


def test_figures_of_pyplot_are_shown_once(ran):
    mpl.use("agg")
    _, sent = ran("import matplotlib.pyplot as plt\nplt.plot([1, 2]);", "1")
    assert [o["mime"] for o in sent if o["kind"] == "rich"] == ["image/png", "text/plain"]


def test_only_what_a_cell_needs_runs_before_it():
    cells = [
        "import numpy as np",
        "a = np.ones(2)",
        "unrelated = 1",
        "def double(x):\n    return 2 * x + a",
        "a = a + 1",
        "def forward(x):\n    return double(x)\n\n\nforward(1)",
        "def forward(x):\n    y = x\n    return y\n\n\nforward(1)",
        "sum(a for a in range(3)), len([])",
        "broken =",
    ]
    assert runner.needed(cells, 5, []) == [0, 1, 3]
    assert runner.needed(cells, 5, [0, 4]) == [1, 3]
    assert runner.needed(cells, 4, []) == [0, 1]
    assert runner.needed(cells, 6, []) == []
    assert runner.needed(cells, 7, []) == []
    assert runner.needed(cells, 8, []) == []
    assert runner.names_used("x = x + 1") == {"x"}
    assert runner.names_defined("import os.path as p\nfrom a import b\nfor i in c:\n    d = i") == {
        "p",
        "b",
        "i",
        "d",
    }
