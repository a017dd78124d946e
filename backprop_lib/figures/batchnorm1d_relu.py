"""Drawings of the chapter "BatchNorm1d with ReLU"."""

import numpy as np

from backprop_lib.figures.canvas import BLUE, INK, ORANGE, Canvas, Drawing, style


def order() -> Drawing:
    """Show forward from left to right, backward from right to left, and what is kept between."""
    with style():
        canvas = Canvas(16.6, 7.7, scale=0.36)
        top, bottom, height, middle = 0.4, 5.4, 1.9, 4.05
        for y, names in ((top, "xzy"), (bottom, ("dx", "dz", "dy"))):
            for x, name in zip((0.6, 8.3, 16.0), names, strict=True):
                canvas.text(x, y + height / 2, f"${name}$", 16)
        canvas.box(2.3, top, 4.3, height)
        canvas.text(4.45, top + height / 2, "batch norm", 12)
        canvas.box(10.0, top, 4.3, height)
        canvas.text(12.15, top + height / 2, "ReLU", 12)
        canvas.box(2.3, bottom, 4.3, height, BLUE)
        canvas.text(4.45, bottom + height / 2, "2. batch norm's\nbackward", 12)
        canvas.box(10.0, bottom, 4.3, height, ORANGE)
        canvas.text(12.15, bottom + height / 2, "1. $dy$ where\n$y > 0$, else 0", 12)
        for start, end in ((1.2, 2.2), (6.7, 7.7), (8.9, 9.9), (14.4, 15.4)):
            there, back = top + height / 2, bottom + height / 2
            canvas.arrow((start, there), (end, there), head="-|>")
            canvas.arrow((end, back), (start, back), head="-|>")
        for x, kept in ((4.45, r"$\hat x,\ r,\ W$"), (12.15, "$y$")):
            canvas.arrow((x, top + height + 0.1), (x, bottom - 0.1), head="-|>")
            canvas.text(x + 0.3, middle, kept, 14, ha="left")
            canvas.text(x - 0.3, middle, "kept", 12, ha="right")
        return canvas.drawing(
            "batchnorm1d-relu-order",
            "Forward, from left to right: x goes through batch norm to z, and z through ReLU to y. "
            "Backward, from right to left: first dy is kept where y is greater than 0, else set "
            "to 0, which gives dz; then dz goes through batch norm's backward to dx. Kept between "
            "the two: x hat, r and W by batch norm, y by ReLU.",
        )


def closed_places(
    z: np.ndarray, dy: np.ndarray, dz: np.ndarray, dx: np.ndarray, dx_constant: np.ndarray
) -> Drawing:
    """Show one channel: where the ReLU is closed, dz is 0, but dx need not be.

    Parameters
    ----------
    z, dy, dz, dx, dx_constant : arrays, shape (M,)
        Of one channel, with few digits: before the ReLU, upstream gradient, masked, gradient of x
        in training, and in evaluation with the same mean and variance.
    """
    rows = [
        ("$z$", "", z),
        ("$dy$", "", dy),
        ("$dz$", "", dz),
        ("$dx$", "training", dx),
        ("$dx$", "evaluation", dx_constant),
    ]
    left, width, height, strip, step = 3.0, 2.1, 1.55, 0.4, 1.85
    with style():
        canvas = Canvas(left + width * len(z) + 0.2, 1.3 + step * len(rows), scale=0.4)
        for i, value in enumerate(z):
            word = "open" if value > 0 else "closed"
            canvas.text(left + width * (i + 0.5), 0.6, word, 12)
        for row, (symbol, words, values) in enumerate(rows):
            top = 1.2 + step * row
            canvas.text(left / 2 - 0.1, top + (0.5 if words else 0.75), symbol, 15)
            canvas.text(left / 2 - 0.1, top + 1.2, words, 11)
            for i, value in enumerate(values):
                x, is_closed = left + width * i, z[i] <= 0
                is_gradient = words and abs(value) > 1e-12
                canvas.box(x, top, width, height, BLUE if is_gradient else INK)
                if is_closed:
                    canvas.box(x, top + height - strip, width, strip, INK, "////")
                number = f"${round(float(value), 10) + 0.0:g}$"
                canvas.text(x + width / 2, top + (height - strip) / 2 + 0.05, number, 14)
        shown = [", ".join(f"{round(float(v), 10) + 0.0:g}" for v in values) for *_, values in rows]
        return canvas.drawing(
            "batchnorm1d-relu-closed",
            f"One channel with z = {shown[0]}; the ReLU is closed where z is not positive. "
            f"dy = {shown[1]}; dz is dy where the ReLU is open, else 0: {shown[2]}. "
            f"In training dx = {shown[3]}, not 0 at the closed places; "
            f"in evaluation dx = {shown[4]}, 0 at the closed places.",
        )
