"""Check claims at exact points, and find small inputs at which a claim is wrong.

Only such a point refutes: forward is defined there and has a gradient, and in one entry the
claimed number certainly is not the true one. Points where numbers that are compared are equal
count as well, if forward has a gradient there: its slopes to all sides are those of one.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from backprop_lib.proof.arithmetic import EXACTLY, WITH_DIGITS, Arithmetic
from backprop_lib.proof.budget import tick
from backprop_lib.proof.code import functions_of, numbers_in
from backprop_lib.proof.creators import making
from backprop_lib.proof.dual import (
    Met,
    Point,
    UndefinedError,
    creator,
    dot,
    duals,
    numbers,
    value_of,
)
from backprop_lib.proof.object_arrays import filled
from backprop_lib.proof.refusal import CodeError, NotFollowedError, followed
from backprop_lib.proof.report import Counterexample
from backprop_lib.proof.task import Task
from backprop_lib.shapes import ShapeError, format_shape, unchecked
from backprop_lib.steps import Trace

Sizes = Mapping[str, int]

LARGEST = 9
"""Entries of a first random point are whole numbers up to this."""
FAR = 1000
RANDOM = ("whole", "whole", "positive", "far")
SPECIAL = ("unit", *["special", "mixed"] * 4)
"""What the entries of one point after the other are drawn from, after those that are all equal."""
MOST_EQUAL = 8
"""So many numbers of the code are tried for all entries at once."""
MOST_SIZES = 100
MOST_CHOICES = 20_000
"""Of more choices of sizes, only some are looked at."""
MOST_ENTRIES = 64
DIRECTIONS = 3
"""Along so many random directions, slopes are compared with those of a gradient at a tie."""
SIMPLE = (0, 1, -1, 2, -2)
NEARBY = 16
"""So many points are tried beside one that refutes another gradient."""
MANY = 12
"""An array of more entries is first tried with zeros only."""
TINY = 1e-2
TINIEST = 1e-20
FRIENDLY = tuple(Fraction(n, 4) for n in (4, 8, 12, 3, 1, 5, 7))
"""With a variance of 0, 1/4 or 1, one of these makes the root of variance + eps rational."""
FAILURES = (CodeError, NotFollowedError, ArithmeticError, ValueError)
"""What may go wrong at sizes or numbers for which the code was not made."""
NUMPY_SHAPE_ERRORS = ("core dimension", "could not be broadcast", "cannot reshape", "axes don't")


class MisfitError(ValueError):
    """The claim has another shape than its input, or cannot be computed for these shapes."""


class EmptyError(ValueError):
    """At these sizes y has no entries, so that there is nothing to check."""


class Evaluated:
    """A task at one point: the claims, and the true slopes on demand."""

    def __init__(
        self,
        task: Task,
        inputs: Mapping[str, np.ndarray],
        dy: np.ndarray | None = None,
        of: Arithmetic = WITH_DIGITS,
    ):
        self.task = task
        self.of = of
        self.labels = {name: inputs[name].astype(int) for name in task.labels}
        exact = {name: array for name, array in inputs.items() if name not in self.labels}
        self.point = Point(task.layer, exact, {**task.const, **self.labels}, of, may_round=True)
        if not self.point.y.size:
            raise EmptyError("y has no entries")
        self.met = self.point.met
        ones = np.full(self.point.shape, of.number(1))
        self.dy = ones if dy is None else numbers(dy, of)
        self._instead: dict[str, np.ndarray] = {}
        """The gradients of steps that are claimed wrong."""

    def arguments(self, made: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
        """Return the arrays that forward takes, in its order: numbers made over, and labels."""
        return {
            name: self.labels[name] if name in self.labels else made(self.point.inputs[name])
            for name in self.task.shapes
        }

    @cached_property
    def claims(self) -> dict[str, Any]:
        """The claimed gradients, as they come."""
        self._trace.true = lambda name: duals(self.gradient(name), None, self.met)
        return self._run_backward()

    @property
    def _trace(self) -> Trace:
        return self.point.trace

    def _run_backward(self) -> dict[str, Any]:
        """Return the claimed gradients; those of the steps are in the trace."""
        self._trace.instead = {
            name: duals(gradient, None, self.met) for name, gradient in self._instead.items()
        }
        upstream = duals(self.dy, None, self.met)
        given = self.arguments(lambda array: duals(array, None, self.met))
        try:
            with unchecked(), making(creator(self.met)), self._trace.of_backward():
                claimed = followed(
                    self.task.claimant,
                    self.met,
                    lambda: self.task.claims(upstream, given, self.point.cache),
                )
        except ValueError as error:
            if is_misfit(error):
                raise MisfitError(str(error)) from error
            raise
        return dict(claimed)

    def claimed(self, name: str) -> np.ndarray:
        """Return a claimed gradient as exact numbers.

        That of a step is what its own line makes of the true gradients of the steps before it.

        Raises
        ------
        MisfitError
            If its shape is not that of its input, or its step.
        UndefinedError
            If it has no value here.
        """
        claims = self.claims
        if name in claims:
            return self._exact(name, claims[name])
        rng = np.random.default_rng(0)
        judged: set[str] = set()
        while name in self._trace.claims:
            before = next((one for one in self._trace.claims if one not in judged), name)
            if before == name:
                return self._exact(name, self._trace.claims[name])
            judged.add(before)
            is_known = before in self._instead or before in self.task.proven
            if not is_known and self._is_wrong_line(before, rng):
                self._instead[before] = self.gradient(before)
                self._run_backward()
        raise UndefinedError(f"backward names no d{name} here")

    def _is_wrong_line(self, name: str, rng: np.random.Generator) -> bool:
        if self._trace.claims[name] is ...:
            return False
        try:
            claim = self._exact(name, self._trace.claims[name])
        except MisfitError:
            return True
        differs = self.differs_along(name, claim, self._direction(claim.shape, rng))
        if differs is None:
            raise UndefinedError(f"it cannot be told whether d{name} is right here")
        return bool(differs)

    def _exact(self, name: str, claim: Any) -> np.ndarray:
        array, shape = np.asarray(claim), self.point.shape_of(name)
        if array.shape != shape:
            raise MisfitError(
                f"d{name} is {format_shape(array.shape)}, {name} is {format_shape(shape)}"
            )
        return filled(shape, (value_of(entry, self.of) for entry in array.flat))

    def slope(self, name: str, index: tuple[int, ...]) -> Any:
        """Return the true gradient's entry.

        Raises
        ------
        UndefinedError
            If there is none.
        """
        direction = np.full(self.point.shape_of(name), self.of.zero)
        direction[index] = self.of.number(1)
        return self.slope_along(name, direction)

    def slope_along(self, name: str, direction: np.ndarray) -> Any:
        """Return the slope along a direction, if there is one.

        Raises
        ------
        UndefinedError
            If an entry of y on which the loss depends has another slope to the other side, or if
            that cannot be told.
        """
        tick()
        met = Met(self.of, may_round=True)
        slopes = self.point.slopes({name: direction}, met)
        if met.tie:
            back = self.point.slopes({name: np.asarray(-direction)}, met)
            for slope, other, up in zip(slopes.flat, back.flat, self.dy.flat, strict=True):
                minus = self.of.times(self.of.number(-1), other)
                if met.touches or (up != 0 and self.sign(slope, minus) != 0):
                    raise UndefinedError("forward has no gradient here")
        self.met.rounded = self.met.rounded or met.rounded
        self.met.close = max(self.met.close, met.close)
        self.met.compares = self.met.compares or met.compares
        self.met.tie = self.met.tie or met.tie
        return dot(slopes, self.dy, self.of)

    def sign(self, a: Any, b: Any) -> int | None:
        """Return the sign of a - b, 0 if no digit of it is found; rounded constants are no reason.

        It is None if it has no value.
        """
        difference = self.of.plus(a, self.of.times(self.of.number(-1), b))
        sign = self.of.sign(difference, a, b)
        if sign is None and abs(float(difference)) < TINIEST:
            return 0
        if sign and self.met.rounded:
            scale = 1 + abs(float(a)) + abs(float(b))
            return sign if abs(float(difference)) > float(self.met.close) * scale else 0
        return sign

    def differs_along(self, name: str, claimed: np.ndarray, direction: np.ndarray) -> int | None:
        """Return the sign of claimed minus true slope in a direction.

        It is 0 if no digit of the difference is found, and None if it has no value.

        Raises
        ------
        UndefinedError
            If forward has no slope there.
        """
        moves = numbers(np.reshape(direction, claimed.shape), self.of)
        slope = self.slope_along(name, moves)
        return self.sign(dot(claimed, moves, self.of), slope)

    def wrong_entry(
        self, name: str, claimed: np.ndarray, rng: np.random.Generator
    ) -> tuple[int, ...] | None:
        """Return an entry in which a claim certainly is wrong, or None if it is right.

        Raises
        ------
        UndefinedError
            If forward has no gradient here, or it cannot be told whether it is the claim.
        """
        if self.differs_along(name, claimed, self._direction(claimed.shape, rng)) == 0:
            return None
        found = None
        true = np.empty(claimed.shape, dtype=object)
        for index in np.ndindex(claimed.shape):
            true[index] = self.slope(name, index)
            if found is None and self.sign(claimed[index], true[index]):
                found = index
                if not self.met.tie:
                    return found
        for _ in range(DIRECTIONS):  # at a tie, slopes along the axes do not make a gradient
            if self.differs_along(name, true, self._direction(claimed.shape, rng)) != 0:
                raise UndefinedError("forward has no gradient here")
        if found is None:
            raise UndefinedError("the two gradients cannot be told apart")
        return found

    @staticmethod
    def _direction(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return np.asarray(rng.choice([-1, 1], shape) * rng.integers(1, 99, shape))

    def counterexample(
        self, sizes: Sizes, name: str, entry: tuple[int, ...]
    ) -> Counterexample | None:
        """Return this point as a counterexample to the claim of one gradient, if it is one.

        Whatever arithmetic was used to find it, it is confirmed with exact numbers.
        """
        const = self.task.const
        if self.of is WITH_DIGITS:
            here = {**self.point.inputs, **self.labels}
            exactly = Evaluated(self.task, here, self.dy, EXACTLY)
            return exactly.counterexample(sizes, name, entry)
        try:
            claimed, true = self.claimed(name), self.gradient(name)
        except (UndefinedError, ZeroDivisionError):
            return None
        if not self.sign(claimed[entry], true[entry]):
            return None
        return Counterexample(
            dict(sizes),
            {**self.arguments(np.copy), self.task.upstream: self.dy},
            entry,
            true,
            claimed,
            {
                key: value
                for key, value in const.items()
                if isinstance(value, float | Fraction) or key not in self.task.named
            },
            self.met.tie,
        )

    def gradient(self, name: str) -> np.ndarray:
        """Return the true gradient."""
        result = np.empty(self.point.shape_of(name), dtype=object)
        for index in np.ndindex(result.shape):
            result[index] = self.slope(name, index)
        return result


def is_misfit(error: Exception) -> bool:
    """Say whether an error is one of shapes."""
    return isinstance(error, ShapeError) or (
        isinstance(error, ValueError) and any(sign in str(error) for sign in NUMPY_SHAPE_ERRORS)
    )


def random_numbers(
    kind: str, shape: tuple[int, ...], rng: np.random.Generator, special: list[Fraction], trial: int
) -> np.ndarray:
    """Draw numbers of one kind: ever larger ones, so that they are all different."""
    largest = LARGEST * (1 + trial if kind != "far" else FAR)
    if kind not in (*RANDOM, *SPECIAL):
        drawn_numbers = [Fraction(kind)] * int(np.prod(shape))
    elif kind == "unit":  # where a probability is asked for
        drawn_numbers = [Fraction(int(n), 64) for n in rng.integers(1, 64, shape).flat]
    elif kind in ("special", "mixed"):
        whole = [Fraction(int(n)) for n in rng.integers(-largest, largest + 1, shape).flat]
        chosen = [special[i] for i in rng.integers(len(special), size=shape).flat]
        keep = rng.integers(2, size=shape).flat if kind == "mixed" else [True] * len(chosen)
        drawn_numbers = [a if k else b for k, a, b in zip(keep, chosen, whole, strict=True)]
    else:
        smallest = 1 if kind == "positive" else -largest
        drawn_numbers = [Fraction(int(n)) for n in rng.integers(smallest, largest + 1, shape).flat]
    return filled(shape, drawn_numbers)


def special_numbers(task: Task) -> list[Fraction]:
    """Return numbers at which something special may happen: 0 and 1, those in the code, and near.

    The first half are the numbers themselves, so that they occur often, and together.
    """
    constants = [
        Fraction(repr(float(value)))
        for value in task.const.values()
        if isinstance(value, int | float) and np.isfinite(value)
    ]
    at = list(
        dict.fromkeys(
            [Fraction(0), Fraction(1), *constants, *numbers_in(functions_of(*task.functions))]
        )
    )
    beside = [n + d for n in at for d in (Fraction(-1, 2), Fraction(1, 2))]
    return [*at * (1 + len(beside) // len(at)), *beside, Fraction(-1)]


def random_labels(task: Task, sizes: Sizes, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw labels from all that there are."""
    return {
        name: rng.integers(task.number_of_labels(name, sizes), size=task.shape_of(name, sizes))
        for name in task.labels
    }


