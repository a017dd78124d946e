"""Run a layer's own code on symbols at given sizes, and compare with SymPy's derivatives.

Every entry of every input, and of the upstream gradient dy, is a symbol of its own. forward then
returns the formula of every y, L = Σ dy·y is a formula too, and SymPy differentiates it by every
entry of every input. backward returns the claimed formulas. If true − claimed is identically
zero in every entry, the gradient is proven at these sizes, wherever both formulas are defined.

Where the code compares numbers, it is run once for each way in which the comparisons may turn
out, and the identity is shown on every one of these branches. Where numbers that depend on the
input are equal, forward may have no gradient; there the claim must be what it is on a side of
the tie, so that it is the gradient if there is one, or forward is shown to have none.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import numpy as np
import sympy as sp

from backprop_lib.proof.creators import making
from backprop_lib.proof.exact_creation import ExactCreator
from backprop_lib.proof.object_arrays import filled
from backprop_lib.proof.refusal import NotFollowedError, followed
from backprop_lib.proof.scalar import (
    Branch,
    ExactArray,
    Scalar,
    branches,
    exact_constant,
    expression,
    number_sign,
)
from backprop_lib.proof.task import Task
from backprop_lib.shapes import format_shape, unchecked

MOST_OPERATIONS = 3000
"""So many operations a formula may have to be compared with 0, and no more."""
SIDES = 500
"""Along so many random directions it is seen which sides of ties there are."""
MOST_LABELLINGS = 100
"""So many ways to label there may be."""


@dataclass(frozen=True)
class _Ran:
    """What came out on one branch."""

    branch: Branch
    loss: sp.Expr
    inputs: Mapping[str, np.ndarray]
    claims: Mapping[str, Any]

    def slopes(self, name: str) -> list[sp.Expr]:
        """Return the true gradient, entry by entry."""
        return [sp.diff(self.loss, symbol) for symbol in self.inputs[name].flat]

    def claimed(self, name: str) -> list[sp.Expr]:
        return list(_expressions(np.asarray(self.claims[name]), self.branch).flat)

    def ties(self, name: str) -> list[sp.Expr]:
        """Return what is 0 here and depends on an input."""
        symbols = set(self.inputs[name].flat)
        return [u for u in self.branch.ties if u.free_symbols & symbols]

    def is_beside(self, other: "_Ran", ties: Sequence[sp.Expr]) -> bool:
        """Say whether this is a side of another branch: the ties are resolved, all else agrees."""
        mine, known = self.branch.known, other.branch.known
        return all(mine[u] == known[u] for u in mine if u in known and u not in ties) and all(
            mine.get(u) != 0 for u in ties
        )


def unproven(task: Task, sizes: Mapping[str, int]) -> tuple[dict[str, str], int]:
    """Try to prove every gradient at the given sizes, on every branch.

    Returns
    -------
    dict
        For every gradient "" if it is proven, "differs" if the difference was not found to be
        zero on some branch, "not answered yet", or how its shape is wrong.
    int
        The number of branches, over all ways to label if there are labels.

    Raises
    ------
    NotFollowedError
        If the code does what is not followed, or y has no entries at these sizes.
    """
    judged: dict[str, str] = {}
    number = 0
    for labels in _all_labels(task, sizes):
        all_ran = []
        for branch in branches():
            number += 1
            ran = _on_branch(task, sizes, labels, branch)
            all_ran.append(ran)
            for name, claim in ran.claims.items():
                if not judged.get(name):
                    judged[name] = _misfit(name, claim, ran.inputs[name]) or _judged(ran, name)
        for ran in all_ran:
            for name in ran.claims:
                if not judged[name] and ran.ties(name):
                    judged[name] = _judged_at_ties(ran, name, all_ran)
    return judged, number


def _all_labels(task: Task, sizes: Mapping[str, int]) -> Iterator[dict[str, np.ndarray]]:
    """Yield the labels in every way in which they may be given."""
    shapes = {name: task.shape_of(name, sizes) for name in task.labels}
    ranges = [
        range(task.number_of_labels(name, sizes))
        for name, shape in shapes.items()
        for _ in range(math.prod(shape))
    ]
    if math.prod(map(len, ranges)) > MOST_LABELLINGS:
        raise NotFollowedError("there are too many ways to label so much; choose smaller sizes")
    for values in product(*ranges):
        left = iter(values)
        yield {
            name: np.fromiter(islice(left, math.prod(shape)), int).reshape(shape)
            for name, shape in shapes.items()
        }


def _on_branch(
    task: Task, sizes: Mapping[str, int], labels: Mapping[str, np.ndarray], branch: Branch
) -> _Ran:
    inputs = {
        name: labels[name] if name in labels else _symbols(name, task.shape_of(name, sizes), branch)
        for name in task.shapes
    }
    const = {
        name: exact_constant(
            value, lambda number: Scalar(expression(number), branch, constant=True)
        )
        for name, value in task.const.items()
    }
    copies = {name: array.copy() for name, array in inputs.items()}
    number = Scalar(sp.Integer(0), branch, constant=True)
    with unchecked(), making(ExactCreator(number)):
        y, cache = followed("forward", branch, lambda: task.layer.run_forward({**copies, **const}))
        if not y.size:
            raise NotFollowedError("the output has no entries at these sizes: nothing is checked")
        outputs = _expressions(y, branch)  # of our own: a claim that writes into y changes nothing
        dy = _symbols("upstream dy", y.shape, branch)
        upstream = _expressions(dy, branch)
        given = {name: array.copy() for name, array in inputs.items()}
        claims = followed(task.claimant, branch, lambda: task.claims(dy.copy(), given, cache))
    loss = sp.Add(*(a * b for a, b in zip(upstream.flat, outputs.flat, strict=True)))
    return _Ran(
        branch, loss, {name: _expressions(array, branch) for name, array in inputs.items()}, claims
    )


def _misfit(name: str, claim: Any, x: np.ndarray) -> str:
    if claim is ...:
        return "not answered yet"
    shape = np.shape(claim)
    return (
        ""
        if shape == x.shape
        else f"d{name} is {format_shape(shape)}, {name} is {format_shape(x.shape)}"
    )


class _NowhereError(Exception):
    """No numbers are on this branch."""


def _judged(ran: _Ran, name: str) -> str:
    """Judge one gradient where no tie depends on its input."""
    if ran.ties(name):
        return ""  # later, when all sides are known
    try:
        values = _solved(ran.branch)
    except _NowhereError:
        return ""
    pairs = zip(ran.slopes(name), ran.claimed(name), strict=True)
    equal = all(_vanishes((slope - entry).subs(values)) for slope, entry in pairs)
    return "" if equal else "differs"


def _judged_at_ties(ran: _Ran, name: str, all_ran: Sequence[_Ran]) -> str:
    """Judge one gradient where numbers that depend on its input are equal.

    The claim may be what it is on a side of the ties: that is proven there, and is the gradient
    here if there is one. Or else two sides have different gradients, so that there is none.
    """
    ties = ran.ties(name)
    try:
        values = _solved(ran.branch)
    except _NowhereError:
        return ""
    there_are = _sides(ties, list(ran.inputs[name].flat), values)
    sides = [
        side
        for side in all_ran
        if side.is_beside(ran, ties)
        and any(
            all(side.branch.known.get(u, s) == s for u, s in found.items()) for found in there_are
        )
    ]
    claimed = ran.claimed(name)
    if any(side.claimed(name) == claimed for side in sides):
        return ""
    if sides:
        first, *others = ([g.subs(values) for g in side.slopes(name)] for side in sides)
        for other in others:
            if any(_differs_somewhere(a - b) for a, b in zip(first, other, strict=True)):
                return ""
    for side in sides:
        pairs = zip(side.claimed(name), claimed, strict=True)
        if all(_vanishes((a - b).subs(values)) for a, b in pairs):
            return ""
    return "differs"


def _solved(branch: Branch) -> dict[sp.Expr, sp.Expr]:
    """Solve u = 0 for a symbol of each tie u, where it is linear in one.

    Raises
    ------
    _NowhereError
        If the ties contradict each other, or another comparison.
    """
    values: dict[sp.Expr, sp.Expr] = {}
    for tie in branch.ties:
        left = sp.expand(tie.subs(values))
        if left.is_number and left != 0:
            raise _NowhereError
        for symbol in sorted(left.free_symbols, key=str):
            slope = sp.diff(left, symbol)
            if slope.is_number and slope != 0:
                value = sp.expand(symbol - left / slope)
                values = {s: e.subs(symbol, value) for s, e in values.items()} | {symbol: value}
                break
    signs: dict[sp.Expr, int] = {}
    for compared, sign in branch.known.items():
        if sign and values:
            left = sp.expand(compared.subs(values))
            if left.is_number and number_sign(left) not in (sign, None):
                raise _NowhereError
            if signs.setdefault(left, sign) != sign or signs.get(sp.expand(-left), -sign) == sign:
                raise _NowhereError
    return values


def _sides(
    ties: Sequence[sp.Expr], symbols: Sequence[sp.Expr], values: Mapping[sp.Expr, sp.Expr]
) -> list[dict[sp.Expr, int]]:
    """Return which signs the ties take beside a point at which all are 0, as an input moves."""
    names = sorted({s for tie in ties for s in tie.free_symbols} - set(values), key=str)
    point = {symbol: sp.Rational(2 * i + 3, i + 2) for i, symbol in enumerate(names)}
    rows = [[sp.diff(tie, s).subs(values).subs(point) for s in symbols] for tie in ties]
    if not all(entry.is_number for row in rows for entry in row):
        return []
    slopes = np.array(rows, dtype=float)
    directions = np.random.default_rng(0).normal(size=(len(symbols), SIDES))
    signs = {tuple(column) for column in np.sign(slopes @ directions).astype(int).T.tolist()}
    return [dict(zip(ties, side, strict=True)) for side in sorted(signs) if 0 not in side]


def _differs_somewhere(difference: sp.Expr) -> bool:
    """Say whether an expression certainly is not zero everywhere: at one point it is not."""
    symbols = sorted(difference.free_symbols, key=str)
    point = {symbol: sp.Rational(2 * i + 3, i + 2) for i, symbol in enumerate(symbols)}
    return bool(number_sign(difference.subs(point)))


def _vanishes(difference: sp.Expr) -> bool:
    """Say whether an expression is found to be zero for all values.

    Every power u^(k/2) of a sum u with a negative or broken exponent is written as ρ^(-k), with a
    new letter ρ for u^(-1/2). What is left is a polynomial in ρ; times a power of u, it has ρ to
    the powers 0 and 1 only, and both coefficients must vanish.
    """
    if sp.count_ops(difference) > MOST_OPERATIONS:
        raise NotFollowedError("the formulas grow too large at these sizes; choose smaller ones")
    expanded = sp.expand(difference)
    if expanded == 0 or expanded.is_polynomial():
        return bool(expanded == 0)
    powers = [p for p in expanded.atoms(sp.Pow) if not _is_whole(p.exp) and not p.base.is_number]
    bases = {p.base for p in powers if (2 * p.exp).is_Integer}
    # a base that stands inside of another one comes after it
    if not bases:
        return bool(sp.cancel(sp.powsimp(sp.together(expanded))) == 0)
    u = min(bases, key=lambda base: (-base.count_ops(), sp.default_sort_key(base)))
    rho = sp.Dummy("rho", positive=True)
    in_rho = expanded.replace(
        lambda e: isinstance(e, sp.Pow) and e.base == u and (2 * e.exp).is_Integer,
        lambda e: rho ** (-2 * e.exp),
    )
    parts = sp.collect(sp.expand(in_rho), rho, evaluate=False)
    exponents = {part: part.as_base_exp()[1] if part.has(rho) else 0 for part in parts}
    most = max(int(e) // 2 for e in exponents.values())
    left = [sp.Integer(0), sp.Integer(0)]
    for part, e in exponents.items():
        left[int(e) % 2] += parts[part] * u ** (most - int(e) // 2)
    return all(_vanishes(half) for half in left)


def _is_whole(exponent: sp.Expr) -> bool:
    return bool(exponent.is_Integer and exponent > 0)


def _symbols(name: str, shape: Sequence[int], branch: Branch) -> np.ndarray:
    array = np.empty(tuple(shape), dtype=object)
    for index in np.ndindex(array.shape):
        # The branch remembers answers by expression, so the symbols are the same in every run.
        array[index] = Scalar(sp.Symbol(f"{name}{list(index)}", real=True), branch)
    return ExactArray.of(array, Scalar(sp.Integer(0), branch).lift)


def _expressions(array: np.ndarray, branch: Branch) -> np.ndarray:
    return filled(
        array.shape,
        (e.expression if isinstance(e, Scalar) else branch.number(e) for e in array.flat),
    )
