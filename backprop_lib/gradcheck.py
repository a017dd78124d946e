"""Compare a backward pass with slopes that are measured on its forward pass.

A numeric check is evidence at one point, not a proof; for that see `backprop_lib.proof`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from backprop_lib.layer import Layer
from backprop_lib.shapes import written

UNIT_ROUNDOFF = float(np.finfo(np.float64).eps) / 2
STEP = UNIT_ROUNDOFF ** (1 / 3)
"""The relative step h, about 5e-6.

A central difference is off by about h² f‴/6, because it ignores the third derivative, and by
about u f/h, because f is rounded to the unit roundoff u. The sum is smallest near h = u^(1/3),
where both are about u^(2/3), some 2e-11: a third of the digits is lost, two thirds are good.
A one-sided difference would be left with half of them.
"""
ROUNDINGS = 16
"""How many roundings an entry of y is allowed, before a difference is called an error."""


@dataclass(frozen=True)
class Comparison:
    """One input's claimed gradient held against its measured slopes."""

    name: str
    error: float
    """Largest |claimed − measured|, relative to the largest of either.

    The denominator is at least rounding/tol, so that what rounding explains stays below tol.
    """
    verdict: str
    agrees: bool
    evaluations: int
    """How often forward was evaluated for this input."""


@dataclass(frozen=True)
class GradcheckReport:
    """The outcome of `gradcheck`: true if every gradient agrees."""

    comparisons: tuple[Comparison, ...]

    def __bool__(self) -> bool:
        return all(comparison.agrees for comparison in self.comparisons)

    @property
    def errors(self) -> dict[str, float]:
        """The relative error by input."""
        return {comparison.name: comparison.error for comparison in self.comparisons}

    def __repr__(self) -> str:
        return "\n".join(f"d{c.name} {c.verdict}" for c in self.comparisons)


def gradcheck(
    layer: Any,
    backward: Callable[..., Any] | None = None,
    /,
    *,
    const: Mapping[str, Any] | None = None,
    dy: np.ndarray | None = None,
    method: Literal["entries", "direction"] = "entries",
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    **inputs: np.ndarray,
) -> GradcheckReport:
    """Check every gradient of a layer against central differences of its forward.

    For L = Σ dy·y and a step h in the direction v, the slope (L(x + hv) − L(x − hv)) / 2h is
    compared with Σ dx·v. All is computed in float64.

    Parameters
    ----------
    layer, backward
        A module with `forward` and `backward`, or the two functions.
    const : dict, optional
        Arguments of forward that have no gradient, such as eps.
    dy : array of y's shape, optional
        Upstream gradient; left out, it is drawn from a normal distribution.
    method : {"entries", "direction"}
        "entries" steps along every entry in turn, two evaluations each, and says which entry is
        wrong. "direction" steps once along a random direction, two evaluations for an input of
        any size; a wrong gradient passes only if its error is orthogonal to that direction.
    tol : float
        Largest relative error that passes.
    rng : int or numpy.random.Generator
        Seed of dy and of the directions.
    **inputs : arrays of floats
        Where to check, by the names of forward's parameters.

    Returns
    -------
    GradcheckReport
        True if all agree; ``errors`` holds the relative error of each input.

    Raises
    ------
    TypeError
        If an input does not hold floats (an integer array cannot take a small step), or the
        arguments, results or gradients are not those of a layer (see `backprop_lib.layer`).
    ValueError
        If an input or dy holds NaN or infinity, or dy is constant or of the wrong shape.
    RuntimeError
        If forward or backward changes an argument in place.

    References
    ----------
    W. Press et al., Numerical Recipes, 3rd ed., Cambridge 2007, section 5.7 (the step).
    """
    if method not in ("entries", "direction"):
        raise ValueError(f'method is {method!r}, expected "entries" or "direction"')
    const = const or {}
    checked = Layer.of(layer, backward)
    names = checked.inputs(inputs, const)
    point = {name: _as_float64(name, inputs[name]) for name in names}
    generator = np.random.default_rng(rng)

    def output(**moved: np.ndarray) -> np.ndarray:
        return checked.run_forward({**point, **moved, **const})[0]

    y, cache = checked.run_forward({**point, **const})
    upstream = generator.standard_normal(y.shape) if dy is None else _as_upstream(dy, y)
    claims = checked.run_backward(upstream, cache, names)
    return GradcheckReport(
        tuple(
            _compare(name, claims[name], point[name], output, upstream, method, tol, generator)
            for name in names
        )
    )


