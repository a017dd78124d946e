"""Drawings are the same in every run, take the page's colour, and can be read aloud."""

import importlib
import pkgutil
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from backprop_lib import figures
from backprop_lib.figures import canvas, linear
from backprop_lib.figures.canvas import BLUE, Canvas

DY, X = np.array([[1.0, -2.0], [0.0, 1.0]]), np.array([[1.0, 0.0, 2.0], [2.0, 1.0, -1.0]])
ARGUMENTS = {
    "first_steps.neuron": (dict.fromkeys("wxzbsteL", -1.5), {"w": 2, "x": 3}),
    "first_steps.twice": (dict.fromkeys("xqy", 2), {"x": 5}),
    "first_steps.learned": (X[:, :2], np.array([1.0, -1.0]), np.array([-1.0, 1.0]), DY),
    "dropout.same_holes": (X, 2 * (X > 0), X),
    "linear.sum_of_outer_products": (DY, X, DY.T @ X),
    "batchnorm1d.paths_switched_off": (X[0], DY[0, 0] + 0 * X[0], -X[0] / 2),
    "batchnorm1d_relu.closed_places": tuple(np.array([[-2.5, -0.5, 1.0], *[[0.2, 0, -1]] * 4])),
    "log_softmax_nll.what_to_change": (np.array([0.1, 0.2, 0.4, 0.3]), 1),
    "orthogonality.valleys": ([X[:, :2]], [DY + X[:, :2]]),
    "training.digit_as_points": (2 * np.eye(8), np.array([[-0.5, 0.5], [0, 1], [0.1, 0.9]])),
    "training.loss_curve": ([2.5, 2.0, 1.5, 0.5, 0.25], 2),
    "training.confusion": (np.diag([30, 31]) + np.eye(2, k=1, dtype=int),),
    "training.misread": (np.arange(128).reshape(2, 8, 8) % 17, np.array([1, 2]), np.array([7, 3])),
    "training.critical": (3 * np.eye(8)[None], [np.array([0, 1, 0, 2, 5, 1, 1, 0])]),
    "training.wrong_formulas": (np.ones(9), {"a": np.arange(9)}, {"a": 0.5, "right": 1}),
    "training.angles": ({"a": [1, 0.5], "b": [-0.2, 0]}, ["first part", "second"]),
    "speed.bars": ("a", "one step", "s", {"ours": [1.0, 1.5], "theirs": [3.0]}, ["ours"]),
    "speed.growth": ("N", [8, 16], {"derived": [0.1, 0.2], "layer by layer": [1.0, 2.0]}),
    "speed.losses_of_digits": ([0, 100], {"centred": [1e-7, 1e-7], "not": [1e-7, 1e-3]}),
}
"""For each drawing that takes arguments, some."""


def drawings():
    """Return every function that draws, by module and name."""
    found = {}
    for info in pkgutil.iter_modules(figures.__path__):
        module = importlib.import_module(f"backprop_lib.figures.{info.name}")
        for name, thing in vars(module).items():
            if getattr(thing, "__module__", "") == module.__name__ and re.match("[a-z]", name):
                found[f"{info.name}.{name}"] = thing
    del found["canvas.style"]
    return found


def test_there_are_drawings_and_the_arguments_are_of_drawings():
    assert len(drawings()) >= 3
    assert set(ARGUMENTS) <= set(drawings())


@pytest.mark.parametrize("name", drawings())
def test_a_drawing(name):
    first, second = (drawings()[name](*ARGUMENTS.get(name, ())) for _ in range(2))
    assert first == second
    svg = ET.fromstring(first._repr_html_())
    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-label"] == first.description
    assert len(first.description) > 40
    assert "width" not in svg.attrib
    ids = re.findall(r'\bid="([^"]+)"', first.svg)
    assert len(ids) == len(set(ids))
    assert all(i.startswith(first.name) for i in ids)
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', first.svg)
    assert set(used) <= set(ids)
    colours = set(re.findall(r"#[0-9a-f]{6}\b", first.svg))
    assert colours <= {canvas.BLUE, canvas.ORANGE}
    assert "currentColor" in first.svg
    assert len(first.svg) < 100_000


