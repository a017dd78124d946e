"""Compare a backward pass with slopes that are measured on its forward pass.

A numeric check is evidence at one point, not a proof; for that see `backprop_lib.proof`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from backprop_lib.arguments import check_choice, check_number, format_shape, why_not_plain
from backprop_lib.layer import Layer

TOLERANCE = 1e-6
UNIT_ROUNDOFF = float(np.finfo(np.float64).eps) / 2
STEP = UNIT_ROUNDOFF ** (1 / 3)
"""The step h, about 5e-6, relative to ``max(1, abs(x))``.

A central difference is off by about h² f‴/6, because it ignores the third derivative, and by
about u f/h, because f is rounded to the unit roundoff u. If f and its derivatives are of one
size, the sum is smallest near h = u^(1/3), where both are about u^(2/3), some 2e-11: a third of
the digits is lost. A one-sided difference would lose half of them. Where the scales differ, a
disagreement is measured again with other steps.
"""
OTHER_STEPS = [8.0**k for k in range(-5, 4)]
ROUNDINGS = 16
"""How many roundings an entry of y is allowed, before a difference is called an error."""
KINK = 1e-3
"""The relative gap between the slopes to both sides that calls for a second look."""
KINKED = "sits at a kink or a tie, where there is no gradient"
STREAM = 0x6772
"""Keeps our random numbers apart from those that a caller draws with the same seed."""


@dataclass(frozen=True)
class Comparison:
    """One input's claimed gradient held against its measured slopes."""

    name: str
    agrees: bool
    verdict: str
    error: float
    """Largest distance of claimed and measured, relative to the largest slope of this input."""
    evaluations: int
    """How often forward was evaluated for this input."""
    has_kink: bool = False
    """Whether the slopes to both sides differ, so that there is no gradient."""


