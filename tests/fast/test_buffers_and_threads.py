"""Threads change no bit of any result, and buffers are used again as is said."""

import threading

import layer_by_layer as by_layer
import numpy as np
import pytest
from test_tuned import EACH_NAME, draw, run

from backprop_lib.fast import conv1d, parallel
from backprop_lib.fast import max as largest
from backprop_lib.fast.buffers import Buffers, empty, full
from backprop_lib.fast.parallel import in_blocks, threads
from backprop_lib.shapes import ShapeError

KERNELS = {name: layer for name, layer in by_layer.ALL.items() if "formulas" not in name}
EACH_KERNEL = pytest.mark.parametrize("layer", KERNELS.values(), ids=KERNELS)
LARGE = {
    "conv1d": {"x": (11, 16, 100), "W": (24, 16), "b": (24,)},
    "bmm": {"x": (11, 100, 16), "t": (11, 16, 24)},
    "max": {"x": (11, 16, 100)},
}
LARGE_BATCHNORM = {"x": (11, 200, 100), "W": (200,), "b": (200,)}


def same_bits(ours, theirs):
    return all(a.tobytes() == b.tobytes() for a, b in zip(ours, theirs, strict=True))


@EACH_KERNEL
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_of_threads_changes_no_bit(layer, dtype):
    inputs, const, dy = by_layer.draw((11, 16, 300, 100), layer, dtype=dtype)
    expected = by_layer.results(layer.fast, inputs, const, dy)
    for number in (1, 2, 3):
        with threads(number):
            assert same_bits(by_layer.results(layer.fast, inputs, const, dy), expected)


@EACH_NAME
def test_the_number_of_threads_changes_no_bit_of_the_tuned_ones(name):
    inputs, const, dy = draw(name, LARGE.get(name, LARGE_BATCHNORM), np.float32)
    expected = run(name, 0, inputs, const, dy)
    for number in (1, 2, 3):
        with threads(number):
            assert same_bits(run(name, 0, inputs, const, dy), expected)


def test_as_many_threads_work_as_were_asked_for():
    both = threading.Barrier(2, timeout=20)

    def work(block):
        if block.start in (0, 1):
            both.wait()  # returns only if two threads wait at once
        return threading.get_ident()

    with threads(2):
        workers = in_blocks(work, 8)
    assert len(set(workers)) == 2
    assert threading.get_ident() not in workers
    assert set(in_blocks(lambda block: threading.get_ident(), 8)) == {threading.get_ident()}


def test_every_sample_is_in_one_block_in_order():
    for samples in range(20):
        blocks = in_blocks(list, samples)
        assert [n for block in blocks for n in block] == list(range(samples))
        assert len(blocks) == max(1, min(8, samples))


def test_there_is_one_thread_where_none_can_be_started(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with threads(2):
        assert parallel._pool.get() is None
        assert in_blocks(list, 3) == [[0], [1], [2]]


def test_the_number_of_threads_is_as_before_after_an_error():
    with pytest.raises(ShapeError), threads(2):
        conv1d.forward(np.ones((2, 3, 5)), np.ones((4, 2)), np.ones(4))
    assert parallel._pool.get() is None
    with threads(2):
        pool = parallel._pool.get()
        with threads(1):
            assert parallel._pool.get() is None
        assert parallel._pool.get() is pool


@pytest.mark.parametrize("number", [0, -1])
def test_a_number_of_threads_below_one_is_refused(number):
    with pytest.raises(
        ValueError, match=f"threads: number is {number}, expected a whole number of at least 1"
    ):
        threads(number).__enter__()


@pytest.mark.parametrize("number", ["2", 2.5, np.nan, None, True])
def test_a_number_of_threads_is_whole(number):
    told = f"threads: number is {number!r}, expected a whole number of at least 1"
    with pytest.raises(TypeError, match=told):
        threads(number).__enter__()


@EACH_KERNEL
def test_buffers_change_no_bit_and_are_used_again(layer):
    buffers = Buffers()
    first, second = (by_layer.draw((5, 3, 4, 6), layer, seed) for seed in (0, 1))
    for inputs, const, dy in (first, second, first):
        with_buffers = by_layer.results(layer.fast, inputs, const, dy, buffers=buffers)
        without = by_layer.results(layer.fast, inputs, const, dy)
        assert same_bits(with_buffers, without)
    old = by_layer.results(layer.fast, *first, buffers=buffers)
    kept = [result.copy() for result in old]
    new = by_layer.results(layer.fast, *second, buffers=buffers)
    assert np.shares_memory(old[1], new[1])  # dx
    assert not np.array_equal(old[1], kept[1])
    assert same_bits(old[2:], kept[2:])  # the small ones are new at every call
    if layer not in by_layer.WITH_MAX:
        assert np.shares_memory(old[0], new[0])


@EACH_NAME
def test_buffers_change_no_bit_of_the_tuned_ones(name):
    buffers = Buffers()
    shapes = LARGE.get(name, LARGE_BATCHNORM)
    old = None
    for seed in (0, 1, 0):
        inputs, const, dy = draw(name, shapes, seed=seed)
        new = run(name, 0, inputs, const, dy, buffers=buffers)
        assert same_bits(new, run(name, 0, inputs, const, dy))
        assert old is None or np.shares_memory(old[1], new[1])
        old = new


def test_buffers_of_another_shape_or_dtype_are_new():
    buffers = Buffers()
    first = buffers.array("y", (2, 3), np.float32)
    assert buffers.array("y", (2, 3), np.float32) is first
    assert buffers.array("dx", (2, 3), np.float32) is not first
    assert buffers.array("y", (3, 2), np.float32).shape == (3, 2)
    assert buffers.array("y", (3, 2), np.float64).dtype == np.float64


def test_a_new_buffer_holds_what_was_asked_for_and_an_old_one_what_was_written():
    buffers = Buffers()
    array = buffers.array("dx", (2, 3), np.float32, new=7)
    assert (array == 7).all()
    array[0] = 1
    assert buffers.array("dx", (2, 3), np.float32, new=7) is array
    assert array[0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 5), (3, 5, 7)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.longdouble, object])
