"""Batch normalisation with ReLU merged in, in training and in evaluation, and its backward.

Derived in the chapter "BatchNorm1d with ReLU".
"""

from typing import Annotated

import numpy as np

from backprop_lib.layers import batchnorm1d
from backprop_lib.shapes import Array, Cache, Constant, Shaped, shaped


@shaped(nonempty=("N", "C", "*L"))
def forward(
    x: Shaped[Array, "N C *L"],
    W: Shaped[Array, "C"],
    b: Shaped[Array, "C"],
    eps: Annotated[float, ">= 0"] = 1e-5,
) -> tuple[Shaped[Array, "N C *L"], Cache]:
    """Normalise a batch, then set what is negative to 0.

    y = max(x̂ W + b, 0), with x̂ as in `batchnorm1d.forward`        (batchnorm1d-relu-forward).

    Parameters
    ----------
    x, W, b, eps
        As for `batchnorm1d.forward`.

    Returns
    -------
    y
        Output.
    cache
        y, which says where the ReLU was open, x̂, r and W.

    Raises
    ------
    ShapeError
        If there is no entry to average.

    References
    ----------
    S. Ioffe, C. Szegedy, Batch Normalization, ICML 2015, section 3.2.
    """
    z, cache = batchnorm1d.forward(x, W, b, eps)
    y = np.maximum(z, 0)
    return y, (y, *cache)


@shaped(nonempty=("N", "C", "*L"))
def backward(
    dy: Shaped[Array, "N C *L"],
    y: Shaped[Array, "N C *L"],
    x_hat: Shaped[Array, "N C *L"],
    r: Shaped[Array, "C"],
    W: Shaped[Array, "C"],
) -> tuple[Shaped[Array, "N C *L"], Shaped[Array, "C"], Shaped[Array, "C"]]:
    """Let dy through where y > 0, then turn it into the gradients of x, W and b.

    dz = dy where y > 0, else 0                          (batchnorm1d-relu-mask);
    dx, dW and db from dz as in `batchnorm1d.backward`   (batchnorm1d-relu-backward).

    Where an entry before the ReLU is exactly 0 there is no gradient, and the slope to its left,
    0, is taken. NaN before the ReLU counts as closed.
    """
    return batchnorm1d.backward(np.where(y > 0, dy, 0), x_hat, r, W)


@shaped
def forward_evaluation(
    x: Shaped[Array, "N C *L"],
    W: Shaped[Array, "C"],
    b: Shaped[Array, "C"],
    mean: Shaped[Constant, "C"],
    var: Shaped[Constant, "C"],
    eps: Annotated[float, ">= 0"] = 1e-5,
) -> tuple[Shaped[Array, "N C *L"], Cache]:
    """Normalise with a mean and a variance that are given, then set what is negative to 0.

    y = max(x̂ W + b, 0), with x̂ as in `batchnorm1d.forward_evaluation`
    (batchnorm1d-relu-evaluation).

    Parameters
    ----------
    x, W, b, mean, var, eps
        As for `batchnorm1d.forward_evaluation`.

    Returns
    -------
    y
        Output.
    cache
        y, x̂, r and W.

    References
    ----------
    S. Ioffe, C. Szegedy, Batch Normalization, ICML 2015, sections 3.1 and 3.2.
    """
    z, cache = batchnorm1d.forward_evaluation(x, W, b, mean, var, eps)
    y = np.maximum(z, 0)
    return y, (y, *cache)


@shaped
def backward_evaluation(
    dy: Shaped[Array, "N C *L"],
    y: Shaped[Array, "N C *L"],
    x_hat: Shaped[Array, "N C *L"],
    r: Shaped[Array, "C"],
    W: Shaped[Array, "C"],
) -> tuple[Shaped[Array, "N C *L"], Shaped[Array, "C"], Shaped[Array, "C"]]:
    """Let dy through where y > 0, with constant statistics behind it.

    dz = dy where y > 0, else 0, NaN being closed        (batchnorm1d-relu-mask);
    dx, dW and db from dz as in `batchnorm1d.backward_evaluation`.
    """
    return batchnorm1d.backward_evaluation(np.where(y > 0, dy, 0), x_hat, r, W)
