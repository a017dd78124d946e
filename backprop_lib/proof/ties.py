"""Ties: where numbers that are compared are equal, a claim is judged by what forward has there.

A comparison is a factor [u > 0] or [u = 0] of a formula. Where u depends on the input with respect
to which is differentiated, u = 0 holds on a thin set of inputs only, and forward may have no
gradient there, as max(x, 0) has none at 0. Then, and only then, may a claim be anything.

Let J be the difference between the gradients of forward on the two sides of u = 0. Where J is not
0 and u changes with the input, forward has no gradient. Where J is 0, the claim must be the
gradient of either side.
"""

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import permutations, product

from backprop_lib.proof import calculus
from backprop_lib.proof.budget import tick
from backprop_lib.proof.calculus import (
    ONE,
    ZERO,
    Affine,
    Atom,
    CalculusError,
    Constant,
    Delta,
    Entry,
    Exp,
    Formula,
    Function,
    Index,
    Log,
    NotAfter,
    OfFormula,
    Pick,
    Place,
    Product,
    Root,
    Search,
    Size,
    Step,
    Total,
    Zero,
    expanded,
    free_indices_in,
    of,
    vanishes,
    zero,
)

FIXED = (Size, Constant)
MOST_INDICES = 4
"""Of comparisons with more free indices, no kink is shown."""


MOST_SUMMED = 50_000
"""So many terms of sums are added in search of a point at which a formula is not zero."""
MOST_MET = 6
"""So many places are taken for others, to see whether two comparisons are the same there."""
MOST_MASKS = 6
"""Of a jump with more masks in it, no kink is shown."""
ROUNDING, CERTAINLY = 1e-9, 1e4
"""What floats may be wrong by, and how many times more is no error of rounding."""


class _TooLongError(ArithmeticError):
    """The value of a formula has too many terms."""


class _NotShownError(Exception):
    """It is not shown that forward has no gradient."""


def generic(formula: Formula, name: str) -> Formula:
    """Return the formula for nearly every value of an input: all but those that make numbers equal.

    Raises
    ------
    CalculusError
        If numbers that are compared may stay equal while the input moves.
    """

    def by(atom: Atom) -> Formula | None:
        if not isinstance(atom, Zero) or name not in atom.u.arrays:
            return None
        if not _moves(atom.u, name):
            raise CalculusError("compares with == what may stay equal while the input moves")
        return atom.generic()

    return formula.replaced(by)


def _moves(u: Formula, name: str) -> bool:
    """Say whether u changes with an input whatever all other numbers are."""
    entries = [atom for atom in u.atoms() if isinstance(atom, Entry) and atom.array == name]
    plain = [
        atom
        for term in u.terms
        for atom in term.powers
        if atom in entries
        and {a for a in term.powers if not isinstance(a, Size | Constant)} == {atom}
    ]
    if len(entries) == 1:
        return len(plain) == 1
    return len(entries) == len(plain) == len(u.terms) == 2  # one entry with another


def is_of_one_entry(u: Formula, constant: frozenset[str] = frozenset()) -> bool:
    """Say whether u depends on one entry only, but for what is constant."""
    entries = [a for a in u.atoms() if isinstance(a, Entry) and a.array not in constant]
    sums = [a for a in u.atoms() if isinstance(a, Total)]
    summed = {array for one in sums for array in of(one).arrays}
    return len(set(entries)) == 1 and summed <= constant


