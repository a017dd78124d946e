"""The rules of the house that a machine can check."""

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.utils import canonicalize_name

LIBRARY = ROOT / "backprop_lib"
MODULES = [
    path
    for folder in ("layers", "ops")
    for path in sorted((LIBRARY / folder).glob("*.py"))
    if path.name != "__init__.py"
]
EACH_MODULE = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)


def imports(path):
    """Return the names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@EACH_MODULE
def test_a_layer_imports_numpy_the_checks_of_arguments_and_other_layers_only(path):
    ours = {"shapes", "arguments", "layers", "ops"}
    allowed = {"numpy", "numbers", "typing", *(f"backprop_lib.{name}" for name in ours)}
    assert set(imports(path)) <= allowed


def test_the_proof_engines_know_no_layer():
    for path in (LIBRARY / "proof").glob("*.py"):
        assert not [name for name in imports(path) if re.search(r"layers|ops", name)]


@pytest.mark.parametrize("page", ["README.md", "intro.md"])
def test_the_example_prints_what_the_page_says(page, capsys):
    text = (ROOT / page).read_text(encoding="utf8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out == printed


def requirements(name):
    """Return the requirement lines of a file as (package, version, marker)."""
    for line in (ROOT / name).read_text(encoding="utf8").splitlines():
        if line and not line.startswith(("#", "-")):
            package, _, rest = line.partition("==")
            version, _, marker = rest.partition(";")
            package, _, _ = package.partition("[")  # what it brings along is pinned as well
            yield package.strip().lower().replace("_", "-"), version.strip(), marker.strip()


def test_every_requirement_is_pinned_exactly_and_as_in_the_constraints():
    pinned = {(package, version) for package, version, _ in requirements("constraints.txt")}
    for name in ("requirements.txt", "tests/requirements.txt"):
        for package, version, _ in requirements(name):
            assert re.fullmatch(r"[0-9][0-9a-z.]*", version), package
            assert (package, version) in pinned


def test_nobody_is_told_to_install_what_is_somebody_elses():
    """backprop_lib on PyPI is not this library."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))
    assert told["tool"]["flit"]["module"]["name"] == "backprop_lib"
    assert canonicalize_name(told["project"]["name"]) != "backprop-lib"
    texts = [p for s in ("md", "ipynb", "py", "js", "html") for p in ROOT.rglob(f"*.{s}")]
    ours = [p for p in texts if p.relative_to(ROOT).parts[0] in PLACES or p.parent == ROOT]
    assert len(ours) > 100
    wrong = re.compile(r"(pip|uv|conda|micropip\.)\W*install\W+(-\S+\s+)*backprop[-_]lib")
    assert wrong.search("pip install -U backprop_lib")
    assert wrong.search("micropip.install('backprop-lib')")
    assert not [p for p in ours if p != THIS and wrong.search(p.read_text(encoding="utf8"))]


PLACES = ("chapters", "backprop_lib", "website", "scripts", "tests", "bench")
THIS = Path(__file__).resolve()


def test_no_two_test_files_have_one_name():
    """Pytest, which runs them in one process by `make test-all`, would take one for the other."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, number in names.items() if number > 1] == []
