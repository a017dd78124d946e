"""NumPy's functions on arrays of symbolic shape: what each of them means as a formula.

Every function here has the name of NumPy's in the tables at the end, and takes the same arguments,
by the same names; a call with an argument that is missing here is refused.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations, product
from math import prod
from typing import Any

import numpy as np

from backprop_lib.proof import calculus
from backprop_lib.proof.assumptions import Multiple
from backprop_lib.proof.calculus import (
    ONE,
    ZERO,
    CalculusError,
    Formula,
    Index,
    Pick,
    Place,
    Search,
)
from backprop_lib.proof.indexing import fitted, rearranged
from backprop_lib.proof.refusal import MismatchError, NotFollowedError
from backprop_lib.proof.symbolic import (
    FUNCTIONS,
    IN_PLACE,
    KINDS,
    METHODS,
    MOST_ENTRIES,
    OF_MATH,
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
    axes_of,
    axes_text,
    check_order,
    fresh_axes,
    parts_of,
    renaming,
    run_of,
    shape_text,
    size_along,
    sizes_along,
    whole_number,
    with_new_axes,
)
from backprop_lib.shapes import format_shape

MINUS, HALF = Fraction(-1), Fraction(1, 2)
MOST_SPLIT = 64
"""An axis of a known size up to this is split by reshape."""
MOST_FACTORS = 16
"""So many entries are multiplied along an axis, and no more."""
MOST_SEARCHED = 4
"""A largest entry is recognised along so many axes, and no more."""
LARGEST_WHOLE = np.dtype(np.intp).itemsize
"""Whole numbers of this many bytes are taken for all whole numbers; those of fewer overflow."""


def _wider(*arrays: SymbolicArray) -> str:
    """Return the kind of numbers that arrays are promoted to."""
    return max((array.kind for array in arrays), key=KINDS.index)


def _entrywise(function: Callable[..., Formula], *, to_float: bool = False) -> Callable[..., Any]:
    """Model a function of numbers that works entry by entry."""

    def model(*arrays: Any) -> SymbolicArray:
        run = run_of(*arrays)
        operands = [as_array(run, array) for array in arrays]
        kind = _wider(*operands)
        if kind == "bool" and function is not _times:
            run.refuse("computes with truth values alone; use &, | and ~, or np.where")
        axes, formulas = aligned(*operands)
        return SymbolicArray(run, axes, function(*formulas), kind="float" if to_float else kind)

    return model


def _of_numbers(function: Callable[[Formula], Formula], u: Formula) -> Formula:
    """Apply a function; entry by entry if these are numbers along axes of known sizes."""
    known = [index for index in u.free_indices if isinstance(index.size, int)]
    are_numbers = (
        len(known) == len(u.free_indices)
        and u.free_indices
        and all(isinstance(atom, calculus.Delta) for atom in u.atoms())
    )
    if are_numbers and prod(int(index.size) for index in known) <= MOST_ENTRIES:
        return calculus.added(here * function(part) for here, part in parts_of(u, known))
    return function(u)


def _is_above(difference: Formula) -> Formula:
    return calculus.step(difference)


def _is_below(difference: Formula) -> Formula:
    return calculus.step(-difference)


def _is_equal(difference: Formula) -> Formula:
    return calculus.zero(difference)


def _not(says: Callable[[Formula], Formula]) -> Callable[[Formula], Formula]:
    return lambda difference: ONE - says(difference)


_is_at_least, _is_at_most, _is_different = map(_not, (_is_below, _is_above, _is_equal))
AGAINST_LARGEST = {_is_at_least: _is_equal, _is_below: _is_different}
AGAINST_SMALLEST = {_is_at_most: _is_equal, _is_above: _is_different}


def _against_extreme(
    run: Run, says: Callable[[Formula], Formula], left: Formula, right: Formula
) -> Callable[[Formula], Formula] | None:
    """Return what x >= max(x) and its like say, in terms of ==."""
    sides = [(left, right, {1: AGAINST_LARGEST, -1: AGAINST_SMALLEST})]
    sides += [(right, left, {1: AGAINST_SMALLEST, -1: AGAINST_LARGEST})]
    for array, bound, meaning in sides:
        for sign in (1, -1):
            if says in meaning[sign] and _is_extreme(run, array, bound, sign):
                return meaning[sign][says]
    return None


def _is_extreme(run: Run, array: Formula, bound: Formula, sign: int) -> bool:
    """Say whether a number is known to be the largest entry of an array, or the smallest."""
    over = array.free_indices - bound.free_indices
    if not 0 < len(over) <= MOST_SEARCHED or bound.free_indices - array.free_indices:
        return False
    for indices in permutations(over):
        picks: dict[Index, Place] = {}
        for index, key, _, rest in _extreme_keys(array, indices, sign):
            if key in run.picks:
                picks[index] = Pick(run.picks[key], index.size, rest)
        if len(picks) == len(indices) and array.substituted(picks) == bound:
            return True
    return False


def _comparison(function: Callable[[Formula], Formula]) -> Callable[..., Any]:
    """Model a comparison: the function says it of the difference."""

    def model(a: Any, b: Any) -> SymbolicArray:
        run = run_of(a, b)
        operands = [as_array(run, value) for value in (a, b)]
        axes, (left, right) = aligned(*operands)
        difference = left - right
        says = _against_extreme(run, function, left, right) or function
        outcome = _of_numbers(says, difference)
        has_cases = any(isinstance(atom, calculus.Step) for atom in difference.atoms())
        if (
            outcome.as_number() is not None
            and not has_cases
            and any(
                isinstance(value, SymbolicArray) and all(value is not known for known in run.given)
                for value in (a, b)
            )
        ):
            run.refuse(
                "compares what is the same for all numbers, so that NaN or infinity may be told "
                "from them; leave that out"
            )
        return SymbolicArray(run, axes, outcome, kind="bool")

    return model


def _logical(function: Callable[..., Formula]) -> Callable[..., Any]:
    def model(*arrays: Any) -> SymbolicArray:
        run = run_of(*arrays)
        operands = [as_array(run, array) for array in arrays]
        if _wider(*operands) != "bool":
            run.refuse("uses a logical operator on numbers; compare them with 0 first")
        axes, formulas = aligned(*operands)
        return SymbolicArray(run, axes, function(*formulas), kind="bool")

    return model


def _times(a: Formula, b: Formula) -> Formula:
    return a * b


def _inverse(a: Formula) -> Formula:
    return calculus.power(a, MINUS)


def _maximum(a: Formula, b: Formula) -> Formula:
    a_wins = calculus.step(a - b)
    return a * a_wins + b * (ONE - a_wins)


def _absolute(a: Formula) -> Formula:
    return a * (2 * calculus.step(a) - ONE)


def _tanh(a: Formula) -> Formula:
    return calculus.function("tanh", a)


def _sinh(a: Formula) -> Formula:
    return HALF * (calculus.exp(a) - calculus.exp(-a))


def _cosh(a: Formula) -> Formula:
    return HALF * (calculus.exp(a) + calculus.exp(-a))


def _tan(a: Formula) -> Formula:
    return calculus.function("sin", a) * _inverse(calculus.function("cos", a))


def _arctanh(a: Formula) -> Formula:
    return HALF * (calculus.log(ONE + a) - calculus.log(ONE - a))


def _root(a: Formula) -> Formula:
    return calculus.power(a, HALF)


def _log_of_number(base: int) -> Formula:
    return calculus.log(calculus.number(base))


def _logaddexp(a: Formula, b: Formula) -> Formula:
    return calculus.log(calculus.exp(a) + calculus.exp(b))


def _atom(name: str) -> Callable[[Formula], Formula]:
    return lambda a: calculus.function(name, a)


def _power(base: Any, exponent: Any) -> SymbolicArray:
    run = run_of(base, exponent)
    low, up = as_array(run, base), as_array(run, exponent)
    value = up.formula.as_number()
    if value is None or up.axes:
        run.refuse("raises to a power that is no number; use np.exp(b * np.log(a))")
    if low.kind == "bool" or (_wider(low, up) == "int" and value < 0):
        run.refuse(f"raises {low.kind} numbers to the power {value}")
    axes = fresh_axes(low.axes)
    formula = low.formula.substituted(renaming(low.axes, axes))
    return SymbolicArray(run, axes, calculus.power(formula, value), kind=_wider(low, up))


def _reciprocal(a: Any) -> Any:
    if as_array(a.run, a).kind != "float":
        a.run.refuse("calls np.reciprocal with whole numbers, which rounds; divide 1 by them")
    return 1 / a


def matmul(x1: Any, x2: Any) -> SymbolicArray:
    """Model np.matmul."""
    run = run_of(x1, x2)
    a, b = as_array(run, x1), as_array(run, x2)
    if _wider(a, b) == "bool":
        run.refuse("multiplies two masks as matrices")
    if not a.ndim or not b.ndim:
        raise MismatchError(f"{shape_text(a)} @ {shape_text(b)}: a number is no matrix")
    left = a if a.ndim > 1 else a.view([(), *a.axes], a.formula)
    right = b if b.ndim > 1 else b.view([*b.axes, ()], b.formula)
    inner, other = left.axes[-1], right.axes[-2]
    if sizes_along(inner) != sizes_along(other):
        check_order(run, sizes_along(inner), sizes_along(other))
        met = f"{size_along(run, inner)} meets {size_along(run, other)}"
        raise MismatchError(f"{shape_text(a)} @ {shape_text(b)}: {met}")
    (summed,) = fresh_axes([inner])
    rows, columns = fresh_axes([left.axes[-2], right.axes[-1]])
    batch, formulas = aligned(
        SymbolicArray(
            run,
            left.axes[:-2],
            left.formula.substituted(renaming(left.axes[-2:], [rows, summed])),
        ),
        SymbolicArray(
            run,
            right.axes[:-2],
            right.formula.substituted(renaming(right.axes[-2:], [summed, columns])),
        ),
    )
    axes = [*batch, *([rows] if a.ndim > 1 else []), *([columns] if b.ndim > 1 else [])]
    formula = calculus.total(formulas[0] * formulas[1], summed)
    return SymbolicArray(run, axes, formula, kind=_wider(a, b))


def _dot(a: Any, b: Any) -> SymbolicArray:
    run = run_of(a, b)
    left, right = as_array(run, a), as_array(run, b)
    if not left.ndim or not right.ndim:
        return left * right  # type: ignore[no-any-return]
    if left.ndim > 2 or right.ndim > 2:
        run.refuse("uses np.dot on more than two axes; use @")
    return matmul(left, right)


def _outer(a: Any, b: Any, out: Any = None) -> Any:
    run = run_of(a, b)
    left, right = _reshape(as_array(run, a), (-1,)), _reshape(as_array(run, b), (-1,))
    return _finished(left[:, None] * right, out)


def _tensordot(a: Any, b: Any, axes: Any = 2) -> SymbolicArray:
    run = run_of(a, b)
    left, right = as_array(run, a), as_array(run, b)
    if _wider(left, right) == "bool":
        run.refuse("multiplies two masks as matrices")
    if isinstance(axes, int | np.integer):
        if not 0 <= axes <= min(left.ndim, right.ndim):
            shapes = f"{shape_text(left)} and {shape_text(right)}"
            raise MismatchError(f"np.tensordot over {axes} axes of {shapes}")
        axes = range(left.ndim - axes, left.ndim), range(axes)
    here, there = (
        axes_of(array, list(own) if isinstance(own, range) else own)
        for array, own in zip((left, right), axes, strict=True)
    )
    if len(here) != len(there):
        raise MismatchError(f"np.tensordot over {len(here)} axes and {len(there)}")
    ours, theirs = fresh_axes(left.axes), fresh_axes(right.axes)
    for i, j in zip(here, there, strict=True):
        if sizes_along(ours[i]) != sizes_along(theirs[j]):
            check_order(run, sizes_along(ours[i]), sizes_along(theirs[j]))
            met = f"{size_along(run, ours[i])} meets {size_along(run, theirs[j])}"
            raise MismatchError(f"np.tensordot of {shape_text(left)}, {shape_text(right)}: {met}")
        theirs[j] = ours[i]
    formula = left.formula.substituted(renaming(left.axes, ours)) * right.formula.substituted(
        renaming(right.axes, theirs)
    )
    kept = [axis for i, axis in enumerate(ours) if i not in here]
    kept += [axis for j, axis in enumerate(theirs) if j not in there]
    summed = [index for i in here for index in ours[i]]
    return SymbolicArray(run, kept, calculus.total(formula, summed), kind=_wider(left, right))


def _inner(a: Any, b: Any) -> Any:
    run = run_of(a, b)
    left, right = as_array(run, a), as_array(run, b)
    if not left.ndim or not right.ndim:
        return left * right
    return _tensordot(left, right, axes=((-1,), (-1,)))


def _vdot(a: Any, b: Any) -> SymbolicArray:
    run = run_of(a, b)
    left, right = _ravel(as_array(run, a)), _ravel(as_array(run, b))
    return _tensordot(left, right, axes=1)


def _kron(a: Any, b: Any) -> SymbolicArray:
    run = run_of(a, b)
    left, right = as_array(run, a), as_array(run, b)
    if _wider(left, right) == "bool":
        run.refuse("multiplies two masks as matrices")
    ndim = max(left.ndim, right.ndim)
    ours, theirs = (fresh_axes([()] * (ndim - m.ndim) + list(m.axes)) for m in (left, right))
    formula = left.formula.substituted(renaming(left.axes, ours[ndim - left.ndim :]))
    formula *= right.formula.substituted(renaming(right.axes, theirs[ndim - right.ndim :]))
    axes = [a + b for a, b in zip(ours, theirs, strict=True)]
    return SymbolicArray(run, axes, formula, kind=_wider(left, right))


ELLIPSIS = "\u2026"


def _axes_named(name: str, ndim: int) -> list[str]:
    """Split what einsum is told of one array; the axes under an ellipsis count from the last."""
    before, dots, after = name.partition("...")
    hidden = range(ndim - len(before) - len(after)) if dots else range(0)
    return [*before, *(f"{ELLIPSIS}{i}" for i in reversed(hidden)), *after]


def _einsum(subscripts: str, *operands: Any, out: Any = None, optimize: Any = False) -> Any:
    run = run_of(*operands)
    if not isinstance(subscripts, str):
        run.refuse("calls np.einsum with something else than letters")
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands):
        raise MismatchError(f"np.einsum({subscripts!r}) names {len(inputs)} arrays")
    arrays = [as_array(run, operand) for operand in operands]
    if _wider(*arrays) == "bool":
        run.refuse("calls np.einsum with truth values alone")
    written = left.replace(".", "")
    names = [_axes_named(name, array.ndim) for name, array in zip(inputs, arrays, strict=True)]
    under = max(([a for a in axes if ELLIPSIS in a] for axes in names), key=len)
    if not arrow:
        once = sorted(s for s in set(written) - {","} if written.count(s) == 1)
        result = "".join(["..." if under else "", *once])
    before, dots, after = result.partition("...")
    kept = [*before, *(under if dots else []), *after]
    if under and not dots:
        run.refuse(f"calls np.einsum({subscripts!r}), which leaves out the ellipsis at the end")
    axis_of: dict[str, Axis] = {}
    for name, array in zip(names, arrays, strict=True):
        if len(name) != array.ndim:
            named = "".join(name)
            raise MismatchError(f"np.einsum({subscripts!r}): {named} names {shape_text(array)}")
        for letter, axis in zip(name, array.axes, strict=True):
            known = axis_of.get(letter, ())
            if known and axis and sizes_along(known) != sizes_along(axis):
                check_order(run, sizes_along(known), sizes_along(axis))
                sizes = f"{size_along(run, known)} and {size_along(run, axis)}"
                raise MismatchError(f"np.einsum({subscripts!r}): {letter} is both {sizes}")
            axis_of[letter] = known or fresh_axes([axis])[0]
    formula = ONE
    for name, array in zip(names, arrays, strict=True):
        own = fresh_axes(array.axes)
        here = array.formula.substituted(renaming(array.axes, own))
        for letter, axis in zip(name, own, strict=True):
            here = here.substituted(renaming([axis], [axis_of[letter]]))
        formula *= here
    if len(set(kept)) < len(kept) or set(kept) - set(axis_of):
        run.refuse(f"calls np.einsum({subscripts!r})")
    summed = [i for letter, axis in axis_of.items() if letter not in kept for i in axis]
    axes = [axis_of[letter] for letter in kept]
    made = SymbolicArray(run, axes, calculus.total(formula, summed), kind=_wider(*arrays))
    return _finished(made, out)


def _finished(result: SymbolicArray, out: Any = None, dtype: Any = None) -> Any:
    """Make a result what the options `out` and `dtype` of NumPy's functions ask for."""
    run = result.run
    if dtype is not None:
        if isinstance(dtype, bool | np.bool_):
            run.refuse(f"passes dtype={dtype}")
        kind = kind_of(run, dtype)
        if KINDS.index(kind) < KINDS.index(result.kind):
            run.refuse(f"asks for {kind} of {result.kind} numbers")
        result = SymbolicArray(run, result.axes, result.formula, kind=kind)
    if out is None:
        return result
    (target,) = out if isinstance(out, tuple) else (out,)
    if not isinstance(target, SymbolicArray):
        run.refuse("writes a result into an array that is not followed; leave out=... out")
    target[...] = result
    return target


