"""An object keeps what its backward needs: each run has one of its own, with our arrays in it."""

import threading
from dataclasses import dataclass

import numpy as np
import pytest

from backprop_lib.gradcheck import gradcheck
from backprop_lib.layer import Layer
from backprop_lib.models import leaves

X, W = np.arange(6.0).reshape(2, 3) + 1, np.arange(12.0).reshape(3, 4) - 5
DY = np.arange(8.0).reshape(2, 4) - 3


class InAttributes:
    def __init__(self):
        self.W = np.zeros((3, 4))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T


class InADict:
    def __init__(self):
        self.params = {"W": np.zeros((3, 4))}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"]

    def backward(self, dy):
        self.grads["W"] = self.x.T @ dy
        return dy @ self.params["W"].T


class InAList:
    def __init__(self):
        self.params, self.grads = [np.zeros((3, 4))], [np.zeros((3, 4))]

    def forward(self, x):
        (W,) = self.params
        self.x = x
        return x @ W

    def backward(self, dy):
        self.grads[0][...] = self.x.T @ dy
        return dy @ self.params[0].T


class Adding(InAttributes):
    def __init__(self):
        super().__init__()
        self.dW = np.ones((3, 4))

    def backward(self, dy):
        self.dW += self.x.T @ dy
        return dy @ self.W.T


class Parameter:
    def __init__(self, value):
        self.value, self.grad = value, np.zeros_like(value)


class InParameters:
    def __init__(self):
        self.W = Parameter(np.zeros((3, 4)))

    def __call__(self, x):
        self.x = x
        return x @ self.W.value

    def backward(self, dy):
        self.W.grad += self.x.T @ dy
        return dy @ self.W.value.T


class Returned(InAttributes):
    def backward(self, dy):
        return dy @ self.W.T, self.x.T @ dy


class ByName(InAttributes):
    def backward(self, dy):
        return {"dW": self.x.T @ dy, "dx": dy @ self.W.T}


class ByNameInPart(InAttributes):
    def backward(self, dy):
        super().backward(dy)
        return {"x": dy @ self.W.T}


class AllLeft(InAttributes):
    def backward(self, dy):
        self.dx = super().backward(dy)


class WithACache(InAttributes):
    def forward(self, x):
        return x @ self.W, {"x": x}

    def backward(self, dy, cache):
        return dy @ self.W.T, cache["x"].T @ dy


class WithAnotherOutput(InAttributes):
    def forward(self, x):
        return super().forward(x), x.sum()


class Inner(InAttributes):
    def __init__(self):
        self.inner = InAttributes()

    def forward(self, x):
        return self.inner.forward(x)

    def backward(self, dy):
        return self.inner.backward(dy)


@dataclass
class OfArguments:
    W: np.ndarray

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T


class Shared(InAttributes):
    """Its dict and its parts hold the same array."""

    def __init__(self):
        self.inner = InAttributes()
        self.layers = [self.inner]
        self.params = {"W": self.inner.W}
        self.grads = {}

    def forward(self, x):
        return self.layers[0].forward(x)

    def backward(self, dy):
        dx = self.layers[0].backward(dy)
        self.grads["W"] = self.layers[0].dW
        return dx


class InSlots:
    __slots__ = ("W", "dW", "x")

    def __init__(self):
        self.W = np.zeros((3, 4))

    forward, backward = InAttributes.forward, InAttributes.backward


LISTS = {"params": {"W": "params[0]"}, "grads": {"W": "grads[0]"}}
PLACES = {
    InAList: LISTS,
    Inner: {"params": {"W": "inner.W"}, "grads": {"W": "self.inner.dW"}},
}
KINDS = [
    InAttributes, InADict, InAList, Adding, InParameters, Returned, ByName, ByNameInPart, AllLeft,
    WithACache, WithAnotherOutput, Inner, Shared, InSlots,
]  # fmt: skip


def gradients(layer, dy=DY):
    assert layer.inputs({"W": 0, "x": 0}, {}) == ["x", "W"]
    y, cache = layer.run_forward({"x": X, "W": W})
    assert np.array_equal(y, X @ W)
    return layer.run_backward(dy, cache, ["x", "W"])


@pytest.mark.parametrize("kind", [*KINDS, OfArguments])
def test_a_class_is_run(kind):
    found = gradients(Layer.of(kind, named=["x", "W"], **PLACES.get(kind, {})))
    assert np.array_equal(found["x"], DY @ W.T)
    assert np.array_equal(found["W"], X.T @ DY)


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_is_run_again_and_again_and_left_as_it_was(kind):
    given = kind()
    before = repr(list(leaves(given)))
    layer = Layer.of(given, named=["x", "W"], **PLACES.get(kind, {}))
    for _ in range(2):
        found = gradients(layer)
        assert np.array_equal(found["W"], X.T @ DY)
    assert repr(list(leaves(given))) == before


def test_two_methods_of_an_object_are_the_object():
    given = Returned()
    layer = Layer.of(given.forward, given.backward, named=["x", "W"])
    assert np.array_equal(gradients(layer)["W"], X.T @ DY)
    assert not given.W.any()


def test_methods_that_are_attributes_belong_to_the_object():
    class Assigned:
        def __init__(self):
            self.W = np.zeros((3, 4))
            self.forward, self.backward = self.run, self.run_back

        def run(self, x):
            self.x = x
            return x @ self.W

        def run_back(self, dy):
            return dy @ self.W.T, self.x.T @ dy

    given = Assigned()
    found = gradients(Layer.of(given, named=["x", "W"]))
    assert np.array_equal(found["W"], X.T @ DY)
    assert not given.W.any()
    assert not hasattr(given, "x")


