"""Drawings of the chapter "Speed"."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from backprop_lib.figures.canvas import BLUE, INK, ORANGE, Canvas, Drawing, style

LINES = ("o-", "s--", "D-.", "^:", "v--", "x-")
"""One for each curve of a graph, so that it can be told without colour."""


def three_ways() -> Drawing:
    """Show the arrays of one block: layer by layer, derived, and with the maximum behind it."""
    narrow, wide = 1.0, 2.6  # heights for C_in and C_out rows
    with style():
        canvas = Canvas(26.2, 15.2, scale=0.36)
        for top, title in ((0.6, "layer by layer"), (6.0, "derived"), (11.2, "derived, with max")):
            canvas.text(0.4, top, title, 12, ha="left", weight="bold")

        middle = 3.1
        _array(canvas, 0.4, middle, narrow, "$x$")
        canvas.arrow((5.4, middle), (6.6, middle), gaps=(2, 2), name="$W$")
        for left, name, label in (
            (6.6, "$z$", ""),
            (12.8, r"$\hat x$", "normalise"),
            (19.0, "$y$", r"$\gamma, \beta$, ReLU"),
        ):
            if label:
                canvas.arrow((left - 1.2, middle), (left, middle), gaps=(2, 2))
                canvas.text(left - 0.6, middle - wide / 2 - 0.5, label, 9)
            _array(canvas, left, middle, wide, name, hatch="//")
        canvas.text(25.1, middle, "kept:\n$x$, $\\hat x$, $y$", 10)

        for middle, has_max in ((8.6, False), (13.4, True)):
            _array(canvas, 0.4, middle, narrow, "$x$")
            canvas.arrow((5.4, middle), (6.6, middle), gaps=(2, 2))
            canvas.box(6.6, middle - 0.5, 1, 1, BLUE)
            canvas.text(7.1, middle, "$S$", 11)
            canvas.arrow((7.6, middle), (8.8, middle), gaps=(2, 2))
            canvas.box(8.8, middle - wide / 2, 1, wide, BLUE)
            canvas.text(9.3, middle, "$F$", 11)
            if has_max:
                canvas.arrow(
                    (9.8, middle),
                    (19.0, middle),
                    gaps=(2, 2),
                    name=r"$\max_l$ of $F u$, a sample at a time",
                )
                canvas.box(19.0, middle - wide / 2, 0.5, wide, BLUE)
                canvas.text(20.1, middle, "$y$", 12)
            else:
                canvas.arrow(
                    (9.8, middle), (19.0, middle), gaps=(2, 2), name=r"$F u + \beta$, ReLU"
                )
                _array(canvas, 19.0, middle, wide, "$y$", hatch="//")
            kept = "$x$, $y$, $k$" if has_max else "$x$, $y$"
            canvas.text(25.1, middle, f"kept:\n{kept}", 10)
        canvas.text(21.5, 1.15, "$N \\cdot L$ columns", 9)
        canvas.text(2.9, 2.1, "$N \\cdot L$ columns", 9)
        return canvas.drawing(
            "speed-three-ways",
            "Three rows of boxes. Layer by layer: the narrow array x, then three arrays with "
            "C_out rows, z, x hat and y; kept are x, x hat and y. Derived: x, the small "
            "squares S and F, and one array with C_out rows, y. With the maximum: x, S and F, and "
            "a thin y with one column for each sample; no array with C_out rows and N times L "
            "columns is left.",
        )


def _array(
    canvas: Canvas, left: float, middle: float, height: float, name: str, hatch: str = ""
) -> None:
    """Draw an array with a column for each place of the batch."""
    color = ORANGE if hatch else INK
    canvas.box(left, middle - height / 2, 5, height, color, hatch)
    canvas.text(left + 2.5, middle, name, 12)


def variance_along() -> Drawing:
    """Show places as points of two channels, and their shadow in the direction of a row of W."""
    rng = np.random.default_rng(4)
    points = rng.standard_normal((60, 2)) @ np.array([[1.55, 0.75], [0.0, 0.5]])
    points -= points.mean(axis=0)
    w = np.array([0.6, 0.8])
    shadows = points @ w
    with style():
        canvas = Canvas(21.6, 11.0, scale=0.37)

        def at(*places: np.ndarray) -> np.ndarray:
            """Return where places of the plane are drawn, as rows x and y."""
            rows = np.array(places).T
            return np.array([6.2 + 1.35 * rows[0], 5.5 - 1.35 * rows[1]])

        for end, name in (((3.6, 0.0), "$u_0$"), ((0.0, 3.4), "$u_1$")):
            canvas.arrow(*at(-np.array(end), np.array(end)).T, width=0.7, gaps=(2, 2))
            (x,), (y,) = at(1.12 * np.array(end))
            canvas.text(x, y, name, 11)
        canvas.line(*at(-3.4 * w, 3.4 * w), width=1.6, color=BLUE)
        (x,), (y,) = at(3.8 * w)
        canvas.text(x, y, "$w$", 12)
        for point, shadow in zip(points, shadows, strict=True):
            canvas.line(*at(point, shadow * w), width=0.35)
        canvas.dots(*at(*points), size=3)
        canvas.dots(*at(*(shadows[:, None] * w)), size=3, color=BLUE, marker="D")

        left, bottom, scale = 16.7, 8.0, 1.25
        counts, edges = np.histogram(shadows, bins=np.arange(-3.6, 3.7, 0.6))
        for count, edge in zip(counts, edges[:-1], strict=True):
            if count:
                height = 0.36 * count
                x, y = left + scale * edge, bottom - height
                canvas.box(x, y, scale * 0.6, height, BLUE, tint=0.25, frame=0.7)
        canvas.line([left - 4.6, left + 4.6], [bottom, bottom])
        sigma = scale * float(np.sqrt(w @ (points.T @ points / len(points)) @ w))
        ends = (left, bottom + 0.5), (left + sigma, bottom + 0.5)
        canvas.arrow(*ends, width=1.2, head="<->")
        canvas.text(left + sigma / 2, bottom + 1.2, r"$\sigma = \sqrt{w^T S w}$", 11)
        canvas.text(left, 1.4, "$w^T u$, that is $z - \\mu$", 11)
        return canvas.drawing(
            "speed-variance-along",
            "Left, a long slanted cloud of points in the plane of two centred channels, and a "
            "line in the direction w; from each point a thin line leads to its shadow on it. "
            "Right, a histogram of the shadows, w transposed u. Its standard deviation is marked: "
            "the root of w transposed S w.",
        )


def order_of_places() -> Drawing:
    """Show which place is the largest before and after a normalisation with negative scale."""
    z = np.array([2.0, -1.0, 3.0, 0.0])
    a = -z + 1
    with style():
        canvas = Canvas(22.0, 9.2, scale=0.38)
        columns = (
            (1.0, "$z = w^T x$", z, 2),
            (8.4, r"$a = -z + 1 \;(\gamma < 0)$", a, 1),
            (15.8, r"$\max(a, 0)$", np.maximum(a, 0), 1),
        )
        for left, title, values, place in columns:
            canvas.text(left + 2.4, 0.7, title, 12)
            zero = 5.4
            canvas.line([left - 0.2, left + 5.0], [zero, zero])
            for i, value in enumerate(values):
                x, height = left + 0.1 + 1.2 * i, abs(value)
                look = {"color": BLUE, "tint": 0.4, "frame": 2.2} if i == place else {"frame": 0.8}
                canvas.box(x, zero - max(value, 0), 1, height, **look)
                above = value >= 0
                canvas.text(x + 0.5, zero - value + (-0.35 if above else 0.4), f"{value:g}")
            canvas.text(left + 2.4, 8.7, f"largest at place {place}", 10)
        for x, label in ((7.1, "turned\nround"), (14.5, "order\nkept")):
            canvas.text(x, 3.0, label, 9)
            canvas.arrow((x - 0.7, 4.0), (x + 0.7, 4.0), gaps=(2, 2))
        return canvas.drawing(
            "speed-order-of-places",
            "Three bar charts of four places. z is 2, -1, 3, 0, largest at place 2. With a "
            "negative scale, a is -1, 2, -2, 1, largest at place 1: the order is turned round. "
            "Behind the ReLU it is 0, 2, 0, 1, still largest at place 1.",
        )


def losses_of_digits(offsets: Sequence[float], curves: Mapping[str, Sequence[float]]) -> Drawing:
    """Show the error of several ways to compute the same, against how far x is from 0.

    Parameters
    ----------
    offsets : sequence of float
        What was added to x; the first is 0.
    curves : mapping
        From the name of a way to its largest relative error at each offset.
    """
    with style():
        canvas = Canvas(20.0, 10.4, scale=0.38)
        axes = _graph(canvas, (0.14, 0.16, 0.58, 0.72))
        places = range(len(offsets))
        for (name, errors), line in zip(curves.items(), LINES, strict=False):
            color = BLUE if line == LINES[0] else INK
            axes.plot(places, errors, line, color=color, lw=1.4, ms=5)
            axes.text(places[-1] + 0.15, errors[-1], name, fontsize=10, va="center", color=INK)
        axes.set_yscale("log")
        axes.set_xticks(places, [f"{offset:g}" for offset in offsets])
        axes.minorticks_off()
        axes.set_xlabel("added to every entry of $x$", color=INK)
        axes.set_title("largest relative error in float32", fontsize=11, color=INK)
        return canvas.drawing(
            "speed-losses-of-digits",
            "The largest relative error of output and gradients in float32, against what is "
            f"added to the input, from {offsets[0]:g} to {offsets[-1]:g}; a curve each for "
            f"{'; '.join(curves)}.",
        )


def bars(
    name: str, title: str, unit: str, values: Mapping[str, Sequence[float]], ours: Sequence[str]
) -> Drawing:
    """Show a bar for each candidate, from its median, with a line from the least to the most.

    Parameters
    ----------
    name : str
        Of the drawing, unlike any other on its page.
    title, unit : str
        What is shown, and in what.
    values : mapping
        From candidates to one or more values, from top to bottom.
    ours : sequence of str
        Whose bars are tinted.
    """
    middle = {candidate: float(np.median(found)) for candidate, found in values.items()}
    most = max(max(found) for found in values.values())
    with style():
        canvas = Canvas(22.0, 2.2 + 1.15 * len(values), scale=0.38)
        canvas.text(0.4, 0.7, title, 12, ha="left")
        left, width = 7.4, 10.6
        for row, (candidate, found) in enumerate(values.items()):
            y, length = 1.7 + 1.15 * row, width * middle[candidate] / most
            canvas.text(left - 0.3, y + 0.4, candidate, 10, ha="right")
            is_ours = candidate in ours
            canvas.box(left, y, length, 0.8, BLUE if is_ours else INK, "" if is_ours else "//")
            ends = [left + width * end / most for end in (min(found), max(found))]
            if len(found) > 1:
                canvas.line(ends, [y + 0.4] * 2, width=2)
            digits = ".0f" if middle[candidate] >= 100 else ".3g"
            text = f"{middle[candidate]:{digits}} {unit}"
            canvas.text(max(left + length, ends[1]) + 0.3, y + 0.4, text, 10, ha="left")
        return canvas.drawing(
            f"speed-{name}",
            f"{title}: a bar each for {'; '.join(values)}; the tinted bars are the derived form.",
        )


def growth(axis: str, sizes: Sequence[int], curves: Mapping[str, Sequence[float]]) -> Drawing:
    """Show the seconds of a step against N or L, both axes logarithmic.

    Parameters
    ----------
    axis : str
        "N" or "L".
    sizes : sequence of int
        Those measured, the largest last.
    curves : mapping
        From candidates to the seconds at each size.
    """
    with style():
        canvas = Canvas(21.0, 10.8, scale=0.38)
        axes = _graph(canvas, (0.11, 0.17, 0.6, 0.72))
        by_time = sorted(curves.items(), key=lambda curve: curve[1][-1])
        lowest = 0.0
        for (name, seconds), line in zip(by_time, LINES, strict=False):
            ours = name.startswith("derived")
            axes.plot(sizes, seconds, line, color=BLUE if ours else INK, lw=1.3, ms=4.5)
            lowest = max(seconds[-1], 1.35 * lowest)  # no name over another
            axes.text(sizes[-1] * 1.06, lowest, name, fontsize=10, va="center", color=INK)
        axes.set(xscale="log", yscale="log")
        axes.set_xticks(sizes, [f"{size}" for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel(f"${axis}$", color=INK)
        axes.set_title("seconds a step", fontsize=11, color=INK)
        return canvas.drawing(
            f"speed-growth-{axis}",
            f"The seconds of a training step against {axis}, both axes logarithmic; a curve each "
            f"for {'; '.join(curves)}.",
        )


def _graph(canvas: Canvas, place: tuple[float, float, float, float]) -> Axes:
    """Return axes that take the page's text colour, without a frame above and to the right."""
    axes = canvas.figure.add_axes(place)
    axes.patch.set_visible(False)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.tick_params(which="both", colors=INK, labelsize=10)
    return axes
