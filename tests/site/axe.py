"""axe-core, which finds in a page what breaks the rules of WCAG 2.2, levels A and AA."""

import functools
from pathlib import Path

from conftest import switch_theme

from website.npm import install
from website.runtime import cache

ONE_OF_EACH_KIND = """(formulas) => {
    const boxes = ".cell_input, .cell_output", kinds = new Set();
    for (const token of document.querySelectorAll("pre span")) {
        const kind = `${token.className} in ${token.closest(boxes)?.className}`;
        if (kinds.has(kind)) token.replaceWith(...token.childNodes);
        kinds.add(kind);
    }
    for (const formula of document.querySelectorAll(formulas)) formula.replaceChildren("xy");
}"""
"""Tokens of code by the ten thousand look alike, and formulas are made of the same elements.

Of a formula two letters are left: axe-core judges the contrast of no single one.
"""
AXE = "axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def packages():
    """Return the folder with axe-core and Lighthouse."""
    return install(Path(__file__).parent, cache(), f"node_modules/{AXE}") / "node_modules"


@functools.cache
def script():
    """Return axe-core's script."""
    return (packages() / AXE).read_text(encoding="utf8")


def violations(page, formulas="main mjx-container:not(.output *)"):
    """Return what is wrong with a page as it is now: the rule, and the first elements.

    Of tokens of code that look alike one is left, and of the formulas selected two letters.
    """
    page.mouse.move(0, 0)
    page.evaluate(ONE_OF_EACH_KIND, formulas)
    if not page.evaluate("'axe' in window"):
        page.evaluate(script())
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    found = page.evaluate("(options) => axe.run(document, options)", options)
    assert found["passes"], "axe has looked at nothing"
    return [
        f"{broken['id']}: {broken['help']}: {node['html'][:200]}"
        for broken in found["violations"]
        for node in broken["nodes"][:5]
    ]


def breaks_no_rule(page):
    """Judge a page in both themes."""
    for theme in ("light", "dark"):
        switch_theme(page, theme)
        assert violations(page) == [], theme