@dataclass(frozen=True)
class Gradient:
    """The gradient of forward with respect to one entry of an input, as a formula.

    The input may be a step of forward (see `backprop_lib.proof.chain`). Then what is compared may
    depend on other inputs in ways that the formula does not show, and more must be shown.
    """

    formula: Formula
    output: Formula
    """What forward computes."""
    by: Entry
    upstream: str
    labels: frozenset[str]
    """The look-ups that are given, and do not depend on numbers."""
    steps: frozenset[str] = frozenset()
    """The arrays that stand for what is computed: they are not independent."""
    constant: frozenset[str] = frozenset()
    """The arrays and numbers that have no gradient."""
    searches: Mapping[str, Search] = field(default_factory=dict)
    """From the name of a place that is looked up to the search that finds it."""

    def at(self, places: Mapping[Index, Place]) -> "Gradient":
        """Return the gradient at some places of the entry."""
        return replace(self, formula=self.formula.substituted(places), by=self.by.renamed(places))

    def is_all_of(self, difference: Formula) -> bool:
        """Say whether a claim is right wherever there is a gradient, though it differs from it.

        The difference between claim and formula must vanish but for multiples of [u = 0], where u
        is the difference of two compared numbers and forward has no gradient at u = 0. The formula
        is only known on the two sides of u = 0. If u touches 0 without changing its sign, or if
        another comparison changes at the same place, its value at u = 0 may belong to neither side;
        then this says no.
        """
        name = self.by.array
        steps = {a.u for a in self.formula.atoms() if isinstance(a, Step) and name in a.u.arrays}
        if any(self._is_on_no_side(u) for u in steps):
            return False
        while difference.terms:
            rest = difference.replaced(self._excused)
            if rest == difference:
                return not _differs_somewhere(difference) and (
                    vanishes(difference) or vanishes(expanded(difference))
                )
            difference = rest
        return True

    def _excused(self, atom: Atom) -> Formula | None:
        """Return what may stand for [u = 0], since forward has no gradient there."""
        if not isinstance(atom, Zero) or self.by.array not in atom.u.arrays:
            return None
        if self._are_steps(atom.u) and not is_of_one_entry(atom.u, self.constant):
            return None  # it may stay 0 while its parts change
        try:
            kinked = self._kinked(atom.u)
            if not kinked.terms:
                return None
            return of(atom) * (ONE - kinked) + atom.generic() * kinked
        except (_NotShownError, CalculusError):
            return None

    def _are_steps(self, formula: Formula) -> bool:
        return not self.steps.isdisjoint((*formula.arrays, self.by.array))

    def _kinked(self, u: Formula) -> Formula:
        """Return a mask: 1 where forward has no gradient if u = 0 and no other numbers are equal.

        If the jump has roots or sums in it, its mask would be too long. Then one point with u = 0
        decides for each outcome of its masks: what is not 0 there is not 0 almost everywhere.
        """
        steps = {a.u for a in self.formula.atoms() if isinstance(a, Step)}
        if any(_meets(other, u) for other in steps):
            raise _NotShownError  # there the two kinks may cancel
        jump = zero(u) * self._jump(u)
        moving = u.derivative(self.by)
        if not all(map(_is_polynomial, (*jump.terms, *moving.terms))):
            if self._are_steps(u + jump):
                raise _NotShownError  # a point need not be one at which the steps may be
            return _where_not_zero(jump, u) if moving.terms else ZERO
        return self._of_forward((ONE - zero(moving)) * (ONE - zero(jump)))

    def _of_forward(self, mask: Formula) -> Formula:
        """Take the upstream gradient for other than 0: forward has its kink whatever that is."""
        upstream = self.upstream
        return mask.replaced(
            lambda atom: ZERO if isinstance(atom, Zero) and upstream in atom.u.arrays else None
        )

    def _is_on_no_side(self, u: Formula) -> bool:
        """Say whether the formula's value at u = 0 may be that of neither side of u = 0.

        At u = 0 the step [u > 0] is 0, as it is to the left. If forward is continuous there, its
        jump is u times something, and its slopes differ only where u changes.
        """
        try:
            jump, opposite = self._jump(u), self._jump(u, signs=(-1,))
            if opposite.terms and (zero(u) * zero(jump) * opposite).terms:
                return True
            if _moves(u, self.by.array) or not (zero(u) * self._jump(u, of_output=True)).terms:
                return False
            return bool((zero(u) * zero(u.derivative(self.by)) * jump).terms)
        except _NotShownError:
            return False

    def _jump(
        self, u: Formula, signs: Iterable[int] = (1, -1), *, of_output: bool = False
    ) -> Formula:
        """Return by how much the gradient, or forward, changes where u becomes positive.

        u is at its own indices. Changes of the sign -1 are those of [-u > 0], at other indices.
        """
        formula = self.output if of_output else self.formula
        if len(u.free_indices) > MOST_INDICES:
            raise _NotShownError
        if _picks(u):
            return self._jump_of_a_search(u)
        free = sorted(u.free_indices, key=lambda index: index.serial)
        for atom in formula.atoms():
            if isinstance(atom, OfFormula) and any(
                isinstance(inner, Step | Zero) for inner in atom.u.atoms()
            ):
                raise _NotShownError
            if isinstance(atom, Step) and not any(_equal_up_to_sign(atom.u, u, free)):
                _check_apart(atom.u, u, free)
        return _by_step(formula, u, free, frozenset(signs))

    def _jump_of_a_search(self, u: Formula) -> Formula:
        """Return by how much the gradient changes if another one of tied entries is taken."""
        names = {pick.name for pick in _picks(u)}
        other = self._tied_places(u)
        others = self.formula.looked_up - names - self.labels
        if names & self.labels or {n[0] for n in others} & {n[0] for n in names}:
            raise _NotShownError  # two searches of one kind may tie together
        if _picks_within(self.formula) & _picks(u):
            raise _NotShownError

        def substituted(place: Place) -> Place:
            return other.get(place, place)

        def by(atom: Atom) -> Formula | None:
            if isinstance(atom, Entry) and not other.keys().isdisjoint(atom.at):
                return calculus.entry(atom.array, *map(substituted, atom.at))
            if isinstance(atom, Delta) and not other.keys().isdisjoint((atom.a, atom.b)):
                return calculus.delta(substituted(atom.a), substituted(atom.b))
            return None

        return self.formula - self.formula.replaced(by)

    def _tied_places(self, u: Formula) -> dict[Place, Place]:
        """Return for each place that was searched the one that ties with it if u = 0.

        That the entries compared are equal is not enough: those of which the largest was sought
        must be.
        """
        for found, other in _compared_places(u):
            searches = {self.searches.get(getattr(place, "name", "")) for place in found}
            search = next(iter(searches))
            if len(searches) > 1 or search is None:
                continue
            picks = [p for p in _picks(u) if p.name in search.names]
            places = dict(zip(found, other, strict=True))
            by_name = {pick.name: pick for pick in picks}
            if len(by_name) == len(picks) == len(search.names) and len({p.at for p in picks}) == 1:
                own = dict(zip(search.rest, picks[0].at, strict=True))
                at = [by_name[name] for name in search.names]
                largest = own | dict(zip(search.indices, at, strict=True))
                tied = own | {i: places.get(p, p) for i, p in zip(search.indices, at, strict=True)}
                formula = search.formula
                change = formula.substituted(largest) - formula.substituted(tied)
                if not (zero(u) * change).terms:
                    return places
        raise _NotShownError


