"""Prove a module's backward from the command line: python -m backprop_lib.proof MODULE."""

import argparse
import ast
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Timer
from types import ModuleType
from typing import Any

from backprop_lib.layer import layer_in
from backprop_lib.proof import prove
from backprop_lib.proof.budget import SECONDS as SECONDS_ALLOWED
from backprop_lib.proof.lines import line_raised

INTERRUPTED = 130
SECONDS = 1.0
"""A step that takes longer is announced."""

EPILOG = """\
The exit status is 0 if every gradient is proven, for all sizes and all values of all constants but
those that were named here; 1 if not; 2 if there was nothing to prove; and 130 after Ctrl-C, which
ends the search and prints what is known. Examples:

  python -m backprop_lib.proof backprop_lib.layers.linear
  python -m backprop_lib.proof mine.py:forward,backward --shape x="N C" --const eps=1e-5
  python -m backprop_lib.proof mine.py:Affine --shape x="N C" --shape W="C D"
"""


class _Announced:
    """Print what is being done, if it takes long."""

    def __init__(self) -> None:
        self._timer: Timer | None = None

    def __call__(self, step: str) -> None:
        self.done()
        self._timer = Timer(SECONDS, print, [f"... {step}"], {"file": sys.stderr, "flush": True})
        self._timer.daemon = True
        self._timer.start()

    def done(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m backprop_lib.proof",
        description="Prove a hand-written backward pass for all sizes, or find a counterexample.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "module",
        metavar="MODULE[:NAME[,BACKWARD]]",
        help="an importable module or a .py file, and in it the two functions if they are not "
        "called forward and backward; or a class or an object that has both, or a function that "
        "returns y and its backward",
    )
    parser.add_argument(
        "--shape",
        metavar='x="N C"',
        action="append",
        default=[],
        type=_pair,
        help="the axes of an input, if forward's signature does not have them",
    )
    parser.add_argument(
        "--const",
        metavar="eps=1e-5",
        action="append",
        default=[],
        type=_constant,
        help="an argument of forward that has no gradient",
    )
    parser.add_argument(
        "--size",
        metavar="N=2",
        action="append",
        default=[],
        type=_constant,
        help="a size at which to prove what is undecided for all sizes; name all or none",
    )
    for option, what in (("--param", "a parameter"), ("--grad", "the gradient of a parameter")):
        parser.add_argument(
            option,
            metavar='W="params[0]"',
            action="append",
            default=[],
            type=_pair,
            help=f"where an object keeps {what}, if that is not found",
        )
    parser.add_argument(
        "--may-change-dy",
        action="store_true",
        help="let backward write into the upstream gradient",
    )
    parser.add_argument(
        "--budget",
        metavar="SECONDS",
        type=float,
        default=SECONDS_ALLOWED,
        help="seconds of processor after which the search ends (default: %(default)g)",
    )
    given = parser.parse_args(arguments)
    name, _, named = given.module.partition(":")
    try:
        module = _module(name)
        layer = [_named(module, one) for one in named.split(",")] if named else [*_layer(module)]
        announced = _Announced()
        try:
            report = prove(
                *layer,
                const=dict(given.const),
                sizes=dict(given.size) or None,
                budget=given.budget,
                progress=announced,
                params=dict(given.param),
                grads=dict(given.grad),
                may_change_dy=given.may_change_dy,
                **dict(given.shape),
            )
        finally:
            announced.done()
    except Exception as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        if (line := line_raised(error)) is not None:
            print(f"  {line}", file=sys.stderr)
        return 2
    print(report)
    if report.interrupted:
        return INTERRUPTED
    return 0 if report else 1


def _module(name: str) -> ModuleType:
    if not name.endswith(".py"):
        if "" not in sys.path:
            sys.path.insert(0, "")
        return importlib.import_module(name)
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {name}")
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent))
    specification.loader.exec_module(module)
    return module


def _layer(module: ModuleType) -> tuple[Any, ...]:
    return layer_in({"__name__": module.__name__, **vars(module)})


def _named(module: ModuleType, name: str) -> Any:
    if not hasattr(module, name.strip()):
        raise AttributeError(
            f"{module.__name__} has no {name.strip() or 'function without a name'}"
        )
    return getattr(module, name.strip())


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _constant(text: str) -> tuple[str, Any]:
    name, value = _pair(text)
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise argparse.ArgumentTypeError(f"{value!r} is no Python value") from None


if __name__ == "__main__":
    sys.exit(main())
