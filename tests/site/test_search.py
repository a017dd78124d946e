"""The search: what a reader types leads to the section that has it."""

import json
import re
from urllib.parse import urldefrag

import pytest
from axe import breaks_no_rule
from conftest import BOOK, SCREENS
from playwright.sync_api import expect

from website.search import NOT_USED, formula

SECTIONS = BOOK / "_static" / "search" / "sections.json"
WANTED = {
    "batch norm gradient": "chapters/layers/batchnorm1d.html",
    "batchnorm": "chapters/layers/batchnorm1d.html",
    "BatchNorm1d": "chapters/layers/batchnorm1d.html",
    "layernorm": "chapters/reference/wrong_gradients.html",
    "why 1/N": "chapters/(ops/log_softmax_nll|layers/batchnorm1d).html",
    "bias gradient": "chapters/layers/linear.html#the-bias",
    "softmax gradient": "chapters/ops/log_softmax_nll.html",
    "maxpool ties": "chapters/ops/max.html",
    "undecided": "chapters/proof.html",
    "transpose": "chapters/notation.html",
    "learning rate schedule": "chapters/(pointnet/training|reference/api).html",
    "gradcheck": "chapters/reference/api.html#backprop_lib.gradcheck",
    "prove my own code": "chapters/your_gradient.html",
    "orthogonalty": "chapters/ops/orthogonality.html",
}
"""What is typed, and what has to be among the first three."""


@pytest.fixture(scope="module")
def searching_for_all(visit_for_all):
    return visit_for_all("search")


@pytest.fixture
def searching(searching_for_all):
    """The page of the search, in which other tests may have typed something."""
    searching_for_all.complaints.clear()
    return searching_for_all


def field(page):
    return page.get_by_role("main").get_by_role("searchbox")


def look_for(page, query):
    field(page).fill(query)
    expect(page.locator(".search-count")).to_contain_text(f"“{query}”")
    return page.locator("#search-results > li")


@pytest.mark.parametrize("query", WANTED)
def test_what_is_wanted_is_among_the_first_three(searching, address, query):
    found = look_for(searching.page, query).locator("a")
    best = [link.evaluate("a => a.href").removeprefix(address) for link in found.all()[:3]]
    assert [link for link in best if re.match(WANTED[query], link)], best
    assert searching.complaints == []


@pytest.fixture(scope="module")
def sections():
    """The sections that are searched, by their addresses."""
    found = json.loads(SECTIONS.read_text(encoding="utf8"))
    return {section["address"]: section for section in found}


ONE_LINE = "chapters/layers/batchnorm1d.html#one-line"


def number_of(section):
    """Return the number of a section's only equation, as it stands on the page."""
    (number,) = section["numbers"].split()
    assert re.fullmatch(r"\d+\.\d+", number)
    return f"({number})"


def test_the_number_of_an_equation_leads_to_its_section(searching, address, sections):
    number = number_of(sections[ONE_LINE])
    page = (BOOK / "chapters/layers/batchnorm1d.html").read_text(encoding="utf8")
    assert number in page
    (result,) = look_for(searching.page, number).all()
    assert result.locator("a").evaluate("a => a.href") == f"{address}{ONE_LINE}"
    expect(result.locator("p").first).to_have_text(f"Equation {number}")


def test_the_chapter_is_the_first_that_its_name_finds(searching):
    expect(look_for(searching.page, "batch norm gradient").first).to_contain_text(
        re.compile(r"\d+\. BatchNorm1d")
    )
    expect(look_for(searching.page, "conv").first).to_contain_text(re.compile(r"\d+\. Conv1d"))


def test_a_result_says_where_it_is_and_marks_what_was_typed(searching):
    result = look_for(searching.page, "bias gradient").first
    expect(result.locator("a")).to_have_text(re.compile(r"^\d+\. Linear › The bias$"))
    assert "bias" in {mark.lower() for mark in result.locator("mark").all_inner_texts()}
    result = look_for(searching.page, "ndindex").first
    expect(result.locator("p").first).to_contain_text("In code: ")


def test_nothing_found_is_said_and_help_offered(searching):
    page = searching.page
    assert look_for(page, "qqqqzzzz").count() == 0
    expect(page.get_by_role("status")).to_contain_text("Nothing was found")
    expect(page.get_by_text("lists every name of the library")).to_be_visible()
    field(page).fill("the of")
    expect(page.locator(".search-count")).to_contain_text("“the of”")


def test_every_page_asks_here_and_no_mark_stays(visit):
    page = visit("chapters/layers/linear").page
    page.keyboard.press("Control+k")
    page.keyboard.type("bias gradient")
    page.keyboard.press("Enter")
    expect(field(page)).to_have_value("bias gradient")
    expect(page.get_by_role("status")).to_have_text(re.compile("sections? found for"))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/layers/linear\.html#the-bias$"))
    expect(page.locator("#the-bias")).to_be_in_viewport()
    assert page.locator("article mark, article .highlighted").count() == 0


@pytest.mark.parametrize("screen", SCREENS)
def test_the_magnifier_is_beside_the_text(visit, screen):
    page = visit("search", screen=screen).page
    ends = page.locator(".bd-article-container form.bd-search").evaluate(
        """form => [form.querySelector(".icon").getBoundingClientRect().right,
            form.querySelector("input").getBoundingClientRect().left
            + parseFloat(getComputedStyle(form.querySelector("input")).paddingLeft)]"""
    )
    assert ends[0] < ends[1]


def test_results_break_no_rule_of_accessibility_and_fit(visit):
    page = visit("search", screen="narrow").page
    look_for(page, "backprop_lib")
    breaks_no_rule(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= SCREENS["narrow"][0]


def test_without_javascript_a_sentence_says_what_to_do(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}search.html")
    expect(page.locator("main noscript p")).to_contain_text("The search needs JavaScript")
    expect(field(page)).to_be_hidden()
    context.close()


def test_what_is_not_there_is_told(visit):
    page = visit("search").page
    page.route("**/index.json", lambda route: route.fulfill(status=404, body=""))
    page.reload()
    expect(page.get_by_role("status")).to_have_text(
        "What is searched could not be loaded. Is there a network?"
    )


def test_a_section_has_its_own_words_and_no_other(sections):
    whole = " ".join(section["text"] for section in sections.values())
    assert not re.search(r"\\|\$|\{eq\}|<svg|Run this page$", whole)
    linear = sections["chapters/layers/linear.html"]
    assert "np" in linear["names"].split()
    assert "The bias" not in linear["text"]


def test_every_section_leads_somewhere(sections):
    ids = {}
    for address in sections:
        page, fragment = urldefrag(address)
        if page not in ids:
            ids[page] = set(re.findall(r'\bid="([^"]+)"', (BOOK / page).read_text("utf8")))
        assert not fragment or fragment in ids[page], address


def test_of_sphinx_search_nothing_is_left():
    assert [name for name in NOT_USED if (BOOK / name).exists()] == []
    for page in ("search", "intro", "chapters/layers/linear"):
        text = (BOOK / f"{page}.html").read_text("utf8")
        assert not re.search("searchindex|searchtools|language_data|sphinx_highlight", text)


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"\frac{1}{N}", "1/N"),
        (r"\tfrac1N", "1/N"),
        (r"\frac{\partial L}{\partial x}", "∂L/∂x"),
        (r"\sigma^2", "σ2"),
        (r"x_{nc}", "xnc"),
        (r"\hat x", "x̂"),
        (r"\begin{aligned} x \end{aligned}", "…"),
    ],
)
def test_a_formula_in_a_line(tex, text):
    assert formula(tex) == text
