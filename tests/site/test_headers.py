"""The headers that the site wants: what they say, and that the site runs under them."""

import re
import shutil
import socket
import subprocess
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
import serve
from browser import chromium
from conftest import BOOK, FLAGS, ROOT, make_live
from sphinx.errors import ExtensionError

from website import headers

POLICY = "Content-Security-Policy"
LINEAR = "chapters/layers/linear"


def page_with(*parts):
    return f"<!DOCTYPE html><head>{''.join(parts)}</head><body></body>"


@pytest.fixture
def site(tmp_path):
    """A small site, with a folder of each kind."""
    for name in ("chapters", "_static", "live", "runtime/f00"):
        (tmp_path / "site" / name).mkdir(parents=True)
    for name in ("index", "intro", "chapters/one", "live/sandbox"):
        text = page_with(f"<script>here('{name}')</script>")
        (tmp_path / "site" / f"{name}.html").write_text(text)
    for name in (".buildinfo", "objects.inv", "_static/book.css", "runtime/f00/pyodide.js"):
        (tmp_path / "site" / name).touch()
    return tmp_path / "site"


def policy_of(rules, path):
    """Return the policy of a path, by directive."""
    directives = (part.split() for part in rules[path][POLICY].split("; "))
    return {name: sources for name, *sources in directives}


def test_each_part_of_a_site_has_its_policy_and_caching(site):
    rules = headers.rules(site)
    assert {path: told.get("Cache-Control") for path, told in rules.items()} == {
        "/*": None,
        "/_static/*": "no-cache",
        "/chapters/*": "no-cache",
        "/index": "no-cache",
        "/index.html": "no-cache",
        "/": "no-cache",
        "/intro": "no-cache",
        "/intro.html": "no-cache",
        "/live/*": "no-cache",
        "/objects.inv": "no-cache",
        "/runtime/*": "public, max-age=31536000, immutable",
    }
    pages = [path for path in rules if "form-action 'self'" in rules[path].get(POLICY, "")]
    assert pages == ["/chapters/*", "/index", "/index.html", "/", "/intro", "/intro.html"]
    assert len({rules[path][POLICY] for path in pages}) == 1
    assert policy_of(rules, "/live/*")["sandbox"] == ["allow-scripts"]
    assert policy_of(rules, "/_static/*")["default-src"] == ["'none'"]
    assert POLICY not in rules["/*"]


def test_a_policy_allows_the_inline_scripts_of_its_own_part_only(site):
    rules = headers.rules(site)
    of_pages = {headers.quoted_hash(f"here('{n}')") for n in ("index", "intro", "chapters/one")}
    of_sandbox = {headers.quoted_hash("here('live/sandbox')")}
    assert set(policy_of(rules, "/intro")["script-src"]) == {"'self'", *of_pages}
    assert set(policy_of(rules, "/live/*")["script-src"]) == {
        "blob:",
        "'wasm-unsafe-eval'",
        *of_sandbox,
    }


def test_inline_scripts_and_handlers_are_found_as_browsers_read_them(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        page_with(
            '<script src="a.js"></script>',
            "<script>\n  a < b && '</p>'\n</script>",
            '<script type="module">b</script>',
            '<script type="application/json">{"data": 1}</script>',
            '<button onclick="say(&quot;x&quot;)">once</button>',
            "<p>text</p>",
        )
    )
    inline = headers.Inline()
    inline.read(page)
    inline.read(page)
    assert inline.scripts == {"\n  a < b && '</p>'\n", "b"}
    assert inline.handlers == {'say("x")'}
    # from the first example in the specification of integrity and policy hashes
    assert headers.quoted_hash("alert('Hello, world.');") == (
        "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"
    )


def test_handlers_are_allowed_by_their_hash_and_only_if_there_are_any(site):
    assert "unsafe-hashes" not in headers.as_text(headers.rules(site))
    (site / "intro.html").write_text(page_with('<b onclick="go()">'))
    sources = policy_of(headers.rules(site), "/intro")["script-src"]
    assert sources[-2:] == ["'unsafe-hashes'", headers.quoted_hash("go()")]


def test_a_policy_too_long_for_hosts_is_told(site):
    for number in range(40):
        (site / f"page{number}.html").write_text(page_with(f"<script>page = {number}</script>"))
    with pytest.raises(ExtensionError, match=r"line of 2\d{3} characters, and hosts read 2000"):
        headers.as_text(headers.rules(site))


