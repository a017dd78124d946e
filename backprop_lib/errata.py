"""The note's statements, each judged by machine.

A statement is judged by the function of its name below, which writes the statement as code. What
the verdict is follows from what `prove` and `refute` answer, and is nowhere typed.
"""

import inspect
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from backprop_lib.layers import batchnorm1d, batchnorm1d_relu, conv1d, linear
from backprop_lib.listing import listing
from backprop_lib.ops import bmm
from backprop_lib.ops import max as max_op
from backprop_lib.proof import Report, prove

Verdict = Literal[
    "holds",
    "holds for (N, C) only",
    "refuted",
    "shape error",
    "definition",
    "imprecise",
]
VERDICTS: tuple[Verdict, ...] = (
    "holds",
    "holds for (N, C) only",
    "refuted",
    "shape error",
    "definition",
    "imprecise",
)
SHAPES = ("N C", "N C L")
Formula = Callable[..., Any]
"""A formula of the note as code, from dy and what forward keeps, or from forward's inputs."""


@dataclass(frozen=True)
class Statement:
    """What the note says in one place."""

    id: str
    part: str
    says: str
    """In Markdown with LaTeX, in the note's own letters."""


@dataclass(frozen=True)
class Judgement:
    """What the prover answers on a statement, and on what should stand there instead."""

    stated: Mapping[str, Report] = field(default_factory=dict)
    """The statement as code; for each shape of x if it is made for two."""
    readings: Mapping[str, Report] = field(default_factory=dict)
    """What each of several ways to understand the statement gives."""
    instead: Mapping[str, Report] = field(default_factory=dict)
    """What is right, by how it is written."""
    defines: bool = False
    """Whether the statement says what a letter means."""

    @property
    def verdict(self) -> Verdict:
        """The verdict that follows.

        Raises
        ------
        ValueError
            If the answers do not fit any verdict: something is undecided or was not asked, a
            wrong statement has no formula in its place, or one that is not proven.
        """
        reports = [*self.stated.values(), *self.readings.values()]
        statuses = {verdict.status for report in reports for verdict in report}
        decided = {"proven", "proven at", "refuted", "shape error"}
        if not all(r.verdicts for r in reports) or not statuses or not statuses <= decided:
            raise ValueError(f"the prover answers {', '.join(sorted(statuses)) or 'nothing'}")
        if not all(self.instead.values()):
            raise ValueError("what should stand there instead is not proven")
        if self.readings:
            answers = {bool(report) for report in self.readings.values()}
            if answers != {True, False}:
                raise ValueError("an imprecise statement has right readings and wrong ones")
            return "imprecise"
        if all(self.stated.values()):
            return "definition" if self.defines else "holds"
        if not self.instead:
            raise ValueError("a statement that does not hold needs a formula in its place")
        if tuple(self.stated) == SHAPES and self.stated["N C"]:
            return "holds for (N, C) only"
        return "shape error" if "shape error" in statuses else "refuted"


@dataclass(frozen=True)
class Erratum:
    """A statement, its judgement, and the code that judged it, for the page to show."""

    statement: Statement
    judgement: Judgement
    code: str

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        return self.judgement.verdict

    def __repr__(self) -> str:
        lines = [f"{self.statement.id}: {self.verdict}"]
        for how, report in self._reports():
            lines.append(f"{how}:")
            lines += [f"  {line}" for line in repr(report).splitlines()]
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        parts = [f"**{self.verdict[0].upper()}{self.verdict[1:]}.**"]
        for how, report in self._reports():
            parts += [f"*{how}:*", report._repr_markdown_()]
        parts.append(
            f"<details><summary>{self.statement.id} as code</summary>\n\n"
            f"```python\n{self.code}\n```\n\n</details>"
        )
        return "\n\n".join(parts)

    def _reports(self) -> list[tuple[str, Report]]:
        judged = self.judgement
        stated = [
            (
                f"With $x$ of shape $({', '.join(shape.split())})$" if shape else "As it stands",
                report,
            )
            for shape, report in judged.stated.items()
        ]
        readings = [(f"Read as: {how}", report) for how, report in judged.readings.items()]
        instead = [(f"Instead: {how}", report) for how, report in judged.instead.items()]
        return [(how, _without_formulas(report)) for how, report in stated + readings + instead]


