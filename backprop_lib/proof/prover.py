"""The front door: prove a backward pass for all sizes, or find a counterexample.

The engines fail in different ways, and are played against each other, the cheapest first. Slopes
measured with floats find most wrong gradients at once; exact numbers then show where they are
wrong, at the smallest sizes. The calculus proves for all sizes, and symbols prove at named ones.
What each of them finds is kept as evidence, from which `backprop_lib.proof.evidence.decide` makes
the verdict. Nothing is called proven that no numbers confirm, and only a point at which forward has
a gradient and the claim is another number refutes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import chain, islice, permutations, zip_longest
from typing import Any

import numpy as np

from backprop_lib.layer import Layer
from backprop_lib.proof import exact
from backprop_lib.proof.all_sizes import findings
from backprop_lib.proof.apart import LINES, are_apart
from backprop_lib.proof.assumptions import Multiple
from backprop_lib.proof.budget import SECONDS, Budget
from backprop_lib.proof.code import functions_of, numbers_in
from backprop_lib.proof.creators import watched
from backprop_lib.proof.dual import UndefinedError
from backprop_lib.proof.evidence import (
    Answer,
    Compared,
    Evidence,
    Formulas,
    Numbers,
    Symbols,
    decide,
)
from backprop_lib.proof.floats import COARSE, NOT_THERE, Floats, OpenError, looks_at_kinds
from backprop_lib.proof.graph import Steps
from backprop_lib.proof.lines import Line, line_raised
from backprop_lib.proof.object_arrays import filled
from backprop_lib.proof.refusal import (
    CodeError,
    DisagreementError,
    NotFollowedError,
    errors_of_the_code,
)
from backprop_lib.proof.report import Counterexample, Report, Status, Verdict, listed
from backprop_lib.proof.task import Task, is_number
from backprop_lib.proof.witness import (
    FAILURES,
    EmptyError,
    Evaluated,
    MisfitError,
    counterexample_near,
    evaluated,
    simplest,
    small_sizes,
    smallest_counterexample,
)
from backprop_lib.shapes import ShapeError, format_shape

Progress = Callable[[str], None]

CHECKED_SIZES = (3, 2, 4, 5, 6)
"""The sizes of the axes in the random check: all different, so that none is taken for another."""
PROVEN_SIZES = (2, 3, 4, 5, 6)
"""The sizes of the axes in a proof at sizes, if the caller names none."""
OTHER_SIZES = (2, 3, 4, 5, 6, 8, 9)
MOST_TRIED = 300
"""So many choices of sizes are tried in search of one at which forward runs."""
POINTS = 2
TIES = 2
FLOAT_TOLERANCE = 1e-6
"""How far floats may be from exact numbers."""
MEASURED = 6
MANY, FEW = 30, 3
"""Of many gradients, slopes are measured at few points."""
BESIDE = (2, 3, 5)
"""Where a size is divided by k, it is tried whether forward runs at so many times k, and 1."""
BEYOND = (4, 5, 6)
APART_AT = (1, 2)
"""Sizes of all axes at which entries coincide that are different ones elsewhere."""
FARTHEST = 50
"""Sizes up to this are tried because their number stands in the code."""
TIED_STEPS = (
    "numbers that are compared in several steps may be equal at once, where forward may be smooth"
)
SMALLEST = 8
"""So many of the smallest sizes are searched before floats are asked where to go on."""
SMALL = 12
"""So many small sizes are searched, if the gradient is proven at some."""


def prove(
    layer: Any,
    backward: Callable[..., Any] | None = None,
    /,
    *,
    const: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    budget: float = SECONDS,
    progress: Progress | None = None,
    params: Mapping[str, str] | None = None,
    grads: Mapping[str, str] | None = None,
    may_change_dy: bool = False,
    **shapes: str,
) -> Report:
    """Prove every gradient that a backward returns, for all sizes, or find a counterexample.

    The code itself is run, on arrays whose sizes and entries are symbols. With L = Σ dy·y and an
    upstream gradient dy of independent symbols, the derivative of L by an input is compared with
    what backward returns.

    Parameters
    ----------
    layer, backward
        Two functions, or a module that has them: ``forward(*inputs)`` returns ``(y, cache)``,
        ``backward(dy, *cache)`` one gradient for each input, or a dict of them by name. A cache
        that is no tuple, or that backward unpacks itself, is handed over whole. Or a function that
        returns y and its backward. Or a class, or an object, with ``forward`` (or ``__call__``)
        and ``backward``, which keeps on ``self`` what backward needs; every run has a copy of its
        own. Random numbers that forward draws are held fixed, and may be any numbers in a proof.
        What forward and backward name with `backprop_lib.steps.step` is judged line by line.
    const : dict, optional
        Arguments of forward that have no gradient. A number such as 1e-5 is left open at first, so
        that the proof holds for every value at which the code is defined; and it is the decimal
        that it is written as where it must be known, as an axis must. Defaults of forward need not
        be named: numbers are treated in the same way; truth values, annotations with `Literal` and
        the number of an axis are tried for every value. With an array, sizes are needed.
    sizes : dict, optional
        Sizes such as ``{"N": 2, "C_in": 3}`` at which to prove what is undecided for all sizes.
        The numbers that confirm or refute are of these sizes, too.
    budget : float
        Seconds of processor after which the search ends; the report says what was found until
        then, as it does after Ctrl-C. Memory is limited to 1 GB more than there was in use.
    progress : callable, optional
        It is called with one line of text before each step.
    params, grads : dict, optional
        Where an object keeps a parameter, and its gradient after backward, such as
        ``{"W": "params[0]"}``. They are found by themselves at ``self.W`` or
        ``self.params["W"]``, and at ``self.dW`` or ``self.grads["W"]``, if backward does not
        return the gradient.
    may_change_dy : bool
        Whether backward may write into dy, which is an error otherwise.
    **shapes : str
        The axes of each input, such as ``x="N C_in"``; not needed where forward's signature has
        them (see `backprop_lib.shapes`). Inputs are arguments of forward, and of the class, and
        parameters that are attributes. A number is an axis of that size, "" no axis, and
        ``W="C*H*W D"`` has an axis whose size is a product. Of
        ``"N C *L"``, 0, 1 and 2 axes L are tried. ``mask="const N C"`` is an array of any numbers,
        and ``t="N < C"`` one of labels, whole numbers from 0 to C - 1; they have no gradient.

    Returns
    -------
    Report
        One verdict for each gradient, true if all that was asked is proven:

        - "proven" for all sizes, all real inputs and all values of constants at which forward and
          backward are defined and forward has a gradient; where it may have none, because it
          compares numbers that are equal there, is said after "where";
        - "proven at" values of constants, or at sizes; this is true only if they were named;
        - "refuted", with the smallest counterexample that was found;
        - "shape error", with the axes that do not fit, and with a counterexample at sizes at
          which they happen to fit, if the claim is wrong there too;
        - "undecided", with what stopped it, in which line, and what the other engines say at small
          sizes;
        - "not answered yet", for a gradient given as ``...``.

        ``report.steps`` has the steps that forward names, and a verdict on each line of backward
        that claims the gradient of one, computed from the true gradients of the steps before it.

    Raises
    ------
    TypeError
        If the functions are not those of a layer, or the shapes are missing.
    ValueError
        If the shapes or the sizes make no sense.
    RuntimeError
        If forward or backward changes an argument in place, or what it has named as a step, or
        forward returns something else each time.
    Exception
        What forward or backward raises when it is run with floats.
    DisagreementError
        If two engines contradict each other. Either the code looks at the kind of numbers or at
        the sizes it is given, or catches errors, or there is an error in this library: please
        report it.

    References
    ----------
    A. Griewank, A. Walther, Evaluating Derivatives, SIAM 2008: the vector-Jacobian product.
    J. T. Schwartz, Fast probabilistic algorithms for verification of polynomial identities,
    J. ACM 27 (1980) 701-717: why a random point is a good test.
    """
    how = {"params": params, "grads": grads, "may_change_dy": may_change_dy}
    task = _task(layer, backward, shapes, const or {}, how)
    return _report(task, sizes, Budget(budget), progress)


def refute(
    forward: Callable[..., Any],
    /,
    *,
    wrt: str,
    claim: Callable[..., Any],
    const: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    budget: float = SECONDS,
    progress: Progress | None = None,
    params: Mapping[str, str] | None = None,
    **shapes: str,
) -> Report:
    """Judge a formula for the gradient of one input, as `prove` judges a backward.

    Parameters
    ----------
    wrt : str
        The input whose gradient is claimed.
    claim : callable
        ``claim(dy, *inputs)``, the inputs in forward's order.
    forward, const, sizes, budget, progress, params, **shapes
        As in `prove`; forward may also return y alone.

    Returns
    -------
    Report
        With one verdict. It is true if the claim is proven, that is, cannot be refuted.

    Raises
    ------
    TypeError, ValueError, RuntimeError, DisagreementError
        As `prove`.

    References
    ----------
    As for `prove`.
    """
    layer = Layer.without_backward(forward, [*shapes, *(const or {})], params)
    task = Task.of_claim(layer, wrt, claim, shapes, const or {})
    return _report(task, sizes, Budget(budget), progress)


def prove_at(
    layer: Any,
    backward: Callable[..., Any] | None = None,
    /,
    *,
    sizes: Mapping[str, int],
    const: Mapping[str, Any] | None = None,
    budget: float = SECONDS,
    params: Mapping[str, str] | None = None,
    grads: Mapping[str, str] | None = None,
    may_change_dy: bool = False,
    **shapes: str,
) -> Report:
    """Prove every gradient at the sizes named, or find a counterexample.

    For code that cannot be followed for all sizes, with loops over samples for instance. Every
    entry is a symbol, SymPy differentiates, and every way in which comparisons may turn out is
    followed.

    Parameters
    ----------
    sizes : dict
        The size of every axis, such as ``{"N": 2, "C_in": 3, "C_out": 4}``. Choose different
        sizes: where two are equal, code that takes one for the other is proven.
    layer, backward, const, budget, params, grads, may_change_dy, **shapes
        As in `prove`.

    Returns
    -------
    Report
        As `prove`; what is proven is "proven at" these sizes.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `prove`; also ValueError if a size is missing, unknown or not a positive integer.

    References
    ----------
    As for `prove`.
    """
    how = {"params": params, "grads": grads, "may_change_dy": may_change_dy}
    task = _task(layer, backward, shapes, const or {}, how)
    task.check_sizes(sizes)
    return _report(task, sizes, Budget(budget), None, only_sizes=True)


def _task(
    layer: Any,
    backward: Callable[..., Any] | None,
    shapes: Mapping[str, str],
    const: Mapping[str, Any],
    how: Mapping[str, Any],
) -> Task:
    judged = Layer.of(layer, backward, named=[*shapes, *const], **how)
    return Task.of_backward(judged, shapes, const)


def _report(
    task: Task,
    sizes: Mapping[str, int] | None,
    budget: Budget,
    progress: Progress | None,
    *,
    only_sizes: bool = False,
) -> Report:
    """Judge a task for each number of axes that *L may stand for, and each choice of forward."""
    tasks = [task] if only_sizes else task.spelled_out()
    if sizes is not None and len(tasks) == 1:
        tasks[0].check_sizes(sizes)
    say = progress or (lambda _: None)
    variants = [(choices[0], choice) for choices in map(Task.choices, tasks) for choice in choices]
    reports: list[tuple[Task, Task, Report]] = []
    skipped: dict[str, Exception] = {}
    for place, (one, choice) in enumerate(variants):
        label = "" if len(tasks) == 1 else f" with {_shapes(one)}"
        judge = _Judge(
            choice,
            dict(sizes) if sizes is not None and len(tasks) == 1 else {},
            budget,
            1 / (len(variants) - place),
            partial(_labelled, say, label),
            only_sizes=only_sizes,
        )
        try:
            with errors_of_the_code(), watched(*task.functions):
                report = judge.report()
        except Exception as error:
            if choice is one:
                raise
            if not judge.checked_sizes:
                continue  # of this choice, forward makes nothing
            if isinstance(error, AttributeError) and task.layer.model is not None:
                skipped[_differing(one, choice)] = error  # of this choice, forward kept nothing
                continue
            why, line = f": {type(error).__name__}: {error}", line_raised(error)
            verdict = Verdict("", Status.UNDECIDED, why, line=line)
            report = Report(tuple(replace(verdict, gradient=f"d{name}") for name in task.judged))
        reports.append((one, choice, report))
    verdicts = tuple(_merged(f"d{name}", reports) for name in task.judged)
    notes = [f"with {there}, backward fails: {error}" for there, error in skipped.items()]
    if not all(verdicts) and (arrays := _arrays_of_the_object(task)):
        notes.append(arrays)
    return Report(
        verdicts,
        budget.interrupted,
        (*task.layer.notes, *notes),
        reports[0][2].steps.with_verdicts(_merged_lines(reports)),
    )


def _differing(one: Task, choice: Task) -> str:
    return listed(
        {n: v for n, v in choice.const.items() if n in choice.chosen and one.const[n] != v}
    )


def _arrays_of_the_object(task: Task) -> str:
    """Say which arrays an object holds whose axes the caller has not named."""
    layer = task.layer
    if layer.model is None:
        return ""
    found = layer.model.arrays([*task.shapes, *task.const])
    if not found:
        return ""
    held = ", ".join(f"{n} of shape {format_shape(a.shape)}" for n, a in found.items())
    axes = " ".join("ABCDEFG"[: next(iter(found.values())).ndim])
    return (
        f"{layer.model.name} holds {held}: name the axes of what forward uses, as in "
        f'{next(iter(found))}="{axes}" or "const {axes}"'
    )


def _labelled(say: Progress, label: str, text: str) -> None:
    say(text + label)


def _shapes(task: Task) -> str:
    return ", ".join(f"{name} ({', '.join(axes.split())})" for name, axes in task.shapes.items())


def _merged(gradient: str, reports: list[tuple[Task, Task, Report]]) -> Verdict:
    """Merge the verdicts for several numbers of axes and choices: proven only if all are."""
    own = [(one, report[gradient]) for one, choice, report in reports if choice is one]
    for _, verdict in own:
        if not verdict.is_enough:
            return verdict
    (first, best), *more = own
    if more:
        best = more[0][1]
        given = next(n for n, axes in first.shapes.items() if axes != more[0][0].shapes[n])
        shown = " and ".join(f"({', '.join(one.shapes[given].split())})" for one, _ in own)
        best = replace(best, reason=f"{best.reason}, with {given} of shape {shown}")
    for one, choice, report in reports:
        verdict = report[gradient]
        if choice is one or verdict.is_enough:
            continue
        if verdict.status in (Status.REFUTED, Status.SHAPE_ERROR):
            return verdict
        differing = [n for n in choice.chosen if one.const[n] != choice.const[n]]
        told = verdict.reason + (f" ({verdict.line.place})" if verdict.line else "")
        here, there = ({n: task.const[n] for n in differing} for task in (one, choice))
        return replace(
            best,
            status=Status.PROVEN_AT,
            reason=f" {listed(here)},{best.reason}",
            is_enough=False,
            notes=(*best.notes, f"with {listed(there)}: {verdict.status}{told}"),
        )
    tried = {n: {choice.const[n] for _, choice, _ in reports} for n in sorted(first.chosen)}
    every = "".join(f" and every {name}" for name, values in tried.items() if len(values) > 1)
    found = [report[gradient] for _, _, report in reports]
    where = dict.fromkeys((*best.where, *(one for v in found for one in v.conditions)))
    reason = best.reason.replace(" for all sizes", f" for all sizes{every}", 1)
    return replace(best, reason=reason, where=tuple(where))


def _merged_lines(reports: list[tuple[Task, Task, Report]]) -> dict[str, Verdict]:
    """Merge the verdicts on steps; not every choice need have every step."""
    names = dict.fromkeys(name for _, _, report in reports for name in report.lines)
    having = {name: [r for r in reports if name in r[2].lines] for name in names}
    return {
        name: _merged(f"d{name}", some)
        if any(choice is one for one, choice, _ in some)
        else min((report.lines[name] for _, _, report in some), key=bool)
        for name, some in having.items()
    }


@dataclass
class _Judge:
    """Collects evidence for one task, the cheapest first."""

    task: Task
    sizes: dict[str, int]
    """The sizes that the caller has named."""
    budget: Budget
    share: float
    """How much of the budget is left for this task."""
    say: Progress
    only_sizes: bool = False
    evidence: dict[str, Evidence] = field(default_factory=dict)
    failed: str = ""
    """How the claims as a whole cannot be computed, because shapes do not fit."""
    checked_sizes: dict[str, int] = field(default_factory=dict)

    @property
    def floats(self) -> Floats:
        """The task, as it is known by now, on floats."""
        return Floats(self.task)

    def report(self) -> Report:
        """Judge every gradient."""
        self.evidence = {name: self._nothing(name) for name in self.task.judged}
        self._refuse_arrays()
        self.say("exact numbers at random points")
        self._run("forward", self._find_sizes, 0.2)
        if self.checked_sizes or not self.task.axes:
            try:
                self._run("the steps", self._find_steps, 0.1)
                self._collect()
            except OpenError:
                for name in self.evidence:
                    self._note(name, is_open=True)
        verdicts = {name: decide(evidence) for name, evidence in self.evidence.items()}
        return Report(
            tuple(verdicts[name] for name in self.task.judged),
            self.budget.interrupted,
            steps=Steps(self.task, self._verdicts_on_lines(verdicts), self.checked_sizes),
        )

    def _verdicts_on_lines(self, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
        """Leave out steps that only larger numbers of passes through a loop have.

        Numbers find nothing wrong there, and formulas stand for fewer passes.
        """
        pinned = any(self.evidence[name].formulas.sizes for name in self.task.judged)
        return {
            name: verdicts[name]
            for name in self.task.lines
            if not (
                pinned
                and self.evidence[name].formulas == Formulas()
                and self.evidence[name].numbers.answer is Answer.RIGHT
            )
        }

    def _nothing(self, name: str) -> Evidence:
        """Return what is known of a gradient before anything was tried."""
        return Evidence(
            f"d{name}",
            named=self.task.named,
            chosen=self.task.chosen,
            options=self.task.options,
            axes=self.task.axes,
            sizes=self.sizes,
            only_sizes=self.only_sizes,
        )

    def _collect(self) -> None:
        self._run("floats at random points", self._measure, 0.2)
        if self.failed:  # one gradient's shapes may hide the others; where all are equal they fit
            self._look_where_all_fit()
        if self.task.steps and not (self.failed or self.only_sizes):
            self.say("formulas of the steps")
            self._run("formulas of the steps", partial(self._prove, by_steps=True), 0.4)
        for name in self._names(lambda e: e.may_be_refuted):
            if name in self.task.lines or not self._wrong_lines:
                self._run_search(name, 0.3)
        self._blame_lines()
        left = self._names(lambda e: e.counterexample is None)
        if self._wrong_lines:  # what is not proven by now rests on them
            left = [name for name in left if self.evidence[name].formulas.answer is Answer.RIGHT]
        if left and not self.failed:
            share = 0.3 if any(not self.evidence[name].is_settled for name in left) else 0.05
            self._run("exact numbers at random points", lambda: self._check(left), share)
        judged = {name: self.evidence[name].formulas.answer for name in self.task.judged}
        left = [name for name, answer in judged.items() if answer is not Answer.RIGHT]
        if left and not (self._wrong_lines or self._are_open or self.only_sizes):
            self.say("formulas for all sizes")
            open_ones = self._names(lambda e: not e.is_settled)
            self._run("formulas for all sizes", self._prove, 0.6 if open_ones else 0.15)
        for name in self._names(lambda e: not e.is_settled or self._may_be_wrong(e)):
            if (self._wrong_lines or self._are_open) and name not in self.task.lines:
                continue
            self.say(f"d{name} at small sizes")
            if name in self.task.judged:
                self._run("the proof at small sizes", self._prove_at, 0.5)
            if not self.evidence[name].is_settled or self._may_be_wrong(self.evidence[name]):
                self._run_search(name, 0.8)
        for name in self.task.judged if not self.sizes else ():
            if self.evidence[name].formulas.sizes:
                self._run_search(name, 0.3)
        for name in self._names(lambda e: decide(e).status is Status.PROVEN_AT):
            if not (self.only_sizes or decide(self.evidence[name]).is_enough):
                elsewhere = partial(self._look_elsewhere, name)
                self._run(f"other values of constants for d{name}", elsewhere, 0.3)

    @property
    def _wrong_lines(self) -> list[str]:
        """The steps whose claims are refuted, in backward's order."""
        return [name for name in self.task.lines if self.evidence[name].counterexample is not None]

    @property
    def _are_open(self) -> bool:
        """Whether the gradient of a step is left open, so that all needs its true one."""
        return any(self.evidence[name].is_open for name in self.task.lines)

    def _blame_lines(self) -> None:
        """Note what rests on a wrong line, and try the line's counterexample on it."""
        wrong = self._wrong_lines
        for name in self.task.judged if wrong else ():
            evidence = self.evidence[name]
            blamed = [line for line in wrong if line in evidence.formulas.rests]
            if blamed and evidence.formulas.answer is not Answer.RIGHT:
                self._note(name, rests_on_wrong=blamed[0])
                look = partial(self._look_there, blamed[0], name)
                self._run(f"the search for a counterexample for d{name}", look, 0.07, [name])

    def _look_there(self, line: str, name: str) -> None:
        known = self.evidence[line].counterexample
        assert known is not None
        found = counterexample_near(self.task, known, name, _rng())
        if found is None:
            self._search(name)
        else:
            numbers = Numbers(Answer.WRONG, self.checked_sizes)
            self._note(name, numbers=numbers, counterexample=found)

    def _run(
        self,
        what: str,
        call: Callable[[], None],
        share: float,
        names: Iterable[str] | None = None,
    ) -> None:
        """Run a step with a share of what is left, and note for whom it had to end."""
        before = len(self.budget.stopped)
        self.budget.run(what, call, None, self.share * share)
        if len(self.budget.stopped) > before:
            for name in self.evidence if names is None else names:
                if not self.evidence[name].stopped:
                    self._note(name, stopped=self.budget.stopped[-1])

    def _run_search(self, name: str, share: float) -> None:
        search = partial(self._search, name)
        self._run(f"the search for a counterexample for d{name}", search, share, [name])

    def _names(self, wanted: Callable[[Evidence], bool]) -> list[str]:
        return [name for name, evidence in self.evidence.items() if wanted(evidence)]

    def _note(self, name: str, **found: Any) -> None:
        self.evidence[name] = replace(self.evidence[name], **found)

    @staticmethod
    def _may_be_wrong(evidence: Evidence) -> bool:
        """Say whether a counterexample is still wanted for what is known to be wrong."""
        return bool(evidence.misfit) and evidence.counterexample is None

    def _refuse_arrays(self) -> None:
        arrays = [key for key, value in self.task.const.items() if np.ndim(value)]
        if arrays and self.task.axes and not self.sizes:
            raise ValueError(
                f"{arrays[0]} is an array in const, which fits some sizes only: name them in "
                "sizes, or leave its numbers open, and name its axes, as in "
                f'{arrays[0]}="const C"'
            )

    # Sizes.

    def _find_sizes(self) -> None:
        with errors_of_the_code():
            self.checked_sizes = self._sizes_that_run()

    def _sizes_that_run(self) -> dict[str, int]:
        """Choose sizes for numbers: all different, and such that forward runs and returns entries.

        Raises
        ------
        Exception
            What forward raises, if it runs at no sizes.
        """
        if self.sizes:
            try:
                self.floats.runs_at(self.sizes)
            except (ValueError, ArithmeticError, IndexError, AssertionError) as error:
                raise ValueError(
                    f"sizes: forward fails at {listed(self.sizes)}: {type(error).__name__}: {error}"
                ) from error
            return self.sizes
        first: Exception | None = None
        for sizes in islice(self._choices_of_sizes(), MOST_TRIED):
            try:
                if self.floats.runs_at(sizes):
                    return sizes
            except (ValueError, ArithmeticError, IndexError, AssertionError) as error:
                first = first or error
        if first is not None:
            if arrays := _arrays_of_the_object(self.task):
                raise ValueError(f"forward fails at all sizes that were tried: {first}; {arrays}")
            raise first
        return self.task.different_sizes(CHECKED_SIZES)

    def _choices_of_sizes(self) -> Iterator[dict[str, int]]:
        task, whole = self.task, self._whole_constants
        usual = [task.different_sizes(chosen) for chosen in (CHECKED_SIZES, CHECKED_SIZES[::-1])]
        yield from (sizes for sizes in usual if whole.isdisjoint(sizes.values()))
        others = sorted(
            {*OTHER_SIZES, *(k * n for n in whole if 1 < n < 9 for k in (2, 3))} - whole
        )
        if len(task.axes) <= len(others):
            for chosen in permutations(others, len(task.axes)):
                yield dict(zip(task.axes, chosen, strict=True))
        yield from usual
        for size in CHECKED_SIZES:  # where sizes must be equal
            yield dict.fromkeys(task.axes, size)

    @property
    def _whole_constants(self) -> set[int]:
        """Numbers that no size should equal, lest code takes one for the other."""
        values = self.task.const.values()
        return {v for v in values if isinstance(v, int) and not isinstance(v, bool)}

    # Steps.

    def _find_steps(self) -> None:
        """Find what the code names, and that it computes the same if nothing is watched."""
        run = self.floats.forward_at(self.checked_sizes)
        trace = run.watch
        if not trace.names or not run.y.size or self.only_sizes:
            return
        dy = np.random.default_rng(2).normal(size=run.y.shape)
        with suppress(ValueError, ArithmeticError):  # this is met again, and told, later
            claims = self.floats.claims(run, dy)
            if not any(claim is ... for claim in trace.claims.values()):
                self.floats.check_alone(run, dy, claims)
        self.task = replace(self.task, steps=tuple(trace.names), lines=tuple(trace.claims))
        lines = {name: self._nothing(name) for name in self.task.lines}
        self.evidence = {**lines, **self.evidence}

    # Floats.

    def _measure(self) -> None:
        """Compare the claims with slopes measured with floats, as a first look."""
        rng = _rng()
        seen: dict[str, set[Answer]] = {name: set() for name in self.evidence}
        floats = self.floats
        keeps, line = floats.what_it_keeps(self.checked_sizes), None
        if not keeps:
            keeps, line = looks_at_kinds(self.task)
        for trial in range(MEASURED if len(self.evidence) <= MANY else FEW):
            found = floats.measured(floats.random(self.checked_sizes, rng, trial), rng)
            for name in found.are_open:
                self._note(name, is_open=True)
            for name, misfit in found.misfits.items():
                self._note(name, numbers=Numbers(sizes=self.checked_sizes, misfit=misfit))
            for name, answer in found.answers.items():
                seen[name].add(answer)
            if found.failed:
                self.failed = found.failed
                return
        for name, answers in seen.items():
            answers.discard(Answer.NOTHING)
            answer = next(iter(answers)) if len(answers) == 1 else Answer.NOTHING
            why = (
                "slopes that are measured with floats do not settle it" if len(answers) > 1 else ""
            )
            misfit = self.evidence[name].numbers.misfit
            numbers = Numbers(answer, self.checked_sizes, exact=False, misfit=misfit, why=why)
            self._note(
                name,
                numbers=numbers,
                contradiction=keeps,
                contradicting=line,
                is_doubted=len(answers) > 1,
            )

    def _look_where_all_fit(self) -> None:
        failed, sizes = self.failed, self.checked_sizes
        self.failed, self.checked_sizes = "", dict.fromkeys(self.task.axes, CHECKED_SIZES[0])
        if not self.sizes:
            with_equal = self.evidence
            try:
                self._run("floats at random points", self._measure, 0.2)
            except FAILURES:
                self.evidence = with_equal
                self.failed = failed
        if self.sizes or self.failed:
            self.failed, self.checked_sizes = failed, sizes
            for name in self.task.judged:
                self._note(name, numbers=Numbers(sizes=sizes, misfit=failed))
            return
        for name, evidence in self.evidence.items():
            if evidence.numbers.answer is not Answer.RIGHT and not evidence.numbers.misfit:
                self._note(name, numbers=replace(evidence.numbers, misfit=failed))

    # Exact numbers.

    def _check(self, names: list[str]) -> None:
        """Compare slopes and claims exactly, at random points and at some where numbers tie."""
        rng, good, ties, compares = _rng(), 0, 0, True
        sizes = self.checked_sizes
        right: dict[str, int] = dict.fromkeys(names, 0)
        try:
            for case in evaluated(self.task, sizes, rng):
                if good >= POINTS and (ties >= TIES or not compares):
                    break
                answers = self._answers(case, names, rng, only_ties=good >= POINTS)
                if answers is None:
                    continue
                compares = case.met.compares
                ties, good = ties + case.met.tie, good + (not case.met.tie)
                if not case.met.tie and not any(self.evidence[n].contradiction for n in names):
                    self._compare_with_floats(case)
                for name, entry in answers.items():
                    if entry is None:
                        right[name] += 1
                    elif self.evidence[name].counterexample is None:
                        self._refuted(name, case, entry)
        except NotFollowedError as error:
            self._stopped(names, str(error), error.line)
        except (MisfitError, EmptyError) as error:
            self._stopped(names, str(error))
        except (CodeError, ValueError, ArithmeticError, IndexError) as error:
            own = error.error if isinstance(error, CodeError) else error
            why = f"with exact numbers in the place of floats, it fails: {type(own).__name__}"
            self._stopped(names, f"{why}: {error}", line_raised(own))
        for name in names:
            if right[name] and self.evidence[name].counterexample is None:
                found = Numbers(Answer.RIGHT, sizes, points=right[name])
                misfit = self.evidence[name].numbers.misfit
                self._note(name, numbers=replace(found, misfit=misfit))

    def _stopped(self, names: Iterable[str], why: str, line: Line | None = None) -> None:
        for name in names:
            numbers = self.evidence[name].numbers
            self._note(name, numbers=replace(numbers, why=why, line=line))

    def _answers(
        self, case: Evaluated, names: list[str], rng: np.random.Generator, *, only_ties: bool
    ) -> dict[str, tuple[int, ...] | None] | None:
        """Return for each gradient a wrong entry, or None if it is right here."""
        answers: dict[str, tuple[int, ...] | None] = {}
        try:
            claims = case.claims
        except (UndefinedError, ZeroDivisionError):
            return None
        if only_ties and not case.met.tie:
            return None
        for name in names:
            if self.evidence[name].is_open or claims.get(name) is ...:
                continue
            try:
                answers[name] = case.wrong_entry(name, case.claimed(name), rng)
            except MisfitError as error:
                self._note(name, numbers=replace(self.evidence[name].numbers, misfit=str(error)))
            except (UndefinedError, ZeroDivisionError):
                continue
        return answers or None

    def _refuted(self, name: str, case: Evaluated, entry: tuple[int, ...]) -> None:
        """Note that exact numbers refute, with a smaller counterexample if there is one."""
        found = case.counterexample(self.checked_sizes, name, entry)
        if found is not None and self._is_one_of_floats(name, found):
            numbers = Numbers(Answer.WRONG, self.checked_sizes)
            self._note(name, numbers=numbers, counterexample=found)
            self._search(name, case, entry)

    def _compare_with_floats(self, case: Evaluated) -> None:
        """Note where the code computes something else with floats than with exact numbers."""
        task = self.task
        inputs = case.arguments(lambda array: array.astype(float))
        try:
            exact_claims = case.claims
        except FAILURES:
            return
        dy = case.dy.astype(float)
        if not any(e.numbers.misfit for e in self.evidence.values()):
            try:  # as a user does, with the shapes of the signatures checked
                copies = {name: array.copy() for name, array in inputs.items()}
                _, cache = task.layer.run_forward({**copies, **task.const})
                task.claims(dy.copy(), copies, cache)
            except ShapeError as error:
                why = f"called with floats, it raises {type(error).__name__}: {error}"
                for name in task.judged:
                    self._note(name, contradiction=why, contradicting=line_raised(error))
                return
            except TypeError:
                pass  # a constant of another type than the signature's
        run = self.floats.forward(inputs)
        claims = self.floats.claims(run, dy)
        pairs = [("y", run.y, _floats(case.point.y))]
        for name in task.judged:
            if claims[name] is not ...:
                pairs.append((f"d{name}", claims[name], _floats(np.asarray(exact_claims[name]))))
        for name, value, expected in pairs:
            value = np.asarray(value)
            scale = np.abs(expected).max(initial=1.0)
            if value.shape != expected.shape or not np.isfinite(expected).all():
                continue
            tolerance = COARSE if value.dtype == np.float32 else FLOAT_TOLERANCE
            if np.abs(value.astype(float) - expected).max(initial=0.0) > tolerance * scale:
                why = f"with floats, the code computes another {name} than with exact numbers"
                for judged in task.judged:
                    self._note(judged, contradiction=why)
                return

    def _search(
        self, name: str, case: Evaluated | None = None, entry: tuple[int, ...] = ()
    ) -> None:
        """Search a counterexample at small sizes, or make the known one simpler."""
        evidence = self.evidence[name]
        proven = evidence.symbols is not None and evidence.symbols.answer is Answer.RIGHT
        candidates: Iterator[Mapping[str, int]] = small_sizes(self.task, self.sizes or None)
        if proven:
            candidates = islice(candidates, SMALL)
        sizes = list(candidates)
        sizes += [one for one in self._sizes_asked_for(evidence) if one not in sizes]
        if evidence.numbers.answer is Answer.WRONG:  # there is one, so it is worth while to go on
            sizes += [one for one in small_sizes(self.task, self.checked_sizes) if one not in sizes]
        if case is None and self.checked_sizes not in sizes:
            sizes.append(self.checked_sizes)
        sizes = [one for one in sizes if not evidence.formulas.leaves_nothing_at(one)]
        first = 0 if self.task.lines else SMALLEST
        ordered = chain(sizes[:first], self._ordered(name, sizes[first:]))
        found = smallest_counterexample(self.task, name, ordered, _rng())
        if found is None and case is not None:
            found = simplest(self.task, self.checked_sizes, case, name, entry)
        if found is not None and self._is_one_of_floats(name, found):
            numbers = Numbers(Answer.WRONG, self.checked_sizes, misfit=evidence.numbers.misfit)
            self._note(name, numbers=numbers, counterexample=found)

    def _is_one_of_floats(self, name: str, found: Counterexample) -> bool:
        """Say whether floats show it as well, if the code may treat exact numbers otherwise."""
        if not self.evidence[name].contradiction:
            return True
        task = self.task
        arrays = {
            n: found.inputs[n].astype(int if n in task.labels else float) for n in task.shapes
        }
        dy = found.inputs[task.upstream].astype(float)
        const = {n: float(v) if isinstance(v, Fraction) else v for n, v in found.const.items()}
        try:
            run = self.floats.forward(arrays, const=const)
            return self.floats.measured_here(name, run, dy, _rng()) is Answer.WRONG
        except NOT_THERE:
            return False

    def _ordered(
        self, name: str, sizes: Iterable[Mapping[str, int]]
    ) -> Iterator[Mapping[str, int]]:
        """Yield the sizes first at which slopes that are measured with floats differ."""
        others = []
        for one in sizes:
            if self.floats.differs_at(name, one, _rng()):
                yield one
            else:
                others.append(one)
        yield from others

    def _sizes_asked_for(self, evidence: Evidence) -> Iterator[dict[str, int]]:
        """Yield sizes at which code that computes with sizes may be wrong, the others 1 or 2.

        A size that is divided is several times its divisor. One that is needed as a number is one
        at which there is no proof, or near a number that stands in the code.
        """
        if self.sizes:
            return
        formulas = evidence.formulas
        asked: dict[str, list[int]] = {}
        for multiple in formulas.multiples:
            of = self.task.const.get(str(multiple.of), multiple.of)
            if isinstance(of, int | np.integer):
                asked[multiple.size] = [2 * int(of), 3 * int(of)]
        numbers = numbers_in(functions_of(*self.task.functions))
        near = {int(n) + d for n in numbers if n.denominator == 1 for d in (-1, 0, 1)}
        for name in {name for sizes in formulas.sizes for name in sizes} & set(self.task.axes):
            known = [sizes[name] for sizes in formulas.sizes if name in sizes]
            own = [] if formulas.answer is Answer.RIGHT else known
            far = sorted(n for n in near if max(BEYOND) < n <= FARTHEST)
            asked[name] = [*own, *BEYOND, *far]
        for other in (1, 2):
            for row in zip_longest(*asked.values()):
                pairs = zip(asked.items(), row, strict=True)
                chosen = {name: n or values[-1] for (name, values), n in pairs}
                yield {**dict.fromkeys(self.task.axes, other), **chosen}

    def _look_elsewhere(self, name: str) -> None:
        """Search a counterexample at other values of the constants that had to be known."""
        evidence = self.evidence[name]
        for key, value in evidence.formulas.at.items():
            if key in self.task.named | self.task.chosen:
                continue
            other = value + 1 if isinstance(value, int) else value / 2
            task = replace(self.task, const={**self.task.const, key: other})
            sizes = islice(small_sizes(self.task), SMALL)
            found = smallest_counterexample(task, name, sizes, _rng())
            if found is not None:
                self._note(name, elsewhere=found)
                return

    # Proofs.

    def _prove(self, *, by_steps: bool = False) -> None:
        """Compare formulas, for all sizes: line by line, or of all that forward does at once."""
        task = self.task if by_steps else replace(self.task, steps=(), lines=())
        wrong = self._names(lambda e: e.numbers.answer is Answer.WRONG)
        apart: dict[tuple[Compared, ...], bool] = {}
        found = findings(task, self.sizes, self._runs_where, wrong)
        if self.failed:  # backward as a whole does not run
            misfit = next((one.misfit for one in found.values() if one.misfit), "")
            found = {
                name: replace(one, answer=Answer.NOTHING, misfit=one.misfit or misfit)
                for name, one in found.items()
            }
        for name, formulas in found.items():
            evidence = self.evidence[name]
            if evidence.formulas.answer is Answer.RIGHT:
                continue
            numbers = evidence.numbers
            generic = evidence.counterexample is not None and not evidence.counterexample.at_tie
            is_general = not (formulas.sizes or formulas.multiples)
            if formulas.answer is Answer.RIGHT and is_general and (generic or numbers.misfit):
                how = numbers.misfit or "numbers at a random point say that it is wrong"
                raise DisagreementError(_disagreement(f"d{name}", how, self.checked_sizes))
            if by_steps and formulas.answer is Answer.RIGHT and name in self.task.judged:
                if formulas.compared not in apart:
                    apart[formulas.compared] = self._are_apart(formulas)
                if not apart[formulas.compared]:
                    formulas = replace(formulas, answer=Answer.NOTHING, why=TIED_STEPS)
            if formulas.answer is Answer.RIGHT or not evidence.formulas.true:
                rests = tuple(one for one in formulas.multiples if self._runs_beside(one))
                self._note(name, formulas=formulas, rests=rests)
        if by_steps:
            right = self._names(
                lambda e: e.formulas.answer is Answer.RIGHT and not e.formulas.sizes
            )
            self.task = replace(self.task, proven=frozenset(right) & {*self.task.lines})

    def _are_apart(self, formulas: Formulas) -> bool:
        """Say whether numbers that are compared in several steps are not equal at once."""
        return all(
            self._is_apart(one, formulas.multiples, alike=not formulas.is_excused)
            for one in formulas.compared
            if one.formulas
        )

    def _is_apart(self, compared: Compared, multiples: Iterable[Multiple], *, alike: bool) -> bool:
        usual = {**self.checked_sizes, **compared.numbers}
        sizes = {name: min(size, 2 + (n == 0)) for n, (name, size) in enumerate(usual.items())}
        small = {**sizes, **compared.numbers}  # of fewer numbers, fewer are compared
        usual = small if not self.sizes and self._runs_at(small) else usual
        if not self._are_apart_at(usual, compared, multiples, alike=alike, are_usual=True):
            return False
        others = [{**dict.fromkeys(self.task.axes, n), **compared.numbers} for n in APART_AT]
        return all(
            self._are_apart_at(sizes, compared, multiples, alike=alike, are_usual=False)
            for sizes in others
            if not self.sizes and self._runs_at(sizes)
        )

    def _runs_at(self, sizes: Mapping[str, int], const: Mapping[str, Any] | None = None) -> bool:
        try:
            return self.floats.runs_at(sizes, const)
        except NOT_THERE:
            return False

    def _are_apart_at(
        self,
        sizes: Mapping[str, int],
        compared: Compared,
        multiples: Iterable[Multiple],
        *,
        alike: bool,
        are_usual: bool,
    ) -> bool:
        rests = {one.rest: sizes[one.size] // self._divisor(one, sizes) for one in multiples}
        rng = np.random.default_rng(5)
        ends = [[self.floats.random(sizes, rng, trial=0) for _ in range(2)] for _ in range(LINES)]

        def at(line: int, place: float) -> dict[str, np.ndarray]:
            low, high = ends[line]
            inputs = {
                name: low[name]
                if name in self.task.labels
                else low[name] + place * (high[name] - low[name])
                for name in low
            }
            const = {
                name: np.asarray(value)
                for name, value in self.task.const.items()
                if is_number(value)
            }
            return {**const, **inputs, **self.floats.forward(inputs).watch.values}

        return are_apart(
            compared.formulas, at, {**sizes, **rests}, alike=alike, are_usual=are_usual
        )

    def _runs_where(self, numbers: Mapping[str, int]) -> bool:
        """Say whether forward runs, and returns entries, where some sizes or constants are known.

        The other sizes are some at which it does, if there are any.
        """
        const = {name: n for name, n in numbers.items() if name in self.task.const}
        usual = [self.checked_sizes, *islice(self._choices_of_sizes(), SMALL)]
        return any(
            self._runs_at({name: numbers.get(name, n) for name, n in sizes.items()}, const)
            for sizes in usual
        )

    def _divisor(self, multiple: Multiple, sizes: Mapping[str, int]) -> int:
        of = self.task.const.get(str(multiple.of), multiple.of)
        return sizes.get(of, 2) if isinstance(of, str) else int(of)

    def _runs_beside(self, multiple: Multiple) -> bool:
        """Say whether forward also runs where a size that it divides is not the multiple."""
        by = self._divisor(multiple, self.checked_sizes)
        return by > 1 and any(
            self._runs_where({multiple.size: factor * by + 1}) for factor in BESIDE
        )

    def _prove_at(self) -> None:
        """Prove with a symbol for every entry, at the sizes named or at small ones; once."""
        if any(evidence.symbols for evidence in self.evidence.values()):
            return
        sizes = self.sizes
        if not sizes:
            apart = [size for size in PROVEN_SIZES if size not in self._whole_constants]
            sizes = self.task.different_sizes(apart or PROVEN_SIZES)
            try:
                if not self.floats.runs_at(sizes):
                    sizes = self.checked_sizes
            except FAILURES:
                sizes = self.checked_sizes
        for name in self.task.judged:
            self._note(name, symbols=Symbols(sizes, why="not finished"))
        try:
            left, number = exact.unproven(self.task, sizes)
        except (*FAILURES, IndexError, RecursionError) as error:
            why, line = _what_stopped(error)
            for name in self.task.judged:
                self._note(name, symbols=Symbols(sizes, why=why, line=line))
            return
        for name in self.task.judged:
            answer = Answer.NOTHING if left.get(name) else Answer.RIGHT
            self._note(name, symbols=Symbols(sizes, answer, number))


def _what_stopped(error: Exception) -> tuple[str, Line | None]:
    """Say what stopped symbols, and where."""
    if isinstance(error, NotFollowedError):
        return str(error), error.line
    if isinstance(error, CodeError):
        kind = type(error.error).__name__
        return f"with symbols, the code fails: {kind}: {error}", error.line
    return f"the code fails there: {error}", line_raised(error)


def _floats(array: np.ndarray) -> np.ndarray:
    return filled(
        array.shape, (float(getattr(entry, "value", entry)) for entry in array.flat)
    ).astype(float)


def _disagreement(what: str, how: str, sizes: Mapping[str, int]) -> str:
    return (
        f"the engines disagree on {what}: the calculus proves it for all sizes, but at "
        f"{listed(sizes)}, {how}. Either the code looks at the sizes or at the kind of numbers "
        "that it is given, or catches errors, or there is an error in backprop_lib.proof: please "
        "report it"
    )


def _rng() -> np.random.Generator:
    return np.random.default_rng(20260101)