def _chosen(a: SymbolicArray, where: Any, otherwise: Any) -> SymbolicArray:
    """Replace what the option `where` of reductions leaves out."""
    if isinstance(where, bool) and where:
        return a
    chosen = _where(as_array(a.run, where), a, otherwise)
    if [sizes_along(axis) for axis in chosen.axes] != [sizes_along(axis) for axis in a.axes]:
        raise MismatchError(f"where={shape_text(where)} for {shape_text(a)}")
    return chosen


def reduced(array: SymbolicArray, axis: Any, keepdims: Any) -> tuple[list[Index], list[Axis]]:
    """Return the indices along the given axes, and the axes of the result."""
    if not isinstance(keepdims, bool | np.bool_):
        raise NotFollowedError(f"passes keepdims={keepdims!r}")
    gone = axes_of(array, axis)
    indices = [index for i in gone for index in array.axes[i]]
    axes = [() if i in gone else a for i, a in enumerate(array.axes) if keepdims or i not in gone]
    return indices, axes


def _sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = 0,
    where: Any = True,
) -> Any:
    a = _chosen(a, where, False if a.is_mask else 0)
    indices, axes = reduced(a, axis, keepdims)
    kind = "int" if a.is_mask else a.kind
    result = SymbolicArray(a.run, axes, calculus.total(a.formula, indices), kind=kind)
    if not (isinstance(initial, int) and initial == 0):
        result = result + initial
    return _finished(result, out, dtype)


