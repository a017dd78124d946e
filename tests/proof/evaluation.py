"""What formulas mean, computed in the plainest way: loops over indices, at known sizes.

Nothing here is shared with the library but the classes that hold the parts of a formula.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import sympy as sp

from backprop_lib.proof.calculus import (
    Affine,
    Constant,
    Delta,
    Entry,
    Exp,
    Function,
    Index,
    Log,
    NotAfter,
    Pick,
    Root,
    Size,
    Step,
    Total,
    Zero,
)
from backprop_lib.proof.scalar import Exact

FUNCTIONS = {
    "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "arctan": np.arctan, "arcsin": np.arcsin,
    "erf": math.erf,
}  # fmt: skip


def value_of_sympy(e, arrays, sizes, at=None):
    """Evaluate a SymPy formula; `at` gives the values of its free indices by symbol."""
    at = at or {}
    if e.is_Rational:
        return Fraction(int(e.p), int(e.q))
    if isinstance(e, sp.Symbol):
        return Fraction(sizes[e.name]) if e.name in sizes else arrays[e.name][()]
    if isinstance(e, sp.Indexed):
        places = tuple(at[s] if isinstance(s, sp.Symbol) else int(s) for s in e.indices)
        return arrays[e.base.label.name][places]
    if isinstance(e, sp.KroneckerDelta):
        a, b = (at[s] if isinstance(s, sp.Symbol) else int(s) for s in e.args[:2])
        return Fraction(a == b)
    if isinstance(e, sp.Sum):
        symbol, _, last = e.limits[-1]  # the last limit is the outermost sum
        inner = sp.Sum(e.function, *e.limits[:-1]) if len(e.limits) > 1 else e.function
        span = last + 1
        size = int(span) if span.is_Integer else sizes[span.name]
        return _added(value_of_sympy(inner, arrays, sizes, {**at, symbol: i}) for i in range(size))
    parts = [value_of_sympy(part, arrays, sizes, at) for part in e.args]
    if isinstance(e, sp.Add):
        return _added(parts)
    if isinstance(e, sp.Mul):
        return _multiplied(parts)
    if isinstance(e, sp.Pow):
        base = parts[0]
        return (sp.Rational(base) if isinstance(base, Fraction) else base) ** e.exp
    if isinstance(e, sp.Max):
        return parts[0] if parts[0] > parts[1] else parts[1]
    raise AssertionError(f"no meaning for {e}")


def number_of_entries(name, sizes):
    """Return the size of an axis, whose name may be made of others: "2·L - 1"."""
    if not isinstance(name, str):
        return name
    total, sign = 0, 1
    for word in name.split():
        if word in "+-":
            sign = 1 if word == "+" else -1
            continue
        factors = [int(part) if part.isdecimal() else sizes[part] for part in word.split("·")]
        total += sign * math.prod(factors)
    return total


def value_of_formula(formula, arrays, sizes, at=None, picks=None):
    """Evaluate a Formula; `at` gives the values of its free indices."""
    at = at or {}
    is_float = isinstance(next(iter(arrays.values())).flat[0], float)
    number = float if is_float else sp.Rational

    def place(p):
        if isinstance(p, Index):
            return at[p]
        if isinstance(p, Pick):
            return int(picks[p.name][tuple(place(part) for part in p.at)])
        if isinstance(p, Affine):
            along = 0 if p.at is None else place(p.at)
            return int(value_of_formula(p.start, {"": np.zeros(1)}, sizes)) + p.step * along
        return p

    def atom(a):
        if isinstance(a, Size):
            return number(sizes[a.name])
        if isinstance(a, Constant):
            return number(a.value)
        if isinstance(a, Entry):
            return arrays[a.array][tuple(place(p) for p in a.at)]
        if isinstance(a, Delta):
            return number(int(place(a.a) == place(a.b)))
        if isinstance(a, NotAfter):
            return number(int(place(a.a) <= place(a.b)))
        if isinstance(a, Total):
            ranges = [range(number_of_entries(i.size, sizes)) for i in a.bound]
            return _added(
                product(a.product, {**at, **dict(zip(a.bound, values, strict=True))})
                for values in itertools.product(*ranges)
            )
        inner = value_of_formula(a.u, arrays, sizes, at, picks)
        if isinstance(a, Root):
            return inner ** (-0.5 if is_float else sp.Rational(-1, 2))
        if isinstance(a, Step):
            return number(int(inner > 0))
        if isinstance(a, Zero):
            return number(int(inner == 0))
        if isinstance(a, Exp):
            return np.exp(inner)
        if isinstance(a, Function):
            return FUNCTIONS[a.name](inner)
        assert isinstance(a, Log)
        return np.log(inner)

    def product(term, here):
        nonlocal at
        outer, at = at, here
        try:
            return number(1) * _multiplied(
                # an even power of a root is a power of what stands under it
                value_of_formula(a.u, arrays, sizes, at, picks) ** (-p // 2)
                if isinstance(a, Root) and p % 2 == 0
                else atom(a) ** p
                for a, p in term.powers.items()
            )
        finally:
            at = outer

    return number(0) + _added(product(term, at) * number(c) for term, c in formula.terms.items())


def _added(values):
    total = 0
    for value in values:
        total = total + value if isinstance(total, Exact) else value + total
    return total


def _multiplied(values):
    result = 1
    for value in values:
        # SymPy's numbers do not know ours: they stand on the right
        result = result * value if isinstance(result, Exact) else value * result
    return result
