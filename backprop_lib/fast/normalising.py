"""Batch normalisation, a few channels at a time: common to `batchnorm1d` and `batchnorm1d_relu`.

A pass over an array that is larger than the cache takes as long as the memory needs to deliver it,
however little is computed. So the entries of a few channels are brought into an array that stays
in the cache; all is done there, and the result is written once. x̂ is never stored: `backward`
computes it from x again.
"""

from collections.abc import Callable

import numpy as np

from backprop_lib.fast.buffers import Buffers, array_for, empty, full
from backprop_lib.fast.folding import split
from backprop_lib.fast.parallel import in_blocks, wide

ENTRIES = 2**17
"""So many entries are worked on at a time, or one channel if it has more."""


def batch_norm(
    x: np.ndarray,
    W: np.ndarray,
    b: np.ndarray,
    eps: float,
    has_relu: bool,
    buffers: Buffers | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalise a batch; with ``has_relu``, set what is negative to 0.

    Parameters
    ----------
    x, W, b, eps
        As for `layers.batchnorm1d.forward`.
    has_relu : bool
        Whether a ReLU follows.
    buffers : Buffers or None
        Where y is kept.

    Returns
    -------
    y, mean, r : arrays, of the shape of x, (C,) and (C,)
        mean and r in double precision at least.
    """
    C, M = x.shape[1], x.size // x.shape[1]
    dtype = np.result_type(x, W, b)
    y = array_for(buffers, "y", x.shape, dtype)
    mean, r = np.empty(C, wide(x.dtype)), np.empty(C, wide(x.dtype))
    ones, zeros = full((M,), 1, dtype), full((M,), 0, dtype)
    x_of, y_of = _by_channel(x), _by_channel(y)

    def work(tile: slice, rows: np.ndarray) -> None:
        entries = rows.reshape(x_of[tile].shape)
        entries[...] = x_of[tile]
        shift = _mean(rows, ones)
        rows -= shift[:, None]
        rest = _mean(rows, ones).astype(mean.dtype)  # what rounding left of the mean
        variance = np.vecdot(rows, rows).astype(r.dtype) / M - rest * rest
        mean[tile] = shift + rest
        r[tile] = 1 / np.sqrt(variance + eps)
        scale = W[tile] * r[tile]
        rows *= _column(scale, dtype)
        rows += _column(b[tile] - scale * rest, dtype)
        if has_relu:
            np.maximum(rows, zeros, out=rows)
        y_of[tile] = entries

    _in_tiles(C, M, dtype, 1, work)
    return y, mean, r


def batch_norm_evaluation(
    x: np.ndarray,
    W: np.ndarray,
    b: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    eps: float,
    has_relu: bool,
    buffers: Buffers | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Normalise with statistics that are given; with ``has_relu``, set what is negative to 0.

    Parameters
    ----------
    x, W, b, mean, var, eps
        As for `layers.batchnorm1d.forward_evaluation`.
    has_relu, buffers
        As for `batch_norm`.

    Returns
    -------
    y, r : arrays, of the shape of x and (C,)
    """
    M = x.size // max(1, x.shape[1])
    dtype = np.result_type(x, W, b, mean, var)
    y = array_for(buffers, "y", x.shape, dtype)
    r = 1 / np.sqrt(var + eps)
    scale, zeros = W * r, full((M,), 0, dtype)
    x_of, y_of = _by_channel(x), _by_channel(y)

    def work(tile: slice, rows: np.ndarray) -> None:
        entries = rows.reshape(x_of[tile].shape)
        entries[...] = x_of[tile]
        rows -= _column(mean[tile], dtype)
        rows *= _column(scale[tile], dtype)
        rows += _column(b[tile], dtype)
        if has_relu:
            np.maximum(rows, zeros, out=rows)
        y_of[tile] = entries

    _in_tiles(x.shape[1], M, dtype, 1, work)
    return y, r


def batch_norm_backward(
    dy: np.ndarray,
    y: np.ndarray | None,
    x: np.ndarray,
    mean: np.ndarray,
    r: np.ndarray,
    W: np.ndarray,
    is_training: bool,
    buffers: Buffers | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn dy into the gradients of x, W and b.

    Parameters
    ----------
    dy : array, of the shape of x
        Upstream gradient.
    y : array of the same shape, or None
        If given, dy goes through where y > 0.
    x, mean, r, W : arrays, of the shape of x, (C,), (C,) and (C,)
        With mean and r constant if this is not training.
    is_training : bool
        Whether mean and r depend on x.
    buffers : Buffers or None
        Where dx is kept.

    Returns
    -------
    dx, dW, db : arrays, of the shapes of x, (C,) and (C,)
    """
    C, M = x.shape[1], x.size // max(1, x.shape[1])
    dtype = np.result_type(dy, x, W)
    dx = array_for(buffers, "dx", x.shape, dtype)
    dW, db = np.empty(C, dtype), np.empty(C, dtype)
    ones = full((M,), 1, dtype)
    shift, rest = split(mean, dtype)
    x_of, dy_of, dx_of = _by_channel(x), _by_channel(dy), _by_channel(dx)
    y_of = None if y is None else _by_channel(y)

    def work(tile: slice, g: np.ndarray, u: np.ndarray) -> None:
        upstream, entries = (rows.reshape(x_of[tile].shape) for rows in (g, u))
        if y_of is None:
            upstream[...] = dy_of[tile]
        else:
            upstream[...] = y_of[tile] > 0
            upstream *= dy_of[tile]
        entries[...] = x_of[tile]
        u -= shift[tile, None]
        q = (g @ ones).astype(r.dtype)
        dot = np.vecdot(u, g).astype(r.dtype)
        through_scale = r[tile] * (dot - rest[tile] * q)
        dW[tile], db[tile] = through_scale, q
        if is_training:
            of_u = -r[tile] * through_scale / M
            g -= _column(q / M + of_u * rest[tile], dtype)
            u *= _column(of_u, dtype)
            g += u
        g *= _column(W[tile] * r[tile], dtype)
        dx_of[tile] = upstream

    _in_tiles(C, M, dtype, 2, work)
    return dx, dW, db


def _by_channel(array: np.ndarray) -> np.ndarray:
    """Return (N, C, *L) as (C, N, *L), without a copy."""
    return np.moveaxis(array, 1, 0)


def _mean(rows: np.ndarray, ones: np.ndarray) -> np.ndarray:
    return np.asarray((rows @ ones) / len(ones))  # a product sums faster than np.mean


def _column(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return values.astype(dtype)[:, None]


def _in_tiles(
    channels: int, entries: int, dtype: np.dtype, number: int, work: Callable[..., None]
) -> None:
    """Call ``work`` with a few channels at a time, and so many arrays with a row for each."""
    width = max(1, ENTRIES // max(1, entries))
    starts = range(0, channels, width)

    def work_on(block: range) -> None:
        arrays = [empty((width, entries), dtype) for _ in range(number)]
        for start in starts[block.start : block.stop]:
            end = min(start + width, channels)
            work(slice(start, end), *(array[: end - start] for array in arrays))

    in_blocks(work_on, len(starts))
