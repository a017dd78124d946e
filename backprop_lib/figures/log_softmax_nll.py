"""Drawings of the chapter "Log-softmax and NLL"."""

import numpy as np

from backprop_lib.figures.canvas import BLUE, INK, ORANGE, Canvas, Drawing, style


def picked() -> Drawing:
    """Show how the labels pick one entry of log p from each row, and the loss is their mean."""
    labels = (2, 0, 1, 0)
    rows, columns, top = len(labels), 3, 1.7
    with style():
        canvas = Canvas(23.6, 7.0, scale=0.29)
        middle = top + rows / 2

        def table(left: float, width: int, name: str, shape: str) -> None:
            canvas.cells(left, top, rows, width)
            canvas.text(left + width / 2, top - 0.6, name, 12)
            canvas.text(left + width / 2, top + rows + 0.7, shape, 11)

        table(0.7, columns, "scores $x$", "$(N, C)$")
        canvas.text(5.6, middle - 0.45, r"$\longrightarrow$", 15)
        canvas.text(5.6, middle + 0.45, "log-softmax", 10)
        canvas.text(5.6, middle + 1.05, "of each row", 10)

        table(7.5, columns, r"$\log p$", "$(N, C)$")
        table(11.5, 1, "labels $t$", "$(N)$")
        for row, label in enumerate(labels):
            canvas.box(7.5 + label, top + row, 1, 1, ORANGE, "/////")
            canvas.text(12.0, top + row + 0.5, f"${label}$", 11)
        canvas.text(14.45, middle - 0.45, r"$\longrightarrow$", 15)
        canvas.text(14.45, middle + 0.45, "picked,", 10)
        canvas.text(14.45, middle + 1.05, "sign changed", 10)

        table(16.4, 1, "losses", "$(N)$")
        for row in range(rows):
            canvas.box(16.4, top + row, 1, 1, ORANGE, "/////")
        canvas.text(19.2, middle - 0.45, r"$\longrightarrow$", 15)
        canvas.text(19.2, middle + 0.45, "mean or sum", 10)
        canvas.box(21.6, middle - 0.5, 1, 1)
        canvas.text(22.1, middle, "$y$", 12)
        return canvas.drawing(
            "log-softmax-nll-picked",
            "The scores x, N rows of C classes, are turned row by row into log p, of the same "
            "shape. The label of each row picks one entry of log p. The picked entries, with "
            "their sign changed, are the N losses, and the mean or the sum of these is y.",
        )


def what_to_change(p: np.ndarray, label: int) -> Drawing:
    """Show the probabilities of one sample, its one-hot row, and their difference, as bars.

    Parameters
    ----------
    p : array, shape (C,)
        Probabilities.
    label : int
        The right class.
    """
    classes, full, top = len(p), 4.0, 2.3
    one_hot = np.eye(classes)[label]
    panels = [
        ("$p$", p, 0.8),
        ("one-hot row of $t$", one_hot, 0.8 + classes + 2.4),
        ("$p\\;-\\;$one-hot", p - one_hot, 0.8 + 2 * (classes + 2.4)),
    ]
    with style():
        width = 0.8 + 3 * (classes + 2.4) - 1.6
        canvas = Canvas(width, top + 1.8 * full + 1.0, scale=0.36)
        base = top + full
        for number, (title, values, left) in enumerate(panels):
            canvas.text(left + classes / 2, 0.7, title, 13)
            for c, value in enumerate(values):
                height = full * abs(float(value))
                negative = value < 0
                x, y = left + c + 0.1, base if negative else base - height
                if height:
                    color, hatch = (ORANGE, "/////") if negative else (BLUE, "")
                    canvas.box(x, y, 0.8, height, color, hatch)
                else:
                    canvas.box(x, base, 0.8, 0, INK)
                beyond = base + height + 0.4 if negative else base - height - 0.4
                written = f"{value:.1f}".replace("-", "\N{MINUS SIGN}")
                canvas.text(x + 0.4, beyond, written, 10)
                name_at = base - 0.5 if negative else base + 0.5
                canvas.text(x + 0.4, name_at, f"$c={c}$", 9)
            canvas.box(left, base, classes, 0)
            if number < 2:
                sign = "$-$" if number == 0 else "$=$"
                canvas.text(left + classes + 1.2, base - full / 2, sign, 17)
        canvas.text(
            panels[0][2] + classes + 1.2,
            base + full * 0.6,
            f"the label is {label}: the loss falls fastest if the score\n"
            "of the hatched bar rises and the others fall,\n"
            "each in proportion to its bar",
            10,
        )
        return canvas.drawing(
            "log-softmax-nll-what-to-change",
            f"Bars for {classes} classes. The probabilities are "
            f"{', '.join(f'{value:.1f}' for value in p)}, the one-hot row is 1 at class {label} "
            "and 0 elsewhere. Their difference is negative at the label, where the bar hangs "
            "down and is hatched, and positive at the others.",
        )
