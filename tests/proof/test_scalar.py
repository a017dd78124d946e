"""Exact numbers compute what SymPy does, in the right order, and refuse the rest."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from backprop_lib.proof.refusal import NotFollowedError, fraction
from backprop_lib.proof.scalar import Branch, Scalar, branches, expression, number_sign

A = sp.Symbol("a", positive=True)
X = Scalar(A, Branch())


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
        (X**0.5, sp.sqrt(A)),
        (-X, -A),
        (+X, A),
        (X.sqrt(), sp.sqrt(A)),
        (X.exp(), sp.exp(A)),
        (X.expm1(), sp.exp(A) - 1),
        (X.log(), sp.log(A)),
        (X.log1p(), sp.log(A + 1)),
        (X.conjugate(), A),
        (abs(X), A),
        (X + Fraction(1, 3), A + sp.Rational(1, 3)),
        (X + np.int64(2), A + 2),
        (X * True, A),
        (X + sp.pi, A + sp.pi),
        (0.1 * X, A / 10),
        (X + 1e-5, A + sp.Rational(1, 100000)),
    ],
)
def test_computes_as_sympy_does(result, expected):
    assert sp.simplify(result.expression - expected) == 0


def test_tanh_is_written_with_exponentials():
    assert abs(X.tanh().expression.subs(A, 2).evalf() - sp.tanh(2).evalf()) < 1e-14


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (0.5, (1, 2)),
        (0.1, (1, 10)),
        (1e-5, (1, 100000)),
        (0.044715, (44715, 10**6)),
        (3.0, (3, 1)),
        (1 / 1024, (1, 1024)),
        (np.float32(0.25), (1, 4)),
        (np.float32(0.1), (1, 10)),
        (np.True_, (1, 1)),
        (sp.Rational(2, 7), (2, 7)),
    ],
)
def test_short_floats_are_the_decimals_that_they_are_written_as(number, value):
    assert fraction(number) == Fraction(*value)


@pytest.mark.parametrize(
    "number",
    [1 / 3, np.float64(2 / 3), np.float32(1 / 3), np.nan, np.inf, None, 1j, sp.Float(0.1), "1"],
)
def test_what_is_not_exact_is_refused(number):
    with pytest.raises(NotFollowedError, match="computes with"):
        expression(number)


@pytest.mark.parametrize(
    "convert",
    [bool, float, int, complex, hash, round, lambda u: u // 2, lambda u: 2 % u, lambda u: 2**u],
)
def test_conversions_are_refused(convert):
    with pytest.raises(TypeError):
        convert(X)


def test_a_refusal_is_remembered_where_numpy_hides_it():
    branch = Branch()
    with pytest.raises(TypeError):
        np.array([Scalar(A, branch)]).astype(float)
    assert branch.refused == "converts entries to float, int or bool; keep the arrays' own type"


def test_all_outcomes_of_comparisons_are_walked():
    a, b, c = sp.symbols("a b c", real=True)
    seen = set()
    for branch in branches():
        u, v, w = (Scalar(s, branch) for s in (a, b, c))
        seen.add((u > v, v > w, v < u, u - v > 0, 2 * u > 2 * v))
    assert seen == {(p, q, p, p, p) for p in (True, False) for q in (True, False)}


def test_what_is_known_is_not_asked():
    a = sp.Symbol("a", real=True)
    branch = Branch()
    u = Scalar(a, branch)
    assert u == u + 0
    assert u * u + 1 > 0
    assert not u * 0 > 0
    assert u + 1 > u
    assert branch.answers == []


def test_too_many_branches_are_refused():
    many = sp.symbols("a:11", real=True)

    def walk():
        for branch in branches():
            [Scalar(s, branch) > 0 for s in many]

    with pytest.raises(NotFollowedError, match="more than 1000 outcomes"):
        walk()


@pytest.mark.parametrize(
    ("number", "sign"),
    [
        (sp.Rational(-1, 3), -1),
        (sp.sqrt(2) - 1, 1),
        (sp.Integer(0), 0),
        (sp.sqrt(-2), None),
        (sp.sqrt(8) - 2 * sp.sqrt(2), 0),
        (sp.exp(1) - sp.pi, -1),
        (sp.zoo, None),
        (sp.sqrt(5 + 2 * sp.sqrt(6)) - sp.sqrt(2) - sp.sqrt(3), None),  # 0, but that takes a proof
    ],
)
def test_the_sign_of_a_number_is_certain_or_none(number, sign):
    assert number_sign(number) == sign
