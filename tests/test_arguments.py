"""Arguments that are no plain arrays: numbers and their bounds, words, arrays of another kind."""

import inspect
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from test_promises import VARIANTS

from backprop_lib import fast
from backprop_lib.layers import batchnorm1d, conv1d, linear
from backprop_lib.layers import batchnorm1d_relu as readable
from backprop_lib.ops import log_softmax_nll
from backprop_lib.ops import max as max_op
from backprop_lib.shapes import Array, Shaped, shape_table, shaped

X, W, B = np.random.default_rng(0).standard_normal((3, 4)), np.ones(4), np.zeros(4)
KERNEL = np.random.default_rng(1).standard_normal((2, 3, 2))
SIGNAL = np.random.default_rng(2).standard_normal((2, 3, 7))

normalise = partial(batchnorm1d.forward, X, W, B)
convolve = partial(conv1d.forward_general, SIGNAL, KERNEL, np.zeros(2))
move = partial(batchnorm1d.running_statistics, B, W, X)
largest = partial(max_op.forward, X)
loss = partial(log_softmax_nll.forward, X, np.array([0, 3, 1]))

NOT_NEGATIVE = "expected a number of at least 0"
REFUSED = [
    (normalise, "eps", -1e-5, ValueError, f"eps is -1e-05, {NOT_NEGATIVE}"),
    (normalise, "eps", np.float32(-1), ValueError, f"eps is -1.0, {NOT_NEGATIVE}"),
    (normalise, "eps", float("nan"), ValueError, f"eps is nan, {NOT_NEGATIVE}"),
    (normalise, "eps", None, TypeError, f"eps is None, {NOT_NEGATIVE}"),
    (normalise, "eps", True, TypeError, f"eps is True, {NOT_NEGATIVE}"),
    (normalise, "eps", "1e-5", TypeError, f"eps is '1e-5', {NOT_NEGATIVE}"),
    (normalise, "eps", 1j, TypeError, f"eps is 1j, {NOT_NEGATIVE}"),
    (normalise, "eps", np.array(1e-5), TypeError, f"eps is an array of shape (), {NOT_NEGATIVE}"),
    (normalise, "eps", W, TypeError, f"eps is an array of shape (4,), {NOT_NEGATIVE}"),
    (move, "momentum", 2, ValueError, f"momentum is 2, {NOT_NEGATIVE} and at most 1"),
    (move, "momentum", -0.1, ValueError, f"momentum is -0.1, {NOT_NEGATIVE} and at most 1"),
    (convolve, "stride", True, TypeError, "stride is True, expected a whole number"),
    (convolve, "stride", np.True_, TypeError, f"stride is {np.True_!r}, expected a whole number"),
    (convolve, "stride", 1.5, TypeError, "stride is 1.5, expected a whole number"),
    (convolve, "padding", 2.0, TypeError, "padding is 2.0, expected a whole number"),
    (convolve, "dilation", "2", TypeError, "dilation is '2', expected a whole number"),
    (largest, "axis", "x", TypeError, "axis is 'x', expected a whole number"),
    (largest, "axis", None, TypeError, "axis is None, expected a whole number"),
    (largest, "axis", (0, 1), TypeError, "axis is (0, 1), expected a whole number"),
    (loss, "reduction", 3, TypeError, "reduction is 3, expected 'mean' or 'sum'"),
    (loss, "reduction", None, TypeError, "reduction is None, expected 'mean' or 'sum'"),
    (
        partial(fast.batchnorm1d.forward, X, W, B), "buffers", 3, TypeError,
        "buffers is 3, expected Buffers | None",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "name", "value", "kind", "message"), REFUSED)
def test_a_wrong_argument_is_told_in_one_line(call, name, value, kind, message):
    with pytest.raises(kind) as raised:
        call(**{name: value})
    module = call.func.__module__.rpartition(".")[2]
    assert str(raised.value) == f"{module}.{call.func.__name__}: {message}"


def test_a_long_value_is_told_by_its_type():
    with pytest.raises(TypeError, match=r"^batchnorm1d.forward: eps is a list, expected a number"):
        normalise(eps=[[0.1] * 30])


def numbers_of(function):
    """Return the parameters that are numbers, all of which have a name that we know."""
    table = {*shape_table(function), "buffers", "reduction"}
    return [name for name in inspect.signature(function).parameters if name not in table]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_number_of_every_layer_is_checked(variant):
    case = variant.in_double[0]
    given = {**case.inputs, **case.const}
    for name in numbers_of(variant.forward):
        for wrong in (None, True, "1", np.zeros(2), 1j):
            with pytest.raises(TypeError) as raised:
                variant.forward(**given | {name: wrong})
            assert f": {name} is " in str(raised.value)
            assert "\n" not in str(raised.value)
        if name == "eps":
            with pytest.raises(ValueError, match="eps is -1, expected a number of at least 0"):
                variant.forward(**given | {name: -1})


def test_there_are_numbers_to_check():
    named = {name for variant in VARIANTS for name in numbers_of(variant.forward)}
    assert named == {"axis", "dilation", "eps", "padding", "stride"}


@pytest.mark.parametrize(
    ("call", "name", "value"),
    [
        (convolve, "stride", np.int64(2)),
        (convolve, "padding", np.uint8(1)),
        (largest, "axis", np.int8(0)),
        (largest, "axis", np.int64(-2)),
        (normalise, "eps", np.float32(1e-3)),
        (normalise, "eps", np.longdouble(1e-3)),
        (normalise, "eps", np.int32(1)),
        (normalise, "eps", 1),
        (move, "momentum", np.float16(0.5)),
        (loss, "reduction", np.str_("sum")),
    ],
)
def test_numbers_of_numpy_are_taken_as_those_of_python(call, name, value):
    plain = value if isinstance(value, int) else value.item()
    ours, expected = call(**{name: value})[0], call(**{name: plain})[0]
    assert np.array_equal(ours, expected)
    assert ours.dtype == expected.dtype == np.float64
    by_default = call()[0]
    assert ours.shape != by_default.shape or not np.array_equal(ours, by_default)


