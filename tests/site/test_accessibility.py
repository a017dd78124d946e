"""What works without a mouse, and without eyes: live cells by axe-core's rules, and the keyboard.

The pages as they are first opened are judged in test_pages.py, which opens each of them, and live
cells after a reader's session in test_live_cells.py.
"""

import pytest
from axe import breaks_no_rule
from conftest import START, make_live
from playwright.sync_api import expect

LINEAR, WORKBENCH = "chapters/layers/linear", "chapters/your_gradient"
EVERY_KIND_OF_OUTPUT = """
import sys
import matplotlib.pyplot as plt
import sympy as sp
print("told " * 60)
print("warned", file=sys.stderr)
plt.plot([1, 3, 2])
display(plt.gcf())
display(sp.sqrt(sp.Symbol("x") / 2))
display(sp.Matrix([sp.symbols("long_name_0:30")]))
1 / 0
"""


def show_every_kind_of_output(page):
    page.locator(".live-editor .cm-content").first.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(EVERY_KIND_OF_OUTPUT)
    page.keyboard.press("Shift+Enter")
    cell = page.locator("div.cell").first
    expect(cell.locator(".live-state")).to_have_text("ended with an error", timeout=START)
    for kind in (".stream", ".stderr", "img", ".text_latex mjx-container", ".traceback"):
        expect(cell.locator(kind).first).to_be_visible()


def test_the_workbench_breaks_no_rule(visit):
    page = visit(WORKBENCH, screen="narrow").page
    status = page.locator("#prove-your-own .live-status")
    expect(page.locator("#prove-your-own .cm-content")).to_be_visible()
    breaks_no_rule(page)
    for example, answer in (("linear, wrong", "refuted: dW"), ("LayerNorm", "All is proven")):
        page.get_by_label("Start from").select_option(example)
        page.get_by_role("button", name="Prove", exact=True).click()
        expect(status).to_contain_text(answer, timeout=START)
        breaks_no_rule(page)


REMEMBER_LOOKS = """() => {
    window.look = (element) => {
        const {outlineStyle, outlineWidth, boxShadow} = getComputedStyle(element);
        return outlineStyle === "none" ? boxShadow : outlineWidth + boxShadow;
    };
    window.looks = new Map([...document.querySelectorAll("*")].map((e) => [e, look(e)]));
}"""
STOP = """async () => {
    const stop = document.activeElement;
    if (stop === document.body) return null;
    const moves = document.getAnimations().filter((move) => move instanceof CSSTransition);
    await Promise.allSettled(moves.map(({finished}) => finished));
    const some = [0.05, 0.5, 0.95];
    const places = [...stop.getClientRects()].flatMap(({left, top, width, height}) =>
        some.flatMap((x) => some.map((y) => [left + x * width, top + y * height])));
    const framed = stop.closest(".cm-editor") ?? stop;
    if (framed !== stop) await new Promise((resolve) => setTimeout(resolve, 50)); // its frame comes
    return {
        name: `${stop.tagName} ${stop.ariaLabel ?? (stop.textContent.trim() || stop.title)}`
            .replace(/\\s+/g, " ").slice(0, 60),
        isSeen: places.some(([x, y]) => stop.contains(document.elementFromPoint(x, y))),
        looksOtherwise: look(framed) !== looks.get(framed),
        isFormula: stop.tagName === "MJX-CONTAINER" && stop.scrollWidth <= stop.clientWidth,
        isEditor: framed !== stop,
        place: [...document.querySelectorAll("*")].indexOf(stop),
    };
}"""


def stops(page):
    """Press Tab from the beginning to the end of a page; return where it stopped."""
    page.emulate_media(reduced_motion="reduce")  # the page scrolls at once
    page.evaluate(REMEMBER_LOOKS)
    found = []
    page.keyboard.press("Tab")
    while stop := page.evaluate(STOP):
        found.append(stop)
        assert [earlier["place"] for earlier in found].count(stop["place"]) == 1, (
            f"the page keeps the focus: {[earlier['name'] for earlier in found[-3:]]}"
        )
        if stop["isEditor"]:
            page.keyboard.press("Escape")
        page.keyboard.press("Tab")
    return found


