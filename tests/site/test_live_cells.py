"""Cells that are edited and run in the page, with the Python that the site brings along."""

import json
import re
import time
from contextlib import closing

import nbformat
import pytest
from axe import breaks_no_rule
from conftest import ROOT, START, make_live
from playwright.sync_api import expect
from test_exercises import CODE, DETAILS

LINEAR, MAX = "chapters/layers/linear", "chapters/ops/max"
LONG = 300_000


def cells_of(name):
    return nbformat.read(ROOT / f"{name}.ipynb", as_version=4).cells


def first_exercise(name):
    """Return the number of a chapter's first exercise among its code cells, and its answers."""
    cells = cells_of(name)
    code = [cell for cell in cells if cell.cell_type == "code"]
    exercise = next(cell for cell in code if "exercise" in cell.metadata.get("tags", []))
    folded = DETAILS.findall(cells[cells.index(exercise) + 1].source)
    answers = {name: CODE.findall(text)[0] for name, text in folded if name != "Hint"}
    return code.index(exercise), answers


@pytest.fixture(scope="module")
def live_for_all(visit_for_all):
    seen = visit_for_all(LINEAR)
    make_live(seen.page)
    return seen


@pytest.fixture
def live(live_for_all):
    """A chapter whose cells are live. Other tests may have changed and run its cell 1."""
    live_for_all.complaints.clear()
    return live_for_all


@pytest.fixture
def without_python(visit):
    """A chapter in which Python never comes, and in which it is not needed."""
    page = visit(LINEAR).page
    page.route("**/runtime/**", lambda route: None)
    return page


def make_editors(page):
    page.get_by_role("button", name="Run this page").click()
    expect(cell(page, 1).locator(".cm-content")).to_be_visible()


def cell(page, number):
    """Return a code cell by its number, counted from 1."""
    return page.locator("div.cell:has(div.cell_input)").nth(number - 1)


def write(page, number, text):
    editor = cell(page, number).locator(".cm-content")
    editor.scroll_into_view_if_needed()
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def text_of(page, number):
    lines = cell(page, number).locator(".cm-line").all_inner_texts()
    return "\n".join(line.rstrip("\n") for line in lines)


def run(page, number, timeout=START):
    """Press Run, and wait until the cell has ended in one way or another."""
    state = cell(page, number).locator(".live-state")
    state.evaluate("state => (state.textContent = '')")  # what it said of an earlier run
    cell(page, number).get_by_role("button", name=f"Run cell {number}", exact=True).click()
    expect(state).to_have_text(re.compile("ran in|error|stopped"), timeout=timeout)
    return cell(page, number).locator("div.cell_output")


def is_fine(seen, address):
    assert seen.complaints == []
    elsewhere = [u for u in seen.requests if not u.startswith((address, "data:", "blob:"))]
    assert elsewhere == []


@pytest.mark.parametrize("name", [LINEAR, pytest.param(MAX, marks=pytest.mark.thorough)])
def test_a_reader_answers_an_exercise_and_runs_every_cell(visit, address, name):
    """In one session: starting Python takes long."""
    seen = visit(name)
    make_live(seen.page)
    an_exercise_is_proven_or_refuted_and_put_back(seen.page, name)
    every_cell_answers_what_is_printed_in_the_book(seen.page, name)
    breaks_no_rule(seen.page)
    is_fine(seen, address)


def an_exercise_is_proven_or_refuted_and_put_back(page, name):
    place, answers = first_exercise(name)
    number = place + 1
    original = text_of(page, number)
    printed = cell(page, number).locator("div.cell_output").inner_text()
    reset = cell(page, number).get_by_role("button", name=f"Reset cell {number}")
    expect(reset).to_be_disabled()

    write(page, number, answers["Solution"])
    output = run(page, number)
    expect(output).to_contain_text("proven")
    expect(output).not_to_contain_text("refuted")
    ran = page.locator(".live-state", has_text="ran in").count()
    assert ran == 2  # the imports, which it needs, were run before it, and nothing else

    write(page, number, answers["A wrong answer, and why"])
    output = run(page, number)
    expect(output).to_contain_text("A counterexample")
    expect(output.locator("mjx-container").nth(1)).to_be_visible()
    expect(page.locator(".live-status")).to_have_text(
        re.compile(rf"Cell {number} has run\. .*refuted")
    )

    assert text_of(page, number) != original
    reset.click()
    assert text_of(page, number) == original
    assert cell(page, number).locator("div.cell_output").inner_text() == printed
    undo = cell(page, number).get_by_role("button", name=f"Undo the reset of cell {number}")
    expect(undo).to_be_enabled()


