"""The code on floats: how it runs, what it keeps from run to run, and slopes measured on it.

That is the cheapest of the engines, and the only one that runs the code as its users do. It finds
nearly every wrong gradient, and proves none.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np

from backprop_lib.gradcheck import STEP, Comparison, compare_along_direction
from backprop_lib.models import get, put, text
from backprop_lib.proof.budget import tick
from backprop_lib.proof.code import functions_of, kept, state_of, where_it_looks
from backprop_lib.proof.evidence import Answer
from backprop_lib.proof.lines import Line
from backprop_lib.proof.task import Task
from backprop_lib.proof.witness import FAILURES, is_misfit, random_labels
from backprop_lib.shapes import format_shape, unchecked
from backprop_lib.steps import Nobody, Trace, Watch

NOT_THERE = (*FAILURES, IndexError, AssertionError, KeyError)
"""What code may raise at sizes for which it is not made."""
TRIED_ENTRIES = 8
DIFFERS = (0, 0, 1, 0, 0, 2, 0, 0)
"""Which kinds of floats are drawn to see whether a claim is wrong at some sizes."""
NOISE = 1e-10
"""A slope so small beside y may be one of rounding."""
COARSE_STEP = 2.0**-5
COARSE = 0.05
"""A slope that is measured with float32, and how far from it a claim may be."""
WRITES_INTO_NAMED = (
    "the code writes into an array after it has named it with step, or into what step has "
    "returned, so it computes something else if that is a copy (name an array when it is finished)"
)
OTHER_STATES = (float("nan"), 0.0, -1e9, 1e9)
"""What is put in the place of averages that an object goes on with, to see what depends on them."""

Watcher = TypeVar("Watcher", bound=Watch)


class OpenError(Exception):
    """Backward computes with `...`, which stands for what its writer is yet to answer."""


@dataclass(frozen=True)
class Run(Generic[Watcher]):
    """One run of forward: from what, what came of it, and who has watched its steps."""

    inputs: Mapping[str, np.ndarray]
    y: np.ndarray
    cache: Any
    watch: Watcher


@dataclass
class Measured:
    """What was found at one point."""

    answers: dict[str, Answer] = field(default_factory=dict)
    misfits: dict[str, str] = field(default_factory=dict)
    """The claims of another shape than that of what they are the gradient of."""
    are_open: set[str] = field(default_factory=set)
    """The claims that are left open."""
    failed: str = ""
    """How backward fails because shapes do not fit."""


@dataclass(frozen=True)
class Floats:
    """A task on floats."""

    task: Task

    def random(
        self, sizes: Mapping[str, int], rng: np.random.Generator, trial: int
    ) -> dict[str, np.ndarray]:
        """Draw floats of either sign, positive ones, and some between 0 and 1, in turn."""
        labels = random_labels(self.task, sizes, rng)
        inputs: dict[str, np.ndarray] = {}
        for name in self.task.shapes:
            shape = self.task.shape_of(name, sizes)
            normal = rng.normal(size=shape)
            kinds = (normal, np.abs(normal) + 1, rng.uniform(0.05, 0.95, size=shape))
            inputs[name] = labels.get(name, np.asarray(kinds[trial % 3]))
        return inputs

    def forward(
        self,
        inputs: Mapping[str, np.ndarray],
        *,
        const: Mapping[str, Any] | None = None,
        shifts: Mapping[str, np.ndarray] | None = None,
    ) -> Run[Trace]:
        """Run forward; steps may be shifted, and constants have other values than the task's."""
        return self._watched(self._trace(shifts), inputs, const=const)

    def _trace(self, shifts: Mapping[str, np.ndarray] | None = None) -> Trace:
        return Trace([*self.task.shapes, *self.task.const], shifts)

    def _watched(
        self,
        watch: Watcher,
        inputs: Mapping[str, np.ndarray],
        *,
        const: Mapping[str, Any] | None = None,
        again: Any = None,
    ) -> Run[Watcher]:
        with unchecked(), np.errstate(all="ignore"), watch.of_forward():
            copies = {name: array.copy() for name, array in inputs.items()}
            known = {**self.task.const, **(const or {})}
            if again is not None:  # what it counts goes on
                known = {n: v for n, v in known.items() if n not in self.task.layer.numbers}
            y, cache = self.task.layer.run_forward({**copies, **known}, again)
        return Run(inputs, y, cache, watch)

    def forward_at(
        self, sizes: Mapping[str, int], const: Mapping[str, Any] | None = None
    ) -> Run[Trace]:
        """Run forward at a random point."""
        return self.forward(self.random(sizes, np.random.default_rng(1), 1), const=const)

    def runs_at(self, sizes: Mapping[str, int], const: Mapping[str, Any] | None = None) -> bool:
        """Say whether forward returns entries at these sizes, if it does not raise an error."""
        return bool(self.forward_at(sizes, const).y.size)

    def claims(self, run: Run[Any], dy: np.ndarray) -> Mapping[str, Any]:
        """Run backward behind a run of forward.

        Raises
        ------
        OpenError
            If it is not finished.
        """
        given = {name: array.copy() for name, array in run.inputs.items()}
        with unchecked(), np.errstate(all="ignore"), run.watch.of_backward():
            try:
                return self.task.claims(dy.copy(), given, run.cache)
            except TypeError as error:
                if "ellipsis" in str(error):
                    raise OpenError from error
                raise

    # What the code does besides.

    def check_alone(self, run: Run[Trace], dy: np.ndarray, claims: Mapping[str, Any]) -> None:
        """Check that the code computes the same where nobody watches its steps.

        Raises
        ------
        RuntimeError
            If it does not.
        """
        alone = self._watched(Nobody(), run.inputs)
        plain = self.claims(alone, dy)
        pairs = [(run.y, alone.y), *((claims[name], plain[name]) for name in claims)]
        if not all(_are_equal(one, other) for one, other in pairs):
            raise RuntimeError(WRITES_INTO_NAMED)

    def what_it_keeps(self, sizes: Mapping[str, int]) -> str:
        """Say if the code changes what it keeps each time it is called, with the same numbers."""
        functions = functions_of(*self.task.functions)
        inputs = self.random(sizes, np.random.default_rng(2), 1)
        states = []
        for _ in range(2):
            run = self.forward(inputs)
            try:
                self.claims(run, np.ones_like(run.y, dtype=float))
            except (ValueError, ArithmeticError):
                return ""
            states.append(kept(functions, *self.task.functions))
        if states[0] == states[1]:
            return self._how_the_object_changes(inputs)
        return (
            "the code changes something that it keeps from one call to the next (a counter, a "
            "source of random numbers, an iterator), so it may answer otherwise at a later call"
        )

    def _how_the_object_changes(self, inputs: Mapping[str, np.ndarray]) -> str:
        """Say if an object answers otherwise when it runs once more, or may do so later.

        What it keeps and only overwrites does no harm; nor do averages that it goes on with, if
        nothing else depends on them.
        """
        if self.task.layer.model is None:
            return ""
        run = self.forward(inputs)
        dy = np.random.default_rng(3).normal(size=run.y.shape)
        first = [run.y, *self.claims(run, dy).values()]
        model = run.cache.object
        before = state_of(model)

        def runs_the_same() -> bool:
            again = self._watched(self._trace(), inputs, again=run.cache)
            results = [again.y, *self.claims(again, dy).values()]
            return all(map(_are_equal, first, results))

        same = runs_the_same()
        after = state_of(model)
        changed = [place for place in {**before, **after} if before.get(place) != after.get(place)]
        why = (
            f"{self.task.layer.model.name} changes {', '.join(map(text, changed)) or 'something'} "
            "each time it runs, so it may answer otherwise at a later call"
        )
        if not same:
            return why
        for place in changed:
            value = get(model, place) if place in after else None
            for other in OTHER_STATES:
                replaced = _replaced(value, other)
                if replaced is None:
                    return why
                put(model, place, replaced)
                if not runs_the_same():
                    return why
        return ""

    # Slopes.

    def measured(self, inputs: Mapping[str, np.ndarray], rng: np.random.Generator) -> Measured:
        """Compare each claim with a slope; that of a step where those above it are right."""
        found = Measured()
        run = self.forward(inputs)
        y, trace = run.y, run.watch
        if not y.size or y.dtype.kind not in "fiu" or not np.isfinite(y).all():
            return found  # not defined here
        dy = rng.normal(size=y.shape)
        try:
            claims = self.claims(run, dy)
        except ValueError as error:
            if not is_misfit(error):
                raise
            found.failed = str(error)
            return found

        def compare(name: str, claim: Any, x: np.ndarray) -> None:
            claimed = np.asarray(claim)
            if claim is ...:
                found.are_open.add(name)
            elif claimed.shape != x.shape:
                wrong, right = format_shape(claimed.shape), format_shape(x.shape)
                found.misfits[name] = f"d{name} is {wrong}, {name} is {right}"
            elif claimed.dtype.kind in "fiu":
                found.answers[name] = self._along(name, x, run, dy, claimed, rng)

        for name in self.task.judged:
            compare(name, claims[name], inputs[name])
        trace.true = partial(self._slopes, inputs=inputs, dy=dy)
        for name in [one for one in trace.claims if one in self.task.lines]:
            if name in trace.claims:
                compare(name, trace.claims[name], np.zeros(trace.values[name].shape))
            if name not in trace.claims or found.answers.get(name) is not Answer.RIGHT:
                with suppress(*NOT_THERE):  # what follows is judged with the true gradient
                    slopes = self._slopes(name, inputs, dy)
                    trace.instead = {**trace.instead, name: slopes}
                    self.claims(run, dy)
                    continue
                break
        return found

    def measured_here(
        self, name: str, run: Run[Trace], dy: np.ndarray, rng: np.random.Generator
    ) -> Answer:
        """Compare one claim, as it comes, with a slope."""
        claims = {**self.claims(run, dy), **run.watch.claims}
        claimed = np.asarray(claims[name])
        is_input = name in run.inputs
        x = run.inputs[name] if is_input else np.zeros(run.watch.values[name].shape)
        if claimed.shape != x.shape or not np.isfinite(run.y.astype(float)).all():
            return Answer.NOTHING
        return self._along(name, x, run, dy, claimed, rng)

    def differs_at(self, name: str, sizes: Mapping[str, int], rng: np.random.Generator) -> bool:
        """Say whether a slope differs from the claim at some random point, at these sizes."""
        for trial in DIFFERS:
            tick()
            inputs = self.random(sizes, rng, trial)
            try:
                run = self.forward(inputs)
                dy = rng.normal(size=run.y.shape)
                if self.measured_here(name, run, dy, rng) is Answer.WRONG:
                    return True
            except NOT_THERE:
                return False
        return False

    def _slopes(self, name: str, inputs: Mapping[str, np.ndarray], dy: np.ndarray) -> np.ndarray:
        """Measure the gradient of a step, entry by entry."""
        result = np.zeros(self.forward(inputs).watch.values[name].shape)
        for index in np.ndindex(result.shape):
            tick()
            ends = []
            for sign in (1, -1):
                shift = np.zeros(result.shape)
                shift[index] = sign * STEP
                ends.append(self.forward(inputs, shifts={name: shift}).y)
            result[index] = float(np.sum(dy * (ends[0] - ends[1]))) / (2 * STEP)
        return result

    def _along(
        self,
        name: str,
        x: np.ndarray,
        run: Run[Trace],
        dy: np.ndarray,
        claimed: np.ndarray,
        rng: np.random.Generator,
    ) -> Answer:
        """Compare with the slope as an input moves from x, or a step by x, which is 0."""
        y = run.y

        def output(**moved: np.ndarray) -> np.ndarray:
            shifts = {name: moved.pop(name) for name in [*moved] if name not in run.inputs}
            return self.forward({**run.inputs, **moved}, shifts=shifts).y

        comparison = compare_along_direction(name, x, y, dy, output, claimed, rng)
        if comparison.agrees:
            return Answer.RIGHT
        if comparison.has_kink:
            if name not in self.task.lines:
                return Answer.NOTHING
            return _where_smooth(
                partial(compare_along_direction, name, x, y, dy, output, claimed, rng), x.shape, rng
            )
        # float32 somewhere within, which rounds more than a small step changes?
        step = COARSE_STEP * rng.normal(size=x.shape)
        above, below = (output(**{name: x + sign * step}) for sign in (1, -1))
        measured = float(np.sum(dy * (above.astype(float) - below))) / 2
        expected = float(np.sum(claimed * step))
        scale = max(abs(measured), abs(expected))
        noise = NOISE * float(np.sum(np.abs(dy * y)))
        if not np.isfinite(scale) or scale <= noise:
            return Answer.NOTHING
        difference = abs(measured - expected) / scale
        if np.float32 in (y.dtype, claimed.dtype) and difference < COARSE:
            return Answer.RIGHT
        return Answer.WRONG if difference > 2 * COARSE else Answer.NOTHING


