"""What is undecided says what stopped it, in which line, and what to write instead, which helps."""

import ast
import functools
import inspect
import linecache
import math
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from backprop_lib.gradcheck import gradcheck
from backprop_lib.proof import hints, prove, prove_at, slopes
from backprop_lib.proof.evidence import Evidence, Formulas, decide
from backprop_lib.proof.formulas import output
from backprop_lib.proof.hints import INSTEAD, MEASURED, name_of
from backprop_lib.proof.lines import Line, is_of_others
from backprop_lib.proof.refusal import NotFollowedError
from backprop_lib.proof.symbolic import Run

RNG = np.random.default_rng(0)
SIZES = {"N": 4, "C": 3, "D": 2, "L": 6, "K": 2}


@dataclass(frozen=True)
class Pair:
    """Code that is not followed, the same code as the hint says, and the backward of both."""

    refused: Any
    followed: Any
    backward: Any
    shapes: dict[str, str] = field(default_factory=lambda: {"x": "N C"})
    status: str = "proven"
    same: bool = True
    """Whether both compute the same numbers, at inputs of which no two are equal."""
    given: dict[str, str] | None = None
    """The shapes of the refused code, if they are others."""
    is_open: bool = True
    """Whether the verdict says so; not if floats fail as well, or some sizes are proven."""


def entrywise(refused, followed, slope):
    """Return a pair of functions of one number."""
    return Pair(refused, followed, lambda dy, x: dy * slope(x), {"x": "N"})


def sums_by_class(x, t, W):
    return W + np.stack([x[t == c].sum(axis=0) for c in np.unique(t)])


def forward(function):
    """Return a forward that keeps its arguments."""
    names = [*inspect.signature(function).parameters]

    @functools.wraps(function)
    def run(**given):
        return function(**given), tuple(given[name] for name in names)

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


def central_slopes(dy, x):
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


