"""Slices, places and masks mean what NumPy means, read and written, and have NumPy's gradients."""

from contextlib import suppress

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from proof.evaluation import number_of_entries
from proof.test_symbolic import arguments_of, instantiated

from backprop_lib.proof import calculus, joining, prove  # noqa: F401  what is followed
from backprop_lib.proof.assumptions import Assumed
from backprop_lib.proof.calculus import Entry, Pick
from backprop_lib.proof.creators import making
from backprop_lib.proof.dual import Met, creator, duals, exact_array, value_of
from backprop_lib.proof.indexing import Masked, arange
from backprop_lib.proof.refusal import MismatchError, NotFollowedError
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
    "tanh of what is joined": lambda x, u: np.tanh(np.concatenate([x, u], axis=1)) * np.cos(np.pad(np.hstack([x, u]), ((0, 0), (1, 0))))[:, 1:],
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


@pytest.mark.parametrize("name", CODE)
def test_exact_numbers_follow_the_same_code(name):
    code = CODE[name]
    arrays, labels = floats(SIZES[0])
    arrays = {key: np.round(8 * array) / 8 for key, array in arrays.items()}
    met = Met()
    exactly = {key: duals(exact_array(array), None, met) for key, array in arrays.items()}
    names = arguments_of(code)
    expected = np.asarray(code(*((arrays | labels)[n] for n in names)))
    with making(creator(met)):
        result = np.asarray(code(*((exactly | labels)[n] for n in names)))
    assert met.refused is None
    found = np.array([float(value_of(entry)) for entry in result.flat]).reshape(result.shape)
    assert found.shape == expected.shape
    assert np.allclose(found, expected)


