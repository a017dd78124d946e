"""A convolution with kernel 1, batch normalisation, ReLU and the maximum over all places, at once.

Equal to `layers.conv1d` with b = 0, `layers.batchnorm1d_relu`, and `ops.max` along the last axis.
The array of N·C_out·L entries, of which the maximum keeps one in L, is never there as a whole.

Derived in the chapter "Speed".
"""

from typing import Annotated, Any

import numpy as np

from backprop_lib.fast import conv1d_batchnorm1d_relu
from backprop_lib.fast.buffers import Buffers, array_for, empty
from backprop_lib.fast.folding import (
    Rows,
    folded,
    gradients,
    gradients_evaluation,
    moments,
    split,
    variances_of_floats,
    widened,
    with_column,
    write_to_each,
)
from backprop_lib.fast.parallel import in_blocks, summed
from backprop_lib.shapes import Array, Cache, Constant, Labels, Shaped, shaped

TILE = 512
"""So many channels are computed before they are searched, while they are in the cache."""


@shaped(nonempty=("N", "C_out", "L"))
def forward(
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    gamma: Shaped[Array, "C_out"],
    beta: Shaped[Array, "C_out"],
    eps: Annotated[float, ">= 0"] = 1e-5,
    *,
    buffers: Buffers | None = None,
) -> tuple[Shaped[Array, "N C_out"], Cache]:
    """Take the largest entry of each channel of relu(batchnorm(W x)).

    y = max(max_l (F u + β), 0), with F and u as in `conv1d_batchnorm1d_relu.forward`
    (speed-max-forward). ReLU never reverses the order of two numbers, so it may be applied after
    the maximum. The normalisation reverses the order where γ < 0, so the maximum is taken of
    F u + β, which is normalised already.

    Parameters
    ----------
    x, W, gamma, beta, eps
        As for `conv1d_batchnorm1d_relu.forward`.
    buffers : Buffers, optional
        Taken for the sake of a common signature; y is small, and new at every call.

    Returns
    -------
    y
        Output, one number for each channel of each sample.
    cache
        y, k, x, W, gamma, mean, cov, var and eps. k is the place of the largest entry, the first
        of those that come out equal; 0 where the ReLU is closed at every place, as all are equal
        then. (Equal columns of x may be rounded differently in a product.)

    Raises
    ------
    ShapeError
        If there is no entry to average.

    References
    ----------
    C. R. Qi et al., PointNet, CVPR 2017, section 4.2: max pooling as a symmetric function.
    """
    mean, cov = moments(x)
    W_wide, gamma_wide, beta_wide = widened(W, gamma, beta)
    var = variances_of_floats(W_wide, cov)
    F, _, _ = folded(W_wide, gamma_wide, beta_wide, 0, var, eps)
    dtype = np.result_type(x, W, gamma, beta)
    shift, rest = split(mean, dtype)
    y, k = _largest(x, shift, with_column(F, beta_wide - F @ rest, dtype))
    return y, (y, k, x, W, gamma, mean, cov, var, eps)


