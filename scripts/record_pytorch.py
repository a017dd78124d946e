"""Record what PyTorch computes, as data for the book and its tests.

PyTorch is no dependency of the book. To record again, in an environment of its own:

    pip install torch==2.13.0 numpy
    python scripts/record_pytorch.py            (--check compares with what is recorded)
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).resolve().parent.parent / "backprop_lib" / "recorded"
Shapes = dict[str, tuple[int, ...]]


def linear() -> Iterator[Shapes]:
    """Yield the shapes: not square, one sample, one channel, and square."""
    for n, c_in, c_out in [(4, 3, 2), (1, 3, 2), (5, 1, 4), (2, 3, 3)]:
        yield {"x": (n, c_in), "W": (c_out, c_in), "b": (c_out,)}


LAYERS: dict[str, tuple[Callable[..., torch.Tensor], Callable[[], Iterator[Shapes]]]] = {
    "linear": (torch.nn.functional.linear, linear),
}


def record(name: str) -> str:
    """Run one layer at all its shapes and return the text of its file."""
    forward, shapes = LAYERS[name]
    rng = np.random.default_rng(0)
    cases = []
    for shape in shapes():
        drawn = {key: draw(rng, size) for key, size in shape.items()}
        dy = draw(rng, tuple(forward(*map(torch.tensor, drawn.values())).shape))
        for dtype in (torch.float64, torch.float32):
            inputs = {
                key: torch.tensor(value, dtype=dtype, requires_grad=True)
                for key, value in drawn.items()
            }
            upstream = torch.tensor(dy, dtype=dtype)
            y = forward(*inputs.values())
            y.backward(upstream)
            cases.append(
                {
                    "dtype": str(dtype).removeprefix("torch."),
                    "inputs": {key: value.tolist() for key, value in inputs.items()},
                    "dy": upstream.tolist(),
                    "y": y.tolist(),
                    "gradients": {key: value.grad.tolist() for key, value in inputs.items()},
                }
            )
    made = {"made_by": "scripts/record_pytorch.py", "torch": torch.__version__.split("+")[0]}
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    return json.dumps(made)[:-1] + ',\n "cases": [\n' + lines + "\n]}\n"


def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw normal numbers with three decimals, short to write and far from round in binary."""
    return rng.standard_normal(shape).round(3)


def main() -> None:
    """Write the files, or compare them with what this PyTorch computes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    for name in LAYERS:
        path, text = FOLDER / f"{name}.json", record(name)
        if not check:
            path.write_text(text, encoding="utf8")
        elif path.read_text(encoding="utf8") != text:
            sys.exit(f"{path.name} is not what PyTorch {torch.__version__} computes")
        print(f"{path.name}: {'as recorded' if check else 'written'}")


if __name__ == "__main__":
    main()
