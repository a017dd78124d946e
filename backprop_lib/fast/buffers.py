"""Arrays to write into: aligned to the processor's vectors, and used again by whoever calls often.

A large new array costs as much time as a pass over it: the system hands out its memory page by
page, and clears every page. And on Linux NumPy begins it 16 bytes behind the start of a page, so
that every vector of 64 bytes lies across two lines of the cache: a pass over what is in the cache
can then take twice as long.
"""

from math import prod
from typing import Any

import numpy as np

LINE = 64
"""So many bytes has a line of the cache, and the longest vector of today's processors."""


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return a new array, with whatever it holds, that begins at the start of a line."""
    if np.dtype(dtype).hasobject:
        return np.empty(shape, dtype)
    size = prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    array: np.ndarray = memory[start : start + size].view(dtype).reshape(shape)
    return array


def full(shape: tuple[int, ...], value: Any, dtype: Any) -> np.ndarray:
    """Return a new array as `empty` does, with the same value everywhere."""
    array = empty(shape, dtype)
    array.fill(value)
    return array


class Buffers:
    """The arrays into which one layer writes its results, call after call.

    With ``buffers=buffers``, a function of `backprop_lib.fast` returns arrays that live in the
    buffers. The next call of the same function with the same buffers overwrites them, if the shape
    and dtype are the same. So give each layer of a network buffers of its own, and copy what is to
    outlive the next step. Buffers must not be used by two threads at once.

    ``buffers["conv1"]`` are other buffers, made when they are first asked for: one object serves
    a whole network.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}
        self._parts: dict[str, Buffers] = {}

    def __getitem__(self, name: str) -> "Buffers":
        return self._parts.setdefault(name, Buffers())

    def array(
        self, name: str, shape: tuple[int, ...], dtype: Any, *, new: float | None = None
    ) -> np.ndarray:
        """Return the array of that name, with whatever it holds; a new one if it does not fit.

        A new one holds anything, or the number ``new`` everywhere.
        """
        array = self._arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = empty(shape, dtype) if new is None else full(shape, new, dtype)
            self._arrays[name] = array
        return array


def array_for(buffers: Buffers | None, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array to write a result into, a new one if there are no buffers."""
    if buffers is None:
        return empty(shape, dtype)
    return buffers.array(name, shape, dtype)
