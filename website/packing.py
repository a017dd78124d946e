"""The packages of the runtime as pages start fastest from them: compiled by the browser's Python.

A page would otherwise compile some 900 modules each time it starts Python, which takes longer than
all else. What a build has packed is kept in the user's cache until something of it changes.
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from website.npm import error_line, node
from website.runtime_sources import RuntimeFilesError, sha256

HERE = Path(__file__).resolve().parent
SCRIPTS = [HERE / "repack.mjs", HERE / "repack.py"]
PYTHON = "pyodide.asm.wasm"
STANDARD_LIBRARY = "python_stdlib.zip"
STANDARD_LIBRARY_IS = "python312.zip"
SITE_PACKAGES = "/lib/python3.12/site-packages"
SUMS = "sums.json"

USED = """
import ast, base64, csv, dataclasses, fractions, functools, hmac, importlib.resources, inspect
import io, itertools, json, linecache, logging, math, operator, pathlib, secrets, symtable
import textwrap, traceback
import beartype.door, jaxtyping, numpy.random, sympy
import matplotlib.backends.backend_svg, matplotlib.pyplot
import sympy.printing.pycode
sympy.latex(sympy.simplify(sympy.sqrt(sympy.Symbol("x")) + sympy.Rational(1, 2)))
Array = jaxtyping.Float[numpy.ndarray, "N *D"]
@jaxtyping.jaxtyped(typechecker=beartype.beartype)
def function(x: Array, axis: tuple[int, ...] | None = None, name: str = "") -> tuple[Array, Array]:
    return x, x
function(numpy.zeros((2, 3)))
figure, axes = matplotlib.pyplot.subplots()
axes.plot([1, 2], label="$x$")
axes.legend()
for form in ("png", "svg"):
    figure.savefig(io.BytesIO(), format=form)
"""
"""What cells do on nearly every page: the modules that this imports are compiled."""

LEFT_OUT = {
    # tests, and the benchmarks of each
    "mpmath": ["mpmath/tests/*"],
    "numpy": ["*/tests/*", "*.pyi", "*.pxd", "numpy/*/lib/*.a", "numpy/_core/include/*"],
    "sympy": ["*/tests/*", "*/benchmarks/*"],
    # data of examples; fonts of PostScript, which take a second to read; pictures of windows
    "matplotlib": [
        "*.pyi",
        "*/tests/*",
        "matplotlib/backends/web_backend/*",
        *(f"matplotlib/mpl-data/{name}/*" for name in ("images", "sample_data")),
        *(f"matplotlib/mpl-data/fonts/{name}/*" for name in ("afm", "pdfcorefonts")),
    ],
    # types of packages that are not there
    "jedi": ["jedi/third_party/django-stubs/*", "jedi/third_party/typeshed/third_party/*"],
}
"""What no page has a use for, by package: patterns of paths."""


def pack(folder: Path, packages: dict[str, dict[str, Any]], own: str, store: Path) -> None:
    """Pack the archives of a runtime again, in their places.

    `packages` are those that are packed, as the lock says them, and `own` the one of them that is
    compiled as a whole and keeps its sources; `store` keeps what was packed of the others.

    Raises
    ------
    RuntimeFilesError
        If the browser's Python cannot do it.
    """
    others = {name: told["file_name"] for name, told in packages.items() if name != own}
    tasks = [_task(file, LEFT_OUT.get(name, [])) for name, file in others.items()]
    tasks.append(_task(STANDARD_LIBRARY, place=f"/lib/{STANDARD_LIBRARY_IS}"))
    kept = store / f"packed-{_key(folder, tasks)}"
    if not _is_whole(kept):
        shutil.rmtree(kept, ignore_errors=True)
        _run(folder, tasks, [*others], kept)
    with tempfile.TemporaryDirectory(dir=store) as temporary:
        mine = Path(temporary, "own")
        _run(folder, [_task(packages[own]["file_name"], is_own=True)], [], mine)
        for path in (*kept.iterdir(), *mine.iterdir()):
            if path.name != SUMS:
                shutil.copyfile(path, folder / path.name)


def _task(
    file: str, left_out: list[str] | None = None, place: str = SITE_PACKAGES, is_own: bool = False
) -> dict[str, Any]:
    return {"file": file, "place": place, "left_out": left_out or [], "is_own": is_own}


def _key(folder: Path, tasks: list[dict[str, Any]]) -> str:
    """Return what stands for all that the packed files come from."""
    files = [*SCRIPTS, folder / PYTHON, *(folder / task["file"] for task in tasks)]
    told = json.dumps([USED, tasks, [sha256(path) for path in files]])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _run(folder: Path, tasks: list[dict[str, Any]], loaded: list[str], target: Path) -> None:
    """Pack files of a folder into `target`, which is whole or not there."""
    with tempfile.TemporaryDirectory(prefix=".packing-", dir=target.parent) as temporary:
        work = Path(temporary)
        for name in ("from", "to"):
            (work / name).mkdir()
        for task in tasks:
            shutil.copyfile(folder / task["file"], work / "from" / task["file"])
        told = {"packages": loaded, "used": USED if loaded else "", "tasks": tasks}
        (work / "tasks.json").write_text(json.dumps(told), encoding="utf8")
        done = node(SCRIPTS[0], folder, SCRIPTS[1], work)
        if done.returncode:
            raise RuntimeFilesError(
                f"the browser's Python could not be packed: {error_line(done.stderr)}"
            )
        made = work / "to"
        sums = {path.name: sha256(path) for path in made.iterdir()}
        (made / SUMS).write_text(json.dumps(sums), encoding="utf8")
        made.rename(target)


def _is_whole(kept: Path) -> bool:
    """Say whether a folder of the cache holds what was once put there."""
    try:
        sums = json.loads((kept / SUMS).read_text(encoding="utf8"))
        return bool(sums) and all(sha256(kept / name) == told for name, told in sums.items())
    except (OSError, ValueError):
        return False
