"""Archives packed again: their modules compiled, and nothing of use left out."""

import hashlib
import json
import subprocess
import sys
import zipfile

import pytest

from website import packing, repack
from website.runtime_sources import RuntimeFilesError

WHEEL = {
    "tool/__init__.py": "def f():\n    return 1 / 0\n",
    "tool/more.py": "MORE = 7\n",
    "tool/data.txt": "data",
    "tool/tests/test_tool.py": "assert False\n",
    "tool-1.0.dist-info/RECORD": "tool/tests/test_tool.py,,\n",
}


def archive(path, contents=WHEEL):
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in contents.items():
            packed.writestr(name, content)
    return path


def packed(folder, *arguments, **settings):
    """Pack the wheel again, and return the names in it and its path."""
    target = folder / "packed.zip"
    repack.repack(archive(folder / "tool.zip"), target, *arguments, **settings)
    with zipfile.ZipFile(target) as opened:
        return opened.namelist(), target


def run(path, source):
    """Run Python that finds modules in an archive."""
    command = [
        sys.executable,
        "-I",
        "-c",
        f"import sys\nsys.path.insert(0, {str(path)!r})\n{source}",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_modules_are_compiled_in_the_place_of_their_source_and_tests_left_out(tmp_path):
    names, path = packed(tmp_path, "/place", ["*/tests/*"])
    assert sorted(names) == [
        "tool-1.0.dist-info/RECORD",
        "tool/__init__.pyc",
        "tool/data.txt",
        "tool/more.pyc",
    ]
    assert run(path, "import tool.more; print(tool.more.MORE)").stdout == "7\n"
    told = run(path, "import tool; tool.f()").stderr
    assert 'File "/place/tool/__init__.py", line 2, in f' in told


def test_only_what_is_used_is_compiled(tmp_path):
    names, path = packed(tmp_path, "/place", [], {"/place/tool/more.py"})
    assert {"tool/__init__.py", "tool/more.pyc", "tool/tests/test_tool.py"} < {*names}
    assert "tool/more.py" not in names
    assert run(path, "import tool.more; print(tool.more.MORE)").stdout == "7\n"


def test_a_module_that_keeps_its_source_has_bytecode_that_python_takes_unchecked(tmp_path):
    _, path = packed(tmp_path, "/place", keeps_source=True)
    with zipfile.ZipFile(path) as opened:
        opened.extractall(tmp_path / "site")
    (tmp_path / "site" / "tool" / "more.py").write_text("raise SystemExit('compiled again')")
    assert run(tmp_path / "site", "import tool.more; print(tool.more.MORE)").stdout == "7\n"
    shown = run(tmp_path / "site", "import inspect, tool; print(inspect.getsource(tool.f))").stdout
    assert "return 1 / 0" in shown


def test_the_record_tells_what_is_inside(tmp_path):
    _, path = packed(tmp_path, "/place", ["*/tests/*"])
    with zipfile.ZipFile(path) as opened:
        lines = opened.read("tool-1.0.dist-info/RECORD").decode().splitlines()
        names = [line.split(",")[0] for line in lines]
        assert names == opened.namelist()
        data = next(line for line in lines if line.startswith("tool/data.txt"))
    assert data.endswith(",4")
    assert "tool-1.0.dist-info/RECORD,," in lines


def test_the_same_contents_give_the_same_bytes(tmp_path):
    _, path = packed(tmp_path, "/place", ["*/tests/*"])
    first = hashlib.sha256(path.read_bytes()).hexdigest()
    _, path = packed(tmp_path, "/place", ["*/tests/*"])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == first


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """A runtime, and a stand-in for the browser's Python that says what it was asked to pack."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    (tmp_path / "store").mkdir()
    for name in ("tool.whl", "own.whl", packing.STANDARD_LIBRARY):
        archive(folder / name)
    (folder / packing.PYTHON).write_bytes(b"wasm")
    asked = []

    def node(script, runtime, _, work):
        assert (script, runtime) == (packing.SCRIPTS[0], folder)
        told = json.loads((work / "tasks.json").read_text())
        asked.append([task["file"] for task in told["tasks"]])
        repack.repack_all(work, used="")
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr(packing, "node", node)
    packages = {name: {"file_name": f"{name}.whl"} for name in ("tool", "own")}
    return lambda: packing.pack(folder, packages, "own", tmp_path / "store"), folder, asked


def names_in(path):
    with zipfile.ZipFile(path) as opened:
        return opened.namelist()


def test_packages_are_packed_once_and_our_own_each_time(runtime):
    pack, folder, asked = runtime
    fetched = {path: path.read_bytes() for path in folder.iterdir()}
    for _ in range(2):
        for path, content in fetched.items():
            path.write_bytes(content)
        pack()
        assert any("__pycache__" in name for name in names_in(folder / "own.whl"))
    assert asked == [["tool.whl", packing.STANDARD_LIBRARY], ["own.whl"], ["own.whl"]]


def test_what_was_packed_and_is_damaged_is_packed_again(runtime, tmp_path):
    pack, folder, asked = runtime
    fetched = (folder / "tool.whl").read_bytes()
    pack()
    good = (folder / "tool.whl").read_bytes()
    (kept,) = tmp_path.glob("store/packed-*")
    (kept / "tool.whl").write_bytes(b"damaged")
    (folder / "tool.whl").write_bytes(fetched)
    archive(folder / packing.STANDARD_LIBRARY)
    archive(folder / "own.whl")
    pack()
    assert (folder / "tool.whl").read_bytes() == good
    assert asked.count(["tool.whl", packing.STANDARD_LIBRARY]) == 2


def test_other_contents_are_packed_anew(runtime, tmp_path):
    pack, folder, _ = runtime
    pack()
    archive(folder / "tool.whl", {"tool/other.py": "OTHER = 1"})
    archive(folder / packing.STANDARD_LIBRARY)
    archive(folder / "own.whl")
    pack()
    assert len([*tmp_path.glob("store/packed-*")]) == 2
    assert "other" in " ".join(names_in(folder / "tool.whl"))


def test_why_it_cannot_be_packed_is_told(runtime, monkeypatch, tmp_path):
    pack, folder, _ = runtime
    before = (folder / "tool.whl").read_bytes()
    failed = subprocess.CompletedProcess([], 1, "", "Error: no memory\n")
    monkeypatch.setattr(packing, "node", lambda *_: failed)
    with pytest.raises(RuntimeFilesError, match="could not be packed: Error: no memory"):
        pack()
    assert [*(tmp_path / "store").iterdir()] == []
    assert (folder / "tool.whl").read_bytes() == before
