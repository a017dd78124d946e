"""Change every backward in every small way, and see which guard notices: make mutants.

For each module of backprop_lib/layers and backprop_lib/ops, each mutant of its backward is judged
by the prover, by the module's unit tests and by the asserts of its chapter, each on its own. The
exit status is 0 if each mutant is killed by at least one of them.
"""

import argparse
import ast
import copy
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import nbformat

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 300
GUARDS = ("prover", "unit tests", "chapter")

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


def mutants(source: str) -> list[Mutant]:
    """Return every small change of the function `backward` in a module's source."""
    tree = ast.parse(source)
    found: dict[str, Mutant] = {}
    for place, node in enumerate(ast.walk(_backward(tree))):
        for number in range(len(_changes(node, _arrays(tree)))):
            changed = copy.deepcopy(tree)
            twin = list(ast.walk(_backward(changed)))[place]
            before = _line(twin)
            new = _changes(twin, _arrays(changed))[number]
            _replace(changed, twin, new)
            ast.fix_missing_locations(changed)
            text = ast.unparse(changed)
            if text != ast.unparse(tree):
                what = f"line {before}: {ast.unparse(node)} -> {ast.unparse(new)}"
                found.setdefault(text, Mutant(what, text))
    return list(found.values())


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _backward(tree: ast.Module) -> ast.FunctionDef:
    """Return backward without its docstring and signature, of which nothing is changed."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "backward":
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            return ast.FunctionDef("backward", _no_arguments(), body, [])
    raise ValueError("there is no function backward")


def _no_arguments() -> ast.arguments:
    return ast.arguments([], [], None, [], [], None, [])


def _arrays(tree: ast.Module) -> list[str]:
    """Return the names of backward's arguments."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "backward":
            return [argument.arg for argument in node.args.args]
    return []


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
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        for value in (node.value + 1, node.value - 1, -node.value):
            yield ast.Constant(value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
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


def is_proven(mutant: Mutant, **shapes: str) -> bool:
    """Say whether the prover calls a mutant proven, in this process."""
    from backprop_lib.proof import DisagreementError, prove

    module = ModuleType("mutant")
    exec(compile(mutant.source, "mutant", "exec"), module.__dict__)
    try:
        return bool(prove(module, **shapes))
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


def judged(path: Path) -> Tally:
    """Judge every mutant of one module by every guard."""
    place = path.relative_to(ROOT / "backprop_lib").with_suffix("")
    name = ".".join(("backprop_lib", *place.parts))
    tally = Tally(name)
    source = path.read_text(encoding="utf8")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder)
        for part in ("backprop_lib", "tests", "scripts", "site", "pyproject.toml"):
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, library / part)
            else:
                shutil.copy(ROOT / part, library / part)
        changed = library / "backprop_lib" / place.with_suffix(".py")
        test = library / "tests" / place.parent / f"test_{place.name}.py"
        commands = {
            "prover": ["-m", "backprop_lib.proof", name],
            "unit tests": ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", str(test)],
            "chapter": ["-c", code_of(ROOT / "chapters" / place.with_suffix(".ipynb"))],
        }
        for guard, command in commands.items():
            if not passes(command, library):
                raise SystemExit(f"error: {name}: the {guard} fails without any change")
        for mutant in mutants(source):
            tally.mutants.append(mutant.what)
            changed.write_text(mutant.source, encoding="utf8")
            for guard, command in commands.items():
                if not passes(command, library):
                    tally.killed[guard].add(mutant.what)
            marks = ["x" if mutant.what in tally.killed[guard] else "." for guard in GUARDS]
            print(f"{name} {' '.join(marks)} {mutant.what}", flush=True)
    return tally


def main() -> int:
    """Judge the modules that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*", metavar="NAME", help="a module, such as linear")
    only = parser.parse_args().only
    chosen = [path for path in modules() if not only or path.stem in only]
    if not chosen:
        raise SystemExit(f"error: no module is called {', '.join(only)}")
    print(f"each line: killed (x) or not (.) by the {', '.join(GUARDS)}")
    tallies = [judged(path) for path in chosen]
    for tally in tallies:
        counts = ", ".join(f"{len(tally.killed[guard])} by the {guard}" for guard in GUARDS)
        print(f"{tally.module}: {len(tally.mutants)} mutants; killed: {counts}")
        for survivor in tally.survivors:
            print(f"  survived: {survivor}")
    return 1 if any(tally.survivors for tally in tallies) else 0


if __name__ == "__main__":
    sys.exit(main())
