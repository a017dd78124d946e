"""Drawings of the chapter "Orthogonality"."""

from collections.abc import Callable

import numpy as np

from backprop_lib.figures.canvas import BLUE, INK, ORANGE, Canvas, Drawing, style

LEVELS = (0.05, 0.3, 0.9, 1.7)
RADIUS = 1.6
"""How far a panel of `valleys` reaches from 0."""


def two_places() -> Drawing:
    """Show in which entries of E one entry of A stands, and as which factor."""
    size, p, q = 5, 1, 3
    with style():
        canvas = Canvas(17.6, 10.3, scale=0.4)
        top, a, e = 3.3, 1.2, 9.2
        canvas.cells(a, top, size, size)
        canvas.box(a + q, top + p, 1, 1, ORANGE)
        canvas.text(a + q + 0.5, top + p + 0.5, "$A_{pq}$", 10)
        canvas.text(a + size / 2, top + size + 0.7, "$A$", 14)
        canvas.text(a - 0.4, top + p + 0.5, "$p$", 12)
        canvas.text(a + q + 0.5, top - 0.4, "$q$", 12)

        canvas.cells(e, top, size, size)
        canvas.box(e, top + p, size, 1, BLUE, "////")
        canvas.box(e + p, top, 1, size, ORANGE, r"\\\\")
        canvas.text(e + size / 2, top + size + 0.7, "$E = A A^T - I$", 14)
        canvas.text(e - 0.4, top + p + 0.5, "$p$", 12)
        canvas.text(e + p + 0.5, top - 0.4, "$p$", 12)
        canvas.text(e + size + 0.3, top + p + 0.5, "row $p$:\nleft factor", 10, ha="left")
        canvas.text(e + p + 0.5, top - 1.2, "column $p$: right factor", 10)
        row = top + p + 0.5
        canvas.arrow((a + size + 0.3, row), (e - 0.9, row), gaps=(2, 2))
        canvas.text(8.8, 0.8, "$E_{ij} = \\sum_k\\, A_{ik}\\, A_{jk} - \\delta_{ij}$", 14)
        canvas.text(8.8, 9.7, "where they cross, $A_{pq}$ is both factors", 10)
        return canvas.drawing(
            "orthogonality-two-places",
            "The entry of A in row p and column q stands in every entry of row p of E, as the left "
            "factor, and in every entry of column p of E, as the right factor. Where that row and "
            "that column cross it is both factors.",
        )


def valleys(right: list[np.ndarray], published: list[np.ndarray]) -> Drawing:
    """Show both penalties of the scaled rotations of the plane, and where descent leads.

    Parameters
    ----------
    right, published : lists of arrays, each of shape (steps, 2)
        For each start the points (u, v) of the matrices [[u, -v], [v, u]] that a descent passes
        through: along the penalty of A Aᵀ − I, and along that of A (Aᵀ − I).
    """

    def of_right(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        penalty: np.ndarray = 2 * (u * u + v * v - 1) ** 2
        return penalty

    def of_published(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        penalty: np.ndarray = 2 * (u * u + v * v) * ((u - 1) ** 2 + v * v)
        return penalty

    with style():
        canvas = Canvas(17.0, 10.6, scale=0.4)
        _panel(canvas, 4.3, right, of_right, "$A A^T - I$")
        _panel(canvas, 12.7, published, of_published, "$A\\,(A^T - I)$")
        angles = np.linspace(0, 2 * np.pi, 120)
        x, y = _place(4.3, np.stack([np.cos(angles), np.sin(angles)], axis=1))
        canvas.line(x, y, width=3, color=BLUE)
        canvas.text(4.3, 9.75, "zero on the whole circle:\nevery rotation", 10)
        for u, label, side in ((0, "$0$", -0.6), (1, "$I$", 0.6)):
            x, y = _place(12.7, np.array([[u, 0.0]]))
            canvas.dots(x, y, size=8, color=BLUE)
            canvas.text(x[0] + side, y[0], label, 12)
        x, y = _place(12.7, np.array([[0.5, -RADIUS], [0.5, RADIUS]]))
        canvas.line(x, y, width=1, dashes=(0, (4, 3)))
        canvas.text(12.7, 9.75, "zero at two points only:\nthe zero matrix and $I$", 10)
        return canvas.drawing(
            "orthogonality-valleys",
            "Two maps of the plane. A point is a rotation of the plane times a scale; its angle is "
            "that of the rotation, its distance from 0 is the scale. Thin lines join matrices of "
            "equal penalty. On the left the penalty of A times A transposed minus I: its zeros are "
            "the whole unit circle, and every descent goes straight to the circle and keeps its "
            "angle. On the right the penalty of A times the difference of A transposed and I: its "
            "zeros are 0 and the point of the identity. A dashed vertical line half way between "
            "them divides the plane: descents that start right of it end at the identity, those "
            "that start left of it at zero.",
        )


def _place(centre: float, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn points (u, v), v upwards, into places on the canvas."""
    unit = 2.35
    return centre + unit * points[:, 0], 4.75 - unit * points[:, 1]


def _panel(
    canvas: Canvas,
    centre: float,
    paths: list[np.ndarray],
    penalty: Callable[[np.ndarray, np.ndarray], np.ndarray],
    title: str,
) -> None:
    """Draw the lines of equal penalty, and the paths on them."""
    ticks = np.linspace(-RADIUS, RADIUS, 49)
    u, v = np.meshgrid(ticks, ticks)
    x, y = _place(centre, np.stack([ticks, ticks], axis=1))
    canvas.axes.contour(x, y, penalty(u, v), LEVELS, colors=INK, linewidths=0.5, alpha=0.6)
    canvas.text(centre, 0.5, title, 13)
    left, bottom = centre - 3.6, 8.5
    for name, right, up in (("$u$", 0.9, 0.0), ("$v$", 0.0, 0.9)):
        canvas.arrow((left, bottom), (left + right, bottom - up), width=1)
        canvas.text(left + 1.35 * right, bottom - 1.35 * up, name, 11)
    for path in paths:
        x, y = _place(centre, path)
        canvas.line(x, y, width=2, color=ORANGE)
        canvas.ring(x[0], y[0], 6, ORANGE)
        middle = int(np.argmin(np.hypot(x - (x[0] + x[-1]) / 2, y - (y[0] + y[-1]) / 2)))
        middle = min(max(middle, 1), len(x) - 2)
        before, after = zip(x[[middle - 1, middle + 1]], y[[middle - 1, middle + 1]], strict=True)
        canvas.arrow(before, after, width=0, color=ORANGE, head="-|>", size=14, gaps=(2, 2))
