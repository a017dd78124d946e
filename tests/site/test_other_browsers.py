"""A reader's way through the live pages in Firefox and in WebKitGTK, where they are installed."""

import json
import os
from pathlib import Path

import pytest
from axe import packages
from browser import OTHERS, NoBrowserError, other

from website.npm import node

SCRIPT = Path(__file__).with_name("journey.mjs")
PREFETCHED = "blocked the loading of a resource (default-src)"
"""What Firefox says of pages that the theme wants fetched ahead: no policy allows that."""


def command(kind):
    """Return what starts a browser, or skip; what a setting names has to be there."""
    try:
        return other(kind)
    except NoBrowserError as error:
        pytest.skip(str(error))


@pytest.mark.thorough
@pytest.mark.parametrize("kind", OTHERS)
def test_pages_run_are_stopped_and_prove(kind, address):
    done = node(SCRIPT, kind, address, packages(), *command(kind))
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    for chapter, cells in (("linear", 20), ("batchnorm1d", 38)):
        assert seen[chapter]["said"].startswith(f"All {cells} cells have run"), seen[chapter]
        assert seen[chapter]["tracebacks"] == 0
    assert seen["stopped"]["said"].startswith("Stopped. Python has started anew")
    assert seen["stopped"]["shown"] == "42"
    assert seen["proven"]["said"] == "✓ All is proven."
    assert seen["proven"]["result"].count("✓ proven for all sizes") == 3
    assert [told for told in seen["complaints"] if PREFETCHED not in told] == []


def test_what_a_setting_names_is_taken_and_has_to_start(monkeypatch, tmp_path, address):
    monkeypatch.setenv("FIREFOX", str(tmp_path / "none"))
    assert other("firefox") == [str(tmp_path / "none")]
    done = node(SCRIPT, "firefox", address, packages(), *other("firefox"))
    assert done.returncode != 0
    assert str(tmp_path / "none") in done.stderr


@pytest.mark.parametrize("kind", OTHERS)
def test_who_has_no_other_browser_is_told_what_to_install(monkeypatch, kind):
    setting, names, needed = OTHERS[kind]
    monkeypatch.delenv(setting, raising=False)
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(NoBrowserError, match=f"no {names[0]}: install it .*apt install {needed}"):
        other(kind)


def test_webkit_gets_a_screen_where_there_is_none(monkeypatch):
    monkeypatch.setenv("WEBKIT", "/usr/bin/driver")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert other("webkit") == ["xvfb-run", "--auto-servernum", "/usr/bin/driver"]
    monkeypatch.setenv("DISPLAY", ":0")
    assert other("webkit") == ["/usr/bin/driver"]
