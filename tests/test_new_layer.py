"""What a layer needs besides its module: whatever is forgotten is told, with the place for it."""

import ast
import re
import shutil

import nbformat
import pytest
import yaml
from conftest import ROOT

from backprop_lib.recorded import load

LABEL = re.compile(r"\(([a-z0-9]+(?:-[a-z0-9]+)+)\)")
RECORDER = "scripts/record_pytorch.py"


def modules(root):
    """Return each layer and op, as layers/linear.py."""
    library = root / "backprop_lib"
    return [
        path.relative_to(library)
        for folder in ("layers", "ops")
        for path in sorted((library / folder).glob("*.py"))
        if path.name != "__init__.py"
    ]


def functions(root, module):
    """Return the public functions of a module, by name."""
    tree = ast.parse((root / "backprop_lib" / module).read_text(encoding="utf8"))
    found = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    return {node.name: node for node in found if not node.name.startswith("_")}


def chapter_text(root, module):
    """Return what the cells of a chapter say; nothing if there is no chapter."""
    chapter = root / "chapters" / module.with_suffix(".ipynb")
    if not chapter.is_file():
        return ""
    return "\n".join(cell.source for cell in nbformat.read(chapter, as_version=4).cells)


def title_and_labels(root, module):
    """Return a chapter's first heading and the labels of its equations, if there is a chapter."""
    text = chapter_text(root, module)
    if not text:
        return None, set()
    return re.search(r"^# (.+)$", text, re.M)[1], set(re.findall(r"\$\$ \(([a-z0-9-]+)\)", text))


def chapters():
    """Return every chapter, as layers/linear.ipynb."""
    return [path.relative_to(ROOT / "chapters") for path in (ROOT / "chapters").rglob("*.ipynb")]


def in_toc(root):
    """Return the files in the table of contents."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf8"))
    return {chapter["file"] for part in toc["parts"] for chapter in part["chapters"]}


def recorders(root):
    """Return the names of what the script records; it cannot be imported without PyTorch."""
    tree = ast.parse((root / RECORDER).read_text(encoding="utf8"))
    named = (node for node in tree.body if isinstance(node, ast.AnnAssign))
    (layers,) = (node.value for node in named if node.target.id == "LAYERS")
    return {key.value for key in layers.keys}


def files_that_lack(root, module):
    """Say which files of its own a module has not."""
    name = module.stem
    for what, file in {
        "chapter": f"chapters/{module.with_suffix('.ipynb')}",
        "test": f"tests/{module.parent}/test_{name}.py",
        "figure": f"backprop_lib/figures/{name}.py",
    }.items():
        if not (root / file).is_file():
            yield f"{name} has no {what}: write {file}"


def uses_that_lack(root, module):
    """Say whether its test file has no test, and whether its chapter imports no figure."""
    name = module.stem
    test = f"tests/{module.parent}/test_{name}.py"
    if (root / test).is_file():
        tree = ast.parse((root / test).read_text(encoding="utf8"))
        named = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        if not any(function.startswith("test_") for function in named):
            yield f"{name} has no test: write a function test_... in {test}"
    text = chapter_text(root, module)
    if text and not re.search(rf"^from backprop_lib\.figures import {name}\b", text, re.M):
        yield f"{name} shows no figure: import backprop_lib.figures.{name} in its chapter"


def mentions_that_lack(root, module):
    """Say which lists do not name a module, or its chapter."""
    name, (title, _) = module.stem, title_and_labels(root, module)
    page = f"chapters/{module.with_suffix('')}"
    if page not in in_toc(root):
        yield f"{name} is not in the table of contents: add {page} to _toc.yml"
    if title and f"*{title}*" not in (root / "CHANGELOG.md").read_text(encoding="utf8"):
        yield f"{name} is not in the history: add a line about *{title}* to CHANGELOG.md"
    text = (root / "backprop_lib" / module).read_text(encoding="utf8")
    if title and f'Derived in the chapter "{title}".' not in text:
        yield f'{name} does not say: Derived in the chapter "{title}".'


def values_that_lack(root, module):
    """Say of which variants nothing is recorded."""
    recorded = root / "backprop_lib" / "recorded"
    for variant in (f for f in functions(root, module) if re.match("forward(_|$)", f)):
        name = module.stem + variant.removeprefix("forward")
        if name not in recorders(root):
            yield f"{name} is not compared with PyTorch: add it to LAYERS in {RECORDER}"
        elif not (recorded / f"{name}.json").is_file():
            yield f"{name} has no values of PyTorch: run make record"


def equations_that_lack(root, module):
    """Say which labels in docstrings lead nowhere, and which functions name none."""
    ours = title_and_labels(root, module)[1]
    everywhere = set().union(*(title_and_labels(root, other)[1] for other in modules(root)))
    text = (root / "backprop_lib" / module).read_text(encoding="utf8")
    for label in sorted(set(LABEL.findall(text)) - everywhere):
        yield f"{module.stem} names ({label}), which no chapter derives"
    for function, node in functions(root, module).items():
        if not ours & set(LABEL.findall(ast.get_docstring(node) or "")):
            label = f"{module.stem.replace('_', '-')}-forward"
            yield f"{module.stem}.{function} names no equation of its chapter, such as ({label})"


def sections_that_lack(root, module):
    """Say which parts the docstrings have not; what they share is said in backprop_lib/layer.py."""
    found = functions(root, module)
    if "forward" not in found:
        yield f"{module.stem} has no forward"
    for function, node in found.items():
        partner = re.sub("^forward", "backward", function)
        if partner not in found:
            yield f"{module.stem}.{function} has no {partner}"
        expected = ["Parameters", "Returns", "References"]
        expected += ["Raises"] if _refuses_more_than_shapes(node) else []
        text = ast.get_docstring(node) or ""
        if not function.startswith("backward"):
            for section in expected:
                if f"{section}\n---" not in text:
                    yield f"{module.stem}.{function} has no section {section}"
        if "As for `forward`.\n" in f"{text}\n" or "As `forward`" in text:
            yield f"{module.stem}.{function} says again what stands at forward"


def _refuses_more_than_shapes(function):
    """Say whether a function's own lines, or the settings of @shaped, refuse anything."""
    settings = [d for d in function.decorator_list if isinstance(d, ast.Call)]
    return bool(settings) or any(isinstance(node, ast.Raise) for node in ast.walk(function))


