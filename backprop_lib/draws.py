"""Random numbers that a forward draws are held fixed: every run draws the same ones.

They come from ``np.random`` and ``random``, or from generators that the code finds in its module,
in an enclosing function, in an object, or among its arguments. Each run starts from the same state
of all of them, and afterwards they are what they were. The numbers of continuous distributions are
rounded to short fractions, so that exact numbers can be computed from them.

A backward may draw once more what forward has drawn, if it gives a source the same seed. What it
draws from such a source is held in the same way. All else that it draws is none of forward's.
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
from dataclasses import dataclass
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
OWN = ("origin", "draws", "history")
NOT_ENTERED = ("numpy", "scipy", "sympy", "jaxtyping", "beartype", "backprop_lib")

STANDARD = sys.stdlib_module_names
Function = types.FunctionType
SEEDING = ("seed", "set_state", "setstate")
READING = ("get_state", "getstate")
MAKING = ("default_rng", "RandomState")
UNSEEDED, UNSEEDED_AGAIN = 0, 2**31 - 1
"""Seeds in the place of none, in forward and in backward."""


@dataclass
class History:
    """What a source has drawn since the code has given it a seed."""

    events: tuple[Any, ...] | None = None
    """The seed and then each draw; None if that is not known."""
    is_open: bool = False
    """Whether the seed may be any number, so that nothing is drawn at all."""

    @classmethod
    def of_seed(cls, kind: str, seed: Any = None) -> "History":
        """Begin a source of some kind with a seed, known if it is whole numbers or a symbol."""
        is_open = _is_open(seed)
        key = seed.formula if is_open else _whole(seed)
        return cls() if key is None else cls(((kind, key),), is_open)

    def then(self, event: Any) -> tuple[Any, ...] | None:
        """Add one draw, None if it cannot be told from others, and return all so far."""
        known = self.events is not None and event is not None
        self.events = (*(self.events or ()), event) if known else None
        return self.events

    def lose(self) -> None:
        """Let the source do what is not followed."""
        if self.is_open:
            raise TypeError("a source whose seed is left open does nothing but draw")
        self.events = None


def _is_open(seed: Any) -> bool:
    return getattr(seed, "formula", None) is not None and not getattr(seed, "axes", True)


def _whole(value: Any) -> Any:
    if isinstance(value, tuple | list):
        parts = tuple(map(_whole, value))
        return None if None in parts else parts
    is_whole = isinstance(value, int | np.integer) and not hasattr(value, "is_exact")
    return int(value) if is_whole else None


Instead = Callable[[str, tuple[Any, ...], Mapping[str, Any], History], Any]
INSTEAD: ContextVar[Instead | None] = ContextVar("INSTEAD", default=None)
"""What is done in the place of drawing: from the function's name, its arguments, and the history
of its source."""


class Draws:
    """The sources of random numbers of one forward, and whether it has drawn from them."""

    def __init__(self, *given: Any, backward: Any = None) -> None:
        self.happened = False
        self._is_backward = False
        self._begins = {
            source: getattr(module, get)() for source, (module, get, _) in _STATES.items()
        }
        """The state in which each global source was, from which forward draws."""
        self._otherwise: dict[str, Any] = {}
        """The states that those of `_OTHERWISE` have reached in this run."""
        self._places = list(_places(given))
        self._places_of_backward = [*self._places, *_places([backward])]
        self._restore: list[Callable[[], None]] = []
        """What is to be done when a run ends."""
        self._copies: dict[int, tuple[Any, Any]] = {}
        """Sources, each with a copy of it as it was when it was first seen."""
        self._begun: dict[str, History] = {}
        """Which global sources have begun again in this run, and what they have drawn since."""

    @contextmanager
    def repeated(self) -> Iterator[None]:
        """Let the code draw what it drew in every other run, and leave its sources as they were."""
        sources = self._held(
            self._places,
            lambda value: isinstance(value, SOURCES) or _is_drawing(value),
            is_backward=False,
        )
        with sources:
            yield

    @contextmanager
    def redrawn(self) -> Iterator[None]:
        """Let backward draw what forward drew wherever it gives a source a seed."""
        makers = self._held(
            self._places_of_backward, lambda value: id(value) in _NAMES, is_backward=True
        )
        with makers:
            yield

    @contextmanager
    def _held(
        self,
        places: Iterable[tuple[Any, Any]],
        is_held: Callable[[Any], bool],
        *,
        is_backward: bool,
    ) -> Iterator[None]:
        # Forward may run in a backward.
        outer = self._restore, self._begun, self._otherwise, self._is_backward
        self._restore, self._begun, self._otherwise = [], {}, dict(_OTHERWISE)
        self._is_backward = is_backward
        before, run = _ACTIVE.get(), object()
        try:
            _ACTIVE.set(self)
            _begin(run)
            for holder, key in places:
                value = _get(holder, key)
                if is_held(value):
                    _put(holder, key, self.held(value))
                    self._restore.append(functools.partial(_put, holder, key, value))
            yield
        finally:
            _ACTIVE.set(before)
            _end(run)
            for step in reversed(self._restore):
                step()
            self._restore, self._begun, self._otherwise, self._is_backward = outer

    def _begin_again(self, source: str) -> None:
        """Let a global source begin where it was when this was made, if it has not yet."""
        if source in self._begun:
            return
        self._will_be_restored(source)
        module, _, put = _STATES[source]
        _original(module, put)(self._begins[source])

    def _will_be_restored(self, source: str) -> None:
        """Note in which state a global source is to be left, before the code changes it."""
        if source not in self._begun:
            module, get, put = _STATES[source]
            before = _original(module, get)()
            self._restore.append(functools.partial(_original(module, put), before))
        self._begun[source] = History()

    def held(self, value: Any) -> Any:
        """Return a source that draws what this one would draw, or a method of one."""
        if id(value) in _NAMES:
            return self._of_module(*_NAMES[id(value)])
        if isinstance(value, np.random.Generator):
            return _Generator(self._as_it_was(value), self)
        if isinstance(value, np.random.RandomState):
            return _RandomState(self._as_it_was(value), self)
        if isinstance(value, random.Random):
            return _Random(self._as_it_was(value), self)
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

    def drawn(
        self, name: str, draw: Callable[..., Any], args: Any, options: Any, history: History
    ) -> Any:
        """Draw, and round what has many digits."""
        self._note()
        instead = INSTEAD.get()
        if instead is not None:
            return instead(name, args, options, history)
        args = [_plain(value) for value in args]
        options = {key: _plain(value) for key, value in options.items()}
        result = draw(*args, **options)
        return _short(result) if name in CONTINUOUS and options.get("out") is None else result

    def drawn_plainly(self) -> None:
        """Note that numbers were drawn that are just these numbers, in every engine."""
        self._note()
        instead = INSTEAD.get()
        if instead is not None:
            instead("Python's random", (), {}, History())

    def _note(self) -> None:
        self.happened = self.happened or not self._is_backward

    def _of_module(self, module: types.ModuleType, name: str) -> Callable[..., Any]:
        """Return what stands for a function of np.random or random."""
        function, source = _original(module, name), module.__name__
        if name in MAKING:
            return lambda seed=None: self._made(function, seed)

        def seeded(*args: Any, **options: Any) -> Any:
            self._will_be_restored(source)
            given = (*args, *options.values())
            if name != "seed" or len(given) > 1:
                return function(*args, **options)
            self._begun[source] = History.of_seed("RandomState", *given)
            return function(self._seed(*given))

        def read(*args: Any, **options: Any) -> Any:
            if not self._is_backward:
                self._begin_again(source)
            return function(*args, **options)

        def of_numpy(*args: Any, **options: Any) -> Any:
            if self._is_backward and source not in self._begun:
                instead = INSTEAD.get()
                if instead is not None:
                    return instead(name, args, options, History())
                return self._drawn_otherwise(source, function, args, options)
            self._begin_again(source)
            return self.drawn(name, function, args, options, self._begun[source])

        def of_python(*args: Any, **options: Any) -> Any:
            self.drawn_plainly()
            if self._is_backward and source not in self._begun:
                return self._drawn_otherwise(source, function, args, options)
            self._begin_again(source)
            return function(*args, **options)

        def another(*args: Any, **options: Any) -> Any:
            if self._is_backward and source not in self._begun:
                return self._drawn_otherwise(source, function, args, options)
            self._begun.get(source, History()).lose()
            return function(*args, **options)

        if name in SEEDING:
            return seeded
        if name in READING:
            return read
        if module is random:
            return of_python
        return of_numpy if name in DRAWING else another

    def _seed(self, seed: Any = None) -> Any:
        """Return a seed, one of ours in the place of none."""
        if _is_open(seed):
            return UNSEEDED
        if seed is not None:
            return seed
        return UNSEEDED_AGAIN if self._is_backward else UNSEEDED

    def _made(self, function: Callable[..., Any], seed: Any) -> Any:
        """Make a source that is held, from a seed or from another source."""
        if isinstance(seed, np.random.Generator):
            return seed if hasattr(seed, "origin") or self._is_backward else self.held(seed)
        source = function(self._seed(seed))
        history = History.of_seed(function.__name__, seed)
        kind = _Generator if isinstance(source, np.random.Generator) else _RandomState
        return kind(source, self, history)

    def _drawn_otherwise(
        self, source: str, draw: Callable[..., Any], args: Any, options: Any
    ) -> Any:
        """Let backward draw what forward has not, and the same whenever it runs.

        The global source goes on all the same, so that it is seen that the code draws from it.
        """
        module, get, put = _STATES[source]
        before = _original(module, get)()
        _original(module, put)(self._otherwise[source])
        try:
            return draw(*args, **options)
        finally:
            self._otherwise[source] = _original(module, get)()
            _original(module, put)(before)
            _original(module, "random")()


_GLOBAL = getattr(np.random.rand, "__self__", None)
_OF_GLOBAL = [
    name for name, value in vars(np.random).items() if getattr(value, "__self__", 0) is _GLOBAL
]
_FUNCTIONS = {
    (module, name): getattr(module, name)
    for module, names in (
        (np.random, dict.fromkeys((*DRAWING, *_OF_GLOBAL, "seed", *MAKING))),
        (random, (*OF_PYTHON, "seed", "setstate", "getstate")),
    )
    for name in names
    if hasattr(module, name)
}
"""The functions that draw from global sources, or make sources, as they are outside of any run."""
_STATES = {
    "random": (random, "getstate", "setstate"),
    "numpy.random": (np.random, "get_state", "set_state"),
}
"""How the state of each global source is read and written."""
_OTHERWISE = {
    "random": random.Random(UNSEEDED_AGAIN).getstate(),
    "numpy.random": np.random.RandomState(UNSEEDED_AGAIN).get_state(legacy=False),
}
"""The state from which each run of backward draws what forward has not."""
_NAMES = {id(function): key for key, function in _FUNCTIONS.items()}
_ACTIVE: ContextVar[Draws | None] = ContextVar("ACTIVE", default=None)
_lock = threading.RLock()
_running: set[object] = set()
"""The runs that are going on. A run that is stopped anywhere, even as it begins, has ended."""


def _original(module: types.ModuleType, name: str) -> Any:
    return _FUNCTIONS[module, name]


class _AskingClass(type):
    """The class of a stand-in for a class: what is of that class is of the stand-in."""

    original: Any

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, cls.original)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.original)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        return _asking(np.random, cls.original.__name__)(*args, **options)


def _stand_in(module: types.ModuleType, name: str) -> Any:
    """Return a function that is held in a run, and in any other thread what it was."""
    function = _FUNCTIONS[module, name]
    if isinstance(function, type):
        return _AskingClass(name, (function,), {"original": function})
    return functools.wraps(function)(_asking(module, name))


def _asking(module: types.ModuleType, name: str) -> Callable[..., Any]:
    function = _FUNCTIONS[module, name]

    def stand_in(*args: Any, **options: Any) -> Any:
        draws = _ACTIVE.get()
        return (function if draws is None else draws._of_module(module, name))(*args, **options)

    return stand_in


_STAND_INS = {key: _stand_in(*key) for key in _FUNCTIONS}


def _begin(run: object) -> None:
    with _lock:
        _running.add(run)
        _swap()


def _end(run: object) -> None:
    with _lock:
        _running.discard(run)
        _swap()


def _swap() -> None:
    """Let the stand-ins be called while any run is going on."""
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

    draws: Draws
    history: History

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in DRAWING:
            return lambda *args, **options: self.draws.drawn(
                name, value, args, options, self.history
            )
        if name not in OWN and not name.startswith("__"):
            self.history.lose()
        return value


class _Generator(_Held, np.random.Generator):
    def __init__(
        self, given: np.random.Generator, draws: Draws, history: History | None = None
    ) -> None:
        origin = getattr(given, "origin", None) or given.bit_generator
        super().__init__(copy.deepcopy(origin))
        self.origin = copy.deepcopy(origin)
        self.draws = draws
        self.history = history or History()


class _RandomState(_Held, np.random.RandomState):
    def __init__(
        self, given: np.random.RandomState, draws: Draws, history: History | None = None
    ) -> None:
        super().__init__()
        self.origin = getattr(given, "origin", None) or given.get_state(legacy=False)
        np.random.RandomState.set_state(self, self.origin)
        self.draws = draws
        self.history = history or History()


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


def _is_drawing(value: Any) -> bool:
    return id(value) in _NAMES or (
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
