"""Arrays that are used again, for whoever calls the same layer many times.

A large new array costs as much time as a pass over it: the system hands out its memory page by
page, and clears every page.
"""

from typing import Any

import numpy as np


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

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return the array of that name, with whatever it holds; a new one if it does not fit."""
        array = self._arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._arrays[name] = np.empty(shape, dtype)
        return array


def array_for(buffers: Buffers | None, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array to write a result into, a new one if there are no buffers."""
    if buffers is None:
        return np.empty(shape, dtype)
    return buffers.array(name, shape, dtype)
