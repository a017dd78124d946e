"""Formulas: typeset when the site is built, read without scripts, and those of code kept harmless.

That each page is typeset, and looks right, test_pages.py asks of all of them.
"""

import re
from types import SimpleNamespace

import pytest
from conftest import BOOK, SCREENS
from playwright.sync_api import expect
from sphinx.errors import ExtensionError

from website import formulas
from website.finished_pages import pages
from website.formulas import MATHJAX_FILES, Formula, mathjax_folder, typeset, with_formulas

LINEAR = "chapters/layers/linear"
INLINE = r'<span class="math notranslate nohighlight">\(a &lt; b\)</span>'
NUMBERED = (
    '<div class="math notranslate nohighlight" id="equation-e">\n<span class="eqno">(1.1)'
    r'<a class="headerlink" href="#equation-e">#</a></span>\[c\]</div>'
)
BARE = r'<div class="math notranslate nohighlight">' "\n" r"\begin{align}d\end{align}</div>"
PAGE = (
    '<html data-content_root="../"><head><link rel="stylesheet" href="../_static/book.css"></head>'
    "<body>{}</body></html>"
)


@pytest.fixture
def site(tmp_path):
    """Typeset a site of one page; return the page and the site's stylesheet."""

    def built(body):
        (tmp_path / "_static").mkdir(exist_ok=True)
        page = tmp_path / "chapters" / "page.html"
        page.parent.mkdir(exist_ok=True)
        if body is not None:
            page.write_text(PAGE.format(body), encoding="utf8")
        formulas.typeset_pages(SimpleNamespace(outdir=tmp_path))
        stylesheet = tmp_path / "_static" / "formulas.css"
        return page.read_text(encoding="utf8"), stylesheet.read_text(encoding="utf8")

    return built


def test_mathjax_is_in_its_package():
    assert all((mathjax_folder() / name).exists() for name in MATHJAX_FILES)


def test_every_way_in_which_a_formula_is_written_is_read():
    found = list(formulas.formulas(INLINE + NUMBERED + BARE))
    assert found == [
        Formula("a < b", False),
        Formula("c", True),
        Formula(r"\begin{align}d\end{align}", True),
    ]


def test_a_formula_keeps_its_place_its_number_and_its_tex():
    page = with_formulas(INLINE + NUMBERED, {Formula("a < b", False): "1", Formula("c", True): "2"})
    assert page == (
        '<span class="math notranslate nohighlight" data-tex="a &lt; b">1</span>'
        '<div class="math notranslate nohighlight" id="equation-e" data-tex="c">\n'
        '<span class="eqno">(1.1)<a class="headerlink" href="#equation-e">#</a></span>2</div>'
    )


def test_a_site_is_typeset_and_twice_is_once(site):
    page, stylesheet = site(INLINE + NUMBERED + BARE)
    assert page.count("<mjx-container ") == page.count("<math") == 3
    assert page.index("formulas.css") < page.index("book.css")
    assert "mjx-c1D44E" in stylesheet  # the letter a
    assert site(None) == (page, stylesheet)


def test_a_page_without_formulas_asks_for_nothing_more(site):
    page, _ = site("<p>No formulas.</p>")
    assert page == PAGE.format("<p>No formulas.</p>")


@pytest.mark.parametrize("latex", [r"\frac{a", r"\nosuchmacro", r"\href{x}{y}"])
def test_what_mathjax_cannot_read_is_told_with_its_page(site, latex):
    with pytest.raises(ExtensionError) as told:
        site(f'{INLINE}<span class="math notranslate nohighlight">\\({latex}\\)</span>')
    assert re.search(r"chapters/page\.html: .+: " + re.escape(latex), str(told.value))
    assert "a < b" not in str(told.value)


def test_mathjax_that_does_not_run_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(formulas, "mathjax_folder", lambda: tmp_path)
    with pytest.raises(ExtensionError, match=r"could not typeset .*:\n.*node-main"):
        typeset({Formula("a", False): "page"})


def test_no_page_of_the_book_has_raw_formulas_or_a_script_for_them():
    found = pages(BOOK)
    assert len(found) >= 18
    for path in found:
        page = path.read_text(encoding="utf8")
        assert not re.search(r'class="math[^>]*>\s*\\', page), path
        assert not re.search(r"<script[^>]*(mathjax|MathJax)", page), path


@pytest.mark.parametrize("system", ["light", "dark"])
def test_a_page_is_read_without_scripts(browser, address, system):
    context = browser.new_context(java_script_enabled=False, color_scheme=system)
    page = context.new_page()
    page.goto(f"{address}{LINEAR}.html")
    equation = page.locator("#equation-linear-dw")
    expect(equation.locator("mjx-container")).to_be_visible()
    expect(equation.locator("math")).to_have_count(1)
    letter = equation.locator("mjx-c").first
    assert letter.evaluate("letter => getComputedStyle(letter, '::before').content") != "none"
    assert contrast(page.locator("div.cell_input .highlight").first) > 7
    solution = page.locator("article details", has_text="Solution").first
    expect(solution.locator("pre")).to_be_hidden()
    solution.locator("summary").click()
    expect(solution.locator("pre")).to_be_visible()
    context.close()