def test_what_is_written_is_what_is_read(site):
    rules = headers.rules(site)
    read = {}
    for path, name, value in serve.read_rules(headers.as_text(rules)):
        read.setdefault(path, {})[name] = value
    assert read == rules


def test_a_rule_matches_a_path_or_all_that_is_below_and_values_add_up():
    rules = serve.read_rules("# why\n/*\n  A: 1\n\n/a/*\n  A: 2\n  B: x: y\n/a\n\tC: 3\n")
    assert serve.headers_for("/a/b/c.html", rules) == {"A": "1, 2", "B": "x: y"}
    assert serve.headers_for("/a/", rules) == {"A": "1, 2", "B": "x: y"}
    assert serve.headers_for("/a", rules) == {"A": "1", "C": "3"}
    assert serve.headers_for("/ab/c", rules) == {"A": "1"}


@pytest.mark.parametrize("text", ["/*\nA: 1\n", "  A: 1\n", "/*\n  A 1\n"])
def test_a_line_that_is_neither_path_nor_header_is_told(text):
    with pytest.raises(ValueError, match=r"_headers, line \d: '.*' is neither a path"):
        serve.read_rules(text)


class Logging(serve.Pages):
    """Notes what was asked for, and the status of the answer."""

    def log_request(self, code="-", size="-"):
        asked = urlsplit(getattr(self, "path", ""))
        self.server.answered.append((asked.path, int(code)))


@pytest.fixture
def host():
    """Serve a folder; return the address and the list of what was answered."""
    servers = []

    def go(folder, pages=Logging):
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(pages, directory=str(folder)))
        server.answered = []
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/", server.answered

    yield go
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(address):
    """Return the status and headers of an answer."""
    try:
        with urlopen(Request(address, method="HEAD")) as response:
            return response.status, response.headers
    except HTTPError as error:
        return error.code, error.headers


def test_the_server_sends_what_the_site_wants_wherever_the_site_is(site, host):
    (site / "_headers").write_text(headers.as_text(headers.rules(site)))
    rules = headers.rules(site)
    for folder, place in ((site, ""), (site.parent, "site/")):
        address, _ = host(folder)
        for path, rule in [
            ("", "/"),
            ("intro.html", "/intro.html"),
            ("chapters/one.html?query", "/chapters/*"),
            ("live/", "/live/*"),
            ("live/sandbox.html", "/live/*"),
            ("runtime/f00/pyodide.js", "/runtime/*"),
        ]:
            status, told = answer(address + place + path)
            assert status == 200
            for name, value in (rules["/*"] | rules[rule]).items():
                assert told.get_all(name) == [value], path


def test_a_rebuilt_site_is_served_with_its_new_headers(site, host):
    (site.parent / "_headers").write_text("/*\n  X-Edition: of another site\n")
    address, _ = host(site)
    told = answer(f"{address}intro.html")[1]
    assert told["X-Edition"] is None
    assert told.get_all("Cache-Control") == ["no-cache"]
    (site / "_headers").write_text("/intro.html\n  X-Edition: 2\n")
    told = answer(f"{address}intro.html")[1]
    assert told["X-Edition"] == "2"
    assert told.get_all("Cache-Control") == ["no-cache"]


def test_an_error_is_kept_by_no_browser(site, host):
    (site / "_headers").write_text(headers.as_text(headers.rules(site)))
    address, _ = host(site)
    status, told = answer(f"{address}runtime/f00/gone.whl")
    assert status == 404
    assert told.get_all("Cache-Control") == ["no-cache"]


def test_what_is_no_request_is_refused_in_words(site, host):
    (site / "_headers").write_text(headers.as_text(headers.rules(site)))
    address, _ = host(site)
    server = urlsplit(address)
    with socket.create_connection((server.hostname, server.port)) as connection:
        connection.sendall(b"GET / and more HTTP/1.1\r\n\r\n")
        with connection.makefile() as said:
            assert said.readline().startswith("HTTP/1.0 400 Bad request syntax")


@pytest.mark.parametrize(
    ("name", "type_"),
    [("a.js", "text/javascript"), ("a.mjs", "text/javascript"), ("a.wasm", "application/wasm")],
)
def test_scripts_and_wasm_have_the_types_that_browsers_demand(site, host, name, type_):
    (site / name).touch()
    address, _ = host(site)
    assert answer(address + name)[1]["Content-Type"] == type_


