"""The steps of a forward as a graph: what is made of what, with formulas and numbers.

This is what a figure of the chain rule draws.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from backprop_lib.arguments import format_shape
from backprop_lib.proof.all_sizes import chain_of, closed_form
from backprop_lib.proof.calculus import CalculusError, Index
from backprop_lib.proof.chain import Chain, Named
from backprop_lib.proof.creators import watched
from backprop_lib.proof.dual import value_of
from backprop_lib.proof.object_arrays import filled
from backprop_lib.proof.refusal import CodeError, NotFollowedError
from backprop_lib.proof.report import ClosedForm, Verdict
from backprop_lib.proof.symbolic import Axis
from backprop_lib.proof.task import Task
from backprop_lib.proof.witness import Evaluated
from backprop_lib.proof.writing import latex_equation, latex_name, letters, plain

NOT_FOLLOWED = (NotFollowedError, CodeError, CalculusError, ArithmeticError, ValueError)


@dataclass(frozen=True)
class Step:
    """One step of forward; the last one is y."""

    name: str
    uses: tuple[str, ...] = ()
    """The inputs and steps that are in its formula."""
    formula: ClosedForm | None = None
    """What it is, in terms of these; None if forward is not followed."""
    slopes: Mapping[str, ClosedForm] = field(default_factory=dict)
    """The derivative of an entry with respect to an entry of what it uses, by the name of that."""
    verdict: Verdict | None = None
    """On the gradient that backward claims for it; None if it claims none."""


@dataclass(frozen=True)
class At:
    """An array at given inputs."""

    value: np.ndarray
    gradient: np.ndarray | None
    """∂L/∂(this array), whatever is claimed; None if it has none, as labels and masks."""


class Steps(Sequence[Step]):
    """The steps of a forward, in its order, and y; empty if it names none."""

    def __init__(self, task: Task, verdicts: Mapping[str, Verdict], sizes: Mapping[str, int]):
        self._task = task
        self._sizes = sizes
        self.verdicts = dict(verdicts)
        """On the gradients that backward claims, by the names of their steps, in its order."""

    def with_verdicts(self, verdicts: Mapping[str, Verdict]) -> "Steps":
        """Return the same steps with other verdicts."""
        return Steps(self._task, verdicts, self._sizes)

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, key: Any) -> Any:
        """Return a step by its place or its name."""
        if not isinstance(key, str):
            return self._steps[key]
        for step in self._steps:
            if step.name == key:
                return step
        raise KeyError(f"{key} is not among the steps {', '.join(one.name for one in self._steps)}")

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps)

    def __repr__(self) -> str:
        texts = (one.formula.text if one.formula else one.name for one in self._steps)
        return "\n".join(texts)

    @cached_property
    def _steps(self) -> tuple[Step, ...]:
        if not self._task.steps:
            return ()
        names = self._task.steps if "y" in self._task.steps else (*self._task.steps, "y")
        try:
            chain, inputs = chain_of(self._task, self._sizes)
        except NOT_FOLLOWED:
            return tuple(Step(name, verdict=self.verdicts.get(name)) for name in names)
        named = {"y": chain.output, **chain.steps}
        axes = {**inputs, **{step.name: list(step.axes) for step in chain.steps.values()}}
        return tuple(
            Step(name, verdict=self.verdicts.get(name))
            if name not in named
            else self._step(named[name], chain, axes)
            for name in names
        )

    def _step(self, step: Named, chain: Chain, axes: Mapping[str, Sequence[Axis]]) -> Step:
        uses = tuple(name for name in axes if name in step.formula.arrays)
        own = dict(zip(step.indices, letters([i.size for i in step.indices]), strict=True))
        return Step(
            step.name,
            uses,
            closed_form(step.name, step.formula, own),
            {
                name: _slope(step, name, chain, axes[name])
                for name in uses
                if name not in chain.constant
            },
            self.verdicts.get(step.name),
        )

    def at(self, *, dy: Any = None, **inputs: Any) -> dict[str, At]:
        """Return inputs, steps and y with their true gradients, as numbers.

        They are computed exactly, and rounded at the end.

        Parameters
        ----------
        dy : array of y's shape
            The upstream gradient; needed unless y is a single number.
        **inputs : arrays
            All arrays that forward takes, labels and masks as well.

        Raises
        ------
        TypeError
            If an input is missing or unknown, or dy is missing.
        ValueError
            If dy has another shape than y.
        ArithmeticError
            If forward is not defined there, or has no gradient.
        """
        task = self._task
        for name in (*task.shapes, *inputs):
            if name not in inputs or name not in task.shapes:
                expected = ", ".join(task.shapes)
                what = "is no input" if name in inputs else "is missing"
                raise TypeError(f"{name} {what}, expected {expected}")
        exact = {
            name: np.asarray(inputs[name]) if name in task.labels else _fractions(inputs[name])
            for name in task.shapes
        }
        with watched(*task.functions):
            case = Evaluated(task, exact)
            if dy is None and case.point.shape:
                raise TypeError(
                    f"dy is missing, expected {format_shape(case.point.shape)}, as y is"
                )
            upstream = _fractions(1 if dy is None else dy)
            if upstream.shape != case.point.shape:
                raise ValueError(
                    f"dy has shape {format_shape(upstream.shape)}, expected that of y, "
                    f"{format_shape(case.point.shape)}"
                )
            case = Evaluated(task, exact, upstream)
            values = {**exact, **case.point.trace.values}
            found = {
                name: At(_floats(value), self._gradient(case, name, value))
                for name, value in values.items()
            }
        return {**found, "y": At(_floats(case.point.y), _floats(upstream))}

    def _gradient(self, case: Evaluated, name: str, value: np.ndarray) -> np.ndarray | None:
        is_input = name in self._task.shapes
        if (is_input and name not in self._task.differentiable) or value.dtype.kind in "biu":
            return None
        return _floats(case.gradient(name))


def _slope(step: Named, name: str, chain: Chain, axes: Sequence[Axis]) -> ClosedForm:
    """Return ∂(entry of a step)/∂(entry of what it uses)."""
    fresh: list[tuple[Index, ...]] = [tuple(index.fresh() for index in axis) for axis in axes]
    others = [index for axis in fresh for index in axis]
    found = letters([index.size for index in (*step.indices, *others)])
    names = dict(zip((*step.indices, *others), found, strict=True))
    formula = step.formula.derivative(chain.entry(name, fresh))
    above, below = (
        _entry(one, [names[index] for index in indices])
        for one, indices in ((step.name, step.indices), (name, others))
    )
    return ClosedForm(
        f"∂{above[0]}/∂{below[0]} = {plain(formula, names)}",
        latex_equation(rf"\frac{{\partial {above[1]}}}{{\partial {below[1]}}}", formula, names),
    )


def _entry(name: str, listed: Sequence[str]) -> tuple[str, str]:
    """Write an entry as text and as LaTeX."""
    if not listed:
        return name, latex_name(name)
    return f"{name}[{', '.join(listed)}]", f"{latex_name(name)}_{{{''.join(listed)}}}"


def _fractions(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return filled(array.shape, (Fraction(entry.item()) for entry in array.flat))


def _floats(array: np.ndarray) -> np.ndarray:
    return filled(array.shape, (float(value_of(entry)) for entry in array.flat)).astype(float)
