"""Indexing of arrays of open sizes: which entries a key selects, how they are read and written.

A slice selects the places start + step · i, an array of places one place for each of its entries,
and a list of numbers a place for each number. Entries that a mask selects are kept together with
the mask: how many they are is not known.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from backprop_lib.proof import calculus
from backprop_lib.proof.assumptions import Multiple
from backprop_lib.proof.calculus import ONE, ZERO, Affine, Formula, Index, Place
from backprop_lib.proof.refusal import MismatchError, NotFollowedError
from backprop_lib.proof.symbolic import (
    AT,
    IN_PLACE,
    KINDS,
    METHODS,
    OF_PLACES,
    REARRANGING,
    UFUNCS,
    Axis,
    PlaceArray,
    Run,
    Size,
    SymbolicArray,
    aligned,
    as_array,
    axes_for,
    axes_text,
    called,
    renaming,
    shape_text,
    size_along,
    sizes_along,
    whole_number,
)

MOST_PLACES = 64
"""So many places of lists are followed one by one, and no more."""
REPEATED = (
    "writes at places that may repeat, of which the last one counts; use np.add.at, which adds all"
)
Places = Mapping[Index, Place]


@dataclass(frozen=True)
class Case:
    """Where the indices of a selection have these values, the places of an array that it is at."""

    at: Mapping[Index, int]
    places: Places


@dataclass(frozen=True)
class Selection:
    """The entries of an array that a key selects."""

    axes: list[Axis]
    """The axes of what is selected; an axis that is selected whole is the array's own."""
    cases: list[Case]
    """One case, unless there are lists of numbers: then one for each number."""
    new: frozenset[Index]
    """The indices that the array does not have."""
    is_part: bool
    """Whether NumPy makes a view of the array, and no copy."""

    def read(self, formula: Formula) -> Formula:
        """Return an entry of the selection."""
        return calculus.added(
            _deltas(case.at) * formula.substituted(case.places) for case in self.cases
        )

    def added_to(self, formula: Formula, change: Callable[[Formula], Formula]) -> Formula:
        """Add to an array what `change` makes of its selected entries."""
        result = formula
        for case in self.cases:
            amount = change(formula.substituted(case.places)).substituted(case.at)
            result += calculus.total(_deltas(case.places) * amount, self.new - set(case.at))
        return result

    def may_repeat(self) -> bool:
        """Say whether an entry may be selected more than once."""
        for case in self.cases:
            told = {p.at if isinstance(p, Affine) else p for p in case.places.values()}
            if any(i.size and i not in told for i in self.new - set(case.at)):
                return True
        return any(self._may_meet(*pair) for pair in combinations(self.cases, 2))

    def _may_meet(self, one: Case, other: Case) -> bool:
        elsewhere = {index: index.fresh() for index in self.new}
        return all(
            calculus.delta(place, calculus.substituted(other.places[index], elsewhere)).terms
            for index, place in one.places.items()
        )


def _deltas(places: Places) -> Formula:
    return calculus.multiplied(calculus.delta(index, place) for index, place in places.items())


