"""Drawings of the chapter "Training"."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from backprop_lib.figures.canvas import BLUE, INK, ORANGE, Canvas, Drawing, style
from backprop_lib.optim import Schedule, cosine, step_decay

BRIGHTEST = 16
SMOOTHED = 7
"""How many steps are averaged in the curves of `wrong_formulas`."""


def digit_as_points(image: np.ndarray, points: np.ndarray) -> Drawing:
    """Show an image, and the points that are made of it.

    Parameters
    ----------
    image : array, shape (8, 8)
    points : array, shape (3, L)
        One (x, y, intensity) for each lit pixel, as `data.as_points` makes them.
    """
    with style():
        canvas = Canvas(21.4, 10.6, scale=0.38)
        left, top = 1.2, 1.4
        for (row, column), value in np.ndenumerate(image):
            tint = 0.45 * value / BRIGHTEST
            canvas.box(left + column, top + row, 1, 1, BLUE if value else INK, tint=tint, frame=0.5)
            if value:
                canvas.text(left + column + 0.5, top + row + 0.5, f"{value:g}", 9)
        canvas.text(left + 4, 0.7, "image: 64 numbers", 11)
        canvas.text(left + 4, 10.0, "no ink, no point", 10)
        canvas.text(10.6, 5.0, r"$\longrightarrow$", 15)

        middle = 16.2
        canvas.box(middle - 4, 1.4, 8, 8, frame=0.5)
        x, y, intensity = points
        canvas.axes.scatter(
            middle + 4 * x, 5.4 - 4 * y, 150 * intensity, color=BLUE, alpha=0.55, lw=0
        )
        canvas.dots(middle + 4 * x, 5.4 - 4 * y, size=2.5, marker=".")
        canvas.text(middle, 0.7, f"{len(x)} points $(x, y, $intensity$)$", 11)
        for value in (-1, 1):
            canvas.text(middle + 4 * value, 10.0, f"$x = {value}$", 10)
            canvas.text(middle - 4.3, 5.4 - 4 * value, f"$y = {value}$", 10, ha="right")
        return canvas.drawing(
            "training-digit-as-points",
            "On the left an image of 8 by 8 pixels with a number from 1 to 16 in each lit one. On "
            "the right the same digit as points in the square from -1 to 1, one at the centre of "
            "each lit pixel, with y upwards. The area of a point is its intensity.",
        )


def schedules(steps: int = 200) -> Drawing:
    """Show three schedules of the learning rate, over so many steps."""
    taken = np.arange(steps)
    curves: list[tuple[str, Schedule, str, str, tuple[float, float]]] = [
        ("constant", lambda k: 1.0, "-", INK, (0.80, 0.055)),
        ("step: halved\nfour times", step_decay(1, steps // 5), "--", ORANGE, (0.21, -0.12)),
        ("cosine after a warm-up", cosine(1, steps, steps // 20), "-", BLUE, (0.49, 0.12)),
    ]
    with style():
        canvas = Canvas(20.0, 8.6, scale=0.38)
        left, bottom, width, height = 2.6, 7.0, 16.2, 5.6
        _axes(canvas, left, bottom, width, height)
        for rate, label in ((0, "0"), (0.5, r"$\eta_0/2$"), (1, r"$\eta_0$")):
            y = bottom - height * rate
            canvas.line([left - 0.2, left], [y, y], width=0.7)
            canvas.text(left - 0.4, y, label, 10, ha="right")
        for name, rate_of, line, color, (aside, above) in curves:
            rates = np.array([rate_of(int(k)) for k in taken])
            x = left + width * taken / steps
            canvas.line(x, bottom - height * rates, width=2, color=color, dashes=line)
            at = rates[int(aside * steps)]
            y = bottom - height * (at + above)
            canvas.text(left + width * aside, y, name, 10, ha="left")
        canvas.text(left + width / 2, 8.0, "steps taken, from 0 to $K$", 11)
        canvas.text(0.6, bottom - height / 2, "rate", 11, rotation=90)
        return canvas.drawing(
            "training-schedules",
            "Three curves of the learning rate over the steps. Constant is a level line. Step is a "
            "staircase that goes down to a half four times. Cosine rises in a short line to the "
            "full rate, falls slowly, then fast, then slowly again, and ends near 0.",
        )


def loss_curve(losses: Sequence[float], batches: int) -> Drawing:
    """Show the loss of each step, and its mean over each epoch.

    Parameters
    ----------
    losses : sequence of float
        One for each step.
    batches : int
        How many steps make an epoch.
    """
    values = np.array(losses)
    epochs = len(values) // batches
    means = values[: epochs * batches].reshape(epochs, batches).mean(axis=1)
    highest = float(values.max())
    with style():
        canvas = Canvas(20.0, 9.0, scale=0.38)
        left, bottom, width, height = 2.4, 7.4, 16.6, 6.4
        _axes(canvas, left, bottom, width, height)
        for value in range(int(highest) + 1):
            y = bottom - height * value / highest
            canvas.line([left - 0.2, left], [y, y], width=0.7)
            canvas.text(left - 0.5, y, f"{value}", 10)
        x = left + width * (np.arange(len(values)) + 0.5) / len(values)
        canvas.dots(x, bottom - height * values / highest, size=4, color=BLUE, marker=".")
        for epoch, mean in enumerate(means):
            ends = left + width * batches * np.array([epoch, epoch + 1]) / len(values)
            y = bottom - height * mean / highest
            canvas.line(ends, [y, y], width=2.2)
            canvas.text(ends.mean(), bottom + 0.5, f"{epoch + 1}", 10)
        canvas.text(left + width / 2, 8.6, "epoch", 11)
        canvas.text(0.7, bottom - height / 2, "loss", 11, rotation=90)
        canvas.text(left + 2.6, bottom - height * 0.88, "a dot: one step", 10, ha="left")
        canvas.text(left + 2.6, bottom - height * 0.76, "a bar: mean of an epoch", 10, ha="left")
        return canvas.drawing(
            "training-loss-curve",
            "The loss of each step as a dot, and the mean of each epoch as a bar. The dots of an "
            "epoch scatter about its bar. From epoch to epoch the bars go down, at first steeply.",
        )


def confusion(counts: np.ndarray) -> Drawing:
    """Show how often each digit was read as each.

    Parameters
    ----------
    counts : array of integers, shape (C, C)
        A row for each digit that was written, a column for each that was read.
    """
    size = len(counts)
    with style():
        canvas = Canvas(size + 3.4, size + 3.0, scale=0.42)
        left, top = 2.6, 2.3
        for (row, column), count in np.ndenumerate(counts):
            color, tint = (BLUE, 0.3) if row == column else (ORANGE, 0.45)
            canvas.box(
                left + column, top + row, 1, 1, color if count else INK, tint=tint, frame=0.5
            )
            if count:
                canvas.text(left + column + 0.5, top + row + 0.5, f"{count}", 10)
        for digit in range(size):
            canvas.box(left + digit, top + digit, 1, 1, frame=1.6)
            canvas.text(left + digit + 0.5, top - 0.5, f"{digit}", 11)
            canvas.text(left - 0.5, top + digit + 0.5, f"{digit}", 11)
        canvas.text(left + size / 2, 0.7, "read", 11)
        canvas.text(0.8, top + size / 2, "written", 11, rotation=90)
        return canvas.drawing(
            "training-confusion",
            "A table with a row for each digit that was written and a column for each that was "
            "read. Nearly all counts are on the diagonal, in thick frames; the few others are "
            "small.",
        )


def misread(images: np.ndarray, written: np.ndarray, read: np.ndarray) -> Drawing:
    """Show digits that were read as others.

    Parameters
    ----------
    images : array, shape (N, 8, 8)
    written, read : arrays of integers, shape (N,)
        What each shows, and what the network took it for.
    """
    with style():
        canvas, corners = _gallery(len(images), below=1.0)
        for (left, top), image, right, wrong in zip(corners, images, written, read, strict=True):
            _frame(canvas, left, top)
            _pixels(canvas, left, top, image)
            canvas.text(left + 2, top + 4.5, f"{right}, read as {wrong}", 9)
        return canvas.drawing(
            "training-misread",
            "Some digits of the test set that were taken for others, with what was written and "
            "what was read below each.",
        )


def critical(images: np.ndarray, winners: Sequence[np.ndarray]) -> Drawing:
    """Show which lit pixels a network looks at.

    Parameters
    ----------
    images : array, shape (N, 8, 8)
    winners : sequence of arrays of integers
        For each image, for each of its lit pixels in order: how many channels of the global
        feature have taken their value from it.
    """
    with style():
        canvas, corners = _gallery(len(images), below=0.2)
        for (left, top), image, wins in zip(corners, images, winners, strict=True):
            _frame(canvas, left, top)
            _pixels(canvas, left, top, image)
            rows, columns = np.nonzero(image)
            taken = wins > 0
            for count in np.unique(wins[taken]):
                these = wins == count
                x, y = left + (columns[these] + 0.5) / 2, top + (rows[these] + 0.5) / 2
                canvas.dots(x, y, size=2.2 + 1.2 * np.sqrt(count), color=ORANGE, mec=INK, mew=0.8)
        return canvas.drawing(
            "training-critical",
            "Some digits, with a disc on each pixel that is the largest in one or more channels of "
            "the global feature; the more channels, the larger the disc. The discs are spread over "
            "all strokes. Each digit has pixels without one.",
        )


def wrong_formulas(
    right: Sequence[float], wrong: Mapping[str, Sequence[float]], recognised: Mapping[str, float]
) -> Drawing:
    """Show the losses of the same training with wrong gradients, each beside the right ones.

    Parameters
    ----------
    right : sequence of float
        The loss of each step.
    wrong : dict
        The same, by what is wrong.
    recognised : dict
        The share of test digits recognised at the end, by the same names and by "right".
    """
    columns, wide, high = 3, 7.4, 5.2
    rows = -(-len(wrong) // columns)
    smooth = {
        name: np.convolve(curve, np.full(SMOOTHED, 1 / SMOOTHED), "valid")[::2]
        for name, curve in {"right": right, **wrong}.items()
    }
    highest = max(float(curve.max()) for curve in smooth.values())
    with style():
        canvas = Canvas(columns * wide + 1.2, rows * high + 1.4, scale=0.36)
        for place, name in enumerate(wrong):
            left = 1.1 + wide * (place % columns)
            bottom = 4.4 + high * (place // columns)
            width, height = wide - 1.3, 3.1
            _axes(canvas, left, bottom, width, height)
            for curve, color, line in ((smooth["right"], INK, ":"), (smooth[name], ORANGE, "-")):
                x = left + width * np.linspace(0, 1, len(curve))
                canvas.line(x, bottom - height * curve / highest, width=2, color=color, dashes=line)
            canvas.text(left - 0.4, bottom - height - 0.6, name, 10, ha="left")
            share = f"{100 * recognised[name]:.0f} %"
            canvas.text(left + width, bottom - height - 0.6, share, 10, ha="right")
            for value in range(int(highest) + 1):
                y = bottom - height * value / highest
                canvas.line([left - 0.15, left], [y, y], width=0.7)
                canvas.text(left - 0.45, y, f"{value}", 8)
        canvas.text(
            1.1,
            rows * high + 0.6,
            f"solid: wrong gradient, dotted: right one ({100 * recognised['right']:.0f} %)",
            10,
            ha="left",
        )
        return canvas.drawing(
            "training-wrong-formulas",
            f"{len(wrong)} small graphs of the loss over the steps of a training, one for each "
            "wrong gradient, in the order of the list in the text. In each the solid line is the "
            "training with that gradient, and the dotted line, always the same, that with the "
            "right one. In two graphs the lines can hardly be told apart, in most the solid line "
            "falls more slowly and stays above, and in one it rises.",
        )


def angles(cosines: Mapping[str, Sequence[float]], parts: Sequence[str]) -> Drawing:
    """Show how well wrong gradients point along the right one, for each part of a network.

    Parameters
    ----------
    cosines : dict
        By what is wrong: the cosine of the angle between both gradients for each part.
    parts : sequence of str
        The names of the parts.
    """
    wide = 3.0
    with style():
        canvas = Canvas(8.2 + wide * len(parts), len(cosines) + 2.4, scale=0.36)
        for column, part in enumerate(parts):
            canvas.text(8.0 + wide * (column + 0.5), 1.0, part.replace(" ", "\n", 1), 9)
        for row, (name, values) in enumerate(cosines.items()):
            y = 2.0 + row
            canvas.text(7.7, y + 0.5, name, 10, ha="right")
            for column, value in enumerate(values):
                x, same = 8.0 + wide * column, value > 0.9995
                color = BLUE if value > 0 else ORANGE
                canvas.box(x, y, wide, 1, color, tint=0.4 * abs(value), frame=0.6)
                shown = "1" if same else f"{value + 0.0:.2f}".replace("-", "−")
                canvas.text(x + wide / 2, y + 0.5, shown, 10, weight="bold" if same else "normal")
        return canvas.drawing(
            "training-angles",
            "A table with a row for each wrong gradient and a column for each part of the network. "
            "In each cell is the cosine of the angle between the wrong gradient and the right one "
            "for the parameters of that part: 1 where they point the same way. In the part at the "
            "end of the network it is often 1, in the parts before it less.",
        )


def _axes(canvas: Canvas, left: float, bottom: float, width: float, height: float) -> None:
    canvas.line([left, left, left + width], [bottom - height, bottom, bottom])


def _gallery(count: int, below: float) -> tuple[Canvas, list[tuple[float, float]]]:
    """Return a canvas for images, five to a row, and the upper left corner of each."""
    wide, high = 4.8, 4.6 + below
    canvas = Canvas(5 * wide + 0.4, -(-count // 5) * high + 0.4, scale=0.32)
    return canvas, [(0.6 + wide * (i % 5), 0.4 + high * (i // 5)) for i in range(count)]


def _frame(canvas: Canvas, left: float, top: float) -> None:
    canvas.box(left, top, 4, 4, frame=0.7)


def _pixels(canvas: Canvas, left: float, top: float, image: np.ndarray) -> None:
    """Draw an image, 4 units wide, as one path: a square in each lit pixel, of its value's area."""
    corners, codes = [], []
    for (row, column), value in np.ndenumerate(image):
        half = np.sqrt(value / BRIGHTEST) / 4
        x, y = left + (column + 0.5) / 2, top + (row + 0.5) / 2
        if value:
            corners += [(x - half, y - half), (x + half, y - half), (x + half, y + half),
                        (x - half, y + half), (x - half, y - half)]  # fmt: skip
            codes += [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY]
    canvas.axes.add_patch(PathPatch(Path(corners, codes), fc=INK, alpha=0.5, lw=0))
