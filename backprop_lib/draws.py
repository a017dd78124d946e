"""Random numbers that a forward draws are held fixed: every run draws the same ones.

They come from ``np.random`` and ``random``, or from generators that the code finds in its module,
in an enclosing function, in an object, or among its arguments. Each run starts from the same state
of all of them, and afterwards they are what they were. The numbers of continuous distributions are
rounded to short fractions, so that exact numbers can be computed from them.
"""

import copy
import functools
import random
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

CONTINUOUS = (
    *("rand", "randn", "random", "random_sample", "ranf", "sample", "uniform", "normal"),
    *("standard_normal", "exponential", "standard_exponential", "laplace", "logistic", "gumbel"),
)
WHOLE = ("integers", "randint", "binomial", "poisson", "choice", "permutation", "permuted")
OTHER = ("shuffle", "lognormal", "gamma", "standard_gamma", "beta", "multivariate_normal")
DRAWING = (*CONTINUOUS, *WHOLE, *OTHER)
OF_PYTHON = (
    *("random", "uniform", "gauss", "normalvariate", "expovariate", "triangular", "betavariate"),
    *("randint", "randrange", "getrandbits", "choice", "choices", "sample", "shuffle"),
)
SOURCES = (np.random.Generator, np.random.RandomState, random.Random)
FINENESS = 2.0**10
DEPTH = 3
NOT_ENTERED = ("numpy", "scipy", "sympy", "jaxtyping", "beartype", "backprop_lib")

STANDARD = sys.stdlib_module_names
Function = types.FunctionType
Instead = Callable[[str, tuple[Any, ...], Mapping[str, Any]], Any]
INSTEAD: ContextVar[Instead | None] = ContextVar("INSTEAD", default=None)
"""What is done in the place of drawing, from the name of the function and its arguments."""


