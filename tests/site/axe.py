"""axe-core, which finds in a page what breaks the rules of WCAG 2.2, levels A and AA."""

from functools import cache
from pathlib import Path

from live_cells import installed
from playwright.sync_api import expect

PACKAGES = Path(__file__).parent
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@cache
def script():
    """Return axe-core's script."""
    file = installed(PACKAGES) / "node_modules" / "axe-core" / "axe.min.js"
    return file.read_text(encoding="utf8")


def violations(page):
    """Return what is wrong with a page as it is now: the rule, and the first elements."""
    page.mouse.move(0, 0)
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
        page.emulate_media(color_scheme=theme)
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        page.wait_for_timeout(500)  # colours change gradually
        assert violations(page) == [], theme
