"""Lighthouse on the landing page and a chapter, with files compressed as hosts compress them.

Judged are accessibility, best practices, how well a page is found, and the bytes that it takes. The
mark for speed depends on what else the machine does, so it is told (pytest -rP) and not judged.
"""

import gzip
import json
import os
import subprocess
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from axe import packages
from browser import chromium
from conftest import BOOK
from serve import Pages

from website.npm import NODE

JUDGED = ("accessibility", "best-practices", "seo")
MOST_BYTES = 1_500_000
TEXT = {".css", ".html", ".js", ".json", ".svg"}


class Compressed(Pages):
    """The book's files as most hosts send them: text compressed, and many over one connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802
        file = Path(self.translate_path(self.path))
        if not (file.suffix in TEXT and file.is_file()):
            super().do_GET()
            return
        content = gzip.compress(file.read_bytes(), mtime=0)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(file)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture(scope="module")
def compressed():
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Compressed, directory=str(BOOK)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def lighthouse(address):
    """Return Lighthouse's report on an address; once more if it asks for that."""
    command = [
        NODE,
        packages() / "lighthouse" / "cli" / "index.js",
        address,
        "--preset=desktop",
        "--output=json",
        "--quiet",
        "--no-enable-error-reporting",
        "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
        f"--only-categories=performance,{','.join(JUDGED)}",
    ]
    for _ in range(2):
        done = subprocess.run(
            command,
            env=os.environ | {"CHROME_PATH": chromium()},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        if "Please run Lighthouse again" not in done.stderr:  # on a busy machine it loses its place
            break
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def lost(report, category):
    """Return what costs a page points in a category."""
    audits = [report["audits"][part["id"]] for part in category["auditRefs"] if part["weight"]]
    return [f"{audit['id']}: {audit['title']}" for audit in audits if (audit["score"] or 0) < 1]


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["intro", "chapters/layers/linear"])
def test_lighthouse_finds_little_to_complain_of(compressed, name):
    report = lighthouse(f"{compressed}{name}.html")
    assert "runtimeError" not in report
    categories = report["categories"]
    for judged in JUDGED:
        category = categories[judged]
        assert category["score"] >= 0.95, lost(report, category)
    size = sum(
        file["transferSize"] for file in report["audits"]["network-requests"]["details"]["items"]
    )
    assert 200_000 < size <= MOST_BYTES
    print({key: category["score"] for key, category in categories.items()}, size, "bytes")
