"""Masks of -inf, as they stand before a softmax.

``np.where(mask, s, -np.inf)`` is s where the mask is 1, and absent elsewhere: e^(-inf) is 0, and
the largest entry is one that is not absent. So an array with -inf in it is two arrays, one of
numbers and one that says which are absent. It may be moved about, shifted, scaled and searched,
and exp makes numbers of it again. All else that NumPy does with infinity is not followed.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from backprop_lib.proof import calculus
from backprop_lib.proof.calculus import ONE, ZERO, Atom, Entry, Formula, Index
from backprop_lib.proof.numpy_functions import extreme_places, reduced
from backprop_lib.proof.refusal import NotFollowedError
from backprop_lib.proof.symbolic import (
    FUNCTIONS,
    METHODS,
    MINUS_INFINITY,
    REARRANGING,
    UFUNCS,
    WITH_INFINITY,
    SymbolicArray,
    as_array,
    run_of,
)

INFINITE = Entry(MINUS_INFINITY)
NOT_FOLLOWED = (
    "computes with -inf; what is followed is exp of an array in which a mask puts -inf, after its "
    "largest entry is subtracted"
)
PLAIN = {ufunc: UFUNCS[ufunc] for ufunc in (np.add, np.subtract, np.multiply, np.exp)}


def parts_of(array: SymbolicArray) -> tuple[SymbolicArray, SymbolicArray]:
    """Return the numbers in an array, and a mask that is 1 where an entry is -inf instead."""
    numbers, absent = ZERO, ZERO
    for term, coefficient in array.formula.terms.items():
        one = Formula({term: coefficient})
        if MINUS_INFINITY not in one.arrays:
            numbers += one
        elif term.powers.get(INFINITE) == 1:
            absent += coefficient * term.without(INFINITE)
    if absent * absent != absent or MINUS_INFINITY in absent.arrays:
        raise NotFollowedError(NOT_FOLLOWED)
    return (
        SymbolicArray(array.run, array.axes, numbers),
        SymbolicArray(array.run, array.axes, absent),
    )


def _joined(numbers: Any, absent: Any) -> Any:
    """Return an array of which some entries are -inf."""
    infinite = SymbolicArray(absent.run, (), calculus.of(INFINITE))
    return PLAIN[np.add](numbers, PLAIN[np.multiply](absent, infinite))


def _has(*values: Any) -> bool:
    return any(
        isinstance(value, SymbolicArray) and MINUS_INFINITY in value.formula.arrays
        for value in values
    )


def _shifted(sign: int) -> Callable[..., Any]:
    ufunc = np.add if sign > 0 else np.subtract

    def model(x1: Any, x2: Any) -> Any:
        run = run_of(x1, x2)
        first, second = as_array(run, x1), as_array(run, x2)
        if not _has(first, second):
            return PLAIN[ufunc](first, second)
        if sign < 0 and _has(second):
            run.refuse(NOT_FOLLOWED)
        (a, not_a), (b, not_b) = parts_of(first), parts_of(second)
        both = PLAIN[np.multiply](not_a, not_b)
        absent = PLAIN[np.subtract](PLAIN[np.add](not_a, not_b), both)
        return _joined(PLAIN[ufunc](a, b), absent)

    return model


def _scaled(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def model(x1: Any, x2: Any) -> Any:
        run = run_of(x1, x2)
        first, second = as_array(run, x1), as_array(run, x2)
        if not _has(first, second):
            return original(x1, x2)
        if original is PLAIN[np.multiply] and not _has(first):
            first, second = second, first
        if not _has(first) or second.axes or not calculus.is_positive(second.formula):
            run.refuse(NOT_FOLLOWED)
        numbers, absent = parts_of(first)
        return _joined(original(numbers, second), absent)

    return model


def _exp(x: Any) -> Any:
    if not _has(x):
        return PLAIN[np.exp](x)
    numbers, absent = parts_of(x)
    return PLAIN[np.multiply](PLAIN[np.subtract](1, absent), PLAIN[np.exp](numbers))


def _max(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def model(a: Any, axis: Any = None, *args: Any, **options: Any) -> Any:
        if not _has(a):
            return original(a, axis, *args, **options)
        keepdims = options.pop("keepdims", False)
        if args or options:
            a.run.refuse(NOT_FOLLOWED)
        numbers, absent = parts_of(a)
        indices, axes = reduced(a, axis, keepdims)
        a.run.conditions.add(
            f"not all entries along {', '.join(str(i.size) for i in indices)} are -inf"
        )
        places = extreme_places(a, indices, 1)
        at_largest = numbers.formula.substituted(places)
        return SymbolicArray(a.run, axes, _present(at_largest, absent.formula, places))

    return model


def _present(formula: Formula, absent: Formula, places: dict[Index, Any]) -> Formula:
    """Return a formula of the largest entry, which is not absent."""
    there = ONE - absent.substituted(places)
    known: dict[Atom, Formula] = {}
    for mask, value in ((there, ONE), (ONE - there, ZERO)):
        if len(mask.terms) == 1:
            ((term, coefficient),) = mask.terms.items()
            if coefficient == 1 and (value == ONE or len(term.powers) == 1):
                known |= dict.fromkeys(term.powers, value)
    return formula.replaced(known.get)


UFUNCS |= {
    np.add: _shifted(1),
    np.subtract: _shifted(-1),
    np.multiply: _scaled(UFUNCS[np.multiply]),
    np.true_divide: _scaled(UFUNCS[np.true_divide]),
    np.exp: _exp,
}
for _name in ("max", "amax"):
    FUNCTIONS[getattr(np, _name)] = _max(FUNCTIONS[getattr(np, _name)])
METHODS["max"] = FUNCTIONS[np.max]
WITH_INFINITY += [UFUNCS[ufunc] for ufunc in (*PLAIN, np.true_divide)]
WITH_INFINITY += [FUNCTIONS[function] for function in (np.max, np.amax, np.where, np.tril, np.triu)]
WITH_INFINITY += [METHODS["max"], METHODS["__setitem__"], *REARRANGING]
