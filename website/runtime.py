"""Python for the reader's browser: one folder of the built site, runtime/HASH.

It holds Pyodide, the packages that the book imports, and the book's own library, which runtime.json
lists; HASH stands for all their contents, so a browser may keep the folder for ever. The folder is
there whole and checked, or it is not there, and the build fails.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

from website.packing import LEFT_OUT, pack
from website.runtime_sources import (
    File,
    Folder,
    Mirror,
    NpmPackage,
    PackageIndex,
    RuntimeFilesError,
    Source,
    Website,
    collect,
    difference,
    megabytes,
    sha256,
)

ROOT = Path(__file__).resolve().parent.parent
LIST = Path(__file__).with_name("runtime.json")
LOCK = "pyodide-lock.json"
BEGINNING_OF_ZIP_TIME = "315532800"

Finish = Callable[[Path, dict[str, dict[str, Any]], str, Path], None]
"""Given a folder, its packages, the name of the project's own, and a store."""


@dataclass(frozen=True)
class RuntimeList:
    """What runtime.json says: the files, who has them, and what the packages among them are."""

    address: str
    mirror: dict[str, str]
    info: dict[str, str]
    files: list[File]
    packages: dict[str, dict[str, Any]]

    @property
    def python(self) -> str:
        """The version of Python in the browser, as pip asks for it."""
        return ".".join(self.info["python"].split(".")[:2])


def lay_out_in_site(app: Sphinx) -> None:
    """Lay out the runtime in the built site."""
    tell = logging.getLogger(__name__).info
    listed = read_list(LIST)
    try:
        lay_out(Path(app.outdir, "runtime"), listed, ROOT, sources(listed), cache(), tell, packed)
    except RuntimeFilesError as problem:
        sys.exit(f"error: {problem}")  # an exception would bury it below Jupyter Book's traceback


def folder(site: Path) -> Path:
    """Return the folder of the runtime in a built site, whose name is known only then."""
    found = sorted(file.parent for file in site.glob(f"runtime/*/{LOCK}"))
    if len(found) != 1:
        names = ", ".join(each.name for each in found) or "none"
        raise ExtensionError(
            f"there must be one folder with {LOCK} in {site / 'runtime'}, and there is: {names}"
        )
    return found[0]


