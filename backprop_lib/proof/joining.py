"""Joining arrays of open sizes and parting them: what NumPy's functions for it mean as formulas."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from backprop_lib.proof import calculus
from backprop_lib.proof.assumptions import Multiple
from backprop_lib.proof.calculus import ONE, ZERO, Formula, Index
from backprop_lib.proof.indexing import (
    has_whole_parts,
    length_of,
    one_axis,
    read,
    require,
    run_of_all,
    whole,
)
from backprop_lib.proof.refusal import MismatchError
from backprop_lib.proof.symbolic import (
    FUNCTIONS,
    KINDS,
    METHODS,
    Axis,
    Run,
    SymbolicArray,
    aligned,
    as_array,
    axes_of,
    fresh_axes,
    renaming,
    shape_text,
    size_along,
    sizes_along,
    with_new_axes,
)

MOST_PARTS = 64
"""An array is parted into so many, or put together of so many, and no more."""


def _arrays(run: Run, arrays: Any) -> list[SymbolicArray]:
    if not isinstance(arrays, tuple | list) or not arrays:
        run.refuse("joins what is no list of arrays; use reshape")
    if len(arrays) > MOST_PARTS:
        run.refuse(f"joins more than {MOST_PARTS} arrays")
    return [as_array(run, array) for array in arrays]


def _wider(arrays: Sequence[SymbolicArray]) -> str:
    return max((array.kind for array in arrays), key=KINDS.index)


def _one(run: Run, array: SymbolicArray, axis: Any) -> int:
    at = axes_of(array, axis)
    if len(at) != 1 or axis is None:
        run.refuse("joins or parts along several axes")
    return at[0]


def _with_axis(axes: Sequence[Axis], at: int, new: Axis) -> list[Axis]:
    return [new if i == at else axis for i, axis in enumerate(axes)]


def _common_axes(arrays: Sequence[SymbolicArray], at: int) -> tuple[list[Axis], list[Formula]]:
    """Return the axes of all arrays but for one, and the formulas of the arrays on them."""
    others = [[a for i, a in enumerate(array.axes) if i != at] for array in arrays]
    first = [sizes_along(axis) for axis in others[0]]
    for array, own in zip(arrays, others, strict=True):
        if array.ndim != arrays[0].ndim or [sizes_along(axis) for axis in own] != first:
            shapes = " and ".join(map(shape_text, arrays))
            raise MismatchError(f"{shapes} cannot be joined along axis {at}")
    common = fresh_axes(others[0])
    formulas = [
        array.formula.substituted(renaming(own, common))
        for array, own in zip(arrays, others, strict=True)
    ]
    return common, formulas


def concatenated(run: Run, arrays: Any, axis: Any = 0) -> SymbolicArray:
    """Put arrays one after the other along an axis."""
    parts = _arrays(run, arrays)
    if axis is None:
        run.refuse("joins arrays that it makes flat; reshape them first")
    at = _one(run, parts[0], axis)
    common, formulas = _common_axes(parts, at)
    along = [part.axes[at] for part in parts]
    first = sizes_along(along[0])
    if len(along) == 1:
        joined, formula = along[0], formulas[0]
    elif all(sizes_along(own) == first for own in along) and any(isinstance(n, str) for n in first):
        inner = fresh_axes([along[0]])[0]  # parts of one open size are an axis of parts
        number = Index(len(along))
        joined = (number, *inner)
        formula = calculus.added(
            calculus.delta(number, k) * part.substituted(renaming([own], [inner]))
            for k, (part, own) in enumerate(zip(formulas, along, strict=True))
        )
    elif any(len(own) > 1 for own in along):
        run.refuse("joins arrays along an axis that was merged from several")
    else:
        joined = one_axis(calculus.added(map(length_of, along)))
        here, size = (joined[0], joined[0].size) if joined else (0, 1)
        formula, start = ZERO, ZERO
        for part, own in zip(formulas, along, strict=True):
            if length_of(own) != ZERO:
                place = calculus.affine(own[0] if own else 0, start, 1, size)
                formula += calculus.total(calculus.delta(here, place) * part, own)
                start += length_of(own)
    axes = list(common)
    axes.insert(at, joined)
    return SymbolicArray(run, axes, formula, kind=_wider(parts))


def _concatenate(arrays: Any, axis: Any = 0) -> SymbolicArray:
    return concatenated(run_of_all(tuple(arrays)), arrays, axis)


def _stack(arrays: Any, axis: Any = 0) -> SymbolicArray:
    run = run_of_all(tuple(arrays))
    parts = _arrays(run, arrays)
    at = _one(run, SymbolicArray(run, [*parts[0].axes, ()], ZERO), axis)
    new = [part.view(with_new_axes(part.axes, at), part.formula) for part in parts]
    return concatenated(run, new, at)


def _at_least_1d(part: SymbolicArray) -> SymbolicArray:
    return part if part.ndim else part.view([()], part.formula)


def _hstack(tup: Any) -> SymbolicArray:
    run = run_of_all(tuple(tup))
    parts = [_at_least_1d(part) for part in _arrays(run, tup)]
    return concatenated(run, parts, 0 if parts[0].ndim == 1 else 1)


def _vstack(tup: Any) -> SymbolicArray:
    run = run_of_all(tuple(tup))
    parts = [_at_least_1d(part) for part in _arrays(run, tup)]
    rows = [part if part.ndim > 1 else part.view([(), *part.axes], part.formula) for part in parts]
    return concatenated(run, rows, 0)


def _dstack(tup: Any) -> SymbolicArray:
    run = run_of_all(tuple(tup))
    parts = []
    for part in map(_at_least_1d, _arrays(run, tup)):
        axes = [(), *part.axes] if part.ndim == 1 else list(part.axes)
        parts.append(part if part.ndim > 2 else part.view([*axes, ()], part.formula))
    return concatenated(run, parts, 2)


def _column_stack(tup: Any) -> SymbolicArray:
    run = run_of_all(tuple(tup))
    parts = _arrays(run, tup)
    columns = [
        part if part.ndim > 1 else part.view([*part.axes, ()], part.formula) for part in parts
    ]
    return concatenated(run, columns, 1)


def _append(arr: Any, values: Any, axis: Any = None) -> SymbolicArray:
    run = run_of_all(arr, values)
    if axis is None:
        parts = [FUNCTIONS[np.ravel](as_array(run, part)) for part in (arr, values)]
        return concatenated(run, parts, 0)
    return concatenated(run, [arr, values], axis)


def _split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[SymbolicArray]:
    at = _one(ary.run, ary, axis)
    run, own = ary.run, ary.axes[at]
    before = (slice(None),) * at
    if isinstance(indices_or_sections, tuple | list | np.ndarray):
        ends = [None, *indices_or_sections, None]
        return [read(ary, (*before, slice(*pair))) for pair in pairwise(ends)]
    number = indices_or_sections
    if not isinstance(number, int | np.integer) or isinstance(number, bool) or number < 1:
        run.refuse("splits into parts of which the number is not known")
    if len(own) > 1 and own[0].size == number:
        return [
            ary.view(
                _with_axis(ary.axes, at, own[1:]),
                ary.formula.substituted({own[0]: k}),
                fixed={own[0]: k},
            )
            for k in range(number)
        ]
    length = length_of(own)
    part = length * Fraction(1, int(number))
    if not has_whole_parts(part):
        if part.as_number() is not None:
            raise MismatchError(f"an axis of {length} entries is split into {number} equal parts")
        name = calculus.size_name(length)
        if calculus.is_single(name):
            run.wish(Multiple(str(name), int(number)))
        run.needs_numbers(length, f"splits {length} entries into {number} equal parts")
    if number > MOST_PARTS:
        run.refuse(f"splits into more than {MOST_PARTS} parts")
    ends = [SymbolicArray(run, (), k * part, kind="int") for k in range(number + 1)]
    return [read(ary, (*before, slice(*pair))) for pair in pairwise(ends)]


def _array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[SymbolicArray]:
    at = _one(ary.run, ary, axis)
    length = length_of(ary.axes[at]).as_number()
    number = indices_or_sections
    if length is not None and isinstance(number, int | np.integer) and 0 < number <= length:
        parts = np.array_split(np.arange(int(length)), number)
        return _split(ary, [int(part[0]) for part in parts[1:]], axis)
    return _split(ary, indices_or_sections, axis)


def _along(axis: int) -> Callable[..., Any]:
    def model(ary: Any, indices_or_sections: Any) -> list[SymbolicArray]:
        at = 0 if axis == 1 and ary.ndim == 1 else axis
        return _split(ary, indices_or_sections, at)

    return model


def _pad(array: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = 0) -> Any:
    run = array.run
    if not isinstance(mode, str) or mode != "constant":
        run.refuse(f"calls np.pad with the mode {mode!r}; join slices with np.concatenate")
    if isinstance(constant_values, tuple | list):
        run.refuse("calls np.pad with several constant_values")
    filling = as_array(run, constant_values)
    if filling.axes:
        run.refuse("calls np.pad with several constant_values")
    if KINDS.index(filling.kind) > KINDS.index(array.kind):
        run.refuse(f"pads an array of {array.kind} with {filling.kind} numbers")
    inside, formula, axes = ONE, array.formula, list(array.axes)
    for at, widths in enumerate(_widths(run, pad_width, array.ndim)):
        before, after = widths
        own = axes[at]
        if not before.terms and not after.terms:
            continue
        if len(own) > 1:
            run.refuse("pads an axis that was merged from several")
        for width in widths:
            require(run, width, "pads an axis by a number")
        new = one_axis(length_of(own) + before + after)
        place = calculus.affine(own[0] if own else 0, before, 1, new[0].size)
        here = calculus.delta(new[0], place)
        formula = calculus.total(here * formula, own)
        inside *= calculus.total(here, own)
        axes[at] = new
    return SymbolicArray(run, axes, formula + filling.formula * (ONE - inside), kind=array.kind)


def _widths(run: Run, pad_width: Any, ndim: int) -> list[tuple[Formula, Formula]]:
    """Return how much is put before and after each axis, as np.pad takes it."""
    rows = list(pad_width) if isinstance(pad_width, tuple | list | np.ndarray) else [pad_width]
    if not any(isinstance(row, tuple | list | np.ndarray) for row in rows):
        rows = [rows]  # one pair, or one number, for all axes
    pairs = []
    for row in rows:
        numbers = [whole(n) for n in (row if isinstance(row, tuple | list | np.ndarray) else [row])]
        if len(numbers) not in (1, 2) or any(number is None for number in numbers):
            run.refuse("pads by what is no whole number")
        pairs.append((numbers[0], numbers[-1]))
    if len(pairs) == 1:
        pairs *= ndim
    if len(pairs) != ndim:
        raise MismatchError(f"{len(pairs)} pairs of widths pad {ndim} axes")
    return pairs  # type: ignore[return-value]


def _roll(a: Any, shift: Any, axis: Any = None) -> Any:
    run = a.run
    if axis is None and a.ndim != 1:
        run.refuse("rolls an array that it makes flat; name the axis")
    number = whole(shift)
    value = None if number is None else number.as_number()
    if value is None:
        return run.refuse(
            "rolls by what is no known number, or along several axes; roll along one at a time"
        )
    at = 0 if axis is None else _one(run, a, axis)
    own = a.axes[at]
    if len(own) > 1:
        run.refuse("rolls an axis that was merged from several")
    length = length_of(own).as_number()
    by = int(value if length is None else value % length)
    if not own or by == 0:
        return a.copy()
    require(run, length_of(own) - calculus.number(abs(by) + 1), "rolls by more than the axis")
    before = (slice(None),) * at
    last, first = (read(a, (*before, part)) for part in (slice(-by, None), slice(None, -by)))
    result = concatenated(run, [last, first], at)
    joined = result.axes[at]
    if sizes_along(joined) != sizes_along(own):
        run.refuse(f"rolls an axis of {size_along(run, own)} entries by {by}")
    return result


def _flip(m: Any, axis: Any = None) -> Any:
    gone = axes_of(m, axis)
    return read(m, tuple(slice(None, None, -1 if i in gone else None) for i in range(m.ndim)))


def _cumsum(a: Any, axis: Any = None) -> Any:
    run = a.run
    if axis is None and a.ndim != 1:
        run.refuse("calls np.cumsum of an array that it makes flat; name the axis")
    at = 0 if axis is None else _one(run, a, axis)
    own = a.axes[at]
    if len(own) > 1:
        run.refuse("calls np.cumsum along an axis that was merged from several")
    if not own:
        return a.copy()
    new = own[0].fresh()
    formula = calculus.total(calculus.not_after(own[0], new) * a.formula, own)
    kind = "int" if a.kind == "bool" else a.kind
    return SymbolicArray(run, _with_axis(a.axes, at, (new,)), formula, kind=kind)


def _diff(a: Any, n: Any = 1, axis: Any = -1) -> Any:
    at = _one(a.run, a, axis)
    if not isinstance(n, int) or n < 0 or n > MOST_PARTS or a.kind == "bool":
        a.run.refuse("calls np.diff for what is not followed")
    before = (slice(None),) * at
    for _ in range(n):
        a = read(a, (*before, slice(1, None))) - read(a, (*before, slice(None, -1)))
    return a


def _repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    a = FUNCTIONS[np.ravel](a) if axis is None else a
    at = 0 if axis is None else _one(a.run, a, axis)
    new = _repetitions(a.run, repeats)
    axes = fresh_axes(a.axes)
    formula = a.formula.substituted(renaming(a.axes, axes))
    return SymbolicArray(a.run, _with_axis(axes, at, (*axes[at], *new)), formula, kind=a.kind)


def _repetitions(run: Run, number: Any) -> Axis:
    times = whole(number)
    if times is None or times == ZERO:
        run.refuse("repeats entries for a number of times that is not known")
    require(run, times - ONE, "repeats entries")
    return one_axis(times)


def _tile(A: Any, reps: Any) -> Any:
    times = list(reps) if isinstance(reps, tuple | list) else [reps]
    axes = fresh_axes(A.axes)
    formula = A.formula.substituted(renaming(A.axes, axes))
    ndim = max(len(times), len(axes))
    times = [1] * (ndim - len(times)) + times
    axes = [()] * (ndim - len(axes)) + axes
    joined = [(*_repetitions(A.run, n), *axis) for n, axis in zip(times, axes, strict=True)]
    return SymbolicArray(A.run, joined, formula, kind=A.kind)


def _take(a: Any, indices: Any, axis: Any = None) -> Any:
    a = FUNCTIONS[np.ravel](a) if axis is None else a
    at = 0 if axis is None else _one(a.run, a, axis)
    key = indices if not isinstance(indices, tuple) else list(indices)
    return read(a, ((slice(None),) * at + (key,)))


def _broadcast_arrays(*args: Any) -> list[SymbolicArray]:
    run = run_of_all(*args)
    arrays = [as_array(run, array) for array in args]
    axes, formulas = aligned(*arrays)
    return [
        SymbolicArray(run, axes, formula, kind=array.kind, writeable=False)
        for array, formula in zip(arrays, formulas, strict=True)
    ]


def _windows(x: Any, window_shape: Any, axis: Any = None) -> Any:
    """Model sliding_window_view: an axis of windows for each axis, and at the end their entries."""
    run = x.run
    shape = list(window_shape) if isinstance(window_shape, tuple | list) else [window_shape]
    axes = axes_of(x, axis)
    if len(shape) != len(axes):
        raise MismatchError(f"{len(shape)} windows slide along {len(axes)} axes")
    result, formula = list(x.axes), x.formula
    for width, at in zip(shape, axes, strict=True):
        if not isinstance(width, int | np.integer) or not 1 <= width <= MOST_PARTS:
            run.refuse("slides a window of which the size is not known")
        own = result[at]
        if len(own) > 1:
            run.refuse("slides a window along an axis that was merged from several")
        length = length_of(own) - calculus.number(int(width) - 1)
        require(run, length - ONE, "slides a window that is larger than the axis")
        start, inside = one_axis(length), one_axis(calculus.number(int(width)))
        place = start[0] if start else 0
        if own:
            of_window = [
                formula.substituted(
                    {own[0]: calculus.affine(place, calculus.number(k), 1, own[0].size)}
                )
                for k in range(int(width))
            ]
            formula = calculus.added(
                (calculus.delta(inside[0], k) if inside else ONE) * entry
                for k, entry in enumerate(of_window)
            )
        result[at] = start
        result.append(inside)
    return SymbolicArray(run, result, formula, kind=x.kind, writeable=False)


FUNCTIONS |= {
    np.concatenate: _concatenate,
    np.stack: _stack,
    np.hstack: _hstack,
    np.vstack: _vstack,
    np.dstack: _dstack,
    np.column_stack: _column_stack,
    np.append: _append,
    np.split: _split,
    np.array_split: _array_split,
    np.hsplit: _along(1),
    np.vsplit: _along(0),
    np.pad: _pad,
    np.roll: _roll,
    np.flip: _flip,
    np.fliplr: lambda m: _flip(m, 1),
    np.flipud: lambda m: _flip(m, 0),
    np.cumsum: _cumsum,
    np.diff: _diff,
    np.repeat: _repeat,
    np.tile: _tile,
    np.take: _take,
    np.broadcast_arrays: _broadcast_arrays,
    sliding_window_view: _windows,
}
for _name in ("cumsum", "repeat", "take"):
    METHODS[_name] = FUNCTIONS[getattr(np, _name)]
