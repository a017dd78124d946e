"""Change every backward in every small way, and see which guard notices: make mutants.

For each module of backprop_lib/layers and backprop_lib/ops, each mutant of its backwards is judged
by the prover, by the module's unit tests and by the asserts of its chapter, each on its own. The
exit status is 0 if each mutant is killed by at least one of them, or is listed as equivalent.
"""

import argparse
import ast
import copy
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import nbformat

if TYPE_CHECKING:
    from backprop_lib.proof import Report

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 300
JOBS = os.cpu_count() or 1
GUARDS = ("prover", "unit tests", "chapter")

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "bmm": [{}, {"t": "N C C"}],
    "log_softmax_nll": [{}, {"const": {"reduction": "sum"}}],
    "max": [{}, *({"x": "N C L", "const": {"axis": axis}} for axis in (0, 1, -1))],
}
"""With which settings a backward is proven for all sizes, if not only with none."""
CONV_SIZES = {"N": 2, "C_in": 1, "C_out": 2}
AT_SIZES: dict[str, list[dict[str, Any]]] = {
    "conv1d_general": [
        {
            "sizes": {**CONV_SIZES, "L": length, "K": k},
            "const": {"stride": stride, "padding": padding, "dilation": dilation},
        }
        for length, k, stride, padding, dilation in [
            (3, 1, 1, 0, 1),
            (4, 3, 1, 1, 1),
            (5, 2, 2, 0, 1),
            (4, 2, 1, 0, 2),
            (5, 2, 2, 1, 2),
        ]
    ],
}
"""At which sizes a backward is proven that is not followed for all sizes."""
A_VECTOR = "a vector, or a number, turned is itself"
NO_ZEROS = "zeros, multiplied, are zeros"
AS_MANY = "x_hat has the shape of dy"
AXES_ONLY = "only the number of axes is asked for, or the number of entries"
EQUIVALENT: dict[str, dict[str, str]] = {
    "batchnorm1d": {
        r"\b[Wr]\.T\b": A_VECTOR,
        r"_all_but_channels\(dy\.T\)|_for_each_channel\([^,]+, dy\.T\)|dy\.T\.size": AXES_ONLY,
        r"_all_but_channels\(x_hat\)|_for_each_channel\([^,]+, x_hat\)": AS_MANY,
        r"x_hat\.(size|shape)": AS_MANY,
    },
    "batchnorm1d_relu": {r"\b[Wr]\.T\b": A_VECTOR},
    "conv1d": {
        r"dy\.T\.sum\(axis=\(0, 2\)\)": "the sum over all axes but the middle one, turned",
        r"_check_length\(dy, [^,]+, stride,": "only the message of an error changes",
        r"np\.zeros_like\(padded\), np\.ones_like\(W\)": "every entry of dW is overwritten",
    },
    "log_softmax_nll": {
        r"\bdy\.T\b": A_VECTOR,
        r"1, axis=-1\)": "of two axes, the last is axis 1",
        r"dy / t\.shape\[0\]": "there is a label for each sample",
        r"\* np\.zeros_like": NO_ZEROS,
    },
    "max": {
        r"\* np\.zeros_like": NO_ZEROS,
        r"_check_shapes\(dy, k, k, axis\)": "k has the shape of x, but for the axis",
    },
    "orthogonality": {r"dy\.T\b": A_VECTOR},
}
"""Changes that change nothing: for each module from a pattern of the changed line to why."""

