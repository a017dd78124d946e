"""Record what PyTorch computes, as data for the book and its tests.

PyTorch is no dependency of the book: make record runs this in an environment of its own. A file
that says the same but for rounding is left as it is.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

FOLDER = Path(__file__).resolve().parent.parent / "backprop_lib" / "recorded"
Tensors = dict[str, torch.Tensor]


@dataclass
class Run:
    """One call of PyTorch: the shapes of its inputs, and what is constant."""

    call: Callable[..., torch.Tensor]
    """From the inputs, by name, to y."""
    shapes: dict[str, tuple[int, ...]]
    const: dict[str, Any] = field(default_factory=dict)
    """What our forward takes beside the inputs; `call` knows it."""
    after: Tensors = field(default_factory=dict)
    """What `call` left behind, such as running statistics."""


Runs = Iterator[Run]
CHANNELS = [(6, 3), (7, 1), (4, 3, 5), (1, 3, 5), (5, 2, 1), (3, 3, 3)]
"""Shapes of x: (N, C) and (N, C, L), one sample, one place, one channel, all equal."""


def linear(_: torch.dtype) -> Runs:
    """Yield not square, one sample, one channel, and square."""
    for n, c_in, c_out in [(4, 3, 2), (1, 3, 2), (5, 1, 4), (2, 3, 3)]:
        yield Run(by_name(F.linear), {"x": (n, c_in), "W": (c_out, c_in), "b": (c_out,)})


def by_name(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Call a function with the values of its keywords, in their order."""
    return lambda **inputs: function(*inputs.values())


def batchnorm1d(dtype: torch.dtype, *, relu: bool = False) -> Runs:
    """Yield training mode, with the running statistics that one batch leaves behind."""
    for shape in CHANNELS:
        c = shape[1]
        layer = torch.nn.BatchNorm1d(c, dtype=dtype)
        after: Tensors = {}

        def call(
            x: torch.Tensor,
            W: torch.Tensor,
            b: torch.Tensor,
            layer: torch.nn.BatchNorm1d = layer,
            after: Tensors = after,
        ) -> torch.Tensor:
            layer.reset_running_stats()
            y = torch.func.functional_call(layer, {"weight": W, "bias": b}, (x,))
            after.update(mean=layer.running_mean, var=layer.running_var)
            return F.relu(y) if relu else y

        yield Run(call, {"x": shape, "W": (c,), "b": (c,)}, {"eps": 1e-5}, after)


def batchnorm1d_evaluation(dtype: torch.dtype, *, relu: bool = False) -> Runs:
    """Yield evaluation mode, with a mean and a variance that are given."""
    rng = np.random.default_rng(7)
    for shape in CHANNELS:
        c = shape[1]
        mean, var = rng.standard_normal(c).round(3), rng.uniform(0.3, 3, c).round(3)
        given = [torch.tensor(values, dtype=dtype) for values in (mean, var)]

        def call(
            x: torch.Tensor, W: torch.Tensor, b: torch.Tensor, given: list[torch.Tensor] = given
        ) -> torch.Tensor:
            y = F.batch_norm(x, *given, W, b, training=False, eps=1e-5)
            return F.relu(y) if relu else y

        const = {"mean": mean.tolist(), "var": var.tolist(), "eps": 1e-5}
        yield Run(call, {"x": shape, "W": (c,), "b": (c,)}, const)


def conv1d(_: torch.dtype) -> Runs:
    """Yield kernel 1: not square, one sample, one place, one channel, and square."""
    for n, c_in, c_out, length in [
        (3, 4, 2, 5),
        (1, 3, 2, 4),
        (4, 3, 2, 1),
        (2, 1, 3, 4),
        (2,) * 4,
    ]:
        shapes = {"x": (n, c_in, length), "W": (c_out, c_in), "b": (c_out,)}
        yield Run(lambda x, W, b: F.conv1d(x, W[:, :, None], b), shapes)