@dataclass(frozen=True)
class GradcheckReport:
    """The outcome of `gradcheck`: true if every gradient agrees."""

    comparisons: tuple[Comparison, ...]

    def __bool__(self) -> bool:
        return bool(self.comparisons) and all(c.agrees for c in self.comparisons)

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
    tol: float = TOLERANCE,
    rng: int | np.random.Generator = 0,
    params: Mapping[str, str] | None = None,
    grads: Mapping[str, str] | None = None,
    may_change_dy: bool = False,
    **inputs: np.ndarray,
) -> GradcheckReport:
    """Check every gradient of a layer against central differences of its forward.

    For L = Σ dy·y and a step h in the direction v, the slope (L(x + hv) − L(x − hv)) / 2h is
    compared with Σ dx·v. All is computed in float64.

    Parameters
    ----------
    layer, backward
        As in `backprop_lib.proof.prove`: two functions, a module, a class or an object with both,
        or a function that returns y and its backward. Random numbers that forward draws are the
        same each time.
    const : dict, optional
        Arguments of forward that have no gradient, such as eps.
    dy : array of y's shape, optional
        Upstream gradient; left out, it is drawn from a normal distribution.
    method : {"entries", "direction"}
        "entries" steps along every entry in turn, two evaluations each, and says which entry is
        wrong. "direction" steps once along a random direction, two evaluations for an input of
        any size; it does not see an error that is orthogonal to that direction, or small beside
        the rest. A disagreement costs some more evaluations, to be measured again.
    tol : float
        Largest relative error that passes, between 0 and 1.
    rng : int or numpy.random.Generator
        Seed of dy and of the directions.
    params, grads, may_change_dy
        As in `backprop_lib.proof.prove`.
    **inputs : arrays of floats
        Where to check, by the names of forward's parameters, and of an object's.

    Returns
    -------
    GradcheckReport
        True if all agree. An input does not agree if its slopes differ from the claim, cannot
        be measured to ``tol``, or do not exist, at a kink or a tie. ``errors`` holds the relative
        error of each input.

    Raises
    ------
    TypeError
        If an input does not hold floats (an integer array cannot take a small step), tol or method
        is of another type, or the arguments, results or gradients are not those of a layer (see
        `backprop_lib.layer`).
    ValueError
        If an input or dy holds NaN or infinity, dy is constant or of the wrong shape, tol or
        method is another one, or forward returns something else each time.
    RuntimeError
        If forward or backward changes an argument in place.

    References
    ----------
    W. Press et al., Numerical Recipes, 3rd ed., Cambridge 2007, section 5.7 (the step).
    """
    check_choice("method", method, ("entries", "direction"))
    tol = check_number("tol", tol, float, "> 0", "< 1")
    const = const or {}
    checked = Layer.of(
        layer,
        backward,
        named=[*inputs, *const],
        params=params,
        grads=grads,
        may_change_dy=may_change_dy,
    )
    names = checked.inputs(inputs, const)
    if not names:
        raise TypeError("no input is given to check; name one, as in x=x")
    point = {name: _as_float64(name, inputs[name]) for name in names}
    seed = np.random.SeedSequence(rng, spawn_key=(STREAM,)) if isinstance(rng, int) else rng
    generator = np.random.default_rng(seed)

    def output(**moved: np.ndarray) -> np.ndarray:
        arguments = {name: moved.get(name, value).copy() for name, value in point.items()}
        y, _ = checked.run_forward({**arguments, **const})
        return np.array(y)  # forward may reuse its y

    y, again = output(), output()
    if y.dtype.kind not in "fiu":
        raise TypeError(f"forward returned y of {y.dtype}, expected floats")
    if not np.array_equal(y, again, equal_nan=True):
        raise ValueError("forward returns another y each time; fix its random numbers first")
    upstream = generator.standard_normal(y.shape) if dy is None else _as_upstream(dy, y)
    _, cache = checked.run_forward({**{k: v.copy() for k, v in point.items()}, **const})
    claims = checked.run_backward(upstream.copy(), cache, names)
    claims = {name: np.array(claim) for name, claim in claims.items()}  # backward may reuse them

    return GradcheckReport(
        tuple(
            _Slopes(name, point[name], y, upstream, output).compare(
                claims[name], _steps(point[name], method, generator), tol
            )
            for name in names
        )
    )


def compare_along_direction(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    dy: np.ndarray,
    output: Callable[..., np.ndarray],
    claim: np.ndarray,
    generator: np.random.Generator,
    entry: tuple[int, ...] | None = None,
) -> Comparison:
    """Hold the claimed gradient of one input against a slope along a random direction, or an entry.

    ``output(name=moved)`` is y where this input has moved; y is its value at x.
    """
    steps = _steps(x, "direction", generator)
    if entry is not None:
        steps = iter([(f"entry {list(entry)}", partial(_along, x, entry))])
    return _Slopes(name, x, y, dy, output).compare(claim, steps, TOLERANCE)


def _as_float64(name: str, value: Any) -> np.ndarray:
    if (why := why_not_plain(name, value)) is not None:
        raise TypeError(f"expected {name} to be floats: {why}")
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise TypeError(
            f"{name} holds {array.dtype}, expected floats: "
            "a difference quotient needs steps far smaller than 1"
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.float64)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = tuple(bad[0].tolist())
        raise ValueError(f"{name}{list(index)} is {array[index]}: there is no slope to measure")
    return array


def _as_upstream(dy: Any, y: np.ndarray) -> np.ndarray:
    upstream = _as_float64("dy", dy)
    if upstream.shape != y.shape:
        raise ValueError(
            f"dy has shape {format_shape(upstream.shape)}, expected y's {format_shape(y.shape)}"
        )
    if upstream.size and np.ptp(upstream) == 0 and (y.size > 1 or not upstream.any()):
        raise ValueError(
            f"dy is constant (every entry is {upstream.flat[0]:g}), which hides errors: it sums "
            "the outputs, so swapped entries go unseen, and after a normalisation the true "
            "gradient is 0. Leave dy out, and a random one is drawn"
        )
    return upstream


