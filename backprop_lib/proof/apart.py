"""Whether comparisons in several steps of forward are independent of each other.

max(h, 0) and max(g, 0) have their kinks at h = 0 and at g = 0. If g = -h, both are at the same
place, and may cancel: forward is smooth there, although each of its steps is not. Proofs step by
step do not see that, so it is tried with numbers: on a random line through the inputs, wherever
one comparison ties, no other may. That is tried at several sizes: of one entry along an axis, the
first is the last.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, islice, pairwise, product
from typing import Any

import numpy as np

from backprop_lib.proof.budget import tick
from backprop_lib.proof.calculus import CalculusError, Entry, Formula, Index, Pick, Place
from backprop_lib.proof.ties import Point

Arrays = Mapping[str, np.ndarray]

LINES, USUAL = 6, 3
"""So many random lines through the inputs are tried, and at usual sizes."""
TWICE = 2
"""On one line, two comparisons may tie together by chance."""
PLACES = 6
"""A line is looked at in so many places, to see where a comparison changes its outcome."""
FAR_OFF = -3, 4
"""From here to there, so that most of what may be 0 on a line is."""
MOST_HALVINGS = 60
MOST = 8
"""So many ties are looked at on each line."""
TIE, EQUAL = 1e-12, 1e-7
"""What is as good as 0, and what is too near to it."""
BESIDE = 1e-5
"""So far beside a tie it is seen to which side a comparison changes."""
NARROW = 1e-9
"""What changes between places so near to each other changes at once."""


def are_apart(
    compared: Sequence[Formula],
    at: Callable[[int, float], Arrays],
    sizes: Mapping[str, int],
    *,
    alike: bool,
    are_usual: bool = True,
) -> bool:
    """Say whether no two of the comparisons tie together, as far as numbers tell.

    At sizes that are not usual, many do: wx and wx' where w = 0. There only those count that are
    the same but for a factor, and not those of one formula: of two numbers less their mean, one is
    the other with another sign.

    ``at(n, t)`` are the values of all arrays at a place of the n-th line, t between 0 and 1. What
    has no value counts as not apart. With ``alike``, the same line of code may tie at several
    indices, if they change their signs alike: it takes the same side for all of them.
    """
    try:
        whole = [one for u in compared for one in _entries_of(u, at(0, 0.0), sizes)]
        if not are_usual:
            found = Counter(pair for n in range(LINES) for pair in _same_on(whole, partial(at, n)))
            return max(found.values(), default=0) < TWICE
        return all(_are_apart_on(whole, partial(at, n), alike) for n in range(USUAL))
    except (CalculusError, ArithmeticError, KeyError, IndexError, ValueError):
        return False


@dataclass(frozen=True)
class _Compared:
    """A comparison at some values of its indices."""

    u: Formula
    indices: Mapping[Index, int]
    sizes: Mapping[str, int]
    made_of: frozenset[Any]
    """The entries that are compared."""

    def value(self, arrays: Arrays) -> float:
        return _Known(arrays, self.sizes).value(self.u, self.indices)


class _Known(Point):
    """Values of formulas where those of all arrays are known."""

    def __init__(self, arrays: Arrays, sizes: Mapping[str, int]):
        super().__init__()
        self.arrays = arrays
        self.sizes = sizes

    def size(self, name: str | int) -> int:
        return name if isinstance(name, int) else self.sizes[name]

    def place(self, place: Place, at: Mapping[Index, int]) -> int:
        if isinstance(place, Pick) and place.name in self.arrays:
            found = tuple(self.place(one, at) for one in place.at)
            return int(self._entry(place.name, found))
        return super().place(place, at)

    def of_entry(self, entry: Entry, at: Mapping[Index, int]) -> float:
        name, *places = self.key(entry, at)
        return float(self._entry(str(name), tuple(places)))

    def _entry(self, name: str, places: tuple[Any, ...]) -> Any:
        array = self.arrays[name]
        kept = [n for n, size in enumerate(array.shape) if size != 1]
        if len(places) == array.ndim:
            return array[places]
        if array.size == 1 and not any(places):
            return array.item()
        if len(places) != len(kept):  # axes that were merged or parted
            raise CalculusError("an array has other axes here")
        index = dict(zip(kept, places, strict=True))
        return array[tuple(index.get(n, 0) for n in range(array.ndim))]


def _entries_of(u: Formula, arrays: Arrays, sizes: Mapping[str, int]) -> Iterator[_Compared]:
    point = _Known(arrays, sizes)
    free = sorted(u.free_indices, key=lambda index: index.serial)
    for values in product(*(range(point.size(index.size)) for index in free)):
        indices = dict(zip(free, values, strict=True))
        entries = {a for a in u.atoms() if isinstance(a, Entry)}
        made_of = frozenset(
            point.key(entry, indices) for entry in entries if entry.free_indices <= {*free}
        )
        yield _Compared(u, indices, sizes, made_of)


def _are_apart_on(whole: Sequence[_Compared], at: Callable[[float], Arrays], alike: bool) -> bool:
    """Say whether no two comparisons tie together on a line."""
    places = np.linspace(0, 1, PLACES)
    values = [[one.value(arrays) for one in whole] for arrays in map(at, places)]
    moving = [n for n, row in enumerate(zip(*values, strict=True)) if max(map(abs, row)) > EQUAL]
    whole = [whole[n] for n in moving]  # what is 0 all along has no kink
    values = [[row[n] for n in moving] for row in values]
    pairs = zip(pairwise(places), pairwise(values), strict=True)
    if not all(_change_one_by_one(whole, *ends, *outcomes, at, alike) for ends, outcomes in pairs):
        return False
    changes = (
        (one, places[i], places[i + 1])
        for i in range(PLACES - 1)
        for n, one in enumerate(whole)
        if values[i][n] * values[i + 1][n] < 0
    )
    return all(_is_alone(*change, whole, at, alike) for change in islice(changes, MOST))


def _same_on(
    whole: Sequence[_Compared], at: Callable[[float], Arrays]
) -> Iterator[tuple[int, int]]:
    """Yield which comparisons that tie on a line are multiples of those of other formulas."""
    places = [at(place) for place in np.linspace(*FAR_OFF, PLACES)]
    values = [np.array([one.value(arrays) for arrays in places]) for one in whole]
    tied = [n for n, v in enumerate(values) if v.min() < -EQUAL and v.max() > EQUAL]
    for n, m in combinations(tied, 2):
        a, b = (values[k] / np.linalg.norm(values[k]) for k in (n, m))
        if whole[n].u != whole[m].u and 1 - abs(a @ b) <= EQUAL:
            yield n, m


def _change_one_by_one(
    some: Sequence[_Compared],
    low: float,
    high: float,
    below: Sequence[float],
    above: Sequence[float],
    at: Callable[[float], Arrays],
    alike: bool,
) -> bool:
    """Say whether comparisons that change their outcomes between two places do so one by one."""
    changed = [n for n in range(len(some)) if below[n] * above[n] < 0]
    if len({some[n].made_of for n in changed}) < 2:
        return True
    if alike and len({(some[n].u, above[n] > 0) for n in changed}) == 1:
        return True
    if high - low < NARROW:
        return False
    tick()
    middle = (low + high) / 2
    arrays = at(middle)
    left, inner = [some[n] for n in changed], [some[n].value(arrays) for n in changed]
    return _change_one_by_one(
        left, low, middle, [below[n] for n in changed], inner, at, alike
    ) and _change_one_by_one(left, middle, high, inner, [above[n] for n in changed], at, alike)


def _is_alone(
    one: _Compared,
    low: float,
    high: float,
    whole: Sequence[_Compared],
    at: Callable[[float], Arrays],
    alike: bool,
) -> bool:
    """Say whether no other comparison ties where one does, or, with `alike`, only its like."""
    here = _zero(lambda t: one.value(at(t)), low, high)
    arrays = at(here)
    tied = [
        other
        for other in whole
        if other.made_of != one.made_of and abs(other.value(arrays)) <= EQUAL
    ]
    if not tied:
        return True
    beside = [at(here - BESIDE), at(here + BESIDE)]
    return alike and all(
        other.u is one.u and all(other.value(a) * one.value(a) > 0 for a in beside)
        for other in tied
    )


def _zero(value: Callable[[float], float], low: float, high: float) -> float:
    """Return where a value is 0 between two places at which it has different signs.

    By the Illinois method: where the chord is 0, and nearer to an end that has stayed twice.
    """
    left, right, stayed = value(low), value(high), 0
    for _ in range(MOST_HALVINGS):
        tick()
        middle = (low * right - high * left) / (right - left)
        found = value(middle)
        if abs(found) < TIE or not low < middle < high:
            return middle
        if (found > 0) is (right > 0):
            high, right, left = middle, found, left / 2 if stayed < 0 else left
            stayed = -1
        else:
            low, left, right = middle, found, right / 2 if stayed > 0 else right
            stayed = 1
    return (low + high) / 2
