"""Run a layer's own code on symbols at given sizes, and compare with SymPy's derivatives.

Every entry of every input, and of the upstream gradient dy, is a symbol of its own. forward then
returns the formula of every y, L = Σ dy·y is a formula too, and SymPy differentiates it by every
entry of every input. backward returns the claimed formulas. If true − claimed expands to zero in
every entry, the gradient is proven at these sizes, for all real inputs and every upstream
gradient. If not, inputs are sought at which the two differ; only such a witness refutes.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from backprop_lib.layer import Layer
from backprop_lib.proof.report import Counterexample, Report, Verdict
from backprop_lib.shapes import shape_table, written

Claim = Callable[..., Any]


def prove_at(
    layer: Any,
    backward: Callable[..., Any] | None = None,
    /,
    *,
    sizes: Mapping[str, int],
    const: Mapping[str, Any] | None = None,
    **shapes: str,
) -> Report:
    """Prove every gradient of a layer at the given sizes, or find a counterexample.

    Parameters
    ----------
    layer, backward
        A module with `forward` and `backward`, or the two functions.
    sizes : dict
        The size of every axis, such as ``{"N": 2, "C_in": 3, "C_out": 2}``. Choose different
        sizes: at equal ones a transposed gradient keeps its shape.
    const : dict, optional
        Arguments of forward that have no gradient.
    **shapes : str
        The axes of each input, such as ``x="N C_in"``; not needed where forward's signature
        has them (see `backprop_lib.shapes`).

    Returns
    -------
    Report
        One verdict for each gradient: "proven" at these sizes; "refuted", with a counterexample
        at the smallest sizes that have one; "shape error"; "not answered yet" for a gradient
        given as ``...``; or "undecided".

    Raises
    ------
    TypeError
        If the functions are not those of a layer, or forward does what cannot be followed with
        symbols, such as comparing entries.
    ValueError
        If a size is missing, unknown or not a positive integer.
    RuntimeError
        If forward or backward changes an argument in place.
    """
    checked = Layer.of(layer, backward)

    def claims_of(run: "_Run") -> Mapping[str, Any]:
        return checked.run_backward(run.dy, run.cache, list(run.inputs))

    return _judged(checked.forward, claims_of, "backward", sizes, const or {}, shapes)


def refute(
    forward: Callable[..., Any],
    /,
    *,
    wrt: str,
    claim: Claim,
    sizes: Mapping[str, int],
    const: Mapping[str, Any] | None = None,
    **shapes: str,
) -> Report:
    """Judge a formula for the gradient of one input, as `prove_at` judges a backward.

    Parameters
    ----------
    wrt : str
        The input whose gradient is claimed.
    claim : callable
        ``claim(dy, *inputs)``, the inputs in forward's order.
    forward, sizes, const, **shapes
        As in `prove_at`.

    Returns
    -------
    Report
        With one verdict. It is true if the claim is proven, that is, cannot be refuted.
    """

    def claims_of(run: "_Run") -> Mapping[str, Any]:
        return {wrt: claim(run.dy, *run.inputs.values())}

    inputs = {**shape_table(forward), **shapes}.keys() - (const or {}).keys()
    if wrt not in inputs:
        raise ValueError(f"wrt is {wrt!r}, expected one of {', '.join(sorted(inputs))}")
    return _judged(forward, claims_of, f"d{wrt}", sizes, const or {}, shapes)


class _Run:
    """One run of forward on symbols."""

    def __init__(
        self,
        forward: Callable[..., Any],
        table: Mapping[str, str],
        sizes: Mapping[str, int],
        const: Mapping[str, Any],
    ):
        layer = Layer(forward, forward)
        self.sizes = sizes
        self.inputs = {
            name: _symbols(name, [sizes.get(axis) or int(axis) for axis in table[name].split()])
            for name in layer.inputs(table, const)
        }
        try:
            self.y, self.cache = layer.run_forward({**self.inputs, **const})
        except TypeError as error:
            if "truth value of Relational" not in str(error):
                raise
            raise TypeError(
                "forward compares entries, which symbols cannot decide; "
                "use gradcheck away from ties and kinks"
            ) from None
        self.dy = _symbols("dy", self.y.shape)

    def gradient(self, name: str) -> np.ndarray:
        loss = sum((self.dy * self.y).flat, sp.Integer(0))
        x = self.inputs[name]
        return np.array([sp.diff(loss, entry) for entry in x.flat], dtype=object).reshape(x.shape)

    def point(self, values: Mapping[sp.Symbol, sp.Expr]) -> dict[str, np.ndarray]:
        return {name: _at(array, values) for name, array in {**self.inputs, "dy": self.dy}.items()}


def _judged(
    forward: Callable[..., Any],
    claims_of: Callable[[_Run], Mapping[str, Any]],
    culprit: str,
    sizes: Mapping[str, int],
    const: Mapping[str, Any],
    shapes: Mapping[str, str],
) -> Report:
    table = {**shape_table(forward), **shapes}
    table = {name: axes for name, axes in table.items() if name not in const}
    _check_sizes(table, sizes)
    run = _Run(forward, table, sizes, const)
    try:
        claims = claims_of(run)
    except ValueError as error:  # of NumPy, or of a shape check
        return Report((Verdict(culprit, "shape error", f": {error}"),))
    verdicts = {name: _verdict(run, name, claim) for name, claim in claims.items()}
    wrong = {name for name, verdict in verdicts.items() if verdict.status == "refuted"}
    for smaller in _smaller(sizes):  # the first to refute is the smallest
        if not wrong:
            break
        run = _Run(forward, table, smaller, const)
        try:
            claims = claims_of(run)
        except ValueError:
            continue
        for name in sorted(wrong):
            verdict = _verdict(run, name, claims[name])
            if verdict.status == "refuted":
                verdicts[name] = verdict
                wrong.remove(name)
    return Report(tuple(verdicts.values()))


def _check_sizes(table: Mapping[str, str], sizes: Mapping[str, int]) -> None:
    if not table:
        raise TypeError('no shapes: annotate forward, or name them, as in x="N C_in"')
    axes = {axis for entry in table.values() for axis in entry.split() if not axis.isdigit()}
    for axis in sorted(axes - set(sizes)):
        raise ValueError(f"sizes lacks {axis}: {dict(sizes)}")
    for axis, size in sizes.items():
        if axis not in axes:
            raise ValueError(f"sizes has {axis}, expected {', '.join(sorted(axes))}")
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"sizes has {axis} = {size!r}, expected a positive integer")


def _smaller(sizes: Mapping[str, int]) -> Iterator[dict[str, int]]:
    choices = product(*(range(1, size + 1) for size in sizes.values()))
    for choice in sorted(choices, key=lambda choice: (np.prod(choice), choice)):
        yield dict(zip(sizes, choice, strict=True))


def _verdict(run: _Run, name: str, claim: Any) -> Verdict:
    if claim is ...:
        return Verdict(f"d{name}", "not answered yet", "")
    true, claimed = run.gradient(name), np.asarray(claim)
    if claimed.shape != true.shape:
        shapes = f": d{name} is {written(claimed.shape)}, {name} is {written(true.shape)}"
        return Verdict(f"d{name}", "shape error", shapes)
    at = ", ".join(f"{axis} = {size}" for axis, size in run.sizes.items())
    difference = [
        _normal(left - right) for left, right in zip(true.flat, claimed.flat, strict=True)
    ]
    if all(entry == 0 for entry in difference):
        return Verdict(f"d{name}", "proven", f" at {at}")
    flat, values = _witness(run, difference)
    if values is None:
        return Verdict(f"d{name}", "undecided", f" at {at}: no witness, and no zero")
    entry = tuple(int(i) for i in np.unravel_index(flat, true.shape))
    where = f" in entry [{', '.join(map(str, entry))}]" if entry else ""
    counterexample = Counterexample(
        dict(run.sizes), run.point(values), entry, _at(true, values), _at(claimed, values)
    )
    return Verdict(f"d{name}", "refuted", where, counterexample)


def _normal(expression: sp.Expr) -> sp.Expr:
    """Bring a polynomial or a quotient of polynomials to the form that is 0 only if it is zero."""
    expanded = sp.expand(expression)
    return sp.cancel(expanded) if expanded.is_rational_function() else expanded


def _witness(run: _Run, difference: list[sp.Expr]) -> tuple[int, dict[sp.Symbol, sp.Expr] | None]:
    """Find values at which an entry of the difference is not zero, zeros and ones if possible."""
    symbols = [symbol for array in (*run.inputs.values(), run.dy) for symbol in array.flat]
    candidates = [
        (i, {s: sp.Integer(s in term.free_symbols) for s in symbols})
        for i, entry in enumerate(difference)
        for term in sp.Add.make_args(entry)
        if entry != 0
    ]
    candidates.sort(key=lambda candidate: sum(candidate[1].values()))
    generator = np.random.default_rng(0)
    for i, entry in enumerate(difference):
        if entry != 0:
            integers = generator.integers(1, 100, len(symbols))
            candidates.append((i, dict(zip(symbols, map(sp.Integer, integers), strict=True))))
    for i, values in candidates:
        value = difference[i].xreplace(values)
        if value.is_number and value.is_finite and sp.simplify(value) != 0:
            return i, values
    return 0, None


def _symbols(name: str, shape: Any) -> np.ndarray:
    array = np.empty(tuple(shape), dtype=object)
    for index in np.ndindex(array.shape):
        array[index] = sp.Symbol(f"{name}[{', '.join(map(str, index))}]", real=True)
    return array


def _at(array: np.ndarray, values: Mapping[sp.Symbol, sp.Expr]) -> np.ndarray:
    result = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        result[index] = sp.sympify(array[index]).xreplace(dict(values))
    return result
