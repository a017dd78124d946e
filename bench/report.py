"""From samples to statements: statistics, the goals and whether they are met, the table."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.tasks import LAYERS, STEP

FORMAT = "backprop_lib.bench"
VERSION = 1
Results = dict[str, Any]
Entry = Mapping[str, Any]

CANDIDATES = {
    "derived": "this book, derived form (backprop_lib.fast), arrays reused",
    "derived-new": "the same, a new array for each result",
    "readable": "this book, layer by layer (backprop_lib.layers, backprop_lib.ops)",
    "torch": "PyTorch, eager",
    "torch+": "PyTorch, eager, allocator tuned: memory kept, huge pages",
    "jax": "JAX, the whole step in jax.jit",
    "autograd": "HIPS autograd on NumPy",
}
FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "times": {
        "task": str,
        "N": int,
        "L": int,
        "threads": int,
        "candidate": str,
        "seconds": list,
        "gflop": (int, float),
        "traffic_mb": (int, float),
        "peak_mb": (int, float, type(None)),
        "page_faults": int,
    },
    "accuracy": {
        "task": str,
        "N": int,
        "L": int,
        "offset": (int, float),
        "candidate": str,
        "error": (int, float),
        "of": str,
        "typical": (int, float),
    },
    "calibration": {
        "part": str,
        "threads": int,
        "product_gflop_per_s": list,
        "copy_gb_per_s": list,
    },
    "equality": {"task": str, "candidate": str, "difference": (int, float)},
    "goals": {"what": str, "measured": (int, float), "goal": (int, float), "met": bool},
}
"""What each entry of a list in the results must have."""


@dataclass(frozen=True)
class Goal:
    """A ratio of medians, ours through a peer's, or a peak of memory in MB, that is wanted."""

    task: str
    peer: str
    at_most: float
    threads: int = 1
    stretch: float | None = None


MEMORY = "MB"
GOALS = (
    Goal(STEP, "torch", 0.20, stretch=0.15),
    Goal(STEP, "torch+", 0.42, stretch=0.33),
    Goal(STEP, "jax", 0.10),
    Goal(STEP, "autograd", 0.15),
    Goal(STEP, MEMORY, 350),
    Goal(STEP, "torch", 0.20, threads=2),
    Goal(STEP, "torch+", 0.45, threads=2),
    Goal("conv 64-128", "torch", 0.5),
    Goal("conv 128-1024", "torch", 0.5),
    Goal("bmm 64", "torch", 0.9),
    Goal("linear 1024-512", "torch", 0.95),
    Goal("max 1024", "torch", 0.15),
    Goal("batchnorm 64", "torch", 1.0),
    Goal("batchnorm 128", "torch", 1.0),
    Goal("batchnorm 1024", "torch", 0.45),
    Goal("batchnorm+relu 1024", "torch", 0.45),
)
"""What the issue asks for."""


@dataclass(frozen=True)
class Summary:
    """The middle and the ends of some samples."""

    median: float
    least: float
    most: float


def summary(samples: Sequence[float]) -> Summary:
    """Return median, minimum and maximum.

    Raises
    ------
    ValueError
        If there is no sample.
    """
    if not samples:
        raise ValueError("there is no sample to summarise")
    return Summary(statistics.median(samples), min(samples), max(samples))


@dataclass(frozen=True)
class Ratio:
    """Our time through theirs; below 1 is faster."""

    of_medians: float
    of_minima: float


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Compare samples of two candidates."""
    a, b = summary(ours), summary(theirs)
    return Ratio(a.median / b.median, a.least / b.least)


def check(results: Any) -> Results:
    """Return results if they are what this benchmark writes.

    Raises
    ------
    ValueError
        If something is missing, of another kind, or of a later version.
    """
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        raise ValueError(f"these are no results of {FORMAT}")
    if results.get("version") != VERSION:
        raise ValueError(f"results of version {results.get('version')}, expected {VERSION}")
    for name in ("date", "machine", "settings", "candidates", "versions", "kernels"):
        if name not in results:
            raise ValueError(f"the results have no {name}")
    for name, fields in FIELDS.items():
        for i, entry in enumerate(results.get(name, [])):
            for field, kind in fields.items():
                if field not in entry or not isinstance(entry[field], kind):
                    raise ValueError(f"{name}[{i}] has {field} = {entry.get(field)!r}")
            for samples in (value for value in entry.values() if isinstance(value, list)):
                if not samples or not all(sample > 0 for sample in samples):
                    raise ValueError(f"{name}[{i}] has samples {samples}, expected some above 0")
    return results


def entry_of(results: Results, **wanted: Any) -> Entry | None:
    """Return the times with these fields: the step at the largest size, or None."""
    found = [
        entry
        for entry in results.get("times", [])
        if all(entry[name] == value for name, value in wanted.items())
    ]
    return max(found, key=lambda entry: entry["N"] * entry["L"], default=None)


def judge(results: Results, goals: Iterable[Goal] = GOALS) -> list[dict[str, Any]]:
    """Return what was measured of each goal, as far as it was."""
    told = []
    for goal in goals:
        where = {"task": goal.task, "threads": goal.threads}
        ours = entry_of(results, candidate="derived", **where)
        what = f"{goal.task}, {plural(goal.threads, 'thread')}: derived"
        if ours is None:
            continue
        if goal.peer == MEMORY:
            measured, least = ours["peak_mb"], None
            what += ", peak memory in MB"
        else:
            theirs = entry_of(results, candidate=goal.peer, **where)
            if theirs is None:
                continue
            both = ratio(ours["seconds"], theirs["seconds"])
            measured, least = both.of_medians, both.of_minima
            what += f" / {goal.peer}"
        verdict: dict[str, Any] = {
            "what": what,
            "measured": significant(measured),
            "of_minima": None if least is None else significant(least),
            "goal": goal.at_most,
            "met": measured <= goal.at_most,
        }
        if goal.stretch is not None:
            verdict |= {"stretch": goal.stretch, "stretch_met": measured <= goal.stretch}
        told.append(verdict)
    return told


def plural(number: int, thing: str) -> str:
    """Return "1 thread", "2 threads"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def significant(value: float, digits: int = 4) -> float:
    """Return a number with so many digits, which is what a measurement is worth."""
    return float(f"{value:.{digits}g}")