def test_no_style_leaks_into_other_figures():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    linear.shapes()
    assert dict(mpl.rcParams) == before


SCALE = 0.5
UNIT = 72 * SCALE
"""Points of the SVG to one unit of the canvas."""


def drawn(draw):
    """Return each path of what `draw` draws: its corners, in units of the canvas, and its style."""
    board = Canvas(10, 6, SCALE)
    draw(board)
    svg = ET.fromstring(board.drawing("a", "a").svg)
    found = []
    for path in svg.iterfind(".//{*}g[@id='a-axes_1']//{*}path[@style]"):
        numbers = [float(number) for number in re.findall(r"-?\d+\.?\d*", path.attrib["d"])]
        style = dict(part.split(": ") for part in path.attrib["style"].split("; "))
        found.append((np.array(numbers).reshape(-1, 2) / UNIT, style))
    return found


def near(corners, *wanted):
    """Say whether there are these corners, in this order, to a tenth of a unit."""
    return corners.shape == (len(wanted), 2) and np.abs(corners - wanted).max() < 0.1


def test_a_line_goes_through_its_points_in_the_ink_of_the_page():
    ((corners, style),) = drawn(lambda board: board.line([1, 5, 8], [2, 3, 1], width=2))
    assert near(corners, (1, 2), (5, 3), (8, 1))
    assert style["stroke"] == "currentColor"
    assert style["stroke-width"] == "2"
    assert "stroke-dasharray" not in style


@pytest.mark.parametrize("dashes", ["--", ":", (0, (4, 2.5))])
def test_a_dashed_line_is_dashed_and_has_its_colour(dashes):
    ((_, style),) = drawn(lambda board: board.line([1, 5], [2, 3], color=BLUE, dashes=dashes))
    assert style["stroke"] == BLUE
    assert len(style["stroke-dasharray"].split(",")) == 2


@pytest.mark.parametrize("head", ["->", "-|>"])
def test_the_head_of_an_arrow_is_at_its_end(head):
    (shaft, _), (wings, style) = drawn(lambda board: board.arrow((1, 2), (8, 5), head=head))
    assert near(shaft[[0, -1]], (1, 2), (8, 5))
    assert near(wings[1:2], (8, 5))
    behind = wings[[0, 2]] - wings[1]
    assert (behind @ [7, 3] < 0).all()
    assert np.prod(behind @ [-3, 7]) < 0, "one wing on either side"
    assert style["stroke"] == "currentColor"


def test_the_head_of_a_dashed_arrow_is_solid_and_at_its_end():
    parts = drawn(lambda board: board.arrow((1, 2), (8, 2), dashes="--", head="-|>"))
    (shaft, dashed), (neck, solid), (wings, head) = parts
    assert "stroke-dasharray" in dashed
    assert "stroke-dasharray" not in {*solid, *head}
    assert near(shaft[[0, -1]], (1, 2), (8, 2))
    assert near(neck[[0, -1]], (8, 2), (8, 2))
    assert near(wings[1:2], (8, 2))


@pytest.mark.parametrize("dashes", ["-", "--"])
def test_an_arrow_leaves_its_gaps_free_and_turns_at_its_corners(dashes):
    gaps = (0.5 * UNIT, 1.0 * UNIT)
    corners = (1, 1), (1, 4), (6, 4)
    parts = drawn(lambda board: board.arrow(*corners, dashes=dashes, gaps=gaps))
    assert near(parts[0][0], (1, 1.5), (1, 4))
    assert near(parts[1][0][:1], (1, 4))
    assert max(at[:, 0].max() for at, _ in parts) == pytest.approx(5, abs=0.1)


def test_the_name_of_an_arrow_is_above_its_middle():
    board = Canvas(10, 6)
    board.arrow((2, 4), (8, 4), name="$W$")
    (text,) = board.axes.texts
    assert text.get_text() == "$W$"
    assert text.get_position() == (5, 3.5)


