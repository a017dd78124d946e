"""Random numbers of open sizes: an array of any numbers, that has no gradient.

What is proven holds for all numbers that may be drawn, and for all others.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from itertools import count
from typing import Any

from backprop_lib.draws import INSTEAD
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

    def instead(function: str, args: Sequence[Any], options: Mapping[str, Any]) -> SymbolicArray:
        left = dict(options)
        if function in ("rand", "randn"):
            shape: Any = tuple(args)
        elif function in SIZE_AT:
            place = SIZE_AT[function]
            shape = left.pop("size", args[place] if len(args) > place else ())
            if function == "choice":
                left.pop("p", None)
        else:
            run.refuse(
                f"draws with {function}, which is not followed; use np.random.rand, or "
                "random or normal of a generator"
            )
        for value in (*args, *left.values()):
            if isinstance(value, SymbolicArray) and value is not shape and value.axes:
                run.refuse(
                    f"draws with {function} from a distribution that an array chooses; draw from "
                    "one without, then shift and scale"
                )
        name = next(letters)
        run.taken.add(name)
        return _drawn(run, name, () if shape is None else shape)

    token = INSTEAD.set(instead)
    try:
        yield
    finally:
        INSTEAD.reset(token)


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