def _where_not_zero(formula: Formula, u: Formula) -> Formula:
    """Return a mask: 1 where a formula, whatever its masks are there, is not zero at some point."""
    here = {atom for term in zero(u).terms for atom in term.powers}
    masks = [a for a in formula.atoms() if isinstance(a, Step | Zero | NotAfter) and a not in here]
    if not masks:
        return ONE if _is_not_zero(formula, u) else ZERO
    mask, free = masks[0], formula.free_indices | u.free_indices
    if len(dict.fromkeys(masks)) > MOST_MASKS or not mask.free_indices <= free:
        raise _NotShownError  # there are many outcomes, or as many as terms of a sum
    one = _where_not_zero(formula.replaced(lambda a: ONE if a == mask else None), u)
    other = _where_not_zero(formula.replaced(lambda a: ZERO if a == mask else None), u)
    return one if one == other else of(mask) * one + (ONE - of(mask)) * other


def _is_not_zero(formula: Formula, u: Formula) -> bool:
    """Say whether a formula is not zero at some point with u = 0, by far more than rounding."""
    solved = Zero(u).solved
    if solved is None:
        return False
    at = dict.fromkeys(formula.free_indices | u.free_indices, 0)  # where deltas are 1
    entry, value = solved
    point = Point()
    try:
        point.entries[point.key(entry, at)] = point.value(value, at)
        return (
            abs(point.value(u, at)) < ROUNDING
            and abs(point.value(formula, at)) > ROUNDING * CERTAINLY
        )
    except (CalculusError, ArithmeticError, ValueError):
        return False


def _differs_somewhere(formula: Formula) -> bool:
    """Say whether a formula is not zero at some point, by far more than rounding."""
    at = dict.fromkeys(formula.free_indices, 0)  # where deltas are 1
    point = Point()
    try:
        terms = [point.value(Formula({t: c}), at) for t, c in formula.terms.items()]
        return abs(math.fsum(terms)) > ROUNDING * CERTAINLY * math.fsum(map(abs, terms))
    except _TooLongError:
        return True  # what takes long to add takes longer to multiply out
    except (CalculusError, ArithmeticError, ValueError, TypeError):  # a root of a negative number
        return False


