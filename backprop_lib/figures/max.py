"""Drawings of the chapter "Max"."""

import numpy as np

from backprop_lib.figures.canvas import BLUE, ORANGE, Canvas, Drawing, style

X = np.array([[1, 4, 2, 0, 3], [2, -1, 0, 5, 1]])
DY = np.array([2, -3])
LEFT, RIGHT = 0.6, 8.6  # where the tables of five columns and of one begin


def gather_and_scatter() -> Drawing:
    """Show which entries forward takes, which ones backward fills, and what a broadcast fills."""
    taken = X.max(axis=1, keepdims=True) == X
    copied = np.broadcast_to(DY[:, None], X.shape)
    with style():
        canvas = Canvas(14.6, 11.6, scale=0.37)

        top = 1.3
        _row(canvas, top, "x", X, taken)
        canvas.arrow((6.0, top + 1), (8.2, top + 1), width=1.2, gaps=(2, 2), name="gather")
        _column(canvas, top, "y", X.max(axis=1))
        canvas.text(11.6, top - 0.55, "$k$", 12)
        for c, place in enumerate(X.argmax(axis=1)):
            canvas.text(11.6, top + c + 0.5, f"${place}$", 11)
        canvas.text(12.2, top + 1.0, "the place\ntaken", 9, ha="left")

        top = 5.1
        _row(canvas, top, "dx", np.where(taken, copied, 0), taken)
        canvas.arrow((8.2, top + 1), (6.0, top + 1), width=1.2, gaps=(2, 2), name="scatter")
        _column(canvas, top, "dy", DY)
        canvas.text(10.9, top + 1.0, "right: one\nin each row", 9, ha="left")

        top = 8.9
        _row(canvas, top, "", copied, taken, others_wrong=True)
        canvas.arrow((8.2, top + 1), (6.0, top + 1), width=1.2, gaps=(2, 2), name="broadcast")
        _column(canvas, top, "dy", DY)
        canvas.text(10.9, top + 1.0, "wrong: each\nmarked ×", 9, ha="left")
        return canvas.drawing(
            "max-gather-and-scatter",
            "Two rows of five numbers. Forward takes the largest of each row, 4 at place 1 and 5 "
            "at place 3. Backward writes the two upstream gradients, 2 and -3, to these two "
            "places and 0 to all others. A broadcast writes them to all ten places, and eight "
            "of these are wrong.",
        )


def _row(
    canvas: Canvas,
    top: float,
    name: str,
    values: np.ndarray,
    taken: np.ndarray,
    others_wrong: bool = False,
) -> None:
    """Draw two rows of five; taken cells are blue in a thick frame, wrong ones orange, with a ×."""
    canvas.text(LEFT + 2.5, top - 0.55, f"${name}$" if name else "", 12)
    canvas.matrix(LEFT, top, values)
    for c, place in np.argwhere(~taken) if others_wrong else ():
        canvas.box(LEFT + place, top + c, 1, 1, ORANGE, tint=0.3, frame=0)
        canvas.text(LEFT + place + 0.82, top + c + 0.22, "×", 7)
    for c, place in np.argwhere(taken):
        canvas.box(LEFT + place, top + c, 1, 1, BLUE, tint=0.3, frame=2.2)


def _column(canvas: Canvas, top: float, name: str, values: np.ndarray) -> None:
    canvas.text(RIGHT + 0.5, top - 0.55, f"${name}$", 12)
    canvas.matrix(RIGHT, top, values[:, None])


def conventions_at_a_tie() -> Drawing:
    """Show what three conventions for a tie predict, beside what the maximum does."""
    with style():
        canvas = Canvas(15.6, 7.0, scale=0.36)
        t = np.array([-1.0, 0.0, 1.0])

        _graph(canvas, 3.9, "entry 0 moves alone", np.maximum(t, 0))
        _prediction(canvas, 3.9, 1.0, BLUE, "-.")
        _prediction(canvas, 3.9, 0.5, BLUE, ":")
        canvas.text(1.3, 3.6, "$y$", 12)
        canvas.text(6.1, 3.62, "shared", 9)
        canvas.text(2.2, 5.9, "to the first", 9, ha="left")

        _graph(canvas, 11.7, "both move together", t)
        _prediction(canvas, 11.7, 2.0, ORANGE, "--")
        canvas.text(14.2, 2.7, "$y$", 12)
        canvas.text(11.4, 2.2, "to each:\nabove $y$\nfor $t > 0$", 9, ha="right")
        return canvas.drawing(
            "max-conventions-at-a-tie",
            "Two graphs of the maximum of two equal entries. Left, one entry moves alone: the "
            "graph is flat and then rises with slope 1. The lines of slope 1, to the first, and "
            "of slope one half, shared, touch it at the tie and are nowhere above it. Right, "
            "both entries move together: the graph is a line of slope 1. To each predicts slope "
            "2, a line that is above the graph to the right of the tie.",
        )


def _graph(canvas: Canvas, x: float, title: str, heights: np.ndarray) -> None:
    """Draw axes with the tie in the middle, and y from one unit left of it to one unit right."""
    canvas.text(x, 0.5, title, 10)
    canvas.line([x - 3, x + 3], [4, 4], width=0.6)
    canvas.line([x, x], [1.2, 4.7], width=0.6)
    canvas.text(x + 3.2, 4.0, "$t$", 11)
    canvas.line(x + np.array([-2.6, 0, 2.6]), 4 - 2 * heights, width=2.4)


def _prediction(canvas: Canvas, x: float, slope: float, color: str, dashes: str) -> None:
    reach = min(1.0, 1.35 / slope)
    ends = np.array([-reach, reach])
    canvas.line(x + 2.6 * ends, 4 - 2 * slope * ends, width=1.8, color=color, dashes=dashes)