def test_arrays_begin_at_the_start_of_a_line(shape, dtype):
    for array in [empty(shape, dtype) for _ in range(5)] + [full(shape, 3, dtype)]:
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert dtype is object or not array.size or array.ctypes.data % 64 == 0
    assert (array == 3).all()


def test_a_maximum_sets_back_what_it_has_set_before():
    buffers = Buffers()
    usual, short, many = (2, 3, 7), (2, 3, 4), (5, 3, 7)
    for seed, shape in enumerate((usual, usual, short, usual, usual, usual, many, usual)):
        dtype = np.float32 if seed == 4 else np.float64
        inputs, _, dy = draw("max", {"x": shape}, dtype, seed)
        _, cache = largest.forward(**inputs)
        dx = largest.backward(dy, *cache, buffers=buffers)
        assert dx.tobytes() == largest.backward(dy, *cache).tobytes()
        with pytest.raises(ValueError, match="read-only"):
            dx[0, 0, 0] = 1


def test_a_maximum_that_was_interrupted_leaves_nothing_behind(monkeypatch):
    (first, _, dy), (second, _, other_dy) = (draw("max", {"x": (2, 3, 7)}, seed=s) for s in (0, 1))
    put = largest._put
    for fails_at in (1, 2):
        buffers, calls = Buffers(), []
        largest.backward(dy, *largest.forward(**first)[1], buffers=buffers)

        def interrupted(dx, k, values, calls=calls, fails_at=fails_at):
            calls.append(1)
            put(dx[:1], k[:1], values if np.ndim(values) == 0 else values[:1])
            if len(calls) == fails_at:
                raise KeyboardInterrupt
            put(dx, k, values)

        monkeypatch.setattr(largest, "_put", interrupted)
        cache = largest.forward(**second)[1]
        with pytest.raises(KeyboardInterrupt):
            largest.backward(other_dy, *cache, buffers=buffers)
        monkeypatch.setattr(largest, "_put", put)
        cache = largest.forward(**first)[1]
        dx = largest.backward(dy, *cache, buffers=buffers)
        assert np.array_equal(dx, largest.backward(dy, *cache))


@EACH_KERNEL
def test_what_is_no_buffers_is_refused(layer):
    inputs, const, _ = by_layer.draw((2, 3, 4, 5), layer)
    with pytest.raises(TypeError, match=r"(?s)buffers"):
        layer.fast.forward(*inputs.values(), **const, buffers={})


def test_the_buffers_of_each_layer_are_its_own():
    network = Buffers()
    assert network["conv1"] is network["conv1"]
    assert network["conv1"] is not network["conv2"]
    x, W, b = np.ones((2, 3, 5)), np.ones((3, 3)), np.ones(3)
    y1, _ = conv1d.forward(x, W, b, buffers=network["conv1"])
    y2, _ = conv1d.forward(y1, W, b, buffers=network["conv2"])
    assert not np.shares_memory(y1, y2)
