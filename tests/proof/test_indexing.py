"""Slices, places and masks mean what NumPy means, read and written, and have NumPy's gradients."""

import numpy as np
import pytest
from proof.evaluation import number_of_entries, value_of_formula
from proof.test_symbolic import arguments_of, instantiated

from backprop_lib.proof import calculus
from backprop_lib.proof.calculus import Entry
from backprop_lib.proof.indexing import arange
from backprop_lib.proof.refusal import NotFollowedError
from backprop_lib.proof.symbolic import Run, SymbolicArray

SHAPES = {
    "x": "N L", "y": "N L", "v": "L", "t": "N C L", "u": "N C", "w": "C", "E": "C L", "four": "N 4", "one": "N 1",
    "many": "N 10", "part": "L",
}  # fmt: skip
SIZES = [{"N": 3, "C": 2, "L": 5}, {"N": 2, "C": 5, "L": 6}]


def written(change):
    """Return code that changes a copy of x and returns it."""

    def code(x, y, v):
        result = x * 1
        change(result, y, v)
        return result

    return code


def shifted_into(result, y, v):
    result[:, 1:] += y[:, 1:] * 2
    result[:, :-1] -= y[:, 1:]


def overwritten(result, y, v):
    result[:, 1:-1] = y[:, 2:]
    result[:, 0] = 3
    result[:, -1] = v[-2]


def reversed_in_place(result, y, v):
    result[:, ::-1] *= y
    result[:, 1:][:, ::-1] += y[:, :-1]


def part_of_a_part(result, y, v):
    inner = result[:, 1:]
    deeper = inner[:, 1:]
    deeper += y[:, 2:]
    result[:, 0] = 7
    inner *= 2


READ = {
    "from 1": lambda x: x[:, 1:],
    "to the last": lambda x: x[:, :-1],
    "difference": lambda x: x[:, 1:] - x[:, :-1],
    "inside": lambda x: x[:, 1:-1] ** 2,
    "first three": lambda x: x[:, :3],
    "last two": lambda x: x[:, -2:],
    "one by slice": lambda x: x[:, 2:3] + x[:, -1:],
    "reversed": lambda x: x[:, ::-1] * x,
    "reversed from the last but one": lambda x: x[:, -2::-1],
    "reversed down to": lambda x: x[:, :0:-1],
    "last": lambda x: x[:, -1] + x[:, -2],
    "rows": lambda x: x[1:] * x[:-1].sum(axis=0),
    "slice of a slice": lambda x: x[:, 1:][:, 1:][:, :-1],
    "entry of a slice": lambda x: x[:, 1:][:, 0] + x[:, :-1][:, -1],
    "several axes": lambda t: t[1:, :, :-2] * t[:-1, :, 2:],
    "ellipsis": lambda t: t[..., 1:],
    "new axis": lambda x: x[:, None, 1:],
    "known axis": lambda four: four[:, 1:3] + four[:, ::2] + four[:, -2:] + four[:, [3, 0]],
    "known axis reversed": lambda four: four[:, ::-1] * four[:, -1:],
    "longer known axis": lambda many: many[:, 1:] * many[:, :-1] + many[:, -1:],
    "every second of ten": lambda many: many[:, ::2] - many[:, 1::2],
    "axis of size 1": lambda one: one[:, 0:] + one[:, -1:] + one[:, ::-1],
    "truth values": lambda four: four[:, [True, False, True, True]],
    "list on an open axis": lambda x: x[[1, 0]],
    "negative in a list": lambda x: x[:, [-1, 0]],
    "sum of a slice": lambda x: x[:, 1:].sum(axis=1) + (x[:, :-1] ** 2).mean(),
    "exp of a slice": lambda x: np.exp(x[:, 1:] - x[:, :-1].mean(axis=1, keepdims=True)),
    "product of slices": lambda x: x[:, 1:] @ x[:, :-1].T,
    "merged": lambda t: t.reshape(t.shape[0], -1)[:, ::-1],
    "first of merged": lambda t: t.reshape(t.shape[0], -1)[:, : t.shape[2]],
    "rest of merged": lambda t: t.reshape(t.shape[0], -1)[:, t.shape[2] :],
    "last of merged": lambda t: t.reshape(t.shape[0], -1)[:, -1],
    "every fourth": lambda four: four.reshape(-1)[1::4] * four.ravel()[::4],
}  # fmt: skip
WRITTEN = {
    "shifted into": shifted_into,
    "overwritten": overwritten,
    "reversed in place": reversed_in_place,
    "part of a part": part_of_a_part,
    "all": lambda r, y, v: r.__setitem__(slice(None), y),
    "an entry": lambda r, y, v: r.__setitem__((0, -1), 5),
    "rows and columns": lambda r, y, v: r.__setitem__((slice(1, None), slice(None, 2)), y[1:, -2:]),
    "broadcast": lambda r, y, v: r.__setitem__((slice(None), slice(1, None)), v[:-1]),
    "listed": lambda r, y, v: r.__setitem__((slice(None), [0, 2]), y[:, 1:3]),
    "reversed list": lambda r, y, v: r.__setitem__((slice(None), [1, 0]), y[:, :2]),
    "twice": lambda r, y, v: (r.__setitem__((slice(None), slice(2, None)), y[:, 2:]), r.__setitem__((slice(None), slice(1, -1)), v[2:])),
}  # fmt: skip
CODE = READ | {f"write {name}": written(change) for name, change in WRITTEN.items()}


