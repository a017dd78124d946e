"""Serve the built book on this machine: claim the port, build, then answer.

python scripts/serve.py --port 8000 _build/html make book
"""

import argparse
import errno
import subprocess
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "127.0.0.1"
HEADERS = "_headers"


class Pages(SimpleHTTPRequestHandler):
    """Files as they are now, with the headers that the site wants.

    A rebuilt page is never hidden by the browser's cache.
    """

    extensions_map = {  # noqa: RUF012 (declared in the base class)
        **SimpleHTTPRequestHandler.extensions_map,
        # a machine may name other types, with which browsers would refuse the file
        ".css": "text/css",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".wasm": "application/wasm",
        ".woff": "font/woff",
        ".woff2": "font/woff2",
    }
    status = 0

    def send_response(self, code: int, message: str | None = None) -> None:
        """Remember the status: no browser may keep an error."""
        self.status = code
        super().send_response(code, message)

    def end_headers(self) -> None:
        """Send the site's headers, and let the browser ask for every file again but for those."""
        asked = getattr(self, "path", "/")  # a request that is no HTTP has none
        wanted = wanted_headers(Path(self.translate_path(asked)), Path(self.directory))
        if self.status >= HTTPStatus.BAD_REQUEST:
            wanted.pop("Cache-Control", None)
        for name, value in ({"Cache-Control": "no-cache"} | wanted).items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal is for the address and for errors."""


def wanted_headers(file: Path, top: Path) -> dict[str, str]:
    """Return the headers that a site wants for one of its files.

    The site is the nearest folder with a file `_headers`, at or below the folder that is served.
    """
    for site in (file, *file.parents):
        if (site / HEADERS).is_file():
            below = [*file.relative_to(site).parts, *([""] if file.is_dir() else [])]
            path = "/" + "/".join(below)
            return headers_for(path, read_rules((site / HEADERS).read_text(encoding="utf8")))
        if site == top:
            break
    return {}


def read_rules(text: str) -> list[tuple[str, str, str]]:
    """Read the rules of a file `_headers`: path, name and value of each header."""
    rules = []
    path = ""
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, value = line.strip().partition(":")
        if line.startswith("/"):
            path = line.strip()
        elif path and colon and line[0].isspace():
            rules.append((path, name, value.strip()))
        elif line.strip() and not line.startswith("#"):
            raise ValueError(
                f"{HEADERS}, line {number}: {line!r} is neither a path such as /chapters/* "
                "nor, indented below one, a header such as Name: value"
            )
    return rules


def headers_for(path: str, rules: list[tuple[str, str, str]]) -> dict[str, str]:
    """Return the headers of all rules that match a path; values of one name are joined."""
    found: dict[str, str] = {}
    for pattern, name, value in rules:
        start = pattern.removesuffix("*")
        if path == pattern or (start != pattern and path.startswith(start)):
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def main() -> None:
    """Claim the port before the build, so that a port in use is told at once."""
    parser = argparse.ArgumentParser(description="Build the book and serve it on this machine.")
    parser.add_argument("--port", default="8000")
    parser.add_argument("folder", help="the built book")
    parser.add_argument("build", nargs=argparse.REMAINDER, help="command that builds the book")
    arguments = parser.parse_args()

    if not arguments.port.isdecimal():
        sys.exit(f"error: port {arguments.port} is no number; for example, make serve PORT=8001")
    port = int(arguments.port)
    pages = partial(Pages, directory=arguments.folder)
    try:
        server = ThreadingHTTPServer((HOST, port), pages)
    except (OSError, OverflowError) as error:
        sys.exit(f"error: {_why(error, port)}")
    try:
        if arguments.build and subprocess.run(arguments.build, check=False).returncode:
            sys.exit("error: the book was not built; what is wrong stands above")
        address = f"http://{HOST}:{server.server_port}"
        print(f"\nThe book is at {address}   (stop with Ctrl+C)", flush=True)
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()


def _why(error: Exception, port: int) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; take another one: make serve PORT={port + 1}"
    return f"port {port} cannot be used ({error}); take another one: make serve PORT=8001"


if __name__ == "__main__":
    main()
