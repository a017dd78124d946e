"""Run a layer's own code on symbols at given sizes, and compare with SymPy's derivatives.

Every entry of every input, and of the upstream gradient dy, is a symbol of its own. forward then
returns the formula of every y, L = Σ dy·y is a formula too, and SymPy differentiates it by every
entry of every input. backward returns the claimed formulas. If true − claimed is identically
zero in every entry, the gradient is proven at these sizes, wherever both formulas are defined.

Where the code compares numbers, it is run once for each way in which the comparisons may turn
out, and the identity is shown on every one of these branches.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

import numpy as np
import sympy as sp

from backprop_lib.proof.refusal import NotFollowedError, followed
from backprop_lib.proof.scalar import Branch, Scalar, branches, exact_constant, expression, filled
from backprop_lib.proof.task import Task
from backprop_lib.shapes import unchecked, written

MOST_OPERATIONS = 3000
"""So many operations a formula may have to be compared with 0, and no more."""
MOST_LABELLINGS = 100
"""So many ways to label there may be."""


def unproven(task: Task, sizes: Mapping[str, int]) -> tuple[dict[str, str], int]:
    """Try to prove every gradient at the given sizes, on every branch.

    Returns
    -------
    dict
        For every gradient "" if it is proven, "differs" if the difference was not found to be
        zero on some branch, "not answered yet", or how its shape is wrong.
    int
        The number of branches, over all ways to label if there are labels.
    """
    judged: dict[str, str] = {}
    number = 0
    for labels in _all_labels(task, sizes):
        for branch in branches():
            number += 1
            for name, result in _on_branch(task, sizes, labels, branch, judged).items():
                judged[name] = judged.get(name) or result
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
    task: Task,
    sizes: Mapping[str, int],
    labels: Mapping[str, np.ndarray],
    branch: Branch,
    judged: Mapping[str, str],
) -> dict[str, str]:
    inputs = {
        name: labels[name] if name in labels else _symbols(name, task.shape_of(name, sizes), branch)
        for name in task.shapes
    }
    const = {
        name: exact_constant(value, lambda number: Scalar(number, branch))
        for name, value in task.const.items()
    }
    copies = {name: array.copy() for name, array in inputs.items()}
    with unchecked():
        y, cache = followed("forward", branch, lambda: task.layer.run_forward({**copies, **const}))
        outputs = _expressions(y)  # of our own: a claim that writes into y changes nothing
        dy = _symbols("upstream dy", y.shape, branch)
        upstream = _expressions(dy)
        given = {name: array.copy() for name, array in inputs.items()}
        claims = followed(task.claimant, branch, lambda: task.claims(dy.copy(), given, cache))
    loss = sp.Add(*(a * b for a, b in zip(upstream.flat, outputs.flat, strict=True)))
    return {
        name: _judged(loss, name, _expressions(inputs[name]), claim)
        for name, claim in claims.items()
        if not judged.get(name)
    }


def _judged(loss: sp.Expr, name: str, x: np.ndarray, claim: Any) -> str:
    if claim is ...:
        return "not answered yet"
    claimed = _expressions(np.asarray(claim))
    if claimed.shape != x.shape:
        return f"d{name} is {written(claimed.shape)}, {name} is {written(x.shape)}"
    for symbol, entry in zip(x.flat, claimed.flat, strict=True):
        if not _vanishes(sp.diff(loss, symbol) - entry):
            return "differs"
    return ""


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
    return array


def _expressions(array: np.ndarray) -> np.ndarray:
    return filled(
        array.shape,
        (e.expression if isinstance(e, Scalar) else expression(e) for e in array.flat),
    )
