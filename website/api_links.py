"""Links in the page of the library: from a docstring's equation to the chapter, and to NumPy.

Nothing is fetched: the few names of other projects that the docstrings mention are listed here.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

EQUATION = re.compile(r"\(([a-z0-9]+(?:-[a-z0-9]+)+)\)")
NUMPY = "https://numpy.org/doc/stable/reference"
ELSEWHERE = {
    "numpy.random.Generator": f"{NUMPY}/random/generator.html#numpy.random.Generator",
    "numpy.ndarray": f"{NUMPY}/generated/numpy.ndarray.html#numpy.ndarray",
    "collections.abc.Callable": (
        "https://docs.python.org/3/library/collections.abc.html#collections.abc.Callable"
    ),
}


def link_equations(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Make a label such as (linear-dw) a link to the equation, shown with its number."""
    lines[:] = [EQUATION.sub(r":eq:`\1`", line) for line in lines]


def link_elsewhere(app: Sphinx, env: Any, node: nodes.Element, content: Any) -> Any:
    """Link a name of another project, or one of ours that is told by its last parts."""
    name = node.get("reftarget", "")
    if name in ELSEWHERE:
        return nodes.reference("", "", content, refuri=ELSEWHERE[name])
    domain = env.get_domain("py")
    ours = {
        (entry.docname, entry.node_id)
        for full, entry in domain.objects.items()
        if full.endswith(f".{name}") and not entry.aliased
    }
    if len(ours) != 1:
        return None
    ((page, place),) = ours
    return make_refnode(app.builder, node["refdoc"], page, place, content)