@shaped(nonempty=("N", "C_out", "L"), labels={"k": "L"})
def backward(
    dy: Shaped[Array, "N C_out"],
    y: Shaped[Array, "N C_out"],
    k: Shaped[Labels, "N C_out"],
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    gamma: Shaped[Array, "C_out"],
    mean: Shaped[Array, "C_in"],
    cov: Shaped[Array, "C_in C_in"],
    var: Shaped[Array, "C_out"],
    eps: float,
    *,
    buffers: Buffers | None = None,
) -> tuple[
    Shaped[Array, "N C_in L"],
    Shaped[Array, "C_out C_in"],
    Shaped[Array, "C_out"],
    Shaped[Array, "C_out"],
]:
    """Turn the upstream gradient dy = ∂L/∂y into the gradients of x, W, γ and β.

    g[n, o, l] = dy[n, o] if l = k[n, o] and y[n, o] > 0, else 0        (speed-max-mask);
    so G[o, i] = Σ_n g[n, o, k] u[n, i, k] with k = k[n, o], q = Σ_n g[n, o, k], and
    (Fᵀ g)[n, i, l] = Σ_o F[o, i] g[n, o, l] over the channels whose maximum is at l
    (speed-max-sums); all else as in `conv1d_batchnorm1d_relu.backward`.

    Where several entries are largest there is no gradient, and the first of them gets all of dy: a
    subgradient. NaN before the ReLU is the largest entry, and counts as closed. Where dy is NaN or
    infinite at a channel that is closed, dx is NaN, and so are the other gradients of its channel.

    Raises
    ------
    ValueError
        If k names no place.
    """
    dtype = np.result_type(dy, y, x, W, gamma)
    M = x.shape[0] * x.shape[2]
    W_wide, gamma_wide = widened(W, gamma)
    F, _, r = folded(W_wide, gamma_wide, 0, 0, var, eps)
    shift, rest = split(mean, dtype)
    g = dy * (y > 0)
    G, q = _sums_at(k, g, x, shift)
    G -= q[:, None] * rest
    dW, dgamma, dbeta, A, c = gradients(G, q, W_wide, gamma_wide, cov, r, M)
    dx = array_for(buffers, "dx", x.shape, dtype)
    write_to_each(dx, x, shift, with_column(A, c - A @ rest, dtype))
    _add_at(dx, k, g, F.astype(dtype))
    return dx, dW.astype(dtype), dgamma.astype(dtype), dbeta.astype(dtype)


