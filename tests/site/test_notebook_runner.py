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
    monkeypatch.setattr("builtins.input", input)  # to be put back
    notebook = runner.Notebook(sent.append)

    def go(*sources):
        sent.clear()
        return [notebook.run(source) for source in sources], list(sent)

    go.notebook, go.sent = notebook, sent
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
    ran.notebook.run("def f(x):\n    return 1 / x", "cell 3")
    assert not ran.notebook.run("f(0)", "cell 7")
    lines = ran.sent[-1]["text"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == '  File "cell 7", line 1, in <module>'
    assert '  File "cell 3", line 2, in f' in lines
    assert "    return 1 / x" in lines
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_a_function_is_told_by_the_text_that_its_cell_had(ran):
    ran.notebook.run("def f(x):\n    return 1 / x", "cell 3")
    for _ in range(2):
        ran.notebook.run("def g(x):\n    return 2 / x", "cell 3")
    for call, place, line in (
        ("f(0)", '  File "cell 3", line 2, in f', "    return 1 / x"),
        ("g(0)", '  File "cell 3, run 2", line 2, in g', "    return 2 / x"),
    ):
        ran.notebook.run(call, "cell 4")
        lines = ran.sent[-1]["text"].splitlines()
        assert lines[lines.index(place) + 1] == line


def test_a_question_of_ours_is_in_no_traceback(ran):
    ran.notebook.run("def f(x):\n    return 1 / x", "your code")
    ran.notebook.run("f(0)", "<axes>")
    lines = ran.sent[-1]["text"].splitlines()
    assert lines[1] == '  File "your code", line 2, in f'
    ran.notebook.run("from backprop_lib.layer import layer_in; layer_in({})", "<axes>")
    assert ran.sent[-1]["text"].startswith("TypeError: there is no forward; expected in the code\n")


def test_input_says_that_it_is_not_here(ran):
    (well,), sent = ran("input('How many? ')")
    assert not well
    assert (
        "RuntimeError: input() is not here: nothing can be typed in while a cell runs"
        in (sent[-1]["text"])
    )


def test_what_is_printed_goes_line_by_line_and_much_of_it_together(ran):
    _, sent = ran("print('a', 'b')\nprint('c', end='')\nprint('d')")
    assert [output["text"] for output in sent] == ["a b\n", "cd\n"]
    _, sent = ran("for i in range(20_000):\n    print(i)")
    assert printed(sent).startswith("0\n1\n2\n")
    assert len(printed(sent)) == runner.MOST + len(
        "\n... (only the first 100000 characters are shown)\n"
    )
    assert len(sent) < 2 * runner.AT_ONCE


def test_outputs_keep_their_order(ran):
    source = (
        "import sys\nprint('a', end='', file=sys.stderr)\nprint('b', end='')\n"
        "display(1)\nprint('c', end='')\n1 / 0"
    )
    _, sent = ran(source)
    assert [output["text"][:5] for output in sent] == ["a", "b", "1", "c", "Trace"]


def test_values_are_shown_until_there_are_too_many(ran):
    _, sent = ran("for i in range(2000):\n    display(i)", "'another cell'")
    shown = [output["text"] for output in sent if output["kind"] == "rich"]
    assert shown == [*map(str, range(runner.MOST_SHOWN)), "'another cell'"]
    assert printed(sent) == "... (only the first 200 values of a cell are shown)\n"


def test_values_are_shown_until_they_are_too_long(ran):
    source = (
        "class Long:\n    def _repr_html_(self):\n        return 'x' * 3_000_000\n"
        "for _ in range(9):\n    display(Long())"
    )
    _, sent = ran(source)
    assert sum(output["kind"] == "rich" for output in sent) == 2
    assert printed(sent).count("not shown") == 1


def test_a_long_value_and_a_long_error_lose_their_middle(ran):
    _, sent = ran("'a' * 500_000 + 'end'", "raise ValueError('b' * 500_000 + 'end')")
    for output, most in zip(sent, (runner.MOST, runner.MOST_OF_ERROR), strict=True):
        assert most < len(output["text"]) < most + 100
        assert "characters are left out)" in output["text"]
        assert output["text"].rstrip().rstrip("'").endswith("end")


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
