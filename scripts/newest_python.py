"""Run what computes once more on the newest Python of this machine, if that is 3.13 or newer.

python scripts/newest_python.py MAKE [OPTION ...]

There requirements.txt takes the newest NumPy, SymPy and matplotlib.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 13)
TESTS = (
    "chapters tests/layers tests/ops tests/proof tests/fast tests/pointnet/test_network.py "
    "tests/test_promises.py tests/test_data.py tests/test_off.py tests/test_optim.py "
    "tests/test_figures.py"
)


def newest() -> str | None:
    """Return the newest Python that is on PATH, or among those of pyenv."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    found: dict[tuple[int, ...], str] = {}
    for minor in range(OLDEST[1], 30):
        on_path = shutil.which(f"python3.{minor}")
        if on_path and "shims" not in on_path:
            found[3, minor, 0] = on_path
    for path in root.glob("3.*/bin/python"):
        version = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", path.parent.parent.name)
        if version:
            found[tuple(map(int, version.groups()))] = str(path)
    known = max(found, default=(0, 0))
    return found[known] if known >= OLDEST else None


def main(*make: str) -> None:
    """Run the tests in an environment of their own."""
    python = newest()
    if python is None:
        print("note: no Python 3.13 or newer here; the newest NumPy, SymPy, matplotlib not tried")
        return
    command = [*make, "test-library", f"PYTHON={python}", "VENV=.venv-newest", f"TESTS={TESTS}"]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
