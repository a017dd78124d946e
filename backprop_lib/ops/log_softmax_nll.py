"""Log-softmax and the negative log-likelihood of labels, and their backward pass in one.

Derived in the chapter "Log-softmax and NLL".
"""

from typing import Literal

import numpy as np

from backprop_lib.shapes import Array, Cache, Labels, Shaped, shaped


@shaped(nonempty=("N", "C"), labels={"t": "C"})
def forward(
    x: Shaped[Array, "N C"],
    t: Shaped[Labels, "N"],
    reduction: Literal["mean", "sum"] = "mean",
) -> tuple[Shaped[Array, ""], Cache]:
    """Return how surprised a softmax of the scores x is by the labels t.

    log p[n, c] = x[n, c] − log Σ_j exp(x[n, j]),
    y = −Σ_n log p[n, t[n]], or the mean over n                   (log-softmax-nll-forward).

    Parameters
    ----------
    x
        Scores (logits), one row for each sample. They may be large: the largest of each row
        is subtracted first.
    t
        Labels from 0 to C - 1.
    reduction : "mean" or "sum"
        What is done with the losses of the samples.

    Returns
    -------
    y
        The loss, a NumPy scalar.
    cache
        log p, t and reduction.

    Raises
    ------
    ShapeError
        If there is no sample or no class.
    ValueError
        If a label names no class, or reduction is neither of the two.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning, MIT Press 2016, section 6.2.2.3.
    """
    shifted = x - x.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    losses = -np.take_along_axis(log_p, t[:, None], axis=1)
    y = losses.mean() if reduction == "mean" else losses.sum()
    return y, (log_p, t, reduction)


@shaped(nonempty=("N", "C"), labels={"t": "C"})
def backward(
    dy: Shaped[Array, ""],
    log_p: Shaped[Array, "N C"],
    t: Shaped[Labels, "N"],
    reduction: Literal["mean", "sum"],
) -> Shaped[Array, "N C"]:
    """Turn the upstream gradient of the loss, usually 1, into that of the scores.

    dx[n, c] = (p[n, c] − 1 where c = t[n], p[n, c] elsewhere) dy,
    divided by N if the loss is a mean                            (log-softmax-nll-dx).

    Each row of dx sums to 0.
    """
    one_hot = np.zeros_like(log_p)
    np.put_along_axis(one_hot, t[:, None], 1, axis=1)
    of_one_sample = dy / log_p.shape[0] if reduction == "mean" else dy
    return (np.exp(log_p) - one_hot) * of_one_sample
