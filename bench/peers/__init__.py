"""What is compared: each module prepares a task as one library, or this book, computes it."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from bench.tasks import Task

Arrays = dict[str, np.ndarray]


class Program(Protocol):
    """A task that is ready to run."""

    def run(self) -> object:
        """Do all that is timed, once."""

    def values(self) -> Arrays:
        """Return what the task computes, by names that are the same for every peer."""


Prepare = Callable[[Task], Program]