def every_cell_answers_what_is_printed_in_the_book(page, name):
    code = [c for c in cells_of(name) if c.cell_type == "code"]
    assert page.locator("div.cell .cm-editor").count() == len(code)
    page.get_by_role("button", name="Run all").click()
    status = page.locator(".live-status")
    expect(status).to_have_text(re.compile("have run|ended"), timeout=LONG)
    assert status.inner_text().startswith(f"All {len(code)} cells have run")

    compared = 0
    for number, source in enumerate(code, start=1):
        printed = "".join(o.text for o in source.outputs if o.output_type == "stream")
        if printed:
            shown = cell(page, number).locator("div.cell_output pre").first.inner_text()
            assert shown.strip() == printed.strip()
            compared += 1
        drawn = [o for o in source.outputs if "text/html" in o.get("data", {})]
        assert cell(page, number).locator("div.cell_output svg[role=img]").count() == len(drawn)
    assert compared >= 3
    expect(page.locator("div.cell_output mjx-container").nth(4)).to_be_attached()
    assert page.locator("mjx-merror, [data-mjx-error], .stderr, .traceback").count() == 0


def test_errors_text_values_and_figures_are_shown(live, address):
    page = live.page

    write(page, 1, "def f(x):\n    return 1 / x\n\n\nprint('before')\nf(0)")
    output = run(page, 1)
    expect(output.locator(".stream pre")).to_have_text("before\n")
    error = output.locator(".traceback pre").inner_text()
    assert re.match(
        r'Traceback \(most recent call last\):\n  File "cell 1(, run \d+)?", line 6', error
    )
    assert error.rstrip().endswith("ZeroDivisionError: division by zero")
    assert "return 1 / x" in error
    assert "pyodide" not in error
    expect(page.locator(".live-status")).to_contain_text("Cell 1 ended with an error.")

    write(page, 1, "import sys\nprint('told', file=sys.stderr)\n'shown'")
    output = run(page, 1)
    expect(output.locator(".stderr pre")).to_have_text("told\n")
    expect(output.locator(".text_plain pre")).to_have_text("'shown'")

    write(page, 1, "import sympy as sp\nsp.sqrt(sp.Symbol('x') / 2)")
    expect(run(page, 1).locator(".text_latex mjx-container")).to_have_count(1)

    write(page, 1, "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);")
    picture = run(page, 1).locator("img")
    assert picture.evaluate("image => image.naturalWidth") > 300

    write(
        page,
        1,
        "class Rude:\n    def _repr_html_(self):\n"
        "        return '<img src=data:, onerror=alert(1)><b>kept</b><script>alert(1)</script>'\n"
        "Rude()",
    )
    output = run(page, 1)
    expect(output.locator("b")).to_have_text("kept")
    assert output.locator("script, [onerror]").count() == 0
    # That is the policy, which finds the handler in the text before it is taken out.
    assert {c.partition(" violates")[0] for c in live.complaints} <= {
        "console: Executing inline event handler"
    }


def test_shift_enter_runs_tab_indents_and_escape_lets_go(live):
    page = live.page
    write(page, 1, "if True:")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.insert_text("print(6 * 7)")
    page.keyboard.press("Shift+Enter")
    expect(cell(page, 1).locator(".stream pre")).to_have_text("42\n", timeout=START)

    page.keyboard.press("Tab")
    assert cell(page, 1).locator(".cm-focused").count() == 1
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.ariaLabel") == "Run cell 1"


