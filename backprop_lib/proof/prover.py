"""The front door: prove a backward pass for all sizes, or find a counterexample.

The engines fail in different ways, and are played against each other. The calculus proves for all
sizes; dual numbers check the same code at random points, at sizes that are all different; and the
same points are run with floats. Where the code does what exact numbers do not follow, slopes
measured with floats stand in for them. Nothing is called proven that no numbers confirm, and only a
point at which forward has a gradient and the claim is another number refutes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backprop_lib.gradcheck import compare_along_direction
from backprop_lib.layer import Layer
from backprop_lib.proof import exact
from backprop_lib.proof.all_sizes import Finding, findings
from backprop_lib.proof.dual import UndefinedError
from backprop_lib.proof.refusal import DisagreementError, NotFollowedError, errors_of_the_code
from backprop_lib.proof.report import Report, Verdict
from backprop_lib.proof.scalar import filled
from backprop_lib.proof.task import Task
from backprop_lib.proof.witness import (
    Evaluated,
    MisfitError,
    evaluated,
    random_labels,
    small_sizes,
    smallest_counterexample,
)
from backprop_lib.shapes import ShapeError, unchecked, written

Progress = Callable[[str], None]

CHECKED_SIZES = (3, 2, 4, 5, 6)
"""The sizes of the axes in the random check: all different, so that none is taken for another."""
PROVEN_SIZES = (2, 3, 1)
"""The sizes of the axes in a proof at named sizes, if the caller names none."""
POINTS = 2
FLOAT_TOLERANCE = 1e-6
MEASURED = 6


def prove(
    layer: Any,
    backward: Callable[..., Any] | None = None,
    /,
    *,
    const: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    progress: Progress | None = None,
    **shapes: str,
) -> Report:
    """Prove every gradient that a backward returns, for all sizes, or find a counterexample.

    The code itself is run, on arrays whose sizes and entries are symbols. With L = Σ dy·y and an
    upstream gradient dy of independent symbols, the derivative of L by an input is compared with
    what backward returns.

    Parameters
    ----------
    layer, backward
        A module with ``forward`` and ``backward``, or the two functions: ``forward(*inputs)``
        returns ``(y, cache)``, ``backward(dy, *cache)`` one gradient for each input.
    const : dict, optional
        Arguments of forward that have no gradient. A float such as 1e-5 is left open at first, so
        that the proof holds for every value but special ones such as 0; and it is the decimal
        that it is written as where numbers are needed. Numbers that are defaults of forward need
        not be named. With an array, sizes are needed.
    sizes : dict, optional
        Sizes such as ``{"N": 2, "C_in": 3}`` at which to prove what is undecided for all sizes.
    progress : callable, optional
        It is called with one line of text before each step.
    **shapes : str
        The axes of each input, such as ``x="N C_in"``; not needed where forward's signature has
        them (see `backprop_lib.shapes`). A number is an axis of that size, "" no axis. Of
        ``"N C *L"``, 0, 1 and 2 axes L are tried. ``mask="const N C"`` is an array of any numbers,
        and ``t="N < C"`` one of labels, whole numbers from 0 to C - 1; they have no gradient.

    Returns
    -------
    Report
        One verdict for each gradient, true if all are proven:

        - "proven" for all sizes, wherever forward and backward are defined, and where no two
          numbers that are compared are equal, if the code compares any;
        - "refuted", with the smallest counterexample that was found;
        - "shape error", with the axes that do not fit, and with a counterexample at sizes at
          which they happen to fit, if the claim is wrong there too;
        - "undecided", with what the other engines say at small sizes;
        - "not answered yet", for a gradient given as ``...``.

    Raises
    ------
    TypeError
        If the functions are not those of a layer, or the shapes are missing.
    ValueError
        If the shapes or the sizes make no sense.
    RuntimeError
        If forward or backward changes an argument in place, or forward draws random numbers.
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
    task = Task.of_backward(Layer.of(layer, backward), shapes, const or {})
    with errors_of_the_code():
        return _report(task, sizes, progress)


