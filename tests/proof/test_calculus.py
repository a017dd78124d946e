"""Normal forms keep the meaning, find equal what is equal, and never capture an index."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from proof.evaluation import value_of_formula, value_of_sympy

from backprop_lib.proof import calculus
from backprop_lib.proof.calculus import (
    ONE,
    ZERO,
    Entry,
    Index,
    Pick,
    RangeError,
    Total,
    delta,
    entry,
    exp,
    inverse_root,
    log,
    number,
    power,
    size,
    step,
    total,
    zero,
)
from backprop_lib.proof.dual import Dual, Met
from backprop_lib.proof.formulas import free_index, grad, read, same

N, C = sp.symbols("N C", integer=True, positive=True)
SIZES = {"N": 2, "C": 3}
I_, J, K, L = sp.symbols("i j k l", integer=True)  # few names, so that sums shadow each other
x, y = sp.IndexedBase("x", shape=(N, C)), sp.IndexedBase("y", shape=(N,))
a = sp.Symbol("a", real=True)
HALF = Fraction(1, 2)


def random_formula(rng, rows, columns, depth):
    """Build a formula from free row and column indices; sums reuse the same few names."""
    kind = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9] if depth > 0 else [1, 2, 3])
    if kind == 0:
        return sp.Rational(int(rng.integers(-3, 4)), int(rng.integers(1, 3)))
    if kind == 1:
        return y[rng.choice(rows)] if rows else a
    if kind in (2, 3):
        return x[rng.choice(rows), rng.choice(columns)] if rows and columns else N * a
    parts = [random_formula(rng, rows, columns, depth - 1) for _ in range(2)]
    if kind == 4:
        return parts[0] + parts[1]
    if kind == 5:
        return parts[0] * parts[1]
    if kind == 6:  # a root of something positive, or its inverse
        return (1 + parts[0] ** 2) ** sp.Rational(int(rng.choice([-3, -2, -1, 1])), 2)
    if kind == 7 and len(rows) > 1:
        return sp.KroneckerDelta(*rng.choice(rows, 2)) * parts[0]
    over = rng.choice([I_, J])
    if kind == 9:  # a sum within a sum, both over the same name
        columns_here = [c for c in columns if c != over]
        outer = random_formula(rng, [*rows, over], columns_here, depth - 2)
        inner = random_formula(rng, [*rows, over], columns_here, depth - 2)
        return sp.Sum(
            (outer + y[over]) * sp.Sum(inner * y[over], (over, 0, N - 1)), (over, 0, N - 1)
        )
    if rng.integers(2):
        inner = random_formula(rng, [*rows, over], [c for c in columns if c != over], depth - 1)
        return sp.Sum(inner, (over, 0, N - 1))
    inner = random_formula(rng, [r for r in rows if r != over], [*columns, over], depth - 1)
    return sp.Sum(inner, (over, 0, C - 1))


def numbers(rng, met=None, moved=None):
    """Draw exact values; with `moved`, dual numbers of which one has the slope 1."""
    arrays = {}
    for name, shape in {"x": (2, 3), "y": (2,), "a": ()}.items():
        array = np.empty(shape, dtype=object)
        for place in np.ndindex(shape):
            value = sp.Rational(int(rng.integers(-5, 6)), int(rng.integers(1, 4)))
            slope = sp.Integer((name, place) == moved)
            array[place] = value if met is None else Dual(value, slope, met)
        arrays[name] = array
    return arrays


def agree(found, expected):
    difference = sp.sympify(found) - sp.sympify(expected)
    return abs(sp.N(difference, 40)) <= 1e-25 * (1 + abs(sp.N(expected, 40)))


@pytest.mark.parametrize("seed", range(600))
def test_a_normal_form_means_what_the_formula_means(seed):
    rng = np.random.default_rng(seed)
    formula = random_formula(rng, [K], [], 4)
    normal = read(formula)
    arrays = numbers(rng)
    for k in range(SIZES["N"]):
        at = {free_index(K, "N"): k}
        expected = value_of_sympy(formula, arrays, SIZES, {K: k})
        found = value_of_formula(normal, arrays, SIZES, at)
        assert agree(found, expected)


@pytest.mark.parametrize("seed", range(200))
def test_a_derivative_means_the_slope(seed):
    rng = np.random.default_rng(1000 + seed)
    formula = random_formula(rng, [K], [], 4)
    moved = ("x", (1, 2)) if seed % 2 else ("y", (1,))
    by = x[1, 2] if seed % 2 else y[1]
    derivative = grad(formula, by)
    exact = numbers(np.random.default_rng(seed))
    dual = numbers(np.random.default_rng(seed), Met(), moved)
    for k in range(SIZES["N"]):
        moving = value_of_sympy(formula, dual, SIZES, {K: k})
        expected = moving.slope if isinstance(moving, Dual) else 0
        found = value_of_formula(derivative, exact, SIZES, {free_index(K, "N"): k})
        assert agree(found, expected)


@pytest.mark.parametrize("seed", range(100))
def test_renaming_the_summed_indices_changes_nothing(seed):
    formula = random_formula(np.random.default_rng(2000 + seed), [K], [], 4)
    other = {I_: sp.Symbol("u", integer=True), J: sp.Symbol("v", integer=True)}
    renamed = formula.replace(
        lambda e: isinstance(e, sp.Sum),
        lambda e: sp.Sum(
            e.function.xreplace(other), *((other.get(s, s), low, high) for s, low, high in e.limits)
        ),
    )
    assert same(formula, renamed)


@pytest.mark.parametrize("seed", range(300))
def test_a_new_name_for_an_index_gives_what_a_new_normal_form_gives(seed, monkeypatch):
    rng = np.random.default_rng(3000 + seed)
    formula = read(random_formula(rng, [K, L], [], 4) + y[K] * y[L])
    first, second = free_index(K, "N"), free_index(L, "N")
    summed = [index for t in formula.atoms() if isinstance(t, Total) for index in t.bound]
    others = [index for index in summed if index.size == "N"] or [Index("N")]
    ways = [
        {first: Index("N"), second: Index("N")},
        {second: Index("N")},
        {first: others[0]},
        {second: others[-1]},
    ]
    quickly = [formula.substituted(to) for to in ways]
    monkeypatch.setattr(calculus, "_keeps_order", lambda *_: False)
    for to, quick in zip(ways, quickly, strict=True):
        assert quick == formula.substituted(to)


def test_the_random_formulas_are_not_all_trivial():
    drawn = [random_formula(np.random.default_rng(seed), [K], [], 4) for seed in range(600)]
    shadowed = [
        e
        for e in drawn
        if any(
            inner.limits[0][0] == outer.limits[0][0]
            for outer in e.atoms(sp.Sum)
            for inner in outer.function.atoms(sp.Sum)
        )
    ]
    assert len(shadowed) > 100
    assert sum(e.has(sp.Sum) and e.has(sp.Pow) for e in drawn) > 100


def index(size_name):
    return Index(size_name)


def test_sums_that_share_no_index_are_factors():
    i, j = index("N"), index("N")
    both = total(entry("x", i) * entry("x", j), [i, j])
    assert both == total(entry("x", i), [i]) ** 2
    assert total(entry("x", i) * entry("y", i), [i]) != both


def test_a_sum_of_nothing_that_depends_on_it_counts():
    i = index("N")
    assert total(ONE, [i]) == size("N")
    assert total(entry("a"), [i]) == size("N") * entry("a")
    assert total(ONE, [Index(3)]) == number(3)


def test_a_delta_under_its_sum_is_contracted():
    i, j = index("N"), index("N")
    assert total(delta(i, j) * entry("x", i), [i]) == entry("x", j)
    assert total(delta(i, j), [i, j]) == size("N")
    pick = Pick("k", "N", (j,))
    assert total(delta(i, pick) * entry("x", i), [i]) == entry("x", pick)
    assert total(delta(i, pick) * entry("x", i), [j]) != entry("x", pick)


def test_a_sum_of_nested_roots_has_a_form():
    m, n = index("N"), index("N")
    a = entry("x", m) + entry("x", n)
    summed = total(power(power(a * a + ONE, HALF), -HALF), [n])
    assert summed == summed.substituted({m: m})
    assert summed.free_indices == {m}


def test_a_sum_over_a_known_axis_is_written_out():
    i, n = Index(3), index("N")
    assert total(entry("x", n, i), [i]) == entry("x", n, 0) + entry("x", n, 1) + entry("x", n, 2)


def test_functions_of_cases_are_taken_apart():
    x = entry("x", index("N"))
    s = step(x)
    assert exp(s * x) == s * exp(x) + (ONE - s)
    assert step(number(6) - s * x) == s * step(number(6) - x) + (ONE - s)
    assert power(x * s + (ONE - s), Fraction(-1)) == s * power(x, Fraction(-1)) + ONE - s
    assert log(exp(x) * s + ONE - s) == s * x


def test_polynomials_below_are_factored():
    x, one = entry("x", index("N")), ONE
    assert power(x * x + 2 * x + one, Fraction(-1)) == power(x + one, Fraction(-2))
    assert power(x * x - one, Fraction(-1)) == power(x + one, Fraction(-1)) * power(
        x - one, Fraction(-1)
    )
    assert power((x + one) ** 2, HALF) != x + one  # |x + 1|


def test_what_factors_is_not_taken_for_what_does_not(monkeypatch):
    """Of a formula it is remembered whether it factors, whatever its indices are called."""
    monkeypatch.setattr(calculus, "_known_to_split", {})
    for at in (index("N"), index("N")):
        t = entry("x", at)
        assert power(ONE + t + t * t, -HALF) ** 2 == power(ONE + t + t * t, Fraction(-1))
        assert power(ONE + 2 * t + t * t, -HALF) ** 2 == power(ONE + t, Fraction(-2))
    assert len(calculus._known_to_split) == 3  # 1 + t was asked about, too


def test_free_deltas_replace_and_stay():
    i, j, k = index("N"), index("N"), index("N")
    assert delta(i, j) * entry("x", i) == delta(j, i) * entry("x", j)
    assert delta(i, j) * delta(j, k) == delta(i, k) * delta(i, j)
    assert delta(i, j) ** 2 == delta(i, j)
    assert delta(i, i) == ONE
    assert delta(0, 1) == ZERO
    assert delta(i, j) != ONE


def test_an_index_of_another_axis_is_a_range_error():
    with pytest.raises(RangeError, match="an index over N meets one over C"):
        delta(index("N"), index("C"))
    with pytest.raises(RangeError, match="x is used with 1 and 2 indices"):
        entry("x", index("N")).derivative(Entry("x", (index("N"), index("C"))))
    i, j = index("N"), index("N")
    with pytest.raises(RangeError, match="an index over N meets one over C"):
        delta(i, j).substituted({j: index("C")})


def test_no_index_is_captured():
    i, j = index("N"), index("N")
    row = total(entry("x", i, j), [j])  # Σ_j x[i, j]
    assert row.substituted({i: j}) == total(entry("x", j, i), [i])  # not Σ_j x[j, j]
    assert row.substituted({i: j}) != total(entry("x", j, j), [j])
    squared = total(entry("x", i) * total(entry("x", i), [i]), [i])
    assert squared == total(entry("x", i), [i]) ** 2


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (lambda u, v: power(u, HALF) ** 2, lambda u, v: u),
        (lambda u, v: u * power(u, -HALF), lambda u, v: power(u, HALF)),
        (lambda u, v: power(power(u, HALF), Fraction(-1)), lambda u, v: power(u, -HALF)),
        (lambda u, v: power(u * u, Fraction(-1)), lambda u, v: power(u, Fraction(-1)) ** 2),
        (lambda u, v: u * power(u, Fraction(-1)), lambda u, v: ONE),
        (lambda u, v: power(2 * u, -HALF), lambda u, v: power(number(2), -HALF) * power(u, -HALF)),
        (lambda u, v: power(number(12), HALF), lambda u, v: 2 * power(number(3), HALF)),
        (lambda u, v: power(number(Fraction(9, 4)), HALF), lambda u, v: number(Fraction(3, 2))),
        (lambda u, v: power(-u, Fraction(-1)), lambda u, v: -power(u, Fraction(-1))),
        (lambda u, v: power(size("N"), HALF) ** 2, lambda u, v: size("N")),
        (lambda u, v: exp(u) * exp(-u), lambda u, v: ONE),
        (lambda u, v: exp(u + v), lambda u, v: exp(u) * exp(v)),
        (lambda u, v: exp(log(u)), lambda u, v: u),
        (lambda u, v: log(exp(u) * exp(v) + exp(u)), lambda u, v: u + log(exp(v) + ONE)),
        (lambda u, v: step(u) ** 2, lambda u, v: step(u)),
        (lambda u, v: step(3 * u), lambda u, v: step(u)),
        (lambda u, v: step(u * step(u)), lambda u, v: step(u)),
        (lambda u, v: step(-u * step(u)), lambda u, v: ZERO),
        (lambda u, v: step(u * exp(v)), lambda u, v: step(u)),
        (lambda u, v: step(number(-2)), lambda u, v: ZERO),
        (lambda u, v: zero(v) ** 2, lambda u, v: zero(v)),
        (lambda u, v: zero(-3 * v), lambda u, v: zero(v)),
        (lambda u, v: zero(v) * v, lambda u, v: ZERO),
        (lambda u, v: zero(v) * step(v), lambda u, v: ZERO),
        (lambda u, v: zero(v**2 - exp(v)) * step(v**2 - exp(v)), lambda u, v: ZERO),
        (lambda u, v: zero(v**2 - exp(v)) * step(exp(v) - v**2), lambda u, v: ZERO),
        (lambda u, v: zero(v - ONE) * v**3, lambda u, v: zero(v - ONE)),
        (lambda u, v: zero(v * v), lambda u, v: zero(v)),
        (lambda u, v: zero(v * u), lambda u, v: ONE - (ONE - zero(v)) * (ONE - zero(u))),
        (lambda u, v: zero(exp(v)), lambda u, v: ZERO),
        (lambda u, v: zero(exp(v) + size("N")), lambda u, v: ZERO),
        (lambda u, v: zero(log(u)), lambda u, v: zero(u - ONE)),
        (lambda u, v: zero(step(v)), lambda u, v: ONE - step(v)),
        (lambda u, v: zero(v * step(v)), lambda u, v: ONE - step(v)),
        (lambda u, v: zero(number(0)), lambda u, v: ONE),
    ],
)
def test_rules_that_hold(left, right):
    i = index("N")
    u = entry("eps") + total(entry("x", i) ** 2, [i])
    v = entry("y", i)
    assert left(u, v) == right(u, v)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (lambda v, w: power(v * v, HALF), lambda v, w: v),  # |v|
        (lambda v, w: power(v * w, -HALF), lambda v, w: power(v, -HALF) * power(w, -HALF)),
        (lambda v, w: ONE - step(v - w), lambda v, w: step(w - v)),  # not if v = w everywhere
        (lambda v, w: step(v * w), lambda v, w: step(v) * step(w)),
        (lambda v, w: step(v * v * w), lambda v, w: step(v)),
        (lambda v, w: log(v * w), lambda v, w: log(v)),
        (lambda v, w: exp(v * w), lambda v, w: exp(v) * exp(w)),
        (lambda v, w: step(v) * v, lambda v, w: v),
        (lambda v, w: zero(v) + step(v), lambda v, w: ONE),
        (lambda v, w: zero(v - w), lambda v, w: zero(v) * zero(w)),
        (lambda v, w: zero(v + w), lambda v, w: zero(v - w)),
        (lambda v, w: zero(v * w), lambda v, w: zero(v) * zero(w)),
        (lambda v, w: zero(v * v + w), lambda v, w: ZERO),
        (lambda v, w: zero(v) * w, lambda v, w: ZERO),
    ],
)
def test_rules_that_do_not_hold(left, right):
    i, j = index("N"), index("N")
    v, w = entry("x", i), entry("x", j)
    assert left(v, w) != right(v, w)


def test_a_number_is_positive_negative_or_zero():
    i, j = index("N"), index("N")
    for formula in (entry("x", i), entry("b", i) - entry("x", i) * entry("x", j)):
        assert step(formula) + step(-formula) + zero(formula) == ONE
        assert step(-formula) != ONE - step(formula)


def test_a_difference_of_an_entry_with_itself_is_not_positive():
    i, j = index("N"), index("N")
    difference = entry("x", i) - entry("x", j)
    assert step(-difference) != ONE - step(difference)
    assert step(difference).substituted({j: i}) == ZERO
    assert step(-difference).substituted({j: i}) == ZERO
    assert zero(difference).substituted({j: i}) == ONE


@pytest.mark.parametrize("exponent", [Fraction(1, 3), Fraction(-2, 3), Fraction(1, 4)])
def test_other_exponents_are_powers_of_e(exponent):
    u = ONE + entry("a") * entry("a")
    n = exponent.denominator
    assert power(u, exponent) ** n == power(u, exponent * n)
    assert power(u, exponent) * power(u, 1 - exponent) == u
    assert power(u, exponent) * power(u, -exponent) == ONE
    assert power(u, exponent) != power(u, -exponent)


def test_division_by_zero_is_noticed():
    for divide in (lambda: power(ZERO, Fraction(-1)), lambda: inverse_root(ZERO, 1)):
        with pytest.raises(ZeroDivisionError, match="zero for all values"):
            divide()
    with pytest.raises(ZeroDivisionError, match="the logarithm"):
        log(ZERO)


def test_a_formula_has_no_truth_value():
    with pytest.raises(TypeError, match="compare with =="):
        bool(ZERO)


def test_the_derivative_of_batch_normalisation_is_the_published_one():
    n, m, c = index("N"), index("N"), index("C")
    mean = power(size("N"), Fraction(-1))
    mu = total(entry("x", m, c), [m]) * mean
    var = total((entry("x", m, c) - mu) ** 2, [m]) * mean
    r = power(var + entry("eps"), -HALF)
    x_hat = (entry("x", n, c) - mu) * r
    k = index("N")
    dx = total(entry("dy", n, c) * x_hat.derivative(Entry("x", (k, c))), [n])
    average = total(entry("dy", n, c), [n]) * mean
    along = total(entry("dy", n, c) * x_hat, [n]) * mean
    published = r * (entry("dy", k, c) - average - x_hat.substituted({n: k}) * along)
    assert dx == published
    assert dx != published * r
    assert total(x_hat**2, [n]) * mean == ONE - entry("eps") * r**2  # r²(σ² + ε) = 1


def test_names_and_order_do_not_change_how_it_is_written():
    formulas = []
    for _ in range(2):
        n, i, j = index("N"), index("C"), index("C")
        formulas.append(total(entry("x", n, i) * entry("x", n, j) * entry("w", j), [j, n]))
        calculus.entry("x", index("N"))
    assert repr(formulas[0]) == repr(formulas[1]) == "Σ_c',n w[c'] x[n, c] x[n, c']"
