"""Drawings of the chapter "Dropout and plumbing"."""

import numpy as np
from matplotlib.patches import Circle

from backprop_lib.figures.canvas import BLUE, INK, ORANGE, Canvas, Drawing, style

PIPES = {
    ("copied", "added"): [[1], [1], [1]],
    ("added", "copied"): [[1, 1, 1]],
    ("turned", "turned back"): [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
    ("let through", "let through"): [[2, 0, 0], [0, 0, 0], [0, 0, 2]],
}
"""For each step, what forward and backward do, and the matrix P of y = P x."""
RADIUS = 0.52


def pipes() -> Drawing:
    """Show four linear steps as pipes, run forwards and backwards."""
    with style():
        canvas = Canvas(22.4, 13.0, scale=0.27)
        canvas.text(0.6, 3.4, "forward", 11, rotation="vertical")
        canvas.text(0.6, 9.9, "backward", 11, rotation="vertical")
        for column, ((forward, backward), matrix) in enumerate(PIPES.items()):
            P = np.array(matrix)
            x, dy = np.array([2, 1, 3])[: P.shape[1]], np.array([1, 4, -3])[: P.shape[0]]
            left = 2.4 + 5.2 * column
            canvas.text(left + 1.7, 0.6, forward, 11)
            _pipes(canvas, left, 3.4, P, x, P @ x, runs_back=False)
            canvas.text(left + 1.7, 7.2, backward, 11)
            _pipes(canvas, left, 9.9, P, P.T @ dy, dy, runs_back=True)
            for top, names in ((5.9, ("x", "y")), (12.5, ("dx", "dy"))):
                canvas.text(left, top, f"${names[0]}$", 11)
                canvas.text(left + 3.4, top, f"${names[1]}$", 11)
        return canvas.drawing(
            "dropout-pipes",
            "Four steps as pipes from x on the left to y on the right, and the same pipes run "
            "from dy on the right to dx on the left. Forward copies 2 to three places, backward "
            "adds 1, 4 and -3 to 2. Forward adds 2, 1 and 3 to 6, backward copies 1 to three "
            "places. Forward turns 2, 1, 3 round to 3, 2, 1, backward turns 1, 4, -3 back to "
            "4, -3, 1. Forward doubles the first and the last and stops the middle one, and "
            "backward does the same.",
        )


def _pipes(
    canvas: Canvas,
    left: float,
    middle: float,
    P: np.ndarray,
    at_x: np.ndarray,
    at_y: np.ndarray,
    *,
    runs_back: bool,
) -> None:
    """Draw the pipes of one step, with the numbers at both ends."""
    ends = [
        [(side, middle + 1.45 * (k - (len(values) - 1) / 2)) for k in range(len(values))]
        for side, values in ((left, at_x), (left + 3.4, at_y))
    ]
    color = ORANGE if runs_back else BLUE
    for (j, k), weight in np.ndenumerate(P):
        start, stop = ends[0][k], ends[1][j]
        is_shut = not P[j].any()
        if weight:
            _pipe(canvas, *((stop, start) if runs_back else (start, stop)), color)
        elif j == k and is_shut:
            rims = [start[0] + RADIUS + 0.1, stop[0] - RADIUS - 0.1]
            canvas.line(rims, [start[1]] * 2, width=1.2, dashes=":")
        if weight > 1 or (j == k and is_shut):
            canvas.text(left + 1.7, start[1] - 0.5, rf"$\times {weight}$", 10)
    for places, values in zip(ends, (at_x, at_y), strict=True):
        for place, value in zip(places, values, strict=True):
            canvas.axes.add_patch(Circle(place, RADIUS, fill=False, ec=INK, lw=0.9))
            canvas.text(*place, f"${value}$", 10.5)


def _pipe(
    canvas: Canvas, start: tuple[float, float], stop: tuple[float, float], color: str
) -> None:
    """Draw an arrow from the rim of one circle to that of another."""
    way = np.subtract(stop, start)
    step = way / np.hypot(*way) * (RADIUS + 0.1)
    ends = tuple(start + step), tuple(stop - step)
    canvas.arrow(*ends, width=1.5, color=color, head="-|>", size=9)


def same_holes(x: np.ndarray, mask: np.ndarray, dy: np.ndarray) -> Drawing:
    """Show that dropout has its holes at the same places forwards and backwards.

    Parameters
    ----------
    x, mask, dy : arrays, shape (N, C)
        Small integers.
    """
    rows, columns = x.shape
    step = columns + 1.5
    with style():
        canvas = Canvas(3 * step - 0.5, 2 * rows + 3.3, scale=0.38)
        for top, names, given, color in (
            (1.1, ("x", "y"), x, BLUE),
            (rows + 2.9, ("dy", "dx"), dy, ORANGE),
        ):
            canvas.matrix(0.5, top, given, color)
            _with_holes(canvas, 0.5 + step, top, mask, mask, INK)
            _with_holes(canvas, 0.5 + 2 * step, top, given * mask, mask, color)
            for number, name in enumerate((names[0], "M", names[1])):
                canvas.text(0.5 + step * number + columns / 2, top - 0.5, f"${name}$", 12)
            for number, sign in ((1, r"$\cdot$"), (2, "$=$")):
                canvas.text(step * number - 0.25, top + rows / 2, sign, 18)
        return canvas.drawing(
            "dropout-same-holes",
            "Entry by entry, x times M is y, and dy times the same M is dx. Where the mask M "
            "is 0, which a hatch marks, y and dx are 0 as well.",
        )


def _with_holes(
    canvas: Canvas, left: float, top: float, values: np.ndarray, mask: np.ndarray, color: str
) -> None:
    """Draw a matrix, its entries hatched where the mask is 0."""
    for (row, column), value in np.ndenumerate(values):
        at = (left + column, top + row)
        if mask[row, column]:
            canvas.matrix(*at, np.array([[value]]), color)
        else:
            canvas.box(*at, 1, 1, INK, "////")
