"""The command: python -m bench, or make bench."""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import figure, report
from bench.measure import PARTS, QUICK, QUICK_PARTS, DifferError, Measured, Plan, measure
from bench.processes import ROOT, WorkerError

RECORDED = ROOT / "backprop_lib" / "fast" / "measured.json"
"""Where the chapter "Speed" finds what was measured."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write JSON and figure; or draw again what was recorded."""
    options = parse_arguments(arguments)
    try:
        if options.redraw:
            results = report.check(json.loads(options.redraw.read_text(encoding="utf8")))
            results["goals"] = report.judge(results)
            print(report.table(results), end="")
            save(results, None, options.figure)
            return 0
        parts = options.only or (QUICK_PARTS if options.quick else PARTS)
        out = options.out or (None if options.quick or options.only else RECORDED)
        drawing = options.figure
        if options.out and not drawing and {"step", "growth"} & set(parts):
            drawing = options.out.with_suffix(".svg")
        for path in (out, drawing):
            check_writable(path)
        results = run_benchmark(QUICK if options.quick else Plan(), parts)
        print(report.table(results), end="")
        save(results, out, drawing)
        if out is None:
            print("nothing was written: this was a trial; name a file with --out to keep it")
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 130
    except (DifferError, WorkerError, OSError, ValueError) as why:
        print(f"error: {why}", file=sys.stderr)
        return 1
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Compare this book's PointNet with PyTorch, JAX and autograd. "
        "A full run takes 15 to 25 minutes on an idle machine and writes what the chapter Speed "
        "shows, backprop_lib/fast/measured.json; a trial writes nothing unless it is told where.",
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, small sizes: a trial")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    parser.add_argument(
        "--figure", type=Path, help="where the figure goes; else beside what --out names"
    )
    parser.add_argument("--redraw", type=Path, metavar="JSON", help="measure nothing: show this")
    return parser.parse_args(arguments)


def run_benchmark(plan: Plan, parts: Sequence[str]) -> report.Results:
    """Measure, and return the results as they are written."""
    if (os.cpu_count() or 1) < 2:
        parts = [part for part in parts if not part.endswith("2-threads")]
    date, about, start = datetime.now(UTC), machine(), time.monotonic()
    found: Measured = measure(plan, parts)
    results: report.Results = {
        "format": report.FORMAT,
        "version": report.VERSION,
        "date": date.strftime("%Y-%m-%d %H:%M UTC"),
        "seconds": round(time.monotonic() - start),
        "machine": about,
        "versions": found.versions,
        "kernels": found.kernels,
        "settings": {**vars(plan), "parts": list(parts)},
        "candidates": report.CANDIDATES,
        "times": found.times,
        "accuracy": found.accuracy,
        "equality": found.equality,
        "calibration": found.calibration,
    }
    results["goals"] = report.judge(results)
    return report.check(json.loads(json.dumps(results)))


def machine() -> dict[str, Any]:
    """Tell what this machine is, and how busy it was before."""
    memory = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    huge = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gb": memory,
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}",
        "huge_pages": huge.read_text(encoding="utf8").strip() if huge.exists() else None,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def processor() -> str:
    """Return the processor's name, with family and model, since a virtual one may say no more."""
    told: dict[str, str] = {}
    file = Path("/proc/cpuinfo")
    if file.exists():
        for line in file.read_text(encoding="utf8").splitlines():
            name, _, value = line.partition(":")
            told.setdefault(name.strip(), value.strip())
    if "model name" not in told:
        return platform.processor() or platform.machine()
    return f"{told['model name']} (family {told['cpu family']}, model {told['model']})"


def check_writable(path: Path | None) -> None:
    """Refuse a place that cannot be written to before the time is spent, not after.

    Raises
    ------
    OSError
        If it cannot.
    """
    if path is not None:
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder, expected the name of a file")
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass


def save(results: report.Results, out: Path | None, drawing: Path | None) -> None:
    """Write results and figure: whole, or not at all."""
    if out is not None:
        replace_file(out, as_json(results))
        print(f"written: {out}")
    if drawing is not None:
        replace_file(drawing, figure.draw(results))
        print(f"written: {drawing}")


def as_json(results: report.Results) -> str:
    """Return results as JSON, an entry of a list in each line."""
    parts = []
    for name, value in results.items():
        if isinstance(value, list) and value:
            lines = ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in value)
            parts.append(f"{json.dumps(name)}: [\n{lines}\n]")
        else:
            parts.append(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def replace_file(path: Path, text: str) -> None:
    """Put a new file in the place of an old one in one move."""
    with tempfile.NamedTemporaryFile(
        "w", dir=path.absolute().parent, delete=False, encoding="utf8"
    ) as new:
        new.write(text)
    Path(new.name).chmod(0o644)
    Path(new.name).replace(path)


if __name__ == "__main__":
    sys.exit(main())
