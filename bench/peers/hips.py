"""HIPS autograd: the same NumPy code, differentiated as it runs, with this book's Adam."""

import autograd.numpy as anp
import numpy as np
from autograd import value_and_grad

from backprop_lib.ops.dropout import draw_mask
from backprop_lib.optim import Adam
from bench.network import RATE, REGULARISER, draw_parameters
from bench.peers import Arrays, functional
from bench.tasks import Task


def prepare(task: Task) -> "Step":
    """Return the step as autograd computes it."""
    return Step(task)


class Step:
    """The whole training step."""

    def __init__(self, task: Task):
        sizes, self.dtype = task.sizes, task.dtype
        self.points, labels = task.draw_batch()
        self.one_hot = np.eye(sizes.classes, dtype=task.dtype)[labels]
        self.theta = draw_parameters(sizes, task.dtype)
        self.adam = Adam(self.theta, RATE)
        self.dropout, self.hidden = task.dropout, (task.N, sizes.head[-1])
        self.rng = np.random.default_rng(3)
        self.gradients = value_and_grad(self.loss)

    def loss(self, theta: Arrays) -> np.ndarray:
        """Return the loss of the batch."""
        mask = draw_mask(self.hidden, self.dropout, self.rng).astype(self.dtype)
        return functional.loss(anp, theta, self.points, self.one_hot, REGULARISER, mask)  # type: ignore[no-any-return]

    def run(self) -> float:
        """Forward, backward, and Adam's update."""
        loss, gradients = self.gradients(self.theta)
        self.adam.step(gradients)
        return float(loss)

    def values(self) -> Arrays:
        """Return the loss and all gradients."""
        loss, gradients = self.gradients(self.theta)
        return {"loss": np.asarray(loss), **gradients}

    def parameters(self) -> Arrays:
        """Return the parameters as they are now."""
        return self.theta