SWAPPED_OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
OTHER_COMPARISONS = {
    ast.Gt: (ast.GtE, ast.Lt),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
OTHER_NAMES = {
    "sum": "mean",
    "mean": "sum",
    "max": "min",
    "min": "max",
    "argmax": "argmin",
    "argmin": "argmax",
    "maximum": "minimum",
    "minimum": "maximum",
    "zeros_like": "ones_like",
    "ones_like": "zeros_like",
    "exp": "sqrt",
    "sqrt": "square",
}
MOVES = ("swapaxes", "transpose", "moveaxis", "copy")


@dataclass(frozen=True)
class Mutant:
    """A changed module."""

    what: str
    source: str


@dataclass
class Tally:
    """Which guards killed which mutants of a module."""

    module: str
    killed: dict[str, set[str]] = field(default_factory=lambda: {guard: set() for guard in GUARDS})
    mutants: list[str] = field(default_factory=list)

    @property
    def survivors(self) -> list[str]:
        """The mutants that no guard noticed."""
        return [m for m in self.mutants if not any(m in killed for killed in self.killed.values())]


def modules() -> list[Path]:
    """Return the modules whose backward is changed."""
    library = ROOT / "backprop_lib"
    return [
        path
        for folder in ("layers", "ops")
        for path in sorted((library / folder).glob("*.py"))
        if path.name != "__init__.py"
    ]


def variants(names: Iterable[str]) -> list[str]:
    """Return what follows "backward" in the names of a module's backwards: "", "_evaluation"."""
    return [name.removeprefix("backward") for name in names if name.startswith("backward")]


def mutants(source: str) -> list[Mutant]:
    """Return every small change of the backwards in a module's source."""
    tree = ast.parse(source)
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    found: dict[str, Mutant] = {}
    for variant in variants(functions):
        name = f"backward{variant}"
        for place, node in enumerate(ast.walk(_body(tree, name))):
            for number in range(len(_changes(node, _arrays(tree, name)))):
                changed = copy.deepcopy(tree)
                twin = list(ast.walk(_body(changed, name)))[place]
                new = _changes(twin, _arrays(changed, name))[number]
                _replace(changed, twin, new)
                ast.fix_missing_locations(changed)
                text = ast.unparse(changed)
                if text != ast.unparse(tree):
                    what = f"{name}: {_difference(ast.unparse(tree), text)}"
                    found.setdefault(text, Mutant(what, text))
    return list(found.values())


def _difference(before: str, after: str) -> str:
    """Return the line that was changed, before and after."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    old, new = next((old, new) for old, new in pairs if old != new)
    return f"{old.strip()} -> {new.strip()}"


def _function(tree: ast.Module, name: str) -> ast.FunctionDef:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise ValueError(f"there is no function {name}")


def _body(tree: ast.Module, name: str) -> ast.FunctionDef:
    """Return a function without its docstring and signature, of which nothing is changed."""
    node = _function(tree, name)
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return ast.FunctionDef(name, _no_arguments(), body, [])


def _no_arguments() -> ast.arguments:
    return ast.arguments([], [], None, [], [], None, [])


def _arrays(tree: ast.Module, name: str) -> list[str]:
    """Return the names of a function's arguments."""
    return [argument.arg for argument in _function(tree, name).args.args]


def _replace(tree: ast.Module, old: ast.AST, new: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list):
                value[:] = [new if item is old else item for item in value]


def _changes(node: ast.AST, arrays: list[str]) -> list[ast.AST]:
    """Return what may stand in the place of a node."""
    return list(_all_changes(copy.deepcopy(node), arrays))


def _all_changes(node: ast.AST, arrays: list[str]) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp):
        if type(node.op) in SWAPPED_OPERATORS:
            yield ast.BinOp(node.left, SWAPPED_OPERATORS[type(node.op)](), node.right)
        if isinstance(node.op, ast.MatMult | ast.Sub | ast.Div):
            yield ast.BinOp(node.right, node.op, node.left)
        yield node.left
        yield node.right
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        for value in (node.value + 1, node.value - 1, -node.value):
            yield ast.Constant(value)
    elif isinstance(node, ast.Attribute):
        if node.attr == "T":
            yield node.value
        if node.attr in OTHER_NAMES:
            yield ast.Attribute(node.value, OTHER_NAMES[node.attr], node.ctx)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in OTHER_COMPARISONS.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [other()], node.comparators)
    elif isinstance(node, ast.Call):
        yield from _changed_calls(node)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        if node.id in arrays:
            yield from (ast.Name(other, ast.Load()) for other in arrays if other != node.id)
            yield ast.Attribute(ast.Name(node.id, ast.Load()), "T", ast.Load())
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        elements = node.value.elts
        for i in range(len(elements)):
            for j in range(i):
                order = list(elements)
                order[i], order[j] = order[j], order[i]
                yield ast.Return(ast.Tuple(order, ast.Load()))
    elif isinstance(node, ast.Assign):
        for factor in (-1, 0, 2):
            yield ast.Assign(node.targets, ast.BinOp(ast.Constant(factor), ast.Mult(), node.value))


def _changed_calls(node: ast.Call) -> Iterator[ast.AST]:
    for i, keyword in enumerate(node.keywords):
        if keyword.arg in ("axis", "keepdims"):
            yield ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1 :])
    if isinstance(node.func, ast.Attribute):
        if node.func.attr in MOVES and not _is_numpy(node.func.value):
            yield node.func.value
        if node.func.attr == "where" and len(node.args) == 3:
            mask, a, b = node.args
            yield ast.Call(node.func, [mask, b, a], node.keywords)
            yield a


