"""Formulas, typeset by MathJax when the site is built: a page needs no script to show them.

Each page holds MathJax's HTML, with MathML for those who listen, and the whole site one stylesheet.
MathJax itself comes with the site for the formulas that running code answers; `live/formulas.js`
loads it then.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.ext.mathjax import html_visit_displaymath, html_visit_math
from sphinx.util.fileutil import copy_asset

from website.finished_pages import pages
from website.npm import node

HERE = Path(__file__).resolve().parent
SETTINGS = HERE / "live" / "mathjax.json"
PROGRAM = HERE / "typeset.cjs"
FONTS = "output/chtml/fonts/woff-v2"
IN_EVERY_FORMULA = ("MathJax_Main-Regular.woff", "MathJax_Math-Italic.woff")
MATHJAX_FILES = [
    "startup.js",
    "core.js",
    "a11y/assistive-mml.js",
    "input/tex.js",
    "input/tex/extensions",
    "output/chtml.js",
    "output/chtml/fonts/tex.js",
    FONTS,
    "ui/safe.js",
]
"""TeX input, HTML output, MathML for those who listen, and the filter for code from anywhere."""

FORMULA = re.compile(
    r'<(?P<tag>span|div) class="math notranslate nohighlight"(?P<rest>[^>]*)>'
    r'(?P<number>\s*<span class="eqno">.*?</a></span>)?\s*'
    r"(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<displayed>.*?)\\\]|(?P<bare>\\begin\{.*?))</(?P=tag)>",
    re.DOTALL,
)
"""A formula as Sphinx writes it; one that is an environment of its own has no brackets."""
TYPESET = re.compile(
    r'<(?P<tag>span|div) class="math notranslate nohighlight"[^>]* data-tex="(?P<latex>[^"]*)">'
)
STYLESHEETS = re.compile(r'(?=<link rel="stylesheet"[^>]* href="(?P<root>[^"]*)_static/book\.css)')


@dataclass(frozen=True)
class Formula:
    """What MathJax is given."""

    latex: str
    isDisplayed: bool  # noqa: N815  as in PROGRAM


def write_for_mathjax(app: Sphinx) -> None:
    """Let formulas be written as Sphinx does, but without its script in every page."""
    app.add_html_math_renderer(
        "mathjax-at-build-time", (html_visit_math, None), (html_visit_displaymath, None)
    )


def copy_mathjax(app: Sphinx) -> None:
    """Copy what a browser needs of MathJax from its package into the built site."""
    target = Path(app.outdir, "_static", "mathjax")
    for name in MATHJAX_FILES:
        source = mathjax_folder() / name
        copy_asset(str(source), str((target / name) if source.is_dir() else (target / name).parent))
    (target / "input/tex/extensions/all-packages.js").unlink()  # all of them once more


def typeset_pages(app: Sphinx) -> None:
    """Typeset every formula of the built site; doing it twice changes nothing.

    Raises
    ------
    ExtensionError
        If MathJax cannot read a formula.
    """
    site = Path(app.outdir)
    texts = {path: path.read_text(encoding="utf8") for path in pages(site)}
    found = {path: list(formulas(text)) for path, text in texts.items()}
    html, stylesheet = typeset(
        {
            formula: path.relative_to(site).as_posix()
            for path, those in found.items()
            for formula in those
        }
    )
    (site / "_static" / "formulas.css").write_text(stylesheet, encoding="utf8")
    links = head(hashlib.sha256(stylesheet.encode()).hexdigest()[:8])
    for path, text in texts.items():
        if found[path] and "formulas.css" not in text:
            text = STYLESHEETS.sub(links, text, count=1)
        path.write_text(with_formulas(text, html), encoding="utf8")


def formulas(page: str) -> Iterator[Formula]:
    """Return the formulas of a page, those that are typeset already and those that are not."""
    for match in FORMULA.finditer(page):
        yield formula_of(match)
    for match in TYPESET.finditer(page):
        yield Formula(unescape(match["latex"]), match["tag"] == "div")


def formula_of(match: re.Match[str]) -> Formula:
    """Return the formula that Sphinx has written."""
    latex = next(part for part in match.group("inline", "displayed", "bare") if part is not None)
    return Formula(unescape(latex).strip(), match["tag"] == "div")


def with_formulas(page: str, html: dict[Formula, str]) -> str:
    """Return a page with its formulas typeset, and their TeX for who copies them."""

    def element(match: re.Match[str]) -> str:
        formula = formula_of(match)
        return (
            f'<{match["tag"]} class="math notranslate nohighlight"{match["rest"]} '
            f'data-tex="{escape(formula.latex)}">{match["number"] or ""}{html[formula]}'
            f"</{match['tag']}>"
        )

    return FORMULA.sub(element, page)


def typeset(places: dict[Formula, str]) -> tuple[dict[Formula, str], str]:
    """Return formulas as HTML, and the stylesheet for them all; `places` says where each stands.

    Raises
    ------
    ExtensionError
        If MathJax cannot read one of them.
    """
    wanted = {
        "settings": json.loads(SETTINGS.read_text(encoding="utf8")),
        "fonts": f"mathjax/{FONTS}",
        "formulas": [vars(formula) for formula in places],
    }
    done = node(PROGRAM, mathjax_folder(), input=json.dumps(wanted))
    if done.returncode:
        raise ExtensionError(f"MathJax could not typeset the formulas:\n{done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    answers = list(zip(places, answer["formulas"], strict=True))
    unread = [
        f"{places[formula]}: {told['error']}: {formula.latex}"
        for formula, told in answers
        if "error" in told
    ]
    if unread:
        raise ExtensionError("MathJax cannot read a formula:\n" + "\n".join(unread))
    return {formula: told["html"] for formula, told in answers}, answer["stylesheet"]


def head(version: str) -> str:
    """Return what a page with formulas names in its head, before the book's own stylesheet."""
    fonts = "".join(
        rf'<link rel="preload" href="\g<root>_static/mathjax/{FONTS}/{font}" as="font" '
        r'type="font/woff" crossorigin>'
        for font in IN_EVERY_FORMULA
    )
    return fonts + rf'<link rel="stylesheet" href="\g<root>_static/formulas.css?v={version}">'


def mathjax_folder() -> Path:
    """Find MathJax's files in the package that ships them, whose name is no Python name."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "sphinx-mathjax-offline is not installed: pip install -r requirements.txt"
        )
    return Path(spec.origin).parent / "static" / "mathjax"
