"""What the fast forms make of NaN and infinity, beside what the readable ones make of them.

What is promised stands in the docstring of `backprop_lib.fast`.
"""

import layer_by_layer as by_layer
import numpy as np
import pytest
from test_tuned import PAIRS, SHAPES, draw, functions

SAME_PRODUCTS = ("conv1d", "bmm", "max")
ALL = [*PAIRS, *by_layer.ALL]
EACH = pytest.mark.parametrize("name", ALL)
EACH_OTHER = pytest.mark.parametrize("name", [name for name in ALL if name not in SAME_PRODUCTS])
INFINITIES = (np.inf, -np.inf)


def pair(name):
    """Return forward and backward of the fast form, and those of the readable one."""
    if name in PAIRS:
        return functions(name, 0), functions(name, 1)
    layer = by_layer.ALL[name]
    return [(form.forward, form.backward) for form in (layer.fast, layer.twin)]


def draws(name):
    """Yield inputs, constants and dy at several shapes."""
    if name in PAIRS:
        for shapes in SHAPES.get(name, SHAPES["batchnorm1d"]):
            yield draw(name, shapes)
    else:
        for shape in by_layer.SHAPES[:4]:
            yield by_layer.draw(shape, by_layer.ALL[name])


def with_one(inputs, const, dy, name, place, entry):
    """Return the same, with another entry at a place of one array."""
    given = {**inputs, **const, "dy": dy}
    given[name] = given[name].copy()
    given[name].flat[place] = entry
    dy = given.pop("dy")
    return {k: given.pop(k) for k in inputs}, given, dy


def results(forward, backward, inputs, const, dy):
    y, cache = forward(**inputs, **const)
    gradients = backward(dy, *cache)
    return y, *(gradients if isinstance(gradients, tuple) else (gradients,))


def both(name, entries, in_dy):
    """Yield the results of both forms, where one entry of dy, or of another array, is not finite.

    Each as (fast, readable), for y and each gradient.
    """
    fast, readable = pair(name)
    for inputs, const, dy in draws(name):
        for array, value in {"dy": dy}.items() if in_dy else {**inputs, **const}.items():
            for place in {0, value.size // 2, value.size - 1}:
                for entry in entries:
                    given = with_one(inputs, const, dy, array, place, entry)
                    with np.errstate(invalid="ignore"):
                        ours, theirs = results(*fast, *given), results(*readable, *given)
                    yield list(zip(ours, theirs, strict=True))


def equal(a, b):
    """Say where entries are equal up to rounding, the same infinity, or both NaN."""
    return np.isclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("name", SAME_PRODUCTS)
@pytest.mark.parametrize("in_dy", [False, True])
def test_what_adds_the_same_products_gives_the_same(name, in_dy):
    for pairs in both(name, (np.nan, *INFINITIES), in_dy):
        assert all(equal(ours, theirs).all() for ours, theirs in pairs)


@EACH_OTHER
def test_after_nan_y_is_that_of_the_readable_form(name):
    for (ours, theirs), *_ in both(name, [np.nan], in_dy=False):
        assert equal(ours, theirs).all()


@EACH_OTHER
def test_after_nan_gradients_are_those_of_the_readable_form_but_where_nothing_was_taken(name):
    for _, *pairs in both(name, [np.nan], in_dy=False):
        if name == "evaluation, max":
            dx, theirs = pairs.pop(0)
            assert (equal(dx, theirs) | np.isfinite(dx)).all()
        assert all(equal(ours, theirs).all() for ours, theirs in pairs)


@EACH_OTHER
def test_after_infinity_an_entry_of_y_is_that_of_the_readable_form_or_nan(name):
    for (ours, theirs), *_ in both(name, INFINITIES, in_dy=False):
        assert (equal(ours, theirs) | np.isnan(ours)).all()


@EACH_OTHER
def test_of_a_dy_that_is_not_finite_a_gradient_is_that_of_the_readable_form_or_nan(name):
    for _, *pairs in both(name, (np.nan, *INFINITIES), in_dy=True):
        assert all((equal(ours, theirs) | np.isnan(ours)).all() for ours, theirs in pairs)