# The built book, below a sub-path.


@pytest.fixture(scope="module")
def rules_of_book():
    return headers.rules(BOOK)


def kinds():
    """Return one file of the built book for each folder and ending."""
    found = {}
    for file in sorted(path for path in BOOK.rglob("*") if path.is_file()):
        place = file.relative_to(BOOK)
        if not place.name.startswith("."):
            found.setdefault((place.parts[0] if place.parts[1:] else "", file.suffix), place)
    return [place.as_posix() for place in found.values() if place.name != headers.FILE]


def test_every_kind_of_file_of_the_book_has_one_policy_and_one_caching(address):
    assert len(kinds()) > 30
    for path in kinds():
        told = answer(address + path)[1]
        assert len(told.get_all(POLICY)) == 1, path
        assert "default-src 'none'" in told[POLICY]
        assert told[POLICY].count("default-src") == 1, path
        caching = headers.KEEP_FOR_EVER if path.startswith("runtime/") else headers.ASK_AGAIN
        assert told.get_all("Cache-Control") == [caching], path
        for name, value in headers.EVERYWHERE.items():
            assert told.get_all(name) == [value], path


def test_the_pages_share_a_small_policy_without_a_loophole(address, rules_of_book):
    told = Counter(answer(address + path)[1][POLICY] for path in kinds() if ".html" in path)
    policy = policy_of(rules_of_book, "/chapters/*")
    assert told[rules_of_book["/chapters/*"][POLICY]] == 2  # of the top, and of chapters/
    hashes = [source for source in policy["script-src"] if source.startswith("'sha256-")]
    assert len(hashes) <= 10
    assert set(policy["script-src"]) - set(hashes) == {"'self'", "'unsafe-hashes'"}
    everything = " ".join(source for sources in policy.values() for source in sources)
    assert not re.search(r"http|\*|eval|blob", everything)


def test_the_header_of_the_sandbox_says_what_the_sandbox_says_itself(rules_of_book):
    text = (BOOK / "live" / "sandbox.html").read_text(encoding="utf8")
    own = re.search(r'http-equiv="Content-Security-Policy"\s+content="(.*?)"', text).group(1)
    own = {name: set(sources) for name, *sources in (part.split() for part in own.split("; "))}
    told = policy_of(rules_of_book, "/live/*")
    assert {name: set(told[name]) for name in own} == own


INTRUDER = "<script>document.documentElement.dataset.intruder = 'ran'</script>"
HANDLER = "<img src='data:,' onerror=\"document.documentElement.dataset.intruder = 'ran'\" alt=''>"


@pytest.mark.parametrize("intruder", [INTRUDER, HANDLER])
def test_an_inline_script_that_is_not_the_books_does_not_run(browser, host, tmp_path, intruder):
    shutil.copytree(BOOK / "_static", tmp_path / "_static")
    shutil.copy(BOOK / headers.FILE, tmp_path)
    whole = (BOOK / "search.html").read_text(encoding="utf8")
    (tmp_path / "search.html").write_text(whole.replace("</body>", f"{intruder}</body>"))
    address, _ = host(tmp_path)

    def opened():
        context = browser.new_context()
        page = context.new_page()
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{address}search.html")
        page.wait_for_load_state("networkidle")
        set_by_scripts = page.evaluate("({ ...document.documentElement.dataset })")
        context.close()
        return set_by_scripts, " ".join(said)

    found, said = opened()
    assert "intruder" not in found
    assert found["mode"] == "auto"  # set by the page's own inline script
    assert "Content Security Policy" in said

    (tmp_path / headers.FILE).unlink()
    found, said = opened()
    assert found["intruder"] == "ran"  # so it is the policy that kept it from running
    assert "Content Security Policy" not in said


def test_the_button_that_prints_works(visit):
    seen = visit(LINEAR)
    seen.page.evaluate("window.print = () => { window.printed = true; }")
    seen.page.locator("button[onclick='window.print()']").evaluate("button => button.click()")
    assert seen.page.evaluate("window.printed") is True
    assert seen.complaints == []


