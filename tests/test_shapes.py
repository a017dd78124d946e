"""Shapes in signatures: what is accepted, what is refused, and in which words."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
import sympy as sp

from backprop_lib.fast import batchnorm1d as fast_batchnorm1d
from backprop_lib.layers import batchnorm1d, linear
from backprop_lib.ops import dropout, log_softmax_nll, orthogonality
from backprop_lib.shapes import (
    Array,
    Constant,
    Labels,
    Shaped,
    ShapeError,
    format_shape,
    shape_table,
    shaped,
    unchecked,
)


@shaped
def pooled(x: Shaped[Array, "N C *L"], scale: float = 1.0) -> Shaped[Array, "N C"]:
    return scale * x.sum(axis=tuple(range(2, x.ndim)))


@shaped
def broken(x: Shaped[Array, "N C"]) -> Shaped[Array, "C N"]:
    return x


@shaped
def pairs(x: Shaped[Array, "N 2"]) -> Shaped[Array, "N"]:
    return x.sum(axis=1)


def test_the_shape_table_is_read_from_the_signature():
    assert shape_table(linear.forward) == {"x": "N C_in", "W": "C_out C_in", "b": "C_out"}
    assert shape_table(linear.backward) == {"dy": "N C_out", "x": "N C_in", "W": "C_out C_in"}
    assert shape_table(pooled) == {"x": "N C *L"}


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5), (0, 3, 4)])
def test_a_starred_axis_is_any_number_of_axes(shape):
    assert pooled(np.ones(shape)).shape == (*shape[:1], 3)


def test_a_fixed_axis_has_that_size():
    assert pairs(np.ones((3, 2))).shape == (3,)
    with pytest.raises(ShapeError, match=r"x has shape \(3, 4\), expected \(N, 2\): axis 1 is 4"):
        pairs(np.ones((3, 4)))


@shaped
def weighted(x: Shaped[Array, "N *L C"], s: Shaped[Array, "*L"]):
    return x


def test_starred_axes_are_told_apart():
    assert weighted(np.ones((2, 3, 4, 5)), np.ones((3, 4))).shape == (2, 3, 4, 5)
    with pytest.raises(ShapeError, match=r"s has shape \(3, 5\).*axis 1 is 5, but x has L.1 = 4"):
        weighted(np.ones((2, 3, 4, 5)), np.ones((3, 5)))


def test_a_function_of_a_notebook_goes_by_its_own_name():
    def mine(x: Shaped[Array, "N"]):
        return x

    mine.__module__, mine.__qualname__ = "__main__", "mine"
    with pytest.raises(ShapeError, match=r"^mine: x has shape"):
        shaped(mine)(np.ones((2, 2)))


class Foreign:
    """An array of another library."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, dtype


def test_an_array_of_another_library_is_judged_by_its_dtype():
    assert isinstance(Foreign((2,), "torch.float32"), Array)
    assert not isinstance(Foreign((2,), "torch.int64"), Array)
    with pytest.raises(TypeError, match=r"x to be floats of shape \(N, 2\): it holds torch.int64"):
        pairs(Foreign((3, 2), "torch.int64"))


def test_too_few_axes_for_a_starred_one():
    with pytest.raises(ShapeError, match="the number of axes is 1, not 2"):
        pooled(np.ones(3))


def test_a_wrong_result_is_told_with_the_sizes():
    assert broken(np.ones((2, 2))).shape == (2, 2)
    with pytest.raises(ShapeError) as raised:
        broken(np.ones((2, 3)))
    assert str(raised.value) == (
        "test_shapes.broken: returned f64[2,3](numpy), "
        "expected Shaped[Array, 'C N'] with N = 2, C = 3"
    )


def test_an_error_of_the_function_itself_is_not_touched():
    @shaped
    def failing(x: Shaped[Array, "N"]):
        raise ShapeError("mine")

    with pytest.raises(ShapeError, match=r"^mine$"):
        failing(np.ones(2))


@pytest.mark.parametrize(
    "entries", [[1, 2], [Fraction(1, 2), 3], list(sp.symbols("a b")), [sp.Integer(0), sp.sqrt(2)]]
)
def test_exact_numbers_are_real_numbers(entries):
    assert isinstance(np.array(entries, dtype=object), Array)


@pytest.mark.parametrize(
    "entry",
    [
        Decimal("0.1"),
        sp.Float(0.1),
        sp.I,
        sp.nan,
        sp.oo,
        sp.zoo,
        sp.Symbol("a", commutative=False),
        sp.Symbol("a") + 0.5,
    ],
)
def test_exact_means_exact_and_real(entry):
    assert not isinstance(np.array([entry], dtype=object), Array)


