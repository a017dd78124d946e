"""Reports of the prover at a glance: a box for each verdict, and a badge with a sign and a word.

Reports are stored in the notebooks as plain Markdown, which every Jupyter shows: the sign stands
before the gradient, the word is bold. Only the book's pages can do more; `live/verdicts.js` does
the same with what a live page answers.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

KINDS = {
    "proven": "proven",
    "proven at": "proven-at",
    "refuted": "refuted",
    "shape error": "refuted",
    "undecided": "undecided",
    "not answered yet": "open",
}
"""For each word of a verdict, the class of its box."""
SIGN = re.compile(r"([✓✗?]) ")
CONTINUED = ("The gradient is", "A counterexample,")
"""How a paragraph begins that belongs to the verdict above it."""


class Boxes(SphinxPostTransform):
    """Put every verdict in an output into a box."""

    default_priority = 600  # of each output the form has been chosen

    def run(self, **kwargs: Any) -> None:
        """Find each paragraph that begins with a sign and says a verdict."""
        for output in list(self.document.findall(is_output)):
            for paragraph in list(output.findall(nodes.paragraph)):
                kind = mark(paragraph)
                if kind:
                    put_into_box(paragraph, kind)


def is_output(node: nodes.Node) -> bool:
    """Say whether a node holds what a cell has answered."""
    return isinstance(node, nodes.container) and "cell_output" in node["classes"]


def mark(paragraph: nodes.paragraph) -> str:
    """Make a badge of the sign and the word of a verdict; return its kind, or "" if it is none."""
    first = paragraph[0] if len(paragraph) else None
    sign = SIGN.match(first.astext()) if isinstance(first, nodes.Text) else None
    words = [node for node in paragraph.children if isinstance(node, nodes.strong)]
    if first is None or sign is None or not words or words[0].astext() not in KINDS:
        return ""
    (word,) = words[:1]
    badge = nodes.strong("", f"{sign[1]} {word.astext()}", classes=["verdict-badge"])
    paragraph.replace(word, badge)
    paragraph.replace(first, nodes.Text(first.astext()[sign.end() :]))
    return KINDS[word.astext()]


def put_into_box(paragraph: nodes.paragraph, kind: str) -> None:
    """Put a paragraph with a verdict, and what belongs to it, into one box."""
    parent = paragraph.parent
    begin = parent.index(paragraph)
    end = begin + 1
    while end < len(parent) and belongs(parent[end]):
        end += 1
    box = nodes.container("", *parent[begin:end], classes=["verdict", f"verdict-{kind}"])
    parent[begin:end] = [box]


def belongs(node: nodes.Node) -> bool:
    """Say whether a node goes on with the verdict above it: with a formula, or a counterexample."""
    is_continued = isinstance(node, nodes.paragraph) and node.astext().startswith(CONTINUED)
    return is_continued or isinstance(node, nodes.math_block)
