"""The batched matrix product, sample by sample, and each sample in pieces.

Equal to `ops.bmm`. Derived in the chapter "Bmm".

Before it multiplies, BLAS copies its operands into an order that suits the processor. That pays if
each number is used often, and takes a good part of the time if a matrix is long and narrow, as the
points of a sample are. OpenBLAS, which comes with NumPy, makes no copies for a product of up to a
million multiplications.
"""

import numpy as np

from backprop_lib.fast.buffers import Buffers, array_for
from backprop_lib.fast.parallel import in_blocks
from backprop_lib.shapes import Array, Cache, Shaped, shaped

PIECE = 128
"""How many rows of a long matrix are multiplied at a time."""
SMALL = 10**6
"""The largest number of multiplications in a product for which OpenBLAS makes no copies."""


@shaped
def forward(
    x: Shaped[Array, "N L C"], t: Shaped[Array, "N C D"], *, buffers: Buffers | None = None
) -> tuple[Shaped[Array, "N L D"], Cache]:
    """Multiply the matrix of each sample by another one of the same sample.

    For each sample y = x t    (bmm-forward).
    """
    y = array_for(buffers, "y", (*x.shape[:2], t.shape[2]), np.result_type(x, t))

    def work(block: range) -> None:
        for n in block:
            _multiply(x[n], t[n], out=y[n])

    in_blocks(work, len(x))
    return y, (x, t)


@shaped
def backward(
    dy: Shaped[Array, "N L D"],
    x: Shaped[Array, "N L C"],
    t: Shaped[Array, "N C D"],
    *,
    buffers: Buffers | None = None,
) -> tuple[Shaped[Array, "N L C"], Shaped[Array, "N C D"]]:
    """Turn the upstream gradient dy = ∂L/∂y into the gradients of x and t.

    For each sample dx = dy tᵀ, (bmm-dx), and dt = xᵀ dy, (bmm-dt).
    """
    dtype = np.result_type(dy, x, t)
    dx = array_for(buffers, "dx", x.shape, dtype)
    dt = array_for(buffers, "dt", t.shape, dtype)

    def work(block: range) -> None:
        for n in block:
            _multiply(dy[n], np.ascontiguousarray(t[n].T), out=dx[n])
            _multiply_columns(x[n], dy[n], out=dt[n])

    in_blocks(work, len(x))
    return dx, dt


def _multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Write a b into out, by pieces of a's rows."""
    whole = _whole(len(a), b.size)
    np.matmul(_pieces(a[:whole]), b, out=_pieces(out[:whole]))
    if whole < len(a):
        np.matmul(a[whole:], b, out=out[whole:])


def _multiply_columns(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Write aᵀ b into out, as the sum over pieces of the rows of both."""
    whole = _whole(len(a), out.size)
    products = _pieces(a[:whole]).swapaxes(1, 2) @ _pieces(b[:whole])
    np.add.reduce(products, axis=0, out=out)
    if whole < len(a):
        out += a[whole:].T @ b[whole:]


def _whole(rows: int, size: int) -> int:
    """Return how many rows are in whole pieces; 0 if the product of a piece would need copies."""
    return rows - rows % PIECE if size * PIECE <= SMALL else 0


def _pieces(matrix: np.ndarray) -> np.ndarray:
    return matrix.reshape(len(matrix) // PIECE, PIECE, matrix.shape[1])