def whole(value: Any) -> Formula | None:
    """Return a whole number, which may be made of sizes, as a formula; None if it is none."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return calculus.number(int(value))
    if isinstance(value, Size):
        return value.formula
    if isinstance(value, SymbolicArray) and not value.axes and value.kind == "int":
        if all(isinstance(atom, calculus.Size) for atom in value.formula.atoms()):
            return value.formula if has_whole_parts(value.formula) else None
        if len(value.formula.arrays) == 1 and not value.formula.free_indices:
            whole_number(value.run, value)
    return None


def has_whole_parts(formula: Formula) -> bool:
    """Say whether all coefficients are whole, and no size is a divisor."""
    return all(
        c.denominator == 1 and all(power > 0 for power in term.powers.values())
        for term, c in formula.terms.items()
    )


def require(run: Run, formula: Formula, what: str) -> None:
    """Go on for sizes at which a number is at least 0: note which, or refuse."""
    if calculus.is_never_negative(formula, least_assumed(run)):
        return
    bound = calculus.least_size(formula)
    if bound is None:
        run.needs_numbers(formula, f"{what}, which is not known to be right at all sizes")
    run.least(*bound)


def least_assumed(run: Run) -> dict[str, int]:
    """Return how large sizes are at least."""
    return {size: run.assumed.least(size) for size in run.assumed.larger}


def counts_from_start(run: Run, formula: Formula, what: str) -> bool:
    """Say whether a place is at least 0, so that it is no number that counts from the end."""
    least = least_assumed(run)
    if calculus.is_never_negative(formula, least):
        return True
    if calculus.is_never_negative(-formula - ONE, least):
        return False
    for sign, bound in (
        (True, calculus.least_size(formula)),
        (False, calculus.least_size(-formula - ONE)),
    ):
        if bound is not None:
            run.least(*bound)
            return sign
    return run.needs_numbers(formula, f"{what}, which may be negative or not")


# Slices.


def length_of(axis: Axis) -> Formula:
    """Return the number of entries along an axis."""
    return calculus.multiplied(calculus.size(index.size) for index in axis)


def one_axis(length: Formula) -> Axis:
    """Return an axis of so many entries."""
    name = calculus.size_name(length)
    return () if name == 1 else (Index(name),)


def sliced(run: Run, axis: Axis, key: slice) -> tuple[Axis, Places]:
    """Return the axis that a slice makes of another one, and where that stands on it."""
    if key.start is None and key.stop is None and key.step is None:
        return axis, {}
    step = whole(1 if key.step is None else key.step)
    by = None if step is None else step.as_number()
    ends = [None if end is None else whole(end) for end in (key.start, key.stop)]
    given = (key.start, key.stop)
    if not by or any(g is not None and e is None for g, e in zip(given, ends, strict=True)):
        run.refuse("takes a slice whose ends are no whole numbers")
    if len(axis) > 1:
        return _sliced_merged(run, axis, key, ends, int(by))
    size = length_of(axis)
    start, length = _start_and_length(run, size, ends[0], ends[1], int(by))
    if length == size and int(by) == 1:
        return axis, {}
    new = one_axis(length)
    place = calculus.affine(new[0] if new else 0, start, int(by), axis[0].size if axis else 1)
    return new, ({axis[0]: place} if axis else {})


def _start_and_length(
    run: Run, size: Formula, start: Formula | None, stop: Formula | None, step: int
) -> tuple[Formula, Formula]:
    """Return where a slice starts, and how many entries it has."""
    number = size.as_number()
    values = [None if end is None else end.as_number() for end in (start, stop)]
    if number is not None and all(
        (end is None) == (value is None) for end, value in zip((start, stop), values, strict=True)
    ):
        first, end = (None if value is None else int(value) for value in values)
        places = range(int(number))[first:end:step]
        if not places:
            return ZERO, ZERO
        return calculus.number(places.start), calculus.number(len(places))
    last = size - ONE
    begin = _end(run, size, start, ZERO if step > 0 else last)
    if step > 0:
        beyond = _end(run, size, stop, size)
        require(run, size - beyond, "takes a slice that ends after the axis")
        span = beyond - begin
    else:
        beyond = _end(run, size, stop, -ONE)
        require(run, last - begin, "takes a slice that starts after the axis")
        span = begin - beyond
    rest = span.terms.get(calculus.NO_FACTORS, Fraction(0))
    length = (span + calculus.number(-rest % abs(step))) * Fraction(1, abs(step))
    if not has_whole_parts(length):
        name = calculus.size_name(size)
        if calculus.is_single(name):
            run.wish(Multiple(str(name), abs(step), inner=True))
        run.needs_numbers(size, f"takes one of {abs(step)} entries along an axis of {size}")
    require(run, length - ONE, "takes a slice")
    return begin, length


def _end(run: Run, size: Formula, end: Formula | None, default: Formula) -> Formula:
    """Return the place that an end of a slice means: a negative one counts from the end."""
    if end is None:
        return default
    if counts_from_start(run, end, f"takes a slice up to {end}"):
        return end
    require(run, size + end, "takes a slice that starts before the axis")
    return size + end


def _sliced_merged(
    run: Run, axis: Axis, key: slice, ends: Sequence[Formula | None], step: int
) -> tuple[Axis, Places]:
    """Slice an axis that was merged from several: whole parts of it, or one entry of each."""
    leading, *inner = axis
    part = length_of(tuple(inner))
    last = axis[-1]
    if step == -1 and ends == [None, None]:
        turned = {i: i.fresh() for i in axis}
        places: Places = {
            i: calculus.affine(turned[i], calculus.size(i.size) - ONE, -1, i.size) for i in axis
        }
        return tuple(turned.values()), places
    offset = (ZERO if ends[0] is None else ends[0]).as_number()
    is_entry = step > 1 and last.size == step and ends[1] is None
    if is_entry and offset is not None and 0 <= offset < step:
        return axis[:-1], {last: int(offset)}
    quotients = [None if end is None else _quotient(end, part) for end in ends]
    fits = all((end is None) == (q is None) for end, q in zip(ends, quotients, strict=True))
    if step != 1 or not fits:
        run.needs_numbers(
            length_of(axis),
            f"takes a slice of {size_along(run, axis)} merged entries, which is no part of them",
        )
    own, places = sliced(
        run, (leading,), slice(*(None if q is None else int(q) for q in quotients))
    )
    return (*own, *inner), places


def _quotient(whole_part: Formula, part: Formula) -> int | None:
    """Return which whole multiple of a part a number is."""
    if not whole_part.terms:
        return 0
    term = next(iter(part.terms))
    ratio = whole_part.terms.get(term, Fraction(0)) / part.terms[term]
    return int(ratio) if ratio.denominator == 1 and part * ratio == whole_part else None


def place_at(run: Run, axis: Axis, number: Formula) -> Places:
    """Return where one entry along an axis is; a negative number counts from the end."""
    value = number.as_number()
    size = length_of(axis)
    known = size.as_number()
    if value is not None and known is not None:
        if not -known <= value < known:
            raise MismatchError(f"index {value} of an axis of size {known}")
        rest, places = int(value % known), {}
        for index in reversed(axis):
            rest, places[index] = divmod(rest, int(index.size))
        return places
    positive = counts_from_start(run, number, f"takes the entry at {number}")
    if len(axis) == 1:
        (index,) = axis
        start = number if positive else size + number
        return {index: calculus.affine(0, start, 1, index.size)}
    last = axis[-1].size
    if number == -ONE or (value is not None and positive and _is_below(value, last)):
        return {
            index: calculus.affine(0, calculus.size(index.size) - ONE, 1, index.size)
            if number == -ONE
            else int(value or 0) * (index is axis[-1])
            for index in axis
        }
    return run.needs_numbers(size, "takes an entry of an axis that was merged from several")


def _is_below(value: Fraction, size: str | int) -> bool:
    return value == 0 or (isinstance(size, int) and value < size)


# Keys.


def selection(run: Run, axes: Sequence[Axis], key: Any) -> Selection:
    """Return what a key selects of an array with the given axes."""
    keys = _spelled_out(run, axes, list(key) if isinstance(key, tuple) else [key])
    left = iter(axes)
    listed = [_listed(run, part, None if part is None else next(left)) for part in keys]
    if any(isinstance(part, PlaceArray | np.ndarray) for part in listed):
        return _looked_up(run, axes, listed)
    kept: list[Axis] = []
    places: dict[Index, Place] = {}
    left = iter(axes)
    for part in listed:
        if part is None:
            kept.append(())
            continue
        axis = next(left)
        if isinstance(part, slice):
            new, own = sliced(run, axis, part)
            kept.append(new)
        else:
            own = place_at(run, axis, part)
        places |= own
    return Selection(kept, [Case({}, places)], _new_in(kept, axes), is_part=True)


def _new_in(kept: Sequence[Axis], axes: Sequence[Axis]) -> frozenset[Index]:
    own = {index for axis in axes for index in axis}
    return frozenset(index for axis in kept for index in axis if index not in own)


def _spelled_out(run: Run, axes: Sequence[Axis], keys: list[Any]) -> list[Any]:
    """Put whole slices in the place of `...`, so that there is a key for each axis."""
    used = sum(part is not None and part is not ... for part in keys)
    if used > len(axes):
        raise MismatchError(f"{used} indices for {axes_text(run, axes)}")
    places = [i for i, part in enumerate(keys) if part is ...]
    at = places[0] if places else len(keys)
    rest = [slice(None)] * (len(axes) - used)
    return [*keys[:at], *rest, *keys[at + 1 :]]


class OpenRange:
    """What range makes of an open size: all places along an axis, if it is an index."""

    def __init__(self, size: Size):
        self.size = size

    def places(self, run: Run) -> PlaceArray:
        """Return the places, as np.arange does."""
        (axis,) = axes_for(run, [self.size])
        if len(axis) > 1:
            run.refuse("indexes with range along an axis that was merged from several")
        return PlaceArray(run, [axis], axis[0] if axis else 0)

    def _numbers(self) -> range:
        return range(self.size)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers())

    def __reversed__(self) -> Iterator[int]:
        return reversed(self._numbers())

    def __getitem__(self, key: Any) -> Any:
        return self._numbers()[key]

    def __len__(self) -> int:
        return len(self._numbers())


def _listed(run: Run, part: Any, axis: Axis | None) -> Any:
    """Return a part of a key as None, a slice, a number, an array of places or one of numbers."""
    if isinstance(part, OpenRange):
        return part.places(run)
    if part is None or isinstance(part, slice | PlaceArray):
        return part
    if isinstance(part, bool | np.bool_):
        run.refuse("indexes with a truth value")
    if (number := whole(part)) is not None:
        return number
    if isinstance(part, SymbolicArray) and part.is_mask:
        run.refuse("indexes with a mask beside other indices; use np.where(mask, x, 0)")
    if isinstance(part, SymbolicArray) and not part.axes and part.kind == "int":
        run.refuse("indexes with a number that is left open")
    if isinstance(part, SymbolicArray):
        run.refuse("indexes with an array of numbers; use labels, argmax or np.arange")
    if isinstance(part, list | range | np.ndarray):
        try:
            array = np.asarray(part)
        except (TypeError, ValueError):
            array = np.empty(0, object)
        if array.dtype.kind == "b" and array.ndim == 1 and axis is not None:
            length = length_of(axis).as_number()
            if length is None:
                run.needs_numbers(length_of(axis), "indexes with truth values along an open axis")
            if length != len(array):
                raise MismatchError(f"{len(array)} truth values for an axis of size {length}")
            array = np.flatnonzero(array)
        if array.dtype.kind in "iu" and array.size:
            return array
    return run.refuse("indexes with what is neither whole numbers, slices, masks nor places")


def _looked_up(run: Run, axes: Sequence[Axis], keys: Sequence[Any]) -> Selection:
    """Return what a key selects in which there are arrays."""
    left = iter(axes)
    slots = [(part, () if part is None else next(left)) for part in keys]
    advanced = [
        i
        for i, (part, _) in enumerate(slots)
        if isinstance(part, PlaceArray | np.ndarray | Formula)
    ]
    arrays = [_axes_of_key(slots[i][0]) for i in advanced]
    common, _ = aligned(*(SymbolicArray(run, own, ZERO) for own in arrays))
    renamed = [renaming(own, common[len(common) - len(own) :]) if own else {} for own in arrays]
    is_together = advanced == list(range(advanced[0], advanced[-1] + 1))
    kept: list[Axis] = [] if is_together else list(common)
    places: dict[Index, Place] = {}
    for i, (part, axis) in enumerate(slots):
        if i in advanced:
            if i == advanced[0] and is_together:
                kept += common
        elif part is None:
            kept.append(())
        else:
            new, own_places = sliced(run, axis, part)
            kept.append(new)
            places |= own_places
    cases = []
    numbers = {
        new
        for i, names in zip(advanced, renamed, strict=True)
        if isinstance(slots[i][0], np.ndarray)
        for new in names.values()
        if isinstance(new, Index)
    }
    ranges = [range(int(index.size)) for index in numbers]
    if np.prod([len(values) for values in ranges]) > MOST_PLACES:
        run.refuse(f"indexes with a list of more than {MOST_PLACES} places")
    for values in product(*ranges):
        at = dict(zip(numbers, values, strict=True))
        own = dict(places)
        for i, names in zip(advanced, renamed, strict=True):
            part, axis = slots[i]
            own |= _place_along(run, axis, part, names, at)
        cases.append(Case(at, own))
    return Selection(kept, cases, _new_in(kept, axes), is_part=False)


def _axes_of_key(part: Any) -> list[Axis]:
    if isinstance(part, PlaceArray):
        return list(part.axes)
    shape = part.shape if isinstance(part, np.ndarray) else ()
    return [() if n == 1 else (Index(n),) for n in shape]


def _place_along(run: Run, axis: Axis, part: Any, names: Places, at: Mapping[Index, int]) -> Places:
    """Return where along an axis an array of places, or of numbers, or a number is."""
    if isinstance(part, Formula):
        return place_at(run, axis, part)
    if isinstance(part, np.ndarray):
        where = iter([at[i] for i in names.values() if isinstance(i, Index)])
        number = part[tuple(0 if n == 1 else next(where) for n in part.shape)]
        return place_at(run, axis, calculus.number(int(number)))
    if len(axis) > 1:
        run.refuse("looks up entries along an axis that was merged from several")
    place = calculus.substituted(calculus.substituted(part.place, names), at)
    return {index: fitted(place, index.size) for index in axis}


def fitted(place: Place, size: str | int) -> Place:
    """Return a place as one of an axis that may be longer than the one of which it was told."""
    if isinstance(place, int) or place.size == size:
        return place
    if calculus.is_never_negative(calculus.size(size) - calculus.size(place.size), {}):
        return calculus.affine(place, ZERO, 1, size)
    if all(isinstance(n, int) or calculus.is_single(n) for n in (size, place.size)):
        raise MismatchError(f"a place along {place.size} is used along {size}")
    raise NotFollowedError(f"uses a place along {place.size} along {size}")


# Reading and writing.


def read(a: Any, key: Any) -> Any:
    """Model a[key]."""
    if isinstance(key, SymbolicArray) and key.is_mask:
        return Masked(a, _on_axes_of(a, key))
    chosen = selection(a.run, a.axes, key)
    formula = chosen.read(a.formula)
    if not chosen.is_part:
        return SymbolicArray(a.run, chosen.axes, formula, kind=a.kind)
    if not chosen.axes and not any(p is ... for p in (key if isinstance(key, tuple) else [key])):
        return SymbolicArray(a.run, (), formula, kind=a.kind)  # a number, and no part of a
    return a.view(chosen.axes, formula, fixed=chosen.cases[0].places)


def written(a: SymbolicArray, key: Any, value: Any) -> Formula:
    """Return the formula of a after a[key] = value."""
    if isinstance(key, SymbolicArray) and key.is_mask:
        mask = _on_axes_of(a, key)
        if isinstance(value, Masked):
            _check_kind(a, value.array.kind)
            inside = _on_the_same_axes(value.under(mask), a)
        else:
            part = as_array(a.run, value)
            a.run.check_written(part.formula)
            _check_kind(a, part.kind)
            if part.axes:
                a.run.refuse("writes an array into the masked entries; use np.where")
            inside = part.formula
        return mask.formula * inside + (ONE - mask.formula) * a.formula
    chosen = selection(a.run, a.axes, key)
    if isinstance(value, Masked):
        a.run.refuse("writes entries under a mask where there is none; use np.where(mask, x, 0)")
    part = as_array(a.run, value)
    a.run.check_written(part.formula)
    _check_kind(a, part.kind)
    if chosen.may_repeat():
        a.run.refuse(REPEATED)
    inside = _fitted_part(a.run, chosen, part)
    return chosen.added_to(a.formula, lambda old: inside - old)


def _check_kind(a: SymbolicArray, kind: str) -> None:
    if KINDS.index(kind) > KINDS.index(a.kind):
        a.run.refuse(f"writes {kind} numbers into an array of {a.kind}")


def _fitted_part(run: Run, chosen: Selection, part: SymbolicArray) -> Formula:
    """Broadcast an array to the axes of what is selected, and return its formula there."""
    while part.ndim > len(chosen.axes) and not part.axes[0]:  # NumPy drops leading axes of size 1
        part = SymbolicArray(run, part.axes[1:], part.formula, kind=part.kind)
    axes, (_, inside) = aligned(SymbolicArray(run, chosen.axes, ZERO), part)
    if [sizes_along(axis) for axis in axes] != [sizes_along(axis) for axis in chosen.axes]:
        raise MismatchError(f"{shape_text(part)} into {axes_text(run, chosen.axes)}")
    return inside.substituted(renaming(axes, chosen.axes))


def add_at(a: Any, indices: Any, b: Any, *, sign: int = 1) -> None:
    """Model np.add.at and np.subtract.at."""
    if not isinstance(a, SymbolicArray):
        run_of_all(indices, b).refuse("calls np.add.at for an array of known sizes")
    part = as_array(a.run, b)
    if isinstance(indices, SymbolicArray) and indices.is_mask:
        a.run.refuse("calls np.add.at with a mask; use a[mask] += b")
    chosen = selection(a.run, a.axes, indices)
    inside = _fitted_part(a.run, chosen, part)
    formula = chosen.added_to(a.formula, lambda _: sign * inside)
    a[...] = SymbolicArray(a.run, a.axes, formula, kind=max(a.kind, part.kind, key=KINDS.index))


def run_of_all(*values: Any) -> Run:
    """Return the run to which one of the values belongs, or a part of one."""
    for value in values:
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, SymbolicArray | Size | PlaceArray | Masked):
                return part.run
    raise MismatchError("computes with no array of open sizes")


# Masks.


def _on_axes_of(a: SymbolicArray, mask: SymbolicArray) -> SymbolicArray:
    """Return a mask at the indices of the array of which it selects entries."""
    own = a.axes[: mask.ndim]  # a mask of the leading axes picks whole rows
    if [sizes_along(axis) for axis in mask.axes] != [sizes_along(axis) for axis in own]:
        raise MismatchError(f"a mask {shape_text(mask)} on an array {shape_text(a)}")
    formula = mask.formula.substituted(renaming(mask.axes, own))
    return SymbolicArray(a.run, own, formula, kind="bool")


def _on_the_same_axes(array: SymbolicArray, other: SymbolicArray) -> Formula:
    """Return the formula of an array at the indices of another one of the same shape."""
    if [sizes_along(axis) for axis in array.axes] != [sizes_along(axis) for axis in other.axes]:
        raise MismatchError(f"entries of {shape_text(array)} meet those of {shape_text(other)}")
    return array.formula.substituted(renaming(array.axes, other.axes))


class Masked(NDArrayOperatorsMixin):
    """The entries of an array under a mask: how many they are is not known."""

    is_masked = True
    __array_priority__ = 1500.0

    def __init__(self, array: SymbolicArray, mask: SymbolicArray):
        self.run = array.run
        self.array = SymbolicArray(array.run, array.axes, array.formula, kind=array.kind)
        self.mask = mask

    def under(self, mask: SymbolicArray) -> SymbolicArray:
        """Return the array of which this holds entries, if these are those under a mask."""
        own = self.mask
        same = [sizes_along(axis) for axis in own.axes] == [sizes_along(a) for a in mask.axes]
        if not same or own.formula.substituted(renaming(own.axes, mask.axes)) != mask.formula:
            self.run.refuse("combines entries under different masks; use np.where(mask, x, 0)")
        return self.array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        (target,) = options.pop("out", (None,))
        function = UFUNCS.get(ufunc)
        if method != "__call__" or options or function is None or ufunc.signature is not None:
            self._refuse()
        operands = []
        for value in inputs:
            operand = value.under(self.mask) if isinstance(value, Masked) else value
            if not isinstance(value, Masked) and np.ndim(value):
                self._refuse()
            operands.append(operand)
        shown = [
            SymbolicArray(self.run, self.array.axes, self._at_home(value), kind=value.array.kind)
            if isinstance(value, Masked)
            else operand
            for value, operand in zip(inputs, operands, strict=True)
        ]
        result = called(self.run, ufunc.__name__, function, shown, {})
        if target is not None and target is not self:
            self._refuse()
        if not isinstance(result, SymbolicArray):
            return result
        found = Masked(result, _on_axes_of(result, self.mask))
        if target is None:
            return found
        self.array, self.mask = found.array, found.mask
        return self

    def _at_home(self, other: "Masked") -> Formula:
        return _on_the_same_axes(other.array, self.array)

    def _sum(self, *, mean: bool) -> SymbolicArray:
        indices = [index for axis in self.array.axes for index in axis]
        if len(self.mask.axes) < len(self.array.axes):
            self._refuse()
        result = calculus.total(self.mask.formula * self.array.formula, indices)
        if mean:
            count = calculus.total(self.mask.formula, indices)
            result = result * calculus.power(count, Fraction(-1))
        kind = "int" if self.array.kind == "bool" else self.array.kind
        return SymbolicArray(self.run, (), result, kind="float" if mean else kind)

    def sum(self) -> SymbolicArray:
        """Model the sum of all entries."""
        return self._sum(mean=False)

    def mean(self) -> SymbolicArray:
        """Model the mean of all entries."""
        return self._sum(mean=True)

    def copy(self) -> "Masked":
        """Return a copy."""
        return Masked(self.array, self.mask)

    def __array_function__(
        self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        if func in (np.sum, np.mean) and len(args) == 1 and not kwargs:
            return self._sum(mean=func is np.mean)
        return self._refuse()

    def _refuse(self, *_: Any) -> NoReturn:
        self.run.refuse(
            "computes with the entries under a mask what is not followed; use np.where(mask, x, 0)"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()

    __array__ = __len__ = __iter__ = __bool__ = __float__ = __index__ = __int__ = _refuse
    __getitem__ = __setitem__ = _refuse
    __hash__ = None  # type: ignore[assignment]


# Arrays of places.


def arange(run: Run, stop: Any) -> PlaceArray:
    """Return the places along an axis of a size: what np.arange returns."""
    length = whole(stop)
    if length is None:
        run.refuse("calls np.arange for what is no size")
    axis = one_axis(length)
    return PlaceArray(run, (axis,), axis[0] if axis else 0)


def _places_read(places: Any, key: Any) -> PlaceArray:
    chosen = selection(places.run, places.axes, key)
    if len(chosen.cases) > 1:
        places.run.refuse("takes labels, or argmax's result, at a list of numbers")
    place = calculus.substituted(places.place, chosen.cases[0].places)
    return PlaceArray(places.run, chosen.axes, place)


def rearranged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Model a function that only says which axes there are and in which order."""

    def model(a: Any, *args: Any, **options: Any) -> PlaceArray:
        index_of_all = [index for axis in a.axes for index in axis]
        shown = SymbolicArray(a.run, a.axes, calculus.entry("", *index_of_all))
        return PlaceArray(a.run, function(shown, *args, **options).axes, a.place)

    return model


