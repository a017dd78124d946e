"""The network is proven for all sizes, step by step; with an arrow forgotten it is refuted."""

import pytest

from backprop_lib.pointnet import network
from backprop_lib.pointnet.network import PointNet, Settings, as_functions
from backprop_lib.proof import Status, prove

DEPTH = {
    "local": (1,),
    "features": (1, 1),
    "head": (1,),
    "transform": (1, 1),
    "transform_head": (1,),
}
SECONDS = 60

pytestmark = pytest.mark.thorough


def test_every_gradient_of_the_network_is_proven():
    forward, backward, axes = as_functions(Settings(**DEPTH))
    report = prove(forward, backward, budget=SECONDS, **axes)
    assert report
    assert {verdict.status for verdict in report} == {Status.PROVEN}
    names = {"points", *(name.replace(".", "_") for name in PointNet(Settings(**DEPTH)).parameters)}
    assert {verdict.gradient for verdict in report} == {f"d{name}" for name in names}
    assert set(axes) == names
    assert (len(report.lines), len(report.verdicts)) == (20, 37)  # as the chapter says
    assert report["dpoints"].where == (
        "no two numbers that forward compares are equal",
        "the largest entry along L occurs only once",
    )


def test_no_two_axes_are_taken_for_one():
    _, _, axes = as_functions(Settings(**DEPTH))
    sizes = {name for text in axes.values() for axis in text.split() for name in axis.split("*")}
    assert len(sizes) == 4 + sum(map(len, DEPTH.values()))  # N, C, L, K, and those of the layers


@pytest.mark.parametrize(
    ("forgotten", "step"),
    [("feature_transform", "dlocal_conv1_y"), ("input_transform", "")],
)
def test_a_forgotten_arrow_is_found(monkeypatch, forgotten, step):
    """Of what a T-Net reads, the gradient that comes back through the T-Net is dropped."""
    transform = PointNet._transform

    def without(self, run, part, x):
        t, pull = transform(self, run, part, x)
        return t, (lambda dt: 0 * pull(dt)) if part == forgotten else pull

    monkeypatch.setattr(network.PointNet, "_transform", without)
    forward, backward, axes = as_functions(Settings(**DEPTH))
    report = prove(forward, backward, budget=SECONDS, **axes)
    assert not report
    assert report.first_wrong == step
    assert not report["dpoints"]
    assert report["dhead_out_W"]
