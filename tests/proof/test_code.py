"""The code that is judged is looked at: what it calls, which numbers it has, what it keeps."""

import itertools
import random
from collections import deque
from fractions import Fraction
from functools import partial, wraps

import numpy as np
import pytest

from backprop_lib.layers import batchnorm1d_relu, conv1d, linear
from backprop_lib.ops import log_softmax_nll
from backprop_lib.proof import prove
from backprop_lib.proof.code import functions_of, kept, numbers_in, where_it_looks

LIMIT = 0.125
COUNTED = [0]
TOTAL = 0


def helper(x):
    return np.where(x > 17, x, 0)


def calls_a_helper(x):
    return helper(x), (x,)


def numbers(function):
    return set(numbers_in(functions_of(function)))


@pytest.mark.parametrize(
    ("function", "number"),
    [
        (lambda x: x * (x > 3), 3),
        (lambda x: x * (x > 2.25), Fraction(9, 4)),
        (lambda x: x * (x > 0.1), Fraction(1, 10)),
        (lambda x: [v > 5 for v in x], 5),
        (lambda x: (lambda v: v > 7)(x), 7),
        (lambda x, limit=11: x > limit, 11),
        (lambda x, *, limit=13: x > limit, 13),
        (lambda x: x > LIMIT, Fraction(1, 8)),
        (calls_a_helper, 17),
        ((lambda limit: lambda x: x > limit)(19), 19),
        (lambda x: x > 1e6, 10**6),
    ],
)
def test_the_numbers_of_the_code_are_found(function, number):
    assert number in numbers(function)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * True,
        lambda x: x > 1e7,
        lambda x: x > float("1e400"),
        lambda x: x > "3",
        lambda x: np.maximum(x, x),
    ],
)
def test_nothing_else_is_taken_for_a_number(function):
    assert not numbers(function)


def test_a_number_that_is_not_finite_is_passed_over():
    assert numbers((lambda limit: lambda x: x > limit)(float("nan"))) == set()
    assert numbers((lambda limit: lambda x: x > limit)(float("inf"))) == set()


class Layer:
    def forward(self, x):
        return self.own(x)

    def own(self, x):
        return x


def decorated(function):
    @wraps(function)
    def wrapped(*arguments):
        return function(*arguments)

    return wrapped


@decorated
def with_a_decorator(x):
    return x * 23


class Outer:
    def __init__(self):
        self.parts, self.table = [Layer()], {"act": helper}

    def forward(self, x):
        return self.parts[0].forward(self.table["act"](x)) * self.factor

    @property
    def factor(self):
        return 29

    def never_called(self, x):
        return x


def test_functions_are_found_behind_decorators_methods_and_calls():
    assert [f.__name__ for f in functions_of(calls_a_helper)] == ["calls_a_helper", "helper"]
    assert {f.__name__ for f in functions_of(Layer().forward)} == {"forward", "own"}
    names = {f.__name__ for f in functions_of(Outer().forward)}
    assert names == {"forward", "own", "factor", "helper"}
    assert 23 in numbers(with_a_decorator)


def test_the_code_of_libraries_is_not_the_code_that_is_judged():
    assert functions_of(np.sum, np.mean) == []


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x if type(x) is np.ndarray else 0,
        lambda x: type(x).__name__,
        lambda x: x.__class__ is np.ndarray,
        lambda x: [type(v) for v in x],
        lambda x: (lambda v: type(v))(x),
        lambda x: x if hasattr(x, "formula") else 2 * x,
        lambda x: getattr(x, "formula", None),
        lambda x: vars(x),
        lambda x: x.__dict__,
        lambda x: x if x.dtype == np.dtype(object) else 2 * x,
        lambda x: x if np.dtype(object) == x.dtype else 2 * x,
        lambda x: x if x.dtype != np.float32 else 2 * x,
        lambda x: x if x.dtype is np.dtype(float) else 2 * x,
        lambda x: x if x.dtype in (float, np.float32) else 2 * x,
        lambda x: x if x.dtype.kind == "f" else 2 * x,
        lambda x: x * x.dtype.itemsize,
        lambda x: x if x.dtype.name.startswith("float") else 2 * x,
        lambda x: x if np.asarray(x) is x else 2 * x,
        lambda x, z: x if x is not z else 2 * x,
        lambda x, z: x if x is z[0] else 2 * x,
        lambda x, z: x if x.T is z.T else 2 * x,
    ],
)
def test_code_that_looks_at_what_an_array_is_is_noticed(function):
    assert where_it_looks(functions_of(function)) is not None