@pytest.mark.parametrize("entry", [0.5, True, None, "a", [1], np.float64(1), np.int64(1), 1j])
def test_other_objects_are_not(entry):
    array = np.empty(2, dtype=object)
    array[0], array[1] = 1, entry
    assert not isinstance(array, Array)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "complex128", "datetime64[s]", "U3"])
def test_arrays_without_real_numbers_are_refused(dtype):
    assert not isinstance(np.zeros(2, dtype=dtype), Array)


@pytest.mark.parametrize(
    ("scalar", "real"), [(np.float32(1), True), (np.int64(1), False), (np.complex128(1), False)]
)
def test_a_numpy_scalar_is_judged_by_its_dtype(scalar, real):
    assert isinstance(scalar, Array) is real


def test_a_default_is_part_of_the_explanation():
    @shaped
    def shifted(b: Shaped[Array, "C"] = np.zeros(3), *, x: Shaped[Array, "N C"]):  # noqa: B008
        return x + b

    with pytest.raises(ShapeError, match=r"x has shape \(4,\), expected \(N, C\)"):
        shifted(x=np.ones(4))


def test_axes_that_we_do_not_explain_are_left_to_jaxtyping():
    @shaped
    def same(x: Shaped[Array, "_ C"], y: Shaped[Array, "_ D"], z: Shaped[Array, "C"]):
        return x

    with pytest.raises(TypeError, match="'z'"):
        same(np.ones((2, 3)), np.ones((4, 5)), np.ones(6))


def test_shapes_are_written_as_python_writes_them():
    assert format_shape(["N", "C"]) == "(N, C)"
    assert format_shape((3,)) == str((3,))
    assert format_shape(()) == "()"


@shaped(nonempty=("C", "*L"), labels={"t": "C"})
def labelled(
    x: Shaped[Array, "N C *L"], mask: Shaped[Constant, "C"], t: Shaped[Labels, "N"], s: int = 1
) -> Shaped[Array, "N"]:
    return x.sum(axis=tuple(range(1, x.ndim))) * mask.sum() * s


X, MASK, T = np.ones((2, 3)), np.ones(3), np.array([0, 2])


def test_constants_and_labels_are_in_the_shape_table():
    assert shape_table(labelled) == {"x": "N C *L", "mask": "const C", "t": "N < C"}


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_labels_are_integers_of_any_size(dtype):
    assert labelled(X, MASK, T.astype(dtype)).shape == (2,)
    assert labelled(X, mask=MASK, t=T.astype(dtype), s=2).shape == (2,)
    assert labelled(X[:0], MASK, T[:0].astype(dtype)).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (X, MASK, np.array([0, 3])),
            ValueError,
            "labelled: t[1] is 3, expected a label from 0 to 2: x has C = 3",
        ),
        (
            (X, MASK, np.array([-1, 3])),
            ValueError,
            "labelled: t[0] is -1, expected a label from 0 to 2: x has C = 3",
        ),
        (
            (X, MASK, np.array([0.0, 1.0])),
            TypeError,
            "labelled: expected t to be integers of shape (N,): it holds float64",
        ),
        (
            (X, MASK, [0, 1]),
            TypeError,
            "labelled: expected t to be integers of shape (N,): it is a list, not a NumPy array",
        ),
        (
            (X, MASK, np.array([0, 1, 2])),
            ShapeError,
            "labelled: t has shape (3,), expected (N,): axis 0 is 3, but x has N = 2",
        ),
        (
            (X, MASK.astype(int), T),
            TypeError,
            "labelled: expected mask to be floats of shape (C,): it holds int64; "
            "mask.astype(float) makes floats of it",
        ),
        (
            (X[:, :0], MASK[:0], T),
            ShapeError,
            "labelled: x has shape (2, 0), expected (N, C, *L) with C at least 1",
        ),
        (
            (np.ones((2, 3, 4, 0)), MASK, T),
            ShapeError,
            "labelled: x has shape (2, 3, 4, 0), expected (N, C, *L) with L at least 1",
        ),
    ],
)
def test_what_is_out_of_range_is_named(arguments, error, message):
    with pytest.raises(error) as raised:
        labelled(*arguments)
    assert str(raised.value).endswith(message)


