"""Exact numbers compute what SymPy does, in the right order, and refuse the rest."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from backprop_lib.proof.scalar import NotFollowedError, Scalar, exact

A = sp.Symbol("a", positive=True)
X = Scalar(A)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (X + 2, A + 2),
        (2 + X, A + 2),
        (X - 2, A - 2),
        (2 - X, 2 - A),
        (X * 3, 3 * A),
        (3 * X, 3 * A),
        (X / 3, A / 3),
        (3 / X, 3 / A),
        (X**2, A**2),
        (2**X, 2**A),
        (X**0.5, sp.sqrt(A)),
        (-X, -A),
        (+X, A),
        (X.sqrt(), sp.sqrt(A)),
        (X.exp(), sp.exp(A)),
        (X.log(), sp.log(A)),
        (X.conjugate(), A),
        (X + Fraction(1, 3), A + sp.Rational(1, 3)),
        (X + np.int64(2), A + 2),
        (X + sp.pi, A + sp.pi),
    ],
)
def test_computes_as_sympy_does(result, expected):
    assert sp.simplify(result.expression - expected) == 0


def test_tanh_is_written_with_exponentials():
    assert abs(X.tanh().expression.subs(A, 2).evalf() - sp.tanh(2).evalf()) < 1e-14


@pytest.mark.parametrize(
    "number", [0.1, 1e-5, np.float64(0.3), np.nan, True, None, 1j, sp.Float(0.1)]
)
def test_what_is_not_exact_is_refused(number):
    with pytest.raises(NotFollowedError, match="computes with"):
        exact(number)


@pytest.mark.parametrize("convert", [bool, float, int, complex, hash])
def test_conversions_are_refused(convert):
    with pytest.raises(TypeError):
        convert(X)
