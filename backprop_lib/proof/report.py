"""What a proof answers: one verdict for each gradient, a counterexample where it is wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Status = Literal["proven", "refuted", "shape error", "undecided", "not answered yet"]


@dataclass(frozen=True)
class Counterexample:
    """Exact inputs at which a claimed gradient is not the gradient."""

    sizes: Mapping[str, int]
    inputs: Mapping[str, np.ndarray]
    """The inputs and the upstream gradient dy, as arrays of exact numbers."""
    entry: tuple[int, ...]
    true: np.ndarray
    claimed: np.ndarray

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} = {size}" for name, size in self.sizes.items())
        lines = [f"with {sizes} and"]
        lines += [f"  {name} = {_plain(array)}" for name, array in self.inputs.items()]
        lines.append(f"the gradient is {_plain(self.true)}, the claim {_plain(self.claimed)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Verdict:
    """What is known of one gradient."""

    gradient: str
    status: Status
    reason: str
    """What was shown, or what went wrong."""
    counterexample: Counterexample | None = None

    def __repr__(self) -> str:
        line = f"{self.gradient}: {self.status}{self.reason}"
        if self.counterexample is None:
            return line
        return line + "\n" + _indented(repr(self.counterexample))


@dataclass(frozen=True)
class Report:
    """The verdicts on a layer: true if every gradient is proven."""

    verdicts: tuple[Verdict, ...]

    def __bool__(self) -> bool:
        return bool(self.verdicts) and all(v.status == "proven" for v in self.verdicts)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __getitem__(self, gradient: str) -> Verdict:
        for verdict in self.verdicts:
            if verdict.gradient == gradient:
                return verdict
        names = ", ".join(verdict.gradient for verdict in self.verdicts)
        raise KeyError(f"{gradient} is not among the gradients {names}")

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.verdicts))


def _plain(array: np.ndarray) -> str:
    return str(array.tolist())


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())
