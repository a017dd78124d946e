"""Arguments, one kind after the other: what is taken, what is refused, and in which words."""

import inspect
import re
from fractions import Fraction
from numbers import Real

import numpy as np
import pytest
from test_promises import VARIANTS

from backprop_lib.arguments import (
    BOUNDS,
    ShapeError,
    check_array,
    check_choice,
    check_flag,
    check_generator,
    check_number,
    check_sizes,
    list_choices,
)
from backprop_lib.shapes import shape_table

NOT_NEGATIVE = "expected a number of at least 0"
HUGE = "an integer of more than 60 digits"


@pytest.mark.parametrize(
    ("value", "kind", "bounds", "error", "message"),
    [
        (-1e-5, float, [">= 0"], ValueError, f"-1e-05, {NOT_NEGATIVE}"),
        (np.float32(-1), float, [">= 0"], ValueError, f"-1.0, {NOT_NEGATIVE}"),
        (float("nan"), float, [">= 0"], ValueError, f"nan, {NOT_NEGATIVE}"),
        (np.inf, float, [">= 0"], ValueError, "inf, expected a finite number of at least 0"),
        (10**400, float, ["> 0"], ValueError, f"{HUGE}, expected a finite number above 0"),
        (-(10**400), float, ["> 0"], ValueError, f"{HUGE}, expected a number above 0"),
        (1, float, [">= 0", "< 1"], ValueError, f"1, {NOT_NEGATIVE} and below 1"),
        (2, float, [">= 0", "<= 1"], ValueError, f"2, {NOT_NEGATIVE} and at most 1"),
        (Fraction(3, 2), Real, ["< 1"], ValueError, "Fraction(3, 2), expected a number below 1"),
        (0, int, [">= 1"], ValueError, "0, expected a whole number of at least 1"),
        (np.int8(-3), int, [">= 0"], ValueError, "-3, expected a whole number of at least 0"),
        (None, float, [">= 0"], TypeError, f"None, {NOT_NEGATIVE}"),
        (None, float, [], TypeError, "None, expected a number"),
        (True, float, [">= 0"], TypeError, f"True, {NOT_NEGATIVE}"),
        ("1e-5", float, [">= 0"], TypeError, f"'1e-5', {NOT_NEGATIVE}"),
        (1j, float, [">= 0"], TypeError, f"1j, {NOT_NEGATIVE}"),
        (Fraction(1, 2), float, [">= 0"], TypeError, f"Fraction(1, 2), {NOT_NEGATIVE}"),
        (np.array(0.5), float, [">= 0"], TypeError, f"an array of shape (), {NOT_NEGATIVE}"),
        (np.ones(4), float, [">= 0"], TypeError, f"an array of shape (4,), {NOT_NEGATIVE}"),
        ([0.1] * 30, float, [">= 0"], TypeError, f"a list, {NOT_NEGATIVE}"),
        (np.True_, int, [], TypeError, f"{np.True_!r}, expected a whole number"),
        (1.0, int, [], TypeError, "1.0, expected a whole number"),
        (np.float64(1), int, [], TypeError, f"{np.float64(1)!r}, expected a whole number"),
        (np.timedelta64(1), int, [], TypeError, f"{np.timedelta64(1)!r}, expected a whole number"),
        ((0, 1), int, [], TypeError, "(0, 1), expected a whole number"),
        (1j, Real, [], TypeError, "1j, expected a number"),
    ],
)
def test_what_is_no_such_number_is_told_in_one_line(value, kind, bounds, error, message):
    with pytest.raises(error) as raised:
        check_number("f: n", value, kind, *bounds)
    assert str(raised.value) == f"f: n is {message}"


def test_a_number_that_python_does_not_write_is_told_as_well():
    with pytest.raises(ValueError, match=f"^n is {HUGE}, expected a number above 0$"):
        check_number("n", -(10**5000), float, "> 0")


@pytest.mark.parametrize(
    ("value", "kind", "bounds"),
    [
        (3, int, [">= 3"]),
        (10**400, int, [">= 0"]),
        (0, float, [">= 0"]),
        (1e308, float, ["> 0"]),
        (float("-inf"), float, []),
        (10**400, float, []),
        (Fraction(1, 3), Real, ["> 0", "< 1"]),
    ],
)
def test_a_number_of_python_is_taken_as_it_is(value, kind, bounds):
    assert check_number("n", value, kind, *bounds) is value


@pytest.mark.parametrize("number", [np.int8(1), np.uint64(1), np.float16(1), np.longdouble(1)])
def test_a_number_of_numpy_becomes_one_of_python(number):
    kinds = (int, float, Real) if isinstance(number, np.integer) else (float, Real)
    for kind in kinds:
        value = check_number("n", number, kind, "> 0")
        assert value == 1
        assert type(value) is (int if kind is int else float)


def test_sizes_become_a_tuple():
    assert check_sizes("shape", [np.int64(3), 0], ">= 0") == (3, 0)
    assert [type(n) for n in check_sizes("shape", (np.int64(3), 0), ">= 0")] == [int, int]
    assert check_sizes("shape", (), ">= 1") == ()
    with pytest.raises(TypeError, match=r"^shape is 3, expected a tuple of whole numbers$"):
        check_sizes("shape", 3, ">= 0")
    with pytest.raises(
        ValueError, match=r"^shape\[1\] is -1, expected a whole number of at least 0$"
    ):
        check_sizes("shape", (2, -1), ">= 0")
    with pytest.raises(
        TypeError, match=r"^shape\[0\] is '2', expected a whole number of at least 0$"
    ):
        check_sizes("shape", ("2",), ">= 0")


