"""What CONTRIBUTING says of the library's parts is what they import, no more and no less."""

import ast
import re
import subprocess
import sys

import pytest
from conftest import ROOT

LIBRARY = ROOT / "backprop_lib"
PROOF = "backprop_lib.proof."
SECTION = re.search(
    r"^## Architecture\n(.*?)^## ",
    (ROOT / "CONTRIBUTING.md").read_text(encoding="utf8"),
    re.MULTILINE | re.DOTALL,
)[1]
PARTS = [
    tuple(re.findall(r"`(\w+)`", cell) for cell in (names, told))
    for names, _, told in re.findall(r"^\| (`.*?) \|(.*?)\|(.*?)\|$", SECTION, re.MULTILINE)
]
"""Each row of the table: the names of the parts, and of what they import."""
ENGINES = [
    name
    for line in re.search(r"```text\n(budget.*?)```", SECTION, re.DOTALL)[1].splitlines()
    for name in re.split(r" {3,}", line)[0].split()
]
"""The modules of the prover, in their order."""


def imports(path):
    """Return (module, whether at the top level) for each module that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in tree.body) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import"
            yield from ((f"{node.module}.{alias.name}", node in tree.body) for alias in node.names)


def stands_on(part):
    """Return the library's parts and the other packages that a module or a package imports."""
    module = LIBRARY / f"{part}.py"
    for path in [module] if module.is_file() else (LIBRARY / part).rglob("*.py"):
        for name, _ in imports(path):
            first, *rest = name.split(".")
            yield from rest[:1] if first == "backprop_lib" else [first]


def test_every_part_of_the_library_is_told():
    modules = {path.stem for path in LIBRARY.glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
    assert sorted(name for names, _ in PARTS for name in names) == sorted(modules | packages)


@pytest.mark.parametrize(("names", "told"), PARTS, ids=["-".join(names) for names, _ in PARTS])
def test_a_part_imports_what_is_told(names, told):
    found = {one for name in names for one in stands_on(name)}
    assert found - {"numpy", *names} - sys.stdlib_module_names == set(told)


def test_no_part_stands_on_one_that_stands_on_it():
    above = {name: set(told) for names, told in PARTS for name in names}
    while above:
        lowest = {name for name, told in above.items() if not told & above.keys()}
        assert lowest, f"in a circle: {sorted(above)}"
        above = {name: told for name, told in above.items() if name not in lowest}


def test_the_library_imports_nothing_that_stands_beside_it():
    beside = re.search(r"```text\n(chapters.*?) {3,}the library imports none", SECTION)[1].split()
    assert beside == ["chapters", "tests", "scripts", "bench", "website"]
    # The tests' path leads to their modules and to those of scripts by name alone.
    by_name = {path.stem for folder in beside for path in (ROOT / folder).glob("*.py")}
    assert {"conftest", "mutants"} <= by_name
    for path in LIBRARY.rglob("*.py"):
        assert not {name.split(".")[0] for name, _ in imports(path)} & {*beside, *by_name}, path


def test_layers_judges_and_drawings_do_not_import_each_other():
    told = {name: set(told) for names, told in PARTS for name in names}
    kinds = [{"layers", "ops", "fast"}, {"gradcheck", "recorded", "proof"}, {"figures"}]
    for kind in kinds:
        others = set().union(*kinds) - kind
        reached, left = set(), kind & told.keys()
        assert left == kind
        while left:
            reached |= left
            left = set().union(*(told[name] for name in left)) & told.keys() - reached
        assert not reached & others, kind


def test_a_script_is_run_by_make_or_said_to_be_run_by_hand():
    makefile = (ROOT / "Makefile").read_text(encoding="utf8")
    scripts = {path.name for path in (ROOT / "scripts").glob("*.py")}
    by_make = {name for name in scripts if f"scripts/{name}" in makefile}
    by_hand = re.search(r"two that are run by hand: (.*?)\. ", SECTION)[1]
    assert scripts - by_make == set(re.findall(r"`(\w+\.py)`", by_hand))


def test_what_computes_loads_neither_sympy_nor_matplotlib():
    layers = [path.stem for path in (LIBRARY / "layers").glob("[!_]*.py")]
    code = (
        "import sys\n"
        f"from backprop_lib.layers import {', '.join(layers)}\n"
        "import backprop_lib.pointnet.training\n"
        "assert 'backprop_lib.fast' in sys.modules and 'backprop_lib.ops' in sys.modules\n"
        "print({'sympy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_what_builds_the_website_imports_only_shape_tables_of_the_library():
    files = list((ROOT / "website").glob("*.py"))
    found = {name for path in files for name, _ in imports(path) if name.startswith("backprop_lib")}
    assert found == {"backprop_lib.shapes.Cache", "backprop_lib.shapes.shape_table"}


def test_every_module_of_the_prover_is_in_the_list():
    modules = [path.stem for path in (LIBRARY / "proof").glob("[!_]*.py")]
    assert sorted(ENGINES) == sorted(modules)


@pytest.mark.parametrize("name", ENGINES)
def test_a_module_of_the_prover_imports_those_before_it(name):
    found = [
        (module.removeprefix(PROOF).split(".")[0], at_top)
        for module, at_top in imports(LIBRARY / "proof" / f"{name}.py")
        if module.startswith(PROOF)
    ]
    later = {(one, at_top) for one, at_top in found if one not in ENGINES[: ENGINES.index(name)]}
    assert later == ({("writing", False)} if name == "calculus" else set())
