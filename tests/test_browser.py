"""The tests find a Chromium or get one, and say in one line why there is none."""

import os
import re
import socket
import subprocess
import sys

import browser
import pytest
from conftest import ROOT

SCRIPT = [sys.executable, str(ROOT / "scripts" / "browser.py")]
STARTS = "#!/bin/sh\necho Chromium 1.2.3\n"
FAILS = "#!/bin/sh\necho 'a library is missing' >&2\nexit 127\n"


def program(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a folder that is all of PATH; there is no other Chromium, and none to be had."""

    def nothing():
        raise RuntimeError("there is no network")

    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(browser, "unpack_carried", nothing)
    monkeypatch.setattr(browser, "download", nothing)
    return tmp_path / "bin"


def refused(**how):
    with pytest.raises(browser.NoBrowserError) as error:
        browser.chromium(**how)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_one_that_is_named_comes_first(machine, monkeypatch):
    program(machine, "chromium", STARTS)
    named = program(machine / "mine", "some-browser", STARTS)
    monkeypatch.setenv("CHROMIUM", named)
    assert browser.chromium() == named
    assert browser.chromium(own=True) == named


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot be started (No such file or directory)"),
        (FAILS, "does not start (a library is missing)"),
        ("#!/bin/sh\nexit 3\n", "does not start (it ends with 3)"),
    ],
)
def test_one_that_is_named_must_start(machine, monkeypatch, text, why):
    path = str(machine / "mine") if text is None else program(machine, "mine", text)
    program(machine, "chromium", STARTS)
    monkeypatch.setenv("CHROMIUM", path)
    assert refused() == f"CHROMIUM is {path}, which {why}: set it to a Chromium's path"


def test_then_one_on_the_machine_that_starts(machine):
    program(machine, "chromium", FAILS)
    chosen = program(machine, "google-chrome", STARTS)
    assert browser.chromium() == chosen


@pytest.mark.parametrize("is_carried", [True, False])
def test_then_one_of_our_own(machine, monkeypatch, is_carried):
    own = program(machine / "own", "own", STARTS)
    program(machine, "chromium", FAILS)
    monkeypatch.setattr(browser, "is_carried", lambda: is_carried)
    monkeypatch.setattr(browser, "unpack_carried" if is_carried else "download", lambda: own)
    assert browser.chromium() == own
    program(machine, "chromium", STARTS)
    assert browser.chromium(own=True) == own


def test_what_cannot_be_had_is_told(machine, monkeypatch):
    assert refused() == (
        "the tests need a Chromium; there is none on this machine, and none can be had (there is "
        "no network): install one (Debian, Ubuntu: apt install chromium), or set CHROMIUM to its "
        "path"
    )
    own = program(machine / "own", "own", FAILS)
    monkeypatch.setattr(browser, "unpack_carried", lambda: own)
    monkeypatch.setattr(browser, "is_carried", lambda: True)
    assert f"and {own} does not start (a library is missing)" in refused(own=True)


def test_a_missing_network_is_told_in_one_line(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        settings = {
            "CHROMIUM": "",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "npm_config_cache": str(tmp_path / "npm"),
            "npm_config_registry": address,
            "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "browsers"),
            "PLAYWRIGHT_DOWNLOAD_HOST": address,
        }
        done = subprocess.run(
            [*SCRIPT, "--own"],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert re.match(r"error: the tests need a Chromium; there is none on this machine, and", line)
    assert "connect ECONNREFUSED" in line


def test_a_path_is_printed_and_nothing_else(tmp_path):
    named = program(tmp_path, "mine", STARTS)
    done = subprocess.run(
        SCRIPT, env=os.environ | {"CHROMIUM": named}, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == (f"{named}\n", "")
