"""The batched matrix product, sample by sample.

Equal to `ops.bmm`. Derived in the chapter "Bmm".
"""

import numpy as np

from backprop_lib.fast.buffers import Buffers, array_for
from backprop_lib.fast.parallel import in_blocks
from backprop_lib.shapes import Array, Shaped, shaped


@shaped
def forward(
    x: Shaped[Array, "N L C"], t: Shaped[Array, "N C D"], *, buffers: Buffers | None = None
) -> tuple[Shaped[Array, "N L D"], tuple[Shaped[Array, "N L C"], Shaped[Array, "N C D"]]]:
    """Multiply the matrix of each sample by another one of the same sample.

    For each sample y = x t    (bmm-forward).

    Parameters
    ----------
    x, t : arrays, shapes (N, L, C) and (N, C, D)
        As for `ops.bmm.forward`.
    buffers : Buffers, optional
        Where y is kept; the next call with the same buffers overwrites it.

    Returns
    -------
    y : array, shape (N, L, D)
        Output, of the inputs' dtype.
    cache : tuple (x, t)
        What `backward` takes after dy.

    Raises
    ------
    ShapeError
        If the number of axes or a size is not as above.
    TypeError
        If an argument is not an array of floats.

    References
    ----------
    As for `ops.bmm.forward`.
    """
    y = array_for(buffers, "y", (*x.shape[:2], t.shape[2]), np.result_type(x, t))

    def work(block: range) -> None:
        for n in block:
            np.matmul(x[n], t[n], out=y[n])

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

    Parameters
    ----------
    dy : array, shape (N, L, D)
        Upstream gradient. It is not changed.
    x, t : arrays, shapes (N, L, C) and (N, C, D)
        The cache of `forward`.
    buffers : Buffers, optional
        Where dx and dt are kept; the next call with the same buffers overwrites them.

    Returns
    -------
    dx, dt : arrays, shapes (N, L, C) and (N, C, D)

    Raises
    ------
    ShapeError, TypeError
        As `forward`.

    References
    ----------
    As for `ops.bmm.forward`.
    """
    dtype = np.result_type(dy, x, t)
    dx = array_for(buffers, "dx", x.shape, dtype)
    dt = array_for(buffers, "dt", t.shape, dtype)

    def work(block: range) -> None:
        for n in block:
            np.matmul(dy[n], np.ascontiguousarray(t[n].T), out=dx[n])
            np.matmul(x[n].T, dy[n], out=dt[n])

    in_blocks(work, len(x))
    return dx, dt
