"""JupyterLite: what the extension writes, and two chapters run in it from the rocket menu."""

import json
import re
import time
from urllib.parse import urljoin, urlsplit

import nbformat
import pytest
from conftest import ROOT, note_complaints
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect
from sphinx.errors import ExtensionError

from website import lite

SECONDS = 180
"""How long a chapter may take from the click to its last output; it takes 30 to 60."""
TIMES_ASKED = 6
TOO_SLOW = SECONDS * 1000
UNAVOIDABLE = (
    # JupyterLab's own menus, in the app for one notebook
    "Menu entry for command 'filemenu:close-and-cleanup' is duplicated.",
    "Menu entry for command 'application:close' is duplicated.",
    # there is no service worker, on purpose
    "Pyodide contents will NOT be synced with Jupyter Contents.",
)
"""What JupyterLite writes to the console in any case, all of it warnings."""
NO_SUCH_FOLDER = (
    "console: Failed to load resource: the server responded with a status of 404",
    "console: don't worry, about SyntaxError",
)
"""What it writes when it asks the host for the contents of a folder that a reader has made."""


def notebook(*cells, **metadata):
    """Return a notebook, its cells all code."""
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source, **more) for source, more in cells],
        metadata=metadata,
    )


def write_chapter(folder, name, book):
    """Write a notebook as a chapter."""
    path = folder / "chapters" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(book), encoding="utf8")
    return path


def test_a_chapter_is_staged_without_outputs_and_with_its_tags_only():
    output = nbformat.v4.new_output("stream", text="2\n")
    more = {
        "outputs": [output],
        "execution_count": 3,
        "metadata": {"tags": ["exercise"], "collapsed": True},
    }
    book = notebook(
        ("1 + 1", more),
        ("2", {}),
        kernelspec={"name": "python3", "display_name": "Python 3"},
        author="me",
    )
    clean = lite.for_jupyter(book, "chapters/a.ipynb", {})
    assert clean.metadata == {
        "kernelspec": lite.KERNEL_SPEC,
        "language_info": {"name": "python"},
    }
    assert clean.cells[0].outputs == []
    assert clean.cells[0].execution_count is None
    assert [cell.metadata for cell in clean.cells] == [{"tags": ["exercise"]}, {}]
    assert [cell.source for cell in clean.cells] == ["1 + 1", "2"]
    assert book.cells[0].outputs == [output]


def test_chapters_keep_their_place_and_editors_copies_stay_away(tmp_path):
    write_chapter(tmp_path, "a.ipynb", notebook(("1", {})))
    write_chapter(tmp_path, "ops/b.ipynb", notebook(("2", {})))
    write_chapter(tmp_path, "ops/.ipynb_checkpoints/b.ipynb", notebook(("3", {})))
    lite.stage(tmp_path, tmp_path / "stage")
    staged = sorted(path.relative_to(tmp_path) for path in (tmp_path / "stage").rglob("*.ipynb"))
    assert [path.as_posix() for path in staged] == [
        "stage/chapters/a.ipynb",
        "stage/chapters/ops/b.ipynb",
    ]


def test_the_edition_changes_with_what_a_chapter_says_and_with_its_name_only(tmp_path):
    def edition(number):
        return lite.stage(tmp_path, tmp_path / f"stage{number}")

    book = notebook(("1", {"id": "cell"}))
    path = write_chapter(tmp_path, "a.ipynb", book)
    first = edition(1)
    book.cells[0].outputs = [nbformat.v4.new_output("stream", text="2\n")]
    write_chapter(tmp_path, "a.ipynb", book)
    assert edition(2) == first
    book.cells[0].source = "2"
    write_chapter(tmp_path, "a.ipynb", book)
    second = edition(3)
    assert second != first
    path.rename(path.with_name("b.ipynb"))
    assert edition(4) not in (first, second)


def test_a_book_without_chapters_is_told_so(tmp_path):
    with pytest.raises(ExtensionError, match=r"chapters holds no notebook"):
        lite.stage(tmp_path, tmp_path / "stage")