class Draws:
    """The sources of random numbers of one forward, and whether it has drawn from them."""

    def __init__(self, *given: Any) -> None:
        self.happened = False
        self._numpy = np.random.get_state(legacy=False)  # noqa: NPY002
        self._python = random.getstate()
        self._places = list(_places(given))
        self._restore: list[Callable[[], None]] = []
        """What is to be done when a run ends."""
        self._copies: dict[int, tuple[Any, Any]] = {}
        """Sources, each with a copy of it as it was when it was first seen."""
        self._seeded: set[str] = set()
        """Which global sources have begun again in this run."""
        self._is_backward = False

    @contextmanager
    def repeated(self) -> Iterator[None]:
        """Let the code draw what it drew in every other run, and leave its sources as they were."""
        self._restore.clear()
        self._seeded.clear()
        before = _ACTIVE.get()
        try:
            _ACTIVE.set(self)
            _swap(1)
            for holder, key in self._places:
                value = _get(holder, key)
                if isinstance(value, SOURCES) or _is_method_of_a_source(value):
                    _put(holder, key, self.held(value))
                    self._restore.append(functools.partial(_put, holder, key, value))
            yield
        finally:
            _ACTIVE.set(before)
            _swap(-1)
            for step in reversed(self._restore):
                step()

    @contextmanager
    def seeded_again(self) -> Iterator[None]:
        """Let backward draw what forward has, if it seeds a source as forward does.

        All else that it draws is what it would be outside of a run.
        """
        happened, before = self.happened, _ACTIVE.get()
        self._restore.clear()
        self._seeded.clear()
        self._is_backward = True
        try:
            _ACTIVE.set(self)
            _swap(1)
            yield
        finally:
            _ACTIVE.set(before)
            _swap(-1)
            self._is_backward = False
            self.happened = happened
            for step in reversed(self._restore):
                step()

    def _begin_again(self, source: str) -> None:
        """Let a global source begin where it was when this was made, if it has not yet."""
        if source in self._seeded:
            return
        self._seeded.add(source)
        if source == "random":
            self._restore.append(functools.partial(random.setstate, random.getstate()))
            random.setstate(self._python)
        else:
            before = np.random.get_state(legacy=False)  # noqa: NPY002
            self._restore.append(functools.partial(np.random.set_state, before))
            np.random.set_state(self._numpy)  # noqa: NPY002

    def held(self, value: Any) -> Any:
        """Return a source that draws what this one would draw, or a method of one."""
        if isinstance(value, np.random.Generator):
            return _Generator(self._as_it_was(value), self)
        if isinstance(value, np.random.RandomState):
            return _RandomState(self._as_it_was(value), self)
        if isinstance(value, random.Random):
            return _Random(self._as_it_was(value), self)
        if value.__self__ is _GLOBAL:
            return self._of_module(np.random, value.__name__)
        return getattr(self.held(value.__self__), value.__name__)

    def _as_it_was(self, value: Any) -> Any:
        """Return a source in the state of the first run: backward may have drawn from it since."""
        if hasattr(value, "origin"):  # one of ours, which knows
            return value
        if id(value) not in self._copies:
            self._copies[id(value)] = (value, copy.deepcopy(value))
        return self._copies[id(value)][1]

    def hold_in(self, value: Any, depth: int = DEPTH) -> Any:
        """Hold what is in an object of ours, or in a list or dict, and return it."""
        if isinstance(value, SOURCES):
            return self.held(value)
        if not depth or isinstance(value, np.ndarray | type | types.ModuleType):
            return value
        entries: Iterable[tuple[Any, Any]] = ()
        if isinstance(value, dict):
            entries = value.items()
        elif isinstance(value, list):
            entries = enumerate(value)
        elif _is_entered(value):
            holder = vars(value)
            for key, part in list(holder.items()):
                new = self.hold_in(part, depth - 1)
                if new is not part:
                    holder[key] = new
        for key, part in list(entries):
            new = self.hold_in(part, depth - 1)
            if new is not part:
                value[key] = new
        return value

    def drawn(self, name: str, draw: Callable[..., Any], args: Any, options: Any) -> Any:
        """Draw, and round what has many digits."""
        self.happened = True
        instead = INSTEAD.get()
        if instead is not None:
            return instead(name, args, options)
        args = [_plain(value) for value in args]
        options = {key: _plain(value) for key, value in options.items()}
        result = draw(*args, **options)
        return _short(result) if name in CONTINUOUS and options.get("out") is None else result

    def drawn_plainly(self) -> None:
        """Note that numbers were drawn that are just these numbers, in every engine."""
        self.happened = True
        instead = INSTEAD.get()
        if instead is not None:
            instead("Python's random", (), {})

    def _of_module(self, module: types.ModuleType, name: str) -> Callable[..., Any]:
        """Return what stands for a function of np.random or random."""
        function: Callable[..., Any] = _FUNCTIONS[module, name]

        def seed(*args: Any, **options: Any) -> None:
            self._begin_again(module.__name__)
            function(*args, **options)

        def generator_of_a_seed(seed: Any = None) -> Any:
            return function() if seed is None else _Generator(function(seed), self)

        if name == "seed":
            return seed
        if self._is_backward and name == "default_rng":
            return generator_of_a_seed
        if self._is_backward and module.__name__ not in self._seeded:
            return function
        if name == "default_rng":
            return lambda seed=None: _Generator(function(0 if seed is None else seed), self)

        def of_numpy(*args: Any, **options: Any) -> Any:
            self._begin_again(module.__name__)
            return self.drawn(name, function, args, options)

        def of_python(*args: Any, **options: Any) -> Any:
            self._begin_again(module.__name__)
            self.drawn_plainly()
            return function(*args, **options)

        return of_python if module is random else of_numpy


_GLOBAL = getattr(np.random.rand, "__self__", None)
_FUNCTIONS = {
    (module, name): getattr(module, name)
    for module, names in (
        (np.random, (*DRAWING, "default_rng", "seed")),
        (random, (*OF_PYTHON, "seed")),
    )
    for name in names
    if hasattr(module, name)
}
"""The functions that draw from global sources, or seed them, as they are outside of any run."""
_ACTIVE: ContextVar[Draws | None] = ContextVar("ACTIVE", default=None)
_lock = threading.RLock()
_running = 0


def _stand_in(module: types.ModuleType, name: str) -> Callable[..., Any]:
    """Return a function that is held in a run, and in any other thread what it was."""
    function = _FUNCTIONS[module, name]

    @functools.wraps(function)
    def stand_in(*args: Any, **options: Any) -> Any:
        draws = _ACTIVE.get()
        return (function if draws is None else draws._of_module(module, name))(*args, **options)

    return stand_in


_STAND_INS = {key: _stand_in(*key) for key in _FUNCTIONS}


