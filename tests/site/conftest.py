"""A browser, and the built book below a sub-path of a server on this machine."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browser import NoBrowserError, chromium
from playwright.sync_api import expect, sync_playwright
from serve import Pages

ROOT = Path(__file__).resolve().parent.parent.parent
BOOK = ROOT / "_build" / "html"
expect.set_options(timeout=30_000)  # a busy machine is slow, and no test judges speed

SCREENS = {"wide": (1280, 900), "narrow": (400, 800)}
START = 180_000
"""Milliseconds that starting Python may take on a slow machine."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser():
    try:
        path = chromium()
    except NoBrowserError as error:
        pytest.fail(str(error), pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """The book's address, below a sub-path: nothing in it may count on being at the root.

    Every file comes with the headers that the book wants, so every test runs under its policy.
    """
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


@pytest.fixture
def bare_address():
    """The book on a host that sends no headers of its own."""
    pages = partial(SimpleHTTPRequestHandler, directory=str(BOOK))
    server = ThreadingHTTPServer(("127.0.0.1", 0), pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@dataclass
class Visit:
    """A page that is open, and what went wrong on the way."""

    page: object
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def note_complaints(context, complaints, known_warnings=()):
    """Note what goes wrong in any page of a context, but for the warnings that are known."""

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # the page was left before the file had come
            complaints.append(f"failed: {request.url}")

    def answered(answer):
        if answer.status >= 400:
            complaints.append(f"{answer.status}: {answer.url}")

    def told(message):
        known = message.type == "warning" and message.text.startswith(known_warnings)
        if message.type in ("error", "warning") and not known:
            complaints.append(f"console: {message.text}")

    context.on("requestfailed", failed)
    context.on("response", answered)
    context.on("console", told)
    context.on("weberror", lambda error: complaints.append(f"error: {error.error}"))


@contextmanager
def visiting(browser, address):
    """Open pages of the book, note every request and complaint, and close them at the end."""
    contexts = []

    def go(name, theme="light", screen="wide"):
        width, height = SCREENS[screen]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme
        )
        contexts.append(context)
        visit = Visit(context.new_page())
        context.on("request", lambda request: visit.requests.append(request.url))
        note_complaints(context, visit.complaints)
        page = visit.page
        page.goto(f"{address}{name}.html")
        if name == "index":  # the front door
            page.wait_for_url("**/intro.html")
        page.evaluate("document.fonts.ready.then(() => undefined)")
        return visit

    yield go
    for context in contexts:
        context.close()


def switch_theme(page, theme):
    """Let the reader's system ask for the other colours, and wait until all have come."""
    page.emulate_media(color_scheme=theme)
    expect(page.locator("html")).to_have_attribute("data-theme", theme)
    page.wait_for_timeout(500)  # they change gradually


def make_live(page):
    """Press the button of a chapter that is open, and wait for Python."""
    page.get_by_role("button", name="Run this page").click()
    expect(page.locator(".live-status")).to_have_text("Python is ready.", timeout=START)
    expect(page.locator("div.cell .cm-focused")).to_be_visible()  # the button is gone


@pytest.fixture
def visit(browser, address):
    """Open pages that are closed after the test."""
    with visiting(browser, address) as go:
        yield go


@pytest.fixture(scope="module")
def visit_for_all(browser, address):
    """Open pages that the tests of a file share: starting Python in a page takes long."""
    with visiting(browser, address) as go:
        yield go
