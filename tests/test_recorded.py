"""The recorded values of PyTorch load as the arrays that they were, and cover what they should."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from backprop_lib import recorded
from backprop_lib.layers import linear
from backprop_lib.ops import log_softmax_nll
from backprop_lib.recorded import load

NAMES = sorted(path.stem for path in Path(recorded.__file__).parent.glob("*.json"))
EACH = pytest.mark.parametrize("name", NAMES)


@EACH
def test_a_case_holds_inputs_and_a_gradient_for_each(name):
    for case in load(name):
        assert list(case.inputs) == list(case.gradients)
        assert case.y.shape == case.dy.shape
        assert case.y.dtype == case.dy.dtype
        for key, array in case.inputs.items():
            assert case.gradients[key].shape == array.shape
            assert case.gradients[key].dtype == array.dtype == case.dy.dtype


@EACH
def test_both_precisions_and_one_sample_are_there_and_shapes_are_not_square(name):
    cases = load(name)
    assert len(cases) >= 8
    assert {case.dy.dtype.name for case in cases} == {"float32", "float64"}
    shapes = [next(iter(case.inputs.values())).shape for case in cases]
    assert any(shape[0] == 1 for shape in shapes)
    assert any(len(set(shape)) > 1 for shape in shapes)
    if len(shapes[0]) == 3 and name != "orthogonality":
        assert any(shape[2] == 1 for shape in shapes if len(shape) == 3)


@EACH
def test_gradients_are_not_zero_and_upstream_is_not_one(name):
    cases = load(name)
    for key in cases[0].gradients:
        assert any(np.abs(case.gradients[key]).max() > 0.1 for case in cases)
    assert all(np.abs(case.dy - 1).max() > 0.01 for case in cases)


def test_the_error_is_relative_and_finds_every_difference():
    case = next(case for case in load("linear") if case.dy.dtype == np.float64)
    assert case.error_of(linear) < case.limit == 1e-10

    def backward(factor):
        def changed(dy, x, W):
            dx, dW, db = linear.backward(dy, x, W)
            return dx, dW * factor, db

        return changed

    assert case.error_of(linear.forward, backward(1 + 1e-6)) == pytest.approx(1e-6, rel=1e-3)
    assert case.error_of(linear.forward, backward(np.float32(1))) < case.limit
    assert np.isinf(case.error_of(linear.forward, lambda dy, x, W: (dy @ W, x.T @ dy, dy.sum(0))))
    in_single = {key: array.astype(np.float32) for key, array in case.inputs.items()}
    single = dataclasses.replace(case, inputs=in_single, dy=case.dy.astype(np.float32))
    assert np.isinf(single.error_of(linear))
    nothing = dataclasses.replace(case, y=np.zeros_like(case.y))
    assert nothing.error_of(linear) > 1


def test_labels_are_integers_and_settings_are_as_given():
    case = load("log_softmax_nll")[0]
    assert case.const["t"].dtype.kind == "i"
    assert case.const["reduction"] == "mean"
    assert case.error_of(log_softmax_nll) < case.limit
    assert "reduction mean" in repr(case)


def test_an_unknown_layer_is_named():
    with pytest.raises(FileNotFoundError, match="nothing is recorded for layer 'lstm'"):
        load("lstm")
