"""The promises of a forward and a backward, and what is said when one is broken."""

from types import SimpleNamespace

import numpy as np
import pytest

from backprop_lib.layer import Layer, layer_in


def forward(x, W):
    return x @ W, (x, W)


def backward(dy, x, W):
    return dy @ W.T, x.T @ dy


X, W = np.arange(6.0).reshape(2, 3), np.arange(3.0).reshape(3, 1)


def test_takes_an_object_or_two_functions():
    assert Layer.of(forward, backward) == Layer.of(
        SimpleNamespace(forward=forward, backward=backward)
    )


@pytest.mark.parametrize("given", [(3,), (3, backward), (forward, 3), (SimpleNamespace(),), (int,)])
def test_refuses_anything_else(given):
    with pytest.raises(TypeError, match="expected two functions, forward and backward; a module"):
        Layer.of(*given)


def test_puts_inputs_into_the_order_of_forward():
    assert Layer(forward, backward).inputs({"W": 0, "x": 0}, {}) == ["x", "W"]


@pytest.mark.parametrize(
    ("given", "const", "message"),
    [
        ({"x": 0}, {}, "W is not given: forward takes x, W"),
        ({"x": 0, "W": 0, "b": 0}, {}, "b is no parameter of forward: forward takes x, W"),
        ({"x": 0, "W": 0}, {"x": 0}, "x is given as an input and in const"),
    ],
)
def test_names_the_wrong_input(given, const, message):
    with pytest.raises(TypeError, match=message):
        Layer(forward, backward).inputs(given, const)


def test_a_parameter_with_a_default_need_not_be_given():
    assert Layer(lambda x, eps=1e-5: (x, ()), backward).inputs({"x": 0}, {}) == ["x"]


def test_arrays_inside_the_cache_are_watched_too():
    def backward(dy, cache):
        cache["parts"][0][...] = 0
        return dy

    with pytest.raises(RuntimeError, match=r"backward changed cache\[0\] in place"):
        Layer(forward, backward).run_backward(X, ({"parts": [X.copy()]},), ["x"])


def test_runs_both():
    layer = Layer(forward, backward)
    y, cache = layer.run_forward({"x": X, "W": W})
    gradients = layer.run_backward(np.ones_like(y), cache, ["x", "W"])
    assert y.shape == (2, 1)
    assert {name: value.shape for name, value in gradients.items()} == {"x": (2, 3), "W": (3, 1)}


def test_a_single_gradient_needs_no_tuple():
    layer = Layer(lambda x: (2 * x, ()), lambda dy: 2 * dy)
    assert np.array_equal(layer.run_backward(X, (), ["x"])["x"], 2 * X)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (X, "a ndarray"),
        ([X, ()], "a list"),
        ((X, (), ()), "(ndarray, tuple, tuple)"),
    ],
)
def test_forward_returns_y_and_cache(result, said):
    with pytest.raises(TypeError, match="expected \\(y, cache\\)") as raised:
        Layer(lambda: result, backward).run_forward({})
    assert f"forward returned {said}" in str(raised.value)


def test_backward_returns_a_gradient_for_each_input():
    layer = Layer(forward, lambda dy, x, W: (dy @ W.T,))
    with pytest.raises(TypeError, match=r"1 gradient\(s\), expected 2: one for each of x, W"):
        layer.run_backward(np.ones((2, 1)), (X, W), ["x", "W"])


def test_nothing_is_changed_in_place():
    def doubling_forward(x):
        x *= 2
        return x, ()

    def doubling_backward(dy, x):
        dy *= 2
        return dy

    def cache_eating_backward(dy, x):
        x[...] = 0
        return dy

    with pytest.raises(RuntimeError, match="forward changed x in place"):
        Layer(doubling_forward, backward).run_forward({"x": X.copy()})
    for wrong, name in [(doubling_backward, "dy"), (cache_eating_backward, r"cache\[0\]")]:
        with pytest.raises(RuntimeError, match=f"backward changed {name} in place"):
            Layer(forward, wrong).run_backward(np.ones((2, 1)), (X.copy(),), ["x"])


def test_nan_in_place_is_no_change():
    layer = Layer(lambda x: (x + 1, ()), backward)
    assert np.isnan(layer.run_forward({"x": np.array([np.nan])})[0]).all()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def forward(x): ...\ndef backward(dy): ...", ["forward", "backward"]),
        ("def forward(x): ...", ["forward"]),
        ("class A:\n    def backward(self, dy): ...", ["A"]),
        ("class A:\n    def backward(self, dy): ...\nclass B(A): ...\nclass C: ...", ["B"]),
        ("def forward(x): ...\nclass A:\n    def backward(self, dy): ...", ["A"]),
        ("from collections import Counter\ndef forward(x): ...", ["forward"]),
    ],
)
def test_a_layer_is_found_in_what_code_defines(code, found):
    names = {"__name__": "mine"}
    exec(code, names)
    assert layer_in(names) == tuple(names[name] for name in found)


@pytest.mark.parametrize("code", ["", "def backward(dy): ...", "forward = 3", "class A: ..."])
def test_code_without_a_layer_is_told_what_to_write(code):
    names = {"__name__": "mine"}
    exec(code, names)
    with pytest.raises(TypeError, match=r"def backward\(dy, x, W\): ... return dx, dW"):
        layer_in(names)


def test_forward_may_return_what_backward_needs_in_any_form():
    for kept in ({"x": X, "W": W}, [X, W]):
        taken = []

        def backward(dy, cache, taken=taken):
            taken.append(cache)

        layer = Layer(lambda x, W, kept=kept: (x @ W, kept), backward)
        _, cache = layer.run_forward({"x": X, "W": W})
        with pytest.raises(TypeError, match="backward returned 1 gradient"):
            layer.run_backward(X, cache, ["x", "W"])
        assert taken[0] is kept


def test_a_forward_alone_returns_its_backward():
    layer = Layer.of(lambda x: (x * x, lambda dy: 2 * x * dy))
    _, cache = layer.run_forward({"x": X})
    assert np.array_equal(layer.run_backward(X, cache, ["x"])["x"], 2 * X * X)
    with pytest.raises(TypeError, match=r"returned \(ndarray, tuple\), and no backward was given"):
        Layer.of(forward).run_forward({"x": X, "W": W})


def test_without_backward_forward_may_return_y_alone():
    for function in (forward, lambda x, W: x @ W, SimpleNamespace(forward=forward)):
        y, _ = Layer.without_backward(function).run_forward({"x": X, "W": W})
        assert np.array_equal(y, X @ W)
    with pytest.raises(TypeError, match="forward is 3, expected a function"):
        Layer.without_backward(3)


def test_dy_may_be_changed_if_that_is_allowed():
    def backward(dy):
        dy *= 2
        return dy

    layer = Layer.of(lambda x: (2 * x, ()), backward, may_change_dy=True)
    assert np.array_equal(layer.run_backward(X.copy(), (), ["x"])["x"], 2 * X)


def test_gradients_have_names_or_are_none():
    layer = Layer(forward, lambda dy, x, W: {"W": 2, "dx": 1, "more": 3})
    assert layer.run_backward(X, (X, W), ["x", "W"]) == {"x": 1, "W": 2}
    layer = Layer(forward, lambda dy, x, W: (1, None, 2, None))
    assert layer.run_backward(X, (X, W), ["x", "W"]) == {"x": 1, "W": 2}
    with pytest.raises(TypeError, match="backward returned a dict with W, dx, more, expected db"):
        Layer(forward, lambda dy, x, W: {"W": 2, "dx": 1, "more": 3}).run_backward(
            X, (X, W), ["x", "b"]
        )