def looks_at_kinds(task: Task) -> tuple[str, Line | None]:
    """Say if the code may act on what kind of array it is given, and where."""
    line = where_it_looks(functions_of(*task.functions))
    if line is None:
        return "", None
    return (
        "the code looks at what kind of array it is given (with type, hasattr, `is`, a dtype "
        "and the like), or catches exceptions, so it may do something else with others; "
        "isinstance is followed"
    ), line


def _where_smooth(
    compare: Callable[[tuple[int, ...]], Comparison],
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> Answer:
    """Compare along single entries of a step: many of them tie, as all that ReLU has made 0."""
    chosen = rng.permutation(np.arange(math.prod(shape)))[:TRIED_ENTRIES]
    found = [compare(tuple(map(int, np.unravel_index(n, shape)))) for n in chosen]
    smooth = [comparison for comparison in found if not comparison.has_kink]
    if any(comparison.error > COARSE and not comparison.agrees for comparison in smooth):
        return Answer.WRONG  # by far more than a strong curvature makes of a slope
    return Answer.RIGHT if any(one.agrees for one in smooth) else Answer.NOTHING


def _are_equal(one: Any, other: Any) -> bool:
    if one is ... or other is ...:
        return one is other
    return bool(np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind == "f"))


def _replaced(value: Any, other: float) -> Any:
    """Return a value of the same kind that holds another number, or None if it is none of floats.

    Whole numbers count something, and every one of them may be special.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.full_like(value, other)
    if isinstance(value, float | np.floating):
        return type(value)(other)
    return None