def evaluated(task: Task, sizes: Sizes, rng: np.random.Generator) -> Iterator[Evaluated]:
    """Yield points, random ones first; forward may have no gradient there, or not be defined."""
    special = special_numbers(task)
    other = np.random.default_rng(sum(sizes.values()))
    kinds = (*RANDOM, *dict.fromkeys(map(str, special[:MOST_EQUAL])), *SPECIAL)
    often = (*RANDOM, "unit")
    for trial, kind in enumerate(kinds):
        tick()
        drawing = rng if kind in RANDOM else other
        labels = random_labels(task, sizes, drawing)
        inputs = {
            name: labels[name]
            if name in labels
            else random_numbers(
                "special" if trial and kind in often and name in task.constant else kind,
                task.shape_of(name, sizes),
                drawing,
                special,
                trial,
            )
            for name in task.shapes
        }
        try:
            case = Evaluated(task, inputs)
        except (UndefinedError, ZeroDivisionError):
            continue
        shape = case.point.shape
        largest = LARGEST * (1 + trial if kind != "far" else FAR)
        upstream = drawing.integers(1, largest + 1, shape) * drawing.choice([-1, 1], shape)
        case.dy = numbers(np.asarray(upstream), case.of)
        yield case


def smallest_counterexample(
    task: Task, name: str, candidates: Iterable[Sizes], rng: np.random.Generator
) -> Counterexample | None:
    """Search sizes in the given order for a point at which one gradient is wrong, and simplify it.

    The code need not work at all sizes: those at which it fails are passed over.
    """
    for sizes in candidates:
        try:
            for case in evaluated(task, sizes, rng):
                entry = _wrong_entry(case, name, np.random.default_rng(0))
                if entry is not None:
                    found = simplest(task, sizes, case, name, entry)
                    if found is not None:
                        return found
        except FAILURES:
            continue
    return None


