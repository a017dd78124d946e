"""What a proof answers: one verdict for each gradient, a counterexample where it is wrong."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import sympy as sp

from backprop_lib.proof.lines import Line
from backprop_lib.proof.writing import gradient_name, latex_name

LONGEST_FORMULA = 90
LONGEST_NUMBER = 12
EULER = sp.Symbol("e")
SMALLEST_NUMBER = 1e-30
"""A number that is known to be smaller than this only by its digits is printed as 0."""


class Status(StrEnum):
    """What can be said of a gradient."""

    PROVEN = "proven"
    """For all sizes, and for all values of all constants."""
    PROVEN_AT = "proven at"
    """At the sizes or values that are named, and perhaps not at others."""
    REFUTED = "refuted"
    SHAPE_ERROR = "shape error"
    UNDECIDED = "undecided"
    OPEN = "not answered yet"


MARKS = {
    Status.PROVEN: "✓",
    Status.PROVEN_AT: "✓",
    Status.REFUTED: "✗",
    Status.SHAPE_ERROR: "✗",
}


@dataclass(frozen=True)
class ClosedForm:
    """A gradient as a formula, for people to read."""

    text: str
    latex: str


@dataclass(frozen=True)
class Counterexample:
    """Exact inputs at which a claimed gradient is not the gradient."""

    sizes: Mapping[str, int]
    inputs: Mapping[str, np.ndarray]
    """The inputs and the upstream gradient dy, as arrays of exact numbers."""
    entry: tuple[int, ...]
    """An entry in which the two gradients differ."""
    true: np.ndarray
    claimed: np.ndarray
    const: Mapping[str, Any] = field(default_factory=dict)
    """The constants, such as eps; a friendly value in the place of a tiny one."""
    at_tie: bool = False
    """Whether numbers that are compared are equal there."""

    def __repr__(self) -> str:
        lines = [f"with {listed({**self.sizes, **self.const})} and"]
        lines += [f"  {name} = {_plain(array)}" for name, array in self.inputs.items()]
        lines.append(f"the gradient is {_plain(self.true)}, the claim {_plain(self.claimed)}")
        return "\n".join(lines)

    def latex(self, gradient: str) -> str:
        """Return inputs and gradients as LaTeX."""
        given = [f"{gradient_name(name)} = {_matrix(array)}" for name, array in self.inputs.items()]
        symbol = gradient_name(gradient)
        results = [
            rf"\text{{true }} {symbol} = {_matrix(self.true)}",
            rf"\text{{claimed }} {symbol} = {_matrix(self.claimed)}",
        ]
        lines = [r",\quad ".join(given), r",\quad ".join(results)]
        return rf"\begin{{aligned}} &{lines[0]} \\ &{lines[1]} \end{{aligned}}"


@dataclass(frozen=True)
class Verdict:
    """What is known of one gradient."""

    gradient: str
    status: Status
    reason: str
    """What was shown, or what went wrong; it continues the line after the status."""
    line: Line | None = None
    """The line of the code that stopped it, if it is undecided."""
    is_enough: bool = False
    """Whether all is proven that was asked for."""
    counterexample: Counterexample | None = None
    formula: ClosedForm | None = None
    """The true gradient, derived by the index calculus."""
    where: tuple[str, ...] = ()
    """On which set of inputs it holds, apart from being defined there."""
    conditions: tuple[str, ...] = ()
    """Those of them under which forward is defined at all."""
    notes: tuple[str, ...] = ()
    """What the other engines say."""

    @property
    def is_refuted(self) -> bool:
        """Whether the claim is wrong."""
        return self.status in (Status.REFUTED, Status.SHAPE_ERROR)

    def __bool__(self) -> bool:
        return self.is_enough

    def __repr__(self) -> str:
        return self.text()

    def text(self, *, is_short: bool = False) -> str:
        """Return the verdict as text; a short one shows neither formula nor counterexample."""
        lines = [f"{self.gradient}: {self.status}{self.reason}"]
        if is_short:
            return lines[0]
        lines += [f"  {self.line}"] if self.line else []
        lines += [f"  where {condition}" for condition in self.where]
        if (
            self.formula
            and self.status in (Status.PROVEN, Status.PROVEN_AT)
            and len(self.formula.text) <= LONGEST_FORMULA
        ):
            lines.append(f"  {self.formula.text}")
        lines += [f"  {note}" for note in self.notes]
        if self.counterexample is not None:
            if self.status is Status.SHAPE_ERROR:
                lines.append("  and wrong where the sizes happen to fit:")
            if self.status is Status.PROVEN_AT:
                lines.append("  but wrong elsewhere:")
            lines += ["  " + line for line in repr(self.counterexample).splitlines()]
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def markdown(self, *, is_short: bool = False, what: str = "") -> str:
        """Return the verdict as Markdown; a short one shows neither formula nor counterexample."""
        symbol = gradient_name(self.gradient)
        mark = MARKS.get(self.status, "?")
        parts = [f"{mark} {what}${symbol}$: **{self.status}**{_escaped(self.reason)}"]
        if is_short:
            return parts[0]
        parts += [_line_as_markdown(self.line)] if self.line else []
        parts += [f"where {_escaped(condition)}" for condition in self.where]
        parts += [_escaped(note) for note in self.notes]
        text = "; ".join(parts)
        if self.formula and self.status in (Status.PROVEN, Status.PROVEN_AT):
            text += f"\n\n$${self.formula.latex}$$"
        elif self.formula and len(self.formula.text) <= LONGEST_FORMULA:
            text += f"\n\nThe gradient is\n\n$${self.formula.latex}$$"
        if self.counterexample is not None:
            numbers = {**self.counterexample.sizes, **self.counterexample.const}
            sizes = ",\\; ".join(f"{latex_name(key)} = {n}" for key, n in numbers.items())
            fits = {
                Status.SHAPE_ERROR: "where the sizes happen to fit, ",
                Status.PROVEN_AT: "at other values, ",
            }.get(self.status, "")
            text += f"\n\nA counterexample, {fits}with ${sizes}$:\n\n"
            text += f"$${self.counterexample.latex(self.gradient)}$$"
        return text


@dataclass(frozen=True)
class Report:
    """The verdicts on a layer: true if every gradient is proven as far as was asked.

    That is for all sizes and for all values of all constants, but for sizes and values that the
    caller has named. If backward names the gradients of steps, they have to be proven as well.
    """

    verdicts: tuple[Verdict, ...]
    interrupted: bool = False
    """Whether Ctrl-C ended the search, and not all was tried."""
    notes: tuple[str, ...] = ()
    """How the layer was run, which holds for all verdicts."""
    steps: Any = ()
    """What forward has named with `backprop_lib.steps.step`: `backprop_lib.proof.graph.Steps`."""

    @property
    def lines(self) -> dict[str, Verdict]:
        """The verdicts on what backward has named, by the names of the steps, in its order."""
        return self.steps.verdicts if self.steps != () else {}

    def __bool__(self) -> bool:
        return bool(self.verdicts) and all(self.verdicts) and all(self.lines.values())

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __getitem__(self, gradient: str) -> Verdict:
        known = (*self.lines.values(), *self.verdicts)
        for verdict in known:
            if verdict.gradient == gradient:
                return verdict
        names = ", ".join(verdict.gradient for verdict in known)
        raise KeyError(f"{gradient} is not among the gradients {names}")

    @property
    def first_wrong(self) -> str:
        """The first named step of backward whose own line is refuted, or ""."""
        wrong = (verdict.gradient for verdict in self.lines.values() if verdict.is_refuted)
        return next(wrong, "")

    def __repr__(self) -> str:
        wrong = self.first_wrong
        parts = [_steps_text(group) for group in self._groups()]
        parts += [f"the first wrong step is {wrong}"] if wrong else []
        for verdict in self.verdicts:
            parts.append(verdict.text(is_short=bool(wrong) and verdict.is_refuted))
        return "\n".join([*parts, *self.notes])

    def _groups(self) -> list[list[Verdict]]:
        """Return the verdicts on steps: what is to be said of several at once is together."""
        groups: list[list[Verdict]] = []
        for verdict in self.lines.values():
            last = groups[-1][-1] if groups else None
            is_more = last and last.is_enough and verdict.is_enough
            if is_more and last and last.reason == verdict.reason:
                groups[-1].append(verdict)
            else:
                groups.append([verdict])
        return groups

    def _repr_markdown_(self) -> str:
        wrong = self.first_wrong
        parts = [_steps_markdown(group) for group in self._groups()]
        parts += [f"The first wrong step is ${gradient_name(wrong)}$."] if wrong else []
        parts += [
            verdict.markdown(is_short=bool(wrong) and verdict.is_refuted)
            for verdict in self.verdicts
        ]
        return "\n\n".join([*parts, *map(_escaped, self.notes)])


def _steps_text(group: list[Verdict]) -> str:
    """Write the verdicts on some steps: of those that are proven, their names only."""
    if not group[0].is_enough:
        return f"step {group[0].text()}"
    names = ", ".join(verdict.gradient for verdict in group)
    return f"step{'s' * (len(group) > 1)} {names}: {group[0].status}{group[0].reason}"


def _steps_markdown(group: list[Verdict]) -> str:
    first = group[0]
    if not first.is_enough:
        return first.markdown(what="step ")
    names = ", ".join(f"${gradient_name(verdict.gradient)}$" for verdict in group)
    what = f"step{'s' * (len(group) > 1)} {names}"
    return f"{MARKS[first.status]} {what}: **{first.status}**{_escaped(first.reason)}"


def listed(values: Mapping[str, Any]) -> str:
    """Write sizes or values: ``N = 2, p = 0.5, mode = 'sum'``."""
    return ", ".join(f"{name} = {_value(value)}" for name, value in values.items())


def _value(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _escaped(text: str) -> str:
    for sign in "\\_*$":
        text = text.replace(sign, "\\" + sign)
    return text


def _line_as_markdown(line: Line) -> str:
    place = _escaped(line.place)
    if not line.source:
        return place
    ticks = "`" * (1 + max(map(len, re.findall("`+", line.source)), default=0))
    space = " " if "`" in line.source else ""
    return f"{place}: {ticks}{space}{line.source}{space}{ticks}"


def _plain(array: np.ndarray) -> str:
    return str(_mapped(array.tolist(), _short)).replace("'", "")


def _mapped(value: Any, function: Any) -> Any:
    return [_mapped(v, function) for v in value] if isinstance(value, list) else function(value)


def _short(number: Any) -> str:
    """Write a number, rounded if it is long; SymPy would write Euler's as E."""
    text = str(number.xreplace({sp.E: EULER}) if isinstance(number, sp.Basic) else number)
    return text if len(text) <= LONGEST_NUMBER else _rounded(number, "≈ {}")


def _short_latex(number: Any) -> str:
    if len(str(number)) > LONGEST_NUMBER:
        return _rounded(number, r"\approx {}")
    return str(sp.latex(sp.sympify(number)))  # a label is an integer of NumPy


def _rounded(number: Any, form: str) -> str:
    value = float(number)
    return "0" if abs(value) < SMALLEST_NUMBER else form.format(f"{value:.6g}")


def _matrix(array: np.ndarray) -> str:
    """Write an array as LaTeX: numbers, a row, a matrix, or a row of matrices."""
    if array.ndim == 0:
        return _short_latex(array[()])
    if array.ndim <= 2:
        rows = [array] if array.ndim == 1 else list(array)
        body = r" \\ ".join(" & ".join(map(_short_latex, row)) for row in rows)
        return rf"\begin{{bmatrix}} {body} \end{{bmatrix}}"
    return r"\left[" + r",\; ".join(map(_matrix, array)) + r"\right]"