def conv1d_general(_: torch.dtype) -> Runs:
    """Yield every setting on its own and all together; a kernel as long as the input."""
    for n, c_in, c_out, length, k, stride, padding, dilation in [
        (2, 3, 2, 7, 3, 1, 0, 1),
        (2, 3, 2, 8, 3, 2, 0, 1),
        (2, 1, 4, 5, 3, 1, 1, 1),
        (1, 3, 2, 9, 3, 1, 0, 2),
        (2, 2, 3, 10, 4, 3, 2, 2),
        (3, 2, 4, 5, 5, 1, 0, 1),
        (2, 3, 2, 1, 1, 1, 0, 1),
        (2, 2, 2, 6, 2, 4, 0, 1),
    ]:
        const = {"stride": stride, "padding": padding, "dilation": dilation}
        shapes = {"x": (n, c_in, length), "W": (c_out, c_in, k), "b": (c_out,)}
        yield Run(lambda x, W, b, const=const: F.conv1d(x, W, b, **const), shapes, const)


def maximum(_: torch.dtype) -> Runs:
    """Yield every axis; one sample, one place."""
    for shape, axis in [
        ((3, 4, 5), -1),
        ((3, 4, 5), 0),
        ((3, 4, 5), 1),
        ((1, 3, 4), -1),
        ((4, 3, 1), -1),
        ((6,), 0),
        ((2, 3, 4, 2), 2),
    ]:
        call = lambda x, axis=axis: x.max(dim=axis).values  # noqa: E731
        yield Run(call, {"x": shape}, {"axis": axis})


def bmm(_: torch.dtype) -> Runs:
    """Yield not square, one sample, one place, and square as in PointNet."""
    for n, length, c, d in [(3, 4, 2, 5), (1, 5, 3, 3), (4, 1, 2, 3), (2, 6, 3, 3), (2, 3, 1, 4)]:
        yield Run(by_name(torch.bmm), {"x": (n, length, c), "t": (n, c, d)})


def log_softmax_nll(_: torch.dtype) -> Runs:
    """Yield mean and sum; one sample, two classes, one class."""
    rng = np.random.default_rng(8)
    for n, c in [(5, 4), (1, 4), (6, 2), (3, 1), (4, 4)]:
        labels = rng.integers(c, size=n)
        for reduction in ("mean", "sum"):

            def call(
                x: torch.Tensor, labels: np.ndarray = labels, reduction: str = reduction
            ) -> torch.Tensor:
                return F.nll_loss(
                    F.log_softmax(x, dim=1), torch.tensor(labels), reduction=reduction
                )

            yield Run(call, {"x": (n, c)}, {"t": labels.tolist(), "reduction": reduction})


def orthogonality(dtype: torch.dtype) -> Runs:
    """Yield several sizes; PointNet's are 3 and 64."""
    for n, c in [(3, 4), (1, 3), (4, 1), (2, 2)]:

        def call(A: torch.Tensor, c: int = c) -> torch.Tensor:
            gap = torch.bmm(A, A.transpose(1, 2)) - torch.eye(c, dtype=dtype)
            return torch.linalg.matrix_norm(gap) ** 2

        yield Run(call, {"A": (n, c, c)})


def dropout(dtype: torch.dtype) -> Runs:
    """Yield training mode; the mask is what the same seed makes of ones."""
    for shape, p in [((4, 5), 0.3), ((1, 7), 0.5), ((3, 2, 4), 0.25), ((6,), 0.0)]:

        def call(x: torch.Tensor, p: float = p) -> torch.Tensor:
            torch.manual_seed(9)
            return F.dropout(x, p, training=True)

        mask = call(torch.ones(shape, dtype=torch.float64))
        assert torch.equal(call(torch.ones(shape, dtype=dtype)) > 0, mask > 0)
        yield Run(call, {"x": shape}, {"mask": mask.tolist()})


PARTS: dict[str, tuple[int, tuple[int, ...], tuple[int, ...], int]] = {
    "input_transform": (3, (4, 5), (4,), 9),
    "local": (3, (4, 3), (), 0),
    "feature_transform": (3, (4, 5), (4,), 9),
    "features": (3, (5, 6), (), 0),
    "head": (6, (), (5,), 4),
}
"""Of a tiny PointNet: inputs, sizes of the convolutions, of the linear layers, and outputs."""
REGULARISER = 0.1