Step = Callable[[], np.ndarray]
"""Makes the array of a step when it is needed; one of the input's size for every entry is much."""


def _steps(
    x: np.ndarray, method: str, generator: np.random.Generator
) -> Iterator[tuple[str, Step]]:
    """Yield the steps to take from x, each with the name of the slope along it."""
    if method == "direction" and x.size:
        step = STEP * np.maximum(1, np.abs(x)) * generator.standard_normal(x.shape)
        yield "the slope along a random direction", lambda: step
    elif method == "entries":
        for index in np.ndindex(x.shape):
            yield f"entry {list(index)}", partial(_along, x, index)


def _along(x: np.ndarray, index: tuple[int, ...]) -> np.ndarray:
    step = np.zeros_like(x)
    step[index] = STEP * max(1, abs(x[index]))
    return step


@dataclass
class _Slopes:
    """Measures the slopes of L = Σ dy·y along steps of one input."""

    name: str
    x: np.ndarray
    y: np.ndarray
    dy: np.ndarray
    output: Callable[..., np.ndarray]
    evaluations: int = 0

    def compare(
        self, claim: np.ndarray, steps: Iterator[tuple[str, Step]], tol: float
    ) -> Comparison:
        """Hold the claimed gradient against the slope along every step."""
        if claim.shape != self.x.shape:
            shapes = (
                f"{format_shape(claim.shape)}, expected {self.name}'s {format_shape(self.x.shape)}"
            )
            return Comparison(self.name, False, f"has shape {shapes}", np.inf, 0)
        if claim.dtype.kind not in "fiu":
            return Comparison(self.name, False, f"holds {claim.dtype}, not floats", np.inf, 0)
        slopes = [(label, _Slope(self, claim, step)) for label, step in steps]
        sizes = [max(abs(slope.claimed), abs(slope.measured)) for _, slope in slopes]
        largest = max(filter(np.isfinite, sizes), default=0.0)
        slopes.sort(key=lambda pair: -pair[1].difference())  # the worst first
        agrees, verdict, has_kink = True, f"agrees within {tol:g}", False
        for label, slope in slopes:
            if (why := slope.complaint(tol, largest)) is not None:
                agrees, verdict, has_kink = False, f"{label} {why}", why is KINKED
                break
        differences = [0.0 if slope.is_zero() else slope.difference() for _, slope in slopes]
        error = max(differences, default=0.0) / (largest or 1.0)
        return Comparison(self.name, agrees, verdict, error, self.evaluations, has_kink)

    def ends(self, step: np.ndarray) -> "_Ends":
        """Evaluate forward at x + step and at x − step."""
        self.evaluations += 2
        above, below = self.x + step, self.x - step
        with np.errstate(all="ignore"):  # the step may leave the function's domain
            high, low = (self.output(**{self.name: there}) for there in (above, below))
        return _Ends(above, below, high, low)

    def rise(self, high: np.ndarray, low: np.ndarray, touched: np.ndarray) -> float:
        """Return the change of L between two outputs."""
        with np.errstate(all="ignore"):
            return float(np.sum(self.dy[touched] * (high - low)[touched]))

    def rounding(self, ends: "_Ends", touched: np.ndarray) -> float:
        """Return the rounding error to be expected in the change of L between the two ends."""
        with np.errstate(all="ignore"):
            size = np.abs(self.dy) * (np.abs(ends.high) + np.abs(ends.low))
        return ROUNDINGS * UNIT_ROUNDOFF * float(np.sum(size[touched]))


@dataclass(frozen=True)
class _Ends:
    """Both ends of a step, and y there."""

    above: np.ndarray
    below: np.ndarray
    high: np.ndarray
    low: np.ndarray

    def touched(self, y: np.ndarray) -> np.ndarray:
        """Return where the step changes y; elsewhere all cancels exactly, with no rounding."""
        touched: np.ndarray = (self.high != y) | (self.low != y)
        return touched


