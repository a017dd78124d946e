"""The largest entry along the last axis, sample by sample.

Equal to `ops.max` along its last axis. Derived in the chapter "Max".
"""

import numpy as np

from backprop_lib.fast.buffers import Buffers
from backprop_lib.fast.parallel import in_blocks
from backprop_lib.shapes import Array, Cache, Labels, Shaped, shaped


@shaped(nonempty=("L",))
def forward(
    x: Shaped[Array, "N C L"], *, buffers: Buffers | None = None
) -> tuple[Shaped[Array, "N C"], Cache]:
    """Take the largest entry of each channel of each sample, and remember where it was.

    y[n, c] = x[n, c, k[n, c]], with k the place of the largest entry    (max-forward).

    The cache is x and k; of equal largest entries, k names the first. y is small, and new at every
    call, even with buffers.

    Raises
    ------
    ShapeError
        If there is no place.
    """
    N, C, _ = x.shape
    y, k = np.empty((N, C), x.dtype), np.empty((N, C), np.intp)

    def work(block: range) -> None:
        for n in block:
            x[n].argmax(axis=1, out=k[n])
            y[n] = x[n, np.arange(C), k[n]]  # still in the cache

    in_blocks(work, N)
    return y, (x, k)


@shaped(nonempty=("L",), labels={"k": "L"})
def backward(
    dy: Shaped[Array, "N C"],
    x: Shaped[Array, "N C L"],
    k: Shaped[Labels, "N C"],
    *,
    buffers: Buffers | None = None,
) -> Shaped[Array, "N C L"]:
    """Give each upstream gradient to the entry that was taken, and 0 to all others.

    dx[n, c, l] = dy[n, c] if l = k[n, c], else 0    (max-dx).

    With buffers, dx is read-only. The next call resets to 0 only the entries that this call has
    set, so the others must have stayed 0.

    Raises
    ------
    ValueError
        If k names no place.
    """
    dtype = np.result_type(dy, x)
    if buffers is None:
        dx = np.zeros(x.shape, dtype)
        _put(dx, k, dy)
        return dx
    dx = buffers.array("dx", x.shape, dtype, new=0)
    before = buffers.array(f"k of {x.shape}", k.shape, np.intp, new=0)
    _put(dx, before, 0)
    before[...] = k  # first, so that nothing is forgotten if this is interrupted
    _put(dx, k, dy)
    dx = dx.view()
    dx.flags.writeable = False
    return dx


def _put(dx: np.ndarray, k: np.ndarray, values: np.ndarray | int) -> None:
    """Write values, one for each channel of each sample, or the same for all, to the places k."""
    np.put_along_axis(dx, k[..., None], np.asarray(values)[..., None], axis=2)
