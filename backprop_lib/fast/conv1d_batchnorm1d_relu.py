"""A convolution with kernel 1, batch normalisation and ReLU as one matrix product.

Equal to `layers.conv1d` with b = 0, then `layers.batchnorm1d_relu`. A bias of the convolution
would be subtracted again with the mean: it changes no y, and its gradient is exactly 0.

Derived in the chapter "Speed".
"""

from typing import Annotated, Any

import numpy as np

from backprop_lib.fast.buffers import Buffers, array_for, empty, full
from backprop_lib.fast.folding import (
    Rows,
    add_to_each,
    folded,
    gradients,
    gradients_evaluation,
    moments,
    split,
    variances_of_floats,
    widened,
    with_column,
)
from backprop_lib.fast.parallel import in_blocks, summed
from backprop_lib.shapes import Array, Cache, Constant, Shaped, shaped


@shaped(nonempty=("N", "C_out", "L"))
def forward(
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    gamma: Shaped[Array, "C_out"],
    beta: Shaped[Array, "C_out"],
    eps: Annotated[float, ">= 0"] = 1e-5,
    *,
    buffers: Buffers | None = None,
) -> tuple[Shaped[Array, "N C_out L"], Cache]:
    """Apply relu(batchnorm(W x)) by weights into which the normalisation is folded.

    y = max(F u + β, 0), u = x − m, F = diag(γ r) W, r = 1/√(wᵀ S w + ε)       (speed-forward),
    with the mean m and the covariance S of x over all N·L places.

    Parameters
    ----------
    x
        Input, C_in channels at L places.
    W
        Weights of the convolution.
    gamma, beta
        Scale and shift of the normalisation.
    eps
        Keeps the root away from 0.
    buffers : Buffers, optional
        Where y is kept (see `backprop_lib.fast`).

    Returns
    -------
    y
        Output, C_out channels at the same places.
    cache
        y, x, W, gamma, mean, cov, var and eps. mean and cov are m and S, var is the variance of
        W x; in double precision, or the inputs' own if that is better.

    Raises
    ------
    ShapeError
        If there is no entry to average.

    Notes
    -----
    The relative error of a variance wᵀ S w is some 10⁻⁷ ‖w‖² ‖S‖ / wᵀ S w with float32: it grows
    where the channels of x nearly cancel in z, sooner than if z itself were averaged.

    References
    ----------
    S. Ioffe, C. Szegedy, Batch Normalization, ICML 2015, section 3.
    """
    mean, cov = moments(x)
    W_wide, gamma_wide, beta_wide = widened(W, gamma, beta)
    var = variances_of_floats(W_wide, cov)
    F, _, _ = folded(W_wide, gamma_wide, beta_wide, 0, var, eps)
    dtype = np.result_type(x, W, gamma, beta)
    shift, rest = split(mean, dtype)
    y = _relu_of_product(x, shift, with_column(F, beta_wide - F @ rest, dtype), buffers)
    return y, (y, x, W, gamma, mean, cov, var, eps)


