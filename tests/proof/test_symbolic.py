"""Arrays of symbolic shape mean what NumPy means: at any sizes, for every function modelled."""

import itertools

import numpy as np
import pytest
from proof.evaluation import number_of_entries, value_of_formula

from backprop_lib.proof import calculus, numpy_functions, symbolic
from backprop_lib.proof.refusal import MismatchError, NotFollowedError
from backprop_lib.proof.symbolic import LostArray, Run, SymbolicArray

SHAPES = {
    "x": "N C", "y": "N C", "w": "C", "v": "N", "t": "N C L", "q": "C C", "p": "L C", "s": "",
    "three": "N 3", "one": "N 1", "z": "C L",
}  # fmt: skip
SIZES = [{"N": 2, "C": 3, "L": 4}, {"N": 3, "C": 2, "L": 2}, {"N": 1, "C": 4, "L": 1}]


def put(x):
    result = np.zeros_like(x)
    np.put_along_axis(result, x.argmax(1)[:, None], x.sum(1)[:, None], axis=1)
    return result


def masked(x):
    result = x.copy()
    result[x > 0] = 0
    return result


def first_row(x, w):
    result = x.copy()
    result[0] = w
    return result


def column(x, v):
    result = np.zeros_like(x)
    result[:, 1] = v
    result[..., 0] = 2
    return result


def in_place(x, w):
    result = x.copy()
    result += w
    result *= 2
    result -= x
    result /= 3
    return result


