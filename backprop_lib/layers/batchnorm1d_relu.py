"""Batch normalisation with ReLU merged in, in training and in evaluation, and its backward.

Derived in the chapter "BatchNorm1d with ReLU".
"""

import numpy as np

from backprop_lib.layers import batchnorm1d
from backprop_lib.shapes import Array, Constant, Shaped, shaped


@shaped(nonempty=("N", "C", "*L"))
def forward(
    x: Shaped[Array, "N C *L"],
    W: Shaped[Array, "C"],
    b: Shaped[Array, "C"],
    eps: float = 1e-5,
) -> tuple[
    Shaped[Array, "N C *L"],
    tuple[
        Shaped[Array, "N C *L"],
        Shaped[Array, "N C *L"],
        Shaped[Array, "C"],
        Shaped[Array, "C"],
    ],
]:
    """Normalise a batch, then set what is negative to 0.

    y = max(x̂ W + b, 0), with x̂ as in `batchnorm1d.forward`        (batchnorm1d-relu-forward).

    Parameters
    ----------
    x : array, shape (N, C) or (N, C, L)
        Input; any number of axes may follow the channels.
    W, b : arrays, shape (C,)
        Scale and shift of each channel.
    eps : float
        Keeps the root away from 0.

    Returns
    -------
    y : array, of the shape of x
        Output.
    cache : tuple (y, x_hat, r, W)
        What `backward` takes after dy. y says where the ReLU was open.

    Raises
    ------
    ShapeError
        If the number of axes or a size is not as above, or there is no entry to average.
    TypeError
        If an argument is not an array of floats.

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

    Parameters
    ----------
    dy : array, shape (N, C) or (N, C, L)
        Upstream gradient. It is not changed.
    y, x_hat, r, W : arrays, shapes of x, of x, (C,) and (C,)
        The cache of `forward`.

    Returns
    -------
    dx, dW, db : arrays, of the shapes of x, (C,) and (C,)
        New arrays. Where an entry before the ReLU is exactly 0 there is no gradient, and the
        slope to its left, 0, is taken. NaN before the ReLU counts as closed.

    Raises
    ------
    ShapeError, TypeError
        As `forward`.

    References
    ----------
    As for `forward`.
    """
    return batchnorm1d.backward(np.where(y > 0, dy, 0), x_hat, r, W)


@shaped
def forward_evaluation(
    x: Shaped[Array, "N C *L"],
    W: Shaped[Array, "C"],
    b: Shaped[Array, "C"],
    mean: Shaped[Constant, "C"],
    var: Shaped[Constant, "C"],
    eps: float = 1e-5,
) -> tuple[
    Shaped[Array, "N C *L"],
    tuple[
        Shaped[Array, "N C *L"],
        Shaped[Array, "N C *L"],
        Shaped[Array, "C"],
        Shaped[Array, "C"],
    ],
]:
    """Normalise with a mean and a variance that are given, then set what is negative to 0.

    y = max(x̂ W + b, 0), with x̂ as in `batchnorm1d.forward_evaluation`
    (batchnorm1d-relu-evaluation).

    Parameters
    ----------
    x, W, b, mean, var : arrays, shapes (N, C) or (N, C, L), and (C,)
        As for `batchnorm1d.forward_evaluation`.
    eps : float
        Keeps the root away from 0.

    Returns
    -------
    y : array, of the shape of x
        Output.
    cache : tuple (y, x_hat, r, W)
        What `backward_evaluation` takes after dy.

    Raises
    ------
    ShapeError, TypeError
        As `batchnorm1d.forward_evaluation`.

    References
    ----------
    As for `forward`.
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

    dz = dy where y > 0, else 0                          (batchnorm1d-relu-mask);
    dx, dW and db from dz as in `batchnorm1d.backward_evaluation`.

    Parameters
    ----------
    dy : array, shape (N, C) or (N, C, L)
        Upstream gradient. It is not changed.
    y, x_hat, r, W : arrays, shapes of x, of x, (C,) and (C,)
        The cache of `forward_evaluation`.

    Returns
    -------
    dx, dW, db : arrays, of the shapes of x, (C,) and (C,)
        New arrays.

    Raises
    ------
    ShapeError, TypeError
        As `forward_evaluation`.

    References
    ----------
    As for `forward`.
    """
    return batchnorm1d.backward_evaluation(np.where(y > 0, dy, 0), x_hat, r, W)