OUT = np.zeros(())
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
        lambda x: x[np.flatnonzero(x > 0.5)].sum(),
        lambda x: x[x > 0.5].sum(),
        under_mask,
        {"x": "N"},
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
    "np.unique": Pair(
        sums_by_class,
        lambda x, t, W: W + (np.arange(W.shape[0])[:, None] == t) @ x,
        lambda dy, x, t, W: dy[t],
        {"x": "N C", "t": "N < K", "W": "const K C"},
        given={"x": "N C", "t": "const N", "W": "const K C"},
        is_open=False,
    ),
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
        lambda x: np.cumprod(x, axis=1),
        running_product,
        running_product_backward,
        status="proven at",
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
        lambda x: np.gradient(x, axis=0)[1:-1], lambda x: (x[2:] - x[:-2]) / 2, central_slopes
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
        is_open=False,
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
    "np.float_power": entrywise(lambda x: np.float_power(x, 3), lambda x: x**3, lambda x: 3 * x**2),
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
        lambda x, F: np.fft.fft(x, axis=1).real,
        lambda x, F: x @ F.T,
        lambda dy, x, F: dy @ F,
        {"x": "N K", "F": "const K K"},
    ),
    "np.fft.rfft": Pair(
        lambda x, F: np.fft.rfft(x, axis=1).real,
        lambda x, F: x @ F.T,
        lambda dy, x, F: dy @ F,
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
    ".item": Pair(
        lambda x: x * x.sum().item(),
        lambda x: x * x.sum(),
        lambda dy, x: dy * x.sum() + (dy * x).sum(),
    ),
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


def in_loop(x):
    total = 0
    for n in range(x.shape[0]):
        total = total + x[n]
    return total


def filled_in_loop(x):
    y = np.zeros_like(x)
    for n in range(x.shape[0]):
        y[n] = x.sum(axis=0)
    return y


def row_by_row(x):
    total = 0
    for row in x:
        total = total + row
    return total


def one_by_one(x):
    total = 0
    for entry in np.nditer(x):
        total = total + entry
    return total


def halves_of_empty(x):
    y = np.empty_like(x)
    y[x > 1] = 1
    y[np.log(x) <= 0] = 0
    return x * y


def halves_of_zeros(x):
    y = np.zeros_like(x)
    y[x > 1] = 1
    y[np.log(x) <= 0] = 0
    return x * y


def flat_view(x):
    y = x * 1
    flat = y.reshape(-1)
    flat *= 2
    return y


def flat_copy(x):
    flat = x.reshape(-1).copy()
    flat *= 2
    return flat.reshape(x.shape)


def broadcast_view(x):
    y = np.broadcast_to(x.sum(), x.shape)
    y[0] = 0
    return y


def broadcast_copy(x):
    y = np.broadcast_to(x.sum(), x.shape).copy()
    y[0] = 0
    return y


def put_at_largest(dy, x):
    dx = np.zeros_like(x)
    dx[np.arange(x.shape[0]), x.argmax(axis=1)] = dy
    return dx


def put_at_labels(x, t, W):
    y = np.zeros_like(W)
    y[t] += x
    return y


def added_at_labels(x, t, W):
    y = np.zeros_like(W)
    np.add.at(y, t, x)
    return y


def into_flat(x):
    y = 0 * x
    y[:] = x[x > -99]
    return y


def padded_backward(dy, x):
    dx = dy[1:-1].copy()
    dx[0] += dy[0]
    dx[-1] += dy[-1]
    return dx


def shifted_backward(dy, x):
    dx = np.zeros_like(x)
    dx[1:] = dy
    return dx


def masked(x):
    return np.where(x > 0.5, x, -np.inf)


LABELLED = {"x": "N C", "t": "N < C"}
CODE = {
    "a size": (
        "needs the size N as a number (in range, a loop or an index)",
        "use sums over an axis, np.broadcast_to",
        Pair(in_loop, lambda x: x.sum(axis=0), everywhere, is_open=False),
    ),
    "a size, to fill an array": (
        "needs the size N as a number (in range, a loop or an index)",
        "use sums over an axis, np.broadcast_to",
        Pair(
            filled_in_loop,
            lambda x: np.broadcast_to(x.sum(axis=0), x.shape),
            lambda dy, x: np.broadcast_to(dy.sum(axis=0), x.shape),
            is_open=False,
        ),
    ),
    "a length": (
        "needs the length N of an array as a number (in a loop over it)",
        "use operations on the whole array",
        Pair(row_by_row, lambda x: x.sum(axis=0), everywhere, is_open=False),
    ),
    "an array in math": (
        "calls math.exp with an array",
        "use NumPy's function",
        Pair(
            lambda x: math.exp(x),
            lambda x: np.exp(x),
            lambda dy, x: dy * np.exp(x),
            same=False,
            is_open=False,
        ),
    ),
    "read-only": (
        "writes into the result of np.broadcast_to",
        "copy it first",
        Pair(
            broadcast_view,
            broadcast_copy,
            lambda dy, x: np.broadcast_to(dy[1:].sum(), x.shape),
            same=False,
            is_open=False,
        ),
    ),
    "one axis of several": (
        "weights several axes by one",
        "name the axis",
        Pair(
            lambda x, w: np.average(x, weights=w),
            lambda x, w: np.average(x, axis=0, weights=w),
            lambda dy, x, w: w[:, None] / w.sum() * dy,
            {"x": "N C", "w": "const N"},
            same=False,
            is_open=False,
        ),
    ),
    "np.empty": (
        "uses entries of np.empty that are not known to be written",
        "use np.zeros, or write them all at once",
        Pair(halves_of_empty, halves_of_zeros, lambda dy, x: dy * (x > 1) * (np.log(x) > 0)),
    ),
    "np.empty, written at once": (
        "uses entries of np.empty that are not known to be written",
        "use np.zeros, or write them all at once",
        Pair(
            halves_of_empty,
            lambda x: x * np.where(np.log(x) <= 0, 0, 1),
            lambda dy, x: dy * (np.log(x) > 0),
        ),
    ),
    "types": (
        "calls astype(<class 'numpy.float16'>)",
        "keep the arrays' own type",
        Pair(lambda x: (x > 0.5).astype(np.float16) * x, lambda x: (x > 0.5) * x, under_mask),
    ),
    "a view": (
        "writes into an array of which it keeps a view",
        "copy it first",
        entrywise(flat_view, flat_copy, lambda x: 2),
    ),
    "if": (
        "needs an entry as a number (in if, while or a loop)",
        "use np.where for a choice",
        Pair(
            lambda x: 3 * x if x.sum() > 1 else x,
            lambda x: np.where(x.sum() > 1, 3 * x, x),
            lambda dy, x: np.where(x.sum() > 1, 3 * dy, dy),
        ),
    ),
    "float": (
        "needs an entry as a number (in float, int or an index)",
        "leave that out",
        Pair(
            lambda x: x * next(map(float, [x.sum()])),
            lambda x: x * x.sum(),
            lambda dy, x: dy * x.sum() + (dy * x).sum(),
        ),
    ),
    "float of an exact number": (
        "converts entries to float, int or bool",
        "keep the arrays' own type",
        Pair(
            lambda x: x * next(map(float, [x.sum()])),
            lambda x: x * x.sum(),
            lambda dy, x: dy * x.sum() + (dy * x).sum(),
        ),
    ),
    "plain arrays": (
        "(np.array, np.asarray, or a function that is not followed)",
        "leave that out, or compute with whole arrays",
        entrywise(lambda x: 2 * np.asarray_chkfinite(x), lambda x: 2 * x, lambda x: 2),
    ),
    "entry by entry": (
        "(np.array, np.asarray, or a function that is not followed)",
        "leave that out, or compute with whole arrays",
        Pair(one_by_one, lambda x: x.sum(), everywhere),
    ),
    "labels in an index": (
        "computes with argmax's result, labels or np.arange as with numbers",
        "use them as indices, or compare them with each other",
        Pair(
            lambda x, t: x[np.arange(x.shape[0]), t + 0],
            lambda x, t: x[np.arange(x.shape[0]), t],
            lambda dy, x, t: np.where(np.arange(x.shape[1]) == t[:, None], dy[:, None], 0),
            LABELLED,
        ),
    ),
    "labels compared": (
        "computes with argmax's result, labels or np.arange as with numbers",
        "use them as indices, or compare them with each other",
        Pair(
            lambda x, t: np.where(np.arange(x.shape[1]) - t[:, None] == 0, x, 0),
            lambda x, t: np.where(np.arange(x.shape[1]) == t[:, None], x, 0),
            lambda dy, x, t: np.where(np.arange(x.shape[1]) == t[:, None], dy, 0),
            LABELLED,
        ),
    ),
    "places that repeat": (
        "writes at places that may repeat, of which the last one counts",
        "use np.add.at, which adds all",
        Pair(
            put_at_labels,
            added_at_labels,
            lambda dy, x, t, W: dy[t],
            {"x": "K C", "t": "K < N", "W": "const N C"},
            is_open=False,
        ),
    ),
    "a mask beside an index": (
        "indexes with a mask beside other indices",
        "use np.where(mask, x, 0)",
        Pair(
            lambda x: x[x[:, 0] > 0.5, 0].sum(),
            lambda x: np.where(x[:, 0] > 0.5, x[:, 0], 0).sum(),
            lambda dy, x: dy * (x > 0.5) * (np.arange(x.shape[1]) == 0),
        ),
    ),
    "numbers as indices": (
        "indexes with an array of numbers",
        "use labels, argmax or np.arange",
        Pair(
            lambda x: x[np.arange(x.shape[0]), (x[:, 0] < x[:, 1]).astype(int)],
            lambda x: x[np.arange(x.shape[0]), np.argmax(x, axis=1)],
            put_at_largest,
            {"x": "N 2"},
        ),
    ),
    "an array under a mask": (
        "writes an array into the masked entries",
        "use np.where",
        Pair(
            put(lambda y: y.__setitem__(y > -99, 2 * y)),
            lambda x: np.where(x > -99, 2 * x, x),
            lambda dy, x: np.where(x > -99, 2 * dy, dy),
            {"x": "N"},
        ),
    ),
    "masked entries elsewhere": (
        "writes entries under a mask where there is none",
        "use np.where(mask, x, 0)",
        Pair(
            into_flat,
            lambda x: np.where(x > -99, x, 0),
            lambda dy, x: np.where(x > -99, dy, 0),
            {"x": "N"},
            is_open=False,
        ),
    ),
    "adding at a mask": (
        "calls np.add.at with a mask",
        "use a[mask] += b",
        Pair(
            put(lambda y: np.add.at(y, y > 0.5, 1)),
            put(lambda y: y.__setitem__(y > 0.5, y[y > 0.5] + 1)),
            lambda dy, x: dy,
        ),
    ),
    "two masks": (
        "combines entries under different masks",
        "use np.where(mask, x, 0)",
        Pair(
            lambda x: (x[x > 1] + x[np.log(x) > 0]).sum(),
            lambda x: (np.where(x > 1, x, 0) + np.where(np.log(x) > 0, x, 0)).sum(),
            lambda dy, x: dy * (x > 1) + dy * (np.log(x) > 0),
        ),
    ),
    "entries under a mask": (
        "computes with the entries under a mask what is not followed",
        "use np.where(mask, x, 0)",
        Pair(
            lambda x: np.dot(x[x > 0.5], x[x > 0.5]),
            lambda x: (np.where(x > 0.5, x, 0) ** 2).sum(),
            lambda dy, x: 2 * dy * np.where(x > 0.5, x, 0),
        ),
    ),
    "flat parts": (
        "joins arrays that it makes flat",
        "reshape them first",
        Pair(
            lambda x: np.concatenate([x, 2 * x], axis=None),
            lambda x: np.concatenate([x.reshape(-1), 2 * x.reshape(-1)]),
            lambda dy, x: (dy[: x.size] + 2 * dy[x.size :]).reshape(x.shape),
        ),
    ),
    "a flat roll": (
        "rolls an array that it makes flat",
        "name the axis",
        Pair(
            lambda x: np.roll(x, 1),
            lambda x: np.roll(x, 1, axis=1),
            lambda dy, x: np.roll(dy, -1, axis=1),
            {"x": "1 N"},
        ),
    ),
    "a flat cumsum": (
        "calls np.cumsum of an array that it makes flat",
        "name the axis",
        Pair(
            lambda x: np.cumsum(x),
            lambda x: np.cumsum(x, axis=1)[0],
            lambda dy, x: np.cumsum(dy[::-1])[::-1][None],
            {"x": "1 N"},
        ),
    ),
    "padding": (
        "calls np.pad with the mode 'edge'",
        "join slices with np.concatenate",
        Pair(
            lambda x: np.pad(x, ((1, 1), (0, 0)), mode="edge"),
            lambda x: np.concatenate([x[:1], x, x[-1:]]),
            padded_backward,
        ),
    ),
    "powers": (
        "raises to a power that is no number",
        "use np.exp(b * np.log(a))",
        Pair(
            lambda x, w: x**w,
            lambda x, w: np.exp(w * np.log(x)),
            lambda dy, x, w: dy * w * np.exp(w * np.log(x)) / x,
            X_AND_W,
        ),
    ),
    "whole numbers": (
        "calls np.reciprocal with whole numbers, which rounds",
        "divide 1 by them",
        Pair(
            lambda x: x * np.reciprocal((x[:, :1] > -99).sum()),
            lambda x: x * (1 / (x[:, :1] > -99).sum()),
            lambda dy, x: dy * (1 / (x[:, :1] > -99).sum()),
            {"x": "1 C"},
        ),
    ),
    "np.dot": (
        "uses np.dot on more than two axes",
        "use @",
        Pair(
            lambda x, w: np.dot(x, w),
            lambda x, w: x @ w,
            lambda dy, x, w: dy @ w.T,
            {"x": "N C D", "w": "const D L"},
        ),
    ),
    "out": (
        "writes a result into an array that is not followed",
        "leave out=... out",
        Pair(lambda x: np.sum(x, out=OUT), lambda x: np.sum(x), everywhere, is_open=False),
    ),
    "a norm along two axes": (
        "calls np.linalg.norm with two axes",
        "use np.sqrt((x * x).sum(axis=...))",
        Pair(
            lambda x: np.linalg.norm(x, axis=(0, 1)),
            lambda x: np.sqrt((x * x).sum(axis=(0, 1))),
            lambda dy, x: dy * x / np.sqrt((x * x).sum()),
        ),
    ),
    "another norm": (
        "calls np.linalg.norm with ord=4, which is not followed",
        "of vectors, use (np.abs(x) ** p).sum(axis=...) ** (1 / p) or np.max(np.abs(x), axis=...)",
        Pair(
            lambda x: np.linalg.norm(x, 4, axis=1),
            lambda x: (np.abs(x) ** 4).sum(axis=1) ** (1 / 4),
            lambda dy, x: dy[:, None] * x**3 * ((x**4).sum(axis=1, keepdims=True)) ** (-3 / 4),
        ),
    ),
    "the largest": (
        "calls np.linalg.norm with ord=inf",
        "of vectors, use (np.abs(x) ** p).sum(axis=...) ** (1 / p) or np.max(np.abs(x), axis=...)",
        Pair(
            lambda x: np.linalg.norm(x, np.inf, axis=1),
            lambda x: np.max(np.abs(x), axis=1),
            lambda dy, x: at_largest(dy, np.abs(x)) * np.where(x > 0, 1, -1),
        ),
    ),
    "squeeze": (
        "squeezes all axes that happen to be of size 1",
        "name the axis",
        Pair(
            lambda x: np.squeeze(x),
            lambda x: np.squeeze(x, axis=1),
            lambda dy, x: dy[:, None],
            {"x": "N 1"},
        ),
    ),
    "numbers as truth values": (
        "asks np.where for the entries that are not 0",
        "compare them first",
        Pair(
            lambda x, w: np.where(w, 2 * x, 1),
            lambda x, w: np.where(w != 0, 2 * x, 1),
            lambda dy, x, w: np.where(w != 0, 2 * dy, 0),
            X_AND_W,
        ),
    ),
    "filling": (
        "fills an array with an array",
        "use np.broadcast_to",
        Pair(
            lambda x, w: x * np.full_like(x, w),
            lambda x, w: x * np.broadcast_to(w, x.shape),
            lambda dy, x, w: dy * w,
            {"x": "N C", "w": "const C"},
        ),
    ),
    "identity": (
        "asks for an identity of <class 'int'>",
        "use np.eye(N, dtype=x.dtype, like=x)",
        Pair(
            lambda x: x @ np.eye(x.shape[1], dtype=int, like=x),
            lambda x: x @ np.eye(x.shape[1], dtype=x.dtype, like=x),
            lambda dy, x: dy,
        ),
    ),
    "masks added": (
        "computes with truth values alone",
        "use &, | and ~, or np.where",
        Pair(
            lambda x: x * ((x > 0.5) + (x < 0.2)),
            lambda x: x * ((x > 0.5) | (x < 0.2)),
            lambda dy, x: dy * ((x > 0.5) | (x < 0.2)),
        ),
    ),
    "logic": (
        "uses a logical operator on numbers",
        "compare them with 0 first",
        Pair(
            lambda x: x * np.logical_and(x, x > 0.5),
            lambda x: x * np.logical_and(x != 0, x > 0.5),
            under_mask,
        ),
    ),
    "a product": (
        "multiplies along an axis whose size is open",
        "for positive numbers, use np.exp(np.log(x).sum(axis=...))",
        Pair(
            lambda x: np.prod(x, axis=1),
            lambda x: np.exp(np.log(x).sum(axis=1)),
            lambda dy, x: dy[:, None] * np.exp(np.log(x).sum(axis=1, keepdims=True)) / x,
            is_open=False,
        ),
    ),
    "random numbers": (
        "draws with standard_gamma, which is not followed",
        "use np.random.rand, or random or normal of a generator",
        Pair(
            lambda x: x + np.random.standard_gamma(2.0, x.shape),  # noqa: NPY002
            lambda x: x + np.random.rand(*x.shape),  # noqa: NPY002
            lambda dy, x: dy,
            same=False,
        ),
    ),
    "random numbers of a generator": (
        "draws with standard_gamma, which is not followed",
        "use np.random.rand, or random or normal of a generator",
        Pair(
            lambda x: x + RNG.standard_gamma(2.0, x.shape),
            lambda x: x + RNG.random(x.shape) + RNG.normal(size=x.shape),
            lambda dy, x: dy,
            same=False,
        ),
    ),
    "a random shape": (
        "draws random numbers of a shape that is computed",
        "use x.shape",
        Pair(
            lambda x: x + np.random.normal(size=np.array(x.shape)),  # noqa: NPY002
            lambda x: x + np.random.normal(size=x.shape),  # noqa: NPY002
            lambda dy, x: dy,
            same=False,
        ),
    ),
    "np.arange from 1": (
        "calls np.arange with an open size and more than that",
        "use np.arange(N)",
        Pair(
            lambda x: x[np.arange(1, x.shape[0])],
            lambda x: x[np.arange(x.shape[0])][1:],
            shifted_backward,
            is_open=False,
        ),
    ),
    "np.arange of floats": (
        "asks np.arange for <class 'float'>",
        "leave that out",
        Pair(
            lambda x, t: np.where(np.arange(x.shape[1], dtype=float) == t[:, None], x, 0),
            lambda x, t: np.where(np.arange(x.shape[1]) == t[:, None], x, 0),
            lambda dy, x, t: np.where(np.arange(x.shape[1]) == t[:, None], dy, 0),
            LABELLED,
        ),
    ),
    "ndmin": (
        "calls np.array with ndmin",
        "use np.atleast_2d, or [None]",
        Pair(
            lambda x: np.array(x, ndmin=2),
            lambda x: np.atleast_2d(x),
            lambda dy, x: dy[0],
            {"x": "N"},
        ),
    ),
    "ndmin, with None": (
        "calls np.array with ndmin",
        "use np.atleast_2d, or [None]",
        Pair(lambda x: np.array(x, ndmin=2), lambda x: x[None], lambda dy, x: dy[0], {"x": "N"}),
    ),
    "infinity": (
        "computes with -inf",
        "what is followed is exp of an array in which a mask puts -inf, after its largest entry is "
        "subtracted",
        Pair(
            lambda x: 1 / (1 + np.exp(masked(x) * (-1))),
            lambda x: np.exp(masked(x)) / (1 + np.exp(masked(x))),
            lambda dy, x: dy * np.exp(masked(x)) / (1 + np.exp(masked(x))) ** 2,
        ),
    ),
    "infinity in a function": (
        "calls np.tanh with -inf",
        "it is followed in a mask before a softmax only",
        Pair(
            lambda x: np.tanh(masked(x) / 2) / 2 + 1 / 2,
            lambda x: np.exp(masked(x)) / (1 + np.exp(masked(x))),
            lambda dy, x: dy * np.exp(masked(x)) / (1 + np.exp(masked(x))) ** 2,
        ),
    ),
    "NaN": (
        "so that NaN or infinity may be told from them",
        "leave that out",
        entrywise(lambda x: np.where(x != x, 0, 2 * x), lambda x: 2 * x, lambda x: 2),
    ),
    "kinds": (
        "so it may do something else with others",
        "isinstance is followed",
        entrywise(
            lambda x: 2 * x if type(x) is np.ndarray else x,
            lambda x: 2 * x if isinstance(x, np.ndarray) else x,
            lambda x: 2,
        ),
    ),
    "the entries of a mask": (
        "calls np.where(array), which is not followed",
        "use np.where(mask, x, 0) or x[mask]",
        Pair(
            lambda x: x[np.where(x > 0.5)].sum(),
            lambda x: np.where(x > 0.5, x, 0).sum() / 2 + x[x > 0.5].sum() / 2,
            under_mask,
        ),
    ),
    "counting": (
        "calls np.bincount of no labels, or without minlength=",
        "pass how many there are",
        Pair(
            lambda x, t, W: (np.bincount(t, weights=x) ** 2).sum() + W.sum(),
            lambda x, t, W: (np.bincount(t, weights=x, minlength=W.size) ** 2).sum() + W.sum(),
            lambda dy, x, t, W: 2 * dy * np.bincount(t, weights=x, minlength=W.size)[t],
            {"x": "N", "t": "N < C", "W": "const C"},
        ),
    ),
    "an option": (
        "calls np.add with dtype",
        "leave that out",
        entrywise(lambda x: np.add(x, x, dtype=float), lambda x: np.add(x, x), lambda x: 2),
    ),
    "out of a ufunc": (
        "writes the result of np.add into another array",
        "leave out=... out",
        Pair(
            lambda x: np.add(x.sum(), 1, out=OUT),
            lambda x: np.add(x.sum(), 1),
            everywhere,
            is_open=False,
        ),
    ),
    "where of a ufunc": (
        "calls np.sqrt with where=... and without out=...",
        "pass out=np.zeros_like(x)",
        Pair(
            lambda x: np.where(x > 0.5, np.sqrt(x, where=x > 0.5), 0),
            lambda x: np.sqrt(x, out=np.zeros_like(x), where=x > 0.5),
            lambda dy, x: np.where(x > 0.5, dy / 2 / np.sqrt(np.where(x > 0.5, x, 1)), 0),
            same=False,
            is_open=False,
        ),
    ),
    "the order of columns": (
        "reshapes in the order 'F'",
        "use x.T.reshape(...)",
        Pair(
            lambda x: x.reshape(-1, order="F"),
            lambda x: x.T.reshape(-1),
            lambda dy, x: dy.reshape(x.T.shape).T,
        ),
    ),
    "many numbers": (
        "with more than 64 entries",
        'pass it as an argument, with its axes: w="const K"',
        Pair(
            lambda x, w: x * np.arange(99.0),
            lambda x, w: x * w,
            lambda dy, x, w: dy * w,
            {"x": "N 99", "w": "const 99"},
            same=False,
            is_open=False,
        ),
    ),
    "a size in a text": (
        "spells the size N out, as str, repr and f-strings do",
        "leave that out",
        Pair(
            lambda x: (f"{x.shape[0]}", 2 * x)[1],
            lambda x: 2 * x,
            lambda dy, x: 2 * dy,
            is_open=False,
        ),
    ),
    "an array in a text": (
        "spells an array or a number out, as str, repr and f-strings do",
        "leave that out",
        entrywise(lambda x: (str(x), 2 * x)[1], lambda x: 2 * x, lambda x: 2),
    ),
    "parts that are none": (
        "joins what is no list of arrays",
        "use reshape",
        Pair(
            lambda x: np.concatenate(x),
            lambda x: x.reshape(-1),
            lambda dy, x: dy.reshape(x.shape),
        ),
    ),
    "two rolls": (
        "rolls by what is no known number, or along several axes",
        "roll along one at a time",
        Pair(
            lambda x: np.roll(x, (1, 1), axis=(0, 1)),
            lambda x: np.roll(np.roll(x, 1, axis=0), 1, axis=1),
            lambda dy, x: np.roll(np.roll(dy, -1, axis=1), -1, axis=0),
        ),
    ),
    "a distribution": (
        "draws with normal from a distribution that an array chooses",
        "draw from one without, then shift and scale",
        Pair(
            lambda x: RNG.normal(x, 2.0),
            lambda x: x + 2.0 * RNG.normal(0.0, 1.0, x.shape),
            lambda dy, x: dy,
            same=False,
        ),
    ),
}


def drawn_from_a_seed(x):
    mask = np.random.default_rng(4).normal(size=x.shape)
    return x * mask, (mask,)


def drawn_again_otherwise(dy, mask):
    return dy * np.random.default_rng(np.random.SeedSequence(4)).normal(size=dy.shape)


OF_BACKWARD = {
    "numbers drawn once more": (
        ", and it cannot be told whether forward has drawn the same",
        "keep that in the cache",
        (drawn_from_a_seed, drawn_again_otherwise, lambda dy, mask: dy * mask),
    ),
}


@pytest.mark.parametrize("name", OF_BACKWARD)
def test_what_stands_in_the_place_of_a_backward_is_proven(name):
    *told, (forward, refused, followed) = OF_BACKWARD[name]
    verdict = prove(forward, refused, x="N C")["dx"]
    assert verdict.status == "undecided"
    assert all(part in repr(verdict) for part in told), verdict
    assert verdict.line is not None
    assert prove(forward, followed, x="N C")


def test_every_hint_is_tried():
    assert set(FUNCTIONS) == set(INSTEAD)
    tried = ["; ".join(told) for *told, _ in (*CODE.values(), *OF_BACKWARD.values())]
    for text in texts():
        before, _, hint = text.rpartition("; ")
        assert any(before[-9:] in told and hint in told for told in tried), text


def texts():
    """Yield the texts of the engines in which something stands after a semicolon."""
    folder = Path(hints.__file__).parent
    for path in sorted(folder.glob("*.py")):
        if path.stem in ("__main__", "hints", "report", "task"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            is_one_line = isinstance(text, str) and "; " in text and "\n" not in text
            if is_one_line and not text.endswith(".") and not text.startswith(NO_HINTS):
                yield text


NO_HINTS = (
    "a formula is neither true nor false",
    "forward computes something else each time it is run",
    "looks at the dtype of an array",
    " as a size; expected a whole number",
    *("there are too many ways to label so much", "the formulas grow too large"),
    *(" outcomes of its comparisons", ", which is rounded; "),
)
"""Those of errors, and those of what is tried further below."""


def relu(x):
    return np.maximum(x, 0), x


def standardized(x):
    centred = x - x.mean()
    return centred / np.sqrt((centred * centred).mean() + 1), x


def standardized_backward(dy, x):
    y, _ = standardized(x)
    return (dy - dy.mean() - y * (dy * y).mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + 1)


def chosen(x, t):
    return x[np.arange(x.shape[0]), t], (x, t)


def chosen_backward(dy, x, t):
    dx = np.zeros_like(x)
    dx[np.arange(x.shape[0]), t] = dy
    return dx


@pytest.mark.parametrize(
    ("told", "pair", "large", "small", "shapes"),
    [
        (
            "outcomes of its comparisons at these sizes; choose smaller ones",
            (relu, lambda dy, x: dy * (x > 0)),
            *({"N": 12}, {"N": 3}, {"x": "N"}),
        ),
        (
            "the formulas grow too large at these sizes; choose smaller ones",
            (standardized, standardized_backward),
            *({"N": 8}, {"N": 3}, {"x": "N"}),
        ),
        (
            "there are too many ways to label so much; choose smaller sizes",
            (chosen, chosen_backward),
            *({"N": 5, "C": 4}, {"N": 3, "C": 2}, {"x": "N C", "t": "N < C"}),
        ),
    ],
)
def test_smaller_sizes_are_proven(told, pair, large, small, shapes):
    assert told in prove_at(*pair, sizes=large, **shapes)["dx"].reason
    assert prove_at(*pair, sizes=small, **shapes)


def test_a_rounded_float_is_written_as_integers_or_passed_in():
    at = {"x": np.ones(2), "along": {"x": np.ones(2)}}

    def rounded(x):
        return x * 0.12345678901, ()

    with pytest.raises(NotFollowedError, match="divide integers instead, or pass it in") as caught:
        slopes(rounded, **at)
    (note,) = caught.value.__notes__
    assert note.endswith(f"{here(rounded, 1)}: return x * 0.12345678901, ()")
    exact = Fraction(12345678901, 10**11) * 2
    assert slopes(lambda x: (x * 12345678901 / 10**11, ()), **at) == (exact, exact)
    passed_in = slopes(lambda x, c: (x * c, ()), const={"c": 0.12345678901}, **at)
    assert passed_in == (exact, exact)


def test_a_function_of_others_is_not_said_to_be_of_numpy():
    def expit(x):
        return np.exp(x)

    assert name_of(expit) == "expit"
    assert name_of(np.add) == "np.add"
    assert name_of(np.linalg.inv) == "np.linalg.inv"
    assert name_of(np.fft.fft) == "np.fft.fft"
    assert name_of(np.linalg.trace) == "np.linalg.trace"
    assert name_of(np.trace) == "np.trace"


def test_what_is_not_followed_can_be_measured():
    pair = lambda x: (np.floor(x) * x, x), lambda dy, x: dy * np.floor(x)
    verdict = prove(*pair, x="N C")["dx"]
    assert verdict.reason.endswith(f"forward uses np.floor, which is not followed; {MEASURED}")
    assert gradcheck(*pair, x=np.random.default_rng(0).normal(size=(3, 4)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_stands_in_the_place_of_a_function_is_proven(name):
    is_tried(FUNCTIONS[name], f"uses {name}", INSTEAD[name])


@pytest.mark.parametrize("name", CODE)
def test_what_stands_in_the_place_of_other_code_is_proven(name):
    *told, pair = CODE[name]
    is_tried(pair, *told)


def is_tried(pair, *told):
    """Check that code is stopped with these words, and not once it is written as they say."""
    shapes = pair.given or pair.shapes
    if pair.is_open:
        refused = prove(forward(pair.refused), pair.backward, **shapes)["dx"]
        assert refused.status == "undecided", refused
        reason, line = repr(refused), refused.line
    else:
        with pytest.raises(NotFollowedError) as caught:
            output(forward(pair.refused), **shapes)
        reason, line = str(caught.value), caught.value.line
    assert all(part in reason for part in told), reason
    assert line is not None
    assert line.file == __file__
    followed = prove(forward(pair.followed), pair.backward, **pair.shapes)["dx"]
    assert followed.status == pair.status, followed
    if not pair.same:
        return
    inputs = [drawn(name, axes) for name, axes in pair.shapes.items()]
    np.testing.assert_allclose(pair.refused(*inputs), pair.followed(*inputs), rtol=1e-12)


def drawn(name, axes):
    """Return numbers between 0 and 1; a spectrum of two numbers is their sum and difference."""
    if name == "F":
        return np.array([[1.0, 1.0], [1.0, -1.0]])
    if "<" in axes:
        return np.arange(SIZES[axes[0]]) % 2
    shape = [SIZES.get(axis) or int(axis) for axis in axes.split() if axis != "const"]
    return np.random.default_rng(len(axes)).uniform(0.05, 0.95, shape)


# Where it was stopped.


def cube_root(x):
    doubled = 2 * x
    return np.cbrt(doubled)


class Rooted:
    """It keeps x on itself."""

    def forward(self, x):
        self.x = x
        return cube_root(x)

    def backward(self, dy):
        return dy * self.slope()

    def slope(self):
        return 2 / 3 / np.cbrt(2 * self.x) ** 2


def root_backward(dy, x):
    return dy * (2 / 3) / np.cbrt(2 * x) ** 2


def here(function, number):
    """Return a line of this file as it is written, counted from where a function begins."""
    name = function.__qualname__.split(".<locals>.")[-1]
    return f"test_messages.py:{function.__code__.co_firstlineno + number}, in {name}"


def test_the_line_in_a_helper_is_named():
    report = prove(forward(cube_root), root_backward, x="N C")
    first, second, *others = repr(report).splitlines()
    assert first.startswith("dx: undecided for all sizes: forward uses np.cbrt, which is not")
    assert second.endswith(f"{here(cube_root, 2)}: return np.cbrt(doubled)")
    assert others == [
        "  at N = 2, C = 3: stopped by the same",
        "  at N = 3, C = 2: agrees with measured slopes",
    ]
    place = here(cube_root, 2).replace("_", "\\_")
    assert f"{place}: `return np.cbrt(doubled)`; at" in report._repr_markdown_()


def test_the_line_in_a_method_is_named():
    line = prove(Rooted, x="N C")["dx"].line
    assert line.place.endswith(here(cube_root, 2))

    class Squared(Rooted):
        def forward(self, x):
            self.x = x
            return x * x

    line = prove(Squared, x="N C")["dx"].line
    assert (line.number, line.function) == (
        Rooted.slope.__code__.co_firstlineno + 1,
        "Rooted.slope",
    )
    assert line.source == "return 2 / 3 / np.cbrt(2 * self.x) ** 2"


NOTEBOOK = """
import numpy as np

def forward(x):
    parts = [np.cbrt(x) for _ in range(2)]
    return parts[0] + parts[1], x

def backward(dy, x):
    return 2 * dy / 3 / np.cbrt(x) ** 2
"""


@pytest.mark.parametrize("is_known", [False, True])
def test_the_line_in_a_notebook_is_named(is_known):
    name, cell = "cell [7]", {}
    if is_known:
        lines = NOTEBOOK.splitlines(keepends=True)
        linecache.cache[name] = (len(NOTEBOOK), None, lines, name)
    exec(compile(NOTEBOOK, name, "exec"), cell)
    report = prove(cell["forward"], cell["backward"], x="N C")
    source = ": parts = [np.cbrt(x) for _ in range(2)]" if is_known else ""
    assert repr(report).splitlines()[1] == f"  line 5, in forward{source}"
    source = ": `parts = [np.cbrt(x) for _ in range(2)]`" if is_known else ""
    assert f"; line 5, in forward{source}; at N = 2" in report._repr_markdown_()
    linecache.cache.pop(name, None)


def test_the_line_of_a_string_is_named():
    cell = {}
    exec(NOTEBOOK, cell)
    report = prove(cell["forward"], cell["backward"], x="N C")
    assert repr(report).splitlines()[1] == "  line 5, in forward"


def looks_inside(x):
    version = x.__array_interface__["version"]
    return 2 * x if version else x


def test_the_line_where_the_code_fails_with_symbols_is_named():
    verdict = prove(forward(looks_inside), lambda dy, x: 2 * dy, x="N C")["dx"]
    assert verdict.reason.startswith(
        " for all sizes: with symbols in the place of numbers, the code fails: AttributeError: "
    )
    assert verdict.line.place.endswith(here(looks_inside, 1))
    assert verdict.line.source == 'version = x.__array_interface__["version"]'


def test_the_line_where_the_code_catches_an_exception_is_named():
    def catches(x):
        try:
            return 2 * x
        except ValueError:
            return x

    verdict = prove(forward(catches), lambda dy, x: 2 * dy, x="N C")["dx"]
    assert "or catches exceptions" in verdict.reason
    assert verdict.line.source == "except ValueError:"


def test_another_line_is_named_in_a_note():
    def in_two_lines(x):
        total = np.sort(x, axis=1).sum()
        return total + np.cbrt(x)

    verdict = prove(forward(in_two_lines), root_backward, x="N C")["dx"]
    assert "uses np.sort" in verdict.reason
    assert verdict.line.source == "total = np.sort(x, axis=1).sum()"
    (note,) = [note for note in verdict.notes if "uses np.cbrt" in note]
    assert note.endswith(f"{here(in_two_lines, 2)})")


def test_what_is_proven_at_sizes_says_where_it_was_stopped():
    report = prove(forward(in_sorted_order), lambda dy, x: 0 * x + dy, x="N", sizes={"N": 2})
    (note,) = report["dx"].notes
    assert note.startswith("for all sizes undecided: forward uses np.sort, which is not followed; ")
    assert note.endswith(f"{here(in_sorted_order, 1)})")


def in_sorted_order(x):
    return np.sort(x).sum()


def test_what_has_no_line_is_told_without():
    evidence = Evidence("dx", formulas=Formulas(why="the formulas grow too large"))
    assert repr(decide(evidence)) == "dx: undecided for all sizes: the formulas grow too large"
    run = Run()
    with pytest.raises(NotFollowedError, match="which is not followed") as caught:
        np.cbrt(run.array("x", ["N"]))
    assert caught.value.line is None
    assert run.line is None


def test_the_line_that_calls_the_prover_is_not_blamed():
    run = Run()
    run.note("something of our own")
    assert run.line is None


def test_code_beside_that_of_others_is_judged():
    numpy = np.__path__[0]
    assert is_of_others(f"{numpy}/x.py")
    assert not is_of_others(f"{numpy}_ml/x.py")
    assert is_of_others(functools.__file__)
    assert is_of_others(hints.__file__)
    assert not is_of_others(hints.__file__.replace("proof", "layers"))
    assert not is_of_others(__file__)


def test_a_line_reads_well():
    assert str(Line("mine.py", 3, "forward")) == "line 3, in forward"
    assert str(Line("<string>", 3)) == "line 3"
    assert str(Line("\0", 3)) == "line 3"
    long = Line(__file__, LONG.__code__.co_firstlineno)
    assert long.source.endswith(" …")
    assert len(long.source) == 72


LONG = lambda: None  # noqa: E731  this comment is much longer than what is told of it, which ends
