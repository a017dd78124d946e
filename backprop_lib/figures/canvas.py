"""What the book's drawings are drawn with.

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


class Canvas:
    """A matplotlib figure without axes, in units of one matrix cell; x to the right, y down."""

    def __init__(self, width: float, height: float, scale: float = 0.42):
        self.figure = Figure(figsize=(width * scale, height * scale))
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()

    def text(self, x: float, y: float, text: str, size: float = 11, **style: Any) -> None:
        """Write a text, centred at a point unless the style says otherwise."""
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
        """Return what was drawn, for a notebook; the name must be unique on a page."""
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
def style() -> Iterator[None]:
    """Draw in the book's style, and leave matplotlib's settings as they were."""
    with mpl.rc_context(STYLE):
        yield