def _without_formulas(report: Report) -> Report:
    """Leave the derived formulas out: the statements are formulas themselves."""
    return Report(tuple(replace(verdict, formula=None) for verdict in report))


@cache
def statements() -> dict[str, Statement]:
    """Return what the note says, by number."""
    text = files("backprop_lib").joinpath("statements.json").read_text(encoding="utf8")
    return {entry["id"]: Statement(**entry) for entry in json.loads(text)}


@cache
def errata() -> dict[str, Erratum]:
    """Judge every statement; return them by number."""
    return {
        name: Erratum(statement, JUDGES[name](), listing(JUDGES[name]).source)
        for name, statement in statements().items()
    }


def counts() -> dict[str, int]:
    """Return how many statements have each verdict."""
    found = Counter(erratum.verdict for erratum in errata().values())
    return {verdict: found[verdict] for verdict in VERDICTS}


def gradient(forward: Formula, name: str, formula: Formula, **shapes: Any) -> Report:
    """Judge a formula, in dy and what forward keeps, for the gradient of one input."""
    parameters = inspect.signature(forward).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.name in shapes]
    inputs = [key for key in names if not shapes[key].startswith("const")]
    # the note says nothing of other settings, such as another axis
    settings = {p.name: p.default for p in parameters if p.default is not p.empty}

    def backward(dy: Any, *cache: Any) -> tuple[Any, ...]:
        return tuple(formula(dy, *cache) if key == name else ... for key in inputs)

    return Report((prove(forward, backward, const=settings, **shapes)[f"d{name}"],))


