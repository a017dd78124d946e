"""Shapes in signatures: what is accepted, what is refused, and in which words."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from backprop_lib.layers import linear
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


def test_other_parameters_are_checked_too():
    with pytest.raises(TypeError, match="scale"):
        pooled(np.ones((2, 3)), scale="big")
    with pytest.raises(TypeError, match="'x'"):
        pooled()


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


def test_a_whole_number_is_a_float_too():
    assert pooled(np.ones((2, 3)), scale=2).sum() == 12
    with pytest.raises(Exception, match="scale"):
        pooled(np.ones((2, 3)), scale="2")
