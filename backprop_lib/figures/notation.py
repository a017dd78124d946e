"""Drawings of the chapter "Notation"."""

from backprop_lib.figures.canvas import Canvas, Drawing, style

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
    with style():
        canvas = Canvas(31.5, 11.6, scale=0.33)
        for column, (formula, (stored, multiplied, summed)) in enumerate(products.items()):
            left = 2.6 + 10 * column
            canvas.text(left + 3.2, 0.7, formula, 13)
            for top, factors in ((2.7, stored), (7.8, multiplied)):
                x = left
                for name, rows, columns in factors:
                    sides = LENGTHS[columns], LENGTHS[rows]
                    canvas.array(x, top, *sides, name, rows, columns, summed=summed)
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
