"""Break the library's code: the notebooks' own asserts must notice, without the unit tests."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from mutants import code_of

LINEAR = ROOT / "chapters" / "layers" / "linear.ipynb"
BREAKS = {
    "transpose": ("dW = dy.T @ x", "dW = (x.T @ dy).reshape(W.shape)"),
    "sign": ("dx = dy @ W", "dx = -dy @ W"),
    "missing sum": ("db = dy.sum(axis=0)", "db = dy[0] if len(dy) else dy.sum(axis=0)"),
    "factor 1/N": ("dW = dy.T @ x", "dW = dy.T @ x / max(len(x), 1)"),
    "swapped outputs": ("return dx, dW, db", "return dx[:], dW, db[::-1]"),
    "order of outputs": ("return dx, dW, db", "return dW, dx, db"),
}


def run(code, library):
    """Run code in a new Python that finds `library` before the installed one."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=library,
        env=os.environ | {"PYTHONPATH": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def library(tmp_path):
    """A copy of the library that a test may break."""
    shutil.copytree(ROOT / "backprop_lib", tmp_path / "backprop_lib")
    return tmp_path


def test_the_chapter_passes_with_the_library_as_it_is(library):
    where = run("import backprop_lib; print(backprop_lib.__file__)", library).stdout
    assert str(library) in where
    result = run(code_of(LINEAR), library)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", BREAKS)
def test_the_chapter_fails_with_a_broken_backward(name, library):
    module = library / "backprop_lib" / "layers" / "linear.py"
    good = module.read_text(encoding="utf8")
    old, new = BREAKS[name]
    assert good.count(old) == 1
    module.write_text(good.replace(old, new), encoding="utf8")
    result = run(code_of(LINEAR), library)
    assert result.returncode == 1
    assert "Error" in result.stderr.splitlines()[-1], result.stderr
