"""Drawings of the chapter "BatchNorm1d"."""

import numpy as np

from backprop_lib.figures.canvas import BLUE, INK, ORANGE, Canvas, Drawing, style


def one_channel() -> Drawing:
    """Show which entries of (N, C, L) share one mean and one variance."""
    samples, channels, length, chosen, cell = 3, 3, 4, 1, 0.8
    step, left, top = length * cell + 0.9, 1.5, 1.6
    with style():
        canvas = Canvas(17.0, 5.5, scale=0.34)
        for n in range(samples):
            x = left + n * step
            canvas.text(x + length * cell / 2, top - 0.95, f"$n={n}$", 10)
            canvas.text(x + length * cell / 2, top - 0.32, "$l$", 10)
            for c in range(channels):
                for k in range(length):
                    here = (x + k * cell, top + c * cell, cell, cell)
                    canvas.box(*here, *((BLUE, "////") if c == chosen else (INK,)))
        for c in range(channels):
            name = f"$c={c}$"
            canvas.text(left - 0.2, top + (c + 0.5) * cell, name, 10, ha="right")
        row = top + (chosen + 0.5) * cell
        right = left + samples * step - 0.75
        canvas.arrow((right, row), (right + 1.1, row), width=1.4, head="-|>")
        for place, name in enumerate(["\\mu", "\\sigma^2"]):
            x = right + 1.3 + 1.3 * place
            canvas.text(x + cell / 2, top - 0.4, f"${name}$", 12)
            for c in range(channels):
                here = (x, top + c * cell, cell, cell)
                canvas.box(*here, *((BLUE, "////") if c == chosen else (INK,)))
        middle = left + (samples * step - 0.9) / 2
        below = top + channels * cell + 0.7
        canvas.text(middle, below, "$M = N L = 12$ entries of channel $c = 1$", 11)
        return canvas.drawing(
            "batchnorm1d-channel",
            "Three samples, each a table of three channels by four positions. The row of channel 1 "
            "is marked in all three: these 12 entries share one mean and one variance. The mean "
            "and the variance have one entry for each channel.",
        )


def paths() -> Drawing:
    """Show the three paths from x to its normalised value, and the one that vanishes."""
    with style():
        canvas = Canvas(16.0, 8.4, scale=0.36)
        nodes = {
            "x": (1.4, 1.4),
            "\\hat x": (11.0, 1.4),
            "y": (14.6, 1.4),
            "\\mu": (4.4, 6.7),
            "\\sigma^2": (10.2, 6.7),
        }
        for name, (x, y) in nodes.items():
            canvas.box(x - 0.65, y - 0.5, 1.3, 1.0)
            canvas.text(x, y, f"${name}$", 14)
        for start, end, width, color, dashes in (
            ((2.1, 1.4), (10.25, 1.4), 1.4, INK, "-"),
            ((11.75, 1.4), (13.85, 1.4), 1.4, INK, "-"),
            ((1.5, 2.0), (4.2, 6.1), 1.4, BLUE, "--"),
            ((4.8, 6.1), (10.4, 2.0), 1.4, BLUE, "--"),
            ((2.1, 2.0), (9.6, 6.1), 1.4, ORANGE, ":"),
            ((10.3, 6.1), (10.9, 2.0), 1.4, ORANGE, ":"),
            ((5.15, 6.7), (9.45, 6.7), 0.7, INK, "-"),
        ):
            canvas.arrow(start, end, width=width, color=color, dashes=dashes, head="-|>", size=16)
        canvas.text(5.6, 0.8, "path 1: $r$", 11)
        canvas.text(12.8, 0.8, "$W$", 11)
        canvas.text(1.2, 4.4, "path 2:\n$1/M$", 11, color=BLUE)
        canvas.text(3.9, 2.35, "path 3:  $2(x-\\mu)/M$", 11, color=ORANGE, ha="left")
        canvas.text(8.0, 4.3, "$-r$", 11, color=BLUE, ha="left")
        canvas.text(10.95, 4.4, "$-\\frac{1}{2}\\,(x-\\mu)\\,r^3$", 12, color=ORANGE, ha="left")
        canvas.text(7.3, 7.55, "$\\sum -2(x-\\mu)/M = 0$", 11)
        return canvas.drawing(
            "batchnorm1d-paths",
            "From x to x hat lead three paths: straight, with the derivative r; through the mean "
            "mu, with 1/M and then -r; through the variance, with 2 (x - mu) / M and then "
            "-(x - mu) r cubed / 2. From mu to the variance leads an arrow whose derivative, the "
            "sum of -2 (x - mu) / M, is 0. From x hat to y, the derivative is W.",
        )


def paths_switched_off(direct: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> Drawing:
    """Show dx of one channel, and what is left of it if paths are forgotten.

    Parameters
    ----------
    direct, mean, variance : arrays, shape (M,)
        The contribution of each path to dx, small whole numbers.
    """
    true = direct + mean + variance
    panels = {
        "all three paths": true,
        "without the path through $\\mu$": direct + variance,
        "without the path through $\\sigma^2$": direct + mean,
        "the straight path only": direct,
    }
    step, unit = 1.35 * len(true) + 2.2, 4.5 / np.ptp([*panels.values()])
    with style():
        canvas = Canvas(2 * step + 0.5, 16.2, scale=0.34)
        top = 0.7
        for row in (0, 2):
            pair = [*panels.items()][row : row + 2]
            both = np.array([dx for _, dx in pair] + [true])
            zero = top + 1.3 + unit * both.max()
            bottom = zero + 1.6 - unit * both.min()
            for column, (title, dx) in enumerate(pair):
                left = 1.2 + step * column
                center = left + 1.35 * len(true) / 2 - 0.2
                canvas.text(center, top, title, 10)
                _bars(canvas, left, zero, unit, dx, true)
                canvas.text(center, bottom, f"$\\sum dx = {dx.sum():g}$", 11)
            top = bottom + 1.5
        return canvas.drawing(
            "batchnorm1d-paths-switched-off",
            "Four bar charts of dx over the entries of one channel. "
            + " ".join(
                f"{title.replace('$', '').replace(chr(92), '')}: "
                f"{', '.join(f'{value:g}' for value in dx)}."
                for title, dx in panels.items()
            )
            + " A heavy line marks the true value of each entry; where the bar does not end there, "
            "it is hatched.",
        )


def _bars(
    canvas: Canvas, left: float, zero: float, unit: float, claimed: np.ndarray, true: np.ndarray
) -> None:
    """Draw a bar for each claimed number, and a line at the height of the true one."""
    canvas.line([left - 0.3, left + 1.35 * len(true)], [zero, zero], width=0.7)
    for i, (number, right) in enumerate(zip(claimed, true, strict=True)):
        x, height = left + 1.35 * i, unit * number
        if height:
            look = (BLUE, "") if number == right else (ORANGE, "////")
            canvas.box(x, zero - max(height, 0), 0.95, abs(height), *look)
        at = zero - unit * right
        canvas.line([x - 0.14, x + 1.09], [at, at], width=2.6)
        beyond = max(zero - height, at) + 0.45 if number < 0 else min(zero - height, at) - 0.45
        canvas.text(x + 0.47, beyond, f"${number:g}$", 10)