def refute(
    forward: Callable[..., Any],
    /,
    *,
    wrt: str,
    claim: Callable[..., Any],
    const: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    progress: Progress | None = None,
    **shapes: str,
) -> Report:
    """Judge a formula for the gradient of one input, as `prove` judges a backward.

    Parameters
    ----------
    wrt : str
        The input whose gradient is claimed.
    claim : callable
        ``claim(dy, *inputs)``, the inputs in forward's order.
    forward, const, sizes, progress, **shapes
        As in `prove`.

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
    task = Task.of_claim(Layer(forward, forward), wrt, claim, shapes, const or {})
    with errors_of_the_code():
        return _report(task, sizes, progress)


def prove_at(
    layer: Any,
    backward: Callable[..., Any] | None = None,
    /,
    *,
    sizes: Mapping[str, int],
    const: Mapping[str, Any] | None = None,
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
    layer, backward, const, **shapes
        As in `prove`.

    Returns
    -------
    Report
        As `prove`, but "proven" is proven at these sizes only.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `prove`; also ValueError if a size is missing, unknown or not a positive integer.

    References
    ----------
    As for `prove`.
    """
    task = Task.of_backward(Layer.of(layer, backward), shapes, const or {})
    task.check_sizes(sizes)
    with errors_of_the_code():
        return _report_at(task, sizes)


@dataclass
class _Checked:
    """What exact and rounded numbers say at random points."""

    of: dict[str, str] = field(default_factory=dict)
    """For each input: "agrees", "differs", "open", or nothing."""
    misfit: dict[str, str] = field(default_factory=dict)
    failed: str = ""
    """How the shapes do not fit, if backward as a whole fails on them."""
    refused: str = ""
    rounded: str = ""
    """How the code computes something else with floats."""
    measured: dict[str, str] = field(default_factory=dict)
    """What slopes measured with floats say, where exact numbers say nothing."""

    def of_gradient(self, name: str) -> str:
        """Return "agrees", "differs", "open", or nothing."""
        return self.of.get(name) or self.measured.get(name, "")


def _report_at(task: Task, sizes: Mapping[str, int]) -> Report:
    at = _written(sizes)
    checked = _check(task, sizes)
    left, note = _proof_at(task, sizes)
    verdicts = []
    for name in task.judged:
        state = checked.of_gradient(name)
        if state == "open":
            verdicts.append(Verdict(f"d{name}", "not answered yet", ""))
        elif checked.failed or name in checked.misfit:
            misfit = checked.misfit.get(name, checked.failed)
            verdicts.append(_shape_error(task, name, misfit, sizes))
        elif checked.rounded:
            verdicts.append(Verdict(f"d{name}", "undecided", f": {checked.rounded}"))
        elif left is not None and not left.get(name) and state == "agrees":
            verdicts.append(Verdict(f"d{name}", "proven", f" at {at}{note}"))
        else:
            candidates = [*small_sizes(task, sizes), sizes]
            found = smallest_counterexample(task, name, candidates, _rng())
            if found is not None:
                verdicts.append(_refuted(name, found))
            else:
                reason = f" at {at}: " + (note if left is None else "no proof, and no witness")
                verdicts.append(Verdict(f"d{name}", "undecided", reason))
    return Report(tuple(verdicts))


def _report(task: Task, sizes: Mapping[str, int] | None, progress: Progress | None) -> Report:
    tasks = task.spelled_out()
    reports = []
    for one in tasks:
        if sizes is not None and len(tasks) == 1:
            one.check_sizes(sizes)
        label = "" if len(tasks) == 1 else f" with {_shapes(one)}"
        reports.append(_judged(one, sizes if len(tasks) == 1 else None, progress, label))
    if len(reports) == 1:
        return reports[0]
    return Report(
        tuple(_worst([report[f"d{name}"] for report in reports], tasks) for name in task.judged)
    )


def _shapes(task: Task) -> str:
    return ", ".join(f"{name} ({', '.join(axes.split())})" for name, axes in task.shapes.items())


def _worst(verdicts: list[Verdict], tasks: list[Task]) -> Verdict:
    """Merge the verdicts for several numbers of axes: proven only if all are."""
    for verdict in verdicts:
        if verdict.status != "proven":
            return verdict
    first = next(name for name, axes in tasks[0].shapes.items() if axes != tasks[1].shapes[name])
    shown = " and ".join(f"({', '.join(task.shapes[first].split())})" for task in tasks)
    best = verdicts[1]
    return Verdict(
        best.gradient,
        "proven",
        f" for all sizes, with {first} of shape {shown}",
        formula=best.formula,
        where=best.where,
    )


