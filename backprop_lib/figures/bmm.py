"""Drawings of the chapter "Bmm"."""

import numpy as np

from backprop_lib.figures.canvas import BLUE, INK, ORANGE, Canvas, Drawing, style

LENGTHS = {"L": 2.9, "C": 2.1, "D": 1.4}  # of the sides, as they are drawn
SHEETS, DEPTH = 3, 0.26
PRODUCTS = [
    ("forward", "C", [("x", "L", "C"), ("t", "C", "D"), ("y", "L", "D")]),
    ("gradient of $x$", "D", [("dy", "L", "D"), ("t^T", "D", "C"), ("dx", "L", "C")]),
    ("gradient of $t$", "L", [("x^T", "C", "L"), ("dy", "L", "D"), ("dt", "C", "D")]),
]
"""Each product, the letter that is summed in it, and its two factors and result."""


def stacks() -> Drawing:
    """Show the three products as stacks of matrices, one sheet for each sample."""
    with style():
        canvas = Canvas(16.4, 15.2, scale=0.36)
        for row, (title, summed, matrices) in enumerate(PRODUCTS):
            middle = 2.9 + 5.0 * row
            canvas.text(0.55, middle, title, 11, rotation="vertical")
            for center, sign, matrix in zip(
                (3.5, 8.4, 13.6), (r"$\times$", "$=$", ""), matrices, strict=True
            ):
                _stack(canvas, center, middle, matrix, summed if sign else "")
                if sign:
                    canvas.text(
                        center + (2.55 if row < 2 or center < 5 else 2.45), middle, sign, 15
                    )
        return canvas.drawing(
            "bmm-stacks",
            "Three products of stacks of matrices, one sheet for each of N samples. Forward: x, L "
            "by C, times t, C by D, gives y, L by D; C is summed. Gradient of x: dy, L by D, times "
            "t transposed, D by C, gives dx, L by C; D is summed. Gradient of t: x transposed, C "
            "by L, times dy, L by D, gives dt, C by D; L is summed.",
        )


def _stack(canvas: Canvas, x: float, y: float, matrix: tuple[str, str, str], summed: str) -> None:
    """Draw a stack of matrices about a point, sides named, the summed side marked."""
    name, rows, columns = matrix
    width, height = LENGTHS[columns], LENGTHS[rows]
    left, top = x - width / 2, y - height / 2
    canvas.stack(left, top, width, height, SHEETS, DEPTH)
    canvas.mark_summed(left, top, width, height, rows, columns, summed)
    shift = 0.18 if summed else 0.0
    canvas.text(x + shift * (rows == summed), y + shift * (columns == summed), f"${name}$", 13)
    canvas.text(left - 0.2, y, f"${rows}$", 11, ha="right")
    canvas.text(x + DEPTH * (SHEETS - 1), top - DEPTH * (SHEETS - 1) - 0.42, f"${columns}$", 11)
    canvas.text(left + width + 0.38, top + height + 0.05, "$N$", 10)


def rotated_back() -> Drawing:
    """Show what a rotation does to a point, and what its backward does to a gradient."""
    start, turn = 14.0, 42.0
    with style():
        canvas = Canvas(16.4, 6.9, scale=0.36)
        points, gradients = (1.0, 6.3), (9.5, 6.3)
        canvas.text(points[0] + 1.5, 0.7, "forward: a point", 11)
        _ray(canvas, points, start, INK, "$x$")
        _ray(canvas, points, start + turn, INK, "$y = x\\,t$")
        _arc(canvas, points, start, start + turn, 1.7, r"$\varphi$")

        upstream = start + turn
        canvas.text(gradients[0] + 1.5, 0.7, "backward: a gradient", 11)
        _ray(canvas, gradients, upstream, INK, "$dy$")
        _ray(canvas, gradients, upstream - turn, BLUE, "$dy\\,t^T$", "rotated back:\nright")
        _ray(canvas, gradients, upstream + turn, ORANGE, "$dy\\,t$", "rotated on:\nwrong", "--")
        _arc(canvas, gradients, upstream, upstream - turn, 1.7, r"$\varphi$")
        _arc(canvas, gradients, upstream, upstream + turn, 1.7, r"$\varphi$")
        for center in (points, gradients):
            canvas.dots(*center, size=3.5)
        return canvas.drawing(
            "rotated-back",
            "Left: t rotates the point x by the angle phi, counter-clockwise, to y. Right: dy "
            "times t transposed is dy rotated back by phi, which is the gradient of x. The note's "
            "dy times t is dy rotated on by phi; it stands at twice the angle phi to the gradient.",
        )


def _ray(
    canvas: Canvas,
    center: tuple[float, float],
    degrees: float,
    color: str,
    name: str,
    word: str = "",
    dashes: str = "-",
) -> None:
    """Draw an arrow from a point, at an angle counter-clockwise from the right, with its name."""
    end = _at(center, degrees, 4.0)
    canvas.arrow(center, end, width=1.8, color=color, dashes=dashes, head="-|>", size=14)
    ha = "left" if degrees < 90 else "right"
    x, y = _at(center, degrees, 4.55)
    x -= 0.3 if ha == "left" else 0.1
    canvas.text(x, y, name, 13, ha=ha)
    if word:
        canvas.text(x - (0.35 if ha == "right" else 0), y + 1.0, word, 9, ha=ha)


def _arc(
    canvas: Canvas,
    center: tuple[float, float],
    first: float,
    last: float,
    radius: float,
    name: str,
) -> None:
    """Draw an arc with an arrow's head, from one angle to another, and name it."""
    angles = np.deg2rad(np.linspace(first, last, 30)[1:-1])
    xs, ys = center[0] + radius * np.cos(angles), center[1] - radius * np.sin(angles)
    canvas.line(xs[:-1], ys[:-1], width=0.9)
    near, end = zip(xs[[-3, -1]], ys[[-3, -1]], strict=True)
    canvas.arrow(near, end, width=0.9, head="-|>", size=9, gaps=(2, 2))
    x, y = _at(center, (first + last) / 2, 1.25)
    canvas.text(x, y, name, 11)


def _at(center: tuple[float, float], degrees: float, distance: float) -> tuple[float, float]:
    angle = np.deg2rad(degrees)
    return center[0] + distance * float(np.cos(angle)), center[1] - distance * float(np.sin(angle))
