"""Dropout in training and in evaluation, and its backward pass.

Derived in the chapter "Dropout and plumbing".
"""

import numpy as np

from backprop_lib.shapes import Array, Cache, Constant, Shaped, shaped


def draw_mask(shape: tuple[int, ...], p: float, rng: np.random.Generator) -> np.ndarray:
    """Draw which entries are dropped, and scale up those that are kept.

    Each entry is 0 with probability p, else 1/(1 − p), so that its mean is 1   (dropout-mask).

    Parameters
    ----------
    shape
        The shape of the mask, that of x.
    p
        The probability to be dropped, from 0 to below 1.
    rng
        The source of random numbers.

    Returns
    -------
    mask : array of float64, of this shape
        For `forward`; ``mask.astype(np.float32)`` for float32.

    Raises
    ------
    ValueError
        If p is no probability, or 1, which would keep nothing.
    TypeError
        If rng is no generator.

    References
    ----------
    N. Srivastava et al., Dropout, J. Machine Learning Research 15 (2014) 1929-1958.
    """
    if not 0 <= p < 1:
        raise ValueError(f"dropout.draw_mask: p is {p}, expected at least 0 and below 1")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"dropout.draw_mask: rng is {rng!r}, expected a numpy.random.Generator")
    return (rng.random(shape) >= p) / float(1 - p)


@shaped
def forward(
    x: Shaped[Array, "N *C"], mask: Shaped[Constant, "N *C"]
) -> tuple[Shaped[Array, "N *C"], Cache]:
    """Multiply the input by a random mask, as in training.

    y[n, c] = x[n, c] mask[n, c]    (dropout-forward).

    Parameters
    ----------
    x
        Input.
    mask
        Of `draw_mask`.

    Returns
    -------
    y
        Output.
    cache
        The mask.

    References
    ----------
    N. Srivastava et al., Dropout, J. Machine Learning Research 15 (2014) 1929-1958, section 4.
    """
    return x * mask, (mask,)


@shaped
def backward(dy: Shaped[Array, "N *C"], mask: Shaped[Array, "N *C"]) -> Shaped[Array, "N *C"]:
    """Multiply the upstream gradient by the same mask.

    dx[n, c] = dy[n, c] mask[n, c]    (dropout-dx).
    """
    return dy * mask
