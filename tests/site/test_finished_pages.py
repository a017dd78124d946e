"""What is fixed in the theme's pages: icons, scripts, names, roles; and nothing else."""

import re
from types import SimpleNamespace

import pytest
from conftest import BOOK
from sphinx.errors import ExtensionError

from website.finished_pages import ICONS, fix, fix_pages

PAGE = '<html data-content_root="./">{}</html>'


def test_an_icon_is_drawn_and_keeps_what_is_not_its_name():
    icon = '<i class="theme-switch fa-solid fa-sun   fa-lg" data-mode="light" title="Light"></i>'
    assert fix(f"<button>{icon}</button>") == (
        '<button><svg class="icon theme-switch" data-mode="light" viewBox="0 0 24 24" '
        f'aria-hidden="true"><path d="{ICONS["sun"]}"/></svg></button>'
    )
    assert fix('<span class="fa-solid fa-bars"></span>').startswith('<svg class="icon" viewBox')
    assert fix('<i class="fas fa-rocket"></i>').startswith('<svg class="icon" viewBox')


def test_what_is_no_icon_is_left_alone():
    page = '<i>fa-solid</i><span class="n fast">x</span><code>&lt;i class="fas fa-x"&gt;</code>'
    assert fix(page) == page


def test_no_script_holds_up_the_page():
    assert fix('<script src="a.js?v=1"></script>') == '<script defer src="a.js?v=1"></script>'
    prefixed = '<script data-prefix="p" src="a.js"></script>'
    assert fix(prefixed) == '<script defer data-prefix="p" src="a.js"></script>'
    for settled in ('<script type="module" src="a.js">', "<script>let a = 1;</script>"):
        assert fix(settled) == settled
    assert (
        fix('<link>\n  <script src="../_static/scripts/fontawesome.js?d=1"></script>') == "<link>"
    )


def test_names_are_the_words_that_are_seen():
    assert fix('<summary aria-label="Toggle hidden content">') == "<summary>"
    attributes = 'title="Search" aria-label="Search"'
    button = '<button class="btn search-button-field" {}>'
    assert fix(button.format(attributes)) == '<button class="btn search-button-field">'
    without_words = f'<button class="btn search-button" {attributes}>'
    assert fix(without_words) == without_words


def test_references_are_items_of_their_list():
    entry = '<div class="citation" id="id3" role="doc-biblioentry">'
    assert fix(entry) == '<div class="citation" id="id3" role="listitem">'


@pytest.fixture
def site(tmp_path):
    """Fix a site of one page and one other file."""

    def fixed(text):
        (tmp_path / "page.html").write_text(PAGE.format(text), encoding="utf8")
        (tmp_path / "other.html").write_text(text, encoding="utf8")
        fix_pages(SimpleNamespace(outdir=tmp_path))
        return [
            (tmp_path / name).read_text(encoding="utf8") for name in ("page.html", "other.html")
        ]

    return fixed


def test_only_pages_of_the_theme_are_fixed_and_twice_is_once(site):
    text = '<i class="fas fa-file"></i><script src="a.js"></script>'
    page, other = site(text)
    assert page == PAGE.format(fix(text)) == fix(page)
    assert other == text


def test_an_icon_that_is_not_drawn_is_told_by_name(site):
    with pytest.raises(ExtensionError, match=r"page\.html: the icon 'ghost' is not drawn: add it"):
        site('<i class="fas fa-ghost"></i>')


def test_every_page_of_the_book_is_fixed_and_needs_every_fix():
    pages = [path.read_text(encoding="utf8") for path in BOOK.glob("**/*.html")]
    ours = [page for page in pages if "data-content_root=" in page]
    assert len(ours) >= 18
    for page in ours:
        assert fix(page) == page
        assert 'role="doc-biblioentry"' not in page
        assert "fontawesome" not in page
        assert not re.search(r"<button[^>]*search-button-field[^>]*aria-label", page)
        assert not re.search(r"<summary[^>]*aria-label", page)
        assert page.count('<svg class="icon') >= 5
    assert list((BOOK / "_static" / "scripts").glob("fontawesome*")) == []


def test_a_drawing_is_as_wide_as_its_smallest_label_needs():
    drawing = (
        '<svg role="img" aria-label="A" viewBox="0 0 {} 100" version="1.1">\n<defs></defs>\n'
        '<g id="{}-figure_1">{}</g></svg>'
    )
    labels = '<g transform="scale(0.09 -0.09)"/><g transform="translate(1 2) scale(0.06 -0.06)"/>'
    body = drawing.format(400, "a", labels) + drawing.format(100, "b", "no labels")
    page = f"<head></head>{body}"
    rule = "@media screen { svg:has(> #a-figure_1) { min-width: 600px } }"
    assert fix(page) == f"<head><style>{rule}</style>\n  </head>{body}" == fix(fix(page))


def test_the_colours_are_there_before_scripts_and_without_them():
    page = fix('<html lang="en" data-theme="auto"><script>localStorage.getItem("theme") || "auto"')
    assert page.startswith('<html lang="en" data-theme="light">')
    assert "prefers-color-scheme: dark" in page
    assert '"auto"' not in page