def _compared(function: Callable[[Place, Place], Formula]) -> Callable[..., Any]:
    """Model a comparison of places with each other, or with a number."""

    def model(a: Any, b: Any) -> SymbolicArray:
        run = run_of_all(a, b)
        of_places = [v.place for v in (a, b) if isinstance(v, PlaceArray)]
        length = next((place.size for place in of_places if not isinstance(place, int)), 1)
        arrays = [_as_places(run, value, length) for value in (a, b)]
        axes, _ = aligned(*(SymbolicArray(run, array.axes, ZERO) for array in arrays))
        places = [
            calculus.substituted(array.place, renaming(array.axes, axes[len(axes) - array.ndim :]))
            for array in arrays
        ]
        sizes = {place.size for place in places if not isinstance(place, int)}
        if len(sizes) > 1 and function in (_same, _different):
            run.refuse(f"compares places along {' and '.join(map(str, sizes))} with each other")
        return SymbolicArray(run, axes, function(*places), kind="bool")

    return model


def _as_places(run: Run, value: Any, size: str | int) -> PlaceArray:
    if isinstance(value, PlaceArray):
        return value
    number = whole(value)
    if number is None:
        run.refuse("compares labels, argmax's result or np.arange with what is no whole number")
    beyond = "compares places of an axis with a number"
    if not counts_from_start(run, number, beyond):
        run.refuse(f"{beyond} that is negative")
    require(run, calculus.size(size) - ONE - number, beyond)
    return PlaceArray(run, (), calculus.affine(0, number, 1, size))


