"""PyTorch, as one would write it: nn.Module, autograd, torch.optim.Adam.

ReLU in place and the fused Adam are the faster of what PyTorch offers, if only by a few percent.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bench.network import RATE, REGULARISER, Sizes, draw_parameters
from bench.peers import Arrays, Program
from bench.tasks import STEP, Task, draw_inputs


def prepare(task: Task) -> Program:
    """Return a task as PyTorch computes it."""
    torch.set_num_threads(task.threads)
    return Step(task) if task.name == STEP else LayerRun(task)


def convolution(c_in: int, c_out: int) -> nn.Module:
    """Return a convolution with kernel 1, BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Conv1d(c_in, c_out, 1, bias=False), nn.BatchNorm1d(c_out), nn.ReLU(inplace=True)
    )


def linear(c_in: int, c_out: int) -> nn.Module:
    """Return a linear layer, BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Linear(c_in, c_out, bias=False), nn.BatchNorm1d(c_out), nn.ReLU(inplace=True)
    )


def chain(block: Callable[[int, int], nn.Module], *channels: int) -> nn.Sequential:
    """Return blocks, one after the other."""
    return nn.Sequential(*[block(c_in, c_out) for c_in, c_out in pairwise(channels)])


class Transform(nn.Module):
    """Predict a matrix for each sample: the identity plus what a small PointNet says."""

    identity: Tensor

    def __init__(self, channels: int, convolutions: tuple[int, ...], linears: tuple[int, ...]):
        super().__init__()
        self.conv = chain(convolution, channels, *convolutions)
        self.linear = chain(linear, convolutions[-1], *linears)
        self.out = nn.Linear(linears[-1], channels**2)
        self.register_buffer("identity", torch.eye(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return matrices of shape (N, channels, channels)."""
        h = self.out(self.linear(torch.max(self.conv(x), dim=2).values))
        return torch.unflatten(h, 1, self.identity.shape) + self.identity


class PointNet(nn.Module):
    """PointNet for classification."""

    def __init__(self, sizes: Sizes, dropout: float):
        super().__init__()
        width = sizes.local[-1]
        self.input_transform = Transform(sizes.channels, sizes.transform, sizes.transform_head)
        self.feature_transform = Transform(width, sizes.transform, sizes.transform_head)
        self.local = nn.ModuleDict({"conv": chain(convolution, sizes.channels, *sizes.local)})
        self.features = nn.ModuleDict({"conv": chain(convolution, width, *sizes.features)})
        self.dropout = nn.Dropout(dropout)
        self.head = nn.ModuleDict(
            {
                "linear": chain(linear, sizes.features[-1], *sizes.head),
                "out": nn.Linear(sizes.head[-1], sizes.classes),
            }
        )

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logarithms of the probabilities, and the feature transforms."""
        h = torch.bmm(self.input_transform(points).transpose(1, 2), points)
        h = self.local["conv"](h)
        matrices = self.feature_transform(h)
        h = torch.bmm(matrices.transpose(1, 2), h)
        h = torch.max(self.features["conv"](h), dim=2).values
        h = self.dropout(self.head["linear"](h))
        return F.log_softmax(self.head["out"](h), dim=1), matrices

    def named_as_in_the_book(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield each parameter by the name that it has in this book."""
        parts = {("0", "weight"): "W", ("1", "weight"): "gamma", ("1", "bias"): "beta"}
        for name, parameter in self.named_parameters():
            part, kind, *rest = name.split(".")
            if kind == "out":
                yield f"{part}.out.{'W' if rest == ['weight'] else 'b'}", parameter
            else:
                number, *inner = rest
                yield f"{part}.{kind}{int(number) + 1}.{parts[inner[0], inner[1]]}", parameter


class Step:
    """The whole training step."""

    def __init__(self, task: Task):
        sizes, dtype = task.sizes, task.dtype
        self.net = PointNet(sizes, task.dropout).to(getattr(torch, dtype)).train()
        drawn = draw_parameters(sizes, dtype)
        with torch.no_grad():
            for name, parameter in self.net.named_as_in_the_book():
                parameter.copy_(torch.from_numpy(drawn.pop(name)).view_as(parameter))
        if drawn:
            raise ValueError(f"the network has no parameters {sorted(drawn)}")
        points, labels = task.draw_batch()
        self.points, self.labels = torch.from_numpy(points), torch.from_numpy(labels)
        self.adam = torch.optim.Adam(self.net.parameters(), lr=RATE, fused=True)

    def loss(self) -> Tensor:
        """Return the loss, and keep its gradients with the parameters."""
        self.adam.zero_grad(set_to_none=True)
        log_p, A = self.net(self.points)
        E = torch.bmm(A, A.transpose(1, 2)) - torch.eye(A.shape[1], dtype=A.dtype)
        loss = F.nll_loss(log_p, self.labels) + REGULARISER * (E * E).sum(dim=(1, 2)).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def run(self) -> float:
        """Forward, backward, and Adam's update."""
        loss = self.loss()
        self.adam.step()
        return float(loss)

    def values(self) -> Arrays:
        """Return the loss and all gradients."""
        loss = self.loss()
        gradients = {
            name: cast(Tensor, parameter.grad).numpy().reshape(shape_of(parameter))
            for name, parameter in self.net.named_as_in_the_book()
        }
        return {"loss": loss.numpy(), **gradients}

    def parameters(self) -> Arrays:
        """Return the parameters as they are now."""
        return {
            name: parameter.detach().numpy().reshape(shape_of(parameter))
            for name, parameter in self.net.named_as_in_the_book()
        }


def shape_of(parameter: Tensor) -> tuple[int, ...]:
    """Return a parameter's shape without the kernel's axis of size 1."""
    return tuple(parameter.shape[:2])


def normalise(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """Apply BatchNorm in training."""
    return F.batch_norm(x, None, None, gamma, beta, training=True)


def block(x: Tensor, W: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """Apply a convolution with kernel 1, BatchNorm and ReLU."""
    return F.relu(normalise(F.conv1d(x, W[:, :, None]), gamma, beta), inplace=True)


FORWARD: dict[str, Callable[..., Tensor]] = {
    "product": torch.mm,
    "conv": lambda x, W, b: F.conv1d(x, W[:, :, None], b),
    "linear": F.linear,
    "bmm": torch.bmm,
    "max": lambda x: torch.max(x, dim=2).values,
    "batchnorm": normalise,
    "batchnorm+relu": lambda *inputs: F.relu(normalise(*inputs), inplace=True),
    "block": block,
    "block+max": lambda *inputs: torch.max(block(*inputs), dim=2).values,
}


class LayerRun:
    """A layer, forward and backward."""

    def __init__(self, task: Task):
        inputs, dy = draw_inputs(task)
        self.names = list(inputs)
        self.inputs = [torch.from_numpy(value).requires_grad_() for value in inputs.values()]
        self.dy = torch.from_numpy(dy)
        self.forward = FORWARD[task.layer.kind]

    def run(self) -> Any:
        """Return the output and the gradient of each input."""
        if self.forward is torch.mm:
            with torch.no_grad():
                return self.forward(*self.inputs), ()
        y = self.forward(*self.inputs)
        return y, torch.autograd.grad(y, self.inputs, self.dy)

    def values(self) -> Arrays:
        """Return them by name."""
        y, gradients = self.run()
        named = {f"d{name}": d.numpy() for name, d in zip(self.names, gradients, strict=False)}
        return {"y": np.asarray(y.detach()), **named}