def output(forward: Formula, formula: Formula, Y: str, **shapes: Any) -> Report:
    """Judge a formula for y, in the inputs: it is the gradient of Σ Y·y by an array Y."""
    parameters = inspect.signature(forward).parameters.values()

    def weighted(Y: Any, **given: Any) -> tuple[Any, tuple[Any, ...]]:
        return (Y * forward(**given)[0]).sum(), tuple(given.values())

    first = inspect.Parameter("Y", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    weighted.__signature__ = inspect.Signature([first, *parameters])  # type: ignore[attr-defined]
    return gradient(weighted, "Y", lambda dy, *given: dy * formula(*given), Y=Y, **shapes)


def at_both_shapes(judge: Callable[[str], Report]) -> dict[str, Report]:
    """Judge with x of shape (N, C) and of shape (N, C, L)."""
    return {shape: judge(shape) for shape in SHAPES}


def over_all(array: Any) -> Any:
    """Sum over all entries of each channel; the note sums over i = 1..N, the first axis."""
    return array.sum(axis=(0, *range(2, array.ndim)))


def column(values: Any, x: Any) -> Any:
    """Let one value for each channel meet x along its channels."""
    return values.reshape((1, -1) + (1,) * (x.ndim - 2))


LINEAR = {"x": "N C_in", "W": "C_out C_in", "b": "C_out"}
CONV = {"x": "N C_in L", "W": "C_out C_in", "b": "C_out"}
SQUARE = {"x": "N L C", "t": "N C C"}


def n1() -> Judgement:
    stated = gradient(lambda y: (y, ()), "y", lambda dy: dy, y="N C")
    return Judgement({"": stated}, defines=True)


def l1() -> Judgement:
    stated = output(linear.forward, lambda x, W, b: x @ W.T + b, Y="N C_out", **LINEAR)
    return Judgement({"": stated}, defines=True)


def l2() -> Judgement:
    stated = gradient(linear.forward, "W", lambda dy, x, W: x.T @ dy, **LINEAR)
    right = gradient(linear.forward, "W", lambda dy, x, W: dy.T @ x, **LINEAR)
    return Judgement({"": stated}, instead={r"$d_y^T \times x$": right})


def l3() -> Judgement:
    return Judgement({"": gradient(linear.forward, "W", lambda dy, x, W: dy.T @ x, **LINEAR)})


def l4() -> Judgement:
    alone = gradient(linear.forward, "b", lambda dy, x, W: dy, **LINEAR)
    summed = gradient(linear.forward, "b", lambda dy, x, W: dy.sum(axis=0), **LINEAR)
    return Judgement(readings={"$d_y$ itself": alone, "$d_y$ summed, as L5 says": summed})


def l5() -> Judgement:
    stated = gradient(linear.forward, "b", lambda dy, x, W: dy.sum(axis=0), **LINEAR)
    return Judgement({"": stated})


def l6() -> Judgement:
    return Judgement({"": gradient(linear.forward, "x", lambda dy, x, W: dy @ W, **LINEAR)})


def normalised(x: Any, W: Any, b: Any, eps: float = 1e-5) -> tuple[Any, tuple[Any, ...]]:
    """Normalise a batch, and keep all that the note's formulas name: x - μ, r, x̂ and W."""
    y, (x_hat, r, _) = batchnorm1d.forward(x, W, b, eps)
    return y, (x_hat / column(r, x), column(r, x), x_hat, column(W, x))


def of_batchnorm(name: str, formula: Formula) -> Callable[[str], Report]:
    """Judge a formula in dy, x - μ, r, x̂ and W for a gradient of batch normalisation."""
    return lambda shape: gradient(normalised, name, formula, x=shape, W="C", b="C")


def b1() -> Judgement:
    def formula(x: Any, W: Any, b: Any, eps: Any) -> Any:
        axes = (0, *range(2, x.ndim))
        mu = x.mean(axis=axes, keepdims=True)
        variance = ((x - mu) ** 2).mean(axis=axes, keepdims=True)
        return (x - mu) / np.sqrt(variance + eps) * column(W, x) + column(b, x)

    stated = at_both_shapes(
        lambda shape: output(batchnorm1d.forward, formula, Y=shape, x=shape, W="C", b="C")
    )
    return Judgement(stated, defines=True)


def b2() -> Judgement:
    stated = of_batchnorm("W", lambda dy, centred, r, x_hat, W: (dy * x_hat).sum(axis=0))
    right = of_batchnorm("W", lambda dy, centred, r, x_hat, W: over_all(dy * x_hat))
    how = r"$\sum_n \sum_l d_{y} \cdot \hat x$"
    return Judgement(at_both_shapes(stated), instead={how: right("N C L")})


def b3() -> Judgement:
    stated = of_batchnorm("b", lambda dy, *cache: dy.sum(axis=0))
    right = of_batchnorm("b", lambda dy, *cache: over_all(dy))
    return Judgement(at_both_shapes(stated), instead={r"$\sum_n \sum_l d_{y}$": right("N C L")})


def b4() -> Judgement:
    inner = of_batchnorm("W", lambda dy, centred, r, x_hat, W: over_all(dy * x_hat))
    of_all = of_batchnorm("W", lambda dy, centred, r, x_hat, W: (dy * x_hat).sum())
    return Judgement(
        readings={
            "an inner product for each channel": inner("N C L"),
            "the inner product of the whole arrays": of_all("N C L"),
        }
    )


def b5() -> Judgement:
    def three_paths(dy: Any, centred: Any, r: Any, x_hat: Any, W: Any) -> Any:
        M = dy.size / dy.shape[1]
        dx_hat = dy * W
        dmu = over_all(-dx_hat * r)
        dvar = over_all(-dx_hat * centred * r**3 / 2)
        return dx_hat * r + column(dmu, dy) / M + column(dvar, dy) * 2 * centred / M

    return Judgement(at_both_shapes(of_batchnorm("x", three_paths)))


def b6() -> Judgement:
    def scaled(x_hat: Any, W: Any, b: Any) -> tuple[Any, tuple[Any, ...]]:
        return x_hat * column(W, x_hat) + column(b, x_hat), (W,)

    def of(formula: Formula) -> Report:
        return gradient(scaled, "x_hat", formula, x_hat="N C L", W="C", b="C")

    return Judgement(
        readings={
            "$W$ along the channels": of(lambda dy, W: dy * column(W, dy)),
            "$W$ along the last axis, as NumPy multiplies": of(lambda dy, W: dy * W),
        }
    )


def b7() -> Judgement:
    def with_variance(
        x: Any, mu: Any, var: Any, W: Any, eps: float = 1e-5
    ) -> tuple[Any, tuple[Any, ...]]:
        """Normalise with any variance, by which is differentiated."""
        centred, u = x - column(mu, x), column(var, x) + eps
        return centred / np.sqrt(u) * column(W, x), (centred, u, column(W, x))

    def of(total: Formula) -> Callable[[str], Report]:
        def formula(dy: Any, centred: Any, u: Any, W: Any) -> Any:
            return total((dy * W) * -centred / (2 * u**1.5))

        return lambda shape: gradient(
            with_variance, "var", formula, x=shape, mu="C", var="C", W="C"
        )

    right = {r"with $\sum_n \sum_l$": of(over_all)("N C L")}
    return Judgement(at_both_shapes(of(lambda a: a.sum(axis=0))), instead=right)


def b8() -> Judgement:
    def with_mean(x: Any, mu: Any, W: Any, eps: float = 1e-5) -> tuple[Any, tuple[Any, ...]]:
        """Normalise with any mean, by which is differentiated, and the variance about it."""
        centred = x - column(mu, x)
        axes = (0, *range(2, x.ndim))
        u = (centred * centred).mean(axis=axes, keepdims=True) + eps
        return centred / np.sqrt(u) * column(W, x), (centred, u, column(W, x))

    def of(total: Formula, number: Formula) -> Callable[[str], Report]:
        def formula(dy: Any, centred: Any, u: Any, W: Any) -> Any:
            dvar = total((dy * W) * -centred / (2 * u**1.5))
            direct = total((dy * W) * -1 / np.sqrt(u))
            return direct + dvar * total(-2 * centred) / number(dy)

        return lambda shape: gradient(with_mean, "mu", formula, x=shape, mu="C", W="C")

    stated = of(lambda a: a.sum(axis=0), lambda dy: dy.shape[0])
    right = of(over_all, lambda dy: dy.size / dy.shape[1])
    how = r"with $\sum_n \sum_l$ and $N L$ for $N$"
    return Judgement(at_both_shapes(stated), instead={how: right("N C L")})


def b9() -> Judgement:
    def path(total: Formula, shape_of_sum: str, x: str) -> Report:
        """Judge that ∂σ²/∂μ is 0: the sum of -2 (x - μ), times any number s, is."""

        def weighted(s: Any, x: Any) -> tuple[Any, tuple[Any, ...]]:
            axes = (0, *range(2, x.ndim))
            return (s * total(-2 * (x - x.mean(axis=axes, keepdims=True)))).sum(), (s,)

        return gradient(weighted, "s", lambda dy, s: 0 * s, s=shape_of_sum, x=x)

    def over_n(array: Any) -> Any:
        return array.sum(axis=0)

    stated = {"N C": path(over_n, "C", "N C"), "N C L": path(over_n, "C L", "N C L")}
    return Judgement(stated, instead={r"with $\sum_n \sum_l$": path(over_all, "C", "N C L")})


def b10() -> Judgement:
    def held(x: Any, mu: Any, var: Any, eps: float = 1e-5) -> tuple[Any, tuple[Any, ...]]:
        r = 1 / np.sqrt(column(var, x) + eps)
        return (x - column(mu, x)) * r, (r,)

    one_path = gradient(held, "x", lambda dy, r: dy * r, x="N C L", mu="const C", var="const C")
    whole = of_batchnorm("x", lambda dy, centred, r, x_hat, W: dy * W * r)("N C L")
    return Judgement(
        readings={
            r"one of the three paths, with $\mu$ and $\sigma^2$ held": one_path,
            r"the whole derivative of $\hat x_i$": whole,
        }
    )


def b11() -> Judgement:
    def variance(x: Any) -> tuple[Any, tuple[Any, ...]]:
        axes = (0, *range(2, x.ndim))
        centred = x - x.mean(axis=axes, keepdims=True)
        return (centred * centred).mean(axis=axes), (centred,)

    def of(number: Formula) -> Callable[[str], Report]:
        return lambda shape: gradient(
            variance,
            "x",
            lambda dy, centred: column(dy, centred) * 2 * centred / number(centred),
            x=shape,
        )

    right = of(lambda x: x.size / x.shape[1])
    how = r"$\frac{2 (x - \mu)}{N L}$"
    return Judgement(at_both_shapes(of(lambda x: x.shape[0])), instead={how: right("N C L")})


def b12() -> Judgement:
    def mean(x: Any) -> tuple[Any, tuple[Any, ...]]:
        return x.mean(axis=(0, *range(2, x.ndim))), (x,)

    def of(number: Formula) -> Callable[[str], Report]:
        return lambda shape: gradient(
            mean, "x", lambda dy, x: column(dy, x) / number(x) + 0 * x, x=shape
        )

    right = of(lambda x: x.size / x.shape[1])
    how = r"$\frac{1}{N L}$"
    return Judgement(at_both_shapes(of(lambda x: x.shape[0])), instead={how: right("N C L")})


def b13() -> Judgement:
    def of(total: Formula, number: Formula) -> Callable[[str], Report]:
        def formula(dy: Any, centred: Any, r: Any, x_hat: Any, W: Any) -> Any:
            N = number(dy)
            dx_hat = dy * W
            dvar = total(dx_hat * -centred * r**3 / 2)
            dmu = total(dx_hat * -r)
            return dx_hat * r + dvar * 2 * centred / N + dmu / N

        return of_batchnorm("x", formula)

    stated = of(lambda a: a.sum(axis=0, keepdims=True), lambda dy: dy.shape[0])
    right = of(lambda a: column(over_all(a), a), lambda dy: dy.size / dy.shape[1])
    how = r"with $\sum_n \sum_l$ and $N L$ for $N$"
    return Judgement(at_both_shapes(stated), instead={how: right("N C L")})


def b14() -> Judgement:
    def dx(dy: Any, centred: Any, r: Any, x_hat: Any, W: Any) -> Any:
        M = dy.size / dy.shape[1]
        dx_hat = dy * W
        dvar = column(over_all(dx_hat * -centred * r**3 / 2), dy)
        return dx_hat * r + dvar * 2 * centred / M - column(over_all(dx_hat * r), dy) / M

    dW = of_batchnorm("W", lambda dy, c, r, x_hat, W: over_all(dy * x_hat))
    without_W = of_batchnorm("x", lambda dy, c, r, x_hat, W: dx(dy, c, r, x_hat, 1 + 0 * W))
    without_centred = of_batchnorm("x", lambda dy, c, r, x_hat, W: dx(dy, x_hat / r, r, x_hat, W))
    return Judgement(
        readings={
            "enough for $dx$, together with $W$": of_batchnorm("x", dx)("N C L"),
            "enough for $dW$": dW("N C L"),
            "enough for $dx$, with 1 for $W$": without_W("N C L"),
        },
        instead={r"$(x - \mu) = \hat x / r$ need not be kept": without_centred("N C L")},
    )


def b15() -> Judgement:
    def forward(x: Any, W: Any, b: Any, eps: float = 1e-5) -> tuple[Any, tuple[Any, ...]]:
        z, cache = batchnorm1d.forward(x, W, b, eps)
        return np.maximum(z, 0), (z, *cache)

    def of(formula: Formula) -> Report:
        return gradient(forward, "x", formula, x="N C L", W="C", b="C")

    def dx(dz: Any, *cache: Any) -> Any:
        return batchnorm1d.backward(dz, *cache)[0]

    return Judgement(
        readings={
            "$d_y$ is set to 0 where $|y|$ is not positive, before all else": of(
                lambda dy, z, *cache: dx(np.where(np.abs(np.maximum(z, 0)) > 0, dy, 0), *cache)
            ),
            r"$d_y$ is set to 0 where $y \le 0$, before all else": of(
                lambda dy, z, *cache: dx(np.where(np.maximum(z, 0) > 0, dy, 0), *cache)
            ),
            r"$\partial L/\partial x$ is set to 0 there, at the end": of(
                lambda dy, z, *cache: np.where(z > 0, dx(dy, *cache), 0)
            ),
            "$d_y$ is set to 0 where the absolute value before the ReLU is not positive": of(
                lambda dy, z, *cache: dx(np.where(np.abs(z) > 0, dy, 0), *cache)
            ),
        },
        instead={"the library's code": prove(batchnorm1d_relu, x="N C L")},
    )


def c1() -> Judgement:
    stated = output(conv1d.forward, lambda x, W, b: x @ W.T + b, Y="N C_out L", **CONV)
    right = output(conv1d.forward, lambda x, W, b: W @ x + b[:, None], Y="N C_out L", **CONV)
    how = r"$\mathrm{BatchMatMul}(W, x) + b$, with $b$ along the channels"
    return Judgement({"": stated}, instead={how: right})


def c2() -> Judgement:
    def windows_of_one(x: Any, W: Any, b: Any) -> Any:
        return np.einsum("nilk,oik->nol", x[..., None], W[..., None]) + b[:, None]

    return Judgement({"": output(conv1d.forward, windows_of_one, Y="N C_out L", **CONV)})


def c3() -> Judgement:
    def formula(dy: Any, x: Any, W: Any) -> Any:
        return (dy @ x.swapaxes(1, 2)).sum(axis=0)

    return Judgement({"": gradient(conv1d.forward, "W", formula, **CONV)})


def c4() -> Judgement:
    stated = gradient(conv1d.forward, "b", lambda dy, x, W: dy.sum(axis=(0, 2)), **CONV)
    return Judgement({"": stated})


def c5() -> Judgement:
    stated = gradient(conv1d.forward, "x", lambda dy, x, W: dy @ W.T, **CONV)
    right = gradient(conv1d.forward, "x", lambda dy, x, W: W.T @ dy, **CONV)
    return Judgement({"": stated}, instead={r"$\mathrm{BatchMatMul}(W^T, d_y)$": right})


def c6() -> Judgement:
    product = c5()
    how = r"$(C_{in}, C_{out}) \times (N, C_{out}, L) \rightarrow (N, C_{in}, L)$"
    return Judgement(product.stated, instead=dict.fromkeys([how], *product.instead.values()))


def m1() -> Judgement:
    stated = output(max_op.forward, lambda x, axis: x.max(-1), Y="N C", x="N C L")
    return Judgement({"": stated}, defines=True)


def m2() -> Judgement:
    def broadcast(dy: Any, x: Any, s: Any, axis: int) -> Any:
        # dy[..., :] is dy, of shape (N, C); copied to (N, C, L), as the shape line says
        return np.broadcast_to(dy[..., None], x.shape)

    def scattered(dy: Any, x: Any, s: Any, axis: int) -> Any:
        dx = np.zeros_like(x)
        np.put_along_axis(dx, s, dy[..., None], axis=-1)
        return dx

    right = gradient(max_op.forward, "x", scattered, x="N C L")
    return Judgement(
        {"": gradient(max_op.forward, "x", broadcast, x="N C L")},
        instead={r"$d_y$ at place $s$, 0 elsewhere": right},
    )


def t1() -> Judgement:
    def one_row_each(x: Any, t: Any) -> tuple[Any, tuple[Any, ...]]:
        return np.einsum("nc,ncd->nd", x, t), ()

    stated = output(one_row_each, lambda x, t: x @ t, Y="N C", x="N C", t="N C C")
    right = output(bmm.forward, lambda x, t: x @ t, Y="N L C", **SQUARE)
    return Judgement({"": stated}, instead={"$x$ and $y$ of shape $(N, L, C)$": right})


def t2() -> Judgement:
    stated = output(bmm.forward, lambda x, t: x @ t, Y="N L C", **SQUARE)
    return Judgement({"": stated}, defines=True)


def t3() -> Judgement:
    stated = gradient(bmm.forward, "x", lambda dy, x, t: dy @ t, **SQUARE)
    right = gradient(bmm.forward, "x", lambda dy, x, t: dy @ t.swapaxes(1, 2), **SQUARE)
    return Judgement({"": stated}, instead={r"$\mathrm{BatchMatMul}(d_y, t^T)$": right})


def t4() -> Judgement:
    stated = gradient(bmm.forward, "t", lambda dy, x, t: dy @ x, **SQUARE)
    right = gradient(bmm.forward, "t", lambda dy, x, t: x.swapaxes(1, 2) @ dy, **SQUARE)
    return Judgement({"": stated}, instead={r"$\mathrm{BatchMatMul}(x^T, d_y)$": right})


def t5() -> Judgement:
    in_the_order_of_t4 = gradient(
        bmm.forward, "t", lambda dy, x, t: dy.swapaxes(1, 2) @ x, **SQUARE
    )
    turned = gradient(bmm.forward, "t", lambda dy, x, t: x.swapaxes(1, 2) @ dy, **SQUARE)
    return Judgement(
        readings={r"$x^T \times d_y$": turned, r"$d_y^T \times x$": in_the_order_of_t4}
    )


JUDGES: dict[str, Callable[[], Judgement]] = {
    judge.__name__.upper(): judge
    for judge in (
        *(n1, l1, l2, l3, l4, l5, l6),
        *(b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15),
        *(c1, c2, c3, c4, c5, c6, m1, m2, t1, t2, t3, t4, t5),
    )
}
"""From the number of a statement to the function that judges it."""
