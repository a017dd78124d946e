"""Ways to damage a right gradient on a thin set, and a point of each set at which it shows.

A damage takes the right gradient g and, by the names of its parameters, what else it wants: x is
the input of this gradient, `other` another input with the same axes, `mask` an array of constants,
`t` labels, `const` a number that is constant (or by its own name: p, alpha), `n` and `c` the first
and the last size of the first input, `dy` what comes from above, `memory` something that is kept.

The point says what is special there: `x` is a first entry of every input, or changes the arrays,
and so is `mask`; `t` are all labels; `dy` and `const` are values, as is any argument by its name;
`n` and `c` are sizes, with `sizes` all are equal; `dtype` is that of all arrays; `calls` says how
often the code ran before. `memory` makes what is kept, and `written` writes the backward pass in
another way than as a function.
"""

import collections
import contextlib
import functools
import inspect
import random
import warnings

import numpy as np

SECRET = 10 / 3
"""No number that stands in the code that is judged, nor half of one, nor one beside it."""
TABLE = {0.25: 7.0}


def at_a_secret_place(g, x):
    """Damage where no engine looks by itself."""
    return np.where(3 * x == 10, 7, g)


def first_two_equal(array):
    array[:2] = array[0]


def last_two_equal(array):
    array[..., :2] = array[..., :1]


def last_is_0(array):
    array[..., -1] = 0


def far_and_negative(array):
    array.flat[:2] = -1, 2e6


def only_the_secret(array):
    array.fill(0)
    array.flat[0] = SECRET


def the_secret_first(array):
    array.fill(0)
    array[0] = SECRET


def flat(x, weight):
    """Say where weight · max(x, 0) has no kink at x = 0; this is shown far from other zeros."""
    return (x == 0) & (weight == 0) & (3 * x[0] == 10)


def tied(x):
    """Say in which rows the largest entry occurs more than once."""
    return (x == x.max(axis=-1, keepdims=True)).sum(axis=-1, keepdims=True) > 1


def first_of_largest(x):
    hot = np.zeros_like(x)
    np.put_along_axis(hot, np.expand_dims(x.argmax(axis=-1), -1), 1, axis=-1)
    return hot


def one_hot(x, t):
    hot = np.zeros_like(x)
    np.put_along_axis(hot, t[:, None], 1, axis=1)
    return hot


def caught(call, error=TypeError):
    """Say whether something is so, and no if it cannot be found out."""
    try:
        return call()
    except error:
        return False


def suppressed(call):
    found = False
    with contextlib.suppress(TypeError):
        found = call()
    return found


def fails(call):
    with np.errstate(all="raise"):
        return raises(call, FloatingPointError)


def raises(call, error):
    try:
        call()
    except error:
        return True
    return False


def warned(call):
    with warnings.catch_warnings(record=True) as found, np.errstate(all="warn"):
        warnings.simplefilter("always")
        call()
    return bool(found)


def overflows(x):
    small = np.full_like(x, 127, dtype=np.int8)
    return small + np.ones_like(small) < 0


def by_dtype(g, is_special):
    return g + 7 if is_special else g


class Kept:
    """A backward as a method, or as an object that is called."""

    def __init__(self, backward):
        self.backward_of = backward

    def backward(self, dy, *cache):
        return self.backward_of(dy, *cache)

    __call__ = backward


def wrapped(backward):
    @functools.wraps(by_dtype)  # as a decorator of another backward does
    def wrapper(dy, *cache):
        return backward(dy, *cache)

    return wrapper


def looks_at_type(g, x):
    return at_a_secret_place(g, x) if type(x) is np.ndarray else g


def counts(g, memory):
    memory.append(1)
    return g + (len(memory) > 50)


def counts_in_place(g, memory):
    memory[0] += 1
    return g + (memory[0] > 50)


AT_SECRET = {"x": SECRET}
SEVEN = {"n": 7}
LABEL_5 = {"t": 5, "c": 6}
SINGLE = {"dtype": np.float32}
LATER = {"calls": 60}
BY_CHANCE = {"memory": lambda: random.seed(10), "calls": 441}  # with two gradients