LINEAR = {"x": np.ones((2, 3)), "W": np.ones((4, 3)), "b": np.ones(4)}
TO_LINEAR_X = "linear.forward: expected x to be floats of shape (N, C_in): "


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (
            linear.forward,
            LINEAR | {"W": np.ones((3, 4))},
            "linear.forward: W has shape (3, 4), expected (C_out, C_in): "
            "axis 1 is 4, but x has C_in = 3",
        ),
        (
            linear.backward,
            {"dy": np.ones((5, 4)), "x": LINEAR["x"], "W": LINEAR["W"]},
            "linear.backward: x has shape (2, 3), expected (N, C_in): "
            "axis 0 is 2, but dy has N = 5",
        ),
        (
            linear.forward,
            LINEAR | {"x": np.ones(3)},
            "linear.forward: x has shape (3,), expected (N, C_in): the number of axes is 1, not 2",
        ),
        (
            linear.forward,
            LINEAR | {"b": np.ones((4, 1))},
            "linear.forward: b has shape (4, 1), expected (C_out,): the number of axes is 2, not 1",
        ),
        (
            dropout.forward,
            {"x": np.ones(()), "mask": np.ones(())},
            "dropout.forward: x has shape (), expected (N, *C): the number of axes is 0, not 1",
        ),
        (
            dropout.forward,
            {"x": np.ones((2, 3)), "mask": np.ones((2, 4))},
            "dropout.forward: mask has shape (2, 4), expected (N, *C): "
            "axis 1 is 4, but x has C.0 = 3",
        ),
        (
            orthogonality.forward,
            {"A": np.ones((2, 3, 4))},
            "orthogonality.forward: A has shape (2, 3, 4), expected (N, C, C): "
            "axis 2 is 4, but A has C = 3",
        ),
        (
            linear.forward,
            LINEAR | {"b": 1.0},
            "linear.forward: expected b to be floats of shape (C_out,): "
            "it is a float, not a NumPy array",
        ),
        (
            log_softmax_nll.backward,
            {"dy": 1.0, "log_p": np.zeros((2, 3)), "t": np.array([0, 2]), "reduction": "sum"},
            "log_softmax_nll.backward: expected dy to be floats of shape (): "
            "it is a float, not a NumPy array",
        ),
        (
            linear.forward,
            LINEAR | {"x": [[1.0, 2.0, 3.0]]},
            TO_LINEAR_X + "it is a list, not a NumPy array",
        ),
        (
            linear.forward,
            LINEAR | {"x": np.ones((2, 3), dtype=int)},
            TO_LINEAR_X + "it holds int64; x.astype(float) makes floats of it",
        ),
        (
            linear.forward,
            LINEAR | {"x": np.ones((2, 3), dtype=bool)},
            TO_LINEAR_X + "it holds bool; x.astype(float) makes floats of it",
        ),
        (
            linear.forward,
            LINEAR | {"x": np.ones((2, 3), dtype=complex)},
            TO_LINEAR_X + "it holds complex128",
        ),
        (
            linear.forward,
            LINEAR | {"x": np.array([[1, 2, "3"], [4, 5, 6]], dtype=object)},
            TO_LINEAR_X + "it holds objects, and x[0, 2] is '3'",
        ),
        (
            log_softmax_nll.forward,
            {"x": np.zeros((2, 3)), "t": np.array([True, False])},
            "log_softmax_nll.forward: expected t to be integers of shape (N,): it holds bool",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(function, arguments, message):
    error = ShapeError if " has shape " in message else TypeError
    with pytest.raises(error) as raised:
        function(**arguments)
    assert str(raised.value) == message


def test_a_missing_argument_is_pythons_own_error():
    with pytest.raises(TypeError, match="missing a required argument: 't'"):
        labelled(X, MASK)


def test_what_is_missing_or_too_much_is_pythons_own_error():
    with pytest.raises(TypeError, match="too many positional arguments"):
        pooled(X, 1.0, 3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'factor'"):
        pooled(X, factor=1.0)


# Numbers and words


@shaped
def told(
    x: Shaped[Array, "N"],
    eps: Annotated[float, ">= 0"] = 0.5,
    stride: Annotated[int, ">= 1"] = 1,
    how: Literal["mean", "sum"] = "mean",
    factor: float = 1.0,
    path: Path | None = None,
) -> tuple[Shaped[Array, "N"], tuple]:
    """Return x, and the other arguments as they came."""
    return x, (eps, stride, how, factor, path)


ONES = np.ones(2)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"eps": -1}, ValueError, "eps is -1, expected a number of at least 0"),
        ({"eps": np.float32(-1)}, ValueError, "eps is -1.0, expected a number of at least 0"),
        ({"eps": "1"}, TypeError, "eps is '1', expected a number of at least 0"),
        ({"stride": 0}, ValueError, "stride is 0, expected a whole number of at least 1"),
        ({"stride": 1.5}, TypeError, "stride is 1.5, expected a whole number of at least 1"),
        ({"how": "max"}, ValueError, "how is 'max', expected 'mean' or 'sum'"),
        ({"how": 3}, TypeError, "how is 3, expected 'mean' or 'sum'"),
        ({"factor": None}, TypeError, "factor is None, expected a number"),
        ({"path": 3}, TypeError, "path is 3, expected Path | None"),
    ],
)
def test_a_wrong_number_or_word_is_told_in_one_line(given, error, message):
    for call in (lambda: told(ONES, **given), lambda: told(x=ONES, **given)):
        with pytest.raises(error) as raised:
            call()
        assert str(raised.value) == f"test_shapes.told: {message}"
    ((name, value),) = given.items()
    in_order = {"eps": 0.5, "stride": 1, "how": "sum", "factor": 1.0, "path": None, name: value}
    with pytest.raises(error, match=f"^test_shapes.told: {name} is "):
        told(ONES, *in_order.values())


