"""Live cells: every page with code can be edited and run in the reader's browser.

A page gets one small script. What that loads when the reader asks for it is bundled here, from
`live/` and the packages that its package-lock.json pins, and laid beside the pages in `live/` of
the built site. Python itself comes from `runtime`.
"""

import hashlib
import json
import os
import shutil
from base64 import b64encode
from pathlib import Path
from string import Template
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from website import runtime
from website.npm import install, node

HERE = Path(__file__).resolve().parent / "live"
WORKBENCH = "chapters/your_gradient"
ENTRIES = ["page.js", "prove.js", "formulas.js"]
AS_THEY_ARE = ["live.js", "live.css", "worker.js", "notebook.py"]
CORE = [
    "pyodide.js",
    "pyodide.asm.js",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    runtime.LOCK,
]
LOADED = runtime.own_package()
"""What Python has at hand when a page starts, with all that it depends on."""


def add_script(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Name the script in every page that is made from a notebook, and in the one for all code."""
    script = "prove.js" if page == WORKBENCH else "live.js"
    if context.get("page_source_suffix") == ".ipynb" or page == WORKBENCH:
        address = context["pathto"](f"live/{script}", resource=True)
        context["metatags"] += f'\n<script type="module" src="{address}"></script>'


def lay_out(app: Sphinx) -> None:
    """Write what the pages load on request into the built site."""
    target = Path(app.outdir, "live")
    shutil.rmtree(target, ignore_errors=True)
    bundle(target)
    for name in AS_THEY_ARE:
        shutil.copy(HERE / name, target)
    (target / "sandbox.html").write_text(sandbox(), encoding="utf8")
    listed = files_of(runtime.folder(Path(app.outdir)))
    (target / "runtime.json").write_text(json.dumps(listed, indent=1), encoding="utf8")


def sandbox() -> str:
    """Return the page of the sandbox, whose policy allows its own script and no other."""
    script = (HERE / "sandbox.js").read_text(encoding="utf8")
    page = Template((HERE / "sandbox.html").read_text(encoding="utf8"))
    return page.substitute(script=script, hash=integrity(script.encode()))


def files_of(folder: Path) -> dict[str, Any]:
    """List the files that Python needs for the cells of a page, with their sizes and hashes."""
    packages = json.loads((folder / runtime.LOCK).read_text(encoding="utf8"))["packages"]
    loaded = (packages[name]["file_name"] for name in runtime.with_depends([LOADED], packages))
    contents = {name: (folder / name).read_bytes() for name in (*CORE, *loaded)}
    return {
        "folder": f"../runtime/{folder.name}/",
        "packages": [LOADED],
        "files": [
            {"name": name, "size": len(content), "integrity": integrity(content)}
            for name, content in contents.items()
        ],
    }


def integrity(content: bytes) -> str:
    """Return the hash of a content as a browser compares it."""
    return "sha256-" + b64encode(hashlib.sha256(content).digest()).decode()


def bundle(target: Path) -> None:
    """Make one script of each entry and all that it imports."""
    packages = install(HERE, runtime.cache(), "node_modules/@esbuild/*/bin/esbuild")
    done = node(
        packages / "node_modules" / "esbuild" / "bin" / "esbuild",
        *ENTRIES,
        "--bundle",
        "--minify",
        "--format=esm",
        "--splitting",
        "--loader:.py=text",
        "--target=es2022",
        "--legal-comments=linked",
        f"--outdir={target}",
        cwd=HERE,
        env=os.environ | {"NODE_PATH": str(packages / "node_modules")},
    )
    if done.returncode:
        raise ExtensionError(f"the scripts of the live cells could not be bundled:\n{done.stderr}")