def test_a_word_is_one_of_those_that_may_be_chosen():
    for word in ("a", np.str_("b")):
        check_choice("f: word", word, ("a", "b"))
    for wrong in ("c", "ab", ""):
        with pytest.raises(ValueError, match=f"^f: word is {wrong!r}, expected 'a' or 'b'$"):
            check_choice("f: word", wrong, ("a", "b"))
    for wrong in (3, None, np.array(["a", "b"]), ("a",)):
        with pytest.raises(TypeError, match=r"^f: word is .*, expected 'a' or 'b'$"):
            check_choice("f: word", wrong, ("a", "b"))


def test_choices_are_listed_as_one_says_them():
    assert list_choices(["a"]) == "'a'"
    assert list_choices(["a", "b"]) == "'a' or 'b'"
    assert list_choices(["a", "b", 3]) == "'a', 'b' or 3"


def test_a_flag_is_true_or_false():
    for flag in (True, False, np.True_):
        check_flag("flag", flag)
    for wrong in (1, None, "True", np.array(True)):
        with pytest.raises(TypeError, match=r"^flag is .*, expected True or False$"):
            check_flag("flag", wrong)


def test_what_draws_random_numbers_is_a_generator():
    check_generator("f", np.random.default_rng(0))
    for wrong in (0, np.random, np.random.RandomState(0)):
        with pytest.raises(
            TypeError, match=rf"^f: rng is of type {type(wrong).__name__}, expected"
        ):
            check_generator("f", wrong)


class Tensor:
    """What a tensor of PyTorch looks like from outside."""

    shape, dtype = (3, 4), "torch.float32"


Tensor.__module__ = "torch"
TO_FLOATS = "expected x to be floats of shape (N, 4): "


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        ([[1.0]], TypeError, "x is of type list, expected a NumPy array of floats"),
        (np.ones((3, 4), int), TypeError, "x holds int64, expected floats of shape (N, 4)"),
        (np.ones(4), ShapeError, "x has shape (4,), expected floats of shape (N, 4)"),
        (np.ones((4, 3)), ShapeError, "x has shape (4, 3), expected floats of shape (N, 4)"),
        (Tensor(), TypeError, f"{TO_FLOATS}it is a torch tensor: pass x.numpy()"),
        (
            np.ones((3, 4)).view(np.matrix),
            TypeError,
            f"{TO_FLOATS}it is a np.matrix: pass np.asarray(x)",
        ),
        (
            np.ma.ones((3, 4)),
            TypeError,
            f"{TO_FLOATS}it is a masked array: pass x.filled(0), or another number for what is "
            "masked",
        ),
    ],
)
def test_an_array_of_another_kind_or_shape_is_told(array, error, message):
    with pytest.raises(error) as raised:
        check_array("f", "x", array, "f", ("N", 4))
    assert str(raised.value) == f"f: {message}"


def test_an_array_of_this_kind_and_shape_is_taken():
    for n in (0, 3):
        check_array("f", "x", np.ones((n, 4), np.float16), "f", ("N", 4))
    check_array("f", "x", np.ones((), np.uint8), "iuf", ())


# Every number of every layer


def numbers_of(function):
    """Return the parameters that are numbers, all of which have a name that we know."""
    table = {*shape_table(function), "buffers", "reduction"}
    return {k: p for k, p in inspect.signature(function).parameters.items() if k not in table}


def directions(variant):
    """Return forward and backward, each with arguments that are right, by name."""
    case = variant.in_double[0]
    given = {**case.inputs, **case.const}
    _, cache = variant.forward(**given)
    names = inspect.signature(variant.backward).parameters
    backward = dict(zip(names, (case.dy, *cache), strict=False))
    return [(variant.forward, given), (variant.backward, backward)]


def just_out_of(bounds):
    """Yield a number beside each bound, and the words for the bound."""
    for bound in bounds:
        sign, limit = bound.split()
        outside = int(limit) + {">": 0, ">=": -1, "<": 0, "<=": 1}[sign]
        yield outside, f"{BOUNDS[sign][1]} {limit}"


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_number_of_every_layer_is_checked(variant):
    for function, given in directions(variant):
        for name, parameter in numbers_of(function).items():
            for wrong in (None, True, "1", np.zeros(2), 1j):
                with pytest.raises(TypeError) as raised:
                    function(**given | {name: wrong})
                assert re.search(
                    rf"\.{function.__name__}: {name} is .*, expected a (whole )?number",
                    str(raised.value),
                )
                assert "\n" not in str(raised.value)
            for wrong, words in just_out_of(getattr(parameter.annotation, "__metadata__", ())):
                told = rf"\.{function.__name__}: {name} is {wrong}, expected .*{words}"
                with pytest.raises(ValueError, match=told):
                    function(**given | {name: wrong})


def test_there_are_numbers_to_check():
    bounded = {
        name: getattr(parameter.annotation, "__metadata__", ())
        for variant in VARIANTS
        for function in (variant.forward, variant.backward)
        for name, parameter in numbers_of(function).items()
    }
    assert bounded == {
        "axis": (),  # its bounds depend on x
        "dilation": (">= 1",),
        "eps": (">= 0",),
        "padding": (">= 0",),
        "stride": (">= 1",),
    }