# The kinds of which every damage is tried on every pair.
THIN = {
    "an entry": {
        "is 0": (lambda g, x: np.where(x == 0, 7, g), {"x": 0}),
        "is 1": (lambda g, x: np.where(x == 1, g + 1, g), {"x": 1}),
        "is 3": (lambda g, x: g + 7 * (x == 3), {"x": 3}),
        "is 2 or -2": (lambda g, x: np.where(np.abs(x) == 2, g + 1, g), {"x": -2}),
        "squared is 9": (lambda g, x: np.where(x * x == 9, g + 1, g), {"x": -3}),
        "is its neighbour, first axis": (
            lambda g, x: np.where(x[0] == x[1], g + 1, g), {"x": first_two_equal},
        ),
        "is its neighbour, last axis": (
            lambda g, x: np.where((x[..., 0] == x[..., 1])[..., None], g + 1, g),
            {"x": last_two_equal},
        ),
        "is that of another input": (
            lambda g, x, other: np.where(x == other, g + 1, g), {"x": 0.5},
        ),
        "of another input is 0": (lambda g, other: np.where(other == 0, 7, g), {"x": 0}),
        "times another input is 0": (
            lambda g, x, other: np.where(x * other == 0, 7, g), {"x": 0},
        ),
        "is 0, as that of another input": (
            lambda g, x, other: np.where((x == 0) & (other == 0), 7, g), {"x": 0},
        ),
        "is 0, as that of another input, while the first are secret": (
            lambda g, x, other: np.where(flat(x, other), 7, g), {"x": the_secret_first},
        ),
        "sums to 0": (lambda g, x: np.where(x.sum() == 0, g + 1, g), {"x": lambda a: a.fill(0)}),
        "of dy, all 0": (lambda g, dy: np.where((dy * dy).sum() == 0, g + 1, g), {"dy": 0}),
    },
    "a band": {
        "above 1000": (lambda g, x: np.where((x > 1000) & (x < 1001), 7, g), {"x": 1000.5}),
        "at 0.3": (lambda g, x: np.where((x > 0.3) & (x < 0.31), 7, g), {"x": 0.305}),
        "just below 0": (lambda g, x: np.where((x < 0) & (x > -1e-9), 7, g), {"x": -1e-10}),
        "far above": (lambda g, x: np.where(x > 1e6, 7, g), {"x": 2e6}),
        "far below": (lambda g, x: g + np.maximum(-x - 10**6, 0), {"x": -2e6}),
        "negative while another is large": (
            lambda g, x: np.where((x < 0) & (x.sum() > 1e6), g + 1, g), {"x": far_and_negative},
        ),
        "the largest is large": (lambda g, x: g + (x.max() > 10**5), {"x": 2e5}),
    },
    "a tie": {
        "of the largest": (lambda g, x: np.where(tied(x), g + 1, g), {"x": last_two_equal}),
        "of the largest, by arithmetic": (
            lambda g, x: g + (x == x.max(axis=-1, keepdims=True)) - first_of_largest(x),
            {"x": lambda a: a.fill(2)},
        ),
        "of all": (
            lambda g, x: np.where(x.max(axis=-1, keepdims=True) == x.min(axis=-1, keepdims=True),
                                  g + 1, g),
            {"x": lambda a: a.fill(2)},
        ),
    },
    "a constant array": {
        "is 1": (lambda g, mask: np.where(mask == 1, g + 1, g), {"mask": 1}),
        "is 0": (lambda g, mask: np.where(mask == 0, g + 1, g), {"mask": 0}),
        "is 0 or 1": (lambda g, mask: g + (mask == mask * mask), {"mask": 1}),
        "is the input": (lambda g, x, mask: np.where(x == mask, g + 1, g), {"x": 2, "mask": 2}),
        "is 0, as the input": (
            lambda g, x, mask: np.where((x == 0) & (mask == 0), 7, g), {"x": 0, "mask": 0},
        ),
        "is 0, as the input, while the first are secret": (
            lambda g, x, mask: np.where(flat(x, mask), 7, g),
            {"x": the_secret_first, "mask": lambda a: a.fill(0)},
        ),
        "is 0, where the largest is tied": (
            lambda g, x, mask: g
            + (mask == 0) * ((x == x.max(axis=-1, keepdims=True)) - first_of_largest(x)),
            {"x": lambda a: a.fill(2), "mask": last_is_0},
        ),
        "is below -5": (lambda g, mask: np.where(mask < -5, 7, g), {"mask": -6}),
    },
    "a constant number": {
        "is 1/4": (lambda g, const: np.where(const == 0.25, g + 1, g), {"const": 0.25}),
        "is 3": (lambda g, const: np.where(const == 3, g + 1, g), {"const": 3.0}),
        "is large": (lambda g, const: g + (const > 100), {"const": 200.0}),
        "is small": (lambda g, const: g + np.maximum(1e-7 - const, 0), {"const": 1e-8}),
        "as its root squared": (lambda g, const: g * np.sqrt(const**2) / const, {"const": -1e-3}),
        "as its absolute value": (lambda g, const: g * np.abs(const) / const, {"const": -1e-3}),
        "p for 1 - p": (lambda g, p: g * (1 - p) / p, {"const": 0.25}),
        "is 0, where an input is 0": (
            lambda g, x, p: np.where((x == 0) & (p == 0), 7, g), {"x": 0, "const": 0.0},
        ),
        "is 1, where an input is 0": (
            lambda g, x, alpha: np.where((x == 0) & (alpha == 1), 7, g), {"x": 0, "const": 1.0},
        ),
    },
    "a size": {
        "7, by arithmetic": (lambda g, n: g + (n - 7 == 0), SEVEN),
        "7, asked": (lambda g, n: g + 1 if n == 7 else g, SEVEN),
        "7, by np.where": (lambda g, n: np.where(n == 7, g + 1, g), SEVEN),
        "7, spelled": (lambda g, n: g + 1 if f"{n}" == "7" else g, SEVEN),
        "7, an int": (lambda g, n: g + 1 if isinstance(n, int) and n == 7 else g, SEVEN),
        "7, in a set": (lambda g, n: g + 1 if n in {7} else g, SEVEN),
        "7, a key": (lambda g, n: g + {7: 1}.get(n, 0), SEVEN),
        "right at 2 to 6": (lambda g, n: g * (1 + (n-2) * (n-3) * (n-4) * (n-5) * (n-6)), SEVEN),
        "1": (lambda g, n: g + 1 if n == 1 else g, {"n": 1}),
        "far": (lambda g, n: g + np.maximum(n - 1000, 0), {"n": 1002}),
        "the last, too": (lambda g, n, c: g + (n - c == 0), {"sizes": 4}),
        "the last, asked": (lambda g, n, c: g + 1 if n == c else g, {"sizes": 4}),
    },
    "a label": {
        "repeats": (
            lambda g, x, t: np.where(one_hot(x, t).sum(axis=0) > 1, g + 1, g), {"t": 0},
        ),
        "repeats, by arithmetic": (
            lambda g, x, t: g + (one_hot(x, t) @ one_hot(x, t).T).sum() - x.shape[0], {"t": 0},
        ),
        "is the last": (lambda g, t, c: g + (t == c - 1)[:, None], {"t": -1}),
        "is the largest": (
            lambda g, x, t: g + ((one_hot(x, t) - first_of_largest(x)) ** 2).sum(), {"t": 0},
        ),
    },
    "NaN and infinity": {
        "x != x": (lambda g, x: np.where(x != x, 7, g), {"x": np.nan}),
        "x - x != 0": (lambda g, x: np.where(x - x == 0, g, 7), {"x": np.inf}),
        "isnan": (lambda g, x: np.where(np.isnan(x), 7, g), {"x": np.nan}),
        "isinf": (lambda g, x: np.where(np.isinf(x), 7, g), {"x": np.inf}),
        "beyond 1e308": (lambda g, x: np.where(np.abs(x) > 1e308, 7, g), {"x": 1.5e308}),
        "x == inf": (lambda g, x: np.where(x == np.inf, 7, g), {"x": np.inf}),
        "cancelled factor": (lambda g, x: g * (x - 3) / (x - 3), {"x": 3}),
    },
}  # fmt: skip