def _is_numpy(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "np"


def proofs(module: ModuleType) -> Iterator["Report"]:
    """Prove every forward and backward of a module, as far as that goes."""
    for variant in variants(vars(module)):
        yield from proofs_of(module, variant)


def proofs_of(module: ModuleType, variant: str) -> Iterator["Report"]:
    """Prove one forward and its backward.

    For all sizes, and for all settings that change what is computed; where sizes must be known, at
    several small ones.
    """
    from backprop_lib.proof import prove, prove_at

    name = module.__name__.rpartition(".")[2] + variant
    pair = (getattr(module, f"forward{variant}"), getattr(module, f"backward{variant}"))
    at_sizes = AT_SIZES.get(name, [])
    yield from (prove_at(*pair, **settings) for settings in at_sizes)
    if not at_sizes:
        yield from (prove(*pair, **settings) for settings in SETTINGS.get(name, [{}]))


def is_proven(mutant: Mutant, name: str) -> bool:
    """Say whether the prover calls a mutant of a module proven, in this process."""
    from backprop_lib.proof import DisagreementError

    module = ModuleType(name)
    exec(compile(mutant.source, "mutant", "exec"), module.__dict__)
    try:
        return all(proofs(module))
    except DisagreementError:
        raise
    except Exception:
        return False  # it does not even run


def code_of(path: Path) -> str:
    """Return a notebook's code as a script; a failing assert names its cell."""
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    return "\n".join(cell.source for cell in cells)


def passes(arguments: list[str], library: Path) -> bool:
    """Run Python on a copy of the library; say whether it found nothing wrong."""
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=library,
            env=os.environ | {"PYTHONPATH": str(library), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def judge_module(path: Path) -> Tally:
    """Judge every mutant of one module by every guard, several at a time."""
    place = path.relative_to(ROOT / "backprop_lib").with_suffix("")
    tally = Tally(".".join(("backprop_lib", *place.parts)))
    queue = mutants(path.read_text(encoding="utf8"))
    with ThreadPoolExecutor(JOBS) as pool, tempfile.TemporaryDirectory() as folder:
        libraries: list[Path] = [_copy_library(Path(folder) / str(job)) for job in range(JOBS)]
        for guard in _killers(path, None, libraries[0]):
            raise SystemExit(f"error: {tally.module}: the {guard} fails without any change")

        def judge(mutant: Mutant) -> tuple[Mutant, set[str]]:
            library = libraries.pop()
            try:
                return mutant, _killers(path, mutant, library)
            finally:
                libraries.append(library)

        for mutant, killers in pool.map(judge, queue):
            tally.mutants.append(mutant.what)
            for guard in killers:
                tally.killed[guard].add(mutant.what)
            marks = ["x" if guard in killers else "." for guard in GUARDS]
            print(f"{path.stem} {' '.join(marks)} {mutant.what}", flush=True)
    return tally


def _copy_library(library: Path) -> Path:
    """Copy all that the guards need into a new folder."""
    library.mkdir()
    for part in ("backprop_lib", "tests", "scripts", "website", "pyproject.toml"):
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, library / part)
        else:
            shutil.copy(ROOT / part, library / part)
    return library


def _killers(path: Path, mutant: Mutant | None, library: Path) -> set[str]:
    """Return the guards that find something wrong in a copy of the library."""
    place = path.relative_to(ROOT / "backprop_lib").with_suffix("")
    changed = library / "backprop_lib" / place.with_suffix(".py")
    good = path.read_text(encoding="utf8")
    name = ".".join(("backprop_lib", *place.parts))
    commands = {
        "prover": [str(library / "scripts" / "mutants.py"), "--prove", name],
        "unit tests": ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *_unit_tests(place)],
        "chapter": ["-c", code_of(ROOT / "chapters" / place.with_suffix(".ipynb"))],
    }
    changed.write_text(mutant.source if mutant else good, encoding="utf8")
    killers = {guard for guard, command in commands.items() if not passes(command, library)}
    changed.write_text(good, encoding="utf8")
    return killers


def _unit_tests(place: Path) -> list[str]:
    """Return what pytest is to run: a module's own tests, and the promises that it makes."""
    package, name = place.parts
    own = f"tests/{package}/test_{name}.py"
    return [own, "tests/test_promises.py", "-k", f"test_{name} or {package}.{name}.forward"]


def main() -> int:
    """Judge the modules that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*", metavar="NAME", help="a module, such as linear")
    parser.add_argument("--prove", metavar="MODULE", help="prove this module, change nothing")
    given = parser.parse_args()
    if given.prove:
        return 0 if all(proofs(importlib.import_module(given.prove))) else 1
    chosen = [path for path in modules() if not given.only or path.stem in given.only]
    if not chosen:
        raise SystemExit(f"error: no module is called {', '.join(given.only)}")
    print(f"each line: killed (x) or not (.) by the {', '.join(GUARDS)}")
    unexplained = 0
    for tally in [judge_module(path) for path in chosen]:
        counts = ", ".join(f"{len(tally.killed[guard])} by the {guard}" for guard in GUARDS)
        print(f"{tally.module}: {len(tally.mutants)} mutants; killed: {counts}")
        for survivor in tally.survivors:
            why = why_equivalent(tally.module.rpartition(".")[2], survivor)
            unexplained += not why
            print(f"  survived: {survivor}" + (f" (equivalent: {why})" if why else ""))
    return 1 if unexplained else 0


def why_equivalent(module: str, what: str) -> str:
    """Return why a change changes nothing, or nothing if it is not known to be such a change."""
    _, _, changed = what.partition(" -> ")
    reasons = EQUIVALENT.get(module, {}).items()
    return next((why for pattern, why in reasons if re.search(pattern, changed)), "")


if __name__ == "__main__":
    sys.exit(main())
