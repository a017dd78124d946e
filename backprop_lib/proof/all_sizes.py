"""Run a layer once on arrays of symbolic shape, and compare formulas: a proof for all sizes."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from backprop_lib.proof import calculus, infinite, joining  # noqa: F401  what is followed
from backprop_lib.proof.assumptions import Assumed, IsSize, Larger, Multiple, Number
from backprop_lib.proof.calculus import (
    ZERO,
    CalculusError,
    Formula,
    Index,
    Pick,
    Step,
    vanishes,
)
from backprop_lib.proof.chain import Chain, Cuts, Named
from backprop_lib.proof.creators import making, watched
from backprop_lib.proof.evidence import Answer, Compared, Formulas
from backprop_lib.proof.lines import line_raised
from backprop_lib.proof.random_arrays import drawing, redrawing
from backprop_lib.proof.refusal import (
    CodeError,
    MismatchError,
    NotFollowedError,
    decimal,
    errors_of_the_code,
    followed,
)
from backprop_lib.proof.report import ClosedForm, listed
from backprop_lib.proof.symbolic import (
    Axis,
    LostArray,
    PlaceArray,
    Run,
    Size,
    SymbolicArray,
    as_array,
    sizes_along,
)
from backprop_lib.proof.symbolic_creation import SymbolicCreator
from backprop_lib.proof.task import Task, is_number
from backprop_lib.proof.ties import Gradient, generic
from backprop_lib.proof.writing import gradient_name, latex_equation, letters, plain
from backprop_lib.shapes import format_shape, unchecked
from backprop_lib.steps import Watch

NUMBERS = (1, 2, 3, 4, 5)
"""What is tried for a size that code needs as a number."""
MOST_NUMBERS, MOST_PINNED = 3, 2
"""A size is proven at so many numbers, if at most so many sizes are needed as numbers."""
MOST_ASSUMED = 8
"""So many assumptions are made of sizes, one on top of the other."""
TIES_OF_STEPS = "is something else than on either side where numbers that are compared are equal"
COMPARED = "no two numbers that forward compares are equal"
ONLY_AT_TIES = (
    "the two formulas are equal but where numbers that are compared are equal, and there forward "
    "was not found to have no gradient"
)


def findings(
    task: Task,
    named: Mapping[str, int] | None = None,
    runs: Callable[[Mapping[str, int]], bool] = lambda _: True,
    wrong: Collection[str] = (),
) -> dict[str, Formulas]:
    """Compare every claimed gradient with the derivative, for all sizes.

    Numbers in const are left open first, so that the proof holds for all their values. What is
    not proven so is tried with whole numbers, which may be axes or exponents, as they are, and
    then with all of them. A size that code needs as a number is the one that is named, or each of
    the smallest at which forward runs. Of gradients that are known to be wrong, less is tried.
    """
    numbers = {name: value for name, value in task.const.items() if is_number(value)}
    whole = {name: value for name, value in numbers.items() if isinstance(value, int | np.integer)}
    comparisons = [
        _Comparison(task, {k: v for k, v in numbers.items() if k in at}, named or {}, runs, wrong)
        for at in dict.fromkeys(map(frozenset, ({}, whole, numbers)))
    ]
    found: dict[str, Formulas] = {}

    def improve(by: Mapping[str, Formulas]) -> None:
        for name, new in by.items():
            known = found.get(name)
            if known is None or (known.answer is not Answer.RIGHT and _says_more(new, known)):
                found[name] = new

    def is_left() -> bool:
        return any(formulas.answer is not Answer.RIGHT for formulas in found.values())

    for comparison in comparisons:
        improve(comparison.under(Assumed()))
        if not is_left():
            return found
    if not wrong and all(one.why and not one.sizes for one in found.values()):
        for axis, comparison in product(task.axes, comparisons):  # what is refused if it is open?
            improve(comparison.at_numbers(Assumed(), axis, {}))
            if not is_left():
                break
    return found


def _says_more(new: Formulas, known: Formulas) -> bool:
    return new.answer is Answer.RIGHT or bool(known.why and (not new.why or new.at))


@dataclass(frozen=True)
class _Comparison:
    """A comparison of formulas, under assumptions about sizes that are made as the code asks."""

    task: Task
    at: Mapping[str, Any]
    """The constants that are the numbers that they are; the others are left open."""
    named: Mapping[str, int]
    runs: Callable[[Mapping[str, int]], bool]
    """Whether forward runs, and returns entries, where some sizes are given."""
    wrong: Collection[str]
    """The gradients that are known to be wrong."""

    def under(self, assumed: Assumed) -> dict[str, Formulas]:
        """Compare under some assumptions, and under those that turn out to be wanted."""
        run = Run(assumed)
        found = self._compared(run)
        wish = run.wanted
        if wish is None or len(assumed) >= MOST_ASSUMED:
            return found
        if isinstance(wish, Number):
            return self.at_numbers(assumed, wish.size, found)
        if isinstance(wish, IsSize):
            if wish.constant in self.task.axes or self.task.const.get(wish.constant, 0) < 1:
                return found
            where = (f"{wish.constant} is a whole number, and at least 1",)
            found = self.under(assumed.granting(wish))
            return {
                name: replace(one, conditions=_joined(where, one.conditions))
                for name, one in found.items()
            }
        if isinstance(wish, Multiple):
            if wish.size in self.task.labels.values():
                return found
            found = self.under(assumed.granting(wish))
            return {
                name: replace(one, multiples=(wish, *one.multiples)) for name, one in found.items()
            }
        return self._one_by_one(assumed, wish)

    def _one_by_one(self, assumed: Assumed, wish: Larger) -> dict[str, Formulas]:
        """Compare for all larger sizes, and for each of the smaller ones."""
        found = self.under(assumed.granting(wish))
        for number in range(assumed.least(wish.size), wish.than + 1):
            here = assumed.at(wish.size, number)
            if self.runs(here.numbers):
                small = self.under(here)
                found = {
                    name: _both(one, small[name], here) if name in small else one
                    for name, one in found.items()
                }
        return found

    def at_numbers(
        self, assumed: Assumed, size: str, refused: Mapping[str, Formulas]
    ) -> dict[str, Formulas]:
        """Compare with a size as a number: the one that is named, or some of the smallest."""
        if size not in (*self.task.axes, *assumed.sizes):
            return dict(refused)
        if size in self.named:
            wanted, tried = 1, [self.named[size]]
        elif assumed.numbers:  # of several sizes, each has a number of its own
            wanted = 1
            tried = [n for n in NUMBERS if n > 1 and n not in assumed.numbers.values()]
        else:
            wanted, tried = MOST_NUMBERS, list(NUMBERS)
        found: dict[str, Formulas] = {}
        for number in tried:
            here = assumed.at(size, number)
            if number < assumed.least(size) or not self.runs(here.numbers):
                continue
            new = {
                name: formulas if formulas.sizes else replace(formulas, sizes=(here.numbers,))
                for name, formulas in self.under(here).items()
            }
            found = _all_of(found, new) if found else new
            wanted -= 1
            if len(found[self.task.judged[0]].sizes[-1]) > MOST_PINNED:
                break  # many loops take long
            if not wanted or all(one.answer is not Answer.RIGHT for one in found.values()):
                break
        return found or dict(refused)

    def _compared(self, run: Run) -> dict[str, Formulas]:
        """Compare once, and say what stopped it if it did not end."""
        at = self.at
        try:
            with unchecked(), making(SymbolicCreator(run)):
                return _findings(self.task, run, at, self.wrong)
        except MismatchError as error:
            found = Formulas(misfit=str(error), line=error.line or line_raised(error))
        except RecursionError:
            found = Formulas(why="the formulas grow too large")
        except NotFollowedError as error:
            found = Formulas(why=str(error), line=error.line, at=at)
        except CalculusError as error:
            found = Formulas(why=str(error))
        except (ArithmeticError, ValueError) as error:  # numbers of which the code makes no sense
            why = f"with sizes and constants left open, the code fails: {error}"
            found = Formulas(why=why, line=line_raised(error), at=at)
        except CodeError as error:
            found = Formulas(
                why=f"with symbols in the place of numbers, the code fails: "
                f"{type(error.error).__name__}: {error}",
                line=error.line,
                at=at,
            )
        return dict.fromkeys(self.task.judged, found)


def _both(large: Formulas, small: Formulas, here: Assumed) -> Formulas:
    """Return what is found for large sizes and at a small one; there is no one formula for it.

    Only what is proven in both cases is, and at the small size for all other sizes.
    """
    if large.answer is not Answer.RIGHT:
        return replace(large, true=None)
    at = f"at {listed(here.numbers)}, "
    if small.answer is not Answer.RIGHT:
        why = f"{at}{small.why}" if small.why else ""
        return replace(small, why=why, sizes=(here.numbers,), true=None)
    if any(sizes.keys() - here.numbers.keys() for sizes in small.sizes):
        why = f"{at}it is proven at some of the other sizes only"
        return replace(small, answer=Answer.NOTHING, why=why, true=None)
    return _assuming_both(large, small)


def _all_of(found: Mapping[str, Formulas], new: Mapping[str, Formulas]) -> dict[str, Formulas]:
    """Return for each gradient what is found at all numbers so far; not all have every step."""
    both = {
        name: replace(_assuming_both(one, new[name]), sizes=(*one.sizes, *new[name].sizes))
        if {one.answer, new[name].answer} == {Answer.RIGHT}
        else one
        if one.answer is not Answer.RIGHT
        else new[name]
        for name, one in found.items()
        if name in new
    }
    return {**found, **new, **both}


def _assuming_both(first: Formulas, second: Formulas) -> Formulas:
    """Return what holds where all holds that either proof has assumed."""
    return replace(
        first,
        where=_joined(first.where, second.where),
        compared=_joined(first.compared, second.compared),
        conditions=_joined(first.conditions, second.conditions),
        multiples=_joined(first.multiples, second.multiples),
        true=None,
    )


def _joined(first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def computed(task: Task) -> SymbolicArray:
    """Return y as forward computes it, for all sizes."""
    run = Run()
    whole = {name: value for name, value in task.const.items() if not isinstance(value, float)}
    code = watched(*task.functions)
    with errors_of_the_code(), unchecked(), code, making(SymbolicCreator(run)):
        return _forward(task, run, _arrays(task, run), whole, Watch(task.shapes))[0]


def chain_of(task: Task, sizes: Mapping[str, int]) -> tuple[Chain, dict[str, list[Axis]]]:
    """Return the steps of forward, and the axes of its inputs; what is wanted as a number is one.

    Raises
    ------
    NotFollowedError, CodeError, CalculusError, ArithmeticError, ValueError
        If forward is not followed.
    """
    assumed = Assumed()
    whole = {name: value for name, value in task.const.items() if not isinstance(value, float)}
    while True:
        run = Run(assumed)
        cuts = Cuts(run, task)
        try:
            with unchecked(), watched(*task.functions), making(SymbolicCreator(run)):
                inputs = _arrays(task, run)
                y, _ = _forward(task, run, inputs, whole, cuts)
        except (NotFollowedError, CalculusError):
            wish = run.wanted
            if wish is None or len(assumed) >= MOST_ASSUMED:
                raise
            if isinstance(wish, Number):
                assumed = assumed.at(wish.size, sizes[wish.size])
            else:
                assumed = assumed.granting(wish)
            continue
        output = Named("y", y.axes, y.formula)
        dy = calculus.entry(task.upstream, *output.indices)
        constant = frozenset(task.constant | set(task.const))
        axes = {name: list(array.axes) for name, array in inputs.items()}
        return Chain(cuts.named_steps, output, dy, cuts.claimed_symbols, constant), axes


def _arrays(task: Task, run: Run) -> dict[str, SymbolicArray | PlaceArray]:
    """Return an array of symbols for every array that forward takes."""
    arrays: dict[str, SymbolicArray | PlaceArray] = {}
    for name in task.shapes:
        symbols = run.array(name, task.axes_of(name))
        arrays[name] = symbols
        if name in task.labels:
            at = tuple(place for axis in symbols.axes for place in axis or (0,))
            (axis,) = run.assumed.parts(task.labels[name])
            arrays[name] = PlaceArray(run, symbols.axes, 0 if axis == 1 else Pick(name, axis, at))
            run.taken.add(name)
    return arrays


def _forward(
    task: Task, run: Run, inputs: Mapping[str, Any], at: Mapping[str, Any], watch: Watch
) -> tuple[SymbolicArray, Any]:
    const = {
        name: _constant(run, name, value, is_known=name in at) for name, value in task.const.items()
    }
    copies = {name: array.copy() for name, array in inputs.items()}
    with drawing(run, {*task.shapes, *task.const, *task.steps}), watch.of_forward():
        y, cache = followed("forward", run, lambda: task.layer.run_forward({**copies, **const}))
    if isinstance(y, LostArray):
        raise y.reason
    if not isinstance(y, SymbolicArray):
        raise NotFollowedError("forward returns a y that does not depend on the inputs")
    followed("forward", run, lambda: run.check_written(y.formula))
    return y, cache


def _findings(
    task: Task, run: Run, at: Mapping[str, Any], wrong: Collection[str]
) -> dict[str, Formulas]:
    inputs = _arrays(task, run)
    cuts = Cuts(run, task)
    y, cache = _forward(task, run, inputs, at, cuts if task.steps else Watch(cuts.arguments))
    run.check_finite(y.formula, "returns")
    searched = dict(run.searched)
    output = Named("y", y.axes, y.formula)  # backward may write into y
    dy = SymbolicArray(run, y.axes, calculus.entry(task.upstream, *output.indices))
    upstream = dy.formula
    given = {name: array.copy() for name, array in inputs.items()}
    with cuts.of_backward() if task.steps else nullcontext(), redrawing(run):
        claims = followed(task.claimant, run, lambda: task.claims(dy, given, cache))
    claims = {**cuts.claims, **claims}
    if run.lost and not any(isinstance(claim, LostArray) for claim in claims.values()):
        raise NotFollowedError(f"drops a result whose shapes do not fit: {run.lost}")
    constant = frozenset(task.constant | set(task.const))
    chain = Chain(cuts.named_steps, output, upstream, cuts.claimed_symbols, constant)
    judge = _Lines(run, task, chain, claims, searched, wrong)
    for name in cuts.claims:  # a claim is computed from those before it
        if name in cuts.named_steps:
            judge.line(name, cuts.named_steps[name].axes)
    for name in task.judged:
        judge.line(name, as_array(run, inputs[name]).axes)
    wanted = {*task.lines, *task.judged}
    return {
        name: replace(one, at=at, is_excused=judge.is_excused)
        for name, one in judge.found.items()
        if name in wanted
    }


def _constant(run: Run, name: str, value: Any, *, is_known: bool) -> Any:
    if not is_number(value):
        return value
    kind = "float" if isinstance(value, float | np.floating | Fraction) else "int"
    if name in run.assumed.numbers:
        return run.assumed.numbers[name]
    if name in run.assumed.sizes:
        return Size(run, (name,))
    if not is_known:
        return SymbolicArray(run, (), calculus.entry(name), kind=kind)
    if kind == "int":
        return value
    exact = value if isinstance(value, Fraction) else decimal(float(value))
    known = SymbolicArray(run, (), calculus.number(exact))
    run.given.append(known)
    return known


@dataclass
class _Lines:
    """Compares the claimed gradients of one run, those of later steps first."""

    run: Run
    task: Task
    chain: Chain
    claims: Mapping[str, Any]
    searched: Mapping[str, frozenset[str]]
    wrong: Collection[str]
    found: dict[str, Formulas] = field(default_factory=dict)
    is_excused: bool = False
    """Whether a claim is something of its own where numbers are equal."""
    _rests: dict[str, set[str]] = field(default_factory=dict)
    """On which claims of steps each gradient rests, directly or not."""
    _alone: set[str] = field(default_factory=set)
    """Where only the line itself is right: not what rests on it, where numbers are equal."""

    def line(self, name: str, axes: Sequence[Axis]) -> None:
        """Judge one claim; that of an input is right only if all are on which it rests."""
        found = self._compared(name, axes)
        if name in self.task.judged and found.answer is Answer.RIGHT:
            for one in sorted(self._rests[name]):
                is_right = self.found[one].answer is Answer.RIGHT
                if not is_right or one in self._alone:
                    how = TIES_OF_STEPS if is_right else "is not proven"
                    why = f"it rests on d{one}, which {how}"
                    if self.claims[one] is ...:
                        why = f"its own line is right, but rests on d{one}: not answered yet"
                    found = replace(found, answer=Answer.NOTHING, why=why)
                    break
        self.found[name] = found

    def _compared(self, name: str, axes: Sequence[Axis]) -> Formulas:
        claim, run, chain = self.claims[name], self.run, self.chain
        self._rests[name] = set()
        if claim is ...:
            return Formulas()
        names = dict(zip([i for axis in axes for i in axis], _letters(axes), strict=True))
        at = {index: index.fresh() for index in names}
        entry = chain.entry(name, [tuple(at[i] for i in axis) for axis in axes])
        true, output = chain.gradient(entry)
        named = {at[index]: letter for index, letter in names.items()}
        closed = closed_form(f"d{name}", true, named)
        if isinstance(claim, LostArray):
            return Formulas(misfit=str(claim.reason), line=claim.reason.line, true=closed)
        array = _claimed(run, claim)
        run.check_finite(array.formula, "returns a gradient with")
        followed(self.task.claimant, run, lambda: run.check_written(array.formula))
        misfit = _misfit(name, array, run, axes)
        if misfit:
            return Formulas(misfit=misfit, true=closed)
        pairs = zip(array.axes, axes, strict=True)
        renamed = {i: at[j] for a, b in pairs for i, j in zip(a, b, strict=True)}
        difference = true - array.formula.substituted(renamed)
        direct = chain.rests_on(array.formula)
        self._rests[name] = direct.union(*(self._rests[one] for one in direct))
        known = {i: range(i.size) for i in at.values() if isinstance(i.size, int)}
        gradient = Gradient(
            true,
            output,
            entry,
            self.task.upstream,
            frozenset(self.task.labels),
            searches=run.searches_of,
        )
        within = replace(gradient, steps=chain.symbols, constant=chain.constant)
        equal, but_for_ties = True, False
        for values in product(*known.values()):
            places = dict(zip(known, values, strict=True))
            here = difference.substituted(places)
            is_hopeless = name in self.wrong
            if within.at(places).is_all_of(here):
                self.is_excused = self.is_excused or bool(here.terms and not vanishes(here))
                continue
            if not is_hopeless and chain.is_nothing(here, name):
                continue
            self._alone.add(name)
            if name in self.task.judged or not gradient.at(places).is_all_of(here):
                equal = False
                with suppress(CalculusError):
                    but_for_ties = but_for_ties or not generic(here, name).terms
        return Formulas(
            answer=Answer.RIGHT if equal else Answer.NOTHING,
            why=ONLY_AT_TIES if but_for_ties else "",
            true=closed,
            where=tuple(self._where(name, true, output)),
            compared=(Compared(tuple(run.assumed.numbers.items()), chain.compared),),
            rests=tuple(one for one in self.chain.claims if one in self._rests[name]),
            conditions=tuple(sorted(run.conditions)),
        )

    def _where(self, name: str, true: Formula, output: Formula) -> Iterator[str]:
        """Yield where forward may have no gradient with respect to an array."""
        later = self.chain.made_of(name)
        formulas = [(name, true), *((one, self.chain.computed(one)) for one in later)]
        atoms = ((one, atom) for one, formula in formulas for atom in formula.atoms())
        if any(isinstance(atom, Step) and one in atom.u.arrays for one, atom in atoms):
            yield COMPARED
        looked_up = output.looked_up.union(
            *(self.chain.steps[one].formula.looked_up for one in later)
        )
        if looked_up - set(self.task.labels):
            affected = {name, *later}
            yield from (how for how, arrays in self.searched.items() if arrays & affected)


def _claimed(run: Run, claim: Any) -> SymbolicArray:
    if isinstance(claim, SymbolicArray | Size | int | float | np.ndarray | np.number):
        return as_array(run, claim)
    raise NotFollowedError(f"returned a {type(claim).__name__} as a gradient")


def _misfit(name: str, claim: SymbolicArray, run: Run, axes: Sequence[Axis]) -> str:
    if claim.is_mask:
        return f"d{name} holds truth values"
    claimed, wanted = (list(map(sizes_along, some)) for some in (claim.axes, axes))
    if claimed == wanted:
        return ""
    x = SymbolicArray(run, axes, ZERO)
    have, want = format_shape(claim.shape), format_shape(x.shape)
    if len(claimed) != len(wanted):
        return f"d{name} is {have}, {name} is {want}"
    wrong = [i for i, (a, b) in enumerate(zip(claimed, wanted, strict=True)) if a != b]
    axes_text = "; ".join(f"axis {i} is {claim.shape[i]}, not {x.shape[i]}" for i in wrong)
    return f"d{name} is {have}, {name} is {want}: {axes_text}"


def _letters(axes: Sequence[Axis]) -> list[str]:
    return letters([index.size for axis in axes for index in axis])


def closed_form(name: str, formula: Formula, names: Mapping[Index, str]) -> ClosedForm:
    """Write an equation for the entry of an array at the indices that are named."""
    listed = list(names.values())
    left = f"{name}[{', '.join(listed)}]" if listed else name
    below = f"_{{{''.join(listed)}}}" if listed else ""
    return ClosedForm(
        f"{left} = {plain(formula, names)}",
        latex_equation(f"{gradient_name(name)}{below}", formula, names),
    )
