"""Random numbers of open sizes: an array of any numbers, that has no gradient.

What is proven holds for all numbers that may be drawn, and for all others. Backward is given the
symbols that forward was given, if it draws the same from a source of the same seed.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from backprop_lib.draws import INSTEAD, History, Instead
from backprop_lib.proof import calculus
from backprop_lib.proof.calculus import Index, Place
from backprop_lib.proof.symbolic import Axis, Run, Size, SymbolicArray

SIZE_AT = {
    **dict.fromkeys(("random", "random_sample", "ranf", "sample", "standard_normal"), 0),
    **dict.fromkeys(("exponential", "standard_exponential", "choice"), 1),
    **dict.fromkeys(("uniform", "normal", "laplace", "logistic", "gumbel", "binomial"), 2),
    **dict.fromkeys(("integers", "randint"), 2),
}
"""At which place a function takes the shape of what it draws."""


@contextmanager
def drawing(run: Run, names: Set[str]) -> Iterator[None]:
    """Let forward draw arrays of symbols; names are those of its arguments."""
    free = (f"r_{i}" if i else "r" for i in count())
    letters = (name for name in free if name not in names | run.taken)

    def instead(
        function: str, args: Sequence[Any], options: Mapping[str, Any], history: History
    ) -> SymbolicArray:
        draw = _Draw.read(run, function, args, options)
        if any(isinstance(value, SymbolicArray) and value.axes for value in draw.distribution):
            run.refuse(
                f"draws with {function} from a distribution that an array chooses; draw from "
                "one without, then shift and scale"
            )
        known = history.then(draw.event)
        if known is not None and known in run.drawn:
            return run.drawn[known].copy()
        name = next(letters)
        run.taken.add(name)
        drawn = _drawn(run, name, draw.shape)
        if known is not None:
            run.drawn[known] = drawn.copy()
        return drawn

    with _in_the_place_of_drawing(instead):
        yield


@contextmanager
def redrawing(run: Run) -> Iterator[None]:
    """Let backward draw what forward has drawn, and nothing else."""

    def instead(
        function: str, args: Sequence[Any], options: Mapping[str, Any], history: History
    ) -> SymbolicArray:
        known = history.then(_Draw.read(run, function, args, options).event)
        if known is None or known not in run.drawn:
            run.refuse(
                f"draws with {function}, and it cannot be told whether forward has drawn the same; "
                "keep that in the cache"
            )
        return run.drawn[known].copy()

    with _in_the_place_of_drawing(instead):
        yield


@contextmanager
def _in_the_place_of_drawing(instead: Instead) -> Iterator[None]:
    token = INSTEAD.set(instead)
    try:
        yield
    finally:
        INSTEAD.reset(token)


@dataclass(frozen=True)
class _Draw:
    """A call of a function that draws."""

    function: str
    shape: Any
    args: tuple[Any, ...]
    """The other arguments."""
    options: Mapping[str, Any]

    @classmethod
    def read(
        cls, run: Run, function: str, args: Sequence[Any], options: Mapping[str, Any]
    ) -> "_Draw":
        """Tell the shape from the other arguments."""
        if function in ("rand", "randn"):
            return cls(function, tuple(args), (), options)
        if function not in SIZE_AT:
            run.refuse(
                f"draws with {function}, which is not followed; use np.random.rand, or "
                "random or normal of a generator"
            )
        place, left = SIZE_AT[function], dict(options)
        shape = left.pop("size", args[place] if len(args) > place else None)
        others = (*args[:place], *args[place + 1 :])
        return cls(function, () if shape is None else shape, others, left)

    @property
    def distribution(self) -> Iterator[Any]:
        """What chooses the numbers; with which weights is no matter."""
        yield from self.args
        weighted = self.function == "choice"
        yield from (v for name, v in self.options.items() if not (weighted and name == "p"))

    @property
    def event(self) -> Any:
        """What tells this draw from others, None if that cannot be compared."""
        shape = self.shape if isinstance(self.shape, tuple | list) else (self.shape,)
        return _comparable((self.function, shape, self.args, tuple(sorted(self.options.items()))))


def _comparable(value: Any) -> Any:
    """Return what is equal for arguments that are, and None if there is no such thing."""
    if isinstance(value, tuple | list):
        parts = tuple(map(_comparable, value))
        return None if None in parts else parts
    if isinstance(value, Size):
        return Size, value.parts
    if isinstance(value, SymbolicArray):
        return None if value.axes or value.is_mask else (SymbolicArray, value.formula)
    is_known = isinstance(value, bool | int | float | str | np.number | type)
    return (type(value), value) if is_known else None


def _drawn(run: Run, name: str, shape: Any) -> SymbolicArray:
    """Return an array of independent numbers of this shape."""
    axes: list[Axis] = []
    for size in shape if isinstance(shape, tuple | list) else (shape,):
        if not isinstance(size, Size | int):
            run.refuse("draws random numbers of a shape that is computed; use x.shape")
        parts = size.parts if isinstance(size, Size) else (size,)
        axes.append(tuple(Index(part) for part in parts if part != 1))
    places: list[Place] = [index for axis in axes for index in axis]
    return SymbolicArray(run, axes, calculus.entry(name, *places))