def test_a_page_can_send_nothing_to_another_host(visit, host, tmp_path):
    (tmp_path / "x.png").touch()
    elsewhere, asked = host(tmp_path)
    page = visit(LINEAR).page
    refused = page.evaluate(
        """address => Promise.all([
            fetch(address, {mode: "no-cors"}).then(() => false, () => true),
            new Promise((done) => {
                const image = new Image();
                image.onload = () => done(false);
                image.onerror = () => done(true);
                image.src = address + "x.png";
            }),
            new Promise((done) => {
                const script = document.createElement("script");
                script.onload = () => done(false);
                script.onerror = () => done(true);
                script.src = address + "x.js";
                document.head.append(script);
            }),
        ])""",
        elsewhere,
    )
    assert refused == [True, True, True]
    assert asked == []


def test_the_sandbox_opened_by_another_page_has_an_origin_of_its_own(browser, address):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}live/sandbox.html")
    assert page.evaluate("self.origin") == "null"
    context.close()


class WithoutHeaders(SimpleHTTPRequestHandler):
    """A host that knows nothing of the headers, such as GitHub Pages."""

    def log_message(self, *_):
        pass


HAND_OVER = """async (address) => {
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((done) => (port1.onmessage = () => done("ran")));
    const worker = new Blob(["onmessage = ({ ports: [port] }) => port.postMessage(self.origin)"]);
    const site = window.open(address);
    await new Promise((done) => setTimeout(done, 2000));
    site.postMessage({ worker, files: new Map(), packages: [] }, "*", [port2]);
    const late = new Promise((done) => setTimeout(done, 2000, "did not run"));
    return Promise.race([answer, late]);
}"""


def test_the_sandbox_runs_nothing_for_another_site_even_without_headers(browser, host, tmp_path):
    """It would run with the book's origin, and could read what readers have saved."""
    book, _ = host(BOOK, WithoutHeaders)
    (tmp_path / "page.html").write_text("<!DOCTYPE html>")
    elsewhere, _ = host(tmp_path, WithoutHeaders)
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{elsewhere}page.html")
    assert page.evaluate(HAND_OVER, f"{book}live/sandbox.html") == "did not run"
    context.close()


def test_python_is_fetched_once_and_pages_are_asked_for_again(browser, host, tmp_path):
    """A profile on disk: one in memory keeps no file of 10 MB."""
    address, answered = host(BOOK)
    context = browser.browser_type.launch_persistent_context(
        tmp_path / "profile", executable_path=chromium(), args=FLAGS
    )
    page = context.new_page()

    def run_page():
        answered.clear()
        page.goto(f"{address}{LINEAR}.html")
        make_live(page)
        return dict(answered)

    first, second = run_page(), run_page()
    context.close()
    of_python = {path for path in first if path.startswith("/runtime/")}
    assert len(of_python) > 10
    assert set(first.values()) == {200}
    assert not of_python & set(second)
    assert {f"/{LINEAR}.html", "/live/runtime.json", "/live/sandbox.html"} <= set(second)
    assert set(second) <= set(first)
    assert set(second.values()) == {304}


@pytest.fixture(scope="module")
def publishing():
    """The part of CONTRIBUTING.md on publishing: its examples, by language."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf8")
    (part,) = re.findall(r"^## Publish the book\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r"```(\w+)\n(.*?)```", part, re.DOTALL))


def test_the_example_for_nginx_sends_the_same_headers(publishing):
    example = publishing["nginx"]
    told = dict(re.findall(r'add_header (\S+) +"?(.*?)"?(?: always)?;', example))
    assert told == headers.EVERYWHERE | {POLICY: "$policy", "Cache-Control": "$caching"}
    maps = dict(re.findall(r"map \$uri (\S+) \{\s*include (\S+);", example))
    assert maps == {"$policy": f"{POLICY}.map", "$caching": "Cache-Control.map"}


def test_the_maps_for_nginx_say_what_the_file_says(publishing, site, tmp_path):
    rules = headers.rules(site)
    (tmp_path / "_build").mkdir()
    site.rename(tmp_path / "_build" / "html")
    (tmp_path / "_build" / "html" / "_headers").write_text(headers.as_text(rules))
    subprocess.run(["sh", "-eu"], input=publishing["sh"], text=True, cwd=tmp_path, check=True)
    for name in (POLICY, "Cache-Control"):
        entries = re.findall(r'(\S+) "(.*)";\n', (tmp_path / f"{name}.map").read_text())
        assert dict(entries) == {
            f"~^{path[:-1]}" if path.endswith("*") else path: told[name]
            for path, told in rules.items()
            if name in told
        }
