"""The one-dimensional convolution, with kernel 1 and with any kernel, and its backward pass.

Derived in the chapter "Conv1d".
"""

from typing import Annotated, Any

import numpy as np

from backprop_lib.shapes import Array, Cache, Shaped, ShapeError, shaped


@shaped
def forward(
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    b: Shaped[Array, "C_out"],
) -> tuple[Shaped[Array, "N C_out L"], Cache]:
    """Apply one linear layer at every place: a convolution with kernel 1.

    y[n, o, l] = Σ_i W[o, i] x[n, i, l] + b[o], for each sample y = W x + b   (conv1d-forward).

    Parameters
    ----------
    x
        Input, C_in channels at L places.
    W
        Weights, one row per output.
    b
        Bias.

    Returns
    -------
    y
        Output, C_out channels at the same places.
    cache
        x and W.

    References
    ----------
    C. R. Qi et al., PointNet, CVPR 2017, section 4: the same weights for every point.
    """
    y = W @ x + b[:, None]
    return y, (x, W)


@shaped
def backward(
    dy: Shaped[Array, "N C_out L"],
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
) -> tuple[Shaped[Array, "N C_in L"], Shaped[Array, "C_out C_in"], Shaped[Array, "C_out"]]:
    """Turn the upstream gradient dy = ∂L/∂y into the gradients of x, W and b.

    dx[n, i, l] = Σ_o W[o, i] dy[n, o, l], for each sample dx = Wᵀ dy            (conv1d-dx);
    dW[o, i] = Σ_n Σ_l dy[n, o, l] x[n, i, l], the sum over samples of dy xᵀ     (conv1d-dw);
    db[o] = Σ_n Σ_l dy[n, o, l]                                                  (conv1d-db).
    """
    dx = W.T @ dy
    dW = (dy @ x.swapaxes(1, 2)).sum(axis=0)
    db = dy.sum(axis=(0, 2))
    return dx, dW, db


@shaped(nonempty=("K",))
def forward_general(
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in K"],
    b: Shaped[Array, "C_out"],
    stride: Annotated[int, ">= 1"] = 1,
    padding: Annotated[int, ">= 0"] = 0,
    dilation: Annotated[int, ">= 1"] = 1,
) -> tuple[Shaped[Array, "N C_out P"], Cache]:
    """Apply a kernel of K weights to every window of x: K convolutions with kernel 1, added.

    y[n, o, p] = Σ_k Σ_i W[o, i, k] x̄[n, i, s p + g k] + b[o], with stride s, dilation g and
    x̄, which is x with zeros at both ends                          (conv1d-general-forward).

    Parameters
    ----------
    x
        Input.
    W
        Weights, K of them for each pair of channels.
    b
        Bias.
    stride, padding, dilation
        From one window to the next; zeros at either end; from one weight to the next.

    Returns
    -------
    y
        Output at P = ⌊(L + 2 padding − dilation (K − 1) − 1) / stride⌋ + 1 places.
    cache
        x, W, stride, padding and dilation.

    Raises
    ------
    ShapeError
        If no window fits into x.
    ValueError
        If stride or dilation is below 1, or padding below 0.

    References
    ----------
    V. Dumoulin, F. Visin, A guide to convolution arithmetic for deep learning, 2016.
    """
    padded, taps = _seen_by_each_weight("forward_general", x, W, stride, padding, dilation)
    y = sum(W[:, :, k] @ padded[:, :, tap] for k, tap in enumerate(taps)) + b[:, None]
    return y, (x, W, stride, padding, dilation)


@shaped(nonempty=("K",))
def backward_general(
    dy: Shaped[Array, "N C_out P"],
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in K"],
    stride: Annotated[int, ">= 1"],
    padding: Annotated[int, ">= 0"],
    dilation: Annotated[int, ">= 1"],
) -> tuple[Shaped[Array, "N C_in L"], Shaped[Array, "C_out C_in K"], Shaped[Array, "C_out"]]:
    """Turn the upstream gradient dy = ∂L/∂y into the gradients of x, W and b.

    dx[n, i, l] = Σ_k Σ_o W[o, i, k] dy[n, o, p], over the p with s p + g k = l + padding
    (conv1d-general-dx); dW[o, i, k] = Σ_n Σ_p dy[n, o, p] x̄[n, i, s p + g k]
    (conv1d-general-dw); db[o] = Σ_n Σ_p dy[n, o, p]   (conv1d-general-db).
    """
    padded, taps = _seen_by_each_weight("backward_general", x, W, stride, padding, dilation)
    _check_length(dy, x, stride, taps)
    dpadded, dW = np.zeros_like(padded), np.zeros_like(W)
    for k, tap in enumerate(taps):
        dpadded[:, :, tap] += W[:, :, k].T @ dy
        dW[:, :, k] = (dy @ padded[:, :, tap].swapaxes(1, 2)).sum(axis=0)
    dx = dpadded[:, :, padding : padding + x.shape[2]]
    return dx, dW, dy.sum(axis=(0, 2))


def _seen_by_each_weight(
    function: str, x: Any, W: Any, stride: int, padding: int, dilation: int
) -> tuple[Any, list[slice]]:
    """Return x with zeros at both ends, and for each of the K weights the places it meets."""
    padded = np.pad(x, [(0, 0), (0, 0), (padding, padding)])
    reach = dilation * (W.shape[2] - 1)
    last = padded.shape[2] - reach
    if last < 1:
        raise ShapeError(
            f"conv1d.{function}: W has shape {W.shape}, and with dilation {dilation} its window "
            f"is {reach + 1} long; expected at most {padded.shape[2]}, the length of x with padding"
        )
    starts = range(0, reach + 1, dilation)
    return padded, [slice(start, start + last, stride) for start in starts]


def _check_length(dy: Any, x: Any, stride: int, taps: list[slice]) -> None:
    windows = len(range(taps[0].stop)[::stride])
    if dy.shape[2] != windows:
        raise ShapeError(
            f"conv1d.backward_general: dy has shape {dy.shape}, expected {windows} places: "
            f"so many windows fit into x of shape {x.shape}"
        )
