"""Train a PointNet from the command line: python -m backprop_lib.pointnet train.

Ctrl-C ends after the step that is under way, and saves; --resume goes on from there.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import numpy as np

from backprop_lib import data
from backprop_lib.pointnet import weights
from backprop_lib.pointnet.network import PointNet, Settings
from backprop_lib.pointnet.training import Plan, Training, accuracy

BY_SIGNAL = 128
"""What shells add to the number of the signal that ended a command: 130 is Ctrl-C's status."""
CLOSED_PIPE = 141
POINTS = 1024
EPILOG = """\
Examples:

  python -m backprop_lib.pointnet train --out digits.npz
  python -m backprop_lib.pointnet train --resume digits.npz
  python -m backprop_lib.pointnet test digits.npz
  python -m backprop_lib.pointnet train --data ModelNet10 --size paper --batch 24 --out shapes.npz

Ctrl-C saves and ends with the status 130; a second Ctrl-C ends at once. So do SIGTERM, with the
status 143, and SIGHUP, with 129. A signal that was ignored before, as by nohup, stays ignored. The
file is also written after every epoch; a symbolic link is followed. The exit status is 0 if all
went well, and 2 if something did not fit.
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
    given = _parser().parse_args(arguments)
    try:
        with _answered_by(_interrupt):
            return _test(given) if given.command == "test" else _train(given)
    except _SignalError as interrupted:
        _show("")
        print(f"interrupted by {interrupted.signal.name}", file=sys.stderr)
        return BY_SIGNAL + interrupted.signal
    except (OSError, ValueError, TypeError, OverflowError, MemoryError) as problem:
        _show("")
        print(f"error: {_in_words(problem)}", file=sys.stderr)
        return 2


def _in_words(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.filename:
        return f"{problem.filename}: {problem.strerror}"
    if isinstance(problem, MemoryError):
        return f"the memory is not enough: {problem}"
    return str(problem)


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
            "--points", type=int, help=f"points on each 3-D shape (default {POINTS})"
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
    out = _where_to_save(given)
    begin = _resumer(given) if given.resume else _starter(given)
    source = _source(given, "train", "test")
    training = begin(source)
    test = source.read("test")
    weights.check_place(out, size=3 * sum(a.nbytes for a in training.network.parameters.values()))
    return _run(training, test, out)


def _where_to_save(given: argparse.Namespace) -> Path:
    """Return where to save, after a look whether that can be done."""
    out: Path | None = given.out or given.resume
    if out is None:
        raise ValueError("--out is missing: where is the network to be saved?")
    weights.check_place(out)
    return out


@dataclass(frozen=True)
class _Source:
    """Where samples come from."""

    name: str
    classes: tuple[str, ...]
    read: Callable[[Literal["train", "test"]], tuple[np.ndarray, np.ndarray]]
    """From a part to its points and labels."""


def _chosen(given: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked for of the plan."""
    names = [field.name for field in fields(Plan)]
    return {name: getattr(given, name) for name in names if getattr(given, name) is not None}


def _starter(given: argparse.Namespace) -> Callable[[_Source], Training]:
    """Return what begins a training with the samples of a source."""
    chosen = _chosen(given)
    plan = Plan(**({**FOR_DIGITS, **chosen} if given.data == "digits" else chosen))

    def begin(source: _Source) -> Training:
        points, labels = source.read("train")
        if len(points) < plan.batch:
            raise ValueError(
                f"--batch is {plan.batch}, but {source.name} has {len(points)} samples to train on"
            )
        size = SIZES[given.size or "small"]
        settings = replace(size, channels=points.shape[1], classes=len(source.classes))
        network = PointNet(
            settings, derived=not given.readable, seed=plan.seed, class_names=source.classes
        )
        return Training(network, plan, points, labels)

    return begin


def _resumer(given: argparse.Namespace) -> Callable[[_Source], Training]:
    """Return what goes on with the training of a file, which is looked at first."""
    told = sorted(_chosen(given)) + (["size"] if given.size else [])
    if told:
        raise ValueError(f"--resume goes on as it was begun: leave out {', '.join(told)}")
    header, _ = weights.read(given.resume, "training")
    network = weights.network_from(given.resume, header, derived=True)

    def begin(source: _Source) -> Training:
        _check_classes(given.resume, network, source)
        training = Training.resume(given.resume, *source.read("train"), derived=not given.readable)
        training.network.class_names = source.classes  # those that an older file has not
        return training

    return begin


