"""What each engine found of one gradient, as data, and the one function that decides from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from backprop_lib.proof.assumptions import Multiple
from backprop_lib.proof.calculus import Formula
from backprop_lib.proof.lines import Line
from backprop_lib.proof.report import ClosedForm, Counterexample, Status, Verdict, listed

SAME = "stopped by the same"


class Answer(Enum):
    """What an engine says of a claimed gradient."""

    RIGHT = auto()
    WRONG = auto()
    NOTHING = auto()
    """It could not go on, or did not find out."""


@dataclass(frozen=True)
class Compared:
    """What forward compares with 0, where some sizes are numbers."""

    sizes: tuple[tuple[str, int], ...]
    formulas: tuple[Formula, ...]

    @property
    def numbers(self) -> dict[str, int]:
        """The sizes that are numbers."""
        return dict(self.sizes)


@dataclass(frozen=True)
class Formulas:
    """What the calculus says, for all sizes."""

    answer: Answer = Answer.NOTHING
    """It never says WRONG: two formulas may be equal in ways that it does not know."""
    misfit: str = ""
    """Which axes do not fit, if the claim has not the shape of the input."""
    why: str = ""
    """What stopped it."""
    line: Line | None = None
    """Where it was stopped, or where the axes were that do not fit."""
    true: ClosedForm | None = None
    where: tuple[str, ...] = ()
    """Where forward may have no gradient, so that nothing is said."""
    conditions: tuple[str, ...] = ()
    """What has to hold of masks and whole numbers so that forward is defined."""
    at: Mapping[str, Any] = field(default_factory=dict)
    """The constants that had to be known, and their values."""
    sizes: tuple[Mapping[str, int], ...] = ()
    """The sizes that had to be known, and all that was proven of them; () if none had to."""
    rests: tuple[str, ...] = ()
    """The steps on whose claimed gradients this one rests."""
    compared: tuple[Compared, ...] = ()
    """What forward compares in any of its steps, in each proof step by step."""
    is_excused: bool = False
    """Whether a claim is something of its own where numbers are equal, in such a proof."""
    multiples: tuple[Multiple, ...] = ()
    """Which sizes are divided, so that only multiples are looked at."""

    def leaves_nothing_at(self, sizes: Mapping[str, int]) -> bool:
        """Say whether all is proven at these sizes, and under no condition."""
        if self.answer is not Answer.RIGHT or self.where or self.conditions or self.multiples:
            return False
        return any(known.items() <= sizes.items() for known in self.sizes)


@dataclass(frozen=True)
class Numbers:
    """What numbers say, at sizes of which no two are equal."""

    answer: Answer = Answer.NOTHING
    sizes: Mapping[str, int] = field(default_factory=dict)
    exact: bool = True
    """Whether the numbers were exact, or slopes were measured with floats."""
    misfit: str = ""
    why: str = ""
    """What stopped them."""
    line: Line | None = None
    points: int = 0


@dataclass(frozen=True)
class Symbols:
    """What symbols for all entries say, at given sizes."""

    sizes: Mapping[str, int]
    answer: Answer = Answer.NOTHING
    branches: int = 1
    why: str = ""
    """What stopped them."""
    line: Line | None = None


@dataclass(frozen=True)
class Evidence:
    """All that is known of one gradient."""

    gradient: str
    is_open: bool = False
    """Whether it was claimed at all."""
    formulas: Formulas = Formulas()
    numbers: Numbers = Numbers()
    symbols: Symbols | None = None
    is_doubted: bool = False
    """Whether slopes that are measured with floats differ at some points, and at others do not."""
    rests_on_wrong: str = ""
    """A step whose gradient is refuted, and of which this one is computed."""
    contradiction: str = ""
    """What the code computes with floats, and not with exact numbers."""
    contradicting: Line | None = None
    """Where it does, as far as that is known."""
    counterexample: Counterexample | None = None
    elsewhere: Counterexample | None = None
    """One at other values of the constants than those that the caller, or forward, has given."""
    named: frozenset[str] = frozenset()
    """The constants whose values the caller has named."""
    chosen: frozenset[str] = frozenset()
    """The constants of which every value is tried."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The defaults that are no numbers, and of which no other value is tried."""
    axes: tuple[str, ...] = ()
    """The names of all sizes."""
    rests: tuple[Multiple, ...] = ()
    """Which of the multiples need not be some: forward runs at other sizes, too."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The sizes that the caller has named."""
    only_sizes: bool = False
    """Whether nothing but these sizes was asked about."""
    stopped: str = ""
    """What was running when there was no more time, or memory, or when it was interrupted."""

    @property
    def misfit(self) -> str:
        """How the claim has not the shape of the input, if numbers say so, in general terms."""
        return (self.formulas.misfit or self.numbers.misfit) if self.numbers.misfit else ""

    @property
    def may_be_refuted(self) -> bool:
        """Whether a counterexample is worth looking for, as floats have found the claim wrong."""
        is_wrong = self.numbers.answer is Answer.WRONG or self.is_doubted
        is_proven = self.formulas.answer is Answer.RIGHT
        return is_wrong and not is_proven and self.counterexample is None

    @property
    def is_settled(self) -> bool:
        """Whether nothing that an engine may still find would change the verdict."""
        return decide(self).status is not Status.UNDECIDED