def quietly(x):
    with np.errstate(all="ignore"):
        return np.sqrt(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x if isinstance(x, np.ndarray) else 0,
        lambda x: np.zeros_like(x, dtype=x.dtype),
        lambda x: np.zeros(x.shape, x.dtype) + (x > 0),
        lambda x: np.eye(x.shape[0], dtype=x.dtype, like=x) * (x == 0),
        lambda x: x.astype(x.dtype),
        quietly,
        lambda x, b=None: x if b is None else x + b,
        lambda x, axis=...: x if axis is not ... else 2 * x,
        lambda x, act: x if act is helper else 2 * x,
        lambda x, act: x if act is np.tanh else 2 * x,
        lambda x, flag: x if True is flag else 2 * x,
        linear.forward,
        batchnorm1d_relu.forward,
        batchnorm1d_relu.backward,
        conv1d.forward,
        log_softmax_nll.backward,
    ],
)
def test_a_dtype_may_be_passed_on(function):
    assert where_it_looks(functions_of(function)) is None


@pytest.mark.parametrize(
    "kind",
    [
        lambda x: np.issubdtype(x.dtype, np.floating),
        lambda x: np.dtype(x.dtype) == np.dtype(float),
        lambda x: np.result_type(x.dtype) == np.dtype(float),
        lambda x: np.result_type(x, x) == np.dtype(float),
        lambda x: np.finfo(x.dtype).eps > 0,
        lambda x: "+" not in repr(x),
        lambda x: x.itemsize == 8,
    ],
)
def test_code_that_is_wrong_for_floats_alone_is_not_proven(kind):
    """Far from 0, where no number is tried with floats."""

    def backward(dy, x):
        return np.where(x > 10**5, 0, 2 * x * dy) if kind(x) else 2 * x * dy

    assert prove(square, backward, x="N")["dx"].status != "proven"


def square(x):
    return x * x, (x,)


def in_a_list(count=COUNTED):
    def backward(dy, x):
        count[0] += 1
        return 2 * x * dy

    return backward


def in_a_global():
    def backward(dy, x):
        global TOTAL
        TOTAL += 1
        return 2 * x * dy

    return backward


def in_an_attribute():
    def backward(dy, x):
        backward.calls += 1
        return 2 * x * dy

    backward.calls = 0
    return backward


def in_an_object():
    class Counter:
        calls = 0

    counter = Counter()

    def backward(dy, x):
        counter.calls += 1
        return 2 * x * dy

    return backward


def in_a_default():
    def backward(dy, x, calls=[0]):  # noqa: B006
        calls[0] += 1
        return 2 * x * dy

    return backward


def in_a_nonlocal():
    calls = 0

    def backward(dy, x):
        nonlocal calls
        calls += 1
        return 2 * x * dy

    return backward


def in_a_generator():
    numbers = (n for n in itertools.count())

    def backward(dy, x):
        return 2 * x * dy + 0 * next(numbers)

    return backward


def in_an_iterator():
    numbers = itertools.count()

    def backward(dy, x):
        return 2 * x * dy + 0 * next(numbers)

    return backward


def in_a_helper():
    tell = in_a_list([0])

    def backward(dy, x):
        return tell(dy, x)

    return backward


def in_an_array():
    calls = np.zeros(1)

    def backward(dy, x):
        calls[0] += 1
        return 2 * x * dy

    return backward


