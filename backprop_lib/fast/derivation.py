"""The two derived forms on whole arrays, as one reads them: what is proven for all sizes.

`forward` and `backward` are the algebra of `conv1d_batchnorm1d_relu`, `forward_max` and
`backward_max` that of `conv1d_batchnorm1d_relu_max`. `prove` follows them; those modules do the
same sample by sample, and share `folding.folded` and `folding.gradients` with them.
"""

from typing import Annotated

import numpy as np

from backprop_lib.fast.folding import folded, gradients, variances
from backprop_lib.shapes import Array, Cache, Labels, Shaped, shaped


@shaped(nonempty=("N", "C_out", "L"))
def forward(
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    gamma: Shaped[Array, "C_out"],
    beta: Shaped[Array, "C_out"],
    eps: Annotated[float, ">= 0"] = 1e-5,
) -> tuple[Shaped[Array, "N C_out L"], Cache]:
    """Compute relu(batchnorm(W x)) as max(F u + β, 0)                        (speed-forward).

    The cache is y, u, W, gamma, cov, F and r; u is the centred input.
    """
    u, cov = _centred(x)
    F, b, r = folded(W, gamma, beta, 0, variances(W, cov), eps)
    y = np.maximum(F @ u + b[:, None], 0)
    return y, (y, u, W, gamma, cov, F, r)


@shaped(nonempty=("N", "C_out", "L"))
def backward(
    dy: Shaped[Array, "N C_out L"],
    y: Shaped[Array, "N C_out L"],
    u: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    gamma: Shaped[Array, "C_out"],
    cov: Shaped[Array, "C_in C_in"],
    F: Shaped[Array, "C_out C_in"],
    r: Shaped[Array, "C_out"],
) -> tuple[
    Shaped[Array, "N C_in L"],
    Shaped[Array, "C_out C_in"],
    Shaped[Array, "C_out"],
    Shaped[Array, "C_out"],
]:
    """Turn dy into the gradients of x, W, γ and β, by (speed-dgamma), (speed-dw), (speed-dx)."""
    g = np.where(y > 0, dy, 0)
    G = (g @ u.swapaxes(1, 2)).sum(axis=0)
    q = g.sum(axis=(0, 2))
    M = u.shape[0] * u.shape[2]
    dW, dgamma, dbeta, A, c = gradients(G, q, W, gamma, cov, r, M)
    return F.T @ g + A @ u + c[:, None], dW, dgamma, dbeta


@shaped(nonempty=("N", "C_out", "L"))
def forward_max(
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    gamma: Shaped[Array, "C_out"],
    beta: Shaped[Array, "C_out"],
    eps: Annotated[float, ">= 0"] = 1e-5,
) -> tuple[Shaped[Array, "N C_out"], Cache]:
    """Compute max_l relu(batchnorm(W x)) as max(max_l (F u + β), 0)      (speed-max-forward).

    The cache is y, k, u, W, gamma, cov, F and r; k is the place of the largest.
    """
    u, cov = _centred(x)
    F, b, r = folded(W, gamma, beta, 0, variances(W, cov), eps)
    a = F @ u + b[:, None]
    k = a.argmax(axis=2)[..., None]
    y = np.maximum(np.take_along_axis(a, k, axis=2)[:, :, 0], 0)
    return y, (y, k, u, W, gamma, cov, F, r)


@shaped(nonempty=("N", "C_out", "L"), labels={"k": "L"})
def backward_max(
    dy: Shaped[Array, "N C_out"],
    y: Shaped[Array, "N C_out"],
    k: Shaped[Labels, "N C_out 1"],
    u: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    gamma: Shaped[Array, "C_out"],
    cov: Shaped[Array, "C_in C_in"],
    F: Shaped[Array, "C_out C_in"],
    r: Shaped[Array, "C_out"],
) -> tuple[
    Shaped[Array, "N C_in L"],
    Shaped[Array, "C_out C_in"],
    Shaped[Array, "C_out"],
    Shaped[Array, "C_out"],
]:
    """Turn dy into the gradients of x, W, γ and β, with g from (speed-max-mask)."""
    g = np.zeros_like(F @ u)
    np.put_along_axis(g, k, np.where(y > 0, dy, 0)[..., None], axis=2)
    G = (g @ u.swapaxes(1, 2)).sum(axis=0)
    q = g.sum(axis=(0, 2))
    M = u.shape[0] * u.shape[2]
    dW, dgamma, dbeta, A, c = gradients(G, q, W, gamma, cov, r, M)
    return F.T @ g + A @ u + c[:, None], dW, dgamma, dbeta


def _centred(x: Array) -> tuple[Array, Array]:
    """Return u = x − m and its covariance S                                  (speed-moments)."""
    u = x - x.mean(axis=(0, 2))[:, None]
    return u, (u @ u.swapaxes(1, 2)).mean(axis=0) / u.shape[2]