def decide(evidence: Evidence) -> Verdict:
    """Decide what is said of one gradient.

    A counterexample refutes. Formulas prove for all sizes, and for all values of the constants
    that they left open, if numbers confirm it; symbols prove at their sizes. All else is undecided.
    """
    formulas, numbers, symbols = evidence.formulas, evidence.numbers, evidence.symbols

    def verdict(status: Status, reason: str = "", **more: Any) -> Verdict:
        return Verdict(evidence.gradient, status, reason, **more)

    if evidence.is_open:
        return verdict(Status.OPEN)
    if evidence.misfit:
        return verdict(
            Status.SHAPE_ERROR,
            f": {evidence.misfit}",
            counterexample=evidence.counterexample,
            formula=formulas.true,
        )
    if evidence.counterexample is not None:
        entry = list(evidence.counterexample.entry)
        wrong = evidence.rests_on_wrong
        besides = f", and it rests on d{wrong}, which is refuted" if wrong else ""
        return verdict(
            Status.REFUTED,
            (f" in entry {entry}" if entry else "") + besides,
            counterexample=evidence.counterexample,
            formula=formulas.true,
        )
    if evidence.contradiction:
        why = f": {evidence.contradiction}"
        return verdict(Status.UNDECIDED, why, line=evidence.contradicting)
    if formulas.answer is Answer.RIGHT:
        if numbers.answer is not Answer.RIGHT:
            why, line = _why_no_number(evidence)
            reason = f": the formulas are equal, but no number confirms it: {why}"
            return verdict(Status.UNDECIDED, reason, line=line)
        multiples = [one for one in formulas.multiples if one not in evidence.rests]
        conditions = (*dict.fromkeys(map(_multiple, multiples)), *formulas.conditions)
        shown = {
            "formula": formulas.true,
            "where": (*conditions, *formulas.where),
            "conditions": conditions,
        }
        known = {name: value for name, value in formulas.at.items() if name not in evidence.chosen}
        at = {**known, **evidence.options}
        sizes = _proven_sizes(evidence)
        if not (at or formulas.sizes or evidence.rests):
            return verdict(Status.PROVEN, sizes, is_enough=True, **shown)
        enough = set(at) <= evidence.named and _are_named(evidence)
        return verdict(
            Status.PROVEN_AT,
            f" {listed(at)},{sizes}" if at else sizes.removeprefix(" for").removeprefix(" at"),
            is_enough=enough,
            counterexample=None if enough else evidence.elsewhere,
            **shown,
        )
    why, place = _why(evidence)
    proven_at_sizes = symbols is not None and symbols.answer is Answer.RIGHT
    if (
        proven_at_sizes
        and symbols is not None
        and evidence.sizes == symbols.sizes
        and (evidence.sizes or evidence.only_sizes)
        and numbers.answer is not Answer.WRONG
    ):
        return verdict(
            Status.PROVEN_AT,
            f" {listed(symbols.sizes) or 'the sizes that there are'}{_each_branch(symbols)}",
            is_enough=True,
            notes=()
            if evidence.only_sizes
            else (f"for all sizes undecided: {_with_place(why, place)}",),
            formula=formulas.true,
        )
    where = f" {_at(evidence.sizes)}" if evidence.only_sizes else " for all sizes"
    return verdict(
        Status.UNDECIDED,
        f"{where}: {why}",
        line=place,
        formula=formulas.true,
        notes=tuple(_notes(evidence, why, place)),
    )


