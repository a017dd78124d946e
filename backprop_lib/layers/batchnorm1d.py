"""Batch normalisation of (N, C) and (N, C, L), in training and in evaluation, and its backward.

Derived in the chapter "BatchNorm1d".
"""

from typing import Annotated, Any

import numpy as np

from backprop_lib.shapes import Array, Cache, Constant, Shaped, shaped


def _all_but_channels(x: Any) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _for_each_channel(values: Any, x: Any) -> Any:
    """Give C values the shape (1, C, 1, ...) that meets x along its channels."""
    return values.reshape((1, -1) + (1,) * (x.ndim - 2))


@shaped(nonempty=("N", "C", "*L"))
def forward(
    x: Shaped[Array, "N C *L"],
    W: Shaped[Array, "C"],
    b: Shaped[Array, "C"],
    eps: Annotated[float, ">= 0"] = 1e-5,
) -> tuple[Shaped[Array, "N C *L"], Cache]:
    """Normalise each channel over the batch, then scale it by W and shift it by b.

    With the mean μ and the variance σ² over the M = N·L entries of a channel,
    x̂ = (x − μ) r, r = 1/√(σ² + ε), y = x̂ W + b                     (batchnorm1d-forward).

    Parameters
    ----------
    x
        Input; any number of axes may follow the channels.
    W, b
        Scale and shift of each channel, also called γ and β.
    eps
        Keeps the root away from 0.

    Returns
    -------
    y
        Output. With one entry in a channel (M = 1), y is b.
    cache
        x̂, r and W.

    Raises
    ------
    ShapeError
        If there is no entry to average.

    References
    ----------
    S. Ioffe, C. Szegedy, Batch Normalization, ICML 2015, section 3.
    """
    axes = _all_but_channels(x)
    centred = x - _for_each_channel(x.mean(axis=axes), x)
    r = 1 / np.sqrt((centred * centred).mean(axis=axes) + eps)
    x_hat = centred * _for_each_channel(r, x)
    y = x_hat * _for_each_channel(W, x) + _for_each_channel(b, x)
    return y, (x_hat, r, W)


@shaped(nonempty=("N", "C", "*L"))
def backward(
    dy: Shaped[Array, "N C *L"],
    x_hat: Shaped[Array, "N C *L"],
    r: Shaped[Array, "C"],
    W: Shaped[Array, "C"],
) -> tuple[Shaped[Array, "N C *L"], Shaped[Array, "C"], Shaped[Array, "C"]]:
    """Turn the upstream gradient dy = ∂L/∂y into the gradients of x, W and b.

    dW = Σ dy x̂ over all entries of a channel          (batchnorm1d-dw);
    db = Σ dy over all entries of a channel            (batchnorm1d-db);
    dx = W r / M · (M dy − db − x̂ dW)                  (batchnorm1d-dx).

    With one entry in a channel (M = 1), dx is 0.
    """
    axes = _all_but_channels(dy)
    M = dy.size / dy.shape[1]
    dW = (dy * x_hat).sum(axis=axes)
    db = dy.sum(axis=axes)
    through_statistics = _for_each_channel(db, dy) + x_hat * _for_each_channel(dW, dy)
    dx = _for_each_channel(W * r, dy) * (dy - through_statistics / M)
    return dx, dW, db


@shaped
def forward_evaluation(
    x: Shaped[Array, "N C *L"],
    W: Shaped[Array, "C"],
    b: Shaped[Array, "C"],
    mean: Shaped[Constant, "C"],
    var: Shaped[Constant, "C"],
    eps: Annotated[float, ">= 0"] = 1e-5,
) -> tuple[Shaped[Array, "N C *L"], Cache]:
    """Normalise with a mean and a variance that are given, as a trained network does.

    x̂ = (x − mean) r, r = 1/√(var + ε), y = x̂ W + b              (batchnorm1d-evaluation).

    Parameters
    ----------
    x, W, b, eps
        As for `forward`; the batch may be empty.
    mean, var
        Running mean and variance, see `running_statistics`.

    Returns
    -------
    y
        Output.
    cache
        x̂, r and W.

    References
    ----------
    S. Ioffe, C. Szegedy, Batch Normalization, ICML 2015, section 3.1.
    """
    r = 1 / np.sqrt(var + eps)
    x_hat = (x - _for_each_channel(mean, x)) * _for_each_channel(r, x)
    y = x_hat * _for_each_channel(W, x) + _for_each_channel(b, x)
    return y, (x_hat, r, W)


@shaped
def backward_evaluation(
    dy: Shaped[Array, "N C *L"],
    x_hat: Shaped[Array, "N C *L"],
    r: Shaped[Array, "C"],
    W: Shaped[Array, "C"],
) -> tuple[Shaped[Array, "N C *L"], Shaped[Array, "C"], Shaped[Array, "C"]]:
    """Turn dy into the gradients of x, W and b, where mean and variance are constant.

    dx = dy W r                                        (batchnorm1d-evaluation-dx);
    dW and db are those of training, (batchnorm1d-dw) and (batchnorm1d-db).
    """
    axes = _all_but_channels(dy)
    dx = dy * _for_each_channel(W * r, dy)
    return dx, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes)


@shaped(nonempty=("C",))
def running_statistics(
    mean: Shaped[Constant, "C"],
    var: Shaped[Constant, "C"],
    x: Shaped[Array, "N C *L"],
    momentum: Annotated[float, ">= 0", "<= 1"] = 0.1,
) -> tuple[Shaped[Array, "C"], Shaped[Array, "C"]]:
    """Move a running mean and variance towards those of one more batch.

    mean ← (1 − m) mean + m μ,  var ← (1 − m) var + m σ² M/(M − 1)   (batchnorm1d-running).

    This is PyTorch's convention: the variance that is kept is the unbiased one, the variance that
    `forward` divides by is not.

    Parameters
    ----------
    mean, var
        The running statistics so far; 0 and 1 before the first batch.
    x
        The batch.
    momentum
        The weight m of this batch.

    Returns
    -------
    mean, var
        The new running statistics.

    Raises
    ------
    ValueError
        If a channel has fewer than two entries, from which no variance is estimated.

    References
    ----------
    torch.nn.BatchNorm1d, documentation of PyTorch 2.13.
    """
    M = x.size // x.shape[1]
    if M < 2:
        raise ValueError(
            f"batchnorm1d.running_statistics: x has shape {x.shape}, which is {M} to a channel; "
            "expected at least 2, of which a variance can be estimated"
        )
    axes = _all_but_channels(x)
    new_mean = (1 - momentum) * mean + momentum * x.mean(axis=axes)
    new_var = (1 - momentum) * var + momentum * x.var(axis=axes, ddof=1)
    return new_mean, new_var