def test_an_endless_loop_is_stopped(live, address):
    page = live.page
    write(page, 1, "while True:\n    pass")
    cell(page, 1).get_by_role("button", name="Run cell 1", exact=True).click()
    status = page.locator(".live-status")
    expect(status).to_have_text("Running cell 1")
    time.sleep(1)
    page.get_by_role("button", name="Stop").click()
    expect(cell(page, 1).locator(".live-state")).to_have_text("stopped")
    expect(status).to_contain_text("Stopped. Python has started anew", timeout=START)

    write(page, 1, "print('alive')")
    expect(run(page, 1).locator("pre")).to_have_text("alive\n")
    what_cells_need_is_imported_before_they_ask(page)
    is_fine(live, address)


def what_cells_need_is_imported_before_they_ask(page):
    """Python has just started anew, and no cell here asks for it."""
    write(page, 1, "import sys\nprint('backprop_lib.proof' in sys.modules, 'np' in globals())")
    assert run(page, 1).inner_text().strip() == "True False"


def test_what_was_typed_survives_a_reload_and_a_new_edition(without_python):
    page = without_python
    make_editors(page)
    write(page, 1, "print('mine')")
    page.reload()
    assert "print('mine')" not in cell(page, 1).inner_text()
    page.get_by_role("button", name="Run this page").click()
    expect(cell(page, 1).locator(".cm-content")).to_contain_text("print('mine')")

    page.evaluate(
        """() => {
        const key = Object.keys(localStorage).find((key) => key.startsWith("live "));
        const [kept] = JSON.parse(localStorage.getItem(key));
        localStorage.setItem(key, JSON.stringify([{ ...kept, original: "an older edition" }]));
    }"""
    )
    page.reload()
    page.get_by_role("button", name="Run this page").click()
    expect(cell(page, 1).locator(".cm-content")).not_to_contain_text("print('mine')")
    page.get_by_role("button", name="Bring back my text of cell 1").click()
    expect(cell(page, 1).locator(".cm-content")).to_contain_text("print('mine')")

    cell(page, 1).get_by_role("button", name="Reset cell 1").click()
    assert kept_texts(page) == []
    cell(page, 1).get_by_role("button", name="Undo the reset of cell 1").click()
    expect(cell(page, 1).locator(".cm-content")).to_contain_text("print('mine')")
    assert kept_texts(page) == ["print('mine')"]


def kept_texts(page):
    """Return what the browser keeps of this chapter."""
    return page.evaluate(
        "JSON.parse(localStorage.getItem(`live ${location.pathname}`) ?? '[]').map((k) => k.text)"
    )


def keeps(page, *texts):
    """Wait until the browser keeps these texts of this chapter: tabs learn of others in a while."""
    end = time.monotonic() + 30
    while sorted(kept_texts(page)) != sorted(texts):
        assert time.monotonic() < end, kept_texts(page)
        page.wait_for_timeout(50)


def test_before_the_button_is_pressed_the_page_says_that_own_text_is_kept(without_python):
    page = without_python
    note = page.locator(".live-kept")
    make_editors(page)
    expect(note).to_have_count(0)
    for number in (5, 3):
        write(page, number, "mine")
    page.reload()
    expect(note).to_have_text(
        'Your own text of cells 3, 5 is kept in this browser. "Run this page" shows it.'
    )
    following = note.evaluate(
        "(note, cell) => note.nextElementSibling === cell", cell(page, 3).element_handle()
    )
    assert following
    breaks_no_rule(page)
    make_editors(page)
    expect(note).to_have_count(0)


