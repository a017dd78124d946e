"""Every page, in a browser: it loads, asks nobody else, is typeset, fits, and is accessible.

What fits is not torn apart for it: outputs keep their lines, and drawings the size of their labels.
"""

import re
from html import unescape
from urllib.parse import urldefrag, urljoin

import pytest
import yaml
from axe import violations
from conftest import ROOT, SCREENS, switch_theme
from playwright.sync_api import expect

from website.book_site import counts

BOOK = ROOT / "_build" / "html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
CHAPTERS = [chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]]
PAGES = [TOC["root"], *CHAPTERS, "index", "search", "genindex"]
WITHOUT_MATHEMATICS = {"chapters/reference/api", "chapters/reference/bibliography"}
MATHEMATICS = [page for page in [TOC["root"], *CHAPTERS] if page not in WITHOUT_MATHEMATICS]
WITH_DRAWINGS = WITH_EQUATIONS = [
    page for page in CHAPTERS if re.search("notation|/layers/|/ops/", page)
]
WHERE_FORMULAS_ARE_JUDGED = "chapters/notation"
FORMULAS = "mjx-container"
ALWAYS = "chapters/layers/linear"
"""The page that make test judges by the rules of accessibility, too."""


@pytest.mark.parametrize("name", PAGES)
def test_page(visit, address, name):
    """A page is opened once, and seen light and narrow, then dark and wide: opening takes long."""
    seen = visit(name, "light", "narrow")
    page = seen.page
    if name in MATHEMATICS:
        mathematics_is_typeset(page)
    assert brightness(page) > 240
    fits(page)
    labels_can_be_read(page)
    width, height = SCREENS["wide"]
    page.set_viewport_size({"width": width, "height": height})
    switch_theme(page, "dark")
    assert brightness(page) < 40
    if name in WITH_DRAWINGS:
        drawings_have_the_colour_of_the_text(page)
    fits(page)
    no_line_is_torn(page)
    if name in WITH_EQUATIONS:
        links_lead_to_numbered_equations(page)
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith((address, "data:"))] == []


@pytest.mark.parametrize(
    "name",
    [page if page == ALWAYS else pytest.param(page, marks=pytest.mark.thorough) for page in PAGES],
)
def test_a_page_breaks_no_rule_of_accessibility(visit, name):
    page = visit(name, "light", "narrow").page
    assert violations(page, "none" if name == WHERE_FORMULAS_ARE_JUDGED else FORMULAS) == []
    width, height = SCREENS["wide"]
    page.set_viewport_size({"width": width, "height": height})
    switch_theme(page, "dark")
    assert violations(page, FORMULAS) == []


def test_a_page_is_dark_from_the_beginning_where_the_system_is(visit):
    seen = visit(WHERE_FORMULAS_ARE_JUDGED, "dark", "wide")
    assert brightness(seen.page) < 40
    mathematics_is_typeset(seen.page)
    fits(seen.page)
    assert seen.complaints == []


def brightness(page):
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", background)[:3])) / 3


def fits(page):
    """Nothing is wider than the window."""
    wide = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    content, window = page.evaluate(wide)
    assert content <= window


def no_line_is_torn(page):
    """Code and outputs keep their lines, those that are folded, too."""
    torn = page.evaluate(
        """() => {
        const folded = [...document.querySelectorAll("details:not([open])")];
        for (const details of folded) details.open = true;
        const boxes = [...document.querySelectorAll("#main-content pre")];
        const before = boxes.map((box) => box.scrollHeight);
        for (const box of boxes) box.style.whiteSpace = "pre";
        const torn = boxes.filter((box, place) => box.scrollHeight < before[place]);
        for (const box of boxes) box.style.whiteSpace = "";
        for (const details of folded) details.open = false;
        return torn.map((box) => box.textContent.slice(0, 100));
    }"""
    )
    assert torn == []


def labels_can_be_read(page):
    """The letters of a drawing, which matplotlib draws 100 units high, are 9 pixels high."""
    low = page.evaluate(
        """() => [...document.querySelectorAll("div.cell_output svg[role=img]")].map((drawing) => {
        const labels = [...drawing.querySelectorAll("g[transform*='scale(0.']")];
        const heights = labels.map((label) => {
            const {a, b} = label.getScreenCTM();
            return 100 * Math.hypot(a, b);
        });
        return [drawing.getAttribute("aria-label").slice(0, 100), Math.min(...heights)];
    }).filter(([, height]) => height < 8.99)"""
    )
    assert low == []


def mathematics_is_typeset(page):
    formulas = page.locator(".math").count()
    assert formulas > 0
    assert page.locator("mjx-container").count() >= formulas
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    text = page.locator("article").inner_text()
    assert not re.search(r"\\\(|\\\[|\$\$|\\frac|\{eq\}|\{cite\}", text)


