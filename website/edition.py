"""Which edition a page is of, where to tell a mistake, and what a site with an address gets.

Two settings decide: `html_baseurl`, the address at which the book is published, and
`report_mistakes_to`, an address in which {page} stands for the page. Without the first there is
neither sitemap nor picture, which both need it; without the second no page asks for mistakes.
"""

import os
import re
import subprocess
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from matplotlib.figure import Figure
from sphinx.application import Sphinx

VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
NOT_FOUND = "404"
PICTURE = "_static/book.png"
INCHES, DOTS = (12, 6.3), 100
"""A picture of 1200 by 630, as those who show links want it."""
RELATIVE = re.compile(r'\b(href|src|action|data-content_root)="(?![a-z]+:|#|/)([^"]*)"')
SITEMAP = """\
<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
{}
</urlset>
"""


def describe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Say on a page its edition, where to tell a mistake, and what is shown beside a link to it."""
    said = [context.get("theme_extra_footer", ""), f"<br>{edition(Path(app.srcdir))}"]
    if app.config.report_mistakes_to:
        address = app.config.report_mistakes_to.replace("{page}", quote(page, safe=""))
        said.append(f'<br><a href="{escape(address)}">Report a mistake on this page</a>')
    context["theme_extra_footer"] = "".join(said)
    if app.config.html_baseurl and "metatags" in context:
        told = {
            "og:type": "website",
            "og:site_name": app.config.html_title,
            "og:title": re.sub("<.*?>", "", context.get("title", "")),
            "og:url": urljoin(base(app), app.builder.get_target_uri(page)),
            "og:image": urljoin(base(app), PICTURE),
            "og:image:alt": app.config.html_title,
        }
        context["metatags"] += "".join(
            f'\n<meta property="{name}" content="{escape(text)}">' for name, text in told.items()
        )


def edition(folder: Path) -> str:
    """Return version and date, as "Version 0.1.0, 30 November 2026"."""
    (version,) = VERSION.findall((folder / "backprop_lib/__init__.py").read_text(encoding="utf8"))
    when = date(folder)
    return f"Version {version}, {when.day} {when:%B %Y}" if when else f"Version {version}"


def date(folder: Path) -> datetime | None:
    """Return when the book was last changed, and never when it was built: that can be repeated."""
    told = os.environ.get("SOURCE_DATE_EPOCH") or last_commit(folder)
    return datetime.fromtimestamp(int(told), UTC) if told else None


def last_commit(folder: Path) -> str:
    """Return when the last commit was made, in seconds; "" if there is no history, or no Git."""
    try:
        done = subprocess.run(
            ["git", "log", "-1", "--format=%ct"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip()


def base(app: Sphinx) -> str:
    """Return the address of the book, or the root of any host."""
    return f"{app.config.html_baseurl.rstrip('/')}/"


def finish(app: Sphinx) -> None:
    """Let the page for what is not there work at any depth; write the sitemap and the picture."""
    site = Path(app.outdir)
    path = urlsplit(base(app)).path
    page = site / f"{NOT_FOUND}.html"
    page.write_text(absolute(page.read_text(encoding="utf8"), path), encoding="utf8")
    if app.config.html_baseurl:
        pages = sorted(app.env.all_docs)
        addresses = [urljoin(base(app), app.builder.get_target_uri(name)) for name in pages]
        when = date(Path(app.srcdir))
        (site / "sitemap.xml").write_text(sitemap(addresses, when), encoding="utf8")
        draw(app.config.html_title, site / PICTURE)


def absolute(page: str, path: str) -> str:
    """Return a page in which every address within the book begins with a path."""
    return RELATIVE.sub(lambda found: f'{found[1]}="{urljoin(path, found[2])}"', page)


def sitemap(addresses: list[str], when: datetime | None) -> str:
    """Return the list of pages that search engines read."""
    changed = f"<lastmod>{when:%Y-%m-%d}</lastmod>" if when else ""
    entries = (f"<url><loc>{escape(address)}</loc>{changed}</url>" for address in addresses)
    return SITEMAP.format("\n".join(entries))


def draw(title: str, file: Path) -> None:
    """Draw what is shown beside a link to the book."""
    figure = Figure(INCHES, dpi=DOTS, facecolor="#1d5f9a")
    figure.text(0.07, 0.58, title, color="white", size=46, weight="bold")
    figure.text(
        0.07, 0.4, "Every gradient derived, checked by machine, and run.", color="white", size=25
    )
    figure.text(0.07, 0.16, r"$dW = dy^{\top}\,x$", color="#ffd9b0", size=40)
    figure.savefig(file, metadata={"Software": None})
