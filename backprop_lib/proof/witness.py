"""Check claims at exact points, and find small inputs at which a claim is wrong.

Only such a point refutes: forward is defined there and has a gradient, and in one entry the
claimed number certainly is not the true one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from backprop_lib.proof.dual import ZERO, Met, Point, UndefinedError, duals, exact_array, value_of
from backprop_lib.proof.refusal import CodeError, NotFollowedError, followed
from backprop_lib.proof.report import Counterexample
from backprop_lib.proof.scalar import DIGITS, filled, number_sign
from backprop_lib.proof.task import Task
from backprop_lib.shapes import ShapeError, unchecked, written

Sizes = Mapping[str, int]

LARGEST = 9
"""Entries of a first random point are whole numbers up to this."""
TRIALS = 12
SEARCHED = 4
FAR = 1000
MOST_SIZES = 100
MOST_ENTRIES = 64
SIMPLE = (0, 1, -1, 2, -2)
TINY = 1e-2
TINIEST = 1e-20
FRIENDLY = tuple(Fraction(n, 4) for n in (4, 8, 12, 3, 1, 5, 7))
"""With a variance of 0, 1/4 or 1, one of these makes the root of variance + eps rational."""
FAILURES = (CodeError, NotFollowedError, ArithmeticError, ValueError)
"""What may go wrong at sizes or numbers for which the code was not made."""
NUMPY_SHAPE_ERRORS = ("core dimension", "could not be broadcast", "cannot reshape", "axes don't")


class MisfitError(ValueError):
    """The claim has not the shape of the input, or cannot be computed for its shapes."""


class Evaluated:
    """A task at one point: the claims, and the true slopes on demand."""

    def __init__(self, task: Task, inputs: Mapping[str, np.ndarray], dy: np.ndarray | None = None):
        self.task = task
        self.labels = {name: inputs[name].astype(int) for name in task.labels}
        exact = {name: array for name, array in inputs.items() if name not in self.labels}
        self.point = Point(task.layer.forward, exact, {**task.const, **self.labels})
        self.met = Met()
        self.dy = dy if dy is not None else np.full(self.point.shape, sp.Integer(1))

    def arguments(self, made: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
        """Return the arrays that forward takes, in its order: numbers made over, and labels."""
        return {
            name: self.labels[name] if name in self.labels else made(self.point.inputs[name])
            for name in self.task.shapes
        }

    def claims(self) -> dict[str, Any]:
        """Return the claimed gradients, as they come."""
        y, cache = self.point.run(self.met, {})
        if not self.point.repeats(y):
            raise RuntimeError(
                "forward computes something else each time it is run; pass its random numbers in"
            )
        upstream = duals(self.dy, None, self.met)
        given = self.arguments(lambda array: duals(array, None, self.met))
        try:
            with unchecked():
                claimed = followed(
                    self.task.claimant,
                    self.met,
                    lambda: self.task.claims(upstream, given, cache),
                )
        except ValueError as error:
            signs = NUMPY_SHAPE_ERRORS
            if isinstance(error, ShapeError) or any(sign in str(error) for sign in signs):
                raise MisfitError(str(error)) from error
            raise
        return dict(claimed)

    def claim(self, name: str, claims: Mapping[str, Any]) -> np.ndarray:
        """Return one claimed gradient as exact numbers.

        Raises
        ------
        MisfitError
            If it has not the shape of its input.
        """
        array, shape = np.asarray(claims[name]), self.point.inputs[name].shape
        if array.shape != shape:
            raise MisfitError(f"d{name} is {written(array.shape)}, {name} is {written(shape)}")
        return filled(shape, map(value_of, array.flat))

    def slope(self, name: str, index: tuple[int, ...]) -> sp.Expr:
        """Return the true gradient's entry."""
        direction = np.full(self.point.inputs[name].shape, ZERO)
        direction[index] = sp.Integer(1)
        return self.point.slope({name: direction}, self.dy, self.met)

    def differs_along(self, name: str, claimed: np.ndarray, direction: np.ndarray) -> int | None:
        """Return the sign of claimed minus true slope in a direction.

        It is 0 if no digit of the difference is found, and None if it has no value.
        """
        moves = exact_array(np.reshape(direction, claimed.shape))
        slope = self.point.slope({name: moves}, self.dy, self.met)
        products = [a * b for a, b in zip(claimed.flat, moves.flat, strict=True)]
        difference = sp.Add(*products) - slope
        sign = number_sign(difference)
        return 0 if sign is None and abs(difference.evalf(DIGITS)) < TINIEST else sign

    def gradient(self, name: str) -> np.ndarray:
        """Return the true gradient."""
        result = np.empty(self.point.inputs[name].shape, dtype=object)
        for index in np.ndindex(result.shape):
            result[index] = self.slope(name, index)
        return result


def random_inputs(
    task: Task, sizes: Sizes, rng: np.random.Generator, smallest: int, largest: int
) -> dict[str, np.ndarray]:
    """Draw whole numbers for every input, down to `smallest`, and labels from all there are."""
    labels = random_labels(task, sizes, rng)
    return {
        name: labels[name]
        if name in labels
        else exact_array(rng.integers(smallest, largest + 1, task.shape_of(name, sizes)))
        for name in task.shapes
    }