CODE = {
    # arithmetic and broadcasting
    "add": lambda x, w: x + w,
    "subtract": lambda x, v: v[:, None] - x,
    "multiply": lambda x, s: 2 * x * s,
    "divide": lambda x, y: x / (1 + y * y),
    "power": lambda x: x**3 + (x * x + 1) ** -0.5 + (1 + x * x) ** 1.5,
    "negative": lambda x: -x,
    "positive": lambda x: +x,
    "square": lambda x: np.square(x),
    "sqrt": lambda x: np.sqrt(x * x + 1) + 1 / np.sqrt(2 + x * x),
    "reciprocal": lambda x: np.reciprocal(1 + x * x),
    "exp": lambda x: np.exp(x / 2) + np.expm1(x),
    "log": lambda x: np.log(1 + x * x) + np.log1p(x * x),
    "tanh": lambda x: np.tanh(x),
    "floats of many digits": lambda x, s: x / 3.0 * (1 / 3) + 0.7978845608028654 * s - np.pi * x * np.float64(1.2345678901) + x * np.e * 0.6931471805599453,
    "logarithms to a base": lambda x: np.log2(1 + x * x) - np.log10(2 + x * x) + np.exp2(x / 2),
    "two exponentials": lambda x, w: np.logaddexp(x, w) + np.logaddexp(0, -x) + np.hypot(x, 1 + w * w),
    "trigonometric": lambda x, y: np.sin(x - y) ** 3 / np.cos(y) ** 2 + np.cos(y - x) ** 2 / np.sin(x - y) ** 2 + np.tan(x),
    "arcs": lambda x: np.arctan(-x) + np.arcsin(x / (1 + x * x)) * np.arctan(2 * x) ** 2,
    "hyperbolic": lambda x: np.sinh(x) * np.cosh(x) - np.arctanh(x / (1 + x * x)) + np.tanh(-x) ** 2,
    "functions of cases": lambda x: np.cos(np.maximum(x, 0)) + np.tanh(np.minimum(x, 0.5)) ** 2,
    "broken powers": lambda x: (1 + x * x) ** (1 / 3) - (1 + x * x) ** -1.7 + (2 + x * x) ** (2 / 3) * (2 + x * x) ** (4 / 3),
    "heaviside": lambda x, w: np.heaviside(x, 0.5) * w + np.heaviside(1 - w, x),
    "sign of a function": lambda x: x * (np.tanh(x - 1) > 0) + (np.arctan(-x) >= 0) + np.abs(np.sin(x)) + (np.sin(x) == 0),
    "clip": lambda x, w: np.clip(x, -0.5, 0.5) + x.clip(w, None) + np.clip(x, None, w) + x.clip(max=1) + np.clip(x, a_min=0, a_max=w * w),
    "bounds of one number": lambda x: x * (x > -1) * (x < 1) - (x > 1) * (x < -1) * 2.0 + x * (2 * x > 1) * (x > 2) + 3 * (x > 0) * (x == 1) + 4.0 * (x < 0.5) * (x == 1) - 5.0 * (x > 1) * (x == 1),
    "norm": lambda x: np.linalg.norm(x) * x + np.linalg.norm(x, axis=1, keepdims=True) + np.linalg.norm(x, ord=2, axis=0),
    "norm of a vector": lambda w: np.linalg.norm(w, 1) + np.linalg.norm(w) + np.linalg.norm(w, 2),
    "norms of absolute values": lambda x: np.linalg.norm(x, ord=1, axis=-1),
    "size 1": lambda x, one: x * one,
    "three dimensions": lambda t, w: t * w[:, None],
    "numbers": lambda x: 0.5 * x + np.float64(0.25) - np.int64(2) + x * True,
    "in place": in_place,
    # comparisons
    "maximum": lambda x, y: np.maximum(x, y) - np.minimum(x, 0.5),
    "absolute": lambda x: np.abs(x) + np.fabs(x),
    "sign": lambda x: np.sign(x) * x,
    "greater": lambda x, y: x * (x > y) - y * (x < y),
    "at least": lambda x, y: x * (x >= y) - y * (x <= y),
    "relu mask": lambda x: np.where(np.maximum(x, 0) > 0, x, 0),
    "wrong relu mask": lambda x: np.where(np.maximum(x, 0) < 0, x, 0),
    "shape": lambda x: x / np.shape(x)[0] + np.ndim(x) - np.size(x),
    "masks": lambda x, y: (x > 0) * (y > 0) * x + ((x > 0) * (y > 0)).sum(),
    "relu6": lambda x: np.minimum(np.maximum(x, 0), 0.5) + x * (x > 0) * (x < 0.5),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "leaky": lambda x: 1 / (np.where(x > 0, x, x / 10) ** 2 + 1),
    "whole numbers": lambda x: (x > 0).sum(axis=1) ** 2 / 3 + np.ones_like((x > 0).sum(axis=1)),
    "moveaxis of two": lambda t: np.moveaxis(t, (0, 1), (1, 2)),
    "three entries": lambda three: three[:, 0] + three[:, 1] + three[:, 2] - three.sum(axis=1),
    "row into a row": lambda x, w: first_row(x, w[None]),
    "einsum of size 1": lambda x: np.einsum("nc,nc->nc", x, x.mean(axis=1, keepdims=True)),
    "reshape in order": lambda t: t.reshape(-1, order="C"),
    "copy of a kind": lambda x: np.zeros_like(x > 0, dtype=float) + x.astype(float, copy=False),
    "and or not": lambda x, y: x * ((x > 0) & (y > 0)) + y * ((x > 0) | ~(y > 0)) + ((x > 0) ^ (y > 0)),
    "logical": lambda x, y: np.logical_and(x > 0, y > 0) * x + np.logical_not(x > 0) * y,
    "equal": lambda x: x * (x == x.max(axis=1, keepdims=True)),
    "not equal": lambda x: x * (x != x.max(axis=1, keepdims=True)),
    "equal formulas": lambda x, w: x * (x * x == x) + (x != w),
    "where": lambda x, w: np.where(x > w, x, w),
    "write a mask": masked,
    "count": lambda x: (x > 0).sum(axis=0) / x.shape[0] + (x > 0).mean(axis=0),
    # reductions
    "sum": lambda x: x.sum(axis=0),
    "sum of all": lambda t: np.sum(t),
    "sum of two": lambda t: t.sum(axis=(0, -1)),
    "keepdims": lambda x: x - x.sum(axis=1, keepdims=True),
    "mean": lambda t: t.mean(axis=(0, 2), keepdims=True) * t.mean(),
    "var": lambda x: x.var(axis=0) + np.var(x, axis=1, keepdims=True) * 2,
    "std": lambda x: (x * x + 1).std(axis=1) + 1,
    "literal axis": lambda three: three.sum(axis=1) + three.mean(axis=1) + three[:, 2],
    "max": lambda x: x.max(axis=1),
    "min": lambda t: t.min(axis=-1, keepdims=True),
    "max over two": lambda t: t.max(axis=(1, 2)),
    "max of all": lambda x: np.max(x),
    # products
    "matmul": lambda x, q: x @ q,
    "matmul vectors": lambda x, w, v: x @ w + v * (w @ w) + v * (v @ x).sum(),
    "matmul transposed": lambda x, y: x.T @ y,
    "matmul batched": lambda t, p: t @ p,
    "matmul broadcast": lambda z, t, p: (p @ z) @ (p @ t),
    "matmul of itself": lambda x: x @ x.T,
    "dot": lambda x, q: np.dot(x, q) + x.dot(q),
    "outer": lambda v, w: np.outer(v, w),
    "einsum": lambda x, y: np.einsum("no,ni->oi", x, y),
    "einsum diagonal": lambda q, x: np.einsum("ii,ni->n", q, x),
    "einsum implicit": lambda x, q: np.einsum("ij,jk", x, q),
    # shapes
    "transpose": lambda x: x.T + np.transpose(x),
    "transpose axes": lambda t: t.transpose(2, 0, 1) + np.transpose(t, (2, 0, 1)),
    "transpose by an array": lambda t: np.transpose(t, np.array([2, 0, 1])),
    "swapaxes": lambda t: t.swapaxes(1, 2) + np.swapaxes(t, -1, -2),
    "moveaxis": lambda t: np.moveaxis(t, 1, -1),
    "expand dims": lambda x: np.expand_dims(x, 1) + x[:, None, :],
    "squeeze": lambda one: one.squeeze(1) + np.squeeze(one, axis=-1),
    "reshape": lambda t: t.reshape(-1, t.shape[2]) * 2,
    "reshape back": lambda t: (t.reshape(t.shape[0], -1) * 2).reshape(t.shape),
    "merged product": lambda t: t.swapaxes(0, 1).reshape(t.shape[1], -1) @ t.swapaxes(0, 1).reshape(t.shape[1], -1).T,
    "column vector": lambda t, w: t * w.reshape(1, -1, 1),
    "ravel": lambda x: np.ravel(x) + x.ravel() + x.flatten(),
    "broadcast to": lambda w, x: np.broadcast_to(w, x.shape) + 0,
    "index": lambda t: t[0] + t[:, :, 0].sum() + t[..., 0, :].sum(),
    "ellipsis": lambda t: t[..., None].sum(axis=-1) + t[None, ...].sum(axis=0),
    "sizes": lambda x: x / x.shape[0] + x.size - 1 / (x.shape[0] + 1) + 2 * x.shape[1] ** 2,
    "root of a size": lambda x: x / np.sqrt(x.shape[1]),
    "product of sizes": lambda t: t / (t.shape[0] * t.shape[2]) - (t.shape[0] - 2),
    "like": lambda x: np.zeros_like(x) + np.ones_like(x) + np.full_like(x, 3),
    "identity": lambda q, z: q - np.eye(q.shape[0], dtype=q.dtype, like=q) + q * np.eye(q.shape[1], like=q),
    "identity of known size": lambda three: three @ np.eye(3, 3, like=three) - (three.shape[0] == 0),
    "identity of size 1": lambda one: one - np.eye(one.shape[1], like=one),
    "copy": lambda x: np.copy(x) + x.copy() + x.astype(float),
    "dtype passed on": lambda x: np.zeros_like(x, dtype=x.dtype) + x.astype(x.dtype) + np.full_like(x, 2, dtype=x.dtype),
    "asked whether it is an array": lambda x: 2 * x if isinstance(x, np.ndarray) else x,
    "asked whether a size is whole": lambda x: 2 * x if isinstance(x.shape[0], int) and isinstance(x.size, int) else x,
    # reductions with options
    "sum with options": lambda x, y: np.sum(x, 0, None, None, False, 2) + x.sum(0, float, keepdims=True) + np.sum(x, axis=0, where=y > 0, initial=-1),
    "mean with options": lambda x, y: np.mean(x, 0, float) + x.mean(axis=0, where=x < y + 9),
    "var with options": lambda x: np.var(x, 0, None, None, 0) + x.var(0, mean=x.mean(0, keepdims=True)) + (x * x + 1).std(1, None, None, 0, True),
    "max with options": lambda x, y: np.max(x, axis=1, initial=0.5) + y[:, 0],
    "sum into": lambda x, w: np.sum(x, 0, out=np.zeros_like(w)) + np.add(w, 1, out=w.copy()),
    "reduce": lambda x: np.add.reduce(x) + np.add.reduce(x, axis=1, keepdims=True) - np.maximum.reduce(x, axis=1, keepdims=True),
    "product": lambda three: np.prod(three, axis=1) + three.prod(axis=-1) + np.multiply.reduce(three, axis=1) * three.prod(1, where=three > 0),
    "outer of ufuncs": lambda v, w: np.multiply.outer(v, w) + np.subtract.outer(v, w),
    "where and out": lambda x, y: np.divide(x, y, out=np.zeros_like(x), where=y > 0) + np.sqrt(y * y + 1, out=x.copy(), where=y > 0),
    "average": lambda x, v: np.average(x, axis=0, weights=v * v + 1) + np.average(x) + np.average(x, axis=0) + np.average(x, weights=x * x + 1),
    "count of nonzero": lambda x: np.count_nonzero(x > 0, axis=0) + np.count_nonzero(np.maximum(x, 0), axis=0) + np.count_nonzero(x > 0),
    "peak to peak": lambda one: np.ptp(one, axis=1) + one[:, 0],
    "kinds of masks": lambda x, y: (x > 0).astype(int) * x + (x > y).astype(x.dtype) + (x > 0).astype(bool) * y + (x > 0).astype(float).sum(),
    # products, and what is made of matrices
    "tensordot": lambda t, z, x: np.tensordot(t, z) + np.tensordot(x, x, axes=((0, 1), [0, 1])) + np.tensordot(t, t, 3),
    "tensordot of one": lambda t, x: np.tensordot(t, x, axes=(1, 1)) + np.tensordot(t, x, axes=([1], [1])),
    "tensordot outer": lambda v, w: np.tensordot(v, w, axes=0),
    "inner": lambda x, y, w: np.inner(x, y) + np.inner(x, w)[:, None] + np.inner(w, 3).sum(),
    "vdot": lambda x, y: np.vdot(x, y) * x,
    "kron": lambda x, q, w: np.kron(x, q).sum(axis=0) + np.kron(w, q).sum(axis=0) * np.kron(w, w),
    "outer into": lambda v, w, x: np.outer(v, w, out=x.copy()),
    "einsum ellipsis": lambda t, p: np.einsum("...l,lk->...k", t, p) + np.einsum("...l,lk", t, p, optimize=True),
    "einsum broadcast": lambda t, w, x: np.einsum("n...,...->n...", x, w) + np.einsum("...i->...", t) + np.einsum("...,...", x, w, out=x.copy()),
    "diagonal": lambda q, w: np.diag(q) + np.diagonal(q) + q.diagonal(0, 1, 0) + np.diagonal(q * w[:, None, None], axis1=1, axis2=2).sum(axis=0),
    "diagonal of a vector": lambda w: np.diag(w) @ w,
    "trace": lambda q, x: np.trace(q) * x + q.trace(),
    "atleast": lambda w, s, x: np.atleast_2d(w) * np.atleast_1d(s) + np.atleast_2d(x, s)[0] * np.atleast_2d(s),
    "broadcast arrays": lambda x, w: np.broadcast_arrays(x, w)[1] * np.broadcast_arrays(x, w)[0],
    "filled": lambda x, w: (lambda a: a.fill(2) or a)(x.copy()) * w,
    "empty": lambda x: np.multiply(x, 2, out=np.empty_like(x)),
    "triangles": lambda q: np.tril(q) * 2 + np.triu(q) + np.tril(q, -1) ** 2 + np.triu(q, k=1) * np.tril(q, 1),
    "triangles of products": lambda q: np.tril(q @ q.T) @ np.triu(q, 1),
    "triangles of several": lambda t, p: np.tril(t @ p) - np.triu(t @ p, 2),
    # known arrays
    "known array": lambda three: three * np.array([1, 2, 1]) + np.array([[0.5, 0, 2]]) - three @ np.array([[1, 2], [3, 4], [0, 1.0]]).sum(axis=1)[:, None],
    "known matrix": lambda three: three @ np.array([[1, 2, 0], [3, 4, 1], [0, 1, -1.0]]) + np.ones((3,)),
    "known mask": lambda three: np.where(np.array([True, False, True]), three, 1) + three * (np.eye(3) @ three.T > 0).T,
    "known column": lambda x: x * np.array([[3]]) + np.float64(2) + np.array(2.0),
    # looking up
    "take": lambda t: np.take_along_axis(t, t.argmax(-1)[..., None], axis=-1)[..., 0],
    "take at least": lambda x: np.take_along_axis(x, np.expand_dims(x.argmin(1), 1), axis=1),
    "take keepdims": lambda x: np.take_along_axis(x, x.argmax(axis=1, keepdims=True), axis=1),
    "put": put,
    "write a row": first_row,
    "write a column": column,
    # together
    "softmax": lambda x: np.exp(x - x.max(1, keepdims=True)) / np.exp(x - x.max(1, keepdims=True)).sum(1, keepdims=True),
    "normalised": lambda t: (t - t.mean(axis=(0, 2), keepdims=True)) / np.sqrt(t.var(axis=(0, 2), keepdims=True) + 0.1),
}  # fmt: skip


