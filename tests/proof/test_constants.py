"""Floats of many digits: which numbers they are read as, and that nothing wrong is proven."""

import math

import numpy as np
import pytest

from backprop_lib.proof import prove, prove_at
from backprop_lib.proof.constants import closed_form, factor_of
from backprop_lib.proof.refusal import written

READ = {
    1 / 3: (1 / 3, True), 0.3333333: (1 / 3, True), np.float32(1 / 3): (1 / 3, True),
    0.1 + 0.2: (0.3, True), 3 * 0.044715 + 1e-17: (0.134145, True), 22 / 7: (22 / 7, True),
    math.sqrt(2): (math.sqrt(2), False), 1.4142135: (math.sqrt(2), False), 1.4142136: (math.sqrt(2), False),
    np.float32(math.sqrt(2)): (math.sqrt(2), False), 0.70710678: (math.sqrt(0.5), False),
    math.pi: (math.pi, False), 3.14159265: (math.pi, False), 1 / math.pi: (1 / math.pi, False),
    0.7978845608: (math.sqrt(2 / math.pi), False), 1 / math.sqrt(2 * math.pi): (0.5 * math.sqrt(2 / math.pi), False),
    2 / math.sqrt(math.pi): (2 / math.sqrt(math.pi), False), math.pi / 180: (math.pi / 180, False),
    0.134145 * math.sqrt(2 / math.pi): (0.134145 * math.sqrt(2 / math.pi), False),
    math.e: (math.e, False), 1 / math.e: (1 / math.e, False), math.log(2): (math.log(2), False),
    1 / math.log(10): (1 / math.log(10), False),
}  # fmt: skip


@pytest.mark.parametrize(("number", "meant"), READ.items())
def test_a_simple_number_is_read_from_the_digits_that_are_written(number, meant):
    value, is_rational = meant
    if len(written(number)) < 9:
        assert closed_form(written(number)) is None  # a decimal of few digits is itself
        return
    found = closed_form(written(number))
    assert math.isclose(math.sqrt(found.square), value, rel_tol=1e-14)
    assert found.is_rational == is_rational


@pytest.mark.parametrize(
    "number",
    [
        1.0507009873554805, 1.6732632423543772, 1.0507009, 0.9999999, 1.0000001, 0.999999999999, 1.234567,
        3.1415927 + 2e-7, math.sqrt(2) * (1 + 1e-14), math.pi + 1e-12, 0.1234567, 0.5 + 1e-12,
    ],
)  # fmt: skip
def test_what_is_not_simple_within_its_digits_is_not_read(number):
    assert closed_form(written(number)) is None


def test_hardly_any_float_is_read_as_something_simple_by_chance():
    rng = np.random.default_rng(0)
    for digits in range(7, 18):
        numbers = [f"{number:.{digits - 1}f}" for number in rng.uniform(1, 10, 40)]
        assert sum(closed_form(number) is not None for number in numbers) <= 1


def test_a_multiple_is_small_or_a_decimal_of_few_digits():
    assert factor_of(2 * math.pi / 3, math.pi) * 3 == 2
    assert factor_of(0.134145 * 1.0507009873554805, 1.0507009873554805) * 10**6 == 134145
    assert factor_of(1.6732632423543772, 1.0507009873554805) is None


LENGTH, STRETCH = 1.2533141373155, 0.98765432109876  # √(π/2) to 14 digits, and no simple number


def wave(x):
    return LENGTH * np.exp(-x * x / 2) + STRETCH * x / 3, (x,)


def gelu(x):
    t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t), (x, t)


def gelu_slope(x, t, cubic=3):
    return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * 0.7978845608 * (1 + cubic * 0.044715 * x**2)


ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


def selu(x):
    return SCALE * np.where(x > 0, x, ALPHA * (np.exp(x) - 1)), (x,)


