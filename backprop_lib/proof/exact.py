"""Run a layer's own code on symbols at given sizes, and compare with SymPy's derivatives.

Every entry of every input, and of the upstream gradient dy, is a symbol of its own. forward then
returns the formula of every y, L = Σ dy·y is a formula too, and SymPy differentiates it by every
entry of every input. backward returns the claimed formulas. If true − claimed is identically
zero in every entry, the gradient is proven at these sizes, wherever both formulas are defined.
If not, numbers are sought at which the two differ; only such a witness refutes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from backprop_lib.layer import Layer, unchanged
from backprop_lib.proof.report import Counterexample, Report, Verdict
from backprop_lib.proof.scalar import NotFollowedError, Scalar, exact
from backprop_lib.shapes import ShapeError, shape_table, written

Claim = Callable[..., Any]
Values = Mapping[sp.Symbol, sp.Expr]

TRIALS = 30
"""How many random points are tried as witnesses, when zeros and ones do not do."""
DIGITS = 30
"""To how many digits a number is computed, to be sure that it is not zero."""
NUMPY_SHAPE_ERRORS = ("core dimension", "could not be broadcast", "cannot reshape")


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
        The size of every axis, such as ``{"N": 2, "C_in": 3, "C_out": 4}``. Choose different
        sizes: where two are equal, code that takes one for the other is proven.
    const : dict, optional
        Arguments of forward that have no gradient. A float such as 1e-5 is taken for the
        decimal that it is written as.
    **shapes : str
        The axes of each input, such as ``x="N C_in"``; not needed where forward's signature
        has them (see `backprop_lib.shapes`).

    Returns
    -------
    Report
        One verdict for each gradient: "proven" at these sizes, wherever forward and backward
        are defined; "refuted", with a counterexample at the smallest sizes at which one was
        found; "shape error"; "not answered yet" for a gradient given as ``...``; or
        "undecided". It trusts that the code does the same with floats as with exact numbers,
        that is, does not ask for their type.

    Raises
    ------
    TypeError
        If the functions are not those of a layer, or do what exact symbols cannot follow:
        compare entries, convert them, or compute with rounded floats.
    ValueError
        If a size is missing, unknown or not a positive integer.
    RuntimeError
        If forward or backward changes an argument in place.
    """
    checked = Layer.of(layer, backward)

    def claims_of(run: "_Run") -> Mapping[str, Any]:
        return checked.run_backward(run.dy.copy(), run.cache, list(run.inputs))

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
        dy, inputs = run.dy.copy(), [array.copy() for array in run.inputs.values()]
        with unchanged("claim", {"dy": dy, "an input": inputs}):
            return {wrt: claim(dy, *inputs)}

    inputs = {**shape_table(forward), **shapes}.keys() - (const or {}).keys()
    if wrt not in inputs:
        raise ValueError(f"wrt is {wrt!r}, expected one of {', '.join(sorted(inputs))}")
    return _judged(forward, claims_of, f"d{wrt}", sizes, const or {}, shapes)


class _Run:
    """One run of forward on symbols, and the true gradients of L = Σ dy·y."""

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
        arguments = {name: array.copy() for name, array in self.inputs.items()}
        y, self.cache = layer.run_forward(arguments | {k: _constant(v) for k, v in const.items()})
        self.y = _expressions(y)  # of our own: a claim that writes into y or dy changes nothing
        self.dy = _symbols("dy", self.y.shape)
        loss = sum(
            (a.expression * b for a, b in zip(self.dy.flat, self.y.flat, strict=True)),
            sp.Integer(0),
        )
        self.gradients = {name: _derivatives(loss, array) for name, array in self.inputs.items()}

    def symbols(self) -> list[sp.Symbol]:
        return [s.expression for array in (*self.inputs.values(), self.dy) for s in array.flat]

    def point(self, values: Values) -> dict[str, np.ndarray]:
        upstream = "dy" if "dy" not in self.inputs else "upstream"
        arrays = self.inputs | {upstream: self.dy}
        return {name: _at(_expressions(array), values) for name, array in arrays.items()}


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

    def verdicts_of(run: _Run) -> dict[str, Verdict]:
        return {name: _verdict(run, name, claim) for name, claim in claims_of(run).items()}

    run = _followed("forward", lambda: _Run(forward, table, sizes, const))
    try:
        verdicts = _followed(culprit, lambda: verdicts_of(run))
    except ValueError as error:
        if isinstance(error, ShapeError) or any(sign in str(error) for sign in NUMPY_SHAPE_ERRORS):
            return Report((Verdict(culprit, "shape error", f": {error}"),))
        raise
    wrong = [name for name, verdict in verdicts.items() if verdict.status == "refuted"]
    for smaller in _smaller(sizes):  # the first to refute is the smallest
        if not wrong:
            break
        try:
            found = verdicts_of(_Run(forward, table, smaller, const))
        except Exception:
            continue  # the code need not work at other sizes
        verdicts |= {name: found[name] for name in wrong if found[name].status == "refuted"}
        wrong = [name for name in wrong if found[name].status != "refuted"]
    return Report(tuple(verdicts.values()))


def _followed(function: str, run: Callable[[], Any]) -> Any:
    """Run code on symbols; say which function did what they cannot follow."""
    try:
        return run()
    except NotFollowedError as error:
        raise TypeError(f"{function} {error}") from None
    except SystemError as error:  # NumPy hides an exception of a comparison in this one
        raise TypeError(f"{function} compares entries; use gradcheck") from error
    except TypeError as error:
        if "no callable" not in str(error):
            raise
        method = str(error).split("no callable ")[1].split(" ")[0]
        raise TypeError(
            f"{function} uses np.{method}, which is not followed; use gradcheck"
        ) from None


