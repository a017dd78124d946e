"""The steps that make a website of the book: their order, and when none is taken."""

import importlib
import re
from types import SimpleNamespace

import pytest
from conftest import ROOT
from sphinx.events import EventManager

from website import extension

EVENTS = sorted({event for event, _ in extension.STEPS})


class Book(EventManager):
    """Sphinx's events; of all else that an extension asks for, nothing is done."""

    def __init__(self, builder):
        super().__init__(SimpleNamespace(pdb=True, builder=SimpleNamespace(format=builder)))
        self.events.update(dict.fromkeys(EVENTS, ""))

    def __getattr__(self, name):
        return lambda *_, **__: None


@pytest.fixture
def taken(monkeypatch):
    """Let each step note that it is taken, and return what a build takes."""

    def build(event, builder="html", error=None):
        done = []
        steps = [(at, noting(done, step.__name__)) for at, step in extension.STEPS]
        monkeypatch.setattr(extension, "STEPS", steps)
        book = Book(builder)
        extension.setup(book)
        book.connect(event, noting(done, "the theme's"), 501)
        book.emit(event, *([error] if event == extension.FINISHED else []))
        return done

    return build


def noting(done, name):
    return lambda *_: done.append(name)


@pytest.mark.parametrize("event", EVENTS)
def test_the_steps_come_after_the_themes_in_the_order_of_the_list(taken, event):
    listed = [step.__name__ for at, step in extension.STEPS if at == event]
    assert taken(event) == ["the theme's", *listed]


@pytest.mark.parametrize("how", [{"builder": "latex"}, {"error": ValueError("broken page")}])
def test_a_build_that_failed_or_makes_no_html_is_left_alone(taken, how):
    assert taken(extension.FINISHED, **how) == ["the theme's"]


def test_the_configuration_names_one_extension_of_ours():
    text = (ROOT / "_config.yml").read_text(encoding="utf8")
    (ours,) = re.findall(r"- (website\S*)$", text, re.MULTILINE)
    assert importlib.import_module(ours) is extension
