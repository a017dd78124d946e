"""The figure: time and memory of a step, and how they grow, from the recorded results.

Every bar and line says in words whose it is, so that it reads without colour, too.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from backprop_lib.figures.canvas import BLUE, INK, Canvas, style
from bench.report import CANDIDATES, Entry, Results, entry_of, summary
from bench.tasks import STEP

NAMES = {
    "derived": "derived",
    "derived-new": "derived,\nnew arrays",
    "readable": "layer by layer",
    "torch": "PyTorch",
    "torch+": "PyTorch, tuned\nallocator",
    "jax": "JAX jit",
    "autograd": "autograd",
}
MARKERS = dict(zip(CANDIDATES, "o.sD^vx", strict=True))


def draw(results: Results) -> str:
    """Return the figure as SVG.

    Raises
    ------
    ValueError
        If the results have no whole step on one thread.
    """
    largest = entry_of(results, task=STEP, threads=1)
    if largest is None:
        raise ValueError("there is no whole step on one thread to draw; leave out --figure")
    N, L = largest["N"], largest["L"]
    one = steps(results, threads=1, N=N, L=L)
    two = steps(results, threads=2, N=N, L=L)
    growing = sorted({(e["N"], e["L"]) for e in results["times"] if e["task"] == STEP})
    with style():
        canvas = Canvas(23, 10.5 if len(growing) < 2 else 20)
        height = 0.9 if len(growing) < 2 else 0.47
        bottom = 1 - height - 0.01
        left = canvas.figure.add_axes((0.15, bottom + 0.05, 0.38, height - 0.11))
        right = canvas.figure.add_axes((0.61, bottom + 0.05, 0.36, height - 0.11))
        draw_times(left, one, two)
        draw_memory(right, one)
        if len(growing) > 1:
            places = ((0.15, 0.06, 0.36, 0.36), (0.61, 0.06, 0.36, 0.36))
            axes = [canvas.figure.add_axes(place) for place in places]
            draw_growth(axes[0], results, "N", [size for size in growing if size[1] == L])
            draw_growth(axes[1], results, "L", [size for size in growing if size[0] == N])
        for axis in canvas.figure.axes[1:]:
            style_axes(axis)
        drawing = canvas.drawing("bench", description(one, N, L))
    return drawing.svg.replace("<svg ", '<svg color="#24292f" ', 1) + "\n"


def steps(results: Results, **where: Any) -> dict[str, Entry]:
    """Return the step of each candidate that has one, the slowest first."""
    found = {
        name: entry
        for name in CANDIDATES
        if (entry := entry_of(results, task=STEP, candidate=name, **where))
    }
    return dict(sorted(found.items(), key=lambda item: -summary(item[1]["seconds"]).median))


def description(one: dict[str, Entry], N: int, L: int) -> str:
    """Say what the figure shows."""
    told = ", ".join(
        f"{NAMES[name].replace(chr(10), ' ')} {summary(entry['seconds']).median:.2g} s "
        f"and {entry['peak_mb']:.0f} MB"
        for name, entry in reversed(one.items())
    )
    return f"Time and peak memory of a training step, N = {N}, L = {L}, one thread: {told}."


def draw_times(axes: Axes, one: dict[str, Entry], two: dict[str, Entry]) -> None:
    """Draw a bar for one thread and one for two, from the shortest to the longest time a line."""
    width = 0.38 if two else 0.7
    for place, name in enumerate(one):
        for entries, shift, hatch in ((one, width / 2, ""), (two, -width / 2, "////")):
            if name not in entries:
                continue
            s = summary(entries[name]["seconds"])
            y = place + (shift if two else 0)
            bar(axes, name, y, s.median, width, hatch)
            axes.plot([s.least, s.most], [y, y], color=INK, lw=1.4)
            axes.text(s.most, y, f"  {s.median:.2g} s", va="center", fontsize=9, color=INK)
    axes.set_title("seconds a step" + ("; hatched: two threads" if two else ""), fontsize=11)
    label_bars(axes, one)
    axes.set_xlim(0, 1.22 * max(summary(e["seconds"]).most for e in (*one.values(), *two.values())))


def draw_memory(axes: Axes, one: dict[str, Entry]) -> None:
    """Draw the peak memory."""
    for place, (name, entry) in enumerate(one.items()):
        bar(axes, name, place, entry["peak_mb"], 0.7, "")
        text = f"  {entry['peak_mb']:.0f} MB"
        axes.text(entry["peak_mb"], place, text, va="center", fontsize=9, color=INK)
    axes.set_title("peak memory, one thread", fontsize=11)
    label_bars(axes, one)
    axes.set_xlim(0, 1.28 * max(entry["peak_mb"] for entry in one.values()))
    axes.set_yticklabels([])


def bar(axes: Axes, name: str, y: float, length: float, width: float, hatch: str) -> None:
    """Draw a bar, ours tinted."""
    ours = name.startswith("derived")
    face = BLUE if ours else "none"
    axes.barh(y, length, width, color=face, alpha=0.5 if ours else 1)
    axes.barh(y, length, width, facecolor="none", edgecolor=INK, hatch=hatch, lw=0.9)


def label_bars(axes: Axes, one: dict[str, Entry]) -> None:
    """Write the candidates beside their bars."""
    axes.set_yticks(range(len(one)), [NAMES[name] for name in one], fontsize=9.5)


def draw_growth(axes: Axes, results: Results, axis: str, sizes: list[tuple[int, int]]) -> None:
    """Draw the time of a step against N or L, both axes logarithmic, each line with its name."""
    where: dict[str, Any] = {"task": STEP, "threads": 1}
    ends: dict[str, tuple[float, float]] = {}
    for name, marker in MARKERS.items():
        found = [
            (size, entry)
            for size in sizes
            if (entry := entry_of(results, **where, candidate=name, N=size[0], L=size[1]))
        ]
        if len(found) < 2 or name == "derived-new":
            continue
        x = [N if axis == "N" else L for (N, L), _ in found]
        y = [summary(entry["seconds"]).median for _, entry in found]
        colour = BLUE if name == "derived" else INK
        axes.plot(x, y, marker=marker, color=colour, lw=1.2, ms=4.5)
        ends[name] = (x[-1], y[-1])
    axes.set(xscale="log", yscale="log")
    spread(axes, ends)
    ticks = sorted({N if axis == "N" else L for N, L in sizes})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    other = sizes[-1][1] if axis == "N" else sizes[-1][0]
    axes.set_xlabel(f"{axis}, with {'L' if axis == 'N' else 'N'} = {other}", color=INK)
    axes.set_title("seconds a step, one thread", fontsize=11)


def spread(axes: Axes, ends: dict[str, tuple[float, float]]) -> None:
    """Write the name of each line at its end, none over another."""
    if not ends:
        return
    x = max(end[0] for end in ends.values())
    axes.set_xlim(right=x * 3.2)
    lowest = 0.0
    for name, (_, y) in sorted(ends.items(), key=lambda item: item[1][1]):
        lowest = max(y, lowest * 1.28)
        axes.text(
            x * 1.12, lowest, NAMES[name].replace("\n", " "), va="center", fontsize=8.5, color=INK
        )


def style_axes(axes: Axes) -> None:
    """Take away what says nothing, and take the page's colour for the rest."""
    axes.patch.set_visible(False)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.title.set_color(INK)
