"""The recorded values of PyTorch load as the arrays that they were."""

import numpy as np
import pytest

from backprop_lib.recorded import load


def test_a_case_holds_inputs_and_a_gradient_for_each():
    for case in load("linear"):
        assert list(case.inputs) == list(case.gradients) == ["x", "W", "b"]
        assert case.y.shape == case.dy.shape
        for name, array in case.inputs.items():
            assert case.gradients[name].shape == array.shape
            assert case.gradients[name].dtype == array.dtype == case.dy.dtype
            assert np.abs(case.gradients[name]).max() > 0


def test_an_unknown_layer_is_named():
    with pytest.raises(FileNotFoundError, match="nothing is recorded for layer 'lstm'"):
        load("lstm")