RIGHT = {
    "a root of π": (wave, lambda dy, x: dy * (-x * np.sqrt(np.pi / 2) * np.exp(-x * x / 2) + STRETCH / 3)),
    "GELU": (gelu, lambda dy, x, t: dy * gelu_slope(x, t)),
    "SELU": (selu, lambda dy, x: dy * SCALE * np.where(x > 0, 1, ALPHA * np.exp(x))),
    "SELU, multiplied out": (selu, lambda dy, x: dy * np.where(x > 0, SCALE, SCALE * ALPHA * np.exp(x))),
    "ratio": (selu, lambda dy, x: dy * ALPHA * np.where(x > 0, SCALE / ALPHA, SCALE * np.exp(x))),
    "a third": (lambda x: (x * x / 3, (x,)), lambda dy, x: dy * x * (2 / 3)),
    "in float32": (lambda x: (x * np.float32(0.1), ()), lambda dy: dy * 0.1),
    "float32 root": (lambda x: (x * np.float32(np.sqrt(2)), ()), lambda dy: dy * np.sqrt(2)),
    "in few digits": (lambda x: (x * 1.4142135, ()), lambda dy: dy * 2 * 0.70710678),
    "e and π": (lambda x: (x * math.pi * np.e, ()), lambda dy: dy * np.pi * np.exp(1)),
    "log 2": (lambda x: (np.log(1 + x * x) / np.log(2), (x,)), lambda dy, x: 2 * x * dy / (1 + x * x) * 1.4426950408889634),
    "negative": (lambda x: (-x * 1.23456789012, ()), lambda dy: dy * -1.23456789012),
    "under a comparison": (lambda x: (np.maximum(x * SCALE, 0), (x,)), lambda dy, x: dy * SCALE * (x > 0)),
    "a threshold": (lambda x: (np.maximum(x, SCALE), (x,)), lambda dy, x: dy * (x > SCALE)),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_with_such_numbers_are_proven(name):
    (verdict,) = prove(*RIGHT[name], x="N C")
    assert verdict.status == "proven", verdict
    assert verdict.reason == " for all sizes"


WRONG = {
    "GELU": (gelu, lambda dy, x, t: dy * gelu_slope(x, t, cubic=2)),
    "SELU": (selu, lambda dy, x: dy * np.where(x > 0, SCALE, ALPHA * np.exp(x))),
    "a root of π": (wave, lambda dy, x: dy * (-x * np.sqrt(np.pi) * np.exp(-x * x / 2) + STRETCH / 3)),
    "a third": (lambda x: (x * x / 3, (x,)), lambda dy, x: dy * x / 3),
    "in float32": (lambda x: (x * np.float32(0.1), ()), lambda dy: dy * 0.10000001),
    "nearly π": (lambda x: (x * math.pi, ()), lambda dy: dy * 3.1415928),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_with_such_numbers_are_refuted(name):
    (verdict,) = prove(*WRONG[name], x="N C")
    assert verdict.status == "refuted", verdict


@pytest.mark.parametrize("other", [np.nextafter(SCALE, 2), SCALE * (1 + 1e-13), 1.05070098735548])
def test_two_numbers_that_are_nearly_equal_are_two_numbers(other):
    forward = lambda x: (x * SCALE, ())  # noqa: E731
    for verdict in (
        *prove(forward, lambda dy: dy * other, x="N"),
        *prove_at(forward, lambda dy: dy * other, sizes={"N": 2}, x="N"),
    ):
        assert verdict.status == "undecided", verdict


def test_a_proof_at_sizes_reads_them_as_well():
    forward = lambda x: (x * (1 / 3) + STRETCH * x * x, (x,))  # noqa: E731
    right, wrong = (
        prove_at(forward, lambda dy, x, n=n: dy * (1 / 3 + n * STRETCH * x), sizes={"N": 2}, x="N")[
            "dx"
        ]
        for n in (2, 1)
    )
    assert right.status == "proven at"
    assert wrong.status == "refuted"


def test_such_a_number_is_written_as_it_stands():
    (verdict,) = prove(lambda x: (x * STRETCH * np.pi, ()), lambda dy: dy * np.pi * STRETCH, x="N")
    assert verdict.formula.text == f"dx[n] = {STRETCH} π dy[n]"
    assert verdict.formula.latex == rf"dx_{{n}} = {STRETCH}\, \pi\, dy_{{n}}"
