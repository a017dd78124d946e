"""Run a layer once on arrays of symbolic shape, and compare formulas: a proof for all sizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from backprop_lib.proof import calculus, numpy_functions  # noqa: F401  what is followed
from backprop_lib.proof.calculus import Entry, Formula, Index, Pick, Place
from backprop_lib.proof.refusal import MismatchError, NotFollowedError, decimal, followed
from backprop_lib.proof.symbolic import (
    LostArray,
    PlaceArray,
    Run,
    Size,
    SymbolicArray,
    as_array,
)
from backprop_lib.proof.task import Task
from backprop_lib.proof.writing import gradient_name, latex_equation, letters, plain
from backprop_lib.shapes import unchecked, written


@dataclass(frozen=True)
class ClosedForm:
    """A gradient as a formula, for people to read."""

    text: str
    latex: str


@dataclass(frozen=True)
class Finding:
    """What the calculus says of one gradient."""

    equal: bool = False
    misfit: str = ""
    """Which axes do not fit, if the claim has not the shape of the input."""
    refused: str = ""
    """What is not followed, if the code could not be run."""
    true: ClosedForm | None = None
    where: tuple[str, ...] = ()
    """What must hold for the gradient to exist."""


def findings(task: Task, *, values: bool = False) -> dict[str, Finding]:
    """Compare every claimed gradient with the derivative, for all sizes.

    Floats in const are left open too, so that the proof holds for every eps; with ``values``
    they are the numbers given.
    """
    try:
        with unchecked():
            return _findings(task, Run(), values)
    except MismatchError as error:
        return dict.fromkeys(task.judged, Finding(misfit=str(error)))
    except RecursionError:
        return dict.fromkeys(task.judged, Finding(refused="the formulas grow too large"))
    except NotFollowedError as error:
        return dict.fromkeys(task.judged, Finding(refused=str(error)))


def computed(task: Task) -> SymbolicArray:
    """Return y as forward computes it, for all sizes."""
    run = Run()
    with unchecked():
        return _forward(task, run, _arrays(task, run), values=False)[0]


def _arrays(task: Task, run: Run) -> dict[str, SymbolicArray | PlaceArray]:
    """Return an array of symbols for every array that forward takes."""
    arrays: dict[str, SymbolicArray | PlaceArray] = {}
    for name in task.shapes:
        symbols = run.array(name, task.axes_of(name))
        arrays[name] = symbols
        if name in task.labels:
            at = tuple(axis[0] if axis else 0 for axis in symbols.axes)
            axis = task.labels[name]
            arrays[name] = PlaceArray(run, symbols.axes, 0 if axis == 1 else Pick(name, axis, at))
            run.taken.add(name)
    return arrays


def _forward(
    task: Task, run: Run, inputs: Mapping[str, Any], *, values: bool
) -> tuple[SymbolicArray, Any]:
    const = {name: _constant(run, name, value, values) for name, value in task.const.items()}
    copies = {name: array.copy() for name, array in inputs.items()}
    y, cache = followed("forward", run, lambda: task.layer.run_forward({**copies, **const}))
    if isinstance(y, LostArray):
        raise y.reason
    if not isinstance(y, SymbolicArray):
        raise NotFollowedError("forward returns a y that does not depend on the inputs")
    return y, cache


def _findings(task: Task, run: Run, values: bool) -> dict[str, Finding]:
    inputs = _arrays(task, run)
    y, cache = _forward(task, run, inputs, values=values)
    output = SymbolicArray(run, y.axes, y.formula)  # backward may write into y
    places: list[Place] = []
    for axis in y.axes:
        places += axis
    dy = SymbolicArray(run, y.axes, calculus.entry(task.upstream, *places))
    upstream = dy.formula
    given = {name: array.copy() for name, array in inputs.items()}
    claims = followed(task.claimant, run, lambda: task.claims(dy, given, cache))
    if run.lost and not any(isinstance(claim, LostArray) for claim in claims.values()):
        raise NotFollowedError(f"drops a result whose shapes do not fit: {run.lost}")
    return {
        name: _finding(run, task, name, as_array(run, inputs[name]), output, upstream, claim)
        for name, claim in claims.items()
    }


def _constant(run: Run, name: str, value: Any, known: bool) -> Any:
    if isinstance(value, float):
        if known:
            return SymbolicArray(run, (), calculus.number(decimal(value)))
        run.constants.add(name)
        return SymbolicArray(run, (), calculus.entry(name))
    return value


def _finding(
    run: Run, task: Task, name: str, x: SymbolicArray, y: SymbolicArray, dy: Formula, claim: Any
) -> Finding:
    if claim is ...:
        return Finding()
    names = dict(zip([i for axis in x.axes for i in axis], _letters(x), strict=True))
    at = {index: index.fresh() for index in names}
    places: list[Place] = [at[axis[0]] if axis else 0 for axis in x.axes]
    slope = y.formula.derivative(Entry(name, tuple(places)))
    true = calculus.total(dy * slope, [index for axis in y.axes for index in axis])
    named = {at[index]: letter for index, letter in names.items()}
    closed = _closed_form(f"d{name}", true, named)
    where = tuple(run.compared)
    if isinstance(claim, LostArray):
        return Finding(misfit=str(claim.reason), true=closed, where=where)
    array = _claimed(run, claim)
    misfit = _misfit(name, array, x)
    if misfit:
        return Finding(misfit=misfit, true=closed, where=where)
    renamed = {
        i: at[j] for a, b in zip(array.axes, x.axes, strict=True) for i, j in zip(a, b, strict=True)
    }
    difference = true - array.formula.moved(renamed)
    known = {i: range(i.size) for i in at.values() if isinstance(i.size, int)}
    equal = not any(
        difference.moved(dict(zip(known, values, strict=True))).terms
        for values in product(*known.values())
    )
    if (y.formula.looked_up | array.formula.looked_up) - set(task.labels):
        where += tuple(run.searched)
    return Finding(equal=equal, true=closed, where=where)


def _claimed(run: Run, claim: Any) -> SymbolicArray:
    if isinstance(claim, SymbolicArray | Size | int | float):
        return as_array(run, claim)
    raise NotFollowedError(f"returned a {type(claim).__name__} as a gradient")


def _misfit(name: str, claim: SymbolicArray, x: SymbolicArray) -> str:
    if claim.is_mask:
        return f"d{name} holds truth values"
    claimed, wanted = (
        [tuple(index.size for index in axis) for axis in array.axes] for array in (claim, x)
    )
    if claimed == wanted:
        return ""
    have, want = written(claim.shape), written(x.shape)
    if len(claimed) != len(wanted):
        return f"d{name} is {have}, {name} is {want}"
    wrong = [i for i, (a, b) in enumerate(zip(claimed, wanted, strict=True)) if a != b]
    axes = "; ".join(f"axis {i} is {claim.shape[i]}, not {x.shape[i]}" for i in wrong)
    return f"d{name} is {have}, {name} is {want}: {axes}"


def _letters(x: SymbolicArray) -> list[str]:
    return letters([index.size for axis in x.axes for index in axis])


def _closed_form(name: str, formula: Formula, names: Mapping[Index, str]) -> ClosedForm:
    listed = list(names.values())
    left = f"{name}[{', '.join(listed)}]" if listed else name
    below = f"_{{{''.join(listed)}}}" if listed else ""
    return ClosedForm(
        f"{left} = {plain(formula, names)}",
        latex_equation(f"{gradient_name(name)}{below}", formula, names),
    )
