"""What this book adds to Jupyter Book's website.

A formula stays on one line with the comma behind it, the landing page tells the counts that the
page of the judged note has computed, every page says in its head what it is about, and the site's
front door is a page that a browser has nothing to complain of.
"""

import json
import re
import textwrap
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

FRONT_DOOR = """\
<!DOCTYPE html>
<html lang="{language}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta http-equiv="refresh" content="0; url={page}">
    <link rel="icon" href="data:,">
    <title>{title}</title>
  </head>
  <body><p><a href="{page}">{title}</a></p></body>
</html>
"""


JUDGED_NOTE = "chapters/reference/errata.ipynb"
COUNT = re.compile(r"^ *(\d+) (.+)$", re.MULTILINE)
LENGTH_OF_DESCRIPTION = 300


class KeepPunctuation(SphinxPostTransform):
    """Let no line begin with the punctuation that follows an inline formula.

    A browser may break a line before and after every formula, whatever stands next to it.
    """

    default_priority = 700

    def run(self, **kwargs: Any) -> None:
        """Wrap formula and punctuation in one element that does not break."""
        for formula in list(self.document.findall(nodes.math)):
            parent = formula.parent
            place = next(i for i, node in enumerate(parent) if node is formula)
            after = parent[place + 1] if place + 1 < len(parent) else None
            if not isinstance(after, nodes.Text):
                continue
            _, mark, rest = re.split(r"^(\S*)", after.astext(), maxsplit=1)
            if mark:
                together = nodes.inline(
                    "", "", formula, nodes.Text(mark), classes=["keep-together"]
                )
                parent[place : place + 2] = [together, nodes.Text(rest)]


def tell_counts(app: Sphinx, config: Any) -> None:
    """Let pages write how many statements have which verdict, as in {{ refuted }}."""
    config.myst_substitutions = {
        re.sub(r"\W+", "_", verdict).strip("_").lower(): number
        for verdict, number in counts(Path(app.srcdir, JUDGED_NOTE)).items()
    }


def counts(notebook: Path) -> dict[str, str]:
    """Read the counts from the output of the cell that computed them."""
    cells = json.loads(notebook.read_text(encoding="utf8"))["cells"]
    for cell in cells:
        if "counts().items()" in "".join(cell["source"]) and cell.get("outputs"):
            text = "".join(cell["outputs"][0]["text"])
            return {verdict: number for number, verdict in COUNT.findall(text)}
    raise ValueError(f"{notebook}: no cell prints counts()")


def describe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Say what a page is about, for those who find it in a list."""
    if doctree is not None and (text := description(doctree)):
        context["metatags"] += f'\n<meta name="description" content="{escape(text)}">'


def description(doctree: nodes.document) -> str:
    """Return the first paragraph of the text that can be read without typesetting."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = paragraph.astext()
        if isinstance(paragraph.parent, nodes.section) and "\\" not in text:
            return textwrap.shorten(text, LENGTH_OF_DESCRIPTION, placeholder=" …")
    return ""


def write_front_door(app: Sphinx) -> None:
    """Write index.html, which leads to the landing page.

    The one that comes with the table of contents names no icon, so browsers ask the host's root for
    one. Here none is asked for: the page is gone before it would arrive.
    """
    page = FRONT_DOOR.format(
        language=app.config.language,
        page=f"{app.config.root_doc}.html",
        title=app.config.html_title,
    )
    Path(app.outdir, "index.html").write_text(page, encoding="utf8")
