"""Drawings are the same in every run, take the page's colour, and can be read aloud."""

import importlib
import pkgutil
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from backprop_lib import figures
from backprop_lib.figures import canvas, linear

DY, X = np.array([[1.0, -2.0], [0.0, 1.0]]), np.array([[1.0, 0.0, 2.0], [2.0, 1.0, -1.0]])
ARGUMENTS = {
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