def test_reset_all_asks_first_and_can_be_undone(without_python):
    page = without_python
    make_editors(page)
    original = text_of(page, 1)
    for number in (1, 3):
        write(page, number, f"mine = {number}")
    reset_all = page.get_by_role("button", name="Reset all")
    status = page.locator(".live-status")

    reset_all.click()
    expect(status).to_have_text("Put the book's code back into 2 cells that you have edited?")
    breaks_no_rule(page)
    page.get_by_role("button", name="Keep my text").click()
    assert text_of(page, 3) == "mine = 3"
    expect(page.get_by_role("button", name="Keep my text")).to_have_count(0)

    reset_all.click()
    page.get_by_role("button", name="Reset 2 cells").click()
    expect(status).to_have_text("All cells are as in the book.")
    assert text_of(page, 1) == original
    assert kept_texts(page) == []

    page.get_by_role("button", name="Undo reset of all").click()
    assert [text_of(page, 1), text_of(page, 3)] == ["mine = 1", "mine = 3"]
    keeps(page, "mine = 1", "mine = 3")


def test_two_tabs_keep_what_is_typed_in_both(without_python):
    first = without_python
    second = first.context.new_page()
    second.route("**/runtime/**", lambda route: None)
    second.goto(first.url)
    for page in (first, second):
        make_editors(page)
    write(first, 1, "first = 1")
    write(second, 3, "second = 3")
    keeps(first, "first = 1", "second = 3")
    write(second, 1, "second = 1")
    keeps(first, "first = 1", "second = 1", "second = 3")
    assert text_of(first, 1) == "first = 1"
    note = cell(first, 1).locator(".live-note")
    expect(note).to_contain_text("You have typed another text here, in another tab.")
    write(first, 1, "first = 11")
    keeps(first, "first = 11", "second = 1", "second = 3")
    second.close()

    first.reload()
    make_editors(first)
    expect(cell(first, 1).locator(".cm-content")).to_have_text("first = 11")
    expect(cell(first, 3).locator(".cm-content")).to_have_text("second = 3")
    first.get_by_role("button", name="Bring back my text of cell 1").click()
    expect(cell(first, 1).locator(".cm-content")).to_have_text("second = 1")
    first.keyboard.press("Control+z")
    expect(cell(first, 1).locator(".cm-content")).to_have_text("first = 11")


def test_cells_are_live_over_plain_http(browser, address):
    """Browsers keep some functions for https, and for addresses of this very machine."""
    host = "http://book.example/"
    with closing(browser.new_context()) as context:
        page = context.new_page()

        def fetch(route):
            own = address + route.request.url.removeprefix(host)
            route.fulfill(response=route.fetch(url=own))

        page.route(f"{host}**", fetch)
        page.route("**/runtime/**", lambda route: None)
        page.goto(f"{host}{LINEAR}.html")
        assert not page.evaluate("isSecureContext")
        make_editors(page)
        write(page, 1, "mine")
        keeps(page, "mine")


def test_a_cell_that_waits_for_python_says_so(without_python):
    page = without_python
    make_editors(page)
    cell(page, 3).get_by_role("button", name="Run cell 3", exact=True).click()
    expect(cell(page, 3).locator(".live-state")).to_have_text("waiting for Python …")


def test_the_button_shows_at_once_that_it_was_pressed(without_python):
    page = without_python
    held = []
    page.route("**/live/page.js*", lambda route: held.append(route))
    page.get_by_role("button", name="Run this page").click()
    expect(page.get_by_role("button", name="Loading …")).to_be_disabled()
    held[0].continue_()
    expect(cell(page, 1).locator(".cm-content")).to_be_visible()


def test_code_that_floods_the_page_is_ended(live):
    page = live.page
    write(
        page,
        1,
        "import sys\nlong = {'kind': 'rich', 'mime': 'text/plain', 'text': 'x' * 9**7}\n"
        "while True:\n    sys.stdout.send(long)",
    )
    cell(page, 1).get_by_role("button", name="Run cell 1", exact=True).click()
    status = page.locator(".live-status")
    expect(status).to_have_text("The code sent more than a page can show. Python was ended.")
    page.get_by_role("button", name="Try again").click()
    expect(status).to_have_text("Python is ready.", timeout=START)


