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
"""
SHAPE = ["--shape", "x=N C"]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE, encoding="utf8")
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
