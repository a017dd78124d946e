"""What is undecided says what stopped it, in which line, and what to write instead, which helps."""

import functools
import re
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from backprop_lib.gradcheck import gradcheck
from backprop_lib.proof import prove
from backprop_lib.proof.hints import INSTEAD, MEASURED

SIZES = {"N": 4, "C": 3, "D": 2, "L": 6, "K": 2}


class Pair(NamedTuple):
    """Code that is not followed, the same code as the hint says, and the backward of both."""

    refused: Any
    followed: Any
    backward: Any
    shapes: dict[str, str] = {"x": "N C"}
    status: str = "proven"


def entrywise(refused, followed, slope):
    """Return a pair of functions of one number."""
    return Pair(refused, followed, lambda dy, x: dy * slope(x))


def forward(function):
    """Return a forward that keeps its arguments."""

    @functools.wraps(function)
    def run(**given):
        return function(**given), tuple(given.values())

    return run


def put(change):
    """Return a function that changes a copy of its argument."""

    def changed(x):
        y = x * 1
        change(y)
        return y

    return changed


def with_checks(x):
    assert np.allclose(x, x)
    return 2 * x


def with_equality(x):
    assert np.array_equal(x, x)
    return 2 * x


def windows(dy, x, w):
    dx = np.zeros_like(x)
    for k in range(w.size):
        dx[k : k + dy.size] += w[k] * dy
    return dx


def running_product(x):
    product, products = 1.0, []
    for c in range(x.shape[1]):
        product = product * x[:, c]
        products.append(product)
    return np.stack(products, axis=1)


def running_product_backward(dy, x):
    y = running_product(x)
    dx = np.zeros_like(x)
    for c in range(x.shape[1]):
        for later in range(c, x.shape[1]):
            dx[:, c] += dy[:, later] * y[:, later] / x[:, c]
    return dx


def halves(dy, x):
    dx = np.zeros_like(x)
    dx[1:] += dy / 2
    dx[:-1] += dy / 2
    return dx


def slopes(dy, x):
    dx = np.zeros_like(x)
    dx[2:] += dy / 2
    dx[:-2] -= dy / 2
    return dx


def crossed(x, w):
    return np.stack(
        [
            x[:, 1] * w[:, 2] - x[:, 2] * w[:, 1],
            x[:, 2] * w[:, 0] - x[:, 0] * w[:, 2],
            x[:, 0] * w[:, 1] - x[:, 1] * w[:, 0],
        ],
        axis=1,
    )


def centred(x):
    return x - x.mean(axis=0)


def determinant(x):
    (a, b), (c, d) = x
    return a * d - b * c


def cofactors(x):
    (a, b), (c, d) = x
    return np.array([[d, -c], [-b, a]])


def inverse(x):
    return cofactors(x).T / determinant(x)


def without_second(dy, x):
    dx = np.zeros_like(x)
    dx[:1] = dy[:1]
    dx[2:] = dy[1:]
    return dx


def under_mask(dy, x):
    return dy * (x > 0.5)


def at_largest(dy, x):
    return np.where(np.arange(x.shape[1]) == x.argmax(axis=1)[:, None], dy[:, None], 0)


def at_smallest(dy, x):
    return np.where(np.arange(x.shape[1]) == x.argmin(axis=1)[:, None], dy[:, None], 0)


def spread(dy, x):
    return np.broadcast_to(dy[:, None], x.shape)


def everywhere(dy, x):
    return np.broadcast_to(dy, x.shape)


def normalized(x):
    return x / x.sum(axis=1, keepdims=True)


def normalized_backward(dy, x):
    total = x.sum(axis=1, keepdims=True)
    return dy / total - (dy * x).sum(axis=1, keepdims=True) / total**2


X_AND_W = {"x": "N C", "w": "const N C"}
SIGNAL = {"x": "L", "w": "const K"}
SQUARE = {"x": "N N"}
TWO = {"x": "2 2"}
SOME_ROWS = "proven at"