def _swap(step: int) -> None:
    """Let the stand-ins be called while any run is going on."""
    global _running
    with _lock:
        _running += step
        for (module, name), function in (_STAND_INS if _running else _FUNCTIONS).items():
            setattr(module, name, function)


class _Random(random.Random):
    def __init__(self, given: random.Random, draws: Draws):
        super().__init__()
        self.origin = getattr(given, "origin", None) or given.getstate()
        self.setstate(self.origin)
        self.draws = draws

    def random(self) -> float:
        self.draws.drawn_plainly()
        return super().random()

    def getrandbits(self, k: int, /) -> int:
        self.draws.drawn_plainly()
        return super().getrandbits(k)


class _Held:
    """What draws through our hands, whatever it draws."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name not in DRAWING:
            return value
        draws = super().__getattribute__("draws")
        return lambda *args, **options: draws.drawn(name, value, args, options)


class _Generator(_Held, np.random.Generator):
    def __init__(self, given: np.random.Generator, draws: Draws):
        origin = getattr(given, "origin", None) or given.bit_generator
        super().__init__(copy.deepcopy(origin))
        self.origin = copy.deepcopy(origin)
        self.draws = draws


class _RandomState(_Held, np.random.RandomState):
    def __init__(self, given: np.random.RandomState, draws: Draws):
        super().__init__()
        self.origin = getattr(given, "origin", None) or given.get_state(legacy=False)
        self.set_state(self.origin)
        self.draws = draws


def _short(drawn: Any) -> Any:
    """Round to the middle between two fractions, so that no number becomes 0."""
    with np.errstate(all="ignore"):
        rounded = (np.floor(np.asarray(drawn) * FINENESS) + 0.5) / FINENESS
    if isinstance(drawn, np.ndarray):
        return rounded.astype(drawn.dtype)
    return type(drawn)(rounded)


def _plain(value: Any) -> Any:
    """Return an exact number that is a constant as a float."""
    if getattr(value, "is_exact", False) and getattr(value, "constant", False):
        return float(getattr(value, "value", None) or value.expression)
    return value


def _is_method_of_a_source(value: Any) -> bool:
    return (
        isinstance(value, types.BuiltinFunctionType | types.MethodType)
        and isinstance(value.__self__, SOURCES)
        and value.__name__ in DRAWING
    )


# Where a function finds its sources: (a dict or a cell, a key in it).


def _places(given: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    left: list[tuple[Any, int]] = [(value, 2 * DEPTH) for value in given]
    seen: set[int] = set()
    while left:
        value, depth = left.pop()
        if not depth or id(value) in seen:
            continue
        seen.add(id(value))
        for holder, key in _holders(value):
            yield holder, key
            left.append((_get(holder, key), depth - 1))
        left += [(part, depth - 1) for part in _parts(value)]


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, types.MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args)
    elif isinstance(value, type):
        module = value.__module__.partition(".")[0]
        if module not in NOT_ENTERED and module not in STANDARD:
            yield from (part for part in vars(value).values() if isinstance(part, Function))
    yield getattr(value, "__wrapped__", None)
    if _is_entered(value):
        yield getattr(type(value), "__call__", None)  # noqa: B004


def _holders(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Function):
        if (value.__module__ or "").partition(".")[0] in NOT_ENTERED:
            return
        names = {name for code in _codes(value.__code__) for name in code.co_names}
        yield from ((value.__globals__, n) for n in sorted(names & value.__globals__.keys()))
        yield from ((cell, None) for cell in value.__closure__ or () if _is_bound(cell))
    elif _is_entered(value):
        yield from ((vars(value), key) for key in vars(value))


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _is_bound(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _is_entered(value: Any) -> bool:
    module = (getattr(type(value), "__module__", None) or "").partition(".")[0]
    is_object = not isinstance(value, type | types.ModuleType | Function)
    return (
        is_object
        and isinstance(getattr(value, "__dict__", None), dict)
        and (module not in (*NOT_ENTERED, "functools", "types"))
    )


def _get(holder: Any, key: Any) -> Any:
    return holder.get(key) if isinstance(holder, dict) else holder.cell_contents


def _put(holder: Any, key: Any, value: Any) -> None:
    if isinstance(holder, dict):
        holder[key] = value
    else:
        holder.cell_contents = value
