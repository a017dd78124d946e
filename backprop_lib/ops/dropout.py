"""Dropout in training and in evaluation, and its backward pass.

Derived in the chapter "Dropout and plumbing".
"""

from numbers import Real

import numpy as np

from backprop_lib.arguments import check_generator, check_number, check_sizes
from backprop_lib.shapes import Array, Cache, Constant, Shaped, shaped


def draw_mask(shape: tuple[int, ...], p: float, rng: np.random.Generator) -> np.ndarray:
    """Draw which entries are dropped, and scale up those that are kept.

    Each entry is 0 with probability p, else 1/(1 − p), so that its mean is 1   (dropout-mask).

    Parameters
    ----------
    shape
        The shape of the mask, that of x.
    p
        The probability to be dropped, from 0 to below 1; a Fraction will do as well.
    rng
        The source of random numbers.

    Returns
    -------
    mask : array of float64, of this shape
        For `forward`; ``mask.astype(np.float32)`` for float32.

    Raises
    ------
    ValueError
        If p is no probability, or 1, which would keep nothing, or a size is negative.
    TypeError
        If shape is no tuple of whole numbers, p no number, or rng no generator.

    References
    ----------
    N. Srivastava et al., Dropout, J. Machine Learning Research 15 (2014) 1929-1958.
    """
    check_sizes("dropout.draw_mask: shape", shape, ">= 0")
    check_number("dropout.draw_mask: p", p, Real, ">= 0", "< 1")
    check_generator("dropout.draw_mask", rng)
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