def _proven_sizes(evidence: Evidence) -> str:
    """Say of which sizes formulas are proven."""
    formulas = evidence.formulas
    rests = " and ".join(dict.fromkeys(map(_multiple, evidence.rests)))
    if not formulas.sizes:
        return f" for all sizes at which {rests}" if rests else " for all sizes"
    known = {name for sizes in formulas.sizes for name in sizes}
    if len(known) == 1:
        (name,) = known
        at = f"{name} = {', '.join(str(sizes[name]) for sizes in formulas.sizes)}"
    else:
        at = "; ".join(map(listed, formulas.sizes))
    free = [name for name in evidence.axes if name not in known]
    which = f", for all {', '.join(free)}" if free else ""
    return f" at {at}{which}" + (f" where {rests}" if rests else "")


def _are_named(evidence: Evidence) -> bool:
    """Say whether the caller has named the sizes that had to be known."""
    named = evidence.sizes.items()
    return not evidence.rests and all(one.items() <= named for one in evidence.formulas.sizes)


def _multiple(one: Multiple) -> str:
    return f"{one.size} is a multiple of {one.of}"


def _at(sizes: Mapping[str, int]) -> str:
    return f"at {listed(sizes)}" if sizes else "here"


def _why(evidence: Evidence) -> tuple[str, Line | None]:
    """Say what stopped what was asked for, and where."""
    if evidence.rests_on_wrong:
        return f"it rests on d{evidence.rests_on_wrong}, which is refuted", None
    if evidence.stopped:
        return evidence.stopped, None
    if evidence.only_sizes:
        symbols = evidence.symbols
        if symbols and symbols.why:
            return symbols.why, symbols.line
        return "no proof, and no counterexample", None
    formulas = evidence.formulas
    why = formulas.why or formulas.misfit or "the two formulas were not found to be equal"
    return why, formulas.line


def _why_no_number(evidence: Evidence) -> tuple[str, Line | None]:
    numbers = evidence.numbers
    if numbers.answer is Answer.WRONG:
        return f"at {listed(numbers.sizes)}, slopes measured with floats differ from it", None
    if evidence.stopped:
        return evidence.stopped, None
    return numbers.why or "at no point that was tried it is defined", numbers.line


def _with_place(why: str, line: Line | None) -> str:
    return f"{why} ({line.place})" if line else why


def _each_branch(symbols: Symbols) -> str:
    return f" on each of {symbols.branches} branches" if symbols.branches > 1 else ""


def _notes(evidence: Evidence, told: str, where: Line | None) -> list[str]:
    """Say what the other engines found; what is told already, only that it is the same."""

    def stopped(why: str, line: Line | None) -> str:
        return _with_place(SAME if why == told else why, None if line == where else line)

    notes = []
    symbols, numbers = evidence.symbols, evidence.numbers
    if symbols is not None and not evidence.only_sizes:
        at = _at(symbols.sizes)
        if symbols.answer is Answer.RIGHT:
            notes.append(f"{at}: proven{_each_branch(symbols)}")
        else:
            notes.append(f"{at}: {stopped(symbols.why or 'no proof', symbols.line)}")
    at = _at(numbers.sizes)
    if numbers.answer is Answer.RIGHT and numbers.exact:
        notes.append(f"{at}: exact at {numbers.points} random points")
    elif numbers.answer is Answer.RIGHT:
        notes.append(f"{at}: agrees with measured slopes")
    elif numbers.answer is Answer.WRONG:
        how = "exact numbers" if numbers.exact else "slopes measured with floats"
        notes.append(f"{at}: WRONG by {how}")
    elif numbers.why:
        notes.append(f"at random points: {stopped(numbers.why, numbers.line)}")
    return notes