@pytest.mark.parametrize(("folders", "named"), [([], "none"), (["a1", "b2"], "a1, b2")])
def test_no_python_or_two_of_it_stop_the_build_and_leave_what_was_there(tmp_path, folders, named):
    write_chapter(tmp_path, "a.ipynb", notebook(("1", {})))
    site = tmp_path / "site"
    for name in folders:
        (site / "runtime" / name).mkdir(parents=True)
        (site / "runtime" / name / "pyodide-lock.json").touch()
    (site / "lite").mkdir(parents=True)
    before = sorted(site.rglob("*"))
    with pytest.raises(ExtensionError, match=rf"and there is: {named}$"):
        lite.build(tmp_path, site, "Book", "icon.svg")
    assert sorted(site.rglob("*")) == before


def test_a_failing_builder_is_told_in_its_last_words_and_leaves_nothing(tmp_path, monkeypatch):
    write_chapter(tmp_path, "a.ipynb", notebook(("1", {})))
    site = tmp_path / "site"
    (site / "runtime" / "a1").mkdir(parents=True)
    (site / "runtime" / "a1" / "pyodide-lock.json").touch()
    settings = {"LiteBuildConfig": {"app_archive": str(tmp_path / "nowhere.tgz")}}
    monkeypatch.setattr(lite, "build_settings", lambda work: settings)
    with pytest.raises(ExtensionError, match=r"^JupyterLite was not built: .*nowhere\.tgz"):
        lite.build(tmp_path, site, "Book", "icon.svg")
    assert [path.name for path in site.iterdir()] == ["runtime"]


def test_a_missing_kernel_is_told_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(lite.sys, "prefix", str(tmp_path))
    with pytest.raises(ExtensionError, match=r"not installed .* pip install -r requirements"):
        lite.kernel_extension()


def test_a_page_of_jupyterlite_that_has_changed_is_told(tmp_path):
    page = tmp_path / "index.html"
    page.write_text("<head></head><head>")
    with pytest.raises(ExtensionError, match=r"index\.html of JupyterLite has 2 <head>, not one"):
        lite.replace(page, "<head>", "")


def test_every_address_is_relative():
    told = lite.settings("Book", "e1", "runtime/a1", "_static/icon.svg")["jupyter-config-data"]
    kernel = told["litePluginSettings"][f"{lite.KERNEL}:kernel"]
    assert kernel["loadPyodideOptions"]["indexURL"] == "../runtime/a1/"
    assert kernel["pyodideUrl"] == "./start_python.js"
    assert told["faviconUrl"] == "./../_static/icon.svg"
    assert told["contentsStorageName"] == "Book e1"


def test_the_built_jupyterlite_has_the_kernel_only_and_nothing_that_no_browser_loads(address):
    folder = ROOT / "_build" / "html" / "lite"
    config = json.loads((folder / "jupyter-lite.json").read_text(encoding="utf8"))
    extensions = config["jupyter-config-data"]["federated_extensions"]
    assert [extension["name"] for extension in extensions] == [lite.KERNEL]
    names = [path.name for path in folder.rglob("*") if path.is_file()]
    assert not [name for name in names if re.search(r"\.(map|eot|ttf|wasm)$", name)]
    assert not (folder / "repl").exists()
    chapters = {path.relative_to(ROOT) for path in ROOT.glob("chapters/**/*.ipynb")}
    files = folder / "files"
    assert {path.relative_to(files) for path in files.rglob("*.ipynb")} == {
        path for path in chapters if ".ipynb_checkpoints" not in path.parts
    }
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 17_000_000


@pytest.fixture
def jupyter(browser, address):
    """Open pages in a new profile of the browser, and note what goes wrong anywhere in it."""
    contexts = []

    def new():
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        complaints = []

        def check(request):
            if not request.url.startswith((address, "data:", "blob:")):
                complaints.append(f"elsewhere: {request.url}")

        context.on("request", check)
        note_complaints(context, complaints, UNAVOIDABLE)
        return context, complaints

    yield new
    for context in contexts:
        context.close()


def open_from_rocket_menu(context, address, name):
    """Open a chapter's page, click its way into Jupyter, and return Jupyter's page."""
    page = context.new_page()
    page.goto(f"{address}{name}.html")
    page.get_by_role("button", name="Run this chapter").click()
    with context.expect_page() as opened:
        page.get_by_role("link", name="Open as a notebook").click()
    notebook = opened.value
    notebook.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=TOO_SLOW)
    return notebook