class _Slope:
    """The slope along one step: as claimed, and as measured."""

    def __init__(self, slopes: _Slopes, claim: np.ndarray, step: Step):
        self.slopes, self.claim, self.step = slopes, claim, step
        ends = slopes.ends(step())
        self.claimed, self.measured, self.uncertainty, self.gap = self.measure(
            ends, ends.touched(slopes.y)
        )

    def measure(self, ends: _Ends, touched: np.ndarray) -> tuple[float, float, float, float]:
        """Return the claimed and the measured slope, its rounding, and the gap of both sides."""
        x, y, rise = self.slopes.x, self.slopes.y, self.slopes.rise
        width = float(np.linalg.norm(ends.above - ends.below))  # of the step as it was rounded
        right = rise(ends.high, y, touched) / float(np.linalg.norm(ends.above - x))
        left = rise(y, ends.low, touched) / float(np.linalg.norm(x - ends.below))
        claimed = float(np.sum(self.claim * (ends.above - ends.below))) / width
        measured = rise(ends.high, ends.low, touched) / width
        return claimed, measured, self.slopes.rounding(ends, touched) / width, abs(right - left)

    def difference(self) -> float:
        """Return |claimed − measured|, infinite if either is no number."""
        difference = abs(self.claimed - self.measured)
        return difference if np.isfinite(difference) else np.inf

    def is_zero(self) -> bool:
        """Say whether both are zero as far as can be seen."""
        return max(abs(self.claimed), abs(self.measured)) <= self.uncertainty < np.inf

    def complaint(self, tol: float, largest: float) -> str | None:
        """Say how claim and measurement differ, or return None if they agree within tol."""
        if self._is_kink():
            return KINKED
        if self._agrees(tol, largest):
            return None
        self._measure_again()
        if self._agrees(tol, largest) or self.is_zero():
            return None
        figures = f"is claimed {self.claimed:.5g}, measured {self.measured:.5g}"
        if self.difference() <= self.uncertainty and np.isfinite(self.claimed):
            return f"{figures}, but it cannot be measured here to {tol:g}"
        return f"{figures}: they differ"

    def _agrees(self, tol: float, largest: float) -> bool:
        if self.difference() <= tol * max(abs(self.claimed), abs(self.measured)):
            return True
        return self.difference() <= self.uncertainty <= tol * largest

    def _measure_again(self) -> None:
        """Measure with other steps, and keep the slope that changes least with the step."""
        ends = [self.slopes.ends(factor * self.step()) for factor in OTHER_STEPS]
        # A short step may drown in the rounding of a large y; a longer one shows what it touches.
        touched = np.any([each.touched(self.slopes.y) for each in ends], axis=0)
        trials = [self.measure(each, touched) for each in ends]
        self.uncertainty = np.inf
        for three in zip(trials, trials[1:], trials[2:], strict=False):
            measured = [slope for _, slope, _, _ in three]
            claimed, slope, rounding, gap = three[1]
            uncertainty = 2 * (max(measured) - min(measured)) + rounding
            if uncertainty < self.uncertainty:
                self.claimed, self.measured, self.gap = claimed, slope, gap
                self.uncertainty = uncertainty

    def _is_kink(self) -> bool:
        """Say whether the slopes to both sides differ, and as much for a much smaller step.

        With the step, the gap of a smooth function shrinks, and that of a rounded one grows.
        """
        scale = max(abs(self.claimed), abs(self.measured), self.gap)
        if not self.gap > max(KINK * scale, 4 * self.uncertainty):
            return False
        ends = self.slopes.ends(self.step() / 16)
        _, _, rounding, gap = self.measure(ends, ends.touched(self.slopes.y))
        return max(self.gap / 4, 4 * rounding) < gap < 4 * self.gap
