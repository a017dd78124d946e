"""The Sphinx extension: punctuation stays with its formula, and no word of the text is lost."""

import json

import pytest
from docutils import nodes
from docutils.utils import new_document

from website.api_links import link_equations
from website.book_site import KeepPunctuation, counts, description


def transformed(*parts):
    """Return a paragraph of texts and formulas (those in dollars) after the transform."""
    document = new_document("test")
    paragraph = nodes.paragraph()
    for part in parts:
        text = part.strip("$")
        paragraph += nodes.math(text, text) if part != text else nodes.Text(text)
    document += paragraph
    KeepPunctuation(document).run()
    return paragraph


def test_punctuation_is_kept_with_its_formula():
    paragraph = transformed("So ", "$a$", ", ", "$b$", ", and ", "$c$", ".")
    assert paragraph.astext() == "So a, b, and c."
    kept = [node.astext() for node in paragraph.findall(nodes.inline)]
    assert kept == ["a,", "b,", "c."]


def test_equal_texts_are_not_taken_for_each_other():
    literal = nodes.literal("x", "x")
    paragraph = transformed("$a$", " is ", "$b$", ", ")
    paragraph.insert(1, literal)
    assert paragraph.astext() == "ax is b, "
    repeated = transformed("one, ", "$a$", ", ", "$b$", ", ", "$c$", ", ")
    assert repeated.astext() == "one, a, b, c, "


def test_what_needs_nothing_is_left_alone():
    paragraph = transformed("$a$", " and ", "$b$")
    assert not list(paragraph.findall(nodes.inline))
    assert paragraph.astext() == "a and b"


def test_counts_are_read_from_the_cell_that_computed_them(tmp_path):
    page = tmp_path / "page.ipynb"
    cells = [
        {"source": ["counts().items()"], "outputs": []},
        {"source": ["for counts().items()"], "outputs": [{"text": [" 8 holds\n", "12 a (b)\n"]}]},
    ]
    page.write_text(json.dumps({"cells": cells}), encoding="utf8")
    assert counts(page) == {"holds": "8", "a (b)": "12"}
    page.write_text(json.dumps({"cells": cells[:1]}), encoding="utf8")
    with pytest.raises(ValueError, match="no cell prints counts"):
        counts(page)


def page(*paragraphs):
    """Return a page with one section; a formula is in dollars."""
    document = new_document("test")
    section = nodes.section()
    document += section
    for text in paragraphs:
        paragraph = nodes.paragraph()
        for part in text.split("$"):
            paragraph += nodes.math(part, part) if "^" in part else nodes.Text(part)
        section += paragraph
    return document


def test_a_page_is_described_by_its_first_words():
    assert description(page("You can say  it.", "More.")) == "You can say it."
    assert description(page("Here $\\hat x^2$ stands.", "Words, and $x^2$.")) == "Words, and x^2."
    assert description(page()) == ""
    long = description(page("word " * 100))
    assert long.endswith("word …")
    assert 290 < len(long) <= 300


def test_a_note_in_a_box_describes_no_page():
    document = page("The text.")
    box = nodes.note("", nodes.paragraph("", "A note."))
    document.insert(0, box)
    assert description(document) == "The text."


def test_equations_in_docstrings_become_links():
    lines = ["dW = dyᵀ x   (linear-dw);", "(N, C)", "see (conv1d-general-dx)"]
    link_equations(None, "function", "f", None, None, lines)
    assert lines == ["dW = dyᵀ x   :eq:`linear-dw`;", "(N, C)", "see :eq:`conv1d-general-dx`"]