def rates(results: Results, threads: int) -> tuple[float, float] | None:
    """Return the median GFLOP/s of the product and GB/s of the copy, or None."""
    entries = [entry for entry in results["calibration"] if entry["threads"] == threads]
    if not entries:
        return None
    product = [rate for entry in entries for rate in entry["product_gflop_per_s"]]
    copy = [rate for entry in entries for rate in entry["copy_gb_per_s"]]
    return statistics.median(product), statistics.median(copy)


def limit(entry: Entry, product: float, copy: float) -> tuple[str, float]:
    """Return what bounds a task on this machine, and how much of that bound is reached.

    The task's matrix products at the calibrated rate, or its inputs and results moved at that of a
    copy, whichever takes longer.
    """
    arithmetic, movement = entry["gflop"] / product, entry["traffic_mb"] / 1000 / copy
    kind = "products" if arithmetic >= movement else "memory"
    return kind, max(arithmetic, movement) / summary(entry["seconds"]).median


def table(results: Results) -> str:
    """Return all that was measured as text."""
    parts = [head(results)]
    parts += [step_table(results, threads) for threads in (1, 2)]
    parts += [layer_table(results, threads) for threads in (1, 2)]
    parts += [growth_table(results), accuracy_table(results), equality_line(results)]
    parts += [calibration_table(results), goal_table(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def head(results: Results) -> str:
    """Say what was measured, where and when."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    lines = [
        f"{results['date']}, {machine['processor']}, {plural(machine['cores'], 'core')}, "
        f"{machine['memory_gb']} GB, {machine['system']}",
        versions,
        *(f"{name}: {', '.join(libraries)}" for name, libraries in results["kernels"].items()),
    ]
    if results["settings"]["quick"]:
        lines.append("A quick trial: few rounds, small sizes; nothing to quote.")
    if machine["load"] is not None and machine["load"] > 0.5:
        lines.append(f"The machine was busy before: load {machine['load']}.")
    return "\n".join(lines)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Align rows: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def milliseconds(seconds: float) -> str:
    """Write a time."""
    return f"{1000 * seconds:#.4g}".rstrip(".")


def step_table(results: Results, threads: int) -> str:
    """Compare the whole step at the largest size."""
    ours = entry_of(results, task=STEP, threads=threads, candidate="derived")
    if ours is None:
        return ""
    N, L = ours["N"], ours["L"]
    rows = [["ms", "median", "min", "max", "derived/it", "min/min", "GFLOP/s", "peak MB"]]
    for name in CANDIDATES:
        entry = entry_of(results, task=STEP, threads=threads, candidate=name, N=N, L=L)
        if entry is None:
            continue
        s, both = summary(entry["seconds"]), ratio(ours["seconds"], entry["seconds"])
        rows.append(
            [
                name,
                *map(milliseconds, (s.median, s.least, s.most)),
                f"{both.of_medians:.3f}",
                f"{both.of_minima:.3f}",
                f"{entry['gflop'] / s.median:.0f}",
                f"{entry['peak_mb']:.0f}",
            ]
        )
    title = f"Whole training step, N = {N}, L = {L}, float32, {plural(threads, 'thread')}"
    text = f"{title}, {plural(len(ours['seconds']), 'round')}\n{columns(rows)}"
    calibrated = rates(results, threads)
    if calibrated:
        _, reached = limit(ours, *calibrated)
        text += f"\nderived does its products at {reached:.0%} of the calibrated rate"
    return text


def layer_table(results: Results, threads: int) -> str:
    """Compare each layer."""
    peers = ["readable", "torch", "torch+"]
    rows = [["ms", "derived", "min", "max", *peers, "/torch", "min/min", "/torch+", "min/min"]]
    rows[0] += ["limit", "reached"]
    calibrated = rates(results, threads)
    sizes = ""
    for layer in LAYERS:
        where = {"task": layer, "threads": threads}
        ours = entry_of(results, candidate="derived", **where)
        if ours is None:
            continue
        sizes = f"N = {ours['N']}, L = {ours['L']}"
        s = summary(ours["seconds"])
        row = [layer, *map(milliseconds, (s.median, s.least, s.most))]
        entries = {peer: entry_of(results, candidate=peer, **where) for peer in peers}
        for entry in entries.values():
            row.append(milliseconds(summary(entry["seconds"]).median) if entry else "")
        for peer in ("torch", "torch+"):
            entry = entries[peer]
            both = ratio(ours["seconds"], entry["seconds"]) if entry else None
            row += [f"{both.of_medians:.3f}", f"{both.of_minima:.3f}"] if both else ["", ""]
        kind, reached = limit(ours, *calibrated) if calibrated else ("", 0.0)
        rows.append([*row, kind, f"{reached:.0%}" if calibrated else ""])
    if len(rows) == 1:
        return ""
    title = f"Layers, forward and backward, {sizes}, float32, {plural(threads, 'thread')}"
    return f"{title}\n{columns(rows)}"


def growth_table(results: Results) -> str:
    """Show how the step's time and memory grow."""
    entries = [e for e in results.get("times", []) if e["task"] == STEP and e["threads"] == 1]
    sizes = sorted({(e["N"], e["L"]) for e in entries})
    if len(sizes) < 2:
        return ""
    names = [name for name in CANDIDATES if any(e["candidate"] == name for e in entries)]
    rows = [["N x L", *names]]
    for N, L in sizes:
        row = [f"{N} x {L}"]
        for name in names:
            entry = entry_of(results, task=STEP, threads=1, candidate=name, N=N, L=L)
            row.append(
                f"{milliseconds(summary(entry['seconds']).median)} ms {entry['peak_mb']:5.0f} MB"
                if entry
                else ""
            )
        rows.append(row)
    return f"Growth of the step, 1 thread\n{columns(rows)}"


def accuracy_table(results: Results) -> str:
    """Compare float32 with float64."""
    entries = results.get("accuracy", [])
    if not entries:
        return ""
    rows = [["task", "offset", "candidate", "worst", "of", "median"]]
    for e in entries:
        errors = [f"{e['error']:.1e}", e["of"], f"{e['typical']:.1e}"]
        rows.append([e["task"], f"{e['offset']:g}", e["candidate"], *errors])
    title = "Relative error ‖g − g64‖/‖g64‖ of the gradients in float32: the worst, and the median"
    note = (
        "In the step, a ReLU or a max that rounding decides otherwise moves all gradients before it"
    )
    return f"{title}\n{columns(rows)}\n{note}"


def equality_line(results: Results) -> str:
    """Say that all candidates computed the same before any was timed."""
    entries = results.get("equality", [])
    if not entries:
        return ""
    worst = max(entries, key=lambda entry: entry["difference"])
    return (
        f"Before, all computed the same in float64, gradients and three steps of Adam: "
        f"the largest relative difference is {worst['difference']:.1e} "
        f"({worst['candidate']}, {worst['task']})"
    )


def calibration_table(results: Results) -> str:
    """Show what the machine did in each round, whoever was measured."""
    if not results["calibration"]:
        return ""
    rows = [["calibration", "product GFLOP/s", "min", "max", "copy GB/s", "min", "max", "slow"]]
    for entry in results["calibration"]:
        product, copy = summary(entry["product_gflop_per_s"]), summary(entry["copy_gb_per_s"])
        rates_ = [f"{rate:.0f}" for rate in (product.median, product.least, product.most)]
        rates_ += [f"{rate:.1f}" for rate in (copy.median, copy.least, copy.most)]
        slow = sum(rate < 0.85 * product.most for rate in entry["product_gflop_per_s"])
        rows.append([entry["part"], *rates_, f"{slow}/{len(entry['product_gflop_per_s'])}"])
    return f"{columns(rows)}\nslow: rounds whose product ran at less than 85 % of the best rate"


def goal_table(results: Results) -> str:
    """Say of each goal whether it is met."""
    goals = results.get("goals", [])
    if not goals:
        return ""
    rows = [["goals, ratios of medians", "measured", "min/min", "goal", "", "stretch"]]
    for goal in goals:
        least, stretch = goal.get("of_minima"), ""
        if "stretch" in goal:
            stretch = f"{goal['stretch']:g} {'met' if goal['stretch_met'] else 'missed'}"
        rows.append(
            [
                goal["what"],
                f"{goal['measured']:.3g}",
                "" if least is None else f"{least:.3g}",
                f"{goal['goal']:g}",
                "met" if goal["met"] else "MISSED",
                stretch,
            ]
        )
    return columns(rows)
