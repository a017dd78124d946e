"""The formulas of a page, written in SymPy, checked line by line for all sizes.

Write a sum with `sympy.Sum`, an entry with `sympy.IndexedBase`, Kronecker's delta with
`sympy.KroneckerDelta`, max(z, 0) with `sympy.Max`::

    N, C_in, C_out = sp.symbols("N C_in C_out", integer=True, positive=True)  # sizes
    n, i, o, p = sp.symbols("n i o p", integer=True)  # indices
    x = sp.IndexedBase("x", shape=(N, C_in))
    W = sp.IndexedBase("W", shape=(C_out, C_in))

    y = sp.Sum(x[n, i] * W[o, i], (i, 0, C_in - 1))
    assert same(grad(y, W[p, i]), sp.KroneckerDelta(o, p) * x[n, i])

Positive integers are sizes, other integers indices, all other symbols numbers. The range of an
index that is not summed follows from where it stands. A summed index may bear the name of another
index, as i above: it is another index all the same.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from backprop_lib.layer import Layer
from backprop_lib.proof import calculus
from backprop_lib.proof.all_sizes import computed
from backprop_lib.proof.calculus import (
    ONE,
    CalculusError,
    Formula,
    Index,
    Pick,
    Place,
    RangeError,
)
from backprop_lib.proof.refusal import fraction
from backprop_lib.proof.task import Task

Scope = Mapping[sp.Symbol, Index]
Ranges = Mapping[str, str | int]


def read(expression: Any) -> Formula:
    """Bring a formula into normal form: two that are equal have the same one, up to what it finds.

    Parameters
    ----------
    expression : SymPy expression, number or Formula
        As in this module's description.

    Raises
    ------
    RangeError
        If an index runs over one axis and stands on another.
    CalculusError
        If something has no form here, or a sum does not run over a whole axis, from 0.
    """
    return _read_all(expression)[0]


def same(left: Any, right: Any) -> bool:
    """Say whether two formulas are equal for all sizes and all numbers for which both are defined.

    False means that no proof was found: formulas may be equal in ways that the calculus does not
    know.

    Parameters
    ----------
    left, right
        As in `read`.

    Raises
    ------
    RangeError, CalculusError
        As `read`; also if an index ranges over one axis on the left and another on the right.
    """
    first, second = _read_all(left, right)
    return calculus.vanishes(first - second) or calculus.vanishes(calculus.expanded(first - second))


def grad(expression: Any, entry: sp.Indexed) -> Formula:
    """Differentiate a formula by an entry of an array.

    An index of the entry that also occurs in the formula, not summed, is the same index in both.
    Where the formula has max(z, 0), the derivative is that for z ≠ 0.

    Parameters
    ----------
    expression
        As in `read`.
    entry : Indexed
        Such as ``W[p, i]``; of a single number its symbol.

    Raises
    ------
    RangeError, CalculusError
        As `read`.
    TypeError
        If ``entry`` is no entry.
    """
    formula, at = _read_all(expression, entry)
    atom = at.as_entry()
    if atom is None:
        raise TypeError(f"entry is {entry}, expected an entry of an array, such as W[p, i]")
    return formula.derivative(atom)


def output(
    forward: Callable[..., Any],
    *indices: sp.Symbol,
    const: Mapping[str, Any] | None = None,
    **shapes: str,
) -> Formula:
    """Return the entry of y, at the given indices, that a forward computes.

    Parameters
    ----------
    forward, const, **shapes
        As in `backprop_lib.proof.prove`.
    *indices : Symbol
        One for each axis of y.

    Raises
    ------
    NotFollowedError
        If forward does what is not followed for all sizes.
    ValueError
        If y has another number of axes.
    """
    layer = Layer.without_backward(forward, [*shapes, *(const or {})])
    task = Task.of_backward(layer, shapes, const or {})
    y = computed(task)
    if len(indices) != len(y.axes) or any(len(axis) > 1 for axis in y.axes):
        raise ValueError(f"{len(indices)} indices are given, and y has {len(y.axes)} axes")
    return y.formula.substituted(
        {
            axis[0]: free_index(symbol, axis[0].size)
            for symbol, axis in zip(indices, y.axes, strict=True)
            if axis
        }
    )


FUNCTIONS = {
    sp.tanh: "tanh",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.asin: "arcsin",
    sp.atan: "arctan",
    sp.erf: "erf",
}
"""SymPy's functions that have an atom of their own."""


@cache
def free_index(symbol: sp.Symbol, size: str | int) -> Index:
    """Return the index of this name over this axis, always the same."""
    return Index(size, symbol.name)


def _read_all(*expressions: Any) -> list[Formula]:
    """Read formulas in which an index of one name has one range."""
    sides = [e if isinstance(e, Formula) else sp.sympify(e) for e in expressions]
    ranges: dict[str, str | int] = {}
    first: dict[str, Any] = {}
    for side in sides:
        for name, size, where in _free_indices(side, frozenset()):
            known, before = ranges.setdefault(name, size), first.setdefault(name, where)
            if known != size:
                raise RangeError(f"{name} runs over {known} in {before}, over {size} in {where}")
    return [side if isinstance(side, Formula) else _read(side, {}, ranges) for side in sides]


