"""The largest entry along the last axis, sample by sample.

Equal to `ops.max` along its last axis. Derived in the chapter "Max".
"""

import numpy as np

from backprop_lib.fast.buffers import Buffers
from backprop_lib.fast.parallel import in_blocks
from backprop_lib.shapes import Array, Labels, Shaped, shaped


@shaped(nonempty=("L",))
def forward(
    x: Shaped[Array, "N C L"], *, buffers: Buffers | None = None
) -> tuple[Shaped[Array, "N C"], tuple[Shaped[Array, "N C L"], Shaped[Labels, "N C"]]]:
    """Take the largest entry of each channel of each sample, and remember where it was.

    y[n, c] = x[n, c, k[n, c]], with k the place of the largest entry    (max-forward).

    Parameters
    ----------
    x : array, shape (N, C, L)
        Input.
    buffers : Buffers, optional
        Taken for the sake of a common signature; y is small, and new at every call.

    Returns
    -------
    y : array, shape (N, C)
        Output.
    cache : tuple (x, k)
        What `backward` takes after dy. Of equal largest entries, k, of shape (N, C), names the
        first.

    Raises
    ------
    ShapeError
        If the number of axes is not as above, or there is no place.
    TypeError
        If x is not an array of floats.

    References
    ----------
    As for `ops.max.forward`.
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

    Parameters
    ----------
    dy : array, shape (N, C)
        Upstream gradient. It is not changed.
    x, k : arrays, shapes (N, C, L) and (N, C)
        The cache of `forward`. Of x only the shape is used.
    buffers : Buffers, optional
        Where dx is kept; the next call with the same buffers overwrites it.

    Returns
    -------
    dx : array, shape (N, C, L)
        From buffers, it cannot be written to: the next call sets back to 0 what this one has set,
        and counts on all else being 0 still.

    Raises
    ------
    ShapeError, TypeError
        As `forward`.
    ValueError
        If k names no place.

    References
    ----------
    As for `ops.max.forward`.
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