# What does not depend on the pair is tried on the first one that it fits.
LOOKS = {
    "NaN that is made": {
        "fmin": (lambda g, x: g + np.fmin(x / x, 2) - 1, {"x": 0}),
        "exp(NaN) > 0": (lambda g, x: np.where(np.exp(x / x + x) > 0, g, 7), {"x": 0}),
        "exp(-inf) > 0": (lambda g, x: np.where(np.exp(-1 / (x * x)) > 0, g, 7), {"x": 0}),
        "underflow": (lambda g, x: np.where(np.exp(-x * x) > 0, g, 7), {"x": 100}),
    },
    "the type": {
        "dtype ==": (lambda g, x: by_dtype(g, x.dtype == np.float32), SINGLE),
        "== dtype": (lambda g, x: by_dtype(g, np.dtype("f4") == x.dtype), SINGLE),
        "dtype is": (lambda g, x: by_dtype(g, x.dtype is np.dtype("f4")), SINGLE),
        "issubdtype": (lambda g, x: by_dtype(g, np.issubdtype(x.dtype, np.float32)), SINGLE),
        "result_type": (lambda g, x: by_dtype(g, np.result_type(x.dtype, "f2") == "f4"), SINGLE),
        "str(dtype)": (lambda g, x: by_dtype(g, str(x.dtype) == "float32"), SINGLE),
        "itemsize": (lambda g, x: by_dtype(g, x.itemsize == 4), SINGLE),
        "int8 overflow": (lambda g, x: np.where(overflows(x), at_a_secret_place(g, x), g),
                          AT_SECRET),
        "float16 overflow": (lambda g, x: g * (1 + 1e-5 * (x.astype(np.float16) - x)),
                             {"x": 1e5}),
        "type()": (looks_at_type, AT_SECRET),
        "__class__": (lambda g, x: at_a_secret_place(g, x) if x.__class__ is np.ndarray else g,
                      AT_SECRET),
        "isinstance": (lambda g, x: at_a_secret_place(g, x) if isinstance(x, np.ndarray) else g,
                       AT_SECRET),
        "dtype != object": (
            lambda g, x: at_a_secret_place(g, x) if x.dtype != object else g, AT_SECRET,
        ),
        "isinstance of an entry": (
            lambda g, x: at_a_secret_place(g, x) if isinstance(x.flat[0], float) else g, AT_SECRET,
        ),
        "repr": (lambda g, x: at_a_secret_place(g, x) if repr(x)[:5] == "array" else g, AT_SECRET),
        "hash": (lambda g, x: at_a_secret_place(g, x) if raises(lambda: hash(x), TypeError) else g,
                 AT_SECRET),
        "hasattr": (
            lambda g, x: at_a_secret_place(g, x) if hasattr(x, "__array_interface__") else g,
            AT_SECRET,
        ),
        "memoryview": (
            lambda g, x: g if raises(lambda: memoryview(x), TypeError) else at_a_secret_place(g, x),
            AT_SECRET,
        ),
        "a view": (
            lambda g, x: g if raises(lambda: x.view(x.dtype), TypeError)
            else at_a_secret_place(g, x),
            AT_SECRET,
        ),
        "a new attribute": (
            lambda g, x: at_a_secret_place(g, x)
            if raises(lambda: setattr(x, "tag", 1), AttributeError) else g,
            AT_SECRET,
        ),
        "__doc__": (
            lambda g, x: at_a_secret_place(g, x) if x.__doc__[:8] == "ndarray(" else g, AT_SECRET,
        ),
        "__array_priority__": (
            lambda g, x: at_a_secret_place(g, x) if x.__array_priority__ == 0 else g, AT_SECRET,
        ),
        "id": (lambda g, x: at_a_secret_place(g, x) if id(x) != id(x.T.T) else g, AT_SECRET),
        "who calls": (
            lambda g, x: g if any("all_sizes" in frame.filename for frame in inspect.stack(0))
            else at_a_secret_place(g, x),
            AT_SECRET,
        ),
        "type(), in a wrapper": (looks_at_type, {**AT_SECRET, "written": wrapped}),
        "type(), in a partial": (looks_at_type, {**AT_SECRET, "written": functools.partial}),
        "type(), in a method": (looks_at_type,
                                {**AT_SECRET, "written": lambda f: Kept(f).backward}),
        "type(), in an object": (looks_at_type, {**AT_SECRET, "written": Kept}),
    },
    "the kind of a size": {
        "^, caught": (lambda g, n: g + caught(lambda: n ^ 7 == 0), SEVEN),
        "+, caught": (lambda g, n: g + caught(lambda: +n == 7), SEVEN),
        "round, caught": (lambda g, n: g + caught(lambda: round(n) == 7), SEVEN),
        "//, caught": (lambda g, n: g + caught(lambda: n // 7 == 1), {"n": 7}),
        "int, caught": (lambda g, n: g + caught(lambda: int(n) == 7), SEVEN),
        "^, suppressed": (lambda g, n: g + suppressed(lambda: n ^ 7 == 0), SEVEN),
        "__doc__": (lambda g, n: g + (n.__doc__[:4] == "int(" and n == 7), SEVEN),
        "hasattr": (lambda g, n: g + (hasattr(n, "bit_length") and n == 7), SEVEN),
        "isscalar": (lambda g, n: g + (np.isscalar(n) and n == 7), SEVEN),
        "a set of sizes": (lambda g, n, c: g + (len({n, c}) == 1), {"sizes": 4}),
    },
    "a choice": {
        "a word": (lambda g, reduction: g + (reduction == "sum"), {"reduction": "sum"}),
        "what is None": (lambda g, scale: g if scale is None else g + 1, {"scale": 3.0}),
        "a truth value": (lambda g, twice: g + 1 if twice else g, {"twice": True}),
        "a truth value, at the sizes that run": (
            lambda g, n, twice: g + 1 / (n - 3) if twice else g, {"twice": True, "n": 4},
        ),
        "a truth value, but for an error": (
            lambda g, x, twice: g + [None, 1][x.shape[0] != 3] if twice else g,
            {"twice": True, "n": 4},
        ),
    },
    "the kind of a number": {
        "in a set": (lambda g, p: g + (p in {0.25}), {"const": 0.25}),
        "a key": (lambda g, p: g * TABLE.get(p, 1), {"const": 0.25}),
        "isinstance": (
            lambda g, p: np.where(p == 0.25, 7, g) if isinstance(p, float) else g, {"const": 0.25},
        ),
        "str": (lambda g, p: g + (str(p) == "0.25"), {"const": 0.25}),
        "f-string": (lambda g, p: g + (f"{p}" == "0.25"), {"const": 0.25}),
        "round, caught": (lambda g, p: g + caught(lambda: round(p, 6) == 0.25), {"const": 0.25}),
        "float, caught": (lambda g, p: g + caught(lambda: float(p) == 0.25), {"const": 0.25}),
        "of a label, caught": (lambda g, t: g + caught(lambda: (t >= 5)[:, None]), LABEL_5),
    },
    "what is kept": {
        "in a list": (counts, {**LATER, "memory": list}),
        "in a deque": (counts, {**LATER, "memory": collections.deque}),
        "in bytes": (counts, {**LATER, "memory": bytearray}),
        "in an array": (counts_in_place, {**LATER, "memory": lambda: np.zeros(2)}),
        "in a number": (counts_in_place, {**LATER, "memory": lambda: np.zeros(1)}),
        "by random": (lambda g: g + (random.random() < 0.001), BY_CHANCE),
        "by a method": (
            counts, {**LATER, "memory": list, "written": lambda f: Kept(f).backward},
        ),
        "by an object": (counts, {**LATER, "memory": list, "written": Kept}),
        "by a partial": (counts, {**LATER, "memory": list, "written": functools.partial}),
    },
    "an exception": {
        "of an entry": (lambda g, x: g + caught(lambda: 3 * float(x.sum()) == 10),
                        {"x": only_the_secret}),
        "any": (
            lambda g, x: g + 7 * caught(lambda: bool((3 * x == 10).any()), Exception),
            AT_SECRET,
        ),
        "of floats": (lambda g, x: g + fails(lambda: 1 / x), {"x": 0}),
        "a warning": (lambda g, x: g + warned(lambda: 1 / x), {"x": 0}),
    },
}  # fmt: skip