def contrast(element):
    """Return the contrast of a text with what is behind it, as WCAG computes it."""
    return element.evaluate(
        """(element) => {
        const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
        let behind = element;
        const background = (at) => numbers(getComputedStyle(at).backgroundColor);
        while ((background(behind)[3] ?? 1) === 0) behind = behind.parentElement;
        const light = (colour) => {
            const [r, g, b] = colour.slice(0, 3).map((part) =>
                part <= 10 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
        };
        const both = [light(numbers(getComputedStyle(element).color)), light(background(behind))];
        return Math.max(...both) / Math.min(...both);
    }"""
    )


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize(
    "name", [LINEAR, "chapters/layers/batchnorm1d", "chapters/pointnet/speed", "chapters/notation"]
)
def test_nothing_moves_while_a_page_comes(visit, name, screen):
    page = visit(name, screen=screen).page
    moved = page.evaluate(
        """() => new Promise((resolve) => {
        new PerformanceObserver((list) => resolve(list.getEntries())).observe(
            {type: "layout-shift", buffered: true});
        setTimeout(resolve, 500, []);
    }).then((shifts) => shifts.reduce((sum, {value}) => sum + value, 0))"""
    )
    assert moved <= 0.02


def test_formulas_are_copied_as_tex(visit):
    page = visit(LINEAR).page
    text = page.evaluate(
        """() => {
        const equation = document.getElementById("equation-linear-dy-dw");
        const after = equation.nextElementSibling;
        getSelection().setBaseAndExtent(
            equation.querySelector("mjx-mi"), 0, after.querySelector("mjx-mi"), 1);
        const clipboardData = new DataTransfer();
        document.dispatchEvent(new ClipboardEvent("copy", {clipboardData}));
        return clipboardData.getData("text/plain");
    }"""
    )
    equation = r"\frac{\partial y_{no}}{\partial W_{pi}} = \delta_{op}\, x_{ni} ."
    assert text.startswith(f"$${equation}$$")
    assert text.endswith("the delta keeps the one term $o = p$")


def answer(page, *latex):
    """Let a page typeset formulas as it does with those that its live cells answer."""
    page.evaluate(
        r"""async (latex) => {
        const {typeset} = await import(new URL("../../live/formulas.js", location.href));
        const place = document.createElement("div");
        place.id = "answer";
        for (const formula of latex) {
            const element = document.createElement("span");
            element.className = "math";
            element.textContent = `\\(${formula}\\)`;
            place.append(element);
        }
        document.querySelector("article").prepend(place);
        await typeset(place);
    }""",
        latex,
    )
    return page.locator("#answer .math")


def test_a_formula_that_code_answers_looks_like_the_pages(visit):
    seen = visit(LINEAR)
    of_page = seen.page.locator("article p .math[data-tex='v']").first
    assert not [url for url in seen.requests if url.endswith(".js") and "mathjax" in url]
    of_code, other_packages = answer(seen.page, "v", r"\cancel{\boldsymbol{v}}").all()
    both = [formula.locator("mjx-container") for formula in (of_page, of_code)]
    (box, other) = (formula.bounding_box() for formula in both)
    assert other["width"] == pytest.approx(box["width"], abs=0.1)
    assert other["height"] == pytest.approx(box["height"], abs=0.1)
    assert both[0].locator("math").inner_html() == both[1].locator("math").inner_html()
    expect(other_packages.locator("mjx-menclose")).to_be_visible()
    assert seen.complaints == []


def test_a_formula_that_code_answers_asks_nobody_and_leads_nowhere(visit, address):
    seen = visit(LINEAR)
    hostile = [
        r"\href{http://other.test/a}{x}",
        r"\mmlToken{mglyph}[src='http://other.test/b', width='9px']{}",
        r"\mmlToken{mi}[href='http://other.test/c']{x}",
        r"\mmlToken{mi}[style='background: url(http://other.test/d)']{x}",
        r"\style{background: url(http://other.test/e)}{x}",
        r"\bbox[background: url(http://other.test/f)]{x}",
        r"\require{html}\style{background: url(http://other.test/g)}{x}",
        r"\class{live-bar}{x}\cssId{main-content}{x}",
    ]
    found = answer(seen.page, *hostile)
    assert found.locator("mjx-container").count() == len(hostile) - 1  # it draws no mglyph
    seen.page.wait_for_timeout(300)
    assert [url for url in seen.requests if not url.startswith((address, "data:"))] == []
    assert found.locator("[href], [src], img, image, a, .live-bar, #main-content").count() == 0
    assert "other.test" not in "".join(
        found.locator("[style]").evaluate_all("all => all.map((one) => one.getAttribute('style'))")
    )


def test_a_formula_is_tried_again_when_mathjax_did_not_arrive(visit):
    page = visit(LINEAR).page
    page.route("**/mathjax/startup.js", lambda route: route.abort())
    with pytest.raises(Exception, match="MathJax did not arrive"):
        answer(page, "v")
    expect(page.locator("#answer")).to_have_text(r"\(v\)")
    page.unroute("**/mathjax/startup.js")
    answer(page, "v")
    expect(page.locator("#answer mjx-container").first).to_be_visible()
