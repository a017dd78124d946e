"""The book's drawings.

They are SVG that takes the page's own text colour, so they read on a light and on a dark page;
what colour says is also said by a hatch or a word.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

BLUE, ORANGE = "#3d85c6", "#d0782a"  # both at least 3:1 on white and on near-black
INK = "#010101"  # not quite black, which matplotlib would leave out; becomes the page's text colour
STYLE = {
    "font.size": 11,
    "mathtext.fontset": "cm",
    "svg.fonttype": "path",
    "svg.hashsalt": "backprop_lib",
    "hatch.linewidth": 0.8,
}


@dataclass(frozen=True)
class Drawing:
    """A figure for a notebook: inline SVG, with a description for those who do not see it."""

    name: str
    description: str
    svg: str

    def _repr_html_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"Figure: {self.description}"


class _Canvas:
    """A matplotlib figure without axes, in units of one matrix cell."""

    def __init__(self, width: float, height: float, scale: float = 0.42):
        self.figure = Figure(figsize=(width * scale, height * scale))
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()

    def text(self, x: float, y: float, text: str, size: float = 11, **style: Any) -> None:
        style = {"ha": "center", "va": "center", "color": INK} | style
        self.axes.text(x, y, text, fontsize=size, **style)

    def box(
        self, x: float, y: float, width: float, height: float, color: str = INK, hatch: str = ""
    ) -> None:
        """Draw a rectangle, tinted if it has a colour, hatched if it has a hatch."""
        if color != INK:
            self.axes.add_patch(Rectangle((x, y), width, height, fc=color, alpha=0.22, lw=0))
        if hatch:
            self.axes.add_patch(
                Rectangle((x, y), width, height, fill=False, ec=color, hatch=hatch, lw=0)
            )
        self.axes.add_patch(Rectangle((x, y), width, height, fill=False, ec=INK, lw=1.1))

    def grid(
        self, x: float, y: float, values: np.ndarray, color: str = INK, size: float = 10
    ) -> None:
        """Draw a matrix of numbers; the larger a number, the stronger its tint."""
        strongest = np.abs(values).max() or 1
        for (row, column), value in np.ndenumerate(values):
            cell = (x + column, y + row)
            if color != INK:
                alpha = 0.4 * abs(value) / strongest
                self.axes.add_patch(Rectangle(cell, 1, 1, fc=color, alpha=alpha, lw=0))
            self.axes.add_patch(Rectangle(cell, 1, 1, fill=False, ec=INK, lw=0.7))
            positive_zero = value + 0.0
            self.text(cell[0] + 0.5, cell[1] + 0.5, f"${positive_zero:g}$", size)

    def drawing(self, name: str, description: str) -> Drawing:
        file = io.StringIO()
        self.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        svg = re.sub(r"<metadata>.*?</metadata>\s*", "", file.getvalue(), flags=re.DOTALL)
        svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
        svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)  # unique on the page
        width = self.figure.get_figwidth() * 72
        label = description.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        opening = (
            f'<svg role="img" aria-label="{label}" style="width: 100%; max-width: {width:.0f}pt; '
            'height: auto; display: block; margin: auto" '
        )
        svg = re.sub(r'<svg (?:height|width)="[^"]*"', "<svg", svg, count=1)
        head, rest = svg.split(">", 1)
        head = re.sub(r' (?:height|width)="[^"]*"', "", head)
        return Drawing(name, description, head.replace("<svg", opening, 1) + ">" + rest)


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context(STYLE):
        yield


LENGTHS = {"N": 2.2, "C_{in}": 3.0, "C_{out}": 1.6}  # of the sides, as they are drawn


def turned_to_meet() -> Drawing:
    """Show where the transposes of the linear layer come from: the summed sides must meet."""
    products = {
        "$y_{no} = \\sum_i\\, x_{ni}\\, W_{oi}$": (
            [("x", "N", "C_{in}"), ("W", "C_{out}", "C_{in}")],
            [("x", "N", "C_{in}"), ("W^T", "C_{in}", "C_{out}")],
            "C_{in}",
        ),
        "$dx_{ni} = \\sum_o\\, dy_{no}\\, W_{oi}$": (
            [("dy", "N", "C_{out}"), ("W", "C_{out}", "C_{in}")],
            [("dy", "N", "C_{out}"), ("W", "C_{out}", "C_{in}")],
            "C_{out}",
        ),
        "$dW_{oi} = \\sum_n\\, dy_{no}\\, x_{ni}$": (
            [("dy", "N", "C_{out}"), ("x", "N", "C_{in}")],
            [("dy^T", "C_{out}", "N"), ("x", "N", "C_{in}")],
            "N",
        ),
    }
    with _style():
        canvas = _Canvas(31.5, 11.6, scale=0.33)
        for column, (formula, (stored, multiplied, summed)) in enumerate(products.items()):
            left = 2.6 + 10 * column
            canvas.text(left + 3.2, 0.7, formula, 13)
            for top, factors in ((2.7, stored), (7.8, multiplied)):
                x = left
                for name, rows, columns in factors:
                    _matrix(canvas, x, top, name, rows, columns, summed)
                    if name.endswith("^T"):
                        below = top + LENGTHS[rows] + 0.45
                        canvas.text(x + LENGTHS[columns] / 2, below, "turned", 9)
                    x += LENGTHS[columns] + 1.9
        canvas.text(0.5, 4.0, "stored", 11, rotation="vertical")
        canvas.text(0.5, 9.2, "multiplied", 11, rotation="vertical")
        return canvas.drawing(
            "turned-to-meet",
            "The three matrix products of the linear layer, their factors as they are stored and "
            "as they are multiplied. The side that is summed over is marked in each factor. To be "
            "multiplied, it must be the columns of the left factor and the rows of the right one. "
            "In y the weights are turned, in dx nothing is, in dW the upstream gradient is.",
        )


def _matrix(
    canvas: _Canvas, x: float, y: float, name: str, rows: str, columns: str, summed: str
) -> None:
    """Draw a matrix with its two sides named and the summed side marked."""
    width, height, strip = LENGTHS[columns], LENGTHS[rows], 0.42
    canvas.box(x, y, width, height)
    if columns == summed:
        canvas.box(x, y, width, strip, ORANGE, "/////")
    else:
        canvas.box(x, y, strip, height, ORANGE, "/////")
    canvas.text(x + width / 2 + 0.12, y + height / 2 + 0.16, f"${name}$", 13)
    canvas.text(x - 0.15, y + height / 2, f"${rows}$", 10, ha="right")
    canvas.text(x + width / 2, y - 0.4, f"${columns}$", 10)


def linear_shapes() -> Drawing:
    """Show the shapes of the linear layer's forward pass, and the bias that is copied."""
    with _style():
        canvas = _Canvas(19.5, 5.2, scale=0.4)
        top = 1.6
        _matrix_of(canvas, 1.2, top, "x", "N", "C_{in}")
        canvas.text(4.9, top + 1.1, r"$\times$", 15)
        _matrix_of(canvas, 6.6, top, "W^T", "C_{in}", "C_{out}")
        canvas.text(9.1, top + 1.1, "$+$", 15)
        for row in range(4):
            canvas.box(
                10.6, top + 0.55 * row, 1.6, 0.55, BLUE if row else INK, "////" if row else ""
            )
        canvas.text(11.4, top + 0.29, "$b$", 12)
        canvas.text(11.4, top - 0.4, "$C_{out}$", 10)
        canvas.text(12.4, top + 1.4, "copied to\neach row", 9, ha="left")
        canvas.text(15.2, top + 1.1, "$=$", 15)
        _matrix_of(canvas, 16.9, top, "y", "N", "C_{out}")
        return canvas.drawing(
            "linear-shapes",
            "x, of shape N by C_in, times W transposed, C_in by C_out, plus b, of C_out entries, "
            "which is copied to each of the N rows, gives y, of shape N by C_out.",
        )


def _matrix_of(canvas: _Canvas, x: float, y: float, name: str, rows: str, columns: str) -> None:
    canvas.box(x, y, LENGTHS[columns], LENGTHS[rows])
    canvas.text(x + LENGTHS[columns] / 2, y + LENGTHS[rows] / 2, f"${name}$", 13)
    canvas.text(x - 0.15, y + LENGTHS[rows] / 2, f"${rows}$", 10, ha="right")
    canvas.text(x + LENGTHS[columns] / 2, y - 0.4, f"${columns}$", 10)


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
    with _style():
        canvas = _Canvas(step * (samples + 1) + 0.6, c_out + 3.9, scale=0.36)
        top = 2.3
        for n in range(samples + 1):
            left = 1.6 + step * n
            if n == samples:
                canvas.grid(left, top, dW, BLUE)
                canvas.text(left + c_in / 2, top + c_out + 0.6, "$dW$", 12)
                break
            canvas.grid(left - 1.3, top, dy[n][:, None])
            canvas.grid(left, top - 1.3, x[n][None])
            canvas.grid(left, top, np.outer(dy[n], x[n]), ORANGE)
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
