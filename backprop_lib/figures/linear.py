"""Drawings of the chapter "Linear"."""

import numpy as np

from backprop_lib.figures.canvas import BLUE, INK, ORANGE, Canvas, Drawing, style
from backprop_lib.figures.notation import LENGTHS


def shapes() -> Drawing:
    """Show the shapes of the linear layer's forward pass, and the bias that is copied."""
    with style():
        canvas = Canvas(19.5, 5.2, scale=0.4)
        top = 1.6
        _matrix(canvas, 1.2, top, "x", "N", "C_{in}")
        canvas.text(4.9, top + 1.1, r"$\times$", 15)
        _matrix(canvas, 6.6, top, "W^T", "C_{in}", "C_{out}")
        canvas.text(9.1, top + 1.1, "$+$", 15)
        for row in range(4):
            canvas.box(
                10.6, top + 0.55 * row, 1.6, 0.55, BLUE if row else INK, "////" if row else ""
            )
        canvas.text(11.4, top + 0.29, "$b$", 12)
        canvas.text(11.4, top - 0.4, "$C_{out}$", 10)
        canvas.text(12.4, top + 1.4, "copied to\neach row", 9, ha="left")
        canvas.text(15.2, top + 1.1, "$=$", 15)
        _matrix(canvas, 16.9, top, "y", "N", "C_{out}")
        return canvas.drawing(
            "linear-shapes",
            "x, of shape N by C_in, times W transposed, C_in by C_out, plus b, of C_out entries, "
            "which is copied to each of the N rows, gives y, of shape N by C_out.",
        )


def _matrix(canvas: Canvas, x: float, y: float, name: str, rows: str, columns: str) -> None:
    canvas.array(x, y, LENGTHS[columns], LENGTHS[rows], name, rows, columns)


def sum_of_outer_products(dy: np.ndarray, x: np.ndarray, dW: np.ndarray) -> Drawing:
    """Show dW of a linear layer as the sum of one outer product per sample.

    Parameters
    ----------
    dy, x, dW : arrays, shapes (N, C_out), (N, C_in) and (C_out, C_in)
        Small integers; dW as `linear.backward` gives it.
    """
    samples, c_out = dy.shape
    c_in = x.shape[1]
    step = c_in + 3.0
    with style():
        canvas = Canvas(step * (samples + 1) + 0.6, c_out + 3.9, scale=0.36)
        top = 2.3
        for n in range(samples + 1):
            left = 1.6 + step * n
            if n == samples:
                canvas.matrix(left, top, dW, BLUE)
                canvas.text(left + c_in / 2, top + c_out + 0.6, "$dW$", 12)
                break
            canvas.matrix(left - 1.3, top, dy[n][:, None])
            canvas.matrix(left, top - 1.3, x[n][None])
            canvas.matrix(left, top, np.outer(dy[n], x[n]), ORANGE)
            canvas.text(left - 0.8, top - 0.8, f"$n={n}$", 9)
            sign = "=" if n == samples - 1 else "+"
            canvas.text(left + c_in + 0.85, top + c_out / 2, f"${sign}$", 15)
            canvas.text(left + c_in / 2, top + c_out + 0.6, f"$dy_{{{n}o}}\\, x_{{{n}i}}$", 12)
        return canvas.drawing(
            "sum-of-outer-products",
            f"For each of {samples} samples, the table of products of its upstream gradients, "
            "down the side, with its inputs, along the top. Added entry by entry, the tables "
            "give dW.",
        )
