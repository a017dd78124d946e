"""Files of networks: what was written is read, and whatever else is there is told in words."""

import errno
import io
import json
import os
import socket
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from backprop_lib.pointnet import weights
from backprop_lib.pointnet.network import PointNet, Settings
from backprop_lib.pointnet.weights import WeightsError

SMALL = Settings(
    classes=3, local=(4,), features=(5,), head=(6,), transform=(4,), transform_head=(4,)
)


@pytest.fixture
def net():
    names = ["chair", "lamp", "sofa"]
    network = PointNet(SMALL, dtype=np.float64, seed=2, class_names=names)
    rng = np.random.default_rng(0)
    for values in (*network.parameters.values(), *network.running.values()):
        values += rng.uniform(0.1, 1, values.shape)
    return network


@pytest.fixture
def file(net, tmp_path):
    path = tmp_path / "net.npz"
    weights.save(path, net)
    return path


def rewritten(path, *, header=None, **arrays):
    """Change arrays in a file, or take them out (None), or change its header."""
    with np.load(path) as old:
        kept = {name: old[name] for name in old.files}
    if header is not None:
        told = json.loads(str(kept["header"]))
        told.update(header)
        kept["header"] = np.array(json.dumps({k: v for k, v in told.items() if v is not None}))
    kept.update(arrays)
    np.savez(path, **{name: a for name, a in kept.items() if a is not None})
    return path


def test_a_network_is_read_as_it_was_written(net, file):
    read = weights.load(file)
    assert read.settings == net.settings
    assert read.dtype == np.float64
    assert read.class_names == ("chair", "lamp", "sofa") == net.class_names
    for name, value in {**net.parameters, **net.running}.items():
        assert np.array_equal({**read.parameters, **read.running}[name], value)
    points = np.random.default_rng(1).standard_normal((2, 3, 4))
    assert np.array_equal(
        read.forward(points, training=False).scores, net.forward(points, training=False).scores
    )
    assert weights.load(file, derived=True).derived


def test_a_file_from_before_names_were_saved_is_read(net, file):
    rewritten(file, header={"class_names": None})
    read = weights.load(file)
    assert read.class_names == ()
    assert np.array_equal(read.parameters["head.out.W"], net.parameters["head.out.W"])


def test_nothing_in_a_file_is_pickled(file):
    with zipfile.ZipFile(file) as members:
        headers = [members.read(name)[:128] for name in members.namelist()]
    assert len(headers) > 20
    assert not [header for header in headers if b"'O'" in header or b"|O" in header]


def test_a_pickle_is_refused_and_not_run(tmp_path, file):
    class Trap:
        def __reduce__(self):
            return (io.open, (str(tmp_path / "sprung"), "w"))

    rewritten(file, header=None, **{"running/trap": np.array([Trap()], dtype=object)})
    with pytest.raises(WeightsError, match="cannot be read as npz"):
        weights.load(file)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_told(file, share):
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(
        WeightsError, match=r"net\.npz: it cannot be read as npz \(\d+ bytes; .*cut off or damaged"
    ):
        weights.load(file)


def test_a_changed_byte_is_told(file):
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    file.write_bytes(whole)
    with pytest.raises(WeightsError, match=r"net\.npz: "):
        weights.load(file)


@pytest.mark.parametrize(
    ("record", "place", "changed"),
    [(b"PK\x01\x02", 8, 1), (b"PK\x01\x02", 10, 99), (b"PK\x05\x06", 18, 1)],
    ids=["encrypted", "compression", "where the list is"],
)
def test_a_damaged_list_of_members_is_told(file, record, place, changed):
    whole = bytearray(file.read_bytes())
    whole[whole.index(record) + place] ^= changed
    file.write_bytes(whole)
    with pytest.raises(WeightsError, match=r"net\.npz: it cannot be read as npz"):
        weights.load(file)


@pytest.mark.parametrize("content", [b"", b"not a file of arrays", b"PK\x03\x04"])
def test_other_files_are_told(tmp_path, content):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"other\.npz: it cannot be read as npz"):
        weights.load(path)


def test_a_single_array_is_told(tmp_path):
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(WeightsError, match="it holds one array, expected a file of `save`"):
        weights.load(tmp_path / "one.npy")


