"""The network that everyone computes: its sizes, its parameters by name, its arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Arrays = dict[str, np.ndarray]
EPS = 1e-5
REGULARISER = 0.001
RATE = 0.001


@dataclass(frozen=True)
class Sizes:
    """The sizes of a PointNet, as in `backprop_lib.pointnet.network.Settings`."""

    channels: int = 3
    classes: int = 40
    local: tuple[int, ...] = (64,)
    features: tuple[int, ...] = (128, 1024)
    head: tuple[int, ...] = (512, 256)
    transform: tuple[int, ...] = (64, 128, 1024)
    transform_head: tuple[int, ...] = (512, 256)


FULL = Sizes()
SMALL = Sizes(
    classes=5,
    local=(4,),
    features=(6, 9),
    head=(8, 7),
    transform=(5, 4, 10),
    transform_head=(6, 3),
)
"""No two sizes that meet are equal, so that a transposed matrix does not fit."""


@dataclass(frozen=True)
class Block:
    """A convolution or a linear layer without bias, BatchNorm and ReLU."""

    name: str
    c_in: int
    c_out: int
    is_convolution: bool
    is_pooled: bool
    """Whether the largest entry over the points is all that is kept of it."""


@dataclass(frozen=True)
class Output:
    """A linear layer with a bias and nothing behind it."""

    name: str
    c_in: int
    c_out: int


def blocks(sizes: Sizes) -> Iterator[Block]:
    """Yield the blocks in the order in which they are computed."""
    transform, transform_head = sizes.transform, sizes.transform_head
    width = sizes.local[-1]
    yield from _part("input_transform", sizes.channels, transform, transform_head)
    yield from _part("local", sizes.channels, sizes.local, (), pooled=False)
    yield from _part("feature_transform", width, transform, transform_head)
    yield from _part("features", width, sizes.features, ())
    yield from _part("head", sizes.features[-1], (), sizes.head)


def _part(
    part: str,
    c_in: int,
    convolutions: tuple[int, ...],
    linears: tuple[int, ...],
    *,
    pooled: bool = True,
) -> Iterator[Block]:
    for i, (before, after) in enumerate(pairwise((c_in, *convolutions)), 1):
        last = i == len(convolutions)
        yield Block(f"{part}.conv{i}", before, after, True, pooled and last)
    for i, (before, after) in enumerate(pairwise(((c_in, *convolutions)[-1], *linears)), 1):
        yield Block(f"{part}.linear{i}", before, after, False, False)


def outputs(sizes: Sizes) -> Iterator[Output]:
    """Yield the last layers of the two transforms and of the head."""
    yield Output("input_transform.out", sizes.transform_head[-1], sizes.channels**2)
    yield Output("feature_transform.out", sizes.transform_head[-1], sizes.local[-1] ** 2)
    yield Output("head.out", sizes.head[-1], sizes.classes)


def draw_parameters(sizes: Sizes, dtype: str, seed: int = 0) -> Arrays:
    """Draw every parameter; nothing is 0 or 1, and some of BatchNorm's scales are negative.

    The numbers are those of float32, whatever the dtype, so that precisions can be compared.
    """
    rng = np.random.default_rng(seed)
    drawn = {}
    for block in blocks(sizes):
        scale = (2 / block.c_in) ** 0.5
        sign = np.where(rng.random(block.c_out) < 0.25, -1, 1)
        drawn[f"{block.name}.W"] = scale * rng.standard_normal((block.c_out, block.c_in))
        drawn[f"{block.name}.gamma"] = sign * (0.8 + 0.4 * rng.random(block.c_out))
        drawn[f"{block.name}.beta"] = 0.1 * rng.standard_normal(block.c_out)
    for output in outputs(sizes):
        # a transform near the identity, as in a network that learns
        scale = (1 / output.c_in) ** 0.5 * (1 if output.name == "head.out" else 0.1)
        drawn[f"{output.name}.W"] = scale * rng.standard_normal((output.c_out, output.c_in))
        drawn[f"{output.name}.b"] = 0.1 * rng.standard_normal(output.c_out)
    return {name: round_to_float32(value, dtype) for name, value in drawn.items()}


def draw_batch(
    sizes: Sizes, N: int, L: int, dtype: str, offset: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw points of shape (N, channels, L), moved by an offset, and labels."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((N, sizes.channels, L)) + offset
    return round_to_float32(points, dtype), rng.integers(0, sizes.classes, N)


def round_to_float32(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return numbers of float32 as an array of a dtype."""
    return values.astype(np.float32).astype(dtype)


def flops(sizes: Sizes, N: int, L: int, *, derived: bool) -> int:
    """Count the arithmetic of the step's products with all points, two for each multiply-add.

    Layer by layer, each is done three times: forward, for the input, and for the weights.
    """
    transforms = 3 * 2 * N * L * (sizes.channels**2 + sizes.local[-1] ** 2)
    convolutions = [block for block in blocks(sizes) if block.is_convolution]
    return transforms + sum(
        block_flops(block.c_in, block.c_out, N, L, derived=derived, pooled=block.is_pooled)
        for block in convolutions
    )


def block_flops(c_in: int, c_out: int, N: int, L: int, *, derived: bool, pooled: bool) -> int:
    """Count the arithmetic of one convolution, forward and backward.

    Derived, the covariance of the input and a C_in × C_in matrix applied to it are added; behind
    a max, one gradient is left for each sample and channel, and of the three products one.
    """
    one_product = 2 * N * L * c_in * c_out
    if not derived:
        return 3 * one_product
    small = 2 * 2 * N * L * c_in**2
    return small + (one_product + 2 * 2 * N * c_in * c_out if pooled else 3 * one_product)