def test_a_matrix_has_each_number_in_its_cell_and_the_largest_tinted_most():
    values = np.array([[1, -0.0, -4], [2, 3, 0.5]])
    board = Canvas(10, 6)
    board.matrix(3, 1, values, BLUE)
    written = {text.get_position(): text.get_text() for text in board.axes.texts}
    assert written == {
        (3.5, 1.5): "$1$",
        (4.5, 1.5): "$0$",
        (5.5, 1.5): "$-4$",
        (3.5, 2.5): "$2$",
        (4.5, 2.5): "$3$",
        (5.5, 2.5): "$0.5$",
    }
    tints = {patch.get_xy(): patch.get_alpha() for patch in board.axes.patches if patch.get_fill()}
    assert tints == {
        (3 + column, 1 + row): pytest.approx(0.1 * abs(value))
        for (row, column), value in np.ndenumerate(values)
    }


def outlines(board):
    """Return the frames of boxes: left, top, width, height."""
    frames = [patch for patch in board.axes.patches if not patch.get_fill()]
    return [(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in frames]


def test_cells_are_a_box_for_each_entry():
    board = Canvas(10, 6)
    board.cells(2, 1, rows=3, columns=2)
    assert sorted(outlines(board)) == [(x, y, 1, 1) for x in (2, 3) for y in (1, 2, 3)]


@pytest.mark.parametrize(("summed", "marked"), [("C", (2, 1, 4, 0.42)), ("N", (2, 1, 0.42, 3))])
def test_an_array_has_its_sides_named_and_the_summed_one_marked(summed, marked):
    board = Canvas(10, 6)
    board.array(2, 1, 4, 3, "x", "N", "C", summed=summed)
    assert set(outlines(board)) == {(2, 1, 4, 3), marked}
    places = {text.get_text(): text.get_position() for text in board.axes.texts}
    assert places["$x$"] == pytest.approx((4, 2.5), abs=0.2)
    assert places["$N$"] == pytest.approx((1.85, 2.5))
    assert places["$C$"] == pytest.approx((4, 0.6))


def test_an_array_without_a_summed_side_has_none_marked():
    board = Canvas(10, 6)
    board.array(2, 1, 4, 3, "b", columns="1")
    assert outlines(board) == [(2, 1, 4, 3)]


def test_a_box_is_tinted_hatched_and_framed_as_it_is_told():
    board = Canvas(10, 6)
    board.box(1, 1, 2, 2, BLUE, "//", tint=0.3, frame=0)
    tint, hatch = board.axes.patches
    assert (tint.get_alpha(), tint.get_hatch()) == (0.3, None)
    assert (hatch.get_fill(), hatch.get_hatch()) == (False, "//")
    board.box(4, 1, 2, 2, frame=1.6)
    assert [patch.get_linewidth() for patch in board.axes.patches[2:]] == [1.6]


def test_a_stack_shows_two_edges_of_each_matrix_behind_the_first():
    (front, _), *behind = drawn(lambda board: board.stack(1, 3, 4, 2, count=3, away=0.5))
    assert near(front[:3], (1, 3), (5, 3), (5, 5))
    for (corners, _), back in zip(behind, (1.0, 0.5), strict=True):
        ends = (1 + back, 3.5 - back), (4.5 + back, 5 - back)
        assert near(corners[[0, -1]], *ends)
        assert near(corners[2:3], (5 + back, 3 - back))


def test_a_ring_is_hollow_and_a_dot_is_not():
    ring, dot = Canvas(10, 6), Canvas(10, 6)
    ring.ring(4, 2, 9, BLUE)
    dot.dots(4, 2, size=9, color=BLUE)
    for board, inside in ((ring, "none"), (dot, BLUE)):
        (mark,) = board.axes.lines
        assert (*mark.get_xdata(), *mark.get_ydata()) == (4, 2)
        assert mark.get_markersize() == 9
        assert mark.get_markerfacecolor() == inside
        assert mark.get_markeredgecolor() == BLUE
