"""Arrays that code makes itself: np.zeros and its like, for all sizes and with exact numbers."""

import builtins
import threading
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
from numpy import zeros
from proof.test_symbolic import PARTS, SIZES, arguments_of, floats, instantiated, symbols

from backprop_lib.proof import prove, prove_at, refute
from backprop_lib.proof.creators import OF_NUMPY, making, watched
from backprop_lib.proof.dual import Dual, Met
from backprop_lib.proof.exact_creation import ExactCreator
from backprop_lib.proof.refusal import NotFollowedError
from backprop_lib.proof.report import Status
from backprop_lib.proof.scalar import Exact, ExactArray
from backprop_lib.proof.symbolic import LostArray, PlaceArray, Run, SymbolicArray
from backprop_lib.proof.symbolic_creation import MODELS, SymbolicCreator


def written(x, v):
    y = np.zeros((x.shape[0], 2))
    y[:, 0] = v
    y[:, 1] += x.sum(axis=1)
    y[0] *= 3
    return y


def written_at_once(x):
    y = np.empty(x.shape, dtype=x.dtype)
    y[...] = 2 * x
    return y


def written_in_turn(x, v):
    y = np.empty((2, len(x)))
    y[0] = v
    y[1] = x[:, 0]
    return y * y


def written_by_masks(x):
    y = np.empty_like(x)
    y[x > 0] = 1
    y[x <= 0] = -2
    return y * x


def states(three):
    h = np.zeros((4, three.shape[0]))
    for i in range(3):
        h[i + 1] = h[i] * 2 + three[:, i]
    return h


CODE = {
    "zeros": lambda x: np.zeros(x.shape) + np.zeros((x.shape[0], 1), dtype=float) + np.zeros(x.shape[1]),
    "ones": lambda x: np.ones(shape=x.shape, dtype=x.dtype) * np.ones(x.shape[1:]) / np.ones((1,)) * 3,
    "full": lambda x, w, s: np.full(x.shape, 3) + np.full((len(x), w.size), w) + np.full(x.shape, fill_value=s, dtype=float),
    "full of known size": lambda three: np.full(3, 2.5) * three + np.full((1, 3), 2, dtype=int),
    "from numpy": lambda x: zeros(x.shape) + x,
    "identity": lambda q: q @ np.eye(q.shape[0]) + np.eye(len(q), dtype=q.dtype) * np.identity(q.shape[1]),
    "identity of known size": lambda three: three @ np.eye(3) + (three @ np.eye(3, 2, k=-1)).sum() + np.eye(3)[0],
    "identity like": lambda q: q - np.eye(q.shape[0], dtype=q.dtype, like=q) - np.zeros(q.shape, like=q),
    "like": lambda x: np.zeros_like(x) + np.ones_like(x, dtype=float) + np.full_like(x, 2) + np.ones_like(np.array([1.0])),
    "written": written,
    "written at once": written_at_once,
    "written in turn": written_in_turn,
    "written by masks": written_by_masks,
    "states": states,
    "array": lambda x, v: np.array(x) + np.asarray(x) * np.array(x, copy=True, dtype=float) + np.ascontiguousarray(x) - np.asanyarray(v, dtype=np.float64)[:, None],
    "array of numbers": lambda three: three * np.array([1.0, 2, 1]) / np.array([1, 2, 1]).sum(),
    "array of arrays": lambda x, v: np.array([v, 2 * v, x.sum(axis=1)]) + np.array([[v[0]], [1], [0]]),
    "array of sizes": lambda x: x.sum() / np.array([len(x), x.shape[1]]),
    "length": lambda x: x / len(x) + len(x.T) * len(x.shape),
    "product of sizes": lambda x, t: x / np.prod(t.shape) + np.prod(t.shape[1:]) + np.prod((2, 3)) + np.prod(()),
    "merged": lambda x: np.zeros((x.shape[0] * x.shape[1],)) + x.reshape(-1),
    "made of sizes": lambda x: np.ones((x.shape[0] + 1, x.shape[1])).sum(axis=0) * x,
    "triangle": lambda q: np.where(np.tril(np.ones(q.shape)) == 1, q, -3) + np.tri(len(q)) * q,
    "triangle of truth values": lambda q: np.where(np.triu(np.ones((len(q), len(q)), dtype=bool), k=1), 0, q),
    "triangle of known size": lambda three: three @ np.tril(np.ones((3, 3))) + np.where(np.tri(3) == 0, 2, three.sum(axis=0)).sum() + np.tri(3, 3, 1, dtype=int).sum(),
    "masks": lambda x: x * np.ones(x.shape, dtype=bool) + np.zeros(x.shape[1], dtype=int),
    "arange": lambda three: three * np.arange(3) + np.arange(0.0, 3.0),
    "maximum with zeros": lambda x: np.maximum(x, np.zeros(x.shape)) + np.zeros(()) + np.zeros(1),
    "loop over zeros": lambda three: sum(row * 2 + column for row, column in zip(np.ones(3), three.T, strict=True)),
}  # fmt: skip


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", CODE)
def test_means_what_numpy_means(name, sizes):
    code = CODE[name]
    run = Run()
    given = symbols(run)
    with watched(code), making(SymbolicCreator(run)):
        result = code(*(given[argument] for argument in arguments_of(code)))
    assert run.refused is None
    assert isinstance(result, SymbolicArray)
    arrays = floats(sizes)
    expected = np.asarray(code(*(arrays[argument] for argument in arguments_of(code))))
    found = instantiated(result, arrays, sizes, {})
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CODE)
def test_exact_numbers_give_what_floats_give(name):
    code = CODE[name]
    met = Met(may_round=True)
    arrays = floats(SIZES[0])
    numbers = {
        key: ExactArray.of(
            np.vectorize(lambda e: Dual(Fraction(e), Fraction(0), met), otypes=[object])(array),
            Dual(Fraction(0), Fraction(0), met).lift,
        )
        for key, array in arrays.items()
    }
    with watched(code), making(ExactCreator(Dual(Fraction(0), Fraction(0), met))):
        result = code(*(numbers[argument] for argument in arguments_of(code)))
    assert met.refused is None
    values = [entry.value if isinstance(entry, Exact) else entry for entry in np.ravel(result)]
    expected = code(*(arrays[argument] for argument in arguments_of(code)))
    assert np.shape(result) == np.shape(expected)
    assert np.allclose(np.array(values, dtype=float), np.ravel(expected))