REFUSED = {
    "slice up to another size": (lambda x, w: x[:, : w.shape[0]], "takes a slice that ends after the axis"),
    "every second": (lambda x: x[:, ::2], "takes one of 2 entries along an axis of L"),
    "part of merged": (lambda x: x.reshape(-1)[1:], "takes a slice of N·L merged entries"),
    "entry of merged": (lambda x: x.reshape(-1)[3], "an entry of an axis that was merged"),
    "fraction": (lambda x: x[:, 0.5], "indexes with what is neither whole numbers"),
    "truth values": (lambda x: x[:, [True, False, True]], "truth values along an open axis"),
    "truth value": (lambda x: x[True], "indexes with a truth value"),
    "numbers as an index": (lambda x, w: x[w], "indexes with an array of numbers"),
    "mask beside others": (lambda x: x[x[:, 0] > 0, 0], "indexes with a mask beside other indices"),
    "written twice": (lambda E, x, ids: (E * 1).__setitem__(ids, x), "may repeat, of which the last one counts; use np.add.at"),
    "added to twice": (lambda E, x, ids: (lambda r: r.__setitem__(ids, r[ids] + x))(E * 1), "use np.add.at"),
    "ones at repeated places": (lambda E, ids: (E * 1).__setitem__(ids, 1), "use np.add.at"),
    "repeated in a list": (lambda x: (x * 1).__setitem__((slice(None), [0, 0]), 1), "use np.add.at"),
    "last and first": (lambda v: (v * 1).__setitem__([0, -1], v[:2]), "use np.add.at"),
    "too many places": (lambda many: many[:, np.zeros((10, 10), int)], "a list of more than 64 places"),
    "labels as numbers": (lambda v, ids: v * ids, "labels or np.arange as with numbers"),
    "labels in arithmetic": (lambda E, ids: E[ids + 1], "labels or np.arange as with numbers"),
    "labels and numbers": (lambda v, ids: v * (ids == v), "with what is no whole number"),
    "labels of others": (lambda v, ids, spots: v * (ids == spots), "compares places along"),
    "negative label": (lambda v, ids: v[0] * (ids == -1), "with a number that is negative"),
    "labels as float": (lambda E, ids: E[ids.astype(np.int8)], "makes int8 of labels"),
    "different masks": (lambda x: x[x > 0] + x[x < 0], "entries under different masks"),
    "mask and array": (lambda x, v: x[x > 0] * v, "computes with the entries under a mask"),
    "mask by its shape": (lambda x: x[x > 0].shape, "computes with the entries under a mask"),
    "mask into another": (lambda x: (x * 1).__setitem__(x > 0, x[x < 0]), "entries under different masks"),
    "mask into all": (lambda x: (x * 1).__setitem__(..., x[x > 0]), "writes entries under a mask where there is none"),
    "array into mask": (lambda x: (x * 1).__setitem__(x > 0, x[0]), "writes an array into the masked entries"),
    "nonzero": (lambda x: x[np.nonzero(x)], "uses np.nonzero, which is not followed; how many"),
    "flatnonzero": (lambda x: np.flatnonzero(x > 0), "uses np.flatnonzero"),
    "argwhere": (lambda x: np.argwhere(x > 0), "uses np.argwhere"),
    "sort": (lambda x: np.sort(x, axis=1), "uses np.sort, which is not followed; np.max"),
    "argsort": (lambda x: x.argsort(), "uses .argsort of an array, which is not followed; np.max"),
    "argsort of all": (lambda x: np.argsort(x), "uses np.argsort"),
    "partition": (lambda x: np.partition(x, 2) + np.argpartition(x, 2), "uses np.partition"),
    "argpartition": (lambda x: np.argpartition(x, 2), "uses np.argpartition"),
    "unique": (lambda x: np.unique(x), "uses np.unique"),
    "joined flat": (lambda x, y: np.concatenate([x, y], axis=None), "joins arrays that it makes flat"),
    "joined merged": (lambda x, v: np.concatenate([x.reshape(-1), v]), "an axis that was merged from several"),
    "edges": (lambda x: np.pad(x, 1, mode="edge"), "np.pad with the mode 'edge'"),
    "several paddings": (lambda x: np.pad(x, 1, constant_values=(0, 1)), "several constant_values"),
    "padded by a fraction": (lambda x: np.pad(x, 0.5), "pads by what is no whole number"),
    "split into thirds": (lambda x: np.split(x, 3, axis=1), "splits L entries into 3 equal parts"),
    "rolled flat": (lambda x: np.roll(x, 1), "rolls an array that it makes flat"),
    "rolled by a size": (lambda x: np.roll(x, x.shape[0], axis=1), "rolls by what is no known number"),
    "summed flat": (lambda x: np.cumsum(x), "np.cumsum of an array that it makes flat"),
    "repeated differently": (lambda x: np.repeat(x, [1, 2], axis=1), "a number of times that is not known"),
    "window of a size": (lambda x: sliding_window_view(x, x.shape[0], axis=1), "a window of which the size"),
    "windows written": (lambda x: sliding_window_view(x * 1, 3, axis=1).__setitem__(..., 0), "writes into"),
    "counted without an end": (lambda ids: np.bincount(ids), "or without minlength="),
    "an order of masks": (lambda x: np.multiply.at(x * 1, 0, 2), "uses np.multiply.at"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_modelled_is_refused_by_name(name):
    code, reason = REFUSED[name]
    run = Run(Assumed(larger={"L": 9, "N": 9, "C": 9}))
    given = symbols(run)
    with suppress(Exception):
        code(*(given[argument] for argument in arguments_of(code)))
    assert reason in (run.refused or ""), run.refused


def test_rows_under_a_mask_of_different_lengths_do_not_fit():
    given = symbols(Run())
    x, u, mask = given["x"], given["u"], given["x"][:, 0] > 0
    with pytest.raises(MismatchError, match="meet those of"):
        (x * 1)[mask] = u[mask]
    assert isinstance(symbols(Run())["x"][mask], Masked)


def shifted(x):
    return x[:, 1:] * x[:, :-1], (x,)


def shifted_backward(dy, x):
    dx = np.zeros_like(x)
    dx[:, 1:] += dy * x[:, :-1]
    dx[:, :-1] += dy * x[:, 1:]
    return dx


def padded_difference(x):
    padded = np.pad(x, ((0, 0), (1, 1)))
    return np.maximum(padded[:, 2:] - padded[:, :-2], 0), (x, padded)


def padded_difference_backward(dy, x, padded):
    g = dy * (padded[:, 2:] > padded[:, :-2])
    dpadded = np.zeros_like(padded)
    dpadded[:, 2:] += g
    dpadded[:, :-2] -= g
    return dpadded[:, 1:-1]


def embedded(E, ids, w):
    return E[ids] * w[ids][:, None], (E, ids, w)


def embedded_backward(dy, E, ids, w):
    dE, dw = np.zeros_like(E), np.zeros_like(w)
    np.add.at(dE, ids, dy * w[ids][:, None])
    np.add.at(dw, ids, (dy * E[ids]).sum(axis=1))
    return dE, dw


def hinge(x, t):
    n = np.arange(x.shape[0])
    margins = np.maximum(0, x - x[n, t][:, None] + 2)
    margins[n, t] = 0
    return margins.sum(), (margins, t)


def hinge_backward(dy, margins, t):
    dx = np.zeros_like(margins)
    dx[margins > 0] = 1
    dx[np.arange(len(t)), t] -= (margins > 0).sum(axis=1)
    return dy * dx


def leaky(x, a=0.1):
    y = x.copy()
    y[x < 0] *= a
    return y, (x, a)


def leaky_backward(dy, x, a):
    dx = dy.copy()
    dx[x < 0] = a * dy[x < 0]
    return dx


def accumulated(x):
    return np.cumsum(x * x, axis=1), (x,)


def accumulated_backward(dy, x):
    return 2 * x * np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]


def smoothed_by(x, k):
    return sliding_window_view(x, 3, axis=1) @ k, (x, k)


def smoothed_by_backward(dy, x, k):
    dx, n = np.zeros_like(x), dy.shape[1]
    for i in range(3):
        dx[:, i : i + n] += dy * k[i]
    return dx, np.einsum("nl,nli->i", dy, sliding_window_view(x, 3, axis=1))


def causal(S):
    n = np.arange(S.shape[0])
    e = np.where(n[:, None] >= n, np.exp(S), 0)
    P = e / e.sum(axis=1, keepdims=True)
    return P, (P,)


def variation(x):
    return np.abs(np.diff(x, axis=1)).sum(), (x,)


def variation_backward(dy, x):
    signs, dx = np.sign(x[:, 1:] - x[:, :-1]), np.zeros_like(x)
    dx[:, 1:] += signs
    dx[:, :-1] -= signs
    return dy * dx


def pooled(x):
    return np.maximum(x[:, ::2], x[:, 1::2]), (x,)


def pooled_backward(dy, x):
    first, dx = x[:, ::2] > x[:, 1::2], np.empty_like(x)
    dx[:, ::2], dx[:, 1::2] = dy * first, dy * ~first
    return dx


def attended(x, u):
    joined = np.concatenate([x, u], axis=1)
    e = np.exp(joined - joined.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p, (p, x.shape[1])


def attended_backward(dy, p, n):
    g = p * (dy - (dy * p).sum(axis=1, keepdims=True))
    return g[:, :n], g[:, n:]


LAYERS = {
    "variation": (variation, {"x": "N L"}, variation_backward, [
        lambda dy, x: variation_backward(dy, -x), lambda dy, x: variation_backward(dy, x[:, ::-1]),
    ]),
    "pooled": (pooled, {"x": "N L"}, pooled_backward, [
        lambda dy, x: pooled_backward(dy, -x), lambda dy, x: np.repeat(dy, 2, axis=1) * (x > 0),
    ]),
    "attended": (attended, {"x": "N C", "u": "N M"}, attended_backward, [
        lambda dy, p, n: attended_backward(dy, p * p, n),
        lambda dy, p, n: ((dy * p)[:, :n], attended_backward(dy, p, n)[1]),
    ]),
    "shifted": (shifted, {"x": "N L"}, shifted_backward, [
        lambda dy, x: np.pad(dy, ((0, 0), (1, 0))) * np.pad(x[:, :-1], ((0, 0), (1, 0))) + np.pad(dy * x[:, 1:], ((0, 0), (1, 0))),
        lambda dy, x: np.concatenate([x[:, 1:] * dy, 0 * x[:, :1]], axis=1),
        lambda dy, x: shifted_backward(dy, x[:, ::-1]),
    ]),
    "padded difference": (padded_difference, {"x": "N L"}, padded_difference_backward, [
        lambda dy, x, padded: padded_difference_backward(dy, x, padded[:, ::-1]),
        lambda dy, x, padded: -padded_difference_backward(dy, x, padded),
    ]),
    "embedded": (embedded, {"E": "V D", "ids": "N < V", "w": "V"}, embedded_backward, [
        lambda dy, E, ids, w: (embedded_backward(dy, E, ids, 0 * w + 1)[0], embedded_backward(dy, E, ids, w)[1]),
        lambda dy, E, ids, w: (embedded_backward(dy, E, ids, w)[0], embedded_backward(dy, E * E, ids, w)[1]),
    ]),
    "hinge": (hinge, {"x": "N C", "t": "N < C"}, hinge_backward, [
        lambda dy, margins, t: dy * (margins > 0),
        lambda dy, margins, t: hinge_backward(dy, margins * 0 + 1, t),
    ]),
    "leaky": (leaky, {"x": "N C"}, leaky_backward, [
        lambda dy, x, a: leaky_backward(dy, x, a * a), lambda dy, x, a: leaky_backward(dy, -x, a),
    ]),
    "accumulated": (accumulated, {"x": "N L"}, accumulated_backward, [
        lambda dy, x: 2 * x * np.cumsum(dy, axis=1), lambda dy, x: 2 * x * np.cumsum(dy[:, ::-1], axis=1),
    ]),
    "smoothed": (smoothed_by, {"x": "N L", "k": "3"}, smoothed_by_backward, [
        lambda dy, x, k: smoothed_by_backward(dy, x, k[::-1]),
        lambda dy, x, k: (smoothed_by_backward(dy, x, k)[0], smoothed_by_backward(dy, x, k)[1][::-1]),
    ]),
    "causal": (causal, {"S": "L L"}, lambda dy, P: P * (dy - (dy * P).sum(axis=1, keepdims=True)), [
        lambda dy, P: P * dy, lambda dy, P: P * (dy - (dy * P).sum(axis=0, keepdims=True)),
    ]),
    "rolled": (lambda x: (np.roll(x, 1, axis=1) * x, (x,)), {"x": "N L"},
        lambda dy, x: np.roll(x, 1, axis=1) * dy + np.roll(dy * x, -1, axis=1),
        [lambda dy, x: np.roll(x, 1, axis=1) * dy + np.roll(dy * x, 1, axis=1)]),
    "differences": (lambda x: (np.diff(x, axis=1) ** 2, (x,)), {"x": "N L"},
        lambda dy, x: np.pad(2 * dy * np.diff(x, axis=1), ((0, 0), (1, 0))) - np.pad(2 * dy * np.diff(x, axis=1), ((0, 0), (0, 1))),
        [lambda dy, x: np.pad(2 * dy * np.diff(x, axis=1), ((0, 0), (1, 0)))]),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_right_gradients_are_proven_and_wrong_ones_refuted(name):
    forward, shapes, backward, wrong = LAYERS[name]
    report = prove(forward, backward, **shapes)
    assert all(verdict.status == "proven" for verdict in report), report
    for damaged in wrong:
        assert any(verdict.status == "refuted" for verdict in prove(forward, damaged, **shapes))


def test_repeated_places_are_never_proven():
    def backward(dy, E, ids, w):
        dE, dw = np.zeros_like(E), np.zeros_like(w)
        dE[ids] += dy * w[ids][:, None]
        dw[ids] += (dy * E[ids]).sum(axis=1)
        return dE, dw

    forward, shapes, *_ = LAYERS["embedded"]
    assert all(verdict.status == "refuted" for verdict in prove(forward, backward, **shapes))


STEPS = [
    lambda a, b: a[:, 1:], lambda a, b: a[:, :-1], lambda a, b: a[:, ::-1], lambda a, b: a[1:] * a[:1],
    lambda a, b: a[:, -1:] + a, lambda a, b: np.pad(a, ((0, 0), (1, 0))), lambda a, b: np.concatenate([a, b[: , :1]], axis=1) if True else a,
    lambda a, b: np.roll(a, 1, axis=1), lambda a, b: a * a, lambda a, b: np.cumsum(a, axis=1), lambda a, b: a - a.mean(axis=1, keepdims=True),
    lambda a, b: np.maximum(a, a[:, :1]), lambda a, b: 1 / (1 + a * a), lambda a, b: into(a, (slice(None), slice(1, None)), 2 * a[:, :-1]),
    lambda a, b: into(a, (slice(None), slice(None, -1)), a[:, 1:] ** 2), lambda a, b: into(a, (slice(None), -1), 3),
    lambda a, b: into(a, (slice(None), [1, 0]), a[:, :2]), lambda a, b: where_negative(a),
]  # fmt: skip


def into(a, key, part):
    result = a * 1
    result[key] = part
    return result


def where_negative(a):
    result = a * 1
    result[a < 0] *= -0.5
    return result


@pytest.mark.parametrize("seed", range(40))
def test_random_slices_writes_and_joins_mean_what_numpy_means(seed):
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(STEPS), 3)

    def program(x, y):
        a = x
        for step in chosen:
            before = a
            a = STEPS[step](a, y[-a.shape[0] :] if isinstance(y, np.ndarray) else y)
        return a * 1 + 0 * before[:1, :1]

    check(program, {"N": 4, "C": 2, "L": 6}, seed)


@pytest.mark.parametrize("name", [name for name in CODE if name != "sum under a mask"])
def test_means_what_numpy_means_at_the_smallest_sizes(name):
    run, _ = run_with_wishes(CODE[name], arguments_of(CODE[name]))
    smallest = {size: run.assumed.larger.get(size, 0) + 1 for size in "NCL"}
    with suppress(IndexError):  # an entry that is not there is no matter of the sizes followed
        check(CODE[name], smallest)