def arguments_of(code):
    return code.__code__.co_varnames[: code.__code__.co_argcount]


def floats(sizes, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {name: [sizes.get(a) or int(a) for a in axes.split()] for name, axes in SHAPES.items()}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def triangles():
    """Return what the arrays hold by whose sign a triangle is told."""
    i, j = np.mgrid[:9, :9]
    return {f"np.tri{k:+}" if k else "np.tri": i + k - j + 0.5 for k in range(-9, 9)}


def symbols(run):
    axes = {
        name: [int(a) if a.isdecimal() else a for a in text.split()]
        for name, text in SHAPES.items()
    }
    return {name: run.array(name, own) for name, own in axes.items()}


def instantiated(array, arrays, sizes, picks):
    """Fill in numbers: the value of a symbolic array at known sizes."""
    lengths = [[number_of_entries(i.size, sizes) for i in axis] for axis in array.axes]
    result = np.empty([int(np.prod(own)) for own in lengths])
    spread = [list(itertools.product(*map(range, own))) for own in lengths]
    for place in np.ndindex(result.shape):
        at = {}
        for axis, values, number in zip(array.axes, spread, place, strict=True):
            at |= dict(zip(axis, values[number], strict=True))
        known = {**arrays, **triangles()}
        result[place] = value_of_formula(array.formula, known, sizes, at, picks)
    return result


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", CODE)
def test_means_what_numpy_means(name, sizes):
    code = CODE[name]
    run = Run()
    given = symbols(run)
    result = code(*(given[argument] for argument in arguments_of(code)))
    assert run.refused is None
    assert isinstance(result, SymbolicArray)
    arrays = floats(sizes)
    expected = np.asarray(code(*(arrays[argument] for argument in arguments_of(code))))
    picks = found_places(run, code, arrays)
    found = instantiated(result, arrays, sizes, picks)
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)


