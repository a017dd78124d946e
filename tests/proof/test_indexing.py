"""Slices, places and masks mean what NumPy means, read and written, and have NumPy's gradients."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from proof.evaluation import number_of_entries
from proof.test_symbolic import arguments_of, instantiated

from backprop_lib.proof import calculus, joining  # noqa: F401  what is followed
from backprop_lib.proof.calculus import Entry, Pick
from backprop_lib.proof.indexing import arange
from backprop_lib.proof.refusal import NotFollowedError
from backprop_lib.proof.symbolic import PlaceArray, Run, Size, SymbolicArray

SHAPES = {
    "x": "N L", "y": "N L", "v": "L", "t": "N C L", "u": "N C", "w": "C", "E": "C L", "four": "N 4", "one": "N 1",
    "many": "N 10", "q": "L L",
}  # fmt: skip
LABELS = {"ids": ("N", "C"), "spots": ("N", "L"), "several": ("N L", "C")}
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


def numbered(size):
    """Return what np.arange does, in a run of the prover as well."""
    return arange(size.run, size) if isinstance(size, Size) else np.arange(size)


def cross_entropy_gradient(u, ids):
    result = u * 2
    result[numbered(u.shape[0]), ids] -= 1
    return result / u.shape[0]


def smoothed(u, ids):
    result = np.full_like(u, 0.1)
    result[numbered(u.shape[0]), ids] = 0.9
    return result * u


def scattered(E, x, ids):
    result = E * 1
    np.add.at(result, ids, x)
    np.subtract.at(result, (ids, 0), x[:, 0] ** 2)
    return result


def scattered_below(E, y, several):
    result = np.zeros_like(E)
    np.add.at(result, (several, numbered(E.shape[1])), y)
    return result


def exponential_unit(x):
    y, below = x * 1, x < 0
    y[below] = 0.5 * (np.exp(x[below]) - 1)
    return y


def exponential_unit_backward(x, y):
    dx, below = y * 1, x < 0
    dx[below] *= 0.5 * np.exp(x[below])
    dx[x > 1] = -y[x > 1]
    dx[~below & (y > 0)] = 7
    return dx


JOINED = {
    "concatenate": lambda x, u: np.concatenate([x, u, x[:, :1]], axis=1) ** 2,
    "concatenate equal": lambda x, y: np.concatenate((x, y), axis=-1) * 3,
    "concatenate rows": lambda v, w: np.concatenate([v, w]),
    "concatenate known": lambda four, one: np.concatenate([one, four, one * 2], axis=1),
    "halves exchanged": lambda four: np.concatenate([-four[:, 2:], four[:, :2]], axis=-1) * four,
    "functions of what is joined": lambda x, u: np.exp(np.concatenate([x, u], axis=1)) + np.sqrt(1 + np.concatenate([x, u], axis=1) ** 2),
    "comparison of what is joined": lambda x, u: np.maximum(np.concatenate([x, u], axis=1), 0),
    "roots of what is joined": lambda x, u: 1 / np.concatenate([1 + x * x, 2 + u * u], axis=1),
    "softmax of what is joined": lambda x, u: (lambda e: e / e.sum(axis=1, keepdims=True))(np.exp(np.concatenate([x, u], axis=1))),
    "joined and parted": lambda x, u: np.concatenate([x, u], axis=1)[:, : x.shape[1]] * np.concatenate([x, u], axis=1)[:, : -u.shape[1]],
    "stack": lambda x, y: np.stack([x, y, 2 * x], axis=1),
    "stack last": lambda x, y: np.stack((x, y), axis=-1),
    "stack slices": lambda x: np.stack([x[:, k : x.shape[1] - 2 + k] for k in range(3)], axis=2),
    "hstack": lambda x, u, v, w: np.hstack((x, u)).sum() + np.hstack((v, w)),
    "vstack": lambda v, x: np.vstack([v, x, v]),
    "dstack": lambda x, y, t: np.dstack((x, y)).sum() + np.dstack([t, t[:, :, :1]]),
    "column_stack": lambda v, E: np.column_stack([v, E.T]),
    "append": lambda x, u, v: np.append(x, u, axis=1).sum() + np.append(v, x.sum()),
    "split at": lambda x: np.split(x, [1, -1], axis=1)[1] * np.split(x, [1, 2], axis=1)[0],
    "split": lambda four: np.split(four, 2, axis=1)[0] - np.split(four, 2, axis=1)[1],
    "split of merged": lambda x: np.subtract(*np.split(np.concatenate([x, x * x], axis=1), 2, axis=1)),
    "array_split": lambda many: np.array_split(many, 3, axis=1)[0] + np.array_split(many, [4, 8], axis=1)[1].sum(),
    "hsplit and vsplit": lambda four, x: np.hsplit(four, [1])[1] * np.vsplit(x, [1])[0].sum(),
    "pad": lambda x: np.pad(x, ((0, 0), (2, 1))) + 0,
    "pad all": lambda x: np.pad(x, 1, constant_values=3) ** 2,
    "pad a pair": lambda v: np.pad(v, (1, 2), mode="constant"),
    "pad and cut": lambda t: np.pad(t, ((0, 0), (0, 0), (1, 1)))[:, :, 1:-1] * np.pad(t, ((0, 0), (0, 0), (2, 2)))[:, :, :-4],
    "pad by a size": lambda v, w: np.pad(v, w.shape[0])[w.shape[0] : -w.shape[0]],
    "maximum of padded": lambda x: np.maximum(np.pad(x, ((0, 0), (1, 0))), np.pad(x, ((0, 0), (0, 1)))),
    "roll": lambda x: np.roll(x, 1, axis=1) - np.roll(x, -2, axis=1),
    "roll known": lambda four: np.roll(four, 3, axis=-1) * four,
    "flip": lambda x, y: np.flip(x, 1) + np.flip(y) * np.fliplr(x) - np.flipud(y) + np.flip(x, axis=(0, 1)),
    "cumsum": lambda x: x.cumsum(axis=1) * np.cumsum(x, axis=0),
    "cumsum reversed": lambda x: np.cumsum(x[:, ::-1], axis=1)[:, ::-1],
    "cumsum of known": lambda four: np.cumsum(four * four, axis=1),
    "cumsum at an entry": lambda x: np.cumsum(x, axis=1)[:, 2] - np.cumsum(x, axis=1)[:, -1],
    "diff": lambda x: np.diff(x) + np.diff(x, axis=1) + np.diff(x, n=2, axis=1).sum(),
    "repeat": lambda x: np.repeat(x, 2, axis=1) + x.repeat(2, axis=1),
    "tile": lambda x, v: np.tile(x, (1, 2)) * np.tile(v, 2),
    "take": lambda x, four: np.take(x, [0, -1], axis=1) + np.take(four, 3, axis=1)[:, None],
    "broadcast_arrays": lambda x, v: np.broadcast_arrays(x, v)[0] * np.broadcast_arrays(x, v)[1],
    "windows": lambda x: sliding_window_view(x, 3, axis=1) ** 2,
    "windows of two axes": lambda t: sliding_window_view(t, (2, 3), axis=(1, 2)).sum(axis=(-1, -2)),
    "convolution": lambda x, four: np.einsum("nlk,nk->nl", sliding_window_view(x, 4, axis=1), four),
}  # fmt: skip
PLACES = {
    "look up rows": lambda E, ids: E[ids] * 2,
    "look up one each": lambda u, ids: -np.log(1 + u[numbered(u.shape[0]), ids] ** 2).mean(),
    "look up in rows": lambda u, ids: np.take(u, ids, axis=1)[:, 0],
    "look up two axes": lambda E, several: E[several, numbered(E.shape[1])],
    "look up many": lambda E, several: E[several].sum(axis=1),
    "look up weights": lambda w, u, ids: w[ids] * u[numbered(u.shape[0]), ids] / w[ids].sum(),
    "look up and slice": lambda t, ids: t[numbered(t.shape[0]), ids, 1:],
    "arrays apart": lambda t, spots: t[numbered(t.shape[0]), :, spots] + t[0, :, spots],
    "columns apart": lambda t, ids, spots: t[:, ids, spots[:, None]],
    "labels read": lambda E, several: E[several[:, 0], 0] * E[several[0]].sum(),
    "labels reshaped": lambda E, several: E[several.reshape(-1)] + E[np.ravel(several)],
    "labels transposed": lambda w, several: w[several.T] * w[np.transpose(several)],
    "labels in steps": lambda w, ids: w[ids[1:]] - w[ids[:-1]],
    "labels of a slice": lambda E, ids, spots: E[:, 1:][:, 0] * E[0, 0] + E[ids, spots].sum(),
    "one hot": lambda u, ids: u * (ids[:, None] == numbered(u.shape[1])),
    "not this one": lambda u, ids: np.where(numbered(u.shape[1])[None, :] != ids[:, None], u, 0).sum(axis=1),
    "first label": lambda u, ids: u * (ids == 0)[:, None] + u * (ids != 1)[:, None],
    "lower triangle": lambda x, q: q * (numbered(q.shape[0])[:, None] >= numbered(q.shape[0])) + np.where(numbered(q.shape[0]) > numbered(q.shape[0])[:, None], 0, q),
    "first entries": lambda x: x * (numbered(x.shape[1]) < 2) + x * (numbered(x.shape[1]) >= 4) + x * (numbered(x.shape[1]) >= 1),
    "cross entropy": cross_entropy_gradient,
    "smoothed": smoothed,
    "add at": scattered,
    "add at columns": scattered_below,
    "bincount": lambda v, w, ids: np.bincount(ids, minlength=w.shape[0]) * w,
    "bincount with weights": lambda u, w, ids: np.bincount(ids, weights=u[:, 0] ** 2, minlength=w.shape[0]),
}  # fmt: skip
MASKED = {
    "exponential unit": exponential_unit,
    "its backward": exponential_unit_backward,
    "sum under a mask": lambda x, y: x[x > 0].sum() + np.sum(y[x < 0] ** 2) - x[y > 0].mean() * np.mean(x[x > 0]),
    "two under a mask": lambda x, y: (x[x > y] * y[x > y] - 2 / (1 + x[x > y] ** 2)).sum(),
    "slices under a mask": lambda x: (x[:, 1:][x[:, :-1] > 0] * 2).sum(),
}  # fmt: skip
CODE = (
    READ
    | JOINED
    | PLACES
    | MASKED
    | {f"write {name}": written(change) for name, change in WRITTEN.items()}
)


def floats(sizes, seed=0):
    rng = np.random.default_rng(seed)
    arrays = {
        name: rng.normal(
            size=[number_of_entries(int(a) if a.isdecimal() else a, sizes) for a in axes.split()]
        )
        for name, axes in SHAPES.items()
    }
    labels = {
        name: rng.integers(0, sizes[size], size=[sizes[a] for a in axes.split()])
        for name, (axes, size) in LABELS.items()
    }
    return arrays, labels


def symbols(run):
    arrays = {
        name: run.array(name, [int(a) if a.isdecimal() else a for a in axes.split()])
        for name, axes in SHAPES.items()
    }
    for name, (axes, size) in LABELS.items():
        own = run.array(name, axes.split())
        place = Pick(name, size, tuple(index for axis in own.axes for index in axis))
        arrays[name] = PlaceArray(run, own.axes, place)
    return arrays


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
    arrays, labels = floats(sizes, seed)
    everything = arrays | labels
    expected = np.asarray(code(*(everything[name] for name in names)))
    found = instantiated(result, arrays, sizes, labels)
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)
    dy = np.random.default_rng(seed + 1).normal(size=expected.shape)
    for name in set(names) - set(labels):
        check_gradient(code, result, name, names, everything, dy, sizes)


def check_gradient(code, result, name, names, arrays, dy, sizes):
    run = result.run
    x = run.array(name, [int(a) if a.isdecimal() else a for a in SHAPES[name].split()])
    at = [axis[0].fresh() if axis else 0 for axis in x.axes]
    places = [index for axis in result.axes for index in axis]
    upstream = calculus.entry("dy", *places)
    gradient = calculus.total(upstream * result.formula.derivative(Entry(name, tuple(at))), places)
    claim = SymbolicArray(run, [(i,) if i else () for i in at], gradient)
    spread = [number_of_entries(i.size, sizes) for i in places]
    labels = {key: arrays[key] for key in LABELS}
    values = {key: arrays[key] for key in SHAPES}
    found = instantiated(claim, {**values, "dy": dy.reshape(spread)}, sizes, labels)
    direction = np.random.default_rng(3).normal(size=arrays[name].shape)
    step = 1e-5

    def loss(t):
        moved = {**arrays, name: arrays[name] + t * direction}
        return np.sum(dy * code(*(moved[n] for n in names)))

    assert np.isclose(
        np.sum(found * direction), (loss(step) - loss(-step)) / (2 * step), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", CODE)
def test_means_what_numpy_means(name, sizes):
    check(CODE[name], sizes)
