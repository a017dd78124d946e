"""What forward draws is the same in every run, and the sources are left as they were."""

import random
from functools import partial
from random import random as drawn_by_python

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.random import rand as drawn_by_numpy

from backprop_lib.draws import INSTEAD, Draws, History

RNG = np.random.default_rng(7)
OLD = np.random.RandomState(7)
PYTHON = random.Random(7)
BOUND = RNG.random


class Noise:
    def __init__(self):
        self.rng = np.random.default_rng(3)

    def __call__(self):
        return self.rng.random(3)

    def method(self):
        return self.rng.random(3)


def helper():
    return RNG.normal(size=3)


def through_a_helper():
    return helper()


def in_a_closure(rng):
    return lambda: rng.uniform(size=3)


SOURCES = {
    "np.random.rand": lambda: np.random.rand(3),  # noqa: NPY002
    "np.random.binomial": lambda: np.random.binomial(99, 0.5, 99),  # noqa: NPY002
    "np.random.shuffle": lambda: np.random.permutation(99),  # noqa: NPY002
    "np.random.default_rng": lambda: np.random.default_rng().random(3),
    "np.random.default_rng(5)": lambda: np.random.default_rng(5).random(3),
    "from numpy.random import rand": lambda: drawn_by_numpy(3),  # noqa: NPY002
    "random.random": lambda: random.random(),
    "random.choice": lambda: random.choice(range(10**9)),
    "from random import random": lambda: drawn_by_python(),
    "a Generator": lambda: RNG.random(3),
    "a RandomState": lambda: OLD.normal(size=3),
    "a random.Random": lambda: PYTHON.gauss(0, 1),
    "a method of a Generator": lambda: BOUND(3),
    "through a helper": through_a_helper,
    "in a closure": in_a_closure(np.random.default_rng(1)),
    "an object that is called": Noise(),
    "a method": Noise().method,
    "a partial": partial(lambda noise: noise(), Noise()),
}


def states():
    return [
        np.random.get_state()[1].tobytes(),  # noqa: NPY002
        np.random.get_state()[2],  # noqa: NPY002
        random.getstate(),
        RNG.bit_generator.state,
        OLD.get_state()[2],
        PYTHON.getstate(),
    ]


@pytest.mark.parametrize("name", SOURCES)
def test_every_run_draws_the_same(name):
    forward = SOURCES[name]
    draws = Draws(forward)
    before = states()
    runs = []
    for _ in range(3):
        with draws.repeated():
            runs.append([forward(), forward()])
        assert states() == before
    assert draws.happened
    for first, second in runs:
        assert np.array_equal(first, runs[0][0])
        assert np.array_equal(second, runs[0][1])
    if "(5)" not in name and "default_rng" not in name:
        assert not np.array_equal(*runs[0])


@pytest.mark.parametrize("name", SOURCES)
def test_sources_are_left_as_they_were_after_an_error(name):
    before, functions = states(), (np.random.rand, random.random, RNG, OLD, PYTHON, BOUND)
    draws = Draws(SOURCES[name])

    def failing():
        with draws.repeated():
            SOURCES[name]()
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert states() == before
    now = (np.random.rand, random.random, RNG, OLD, PYTHON, BOUND)
    assert all(a is b for a, b in zip(functions, now, strict=True))


def test_a_seed_of_the_caller_counts():
    def forward():
        return np.random.rand(3)  # noqa: NPY002

    drawn = []
    for seed in (1, 1, 2):
        np.random.seed(seed)  # noqa: NPY002
        draws = Draws(forward)
        with draws.repeated():
            drawn.append(forward())
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_nothing_that_is_not_drawn_is_noted():
    draws = Draws(lambda x: x + 1)
    with draws.repeated():
        pass
    assert not draws.happened


@pytest.mark.parametrize("draw", [RNG.random, RNG.normal, OLD.rand, OLD.uniform])
def test_what_is_drawn_is_a_short_fraction_and_never_0(draw):
    forward = {"draw": draw}
    draws = Draws()
    held = draws.held(forward["draw"])
    size = (200,) if draw.__name__ == "rand" else (0.0, 1.0, 200)
    drawn = held(*size) if draw.__name__ != "random" else held(200)
    assert np.array_equal(drawn * 2048, np.round(drawn * 2048))
    assert np.all(drawn != 0)
    assert len(set(drawn)) > 100


def test_kinds_and_dtypes_are_those_of_numpy():
    held = Draws().held(np.random.default_rng(0))
    assert isinstance(held, np.random.Generator)
    assert held.random(2, dtype=np.float32).dtype == np.float32
    assert isinstance(held.random(), float)
    assert set(held.integers(0, 2, 50)) == {0, 1}
    assert set(held.choice([0.3, 0.7], 50)) == {0.3, 0.7}


def test_what_an_object_and_its_parts_hold_is_held():
    class Holder:
        def __init__(self):
            self.rng = np.random.default_rng(3)
            self.parts = [Noise(), {"rng": np.random.default_rng(4)}]

    draws = Draws()
    one, other = (draws.hold_in(Holder()) for _ in range(2))
    assert np.array_equal(one.rng.random(3), other.rng.random(3))
    assert np.array_equal(one.parts[0](), other.parts[0]())
    assert np.array_equal(one.parts[1]["rng"].random(3), other.parts[1]["rng"].random(3))
    draws.hold_in(one)  # once more, from where it began
    draws.hold_in(other)
    assert one.rng.random() == other.rng.random()


