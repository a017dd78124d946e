"""A budget of seconds and memory: whatever an engine does, it ends in time, with what is known."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

SECONDS = 20.0 if sys.platform != "emscripten" else 80.0
"""Seconds of processor that a call may take; Python in a browser is slower."""
GIGABYTES = 1.0
"""Memory that a call may take beyond what was in use before it."""
WAITING = 4
"""So many times the seconds may pass on the clock, if the processor does something else."""
INTERVAL = 0.05

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
    _start: float = field(default_factory=time.process_time)
    _clock: float = field(default_factory=time.monotonic)
    _memory: float = field(default_factory=lambda: memory_in_use())

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self.seconds - (time.process_time() - self._start))

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
            time.process_time() + allowed,
            time.monotonic() + WAITING * allowed,
            self._memory + self.gigabytes * 2**30,
        )
        try:
            with _watched(limits):
                return call()
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

    def are_reached(self) -> bool:
        if memory_in_use() > self.memory:
            self.memory_is_spent = True
            return True
        return time.process_time() > self.processor or time.monotonic() > self.clock


_running: list[_Limits] = []
_ticks = 0
TICKS = 2048


def tick() -> None:
    """Look at the clock now and then, where no other thread can: in a browser."""
    global _ticks
    _ticks += 1
    if not _ticks % TICKS and _running and _running[-1].are_reached():
        raise SpentError


@contextmanager
def _watched(limits: _Limits) -> Iterator[None]:
    """Raise SpentError, wherever the code is, once the limits are reached.

    A timer's signal does that in the main thread, where nobody else uses this signal; elsewhere
    `tick` does it, at fewer places.
    """
    _running.append(limits)
    is_main = threading.current_thread() is threading.main_thread()
    alarm = getattr(signal, "SIGALRM", signal.SIGINT)  # where it is missing, there is no timer
    is_free = alarm != signal.SIGINT and signal.getsignal(alarm) is signal.SIG_DFL
    has_timer = is_main and is_free and hasattr(signal, "setitimer")

    def look(*_: Any) -> None:
        if limits in _running and limits.are_reached():
            raise SpentError

    try:
        if has_timer:
            signal.signal(alarm, look)
            signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)
        yield
    finally:
        _running.remove(limits)  # from here on, nothing is raised
        if has_timer:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(alarm, signal.SIG_DFL)


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