def test_no_kept_text_is_lost_whatever_the_new_edition_changed(without_python):
    page = without_python
    make_editors(page)
    original = text_of(page, 1)
    kept = [
        {"number": 1, "original": original, "text": "kept = 1"},
        {"number": 3, "original": "an older edition", "text": "kept = 3"},
        {"number": 3, "original": "a still older one", "text": "kept = 33"},
    ]
    page.evaluate(
        "kept => localStorage.setItem(`live ${location.pathname}`, JSON.stringify(kept))", kept
    )
    for _ in range(2):
        page.reload()
        page.get_by_role("button", name="Run this page").click()
        expect(cell(page, 1).locator(".cm-content")).to_have_text("kept = 1")
        again = "JSON.parse(localStorage.getItem(`live ${location.pathname}`)).map((k) => k.text)"
        assert sorted(page.evaluate(again)) == ["kept = 1", "kept = 3", "kept = 33"]
        back = page.get_by_role("button", name="Bring back my text of cell 3")
        expect(back).to_have_count(2)


def test_who_does_not_press_the_button_loads_nothing_of_it(visit, address):
    seen = visit(LINEAR)
    loaded = [url for url in seen.requests if re.search("/live/|/runtime/|/lite/", url)]
    assert loaded == [f"{address}live/live.js"]


def test_a_file_that_does_not_arrive_is_told_by_name_and_asked_for_again(visit):
    page = visit(LINEAR).page
    page.route("**/pyodide.asm.wasm", lambda route: route.abort())
    page.get_by_role("button", name="Run this page").click()
    status = page.locator(".live-status")
    expect(status).to_contain_text("pyodide.asm.wasm could not be loaded", timeout=START)
    page.unroute("**/pyodide.asm.wasm")

    page.route("**/sympy-*.whl", lambda route: route.fulfill(body=b"damaged"))
    page.get_by_role("button", name="Try again").click()
    expect(status).to_contain_text(re.compile(r"sympy-\S+ could not be loaded, or arrived damaged"))
    page.unroute("**/sympy-*.whl")

    page.get_by_role("button", name="Try again").click()
    expect(status).to_have_text("Python is ready.", timeout=START)


def test_a_script_that_does_not_arrive_is_asked_for_again(without_python):
    page = without_python
    page.route("**/live/page.js*", lambda route: route.abort())
    page.get_by_role("button", name="Run this page").click()
    again = page.get_by_role("button", name="Not loaded. Try again")
    expect(again).to_be_visible()
    page.unroute("**/live/page.js*")
    again.click()
    expect(cell(page, 1).locator(".cm-content")).to_be_visible()


def test_a_browser_without_webassembly_is_told(browser, address):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("delete globalThis.WebAssembly")
    page.goto(f"{address}{LINEAR}.html")
    page.get_by_role("button", name="Run this page").click()
    expect(page.locator(".live-status")).to_contain_text("it has no WebAssembly")
    context.close()


def test_the_list_names_every_file_that_is_loaded(live):
    runtime = [url.rpartition("/")[2] for url in live.requests if "/runtime/" in url]
    listed = live.page.evaluate("fetch('../../live/runtime.json').then((a) => a.json())")
    assert sorted(runtime) == sorted(file["name"] for file in listed["files"])
    assert len(runtime) == len(set(runtime))
    assert json.dumps(listed).count("sha256-") == len(runtime)


@pytest.mark.parametrize(
    ("width", "height", "most"), [(400, 800, 0.12), (740, 330, 0.18), (320, 330, 0.3)]
)
def test_the_bar_leaves_a_small_screen_to_the_page(without_python, width, height, most):
    page = without_python
    page.set_viewport_size({"width": width, "height": height})
    make_editors(page)
    bar = page.locator(".live-bar")
    taken = "(bar) => bar.offsetHeight / innerHeight"
    assert bar.evaluate(taken) <= most
    said = "Cell 12 has run. ✗ refuted: dW; ? undecided: dx; ✓ proven: db. " * 3
    page.locator(".live-status").evaluate("(status, said) => (status.textContent = said)", said)
    assert bar.evaluate(taken) <= most
    for button in bar.get_by_role("button").all():
        assert button.bounding_box()["height"] >= 24
