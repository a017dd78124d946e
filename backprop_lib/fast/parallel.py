"""Share out the samples of a batch among threads, with the same results for any number of them.

The samples are cut into blocks, by their number alone. Each block is worked through in order by
one thread, and what the blocks contribute to a sum is added in the order of the blocks. So no
rounding depends on the number of threads, or on which of them is faster.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from backprop_lib.arguments import check_number

BLOCKS = 8
"""So many blocks, or one for each sample if there are fewer. More threads than this are idle."""

Part = TypeVar("Part")
_pool: ContextVar[Executor | None] = ContextVar("_pool", default=None)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let the functions of `backprop_lib.fast` use so many threads, within a ``with`` block.

    Where no thread can be started, as in the browser, there is one, the caller's. Threads pay if
    BLAS has none of its own: set ``OPENBLAS_NUM_THREADS=1`` before NumPy is imported.

    Parameters
    ----------
    number : int
        Number of threads, at least 1.

    Raises
    ------
    ValueError, TypeError
        If the number is below 1, or no whole number.
    """
    number = check_number("threads: number", number, int, ">= 1")
    pool = _started(number) if number > 1 else None
    token = _pool.set(pool)
    try:
        yield
    finally:
        _pool.reset(token)
        if pool is not None:
            pool.shutdown()


def _started(number: int) -> Executor | None:
    pool = ThreadPoolExecutor(number)
    try:
        pool.submit(int).result()
    except RuntimeError:  # "can't start new thread"
        return None
    return pool


def in_blocks(work: Callable[[range], Part], samples: int) -> list[Part]:
    """Call ``work`` with the samples of each block, and return what it returns, in order."""
    number = max(1, min(BLOCKS, samples))
    ends = [samples * i // number for i in range(number + 1)]
    blocks = [range(start, end) for start, end in pairwise(ends)]
    pool = _pool.get()
    if pool is None or number == 1:
        return [work(block) for block in blocks]
    return list(pool.map(work, blocks))


def summed(parts: list[np.ndarray]) -> np.ndarray:
    """Add what the blocks contribute, in their order, and in double precision at least."""
    total: np.ndarray = parts[0].astype(wide(parts[0].dtype))
    for part in parts[1:]:
        total += part
    return total


def wide(*dtypes: Any) -> np.dtype:
    """Return the dtype in which few numbers that much depends on are computed."""
    return np.result_type(*dtypes, np.float64)
