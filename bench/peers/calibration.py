"""What the machine can do at this moment: one matrix product, and one copy of much memory."""

import numpy as np

from bench.peers import Arrays
from bench.tasks import Task

SIZE = 1024
COPIED = 128 * 2**20


def prepare(task: Task) -> "Product | Copy":
    """Return one of the two."""
    return Product() if task.name == "product" else Copy()


class Product:
    """A product of two square matrices of float32."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.a, self.b = rng.standard_normal((2, SIZE, SIZE), np.float32)
        self.out: np.ndarray = np.empty_like(self.a)

    def run(self) -> np.ndarray:
        """Multiply."""
        np.matmul(self.a, self.b, out=self.out)
        return self.out

    def values(self) -> Arrays:
        """Return the product."""
        return {"product": self.run()}


class Copy:
    """A copy of an array that no cache holds."""

    def __init__(self) -> None:
        self.a = np.ones(COPIED // 4, np.float32)
        self.out = np.zeros_like(self.a)

    def run(self) -> None:
        """Copy."""
        np.copyto(self.out, self.a)

    def values(self) -> Arrays:
        """Return the copy."""
        self.run()
        return {"copy": self.out}