def squares(x):
    y = np.zeros(x.shape)
    y += x * x
    return y, (x,)


def into_zeros(dy, x):
    dx = np.zeros(x.shape)
    dx[...] = 2 * x * dy
    return dx


def into_empty(dy, x):
    dx = np.empty((x.shape[0], x.shape[1]))
    dx[:] = dy
    dx *= 2 * x
    return dx


def into_ones(dy, x):
    dx = np.ones(x.shape)
    dx += 2 * x * dy
    return dx


def first_rows(dy, x):
    dx = np.zeros(x.shape)
    dx[0] = 2 * x[0] * dy[0]
    return dx


def only_the_first_row(dy, x):
    dx = np.empty(x.shape)
    dx[0] = 2 * x[0] * dy[0]
    return dx


def scan(x):
    h = np.zeros((4, x.shape[1]))
    for t in range(3):
        h[t + 1] = h[t] * h[t] + x[t]
    return h[3], (h,)


def scan_back(dy, h):
    dx = np.empty((3, h.shape[1]))
    for t in (2, 1, 0):
        dx[t] = dy
        dy = dy * 2 * h[t]
    return dx


def scan_back_late(dy, h):
    dx = np.empty((3, h.shape[1]))
    for t in (2, 1, 0):
        dy = dy * 2 * h[t]
        dx[t] = dy
    return dx


def smooth(x):
    kernel = np.array([0.25, 0.5, 0.25])
    return x @ kernel, (kernel,)


def attend(q, k):
    T = q.shape[0]
    s = np.where(np.tril(np.ones((T, T))) == 1, q @ k.T, 0.0)
    return s @ k, (q, k)


