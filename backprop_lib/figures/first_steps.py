"""Drawings of the chapter "First steps"."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backprop_lib.figures.canvas import BLUE, INK, ORANGE, Canvas, Drawing, Place, style

RADIUS = 0.55
LABEL = (1.9, 0.8)
"""Width and height of the box that a number stands in."""


@dataclass(frozen=True)
class Wire:
    """What carries a number from one operation to others: its name, its ways, where it is told."""

    name: str
    ways: tuple[tuple[Place, ...], ...]
    label: Place


@dataclass(frozen=True)
class Graph:
    """A calculation: its size on the page, its operations and the wires between them."""

    width: float
    height: float
    operations: Mapping[Place, str]
    wires: tuple[Wire, ...]

    def drawing(
        self, name: str, values: Mapping[str, float], gradients: Mapping[str, float], told: str
    ) -> Drawing:
        """Draw it with the number on each wire above, and its gradient below if there is one."""
        with style():
            canvas = Canvas(self.width, self.height, scale=0.42)
            for wire in self.wires:
                for corners in wire.ways:
                    canvas.arrow(*corners, gaps=(0, 1))
            for (x, y), sign in self.operations.items():
                canvas.ring(x, y, size=2 * RADIUS * canvas.points_per_unit, color=INK)
                canvas.text(x, y, sign, 12)
            for wire in self.wires:
                x, y = wire.label
                _number(canvas, x, y - 0.62, wire.name, values[wire.name], BLUE, "")
                if wire.name in gradients:
                    gradient = gradients[wire.name]
                    _number(canvas, x, y + 0.62, f"d{wire.name}", gradient, ORANGE, "////")
            words = [f"{one} is {values[one]:g}{_said(one, gradients)}" for one in values]
            return canvas.drawing(name, f"{told} {', '.join(words)}.")


def _said(name: str, gradients: Mapping[str, float]) -> str:
    return f" with the gradient {gradients[name]:g}" if name in gradients else ""


def _number(
    canvas: Canvas, x: float, y: float, name: str, value: float, color: str, hatch: str
) -> None:
    width, height = LABEL
    canvas.box(x - width / 2, y - height / 2, width, height, color, tint=0.16, frame=0)
    if hatch:  # a strip, so that the number stays readable
        canvas.box(x - width / 2, y - height / 2, 0.25, height, color, hatch, frame=0)
    canvas.text(x + (0.1 if hatch else 0), y, f"${name} = {{{value:g}}}$", 11.5)


ROW = 2.6
NEURON = Graph(
    17.9,
    6.9,
    {(4.0, ROW): r"$\times$", (7.6, ROW): "$+$", (11.2, ROW): "$-$", (14.8, ROW): "$e^2$"},
    (
        Wire("w", (((2.1, 1.4), (3.5, ROW - 0.3)),), (1.1, 1.4)),
        Wire("x", (((2.1, 4.4), (3.55, ROW + 0.4)),), (1.1, 4.4)),
        Wire("z", (((4.55, ROW), (7.05, ROW)),), (5.8, ROW)),
        Wire("b", (((7.6, 4.6), (7.6, ROW + 0.55)),), (7.6, 5.7)),
        Wire("s", (((8.15, ROW), (10.65, ROW)),), (9.4, ROW)),
        Wire("t", (((11.2, 4.6), (11.2, ROW + 0.55)),), (11.2, 5.7)),
        Wire("e", (((11.75, ROW), (14.25, ROW)),), (13.0, ROW)),
        Wire("L", (((15.35, ROW), (17.7, ROW)),), (16.6, ROW)),
    ),
)
TWICE = Graph(
    13.4,
    5.4,
    {(5.2, 4.0): "$x^2$", (9.2, 2.0): "$+$"},
    (
        Wire("x", (((0.2, 2.0), (8.65, 2.0)), ((3.0, 2.0), (3.0, 4.0), (4.65, 4.0))), (1.4, 2.0)),
        Wire("q", (((5.75, 4.0), (9.2, 4.0), (9.2, 2.55)),), (7.4, 4.0)),
        Wire("y", (((9.75, 2.0), (12.6, 2.0)),), (11.2, 2.0)),
    ),
)


def neuron(values: Mapping[str, float], gradients: Mapping[str, float] | None = None) -> Drawing:
    """Show (w x + b - t) squared as a graph with numbers, and with gradients if they are given.

    Parameters
    ----------
    values : mapping
        The numbers w, x, z, b, s, t, e and L.
    gradients : mapping, optional
        The gradients of some of them, by the same names.
    """
    return NEURON.drawing(
        "first-steps-gradients" if gradients else "first-steps-values",
        values,
        gradients or {},
        "w and x go into a product, z; z and b into a sum, s; s and t into a difference, e; and e "
        "is squared, which gives L. On the wires:",
    )


def twice(values: Mapping[str, float], gradients: Mapping[str, float]) -> Drawing:
    """Show x + x squared as a graph with numbers and gradients; x goes two ways."""
    return TWICE.drawing(
        "first-steps-twice",
        values,
        gradients,
        "x goes two ways: into a square, q, and into a sum with q, which gives y. On the wires:",
    )


def learned(X: np.ndarray, t: np.ndarray, grid: np.ndarray, scores: np.ndarray) -> Drawing:
    """Show points of two kinds, and the line at which the network's score is 0.

    Parameters
    ----------
    X : array, shape (N, 2)
        The points.
    t : array, shape (N,)
        What is wanted for them, 1 or -1.
    grid : array, shape (G,)
        Coordinates of a square grid.
    scores : array, shape (G, G)
        The network's score at (grid[j], grid[i]) in row i and column j.
    """
    with style():
        canvas = Canvas(2, 2, scale=2.2)
        canvas.axes.set(xlim=(-1.04, 1.04), ylim=(-1.04, 1.04))
        canvas.axes.contourf(
            grid, grid, scores, levels=[0, np.inf], colors=[ORANGE], alpha=0.16, hatches=[""]
        )
        canvas.axes.contour(grid, grid, scores, levels=[0], colors=[INK], linewidths=1.4)
        wanted = t > 0
        canvas.dots(*X[wanted].T, size=6, color=ORANGE, marker="o")
        canvas.dots(*X[~wanted].T, size=6, color=BLUE, marker="x", mew=1.8)
        return canvas.drawing(
            "first-steps-learned",
            "Points in a square: circles in two opposite quarters, crosses in the other two. Lines "
            "along which the network's score is 0 part the circles from the crosses.",
        )