FUNCTIONS = {
    "np.nonzero": Pair(
        lambda x: x[np.nonzero(x > 0.5)].sum(), lambda x: np.where(x > 0.5, x, 0).sum(), under_mask
    ),
    "np.flatnonzero": Pair(
        lambda x: x[np.flatnonzero(x > 0.5)].sum(), lambda x: x[x > 0.5].sum(), under_mask, {"x": "N"}
    ),
    "np.argwhere": Pair(
        lambda x: x[np.argwhere(x > 0.5)].sum(), lambda x: x[x > 0.5].sum(), under_mask, {"x": "N"}
    ),
    ".nonzero": Pair(
        lambda x: x[(x > 0.5).nonzero()].sum(), lambda x: x[x > 0.5].sum(), under_mask
    ),
    "np.extract": Pair(
        lambda x: np.extract(x > 0.5, x).sum(), lambda x: x[x > 0.5].sum(), under_mask
    ),
    "np.compress": Pair(
        lambda x: np.compress(x > 0.5, x).sum(), lambda x: x[x > 0.5].sum(), under_mask, {"x": "N"}
    ),
    ".compress": Pair(
        lambda x: x.compress(x > 0.5).sum(), lambda x: x[x > 0.5].sum(), under_mask, {"x": "N"}
    ),
    "np.sort": Pair(lambda x: np.sort(x, axis=1)[:, -1], lambda x: np.max(x, axis=1), at_largest),
    ".sort": Pair(
        lambda x: put(lambda y: y.sort(axis=1))(x)[:, 0], lambda x: np.min(x, axis=1), at_smallest
    ),
    "np.argsort": Pair(
        lambda x: x[np.arange(x.shape[0]), np.argsort(x, axis=1)[:, -1]],
        lambda x: x[np.arange(x.shape[0]), np.argmax(x, axis=1)],
        at_largest,
    ),
    ".argsort": Pair(
        lambda x: x[np.arange(x.shape[0]), x.argsort(axis=1)[:, -1]],
        lambda x: x[np.arange(x.shape[0]), np.argmax(x, axis=1)],
        at_largest,
    ),
    "np.partition": Pair(
        lambda x: np.partition(x, -1, axis=1)[:, -1], lambda x: np.max(x, axis=1), at_largest
    ),
    ".partition": Pair(
        lambda x: put(lambda y: y.partition(0, axis=1))(x)[:, 0],
        lambda x: np.min(x, axis=1),
        at_smallest,
    ),
    "np.argpartition": Pair(
        lambda x: x[np.arange(x.shape[0]), np.argpartition(x, -1, axis=1)[:, -1]],
        lambda x: x[np.arange(x.shape[0]), np.argmax(x, axis=1)],
        at_largest,
    ),
    ".argpartition": Pair(
        lambda x: x[np.arange(x.shape[0]), x.argpartition(-1, axis=1)[:, -1]],
        lambda x: x[np.arange(x.shape[0]), np.argmax(x, axis=1)],
        at_largest,
    ),
    "np.correlate": Pair(
        lambda x, w: np.correlate(x, w),
        lambda x, w: sliding_window_view(x, w.size) @ w,
        windows,
        SIGNAL,
        "proven at",
    ),
    "np.convolve": Pair(
        lambda x, w: np.convolve(x, w, "valid"),
        lambda x, w: sliding_window_view(x, w.size) @ w[::-1],
        lambda dy, x, w: windows(dy, x, w[::-1]),
        SIGNAL,
        "proven at",
    ),
    "np.cumprod": Pair(
        lambda x: np.cumprod(x, axis=1), running_product, running_product_backward, status="proven at"
    ),
    ".cumprod": Pair(
        lambda x: x.cumprod(axis=1), running_product, running_product_backward, status="proven at"
    ),
    "np.multiply.accumulate": Pair(
        lambda x: np.multiply.accumulate(x, axis=1),
        running_product,
        running_product_backward,
        status="proven at",
    ),
    "np.add.accumulate": Pair(
        lambda x: np.add.accumulate(x, axis=1),
        lambda x: np.cumsum(x, axis=1),
        lambda dy, x: np.cumsum(dy[:, ::-1], axis=1)[:, ::-1],
    ),
    "np.logaddexp.reduce": Pair(
        lambda x: np.logaddexp.reduce(x, axis=1),
        lambda x: np.log(np.exp(x).sum(axis=1)),
        lambda dy, x: dy[:, None] * np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
    ),
    "np.trapezoid": Pair(
        lambda x: np.trapezoid(x, axis=0),
        lambda x: ((x[1:] + x[:-1]) / 2).sum(axis=0),
        halves,
    ),
    "np.gradient": Pair(
        lambda x: np.gradient(x, axis=0)[1:-1], lambda x: (x[2:] - x[:-2]) / 2, slopes
    ),
    "np.polyval": entrywise(
        lambda x: np.polyval([2, 3, 4], x), lambda x: (2 * x + 3) * x + 4, lambda x: 4 * x + 3
    ),
    "np.interp": entrywise(
        lambda x: np.interp(x, [0, 0.5], [0, 1]),
        lambda x: np.where(x < 0, 0, np.where(x < 0.5, 2 * x, 1)),
        lambda x: np.where((x >= 0) & (x < 0.5), 2, 0),
    ),
    "np.cross": Pair(
        lambda x, w: np.cross(x, w),
        crossed,
        lambda dy, x, w: crossed(w, dy),
        {"x": "N 3", "w": "const N 3"},
    ),
    "np.cov": Pair(
        lambda x: np.cov(x, rowvar=False),
        lambda x: centred(x).T @ centred(x) / (x.shape[0] - 1),
        lambda dy, x: centred(x) @ (dy + dy.T) / (x.shape[0] - 1),
    ),
    "np.nan_to_num": entrywise(
        lambda x: np.nan_to_num(x / np.abs(x)), lambda x: np.sign(x), lambda x: 0 * x
    ),
    "np.isnan": entrywise(lambda x: np.where(np.isnan(x), 0, 2 * x), lambda x: 2 * x, lambda x: 2),
    "np.isfinite": entrywise(
        lambda x: np.where(np.isfinite(x), 2 * x, 0), lambda x: 2 * x, lambda x: 2
    ),
    "np.isinf": entrywise(lambda x: np.where(np.isinf(x), 0, 2 * x), lambda x: 2 * x, lambda x: 2),
    "np.nansum": Pair(lambda x: np.nansum(x), lambda x: np.sum(x), everywhere),
    "np.nanmean": Pair(
        lambda x: np.nanmean(x, axis=1),
        lambda x: np.mean(x, axis=1),
        lambda dy, x: spread(dy, x) / x.shape[1],
    ),
    "np.nanvar": Pair(
        lambda x: np.nanvar(x, axis=0),
        lambda x: np.var(x, axis=0),
        lambda dy, x: 2 * dy * centred(x) / x.shape[0],
    ),
    "np.nanstd": Pair(
        lambda x: np.nanstd(x, axis=0),
        lambda x: np.std(x, axis=0),
        lambda dy, x: dy * centred(x) / x.shape[0] / np.std(x, axis=0),
    ),
    "np.nanmax": Pair(lambda x: np.nanmax(x, axis=1), lambda x: np.max(x, axis=1), at_largest),
    "np.nanmin": Pair(lambda x: np.nanmin(x, axis=1), lambda x: np.min(x, axis=1), at_smallest),
    "np.nancumsum": Pair(
        lambda x: np.nancumsum(x, axis=1),
        lambda x: np.cumsum(x, axis=1),
        lambda dy, x: np.cumsum(dy[:, ::-1], axis=1)[:, ::-1],
    ),
    "np.nanprod": Pair(
        lambda x: np.nanprod(x, axis=1),
        lambda x: np.prod(x, axis=1),
        lambda dy, x: dy[:, None] * x[:, ::-1],
        {"x": "N 2"},
    ),
    "np.nanargmax": Pair(
        lambda x: x[np.arange(x.shape[0]), np.nanargmax(x, axis=1)],
        lambda x: x[np.arange(x.shape[0]), np.argmax(x, axis=1)],
        at_largest,
    ),
    "np.nanargmin": Pair(
        lambda x: x[np.arange(x.shape[0]), np.nanargmin(x, axis=1)],
        lambda x: x[np.arange(x.shape[0]), np.argmin(x, axis=1)],
        at_smallest,
    ),
    "np.isclose": entrywise(
        lambda x: np.where(np.isclose(x, 0), 0, 2 * x),
        lambda x: np.where(np.abs(x) < 1e-8, 0, 2 * x),
        lambda x: np.where(np.abs(x) < 1e-8, 0, 2),
    ),
    "np.allclose": entrywise(with_checks, lambda x: 2 * x, lambda x: 2),
    "np.array_equal": entrywise(with_equality, lambda x: 2 * x, lambda x: 2),
    "np.signbit": entrywise(
        lambda x: np.where(np.signbit(x), 0, x), lambda x: np.where(x < 0, 0, x), lambda x: x >= 0
    ),
    "np.any": Pair(
        lambda x: x * np.any(x > 0.5, axis=1, keepdims=True),
        lambda x: x * (np.max(x, axis=1, keepdims=True) > 0.5),
        lambda dy, x: dy * (np.max(x, axis=1, keepdims=True) > 0.5),
    ),
    ".any": Pair(
        lambda x: x * (x > 0.5).any(axis=1, keepdims=True),
        lambda x: x * (np.max(x, axis=1, keepdims=True) > 0.5),
        lambda dy, x: dy * (np.max(x, axis=1, keepdims=True) > 0.5),
    ),
    "np.all": Pair(
        lambda x: x * np.all(x > 0.5, axis=1, keepdims=True),
        lambda x: x * (np.min(x, axis=1, keepdims=True) > 0.5),
        lambda dy, x: dy * (np.min(x, axis=1, keepdims=True) > 0.5),
    ),
    ".all": Pair(
        lambda x: x * (x > 0.5).all(axis=1, keepdims=True),
        lambda x: x * (np.min(x, axis=1, keepdims=True) > 0.5),
        lambda dy, x: dy * (np.min(x, axis=1, keepdims=True) > 0.5),
    ),
    "np.cbrt": entrywise(
        lambda x: np.cbrt(x),
        lambda x: x ** (1 / 3),
        lambda x: x ** (-2 / 3) / 3,
    ),
    "np.float_power": entrywise(
        lambda x: np.float_power(x, 3), lambda x: x**3, lambda x: 3 * x**2
    ),
    "np.fmax": entrywise(
        lambda x: np.fmax(x, 0.5), lambda x: np.maximum(x, 0.5), lambda x: x > 0.5
    ),
    "np.fmin": entrywise(
        lambda x: np.fmin(x, 0.5), lambda x: np.minimum(x, 0.5), lambda x: x < 0.5
    ),
    "np.arccos": entrywise(
        lambda x: np.arccos(x),
        lambda x: np.pi / 2 - np.arcsin(x),
        lambda x: -1 / np.sqrt(1 - x * x),
    ),
    "np.arcsinh": entrywise(
        lambda x: np.arcsinh(x),
        lambda x: np.log(x + np.sqrt(x * x + 1)),
        lambda x: 1 / np.sqrt(x * x + 1),
    ),
    "np.arccosh": entrywise(
        lambda x: np.arccosh(1 / x),
        lambda x: np.log(1 / x + np.sqrt((1 / x) * (1 / x) - 1)),
        lambda x: -1 / (x * x * np.sqrt((1 / x) * (1 / x) - 1)),
    ),
    "np.arctan2": entrywise(
        lambda x: np.arctan2(x, 2.0), lambda x: np.arctan(x / 2), lambda x: 2 / (4 + x * x)
    ),
    "np.copysign": Pair(
        lambda x, w: np.copysign(x, w),
        lambda x, w: np.abs(x) * np.sign(w),
        lambda dy, x, w: dy * np.sign(x) * np.sign(w),
        X_AND_W,
    ),
    "np.sinc": entrywise(
        lambda x: np.sinc(x),
        lambda x: np.sin(np.pi * x) / (np.pi * x),
        lambda x: np.cos(np.pi * x) / x - np.sin(np.pi * x) / (np.pi * x * x),
    ),
    "np.deg2rad": entrywise(
        lambda x: np.deg2rad(x), lambda x: x * (np.pi / 180), lambda x: np.pi / 180
    ),
    "np.radians": entrywise(
        lambda x: np.radians(x), lambda x: x * (np.pi / 180), lambda x: np.pi / 180
    ),
    "np.rad2deg": entrywise(
        lambda x: np.rad2deg(x), lambda x: x * (180 / np.pi), lambda x: 180 / np.pi
    ),
    "np.degrees": entrywise(
        lambda x: np.degrees(x), lambda x: x * (180 / np.pi), lambda x: 180 / np.pi
    ),
    "np.real": entrywise(lambda x: np.real(x) * x, lambda x: x * x, lambda x: 2 * x),
    ".real": entrywise(lambda x: x.real * x, lambda x: x * x, lambda x: 2 * x),
    ".conj": entrywise(lambda x: x.conj() * x, lambda x: x * x, lambda x: 2 * x),
    "np.linalg.inv": Pair(
        lambda x: np.linalg.inv(x), inverse, lambda dy, x: -inverse(x).T @ dy @ inverse(x).T, TWO
    ),
    "np.linalg.det": Pair(
        lambda x: np.linalg.det(x), determinant, lambda dy, x: dy * cofactors(x), TWO
    ),
    "np.linalg.multi_dot": Pair(
        lambda x, w: np.linalg.multi_dot([x, w, x]),
        lambda x, w: x @ w @ x,
        lambda dy, x, w: dy @ (w @ x).T + (x @ w).T @ dy,
        {"x": "N C", "w": "const C N"},
    ),
    "np.linalg.matrix_power": Pair(
        lambda x: np.linalg.matrix_power(x, 2),
        lambda x: x @ x,
        lambda dy, x: dy @ x.T + x.T @ dy,
        SQUARE,
    ),
    "np.vecdot": Pair(
        lambda x, w: np.vecdot(x, w),
        lambda x, w: (x * w).sum(axis=-1),
        lambda dy, x, w: dy[:, None] * w,
        X_AND_W,
    ),
    "np.linalg.vecdot": Pair(
        lambda x, w: np.linalg.vecdot(x, w),
        lambda x, w: (x * w).sum(axis=-1),
        lambda dy, x, w: dy[:, None] * w,
        X_AND_W,
    ),
    "np.linalg.vector_norm": Pair(
        lambda x: np.linalg.vector_norm(x, axis=1),
        lambda x: np.linalg.norm(x, axis=1),
        lambda dy, x: dy[:, None] * x / np.linalg.norm(x, axis=1, keepdims=True),
    ),
    "np.matrix_transpose": Pair(
        lambda x: np.matrix_transpose(x), lambda x: np.swapaxes(x, -1, -2), lambda dy, x: dy.T
    ),
    "np.linalg.matrix_transpose": Pair(
        lambda x: np.linalg.matrix_transpose(x),
        lambda x: np.swapaxes(x, -1, -2),
        lambda dy, x: dy.T,
    ),
    ".mT": Pair(lambda x: x.mT, lambda x: np.swapaxes(x, -1, -2), lambda dy, x: dy.T),
    "np.fft.fft": Pair(
        lambda x, F: np.fft.fft(x, axis=1).real, lambda x, F: x @ F.T, lambda dy, x, F: dy @ F,
        {"x": "N K", "F": "const K K"},
    ),
    "np.fft.rfft": Pair(
        lambda x, F: np.fft.rfft(x, axis=1).real, lambda x, F: x @ F.T, lambda dy, x, F: dy @ F,
        {"x": "N K", "F": "const K K"},
    ),
    "np.apply_along_axis": Pair(
        lambda x: np.apply_along_axis(lambda row: row / row.sum(), 1, x),
        normalized,
        normalized_backward,
    ),
    "np.apply_over_axes": Pair(
        lambda x: np.apply_over_axes(np.sum, x, [0, 1]),
        lambda x: np.sum(x, axis=(0, 1), keepdims=True),
        everywhere,
    ),
    "np.select": entrywise(
        lambda x: np.select([x < 0.5], [3 * x], x),
        lambda x: np.where(x < 0.5, 3 * x, x),
        lambda x: np.where(x < 0.5, 3, 1),
    ),
    "np.piecewise": entrywise(
        lambda x: np.piecewise(x, [x < 0.5], [lambda v: 3 * v, lambda v: v]),
        lambda x: np.where(x < 0.5, 3 * x, x),
        lambda x: np.where(x < 0.5, 3, 1),
    ),
    "np.choose": entrywise(
        lambda x: np.choose(x < 0.5, [x, 3 * x]),
        lambda x: np.where(x < 0.5, 3 * x, x),
        lambda x: np.where(x < 0.5, 3, 1),
    ),
    "np.place": Pair(
        put(lambda y: np.place(y, y < 0.5, [0])),
        put(lambda y: y.__setitem__(y < 0.5, 0)),
        lambda dy, x: np.where(x < 0.5, 0, dy),
    ),
    "np.putmask": Pair(
        put(lambda y: np.putmask(y, y < 0.5, 0)),
        lambda x: np.where(x < 0.5, 0, x),
        lambda dy, x: np.where(x < 0.5, 0, dy),
    ),
    "np.copyto": Pair(
        put(lambda y: np.copyto(y, 2 * y)),
        put(lambda y: y.__setitem__(..., 2 * y)),
        lambda dy, x: 2 * dy,
    ),
    "np.fill_diagonal": Pair(
        put(lambda y: np.fill_diagonal(y, 0)),
        lambda x: x * (1 - np.eye(x.shape[0])),
        lambda dy, x: dy * (1 - np.eye(x.shape[0])),
        SQUARE,
    ),
    "np.delete": Pair(
        lambda x: np.delete(x, 1, axis=0), lambda x: np.concatenate([x[:1], x[2:]]), without_second
    ),
    "np.insert": Pair(
        lambda x: np.insert(x, 1, 0, axis=0),
        lambda x: np.concatenate([x[:1], np.zeros((1, x.shape[1])), x[1:]]),
        lambda dy, x: np.concatenate([dy[:1], dy[2:]]),
    ),
    "np.block": Pair(
        lambda x: np.block([[x], [2 * x]]),
        lambda x: np.concatenate([x, 2 * x]),
        lambda dy, x: dy[: x.shape[0]] + 2 * dy[x.shape[0] :],
    ),
    "np.meshgrid": Pair(
        lambda x, w: np.multiply(*np.meshgrid(x, w, indexing="ij")),
        lambda x, w: x[:, None] * w[None],
        lambda dy, x, w: dy @ w,
        {"x": "N", "w": "const C"},
    ),
    "np.rollaxis": Pair(
        lambda x: np.rollaxis(x, 2),
        lambda x: np.moveaxis(x, 2, 0),
        lambda dy, x: np.moveaxis(dy, 0, 2),
        {"x": "N C D"},
    ),
    "np.rot90": Pair(
        lambda x: np.rot90(x), lambda x: np.flip(x.T, 0), lambda dy, x: np.flip(dy, 0).T
    ),
    "np.resize": Pair(
        lambda x: np.resize(x, x.size),
        lambda x: x.reshape(x.size),
        lambda dy, x: dy.reshape(x.shape),
    ),
    ".flat": Pair(lambda x: np.sum(x.flat), lambda x: np.sum(x.reshape(-1)), everywhere),
    ".item": Pair(lambda x: x * x.sum().item(), lambda x: x * x.sum(), lambda dy, x: dy * x.sum() + (dy * x).sum()),
    ".tolist": entrywise(lambda x: 2 * np.array(x.tolist()), lambda x: 2 * x, lambda x: 2),
    "np.tril_indices_from": Pair(
        lambda x: x[np.tril_indices_from(x)].sum(),
        lambda x: np.tril(x).sum(),
        lambda dy, x: dy * np.tril(np.ones_like(x)),
        SQUARE,
    ),
    "np.triu_indices_from": Pair(
        lambda x: x[np.triu_indices_from(x)].sum(),
        lambda x: np.triu(x).sum(),
        lambda dy, x: dy * np.triu(np.ones_like(x)),
        SQUARE,
    ),
}


