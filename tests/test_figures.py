"""Drawings are the same in every run, take the page's colour, and can be read aloud."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from backprop_lib import figures

DY, X = np.array([[1.0, -2.0], [0.0, 1.0]]), np.array([[1.0, 0.0, 2.0], [2.0, 1.0, -1.0]])
DRAWINGS = {
    "turned_to_meet": (),
    "linear_shapes": (),
    "sum_of_outer_products": (DY, X, DY.T @ X),
}


def test_every_drawing_is_tested():
    public = {
        name
        for name, thing in vars(figures).items()
        if getattr(thing, "__module__", "") == figures.__name__ and name[0].islower()
    }
    assert public == set(DRAWINGS)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing(name):
    first, second = (getattr(figures, name)(*DRAWINGS[name]) for _ in range(2))
    assert first == second
    svg = ET.fromstring(first._repr_html_())
    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-label"] == first.description
    assert "width" not in svg.attrib
    ids = re.findall(r'\bid="([^"]+)"', first.svg)
    assert len(ids) == len(set(ids))
    assert all(i.startswith(first.name) for i in ids)
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', first.svg)
    assert set(used) <= set(ids)
    colours = set(re.findall(r"#[0-9a-f]{6}\b", first.svg))
    assert colours <= {figures.BLUE, figures.ORANGE}
    assert "currentColor" in first.svg
    assert len(first.svg) < 100_000


def test_no_style_leaks_into_other_figures():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    figures.linear_shapes()
    assert dict(mpl.rcParams) == before