def test_numbers_of_numpy_reach_the_function_as_those_of_python():
    _, numbers = told(ONES, np.float32(0.25), np.int8(2), np.str_("sum"), factor=np.float16(-2))
    assert numbers == (0.25, 2, "sum", -2.0, None)
    assert [type(number) for number in numbers[:2] + numbers[3:4]] == [float, int, float]
    assert told(ONES, eps=1, factor=-(10**400))[1][::3] == (1, -(10**400))


def test_a_number_without_bounds_may_be_any():
    assert told(ONES, factor=float("inf"))[1][3] == np.inf
    with pytest.raises(ValueError, match="eps is inf, expected a finite number of at least 0"):
        told(ONES, eps=float("inf"))


def test_a_longdouble_stays_one_beside_others_and_only_there():
    third = np.longdouble(1) / 3
    assert type(told(ONES, third)[1][0]) is float
    for kept in (
        told(ONES.astype(np.longdouble), third),
        told(x=ONES.astype(np.longdouble), eps=third),
    ):
        assert type(kept[1][0]) is np.longdouble
        assert kept[1][0] == third


@pytest.mark.parametrize("module", [batchnorm1d, fast_batchnorm1d])
def test_an_eps_in_longdouble_is_not_rounded(module):
    x = np.arange(6).reshape(3, 2).astype(np.longdouble) / 64
    third = np.longdouble(1) / 3
    ours, _ = module.forward(x, x[0] + 1, x[0], third)
    expected = (x - x.mean(0)) / np.sqrt(x.var(0) + third) * (x[0] + 1) + x[0]
    assert ours.dtype == np.longdouble
    assert np.abs(ours - expected).max() <= 4 * np.finfo(np.longdouble).eps


@pytest.mark.parametrize("module", [batchnorm1d, fast_batchnorm1d])
def test_an_eps_that_half_precision_loses_is_refused(module):
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float16)
    w, b = np.ones(4, np.float16), np.zeros(4, np.float16)
    x[:, 1] = 3  # of no variance: 1/√(0 + ε), were ε rounded to 0, is infinite
    with pytest.raises(ValueError, match=r"forward: eps is 1e-08.* become 0 in float16; expected"):
        module.forward(x, w, b, 1e-8)
    with pytest.raises(ValueError, match="expected 0, or at least 6e-08"):
        module.forward(x, w, b, eps=1e-8)
    y, _ = module.forward(x, w, b, np.float64(1e-5))
    assert np.array_equal(y[:, 1], b[[1, 1, 1]])
    assert y.dtype == np.float16
    assert np.isfinite(module.forward(*(a.astype(float) for a in (x, w, b)), 1e-8)[0]).all()
    assert module.forward(x[:, :1], w[:1], b[:1], 0)[0].dtype == np.float16


def test_a_proof_may_pass_symbols_for_numbers_but_no_other_words_or_settings():
    half = Fraction(1, 2)
    with unchecked():
        assert told("x", half)[1][0] is half
        with pytest.raises(ValueError, match="how is 'max', expected 'mean' or 'sum'"):
            told("x", how="max")
        with pytest.raises(ValueError, match="stride is 0, expected a whole number of at least 1"):
            told("x", stride=0)


# Arrays of another kind


class Tensor:
    """What a tensor of PyTorch looks like from outside."""

    shape, dtype = (3, 4), "torch.float32"


Tensor.__module__ = "torch"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (Tensor(), "it is a torch tensor: pass {}.numpy()"),
        (X.view(np.matrix), "it is a np.matrix: pass np.asarray({})"),
        (
            np.ma.masked_greater(X, 0),
            "it is a masked array: pass {}.filled(0), or another number for what is masked",
        ),
    ],
)
def test_an_array_of_another_kind_is_told_what_to_pass_instead(array, message):
    with pytest.raises(TypeError) as raised:
        labelled(array, MASK, T)
    to_floats = "test_shapes.labelled: expected x to be floats of shape (N, C, *L): "
    assert str(raised.value) == to_floats + message.format("x")
    with pytest.raises(TypeError) as raised:
        labelled(X, MASK, array)
    to_integers = "test_shapes.labelled: expected t to be integers of shape (N,): "
    assert str(raised.value) == to_integers + message.format("t")


def test_arrays_that_are_numpys_in_another_place_are_taken(tmp_path):
    kept = np.memmap(tmp_path / "x", dtype=float, mode="w+", shape=X.shape)
    kept[...] = X
    assert np.array_equal(pooled(kept), pooled(X))
