"""A chapter on paper: complete, black on white in both themes, and without what is for screens."""

import re

import pytest
from playwright.sync_api import expect
from test_typesetting import contrast

CHAPTERS = ["chapters/layers/linear", "chapters/layers/batchnorm1d"]
PAPER = {"width": 680, "height": 1000}
"""Pixels of a page of A4 between its margins."""


@pytest.fixture(params=["light", "dark"])
def printed(visit, request):
    """Open a chapter as it is while it is printed."""

    def go(name):
        page = visit(name, request.param).page
        page.set_viewport_size(PAPER)
        page.emulate_media(media="print", color_scheme=request.param)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        return page

    return go


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_printed_chapter_is_complete_and_black_on_white(printed, name):
    page = printed(name)
    expect(page.locator("article h1")).to_have_text(re.compile(r"^\d+\. "))
    everything = page.locator("article :is(p, pre, li, mjx-container, svg[role=img])")
    unseen = everything.evaluate_all(
        """all => all.filter((one) => !one.closest("details.hide > summary"))
        .filter((one) => !one.checkVisibility({opacityProperty: true, visibilityProperty: true}))
        .map((one) => one.textContent.slice(0, 80))"""
    )
    assert everything.count() > 100
    assert unseen == []
    cut = page.evaluate(
        """() => [...document.querySelectorAll("article *")].filter((box) =>
            getComputedStyle(box).overflowX !== "visible" && box.scrollWidth > box.clientWidth + 1
            && !box.closest("mjx-math, mjx-assistive-mml, svg"))
            .map((box) => box.outerHTML.slice(0, 80))"""
    )
    assert cut == []
    white = "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == white
    for text in ("p", "h2", "pre", "td", "a.reference", "summary"):
        assert contrast(page.locator(f"article {text}:visible").first) > 6, text


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_printed_box_goes_on_where_the_page_ends(printed, name):
    """A box whose inside keeps together is empty to the end of a page, and full on the next."""
    kept = printed(name).evaluate(
        """() => [...document.querySelectorAll("article pre")].filter((code) => {
        for (let box = code; box.localName !== "article"; box = box.parentElement) {
            const {breakInside, overflowY} = getComputedStyle(box);
            if (breakInside !== "auto" || overflowY !== "visible") return true;
        }
    }).length"""
    )
    assert kept == 0


def test_what_is_for_screens_is_not_printed(printed):
    page = printed(CHAPTERS[0])
    assert page.locator(":is(button, input, nav, .headerlink):visible").all_inner_texts() == []
    assert page.locator("h1:visible").count() == 1


def test_a_page_is_as_before_when_it_was_printed(visit):
    page = visit(CHAPTERS[0], "dark").page
    own = page.locator("article details", has_text="Solution").first
    own.locator("summary").click()
    was = "[...document.querySelectorAll('details')].map((one) => one.open)"
    before = page.evaluate(was)
    assert True in before
    assert False in before
    page.evaluate(
        "addEventListener('beforeprint', () => { window.meanwhile = "
        f"[{was}.includes(false), document.documentElement.dataset.theme]; }})"
    )
    page.pdf()
    folded, theme = page.evaluate("window.meanwhile")
    assert theme == "light"
    assert not folded
    assert page.evaluate(was) == before
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