def test_other_arrays_are_told(tmp_path):
    np.savez(tmp_path / "others.npz", a=np.ones(3))
    with pytest.raises(WeightsError, match="it does not say what it is"):
        weights.load(tmp_path / "others.npz")


W = "parameters/local.conv1.W"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"header": {"version": 2}}, "it is of version 2, and this library reads up to 1"),
        ({"header": {"version": "?"}}, "it does not say what it is"),
        ({"header": {"format": "elsewhere"}}, "it says that it is 'elsewhere'"),
        ({"header": {"kind": "song"}}, "it holds a song, expected a network"),
        ({"header": {"settings": {"channels": 0}}}, "its settings describe no PointNet: channels"),
        ({"header": {"settings": {"wings": 2}}}, "its settings describe no PointNet"),
        ({"header": {"settings": None}}, "its settings describe no PointNet: 'settings'"),
        ({"header": {"class_names": ["a", "b"]}}, r"no PointNet: class_names is \('a', 'b'\), exp"),
        ({"header": {"class_names": 3}}, "its settings describe no PointNet"),
        ({"header": {"dtype": "int32"}}, "describe no PointNet: dtype is int32"),
        ({W: None}, "parameters/local.conv1.W is missing for the network"),
        ({"parameters/more.W": np.ones(2)}, "parameters/more.W is too much for the network"),
        (
            {W: np.ones((3, 4))},
            r"W is float64 of shape \(3, 4\), expected float64 of shape \(4, 3\)",
        ),
        ({W: np.ones((4, 3), np.float32)}, "W is float32 of shape"),
        ({W: np.full((4, 3), np.nan)}, "W has entries that are not finite"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:30],
)
def test_what_does_not_fit_is_told(file, changes, message):
    rewritten(file, **changes)
    with pytest.raises(WeightsError, match=message):
        weights.load(file)


def is_alone(file):
    """Say whether nothing else is in a file's folder, such as a half-written file."""
    return [path.name for path in file.parent.iterdir()] == [file.name]


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/where/.net.npz.x.part")


@pytest.mark.parametrize(
    ("module", "function"), [(np, "savez"), (weights.tempfile, "mkstemp"), (os, "fsync")]
)
def test_a_failed_write_leaves_the_file_that_was_there(net, file, monkeypatch, module, function):
    before = file.read_bytes()

    def full(*_, **__):
        raise FULL

    monkeypatch.setattr(module, function, full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        weights.save(file, net)
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(file))
    assert file.read_bytes() == before
    assert is_alone(file)


def test_an_interrupted_write_leaves_the_file_that_was_there(net, file, monkeypatch):
    before = file.read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        weights.save(file, net)
    assert file.read_bytes() == before
    assert is_alone(file)


