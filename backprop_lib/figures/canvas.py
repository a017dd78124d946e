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
from matplotlib.patches import FancyArrowPatch, Rectangle
from numpy.typing import ArrayLike

Place = tuple[float, float]
Dashes = str | tuple[float, tuple[float, ...]]
"""A line style of matplotlib."""

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
        self.points_per_unit = 72 * scale
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()

    def text(self, x: float, y: float, text: str, size: float = 11, **style: Any) -> None:
        """Write a text, centred at a point unless the style says otherwise."""
        style = {"ha": "center", "va": "center", "color": INK} | style
        self.axes.text(x, y, text, fontsize=size, **style)

    def line(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        width: float = 0.8,
        color: str = INK,
        dashes: Dashes = "-",
        **style: Any,
    ) -> None:
        """Draw a line through the points (x, y)."""
        self.axes.plot(x, y, color=color, lw=width, ls=dashes, **style)

    def arrow(
        self,
        *corners: Place,
        width: float = 1.1,
        color: str = INK,
        dashes: Dashes = "-",
        head: str = "->",
        size: float = 11,
        gaps: Place = (0, 0),
        name: str = "",
    ) -> None:
        """Draw an arrow from the first corner to the last; its head is solid in any line style.

        The gaps are left free at its two ends, in points, as is the size of the head. The name
        stands above the middle of the last part.
        """
        start, end = corners[-2:]
        if len(corners) > 2:
            first = self._before(corners[0], corners[1], gaps[0])
            x, y = zip(first, *corners[1:-1], strict=True)
            self.line(x, y, width=width, color=color, dashes=dashes)
            gaps = (0, gaps[1])
        look = {"color": color, "lw": width, "mutation_scale": size}
        if dashes != "-":
            neck = self._before(end, start, gaps[1] + 2)
            self._arrow(start, neck, "-", (gaps[0], 0), ls=dashes, **look)
            self._arrow(neck, end, head, (0, gaps[1]), **look)
        else:
            self._arrow(start, end, head, gaps, **look)
        if name:
            self.text((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 - 0.5, name, 10)

    def _before(self, end: Place, start: Place, points: float) -> Place:
        """Return the place so many points before the end of a way."""
        way = np.subtract(start, end)
        x, y = end + way / np.hypot(*way) * points / self.points_per_unit
        return float(x), float(y)

    def _arrow(self, start: Place, end: Place, head: str, gaps: Place, **look: Any) -> None:
        patch = FancyArrowPatch(
            start, end, arrowstyle=head, shrinkA=gaps[0], shrinkB=gaps[1], zorder=3, **look
        )
        self.axes.add_patch(patch).set_clip_on(False)

    def dots(
        self, x: ArrayLike, y: ArrayLike, *, size: float, color: str = INK, **style: Any
    ) -> None:
        """Draw a dot at each point (x, y), its size in points."""
        self.axes.plot(x, y, color=color, ms=size, **{"marker": "o", "ls": ""} | style)

    def ring(self, x: float, y: float, size: float, color: str = INK) -> None:
        """Draw a circle about a point, its size in points."""
        self.dots(x, y, size=size, mfc="none", mec=color, mew=1.6)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        color: str = INK,
        hatch: str = "",
        *,
        tint: float = 0.22,
        frame: float = 1.1,
    ) -> None:
        """Draw a rectangle, tinted if it has a colour, hatched if it has a hatch."""

        def draw(**style: Any) -> None:
            self.axes.add_patch(Rectangle((x, y), width, height, **style))

        if color != INK:
            draw(fc=color, alpha=tint, lw=0)
        if hatch:
            draw(fill=False, ec=color, hatch=hatch, lw=0)
        if frame:
            draw(fill=False, ec=INK, lw=frame)

    def cells(self, x: float, y: float, rows: int, columns: int) -> None:
        """Draw a matrix without numbers."""
        for row, column in np.ndindex(rows, columns):
            self.box(x + column, y + row, 1, 1)

    def matrix(
        self, x: float, y: float, values: np.ndarray, color: str = INK, size: float = 10
    ) -> None:
        """Draw a matrix of numbers; the larger a number, the stronger its tint."""
        strongest = np.abs(values).max() or 1
        for (row, column), value in np.ndenumerate(values):
            tint = 0.4 * abs(value) / strongest
            self.box(x + column, y + row, 1, 1, color, tint=tint, frame=0.7)
            positive_zero = value + 0.0
            self.text(x + column + 0.5, y + row + 0.5, f"${positive_zero:g}$", size)

    def stack(
        self, x: float, y: float, width: float, height: float, count: int, away: float
    ) -> None:
        """Draw matrices one behind the other, each by so much to the upper right of the last."""
        for back in away * np.arange(count - 1, 0, -1):
            left, top = x + back, y - back
            right, bottom = left + width, top + height
            self.line(
                [left, left, right, right, right - away],
                [top + away, top, top, bottom, bottom],
                width=1.0,
                solid_joinstyle="miter",
            )
        self.box(x, y, width, height)

    def array(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        name: str,
        rows: str = "",
        columns: str = "",
        *,
        summed: str = "",
        size: float = 13,
    ) -> None:
        """Draw a matrix with its name and those of its sides; the one that is summed is marked."""
        self.box(x, y, width, height)
        self.mark_summed(x, y, width, height, rows, columns, summed)
        aside, down = (0.12, 0.16) if summed else (0, 0)
        self.text(x + width / 2 + aside, y + height / 2 + down, f"${name}$", size)
        if rows:
            self.text(x - 0.15, y + height / 2, f"${rows}$", size - 3, ha="right")
        self.text(x + width / 2, y - 0.4, f"${columns}$", size - 3)

    def mark_summed(
        self, x: float, y: float, width: float, height: float, rows: str, columns: str, summed: str
    ) -> None:
        """Mark, along the top or down the left, the side of a matrix that is summed over."""
        strip = 0.42
        if summed:
            size = {rows: (strip, height), columns: (width, strip)}[summed]
            self.box(x, y, *size, ORANGE, "/////")

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
