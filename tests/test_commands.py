"""What make says when something is missing: one line that tells what to do."""

import ast
import os
import re
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import environment
import newest_python
import pytest
from conftest import ROOT

MAKE = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}  # a make that runs the tests has its own
SERVE = [sys.executable, str(ROOT / "scripts" / "serve.py")]


def said_by(call, *arguments):
    """Return what a call says as it stops."""
    with pytest.raises(SystemExit) as stopped:
        call(*arguments)
    return stopped.value.code


def test_an_old_python_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    said = said_by(environment.main, str(tmp_path / "venv"))
    assert said.startswith("error: Python 3.11 or newer is needed")
    assert "is 3.9.18" in said
    assert "\n" not in said
    assert not (tmp_path / "venv").exists()


def test_a_python_without_venv_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    said = said_by(environment.main, str(tmp_path / "venv"))
    assert "it has no venv module" in said
    assert "\n" not in said
    assert not (tmp_path / "venv").exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    said = said_by(environment.create, str(tmp_path))
    assert "holds other files and no virtual environment" in said
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_the_environments_script_can_be_read_by_an_old_python():
    source = (ROOT / "scripts" / "environment.py").read_text(encoding="utf8")
    ast.parse(source, feature_version=(3, 6))


def test_a_missing_network_is_told_in_one_line(monkeypatch, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_RETRIES", "1")
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        command = [sys.executable, "-m", "pip", "download", "--dest", str(tmp_path), "six==1.17.0"]
        said = said_by(environment.install, command)
    assert said == (
        "error: the packages cannot be downloaded: there is no network. Run the command again"
    )


def test_any_other_failure_of_pip_is_shown_whole():
    said = said_by(environment.install, [sys.executable, "-m", "pip", "install", "-r", "nowhere"])
    assert said.startswith("error: pip could not install the packages:\n")
    assert "nowhere" in said


def test_a_missing_python_is_named(tmp_path):
    command = ["make", "--no-print-directory", "serve", "PYTHON=python9", f"VENV={tmp_path}/venv"]
    alone = {name: value for name, value in os.environ.items() if name not in MAKE}
    make = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    assert make.returncode == 2
    assert make.stderr.splitlines()[0].startswith(
        "error: python9 is not there: install Python 3.11"
    )


def test_help_lists_every_target():
    listed = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    makefile = (ROOT / "Makefile").read_text(encoding="utf8")
    (phony,) = re.findall(r"^\.PHONY: (.*)", makefile, re.MULTILINE)
    assert set(re.findall(r"^make ([\w-]+) ", listed, re.MULTILINE)) == set(phony.split())


@contextmanager
def running(command):
    """Start a command, and stop it at the end."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_serve_builds_prints_its_address_and_answers(tmp_path):
    page = f"import pathlib; pathlib.Path({str(tmp_path / 'a.html')!r}).write_text('built')"
    command = [*SERVE, "--port", "0", str(tmp_path), sys.executable, "-c", page]
    with running(command) as server:
        address = next(line for line in server.stdout if "The book is at" in line).split()[4]
        with urllib.request.urlopen(f"{address}/a.html", timeout=10) as answer:
            assert answer.read() == b"built"
            assert answer.headers["Cache-Control"] == "no-cache"


def test_serve_says_that_a_port_is_in_use_before_it_builds(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        build = [sys.executable, "-c", "raise SystemExit('built')"]
        command = [*SERVE, "--port", str(port), str(tmp_path), *build]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == (
        f"error: port {port} is in use; take another one: make serve PORT={port + 1}\n"
    )


@pytest.mark.parametrize(
    ("port", "why"), [("99999", "cannot be used"), ("-1", "is no number"), ("web", "is no number")]
)
def test_serve_refuses_a_port_that_is_none(tmp_path, port, why):
    run = subprocess.run(
        [*SERVE, f"--port={port}", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stderr.startswith(f"error: port {port} {why}")
    assert run.stderr.count("\n") == 1


def test_serve_stops_if_the_book_is_not_built(tmp_path):
    build = [sys.executable, "-c", "raise SystemExit(3)"]
    command = [*SERVE, "--port", "0", str(tmp_path), *build]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == "error: the book was not built; what is wrong stands above\n"


@pytest.fixture
def pythons(tmp_path, monkeypatch):
    """Make a machine whose only Pythons are those of pyenv that are named."""

    def have(*versions):
        for version in versions:
            python = tmp_path / "versions" / version / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()
        return tmp_path / "versions"

    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    return have


def test_the_newest_python_is_the_one_of_the_largest_number(pythons):
    root = pythons("3.9.18", "3.13.9", "3.13.11", "3.14.0rc1", "3.8.0")
    assert newest_python.newest() == str(root / "3.13.11" / "bin" / "python")


def test_make_runs_in_an_environment_of_the_newest_python(pythons, tmp_path):
    root = pythons("3.13.1")
    make = [sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(7)"]
    script = [sys.executable, str(ROOT / "scripts" / "newest_python.py")]
    done = subprocess.run([*script, *make], capture_output=True, text=True, check=False)
    assert done.returncode == 7
    passed = ast.literal_eval(done.stdout)
    assert passed[:3] == ["test-library", f"PYTHON={root}/3.13.1/bin/python", "VENV=.venv-newest"]
    tests = passed[3].removeprefix("TESTS=").split()
    assert "tests/proof" in tests
    assert all((ROOT / place).exists() for place in tests)


def test_an_old_python_alone_is_told_and_is_no_fault(pythons, capsys):
    pythons("3.12.4")
    newest_python.main("make")
    assert capsys.readouterr().out.startswith("note: no Python 3.13 or newer here")
