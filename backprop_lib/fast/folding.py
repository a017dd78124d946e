"""A convolution with kernel 1 and the batch normalisation behind it, folded into one product.

What `conv1d_batchnorm1d_relu` and `conv1d_batchnorm1d_relu_max` have in common: the algebra on
small matrices, `folded` and `gradients`, and what is summed over a batch, `moments`.

For z = W x, with the mean m and the covariance S of the C_in channels of x over all M = N·L places,
a channel of z has the mean w·m and the variance wᵀ S w. So normalising z needs no look at z.
"""

from typing import Any

import numpy as np

from backprop_lib.fast.buffers import empty, full
from backprop_lib.fast.parallel import in_blocks, summed, wide


def folded(
    W: Any, gamma: Any, beta: Any, mean: Any, variance: Any, eps: Any
) -> tuple[Any, Any, Any]:
    """Fold a normalisation with the statistics of z = W x into the weights.

    r = 1/√(σ² + ε), F = diag(γ r) W, b = β − γ r μ, so that γ (z − μ) r + β = F x + b
    (speed-fold). If x is centred, μ is 0.

    Parameters
    ----------
    W, gamma, beta : arrays, shapes (C_out, C_in), (C_out,) and (C_out,)
        Weights of the convolution; scale and shift of the normalisation.
    mean, variance : arrays, shape (C_out,)
        μ and σ², of z. μ may be the number 0.
    eps : float
        Keeps the root away from 0.

    Returns
    -------
    F, b, r : arrays, shapes (C_out, C_in), (C_out,) and (C_out,)
    """
    r = 1 / np.sqrt(variance + eps)
    scale = gamma * r
    return scale[:, None] * W, beta - scale * mean, r


def variances(W: Any, cov: Any) -> Any:
    """Return the variance of each channel of z = W x, the diagonal of W S Wᵀ (speed-variance)."""
    return ((W @ cov) * W).sum(axis=1)


