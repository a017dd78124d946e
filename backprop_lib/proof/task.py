"""What is to be judged: a forward, and who claims which of its gradients."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, count, product
from math import prod
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from backprop_lib.draws import SOURCES
from backprop_lib.layer import Layer, unchanged
from backprop_lib.shapes import shape_table

Claims = Callable[[Any, Mapping[str, Any], tuple[Any, ...]], Mapping[str, Any]]
Axis = str | int
Axes = tuple[Axis, ...]

AXIS_NAMES = ("axis", "dim")
"""Arguments of forward of these names choose an axis, if they are whole numbers."""
MOST_VARIADIC = 2
"""An input of shape "N C *L" is judged with 0, 1 and 2 axes in the place of *L."""


@dataclass(frozen=True)
class Task:
    """A forward, the shapes of its inputs, and a function that claims gradients."""

    layer: Layer
    shapes: Mapping[str, str]
    """The axes of every array that forward takes, in its order."""
    const: Mapping[str, Any]
    judged: tuple[str, ...]
    """The inputs whose gradients are claimed."""
    claims: Claims
    """From dy, the inputs and the cache to the claimed gradients."""
    claimant: str
    """Who is to blame if the claim cannot be computed."""
    labels: Mapping[str, Axis]
    """The arrays that hold places along an axis, and which axis that is."""
    functions: tuple[Callable[..., Any], ...]
    """The code that is judged."""
    differentiable: tuple[str, ...]
    """The arrays that have a gradient, judged or not."""
    named: frozenset[str] = frozenset()
    """The constants that the caller has named; the others are defaults of forward."""
    chosen: frozenset[str] = frozenset()
    """The defaults of which every value is tried, in a task of its own."""
    steps: tuple[str, ...] = ()
    """What forward names, where it was tried."""
    lines: tuple[str, ...] = ()
    """Those of them whose gradients backward claims, in its order."""
    proven: frozenset[str] = frozenset()
    """The lines that formulas prove; numbers take them for right."""

    @classmethod
    def of_backward(
        cls, layer: Layer, shapes: Mapping[str, str], const: Mapping[str, Any]
    ) -> "Task":
        """Judge all that a backward returns."""
        given = _arguments(layer, shapes, const)
        names = given.differentiable

        def claims(dy: Any, inputs: Mapping[str, Any], cache: tuple[Any, ...]) -> Mapping[str, Any]:
            return layer.run_backward(dy, cache, names)

        return cls(
            layer,
            given.axes,
            given.const,
            tuple(names),
            claims,
            "backward",
            given.labels,
            layer.functions,
            tuple(names),
            frozenset(const) | layer.numbers.keys(),
        )

    @classmethod
    def of_claim(
        cls,
        layer: Layer,
        wrt: str,
        claim: Callable[..., Any],
        shapes: Mapping[str, str],
        const: Mapping[str, Any],
    ) -> "Task":
        """Judge one formula for the gradient of one input.

        Raises
        ------
        ValueError
            If there is no such input.
        """
        arguments = _arguments(layer, shapes, const)
        if wrt not in arguments.differentiable:
            expected = ", ".join(arguments.differentiable)
            raise ValueError(f"wrt is {wrt!r}, expected one of {expected}")

        def claims(dy: Any, inputs: Mapping[str, Any], cache: tuple[Any, ...]) -> Mapping[str, Any]:
            given = {name: array.copy() for name, array in inputs.items()}
            with unchanged("claim", {"dy": dy, **given}), layer.draws.redrawn():
                return {wrt: claim(dy, *given.values())}

        return cls(
            layer,
            arguments.axes,
            arguments.const,
            (wrt,),
            claims,
            f"d{wrt}",
            arguments.labels,
            (*layer.functions, claim),
            tuple(arguments.differentiable),
            frozenset(arguments.const),  # a claim is not given them: it is about these values
        )

    @property
    def upstream(self) -> str:
        """The name of the upstream gradient: dy, unless that is an argument of forward."""
        used = {*self.shapes, *self.const}
        return next(name for name in ("dy", *(f"dy_{i}" for i in range(99))) if name not in used)

    @property
    def constant(self) -> set[str]:
        """The arrays that have no gradient and hold numbers: masks, targets, weights."""
        return set(self.shapes) - set(self.differentiable) - set(self.labels)

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of all sizes, in the order in which they occur."""
        names = [
            part
            for axes in self.shapes.values()
            for axis in axes.split()
            for part in factors_of(axis)
            if isinstance(part, str)
        ]
        names += [axis for axis in self.labels.values() if isinstance(axis, str)]
        return tuple(dict.fromkeys(names))

    def axes_of(self, name: str) -> list[Axes]:
        """Return the axes of an input, each as the sizes whose product it is: names or numbers."""
        return [factors_of(axis) for axis in self.shapes[name].split()]

    def shape_of(self, name: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape of an input at given sizes."""
        return tuple(
            prod(part if isinstance(part, int) else sizes[part] for part in axis)
            for axis in self.axes_of(name)
        )

    def number_of_labels(self, name: str, sizes: Mapping[str, int]) -> int:
        """Return how many different labels an array of labels may hold, at given sizes."""
        axis = self.labels[name]
        return axis if isinstance(axis, int) else sizes[axis]

    def spelled_out(self) -> list["Task"]:
        """Return a task for each number of axes that *L may stand for; itself if there is none."""
        variadic = dict.fromkeys(axis for axis in self.axes if axis.startswith("*"))
        if not variadic:
            return [self]
        return [
            replace(
                self,
                shapes={
                    name: " ".join(
                        part
                        for axis in axes.split()
                        for part in (_several(axis[1:], n) if axis in variadic else [axis])
                    )
                    for name, axes in self.shapes.items()
                },
            )
            for n in range(MOST_VARIADIC + 1)
        ]

    def choices(self) -> list["Task"]:
        """Return a task for each value of the defaults that choose, first that of the defaults.

        Those are truth values, what is annotated as a `Literal`, and the number of an axis.
        """
        possible = {}
        for name, values in _possible(self.layer).items():
            if name in self.const and name not in self.named:
                ndim = len(next(iter(self.shapes.values())).split())
                possible[name] = range(-ndim, ndim) if name in AXIS_NAMES else values
        own = replace(self, chosen=frozenset(possible))
        defaults = [self.const[name] for name in possible]
        others = [values for values in product(*possible.values()) if list(values) != defaults]
        return [
            own,
            *(
                replace(own, const={**self.const, **dict(zip(possible, values, strict=True))})
                for values in others
            ),
        ]

    @property
    def options(self) -> dict[str, Any]:
        """The defaults that are no numbers, and of which no other value is tried."""
        return {
            name: value
            for name, value in self.const.items()
            if not (
                is_number(value) or isinstance(value, SOURCES) or name in self.chosen | self.named
            )
        }

    def check_sizes(self, sizes: Mapping[str, int]) -> None:
        """Check that sizes names every axis and no other.

        Raises
        ------
        ValueError
            If not, or if a size is no positive integer.
        """
        for axis in sorted(set(self.axes) - set(sizes)):
            raise ValueError(f"sizes lacks {axis}: {dict(sizes)}")
        for axis, size in sizes.items():
            if axis not in self.axes:
                raise ValueError(f"sizes has {axis}, expected {', '.join(sorted(self.axes))}")
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise ValueError(f"sizes has {axis} = {size!r}, expected a positive integer")

    def different_sizes(self, chosen: Sequence[int]) -> dict[str, int]:
        """Give every axis a size of its own: the chosen ones, then larger ones."""
        known = {part for name in self.shapes for axis in self.axes_of(name) for part in axis}
        taken = {part for part in known if isinstance(part, int)}
        sizes = (size for size in chain(chosen, count(max(chosen) + 1)) if size not in taken)
        return dict(zip(self.axes, sizes, strict=False))


def factors_of(axis: str) -> Axes:
    """Return the sizes whose product an axis is: C, H and W of ``"C*H*W"``; *L is one name."""
    parts = [axis] if axis.startswith("*") else axis.split("*")
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def _several(axis: str, number: int) -> list[str]:
    """Name the axes that stand for *L: none, L, or L_1 and L_2."""
    return [axis] if number == 1 else [f"{axis}_{i + 1}" for i in range(number)]


def is_number(value: Any) -> bool:
    """Say whether a constant is a number, rather than a choice or an array."""
    return isinstance(value, int | float | Fraction | np.number) and not isinstance(value, bool)


def _possible(layer: Layer) -> dict[str, tuple[Any, ...]]:
    """Return the values that forward's defaults may have, where they choose from a few."""
    possible: dict[str, tuple[Any, ...]] = {}
    hints = _annotations(layer.forward)
    for name, parameter in layer.parameters.items():
        default = parameter.default
        hint = hints.get(name)
        kinds = (hint, *getattr(hint, "__metadata__", ()))
        choice = next((kind for kind in kinds if get_origin(kind) is Literal), None)
        if choice is not None:
            possible[name] = get_args(choice)
        elif isinstance(default, bool):
            possible[name] = (True, False)
        elif name in AXIS_NAMES and isinstance(default, int):
            possible[name] = ()  # as many as the input has
    return possible


def _annotations(forward: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(inspect.unwrap(forward), include_extras=True)
    except (NameError, TypeError, AttributeError):  # annotations that mean something else
        return {}


@dataclass(frozen=True)
class _Arguments:
    """The arguments of forward, sorted by what they are."""

    axes: dict[str, str]
    const: dict[str, Any]
    differentiable: list[str]
    labels: dict[str, Axis]


def _arguments(layer: Layer, shapes: Mapping[str, str], const: Mapping[str, Any]) -> _Arguments:
    """Sort forward's arguments into arrays, constant arrays, labels, and what is constant.

    A parameter of forward that has a default and no shape is constant.
    """
    for name, text in shapes.items():
        if not isinstance(text, str):
            raise TypeError(
                f'{name} is {text!r}, expected its axes, as in {name}="N C_in"; '
                "what is no array belongs into const"
            )
    table = {**shape_table(layer.forward), **shapes}
    table = {name: text for name, text in table.items() if name not in const}
    if not table:
        raise TypeError('no shapes: annotate forward, or name them, as in x="N C_in"')
    defaults = {
        name: parameter.default
        for name, parameter in layer.parameters.items()
        if name not in table and parameter.default is not parameter.empty
    }
    found = _Arguments({}, {**defaults, **const}, [], {})
    for name in layer.inputs(table, found.const):
        text, is_labels, chosen_from = table[name].partition("<")
        axes = text.split()
        is_constant = axes[:1] == ["const"]
        found.axes[name] = " ".join(axes[is_constant:])
        _check_axes(name, found.axes[name].split())
        if is_labels:
            if len(chosen_from.split()) != 1 or "*" in chosen_from:
                raise ValueError(
                    f"{name} is {table[name]!r}, expected labels that choose from one axis, "
                    f'as in {name}="N < C"'
                )
            _check_axes(name, chosen_from.split())
            axis = chosen_from.strip()
            found.labels[name] = int(axis) if axis.isdecimal() else axis
        elif not is_constant:
            found.differentiable.append(name)
    if not found.differentiable:
        raise TypeError(f"all of {', '.join(found.axes)} are constant: there is no gradient")
    return found


def _check_axes(name: str, axes: list[str]) -> None:
    for axis in axes:
        for part in factors_of(axis.removeprefix("*") or "*"):
            if not (part.isidentifier() if isinstance(part, str) else part > 0):
                raise ValueError(
                    f"{name} has the axis {axis!r}, expected names and positive numbers, or "
                    f'products of them, as in {name}="N C_in" or {name}="N C*H*W"'
                )
