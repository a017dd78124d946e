"""Version, date and mistakes on each page; the page for what is not there; sitemap and preview."""

import re
import subprocess
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from conftest import BOOK
from matplotlib.image import imread
from playwright.sync_api import expect

import backprop_lib
from website import edition

EPOCH = "1796083200"  # 2026-11-30
ADDRESS = "https://example.org/books/backprop"


def app(folder=BOOK, **settings):
    """Return what the steps ask of Sphinx, with settings of the book."""
    config = {"html_baseurl": "", "report_mistakes_to": "", "html_title": "The & book"}
    return SimpleNamespace(
        srcdir=Path(backprop_lib.__file__).parent.parent,
        outdir=folder,
        config=SimpleNamespace(**config | settings),
        env=SimpleNamespace(all_docs=["intro", "chapters/proof"]),
        builder=SimpleNamespace(get_target_uri=lambda page: f"{page}.html"),
    )


def described(**settings):
    context = {"theme_extra_footer": "Text.", "metatags": "", "title": "<b>Max</b>"}
    edition.describe(app(**settings), "chapters/ops/max", "page.html", context, None)
    return context


def test_each_page_says_its_edition(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    wanted = f"Text.<br>Version {backprop_lib.__version__}, 1 December 2026"
    assert described() == {"theme_extra_footer": wanted, "metatags": "", "title": "<b>Max</b>"}


def test_every_built_page_says_version_and_date():
    said = re.compile(rf"Version {re.escape(backprop_lib.__version__)}(, \d+ [A-Z]\w+ \d{{4}})?\s")
    for name in ("intro", "search", "404", "chapters/layers/linear"):
        assert said.search((BOOK / f"{name}.html").read_text(encoding="utf8")), name


def test_the_date_is_that_of_the_last_commit(monkeypatch, tmp_path):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert edition.date(tmp_path) is None
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-05-04T12:00:00Z")
    named = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], [*named, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    assert edition.date(tmp_path) == datetime(2026, 5, 4, 12, tzinfo=UTC)
    monkeypatch.setenv("PATH", "")
    assert edition.date(tmp_path) is None


def test_mistakes_are_told_at_the_address_that_is_set():
    address = "https://example.org/new?title={page}&label=book"
    footer = described(report_mistakes_to=address)["theme_extra_footer"]
    wanted = "https://example.org/new?title=chapters%2Fops%2Fmax&amp;label=book"
    assert footer.endswith(f'<br><a href="{wanted}">Report a mistake on this page</a>')


def test_a_page_has_a_preview_where_the_address_is_known():
    tags = described(html_baseurl=ADDRESS)["metatags"]
    told = dict(re.findall(r'<meta property="(.*?)" content="(.*?)">', tags))
    assert told["og:title"] == "Max"
    assert told["og:site_name"] == "The &amp; book"
    assert told["og:url"] == f"{ADDRESS}/chapters/ops/max.html"
    assert told["og:image"] == f"{ADDRESS}/_static/book.png"


def test_sitemap_and_picture_where_the_address_is_known(monkeypatch, tmp_path):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    (tmp_path / "_static").mkdir()
    (tmp_path / "404.html").write_text('<a href="intro.html">', encoding="utf8")
    edition.finish(app(tmp_path))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["404.html"]
    edition.finish(app(tmp_path, html_baseurl=ADDRESS))
    root = ET.parse(tmp_path / "sitemap.xml").getroot()
    assert ["".join(url.itertext()) for url in root] == [
        f"{ADDRESS}/{page}.html2026-12-01" for page in ("chapters/proof", "intro")
    ]
    assert imread(tmp_path / edition.PICTURE).shape[:2] == (630, 1200)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ('<a href="intro.html#x">', '<a href="/book/intro.html#x">'),
        ('<html data-content_root="./">', '<html data-content_root="/book/">'),
        ('<a href="#main">', '<a href="#main">'),
        ('<a href="https://example.org/">', '<a href="https://example.org/">'),
        ('<script src="_static/a.js?v=1">', '<script src="/book/_static/a.js?v=1">'),
    ],
)
def test_addresses_of_the_page_for_what_is_not_there(written, wanted):
    once = edition.absolute(written, "/book/")
    assert once == wanted
    assert edition.absolute(once, "/book/") == wanted


class Host(SimpleHTTPRequestHandler):
    """A host that shows 404.html for whatever is not there."""

    def send_error(self, code, *_):
        page = (BOOK / "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


def test_what_is_not_there_is_told_at_any_depth(browser):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Host, directory=str(BOOK)))
    Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_port}"
    page = browser.new_page()
    failed = []
    page.on("response", lambda one: failed.append(one.url) if one.status >= 400 else None)
    page.goto(f"{host}/chapters/layers/no/such/page.html")
    page.wait_for_load_state("networkidle")
    assert failed == [page.url]
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    page.get_by_role("main").get_by_role("link", name="search").click()
    expect(page).to_have_url(f"{host}/search.html")
    server.shutdown()
    server.server_close()
    page.close()