def _same(a: Place, b: Place) -> Formula:
    return calculus.delta(a, b)


def _different(a: Place, b: Place) -> Formula:
    return ONE - calculus.delta(a, b)


def _bincount(x: Any, weights: Any = None, minlength: Any = None) -> SymbolicArray:
    run = run_of_all(x, weights, minlength)
    length = None if minlength is None else whole(minlength)
    if not isinstance(x, PlaceArray) or isinstance(x.place, int) or x.ndim != 1 or length is None:
        run.refuse("calls np.bincount of no labels, or without minlength=; pass how many there are")
    if length != calculus.size(x.place.size):
        run.refuse(f"calls np.bincount of {x.place.size} labels with another minlength")
    axes = [one_axis(length)]
    zeros = SymbolicArray(run, axes, ZERO, kind="int" if weights is None else "float")
    add_at(zeros, x, 1 if weights is None else weights)
    return zeros


IN_PLACE.append(written)
REARRANGING.extend([read, written])
METHODS |= {"__getitem__": read, "__setitem__": written}
AT |= {
    np.add: add_at,
    np.subtract: lambda a, indices, b: add_at(a, indices, b, sign=-1),
}
OF_PLACES |= {
    "__getitem__": _places_read,
    np.equal: _compared(_same),
    np.not_equal: _compared(_different),
    np.less_equal: _compared(calculus.not_after),
    np.greater_equal: _compared(lambda a, b: calculus.not_after(b, a)),
    np.less: _compared(lambda a, b: ONE - calculus.not_after(b, a)),
    np.greater: _compared(lambda a, b: ONE - calculus.not_after(a, b)),
    np.bincount: _bincount,
}
