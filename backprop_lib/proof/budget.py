"""A budget of seconds and memory: whatever an engine does, it ends in time, with what is known."""

import _weakrefset
import contextlib
import gc
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from types import FrameType
from typing import TypeVar

IN_A_BROWSER = sys.platform == "emscripten"
SECONDS = 80.0 if IN_A_BROWSER else 20.0
"""Seconds of processor that a call may take; Python in a browser is slower."""
GIGABYTES = 1.0
"""Memory that a call may take beyond what was in use before it."""
WAITING = 4
"""So many times the seconds may pass on the clock, if the processor does something else."""
INTERVAL = 0.05
processor_time = time.monotonic if IN_A_BROWSER else time.process_time
"""The clock of the seconds; in a browser that of the processor stands still."""
WEAK_REFERENCES = tuple(
    method.__code__.co_filename  # a module's __file__ may name its bytecode
    for method in (weakref.finalize.detach, _weakrefset.WeakSet.add)
)
CONTEXTS = contextlib.contextmanager.__code__.co_filename

Result = TypeVar("Result")


class SpentError(BaseException):
    """Time or memory is used up.

    It is raised wherever the code happens to be, and is no Exception, so that neither SymPy nor
    the code that is judged takes it for one of its own.
    """


@dataclass
class Budget:
    """What a call may take, and what of its steps were stopped."""

    seconds: float = SECONDS
    gigabytes: float = GIGABYTES
    stopped: list[str] = field(default_factory=list)
    """What was running when a step had to end."""
    interrupted: bool = False
    _start: float = field(default_factory=lambda: processor_time())
    _clock: float = field(default_factory=time.monotonic)
    _memory: float = field(default_factory=lambda: memory_in_use())

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self.seconds - (processor_time() - self._start))

    def run(
        self, what: str, call: Callable[[], Result], otherwise: Result, share: float = 1.0
    ) -> Result:
        """Run one step with a share of what is left; return `otherwise` if that is too little.

        Ctrl-C ends this step and all that follow.
        """
        if self.interrupted:
            return otherwise
        allowed = self.left * share
        if allowed <= 0:
            self.stopped.append(f"no time was left for {what}")
            return otherwise
        limits = _Limits(
            processor_time() + allowed,
            time.monotonic() + WAITING * allowed,
            self._memory + self.gigabytes * 2**30,
        )
        # Wherever the step ends, it leaves nothing behind: with a context of its own, what it has
        # switched off (checks of shapes, warnings of NumPy) is on again outside.
        context = copy_context()
        try:
            try:
                _start_watching(limits)
                return context.run(call)
            finally:
                limits.are_over = True  # first of all: from here on, nothing is raised
                _stop_watching()
        except (SpentError, MemoryError):
            if limits.memory_is_spent:
                self.stopped.append(f"{what} took more than {self.gigabytes:g} GB of memory")
            else:
                self.stopped.append(f"{what} did not end within {allowed:.2g} seconds")
        except KeyboardInterrupt:
            self.interrupted = True
            self.stopped.append(f"interrupted during {what}")
        return otherwise


@dataclass
class _Limits:
    processor: float
    clock: float
    memory: float
    memory_is_spent: bool = False
    are_over: bool = False
    """Whether the step has ended."""

    def are_reached(self) -> bool:
        if self.are_over:
            return False
        if memory_in_use() > self.memory:
            self.memory_is_spent = True
            return True
        return processor_time() > self.processor or time.monotonic() > self.clock


class _Thread(threading.local):
    """The steps that run in this thread, one within the other."""

    def __init__(self) -> None:
        self.running: list[_Limits] = []


_thread = _Thread()
_ticks = 0
TICKS = 2048
MONITOR = 4
"""The number of this watch among those who are told by Python what it runs; no tool's own."""


def tick(*_: object) -> None:
    """Look at the clock now and then, where no signal can: in a browser, or in another thread.

    From version 3.12 on, Python itself calls it there, in each function that begins and each pass
    of a loop; before, only what takes long and calls it can end.
    """
    global _ticks
    _ticks += 1
    if not _ticks % TICKS:
        _look(0, sys._getframe(1))


def _look(_: int = 0, frame: FrameType | None = None) -> None:
    """Raise SpentError, wherever the code is, once the limits of a running step are reached."""
    if any(limits.are_reached() for limits in _thread.running) and not _would_only_print(frame):
        raise SpentError


def _would_only_print(frame: FrameType | None) -> bool:
    """Say whether Python would print an exception that is raised here, instead of passing it on.

    It does so in what it calls when objects die: a method __del__, a function of a weak reference,
    one that the garbage collector calls. And contextlib may hold the generator of a `with` whose
    block has not begun: left there, it would be closed later, outside the context of this step.
    A look that interrupts another one leaves all this to it.
    """
    if frame is not None and frame.f_code.co_filename == CONTEXTS:
        return True
    called = {getattr(function, "__code__", None) for function in gc.callbacks}
    called.add(_look.__code__)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_filename in WEAK_REFERENCES or code in called:
            return True
        frame = frame.f_back
    return False


def _start_watching(limits: _Limits) -> None:
    """Look every INTERVAL, by the signal of a timer in the main thread, if it has no other use.

    Where there is no timer, Python's own monitoring calls `tick`.
    """
    _thread.running.append(limits)
    if not _has_timer():
        _monitor(True)
    elif signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:
        signal.signal(signal.SIGALRM, _look)
        signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)


def _stop_watching() -> None:
    _thread.running = [limits for limits in _thread.running if not limits.are_over]
    if _thread.running:
        return
    if not _has_timer():
        _monitor(False)
    elif signal.getsignal(signal.SIGALRM) is _look:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


_monitored: set[int] = set()
"""The threads without a timer in which a step runs."""
_one_at_a_time = threading.Lock()


def _monitor(starts: bool) -> None:
    """Let Python call `tick` as long as there is a thread that wants it."""
    if sys.version_info < (3, 12):
        return
    watch = sys.monitoring
    with _one_at_a_time:
        (_monitored.add if starts else _monitored.discard)(threading.get_ident())
        if _monitored and watch.get_tool(MONITOR) is None:
            watch.use_tool_id(MONITOR, __name__)
            for event in (watch.events.PY_START, watch.events.JUMP):
                watch.register_callback(MONITOR, event, tick)
            watch.set_events(MONITOR, watch.events.PY_START | watch.events.JUMP)
        elif not _monitored and watch.get_tool(MONITOR) == __name__:
            watch.set_events(MONITOR, watch.events.NO_EVENTS)
            watch.free_tool_id(MONITOR)


def undisturbed(call: Callable[[], Result]) -> Result:
    """Call what must not end in the middle; what wants to interrupt it has to wait."""
    if not hasattr(signal, "pthread_sigmask"):
        return call()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM, signal.SIGINT])
        return call()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _has_timer() -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and hasattr(signal, "setitimer") and hasattr(signal, "SIGALRM")


def memory_in_use() -> float:
    """Return how many bytes of memory this process uses, or 0 where that is not known."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _page()
    except (OSError, ValueError, IndexError):
        return 0.0


def _page() -> int:
    import resource

    return resource.getpagesize()
