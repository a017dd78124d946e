"""Biome looks at every script and style of ours, and finds what it is there for."""

import re
import shutil
import sys

import javascript
import pytest
import yaml
from conftest import ROOT
from sphinx.errors import ExtensionError

from website import npm

KINDS = ("*.cjs", "*.js", "*.mjs", "*.css")
FOLDERS = ("backprop_lib", "bench", "chapters", "scripts", "tests", "website")


@pytest.fixture
def project(tmp_path):
    """Return a project of one page's script, one test's and one style, with our configuration."""
    shutil.copy(ROOT / "biome.json", tmp_path)
    for folder in ("website", "tests"):
        (tmp_path / folder).mkdir()
    return tmp_path


def test_every_script_and_style_is_looked_at(capfd):
    assert javascript.check(ROOT, "--verbose") == 0
    told = "".join(capfd.readouterr())
    ours = [p for folder in FOLDERS for kind in KINDS for p in (ROOT / folder).rglob(kind)]
    ours = [p for p in ours if "node_modules" not in p.parts]
    assert len(ours) >= 15
    assert [str(p) for p in ours if str(p.relative_to(ROOT)) not in told] == []


def test_the_hook_and_editors_know_the_same_kinds():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf8"))["repos"]
    (files,) = [hook["files"] for hook in hooks[0]["hooks"] if hook["id"] == "biome"]
    for_editors = (ROOT / ".editorconfig").read_text(encoding="utf8")
    named = re.search(r"\{(.*)\}\]\nindent_size = 2", for_editors)[1].split(",")
    for kind in KINDS:
        assert re.search(files, kind)
        assert kind.removeprefix("*.") in named


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("website/page.js", "const unused = 1;\n", "noUnusedVariables"),
        ("tests/run.mjs", "const unused = 1;\n", "noUnusedVariables"),
        ("tests/run.cjs", "const unused = 1;\n", "noUnusedVariables"),
        ("website/page.js", "export const a = mising(1);\n", "noUndeclaredVariables"),
        ("website/page.js", "export const isOne = (x) => x == 1;\n", "noDoubleEquals"),
        ("website/page.js", "async function go() {}\ngo();\n", "noFloatingPromises"),
        ("website/page.js", "export const a = [ 1 ];\n", "Formatter"),
        ("tests/run.mjs", "export const a = 'b';\n", "Formatter"),
        ("website/page.css", "a {\n  colour: red;\n}\n", "noUnknownProperty"),
        ("website/page.css", "a{color:red}\n", "Formatter"),
    ],
)
def test_a_fault_is_found(project, capfd, name, text, found):
    (project / name).write_text(text)
    assert javascript.check(project) != 0
    assert found in "".join(capfd.readouterr())


def test_what_is_in_form_passes_and_what_is_not_is_brought_into_it(project):
    script = project / "website" / "page.js"
    script.write_text("export const a = [ 1 ]\n")
    assert javascript.check(project, "--write") == 0
    assert script.read_text() == "export const a = [1];\n"
    assert javascript.check(project) == 0


def test_a_machine_that_npm_has_no_biome_for_is_told_in_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(javascript, "cache", lambda: tmp_path)
    monkeypatch.setattr(sys, "argv", ["javascript.py"])
    monkeypatch.setattr(npm, "OPTIONS", [*npm.OPTIONS, "--os=plan9"])
    with pytest.raises(SystemExit) as stopped:
        javascript.main()
    assert stopped.value.code.startswith(
        f"error: npm has installed biome/package-lock.json without {javascript.PROGRAM}: it has "
        f"none for this machine ({sys.platform}, "
    )
    assert "\n" not in stopped.value.code
    assert list(tmp_path.iterdir()) == []


def test_packages_that_cannot_be_had_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setattr(javascript, "cache", lambda: tmp_path / "ours")
    with pytest.raises(ExtensionError, match=r"biome/package-lock.json cannot be installed: .*"):
        javascript.biome()
    assert list((tmp_path / "ours").iterdir()) == []
