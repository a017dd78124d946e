"""Drawings of the chapter "Conv1d"."""

from backprop_lib.figures.canvas import BLUE, INK, ORANGE, Canvas, Dashes, Drawing, style

C_IN, C_OUT, LENGTH = 2.4, 1.6, 3.9  # sides as they are drawn
PLACE, STEP = 0.6, 0.6  # the column that is marked, and its width
TAPS: dict[int, tuple[str, Dashes]] = {
    0: (INK, "-"),
    1: (BLUE, (0, (5, 2))),
    2: (ORANGE, (0, (1, 1.6))),
}
"""How the lines of each weight are drawn."""
FORWARD_NAMES = {0: (-0.5, 0.5), 1: (0.36, 0.28), 2: (0.5, 0.5)}
BACKWARD_NAMES = {0: (0.42, 0.22), 2: (-0.42, 0.22)}
"""How far beside its line a weight is named, and how far up."""


def shapes() -> Drawing:
    """Show a convolution with kernel 1: for each sample W times x, a linear layer per column."""
    with style():
        canvas = Canvas(18.6, 5.6, scale=0.42)
        middle = 3.1
        top = middle - C_OUT / 2
        canvas.array(1.4, top, C_IN, C_OUT, "W", "C_{out}", "C_{in}", size=15)
        canvas.text(4.35, middle, r"$\times$", 15)
        canvas.text(5.2, middle, "$C_{in}$", 12)
        _stack(canvas, 5.75, middle, "x", C_IN)
        canvas.text(10.75, middle, "$+$", 15)
        canvas.array(11.5, top, STEP, C_OUT, "b", columns="1", size=15)
        canvas.text(11.8, middle + C_OUT / 2 + 0.85, "copied to\neach place", 11)
        canvas.text(12.75, middle, "$=$", 15)
        _stack(canvas, 13.6, middle, "y", C_OUT)
        return canvas.drawing(
            "conv1d-shapes",
            "W, of shape C_out by C_in, times x of one sample, C_in by L, plus b, a column that "
            "is copied to each of the L places, gives y of that sample, C_out by L. One column "
            "of x and the same column of y are marked: there it is a linear layer. More samples "
            "lie behind the first.",
        )


def _stack(canvas: Canvas, x: float, middle: float, name: str, height: float) -> None:
    """Draw one matrix for each sample, one behind the other, a column of the first marked."""
    top, away = middle - height / 2, 0.28
    canvas.stack(x, top, LENGTH, height, 3, away)
    canvas.box(x + PLACE, top, STEP, height, BLUE, "////")
    canvas.text(x + PLACE + STEP / 2, top + height + 0.4, "$l$", 13)
    canvas.text(x + 0.65 * LENGTH, middle, f"${name}$", 15)
    canvas.text(x + LENGTH / 2 + 2 * away, top - 2 * away - 0.45, "$L$", 12)
    canvas.text(x + LENGTH + 2 * away + 0.1, top - 0.55, "$N$", 12, ha="left")


def taps() -> Drawing:
    """Show which places three windows read, and which windows a place hears from."""
    with style():
        canvas = Canvas(11.2, 12.6, scale=0.44)
        _panel(canvas, 1.5, "forward: output 1 reads three places", forward=True)
        _panel(canvas, 8.0, "backward: input 3 hears from two windows", forward=False)
        return canvas.drawing(
            "conv1d-taps",
            "Five inputs with a zero at either end make seven places. Three windows of three "
            "weights, two places apart, read places 0 to 2, 2 to 4 and 4 to 6. Forward, output 1 "
            "reads places 2, 3 and 4, with weights 0, 1 and 2. Backward, place 4, which is input "
            "3, hears from window 1 through weight 2 and from window 2 through weight 0; the "
            "gradients of the two zeros are dropped.",
        )


def _panel(canvas: Canvas, top: float, title: str, forward: bool) -> None:
    """Draw windows above places; only the lines of output 1, or of place 4, are strong."""
    left, low, marked = 2.5, top + 3.0, (1, 4)
    joined = [(p, k, 2 * p + k) for p in range(3) for k in TAPS]
    strong = [one for one in joined if (one[0] == marked[0] if forward else one[2] == marked[1])]
    canvas.text(left + 3.5, top - 0.7, title, 11)
    canvas.text(left + 0.7, top + 0.5, "$y$" if forward else "$dy$", 13, ha="right")
    canvas.text(left - 0.3, low + 0.5, r"$\bar x$" if forward else r"$d\bar x$", 13, ha="right")
    for p, k, q in joined:
        ends = (left + q + 0.5, low - 0.06), (left + 2 * p + 1.5, top + 1.06)
        names = FORWARD_NAMES if forward else BACKWARD_NAMES
        name = names[k] if (p, k, q) in strong else None
        _line(canvas, *(ends if forward else ends[::-1]), k, name)
    for p in range(3):
        _cell(canvas, left + 2 * p + 1, top, p, [one[0] for one in strong], forward)
        text = f"y_{p}" if forward else f"dy_{p}"
        canvas.text(left + 2 * p + 1.5, top + 0.5, f"${text}$", 10)
    for q in range(7):
        _cell(canvas, left + q, low, q, [one[2] for one in strong], not forward)
        if q in (0, 6):
            text = "$0$" if forward else "dropped"
            canvas.text(left + q + 0.5, low + (0.5 if forward else 1.3), text, 10 if forward else 9)
        else:
            text = f"x_{q - 1}" if forward else f"dx_{q - 1}"
            canvas.text(left + q + 0.5, low + 0.5, f"${text}$", 10)


def _cell(canvas: Canvas, x: float, y: float, at: int, touched: list[int], single: bool) -> None:
    """Draw a cell: tinted if a strong line ends there, and hatched if it is the one they share."""
    on = at in touched
    canvas.box(x, y, 1, 1, BLUE if on else INK, "//" if on and single else "")


def _line(
    canvas: Canvas,
    start: tuple[float, float],
    end: tuple[float, float],
    k: int,
    name: tuple[float, float] | None,
) -> None:
    """Draw the line of weight k: a strong one, if there is a place for its name."""
    color, dashes = TAPS[k]
    if name is None:
        canvas.line(*zip(start, end, strict=True), width=0.6, alpha=0.45)
    else:
        canvas.arrow(start, end, width=1.9, color=color, dashes=dashes, head="-|>")
        aside, up = name
        low, high = sorted((start, end), key=lambda point: -point[1])
        x, y = ((1 - up) * a + up * b for a, b in zip(low, high, strict=True))
        canvas.text(x + aside, y, f"$W_{k}$", 12)