def batch_statistics(
    y: np.ndarray, k: np.ndarray, *cache: Any
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the statistics of z = W x, as `conv1d_batchnorm1d_relu.batch_statistics` does.

    Parameters
    ----------
    y, k, *cache
        The cache of `forward`.

    Returns
    -------
    mean, var : arrays, shape (C_out,)
        The variance is the biased one.
    M : int
        How many entries a channel has, N·L.
    """
    return conv1d_batchnorm1d_relu.batch_statistics(y, *cache)


@shaped(nonempty=("L",))
def forward_evaluation(
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    gamma: Shaped[Array, "C_out"],
    beta: Shaped[Array, "C_out"],
    mean: Shaped[Constant, "C_out"],
    var: Shaped[Constant, "C_out"],
    eps: Annotated[float, ">= 0"] = 1e-5,
    *,
    buffers: Buffers | None = None,
) -> tuple[Shaped[Array, "N C_out"], Cache]:
    """Take the largest entry of each channel, with a mean and a variance that are given.

    y = max(max_l (F x + b), 0), with F and b as in
    `conv1d_batchnorm1d_relu.forward_evaluation` (speed-max-evaluation).

    Parameters
    ----------
    x, W, gamma, beta, mean, var, eps
        As for `conv1d_batchnorm1d_relu.forward_evaluation`.
    buffers : Buffers, optional
        As for `forward`.

    Returns
    -------
    y
        Output, one number for each channel of each sample.
    cache
        y, k, x, W, gamma, mean, var and eps; k as from `forward`.

    Raises
    ------
    ShapeError
        If there is no place.

    References
    ----------
    C. R. Qi et al., PointNet, CVPR 2017, section 4.2: max pooling as a symmetric function.
    """
    dtype = np.result_type(x, W, gamma, beta, mean, var)
    W_wide, gamma_wide, beta_wide, mean_wide, var_wide = widened(W, gamma, beta, mean, var)
    F, b, _ = folded(W_wide, gamma_wide, beta_wide, mean_wide, var_wide, eps)
    y, k = _largest(x, np.zeros(x.shape[1], dtype), with_column(F, b, dtype))
    return y, (y, k, x, W, gamma, mean, var, eps)


@shaped(nonempty=("L",), labels={"k": "L"})
def backward_evaluation(
    dy: Shaped[Array, "N C_out"],
    y: Shaped[Array, "N C_out"],
    k: Shaped[Labels, "N C_out"],
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    gamma: Shaped[Array, "C_out"],
    mean: Shaped[Array, "C_out"],
    var: Shaped[Array, "C_out"],
    eps: float,
    *,
    buffers: Buffers | None = None,
) -> tuple[
    Shaped[Array, "N C_in L"],
    Shaped[Array, "C_out C_in"],
    Shaped[Array, "C_out"],
    Shaped[Array, "C_out"],
]:
    """Turn dy into the gradients of x, W, γ and β, where mean and variance are constant.

    With g, G = Σ g xᵀ and q as in `backward`, the gradients are those of
    `conv1d_batchnorm1d_relu.backward_evaluation` (speed-evaluation-backward).
    """
    dtype = np.result_type(dy, y, x, W, gamma, mean, var)
    W_wide, gamma_wide, mean_wide, var_wide = widened(W, gamma, mean, var)
    F, _, r = folded(W_wide, gamma_wide, 0, 0, var_wide, eps)
    g = dy * (y > 0)
    G, q = _sums_at(k, g, x, np.zeros(x.shape[1], dtype))
    dW, dgamma, dbeta = gradients_evaluation(G, q, W_wide, gamma_wide, mean_wide, r)
    dx = array_for(buffers, "dx", x.shape, dtype)
    dx.fill(0)
    _add_at(dx, k, g, F.astype(dtype))
    return dx, dW.astype(dtype), dgamma.astype(dtype), dbeta.astype(dtype)


def _largest(
    x: np.ndarray, shift: np.ndarray, F_and_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest entry of max(F (x − shift) + b, 0) along its last axis, and its place."""
    N, _, L = x.shape
    C_out = len(F_and_b)
    largest, k = np.empty((N, C_out), F_and_b.dtype), np.empty((N, C_out), np.intp)
    tiles = [slice(start, start + TILE) for start in range(0, C_out, TILE)]

    def work(block: range) -> None:
        rows, scratch = Rows(shift, L), empty((min(TILE, C_out), L), F_and_b.dtype)
        for n in block:
            u = rows.of(x[n])
            for tile in tiles:
                weights = F_and_b[tile]
                a = np.matmul(weights, u, out=scratch[: len(weights)])
                a.argmax(axis=1, out=k[n, tile])
                largest[n, tile] = a[np.arange(len(a)), k[n, tile]]

    in_blocks(work, N)
    k[largest <= 0] = 0
    return np.maximum(largest, 0), k


def _sums_at(
    k: np.ndarray, g: np.ndarray, x: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return Σ g (x − shift)ᵀ and Σ g, where g is the one entry that is not 0, at the place k."""
    N, C_in, L = x.shape

    def work(block: range) -> np.ndarray:
        rows = Rows(shift, L)
        picked = empty((C_in + 1, g.shape[1]), rows.array.dtype)
        total = np.zeros_like(picked)
        for n in block:
            rows.of(x[n]).take(k[n], axis=1, out=picked)
            picked *= g[n]
            total += picked
        return total

    total = summed(in_blocks(work, N)).T
    return total[:, :-1], total[:, -1]


def _add_at(dx: np.ndarray, k: np.ndarray, g: np.ndarray, F: np.ndarray) -> None:
    """Add Fᵀ g to dx, where g is the one entry that is not 0, at the place k."""

    def work(block: range) -> None:
        for n in block:
            order = k[n].argsort(kind="stable")
            sorted_k = k[n][order]
            starts = np.flatnonzero(np.diff(sorted_k, prepend=-1))  # of each place that occurs
            terms = F[order]
            terms *= g[n][order][:, None]
            dx[n][:, sorted_k[starts]] += np.add.reduceat(terms, starts, axis=0).T

    in_blocks(work, len(k))
