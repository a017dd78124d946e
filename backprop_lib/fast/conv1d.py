"""The convolution with kernel 1, sample by sample; forward, bias and product in one.

Equal to `layers.conv1d`, `forward` and `backward`. Derived in the chapters "Conv1d" and "Speed".
"""

import numpy as np

from backprop_lib.fast.buffers import Buffers, array_for, full
from backprop_lib.fast.folding import Rows, with_column
from backprop_lib.fast.parallel import in_blocks, summed
from backprop_lib.shapes import Array, Cache, Shaped, shaped


@shaped
def forward(
    x: Shaped[Array, "N C_in L"],
    W: Shaped[Array, "C_out C_in"],
    b: Shaped[Array, "C_out"],
    *,
    buffers: Buffers | None = None,
) -> tuple[Shaped[Array, "N C_out L"], Cache]:
    """Apply one linear layer at every place.

    For each sample y = [W b] [x; 1], x with a row of ones below it        (speed-row-of-ones);
    that is y = W x + b, (conv1d-forward), without a second pass over y.
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