def forgotten(root, module):
    """Return a sentence for each thing that a layer still needs."""
    checks = (
        files_that_lack,
        uses_that_lack,
        mentions_that_lack,
        values_that_lack,
        equations_that_lack,
        sections_that_lack,
    )
    return [sentence for check in checks for sentence in check(root, module)]


@pytest.mark.parametrize("module", modules(ROOT), ids=lambda module: module.stem)
def test_nothing_is_forgotten(module):
    sentences = forgotten(ROOT, module)
    assert not sentences, "\n".join(sentences)


def test_every_label_in_the_library_leads_to_a_chapter():
    labels = set().union(*(title_and_labels(ROOT, module)[1] for module in chapters()))
    for path in (ROOT / "backprop_lib").rglob("*.py"):
        assert set(LABEL.findall(path.read_text(encoding="utf8"))) <= labels, path


def test_what_is_recorded_is_what_the_script_records():
    files = {path.stem for path in (ROOT / "backprop_lib" / "recorded").glob("*.json")}
    assert not recorders(ROOT) - files, "not recorded: run make record"
    assert not files - recorders(ROOT), f"no longer recorded by {RECORDER}: delete the files"


def test_only_a_layer_whose_values_are_not_recorded_is_skipped(pytestconfig, monkeypatch, tmp_path):
    conftest = pytestconfig.pluginmanager.get_plugin(str(ROOT / "tests" / "conftest.py"))
    monkeypatch.setattr("backprop_lib.recorded.files", lambda _: tmp_path)
    for name, raised in {
        "linear": pytest.skip.Exception,
        "batchnorm1d_evaluation": pytest.skip.Exception,
        "linea": FileNotFoundError,
        "linear_wide": FileNotFoundError,
    }.items():
        with pytest.raises(FileNotFoundError) as error:
            load(name)
        call = conftest.pytest_runtest_call()
        next(call)
        with pytest.raises((FileNotFoundError, pytest.skip.Exception)) as outcome:
            call.throw(error.value)
        assert outcome.type is raised
        assert f"'{name}'" in str(outcome.value)


