"""The usual ways to check a backward pass, each with what it misses.

Every check is a function ``check(forward, backward, axes)`` that returns True if the backward
passes. forward and backward are those of a layer (see `backprop_lib.layer`); axes names the axes
of each input, such as ``{"x": "N C", "W": "C"}``, and may be empty where forward's signature has
them. These checks are here to be looked at, not to be relied on: for slopes that are measured with
care use `backprop_lib.gradcheck`, for certainty `backprop_lib.proof`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from backprop_lib.layer import Layer
from backprop_lib.proof import prove, slopes
from backprop_lib.proof.task import Task

Function = Callable[..., Any]
Axes = Mapping[str, str]
Check = Callable[[Function, Function, Axes], bool]

EQUAL_SIZE = 3
DIFFERENT_SIZES = (3, 2, 4, 5, 6)
STEP = 1e-5
DIRECTIONS = 5
SEED = 3


def shapes_fit(forward: Function, backward: Function, axes: Axes) -> bool:
    """Look whether every gradient has the shape of its input, all axes being of one size.

    It misses every wrong number. As all sizes are equal, it also misses a factor that is
    transposed, or on the wrong side of a product.
    """
    point = _Point.draw(forward, backward, axes, equal=True)
    claimed = point.claims()
    return claimed is not None and all(
        claimed[name].shape == point.arrays[name].shape for name in point.inputs
    )


def ones_upstream(forward: Function, backward: Function, axes: Axes) -> bool:
    """Measure slopes of the sum of y, that is, with an upstream gradient of ones.

    It misses a dy that was forgotten, or taken from the wrong entry. After a normalisation the
    true gradient of that sum is 0, so it misses everything that is 0 then: dx = 0, for one.
    """
    point = _Point.draw(forward, backward, axes)
    point.dy[...] = 1
    return point.agrees()


def weights_of_one(forward: Function, backward: Function, axes: Axes) -> bool:
    """Measure slopes where every weight W is 1, as a scale is when training starts.

    It misses a W that was forgotten, and one that is there too often.
    """
    point = _Point.draw(forward, backward, axes)
    if "W" in point.arrays:
        point.arrays["W"][...] = 1
    return point.agrees()


def positive_inputs(forward: Function, backward: Function, axes: Axes) -> bool:
    """Measure slopes where x is positive, as it is after a ReLU.

    It misses all that happens below 0.
    """
    point = _Point.draw(forward, backward, axes)
    if "x" in point.arrays:
        point.arrays["x"] = np.abs(point.arrays["x"])
    return point.agrees()


def random_equal_sizes(forward: Function, backward: Function, axes: Axes) -> bool:
    """Measure slopes at random numbers, all axes being of one size.

    It misses one size taken for another, as in a mean that is divided by the wrong count. It also
    misses what `random_numbers` misses.
    """
    return _Point.draw(forward, backward, axes, equal=True).agrees()


def random_numbers(forward: Function, backward: Function, axes: Axes) -> bool:
    """Measure slopes at random numbers, with a random dy, every axis being of a size of its own.

    It misses what is wrong only where two numbers are equal or a number is 0, for random ones
    hardly ever are. It does not notice a backward that writes into dy, and says nothing of other
    sizes.
    """
    return _Point.draw(forward, backward, axes).agrees()


def at_ties(forward: Function, backward: Function, axes: Axes) -> bool:
    """Compare with exact slopes where all inputs are 2 or 3, so that many are equal.

    There may be a kink, with one slope on each side of the point. The gradient must predict a
    change between the two in every direction, as a subgradient of a convex function does; dy is
    positive, so that a convex function stays one. (Of a function that is neither convex nor concave
    a fair convention may be refused.) It misses what happens at other numbers, such as below 0.
    """
    rng = np.random.default_rng(SEED)
    point = _Point.draw(forward, backward, axes)
    for name, array in point.arrays.items():
        if name not in point.labels:
            point.arrays[name] = rng.integers(2, 4, array.shape)
    return point.lies_between_slopes()


def at_zeros(forward: Function, backward: Function, axes: Axes) -> bool:
    """Compare with exact slopes where the first entry of each row is 0, all others different.

    As `at_ties`, it lets a prediction pass that lies between the slopes on both sides. It misses
    what is wrong only where entries other than 0 are equal.
    """
    rng = np.random.default_rng(SEED)
    point = _Point.draw(forward, backward, axes)
    for name, array in point.arrays.items():
        if name not in point.labels:
            signs = rng.choice([-1, 1], array.shape)
            different = 1 + rng.permutation(array.size).reshape(array.shape)
            point.arrays[name] = signs * different
            if array.ndim:
                point.arrays[name][..., 0] = 0
    return point.lies_between_slopes()


def is_proven(forward: Function, backward: Function, axes: Axes) -> bool:
    """Ask `backprop_lib.proof.prove`; a backward that writes into its arguments does not pass.

    It misses what is wrong only at ties and kinks, where there is no gradient: its verdict names
    them as conditions. And it holds backward against *this* forward: it misses a forward that
    computes something else than was wanted, and formulas that lose their digits in floats.
    """
    shapes: dict[str, Any] = {**axes}
    try:
        return bool(prove(forward, backward, **shapes))
    except RuntimeError:
        return False


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "shapes": shapes_fit,
        "dy = 1": ones_upstream,
        "W = 1": weights_of_one,
        "x > 0": positive_inputs,
        "equal": random_equal_sizes,
        "random": random_numbers,
        "ties": at_ties,
        "zeros": at_zeros,
        "prove": is_proven,
    }
)
"""All of them, by the short names that stand over the columns of a table."""


@dataclass
class _Point:
    """Numbers at which a layer is checked."""

    forward: Function
    backward: Function
    inputs: tuple[str, ...]
    """The arrays that have a gradient."""
    labels: frozenset[str]
    """The arrays that hold places along an axis."""
    arrays: dict[str, np.ndarray]
    dy: np.ndarray

    @classmethod
    def draw(
        cls, forward: Function, backward: Function, axes: Axes, equal: bool = False
    ) -> "_Point":
        """Draw all arrays from a normal distribution; of "*L" one axis is made."""
        tasks = Task.of_backward(Layer.of(forward, backward), axes, {}).spelled_out()
        task = tasks[len(tasks) // 2]
        sizes = (
            dict.fromkeys(task.axes, EQUAL_SIZE) if equal else task.different_sizes(DIFFERENT_SIZES)
        )
        rng = np.random.default_rng(SEED)
        arrays: dict[str, np.ndarray] = {
            name: rng.standard_normal(task.shape_of(name, sizes)) for name in task.shapes
        }
        for name in task.labels:
            arrays[name] = rng.integers(0, task.number_of_labels(name, sizes), arrays[name].shape)
        dy = rng.standard_normal(np.shape(forward(**arrays)[0]))
        return cls(forward, backward, task.judged, frozenset(task.labels), arrays, dy)

    def claims(self) -> dict[str, np.ndarray] | None:
        """Return what backward claims, or None if it cannot compute with these shapes."""
        arrays = {
            name: array if name in self.labels else array.astype(float)
            for name, array in self.arrays.items()
        }
        try:
            with np.errstate(all="ignore"):
                # a copy: what backward writes into dy must not change what it is compared with
                result = self.backward(self.dy.copy(), *self.forward(**arrays)[1])
        except (ValueError, IndexError):
            return None
        gradients = result if isinstance(result, tuple) else (result,)
        return dict(zip(self.inputs, map(np.asarray, gradients), strict=True))

    def agrees(self) -> bool:
        """Compare backward with measured slopes in every entry."""
        claimed = self.claims()
        if claimed is None:
            return False
        for name in self.inputs:
            value, claim = self.arrays[name], claimed[name]
            if claim.shape != value.shape:
                return False
            for index in np.ndindex(value.shape):
                step = np.zeros_like(value)
                step[index] = STEP
                up = self.forward(**{**self.arrays, name: value + step})[0]
                down = self.forward(**{**self.arrays, name: value - step})[0]
                slope = (self.dy * (up - down)).sum() / (2 * STEP)
                if not np.isclose(claim[index], slope, rtol=1e-4, atol=1e-6):
                    return False
        return True

    def lies_between_slopes(self) -> bool:
        """Say whether backward predicts a change between the exact slopes on both sides."""
        rng = np.random.default_rng(SEED)
        self.dy = rng.integers(1, 9, self.dy.shape).astype(float)
        claimed = self.claims()
        if claimed is None or any(
            claimed[name].shape != self.arrays[name].shape for name in self.inputs
        ):
            return False
        inputs = {name: self.arrays[name] for name in self.inputs}
        const = {name: array for name, array in self.arrays.items() if name not in inputs}
        for trial in range(DIRECTIONS):
            along = {
                name: rng.integers(-9, 10, value.shape) if trial else np.ones_like(value)
                for name, value in inputs.items()
            }
            dy = self.dy.astype(int)
            both = slopes(self.forward, along=along, dy=dy, const=const, **inputs)
            low, high = sorted(map(float, both))
            predicted = sum(float((claimed[name] * along[name]).sum()) for name in inputs)
            margin = 1e-6 * (1 + abs(low) + abs(high))
            if not low - margin <= predicted <= high + margin:
                return False
        return True
