"""The chapters as notebooks in a full Jupyter, in the reader's browser: JupyterLite in lite/.

It runs on the files of Python that the whole site shares, in runtime/, and asks no other host for
anything. The rocket menu of a chapter opens that chapter.
"""

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from website import runtime
from website.plain_markdown import Headings, headings, plain

FOLDER = "lite"
APPS = ["notebooks", "lab", "tree", "edit", "consoles"]
"""A chapter opens in notebooks; the others are where its menus lead to."""
KERNEL = "@jupyterlite/pyodide-kernel-extension"
KERNEL_PACKAGES = ["micropip", "ssl", "sqlite3", "comm", "jedi", "ipython", runtime.own_package()]
"""Loaded as Python starts, by their names in pyodide-lock.json: what the kernel imports, and ours.

The kernel would look for what is missing here at a package index. Its own wheels, such as piplite,
come with its extension.
"""
DISABLED = ["@jupyterlite/application-extension:service-worker-manager"]
"""The service worker lets Python read and write the notebooks' folder and ask with input().

No chapter does either. It would answer a request to the host's root, outside of the book, every 20
seconds; and whether it is ready when Python asks for the folder is a matter of luck.
"""
NOTEBOOK_SETTINGS = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
"""All cells are there from the start.

If they come and go with scrolling, JupyterLab's table of contents stumbles over one that has gone
(a TypeError), and the page is blank after "Run All".
"""
KERNEL_SPEC = {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}
"""Another name would make the kernel's extension guess, and warn that it did."""
FONTS_FOR_OLD_BROWSERS = re.compile(r"fa-[a-z]+-\d+\.(eot|svg|ttf|woff)")
"""Font Awesome in formats for browsers that know no WOFF2, and so no WebAssembly either."""
HEAD = '<head>\n    <link rel="icon" href="data:,">'
"""The apps name an icon once their scripts run; until then, browsers would ask the host's root."""
OURS = Path(__file__).parent / FOLDER
START_PYTHON = "start_python.js"
EARLIER_WORK = "earlier_work.js"


def add_rocket_menu(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Offer a chapter as a notebook, in the header of its page.

    The theme has such a menu too, but writes one address on all pages, whatever their folder.
    """
    if context.get("page_source_suffix") != ".ipynb":
        return
    address = f"{context['pathto'](f'{FOLDER}/notebooks/index.html', 1)}?path={quote(page)}.ipynb"
    entry = {
        "type": "link",
        "text": "Open as a notebook",
        "tooltip": "Open this chapter in Jupyter, in your browser",
        "icon": "fas fa-book-open",
        "url": address,
    }
    menu = {
        "type": "group",
        "tooltip": "Run this chapter",
        "icon": "fas fa-rocket",
        "buttons": [entry],
        "label": "launch-buttons",
    }
    context["header_buttons"].insert(0, menu)


def add_lite(app: Sphinx) -> None:
    """Build JupyterLite into the built site."""
    icon = Path(app.config.html_favicon).name
    build(Path(app.srcdir), Path(app.outdir), app.config.html_title, f"_static/{icon}")


def build(source: Path, site: Path, title: str, icon: str) -> None:
    """Write lite/ into the built site, whole or not at all.

    `source` is the folder of the book's chapters, `icon` the path of the site's icon in `site`.
    """
    python = runtime.folder(site).relative_to(site).as_posix()
    with tempfile.TemporaryDirectory(prefix=".lite-", dir=site) as temporary:
        work = Path(temporary)
        edition = stage(source, work / "contents")
        write_json(work / "jupyter-lite.json", settings(title, edition, python, icon))
        write_json(work / "jupyter_lite_config.json", build_settings(work))
        run_builder(work)
        finish(work / FOLDER)
        shutil.rmtree(site / FOLDER, ignore_errors=True)
        (work / FOLDER).rename(site / FOLDER)


def stage(source: Path, target: Path) -> str:
    """Copy the chapters without their outputs, and return the edition: a hash of what they say."""
    edition = hashlib.sha256()
    notebooks = {
        path.relative_to(source).as_posix(): nbformat.read(path, as_version=4)
        for path in sorted(source.glob("chapters/**/*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts
    }
    if not notebooks:
        raise ExtensionError(f"{source / 'chapters'} holds no notebook")
    known = headings(
        (place, cell.source)
        for place, notebook in notebooks.items()
        for cell in notebook.cells
        if cell.cell_type == "markdown"
    )
    for place, notebook in notebooks.items():
        text = nbformat.writes(for_jupyter(notebook, place, known)) + "\n"
        edition.update(f"{place}\0{text}\0".encode())
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        (target / place).write_text(text, encoding="utf8")
    return edition.hexdigest()[:8]


def for_jupyter(notebook: NotebookNode, place: str, known: Headings) -> NotebookNode:
    """Return a notebook as nobody has run it yet, in plain Markdown, for the browser's kernel."""
    clean: NotebookNode = nbformat.from_dict(notebook)
    clean.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL_SPEC, "language_info": {"name": "python"}}
    )
    for cell in clean.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        elif cell.cell_type == "markdown":
            cell.source = plain(cell.source, place, known)
    return clean