def cache() -> Path:
    """Return where this user keeps what was fetched between builds."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "backprop-book")


def read_list(path: Path) -> RuntimeList:
    """Read the list of files."""
    told = json.loads(path.read_text(encoding="utf8"))
    files, packages = [], {}
    for entry in told["files"]:
        package = entry.pop("package", None)
        file = File(**entry)
        files.append(file)
        if package:
            packages[_key(package["name"])] = {
                **package,
                "file_name": file.name,
                "sha256": file.sha256,
            }
    return RuntimeList(told["address"], told["mirror"], told["info"], files, packages)


def sources(listed: RuntimeList) -> list[Source]:
    """Return who is asked for the files, in this order."""
    local = os.environ.get("PYODIDE_FILES")
    return [
        Website(listed.address),
        NpmPackage(f"pyodide@{listed.info['version']}"),
        PackageIndex(listed.python),
        *([Folder(f"PYODIDE_FILES={local}", Path(local))] if local else []),
        Mirror(**listed.mirror, python=listed.python),
    ]


def lay_out(
    target: Path,
    listed: RuntimeList,
    project: Path,
    sources: Sequence[Source],
    store: Path,
    tell: Callable[[str], None],
    finish: Finish,
) -> Path:
    """Make `target`/HASH, and nothing else in `target`; return its path.

    `project` is the folder of the book's library, `store` keeps the fetched files; `finish` may
    change the folder once all is in it. The folder is filled and checked beside `target` and
    renamed at the end, so that it is whole or not there.

    Raises
    ------
    RuntimeFilesError
        If a file cannot be had, or the library's wheel cannot be built. `target` is not there then.
    """
    if target.exists():
        shutil.rmtree(target)
    came = collect(listed.files, sources, store, tell)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".runtime-", dir=target.parent) as temporary:
        filled = Path(temporary, "filled")  # a temporary folder itself is closed to other users
        filled.mkdir()
        for file in listed.files:
            shutil.copyfile(store / file.sha256, filled / file.name)
            if problem := difference(file, filled / file.name):
                raise RuntimeFilesError(f"{file.name}, copied from the cache {store}, {problem}")
        wheel = build_wheel(project, Path(temporary))
        shutil.copyfile(wheel, filled / wheel.name)  # flit's own is closed to other users, too
        packages = packages_of_lock(listed, project, wheel)
        write_lock(filled, listed.info, packages)
        finish(filled, packages, own_package(project), store)
        write_lock(filled, listed.info, packages)
        made = target / name_of(filled)
        target.mkdir()
        filled.rename(made)
    sizes = [path.stat().st_size for path in made.iterdir()]
    origins = ", ".join(f"{number} from {source}" for source, number in came.items())
    tell(
        f"Python for the browser: {len(sizes)} files, {megabytes(sum(sizes))}, "
        f"in {target.name}/{made.name} ({origins})"
    )
    return made


def packed(folder: Path, packages: dict[str, dict[str, Any]], own: str, store: Path) -> None:
    """Pack again what pages load, and what has parts that nobody needs."""
    names = {*with_depends([own], packages), *LEFT_OUT}
    pack(folder, {name: packages[name] for name in sorted(names)}, own, store)


def write_lock(folder: Path, info: dict[str, str], packages: dict[str, dict[str, Any]]) -> None:
    """Write the lock of Pyodide: the packages with the hashes of their files as these are now."""
    told = {
        name: {**package, "sha256": sha256(folder / package["file_name"])}
        for name, package in packages.items()
    }
    lock = {"info": info, "packages": told}
    (folder / LOCK).write_text(json.dumps(lock, sort_keys=True), encoding="utf8")


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of a project into a folder; the same files give the same bytes."""
    command = [sys.executable, "-m", "flit_core.wheel", str(project), "--outdir", str(folder)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": BEGINNING_OF_ZIP_TIME}
    flit = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if flit.returncode != 0:
        why = flit.stderr.strip().rpartition("\n")[2]
        raise RuntimeFilesError(
            f"the wheel of {project} cannot be built ({why}): look at its pyproject.toml, "
            "and run pip install -r requirements.txt"
        )
    (wheel,) = folder.glob("*.whl")
    return wheel


def packages_of_lock(listed: RuntimeList, project: Path, wheel: Path) -> dict[str, Any]:
    """Return the packages of Pyodide's lock: those of the list, and the project's own."""
    told = read_project(project)
    depends = [Requirement(line).name for line in told["project"]["dependencies"]]
    own: dict[str, Any] = {
        "name": own_package(project),
        "version": wheel.name.split("-")[1],
        "depends": [_key(name) for name in depends],
        "imports": [told["tool"]["flit"]["module"]["name"]],
        "install_dir": "site",
        "package_type": "package",
        "unvendored_tests": False,
        "file_name": wheel.name,
        "sha256": sha256(wheel),
    }
    packages = {**listed.packages, own["name"]: own}
    with_depends(packages, packages)
    return packages


def with_depends(names: Iterable[str], packages: dict[str, dict[str, Any]]) -> list[str]:
    """Return the names of packages, and of all that they depend on, in order."""
    found: set[str] = set()
    asked = list(names)
    while asked:
        name = asked.pop()
        if name in found:
            continue
        found.add(name)
        for needed in map(_key, packages[name]["depends"]):
            if needed not in packages:
                raise RuntimeFilesError(
                    f"{name} depends on {needed}, which Python in the browser lacks: "
                    "add it in scripts/runtime_list.py"
                )
            asked.append(needed)
    return sorted(found)


def name_of(folder: Path) -> str:
    """Return the name that stands for the names and contents of all files in a folder."""
    lines = "".join(f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def own_package(project: Path = ROOT) -> str:
    """Return the name under which Python in the browser loads the book's library."""
    return _key(read_project(project)["project"]["name"])


def read_project(folder: Path) -> dict[str, Any]:
    """Read what pyproject.toml says."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf8"))


def _key(name: str) -> str:
    """Write a package's name as the lock looks it up."""
    return re.sub(r"[-_.]+", "-", name).lower()