def _judged(
    task: Task, sizes: Mapping[str, int] | None, progress: Progress | None, label: str
) -> Report:
    say = progress or (lambda _: None)
    say(f"exact numbers at random points{label}")
    arrays = [key for key, value in task.const.items() if np.ndim(value)]
    if arrays and task.axes and sizes is None:
        raise ValueError(
            f"{arrays[0]} is an array in const, which fits some sizes only: name them in sizes, or "
            f'leave its numbers open, and name its axes, as in {arrays[0]}="const C"'
        )
    is_fixed = bool(arrays) and sizes is not None
    checked_sizes = dict(sizes or {}) if is_fixed else _sizes_that_run(task)
    checked = _check(task, checked_sizes)
    if checked.failed:  # one gradient's shapes may hide the others; where all are equal they fit
        equal_sizes = dict.fromkeys(task.axes, CHECKED_SIZES[0])
        again = _check(task, equal_sizes)
        if not again.failed:
            again.failed = checked.failed
            checked, checked_sizes = again, equal_sizes
    say(f"formulas for all sizes{label}")
    found = findings(task)
    has_floats = any(isinstance(value, float) for value in task.const.values())
    if has_floats and any(
        f.equal and checked.of_gradient(n) == "differs" for n, f in found.items()
    ):
        found = findings(task, values=True)  # a constant of a special value, such as 0
    elif has_floats and not all(finding.equal for finding in found.values()):
        with_values = findings(task, values=True)
        found = {
            n: with_values[n] if with_values[n].equal > f.equal else f for n, f in found.items()
        }
    if checked.failed and all(finding.equal for finding in found.values()):
        raise DisagreementError(_disagreement(task.claimant, checked.failed, checked_sizes))
    verdicts = []
    for name in task.judged:
        verdict = _first_verdict(task, name, found[name], checked, checked_sizes)
        if verdict is None:
            say(f"d{name} at small sizes{label}")
            verdict = _second_verdict(task, name, found[name], checked, checked_sizes, sizes)
        verdicts.append(verdict)
    return Report(tuple(verdicts))


def _sizes_that_run(task: Task) -> dict[str, int]:
    """Choose sizes for the random check: all different, and such that forward runs."""
    choices = [task.different_sizes(chosen) for chosen in (CHECKED_SIZES, CHECKED_SIZES[::-1])]
    for sizes in choices:
        try:
            next(evaluated(task, sizes, _rng(), 1), None)
        except ValueError:  # a kernel that is longer than its input, for instance
            continue
        except (NotFollowedError, RuntimeError):
            pass
        return sizes
    return choices[0]


def _first_verdict(
    task: Task, name: str, finding: Finding, checked: _Checked, checked_sizes: Mapping[str, int]
) -> Verdict | None:
    """Judge what the calculus and the random points settle between them."""
    state = checked.of_gradient(name)
    if state == "open":
        return Verdict(f"d{name}", "not answered yet", "")
    if finding.equal and not state and name not in checked.misfit:
        nowhere = "at no random point is it defined, and without ties"
        why = checked.refused or checked.failed or nowhere
        return Verdict(f"d{name}", "undecided", f": no number confirms it: {why}")
    if finding.equal:
        if state == "differs" or name in checked.misfit:
            wrong = "numbers at a random point say that it is wrong"
            how = checked.misfit.get(name, wrong)
            raise DisagreementError(_disagreement(f"d{name}", how, checked_sizes))
        if checked.rounded:
            return Verdict(f"d{name}", "undecided", f": {checked.rounded}")
        return Verdict(
            f"d{name}", "proven", " for all sizes", formula=finding.true, where=finding.where
        )
    if name in checked.misfit or checked.failed:
        misfit = finding.misfit or checked.misfit.get(name, checked.failed)
        return _shape_error(task, name, misfit, None, finding)
    return None


