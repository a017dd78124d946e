"""The headers that the site wants from its host, in `_headers` of the built site.

Static hosts such as Netlify and Cloudflare Pages read that file; `scripts/serve.py` does, too. A
host applies every rule whose path matches, and a browser obeys every policy that it is sent, the
narrowest of them. So what differs between parts of the site is never said of `/*`: each file has
one rule with its policy and its caching.
"""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from website.live_cells import integrity

FILE = "_headers"
LONGEST_LINE = 2000
"""What Cloudflare Pages reads of a line."""

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
ASK_AGAIN = "no-cache"
KEEP_FOR_EVER = "public, max-age=31536000, immutable"

Policy = dict[str, str]

PAGES: Policy = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",  # MathJax and the editor write their styles
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "frame-src": "'self'",  # live/sandbox.html
    "worker-src": "'none'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'self'",
}
SANDBOX: Policy = {
    "default-src": "'none'",
    "script-src": "blob: 'wasm-unsafe-eval'",
    "worker-src": "blob:",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'self'",
    "sandbox": "allow-scripts",  # an origin of its own, even if it is opened as a page
}
"""The policy that live/sandbox.html carries itself, and what only a header can say."""
LITE: Policy = {
    "default-src": "'none'",
    "script-src": "'self' 'unsafe-eval'",  # Jupyter compiles the schemas of its settings
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "worker-src": "'self'",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'self'",
}
FILES: Policy = {
    "default-src": "'none'",
    "style-src": "'unsafe-inline'",  # of a drawing that is opened on its own
    "frame-ancestors": "'none'",
}

OF_PAGES = (PAGES, ASK_AGAIN)
OF_FILES = (FILES, ASK_AGAIN)
OF_FOLDERS = {
    "live": (SANDBOX, ASK_AGAIN),
    "lite": (LITE, ASK_AGAIN),
    "runtime": (FILES, KEEP_FOR_EVER),  # the folder in it has another name for other contents
}
"""The folders that want something of their own: policy and caching."""


def drop_page_name(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Leave out the one inline script that differs from page to page.

    It serves a menu of versions, which this book does not have; with it, the policy would have to
    allow one script more for every page.
    """
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "DOCUMENTATION_OPTIONS.pagename" not in getattr(script, "attributes", {}).get("body", "")
    ]


def write_headers(app: Sphinx) -> None:
    """Write the file into the built site."""
    site = Path(app.outdir)
    (site / FILE).write_text(as_text(rules(site)), encoding="utf8")


def rules(site: Path) -> dict[str, dict[str, str]]:
    """Return the headers of a built site, by path."""
    entries = [path for path in sorted(site.iterdir()) if not path.name.startswith((".", FILE))]
    pages = header_value(PAGES, [entry for entry in entries if part_of(entry) is OF_PAGES])
    found = {"/*": EVERYWHERE}
    for entry in entries:
        policy, caching = part_of(entry)
        value = pages if policy is PAGES else header_value(policy, [entry])
        headers = {"Content-Security-Policy": value, "Cache-Control": caching}
        found |= dict.fromkeys(paths(entry), headers)
    return found


def part_of(entry: Path) -> tuple[Policy, str]:
    """Return the policy and caching of a file or folder; those named _... hold no pages."""
    if entry.name in OF_FOLDERS:
        return OF_FOLDERS[entry.name]
    has_pages = entry.is_dir() and not entry.name.startswith("_")
    return OF_PAGES if has_pages or entry.suffix == ".html" else OF_FILES


def paths(entry: Path) -> list[str]:
    """Return the paths under which hosts offer a file or folder, some without its ".html"."""
    if entry.is_dir():
        return [f"/{entry.name}/*"]
    if entry.suffix != ".html":
        return [f"/{entry.name}"]
    return [f"/{entry.stem}", f"/{entry.name}", *(["/"] if entry.stem == "index" else [])]


def header_value(policy: Policy, part: list[Path]) -> str:
    """Return a policy as a header's value; it allows the inline scripts of a part of the site."""
    inline = Inline()
    for entry in part:
        for page in sorted(entry.rglob("*.html")) if entry.is_dir() else [entry]:
            if page.suffix == ".html":
                inline.read(page)
    allowed = [quoted_hash(text) for text in sorted(inline.scripts)]
    if inline.handlers:
        allowed += ["'unsafe-hashes'", *map(quoted_hash, sorted(inline.handlers))]
    return "; ".join(
        " ".join([directive, sources, *(allowed if directive == "script-src" else [])])
        for directive, sources in policy.items()
    )


def quoted_hash(text: str) -> str:
    """Return the hash of an inline script as a policy writes it."""
    return f"'{integrity(text.encode())}'"


class Inline(HTMLParser):
    """The inline scripts, and the handlers such as onclick="...", of some pages."""

    def __init__(self) -> None:
        """Start with none."""
        super().__init__()
        self.scripts: set[str] = set()
        self.handlers: set[str] = set()
        self._script: list[str] | None = None

    def read(self, page: Path) -> None:
        """Add those of a page."""
        self.reset()
        self.feed(page.read_text(encoding="utf8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note handlers, and that a script begins; a script of another type is data."""
        self.handlers |= {value or "" for name, value in attrs if name.startswith("on")}
        told = dict(attrs)
        if tag == "script" and "src" not in told:
            runs = (told.get("type") or "text/javascript") in ("text/javascript", "module")
            self._script = [] if runs else None

    def handle_data(self, data: str) -> None:
        """Note what a script says."""
        if self._script is not None:
            self._script.append(data)

    def handle_endtag(self, tag: str) -> None:
        """Note that a script has ended."""
        if tag == "script" and self._script is not None:
            self.scripts.add("".join(self._script))
            self._script = None


def as_text(found: dict[str, dict[str, str]]) -> str:
    """Return rules as the file has them: a path, and below it its headers."""
    lines = []
    for path, headers in found.items():
        lines.append(path)
        lines += [f"  {name}: {value}" for name, value in headers.items()]
    for line in lines:
        if len(line) > LONGEST_LINE:
            raise ExtensionError(
                f"{FILE} has a line of {len(line)} characters, and hosts read {LONGEST_LINE} "
                f"({line.strip()[:60]}...): do the inline scripts differ from page to page?"
            )
    return "\n".join(lines) + "\n"
