"""What is fixed in the written pages.

The theme fetches 1.5 MB of JavaScript for a dozen icons, and lets the page wait for it and for
every other script; without scripts it has no colours; names of its buttons differ from the words on
them; and two roles in the list of references are out of date. All this is fixed in the written
pages: a copy of the theme's templates would have to follow every version of the theme. So is how
narrow a drawing may become, which only the drawing tells.
"""

import math
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

ICONS = {
    "angle-left": "M15 5l-7 7 7 7",
    "angle-right": "M9 5l7 7-7 7",
    "arrow-up": "M12 21V4M5 11l7-7 7 7",
    "bars": "M3 6h18M3 12h18M3 18h18",
    "book-open": "M12 6c-3-2-6-2-9-1v14c3-1 6-1 9 1 3-2 6-2 9-1V5c-3-1-6-1-9 1zv14",
    "circle-half-stroke": "M12 3a9 9 0 1 0 0 18 9 9 0 1 0 0-18zv18M14 4v16M16 5v14M18 7v10M20 9v6",
    "download": "M12 3v12M6 10l6 6 6-6M3 21h18",
    "file": "M5 2h9l5 5v15H5zM14 2v5h5",
    "file-pdf": "M5 2h9l5 5v15H5zM14 2v5h5M8 18l4-7 4 7z",
    "list": "M3 6h2M9 6h12M3 12h2M9 12h12M3 18h2M9 18h12",
    "magnifying-glass": "M10 3a7 7 0 1 0 0 14 7 7 0 1 0 0-14zM15 15l6 6",
    "moon": "M20 15A9 9 0 1 1 9 4a7 7 0 0 0 11 11z",
    "rocket": "M9 15c0-6 4-11 12-12-1 8-6 12-12 12zM9 15l-4-1 4-5M9 15l1 4 5-4M4 20l3-3",
    "sun": "M12 8a4 4 0 1 0 0 8 4 4 0 1 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2"
    "M5 5l1 1M18 18l1 1M5 19l1-1M18 6l1-1",
}
"""The icons, by the theme's names for them: lines on a field of 24 by 24."""

DRAWING = (
    '<svg class="icon{classes}"{rest} viewBox="0 0 24 24" aria-hidden="true">'
    '<path d="{lines}"/></svg>'
)
ICON = re.compile(
    r'<(?P<tag>i|span) class="(?P<classes>[^"]*\b(?:fas|fa-solid)\b[^"]*)"(?P<rest>[^>]*)>'
    r"</(?P=tag)>"
)
OF_THE_ICON_FONT = re.compile(r"fa[srb]?|fa-(solid|regular|brands|lg|fw)")

FIXES = [
    # The icons are drawn in the page.
    (r'\s*<script src="[^"]*/fontawesome\.js[^"]*"></script>', ""),
    # Nothing waits for a script: they run in their order when the page is there.
    (r"<script (?=[^>]*\bsrc=)(?![^>]*\b(?:defer|async|module)\b)", "<script defer "),
    # The colours are there before the first script that the page waits for, and without scripts.
    (r'(<html [^>]*data-theme=)"auto"', r'\1"light"'),
    (
        r'localStorage\.getItem\("theme"\) \|\| "auto"',
        '(({mode}) => ["light", "dark"].includes(mode) ? mode : '
        'matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")'
        "(document.documentElement.dataset)",
    ),
    # Who sees a word on a button can say it to press the button (WCAG 2.5.3).
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (
        r'(<button class="[^"]*\bsearch-button-field\b[^"]*") title="Search" aria-label="Search"',
        r"\1",
    ),
    # ARIA has given up this role for the one that a list wants.
    (r'(<div class="citation"[^>]*) role="doc-biblioentry"', r'\1 role="listitem"'),
]

DRAWING_OF_A_CELL = re.compile(
    r'<svg role="img"[^>]* viewBox="0 0 (?P<width>[\d.]+) [^>]*>\s*<defs>.*?</defs>\s*'
    r'<g id="(?P<name>[^"]+)">(?P<inside>.*?)</svg>',
    re.DOTALL,
)
LABEL = re.compile(r"scale\((0\.\d+) -\1\)")
"""How matplotlib scales the letters of a label, which it draws 100 units high."""
LEAST_LETTERS = 9
"""Pixels that the letters of a drawing are high, on any screen."""

UNUSED = ["_static/scripts/fontawesome.js*", "_static/**/*.map"]
"""What the theme brings and no page asks for: the icons, and maps for who debugs the theme."""


def fix_pages(app: Sphinx) -> None:
    """Fix every page of the theme in the built site; doing it twice changes nothing."""
    site = Path(app.outdir)
    for path in pages(site):
        page = path.read_text(encoding="utf8")
        try:
            path.write_text(fix(page), encoding="utf8")
        except KeyError as unknown:
            raise ExtensionError(
                f"{path.relative_to(site)}: the icon {unknown} is not drawn: add it to ICONS in "
                "website/finished_pages.py"
            ) from None
    for unused in UNUSED:
        for path in site.glob(unused):
            path.unlink()


def pages(site: Path) -> list[Path]:
    """Return the pages that the theme wrote: other tools write pages of their own."""
    found = sorted(site.rglob("*.html"))
    return [path for path in found if "data-content_root=" in path.read_text(encoding="utf8")]


def fix(page: str) -> str:
    """Return a page with all fixes."""
    for old, new in FIXES:
        page = re.sub(old, new, page)
    return with_widths(ICON.sub(as_drawing, page))


def with_widths(page: str) -> str:
    """Return a page whose drawings stay so wide that their labels can be read.

    A rule finds its drawing by name, so that it holds for one that a live cell draws again.
    """
    rules = [
        f"svg:has(> #{drawing['name']}) {{ min-width: {width}px }}"
        for drawing in DRAWING_OF_A_CELL.finditer(page)
        if (width := least_width(drawing))
    ]
    if not rules or rules[0] in page:
        return page
    return page.replace(
        "</head>", f"<style>@media screen {{ {' '.join(rules)} }}</style>\n  </head>", 1
    )


def least_width(drawing: re.Match[str]) -> int:
    """Return the pixels at which the smallest label of a drawing can be read; 0 without labels."""
    letters = [100 * float(scale) for scale in LABEL.findall(drawing["inside"])]
    return math.ceil(float(drawing["width"]) * LEAST_LETTERS / min(letters)) if letters else 0


def as_drawing(icon: re.Match[str]) -> str:
    """Return an icon of the theme as a drawing without a name: its button has one."""
    classes = icon["classes"].split()
    (name,) = (c.removeprefix("fa-") for c in classes if is_icon(c))
    kept = [c for c in classes if not c.startswith("fa")]
    return DRAWING.format(
        classes="".join(f" {c}" for c in kept),
        rest=re.sub(r'\s+title="[^"]*"', "", icon["rest"]),
        lines=ICONS[name],
    )


def is_icon(name: str) -> bool:
    """Say whether a class names an icon, and no style of icons."""
    return name.startswith("fa") and not OF_THE_ICON_FONT.fullmatch(name)
