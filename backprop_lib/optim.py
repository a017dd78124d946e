"""Adam, and how its learning rate changes with time.

Used in the chapter "Training".
"""

from collections.abc import Callable, Mapping
from math import cos, pi, sqrt
from typing import Any

import numpy as np

from backprop_lib.arguments import check_flag, check_number, describe_value, why_not_plain

Arrays = dict[str, np.ndarray]
Schedule = Callable[[int], float]
"""From the number of steps that were taken to the learning rate of the next one."""


class NotFiniteError(ValueError):
    """Numbers that have become infinite, or none: a training that has diverged."""


class Adam:
    """Adam: steps along a running mean of the gradients, each entry scaled by its running size.

    With the gradient g of step k = 1, 2, ... and for each entry
    m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,
    θ ← θ − η m̂ / (√v̂ + ε),  m̂ = m/(1 − β₁ᵏ),  v̂ = v/(1 − β₂ᵏ)    (training-adam).

    Parameters
    ----------
    parameters : dict of arrays
        θ, by name: float32, float64 or longdouble, of any shape, () included. `step` changes
        these arrays in place.
    rate : float, or function
        The learning rate η, or a schedule: η for the number of steps that were taken.
    betas : tuple of float
        β₁ and β₂, from 0 to below 1.
    eps : float
        ε, above 0.
    weight_decay : float
        λ. Coupled, g becomes g + λ θ; decoupled (AdamW), θ shrinks by η λ θ at each step.
    decoupled : bool
        Which of the two.
    amsgrad : bool
        Whether √v̂ never shrinks: v̂ is then computed from the largest v so far.

    Raises
    ------
    ValueError
        If a setting is out of its range, ε is 0 in the precision of a parameter, or a parameter
        is read-only.
    TypeError
        If a setting is of another type, or a parameter cannot be changed in place, such as NumPy's
        scalars, or is not of these precisions. In float16, squares of small gradients are 0.

    References
    ----------
    D. P. Kingma, J. Ba, Adam, ICLR 2015, algorithm 1. I. Loshchilov, F. Hutter, Decoupled Weight
    Decay Regularization, ICLR 2019. S. J. Reddi et al., On the Convergence of Adam and Beyond,
    ICLR 2018.
    """

    def __init__(
        self,
        parameters: Arrays,
        rate: float | Schedule = 0.001,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled: bool = False,
        amsgrad: bool = False,
    ):
        self.rate = rate if callable(rate) else check_number("rate", rate, float, ">= 0")
        self.betas = _checked_betas(betas)
        self.eps = check_number("eps", eps, float, "> 0")
        self.weight_decay = check_number("weight_decay", weight_decay, float, ">= 0")
        check_flag("decoupled", decoupled)
        check_flag("amsgrad", amsgrad)
        for name, theta in parameters.items():
            _check_parameter(name, theta, self.eps)
        self.parameters = parameters
        self.decoupled = decoupled
        self.steps = 0
        self.m = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.v = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.largest_v = {name: v.copy() for name, v in self.v.items()} if amsgrad else {}

    def step(self, gradients: Mapping[str, np.ndarray]) -> float:
        """Move every parameter by one step, and return the learning rate that was used.

        After an error nothing was changed.

        Parameters
        ----------
        gradients : dict of arrays
            For each parameter its gradient; others are passed over.

        Raises
        ------
        ValueError
            If the gradient of a parameter is missing, has another shape, or is not finite in the
            precision of the parameter, or the schedule's rate is below 0 or not finite. The error
            is a NotFiniteError if a gradient is not finite.
        TypeError
            If a gradient does not hold real numbers, or the schedule's rate is none.
        """
        checked = {
            name: _checked_gradient(name, gradients.get(name), theta)
            for name, theta in self.parameters.items()
        }
        given = self.rate(self.steps) if callable(self.rate) else self.rate
        rate: float = check_number(f"rate({self.steps})", given, float, ">= 0")
        self.steps += 1
        for name, theta in self.parameters.items():
            self._move(name, theta, checked[name], rate)
        return rate

    def _move(self, name: str, theta: np.ndarray, g: np.ndarray, rate: float) -> None:
        beta1, beta2 = self.betas
        if self.weight_decay and self.decoupled:
            theta *= 1 - rate * self.weight_decay
        elif self.weight_decay:
            g = g + self.weight_decay * theta
        m, v = self.m[name], self.v[name]
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * (g * g)
        if self.largest_v:
            v = np.maximum(self.largest_v[name], v, out=self.largest_v[name])
        root = np.sqrt(v, out=np.empty_like(v))
        root /= sqrt(1 - beta2**self.steps)
        root += self.eps
        np.divide(m, root, out=root)
        root *= rate / (1 - beta1**self.steps)
        theta -= root

    def state(self) -> Arrays:
        """Return what `restore` needs to go on from here: copies, by name."""
        kinds = {"m": self.m, "v": self.v, "largest_v": self.largest_v}
        arrays = {
            f"{kind}.{name}": value.copy()
            for kind, values in kinds.items()
            for name, value in values.items()
        }
        return {"steps": np.asarray(self.steps, dtype=np.int64), **arrays}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from where `state` was asked for.

        Raises
        ------
        ValueError
            If the state belongs to other parameters or settings; then nothing was changed.
        """
        own = self.state()
        if set(own) != set(state):
            differ = ", ".join(sorted(set(own) ^ set(state))[:3])
            raise ValueError(f"the state is that of another Adam: {differ} on one side only")
        for name, value in own.items():
            if value.shape != state[name].shape:
                raise ValueError(
                    f"{name} has shape {state[name].shape} in the state, expected {value.shape}"
                )
        self.steps = int(state["steps"])
        for kind, values in (("m", self.m), ("v", self.v), ("largest_v", self.largest_v)):
            for name in values:
                values[name] = np.array(state[f"{kind}.{name}"])


def _checked_betas(betas: Any) -> tuple[float, float]:
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise TypeError(f"betas is {describe_value(betas)}, expected a tuple of two numbers")
    first, second = (
        check_number(f"betas[{i}]", beta, float, ">= 0", "< 1") for i, beta in enumerate(betas)
    )
    return first, second


def _check_parameter(name: str, theta: Any, eps: float) -> None:
    if (why := why_not_plain(f'parameters["{name}"]', theta)) is not None:
        raise TypeError(f"the parameter {name} is no plain array: {why}")
    if not isinstance(theta, np.ndarray):
        raise TypeError(
            f"the parameter {name} is of type {type(theta).__name__}, which cannot be changed in "
            f"place: expected an array, such as np.array(0.5) of shape ()"
        )
    if theta.dtype.kind != "f" or theta.dtype.itemsize < 4:
        raise TypeError(
            f"the parameter {name} holds {theta.dtype}, expected float32, float64 or longdouble"
        )
    if not theta.flags.writeable:
        raise ValueError(f"the parameter {name} is read-only, and a step changes it in place")
    if theta.dtype.type(eps) == 0:
        raise ValueError(f"eps is {eps}, which is 0 in {theta.dtype}, the precision of {name}")


def _checked_gradient(name: str, gradient: Any, theta: np.ndarray) -> np.ndarray:
    """Return a gradient in the precision of its parameter."""
    if gradient is None:
        raise ValueError(f"gradients has none of {name}")
    if (why := why_not_plain(f'gradients["{name}"]', gradient)) is not None:
        raise TypeError(f"the gradient of {name} is no plain array: {why}")
    array = np.asarray(gradient)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"the gradient of {name} holds {array.dtype}, expected real numbers")
    if array.shape != theta.shape:
        raise ValueError(f"the gradient of {name} has shape {array.shape}, expected {theta.shape}")
    with np.errstate(over="ignore"):
        rounded = array.astype(theta.dtype, copy=False)
    if not np.isfinite(rounded).all():
        inside = f" in {theta.dtype}" if np.isfinite(array).all() else ""
        raise NotFiniteError(f"the gradient of {name} is not finite{inside}")
    return rounded


def step_decay(rate: float, every: int, factor: float = 0.5) -> Schedule:
    """Return a schedule that multiplies the rate by a factor after every so many steps.

    η(k) = η₀ fᵏ', k' = ⌊k/every⌋    (training-step-decay).

    Raises
    ------
    ValueError, TypeError
        If rate is no number of at least 0, every no whole number of at least 1, or factor no
        number above 0.
    """
    rate = check_number("rate", rate, float, ">= 0")
    every = check_number("every", every, int, ">= 1")
    factor = check_number("factor", factor, float, "> 0")
    return lambda steps: rate * factor ** (steps // every)


def cosine(rate: float, steps: int, warmup: int = 0, last: float = 0.0) -> Schedule:
    """Return a schedule that rises in a line, then falls along half a cosine, then stays.

    η(k) = η₀ (k + 1)/(w + 1) for k < w, then
    η(k) = η₁ + (η₀ − η₁)(1 + cos(π min(1, (k − w)/(K − w))))/2    (training-cosine),
    with w steps of warm-up, K steps in all, and η₁ the last rate.

    Raises
    ------
    ValueError, TypeError
        If rate or last is no number of at least 0, steps no whole number of at least 1, or warmup
        none from 0 to below steps.

    References
    ----------
    I. Loshchilov, F. Hutter, SGDR, ICLR 2017, equation 5.
    """
    rate = check_number("rate", rate, float, ">= 0")
    last = check_number("last", last, float, ">= 0")
    steps = check_number("steps", steps, int, ">= 1")
    warmup = check_number("warmup", warmup, int, ">= 0")
    if warmup >= steps:
        raise ValueError(f"warmup is {warmup}, expected a whole number below steps, {steps}")

    def schedule(taken: int) -> float:
        if taken < warmup:
            return rate * (taken + 1) / (warmup + 1)
        done = min(1.0, (taken - warmup) / (steps - warmup))
        return last + (rate - last) * (1 + cos(pi * done)) / 2

    return schedule
