"""What Jupyter would show as it is typed is said in plain Markdown."""

import re

import nbformat
from conftest import ROOT

from website.plain_markdown import headings, plain

TEXTS = [
    ("chapters/a.ipynb", "(first)=\n## Ties and kinks\n\nText."),
    ("chapters/ops/b.ipynb", "(second)=\n### A box"),
]
KNOWN = headings(TEXTS)


def test_labels_are_known_by_their_headings():
    assert KNOWN == {
        "first": ("chapters/a.ipynb", "Ties and kinks"),
        "second": ("chapters/ops/b.ipynb", "A box"),
    }


def test_each_thing_becomes_plain():
    for typed, shown in [
        ("see {eq}`a-dx` and {eq}`b-dw`.", "see (a-dx) and (b-dw)."),
        ("$$\nx\n$$ (a-dx)", "$$\nx\n$$ (a-dx)"),
        ("as in {cite}`qi2017`", "as in [qi2017]"),
        ("(first)=\n## Ties and kinks", "## Ties and kinks"),
        ("[here](first)", "[here](#Ties-and-kinks)"),
        ("[there](second)", "[there](ops/b.ipynb)"),
        ("[a page](proof.ipynb) [a place](https://x.org)",) * 2,
        (":::{admonition} Max\n:class: tip\n\n- one\n:::\n", "**Max**\n\n\n- one\n\n"),
    ]:
        assert plain(typed, "chapters/a.ipynb", KNOWN) == shown


def test_nothing_of_the_books_own_markdown_is_left_in_any_chapter():
    cells = [
        (path.relative_to(ROOT).as_posix(), cell.source)
        for path in (ROOT / "chapters").rglob("*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    ]
    known = headings(cells)
    assert len(known) > 40
    for path, text in cells:
        shown = re.sub(r"```.*?```|`[^`]*`", "", plain(text, path, known), flags=re.DOTALL)
        assert not re.search(
            r"\{(eq|cite|ref|admonition)\}|:::|^\([\w-]+\)=|\]\([\w-]+\)", shown, re.MULTILINE
        ), path