def test_what_is_drawn_can_be_something_else():
    asked = []

    def instead(name, args, options, history):
        asked.append((name, args, dict(options)))
        return "something else"

    draws = Draws()
    token = INSTEAD.set(instead)
    try:
        with draws.repeated():
            assert np.random.rand(2, 3) == "something else"  # noqa: NPY002
            random.random()
        assert draws.held(RNG).normal(0, size=2) == "something else"
    finally:
        INSTEAD.reset(token)
    assert asked == [
        ("rand", (2, 3), {}),
        ("Python's random", (), {}),
        ("normal", (0,), {"size": 2}),
    ]


def test_what_backward_draws_does_not_change_what_forward_draws():
    rng = np.random.default_rng(2)
    forward, backward = (lambda: rng.random(2)), (lambda: rng.random(3))
    draws = Draws(forward)
    with draws.repeated():
        first = forward()
    backward()
    with draws.repeated():
        assert np.array_equal(forward(), first)


REDRAWN = {
    "np.random.default_rng": lambda: np.random.default_rng(5).random(9),
    "np.random.RandomState": lambda: np.random.RandomState(5).normal(size=9),
    "np.random.seed": lambda: (np.random.seed(5), np.random.rand(9))[1],  # noqa: NPY002
    "random.seed": lambda: (random.seed(5), random.random())[1],
    "by name": lambda: default_rng(5).random(9),
}


@pytest.mark.parametrize("name", REDRAWN)
def test_what_is_drawn_again_from_a_seed_is_the_same(name):
    drawn, draws, before = REDRAWN[name], Draws(REDRAWN[name]), states()
    with draws.repeated():
        first = drawn()
    assert draws.happened
    with draws.redrawn():
        assert np.array_equal(drawn(), first)
    assert states() == before


def test_what_backward_draws_without_a_seed_is_something_else():
    def unseeded():
        return np.random.default_rng().random(9)

    def seeded_with_nothing():
        np.random.seed()  # noqa: NPY002
        return np.random.rand(9)  # noqa: NPY002

    for drawn in (unseeded, seeded_with_nothing):
        draws = Draws(drawn)
        with draws.repeated():
            first = drawn()
        with draws.redrawn():
            second = drawn()
        assert not np.array_equal(first, second)


GOING_ON = {
    "np.random.rand": lambda: np.random.rand(9),  # noqa: NPY002
    "np.random.geometric": lambda: np.random.geometric(0.3, 9),  # noqa: NPY002
    "random.random": lambda: [random.random() for _ in range(9)],
    "random.sample": lambda: random.sample(range(99), 9),
}


@pytest.mark.parametrize("name", GOING_ON)
def test_backward_draws_the_same_however_far_the_global_source_has_gone(name):
    drawn, found = GOING_ON[name], []
    draws = Draws(drawn)
    with draws.repeated():
        first = drawn()
    for _ in range(2):
        before = states()
        with draws.redrawn():
            found.append([drawn(), drawn()])
        assert states() != before
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0][0], found[0][1])
    assert not np.array_equal(found[0][0], first)


def test_drawing_in_backward_alone_is_no_drawing_of_forward():
    draws = Draws(lambda: None)
    with draws.redrawn():
        np.random.default_rng(1).random(3)
    assert not draws.happened


def test_a_generator_that_is_made_of_a_generator_is_the_same_one():
    with Draws(lambda: None).repeated():
        rng = np.random.default_rng(1)
        assert np.random.default_rng(rng) is rng


def test_kinds_of_sources_are_what_they_were_in_a_run():
    with Draws(lambda: None).repeated():
        assert isinstance(OLD, np.random.RandomState)
        assert isinstance(np.random.RandomState(1), np.random.RandomState)
        assert not isinstance(RNG, np.random.RandomState)
        assert issubclass(type(OLD), np.random.RandomState)


def test_a_history_is_known_as_long_as_all_draws_are():
    known = History.of_seed("default_rng", [np.int64(1), 2])
    assert known.then("a") == (("default_rng", (1, 2)), "a")
    assert known.then("b") == (("default_rng", (1, 2)), "a", "b")
    assert known.then(None) is None
    assert known.then("c") is None
    assert History.of_seed("default_rng", 0).then("a") is not None
    for seed in (None, 0.5, "0", np.random.SeedSequence(0), [None]):
        assert History.of_seed("default_rng", seed).then("a") is None


def test_runs_that_overlap_leave_the_functions_as_they_were():
    before = np.random.rand, random.random
    first, second = (Draws(lambda: None).repeated() for _ in range(2))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert (np.random.rand, random.random) == before


def test_a_forward_may_run_while_a_backward_does():
    """A step that is left open needs its true gradient, for which forward is run once more."""

    def forward():
        np.random.seed(5)  # noqa: NPY002
        return np.random.rand(3)  # noqa: NPY002

    draws, before = Draws(forward), states()
    with draws.repeated():
        first = forward()
    with draws.redrawn():
        again = forward()
        with draws.repeated():
            inside = forward()
        afterwards = forward()
    assert states() == before
    for drawn in (again, inside, afterwards):
        assert np.array_equal(drawn, first)


def test_a_run_that_is_stopped_as_it_begins_has_ended(monkeypatch):
    """What is drawn later is held all the same."""

    class StoppedError(BaseException):
        pass

    def stopped(run):
        raise StoppedError

    draws = Draws(lambda: None)
    with monkeypatch.context() as patched:
        patched.setattr("backprop_lib.draws._begin", stopped)
        with pytest.raises(StoppedError), draws.repeated():
            pass
    runs = []
    for _ in range(2):
        with draws.repeated():
            runs.append(np.random.rand())  # noqa: NPY002
    assert runs[0] == runs[1]
