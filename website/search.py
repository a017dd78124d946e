"""The search: what each section of the book says, and a page that finds it.

Sphinx's own search knows no section from the page it is in, asks for every word as it is typed,
and shows what it finds with menus and TeX. Here each section is one text: its chapter, its heading,
its sentences without outputs, the numbers of its equations, and the names in its code. MiniSearch
looks through them in the reader's browser; `search/` has its page.
"""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from website import runtime
from website.npm import install, node

HERE = Path(__file__).resolve().parent / "search"
LIBRARY = "node_modules/minisearch/dist/es/index.js"
SCRIPTS = ["page.js", "finder.js", "search.css"]
MARKS = "sphinx_highlight.js"
NOT_USED = [
    "searchindex.js",
    "_static/searchtools.js",
    "_static/language_data.js",
    f"_static/{MARKS}",
]
"""What Sphinx writes for its own search."""

OF_A_CHAPTER = 2.0
OF_AN_EXERCISE = 0.6
OF_A_NAME = 0.4
LEFT_OUT = (nodes.raw, nodes.comment, nodes.math_block, addnodes.index, nodes.system_message)
NAME = re.compile(r"[A-Za-z_][\w.]*")
SIGNS = {
    "partial": "∂",
    "sum": "Σ",
    "cdot": "·",
    "times": "×",
    "odot": "⊙",
    "sqrt": "√",
    "le": "≤",
    "ge": "≥",
    "ne": "≠",
    "neq": "≠",
    "to": "→",
    "top": "ᵀ",
    "infty": "∞",
    "in": "∈",
    "ldots": "…",
    "dots": "…",
    "quad": " ",
} | {
    name: chr(code)
    for name, code in {
        "alpha": 0x3B1,
        "beta": 0x3B2,
        "gamma": 0x3B3,
        "delta": 0x3B4,
        "varepsilon": 0x3B5,
        "epsilon": 0x3B5,
        "lambda": 0x3BB,
        "mu": 0x3BC,
        "sigma": 0x3C3,
        "theta": 0x3B8,
        "eta": 0x3B7,
        "Delta": 0x394,
        "Sigma": 0x3A3,
    }.items()
}


@dataclass
class Section:
    """A section as it is searched and shown."""

    address: str
    chapter: str
    heading: str
    text: str = ""
    numbers: str = ""
    """The numbers of its equations, as "4.12"."""
    names: str = ""
    """The names in its code."""
    weight: float = 1
    """How much more it counts than others: what a chapter begins with is found first."""


def drop_marks(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Leave out of every page the script that marks what was searched, and goes on marking it."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if MARKS not in str(getattr(script, "filename", ""))
    ]


def lay_out(app: Sphinx) -> None:
    """Write the search into the built site, and remove Sphinx's."""
    site = Path(app.outdir)
    target = site / "_static" / "search"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in SCRIPTS:
        shutil.copy(HERE / name, target)
    packages = install(HERE, runtime.cache(), LIBRARY)
    shutil.copy(packages / LIBRARY, target / "minisearch.js")
    found = [asdict(section) for section in sections(app)]
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    (target / "sections.json").write_text(text, encoding="utf8")
    done = node(HERE / "index.mjs", target)
    if done.returncode:
        raise ExtensionError(f"the search has no index:\n{done.stderr}")
    for name in NOT_USED:
        (site / name).unlink(missing_ok=True)


def sections(app: Sphinx) -> Iterator[Section]:
    """Return every section of the book, in its order."""
    for page in pages(app):
        doctree = app.env.get_doctree(page)
        address = app.builder.get_target_uri(page)
        figures = app.env.toc_fignumbers.get(page, {}).get("displaymath", {})
        numbers = {name: ".".join(map(str, number)) for name, number in figures.items()}
        chapter = title_of(app, page)
        in_library = next(doctree.findall(addnodes.desc), None) is not None
        for part in doctree.findall(is_section):
            is_first = isinstance(part.parent, nodes.document)
            fragment = "" if is_first else f"#{anchor(part)}"
            own = list(own_parts(part))
            code = " ".join(block.astext() for each in own for block in each.findall(is_code))
            equations = [
                numbers[name]
                for each in own
                for block in each.findall(nodes.math_block)
                for name in block["ids"]
                if name in numbers
            ]
            yield Section(
                address + fragment,
                chapter,
                heading(part),
                text=" ".join(filter(None, map(words, own))),
                numbers=" ".join(equations),
                names=" ".join(dict.fromkeys(NAME.findall(code))),
                weight=weight(part, in_library=in_library),
            )