def _mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    where: Any = True,
) -> Any:
    indices, axes = reduced(a, axis, keepdims)
    if not (isinstance(where, bool) and where):
        chosen = _broadcast_to(as_array(a.run, where), a.shape)
        count = _sum(chosen, axis, keepdims=keepdims)
        return _finished(_sum(a, axis, keepdims=keepdims, where=where) / count, out, dtype)
    count = calculus.multiplied(calculus.size(index.size) for index in indices)
    result = SymbolicArray(
        a.run, axes, calculus.total(a.formula, indices) * calculus.power(count, MINUS)
    )
    return _finished(result, out, dtype)


def _var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    indices, _ = reduced(a, axis, keepdims)
    count = calculus.multiplied(calculus.size(index.size) for index in indices)
    centred = a - (_mean(a, axis, keepdims=True) if mean is None else mean)
    squares = _sum(centred * centred, axis, keepdims=keepdims)
    less = as_array(a.run, ddof if correction is None else correction)
    if less.axes:
        a.run.refuse("passes ddof as an array")
    divisor = calculus.power(count - less.formula, MINUS)
    result = SymbolicArray(a.run, squares.axes, squares.formula * divisor)
    return _finished(result, out, dtype)


def _std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    variance = _var(a, axis, ddof=ddof, keepdims=keepdims, mean=mean, correction=correction)
    root = calculus.power(variance.formula, Fraction(1, 2))
    return _finished(SymbolicArray(a.run, variance.axes, root), out, dtype)