def variances_of_floats(W: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Return the variances, and 0 where rounding makes them negative."""
    var: np.ndarray = variances(W, cov)
    if var.dtype.kind == "f":
        np.maximum(var, 0, out=var)
    return var


def gradients(
    G: Any, q: Any, W: Any, gamma: Any, cov: Any, r: Any, M: Any
) -> tuple[Any, Any, Any, Any, Any]:
    """Turn two sums over the batch into all gradients but a part of dx.

    With u = x − m, g = ∂L/∂(F u + β), and the sums G = Σ g uᵀ and q = Σ g over all places:

    dβ = q, dγ = r ∘ rowsum(W ∘ G)                                 (speed-dgamma);
    dW = diag(γ r) (G − diag(dγ r) W S)                            (speed-dw);
    dx = Fᵀ g + A u + c, with A = −Fᵀ diag(dγ r) W / M and c = −Fᵀ q / M    (speed-dx).

    Parameters
    ----------
    G, q : arrays, shapes (C_out, C_in) and (C_out,)
        The two sums.
    W, gamma, cov, r : arrays, shapes (C_out, C_in), (C_out,), (C_in, C_in) and (C_out,)
        Weights and scale, the covariance S of x, and r from `folded`.
    M : int
        Number of places, N·L.

    Returns
    -------
    dW, dgamma, dbeta, A, c : arrays
        A and c, of shapes (C_in, C_in) and (C_in,), are the same at every place.
    """
    dgamma = r * (W * G).sum(axis=1)
    scale, through_variance = gamma * r, dgamma * r
    F = scale[:, None] * W
    dW = scale[:, None] * (G - through_variance[:, None] * (W @ cov))
    A = -(F.T @ (through_variance[:, None] * W)) / M
    c = -(F.T @ q) / M
    return dW, dgamma, q, A, c


def gradients_evaluation(
    G: Any, q: Any, W: Any, gamma: Any, mean: Any, r: Any
) -> tuple[Any, Any, Any]:
    """Turn the sums G = Σ g xᵀ and q = Σ g into gradients, where the statistics are constant.

    dW = diag(γ r) G, dγ = r ∘ (rowsum(W ∘ G) − μ ∘ q), dβ = q     (speed-evaluation-backward).

    Parameters
    ----------
    G, q, W, gamma, r : arrays
        As for `gradients`, with x in place of u.
    mean : array, shape (C_out,)
        The mean μ of z that was given.

    Returns
    -------
    dW, dgamma, dbeta : arrays
    """
    return (gamma * r)[:, None] * G, r * ((W * G).sum(axis=1) - mean * q), q


class Rows:
    """The channels of one sample, less a constant for each, above a row of ones.

    The row of ones makes one product of what would be two steps: [F b] times it is F u + b, and
    g times its transpose is g uᵀ beside Σ g. It is filled once; `of` only writes the rest.
    """

    def __init__(self, shift: np.ndarray, places: int):
        self.shift = shift[:, None]
        self.array = full((len(shift) + 1, places), 1, shift.dtype)

    def of(self, sample: np.ndarray) -> np.ndarray:
        """Return the rows of a sample, in an array that the next call overwrites."""
        np.subtract(sample, self.shift, out=self.array[:-1])
        return self.array


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean m and the covariance S of the channels of x, in double precision at least.

    m = Σ x / M, S = Σ (x − m)(x − m)ᵀ / M                                  (speed-moments).

    For floats the mean comes out rounded, so this is only where `moments_about` starts from.

    Parameters
    ----------
    x : array, shape (N, C, L)

    Returns
    -------
    mean, cov : arrays, shapes (C,) and (C, C)
    """
    N, _, L = x.shape
    ones = full((L,), 1, x.dtype)

    def sums(block: range) -> np.ndarray:
        of_each = x[block.start : block.stop] @ ones
        return np.asarray(of_each.sum(axis=0, dtype=wide(x.dtype)))

    return moments_about(x, (summed(in_blocks(sums, N)) / (N * L)).astype(x.dtype))


def moments_about(x: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the covariance of the channels of x, whatever is subtracted first.

    With the shift s, P = Σ (x − s)(x − s)ᵀ and d = Σ (x − s) / M, it is m = s + d and
    S = P / M − d dᵀ (speed-shift). If s is the mean but for rounding, d is tiny, and nothing is
    lost in the difference, however far x is from 0.

    Parameters
    ----------
    x, shift : arrays, shapes (N, C, L) and (C,)

    Returns
    -------
    mean, cov : arrays, shapes (C,) and (C, C)
    """
    N, C, L = x.shape

    def products(block: range) -> np.ndarray:
        rows, of_sample = Rows(shift, L), np.empty((C + 1, C + 1), x.dtype)
        total = np.zeros(of_sample.shape, wide(x.dtype))
        for n in block:
            u = rows.of(x[n])
            total += np.matmul(u, u.T, out=of_sample)
        return total

    total = summed(in_blocks(products, N)) / (N * L)
    rest = total[:-1, -1]
    return shift + rest, total[:-1, :-1] - rest[:, None] * rest


def split(mean: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Split a mean into its rounded value and the rest."""
    rounded = mean.astype(dtype)
    return rounded, mean - rounded


def with_column(matrix: np.ndarray, column: np.ndarray, dtype: Any) -> np.ndarray:
    """Return the matrix [matrix column], which is multiplied with `Rows`."""
    return np.concatenate([matrix, column[:, None]], axis=1, dtype=dtype)


def widened(*arrays: np.ndarray) -> list[np.ndarray]:
    """Return arrays in double precision at least, for the algebra on small matrices."""
    return [array.astype(wide(array.dtype), copy=False) for array in arrays]


def write_to_each(dx: np.ndarray, x: np.ndarray, shift: np.ndarray, A_and_c: np.ndarray) -> None:
    """Write A (x − shift) + c into dx."""

    def work(block: range) -> None:
        rows = Rows(shift, x.shape[2])
        for n in block:
            np.matmul(A_and_c, rows.of(x[n]), out=dx[n])

    in_blocks(work, len(x))


def add_to_each(dx: np.ndarray, x: np.ndarray, shift: np.ndarray, A_and_c: np.ndarray) -> None:
    """Add A (x − shift) + c to dx, in place."""

    def work(block: range) -> None:
        rows, added = Rows(shift, x.shape[2]), empty(x.shape[1:], dx.dtype)
        for n in block:
            np.matmul(A_and_c, rows.of(x[n]), out=added)
            dx[n] += added

    in_blocks(work, len(x))
