"""The page "Prove your own gradient": verdicts, links that carry code, and what code can reach."""

import base64
import json
import random
import re
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urldefrag

import pytest
from conftest import ROOT, START
from playwright.sync_api import expect

from backprop_lib.layer import layer_in
from backprop_lib.proof import prove

PAGE = "chapters/your_gradient"
LIVE = ROOT / "website" / "live"
EXAMPLE = re.compile(r"name: \"(.*?)\",\s+axes: '(.*?)',\s+code: (\w+)")
WRONG = {
    "linear, wrong": {"dW": "refuted"},
    "LayerNorm, one path forgotten": {"dx": "refuted"},
    "BatchNorm, a published bug": {"dx": "refuted"},
}
IN_PART = {"RNN, a loop over time"}
TRIED = {
    "linear, right": ("db = dy.sum(axis=0)", "db: shape error"),
    "linear, wrong": ("dW = x.T @ dy", "dW: proven"),
    "softmax": ("return y * (dy - (dy * y).sum(axis=1, keepdims=True))", "dx: refuted"),
    "embedding": ("np.add.at(dW, ids, dy)", "dW: refuted"),
    "linear and ReLU, a class": ("self.db = dz.sum(axis=0)", "db: refuted"),
    "dropout, a class": ("return dy * self.kept / (1 - self.p)", "dx: refuted"),
    "LayerNorm": ("dx = r * (g - through_mean - through_variance)", "dx: refuted"),
    "LayerNorm, one path forgotten": ("dx = r * (g - mean(g))", "dx: proven"),
    "BatchNorm, a published bug": (
        "dx = r * (dy - mean(dy) - x_hat * mean(dy * x_hat))",
        "dx: proven",
    ),
    "attention, causal": ("dk = ds.T @ q", "dk: refuted"),
    "RNN, a loop over time": ("dU += h[t].T @ da", "dU: refuted"),
}
"""The line that an example's comment replaces, and what is said then."""


def examples():
    """Return the page's examples: name, axes and code."""
    text = (LIVE / "examples.js").read_text(encoding="utf8")
    files = dict(re.findall(r'import (\w+) from "./(.*?)"', text))
    return [
        (name, axes, (LIVE / files[code]).read_text(encoding="utf8"))
        for name, axes, code in EXAMPLE.findall(text)
    ]


def open_workbench(visit):
    seen = visit(PAGE)
    expect(seen.page.locator("#prove-your-own .cm-content")).to_be_visible()
    return seen


@pytest.fixture
def workbench(visit):
    """The page as it is first opened."""
    return open_workbench(visit)


@pytest.fixture(scope="module")
def used_for_all(visit_for_all):
    return open_workbench(visit_for_all)


@pytest.fixture
def used(used_for_all):
    """The page, on which other tests may have proven something."""
    used_for_all.complaints.clear()
    return used_for_all