def floats(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(size=[number_of_entries(int(a) if a.isdecimal() else a, sizes) for a in axes.split()])
        for name, axes in SHAPES.items()
    }


def symbols(run):
    return {
        name: run.array(name, [int(a) if a.isdecimal() else a for a in axes.split()])
        for name, axes in SHAPES.items()
    }


def run_with_wishes(code, names):
    """Run code on symbols; if it asks for larger sizes, again for those."""
    run = Run()
    while True:
        try:
            return run, code(*(symbols(run)[name] for name in names))
        except NotFollowedError:
            if run.wanted is None:
                raise
            run = Run(run.assumed.granting(run.wanted))


def check(code, sizes, seed=0):
    """Compare what code computes with NumPy's result, and the gradients with measured slopes."""
    names = arguments_of(code)
    run, result = run_with_wishes(code, names)
    assert run.refused is None
    assert all(sizes[name] > bound for name, bound in run.assumed.larger.items())
    arrays = floats(sizes, seed)
    expected = np.asarray(code(*(arrays[name] for name in names)))
    found = instantiated(result, arrays, sizes, {})
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)
    dy = np.random.default_rng(seed + 1).normal(size=expected.shape)
    for name in names:
        check_gradient(code, result, name, names, arrays, dy, sizes)


def check_gradient(code, result, name, names, arrays, dy, sizes):
    run = result.run
    x = run.array(name, [int(a) if a.isdecimal() else a for a in SHAPES[name].split()])
    at = [axis[0].fresh() if axis else 0 for axis in x.axes]
    places = [index for axis in result.axes for index in axis]
    upstream = calculus.entry("dy", *places)
    gradient = calculus.total(
        upstream * result.formula.derivative(Entry(name, tuple(at))), places
    )
    claim = SymbolicArray(run, [(i,) if i else () for i in at], gradient)
    spread = [number_of_entries(i.size, sizes) for i in places]
    found = instantiated(claim, {**arrays, "dy": dy.reshape(spread)}, sizes, {})
    direction = np.random.default_rng(3).normal(size=arrays[name].shape)
    step = 1e-5

    def loss(t):
        moved = {**arrays, name: arrays[name] + t * direction}
        return np.sum(dy * code(*(moved[n] for n in names)))

    assert np.isclose(np.sum(found * direction), (loss(step) - loss(-step)) / (2 * step), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", CODE)
def test_means_what_numpy_means(name, sizes):
    check(CODE[name], sizes)