COMPARISONS = [
    "maximum", "absolute", "sign", "greater", "at least", "relu mask", "wrong relu mask", "masks", "leaky",
    "whole numbers", "and or not", "logical", "equal", "not equal", "equal formulas", "where", "write a mask", "count",
    "sum with options", "kinds of masks", "known mask", "count of nonzero", "product", "clip", "bounds of one number",
    "sign of a function", "functions of cases", "heaviside",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_mean_what_numpy_means_where_numbers_are_equal(name, seed):
    code = CODE[name]
    run = Run()
    given = symbols(run)
    result = code(*(given[argument] for argument in arguments_of(code)))
    arrays = {key: np.sign(np.trunc(2 * array)) for key, array in floats(SIZES[0], seed).items()}
    expected = code(*(arrays[argument] for argument in arguments_of(code)))
    found = instantiated(result, arrays, SIZES[0], found_places(run, code, arrays))
    assert np.allclose(found, expected)


def found_places(run, code, arrays):
    """Map the names of looked up indices to the places that NumPy finds."""
    (argument, *_) = arguments_of(code)
    array = arrays[argument]
    if not run.picks:
        return {}
    sign, axis = {
        "min": (-1, (2,)), "max over two": (1, (1, 2)), "max of all": (1, (0, 1)),
        "take": (1, (2,)), "take at least": (-1, (1,)),
    }.get(next(k for k, v in CODE.items() if v is code), (1, (1,)))  # fmt: skip
    rest = [i for i in range(array.ndim) if i not in axis]
    moved = np.transpose(array, [*rest, *axis])
    flat = (sign * moved).reshape(*moved.shape[: len(rest)], -1).argmax(-1)
    unravelled = np.unravel_index(flat, moved.shape[len(rest) :])
    return dict(zip(run.picks.values(), unravelled, strict=True))


def test_every_function_that_is_modelled_is_tried():
    from proof import test_indexing

    refused = [code for code, _ in test_indexing.REFUSED.values()]
    source = " ".join(
        str(constant)
        for code in [*CODE.values(), *test_indexing.CODE.values(), *refused]
        for constant in (*code.__code__.co_names, *code.__code__.co_consts)
    )
    assert numpy_functions.FUNCTIONS is symbolic.FUNCTIONS
    for function in [*symbolic.FUNCTIONS, *symbolic.UFUNCS]:
        operators = {
            "add", "subtract", "multiply", "true_divide", "divide", "negative", "positive", "power",
            "matmul", "greater", "less", "greater_equal", "less_equal", "equal", "not_equal",
            "bitwise_and", "bitwise_or", "bitwise_xor", "invert", "bitwise_not",
        }  # fmt: skip
        synonyms = {
            "amax",
            "amin",
            "absolute",
            "conjugate",
            "fmax",
            "fmin",
            "logical_or",
            "logical_xor",
            "float_power",
        }
        name = function.__name__
        assert name in source.split() or name in operators | synonyms, name


def test_sizes_are_symbols():
    t = symbols(Run())["t"]
    assert repr(t.shape) == "(N, C, L)"
    assert repr(t.size) == "N·C·L"
    assert repr(t.reshape(-1, t.shape[2]).shape) == "(N·C, L)"
    assert t.ndim == 3
    assert symbols(Run())["three"].shape[1] == 3
    assert symbols(Run())["one"].shape[1] == 1


def loop(x):
    return [x[n] for n in range(x.shape[0])]


def caught(x):
    try:
        return x * len(x)
    except TypeError:
        return 2 * x


def shapes_caught(x):
    copied = x.copy()
    try:
        copied[...] = x.T
    except ValueError:
        return copied


def lost_put(x):
    copied = x.copy()
    np.put_along_axis(copied, x.argmax(1)[:, None], (x @ x)[:, :1], axis=1)
    return copied


REFUSED = {
    "np.cumprod of all": (lambda x: np.nancumsum(x, axis=0), "uses np.nancumsum, which is not followed"),
    "reduce": (lambda x: np.subtract.reduce(x), "uses np.subtract.reduce"),
    "at": (lambda x: np.minimum.at(x, 0, 1), "uses np.minimum.at"),
    "dtype of sum": (lambda x: x.sum(axis=0, dtype=int), "asks for int of float numbers"),
    "truth value as dtype": (lambda x: x.sum(0, True), "passes dtype=True"),
    "where of var": (lambda x: np.var(x, axis=0, where=x > 0), "calls np.var"),
    "where of max": (lambda x: np.max(x, axis=0, where=x > 0), "without initial=..."),
    "where without out": (lambda x: np.sqrt(x, where=x > 0), "with where=... and without out"),
    "into another": (lambda x: np.sum(x, out=np.zeros(())), "writes a result into an array that"),
    "product": (lambda x: x.prod(axis=1), "multiplies along an axis whose size is open"),
    "einsum without the rest": (lambda x: np.einsum("...->", x), "leaves out the ellipsis"),
    "another diagonal": (lambda x: np.diagonal(x @ x.T, 1), "takes another diagonal"),
    "no square": (lambda x: np.diag(x), "which is not square there"),
    "nansum": (lambda x: np.nansum(x), "uses np.nansum, which is not followed"),
    "isclose": (lambda x: np.isclose(x, 0), "uses np.isclose, which is not followed"),
    "median": (lambda x: np.median(x), "uses np.median, which is not followed"),
    "item": (lambda x: x.sum().item(), "uses .item of an array"),
    "triangle of a vector": (lambda x: np.tril(x[0]), "an array with less than two axes"),
    "triangle that is merged": (lambda x: np.tril(x.reshape(-1)[None]), "that was merged"),
    "written later": (lambda x: np.empty_like(x) * 0, "entries of np.empty that are not known"),
    "written in part": (lambda x: np.empty_like(x).__setitem__(0, 1) or np.sum(np.empty_like(x)), "entries of np.empty"),
    "known array without entries": (lambda x: x * np.zeros((0, 1)), "an array without entries"),
    "known array of many": (lambda x: x.sum() * np.arange(99.0), "more than 64 entries"),
    "complex": (lambda x: x * np.array([1j]), "an array of complex128"),
    "np.cbrt": (np.cbrt, "uses np.cbrt, which is not followed"),
    "clipped in place": (lambda x: np.clip(x, 0, 1, out=x.copy()), "calls np.clip(array, array, array, out=...)"),
    "bound twice": (lambda x: np.clip(x, 0, 1, min=0), "gives a bound of np.clip twice"),
    "largest norm": (lambda x: np.linalg.norm(x, np.inf, axis=1), "calls np.linalg.norm with ord=inf"),
    "norm of a matrix": (lambda x: np.linalg.norm(x, 2), "calls np.linalg.norm with ord=2"),
    "norm along two": (lambda x: np.linalg.norm(x, axis=(0, 1)), "calls np.linalg.norm with two axes"),
    "NaN replaced": (np.nan_to_num, "uses np.nan_to_num, which is not followed; use formulas that"),
    "unknown method": (lambda x: x.cumprod(), "uses .cumprod of an array"),
    "int": (lambda x: x.astype(int), "calls astype"),
    "bool": (lambda x: x.astype(bool), "calls astype"),
    "asarray": (lambda x: np.asarray(x), "makes a plain array"),
    "zeros": (lambda x: np.zeros(x.shape), "needs the size N as a number"),
    "range": (loop, "needs the size N as a number"),
    "len": (lambda x: x / len(x), "needs the length N of an array as a number"),
    "if": (lambda x: x if x[0, 0] > 0 else -x, "needs an entry"),
    "iteration": (lambda x: list(x), "needs the length N of an array as a number"),
    "float": (lambda x: float(x[0, 0]), "needs an entry"),
    "size compared": (lambda x: x if x.shape[0] > 1 else 2 * x, "compares the size N with another"),
    "size equal": (lambda x: x if x.shape[0] == 1 else 2 * x, "compares the size N with another"),
    "a diagonal aside": (lambda x: np.eye(x.shape[1], k=1, like=x), "calls np.eye with more than"),
    "whole identity": (lambda x: np.eye(x.shape[1], dtype=int, like=x), "an identity of <class 'int'>"),
    "no square identity": (lambda x: np.eye(*x.shape, like=x), "else than the size of one axis"),
    "identity of a product": (lambda x: np.eye(x.size, like=x), "else than the size of one axis"),
    "sizes equal": (lambda x: x if x.shape[0] == x.shape[1] else 2 * x, "whether the size N is C"),
    "caught": (caught, "needs the length N"),
    "argmax computed": (lambda x: x.argmax(1) + 1, "computes with argmax's result"),
    "argmax of two": (lambda x: x.argmax(), "argmax over several axes"),
    "masks added": (lambda x: (x > 0) + (x < 1), "computes with truth values alone"),
    "mask turned": (lambda x: -(x > 0), "computes with truth values alone"),
    "exp of a mask": (lambda x: np.exp(x > 0), "computes with truth values alone"),
    "masks in einsum": (lambda x: np.einsum("nc->n", x > 0), "np.einsum with truth values"),
    "masks as matrices": (lambda x: (x > 0) @ (x.T > 0), "two masks as matrices"),
    "inverse of counts": (lambda x: np.reciprocal((x > 0).sum(axis=1)), "np.reciprocal with whole"),
    "power of counts": (lambda x: (x > 0).sum(axis=1) ** -1, "raises int numbers to the power -1"),
    "float into mask": (lambda x: np.zeros_like(x > 0).__setitem__(..., x), "writes float numbers"),
    "float into counts": (lambda x: np.zeros_like((x > 0).sum(0)).__setitem__(0, 0.5), "writes float"),
    "float fills mask": (lambda x: np.full_like(x > 0, 0.5), "fills an array of bool with float"),
    "counts divided in place": (lambda x: (x > 0).sum(axis=1).__itruediv__(2), "writes float numbers"),
    "broadcast written": (lambda x: np.broadcast_to(x * 1, x.shape).__setitem__(..., 0), "np.broadcast_to"),
    "set of sizes": (lambda x: {x.shape[0]}, "uses the size N as a key"),
    "merged otherwise": (
        lambda x: x.reshape(-1) + x.T.reshape(-1), "axes that were merged in different orders",
    ),
    "argmax added": (lambda x: 1 + x.argmax(1), "computes with argmax's result"),
    "order F": (lambda x: x.reshape(-1, order="F"), "reshapes in the order 'F'"),
    "shapes caught": (shapes_caught, "catches an error of shapes"),
    "lost written": (lambda x: np.multiply(x @ x, 0, out=x.copy()), "catches an error of shapes"),
    "lost put": (lost_put, "catches an error of shapes"),
    "mask of number": (lambda x: ~x, "uses a logical operator on numbers"),
    "where number": (lambda x: np.where(x, 1, 0), "asks np.where for the entries that are not 0"),
    "same number, !=": (lambda x: np.where(x != x, 0, x), "compares what is the same for all numbers"),
    "same number, ==": (lambda x: x * (x - x == 0), "compares what is the same for all numbers"),
    "same number, written otherwise": (lambda x: x * ((x + 1) ** 2 - 1 == x * (x + 2)), "the same for all"),
    "dtype compared": (lambda x: x if x.dtype == float else 2 * x, "looks at the dtype"),
    "kind of dtype": (lambda x: x if x.dtype.kind == "f" else 2 * x, "looks at the dtype"),
    "dtype spelled out": (lambda x: x * len(str(x.dtype)), "looks at the dtype"),
    "size spelled out": (lambda x: x * len(str(x.shape[0])), "spells the size N out"),
    "size spelled beside NumPy": (
        eval(compile("lambda x: x * len(str(x.shape[0]))", f"{np.__path__[0]}_ml/x.py", "eval")),
        "spells the size N out",
    ),
    "size shown": (lambda x: x * len(repr(x.shape[0])), "spells the size N out"),
    "size in a text": (lambda x: x * len(f"{x.shape[0]}"), "spells the size N out"),
    "size formatted": (lambda x: x * len(f"{x.shape[0]:>5}"), "spells the size N out"),
    "shape in a text": (lambda x: x * len(f"{x.shape}"), "spells the size N out"),
    "small whole numbers": (lambda x: np.ones_like(x, dtype=np.int8) + x, "an array of int8"),
    "unsigned numbers": (lambda x: np.zeros_like(x, dtype=np.uint64) - 1 + x, "an array of uint64"),
    "exponent": (lambda x: 2**x, "raises to a power that is no number"),
    "a power without end": (lambda x: x**np.pi, "raises to a power that is no number"),
    "not a number": (lambda x: x * np.inf, "computes with inf, which is no exact number"),
    "reshape": (lambda x: x.reshape(x.shape[1], x.shape[0]), "neither merges nor splits"),
    "squeeze": (lambda x: x.squeeze(), "squeezes all axes"),
    "by zero": (lambda x: 1 / (x - x), "division by a formula that is zero"),
    "text": (lambda x: x + None, "which is no exact number"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_modelled_is_refused_by_name(name):
    code, reason = REFUSED[name]
    run = Run()
    try:
        code(symbols(run)["x"])
    except Exception:
        assert run.refused, name
    assert reason in (run.refused or ""), run.refused


MISFITS = {
    "add": (lambda x, v: x + v, "(N, C) and (N,) do not fit: C and N meet"),
    "matmul": (lambda x, y: x @ y, "(N, C) @ (N, C): C meets N"),
    "vector": (lambda x, s: x @ s, "a number is no matrix"),
    "known": (lambda x: x * np.arange(3.0), "(N, C) and (3,) do not fit: C and 3 meet"),
    "tensordot": (lambda x, y: np.tensordot(x, y, axes=1), "C meets N"),
    "tensordot over three": (lambda x: np.tensordot(x, x, axes=3), "np.tensordot over 3 axes"),
    "weights": (lambda x, v: np.average(x, axis=1, weights=v), "weights (1, N) of (N, C)"),
    "where": (lambda v, x: np.sum(v, where=x.T > 0), "where=(C, N) for (N,)"),
    "axis": (lambda x: x.sum(axis=2), "there is no axis 2 in (N, C)"),
    "axis twice": (lambda x: x.sum(axis=(0, -2)), "names an axis twice"),
    "einsum": (lambda x, y: np.einsum("ij,jk->ik", x, y), "j is both C and N"),
    "einsum axes": (lambda x: np.einsum("i->i", x), "i names (N, C)"),
    "broadcast": (lambda x, w: np.broadcast_to(x, w.shape), "does not broadcast to (C,)"),
    "indices": (lambda v: v[0, 0], "2 indices for (N,)"),
    "take": (lambda t, x: np.take_along_axis(t, x.argmax(1)[:, None], axis=1), "indices (N, 1)"),
    "of no size 1": (lambda x: x.squeeze(0), "axis 0 of (N, C) is not of size 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISFITS)
def test_axes_that_do_not_fit_lose_the_result_and_nothing_else(name):
    code, reason = MISFITS[name]
    run = Run()
    given = symbols(run)
    lost = code(*(given[argument] for argument in arguments_of(code)))
    assert isinstance(lost, LostArray)
    assert reason in str(lost.reason)
    assert run.refused is None
    assert isinstance((lost * 2 + given["x"]).sum(axis=0).T, LostArray)
    assert isinstance(given["x"] @ given["x"].T @ lost, LostArray)
    with pytest.raises(MismatchError):
        lost.shape  # noqa: B018
    with pytest.raises(MismatchError):
        given["x"][...] = lost
    assert "catches an error of shapes" in run.refused


@pytest.mark.parametrize(
    "view",
    [lambda x: x.reshape(-1), lambda x: np.broadcast_to(x, x.shape), lambda x: x.T.ravel()],
)
def test_nothing_is_written_where_a_view_would_change_in_an_unknown_way(view):
    run = Run()
    x = symbols(run)["x"].copy()
    kept = view(x)
    with pytest.raises(NotFollowedError, match="of which it keeps a view"):
        x[...] = 0
    with pytest.raises(NotFollowedError, match="of which it keeps a view"):
        kept += 1
    del kept
    x[...] = 0
    assert x.formula == calculus.ZERO


PARTS = {
    "transposed": lambda t: t.T,
    "first": lambda t: t[0],
    "column": lambda t: t[:, 0],
    "column of a row": lambda t: t[0][:, 0],
    "entry": lambda t: t[0, 0, 0, ...],
    "new axis": lambda t: t[:, None],
    "expanded": lambda t: np.expand_dims(t, (0, 2)),
    "swapped": lambda t: t.swapaxes(0, 2)[0],
    "moved": lambda t: np.moveaxis(t, 0, -1),
    "permuted": lambda t: t.transpose(1, 0, 2)[:, 0],
    "squeezed": lambda t: t[:, None].squeeze(1),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_what_is_written_into_a_part_is_written_into_the_whole(name):
    def code(t, p):
        whole = t.copy()
        part, row = PARTS[name](whole), whole[0]
        part += 2
        first = part * part
        whole *= t
        number = whole[0, 0, 0]
        number += 1
        second = part + row.sum() * number
        part[...] = 3 * part
        whole[:, 0] += 1
        return whole, part, row, first, second

    run = Run()
    given, arrays, sizes = symbols(run), floats(SIZES[0]), SIZES[0]
    found = code(given["t"], given["p"])
    assert run.refused is None
    for array, expected in zip(found, code(arrays["t"], arrays["p"]), strict=True):
        assert np.allclose(instantiated(array, arrays, sizes, {}), expected)


def test_a_number_is_replaced_and_not_written_into():
    def code(x, s):
        total = x.sum()
        before = total
        total += x[0, 0]
        entry = x[0, 0]
        kept = entry
        entry *= 3
        array = s.copy()
        same = array
        array += 1
        return before + total * kept - same * s

    run = Run()
    given, arrays, sizes = symbols(run), floats(SIZES[0]), SIZES[0]
    found = code(given["x"], given["s"])
    assert run.refused is None
    assert np.allclose(instantiated(found, arrays, sizes, {}), code(arrays["x"], arrays["s"]))


def test_a_loop_over_a_known_axis_writes_rows():
    def code(p, three):
        result = np.zeros_like(three)
        for n, column in enumerate(three.T):
            result[:, n] += column * n
            result[:, 0] -= result[:, n]
        return result * len(three.T)

    run = Run()
    given, arrays, sizes = symbols(run), floats(SIZES[0]), SIZES[0]
    found = code(given["p"], given["three"])
    assert run.refused is None
    assert np.allclose(instantiated(found, arrays, sizes, {}), code(arrays["p"], arrays["three"]))


def test_a_copy_may_be_written():
    x = symbols(Run())["x"]
    before = x.formula
    for copied in (x.copy(), x * 1, np.copy(x), x.astype(float), x.flatten()):
        copied[...] = 0
        assert copied.formula == calculus.ZERO
    assert x.formula is before


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_mean_what_numpy_means(seed):
    """A few steps drawn from a list, on symbols and on floats alike."""
    steps = [
        lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - b.mean(axis=0), lambda a, b: a @ b.T @ a,
        lambda a, b: a / (1 + b * b), lambda a, b: a * (b > 0), lambda a, b: np.maximum(a, b),
        lambda a, b: np.where(a > 0, b, a), lambda a, b: a.T[:, 0] * b, lambda a, b: a - b.sum(axis=1, keepdims=True),
        lambda a, b: a * np.sqrt((b * b).sum(axis=0) + 1), lambda a, b: (a[:, :, None] * b[:, None, :]).sum(axis=2),
        lambda a, b: np.einsum("nc,nd->nc", a, b), lambda a, b: (a.reshape(-1) * b.ravel()).reshape(a.shape),
    ]  # fmt: skip
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(steps), 3)
    order = rng.integers(0, 2, 3)

    def program(x, y):
        a, b = x, y
        for step, swap in zip(chosen, order, strict=True):
            a, b = steps[step](a, b), (a if swap else b)
        return a

    run = Run()
    given = symbols(run)
    result = program(given["x"], given["y"])
    assert run.refused is None
    sizes = SIZES[0]
    arrays = floats(sizes, seed)
    found = instantiated(result, arrays, sizes, {})
    assert np.allclose(found, program(arrays["x"], arrays["y"]), rtol=1e-8, atol=1e-8)
