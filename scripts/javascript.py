"""Check the website's scripts and styles as biome.json says, with Biome, which npm has.

python scripts/javascript.py [--write]      (--write brings them into form, and fixes what it can)
"""

import argparse
import subprocess
import sys
from pathlib import Path

from sphinx.errors import ExtensionError

from website.npm import install
from website.runtime import cache

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = Path(__file__).with_name("biome")
PROGRAM = "node_modules/@biomejs/cli-*/biome"


def biome() -> Path:
    """Return the path of Biome; install it if need be.

    Raises
    ------
    ExtensionError
        If it cannot be had, or there is none for this machine.
    """
    (program,) = install(PACKAGES, cache(), PROGRAM).glob(PROGRAM)
    return program


def check(project: Path, *options: str) -> int:
    """Run Biome on a project, and show what it says; return its status, 0 if all is well."""
    command = [str(biome()), "check", "--error-on-warnings", *options]
    return subprocess.run(command, cwd=project, check=False).returncode


def main() -> None:
    """Check all files that biome.json names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="bring them into form")
    options = ["--write"] if parser.parse_args().write else []
    try:
        sys.exit(check(ROOT, *options))
    except ExtensionError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