def settings(title: str, edition: str, python: str, icon: str) -> dict[str, Any]:
    """Return what JupyterLite reads as it starts; "./" is its own folder, wherever it is hosted.

    What a reader saves is kept under the edition's name, so that it never hides a later edition;
    earlier_work.js brings it along.
    """
    kernel = {
        "pyodideUrl": f"./{START_PYTHON}",
        "disablePyPIFallback": True,
        "loadPyodideOptions": {"indexURL": f"../{python}/", "packages": KERNEL_PACKAGES},
    }
    return {
        "jupyter-lite-schema-version": 0,
        "jupyter-config-data": {
            "appName": title,
            "contentsStorageName": f"{title} {edition}",
            "disabledExtensions": DISABLED,
            "faviconUrl": f"./../{icon}",
            "litePluginSettings": {f"{KERNEL}:kernel": kernel},
            "settingsOverrides": NOTEBOOK_SETTINGS,
        },
    }


def build_settings(work: Path) -> dict[str, Any]:
    """Return what `jupyter lite build` reads.

    The environment has extensions of JupyterLab for a server, which are of no use without one: only
    the kernel's is taken.
    """
    return {
        "LiteBuildConfig": {
            "apps": APPS,
            "contents": [str(work / "contents")],
            "output_dir": str(work / FOLDER),
            "cache_dir": str(work / "cache"),
            "ignore_sys_prefix": True,
            "federated_extensions": [str(kernel_extension())],
            "no_sourcemaps": True,
            "no_unused_shared_packages": True,
        }
    }


def kernel_extension() -> Path:
    """Find the extension that jupyterlite-pyodide-kernel has installed."""
    folder = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / KERNEL
    if not (folder / "package.json").is_file():
        raise ExtensionError(
            f"jupyterlite-pyodide-kernel is not installed ({folder} is not there): "
            "pip install -r requirements.txt"
        )
    return folder


def run_builder(work: Path) -> None:
    """Run `jupyter lite build` in the folder with its settings."""
    command = [sys.executable, "-m", "jupyterlite_core", "build"]
    run = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if run.returncode or not (work / FOLDER / "notebooks" / "index.html").is_file():
        lines = [*run.stdout.splitlines(), *run.stderr.splitlines()]
        errors = [line for line in lines if "error" in line.lower()] or lines or ["it says nothing"]
        raise ExtensionError(f"JupyterLite was not built: {errors[-1].strip()}")


def finish(lite: Path) -> None:
    """Leave out what no reader's browser loads, and put in what the builder has not."""
    for path in (lite / "build").iterdir():
        if FONTS_FOR_OLD_BROWSERS.fullmatch(path.name):
            path.unlink()
    for app in APPS:
        replace(lite / app / "index.html", "<head>", HEAD)
        config = json.loads((lite / app / "jupyter-lite.json").read_text(encoding="utf8"))
        config["jupyter-config-data"].pop("faviconUrl", None)
        write_json(lite / app / "jupyter-lite.json", config)
        (lite / app / "favicon.ico").unlink(missing_ok=True)
    replace(lite / "index.html", "<head>", HEAD)
    shutil.copytree(server_icons(), lite / "static" / "favicons")
    for name in (START_PYTHON, EARLIER_WORK):
        shutil.copy(OURS / name, lite)
    start = lite / "config-utils.js"  # the first script of every app
    text = start.read_text(encoding="utf8")
    start.write_text(f'import "./{EARLIER_WORK}";\n\n{text}', encoding="utf8")


def server_icons() -> Path:
    """Find the icons of notebooks and of running kernels, which are in another package."""
    spec = importlib.util.find_spec("jupyter_server")
    if spec is None or spec.origin is None:
        raise ExtensionError("jupyter-server is not installed: pip install -r requirements.txt")
    return Path(spec.origin).parent / "static" / "favicons"


def replace(file: Path, old: str, new: str) -> None:
    """Replace the one `old` in a file."""
    text = file.read_text(encoding="utf8")
    if text.count(old) != 1:
        raise ExtensionError(f"{file.name} of JupyterLite has {text.count(old)} {old}, not one")
    file.write_text(text.replace(old, new), encoding="utf8")


def write_json(file: Path, data: dict[str, Any]) -> None:
    """Write data as a JSON file."""
    file.write_text(json.dumps(data, indent=2) + "\n", encoding="utf8")