def _prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = 1,
    where: Any = True,
) -> Any:
    a = _chosen(a, where, True if a.is_mask else 1)
    indices, axes = reduced(a, axis, keepdims)
    count = prod(i.size if isinstance(i.size, int) else MOST_FACTORS + 1 for i in indices)
    if count > MOST_FACTORS:
        a.run.refuse(
            f"multiplies along an axis whose size is open, or more than {MOST_FACTORS}; for "
            "positive numbers, use np.exp(np.log(x).sum(axis=...))"
        )
    formula = calculus.multiplied(part for _, part in parts_of(a.formula, indices))
    result = SymbolicArray(a.run, axes, formula, kind="int" if a.is_mask else a.kind)
    if not (isinstance(initial, int) and initial == 1):
        result = result * initial
    return _finished(result, out, dtype)


def _count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _sum(a if a.is_mask else a != 0, axis, keepdims=keepdims)


def _average(
    a: Any,
    axis: Any = None,
    weights: Any = None,
    returned: Any = False,
    *,
    keepdims: Any = False,
) -> Any:
    run = run_of(a, weights)
    if returned is not False:
        run.refuse("calls np.average with returned=True")
    a = as_array(run, a)
    if weights is None:
        return _mean(a, axis, keepdims=keepdims)
    w = as_array(run, weights)
    if w.ndim == 1 and a.ndim > 1:
        if not isinstance(axis, int):
            run.refuse("weights several axes by one; name the axis")
        (at,) = axes_of(a, axis)
        w = w[(None,) * at + (slice(None),) + (None,) * (a.ndim - at - 1)]
        if sizes_along(w.axes[at]) != sizes_along(a.axes[at]):
            raise MismatchError(f"weights {shape_text(w)} of {shape_text(a)}")
    elif [sizes_along(axis) for axis in w.axes] != [sizes_along(axis) for axis in a.axes]:
        raise MismatchError(f"weights {shape_text(w)} of {shape_text(a)}")
    total = _sum(a * w, axis, keepdims=keepdims)
    return total / _sum(_broadcast_to(w, a.shape), axis, keepdims=keepdims)


def extreme_places(array: SymbolicArray, indices: Sequence[Index], sign: int) -> dict[Index, Pick]:
    """Return the place of the largest entry along some indices, one look-up for each."""
    if not indices:
        return {}
    if any(index.size == 0 for index in indices):
        raise ValueError("zero-size array to reduction operation which has no identity")
    extreme = "largest" if sign > 0 else "smallest"
    array.run.searches(indices, extreme, array.formula.arrays)
    picks = {
        index: Pick(array.run.pick_name(key, letter), index.size, rest)
        for index, key, letter, rest in _extreme_keys(array.formula, indices, sign)
    }
    names = tuple(pick.name for pick in picks.values())
    rest: Any = picks[indices[0]].at
    search = Search(array.formula, tuple(indices), rest, names)
    array.run.searches_of.update(dict.fromkeys(names, search))
    return picks


def _extreme_keys(
    formula: Formula, indices: Sequence[Index], sign: int
) -> Iterator[tuple[Index, calculus.Key, str, tuple[Index, ...]]]:
    """Yield for each index what tells the place of the largest entry from other places."""
    formula = formula * sign
    free = sorted(formula.free_indices - set(indices), key=lambda index: index.serial)

    def look(rest: Sequence[Index]) -> Any:
        labels = {index: (2, -1, i) for i, index in enumerate([*indices, *rest])}
        return formula.key(labels)

    rest = min(permutations(free), key=look)  # the same for the same numbers, however arranged
    # the smallest entry of an input, m, ties where the largest, k, does only if all are equal
    letter = "m" if (-formula).as_entry() else "k"
    for number, index in enumerate(indices):
        yield index, (number, len(indices), look(rest)), letter, rest


