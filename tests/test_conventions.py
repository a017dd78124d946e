"""What a backward is called with is judged from its signature and from the cache."""

from collections import OrderedDict, namedtuple
from functools import partial

import numpy as np
import pytest

from backprop_lib.conventions import After, by_name, called, parameters_of, with_cache

A, B = np.ones(2), np.zeros(3)
Saved = namedtuple("Saved", "x W")


def unpacks_one(dy, cache):
    (x,) = cache
    return x


def takes_the_first(dy, cache):
    return cache[0] * 2


def takes_the_first_row(dy, x):
    return x[0]


def takes_all(dy, *cache):
    return cache


def takes_names(dy, **cache):
    return cache


def optional(dy, x, eps=1e-5):
    return x


def optional_cache(dy, cache, eps=1e-5):
    return cache


def by_keyword(dy, *, cache):
    return cache


def positional_only(dy, x, W, /):
    return x


def of_two(dy, x, W):
    return x


def of_one(dy, cache):
    return cache


def of_none(dy):
    return dy


class Layer:
    def backward(self, dy, x, W):
        return x


@pytest.mark.parametrize(
    ("backward", "cache", "positions", "names"),
    [
        # a tuple is spread where that fits
        (of_two, (A, B), (A, B), {}),
        (of_one, (A,), (A,), {}),
        (of_none, (), (), {}),
        (takes_all, (A, B), (A, B), {}),
        (takes_all, (), (), {}),
        (optional, (A, 1e-3), (A, 1e-3), {}),
        (positional_only, (A, B), (A, B), {}),
        (Layer().backward, (A, B), (A, B), {}),
        (partial(of_two, W=B), (A,), (A,), {}),
        (takes_the_first_row, (A,), (A,), {}),
        (of_one, ((A, B),), ((A, B),), {}),
        (unpacks_one, ({"x": A},), ({"x": A},), {}),
        # and handed over whole where it does not, or where backward unpacks it
        (of_one, (A, B), ((A, B),), {}),
        (of_one, (), ((),), {}),
        (unpacks_one, (A,), ((A,),), {}),
        (takes_the_first, (A,), ((A,),), {}),
        (optional_cache, (A, B), ((A, B),), {}),
        # what is no tuple is handed over whole
        (of_one, A, (A,), {}),
        (of_one, [A, B], ([A, B],), {}),
        (of_one, {"x": A, "W": B}, ({"x": A, "W": B},), {}),
        (of_one, Saved(A, B), (Saved(A, B),), {}),
        (of_one, None, (None,), {}),
        (of_none, None, (), {}),
        (by_keyword, A, (), {"cache": A}),
        # but for what can only be its parts
        (of_two, Saved(A, B), (A, B), {}),
        (of_two, [A, B], (A, B), {}),
        (of_two, {"x": A, "W": B}, (), {"x": A, "W": B}),
        (of_two, OrderedDict(W=B, x=A), (), {"x": A, "W": B}),
        (takes_names, {"x": A, "W": B}, (), {"x": A, "W": B}),
    ],
)
def test_backward_is_called_with_the_parts_or_the_whole(backward, cache, positions, names):
    args, options = with_cache(backward, After.dy(backward), cache)
    assert repr(args) == repr(positions)
    assert repr(dict(sorted(options.items()))) == repr(dict(sorted(names.items())))


@pytest.mark.parametrize(
    ("backward", "cache", "message"),
    [
        (of_two, (A,), r"a tuple of 1: \(ndarray\), and backward takes after dy x, W"),
        (of_two, (A, B, A), "a tuple of 3: "),
        (of_two, A, "a ndarray, and backward takes after dy x, W"),
        (of_two, [A], "a list of 1"),
        (of_two, {"x": A, "w": B}, "a dict with x, w"),
        (of_none, (A,), r"a tuple of 1: \(ndarray\), and backward takes after dy nothing"),
        (of_none, {"x": A}, "a dict with x, and backward takes after dy nothing"),
        (of_none, A, "a ndarray, and"),
    ],
)
def test_what_does_not_fit_is_told(backward, cache, message):
    with pytest.raises(TypeError, match=f"forward returned as its cache {message}"):
        with_cache(backward, After.dy(backward), cache)


def test_of_built_in_functions_nothing_is_known():
    assert After.dy(max) is None
    assert with_cache(max, None, (A, B)) == ((A, B), {})


@pytest.mark.parametrize(
    "name", ["dh", "dc", "d_next", "dnext_c", "grad_c", "c_grad", "dout2", "d"]
)
def test_a_second_upstream_gradient_is_known_by_its_name(name):
    backward = eval(f"lambda dy, {name}: dy")
    assert After.dy(backward).are_upstream(A)
    assert not After.dy(backward).are_upstream((A,))


@pytest.mark.parametrize("name", ["x", "cache", "data", "dims", "h", "distance", "dropped"])
def test_a_cache_is_no_upstream_gradient(name):
    assert not After.dy(eval(f"lambda dy, {name}: dy")).are_upstream(A)


def test_gradients_are_found_in_a_dict():
    result = {"dx": 1, "W": 2, "grad_b": 3, "c_grad": 4, "x": 5, "more": 6}
    assert by_name(result, ["x", "W", "b", "c"]) == {"x": 1, "W": 2, "b": 3, "c": 4}
    assert by_name({"dx": 1, "x": 2}, ["x", "dx"]) == {"x": 2, "dx": 1}
    assert by_name({}, ["x"]) == {}


def test_arguments_by_position_only_are_given_so():
    def function(x, /, y, *, z):
        return x, y, z

    assert called(function, parameters_of(function), {"z": 3, "y": 2, "x": 1}) == (1, 2, 3)
