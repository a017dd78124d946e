"""What is printed can be read: as text, and as the Markdown of a notebook."""

import re

import numpy as np
import pytest
import sympy as sp

from backprop_lib.layers import batchnorm1d, batchnorm1d_relu, linear
from backprop_lib.ops import max as max_
from backprop_lib.proof import Report, prove, refute
from backprop_lib.proof.calculus import Index, delta, entry, exp, log, power, size, step, total
from backprop_lib.proof.writing import latex, latex_name, letters, plain


def refuted():
    return refute(linear.forward, wrt="W", claim=lambda dy, x, W, b: x.T @ dy)


def test_a_proof_in_text():
    assert repr(prove(linear)) == (
        "dx: proven for all sizes\n"
        "  dx[n, i] = Σ_o dy[n, o] W[o, i]\n"
        "dW: proven for all sizes\n"
        "  dW[o, i] = Σ_n dy[n, o] x[n, i]\n"
        "db: proven for all sizes\n"
        "  db[o] = Σ_n dy[n, o]"
    )
    assert repr(prove(max_, x="N C L")) == (
        "dx: proven for all sizes and every axis\n"
        "  where the largest entry along L occurs only once\n"
        "  dx[n, c, l] = dy[n, c] δ[k[n, c], l]"
    )


def test_a_refutation_in_text():
    assert repr(refuted()) == (
        "dW: shape error: dW is (C_in, C_out), W is (C_out, C_in): axis 0 is C_in, not C_out; "
        "axis 1 is C_out, not C_in\n"
        "  and wrong where the sizes happen to fit:\n"
        "  with N = 1, C_in = 2, C_out = 2 and\n"
        "    x = [[0, 1]]\n"
        "    W = [[0, 0], [0, 0]]\n"
        "    b = [0, 0]\n"
        "    dy = [[1, 0]]\n"
        "  the gradient is [[0, 1], [0, 0]], the claim [[0, 0], [1, 0]]"
    )


def test_a_proof_in_markdown():
    shown = prove(linear)["dW"]._repr_markdown_()
    assert shown == (
        "✓ $dW$: **proven** for all sizes\n\n$$dW_{oi} = \\sum_{n} dy_{no}\\, x_{ni}$$"
    )


def test_a_refutation_in_markdown():
    shown = refuted()._repr_markdown_()
    assert "✗ $dW$: **shape error**: dW is (C\\_in, C\\_out)" in shown
    assert "The gradient is\n\n$$dW_{oi} = " in shown
    fits = "A counterexample, where the sizes happen to fit, "
    assert fits + "with $N = 1,\\; C_{in} = 2,\\; C_{out} = 2$:" in shown
    assert r"x = \begin{bmatrix} 0 & 1 \end{bmatrix}" in shown
    assert r"\text{claimed } dW = \begin{bmatrix} 0 & 0 \\ 1 & 0 \end{bmatrix}" in shown


@pytest.mark.parametrize(
    "report",
    [
        lambda: prove(batchnorm1d_relu, x="N C L"),
        lambda: prove(batchnorm1d.forward, lambda dy, *_: (dy, dy.sum(0), dy.sum(0)), x="N C"),
        lambda: prove(lambda gamma_1: (gamma_1**2, (gamma_1,)), lambda dy, g: dy * g, gamma_1="N"),
        lambda: prove(lambda x: (np.arcsinh(x), (x,)), lambda dy, x: dy * x, x="N C_in"),
    ],
)
def test_markdown_is_well_formed(report):
    shown = report()._repr_markdown_()
    shown = re.sub("`.*?`", "", shown)
    outside = re.sub(r"\$\$.*?\$\$|\$.*?\$", "", shown, flags=re.DOTALL)
    assert "$" not in outside
    assert not re.search(r"(?<!\\)_", outside)
    for formula in re.findall(r"\$\$(.*?)\$\$|\$(.*?)\$", shown, flags=re.DOTALL):
        text = "".join(formula)
        assert text.count("{") == text.count("}")
        assert text.count(r"\begin") == text.count(r"\end")
        assert "\n\n" not in text