def _extreme(sign: int) -> Callable[..., Any]:
    def model(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        if initial is None:
            if not (isinstance(where, bool) and where):
                a.run.refuse("calls np.max or np.min with where=... and without initial=...")
        else:
            a = _chosen(a, where, initial)
        indices, axes = reduced(a, axis, keepdims)
        formula = a.formula.substituted(extreme_places(a, indices, sign))
        result: Any = SymbolicArray(a.run, axes, formula, kind=a.kind)
        if initial is not None:
            result = (np.maximum if sign > 0 else np.minimum)(result, initial)
        return _finished(result, out)

    return model


def _ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    largest, smallest = (_extreme(sign)(a, axis, keepdims=keepdims) for sign in (1, -1))
    return _finished(largest - smallest, out)


def _extreme_place(sign: int) -> Callable[..., Any]:
    def model(a: Any, axis: Any = None, *, keepdims: Any = False) -> PlaceArray:
        indices, axes = reduced(a, axis, keepdims)
        if len(indices) > 1:
            a.run.refuse("takes argmax over several axes at once")
        places = extreme_places(a, indices, sign)
        return PlaceArray(a.run, axes, places[indices[0]] if indices else 0)

    return model


def _clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    *,
    min: Any = None,  # noqa: A002
    max: Any = None,  # noqa: A002
) -> Any:
    for given, same in ((a_min, min), (a_max, max)):
        if given is not None and same is not None:
            run_of(a, given, same).refuse("gives a bound of np.clip twice")
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    result = a if low is None else UFUNCS[np.maximum](a, low)
    return result if high is None else UFUNCS[np.minimum](result, high)


def _clip_method(a: Any, min: Any = None, max: Any = None) -> Any:  # noqa: A002
    return _clip(a, min, max)


def _norm(
    x: Any,
    ord: Any = None,  # noqa: A002
    axis: Any = None,
    keepdims: Any = False,
) -> Any:
    """Model the norms of vectors: the root of the sum of squares, or the sum of absolute values."""
    is_vector = axis is not None or x.ndim == 1
    if axis is not None and not isinstance(axis, int | np.integer):
        x.run.refuse("calls np.linalg.norm with two axes; use np.sqrt((x * x).sum(axis=...))")
    if ord is None or (ord == 2 and is_vector):
        squares = _sum(x * x, axis, keepdims=keepdims)
        return SymbolicArray(x.run, squares.axes, _root(squares.formula))
    if ord != 1 or not is_vector:
        x.run.refuse(
            f"calls np.linalg.norm with ord={ord!r}, which is not followed; of vectors, use "
            "(np.abs(x) ** p).sum(axis=...) ** (1 / p) or np.max(np.abs(x), axis=...)"
        )
    return _sum(UFUNCS[np.absolute](x), axis, keepdims=keepdims)


def transpose(a: Any, axes: Any = None) -> Any:
    """Model np.transpose."""
    order = list(range(a.ndim))[::-1] if axes is None else axes_of(a, tuple(axes))
    if len(order) != a.ndim:
        raise MismatchError(f"transpose names {len(order)} of the axes of {shape_text(a)}")
    return a.view([a.axes[i] for i in order], a.formula, fixed={})


def _swapaxes(a: Any, axis1: Any, axis2: Any) -> Any:
    i, j = axes_of(a, (axis1,)) + axes_of(a, (axis2,))
    axes = list(a.axes)
    axes[i], axes[j] = axes[j], axes[i]
    return a.view(axes, a.formula, fixed={})


def _moveaxis(a: Any, source: Any, destination: Any) -> Any:
    old, new = axes_of(a, source), axes_of(a, destination)
    order = [i for i in range(a.ndim) if i not in old]
    for to, i in sorted(zip(new, old, strict=True)):
        order.insert(to, i)
    return a.view([a.axes[i] for i in order], a.formula, fixed={})


def _expand_dims(a: Any, axis: Any) -> Any:
    return a.view(with_new_axes(a.axes, axis), a.formula, fixed={})


def _squeeze(a: Any, axis: Any = None) -> Any:
    if axis is None:
        a.run.refuse("squeezes all axes that happen to be of size 1; name the axis")
    gone = axes_of(a, axis)
    for i in gone:
        if a.axes[i]:
            raise MismatchError(f"axis {i} of {shape_text(a)} is not of size 1")
    axes = [axis for i, axis in enumerate(a.axes) if i not in gone]
    return a.view(axes, a.formula, fixed={})


def _reshape(a: Any, shape: Any) -> Any:
    wanted = list(shape) if isinstance(shape, tuple | list) else [shape]
    given, asked = shape_text(a), format_shape(wanted)
    cannot = f"reshapes {given} to {asked}, which neither merges nor splits whole axes"
    parting = _Parting(a.run, a.formula, deque(index for axis in a.axes for index in axis), cannot)
    open_ones = [i for i, size in enumerate(wanted) if isinstance(size, int) and size == -1]
    if len(open_ones) > 1:
        a.run.refuse(cannot)
    if not open_ones:
        axes = [parting.taken(size) for size in wanted]
        if parting.left:
            a.run.refuse(cannot)
        return a.view(axes, parting.formula)
    (at,) = open_ones
    front = [parting.taken(size) for size in wanted[:at]]
    back = [parting.taken(size, from_end=True) for size in reversed(wanted[at + 1 :])]
    return a.view([*front, parting.merged(parting.left), *reversed(back)], parting.formula)