def attend_back(dy, q, k):
    mask = np.tri(len(q))
    s, ds = mask * (q @ k.T), (dy @ k.T) * mask
    return ds @ k, ds.T @ q + s.T @ dy


def attend_back_unmasked(dy, q, k):
    mask = np.tri(len(q))
    s, ds = mask * (q @ k.T), dy @ k.T
    return ds @ k, ds.T @ q + s.T @ dy


def attend_back_above(dy, q, k):
    mask = np.triu(np.ones((len(q), len(q))))
    s, ds = mask * (q @ k.T), (dy @ k.T) * mask
    return ds @ k, ds.T @ q + s.T @ dy


def trace_of_product(A, B):
    return np.trace(A @ B), (A, B)


def weighted(x, w):
    return np.average(x, axis=1, weights=w), (x, w, np.average(x, axis=1, weights=w))


def weighted_back(dy, x, w, y):
    total = w.sum()
    return dy[:, None] * w / total, (dy[:, None] * (x - y[:, None])).sum(axis=0) / total


def divided(x, count):
    y = np.divide(x, count, out=np.zeros(x.shape), where=count > 0)
    return y, (count,)


def kron_back(dy, a, b):
    square = dy.reshape(a.shape[1], b.shape[1])
    da = np.full(a.shape, square @ b.sum(axis=0))
    return da, a.sum(axis=0) @ square * np.ones(b.shape)


def mean_of_rows(x):
    n = float(x.shape[0])
    return x.sum(axis=0) / n, (x.shape, int(x.shape[0]))


def mean_of_rows_back(dy, shape, n):
    assert isinstance(n, int)
    return np.ones(shape, dtype=float) * dy / float(n)


def mean_of_rows_back_by_columns(dy, shape, n):
    return np.ones(shape, dtype=float) * dy / float(shape[1])


def cross_entropy(x, t):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return -np.log(p[range(len(x)), t]).sum() / len(x), (p, t)


def cross_entropy_back(dy, p, t):
    dx = p.copy()
    dx[range(p.shape[0]), t] -= 1
    return dy * dx / float(len(p))


def cross_entropy_back_of_sum(dy, p, t):
    dx = p.copy()
    dx[range(p.shape[0]), t] -= 1
    return dy * dx


def importing(x):
    import numpy as np

    return np.exp(x), (x,)


def importing_back(dy, x):
    from numpy import exp, zeros

    dx = zeros(x.shape)
    dx += dy * exp(x)
    return dx


def importing_back_twice(dy, x):
    import numpy

    dx = numpy.ones(x.shape)
    dx += dy * numpy.exp(x)
    return dx


def scaled(x, p=0.5):
    return x * float(p), (float(p),)


def spread(x):
    return np.ptp(x, axis=1), (x,)


def spread_back(dy, x):
    dx = np.zeros(x.shape)
    np.put_along_axis(dx, x.argmax(1)[:, None], dy[:, None], axis=1)
    low = np.zeros(x.shape)
    np.put_along_axis(low, x.argmin(1)[:, None], dy[:, None], axis=1)
    return dx - low