def _second_verdict(
    task: Task,
    name: str,
    finding: Finding,
    checked: _Checked,
    checked_sizes: Mapping[str, int],
    sizes: Mapping[str, int] | None,
) -> Verdict:
    """Search small sizes for a counterexample; if there is none, prove there."""
    notes = []
    if checked.of_gradient(name) != "differs":
        named = sizes or task.different_sizes(PROVEN_SIZES)
        left, note = _proof_at(task, named)
        if left is not None and not left.get(name):
            notes.append(f"at {_written(named)}: proven{note}")
        elif left is None:
            notes.append(f"at {_written(named)}: {note}")
        else:
            notes.append(f"at {_written(named)}: no proof")
    if not notes or "proven" not in notes[0]:
        candidates = [*small_sizes(task), checked_sizes]
        counterexample = smallest_counterexample(task, name, candidates, _rng())
        if counterexample is not None:
            return _refuted(name, counterexample, finding)
    if checked.of.get(name) == "agrees":
        notes.append(f"at {_written(checked_sizes)}: exact at {POINTS} random points")
    elif checked.measured.get(name) == "agrees":
        notes.append(f"at {_written(checked_sizes)}: agrees with measured slopes")
    elif checked.measured.get(name) == "differs":
        notes.append(f"at {_written(checked_sizes)}: WRONG by slopes measured with floats")
    elif checked.refused:
        notes.append(f"at random points: {checked.refused}")
    why = finding.refused or finding.misfit or "the two formulas were not found to be equal"
    return Verdict(
        f"d{name}", "undecided", f" for all sizes: {why}", formula=finding.true, notes=tuple(notes)
    )


def _check(task: Task, sizes: Mapping[str, int]) -> _Checked:
    """Compare slopes and claims at random points, exactly, and the same with floats."""
    checked = _Checked()
    good = 0
    try:
        for case in evaluated(task, sizes, _rng()):
            if good == POINTS:
                break
            states = _states(case, checked)
            if states is not None:
                good += 1
                for name, state in states.items():
                    if checked.of.get(name) != "differs":
                        checked.of[name] = state
                checked.rounded = checked.rounded or _rounded(case, checked.misfit)
    except NotFollowedError as error:
        checked.refused = str(error)
    except MisfitError as error:
        checked.failed = str(error)
    if not checked.failed and not good:
        _measure(task, sizes, checked)
    return checked


def _measure(task: Task, sizes: Mapping[str, int], checked: _Checked) -> None:
    """Where exact numbers say nothing, measure slopes with floats along random directions."""
    rng = _rng()
    states: dict[str, set[str]] = {name: set() for name in task.judged}
    for trial in range(MEASURED):
        labels = random_labels(task, sizes, rng)
        inputs: dict[str, np.ndarray] = {}
        for name in task.shapes:
            drawn = rng.normal(size=task.shape_of(name, sizes))
            inputs[name] = labels.get(name, np.abs(drawn) + 1 if trial % 2 else drawn)
        for name, state in _measured(task, inputs, rng, checked).items():
            states[name].add(state)
    for name, seen in states.items():
        seen.discard("")
        if len(seen) == 1:
            checked.measured[name] = seen.pop()
        elif seen:  # a kink may spoil some points, an error of the code spoils all in a region
            checked.rounded = (
                f"with floats, d{name} agrees with measured slopes at some points only"
            )


def _measured(
    task: Task, inputs: Mapping[str, np.ndarray], rng: np.random.Generator, checked: _Checked
) -> dict[str, str]:
    def run(at: Mapping[str, np.ndarray]) -> tuple[np.ndarray, Any]:
        with unchecked(), np.errstate(all="ignore"):
            copies = {name: array.copy() for name, array in at.items()}
            return task.layer.run_forward({**copies, **task.const})

    states = {}
    y, cache = run(inputs)
    if not np.isfinite(y).all():
        return {}  # not defined here
    dy = rng.normal(size=y.shape)
    given = {name: array.copy() for name, array in inputs.items()}
    with unchecked(), np.errstate(all="ignore"):
        claims = task.claims(dy.copy(), given, cache)
    for name in task.judged:
        if claims[name] is ...:
            states[name] = "open"
            continue
        claimed = np.asarray(claims[name])
        if claimed.shape != inputs[name].shape:
            have, want = written(claimed.shape), written(inputs[name].shape)
            checked.misfit[name] = f"d{name} is {have}, {name} is {want}"
            continue
        comparison = compare_along_direction(
            name,
            inputs[name],
            y,
            dy,
            lambda **moved: run({**inputs, **moved})[0],
            claimed,
            rng,
        )
        states[name] = "agrees" if comparison.agrees else "differs"
    return states


