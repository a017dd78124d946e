"""Pack archives of Python code again as a page wants them: compiled, and without what has no use.

This runs in the very Python that will run the code, which repack.mjs starts: no other has its
bytecode. A module that pages do not import stays source, which is smaller.
"""

import base64
import hashlib
import json
import py_compile
import sys
import tempfile
import zipfile
from collections.abc import Collection
from fnmatch import fnmatchcase
from importlib.util import cache_from_source
from pathlib import Path

BEGINNING_OF_TIME = (1980, 1, 1, 0, 0, 0)


def repack(
    source: Path,
    target: Path,
    place: str,
    left_out: Collection[str] = (),
    only: Collection[str] | None = None,
    *,
    keeps_source: bool = False,
) -> None:
    """Write `source`, a wheel or another zip file, as `target`, with modules compiled.

    `place` is where its files will be found, as tracebacks tell it; `left_out` are patterns of its
    paths, and `only` the places of the modules that are compiled, if it is not all of them. With
    `keeps_source`, a module has its bytecode beside the source, else in its stead.
    """
    with zipfile.ZipFile(source) as archive:
        contents = {
            name: archive.read(name)
            for name in archive.namelist()
            if not name.endswith("/") and not any(fnmatchcase(name, each) for each in left_out)
        }
    packed: dict[str, bytes] = {}
    for name, content in contents.items():
        path = f"{place}/{name}"
        is_compiled = name.endswith(".py") and (only is None or path in only)
        if keeps_source or not is_compiled:
            packed[name] = content
        if is_compiled:
            packed[cache_from_source(name) if keeps_source else f"{name}c"] = bytecode(
                content, path
            )
    for name in packed:
        if name.endswith(".dist-info/RECORD"):
            packed[name] = record(packed, name)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in packed.items():
            entry = zipfile.ZipInfo(name, BEGINNING_OF_TIME)
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)


def bytecode(source: bytes, path: str) -> bytes:
    """Return a module's bytecode, which is taken as it is: nobody compares it with the source."""
    with tempfile.TemporaryDirectory() as folder:
        written, made = Path(folder, "module.py"), Path(folder, "module.pyc")
        written.write_bytes(source)
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(written), str(made), path, True, invalidation_mode=unchecked)
        return made.read_bytes()


def record(packed: dict[str, bytes], own: str) -> bytes:
    """Return what a wheel says of its files: their hashes and sizes, and of itself nothing."""
    lines = []
    for name, content in packed.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        lines.append(f"{name},," if name == own else f"{name},sha256={digest},{len(content)}")
    return ("\n".join(lines) + "\n").encode()


def repack_all(folder: Path, used: str | None = None) -> None:
    """Do what tasks.json in a folder asks for, among the files beside it.

    `used` is run in the place of the code that it names.
    """
    told = json.loads((folder / "tasks.json").read_text(encoding="utf8"))
    exec(told["used"] if used is None else used, {})
    imported = {getattr(module, "__file__", None) for module in [*sys.modules.values()]}
    for task in told["tasks"]:
        compiles = {"keeps_source": True} if task["is_own"] else {"only": imported}
        repack(
            folder / "from" / task["file"],
            folder / "to" / task["file"],
            task["place"],
            task["left_out"],
            **compiles,
        )