def are_in_order_and_seen(found):
    places = [stop["place"] for stop in found]
    assert places == sorted(places)
    assert [stop["name"] for stop in found if not stop["isSeen"]] == []
    assert [stop["name"] for stop in found if not stop["looksOtherwise"]] == []
    assert [stop["name"] for stop in found if stop["isFormula"]] == []


@pytest.mark.parametrize("screen", ["wide", pytest.param("narrow", marks=pytest.mark.thorough)])
def test_the_tab_key_goes_through_a_chapter_in_its_order(visit, screen):
    page = visit(LINEAR, screen=screen).page
    found = stops(page)
    are_in_order_and_seen(found)
    names = [stop["name"] for stop in found]
    assert names[0] == "A Skip to main content"
    assert names.index("BUTTON Run this page") < names.index("BUTTON Color mode")


def test_the_skip_link_leads_to_the_text(visit):
    page = visit(LINEAR).page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_live_cells_go_by_keyboard_in_their_order_and_break_no_rule(visit):
    page = visit(LINEAR, screen="narrow").page
    make_live(page)
    page.evaluate("document.activeElement.blur()")
    found = stops(page)
    are_in_order_and_seen(found)
    names = [stop["name"] for stop in found]
    editors = [name for name in names if name.startswith("DIV Python, cell ")]
    assert len(editors) >= 15
    for editor in editors:
        number = editor.removeprefix("DIV Python, cell ")
        assert names[names.index(editor) + 1] == f"BUTTON Run cell {number}"
    assert names.index("BUTTON Run all") > names.index(editors[-1])

    breaks_no_rule(page)
    show_every_kind_of_output(page)
    breaks_no_rule(page)


def test_wide_equations_scroll_by_keyboard(visit):
    page = visit(LINEAR, screen="narrow").page
    boxes = page.locator("div.math mjx-container")
    wide = "box => box.scrollWidth > box.clientWidth"
    kinds = [(box.evaluate(wide), box.get_attribute("tabindex")) for box in boxes.all()]
    assert {kind for kind in kinds if kind[0]} == {(True, "0")}
    assert {kind for kind in kinds if not kind[0]} == {(False, None)}

    box = page.get_by_role("group", name="Wide equation").first
    box.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(box).not_to_have_js_property("scrollLeft", 0)

    page.set_viewport_size({"width": 1600, "height": 900})
    expect(page.get_by_role("group", name="Wide equation")).to_have_count(0)


@pytest.mark.parametrize("name", [LINEAR, "chapters/reference/errata"])
def test_all_that_scrolls_can_have_the_focus(visit, name):
    page = visit(name, screen="narrow").page
    page.wait_for_timeout(500)  # the theme waits, too
    unreachable, scrolling = page.evaluate(
        """() => {
        const boxes = [...document.querySelectorAll("main *")].filter((box) =>
            /auto|scroll/.test(getComputedStyle(box).overflowX) && box.checkVisibility() &&
            box.scrollWidth > box.clientWidth);
        return [boxes.filter((box) => box.tabIndex < 0).map((box) => box.outerHTML.slice(0, 200)),
            boxes.length];
    }"""
    )
    assert unreachable == []
    assert scrolling >= 5


def test_code_that_loses_room_can_have_the_focus_whatever_took_it(visit):
    """The theme looks when the window changes; room can go later, and for other reasons."""
    page = visit(LINEAR).page
    page.wait_for_timeout(500)  # the theme waits, too
    name = page.locator("main pre[tabindex='-1']").first.get_attribute("id")
    code = page.locator(f"#{name}")
    for width, place in (("5em", 0), ("", -1)):
        code.evaluate("(code, width) => (code.style.width = width)", width)
        expect(code).to_have_js_property("tabIndex", place)