def _check_sizes(table: Mapping[str, str], sizes: Mapping[str, int]) -> None:
    if not table:
        raise TypeError('no shapes: annotate forward, or name them, as in x="N C_in"')
    axes = {axis for entry in table.values() for axis in entry.split() if not axis.isdecimal()}
    for axis in sorted(axes - set(sizes)):
        raise ValueError(f"sizes lacks {axis}: {dict(sizes)}")
    for axis, size in sizes.items():
        if axis not in axes:
            raise ValueError(f"sizes has {axis}, expected {', '.join(sorted(axes))}")
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"sizes has {axis} = {size!r}, expected a positive integer")


def _smaller(sizes: Mapping[str, int]) -> Iterator[dict[str, int]]:
    choices = product(*(range(1, size + 1) for size in sizes.values()))
    for choice in sorted(choices, key=lambda choice: (np.prod(choice), choice)):
        yield dict(zip(sizes, choice, strict=True))


def _verdict(run: _Run, name: str, claim: Any) -> Verdict:
    if claim is ...:
        return Verdict(f"d{name}", "not answered yet", "")
    true, claimed = run.gradients[name], _expressions(np.asarray(claim))
    if claimed.shape != true.shape:
        shapes = f": d{name} is {written(claimed.shape)}, {name} is {written(true.shape)}"
        return Verdict(f"d{name}", "shape error", shapes)
    at = ", ".join(f"{axis} = {size}" for axis, size in run.sizes.items())
    difference = [_normal(a - b) for a, b in zip(true.flat, claimed.flat, strict=True)]
    if all(entry == 0 for entry in difference):
        return Verdict(f"d{name}", "proven", f" at {at}")
    for flat, values in _candidates(run.symbols(), difference):
        if _is_witness(run, true.flat[flat], difference[flat], values):
            entry = tuple(int(i) for i in np.unravel_index(flat, true.shape))
            where = f" in entry {list(entry)}" if entry else ""
            counterexample = Counterexample(
                dict(run.sizes), run.point(values), entry, _at(true, values), _at(claimed, values)
            )
            return Verdict(f"d{name}", "refuted", where, counterexample)
    return Verdict(f"d{name}", "undecided", f" at {at}: no witness, and no proof")


def _normal(expression: sp.Expr) -> sp.Expr:
    """Bring a polynomial or a quotient of polynomials to the form that is 0 only if it is zero.

    Roots and exponentials are taken as further variables; what they then do not show to be zero
    stays undecided, or is refuted by a witness.
    """
    expanded = sp.expand(expression)
    if expanded == 0 or expanded.is_polynomial():
        return expanded
    return sp.cancel(sp.powsimp(sp.together(expanded)))


def _candidates(
    symbols: Sequence[sp.Symbol], difference: Sequence[sp.Expr]
) -> Iterator[tuple[int, Values]]:
    """Propose points for the entries that are not zero: a few ones among zeros, then any."""
    wrong = [(i, entry) for i, entry in enumerate(difference) if entry != 0]
    simple = [
        (i, {s: sp.Integer(s in term.free_symbols) for s in symbols})
        for i, entry in wrong
        for term in sp.Add.make_args(entry)
    ]
    yield from sorted(simple, key=lambda candidate: sum(candidate[1].values()))
    generator = np.random.default_rng(0)
    for _ in range(TRIALS):
        above, below = (
            generator.integers(-9, 10, len(symbols)),
            generator.integers(1, 4, len(symbols)),
        )
        point = [sp.Rational(int(a), int(b)) for a, b in zip(above, below, strict=True)]
        for i, _ in wrong:
            yield i, dict(zip(symbols, point, strict=True))


def _is_witness(run: _Run, true: sp.Expr, difference: sp.Expr, values: Values) -> bool:
    """Say whether all is defined at this point, and the difference is certainly not zero."""
    needed = [entry.xreplace(values) for entry in (*run.y.flat, true)]
    if not all(_number(value) is not None for value in needed):
        return False
    value = _number(difference.xreplace(values))
    return value is not None and value != 0


def _number(value: sp.Expr) -> sp.Expr | None:
    """Return the value of a real number, exactly or to some digits, or None if it has none.

    A value that vanishes to all the digits that were asked for may be zero, and is given as 0.
    """
    if value.is_Rational:
        return value
    value = value.evalf(DIGITS)
    if not value.is_Float or not value.is_finite:
        return None
    return sp.Integer(0) if value._prec == 1 else value


def _symbols(name: str, shape: Sequence[int]) -> np.ndarray:
    array = np.empty(tuple(shape), dtype=object)
    for index in np.ndindex(array.shape):
        array[index] = Scalar(sp.Dummy(f"{name}{list(index)}", real=True))
    return array


def _constant(value: Any) -> Any:
    if isinstance(value, sp.Expr):
        return Scalar(exact(value))
    if isinstance(value, float):
        return Scalar(sp.Rational(repr(float(value))))
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        exact_entries = [Scalar(sp.Rational(repr(float(entry)))) for entry in value.flat]
        return _filled(value.shape, exact_entries)
    return value


def _filled(shape: tuple[int, ...], entries: Sequence[Any]) -> np.ndarray:
    array = np.empty(shape, dtype=object)
    for index, entry in zip(np.ndindex(shape), entries, strict=True):
        array[index] = entry
    return array


def _expressions(array: np.ndarray) -> np.ndarray:
    return _filled(array.shape, [exact(entry) for entry in array.flat])


def _derivatives(loss: sp.Expr, array: np.ndarray) -> np.ndarray:
    return _filled(array.shape, [sp.diff(loss, entry.expression) for entry in array.flat])


def _at(array: np.ndarray, values: Values) -> np.ndarray:
    return _filled(array.shape, [entry.xreplace(values) for entry in array.flat])
