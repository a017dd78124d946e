"""Train a PointNet from the command line: python -m backprop_lib.pointnet train.

Ctrl-C ends after the step that is under way, and saves; --resume goes on from there.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from types import FrameType

import numpy as np

from backprop_lib import data
from backprop_lib.pointnet import weights
from backprop_lib.pointnet.network import PointNet, Settings
from backprop_lib.pointnet.training import Plan, Training, accuracy

INTERRUPTED = 130
EPILOG = """\
Examples:

  python -m backprop_lib.pointnet train --out digits.npz
  python -m backprop_lib.pointnet train --resume digits.npz
  python -m backprop_lib.pointnet test digits.npz
  python -m backprop_lib.pointnet train --data ModelNet10 --size paper --batch 24 --out shapes.npz

Ctrl-C saves and ends with the status 130; a second Ctrl-C ends at once. The file is also written
after every epoch. The exit status is 0 if all went well, and 2 if something did not fit.
"""
SIZES = {
    "small": Settings(
        local=(32, 32),
        features=(64, 512),
        head=(128,),
        transform=(32, 64),
        transform_head=(32,),
        dropout=0.4,
    ),
    "paper": Settings(),
}
FOR_DIGITS = {"batch": 24, "turn": 0.25, "stretch": 0.15, "shift": 0.12, "jitter": 0.03}
"""Small batches, and by how much the digits are changed each time they are seen."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        if given.command == "test":
            return _test(given)
        return _train(given)
    except (OSError, ValueError, TypeError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m backprop_lib.pointnet",
        description="Train a PointNet on handwritten digits, or on 3-D shapes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train, or go on training")
    test = commands.add_parser("test", help="tell how many samples of the test set are recognised")
    test.add_argument("weights", type=Path, metavar="FILE", help="what train has written")
    for command in (train, test):
        command.add_argument(
            "--data",
            default="digits",
            metavar="digits|FOLDER",
            help="the book's digits (default), or FOLDER/CLASS/train/*.off and .../test/*.off",
        )
        command.add_argument(
            "--points", type=int, default=1024, help="points on each 3-D shape (default 1024)"
        )
        command.add_argument(
            "--readable",
            action="store_true",
            help="layer by layer, not in the derived form, which is faster",
        )
    train.add_argument("--out", type=Path, metavar="FILE", help="where to save (.npz)")
    train.add_argument("--resume", type=Path, metavar="FILE", help="go on with what is in a file")
    train.add_argument("--size", choices=SIZES, help="of the network (default small)")
    types = {"schedule": str, "epochs": int, "batch": int, "seed": int}
    defaults = Plan()
    for field in fields(Plan):
        train.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=types.get(field.name, float),
            metavar=field.name.upper(),
            help=f"of the training's plan (default {_default(field.name, defaults)})",
        )
    return parser


def _default(name: str, plan: Plan) -> str:
    return f"{getattr(plan, name)}" + (
        f", for digits {FOR_DIGITS[name]}" if name in FOR_DIGITS else ""
    )


def _train(given: argparse.Namespace) -> int:
    out = given.out or given.resume
    if out is None:
        raise ValueError("--out is missing: where is the network to be saved?")
    if not out.parent.is_dir():
        raise ValueError(f"--out is {out}, but there is no folder {out.parent}")
    (points, labels), test, classes = _data(given)
    chosen = {
        field.name: getattr(given, field.name)
        for field in fields(Plan)
        if getattr(given, field.name) is not None
    }
    if given.resume:
        if chosen or given.size:
            told = ", ".join(sorted(chosen) + (["size"] if given.size else []))
            raise ValueError(f"--resume goes on as it was begun: leave out {told}")
        training = Training.resume(given.resume, points, labels, derived=not given.readable)
    else:
        plan = Plan(**({**FOR_DIGITS, **chosen} if given.data == "digits" else chosen))
        size = SIZES[given.size or "small"]
        settings = replace(size, channels=points.shape[1], classes=classes)
        network = PointNet(settings, derived=not given.readable, seed=plan.seed)
        training = Training(network, plan, points, labels)
    return _run(training, test, out)


def _run(training: Training, test: tuple[np.ndarray, np.ndarray], out: Path) -> int:
    count = sum(value.size for value in training.network.parameters.values())
    print(
        f"{count} parameters, {len(training.labels)} samples to learn from, {len(test[1])} to test"
    )
    began, losses = time.monotonic(), []
    with _asked_to_stop() as is_asked:
        for step in training.steps():
            losses.append(step.loss)
            _show(f"epoch {step.epoch}, step {step.batch} of {step.batches}, loss {step.loss:.3f}")
            if step.batch == step.batches:
                training.save(out)
                share = accuracy(training.network, *test)
                _show("")
                print(
                    f"epoch {step.epoch} of {training.plan.epochs}: loss {np.mean(losses):.4f}, "
                    f"test {share:.2%}, {time.monotonic() - began:.0f} s",
                    flush=True,
                )
                losses.clear()
            if is_asked() and not training.done:
                training.save(out)
                _show("")
                print(f"saved in {out}; to go on: --resume {out}", file=sys.stderr)
                return INTERRUPTED
    training.save(out)
    print(f"saved in {out}")
    return 0


def _test(given: argparse.Namespace) -> int:
    network = weights.load(given.weights, derived=not given.readable)
    _, (points, labels), classes = _data(given)
    if classes != network.settings.classes:
        raise ValueError(
            f"{given.weights} tells {network.settings.classes} classes apart, and "
            f"{given.data} has {classes}"
        )
    share = accuracy(network, points.astype(network.dtype), labels)
    print(f"{round(share * len(labels))} of {len(labels)} recognised, {share:.2%}")
    return 0


Samples = tuple[np.ndarray, np.ndarray]


def _data(given: argparse.Namespace) -> tuple[Samples, Samples, int]:
    """Return the points and labels to learn from, those to test with, and the number of classes."""
    if given.data == "digits":
        digits = data.digits()
        points = digits.as_points(np.float32)
        learn, test = data.split(digits.labels)
        return (points[learn], digits.labels[learn]), (points[test], digits.labels[test]), 10
    rng = np.random.default_rng(0)
    parts = [
        data.read_shapes(given.data, given.points, rng, "train"),
        data.read_shapes(given.data, given.points, rng, "test"),
    ]
    first, second = [(part.points.astype(np.float32), part.labels) for part in parts]
    return first, second, len(parts[0].classes)


def _show(text: str) -> None:
    """Overwrite the line on a terminal that says how far it is."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C be answered between two steps; the second one ends at once."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    sys.exit(main())
