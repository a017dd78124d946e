"""The convolution with kernel 1, sample by sample; forward, bias and product in one.

Equal to `layers.conv1d`, `forward` and `backward`. Derived in the chapters "Conv1d" and "Speed".
"""

import numpy as np

from backprop_lib.fast.buffers import Buffers, array_for, full
from backprop_lib.fast.folding import Rows, with_column
from backprop_lib.fast.parallel import in_blocks, summed
from backprop_lib.shapes import Array, Shaped, shaped


@shaped
def forward(
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    b: Shaped[Array, "C_out"],
    *,
    buffers: Buffers | None = None,
) -> tuple[
    Shaped[Array, "N C_out L"],
    tuple[Shaped[Array, "N C_in L"], Shaped[Array, "C_out C_in"]],
]:
    """Apply one linear layer at every place.

    For each sample y = [W b] [x; 1], x with a row of ones below it        (speed-row-of-ones);
    that is y = W x + b, (conv1d-forward), without a second pass over y.

    Parameters
    ----------
    x, W, b : arrays, shapes (N, C_in, L), (C_out, C_in) and (C_out,)
        As for `layers.conv1d.forward`.
    buffers : Buffers, optional
        Where y is kept; the next call with the same buffers overwrites it.

    Returns
    -------
    y : array, shape (N, C_out, L)
        Output, of the inputs' dtype.
    cache : tuple (x, W)
        What `backward` takes after dy.

    Raises
    ------
    ShapeError
        If the number of axes or a size is not as above.
    TypeError
        If an argument is not an array of floats.

    References
    ----------
    As for `layers.conv1d.forward`.
    """
    N, C_in, L = x.shape
    dtype = np.result_type(x, W, b)
    y = array_for(buffers, "y", (N, len(W), L), dtype)
    W_and_b = with_column(W, b, dtype)

    def work(block: range) -> None:
        rows = Rows(np.zeros(C_in, dtype), L)
        for n in block:
            np.matmul(W_and_b, rows.of(x[n]), out=y[n])

    in_blocks(work, N)
    return y, (x, W)


@shaped
def backward(
    dy: Shaped[Array, "N C_out L"],
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    *,
    buffers: Buffers | None = None,
) -> tuple[Shaped[Array, "N C_in L"], Shaped[Array, "C_out C_in"], Shaped[Array, "C_out"]]:
    """Turn the upstream gradient dy = ∂L/∂y into the gradients of x, W and b.

    dx = Wᵀ dy, (conv1d-dx), dW = Σ_n dy xᵀ, (conv1d-dw), and db = Σ_n Σ_l dy, (conv1d-db),
    sample by sample.

    Parameters
    ----------
    dy : array, shape (N, C_out, L)
        Upstream gradient. It is not changed.
    x, W : arrays, shapes (N, C_in, L) and (C_out, C_in)
        The cache of `forward`.
    buffers : Buffers, optional
        Where dx is kept; the next call with the same buffers overwrites it.

    Returns
    -------
    dx, dW, db : arrays, shapes (N, C_in, L), (C_out, C_in) and (C_out,)

    Raises
    ------
    ShapeError, TypeError
        As `forward`.

    References
    ----------
    As for `layers.conv1d.forward`.
    """
    N, C_in, L = x.shape
    dtype = np.result_type(dy, x, W)
    dx = array_for(buffers, "dx", x.shape, dtype)
    W_transposed, ones = np.ascontiguousarray(W.T), full((L,), 1, dtype)

    def work(block: range) -> np.ndarray:
        of_sample = np.empty((len(W), C_in), dtype)
        total = np.zeros((len(W), C_in + 1), dtype)
        for n in block:
            total[:, :-1] += np.matmul(dy[n], x[n].T, out=of_sample)
            total[:, -1] += dy[n] @ ones  # while it is in the cache
            np.matmul(W_transposed, dy[n], out=dx[n])
        return total

    total = summed(in_blocks(work, N)).astype(dtype)
    return dx, total[:, :-1].copy(), total[:, -1].copy()