def run_all(page):
    """Run all cells, and return the seconds to the first and to the last number of a run."""
    start = time.monotonic()
    number, asked = re.compile(r"\[\d+\]:"), re.compile(r"\[(\*|\d+)\]:")
    cells = page.locator(".jp-CodeCell .jp-InputPrompt")
    for _ in range(TIMES_ASKED):  # Jupyter drops what is asked before its kernel is there
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        try:
            expect(cells.first).to_have_text(asked, timeout=TOO_SLOW / TIMES_ASKED)
            break
        except AssertionError:
            print(f"asked {time.monotonic() - start:.0f} s ago, and no cell runs")
    expect(cells.first).to_have_text(number, timeout=TOO_SLOW)
    first = time.monotonic() - start
    expect(cells.last).to_have_text(number, timeout=TOO_SLOW)
    return first, time.monotonic() - start


def save(page, name):
    """Save with the keyboard, and return the notebook as the browser keeps it."""
    page.keyboard.press("Control+s")
    saved = page.wait_for_function(READ_SAVED, arg=name, polling=200, timeout=30_000)
    return saved.json_value()


READ_SAVED = """async (path) => {
    const config = await (await fetch("../jupyter-lite.json")).json();
    const name = config["jupyter-config-data"].contentsStorageName;
    const done = (request) => new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
    const known = await indexedDB.databases();
    if (!known.some((database) => database.name === name)) return null;
    const database = await done(indexedDB.open(name));
    try {
        const model = await done(database.transaction("files").objectStore("files").get(path));
        const cells = model?.content?.cells.filter((cell) => cell.cell_type === "code");
        return cells?.every((cell) => cell.execution_count) ? model.content : null;
    } finally {
        database.close();
    }
}"""


def printed(cell):
    """Return the text of a cell's outputs, by kind: what it printed, showed and raised."""
    told = {}
    for output in cell["outputs"]:
        kind = output["output_type"]
        pieces = {output.get("name", kind): output.get("text", output.get("evalue", ""))}
        if kind in ("execute_result", "display_data"):
            pieces = {mime: text for mime, text in output["data"].items() if "text/" in mime}
        for name, text in pieces.items():
            told[name] = told.get(name, "") + "".join(text)
    # the browser's Python is a 32-bit one, and whole numbers are of that size
    return {name: text.replace("int32", "int64") for name, text in told.items()}


def test_a_chapter_runs_in_jupyter_from_the_rocket_menu(jupyter, address, record_property):
    name = "chapters/first_steps"
    stored = nbformat.read(ROOT / f"{name}.ipynb", as_version=4)
    for attempt in (1, 2):
        context, complaints = jupyter()
        page = open_from_rocket_menu(context, address, name)
        try:
            first, last = run_all(page)
            break
        except (AssertionError, PlaywrightTimeoutError) as error:
            print(f"{name}: attempt {attempt} in JupyterLite came to no end: {error}")
            if attempt == 2:
                raise
    print(f"{name}: first cell after {first:.1f} s, last after {last:.1f} s, attempt {attempt}")
    record_property("seconds", {"first": first, "last": last})

    run = save(page, f"{name}.ipynb")
    assert complaints == []
    pairs = [
        (before, after)
        for before, after in zip(stored["cells"], run["cells"], strict=True)
        if before["cell_type"] == "code"
    ]
    assert len(pairs) >= 15
    for before, after in pairs:
        if "nbval-ignore-output" not in before["metadata"].get("tags", []):
            assert printed(after) == printed(before), before["source"]
    expect(page.locator(".jp-OutputArea mjx-container").first).to_be_visible()
    assert page.locator("mjx-merror").count() == 0


@pytest.mark.parametrize("name", ["chapters/layers/linear", "chapters/proof", "intro"])
def test_only_chapters_with_code_have_a_rocket_menu_and_it_names_them(name, address, browser):
    page = browser.new_page()
    try:
        page.goto(f"{address}{name}.html")
        links = page.locator(".dropdown-launch-buttons a")
        if name == "intro":
            assert links.count() == 0
            return
        target = urlsplit(urljoin(page.url, links.get_attribute("href")))
        assert target.geturl().startswith(f"{address}lite/notebooks/index.html?")
        assert target.query == f"path={name}.ipynb"
    finally:
        page.close()