OF_LINEAR = {
    "module": "backprop_lib/layers/linear.py",
    "chapter": "chapters/layers/linear.ipynb",
    "test": "tests/layers/test_linear.py",
    "figure": "backprop_lib/figures/linear.py",
    "values": "backprop_lib/recorded/linear.json",
    "contents": "_toc.yml",
    "history": "CHANGELOG.md",
    "script": RECORDER,
}
FORGOTTEN = {
    "chapter": ("chapter", "", None, "linear has no chapter: write chapters/layers/linear.ipynb"),
    "test": ("test", "", None, "linear has no test: write tests/layers/test_linear.py"),
    "figure": ("figure", "", None, "linear has no figure: write backprop_lib/figures/linear.py"),
    "test function": (
        "test",
        "def test_",
        "def check_",
        "linear has no test: write a function test_... in tests/layers/test_linear.py",
    ),
    "figure in the chapter": (
        "chapter",
        "from backprop_lib.figures import linear",
        "from backprop_lib.figures import conv1d",
        "linear shows no figure: import backprop_lib.figures.linear in its chapter",
    ),
    "contents": (
        "contents",
        "chapters/layers/linear",
        "chapters/layers/other",
        "linear is not in the table of contents: add chapters/layers/linear to _toc.yml",
    ),
    "history": (
        "history",
        "*Linear*",
        "",
        "linear is not in the history: add a line about *Linear* to CHANGELOG.md",
    ),
    "name of the chapter": (
        "module",
        'chapter "Linear"',
        'chapter "Lineal"',
        'linear does not say: Derived in the chapter "Linear".',
    ),
    "values": ("values", "", None, "linear has no values of PyTorch: run make record"),
    "twin": (
        "script",
        '"linear": linear',
        '"lineal": linear',
        f"linear is not compared with PyTorch: add it to LAYERS in {RECORDER}",
    ),
    "variant": (
        "module",
        "def backward(",
        'def forward_wide():\n    """(linear-dx)."""\n\n\ndef backward(',
        f"linear_wide is not compared with PyTorch: add it to LAYERS in {RECORDER}",
    ),
    "forward": ("module", "def forward(", "def forwards(", "linear has no forward"),
    "backward": ("module", "def backward(", "def backwards(", "linear.forward has no backward"),
    "label": (
        "chapter",
        "$$ (linear-dw)",
        "$$ (linear-dv)",
        "linear names (linear-dw), which no chapter derives",
    ),
    "equation": (
        "module",
        "(linear-forward)",
        "",
        "linear.forward names no equation of its chapter, such as (linear-forward)",
    ),
    "section": ("module", "References\n", "Source\n", "linear.forward has no section References"),
    "errors": (
        "module",
        "@shaped\n",
        '@shaped(nonempty=("N",))\n',
        "linear.forward has no section Raises",
    ),
    "once": (
        "module",
        "(linear-db).\n",
        "(linear-db).\n\n    As `forward`.\n",
        "linear.backward says again what stands at forward",
    ),
}
"""For each thing: the file, what is in it, what is there instead, or None for no file at all."""


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the book with one layer, of which a part may be damaged."""
    for file in OF_LINEAR.values():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def test_of_a_layer_that_is_all_there_nothing_is_said(copy):
    assert [forgotten(copy, module) for module in modules(copy)] == [[]]


@pytest.mark.parametrize("name", FORGOTTEN)
def test_what_is_forgotten_is_told(name, copy):
    part, before, after, sentence = FORGOTTEN[name]
    file = copy / OF_LINEAR[part]
    text = file.read_text(encoding="utf8")
    assert before in text
    if after is None:
        file.unlink()
    else:
        file.write_text(text.replace(before, after), encoding="utf8")
    (module,) = modules(copy)
    assert sentence in forgotten(copy, module)