class Point:
    """Values of formulas at one point, which is drawn as it is needed: all sizes are different."""

    def __init__(self) -> None:
        self.entries: dict[tuple[object, ...], float] = {}
        self._sizes: dict[str, int] = {}
        self._left = MOST_SUMMED
        self._rng = random.Random(0)

    def size(self, name: str | int) -> int:
        """Return the number of entries along an axis."""
        if isinstance(name, int):
            return name
        length = calculus.size(name)
        if length != of(Size(name)):  # such as L - 2
            return max(0, round(self.value(length, {})))
        return self._sizes.setdefault(name, 2 + len(self._sizes))

    def place(self, place: Place, at: Mapping[Index, int]) -> int:
        """Return where a place is if its indices have values."""
        if isinstance(place, Pick):
            raise CalculusError("an index that is looked up has no value here")
        if isinstance(place, Affine):
            own = 0 if place.at is None else self.place(place.at, at)
            return round(self.value(place.start, at)) + place.step * own
        return at[place] if isinstance(place, Index) else place

    def key(self, entry: Entry, at: Mapping[Index, int]) -> tuple[object, ...]:
        """Return which number an entry is, if its indices have values."""
        if entry.array.startswith("np."):
            raise CalculusError("an array that the code made has no value here")
        return entry.array, *(self.place(place, at) for place in entry.at)

    def of_entry(self, entry: Entry, at: Mapping[Index, int]) -> float:
        """Return the value of an entry where its indices have values."""
        key = self.key(entry, at)
        if key not in self.entries:
            self.entries[key] = self._rng.uniform(0.5, 1.5)
        return self.entries[key]

    def value(self, formula: Formula, at: Mapping[Index, int]) -> float:
        """Return the value of a formula where its free indices have values."""
        return math.fsum(
            float(c)
            * math.prod(self._factor(atom, power, at) for atom, power in term.powers.items())
            for term, c in formula.terms.items()
        )

    def _factor(self, atom: Atom, power: int, at: Mapping[Index, int]) -> float:
        if isinstance(atom, Root):
            return float(self.value(atom.u, at) ** (-power / 2))
        return float(self._atom(atom, at) ** power)

    def _atom(self, atom: Atom, at: Mapping[Index, int]) -> float:
        if isinstance(atom, Size):
            return self.size(atom.name)
        if isinstance(atom, Constant):
            return atom.value
        if isinstance(atom, Entry):
            return self.of_entry(atom, at)
        if isinstance(atom, Total):
            ranges = [range(self.size(index.size)) for index in atom.bound]
            tick()
            self._left -= math.prod(map(len, ranges))
            if self._left < 0:
                raise _TooLongError
            inside = Formula({atom.product: Fraction(1)})
            return math.fsum(
                self.value(inside, {**at, **dict(zip(atom.bound, values, strict=True))})
                for values in product(*ranges)
            )
        if isinstance(atom, Delta):
            return float(self.place(atom.a, at) == self.place(atom.b, at))
        if isinstance(atom, NotAfter):
            return float(self.place(atom.a, at) <= self.place(atom.b, at))
        if isinstance(atom, Exp):
            return math.exp(self.value(atom.u, at))
        if isinstance(atom, Log):
            return math.log(self.value(atom.u, at))
        if isinstance(atom, Function):
            return calculus.FUNCTIONS[atom.name].value(self.value(atom.u, at))
        if isinstance(atom, Step | Zero):
            value = self.value(atom.u, at)
            if abs(value) < ROUNDING:
                return float(isinstance(atom, Zero))
            return float(isinstance(atom, Step) and value > 0)
        raise CalculusError("it has no value here")


def _is_polynomial(term: Product) -> bool:
    """Say whether a product is made of entries, sizes and masks."""
    return all(
        isinstance(atom, Size | Constant | Delta | NotAfter | Step | Zero)
        or (isinstance(atom, Entry) and power > 0)
        for atom, power in term.powers.items()
    )


def _check_apart(other: Formula, u: Formula, free: list[Index]) -> None:
    """Check that another comparison does not tie wherever u = 0: two kinks may cancel."""
    for own in product(free, repeat=len(other.free_indices)):
        there: dict[Index, Place] = dict(zip(other.free_indices, own, strict=True))
        fits = all(isinstance(b, Index) and a.size == b.size for a, b in there.items())
        if fits and not (zero(u) * other.substituted(there)).terms:
            raise _NotShownError


def _meets(other: Formula, u: Formula) -> bool:
    """Say whether another comparison is that of u at some places, as those of x[i] and x[0] are."""
    free = sorted(u.free_indices, key=lambda index: index.serial)
    if any(_equal_up_to_sign(other, u, free)):
        return False
    own: dict[Index, Place] = {index: index.fresh() for index in other.free_indices}
    return _is_met(other.substituted(own), u, MOST_MET)


