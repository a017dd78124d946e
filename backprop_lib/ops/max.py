"""The largest entry along an axis, and its backward pass.

Derived in the chapter "Max".
"""

from typing import Any

import numpy as np

from backprop_lib.shapes import Array, Cache, Labels, Shaped, ShapeError, shaped


@shaped
def forward(x: Shaped[Array, "N *L"], axis: int = -1) -> tuple[Shaped[Array, "*M"], Cache]:
    """Take the largest entry along one axis, and remember where it was.

    y[n, c] = x[n, c, k[n, c]], with k the place of the largest entry    (max-forward).

    Parameters
    ----------
    x
        Input.
    axis
        The axis that is searched; -1 is the last one.

    Returns
    -------
    y
        Output, of the shape of x without that axis.
    cache
        x, k and axis. k has the shape of x with size 1 along the axis; of equal largest entries
        it names the first.

    Raises
    ------
    ShapeError
        If x has no such axis, or is empty along it.

    References
    ----------
    C. R. Qi et al., PointNet, CVPR 2017, section 4.2: max pooling as a symmetric function.
    """
    _check_axis("forward", x, axis)
    k = np.expand_dims(x.argmax(axis=axis), axis)
    y = np.take_along_axis(x, k, axis=axis).squeeze(axis)
    return y, (x, k, axis)


@shaped
def backward(
    dy: Shaped[Array, "*M"], x: Shaped[Array, "N *L"], k: Shaped[Labels, "*K"], axis: int
) -> Shaped[Array, "N *L"]:
    """Give each upstream gradient to the entry that was taken, and 0 to all others.

    dx[n, c, l] = dy[n, c] if l = k[n, c], else 0    (max-dx).

    Where several entries are largest there is no gradient, and the first of them gets all of dy:
    a subgradient.
    """
    _check_shapes(dy, x, k, axis)
    _check_places(k, x, axis)
    dx = np.zeros_like(x)
    np.put_along_axis(dx, k, np.expand_dims(dy, axis), axis=axis)
    return dx


def _check_axis(function: str, x: Any, axis: int) -> None:
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(
            f"max.{function}: axis is {axis}, expected {-x.ndim} to {x.ndim - 1}: "
            f"x has shape {x.shape}"
        )
    if x.shape[axis] == 0:
        raise ShapeError(
            f"max.{function}: x has shape {x.shape}, expected at least one entry along axis {axis}"
        )


def _check_shapes(dy: Any, x: Any, k: Any, axis: int) -> None:
    _check_axis("backward", x, axis)
    before, after = x.shape[:axis], x.shape[axis:][1:]
    for name, given, expected in [
        ("dy", dy.shape, before + after),
        ("k", k.shape, (*before, 1, *after)),
    ]:
        if given != expected:
            raise ShapeError(f"max.backward: {name} has shape {given}, expected {expected}")


def _check_places(k: Any, x: Any, axis: int) -> None:
    if isinstance(k, np.ndarray):  # else a proof's, which are places by their nature
        last = x.shape[axis] - 1
        for index in np.argwhere((k < 0) | (k > last))[:1]:
            raise ValueError(
                f"max.backward: k{index.tolist()} is {k[tuple(index)]}, expected a label from 0 "
                f"to {last}: x has shape {x.shape}"
            )