def test_long_formulas_name_their_parts():
    text = prove(batchnorm1d, x="N C L")["dW"].formula.text
    assert text == (
        "dW[c] = r[c] Σ_l,n dy[n, c, l] x[n, c, l] "
        "- r[c] (Σ_l,n dy[n, c, l]) (Σ_l,n x[n, c, l]) / (N L), where r[c] = "
        "(eps + (Σ_l,n x[n, c, l]^2) / (N L) - ((Σ_l,n x[n, c, l])^2) / (N^2 L^2))^(-1/2)"
    )


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("C_in", "C_{in}"),
        ("gamma", r"\gamma"),
        ("x", "x"),
        ("dW", "dW"),
        ("eps", r"\epsilon"),
        ("beta_1", r"\beta_{1}"),
        ("weights", r"\mathit{weights}"),
        ("x_hat_r", "x_{hatr}"),
        ("N", "N"),
    ],
)
def test_names_are_escaped(name, written):
    assert latex_name(name) == written


def test_indices_are_named_after_their_axes():
    assert letters(["N", "C_in", "L"]) == ["n", "i", "l"]
    assert letters(["C", "C_2", "C", 3, 3]) == ["c", "j", "c'", "k", "j'"]


def test_every_kind_of_factor_is_written():
    i, j = Index("N", "i"), Index("N", "j")
    x = entry("x", i)
    one = size("N") * 0 + delta(i, i)
    cases = {
        "-2 x[i] / (3 N)": (x * power(size("N"), -1 * one.as_number()) * -2)
        * (one.as_number() / 3),
        "x[i] δ[i, j]": x * delta(i, j),
        "[x[i] > 0]": step(x),
        "exp(2 x[i])": exp(2 * x),
        "log(x[i])": log(x),
        "1 / (x[i] + 1)^2": power(x + one, -2 * one.as_number()),
        "(Σ_j x[j])^2": total(entry("x", j), [j]) ** 2,
        "0": x - x,
        "3": 3 * one,
    }
    for written, formula in cases.items():
        assert plain(formula) == written
        assert latex(formula).count("{") == latex(formula).count("}")
    assert latex(cases["(Σ_j x[j])^2"]) == r"{(\sum_{j} x_{j})}^{2}"


@pytest.mark.parametrize(
    ("k", "text", "formula"),
    [
        (0, "dx[n, c] = dy[n, c] [c ≤ n]", r"dx_{nc} = dy_{nc}\, [c \le n]"),
        (2, "dx[n, c] = dy[n, c] [c ≤ n + 2]", r"dx_{nc} = dy_{nc}\, [c \le n + 2]"),
        (-3, "dx[n, c] = dy[n, c] [c ≤ n - 3]", r"dx_{nc} = dy_{nc}\, [c \le n - 3]"),
    ],
)
def test_a_triangle_is_written_as_a_comparison_of_places(k, text, formula):
    report = prove(lambda x: (np.tril(x, k), ()), lambda dy: np.tril(dy, k), x="N C")
    assert text in repr(report)
    assert formula in report._repr_markdown_()


def test_a_report_knows_its_gradients():
    report = prove(linear)
    assert [verdict.gradient for verdict in report] == ["dx", "dW", "db"]
    with pytest.raises(KeyError, match="dV is not among the gradients dx, dW, db"):
        report["dV"]


def test_an_empty_report_proves_nothing():
    assert not Report(())


def test_long_numbers_are_rounded_in_print_only():
    def forward(x):
        return np.exp(x) / 3, (x,)

    verdict = refute(forward, wrt="x", claim=lambda dy, x: 2 * dy * np.exp(x + 1), x="N")["dx"]
    assert verdict.status == "refuted"
    found = verdict.counterexample
    assert all(isinstance(number, sp.Expr) for number in found.claimed.flat)
    assert "the gradient is [1/3], the claim [2*e]" in repr(found)