def pages(app: Sphinx) -> list[str]:
    """Return the pages of the book in the order of its table of contents."""
    root = app.config.root_doc
    listed = [name for name in app.env.toctree_includes.get(root, []) if name in app.env.all_docs]
    return [root, *listed]


def title_of(app: Sphinx, page: str) -> str:
    """Return a page's title, with its number if it has one."""
    number = app.env.toc_secnumbers.get(page, {}).get("")
    title = words(app.env.titles[page])
    return f"{'.'.join(map(str, number))}. {title}" if number else title


def weight(section: nodes.Element, *, in_library: bool) -> float:
    """Return how much a section counts: chapters before exercises, exercises before names."""
    if in_library:
        return OF_A_NAME
    if isinstance(section.parent, nodes.document):
        return OF_A_CHAPTER
    return OF_AN_EXERCISE if heading(section).startswith("Exercise") else 1.0


def is_section(node: nodes.Node) -> bool:
    """Say whether a node is found by itself: a section, or a name on the library's page."""
    return isinstance(node, nodes.section) or (
        isinstance(node, addnodes.desc) and anchor(node) != ""
    )


def is_code(node: nodes.Node) -> bool:
    """Say whether a node is code that the book shows, and not what it has answered."""
    return isinstance(node, nodes.literal_block) and "output" not in node["classes"]


def anchor(node: nodes.Element) -> str:
    """Return the fragment that leads to a section."""
    if isinstance(node, addnodes.desc):
        signatures = list(node.findall(addnodes.desc_signature))
        return str(signatures[0]["ids"][0]) if signatures and signatures[0]["ids"] else ""
    return str(node["ids"][0])


def heading(node: nodes.Element) -> str:
    """Return the heading of a section."""
    if isinstance(node, addnodes.desc):
        return anchor(node)
    return words(node[0])


def own_parts(section: nodes.Element) -> Iterator[nodes.Element]:
    """Return what stands in a section, but in none of the sections in it."""
    for child in section.children:
        if isinstance(child, nodes.title | addnodes.desc_signature) or is_section(child):
            continue
        if isinstance(child, addnodes.desc_content):
            yield from own_parts(child)
        elif isinstance(child, nodes.Element):
            yield child


def words(node: nodes.Node) -> str:
    """Return what a node says in words: no code, no outputs, and formulas as far as a line can."""
    return " ".join(_said(node).split())


def _said(node: nodes.Node) -> str:
    if isinstance(node, nodes.Text):
        return str(node)
    if isinstance(node, nodes.math):
        return formula(node.astext())
    if isinstance(node, (*LEFT_OUT, nodes.literal_block)):
        return ""
    if isinstance(node, addnodes.pending_xref) and "eq" in node.get("reftype", ""):
        return ""
    if {"cell_output", "toctree-wrapper"} & set(getattr(node, "attributes", {}).get("classes", [])):
        return ""
    between = "" if isinstance(node, nodes.TextElement) else " "
    return between.join(map(_said, node.children))


def formula(tex: str) -> str:
    """Return a formula as a line of text: ``1/N``, ``∂L/∂x``; "…" for what no line can show."""
    text = re.sub(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1/\2", tex)
    text = re.sub(r"\\[dt]?frac\s*(\w)\s*(\w)", r"\1/\2", text)
    text = re.sub(r"\\(?:mathrm|text|operatorname|mathbf|mathit)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\hat\s*\{?(\w)\}?", "\\1\u0302", text)
    text = re.sub(r"\\[,;! ]|\\(?:left|right|displaystyle)\b", "", text)
    text = re.sub(r"\\([A-Za-z]+)\s?", lambda found: SIGNS.get(found[1], found[0]), text)
    text = re.sub(r"[_^]\{?([\w,*]+)\}?", r"\1", text)
    return "…" if re.search(r"[\\{}^_&]", text) else text