@dataclass
class TinyPointNet:
    """A PointNet without dropout, from its parameters and running statistics by name."""

    given: Tensors
    running: Tensors
    """In training they are moved on in place."""
    training: bool

    def block(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Apply a linear map at each point, BatchNorm and ReLU."""
        W, gamma, beta = (self.given[f"{name}.{key}"] for key in ("W", "gamma", "beta"))
        z = F.linear(x, W) if x.ndim == 2 else F.conv1d(x, W[:, :, None])
        kept = [self.running[f"{name}.{key}"] for key in ("mean", "var")]
        return F.relu(F.batch_norm(z, *kept, gamma, beta, training=self.training))

    def points(self, part: str, x: torch.Tensor) -> torch.Tensor:
        """Apply a part's convolutions."""
        for number in range(len(PARTS[part][1])):
            x = self.block(f"{part}.conv{number + 1}", x)
        return x

    def vector(self, part: str, x: torch.Tensor) -> torch.Tensor:
        """Apply a part's linear layers."""
        for number in range(len(PARTS[part][2])):
            x = self.block(f"{part}.linear{number + 1}", x)
        return F.linear(x, self.given[f"{part}.out.W"], self.given[f"{part}.out.b"])

    def transform(self, part: str, x: torch.Tensor) -> torch.Tensor:
        """Return a matrix for each sample."""
        out = self.vector(part, self.points(part, x).max(dim=2).values)
        return out.reshape(-1, 3, 3) + torch.eye(3, dtype=x.dtype)

    def loss(self, labels: torch.Tensor, regulariser: float) -> torch.Tensor:
        """Return the loss, with the penalty of the feature transform."""
        x = self.given["points"]
        h = self.points("local", transform_points(x, self.transform("input_transform", x)))
        t = self.transform("feature_transform", h)
        feature = self.points("features", transform_points(h, t)).max(dim=2).values
        scores = self.vector("head", feature)
        gap = torch.bmm(t, t.transpose(1, 2)) - torch.eye(3, dtype=t.dtype)
        penalty = (torch.linalg.matrix_norm(gap) ** 2).mean()
        return F.nll_loss(F.log_softmax(scores, dim=1), labels) + regulariser * penalty


def transform_points(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Turn the points of each sample by its matrix."""
    return torch.bmm(x.transpose(1, 2), t).transpose(1, 2)


def blocks() -> dict[str, tuple[int, int]]:
    """Return each block of the tiny PointNet with its inputs and outputs."""
    found = {}
    for part, (size, convolutions, linears, _) in PARTS.items():
        for kind, sizes in (("conv", convolutions), ("linear", linears)):
            for number, c in enumerate(sizes):
                found[f"{part}.{kind}{number + 1}"] = (size, c)
                size = c
    return found


def pointnet(dtype: torch.dtype) -> Runs:
    """Yield the loss of a tiny PointNet in training and evaluation; one point, one sample."""
    shapes: dict[str, tuple[int, ...]] = {}
    running: dict[str, np.ndarray] = {}
    rng = np.random.default_rng(10)
    for name, (size, c) in blocks().items():
        shapes |= {f"{name}.W": (c, size), f"{name}.gamma": (c,), f"{name}.beta": (c,)}
        running[f"{name}.mean"] = rng.standard_normal(c).round(3)
        running[f"{name}.var"] = rng.uniform(0.3, 3, c).round(3)
    for part, (_, convolutions, linears, outputs) in PARTS.items():
        if outputs:
            size = (*convolutions, *linears)[-1]
            shapes |= {f"{part}.out.W": (outputs, size), f"{part}.out.b": (outputs,)}
    for training, points in [
        (True, (5, 3, 7)),
        (True, (4, 3, 1)),
        (False, (1, 3, 4)),
        (False, (3, 3, 1)),
    ]:
        labels = rng.integers(4, size=points[0]).tolist()
        after: Tensors = {}

        def call(
            training: bool = training,
            labels: list[int] = labels,
            after: Tensors = after,
            **given: torch.Tensor,
        ) -> torch.Tensor:
            kept = {name: torch.tensor(value, dtype=dtype) for name, value in running.items()}
            loss = TinyPointNet(given, kept, training).loss(torch.tensor(labels), REGULARISER)
            if training:
                after.update(kept)
            return loss

        const = {
            "labels": labels,
            "regulariser": REGULARISER,
            "training": training,
            **{name: value.tolist() for name, value in running.items()},
        }
        yield Run(call, {"points": points, **shapes}, const, after)


LAYERS: dict[str, Callable[[torch.dtype], Runs]] = {
    "linear": linear,
    "batchnorm1d": batchnorm1d,
    "batchnorm1d_evaluation": batchnorm1d_evaluation,
    "batchnorm1d_relu": lambda dtype: batchnorm1d(dtype, relu=True),
    "batchnorm1d_relu_evaluation": lambda dtype: batchnorm1d_evaluation(dtype, relu=True),
    "conv1d": conv1d,
    "conv1d_general": conv1d_general,
    "max": maximum,
    "bmm": bmm,
    "log_softmax_nll": log_softmax_nll,
    "orthogonality": orthogonality,
    "dropout": dropout,
    "pointnet": pointnet,
}


def record(name: str) -> str:
    """Run one layer at all its shapes, in both precisions, and return the text of its file."""
    rng = np.random.default_rng(0)
    cases = []
    for double, single in zip(
        LAYERS[name](torch.float64), LAYERS[name](torch.float32), strict=True
    ):
        drawn = {key: draw(rng, size) for key, size in double.shapes.items()}
        y = double.call(**{key: torch.tensor(value) for key, value in drawn.items()})
        dy = draw(rng, tuple(y.shape))
        cases += [case(double, drawn, dy, torch.float64), case(single, drawn, dy, torch.float32)]
    made = {"made_by": "scripts/record_pytorch.py", "torch": torch.__version__.split("+")[0]}
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    return json.dumps(made)[:-1] + ',\n "cases": [\n' + lines + "\n]}\n"


def case(
    run: Run, drawn: dict[str, np.ndarray], dy: np.ndarray, dtype: torch.dtype
) -> dict[str, Any]:
    """Run forward and backward in one precision."""
    inputs = {
        key: torch.tensor(value, dtype=dtype, requires_grad=True) for key, value in drawn.items()
    }
    upstream = torch.tensor(dy, dtype=dtype)
    y = run.call(**inputs)
    y.backward(upstream)
    found = {
        "dtype": str(dtype).removeprefix("torch."),
        "inputs": {key: value.tolist() for key, value in inputs.items()},
        "const": run.const,
        "dy": upstream.tolist(),
        "y": y.tolist(),
        "gradients": {key: value.grad.tolist() for key, value in inputs.items()},
        "after": {key: value.tolist() for key, value in run.after.items()},
    }
    return {key: value for key, value in found.items() if value != {}}


def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw normal numbers with three decimals, short to write and far from round in binary."""
    return np.asarray(rng.standard_normal(shape)).round(3)


def agree(recorded: dict[str, Any], now: dict[str, Any]) -> bool:
    """Say whether two recordings differ by no more than processors round differently."""

    def near(a: Any, b: Any, limit: float) -> bool:
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(near(a[key], b[key], limit) for key in a)
        if isinstance(a, list) and np.size(a) and np.asarray(a).dtype.kind == "f":
            a, b = np.asarray(a), np.asarray(b)
            return a.shape == b.shape and bool(np.abs(a - b).max() <= limit * np.abs(a).max())
        return bool(abs(a - b) <= limit * abs(a) if isinstance(a, float) else a == b)

    limits = {"float64": 1e-12, "float32": 1e-5}
    cases, fresh = recorded.pop("cases"), now.pop("cases")
    return (
        recorded == now
        and len(cases) == len(fresh)
        and all(
            near(case, new, limits[case["dtype"]]) for case, new in zip(cases, fresh, strict=True)
        )
    )


def main() -> None:
    """Write the files that are not what this PyTorch computes, or stop at the first one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    for name in LAYERS:
        path, text = FOLDER / f"{name}.json", record(name)
        recorded = path.read_text(encoding="utf8") if path.is_file() else '{"cases": []}'
        if agree(json.loads(recorded), json.loads(text)):
            print(f"{path.name}: as recorded")
        elif check:
            sys.exit(f"{path.name} is not what PyTorch {torch.__version__} computes")
        else:
            path.write_text(text, encoding="utf8")
            print(f"{path.name}: written")


if __name__ == "__main__":
    main()
