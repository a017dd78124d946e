"""What is measured, as data: the whole step and each layer, with arrays drawn from a seed."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from backprop_lib.fast.buffers import empty
from bench.network import FULL, SMALL, Sizes, block_flops, draw_batch, flops, round_to_float32

Arrays = dict[str, np.ndarray]
STEP = "step"
STEPS = 3
"""After so many steps the parameters are compared, too."""


@dataclass(frozen=True)
class Layer:
    """A layer with its channels; forward and backward are timed together."""

    kind: str
    c_in: int
    c_out: int
    rows: int = 0
    """Of a product's first matrix."""


LAYERS = {
    "product 1024": Layer("product", 1024, 1024, rows=1024),
    "product 32": Layer("product", 1024, 512, rows=32),
    "conv 3-64": Layer("conv", 3, 64),
    "conv 64-128": Layer("conv", 64, 128),
    "conv 128-1024": Layer("conv", 128, 1024),
    "bmm 64": Layer("bmm", 64, 64),
    "linear 1024-512": Layer("linear", 1024, 512),
    "max 1024": Layer("max", 1024, 1024),
    "batchnorm 64": Layer("batchnorm", 64, 64),
    "batchnorm 128": Layer("batchnorm", 128, 128),
    "batchnorm 1024": Layer("batchnorm", 1024, 1024),
    "batchnorm+relu 1024": Layer("batchnorm+relu", 1024, 1024),
    "block 64-128": Layer("block", 64, 128),
    "block+max 128-1024": Layer("block+max", 128, 1024),
}
"""A product is one of two matrices, with no backward: each library brings its own, and no layer of
it can be faster. That of 32 rows is the linear layer's. A block is a convolution without bias,
BatchNorm and ReLU; it and block+max are what the derivation merges, and the others are its parts.
"""


@dataclass(frozen=True)
class Task:
    """One thing to compute: the whole training step, or a layer forward and backward."""

    name: str
    N: int = 32
    L: int = 1024
    dtype: str = "float32"
    threads: int = 1
    offset: float = 0.0
    """Added to the input."""
    dropout: float = 0.0
    small: bool = False
    """Few channels, for checks."""
    batch: int = 0
    """Which of all the inputs that can be drawn."""

    def draw_batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw points and labels for the step."""
        seed = 1000 + self.batch
        return draw_batch(self.sizes, self.N, self.L, self.dtype, self.offset, seed)

    @property
    def sizes(self) -> Sizes:
        """The sizes of the network."""
        return SMALL if self.small else FULL

    @property
    def layer(self) -> Layer:
        """The layer, if it is not the step."""
        layer = LAYERS[self.name]
        if self.small:
            few = {3: 3, 64: 4, 128: 5, 512: 6, 1024: 7}
            return Layer(layer.kind, few[layer.c_in], few[layer.c_out], min(layer.rows, 8))
        return layer

    def as_dict(self) -> dict[str, Any]:
        """Return what ``Task(**...)`` takes, for JSON."""
        return asdict(self)


def after(parameter: str) -> str:
    """Return the name of a parameter's values after the steps."""
    return f"{parameter} after {STEPS} steps"


def draw_inputs(task: Task) -> tuple[Arrays, np.ndarray]:
    """Draw the inputs of a layer in the order of its forward, and the upstream gradient."""
    layer, N, L = task.layer, task.N, task.L
    c_in, c_out = layer.c_in, layer.c_out
    shapes: dict[str, tuple[int, ...]]
    if layer.kind == "product":
        shapes = {"x": (layer.rows, c_in), "t": (c_in, c_out), "dy": ()}
    elif layer.kind == "conv":
        shapes = {"x": (N, c_in, L), "W": (c_out, c_in), "b": (c_out,), "dy": (N, c_out, L)}
    elif layer.kind == "linear":
        shapes = {"x": (N, c_in), "W": (c_out, c_in), "b": (c_out,), "dy": (N, c_out)}
    elif layer.kind == "bmm":
        shapes = {"x": (N, L, c_in), "t": (N, c_in, c_out), "dy": (N, L, c_out)}
    elif layer.kind == "max":
        shapes = {"x": (N, c_in, L), "dy": (N, c_in)}
    elif layer.kind in ("batchnorm", "batchnorm+relu"):
        shapes = {"x": (N, c_in, L), "gamma": (c_in,), "beta": (c_in,), "dy": (N, c_in, L)}
    else:
        dy = (N, c_out) if layer.kind == "block+max" else (N, c_out, L)
        shapes = {"x": (N, c_in, L), "W": (c_out, c_in)}
        shapes |= {"gamma": (c_out,), "beta": (c_out,), "dy": dy}
    rng = np.random.default_rng(2000 + task.batch)
    arrays = {
        name: np.asarray(rng.standard_normal(shape, np.float32)) for name, shape in shapes.items()
    }
    arrays["x"] += np.float32(task.offset)
    if "W" in arrays:
        arrays["W"] *= np.float32(c_in**-0.5)
    inputs = {
        name: aligned_copy(round_to_float32(value, task.dtype)) for name, value in arrays.items()
    }
    dy_values = inputs.pop("dy")
    return inputs, dy_values


def aligned_copy(values: np.ndarray) -> np.ndarray:
    """Return a copy that begins at the start of a cache line, as every library's own arrays do."""
    array = empty(values.shape, values.dtype)
    array[...] = values
    return array


def arithmetic(task: Task, *, derived: bool) -> int:
    """Count the floating-point operations of the matrix products, which are nearly all."""
    N, L = task.N, task.L
    if task.name == STEP:
        return flops(task.sizes, N, L, derived=derived)
    layer = task.layer
    if layer.kind in ("block", "block+max"):
        pooled = layer.kind == "block+max"
        return block_flops(layer.c_in, layer.c_out, N, L, derived=derived, pooled=pooled)
    if layer.kind == "product":
        return 2 * layer.rows * layer.c_in * layer.c_out
    places = {"conv": N * L, "bmm": N * L, "linear": N}.get(layer.kind, 0)
    return 3 * 2 * places * layer.c_in * layer.c_out


def traffic(task: Task) -> int:
    """Count the bytes that must be read or written: inputs and results, each way once.

    Of the step, whose arrays are as many as the way it is computed makes them, nothing is said.
    """
    if task.name == STEP:
        return 0
    layer, N, L = task.layer, task.N, task.L
    itemsize = int(np.dtype(task.dtype).itemsize)
    if layer.kind == "product":
        c_in, c_out = layer.c_in, layer.c_out
        return itemsize * (layer.rows * (c_in + c_out) + c_in * c_out)
    x = N * layer.c_in * (1 if layer.kind == "linear" else L)
    y = N * layer.c_out * (1 if layer.kind in ("linear", "max", "block+max") else L)
    others = {"conv": 3, "linear": 3, "block": 3, "block+max": 3}.get(layer.kind, 0)
    others *= layer.c_in * layer.c_out
    if layer.kind == "bmm":
        others = 3 * N * layer.c_in * layer.c_out
    again = 0 if layer.kind == "max" else x  # backward reads x; max needs its shape only
    return itemsize * (x + y + y + again + x + others)