def _free_indices(
    e: sp.Expr | Formula, bound: frozenset[sp.Symbol]
) -> Iterator[tuple[str, str | int, Any]]:
    """Yield the indices that are not summed, the axes on which they stand, and where."""
    if isinstance(e, Formula):
        yield from ((index.name, index.size, e) for index in e.free_indices if index.name)
        return
    if isinstance(e, sp.Sum):
        yield from _free_indices(e.function, bound | {limit[0] for limit in e.limits})
        return
    if isinstance(e, sp.Indexed):
        for index, size in zip(e.indices, _shape(e), strict=True):
            if isinstance(index, sp.Symbol) and index not in bound:
                yield index.name, size, e
    for part in e.args:
        yield from _free_indices(part, bound)


def _read(e: sp.Expr, bound: Scope, ranges: Ranges) -> Formula:
    if isinstance(e, np.generic) or e.is_Rational:
        return calculus.number(fraction(e))
    if e in (sp.pi, sp.E):
        return calculus.of(calculus.PI) if e == sp.pi else calculus.exp(ONE)
    if isinstance(e, sp.Symbol):
        if e.is_integer and e.is_positive:
            return calculus.size(e.name)
        if e.is_integer:
            raise CalculusError(f"{e} is an index, and is used as a number")
        return calculus.entry(e.name)
    if isinstance(e, sp.Indexed):
        return calculus.entry(e.base.label.name, *_places(e, bound, ranges))
    if isinstance(e, sp.KroneckerDelta):
        return _read_delta(e, bound, ranges)
    if isinstance(e, sp.Sum):
        return _read_sum(e, bound, ranges)
    parts = [_read(part, bound, ranges) for part in e.args]
    if isinstance(e, sp.Add):
        return calculus.added(parts)
    if isinstance(e, sp.Mul):
        return calculus.multiplied(parts)
    if isinstance(e, sp.Pow) and e.exp.is_Rational:
        return calculus.power(parts[0], fraction(e.exp))
    if isinstance(e, sp.exp):
        return calculus.exp(parts[0])
    if isinstance(e, sp.log):
        return calculus.log(parts[0])
    if type(e) in FUNCTIONS:
        return calculus.function(FUNCTIONS[type(e)], parts[0])
    if isinstance(e, sp.Heaviside):
        return calculus.step(parts[0])
    if isinstance(e, sp.Max) and len(parts) == 2:
        first = calculus.step(parts[0] - parts[1])
        return parts[0] * first + parts[1] * (ONE - first)
    raise CalculusError(f"{e} has no form here: {type(e).__name__} is not known")


def _shape(e: sp.Indexed) -> list[str | int]:
    shape = e.base.shape
    if shape is None or len(shape) != len(e.indices):
        raise CalculusError(f"{e.base} needs a shape of {len(e.indices)} sizes")
    return [_size(size) for size in shape]


def _places(e: sp.Indexed, bound: Scope, ranges: Ranges) -> list[Place]:
    return [
        _place(index, size, e, bound, ranges)
        for index, size in zip(e.indices, _shape(e), strict=True)
    ]


def _place(index: sp.Expr, size: str | int, where: sp.Expr, bound: Scope, ranges: Ranges) -> Place:
    if isinstance(index, sp.Integer):
        return int(index)
    if isinstance(index, sp.Indexed):  # looked up, as in x[n, k[n]]
        return Pick(index.base.label.name, size, tuple(_places(index, bound, ranges)))
    if not isinstance(index, sp.Symbol):
        raise CalculusError(f"{index} in {where} is no index")
    have = bound[index].size if index in bound else ranges.get(index.name, size)
    if have != size:
        raise RangeError(f"{index} runs over {have}, and stands in {where} for {size}")
    return bound[index] if index in bound else free_index(index, size)


def _read_delta(e: sp.KroneckerDelta, bound: Scope, ranges: Ranges) -> Formula:
    a, b = e.args[:2]
    sizes = [bound[s].size if s in bound else ranges.get(str(s)) for s in (a, b)]
    known = next((size for size in sizes if size is not None), None)
    if known is None:
        raise CalculusError(f"{e}: over which axis {a} and {b} run is not known")
    return calculus.delta(_place(a, known, e, bound, ranges), _place(b, known, e, bound, ranges))


def _read_sum(e: sp.Sum, bound: Scope, ranges: Ranges) -> Formula:
    inner = dict(bound)
    new = []
    for symbol, first, last in reversed(e.limits):  # the last limit is the outermost sum
        if first != 0:
            raise CalculusError(f"{symbol} in {e} starts at {first}, expected 0")
        index = Index(_size(last + 1), symbol.name)
        inner[symbol] = index
        new.append(index)
    return calculus.total(_read(e.function, inner, ranges), new)


def _size(size: sp.Expr) -> str | int:
    if isinstance(size, sp.Symbol) and size.is_integer and size.is_positive:
        return str(size.name)
    if isinstance(size, sp.Integer) and size > 0:
        return int(size)
    raise CalculusError(
        f"{size} is no size: expected a positive number, or a symbol with integer=True and "
        "positive=True"
    )
