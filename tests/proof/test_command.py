"""python -m backprop_lib.proof: the report on the output, the answer in the exit status."""

import time

import pytest

from backprop_lib.proof import __main__ as command

MINE = """
def up(x, s):
    return s * x * x, (x, s)

def down(dy, x, s):
    return 2 * s * x * dy

def wrong(dy, x, s):
    return s * x * dy

def forward(x):
    return x + x, ()

def backward(dy):
    return 2 * dy

broken = 3

def closure(x):
    return x * x, lambda dy: 2 * x * dy
"""
OBJECTS = """
import numpy as np

class Kept:
    def __init__(self, W):
        self.table, self.left = [W], [None]

    def forward(self, x):
        self.x = x
        return x @ self.table[0]

    def backward(self, dy):
        dx = dy @ self.table[0].T
        self.left[0] = self.x.T @ dy
        dy *= 2
        return dx

class Scale:
    def __init__(self, factor=2.0):
        self.factor = factor

    def forward(self, x):
        return self.factor * x

    def backward(self, dy):
        return self.factor * dy

scale = Scale(0.5)
"""
SHAPE = ["--shape", "x=N C"]
KEPT = ["objects.py:Kept", *SHAPE, "--shape", "W=C D", "--param", "W=table[0]"]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE, encoding="utf8")
    (tmp_path / "objects.py").write_text(OBJECTS, encoding="utf8")
    (tmp_path / "alone.py").write_text("def forward(x):\n    return x, ()\n", encoding="utf8")
    (tmp_path / "empty.py").write_text("import numpy as np\n", encoding="utf8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_module_is_proven(capsys):
    assert command.main(["backprop_lib.layers.linear"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("dx: proven for all sizes\n")
    assert printed.err == ""


@pytest.mark.parametrize(
    ("arguments", "status", "out"),
    [
        (["mine.py", *SHAPE], 0, "dx: proven"),
        (["mine", *SHAPE], 0, "dx: proven"),
        (["mine.py:up,down", *SHAPE, "--const", "s=0.3"], 0, "dx: proven"),
        (["mine.py:up,wrong", *SHAPE, "--const", "s=0.3"], 1, "dx: refuted"),
        (["mine.py:closure", *SHAPE], 0, "dx: proven"),
        (["objects.py", *SHAPE], 0, "dx: proven"),
        (["objects.py:scale", *SHAPE], 0, "dx: proven"),
        (["objects.py:Scale", *SHAPE, "--const", "factor=3"], 0, "dx: proven"),
        ([*KEPT, "--grad", "W=left[0]", "--may-change-dy"], 0, "dx: proven"),
        ([*KEPT, "--grad", "W=left[0]"], 2, ""),
        ([*KEPT, "--may-change-dy"], 2, ""),
        (["objects.py:Missing", *SHAPE], 2, ""),
        (["alone.py", *SHAPE], 2, ""),
        (["empty.py", *SHAPE], 2, ""),
        (["mine.py:up,down", *SHAPE, "--shape", "s="], 2, ""),
        (["mine.py:forward", *SHAPE], 2, ""),
        (["mine.py:forward,broken", *SHAPE], 2, ""),
        (["mine.py"], 2, ""),
        (["other.py", *SHAPE], 2, ""),
        (["no_such_module"], 2, ""),
        (["mine.py", *SHAPE, "--size", "N=2"], 2, ""),
    ],
)
def test_the_exit_status_is_the_answer(arguments, status, out, mine, capsys):
    assert command.main(arguments) == status
    printed = capsys.readouterr()
    assert printed.out.startswith(out)
    assert bool(printed.out) == (status < 2)
    assert printed.err.startswith("error: ") == (status == 2)


@pytest.mark.parametrize(
    "arguments",
    [[], ["mine.py", "--shape", "x"], ["mine.py", "--const", "s=("], ["mine.py", "--size", "1=2"]],
)
def test_misuse_is_explained(arguments, mine, capsys):
    with pytest.raises(SystemExit) as exit_:
        command.main(arguments)
    assert exit_.value.code == 2
    assert "usage: python -m backprop_lib.proof" in capsys.readouterr().err


def test_what_takes_long_is_announced(monkeypatch, capsys):
    monkeypatch.setattr(command, "SECONDS", 0.01)
    announced = command._Announced()
    announced("formulas for all sizes")
    time.sleep(0.2)
    announced("dx at small sizes")
    announced.done()
    time.sleep(0.1)
    assert capsys.readouterr().err == "... formulas for all sizes\n"


STOPPED = """
import numpy as np

def root(x):
    return np.cbrt(x)

def forward(x):
    y = root(x)
    return y, y

def backward(dy, y):
    return dy / (3 * y * y)

def fails(x):
    raise ValueError("never")
"""


def test_a_line_that_is_not_followed_is_named_with_its_file(mine, capsys):
    (mine / "below").mkdir()
    (mine / "below" / "stopped.py").write_text(STOPPED, encoding="utf8")
    assert command.main(["below/stopped.py", *SHAPE]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("dx: undecided for all sizes: forward uses np.cbrt, which is not ")
    assert out[1] == "  below/stopped.py:5, in root: return np.cbrt(x)"


def test_a_line_that_fails_is_named_with_its_file(mine, capsys):
    (mine / "stopped.py").write_text(STOPPED, encoding="utf8")
    assert command.main(["stopped.py:fails,backward", *SHAPE]) == 2
    assert capsys.readouterr().err == (
        'error: ValueError: never\n  stopped.py:15, in fails: raise ValueError("never")\n'
    )
