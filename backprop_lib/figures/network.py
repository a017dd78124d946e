"""Drawings of the chapter "A network"."""

from backprop_lib.figures.canvas import BLUE, INK, ORANGE, Canvas, Dashes, Drawing, Place, style

TOP, MIDDLE, LOW, BOTTOM = 2.0, 5.4, 7.6, 9.9
"""The rows: points to global feature, T-Nets, penalty, scores to loss."""
FAN_OUTS = ((1.1, TOP), (11.1, TOP), (14.8, MIDDLE))
"""Where the points, h and t are used twice."""
SUM = (5.4, BOTTOM)
"""Where NLL and penalty are added."""
BOXES = (
    ((2.1, MIDDLE), 2.5, "T-Net", "matrix $3 \\times 3$", True),
    ((4.8, TOP), 1.7, "product", "$t_{in}^T\\, q$", False),
    ((7.4, TOP), 2.9, "shared MLP", "64, 64", True),
    ((11.7, MIDDLE), 2.5, "T-Net", "matrix $64 \\times 64$", True),
    ((13.95, TOP), 1.7, "product", "$t^T h$", False),
    ((16.5, TOP), 2.7, "shared MLP", "64, 128, 1024", True),
    ((20.1, TOP), 1.3, "max", "over $l$", False),
    ((13.2, LOW), 3.2, "orthogonality", "penalty of $t$", False),
    ((18.2, BOTTOM), 3.2, "linear, BatchNorm,", "ReLU: 512, 256", True),
    ((15.2, BOTTOM), 2.0, "dropout", "", False),
    ((12.2, BOTTOM), 2.0, "linear", "10 scores", True),
    ((7.4, BOTTOM), 3.6, "log-softmax", "and NLL", False),
)
"""Left end and row, width, two lines of text, and whether it has parameters."""
EDGES: tuple[tuple[Place, ...], ...] = (
    ((1.1, TOP), (4.8, TOP)),
    ((1.1, TOP), (1.1, MIDDLE), (2.1, MIDDLE)),
    ((4.6, MIDDLE), (5.65, MIDDLE), (5.65, TOP + 0.75)),
    ((6.5, TOP), (7.4, TOP)),
    ((10.3, TOP), (11.1, TOP)),
    ((11.1, TOP), (13.95, TOP)),
    ((11.1, TOP), (11.1, MIDDLE), (11.7, MIDDLE)),
    ((14.2, MIDDLE), (14.8, MIDDLE)),
    ((14.8, MIDDLE), (14.8, TOP + 0.75)),
    ((14.8, MIDDLE), (14.8, LOW - 0.75)),
    ((15.65, TOP), (16.5, TOP)),
    ((19.2, TOP), (20.1, TOP)),
    ((20.75, TOP + 0.75), (20.75, BOTTOM - 0.75)),
    ((18.2, BOTTOM), (17.2, BOTTOM)),
    ((15.2, BOTTOM), (14.2, BOTTOM)),
    ((12.2, BOTTOM), (11.0, BOTTOM)),
    ((7.4, BOTTOM), SUM),
    ((13.2, LOW), (5.4, LOW), SUM),
    (SUM, (3.2, BOTTOM)),
)
"""From one box to the next, in the direction of forward."""


def graph() -> Drawing:
    """Show PointNet as a graph: what is computed from what."""
    with style():
        canvas = _boxes()
        for edge in EDGES:
            _edge(canvas, edge, (SUM,))
        for place in FAN_OUTS:
            canvas.dots(*place, size=8, color=ORANGE)
        _plus(canvas, SUM, INK)
        for x, y, text in (
            (1.1, TOP - 0.65, "points $q$"),
            (3.1, TOP - 0.4, "$3 \\times L$"),
            (5.1, MIDDLE + 0.5, "$t_{in}$"),
            (11.1, TOP - 0.65, "$h$"),
            (12.6, TOP - 0.4, "$64 \\times L$"),
            (15.2, MIDDLE, "$t$"),
            (20.2, MIDDLE, "$f$"),
            (20.15, MIDDLE + 0.7, "1024"),
            (9.3, LOW - 0.4, "$\\lambda / N$ times, summed over $n$"),
        ):
            canvas.text(x, y, text, 10)
        return canvas.drawing(
            "network-graph",
            "PointNet as a graph. The points q go two ways: to a T-Net, which makes a 3 by 3 "
            "matrix of them, and to the product with that matrix. A shared MLP with 64 and 64 "
            "channels makes local features h of the result. These go two ways as well: to a second "
            "T-Net, which makes a 64 by 64 matrix t, and to the product with it. The matrix t goes "
            "two ways: to that product, and to the orthogonality penalty. Behind the product come "
            "a shared MLP with 64, 128 and 1024 channels, the max over the points, which gives the "
            "global feature f, linear layers with 512 and 256 outputs, dropout, a linear layer "
            "with 10 scores, and log-softmax with NLL. The loss is the sum of NLL and penalty.",
        )


def graph_backward() -> Drawing:
    """Show the same graph walked the other way: where gradients meet, they add up."""
    with style():
        canvas = _boxes()
        for edge in EDGES:
            _edge(canvas, edge[::-1], FAN_OUTS, (0, (4, 2.5)))
        for place in FAN_OUTS:
            _plus(canvas, place, ORANGE)
        canvas.dots(*SUM, size=6)
        for x, y, text in (
            (1.1, TOP - 0.8, "$dq$"),
            (11.1, TOP - 0.8, "$dh$"),
            (15.45, MIDDLE, "$dt$"),
            (5.1, MIDDLE + 0.5, "$dt_{in}$"),
            (20.1, MIDDLE, "$df$"),
        ):
            canvas.text(x, y, text, 11)
        return canvas.drawing(
            "network-graph-backward",
            "The same graph with every arrow turned round, from the loss back to the points. At "
            "the three places where forward used a value twice, two arrows arrive and their "
            "gradients are added: at t, from the product and from the penalty; at h, from the "
            "product and from the T-Net; at the points, from the product and from the T-Net. "
            "Where forward added NLL and penalty, the gradient 1 of the loss goes to both.",
        )


def _boxes() -> Canvas:
    canvas = Canvas(22.0, 11.4, scale=0.4)
    for (x, y), width, first, second, learns in BOXES:
        canvas.box(x, y - 0.75, width, 1.5, BLUE if learns else INK)
        shift = 0.3 if second else 0.0
        canvas.text(x + width / 2, y - shift, first, 9)
        canvas.text(x + width / 2, y + shift, second, 8.5)
    canvas.text(2.4, BOTTOM, "loss $\\mathcal{L}$", 11)
    return canvas


def _plus(canvas: Canvas, place: Place, color: str) -> None:
    canvas.ring(*place, 13, color)
    canvas.text(*place, "$+$", 11)


def _edge(
    canvas: Canvas, corners: tuple[Place, ...], around: tuple[Place, ...], dashes: Dashes = "-"
) -> None:
    """Draw an arrow, and leave room for the circles at its ends."""
    start, end = corners[0], corners[-1]
    for_dot = 4 if end in (*FAN_OUTS, SUM) else 0
    gaps = (7 if start in around else 0, 7 if end in around else for_dot)
    canvas.arrow(*corners, gaps=gaps, dashes=dashes)