def counterexample_near(
    task: Task, point: Counterexample, name: str, rng: np.random.Generator
) -> Counterexample | None:
    """Search beside a point that refutes one gradient for one that refutes another.

    It has so many zeros that the other need not depend on the first: they are replaced.
    """
    task = replace(task, const={**task.const, **point.const})
    arrays = {n: point.inputs[n] for n in task.shapes} | {"": point.inputs[task.upstream]}
    for trial in range(NEARBY):
        tick()
        here = {
            n: _without_zeros(a, rng) if trial and n not in task.labels else a
            for n, a in arrays.items()
        }
        try:
            case = _case(task, here)
            entry = _wrong_entry(case, name, np.random.default_rng(0))
            if entry is not None:
                return case.counterexample(point.sizes, name, entry)
        except FAILURES:
            continue
    return None


def _without_zeros(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace some zeros by other small numbers."""
    small = rng.choice([0, 0, 1, -1, 2], array.shape)
    pairs = zip(array.flat, small.flat, strict=True)
    return filled(array.shape, (Fraction(int(new)) if old == 0 else old for old, new in pairs))


def small_sizes(task: Task, largest: Sizes | None = None) -> Iterator[dict[str, int]]:
    """Yield sizes, small shapes first: up to 3 for every axis, or up to the ones given."""
    limits = {axis: 3 if largest is None else largest[axis] for axis in task.axes}
    choices: Iterable[tuple[int, ...]]
    if math.prod(limits.values()) <= MOST_CHOICES:
        choices = product(*(range(1, limit + 1) for limit in limits.values()))
    else:  # at most two of them are not as small as the others
        choices = {
            tuple(
                min(limit, dict(others).get(place, usual))
                for place, limit in enumerate(limits.values())
            )
            for usual in (1, 2)
            for others in product(product(range(len(limits)), (1, 2, 3)), repeat=2)
        }
    ordered = sorted(choices, key=lambda choice: (np.prod(choice), choice))
    for choice in ordered[:MOST_SIZES]:
        sizes = dict(zip(limits, choice, strict=True))
        shapes = [task.shape_of(name, sizes) for name in task.shapes]
        if sum(int(np.prod(shape)) for shape in shapes) <= MOST_ENTRIES:
            yield sizes


def _wrong_entry(case: Evaluated, name: str, rng: np.random.Generator) -> tuple[int, ...] | None:
    try:
        return case.wrong_entry(name, case.claimed(name), rng)
    except (UndefinedError, ZeroDivisionError):
        return None


def _is_wrong(
    task: Task, arrays: Mapping[str, np.ndarray], name: str, index: tuple[int, ...]
) -> bool:
    """Say whether one entry certainly is wrong at a point at which forward has a gradient."""
    try:
        case = _case(task, arrays)
        claimed = case.claimed(name)
        true = case.slope(name, index)
        if not case.sign(claimed[index], true):
            return False
        if case.met.tie:
            return case.wrong_entry(name, claimed, np.random.default_rng(0)) is not None
    except FAILURES:
        return False
    return True


def simplest(
    task: Task, sizes: Sizes, case: Evaluated, name: str, entry: tuple[int, ...]
) -> Counterexample | None:
    """Replace numbers by simpler ones, as long as the claim stays wrong: whole arrays first.

    Until here numbers had many digits, but were not exact. Now the claim is judged once more with
    exact numbers; None is returned if it is not wrong there.
    """
    arrays = {**case.arguments(np.copy), "": case.dy}  # no input is called ""

    def tried(array: np.ndarray, at: Any, value: Any) -> bool:
        old = array[at].copy() if isinstance(array[at], np.ndarray) else array[at]
        array[at] = value
        if _is_wrong(task, arrays, name, entry):
            return True
        array[at] = old
        return False

    for argument, array in arrays.items():
        if array.size > MANY:
            zero: Any = 0 if argument in task.labels else Fraction(0)
            tried(array, ..., zero)
    for _ in range(2):
        for argument, array in arrays.items():
            number = task.number_of_labels(argument, sizes) if argument in task.labels else None
            for index in np.ndindex(array.shape):
                for simple in SIMPLE if number is None else range(number):
                    if array[index] == simple:
                        break
                    value = simple if argument in task.labels else Fraction(simple)
                    if tried(array, index, value):
                        break
    task = _with_friendly_constants(task, arrays, name, entry)
    return _case(task, arrays).counterexample(sizes, name, entry)


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
                shown = [*case.gradient(name).flat, *case.claimed(name).flat]
                if all(isinstance(number, Fraction) for number in shown):
                    task = other
                    break
    return task


def _case(task: Task, arrays: Mapping[str, np.ndarray]) -> Evaluated:
    inputs = {name: array.copy() for name, array in arrays.items() if name}
    return Evaluated(task, inputs, arrays[""].copy())
