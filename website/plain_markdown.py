"""The Markdown of the chapters as any Jupyter shows it.

The book's own (MyST) knows numbered equations, citations, labels and boxes. In a notebook these
would stand there as they are typed, so they become what plain Markdown can say.
"""

import re
from collections.abc import Iterable, Mapping
from os.path import relpath
from pathlib import PurePosixPath

EQUATION = re.compile(r"\{eq\}`([^`]+)`")
CITATION = re.compile(r"\{cite\}`([^`]+)`")
LABEL = re.compile(r"^\(([\w-]+)\)=\n", re.MULTILINE)
LABELLED_HEADING = re.compile(r"^\(([\w-]+)\)=\n+#+ (.+)$", re.MULTILINE)
BOX = re.compile(
    r"^:::\{admonition\} ([^\n]+)\n(?::class: [^\n]+\n)?(.*?)^:::$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\(([\w-]+)\)")

Headings = Mapping[str, tuple[str, str]]


def headings(texts: Iterable[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Return for each label the notebook and the heading that it stands before.

    `texts` are the Markdown cells of all notebooks, each with the path of its notebook.
    """
    return {
        label: (path, heading)
        for path, text in texts
        for label, heading in LABELLED_HEADING.findall(text)
    }


def plain(text: str, path: str, known: Headings) -> str:
    """Return a Markdown cell of the notebook at a path, in plain Markdown.

    An equation is named by its label, which stands behind it; a link to a label leads to the
    heading.
    """
    text = EQUATION.sub(r"(\1)", text)
    text = CITATION.sub(r"[\1]", text)
    text = BOX.sub(r"**\1**\n\n\2", text)
    text = LINK.sub(lambda link: f"]({_address(link[1], path, known)})", text)
    return LABEL.sub("", text)


def _address(label: str, path: str, known: Headings) -> str:
    if label not in known:
        return label
    notebook, heading = known[label]
    if notebook != path:
        return relpath(notebook, PurePosixPath(path).parent)
    return "#" + heading.replace(" ", "-")