@pytest.mark.skipif(os.name == "nt", reason="limits of a process are those of Unix")
def test_a_disk_that_is_full_after_some_bytes_is_told_in_one_line(tmp_path):
    """A limit for the sizes of files plays the full disk: the system writes a part, then fails."""
    file = tmp_path / "net.npz"
    file.write_bytes(b"before")
    code = f"""
import resource
from backprop_lib.pointnet import weights
from backprop_lib.pointnet.network import PointNet, Settings
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    weights.save({str(file)!r}, PointNet(Settings(local=(4,), features=(8,), head=(6,))))
except OSError as why:
    print(why.filename, why.strerror, why.__context__.__context__, sep="; ")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == (f"{file}; {os.strerror(errno.EFBIG)}; None\n", "")
    assert file.read_bytes() == b"before"
    assert is_alone(file)


def test_a_short_write_is_continued(net, file, monkeypatch):
    """A system may take fewer bytes than it is given, and say so."""
    whole, right = file.read_bytes(), open

    class Short:
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.stream.close()

        def fileno(self):
            return self.stream.fileno()

        def write(self, data):
            return self.stream.write(data[:1000])

    monkeypatch.setattr(weights, "open", lambda *a, **k: Short(right(*a, **k)), raising=False)
    weights.save(file, net)
    assert len(file.read_bytes()) == len(whole)
    assert weights.load(file).settings == net.settings


def test_a_symbolic_link_stays_and_leads_to_the_new_file(net, tmp_path):
    for target in (tmp_path / "disk" / "old.npz", tmp_path / "disk" / "new.npz"):
        target.parent.mkdir(exist_ok=True)
        link = tmp_path / f"link-{target.name}"
        link.symlink_to(os.path.join("disk", target.name))
        if target.stem == "old":
            target.write_bytes(b"before")
        weights.save(link, net)
        assert link.is_symlink()
        assert not target.is_symlink()
        assert weights.load(target).class_names == net.class_names
    assert {path.name for path in (tmp_path / "disk").iterdir()} == {"old.npz", "new.npz"}


def pipe(path):
    os.mkfifo(path)
    return path


def link_to_a_pipe(path):
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")
    return path


def socket_at(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))  # a long name is refused
    return path


@pytest.mark.skipif(os.name == "nt", reason="pipes have names on Unix")
@pytest.mark.parametrize("make", [pipe, link_to_a_pipe, socket_at])
def test_what_is_no_file_is_never_replaced_nor_waited_for(net, tmp_path, monkeypatch, make):
    """A pipe plays the device: a test must not come near one, and the code asks for files only."""
    monkeypatch.chdir(tmp_path)
    path = make(tmp_path / "net.npz")
    before = path.stat()
    for call in (weights.check_place, lambda path: weights.save(path, net)):
        with pytest.raises(FileExistsError, match="a device or a pipe, which is never replaced"):
            call(path)
    with pytest.raises(WeightsError, match=r"net\.npz: it is a device or a pipe, expected a file"):
        weights.load(path)
    after = path.stat()
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)
    assert not list(tmp_path.glob(".*"))


def test_a_folder_is_told_and_left_alone(net, tmp_path):
    for call in (weights.check_place, lambda path: weights.save(path, net), weights.load):
        with pytest.raises(IsADirectoryError, match="it is a folder, expected") as raised:
            call(tmp_path)
        assert raised.value.filename == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_write_protected_file_is_told_and_left_alone(net, file, monkeypatch):
    before = file.read_bytes()
    file.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # as root, all may
    for call in (weights.check_place, lambda path: weights.save(path, net)):
        with pytest.raises(PermissionError, match="the file is write-protected") as raised:
            call(file)
        assert raised.value.filename == str(file)
    assert file.read_bytes() == before


def test_a_place_is_tried_without_a_trace(file, monkeypatch):
    new = file.with_name("new.npz")
    before = file.read_bytes()
    for path in (file, new):
        weights.check_place(path, 10_000)
    assert file.read_bytes() == before
    assert is_alone(file)

    def full(*_):
        raise FULL

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        weights.check_place(new, 10_000)
    assert raised.value.filename == str(new)
    assert is_alone(file)


@pytest.mark.skipif(os.name == "nt", reason="modes are those of Unix")
def test_the_mode_of_the_file_that_was_there_stays(net, file):
    file.chmod(0o640)
    weights.save(file, net)
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_file_can_be_read_by_those_whom_the_system_lets(file, tmp_path):
    other = tmp_path / "plain"
    other.touch()
    assert file.stat().st_mode == other.stat().st_mode


def test_a_folder_that_is_not_there_is_told(net, tmp_path):
    for call in (weights.check_place, lambda path: weights.save(path, net)):
        with pytest.raises(FileNotFoundError) as raised:
            call(tmp_path / "nowhere" / "net.npz")
        assert raised.value.filename == str(tmp_path / "nowhere" / "net.npz")
        assert raised.value.strerror == f"there is no folder {tmp_path / 'nowhere'}"
    with pytest.raises(FileNotFoundError):
        weights.load(tmp_path / "nowhere.npz")


def test_a_symbolic_link_to_nowhere_is_told(net, tmp_path):
    link, target = tmp_path / "link.npz", tmp_path / "nowhere" / "net.npz"
    link.symlink_to(target)
    told = f"it is a symbolic link to {target}, "
    for call, problem in (
        (weights.check_place, f"but there is no folder {target.parent}"),
        (lambda path: weights.save(path, net), f"but there is no folder {target.parent}"),
        (weights.load, "and nothing is there"),
    ):
        with pytest.raises(FileNotFoundError) as raised:
            call(link)
        assert (raised.value.filename, raised.value.strerror) == (str(link), told + problem)
    assert list(tmp_path.iterdir()) == [link]