def test_a_number_in_double_precision_leaves_single_precision_what_it_is():
    x, w, b = (array.astype(np.float32) for array in (X, W, B))
    y, cache = batchnorm1d.forward(x, w, b, np.float64(1e-5))
    assert {y.dtype, *(part.dtype for part in cache)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("module", [batchnorm1d, fast.batchnorm1d])
def test_an_eps_that_half_precision_loses_is_refused(module):
    half = [array.astype(np.float16) for array in (X, W, B)]
    half[0][:, 1] = 3  # of no variance: 1/√(0 + ε), were ε rounded to 0, is infinite
    with pytest.raises(ValueError, match=r"forward: eps is 1e-08.* become 0 in float16; expected"):
        module.forward(*half, 1e-8)
    with pytest.raises(ValueError, match="expected 0, or at least 6e-08"):
        module.forward(*half, eps=1e-8)
    y, _ = module.forward(*half, 1e-5)
    assert np.array_equal(y[:, 1], half[2][[1, 1, 1]])
    assert np.isfinite(module.forward(X, W, B, 1e-8)[0]).all()  # double precision has it


class Tensor:
    """What a tensor of PyTorch looks like from outside."""

    shape, dtype = (3, 4), "torch.float32"


Tensor.__module__ = "torch"
OF_ANOTHER_KIND = [
    (Tensor(), "it is a torch tensor: pass {}.numpy()"),
    (X.view(np.matrix), "it is a np.matrix: pass np.asarray({})"),
    (
        np.ma.masked_greater(X, 0),
        "it is a masked array: pass {}.filled(0), or another number for what is masked",
    ),
]


@pytest.mark.parametrize(("array", "message"), OF_ANOTHER_KIND)
def test_an_array_of_another_kind_is_told_what_to_pass_instead(array, message):
    with pytest.raises(TypeError) as raised:
        linear.forward(array, np.ones((2, 4)), np.zeros(2))
    said = message.format("x")
    assert (
        str(raised.value) == f"linear.forward: expected x to be floats of shape (N, C_in): {said}"
    )
    with pytest.raises(TypeError) as raised:
        log_softmax_nll.forward(X, array)
    expected = "log_softmax_nll.forward: expected t to be integers of shape (N,): "
    assert str(raised.value) == expected + message.format("t")


def test_arrays_that_are_numpys_in_another_place_are_taken(tmp_path: Path):
    kept = np.memmap(tmp_path / "x", dtype=float, mode="w+", shape=X.shape)
    kept[...] = X
    expected, _ = linear.forward(X, np.ones((2, 4)), np.zeros(2))
    assert np.array_equal(linear.forward(kept, np.ones((2, 4)), np.zeros(2))[0], expected)


def test_what_is_missing_or_too_much_is_pythons_own_error():
    with pytest.raises(TypeError, match="missing a required argument: 'b'"):
        batchnorm1d.forward(X, W)
    with pytest.raises(TypeError, match="too many positional arguments"):
        batchnorm1d.forward(X, W, B, 1e-5, 3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'epsilon'"):
        batchnorm1d.forward(X, W, B, epsilon=1e-5)


def test_a_number_without_bounds_may_be_any():
    @shaped
    def scaled(x: Shaped[Array, "N"], factor: float) -> Shaped[Array, "N"]:
        return factor * x

    assert np.array_equal(scaled(W, np.float16(-2)), -2 * W)
    assert np.array_equal(scaled(W, -(10**400) // 10**399), -10 * W)
    with pytest.raises(TypeError, match=r"factor is None, expected a number$"):
        scaled(W, None)


@pytest.mark.parametrize("ending", ["", "_evaluation"])
def test_nan_before_the_relu_is_closed_in_both_forms(ending):
    x = np.random.default_rng(5).standard_normal((4, 3))
    mask = np.ones(3)
    const = {"mean": np.zeros(3), "var": mask} if ending else {}
    dy = np.random.default_rng(6).standard_normal(x.shape)
    b = np.array([0.3, np.nan, -0.2])
    for module in (readable, fast.batchnorm1d_relu):
        y, cache = getattr(module, f"forward{ending}")(x, mask, b, **const)
        dx, dW, db = getattr(module, f"backward{ending}")(dy, *cache)
        assert np.isnan(y[:, 1]).all()
        assert not np.isnan(y[:, [0, 2]]).any()
        assert (dx[:, 1], dW[1], db[1]) == (pytest.approx(np.zeros(4), abs=0), 0, 0)
        assert np.abs(dx[:, [0, 2]]).max() > 0.1


def test_an_infinite_upstream_at_a_closed_place_stops_in_the_readable_form_only():
    x = np.random.default_rng(5).standard_normal((4, 3))
    y, cache = readable.forward_evaluation(x, np.ones(3), np.zeros(3), np.zeros(3), np.ones(3))
    dy = np.where(y > 0, 1.0, np.inf)
    with np.errstate(invalid="ignore"):
        of_readable = readable.backward_evaluation(dy, *cache)
        _, cache = fast.batchnorm1d_relu.forward_evaluation(
            x, np.ones(3), np.zeros(3), np.zeros(3), np.ones(3)
        )
        of_fast = fast.batchnorm1d_relu.backward_evaluation(dy, *cache)
    assert all(np.isfinite(gradient).all() for gradient in of_readable)
    closed = (y == 0).any(axis=0)
    assert closed.any()
    assert np.array_equal(np.isnan(of_fast[1]), closed)