@shaped(nonempty=("N", "C_out", "L"))
def backward(
    dy: Shaped[Array, "N C_out L"],
    y: Shaped[Array, "N C_out L"],
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

    With g = dy where y > 0, else 0, and the sums G = Σ g uᵀ and q = Σ g:

    dβ = q, dγ = r ∘ rowsum(W ∘ G)                                 (speed-dgamma);
    dW = diag(γ r) (G − diag(dγ r) W S)                            (speed-dw);
    dx = Fᵀ g + A u + c, with A = −Fᵀ diag(dγ r) W / M and c = −Fᵀ q / M    (speed-dx).

    Where an entry before the ReLU is exactly 0, the slope to its left, 0, is taken. NaN before the
    ReLU counts as closed. Where dy is NaN or infinite at a closed place, dx is NaN, and so are the
    other gradients of its channel.
    """
    dtype = np.result_type(dy, y, x, W, gamma)
    M = x.shape[0] * x.shape[2]
    W_wide, gamma_wide = widened(W, gamma)
    F, _, r = folded(W_wide, gamma_wide, 0, 0, var, eps)
    shift, rest = split(mean, dtype)
    dx, G, q = _through_open_places(dy, y, x, shift, F, dtype, buffers)
    G -= q[:, None] * rest
    dW, dgamma, dbeta, A, c = gradients(G, q, W_wide, gamma_wide, cov, r, M)
    add_to_each(dx, x, shift, with_column(A, c - A @ rest, dtype))
    return dx, dW.astype(dtype), dgamma.astype(dtype), dbeta.astype(dtype)


def batch_statistics(
    y: np.ndarray,
    x: np.ndarray,
    W: np.ndarray,
    gamma: np.ndarray,
    mean: np.ndarray,
    cov: np.ndarray,
    var: np.ndarray,
    eps: float,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the statistics of z = W x, from which running ones are updated.

    μ = W m, σ² = diag(W S Wᵀ)                                      (speed-variance).

    Parameters
    ----------
    y, x, W, gamma, mean, cov, var, eps
        The cache of `forward`.

    Returns
    -------
    mean, var : arrays, shape (C_out,)
        Of the dtype of x. The variance is the biased one, which `forward` divides by; times
        M/(M − 1), it is the one that PyTorch keeps.
    M : int
        How many entries a channel has, N·L.
    """
    of_z = widened(W)[0] @ mean
    return of_z.astype(x.dtype), var.astype(x.dtype), x.shape[0] * x.shape[2]


@shaped
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
) -> tuple[Shaped[Array, "N C_out L"], Cache]:
    """Apply relu(batchnorm(W x)) with a mean and a variance of W x that are given.

    y = max(F x + b, 0), F = diag(γ r) W, b = β − γ r μ, r = 1/√(σ² + ε)    (speed-evaluation).

    Parameters
    ----------
    x, W, gamma, beta, eps, buffers
        As for `forward`; the batch may be empty.
    mean, var
        Running mean μ and variance σ² of z = W x.

    Returns
    -------
    y
        Output, C_out channels at the same places.
    cache
        y, x, W, gamma, mean, var and eps.

    References
    ----------
    S. Ioffe, C. Szegedy, Batch Normalization, ICML 2015, section 3.1.
    """
    dtype = np.result_type(x, W, gamma, beta, mean, var)
    W_wide, gamma_wide, beta_wide, mean_wide, var_wide = widened(W, gamma, beta, mean, var)
    F, b, _ = folded(W_wide, gamma_wide, beta_wide, mean_wide, var_wide, eps)
    shift = np.zeros(x.shape[1], dtype)
    y = _relu_of_product(x, shift, with_column(F, b, dtype), buffers)
    return y, (y, x, W, gamma, mean, var, eps)


@shaped
def backward_evaluation(
    dy: Shaped[Array, "N C_out L"],
    y: Shaped[Array, "N C_out L"],
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

    With g = dy where y > 0, else 0, G = Σ g xᵀ and q = Σ g: dβ = q, dW = diag(γ r) G,
    dγ = r ∘ (rowsum(W ∘ G) − μ ∘ q), dx = Fᵀ g                    (speed-evaluation-backward).
    """
    dtype = np.result_type(dy, y, x, W, gamma, mean, var)
    W_wide, gamma_wide, mean_wide, var_wide = widened(W, gamma, mean, var)
    F, _, r = folded(W_wide, gamma_wide, 0, 0, var_wide, eps)
    shift = np.zeros(x.shape[1], dtype)
    dx, G, q = _through_open_places(dy, y, x, shift, F, dtype, buffers)
    dW, dgamma, dbeta = gradients_evaluation(G, q, W_wide, gamma_wide, mean_wide, r)
    return dx, dW.astype(dtype), dgamma.astype(dtype), dbeta.astype(dtype)


def _relu_of_product(
    x: np.ndarray, shift: np.ndarray, F_and_b: np.ndarray, buffers: Buffers | None
) -> np.ndarray:
    """Return max(F (x − shift) + b, 0)."""
    N, _, L = x.shape
    y = array_for(buffers, "y", (N, len(F_and_b), L), F_and_b.dtype)
    zeros = full((L,), 0, y.dtype)  # a row is faster to compare with than a number

    def work(block: range) -> None:
        rows = Rows(shift, L)
        for n in block:
            np.matmul(F_and_b, rows.of(x[n]), out=y[n])
            np.maximum(y[n], zeros, out=y[n])  # while it is in the cache

    in_blocks(work, N)
    return y


def _through_open_places(
    dy: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    shift: np.ndarray,
    F: np.ndarray,
    dtype: Any,
    buffers: Buffers | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Fᵀ g, Σ g (x − shift)ᵀ and Σ g, with g = dy where y > 0, else 0."""
    N, C_in, L = x.shape
    dx = array_for(buffers, "dx", x.shape, dtype)
    F_transposed = np.ascontiguousarray(F.T, dtype)

    def work(block: range) -> np.ndarray:
        g, rows = empty(y.shape[1:], dtype), Rows(shift, L)
        of_sample = np.empty((len(F), C_in + 1), dtype)
        total = np.zeros_like(of_sample)
        for n in block:
            g[...] = y[n] > 0
            g *= dy[n]
            total += np.matmul(g, rows.of(x[n]).T, out=of_sample)
            np.matmul(F_transposed, g, out=dx[n])
        return total

    total = summed(in_blocks(work, N))
    return dx, total[:, :-1], total[:, -1]