def random_labels(task: Task, sizes: Sizes, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw labels from all that there are."""
    return {
        name: rng.integers(task.number_of_labels(name, sizes), size=task.shape_of(name, sizes))
        for name in task.labels
    }


def evaluated(
    task: Task, sizes: Sizes, rng: np.random.Generator, trials: int = TRIALS
) -> Iterator[Evaluated]:
    """Yield random points; some of them may turn out to be ties, or not to be defined.

    Every third one has positive numbers only, for functions that are not defined for others; later
    ones are drawn from ever more numbers, so that they are all different; and every fourth one is
    far away, for branches that are not taken near 0.
    """
    for trial in range(trials):
        largest = LARGEST * (1 + trial if trial % 4 < 3 else FAR)
        smallest = 1 if trial % 3 == 2 else -largest
        try:
            case = Evaluated(task, random_inputs(task, sizes, rng, smallest, largest))
        except (UndefinedError, ZeroDivisionError):
            continue
        shape = case.point.shape
        case.dy = exact_array(rng.integers(1, largest + 1, shape) * rng.choice([-1, 1], shape))
        yield case


def smallest_counterexample(
    task: Task, name: str, candidates: Iterable[Sizes], rng: np.random.Generator
) -> Counterexample | None:
    """Search sizes in the given order for a point at which one gradient is wrong, and simplify it.

    The code need not work at all sizes: those at which it fails are passed over.
    """
    for sizes in candidates:
        try:
            for case in evaluated(task, sizes, rng, SEARCHED):
                entry = _wrong_entry(case, name)
                if entry is not None:
                    return _simplest(task, sizes, case, name, entry)
        except FAILURES:
            continue
    return None


def small_sizes(task: Task, largest: Sizes | None = None) -> Iterator[dict[str, int]]:
    """Yield sizes, small shapes first: up to 3 for every axis, or up to the ones given."""
    limits = {axis: 3 if largest is None else largest[axis] for axis in task.axes}
    choices = product(*(range(1, limit + 1) for limit in limits.values()))
    ordered = sorted(choices, key=lambda choice: (np.prod(choice), choice))
    for choice in ordered[:MOST_SIZES]:
        sizes = dict(zip(limits, choice, strict=True))
        shapes = [task.shape_of(name, sizes) for name in task.shapes]
        if sum(int(np.prod(shape)) for shape in shapes) <= MOST_ENTRIES:
            yield sizes


def _wrong_entry(case: Evaluated, name: str) -> tuple[int, ...] | None:
    """Return an entry in which the claim certainly is wrong, or None.

    Raises
    ------
    MisfitError
        If the claim has not the shape of the input, as it has at no other point of these sizes.
    """
    try:
        claimed = case.claim(name, case.claims())
        if case.differs_along(name, claimed, np.arange(1, claimed.size + 1)) == 0:
            return None
        for index in np.ndindex(claimed.shape):
            if number_sign(claimed[index] - case.slope(name, index)):
                return None if case.met.tie else index
    except (UndefinedError, ZeroDivisionError):
        pass
    return None


def _is_wrong(
    task: Task, arrays: Mapping[str, np.ndarray], name: str, index: tuple[int, ...]
) -> bool:
    try:
        case = _case(task, arrays)
        claimed = case.claim(name, case.claims())[index]
        difference = claimed - case.slope(name, index)
        return bool(number_sign(difference)) and not case.met.tie
    except FAILURES:
        return False


def _simplest(
    task: Task, sizes: Sizes, case: Evaluated, name: str, entry: tuple[int, ...]
) -> Counterexample:
    """Replace numbers by simpler ones, as long as the claim stays wrong."""
    arrays = {**case.arguments(np.copy), "": case.dy}  # no input is called ""
    for _ in range(2):
        for argument, array in arrays.items():
            number = task.number_of_labels(argument, sizes) if argument in task.labels else None
            for index in np.ndindex(array.shape):
                for simple in SIMPLE if number is None else range(number):
                    old = array[index]
                    if old == simple:
                        break
                    array[index] = simple if argument in task.labels else sp.Integer(simple)
                    if _is_wrong(task, arrays, name, entry):
                        break
                    array[index] = old
    task = _with_friendly_constants(task, arrays, name, entry)
    best = _case(task, arrays)
    return Counterexample(
        dict(sizes),
        {**best.arguments(np.copy), task.upstream: best.dy},
        entry,
        best.gradient(name),
        best.claim(name, best.claims()),
        {key: value for key, value in task.const.items() if isinstance(value, float | Fraction)},
    )


def _with_friendly_constants(
    task: Task, arrays: Mapping[str, np.ndarray], name: str, entry: tuple[int, ...]
) -> Task:
    """Replace a tiny constant, such as eps, by one with which all roots are rational."""
    for key, value in task.const.items():
        if not (isinstance(value, float) and 0 < value < TINY):
            continue
        for friendly in FRIENDLY:
            other = replace(task, const={**task.const, key: friendly})
            if _is_wrong(other, arrays, name, entry):
                case = _case(other, arrays)
                numbers = [*case.gradient(name).flat, *case.claim(name, case.claims()).flat]
                if all(number.is_Rational for number in numbers):
                    task = other
                    break
    return task


def _case(task: Task, arrays: Mapping[str, np.ndarray]) -> Evaluated:
    inputs = {name: array.copy() for name, array in arrays.items() if name}
    return Evaluated(task, inputs, arrays[""].copy())