@dataclass
class _Parting:
    """The indices of an array in the order of its memory, taken from either end."""

    run: Run
    formula: Formula
    left: deque[Index]
    cannot: str

    def taken(self, size: Any, *, from_end: bool = False) -> Axis:
        """Take the indices that make up an axis of a given size."""
        wanted = as_array(self.run, whole_number(self.run, size)).formula
        axis: deque[Index] = deque()
        while (part := calculus.power(wanted, MINUS) * _product(axis)) != ONE:
            if not self.left:
                self.run.refuse(self.cannot)
            self._split(part, from_end=from_end)
            if from_end:
                axis.appendleft(self.left.pop())
            else:
                axis.append(self.left.popleft())
        return self.merged(axis)

    def merged(self, axis: Sequence[Index]) -> Axis:
        """Merge indices to an axis; if all their sizes are known, to a single index."""
        sizes = [index.size for index in axis if isinstance(index.size, int)]
        if len(axis) < 2 or len(sizes) < len(axis) or math.prod(sizes) > MOST_SPLIT:
            return tuple(axis)
        index = Index(math.prod(sizes))
        self.formula = calculus.added(
            calculus.delta(index, k)
            * self.formula.substituted(dict(zip(axis, places, strict=True)))
            for k, places in enumerate(product(*map(range, sizes)))
        )
        return (index,)

    def _split(self, part: Formula, *, from_end: bool) -> None:
        """Split the next index, if only a part of it is wanted."""
        index = self.left[-1 if from_end else 0]
        of = calculus.power(part, MINUS)
        if calculus.size(index.size) == of:
            return
        for multiple in self.run.assumed.multiples:
            asked = multiple.rest if multiple.inner == from_end else multiple.of
            if calculus.size(asked) == of:
                self.run.wish(replace(multiple, inner=not multiple.inner))
        try:
            size = calculus.size_name(of)
        except CalculusError:
            return  # it is not split, but merged with others
        if isinstance(size, str):
            if calculus.is_single(index.size) and calculus.is_single(size):
                self.run.wish(Multiple(str(index.size), size, inner=from_end))
            return
        if isinstance(index.size, str):
            if calculus.is_single(index.size) and size > 1:
                self.run.wish(Multiple(index.size, size, inner=from_end))
            return
        if 1 < size < index.size and not index.size % size:
            if index.size > MOST_SPLIT:
                self.run.refuse(f"{self.cannot}: at most {MOST_SPLIT} entries are written out")
            inner = size if from_end else index.size // size
            first, second = Index(index.size // inner), Index(inner)
            self.formula = calculus.added(
                calculus.delta(first, k // inner)
                * calculus.delta(second, k % inner)
                * self.formula.substituted({index: k})
                for k in range(index.size)
            )
            if from_end:
                self.left.pop()
                self.left.extend((first, second))
            else:
                self.left.popleft()
                self.left.extendleft((second, first))


def _product(axis: Iterable[Index]) -> Formula:
    return calculus.multiplied(calculus.size(index.size) for index in axis)


def _ravel(a: Any) -> Any:
    return _reshape(a, (-1,))


def _flatten(a: Any) -> Any:
    return _reshape(a, (-1,)).copy()


def _broadcast_to(array: Any, shape: Any) -> Any:
    wanted = list(shape) if isinstance(shape, tuple | list) else [shape]
    run = run_of(array, *wanted)
    given = as_array(run, array)
    axes = axes_for(run, wanted)
    common, (_, formula) = aligned(SymbolicArray(run, axes, ZERO), given)
    if [sizes_along(axis) for axis in common] != [sizes_along(axis) for axis in axes]:
        raise MismatchError(f"{shape_text(given)} does not broadcast to {format_shape(wanted)}")
    return given.view(common, formula, writeable=False)


def _where(condition: Any, x: Any, y: Any) -> SymbolicArray:
    run = run_of(condition, x, y)
    mask = as_array(run, condition)
    if not mask.is_mask:
        run.refuse("asks np.where for the entries that are not 0; compare them first")
    choices = as_array(run, x), as_array(run, y)
    axes, (m, a, b) = aligned(mask, *choices)
    return SymbolicArray(run, axes, m * a + (ONE - m) * b, kind=_wider(*choices))


def _like(value: Formula) -> Callable[..., Any]:
    def model(a: Any, dtype: Any = None, order: Any = "K", subok: Any = True) -> SymbolicArray:
        return SymbolicArray(a.run, fresh_axes(a.axes), value, kind=_kind_like(a, dtype))

    return model


def _empty_like(a: Any, dtype: Any = None, order: Any = "K", subok: Any = True) -> SymbolicArray:
    return a.run.empty(fresh_axes(a.axes), _kind_like(a, dtype))  # type: ignore[no-any-return]


def _kind_like(a: SymbolicArray, dtype: Any) -> str:
    return a.kind if dtype is None else kind_of(a.run, dtype)


def kind_of(run: Run, dtype: Any) -> str:
    """Return what an array of some dtype holds."""
    kinds = {"b": "bool", "i": "int", "f": "float", "O": "float"}
    wanted = np.dtype(dtype)
    if wanted.kind not in kinds or (wanted.kind == "i" and wanted.itemsize < LARGEST_WHOLE):
        run.refuse(f"asks for an array of {wanted}, in which large numbers have no place")
    return kinds[wanted.kind]


def _full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: Any = True
) -> SymbolicArray:
    value, kind = as_array(a.run, fill_value), _kind_like(a, dtype)
    if value.axes:
        a.run.refuse("fills an array with an array; use np.broadcast_to")
    if KINDS.index(value.kind) > KINDS.index(kind):
        a.run.refuse(f"fills an array of {kind} with {value.kind} numbers")
    return SymbolicArray(a.run, fresh_axes(a.axes), value.formula, kind=kind)


def eye(
    run: Run,
    N: Any,
    M: Any = None,
    k: Any = 0,
    dtype: Any = float,
    order: Any = "C",
    device: Any = None,
) -> SymbolicArray:
    """Model np.eye(N, M, dtype=..., like=an array); without like, NumPy asks for numbers."""
    if k != 0 or order != "C" or device is not None:
        run.refuse("calls np.eye with more than sizes and a type")
    if np.dtype(dtype).kind not in "fO":
        run.refuse(f"asks for an identity of {dtype}; use np.eye(N, dtype=x.dtype, like=x)")
    sizes = {
        size.parts if isinstance(size, Size) else (size,) for size in (N, N if M is None else M)
    }
    parts = sizes.pop()
    if sizes or len(parts) != 1 or not isinstance(parts[0], str | int):
        run.refuse("calls np.eye for something else than the size of one axis")
    square = run.array("", (*parts, *parts))
    places = [axis[0] if axis else 0 for axis in square.axes]
    return SymbolicArray(run, square.axes, calculus.delta(*places))


def is_lower(run: Run, rows: Axis, columns: Axis, k: Any = 0) -> Formula:
    """Return 1 on and below the k-th diagonal of a matrix, else 0.

    Where a size is open, nothing is known of it but that it is 0 or 1: what is proven holds for
    any such matrix.
    """
    if not isinstance(k, int | np.integer):
        run.refuse("takes a triangle at a diagonal that is no known number")
    if len(rows) > 1 or len(columns) > 1:
        run.refuse("takes a triangle over an axis that was merged from several")
    indices = [*rows, *columns]
    count = prod(i.size if isinstance(i.size, int) else MOST_ENTRIES + 1 for i in indices)
    if count <= MOST_ENTRIES:
        heights, widths = ([here for here, _ in parts_of(ONE, axis)] for axis in (rows, columns))
        below = [(m, n) for m in range(len(heights)) for n in range(len(widths)) if m + k >= n]
        if len(below) == len(heights) * len(widths):
            return ONE
        return calculus.added(heights[m] * widths[n] for m, n in below)
    i, j = (axis[0] if axis else 0 for axis in (rows, columns))
    if k == -1 and sizes_along(rows) == sizes_along(columns):
        return is_lower(run, rows, columns) * (ONE - calculus.delta(i, j))
    name = calculus.TRIANGLE if k == 0 else f"{calculus.TRIANGLE}{k:+}"
    return calculus.step(calculus.entry(name, i, j))


def _triangle(lower: bool) -> Callable[..., Any]:
    def model(m: Any, k: Any = 0) -> SymbolicArray:
        if m.ndim < 2:
            m.run.refuse("takes a triangle of an array with less than two axes")
        axes = fresh_axes(m.axes)
        mask = is_lower(m.run, axes[-2], axes[-1], k if lower else k - 1)
        formula = m.formula.substituted(renaming(m.axes, axes))
        kept = mask if lower else ONE - mask
        return SymbolicArray(m.run, axes, kept * formula, kind=m.kind)

    return model


def _diagonal(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> SymbolicArray:
    if offset != 0:
        a.run.refuse("takes another diagonal than the one in the middle")
    i, j = axes_of(a, (axis1, axis2))
    one, other = a.axes[i], a.axes[j]
    if sizes_along(one) != sizes_along(other):
        a.run.refuse(f"takes the diagonal of {shape_text(a)}, which is not square there")
    axes = [*(axis for at, axis in enumerate(a.axes) if at not in (i, j)), one]
    formula = a.formula.substituted(renaming([other], [one]))
    return a.view(axes, formula, writeable=False)  # type: ignore[no-any-return]


def _diag(v: Any, k: Any = 0) -> SymbolicArray:
    if k != 0:
        v.run.refuse("takes another diagonal than the one in the middle")
    if v.ndim != 1:
        return _diagonal(v)
    rows, columns = fresh_axes([v.axes[0], v.axes[0]])
    formula = v.formula.substituted(renaming(v.axes, [rows]))
    on_it = calculus.multiplied(map(calculus.delta, rows, columns))
    return SymbolicArray(v.run, [rows, columns], on_it * formula, kind=v.kind)


def _trace(
    a: Any,
    offset: Any = 0,
    axis1: Any = 0,
    axis2: Any = 1,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    return _sum(_diagonal(a, offset, axis1, axis2), -1, dtype, out)


def _at_least(ndim: int) -> Callable[..., Any]:
    def model(*arys: Any) -> Any:
        run = run_of(*arys)
        results = []
        for array in (as_array(run, array) for array in arys):
            missing = max(0, ndim - array.ndim)
            results.append(_expand_dims(array, tuple(range(missing))) if missing else array)
        return results[0] if len(results) == 1 else tuple(results)

    return model


def _broadcast_arrays(*args: Any, subok: Any = False) -> Any:
    run = run_of(*args)
    arrays = [as_array(run, array) for array in args]
    axes, formulas = aligned(*arrays)
    pairs = zip(arrays, formulas, strict=True)
    return tuple(array.view(axes, formula, writeable=False) for array, formula in pairs)


def _fill(a: Any, value: Any) -> None:
    a[...] = value


def _copy(a: Any) -> Any:
    return a.copy()


def _along(arr: SymbolicArray, indices: Any, axis: Any) -> tuple[Index | None, Place]:
    """Check the arguments of take_along_axis; return the searched index and the place."""
    if not isinstance(indices, PlaceArray):
        arr.run.refuse("looks up entries at indices that are neither from argmax nor labels")
    (at,) = axes_of(arr, axis)
    if indices.ndim != arr.ndim or indices.axes[at]:
        have, want = axes_text(arr.run, indices.axes), shape_text(arr)
        raise MismatchError(f"indices {have} along axis {at} of {want}: size 1 is needed there")
    others = [i for i in range(arr.ndim) if i != at]
    here, there = ([array.axes[i] for i in others] for array in (indices, arr))
    if [sizes_along(a) for a in here] != [sizes_along(a) for a in there]:
        raise MismatchError(f"indices {axes_text(arr.run, indices.axes)} of {shape_text(arr)}")
    searched = arr.axes[at]
    if len(searched) > 1:
        arr.run.refuse("looks up entries along an axis that was merged from several")
    place = calculus.substituted(indices.place, renaming(here, there))
    if searched:
        place = fitted(place, searched[0].size)
    return (searched[0] if searched else None), place


def _take_along_axis(arr: Any, indices: Any, axis: Any) -> SymbolicArray:
    index, place = _along(arr, indices, axis)
    (at,) = axes_of(arr, axis)
    axes = [() if i == at else a for i, a in enumerate(arr.axes)]
    formula = arr.formula if index is None else arr.formula.substituted({index: place})
    return SymbolicArray(arr.run, axes, formula, kind=arr.kind)


def _whole_places(a: Any, dtype: Any, copy: Any = True) -> Any:
    wanted = np.dtype(dtype)
    if wanted.kind != "i" or wanted.itemsize < LARGEST_WHOLE:
        a.run.refuse(f"makes {wanted} of labels or of argmax's result")
    return a


def _put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    index, place = _along(arr, indices, axis)
    (at,) = axes_of(arr, axis)
    small = [() if i == at else a for i, a in enumerate(arr.axes)]
    part = as_array(arr.run, values)
    axes, (_, inside) = aligned(SymbolicArray(arr.run, small, ZERO), part)
    if [sizes_along(a) for a in axes] != [sizes_along(a) for a in small]:
        raise MismatchError(f"values {shape_text(part)} for {axes_text(arr.run, small)} places")
    inside = inside.substituted(renaming(axes, small))
    here = ONE if index is None else calculus.delta(index, place)
    formula = here * inside + (ONE - here) * arr.formula
    arr[...] = SymbolicArray(arr.run, arr.axes, formula, kind=_wider(part))


UFUNCS |= {
    np.add: _entrywise(lambda a, b: a + b),
    np.subtract: _entrywise(lambda a, b: a - b),
    np.multiply: _entrywise(_times),
    np.true_divide: _entrywise(lambda a, b: a * _inverse(b), to_float=True),
    np.negative: _entrywise(lambda a: -a),
    np.positive: _entrywise(lambda a: a),
    np.conjugate: _entrywise(lambda a: a),
    np.square: _entrywise(lambda a: a * a),
    np.reciprocal: _reciprocal,
    np.sqrt: _entrywise(_root, to_float=True),
    np.exp: _entrywise(calculus.exp, to_float=True),
    np.expm1: _entrywise(lambda a: calculus.exp(a) - ONE, to_float=True),
    np.log: _entrywise(calculus.log, to_float=True),
    np.log1p: _entrywise(lambda a: calculus.log(a + ONE), to_float=True),
    np.log2: _entrywise(lambda a: calculus.log(a) * _inverse(_log_of_number(2)), to_float=True),
    np.log10: _entrywise(lambda a: calculus.log(a) * _inverse(_log_of_number(10)), to_float=True),
    np.exp2: _entrywise(lambda a: calculus.exp(a * _log_of_number(2)), to_float=True),
    np.logaddexp: _entrywise(_logaddexp, to_float=True),
    np.hypot: _entrywise(lambda a, b: _root(a * a + b * b), to_float=True),
    np.sin: _entrywise(_atom("sin"), to_float=True),
    np.cos: _entrywise(_atom("cos"), to_float=True),
    np.tan: _entrywise(_tan, to_float=True),
    np.arcsin: _entrywise(_atom("arcsin"), to_float=True),
    np.arctan: _entrywise(_atom("arctan"), to_float=True),
    np.sinh: _entrywise(_sinh, to_float=True),
    np.cosh: _entrywise(_cosh, to_float=True),
    np.tanh: _entrywise(_tanh, to_float=True),
    np.arctanh: _entrywise(_arctanh, to_float=True),
    np.power: _power,
    np.maximum: _entrywise(_maximum),
    np.minimum: _entrywise(lambda a, b: -_maximum(-a, -b)),
    np.absolute: _entrywise(_absolute),
    np.fabs: _entrywise(_absolute, to_float=True),
    np.heaviside: _entrywise(lambda a, b: calculus.step(a) + calculus.zero(a) * b, to_float=True),
    np.sign: _entrywise(lambda a: calculus.step(a) - calculus.step(-a)),
    np.greater: _comparison(_is_above),
    np.less: _comparison(_is_below),
    np.greater_equal: _comparison(_is_at_least),
    np.less_equal: _comparison(_is_at_most),
    np.equal: _comparison(_is_equal),
    np.not_equal: _comparison(_is_different),
    np.matmul: matmul,
}
for _ufuncs, _function in (
    ((np.logical_and, np.bitwise_and), lambda a, b: a * b),
    ((np.logical_or, np.bitwise_or), lambda a, b: a + b - a * b),
    ((np.logical_xor, np.bitwise_xor), lambda a, b: a + b - 2 * (a * b)),
    ((np.logical_not, np.invert), lambda a: ONE - a),
):
    UFUNCS.update(dict.fromkeys(_ufuncs, _logical(_function)))

FUNCTIONS |= {
    np.sum: _sum,
    np.prod: _prod,
    np.average: _average,
    np.count_nonzero: _count_nonzero,
    np.ptp: _ptp,
    np.mean: _mean,
    np.var: _var,
    np.std: _std,
    np.max: _extreme(1),
    np.amax: _extreme(1),
    np.min: _extreme(-1),
    np.amin: _extreme(-1),
    np.argmax: _extreme_place(1),
    np.argmin: _extreme_place(-1),
    np.transpose: transpose,
    np.swapaxes: _swapaxes,
    np.moveaxis: _moveaxis,
    np.expand_dims: _expand_dims,
    np.squeeze: _squeeze,
    np.reshape: _reshape,
    np.ravel: _ravel,
    np.broadcast_to: _broadcast_to,
    np.where: _where,
    np.clip: _clip,
    np.linalg.norm: _norm,
    np.zeros_like: _like(ZERO),
    np.ones_like: _like(ONE),
    np.full_like: _full_like,
    np.empty_like: _empty_like,
    np.tril: _triangle(lower=True),
    np.triu: _triangle(lower=False),
    np.diag: _diag,
    np.diagonal: _diagonal,
    np.trace: _trace,
    np.atleast_1d: _at_least(1),
    np.atleast_2d: _at_least(2),
    np.broadcast_arrays: _broadcast_arrays,
    np.eye: eye,
    np.copy: _copy,
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a: a.size,
    np.dot: _dot,
    np.outer: _outer,
    np.tensordot: _tensordot,
    np.inner: _inner,
    np.vdot: _vdot,
    np.kron: _kron,
    np.einsum: _einsum,
    np.take_along_axis: _take_along_axis,
    np.put_along_axis: _put_along_axis,
}

for _method in [
    "sum",
    "mean",
    "var",
    "std",
    "max",
    "min",
    "argmax",
    "argmin",
    "swapaxes",
    "squeeze",
    "ravel",
    "dot",
    "prod",
    "trace",
    "diagonal",
]:
    METHODS[_method] = FUNCTIONS[getattr(np, _method)]
METHODS |= {
    "flatten": _flatten,
    "clip": _clip_method,
    "sqrt": UFUNCS[np.sqrt],
    "fill": _fill,
}

OF_MATH |= {
    "erf": _entrywise(_atom("erf"), to_float=True),
    "fabs": UFUNCS[np.fabs],
    "pow": _power,
}

IN_PLACE += [_put_along_axis, _fill]
REARRANGING += [transpose, _swapaxes, _moveaxis, _expand_dims, _squeeze, _reshape, _ravel, _copy]
REARRANGING += [_fill, FUNCTIONS[np.shape], FUNCTIONS[np.ndim], FUNCTIONS[np.size]]
REARRANGING += [FUNCTIONS[like] for like in (np.zeros_like, np.ones_like, np.empty_like)]

OF_PLACES |= {
    function: rearranged(FUNCTIONS[function])
    for function in (
        np.transpose,
        np.swapaxes,
        np.moveaxis,
        np.expand_dims,
        np.squeeze,
        np.reshape,
        np.ravel,
    )
}
OF_PLACES |= {np.take_along_axis: _take_along_axis, np.put_along_axis: _put_along_axis}
OF_PLACES |= {
    "reshape": rearranged(lambda a, *shape: a.reshape(*shape)),
    "transpose": rearranged(lambda a, *axes: a.transpose(*axes)),
    **{name: OF_PLACES[getattr(np, name)] for name in ("swapaxes", "squeeze", "ravel")},
    "flatten": OF_PLACES[np.ravel],
    "astype": _whole_places,
}