def test_every_hint_is_tried():
    assert set(FUNCTIONS) == set(INSTEAD)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_stands_in_the_place_of_a_function_is_proven(name):
    is_tried(FUNCTIONS[name], f"uses {name}", INSTEAD[name])


def is_tried(pair, *told):
    """Check that code is stopped with these words, and not once it is written as they say."""
    refused = prove(forward(pair.refused), pair.backward, **pair.shapes)["dx"]
    assert refused.status == "undecided", refused
    assert all(part in refused.reason for part in told), refused
    assert refused.line is not None
    assert refused.line.file == __file__
    followed = prove(forward(pair.followed), pair.backward, **pair.shapes)["dx"]
    assert followed.status == pair.status, followed
    inputs = [drawn(name, axes) for name, axes in pair.shapes.items()]
    np.testing.assert_allclose(pair.refused(*inputs), pair.followed(*inputs), rtol=1e-12)


def drawn(name, axes):
    """Return numbers between 0 and 1; a spectrum of two numbers is their sum and difference."""
    if name == "F":
        return np.array([[1.0, 1.0], [1.0, -1.0]])
    shape = [SIZES.get(axis) or int(axis) for axis in axes.split() if axis != "const"]
    return np.random.default_rng(len(axes)).uniform(0.05, 0.95, shape)