SAVE_IN_AN_EARLIER_EDITION = """async ([name, models]) => {
    await new Promise((resolve, reject) => {
        const request = indexedDB.open(name);
        request.onupgradeneeded = () => request.result.createObjectStore("files");
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
            const transaction = request.result.transaction("files", "readwrite");
            for (const model of models) transaction.objectStore("files").put(model, model.path);
            transaction.oncomplete = () => { request.result.close(); resolve(); };
        };
    });
}"""


def saved_file(path, text):
    """Return a text file as JupyterLite keeps it."""
    return {
        "name": path.rpartition("/")[2],
        "path": path,
        "type": "file",
        "format": "text",
        "mimetype": "text/plain",
        "content": text,
        "size": len(text),
        "writable": True,
        "created": "2026-01-01T00:00:00.000Z",
        "last_modified": "2026-02-03T04:05:06.000Z",
    }


def test_what_was_saved_in_an_earlier_edition_is_found_in_the_new_one(jupyter, address):
    context, complaints = jupyter()
    page = context.new_page()
    page.goto(f"{address}intro.html")
    page.evaluate(
        SAVE_IN_AN_EARLIER_EDITION,
        ["Backpropagation by Hand 0ld", [saved_file("chapters/mine.txt", "my own work")]],
    )
    page.evaluate(
        SAVE_IN_AN_EARLIER_EDITION, ["Another site 0ld", [saved_file("other.txt", "not ours")]]
    )
    for _ in range(2):  # the second time there is nothing left to bring
        page.goto(f"{address}lite/tree/index.html")
        files = page.locator(".jp-DirListing-item")
        expect(files).to_have_text([re.compile("^chapters"), re.compile("^Earlier editions")])
    files.last.dblclick()
    expect(files).to_have_text([re.compile(r"^saved until 2026-02-03 \(0ld\)")])
    files.first.dblclick()
    expect(files).to_have_text([re.compile("^chapters")])
    files.first.dblclick()
    expect(files).to_have_text([re.compile(r"^mine\.txt")])
    page.goto(
        f"{address}lite/edit/index.html"
        "?path=Earlier editions/saved until 2026-02-03 (0ld)/chapters/mine.txt"
    )
    expect(page.locator(".cm-content")).to_have_text("my own work")
    known = (f"404: {address}lite/api/contents/Earlier%20editions/", *NO_SUCH_FOLDER)
    assert [complaint for complaint in complaints if not complaint.startswith(known)] == []


def test_a_link_to_another_chapter_opens_it(jupyter, address):
    context, complaints = jupyter()
    page = open_from_rocket_menu(context, address, "chapters/layers/linear")
    with context.expect_page() as opened:
        page.locator(".jp-MarkdownCell a", has_text="Notation").first.click()
    expect(opened.value.locator(".jp-MarkdownCell h1").first).to_contain_text(
        "Notation", timeout=TOO_SLOW
    )
    target = urlsplit(opened.value.url)
    assert target.path.endswith("/lite/notebooks/index.html")
    assert target.query == "path=chapters%2Fnotation.ipynb"
    assert complaints == []


def test_a_new_edition_opens_with_the_chapters_that_it_brings(jupyter, address):
    context, _ = jupyter()
    page = context.new_page()
    page.goto(f"{address}intro.html")
    old = saved_file("chapters/layers/linear.ipynb", "")
    book = notebook(("'a saved copy'", {}))
    old |= {"type": "notebook", "format": "json", "content": json.loads(nbformat.writes(book))}
    page.evaluate(SAVE_IN_AN_EARLIER_EDITION, ["Backpropagation by Hand 0ld", [old]])
    page = open_from_rocket_menu(context, address, "chapters/layers/linear")
    expect(page.locator(".jp-MarkdownCell h1").first).to_contain_text("Linear")
    expect(page.get_by_text("'a saved copy'")).to_have_count(0)