def _is_met(other: Formula, u: Formula, left: int) -> bool:
    """Say whether two comparisons tie together if some entries of both are the same."""
    if not (zero(u) * other).terms:
        return True
    free = other.free_indices | u.free_indices
    entries = [atom for atom in other.atoms() if isinstance(atom, Entry)]
    for entry in (atom for atom in u.atoms() if isinstance(atom, Entry)):
        alike = [one for one in entries if one.array == entry.array]
        if all(any(_differing(entry, one, free)) for one in alike):
            cases = (_nearer(one, entry, other, u) for one in alike if left)
            return any(_is_met(*case, left - 1) for case in cases if case is not None)
    return False


def _nearer(one: Entry, entry: Entry, other: Formula, u: Formula) -> tuple[Formula, Formula] | None:
    """Return two formulas where one more place of two of their entries is the same, if it may be.

    That is an index that is the other place, or else the whole entry that is the other.
    """
    free = other.free_indices | u.free_indices
    pairs = list(_differing(one, entry, free))
    if not all(calculus.delta(a, b).terms for a, b in pairs):
        return None
    for pair in pairs:
        for index, place in (pair, pair[::-1]):
            if isinstance(index, Index) and index in free - free_indices_in(place):
                to = {index: place}
                return other.substituted(to), u.substituted(to)
    there = dict(pairs)

    def same(atom: Atom) -> Formula | None:
        if not isinstance(atom, Entry) or atom.array != one.array:
            return None
        if any(_differing(atom, one, free)):
            return None
        return calculus.entry(one.array, *(there.get(place, place) for place in atom.at))

    return other.replaced(same), u


def _differing(entry: Entry, other: Entry, free: frozenset[Index]) -> Iterator[tuple[Place, Place]]:
    """Yield the places in which two entries of an array differ; indices of sums do not."""
    for a, b in zip(entry.at, other.at, strict=True):
        are_summed = isinstance(a, Index) and isinstance(b, Index) and free.isdisjoint({a, b})
        if a != b and not are_summed:
            yield a, b


def _picks(formula: Formula) -> set[Pick]:
    """Return the look-ups in the entries of a formula."""
    entries = [atom for atom in formula.atoms() if isinstance(atom, Entry)]
    return {pick for entry in entries for place in entry.at for pick in calculus.picks_in(place)}


def _picks_within(formula: Formula) -> set[Pick]:
    """Return the look-ups that are parts of other places."""
    places = [place for atom in formula.atoms() for place in calculus.places_of(atom)]
    return {pick for place in places for pick in calculus.picks_in(place) if pick is not place}


def _compared_places(u: Formula) -> Iterator[tuple[list[Place], list[Place]]]:
    """Yield at which places the two entries differ that u compares, those of each one first."""
    entries = [atom for term in u.terms for atom in term.powers]
    if len(u.terms) != 2 or len(entries) != 2:
        return
    a, b = entries
    if isinstance(a, Entry) and isinstance(b, Entry) and a.array == b.array:
        different = [(p, q) for p, q in zip(a.at, b.at, strict=True) if p != q]
        if different:
            first, second = map(list, zip(*different, strict=True))
            yield first, second
            yield second, first


def _by_step(formula: Formula, u: Formula, free: list[Index], signs: frozenset[int]) -> Formula:
    result = ZERO
    for term, coefficient in formula.terms.items():
        changes = {atom: _change(atom, u, free, signs) for atom in term.powers}
        for atom, change in changes.items():
            if change.terms:
                if term.powers[atom] != 1:
                    raise _NotShownError
                result += coefficient * (term.times({atom: -1}) * change)
    return result


def _change(atom: Atom, u: Formula, free: list[Index], signs: frozenset[int]) -> Formula:
    if isinstance(atom, Total):
        inside, indices = atom.with_fresh_indices()
        return calculus.total(_by_step(inside, u, free, signs), indices)
    result = ZERO
    if isinstance(atom, Step):
        for sign, own in _equal_up_to_sign(atom.u, u, free):
            if sign in signs:
                result += sign * calculus.multiplied(map(calculus.delta, free, own))
    return result


def _equal_up_to_sign(
    other: Formula, u: Formula, free: list[Index]
) -> Iterator[tuple[int, tuple[Index, ...]]]:
    """Yield at which indices another formula is u or -u, and its sign."""
    if len(other.free_indices) == len(free):
        for own in permutations(other.free_indices):
            if all(a.size == b.size for a, b in zip(free, own, strict=True)):
                there: Mapping[Index, Place] = dict(zip(free, own, strict=True))
                for sign, form in ((1, u), (-1, -u)):
                    if form.substituted(there) == other:
                        yield sign, own
