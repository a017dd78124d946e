"""Whatever an engine does, it ends in time, with what is known until then."""

import contextlib
import gc
import signal
import sys
import threading
import time
import weakref
from contextvars import ContextVar

import numpy as np
import pytest
import sympy as sp

from backprop_lib.layers import linear
from backprop_lib.proof import budget, exact, prove, prover
from backprop_lib.proof.all_sizes import findings
from backprop_lib.proof.budget import Budget, SpentError, tick
from backprop_lib.proof.evidence import Formulas
from backprop_lib.shapes import ShapeError


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """A process in the background inherits that Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def loop():
    n = 0
    while True:
        n += 1


def explode():
    symbols = sp.symbols("a:z")
    return sp.expand(sum(symbols) ** 40)


def hoard():
    kept = []
    while True:
        kept.append(np.ones(2**20))


@pytest.mark.parametrize("call", [loop, explode])
def test_a_step_ends_after_its_seconds_of_processor(call, monkeypatch):
    monkeypatch.setattr(budget, "WAITING", 100)  # however many wait for a processor
    limited = Budget(0.4)
    start = time.process_time()
    assert limited.run("the step", call, "not finished") == "not finished"
    assert 0.3 < time.process_time() - start < 2
    assert limited.stopped == ["the step did not end within 0.4 seconds"]


def test_a_step_that_waits_ends_too():
    limited = Budget(0.1)
    start = time.monotonic()
    assert limited.run("the step", lambda: [time.sleep(0.01) for _ in range(10**4)], None) is None
    assert time.monotonic() - start < 5


def test_a_step_has_its_share_of_what_is_left(monkeypatch):
    monkeypatch.setattr(budget, "WAITING", 100)
    limited = Budget(4)
    start = time.process_time()
    limited.run("the first", loop, None, 0.1)
    limited.run("the second", loop, None, 0.1)
    assert 0.6 < time.process_time() - start < 2.5
    assert limited.left < 3.4
    first, second = limited.stopped
    assert first == "the first did not end within 0.4 seconds"
    assert second.startswith("the second did not end within 0.3")


def test_a_step_ends_when_its_memory_is_spent():
    limited = Budget(60, gigabytes=0.2)
    assert limited.run("the step", hoard, "not finished") == "not finished"
    assert limited.stopped == ["the step took more than 0.2 GB of memory"]
    assert limited.left > 50


def test_what_ends_in_time_is_returned_and_its_errors_are_raised():
    limited = Budget(5)
    assert limited.run("the step", lambda: 3, None) == 3
    with pytest.raises(KeyError, match="x"):
        limited.run("the step", lambda: {}["x"], None)
    assert limited.stopped == []


def test_no_step_starts_without_time():
    limited = Budget(0.0)
    ran = []
    assert limited.run("the step", lambda: ran.append(1), "not started") == "not started"
    assert ran == []
    assert limited.stopped == ["no time was left for the step"]


def test_code_that_catches_every_exception_ends_too():
    def stubborn():
        while True:
            try:
                loop()
            except Exception:
                continue

    limited = Budget(0.2)
    limited.run("the step", stubborn, None)
    assert limited.stopped == ["the step did not end within 0.2 seconds"]


def test_nothing_is_raised_when_a_step_is_over():
    """Each of these steps ends about when its time does, now before, now after."""
    ended = 0
    for trial in range(60):
        limited = Budget(0.03)
        seconds = 0.01 + trial % 6 * 0.03
        end = time.process_time() + seconds

        def busy(end=end):
            while time.process_time() < end:
                pass
            return True

        ended += limited.run("the step", busy, False)
        until = time.monotonic() + 0.01
        while time.monotonic() < until:
            pass
    assert 0 < ended < 60


def test_no_thread_is_left_behind():
    before = threading.active_count()
    for _ in range(20):
        Budget(5).run("the step", lambda: 1, None)
    time.sleep(4 * budget.INTERVAL)
    assert threading.active_count() == before


def test_ticks_end_a_step_where_there_are_no_threads(monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)

    def ticking():
        while True:
            tick()

    limited = Budget(0.3)
    begin = time.process_time()
    limited.run("the step", ticking, None)
    assert time.process_time() - begin < 2
    assert limited.stopped == ["the step did not end within 0.3 seconds"]
    for _ in range(2 * budget.TICKS):
        tick()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python cannot be asked before 3.12")
def test_any_code_ends_in_threads_that_have_no_timer():
    """Python is asked until the steps of both have ended."""
    limited = [Budget(1.2), Budget(0.4)]

    def run(one):
        one.run("the step", loop, None)

    threads = [threading.Thread(target=run, args=(one,)) for one in limited]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert [len(one.stopped) for one in limited] == [1, 1]
    assert sys.monitoring.get_tool(budget.MONITOR) is None


def test_the_clock_of_the_seconds_goes_on_while_the_processor_works():
    begin = budget.processor_time()
    sum(range(10**6))
    assert budget.processor_time() > begin


def wait():
    """Let the time of a step of 0.01 seconds pass, then look at the clock."""
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
    budget._look(0, sys._getframe())


class Dying:
    def __del__(self):
        wait()


def collect():
    def callback(phase, _):
        if phase == "start":
            wait()

    gc.callbacks.append(callback)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(callback)


def of_a_weak_set():
    named = {"wait": wait}
    exec(compile("def remove(): wait()", weakref.__file__, "exec"), named)
    named["remove"]()


@pytest.mark.parametrize("call", [Dying, collect, of_a_weak_set])
def test_nothing_is_raised_where_python_would_only_print_it(call, monkeypatch):
    monkeypatch.setattr(budget, "INTERVAL", 10)  # only these calls look
    assert Budget(0.01).run("the step", lambda: (call(), "went on")[1], None) == "went on"
    assert Budget(0.01).run("the step", wait, "ended") == "ended"


switch = ContextVar("switch", default=True)


@contextlib.contextmanager
def switched_off():
    token = switch.set(False)
    try:
        yield
    finally:
        switch.reset(token)


def test_no_generator_is_left_within_a_with_that_has_not_begun(monkeypatch):
    """It would be closed outside the context of the step, where its switch is not known."""
    monkeypatch.setattr(budget, "INTERVAL", 0.002)

    def switching():
        while True:
            with switched_off():
                pass

    for _ in range(200):
        assert Budget(0.001).run("the step", switching, "ended") == "ended"
    assert switch.get()


def test_a_look_that_interrupts_another_one_leaves_the_answer_to_it(monkeypatch):
    asked = []

    def interrupted():
        asked.append(0)
        if len(asked) == 2:  # the first time is before the step
            signal.raise_signal(signal.SIGALRM)
        return 0

    named = {"sys": sys, "look": budget._look}
    exec(compile("def __enter__(): look(0, sys._getframe())", contextlib.__file__, "exec"), named)

    def step():
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass
        named["__enter__"]()
        return "went on"

    monkeypatch.setattr(budget, "INTERVAL", 10)  # only these two look
    monkeypatch.setattr(budget, "memory_in_use", interrupted)
    assert Budget(0.01).run("the step", step, "ended") == "went on"
    assert len(asked) == 3


def test_the_innermost_step_is_the_one_that_ends():
    outer, inner = Budget(30), Budget(0.2)

    def nested():
        inner.run("the inner step", loop, None)
        return "the outer step went on"

    start = time.process_time()
    assert outer.run("the outer step", nested, None) == "the outer step went on"
    assert time.process_time() - start < 3
    assert inner.stopped
    assert not outer.stopped
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_a_step_in_another_thread_does_not_end_this_one():
    may_end = threading.Event()
    other = threading.Thread(target=lambda: Budget(0.01).run("the other", may_end.wait, None))

    def busy():
        other.start()
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        return "ended"

    assert Budget(30).run("this step", busy, None) == "ended"
    may_end.set()
    other.join()


def relu_forward(x):
    return np.maximum(x, 0), (x,)


def relu_backward(dy, x):
    return dy * (x > 0)


SWITCHES = ("shapes.py", "contextlib.py", "_ufunc_config.py", "refusal.py", "layer.py")
"""The files in which something is switched off for a while."""


def lines_until(place, call):
    """Return the lines that ran in these files; raise at one of them, as a timer may."""
    lines = []

    def trace(frame, event, _):
        if not frame.f_code.co_filename.endswith(SWITCHES):
            return None
        if event == "line" and any(not limits.are_over for limits in budget._thread.running):
            lines.append((frame.f_code.co_filename, frame.f_lineno))
            if len(lines) - 1 == place:
                raise SpentError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines


def test_wherever_a_step_ends_it_leaves_nothing_switched_off():
    report = []

    def call():
        report[:] = [prove(relu_forward, relu_backward, x="N")]

    lines = lines_until(None, call)
    places = sorted({lines.index(line) for line in lines})
    assert len(places) > 20
    assert all(report)
    errors = np.geterr()
    wrong = np.zeros((2, 3)), np.zeros((4, 2)), np.zeros(2)
    for place in places:
        lines_until(place, call)
        assert not report[0].interrupted
        with pytest.raises(ShapeError):
            linear.forward(*wrong)
        assert np.geterr() == errors, place
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL, place
        assert budget._thread.running == [], place


def test_ctrl_c_ends_a_step_and_all_that_follow():
    limited = Budget(5)
    assert limited.run("the step", lambda: signal.raise_signal(signal.SIGINT), 1) == 1
    assert limited.run("the next", lambda: 2, 3) == 3
    assert limited.interrupted
    assert limited.stopped == ["interrupted during the step"]


def test_the_end_is_no_exception_that_code_may_catch():
    assert not issubclass(SpentError, Exception)


def square(x):
    return x * x, (x,)


def interrupt(*_):
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_in_a_backward_gives_a_report_that_says_what_was_running():
    report = prove(square, interrupt, x="N")
    assert report.interrupted
    assert not report
    assert repr(report) == (
        "dx: undecided for all sizes: interrupted during floats at random points"
    )


def test_ctrl_c_keeps_what_floats_have_found(monkeypatch):
    monkeypatch.setattr(prover, "evaluated", interrupt)
    report = prove(square, lambda dy, x: 2 * x * dy, x="N")
    assert report.interrupted
    assert repr(report) == (
        "dx: undecided for all sizes: interrupted during exact numbers at random points\n"
        "  at N = 3: agrees with measured slopes"
    )


def test_ctrl_c_keeps_what_is_proven(monkeypatch):
    def proves_dw_only(*args):
        return {**findings(*args), "x": Formulas()}

    monkeypatch.setattr(prover, "findings", proves_dw_only)
    monkeypatch.setattr(exact, "unproven", interrupt)
    product = lambda x, w: (x * w, (x, w))  # noqa: E731
    report = prove(product, lambda dy, x, w: (dy * w, dy * x), x="N", w="N")
    assert report.interrupted
    assert report["dw"].status == "proven"
    assert report["dx"].reason == " for all sizes: interrupted during the proof at small sizes"


def test_ctrl_c_keeps_what_is_refuted(monkeypatch):
    monkeypatch.setattr(prover, "findings", interrupt)
    report = prove(square, lambda dy, x: x * dy, x="N")
    assert report.interrupted
    assert report["dx"].status == "refuted"


def test_code_that_catches_every_exception_does_not_hold_back_ctrl_c():
    def backward(dy, x):
        with contextlib.suppress(Exception):
            interrupt()
        return 2 * x * dy

    assert prove(square, backward, x="N").interrupted


def test_a_backward_that_never_ends_is_given_up():
    start = time.process_time()
    report = prove(square, lambda dy, x: loop(), x="N", budget=1)
    assert time.process_time() - start < 4
    assert not report
    assert "did not end within" in repr(report)


def test_a_proof_that_takes_too_long_leaves_what_is_known(monkeypatch):
    monkeypatch.setattr(prover, "findings", lambda *_: loop())
    report = prove(square, lambda dy, x: 2 * x * dy, x="N", budget=1)
    assert report["dx"].reason.startswith(" for all sizes: formulas for all sizes did not end")
    assert "at N = 2: proven" in repr(report)
    assert not report.interrupted
