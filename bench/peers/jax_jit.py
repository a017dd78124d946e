"""JAX: the whole step as one compiled function."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.network import RATE, REGULARISER, draw_parameters
from bench.peers import Arrays, functional
from bench.tasks import Task

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def prepare(task: Task) -> "Step":
    """Return the step as JAX computes it."""
    jax.config.update("jax_enable_x64", task.dtype == "float64")  # type: ignore[no-untyped-call]
    return Step(task)


class Step:
    """The whole training step."""

    def __init__(self, task: Task):
        sizes, dtype = task.sizes, task.dtype
        points, labels = task.draw_batch()
        self.points = jnp.asarray(points)
        self.one_hot = jnp.asarray(np.eye(sizes.classes, dtype=dtype)[labels])
        self.theta = {k: jnp.asarray(v) for k, v in draw_parameters(sizes, dtype).items()}
        self.m = jax.tree.map(jnp.zeros_like, self.theta)
        self.v = jax.tree.map(jnp.zeros_like, self.theta)
        self.steps = 0
        self.key = jax.random.key(0)
        dropout, hidden = task.dropout, (task.N, sizes.head[-1])

        def loss(theta: Any, points: Any, one_hot: Any, key: Any) -> Any:
            kept = jax.random.bernoulli(key, 1 - dropout, hidden)
            mask = jnp.where(kept, 1 / (1 - dropout), 0).astype(dtype) if dropout else 1
            return functional.loss(jnp, theta, points, one_hot, REGULARISER, mask)

        def step(theta: Any, m: Any, v: Any, key: Any, k: Any, points: Any, one_hot: Any) -> Any:
            key, used = jax.random.split(key)
            value, g = jax.value_and_grad(loss)(theta, points, one_hot, used)
            m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
            v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, g)
            rate, root = RATE / (1 - BETA1**k), jnp.sqrt(1 - BETA2**k)
            theta = jax.tree.map(
                lambda theta, m, v: theta - rate * m / (jnp.sqrt(v) / root + EPS), theta, m, v
            )
            return theta, m, v, key, value

        self.step = jax.jit(step, donate_argnums=(0, 1, 2, 3))
        self.gradients = jax.jit(jax.value_and_grad(loss))

    def run(self) -> float:
        """Forward, backward, and Adam's update."""
        self.steps += 1
        k = jnp.asarray(self.steps, self.points.dtype)
        self.theta, self.m, self.v, self.key, loss = self.step(
            self.theta, self.m, self.v, self.key, k, self.points, self.one_hot
        )
        jax.block_until_ready(self.theta)  # type: ignore[no-untyped-call]
        return float(loss)

    def values(self) -> Arrays:
        """Return the loss and all gradients."""
        loss, gradients = self.gradients(self.theta, self.points, self.one_hot, self.key)
        return {"loss": np.asarray(loss), **{k: np.asarray(v) for k, v in gradients.items()}}

    def parameters(self) -> Arrays:
        """Return the parameters as they are now."""
        return {name: np.asarray(value) for name, value in self.theta.items()}