def drawings_have_the_colour_of_the_text(page):
    drawings = page.locator("div.cell_output svg[role=img]")
    assert drawings.count() >= 1
    colours = page.evaluate(
        """() => [...document.querySelectorAll("div.cell_output svg[role=img]")].map(svg => [
            getComputedStyle(svg).color, getComputedStyle(document.body).color,
            getComputedStyle(svg.parentElement).backgroundColor])"""
    )
    for drawing, text, background in colours:
        assert drawing == text
        assert background == "rgba(0, 0, 0, 0)"
    for drawing in drawings.all():
        assert len(drawing.get_attribute("aria-label")) > 40


def links_lead_to_numbered_equations(page):
    links = page.locator("article a.reference[href^='#equation-']")
    assert links.count() >= 3
    assert re.fullmatch(r"\(\d+\.\d+\)", links.first.inner_text())
    links.first.click()
    expect(page.locator(":target")).to_be_in_viewport()


def test_every_judged_statement_leads_to_its_chapter(visit):
    page = visit("chapters/reference/errata").page
    links = page.locator("article a.reference[href*='.html#equation-']")
    assert links.count() >= 33
    texts = links.all_inner_texts()
    assert all(re.fullmatch(r"\(\d+\.\d+\)", text) for text in texts)


def test_no_line_begins_with_a_comma(visit):
    """Formula and the punctuation behind it stand on one line, at 400 px too."""
    page = visit("chapters/notation", screen="narrow").page
    torn = page.evaluate(
        """() => [...document.querySelectorAll("article mjx-container:not([display])")]
        .map(formula => formula.closest(".math"))
        .filter(formula => /^[,.;:)]/.test(formula.nextSibling?.textContent ?? ""))
        .filter(formula => {
            const range = document.createRange();
            range.setStart(formula.nextSibling, 0);
            range.setEnd(formula.nextSibling, 1);
            return range.getBoundingClientRect().left < formula.getBoundingClientRect().right - 2;
        }).map(formula => formula.parentElement.textContent)"""
    )
    assert torn == []


def test_hints_and_solutions_open(visit):
    page = visit("chapters/layers/linear").page
    folded = page.locator("article details:not(.hide)")
    assert folded.count() == 12
    solution = folded.filter(has_text="Solution").first
    expect(solution.locator("pre")).to_be_hidden()
    solution.locator("summary").click()
    expect(solution.locator("pre")).to_be_visible()


def test_the_theme_can_be_switched_and_stays(visit):
    page = visit("chapters/notation").page
    colour = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(colour)
    for _ in range(3):
        if page.evaluate(colour) != before:
            break
        page.locator("button.theme-switch-button:visible").click()
    after = page.evaluate(colour)
    assert after != before
    page.reload()
    assert page.evaluate(colour) == after


def test_every_link_inside_the_book_leads_somewhere():
    top = "https://example.org/book/"
    targets = {}
    for name in PAGES:
        text = (BOOK / f"{name}.html").read_text(encoding="utf8")
        for href in re.findall(r'<a\s[^>]*?\bhref="([^"]+)"', text):
            link = urldefrag(urljoin(f"{top}{name}.html", unescape(href)))
            if link.url.startswith(top):
                targets.setdefault(link.url, set()).add(link.fragment)
    assert len(targets) >= len(PAGES)
    for url, fragments in targets.items():
        file = BOOK / url.removeprefix(top).split("?")[0]
        assert file.is_file(), url
        if file.suffix == ".html":
            ids = set(re.findall(r'\bid="([^"]+)"', file.read_text(encoding="utf8")))
            assert fragments - {""} <= ids, (url, fragments - {""} - ids)


def test_the_landing_page_tells_what_the_errata_counted(visit):
    text = visit(TOC["root"]).page.locator("article").inner_text()
    counted = counts(ROOT / "chapters" / "reference" / "errata.ipynb")
    for verdict in ("statements", "holds", "holds for (N, C) only", "shape error", "refuted"):
        assert re.search(rf"\b{counted[verdict]}\b", text), verdict
    assert "{{" not in text


def test_the_page_of_the_library_links_its_equations_and_names(visit):
    page = visit("chapters/reference/api").page
    for name in ("layers.linear.backward", "ops.max.forward", "proof.prove", "shapes.shaped"):
        assert page.locator(f'dt[id="backprop_lib.{name}"]').count() == 1, name
    (label,) = page.locator('dd:has(a[href*="linear.html#equation-linear-dw"])').all()[:1]
    assert "dW[o, i]" in label.inner_text()


def test_a_notebook_can_be_downloaded(visit):
    page = visit("chapters/layers/linear").page
    href = page.locator(".dropdown-download-buttons a[href$='.ipynb']").first.get_attribute("href")
    file = (BOOK / "chapters" / "layers" / href).resolve()
    assert file.read_text(encoding="utf8") == (
        ROOT / "chapters" / "layers" / "linear.ipynb"
    ).read_text(encoding="utf8")
