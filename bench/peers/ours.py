"""Network and layers of the book: readable, as the chapters write them, and derived, from fast/."""

from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from backprop_lib.optim import Adam
from bench.network import RATE, REGULARISER, draw_parameters
from bench.peers import Arrays, Program
from bench.tasks import STEP, Task, draw_inputs


def prepare_readable(task: Task) -> Program:
    """Return a task, computed layer by layer."""
    return Step(task, derived=False) if task.name == STEP else LayerRun(task, readable(task))


def prepare_derived(task: Task) -> Program:
    """Return a task in its derived form, with reused buffers and threads of its own."""
    use_threads(task.threads)
    if task.name == STEP:
        return Step(task, derived=True, reuse=True)
    return LayerRun(task, derived(task))


def prepare_derived_new(task: Task) -> Program:
    """Return the step in its derived form, with a new array for each result."""
    use_threads(task.threads)
    return Step(task, derived=True)


OPEN = ExitStack()
"""What stays open as long as the process lives."""


def use_threads(count: int) -> None:
    """Share out samples among threads from now on."""
    from backprop_lib.fast.parallel import threads

    OPEN.enter_context(threads(count))


class Step:
    """The whole training step."""

    def __init__(self, task: Task, *, derived: bool, reuse: bool = False):
        from backprop_lib.pointnet.network import PointNet, Settings

        sizes = task.sizes
        settings = Settings(**vars(sizes), dropout=task.dropout)
        self.net = PointNet(settings, dtype=task.dtype, derived=derived)
        drawn = draw_parameters(sizes, task.dtype)
        if {k: v.shape for k, v in self.net.parameters.items()} != {
            k: v.shape for k, v in drawn.items()
        }:
            raise ValueError("the network has other parameters than its peers")
        for name, value in drawn.items():
            self.net.parameters[name][...] = value
        if reuse:
            from backprop_lib.fast.buffers import Buffers

            self.net.buffers = Buffers()
        self.points, self.labels = task.draw_batch()
        self.adam = Adam(self.net.parameters, RATE)
        self.rng = np.random.default_rng(3)

    def gradients(self) -> tuple[float, Arrays]:
        """Return the loss and the gradients by name."""
        return self.net.loss_and_gradients(
            self.points, self.labels, regulariser=REGULARISER, rng=self.rng
        )

    def run(self) -> float:
        """Forward, backward, and Adam's update."""
        loss, gradients = self.gradients()
        self.adam.step(gradients)
        return loss

    def values(self) -> Arrays:
        """Return the loss and all gradients."""
        loss, gradients = self.gradients()
        own = {name: gradients[name].copy() for name in self.net.parameters}
        return {"loss": np.asarray(loss), **own}

    def parameters(self) -> Arrays:
        """Return the parameters as they are now."""
        return self.net.parameters


Forward = Callable[..., tuple[Any, Callable[[Any], tuple[Any, ...]]]]
"""From the inputs to y and a function from dy to the gradients."""
MODULES = {
    "conv": "layers.conv1d",
    "linear": "layers.linear",
    "bmm": "ops.bmm",
    "max": "ops.max",
    "batchnorm": "layers.batchnorm1d",
    "batchnorm+relu": "layers.batchnorm1d_relu",
}
FAST = {
    "conv": "conv1d",
    "bmm": "bmm",
    "max": "max",
    "batchnorm": "batchnorm1d",
    "batchnorm+relu": "batchnorm1d_relu",
    "block": "conv1d_batchnorm1d_relu",
    "block+max": "conv1d_batchnorm1d_relu_max",
}


def module(name: str) -> ModuleType:
    """Return a module of the library."""
    return import_module(f"backprop_lib.{name}")


def one(layer: ModuleType, **settings: Any) -> Forward:
    """Return a module's forward with its backward."""

    def forward(*inputs: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
        y, cache = layer.forward(*inputs, **settings)

        def backward(dy: Any) -> tuple[Any, ...]:
            gradients = layer.backward(dy, *cache, **settings)
            return gradients if isinstance(gradients, tuple) else (gradients,)

        return y, backward

    return forward


def readable(task: Task) -> Forward:
    """Return a layer as its chapter writes it; a block is made of three or four."""
    kind = task.layer.kind
    if kind == "product":
        return lambda x, t: (x @ t, lambda dy: ())
    if kind in MODULES:
        return one(module(MODULES[kind]))
    conv, norm, largest = (one(module(MODULES[k])) for k in ("conv", "batchnorm+relu", "max"))

    def block(x: Any, W: Any, gamma: Any, beta: Any) -> Any:
        z, conv_back = conv(x, W, np.zeros_like(beta))
        y, norm_back = norm(z, gamma, beta)

        def backward(dy: Any) -> tuple[Any, ...]:
            dz, dgamma, dbeta = norm_back(dy)
            dx, dW, _ = conv_back(dz)
            return dx, dW, dgamma, dbeta

        return y, backward

    def block_max(*inputs: Any) -> Any:
        h, block_back = block(*inputs)
        y, max_back = largest(h)
        return y, lambda dy: block_back(*max_back(dy))

    return block if kind == "block" else block_max


def derived(task: Task) -> Forward:
    """Return a layer's fast twin; the linear layer, one product each way, has none."""
    from backprop_lib.fast.buffers import Buffers

    kind = task.layer.kind
    if kind not in FAST:
        return readable(task)
    return one(module(f"fast.{FAST[kind]}"), buffers=Buffers())


class LayerRun:
    """A layer, forward and backward."""

    def __init__(self, task: Task, forward: Forward):
        inputs, self.dy = draw_inputs(task)
        self.names, self.inputs = list(inputs), list(inputs.values())
        self.forward = forward

    def run(self) -> Any:
        """Return the output and the gradient of each input."""
        y, backward = self.forward(*self.inputs)
        return y, backward(self.dy)

    def values(self) -> Arrays:
        """Return them by name."""
        y, gradients = self.run()
        return {
            "y": np.asarray(y),
            # a product alone has no gradients
            **{f"d{name}": d for name, d in zip(self.names, gradients, strict=bool(gradients))},
        }