def _run(training: Training, test: tuple[np.ndarray, np.ndarray], out: Path) -> int:
    count = sum(value.size for value in training.network.parameters.values())
    _say(
        f"{count} parameters, {len(training.labels)} samples to learn from, {len(test[1])} to test"
    )
    began, losses = time.monotonic(), []
    with _asked_to_stop() as asked:
        for step in training.steps():
            losses.append(step.loss)
            if step.batch == step.batches:
                training.save(out)
                share = accuracy(training.network, *test)
                _say(
                    f"epoch {step.epoch} of {training.plan.epochs}: loss {np.mean(losses):.4f}, "
                    f"test {share:.2%}, {time.monotonic() - began:.0f} s"
                )
                losses.clear()
            if asked() and not training.done:
                training.save(out)
                _show("")
                print(f"saved in {out}; to go on: --resume {out}", file=sys.stderr)
                return BY_SIGNAL + asked()
            _show(f"epoch {step.epoch}, step {step.batch} of {step.batches}, loss {step.loss:.3f}")
    training.save(out)
    _say(f"saved in {out}")
    return 0


def _test(given: argparse.Namespace) -> int:
    network = weights.load(given.weights, derived=not given.readable)
    source = _source(given, "test")
    _check_classes(given.weights, network, source)
    if not network.class_names:
        print(
            f"note: {given.weights} does not name its classes, so they cannot be compared with "
            f"those of {source.name}",
            file=sys.stderr,
        )
    points, labels = source.read("test")
    share = accuracy(network, points.astype(network.dtype), labels)
    _say(f"{round(share * len(labels))} of {len(labels)} recognised, {share:.2%}")
    return 0


def _check_classes(file: Path, network: PointNet, source: _Source) -> None:
    """Refuse data of other classes than those that a network tells apart."""
    own, found = network.class_names, source.classes
    if len(found) != network.settings.classes:
        raise ValueError(
            f"{file} tells {network.settings.classes} classes apart"
            f"{_those_not_in(own, found)}, and {source.name} has {len(found)}"
            f"{_those_not_in(found, own)}"
        )
    if own and own != found:
        raise ValueError(
            f"{file} tells other classes apart{_those_not_in(own, found)} than {source.name} has"
            f"{_those_not_in(found, own)}"
        )


def _those_not_in(names: Sequence[str], others: Sequence[str], most: int = 5) -> str:
    only = [name for name in names if name not in others] or names
    return f" ({', '.join(only[:most])}{', ...' if len(only) > most else ''})" if only else ""


def _source(given: argparse.Namespace, *parts: Literal["train", "test"]) -> _Source:
    """Return where the samples come from, after a look whether these parts are there."""
    if given.data == "digits":
        if given.points is not None:
            raise ValueError("--points is for 3-D shapes: leave it out, or name them with --data")
        return _Source("digits", tuple("0123456789"), _read_digits)
    if not given.data:
        raise ValueError("--data is empty, expected digits, or a folder of 3-D shapes")
    count = POINTS if given.points is None else given.points
    if count < 2:
        raise ValueError(f"--points is {count}, expected at least 2")
    *_, classes = (tuple(data.find_shapes(given.data, part)) for part in parts)
    if (Path(given.data) / "__MACOSX").exists():
        print(
            f"note: {given.data}/__MACOSX is left out: a Mac has added it, and it is no class",
            file=sys.stderr,
        )
    return _Source(given.data, classes, lambda part: _read_shapes(given.data, count, part))


def _read_digits(part: Literal["train", "test"]) -> tuple[np.ndarray, np.ndarray]:
    digits = data.digits()
    chosen = data.split(digits.labels)[part == "test"]
    return digits.as_points(np.float32)[chosen], digits.labels[chosen]


def _read_shapes(
    folder: str, count: int, part: Literal["train", "test"]
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(int(part == "test"))  # the same points if one part alone is read
    shapes = data.read_shapes(
        folder,
        count,
        rng,
        part,
        lambda done, of: _show(f"{folder}: {done} of {of} files of the {part} part are read"),
    )
    _show("")
    return shapes.points.astype(np.float32), shapes.labels


def _say(text: str) -> None:
    """Print a line; what cannot be printed is told now, and not by a traceback at the end."""
    _show("")
    try:
        print(text, flush=True)
    except OSError as why:
        with suppress(OSError):  # else Python fails again, when it flushes at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(why, BrokenPipeError):
            raise SystemExit(CLOSED_PIPE) from None
        raise OSError(why.errno, why.strerror, "standard output") from None


def _show(text: str) -> None:
    """Overwrite the line on a terminal that says how far it is."""
    if sys.stderr and sys.stderr.isatty():
        with suppress(OSError):  # the terminal may have been closed
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


class _SignalError(BaseException):
    """What ends the command at once."""

    def __init__(self, number: int):
        super().__init__(number)
        self.signal = signal.Signals(number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise _SignalError(number)


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], int]]:
    """Let the first Ctrl-C, or the system's, be answered between two steps; a second ends at once.

    What is yielded returns the number of the signal, and 0 as long as there was none.
    """
    asked = 0

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            _interrupt(number, frame)
        asked = number

    with _answered_by(ask):
        yield lambda: asked


@contextmanager
def _answered_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let the signals that ask a command to end call this, but for those that are ignored."""
    names = ["SIGINT", "SIGTERM", "SIGHUP"]  # Windows has not the last
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, own in before.items():
            signal.signal(number, own or signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