def _as_float64(name: str, value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise TypeError(
            f"{name} holds {array.dtype}, expected floats: "
            "a difference quotient needs steps far smaller than 1"
        )
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = tuple(bad[0].tolist())
        raise ValueError(
            f"{name}[{', '.join(map(str, index))}] is {array[index]}: there is no slope to measure"
        )
    return array.astype(np.float64)


def _as_upstream(dy: Any, y: np.ndarray) -> np.ndarray:
    upstream = _as_float64("dy", dy)
    if upstream.shape != y.shape:
        raise ValueError(f"dy has shape {written(upstream.shape)}, expected y's {written(y.shape)}")
    if y.size > 1 and np.ptp(upstream) == 0:
        raise ValueError(
            f"dy is constant (every entry is {upstream.flat[0]:g}), which hides errors: it sums "
            "the outputs, so swapped entries go unseen, and after a normalisation the true "
            "gradient is 0. Leave dy out, and a random one is drawn"
        )
    return upstream


def _compare(
    name: str,
    claim: Any,
    x: np.ndarray,
    output: Callable[..., np.ndarray],
    dy: np.ndarray,
    method: str,
    tol: float,
    generator: np.random.Generator,
) -> Comparison:
    claimed = np.asarray(claim)
    if claimed.shape != x.shape:
        verdict = f"has shape {written(claimed.shape)}, expected {name}'s {written(x.shape)}"
        return Comparison(name, np.inf, verdict, False, 0)
    if claimed.dtype.kind not in "fiu":
        return Comparison(name, np.inf, f"holds {claimed.dtype}, expected floats", False, 0)

    def rise(above: np.ndarray, below: np.ndarray) -> tuple[float, float]:
        """Return L(above) − L(below) and the rounding error to be expected in it."""
        high, low = output(**{name: above}), output(**{name: below})
        moved = high != low  # what a step does not touch cancels exactly
        size = np.abs(dy) * (np.abs(high) + np.abs(low)) * moved
        return float(np.sum(dy * (high - low))), ROUNDINGS * UNIT_ROUNDOFF * float(size.sum())

    steps = list(_steps(x, method, generator))
    if not steps:
        return Comparison(name, 0.0, "agrees: it is empty", True, 0)
    slopes = np.empty((len(steps), 3))
    for row, (_, step) in zip(slopes, steps, strict=True):
        above, below = x + step, x - step
        width = np.linalg.norm(above - below)  # of the step as it was rounded
        row[:] = np.array([np.sum(claimed * (above - below)), *rise(above, below)]) / width
    expected, measured, rounding = slopes.T
    scale = max(np.abs(expected).max(), np.abs(measured).max())
    denominator = np.maximum(scale, rounding / tol)
    denominator[denominator == 0] = 1  # all that is compared is zero
    errors = np.abs(expected - measured) / denominator
    worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
    error, hidden = float(errors[worst]), float(rounding.max())
    if error <= tol:
        verdict = f"agrees within {tol:g}"
        if hidden > tol * scale:
            verdict = f"agrees, but the slopes are lost in rounding, {hidden:.0e} of {scale:.0e}"
        return Comparison(name, error, verdict, True, 2 * len(steps))

    label, step = steps[worst]
    verdict = (
        f"differs: {label} is claimed {expected[worst]:.5g}, measured {measured[worst]:.5g}"
        f" (relative error {error:.2g})"
    )
    right, left = (rise(*ends)[0] / np.linalg.norm(step) for ends in ((x + step, x), (x, x - step)))
    if abs(right - left) > 0.01 * max(abs(right), abs(left)):
        verdict += (
            f"; the slope is {left:.5g} to one side and {right:.5g} to the other: "
            "a kink or a tie, where there is no gradient"
        )
    return Comparison(name, error, verdict, False, 2 * len(steps))


def _steps(
    x: np.ndarray, method: str, generator: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the steps to take from x, each with the name of the slope along it."""
    if method == "direction" and x.size:
        direction = generator.standard_normal(x.shape)
        yield "the slope along a random direction", STEP * np.maximum(1, np.abs(x)) * direction
    elif method == "entries":
        for index in np.ndindex(x.shape):
            step = np.zeros_like(x)
            step[index] = STEP * max(1, abs(x[index]))
            yield f"entry [{', '.join(map(str, index))}]", step
