"""A browser, and the built book below a sub-path of a server on this machine."""

import os
import shutil
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from serve import Pages

ROOT = Path(__file__).resolve().parent.parent.parent
BOOK = ROOT / "_build" / "html"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """Return the path of a Chromium on this machine."""
    named = os.environ.get("CHROMIUM")
    path = named or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None or not Path(path).is_file():
        pytest.exit(
            "the browser tests need Chromium, and "
            + (f"CHROMIUM={named} is no file" if named else "there is none on this machine")
            + ": install it (Debian, Ubuntu: apt install chromium) or set CHROMIUM to its path",
            returncode=1,
        )
    return path


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """The book's address, below a sub-path: nothing in it may count on being at the root."""
    if not (BOOK / "intro.html").is_file():
        pytest.exit("there is no built book: run make book", returncode=1)
    top = tmp_path_factory.mktemp("host")
    (top / "some" / "where").mkdir(parents=True)
    (top / "some" / "where" / "book").symlink_to(BOOK)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, directory=str(top)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/some/where/book/"
    server.shutdown()
    server.server_close()