RIGHT = {
    "zeros": (squares, into_zeros, {"x": "N C"}),
    "empty": (squares, into_empty, {"x": "N C"}),
    "loop": (scan, scan_back, {"x": "3 H"}),
    "known array": (smooth, lambda dy, kernel: np.outer(dy, kernel), {"x": "N 3"}),
    "triangle": (attend, attend_back, {"q": "T D", "k": "T D"}),
    "trace": (
        trace_of_product,
        lambda dy, A, B: (dy * B.T, dy * A.T),
        {"A": "N M", "B": "M N"},
    ),
    "diagonal": (
        lambda x: (np.diag(x) * 3, ()), lambda dy: 3 * np.eye(len(dy)) * dy, {"x": "N N"},
    ),
    "kron": (
        lambda a, b: (np.kron(a, b).sum(axis=0), (a, b)),
        kron_back,
        {"a": "N M", "b": "K L"},
    ),
    "tensordot": (
        lambda x, w: (np.tensordot(x, w, axes=([1, 2], [0, 1])), (x, w)),
        lambda dy, x, w: (np.tensordot(dy, w, axes=(1, 2)), np.tensordot(x, dy, axes=(0, 0))),
        {"x": "N C L", "w": "C L K"},
    ),
    "einsum": (
        lambda x, w: (np.einsum("...c,cd->...d", x, w, optimize=True), (x, w)),
        lambda dy, x, w: (
            np.einsum("...d,cd", dy, w),
            np.einsum("nlc,nld->cd", x, dy),
        ),
        {"x": "N L C", "w": "C D"},
    ),
    "average": (weighted, weighted_back, {"x": "N C", "w": "C"}),
    "spread": (spread, spread_back, {"x": "N C"}),
    "where and out": (
        divided,
        lambda dy, count: np.divide(dy, count, out=np.zeros_like(dy), where=count > 0),
        {"x": "N C", "count": "const N 1"},
    ),
    "product": (
        lambda x: (np.prod(x, axis=1), (x,)),
        lambda dy, x: np.array([x[:, 1] * x[:, 2], x[:, 0] * x[:, 2], x[:, 0] * x[:, 1]]).T * dy[:, None],
        {"x": "N 3"},
    ),
    "float of a size": (mean_of_rows, mean_of_rows_back, {"x": "N C"}),
    "float of a constant": (scaled, lambda dy, p: dy * p, {"x": "N C"}),
    "range as an index": (cross_entropy, cross_entropy_back, {"x": "N C", "t": "N < C"}),
    "imports inside": (importing, importing_back, {"x": "N C"}),
    "mean of everything": (
        lambda x: (x.sum() / np.prod(x.shape), (x.shape,)),
        lambda dy, shape: np.full(shape, dy / np.prod(shape)),
        {"x": "N C L"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_are_proven_for_all_sizes_and_at_sizes(name):
    forward, backward, shapes = RIGHT[name]
    report = prove(forward, backward, **shapes)
    assert {verdict.status for verdict in report} == {Status.PROVEN}, report
    axes = dict.fromkeys(a for text in shapes.values() for a in text.split() if a.isupper())
    if name not in ("spread", "average", "range as an index"):  # many outcomes; weights of sum 0
        sizes = {axis: 2 + i % 2 for i, axis in enumerate(axes)}
        assert prove_at(forward, backward, sizes=sizes, **shapes), name


WRONG = {
    "float of another size": (mean_of_rows, mean_of_rows_back_by_columns, {"x": "N C"}),
    "range as an index": (cross_entropy, cross_entropy_back_of_sum, {"x": "N C", "t": "N < C"}),
    "imports inside": (importing, importing_back_twice, {"x": "N C"}),
    "ones": (squares, into_ones, {"x": "N C"}),
    "first row": (squares, first_rows, {"x": "N C"}),
    "late": (scan, scan_back_late, {"x": "3 H"}),
    "kernel": (smooth, lambda dy, kernel: np.outer(dy, np.array([0.25, 0.5, 0.5])), {"x": "N 3"}),
    "unmasked": (attend, attend_back_unmasked, {"q": "T D", "k": "T D"}),
    "above": (attend, attend_back_above, {"q": "T D", "k": "T D"}),
    "trace": (trace_of_product, lambda dy, A, B: (dy * B.T, dy * np.ones(B.shape)), {"A": "N M", "B": "M N"}),
    "diagonal": (lambda x: (np.diag(x) * 3, ()), lambda dy: 3 * np.ones((len(dy), 1)) * dy, {"x": "N N"}),
    "where and out": (
        divided,
        lambda dy, count: np.divide(dy, count, out=np.ones_like(dy), where=count > 0),
        {"x": "N C", "count": "const N 1"},
    ),
    "product": (
        lambda x: (np.prod(x, axis=1), (x,)),
        lambda dy, x: np.array([x[:, 1] * x[:, 2], x[:, 0] * x[:, 2], x[:, 0] * x[:, 2]]).T * dy[:, None],
        {"x": "N 3"},
    ),
    "average": (weighted, lambda dy, x, w, y: (dy[:, None] * w, weighted_back(dy, x, w, y)[1]), {"x": "N C", "w": "C"}),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_are_refuted(name):
    forward, backward, shapes = WRONG[name]
    report = prove(forward, backward, **shapes)
    assert Status.REFUTED in [verdict.status for verdict in report], report


def test_entries_that_are_not_written_prove_nothing():
    report = prove(squares, only_the_first_row, x="N C")
    assert report["dx"].status is Status.UNDECIDED
    assert "entries of np.empty that are not known to be written" in str(report)
    assert not prove_at(squares, only_the_first_row, sizes={"N": 2, "C": 1}, x="N C")
    report = prove(squares, lambda dy, x: np.empty(x.shape) * 0 + 2 * x * dy, x="N C")
    assert report["dx"].status is Status.UNDECIDED
    assert "an entry of np.empty that it has not written" in str(report)


def test_a_triangle_of_one_kind_is_not_taken_for_another():
    def lower(q):
        return np.tril(q, 1), ()

    wrong = (0, 2, -1, -2)
    for k in (1, *wrong):
        report = prove(lower, lambda dy, k=k: np.tril(dy, k), q="N M")
        assert bool(report) == (k == 1)
        assert k == 1 or report["dq"].status is Status.REFUTED
    assert prove(lower, lambda dy: dy - np.triu(dy, 2), q="N M")
    assert prove(lambda q: (np.triu(q), ()), lambda dy: dy - np.tril(dy, -1), q="N N")


def test_names_are_numpys_again_in_any_case():
    names, before = dict(globals()), builtins.__import__

    def raises(x):
        raise KeyError("x")

    for call in (
        lambda: prove(squares, into_zeros, x="N C"),
        lambda: prove(raises, into_zeros, x="N C"),
        lambda: prove(squares, into_zeros, x="N C", budget=1e-9),
        lambda: refute(squares, wrt="x", claim=lambda dy, x: np.zeros(x.shape), x="N C"),
    ):
        with suppress(KeyError):
            call()
        assert globals().items() == names.items()
        assert np.zeros is zeros
        assert builtins.__import__ is before
        assert not {"len", "range", "float", "int"} & globals().keys()


def test_a_range_that_is_looped_over_needs_a_number():
    def forward(x):
        y = np.zeros(x.shape)
        for i in range(x.shape[0]):
            y[i] = x[i] * float(i + 1)
        return y, ()

    def backward(dy):
        dx = np.zeros(dy.shape, float)
        for i in reversed(range(len(dy))):
            dx[i] = dy[i] * (i + 1)
        return dx

    (verdict,) = prove(forward, backward, x="N C")
    assert str(verdict).startswith("dx: proven at N = 1, 2, 3, for all C")


def test_the_names_of_types_stand_for_the_types():
    def code(x):
        kinds = [float(x), int(x), list(range(2))]
        assert isinstance(x, float)
        assert not isinstance(x, int)
        assert isinstance(x, float | int)
        assert isinstance(x, (int, float))
        assert not issubclass(int, float)
        assert type(x) in (int, float)
        assert {float: 1}[float]
        assert float.__name__ == "float"
        assert np.zeros(2, dtype=float).astype(int).dtype == int
        assert np.finfo(float).eps > 0
        assert float("inf") > 0
        return kinds

    with watched(code):
        assert "float" in globals()
        assert code(1.5) == [1.5, 1, [0, 1]]
        assert repr(globals()["float"]) == repr(float)


def test_a_type_that_is_compared_with_is_is_left_alone():
    def code(x):
        return float(x) if type(x) is float else int(x)

    with watched(code):
        assert "float" not in globals()
        assert "int" in globals()
        assert code(1.0) == 1.0


def test_what_a_function_encloses_is_watched_and_given_back():
    import numpy

    def forward(x):
        return numpy.zeros(x.shape) + x, ()

    assert prove(forward, lambda dy: numpy.ones(dy.shape) * dy, x="N")
    assert forward.__closure__[0].cell_contents is np


def test_other_runs_and_threads_get_numpys_arrays():
    made = []

    def code(x):
        made.append(type(np.zeros(2)))
        thread = threading.Thread(target=lambda: made.append(type(np.zeros(2))))
        thread.start()
        thread.join()

    met = Met()
    with watched(code):
        code(None)
        with watched(code), making(ExactCreator(Dual(Fraction(0), Fraction(0), met))):
            code(None)
        code(None)
    code(None)
    assert made == [np.ndarray, np.ndarray, ExactArray, *[np.ndarray] * 5]


REFUSED = {
    "types": (lambda x: np.zeros(x.shape, dtype=np.int8), "an array of int8"),
    "empty axis": (lambda x: np.zeros((x.shape[0], 0)), "makes an axis of 0 entries"),
    "negative axis": (lambda x: np.ones((x.shape[0], -1)), "makes an axis of -1 entries"),
    "axis of a number": (lambda x: np.ones((x.shape[0], 2.0)), "uses float as a size"),
    "axis of an entry": (lambda x: np.ones((len(x), x[0, 0])), "as a size; expected a whole"),
    "float fills": (lambda x: np.full(x.shape, 0.5, dtype=int), "an array of int with float"),
    "whole identity": (lambda x: np.eye(len(x), dtype=int), "an identity of"),
    "arange from 1": (lambda x: np.arange(1, len(x)), "with an open size and more than that"),
    "floats in order": (lambda x: np.arange(len(x), dtype=float), "asks np.arange for"),
    "one more axis": (lambda x: np.array(x, ndmin=3), "np.array with ndmin"),
    "whole numbers": (lambda x: np.array(x, dtype=int), "calls astype"),
    "written into whole numbers": (
        lambda x: np.full((len(x),), 1).__setitem__(0, x[0, 0]), "writes float numbers into",
    ),
    "part of sizes": (lambda x: np.prod(x.shape, 0), "np.prod of sizes with more"),
    "infinity": (lambda x: np.full(x.shape, np.inf), "no exact number"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_modelled_is_refused_by_name(name):
    code, reason = REFUSED[name]
    run = Run()
    with watched(code), making(SymbolicCreator(run)):
        try:
            code(symbols(run)["x"])
        except NotFollowedError:
            assert run.refused, name
    assert reason in (run.refused or ""), run.refused


def test_parts_of_different_shapes_lose_the_result():
    run = Run()
    x = symbols(run)["x"]
    with making(SymbolicCreator(run)):
        code = lambda: np.array([x, x.T])  # noqa: E731
        with watched(code):
            lost = code()
    assert isinstance(lost, LostArray)
    assert "parts of different shapes, (C, N) and (N, C)" in str(lost.reason)


def test_an_order_of_open_size_is_one_of_places():
    run = Run()
    x = symbols(run)["x"]
    code = lambda: np.arange(x.shape[0])  # noqa: E731
    with watched(code), making(SymbolicCreator(run)):
        places = code()
    assert isinstance(places, PlaceArray)
    assert places.place is places.axes[0][0]


def test_every_name_that_is_watched_has_a_model():
    assert set(OF_NUMPY) <= set(MODELS)
    source = {name for code in [*CODE.values(), *PARTS.values()] for name in code.__code__.co_names}
    missing = set(OF_NUMPY) - source - {"empty", "empty_like", "identity"}
    assert not missing


@pytest.mark.parametrize("part", [lambda x: x, lambda x: x.T, lambda x: x[:, ::-1]])
def test_a_copy_that_may_be_none_is_not_written_into(part):
    """np.ascontiguousarray copies what is not in order, and that depends on the sizes."""

    def backward(dy, x):
        dx = 2 * x * dy
        copied = np.ascontiguousarray(part(dx))
        copied *= 3
        return dx

    report = prove(lambda x: (x**2, (x,)), backward, x="N D", budget=4)
    assert report["dx"].status in ("undecided", "refuted")