def test_a_parameter_that_is_kept_as_a_view_as_well_is_refused():
    class Turned(InAttributes):
        def __init__(self):
            super().__init__()
            self.turned = self.W.T

    with pytest.raises(TypeError, match="Turned holds W also as a view, turned, which stays what"):
        Layer.of(Turned(), named=["x", "W"]).inputs({"x": X, "W": W}, {})


def test_an_object_is_left_as_it_was_after_an_error():
    class Failing(InAttributes):
        def forward(self, x):
            self.x = x
            raise ValueError("no")

    given = Failing()
    with pytest.raises(ValueError, match=r"^no$"):
        Layer.of(given, named=["W"]).run_forward({"x": X, "W": W})
    assert list(vars(given)) == ["W"]


def test_a_run_may_go_on_where_another_has_ended():
    class Counting(InAttributes):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x)

    layer = Layer.of(Counting(), named=["W"])
    _, cache = layer.run_forward({"x": X, "W": W})
    _, again = layer.run_forward({"x": X, "W": W}, cache)
    _, new = layer.run_forward({"x": X, "W": W})
    assert (again.object.calls, new.object.calls) == (2, 1)


class Scaled:
    def __init__(self, scale=2.0, steps=3):
        self.scale, self.steps, self.unread, self.name = scale, steps, 7, "fast"

    def forward(self, x):
        self.x = x
        assert self.name
        return self.scale * x**self.steps

    def backward(self, dy):
        return dy * self.scale * self.steps * self.x ** (self.steps - 1)


def test_the_numbers_of_an_object_are_parameters():
    layer = Layer.of(Scaled(0.5), named=["x"])
    assert {n: p.default for n, p in layer.parameters.items() if n != "x"} == layer.numbers
    assert layer.numbers == {"scale": 0.5, "steps": 3}
    assert layer.run_forward({"x": np.full(1, 2.0), "scale": 3.0})[0] == [24.0]
    assert layer.notes == ("the object is judged as it is, with name = 'fast'",)


def test_the_arguments_of_a_class_are_parameters():
    layer = Layer.of(Scaled, named=["x"])
    assert list(layer.parameters) == ["x", "scale", "steps"]
    assert layer.run_forward({"x": np.full(1, 2.0), "scale": 3.0})[0] == [24.0]
    assert layer.numbers == {}


def test_what_holds_what_cannot_be_copied_is_told():
    class Locked(InAttributes):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

    with pytest.raises(TypeError, match="this Locked cannot be copied: cannot pickle"):
        Layer.of(Locked(), named=["W"]).run_forward({"x": X, "W": W})


def test_a_module_in_an_object_needs_no_copy():
    class OnNumPy(InAttributes):
        def __init__(self):
            super().__init__()
            self.xp = np

    assert gradients(Layer.of(OnNumPy(), named=["W"]))


def test_static_methods_are_two_functions():
    class Static:
        @staticmethod
        def forward(x, W):
            return x @ W, (x, W)

        @staticmethod
        def backward(dy, cache):
            x, W = cache
            return dy @ W.T, x.T @ dy

    assert Layer.of(Static).model is None
    assert np.array_equal(gradients(Layer.of(Static))["W"], X.T @ DY)


class Nothing(InAttributes):
    def backward(self, dy):
        return dy @ self.W.T


class OfNone(InAttributes):
    def backward(self, dy):
        self.dW = None
        return dy @ self.W.T


class Outputs(InAttributes):
    def forward(self, x):
        return x, x, x


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (
            InAttributes(),
            {"named": ["V"]},
            "V is no parameter of forward, and no attribute of InAttr",
        ),
        (InADict(), {"named": ["V"]}, r"attributes are params, grads, params\['W'\]"),
        (
            Nothing(),
            {},
            "no gradient of W was found: backward returned 1 for x, and Nothing has no dW",
        ),
        (OfNone(), {}, "backward returned None for dW"),
        (Outputs(), {}, r"forward returned \(ndarray, ndarray, ndarray\)"),
        (InAList(), {"params": {"W": "params["}}, "params has W: 'params\\[', expected a place"),
        (InAList(), {"params": {"W": 0}}, "params has W: 0, expected a place"),
        (
            InAList(),
            {"params": {"W": "params[1]"}},
            "W is no parameter of forward, and no attribute",
        ),
        (
            InAList(),
            {"params": LISTS["params"], "grads": {"W": "more"}},
            "no gradient of W was found",
        ),
    ],
)
def test_what_is_missing_is_told(given, options, message):
    layer = Layer.of(given, **{"named": ["x", "W"], **options})
    with pytest.raises(TypeError, match=message):
        gradients(layer)


def test_what_a_class_lacks_is_told_when_it_is_made():
    layer = Layer.of(InAttributes, named=["x", "V"])
    with pytest.raises(TypeError, match="V is no parameter of forward, and no attribute of InAttr"):
        layer.run_forward({"x": X, "V": W})
    with pytest.raises(TypeError, match="W is not given: OfArguments takes x, W"):
        Layer.of(OfArguments, named=["x"]).inputs({"x": X}, {})


def test_places_are_for_objects():
    with pytest.raises(TypeError, match="params names places in an object, and there is none"):
        Layer.of(lambda x: (x, ()), lambda dy: dy, params={"W": "W"})


def test_gradcheck_takes_objects():
    rng = np.random.default_rng(0)
    point = {"x": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 4))}
    assert gradcheck(InAttributes, **point)
    assert gradcheck(InAList(), **LISTS, **point)
    assert gradcheck(Scaled(), x=point["x"])

    class Wrong(InAttributes):
        def backward(self, dy):
            self.dW = (self.x.T @ dy) / len(dy)
            return dy @ self.W.T

    report = gradcheck(Wrong, **point)
    assert [c.name for c in report.comparisons if not c.agrees] == ["W"]
