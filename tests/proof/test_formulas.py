"""A page's formulas, written in SymPy, are read as they are meant."""

import numpy as np
import pytest
import sympy as sp

from backprop_lib.layers import linear
from backprop_lib.ops import max as max_
from backprop_lib.proof import grad, output, same
from backprop_lib.proof.calculus import CalculusError, RangeError
from backprop_lib.proof.formulas import read

N, C_in, C_out, L = sp.symbols("N C_in C_out L", integer=True, positive=True)
n, m, i, o, p, l = sp.symbols("n m i o p l", integer=True)  # noqa: E741
eps = sp.Symbol("eps", positive=True)
x, W = sp.IndexedBase("x", shape=(N, C_in)), sp.IndexedBase("W", shape=(C_out, C_in))
b, dy = sp.IndexedBase("b", shape=(C_out,)), sp.IndexedBase("dy", shape=(N, C_out))
delta = sp.KroneckerDelta


def over(term, index, size):
    return sp.Sum(term, (index, 0, size - 1))


y = over(x[n, i] * W[o, i], i, C_in) + b[o]
loss = over(over(dy[n, o] * y, o, C_out), n, N)


def test_the_lines_of_linear():
    assert same(output(linear.forward, n, o), y)
    assert same(grad(y, W[p, i]), delta(o, p) * x[n, i])
    assert same(grad(y, b[p]), delta(o, p))
    assert same(grad(y, x[m, i]), delta(m, n) * W[o, i])
    assert same(grad(loss, W[p, i]), over(dy[n, p] * x[n, i], n, N))
    assert same(grad(loss, b[p]), over(dy[n, p], n, N))
    assert same(grad(loss, x[n, i]), over(dy[n, o] * W[o, i], o, C_out))


def test_the_wrong_lines_are_not_the_same():
    assert not same(grad(y, W[p, i]), x[n, i])
    assert same(grad(y, W[o, i]), x[n, i])  # the entry of the same row
    assert not same(grad(loss, b[p]), dy[n, p])
    assert not same(grad(loss, W[p, i]), over(dy[n, p], n, N) * over(x[n, i], n, N) / N)


def test_a_name_that_is_summed_and_free_is_two_indices():
    row = over(x[n, i], i, C_in)
    assert same(row * x[n, i], over(x[n, p] * x[n, i], p, C_in))
    assert same(grad(row, x[n, i]), 1)
    assert same(over(row, i, C_in), C_in * row)
    assert same(grad(over(x[n, i] ** 2, i, C_in), x[n, i]), 2 * x[n, i])


def test_roots_exponentials_and_maxima():
    z = x[n, i]
    assert same(sp.sqrt(z**2 + eps) ** 2, z**2 + eps)
    assert same(grad(sp.exp(2 * z), z), 2 * sp.exp(z) ** 2)
    assert same(grad(sp.log(1 + z**2), z), 2 * z / (1 + z**2))
    assert same(grad(sp.Max(z, 0), z), sp.Heaviside(z))
    assert same(z * sp.Heaviside(z), sp.Max(0, z))
    assert not same(sp.sqrt(z**2), z)


def test_an_index_may_be_looked_up():
    t = sp.IndexedBase("t", shape=(N, L))
    k = sp.IndexedBase("k", shape=(N,))
    assert same(grad(t[n, k[n]], t[m, l]), delta(m, n) * delta(l, k[n]))
    assert str(read(t[n, k[n]])) == "t[n, k[n]]"


def test_numbers_and_sizes():
    assert same(over(1, n, N) / N, 1)
    assert same(x[n, 0] / 2 + x[n, 0] / 2, x[n, 0])
    assert same(read(N * (N + 1)), N**2 + N)
    fixed = sp.IndexedBase("f", shape=(N, 3))
    assert same(over(1, i, 3) * fixed[n, 2], 3 * fixed[n, 2])
    assert same(np.int64(2) * x[n, i], 2 * x[n, i])


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: read(x[i, n] + x[n, i]), RangeError, "n runs over C_in in .*, over N in"),
        (lambda: read(over(x[i, n], i, C_in)), RangeError, "i runs over C_in, and stands in"),
        (lambda: same(x[n, i], W[i, n]), RangeError, "i runs over C_in"),
        (lambda: grad(y, W[n, i]), RangeError, "n runs over N"),
        (lambda: read(delta(n, m)), CalculusError, "over which axis m and n run is not known"),
        (lambda: read(over(delta(n, i), n, N) * x[m, i]), RangeError, "for C_in"),
        (lambda: same(grad(y, W[o, i]), delta(o, p)), CalculusError, "is not known"),
        (lambda: read(sp.Sum(x[n, i], (n, 1, N))), CalculusError, "starts at 1, expected 0"),
        (lambda: read(sp.Sum(x[n, i], (n, 0, 2 * N))), CalculusError, "is no size"),
        (lambda: read(sp.sin(eps)), CalculusError, "sin is not known"),
        (lambda: read(x[n + 1, i]), CalculusError, r"n \+ 1 in .* is no index"),
        (lambda: read(n * eps), CalculusError, "n is an index, and is used as a number"),
        (lambda: read(sp.IndexedBase("x")[n]), CalculusError, "x needs a shape of 1 sizes"),
        (lambda: read(eps ** sp.Rational(1, 3)), CalculusError, "neither whole nor a half"),
        (lambda: grad(y, 2 * W[p, i]), TypeError, "expected an entry of an array, such as"),
        (lambda: output(linear.forward, n), ValueError, "1 indices are given, and y has 2 axes"),
        (lambda: output(lambda x: (np.cbrt(x), ()), n, x="N"), TypeError, "np.cbrt"),
    ],
)
def test_what_is_wrong_is_named(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong()


def test_the_formula_of_a_layer_is_shown():
    assert str(output(linear.forward, n, o)) == "b[o] + Σ_i W[o, i] x[n, i]"
    c = sp.Symbol("c", integer=True)
    assert str(output(max_.forward, n, c, x="N C L")) == "x[n, c, k[n, c]]"