def _states(case: Evaluated, checked: _Checked) -> dict[str, str] | None:
    """Compare every claim along a random direction; return None at a tie or outside the domain."""
    rng = _rng()
    states = {}
    try:
        claims = case.claims()
        for name in case.task.judged:
            if claims[name] is ...:
                states[name] = "open"
                continue
            try:
                claimed = case.claim(name, claims)
            except MisfitError as error:
                checked.misfit[name] = str(error)
                continue
            sign = case.differs_along(name, claimed, rng.integers(1, 99, claimed.shape))
            states[name] = {0: "agrees", None: ""}.get(sign, "differs")
    except (UndefinedError, ZeroDivisionError):
        return None
    return None if case.met.tie else states


def _rounded(case: Evaluated, misfit: Mapping[str, str]) -> str:
    """Say where floats give something else than exact numbers, if they do."""
    task = case.task
    inputs = case.arguments(lambda array: array.astype(float))

    def run() -> tuple[np.ndarray, Mapping[str, Any]]:
        y, cache = task.layer.run_forward({**inputs, **task.const})
        return y, task.claims(case.dy.astype(float), inputs, cache)

    try:
        exact_claims = case.claims()
    except (MisfitError, NotFollowedError):
        return ""
    if not misfit:
        try:
            run()  # as a user does, with the shapes of the signatures checked
        except ShapeError as error:
            return f"called with floats, it raises {type(error).__name__}: {error}"
        except TypeError:
            pass  # a constant of another type than the signature's
    with unchecked():
        y, claims = run()
    y_exact, _ = case.point.run(case.met, {})
    pairs = [("y", y, _floats(y_exact))]
    for name in task.judged:
        if claims[name] is not ...:
            pairs.append((f"d{name}", claims[name], _floats(np.asarray(exact_claims[name]))))
    for name, value, expected in pairs:
        value = np.asarray(value, dtype=float)
        scale = np.abs(expected).max(initial=1.0)
        if value.shape != expected.shape or np.abs(value - expected).max(initial=0.0) > (
            FLOAT_TOLERANCE * scale
        ):
            return f"with floats, the code computes another {name} than with exact numbers"
    return ""


def _floats(array: np.ndarray) -> np.ndarray:
    return filled(
        array.shape, (float(getattr(entry, "value", entry)) for entry in array.flat)
    ).astype(float)


def _proof_at(task: Task, sizes: Mapping[str, int]) -> tuple[dict[str, str] | None, str]:
    """Prove at named sizes: return what is left of each gradient, or None and the reason."""
    try:
        left, number = exact.unproven(task, sizes)
    except NotFollowedError as error:
        return None, str(error)
    except (ValueError, ArithmeticError, IndexError) as error:
        return None, f"the code fails there: {error}"
    return left, f" on each of {number} branches" if number > 1 else ""


def _shape_error(
    task: Task,
    name: str,
    misfit: str,
    largest: Mapping[str, int] | None,
    finding: Finding | None = None,
) -> Verdict:
    counterexample = smallest_counterexample(task, name, small_sizes(task, largest), _rng())
    return Verdict(
        f"d{name}",
        "shape error",
        f": {misfit}",
        counterexample,
        formula=finding.true if finding else None,
    )


def _refuted(name: str, counterexample: Any, finding: Finding | None = None) -> Verdict:
    where = f" in entry {list(counterexample.entry)}" if counterexample.entry else ""
    return Verdict(
        f"d{name}", "refuted", where, counterexample, formula=finding.true if finding else None
    )


def _disagreement(what: str, how: str, sizes: Mapping[str, int]) -> str:
    return (
        f"the engines disagree on {what}: the calculus proves it for all sizes, but at "
        f"{_written(sizes)}, {how}. Either the code looks at the sizes or at the kind of numbers "
        "that it is given, or catches errors, or there is an error in backprop_lib.proof: please "
        "report it"
    )


def _written(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{axis} = {size}" for axis, size in sizes.items())


def _rng() -> np.random.Generator:
    return np.random.default_rng(20260101)
