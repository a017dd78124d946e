"""Sums of products of objects are NumPy's, and an exception within one harms nothing."""

import signal
import sys
from fractions import Fraction

import numpy as np
import pytest

from backprop_lib.proof import prove
from backprop_lib.proof.budget import undisturbed
from backprop_lib.proof.object_arrays import contracted, filled
from backprop_lib.proof.scalar import ExactArray

RNG = np.random.default_rng(5)


def fractions(*shape):
    return filled(shape, map(Fraction, RNG.integers(-9, 9, shape).ravel().tolist()))


V, M, T = fractions(3), fractions(2, 3), fractions(4, 3, 2)
CALLS = {
    "vector by vector": (np.matmul, V, V),
    "matrix by vector": (np.matmul, M, V),
    "vector by matrix": (np.matmul, V, M.T),
    "matrices": (np.matmul, M, M.T),
    "batch by matrix": (np.matmul, T, M),
    "batches": (np.matmul, T, T.swapaxes(1, 2)),
    "one batch for all": (np.matmul, T[:1], T.swapaxes(1, 2)),
    "nothing summed": (np.matmul, M[:, :0], M[:0]),
    "no rows": (np.matmul, M[:0], M.T),
    "by floats": (np.matmul, M, np.array([[1.0], [2.0], [0.5]])),
    "floats by objects": (np.matmul, np.array([[1.0, 2.0]]), M),
    "by whole numbers": (np.matmul, M, np.arange(6).reshape(3, 2)),
    "dot": (np.dot, M, V),
    "dot of more axes": (np.dot, T, M.T[:2]),
    "dot with a number": (np.dot, M, 3),
    "dot with a list": (np.dot, M, [1, 2, 3]),
    "inner": (np.inner, M, M),
    "vdot": (np.vdot, M, M),
    "einsum": (np.einsum, "nlc,oc->nlo", T.swapaxes(1, 2), M),
    "einsum, implicit": (np.einsum, "ij,kj", M, M),
    "einsum, diagonal": (np.einsum, "ii->i", M[:, :2]),
    "einsum, trace": (np.einsum, "ii", M[:, :2]),
    "einsum, axes in front": (np.einsum, "...ab,ab->...", T.swapaxes(1, 2), M),
    "einsum, three": (np.einsum, "ij,j,i->", M, V, M[:, 0]),
    "einsum, sublists": (np.einsum, M, [0, 1], V, [1], [0]),
    "correlate": (np.correlate, V, V[:2], "full"),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_computed_is_what_numpy_computes(name):
    function, *args = CALLS[name]
    expected, found = function(*args), contracted(function, args, {})
    assert np.shape(found) == np.shape(expected)
    assert np.array_equal(found, expected)


def test_an_output_is_written_into():
    into = np.zeros((2, 2), dtype=object)
    assert contracted(np.matmul, (M, M.T), {"out": (into,)}) is into
    assert np.array_equal(into, M @ M.T)
    assert contracted(np.dot, (M, M.T), {"out": into}) is into


@pytest.mark.parametrize("path", [False, True, "greedy"])
def test_einsum_may_choose_an_order(path):
    found = contracted(np.einsum, ("ij,kj,kl->il", M, M, M), {"optimize": path})
    assert np.array_equal(found, M @ M.T @ M)


def test_shapes_that_do_not_fit_are_told_by_numpy():
    with pytest.raises(ValueError, match="matmul: Input operand 1 has a mismatch"):
        contracted(np.matmul, (M, M), {})


class StoppedError(Exception):
    """Raised by an entry."""


class Fragile:
    """A number of which one more multiplication, or addition, raises an exception."""

    left = 0

    def __init__(self, value):
        self.value = value

    def _step(self, value):
        Fragile.left -= 1
        if Fragile.left < 0:
            raise StoppedError
        return Fragile(value)

    def __mul__(self, other):
        return self._step(self.value * other.value)

    def __add__(self, other):
        return self._step(self.value + (other.value if isinstance(other, Fragile) else other))

    __radd__ = __add__


@pytest.mark.parametrize("name", ["batches", "matrices", "dot of more axes", "einsum", "inner"])
def test_an_exception_within_is_raised_and_harms_no_entry(name):
    function, *args = CALLS[name]
    made = []
    for value in args:
        made.append(value)
        if isinstance(value, np.ndarray):
            entries = filled(value.shape, (Fragile(int(entry)) for entry in value.flat))
            made[-1] = ExactArray.of(entries, Fragile)
    entries = [entry for value in made if isinstance(value, np.ndarray) for entry in value.flat]
    before = [sys.getrefcount(entry) for entry in entries]
    stopped = 0
    for steps in range(1000):
        Fragile.left = steps
        try:
            function(*made)
            break
        except StoppedError:
            stopped += 1
    assert stopped == steps > 5
    assert [sys.getrefcount(entry) for entry in entries] == before


def test_the_method_dot_is_no_way_around():
    array = ExactArray.of(filled((2, 2), map(Fragile, range(4))), Fragile)
    for steps in range(11):
        Fragile.left = steps
        with pytest.raises(StoppedError):
            array.dot(array)


def test_an_interruption_waits_for_what_must_not_be_disturbed():
    done = []

    def call():
        signal.raise_signal(signal.SIGINT)
        done.append(True)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            undisturbed(call)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.thorough
def test_budgets_that_end_within_products_leave_the_process_whole():
    """Some two hundred searches, each of which has to end somewhere else."""

    def forward(x, t):
        return x @ t, (x, t)

    def backward(dy, x, t):
        dx = dy @ t.swapaxes(1, 2)
        return np.where((x > 0.3) & (x < 0.4), 7, dx), x.swapaxes(1, 2) @ dy

    for n in range(200):
        prove(forward, backward, x="N L C", t="N C D", budget=0.002 * (1 + n % 40))