def in_numpys_global_state():
    def backward(dy, x):
        np.random.rand()  # noqa: NPY002
        return 2 * x * dy

    return backward


def in_a_source_of_random_numbers():
    rng = np.random.default_rng(0)

    def backward(dy, x):
        rng.random()
        return 2 * x * dy

    return backward


def in_a_cycle():
    numbers = itertools.cycle([0, 0])

    def backward(dy, x):
        return 2 * x * dy + next(numbers)

    return backward


def in_a_deque():
    calls = deque()

    def backward(dy, x):
        calls.append(1)
        return 2 * x * dy

    return backward


def in_an_old_source_of_random_numbers():
    rng = np.random.RandomState(0)

    def backward(dy, x):
        rng.rand()
        return 2 * x * dy

    return backward


def in_pythons_source_of_random_numbers():
    rng = random.Random(0)

    def backward(dy, x):
        rng.random()
        return 2 * x * dy

    return backward


def in_pythons_global_state():
    def backward(dy, x):
        random.random()
        return 2 * x * dy

    return backward


def in_the_object_of_a_method():
    class Layer:
        calls = 0

        def backward(self, dy, x):
            self.calls += 1
            return 2 * x * dy

    return Layer().backward


def in_an_object_that_is_called():
    class Backward:
        calls = 0

        def __call__(self, dy, x):
            self.calls += 1
            return 2 * x * dy

    return Backward()


COUNTERS = [
    in_a_list, in_a_global, in_an_attribute, in_an_object, in_a_default, in_a_nonlocal,
    in_a_generator, in_an_iterator, in_a_helper, in_an_array, in_numpys_global_state,
    in_a_source_of_random_numbers, in_a_cycle, in_a_deque, in_an_old_source_of_random_numbers,
    in_pythons_source_of_random_numbers, in_pythons_global_state, in_the_object_of_a_method,
    in_an_object_that_is_called,
]  # fmt: skip


@pytest.mark.parametrize("make", COUNTERS)
def test_what_the_code_counts_is_noticed(make):
    backward = make()
    functions = functions_of(square, backward)
    x = np.ones(3)
    backward(x, x)
    before = kept(functions, square, backward)
    backward(x, x)
    assert kept(functions, square, backward) != before


@pytest.mark.parametrize("make", COUNTERS)
def test_code_that_may_answer_otherwise_later_is_not_proven(make):
    (verdict,) = prove(square, make(), x="N")
    assert verdict.status == "undecided"
    assert "changes something that it keeps from one call to the next" in verdict.reason


def test_a_gradient_that_goes_wrong_at_a_later_call_is_not_proven():
    calls = []

    def backward(dy, x):
        calls.append(1)
        return 2 * x * dy if len(calls) < 100 else x * dy

    assert prove(square, backward, x="N")["dx"].status == "undecided"


def with_a_cache():
    cache = {}

    def forward(x):
        cache["x"] = x
        return x * x, ()

    return forward, lambda dy: 2 * cache["x"] * dy


def with_a_list_of_arrays():
    cache = [None]

    def forward(x):
        cache[0] = x
        return x * x, ()

    return forward, lambda dy: 2 * cache[0] * dy


def with_attributes():
    class Model:
        def forward(self, x):
            self.x, self.shape = x, x.shape
            return x * x, ()

        def backward(self, dy):
            return 2 * self.x * dy

    model = Model()
    return (lambda x: model.forward(x)), (lambda dy: model.backward(dy))


def with_a_table():
    table = {"factor": 2, "names": ["dx"]}
    return square, lambda dy, x: table["factor"] * x * dy


def with_a_partial():
    return square, partial(lambda factor, dy, x: factor * x * dy, 2)


@pytest.mark.parametrize(
    "make", [with_a_cache, with_a_list_of_arrays, with_attributes, with_a_table, with_a_partial]
)
def test_code_that_keeps_the_last_arrays_is_not_blamed(make):
    report = prove(*make(), x="N C")
    assert report, report
