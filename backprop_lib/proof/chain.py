"""The chain rule, step by step: a run that is cut where the code names its intermediates.

What forward names becomes an array of independent symbols, so that each of its steps is a formula
of earlier names only. The gradient of a name is then the sum, over the steps that use it, of their
gradients times their local derivatives. What backward claims becomes an array of symbols, too. So
each claim is compared with a short formula of the claims before it; if all of them are right, the
whole is, by induction.

The names are not independent, as the symbols are. An identity of symbols holds for all numbers, so
nothing is proven too much but for one thing, which is taken care of: where numbers are compared,
two comparisons may tie together in ways that the symbols do not show (see `backprop_lib.proof.ties`
and `backprop_lib.proof.apart`). And what is right only because of how a name is computed, as the
mean of x̂ is 0, needs its formula in the place of its symbol.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import Any

import numpy as np

from backprop_lib.proof import calculus
from backprop_lib.proof.calculus import (
    ZERO,
    Entry,
    Formula,
    Index,
    Place,
    Step,
    Zero,
    expanded,
    vanishes,
)
from backprop_lib.proof.refusal import NotFollowedError
from backprop_lib.proof.symbolic import (
    MINUS_INFINITY,
    Axis,
    LostArray,
    Run,
    SymbolicArray,
    as_array,
    sizes_along,
)
from backprop_lib.proof.task import Task
from backprop_lib.proof.ties import generic, is_of_one_entry
from backprop_lib.steps import Watch

MOST_SPELLED_OUT = 8
"""So many steps are put in the place of their symbols; a step should need few others."""


@dataclass(frozen=True)
class Named:
    """A step of forward: its formula, of earlier names."""

    name: str
    axes: tuple[Axis, ...]
    formula: Formula

    @property
    def indices(self) -> list[Index]:
        """The indices of an entry."""
        return [index for axis in self.axes for index in axis]

    def at(self, places: tuple[Place, ...]) -> Formula:
        """Return the formula of one entry."""
        return self.formula.substituted(dict(zip(self.indices, places, strict=True)))


class Cuts(Watch):
    """Cuts a run on symbols at its steps."""

    def __init__(self, run: Run, task: Task):
        super().__init__([*task.shapes, *task.const])
        self.run = run
        self.upstream = task.upstream
        self.named_steps: dict[str, Named] = {}

    def named(self, name: str, value: Any) -> Any:
        """Put symbols in the place of an intermediate."""
        if isinstance(value, float | np.floating | np.ndarray):
            value = as_array(self.run, value)
        if not isinstance(value, SymbolicArray) or value.kind != "float":
            return value
        self.run.check_written(value.formula)
        if MINUS_INFINITY in value.formula.arrays:
            return value
        self.named_steps[name] = Named(name, value.axes, value.formula)
        return self._symbols(name, value)

    def claimed(self, name: str, value: Any) -> Any:
        """Put symbols in the place of a claimed gradient, if it has the shape of one."""
        step = self.named_steps.get(name)
        if step is None or isinstance(value, LostArray):
            return value
        if value is ...:
            return SymbolicArray(
                self.run, step.axes, calculus.entry(self.claim_name(name), *step.indices)
            )
        array = as_array(self.run, value)
        self.claims[name] = array.copy()
        if list(map(sizes_along, array.axes)) != list(map(sizes_along, step.axes)):
            return value
        return self._symbols(self.claim_name(name), array)

    @property
    def claimed_symbols(self) -> dict[str, str]:
        """Return for each step whose gradient is claimed the name of its symbols."""
        return {name: self.claim_name(name) for name in self.claims if name in self.named_steps}

    def claim_name(self, name: str) -> str:
        """Return the name of the symbols that stand for a claimed gradient."""
        taken = {*self.arguments, *self.names, self.upstream}
        claim = f"d{name}"
        while claim in taken:
            claim += "'"
        return claim

    def _symbols(self, name: str, value: SymbolicArray) -> SymbolicArray:
        """Return an array of symbols that shares memory with the one whose place it takes."""
        places = [index for axis in value.axes for index in axis]
        entry = calculus.entry(name, *places)
        return SymbolicArray(self.run, value.axes, entry, kind="float", memory=value._memory)


@dataclass(frozen=True)
class Chain:
    """The gradients of all names, as formulas of the gradients of later ones."""

    steps: Mapping[str, Named]
    output: Named
    """y."""
    dy: Formula
    """The upstream gradient at the indices of y."""
    claims: Mapping[str, str]
    """The names of the symbols that stand for gradients of steps, as far as they are claimed."""
    constant: frozenset[str]
    """The arrays and numbers that have no gradient."""

    @cached_property
    def symbols(self) -> frozenset[str]:
        """The arrays that stand for what is computed."""
        return frozenset((*self.steps, *self.claims.values()))

    @cached_property
    def compared(self) -> tuple[Formula, ...]:
        """What forward compares with 0, if it has named steps, apart from what is constant."""
        if not self.steps:
            return ()
        atoms = (a for s in (*self.steps.values(), self.output) for a in s.formula.atoms())
        compared = (a.u for a in atoms if isinstance(a, Step | Zero))
        return tuple(dict.fromkeys(u for u in compared if u.arrays - self.constant))

    def users(self, name: str) -> Iterator[Named]:
        """Yield the steps whose formulas a name is in, and y if it is."""
        for step in (*self.steps.values(), self.output):
            if name in step.formula.arrays:
                yield step

    def entry(self, name: str, axes: Sequence[Axis]) -> Entry:
        """Return an entry of an input or a step; an axis of size 1 has a place in an input only."""
        empty: tuple[Place, ...] = () if name in self.steps else (0,)
        return Entry(name, tuple(place for axis in axes for place in axis or empty))

    def made_of(self, name: str) -> list[str]:
        """Return the steps that are computed from a name, directly or not."""
        made = {name}
        for step in self.steps.values():
            if not made.isdisjoint(step.formula.arrays):
                made.add(step.name)
        return [one for one in self.steps if one in made and one != name]

    def computed(self, name: str) -> Formula:
        """Return the gradient of a step at some indices."""
        return self._gradients[name][1]

    def gradient(self, by: Entry) -> tuple[Formula, Formula]:
        """Return ∂L/∂(an entry), and the part of L that its array is in.

        Raises
        ------
        CalculusError, NotFollowedError
            If forward compares with == what may stay equal while the array changes.
        """
        true, part = ZERO, ZERO
        for step in self.users(by.array):
            weight = self._weight(step)
            formula = self._generic(step.formula, by.array)
            true += calculus.total(weight * formula.derivative(by), step.indices)
            part += calculus.total(weight * formula, step.indices)
        return true, part

    def _weight(self, step: Named) -> Formula:
        """Return the gradient of a step, or of y, at its own indices."""
        if step is self.output:
            return self.dy
        if step.name in self.claims:
            return calculus.entry(self.claims[step.name], *step.indices)
        return self._computed(step.name, tuple(step.indices))

    def _computed(self, name: str, places: tuple[Place, ...]) -> Formula:
        """Return the gradient of a step as it is computed from those of later ones."""
        by, true = self._gradients[name]
        return true.substituted(dict(zip(by, places, strict=True)))

    @cached_property
    def _gradients(self) -> "_Gradients":
        return _Gradients(self)

    def _generic(self, formula: Formula, name: str) -> Formula:
        if self.steps:
            equations = [a.u for a in formula.atoms() if isinstance(a, Zero)]
            if not all(is_of_one_entry(u, self.constant) for u in equations if name in u.arrays):
                raise NotFollowedError("compares numbers of several steps with ==")
        return generic(formula, name)

    def spelled_out(self, formula: Formula, name: str) -> Iterator[Formula]:
        """Yield a formula with ever more of what its symbols stand for.

        What is made of a name comes first: if h = tanh(z), then dz is written with h.
        """
        near = [step for step in self.users(name) if step is not self.output]
        for step in (*reversed(near), *reversed([*self.steps.values()])):
            if step.name in formula.arrays:
                formula = _replaced(formula, step.name, step.at)
                yield formula
        for one, claim in self.claims.items():
            if claim in formula.arrays:
                formula = _replaced(formula, claim, partial(self._computed, one))
                yield formula

    def is_nothing(self, difference: Formula, name: str) -> bool:
        """Say whether a difference vanishes because of how what is made of a name is computed."""
        return any(
            vanishes(one) or vanishes(expanded(one))
            for one in islice(self.spelled_out(difference, name), MOST_SPELLED_OUT)
        )

    def rests_on(self, formula: Formula) -> set[str]:
        """Return the steps whose claimed gradients are in a formula."""
        return {name for name, claim in self.claims.items() if claim in formula.arrays}


class _Gradients(dict[str, tuple[list[Index], Formula]]):
    """The gradients of steps at indices of their own, computed when they are needed."""

    def __init__(self, chain: Chain):
        super().__init__()
        self.chain = chain

    def __missing__(self, name: str) -> tuple[list[Index], Formula]:
        places = [index.fresh() for index in self.chain.steps[name].indices]
        true, _ = self.chain.gradient(Entry(name, tuple(places)))
        self[name] = places, true
        return self[name]


def _replaced(formula: Formula, array: str, by: Callable[[tuple[Place, ...]], Formula]) -> Formula:
    return formula.replaced(
        lambda atom: by(atom.at) if isinstance(atom, Entry) and atom.array == array else None
    )
