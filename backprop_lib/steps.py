"""Name the steps of a forward, so that every line of its backward can be judged by itself.

::

    from backprop_lib.steps import step

    def forward(x, W):
        h = step("h", x @ W)
        return np.tanh(h), (x, W, h)

    def backward(dy, x, W, h):
        dh = step("dh", dy * (1 - np.tanh(h) ** 2))
        return dh @ W.T, x.T @ dh

``step("h", value)`` in forward names an intermediate, and ``step("dh", value)`` in backward is the
claim that this is its gradient ∂L/∂h. Both return the value, so that the code computes what it
would without them; while `backprop_lib.proof.prove` runs it, each line is judged.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]


def step(name: str, value: Any) -> Any:
    """Return the value, and name it while a gradient is judged.

    Parameters
    ----------
    name : str
        In forward, the name of an intermediate, another one each time: in a loop, ``f"h{t}"``. In
        backward, ``"d"`` and the name of an intermediate, whose gradient the value is: the sum over
        all that forward computes from what ``step`` has returned.
    value : array or number
        What is returned bears the name: after ``h = step("h", a)``, h does, and a does not.

    Raises
    ------
    TypeError
        While a gradient is judged: if the name is no identifier, is taken, or is none that forward
        has given; or if the value is neither an array nor a number, or one without a gradient.
    """
    watch = _WATCH.get()
    return value if watch is None else watch.met(name, value)


class Watch:
    """Sees the steps of one run of forward, and of the backward that follows.

    What becomes of them is said by subclasses, in ``named`` and ``claimed``.
    """

    def __init__(self, arguments: Iterable[str]) -> None:
        self.arguments = frozenset(arguments)
        self.names: list[str] = []
        """What forward has named."""
        self.claims: dict[str, Any] = {}
        """The gradients that backward has claimed, by the names of their steps, in its order."""
        self.is_backward = False

    def met(self, name: Any, value: Any) -> Any:
        """Check a name, and return what the code goes on with."""
        if not isinstance(name, str) or not name.isidentifier():
            raise TypeError(f'step is given the name {name!r}, expected one such as "h"')
        if self.is_backward:
            return self._met_in_backward(name, value)
        if name in self.arguments:
            raise TypeError(f"step names {name}, which is an argument of forward; choose another")
        if name in self.names:
            raise TypeError(
                f"step names {name} twice; give each its own name, in a loop as in "
                f'step(f"{name}{{t}}", ...)'
            )
        _check_value(name, value)
        self.names.append(name)
        return self.named(name, value)

    def _met_in_backward(self, name: str, value: Any) -> Any:
        of = name.removeprefix("d")
        if of == name or of not in self.names:
            if name in self.names or (of != name and of in self.arguments):
                return value  # computed once more; or what backward returns, which is judged anyway
            known = ", ".join(f"d{one}" for one in self.names) or "none, as forward names nothing"
            raise TypeError(f"step names {name} in backward, expected one of {known}")
        if of in self.claims:
            raise TypeError(f"step names {name} twice: it is the sum that is the gradient")
        if value is not ...:
            _check_value(name, value)
        self.claims[of] = value
        return self.claimed(of, value)

    def named(self, name: str, value: Any) -> Any:
        """Take note of an intermediate, and return what forward goes on with."""
        return value

    def claimed(self, name: str, value: Any) -> Any:
        """Take note of a claimed gradient, and return what backward goes on with."""
        return value

    @contextmanager
    def of_forward(self) -> Iterator[None]:
        """Watch a run of forward."""
        with _watching(self):
            yield

    @contextmanager
    def of_backward(self) -> Iterator[None]:
        """Watch a run of backward; an earlier one is forgotten."""
        self.is_backward = True
        self.claims.clear()
        with _watching(self):
            yield


class Nobody(Watch):
    """Watches nothing: every step returns what it is given."""

    def __init__(self) -> None:
        super().__init__(())

    def met(self, name: Any, value: Any) -> Any:
        """Return the value."""
        return value


class Trace(Watch):
    """Keeps the numbers of a run.

    Parameters
    ----------
    arguments
        The names of forward's arguments.
    shifts
        What is added to some of the steps: slopes are taken along it.
    """

    def __init__(self, arguments: Iterable[str], shifts: Arrays | None = None) -> None:
        super().__init__(arguments)
        self.shifts = shifts or {}
        self.values: dict[str, np.ndarray] = {}
        self.instead: Arrays = {}
        """Gradients that stand for those that are claimed, in what backward goes on with."""
        self.true: Callable[[str], Any] | None = None
        """What computes the gradient of a step whose claim is left open, as ``...``."""

    def named(self, name: str, value: Any) -> Any:
        """Keep the value, and return it with its shift."""
        array = np.asanyarray(value)
        self.values[name] = array.copy()
        if not _has_gradient(array):
            return value
        if name in self.shifts:
            return value + self.shifts[name]
        return value.copy() if isinstance(value, np.ndarray) else value

    def claimed(self, name: str, value: Any) -> Any:
        """Keep the claim, and return it, or what stands for it."""
        if not _has_gradient(self.values[name]):
            raise TypeError(
                f"step names d{name}, but {name} holds truth values or whole numbers, which have "
                "no gradient"
            )
        self.claims[name] = value.copy() if isinstance(value, np.ndarray) else value
        if name in self.instead:
            return self.instead[name]
        if value is not ...:
            return value
        return np.full(self.values[name].shape, np.nan) if self.true is None else self.true(name)


_WATCH: ContextVar[Watch | None] = ContextVar("WATCH", default=None)


@contextmanager
def _watching(watch: Watch) -> Iterator[None]:
    token = _WATCH.set(watch)
    try:
        yield
    finally:
        _WATCH.reset(token)


def _check_value(name: str, value: Any) -> None:
    is_array = hasattr(value, "__array_ufunc__") or getattr(value, "is_exact", False)
    if not (is_array or isinstance(value, int | float)):
        raise TypeError(
            f"step names {name} a {type(value).__name__}, expected an array or a number"
        )


def _has_gradient(array: np.ndarray) -> bool:
    return array.dtype.kind not in "biu"