def write(page, code, axes):
    page.locator("#prove-your-own .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(code)
    page.get_by_label("Axes of forward's arguments").fill(axes)


def ask(page):
    """Press Prove, and return what is said and the result once the answer is there."""
    page.get_by_role("button", name="Prove", exact=True).click()
    status = page.locator("#prove-your-own .live-status")
    expect(status).to_have_text(re.compile("[Pp]roven|refuted|undecided|wrong;"), timeout=START)
    return status.inner_text(), page.locator(".prove-result")


def judged(code, axes):
    names = {"__name__": "__main__", "prove": prove, "layer_in": layer_in}
    exec(code, names)
    return eval(f"prove(*layer_in(globals()), {axes})", names)


each_example = pytest.mark.parametrize(
    ("name", "axes", "code"), examples(), ids=[name for name, _, _ in examples()]
)


@each_example
def test_the_examples_are_what_their_names_say(name, axes, code):
    right = "proven at" if name in IN_PART else "proven"
    said = {verdict.gradient: verdict.status for verdict in judged(code, axes)}
    assert said == {**dict.fromkeys(said, right), **WRONG.get(name, {})}


@each_example
def test_the_change_that_an_example_suggests_does_what_it_promises(name, axes, code):
    comment, body = code.split("import numpy as np\n")
    look, suggestion = comment.splitlines()
    assert look.startswith("# ")
    replaced, said = TRIED[name]
    assert body.count(replaced) == 1
    tried = body.replace(replaced, suggestion.removeprefix("# Try: "))
    changed, _ = said.split(": ")
    report = judged(f"import numpy as np\n{tried}", axes)
    assert f"{changed}: {report[changed].status}" == said
    others = {verdict.status for verdict in report if verdict.gradient != changed}
    assert others <= {"proven at" if name in IN_PART else "proven"}


def test_every_example_is_found():
    text = (LIVE / "examples.js").read_text(encoding="utf8")
    assert len(examples()) == text.count("name: ") == len([*(LIVE / "examples").iterdir()])
    assert [name for name, _, _ in examples()] == [*TRIED]


def test_examples_are_proven_and_refuted_on_the_page(used, address):
    page = used.page
    page.get_by_label("Start from").select_option("linear, right")
    said, result = ask(page)
    assert said == "✓ All is proven."
    expect(result.locator("mjx-container")).to_have_count(6)

    page.get_by_label("Start from").select_option("linear, wrong")
    said, result = ask(page)
    assert said == "✗ refuted: dW. See below."
    refuted = result.locator(".verdict-refuted")
    expect(refuted.locator(".verdict-badge")).to_have_text("✗ refuted")
    expect(refuted).to_contain_text("A counterexample")
    expect(refuted.locator("mjx-container").nth(2)).to_be_visible()
    assert result.locator(".verdict-proven .verdict-badge").all_inner_texts() == ["✓ proven"] * 2
    expect(result.locator("mjx-container").nth(5)).to_be_visible()

    for example, answer in (
        ("attention, causal", "✓ All is proven, where the report says."),
        ("RNN, a loop over time", "✓ Proven at some sizes or values; see below."),
    ):
        page.get_by_label("Start from").select_option(example)
        said, _ = ask(page)
        assert said == answer
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert used.complaints == []
    assert [u for u in used.requests if not u.startswith((address, "data:", "blob:"))] == []


def test_what_was_proven_before_is_forgotten(used):
    page = used.page
    page.get_by_label("Start from").select_option("linear, right")
    ask(page)
    write(page, "def forward(x):\n    return 2 * x, ()", 'x="N"')
    said, result = ask(page)
    assert said == "Python has found something wrong; see below."
    expect(result).to_contain_text(
        "TypeError: forward returned (ndarray, tuple), and no backward was given"
    )

    write(
        page,
        "def forward(x):\n    return x.sum(axis=0), ()\n\n\ndef backward(dy):\n    return dy",
        "x=N",
    )
    _, result = ask(page)
    expect(result).to_contain_text("NameError: name 'N' is not defined")


def test_a_link_carries_the_code_and_nothing_runs_before_the_button(workbench, visit, address):
    page = workbench.page
    code = "print('Σ ran')\nforward = lambda x: (x * x, (x,))\nbackward = lambda dy, x: 2 * x * dy"
    write(page, code, 'x="N"')
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy a link").click()
    expect(page.locator("#prove-your-own .live-status")).to_contain_text("The link is copied.")
    link = page.evaluate("navigator.clipboard.readText()")
    assert urldefrag(link).url == f"{address}{PAGE}.html"

    seen = visit(PAGE)
    seen.page.goto(link)
    expect(seen.page.locator(".prove-warning")).to_contain_text("came with the link")
    lines = seen.page.locator("#prove-your-own .cm-line").all_inner_texts()
    assert "\n".join(lines) == code
    assert seen.page.get_by_label("Axes of forward's arguments").input_value() == 'x="N"'
    seen.page.wait_for_timeout(1000)
    assert [url for url in seen.requests if "/runtime/" in url] == []
    assert "ran" not in seen.page.locator(".prove-result").inner_text()

    said, result = ask(seen.page)
    assert said == "✓ All is proven."
    expect(result.locator(".stream")).to_have_text("Σ ran")


def test_a_damaged_link_is_no_link(visit):
    page = visit(PAGE).page
    page.goto(f"{page.url}#code=AAAA")
    expect(page.locator("#prove-your-own .cm-content")).to_be_visible()
    assert page.locator(".prove-warning").count() == 0


def packed(code):
    """Return a fragment with code, as a link has it."""
    made = zlib.compressobj(9, wbits=-15)
    text = json.dumps({"code": code, "axes": 'x="N"'}).encode()
    letters = base64.urlsafe_b64encode(made.compress(text) + made.flush())
    return "#code=" + letters.decode().rstrip("=")


@pytest.mark.parametrize(
    "code",
    ["a" * 100_000, random.Random(18).randbytes(40_000).hex()],
    ids=["unpacked", "packed"],
)
def test_a_link_with_too_much_code_is_not_read(visit, code):
    page = visit(PAGE).page
    page.goto(f"{page.url}{packed(code)}")
    warning = page.locator(".prove-warning")
    expect(warning).to_contain_text("carries more code than a link may. It was not read.")
    expect(page.locator("#prove-your-own .cm-content")).to_contain_text("def forward")


def test_a_link_with_as_much_code_as_it_may_is_read(visit):
    page = visit(PAGE).page
    page.goto(f"{page.url}{packed('a' * 99_900)}")
    expect(page.locator(".prove-warning")).to_contain_text("came with the link")


def test_code_that_is_too_long_for_a_link_is_not_copied(workbench):
    page = workbench.page
    write(page, "a" * 100_000, 'x="N"')
    before = page.url
    page.get_by_role("button", name="Copy a link").click()
    status = page.locator("#prove-your-own .live-status")
    expect(status).to_contain_text("This code is too long for a link")
    assert page.url == before


REACH = """
import js
from pyodide.ffi import create_proxy

for name in ("localStorage", "sessionStorage", "document", "parent"):
    assert not hasattr(js, name), name


def refused(what, ask):
    try:
        ask()
    except Exception as error:
        print(what, "refused:", str(error).splitlines()[-1][:90])
    else:
        print(what, "ALLOWED")


def asks(method, address):
    request = js.XMLHttpRequest.new()
    request.open(method, address, False)
    request.send("what the reader typed")


refused("indexedDB", lambda: js.indexedDB.open("live"))
refused("caches", lambda: js.eval("if (self.caches) caches.open('live'); else throw Error('none')"))
refused("this site", lambda: asks("POST", "{address}"))
refused("another host", lambda: asks("GET", "{elsewhere}"))
refused("a script of this site", lambda: js.importScripts("{address}live/live.js"))
refused("a script from elsewhere", lambda: js.importScripts("{elsewhere}x.js"))
print("origin", js.self.origin)
"""


@pytest.fixture
def elsewhere():
    """Another host, and what it was asked for."""
    asked = []

    class Host(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    server.server_close()


def test_code_reaches_nothing_but_its_own_frame(browser, bare_address, elsewhere):
    """Even where the host sends no policy: the sandbox brings its own."""
    page = browser.new_page()
    address = bare_address
    page.goto(f"{address}{PAGE}.html")
    host, asked = elsewhere
    page.evaluate("address => fetch(address, {mode: 'no-cors'})", host)
    assert asked == ["/"]  # the page itself could ask it
    page.evaluate("localStorage.setItem('live /secret', 'what the reader typed')")
    write(page, REACH.replace("{address}", address).replace("{elsewhere}", host), 'x="N"')
    _, result = ask(page)
    told = result.locator(".stream").first.inner_text().splitlines()
    assert len(told) == 7, told
    assert [line for line in told[:6] if " refused: " not in line] == []
    assert told[6] == "origin null"
    assert asked == ["/"]


def test_what_code_says_is_shown_as_text(used):
    page = used.page
    code = (
        "class Rude:\n"
        "    def _repr_html_(self):\n        return '<b>html</b><img src=x onerror=alert(1)>'\n"
        "    def _repr_markdown_(self):\n        return '<b>html</b> **bold** "
        "[link](javascript:alert(1)) $\\\\href{javascript:alert(1)}{x}$'\n"
        "    def __repr__(self):\n        return 'rude'\n"
        "display(Rude())\n"
        "del Rude._repr_html_\n"
        "display(Rude())\n"
    )
    write(page, code, 'x="N"')
    _, result = ask(page)
    expect(result.locator(".text_plain").first).to_have_text("rude")
    markdown = result.locator(".text_markdown")
    expect(markdown.locator("strong")).to_have_text("bold")
    expect(markdown.locator("mjx-container")).to_be_visible()
    assert markdown.locator("b, img").count() == 0
    hrefs = markdown.locator("[href]").evaluate_all("all => all.map((a) => a.getAttribute('href'))")
    assert [href for href in hrefs if href and href.startswith("javascript")] == []


def test_what_is_missing_is_told_in_a_sentence(used):
    page = used.page
    for code, sentence in (
        (
            "def backward(dy, x):\n    return dy",
            "TypeError: there is no forward; expected in the code",
        ),
        (
            "def forward(x):\n    return x, ()",
            "TypeError: forward returned (ndarray, tuple), and no backward was given",
        ),
    ):
        write(page, code, 'x="N"')
        _, result = ask(page)
        expect(result.locator(".traceback pre")).to_have_text(re.compile(re.escape(sentence)))
        assert result.inner_text().strip().startswith(sentence)

    write(page, "def forward(x):\n    return 1 / 0\n\n\ndef backward(dy):\n    return dy", 'x="N"')
    _, result = ask(page)
    expect(result).to_contain_text("line 2, in forward")


def test_python_loads_while_the_reader_types(workbench):
    page = workbench.page
    status = page.locator("#prove-your-own .live-status")
    with page.expect_request("**/runtime/**"):
        page.locator("#prove-your-own .cm-content").click()
    expect(status).to_have_text("")


def test_python_does_not_load_unasked_where_data_are_to_be_saved(browser, address):
    page = browser.new_page()
    page.add_init_script(
        "Object.defineProperty(navigator, 'connection', {value: {saveData: true}})"
    )
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}{PAGE}.html")
    page.locator("#prove-your-own .cm-content").click()
    page.keyboard.insert_text("a = 1")
    page.wait_for_timeout(1000)
    assert [url for url in asked if "/runtime" in url] == []
    page.close()


def test_an_endless_proof_is_stopped(workbench):
    page = workbench.page
    write(page, "while True:\n    pass", 'x="N"')
    page.get_by_role("button", name="Prove", exact=True).click()
    status = page.locator("#prove-your-own .live-status")
    expect(status).to_have_text("Proving", timeout=START)
    page.get_by_role("button", name="Stop").click()
    expect(status).to_have_text("Stopped.")
    page.get_by_label("Start from").select_option("linear, right")
    said, _ = ask(page)
    assert said.startswith("✓ All is proven")


def test_stop_while_python_loads_is_the_end_of_it(workbench):
    page = workbench.page
    held = []
    page.route("**/runtime/*/sympy-*", lambda route: held.append(route))
    page.get_by_role("button", name="Prove", exact=True).click()
    page.get_by_role("button", name="Stop").click()
    status = page.locator("#prove-your-own .live-status")
    expect(status).to_have_text("Stopped.")
    page.wait_for_timeout(1000)
    held[0].continue_()
    page.wait_for_timeout(3000)
    expect(status).to_have_text("Stopped.")
    assert page.locator("iframe").count() == 0


def test_a_heading_of_the_page_is_no_link_with_code(workbench):
    page = workbench.page
    write(page, "mine = 1", 'x="N M"')
    page.evaluate("document.querySelector('.cm-content').dataset.same = 'yes'")
    page.evaluate("location.hash = '#how-to-write-it'")
    page.wait_for_timeout(1000)
    assert page.locator(".cm-content[data-same=yes]").count() == 1


def test_what_was_typed_survives_a_reload(workbench):
    page = workbench.page
    write(page, "mine = 1", 'x="N M"')
    page.reload()
    expect(page.locator("#prove-your-own .cm-content")).to_contain_text("mine = 1")
    assert page.get_by_label("Axes of forward's arguments").input_value() == 'x="N M"'
