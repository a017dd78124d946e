"""JupyterLite's scripts without those that draw diagrams, which no chapter has.

The scripts load one another by number, as in `.e(4406)`. What is only loaded on the way through the
diagrams' scripts can go, once the extensions that would ask for them are switched off.
"""

import re
from collections.abc import Iterable
from pathlib import Path

DIAGRAMS = {
    "@jupyterlab/mermaid-extension": ["4406.192fa77.js", "5095.5dee2d8.js"],
    "@jupyterlab/vega5-extension": ["142.6e89fb8.js", "644.4e5594c.js", "6607.4ee069b.js"],
}
"""The extensions, and the scripts by which all others of theirs are loaded: jupyterlite-core 0.6.4.

They are a quarter of JupyterLite's scripts.
"""
NUMBERED = re.compile(r"(\d+)\.[0-9a-f]+\.js")
LOADED = re.compile(r"\.e\((\d+)\)")


def drop_diagrams(build: Path) -> None:
    """Delete the diagrams' scripts from the folder of all scripts."""
    scripts = {
        match[1]: path
        for path in build.iterdir()
        if (match := NUMBERED.fullmatch(path.name)) is not None
    }
    entries = {name for names in DIAGRAMS.values() for name in names}
    missing = sorted(entries - {path.name for path in scripts.values()})
    if missing:
        raise ValueError(f"there is no {', '.join(missing)}: another JupyterLite has other scripts")
    first = [*build.glob("*/bundle.js"), *build.glob("jlab_core.*.js")]
    loads = {number: loaded_by(path) for number, path in scripts.items()}
    start = set().union(*map(loaded_by, first))
    kept = reached(start, {n: loads[n] for n, path in scripts.items() if path.name not in entries})
    for number in reached(start, loads) - kept:
        for path in build.glob(f"{scripts[number].name}*"):  # the script, and its licences
            path.unlink()


def loaded_by(script: Path) -> set[str]:
    """Return the numbers of the scripts that a script may load."""
    return set(LOADED.findall(script.read_text(encoding="utf8")))


def reached(start: Iterable[str], loads: dict[str, set[str]]) -> set[str]:
    """Return what is loaded from `start` on, but for numbers that `loads` does not know."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        number = waiting.pop()
        if number in loads and number not in found:
            found.add(number)
            waiting += loads[number]
    return found
