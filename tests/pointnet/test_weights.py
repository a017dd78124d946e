"""Files of networks: what was written is read, and whatever else is there is told in words."""

import io
import json
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
    network = PointNet(SMALL, dtype=np.float64, seed=2)
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
    for name, value in {**net.parameters, **net.running}.items():
        assert np.array_equal({**read.parameters, **read.running}[name], value)
    points = np.random.default_rng(1).standard_normal((2, 3, 4))
    assert np.array_equal(
        read.forward(points, training=False).scores, net.forward(points, training=False).scores
    )
    assert weights.load(file, derived=True).derived


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


def test_a_failed_write_leaves_the_file_that_was_there(net, file, monkeypatch):
    before = file.read_bytes()

    def full(*_, **__):
        raise OSError("the disk is full")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="the disk is full"):
        weights.save(file, net)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["net.npz"]


def test_a_file_can_be_read_by_those_whom_the_system_lets(file, tmp_path):
    other = tmp_path / "plain"
    other.touch()
    assert file.stat().st_mode == other.stat().st_mode


def test_a_folder_that_is_not_there_is_told(net, tmp_path):
    with pytest.raises(FileNotFoundError):
        weights.save(tmp_path / "nowhere" / "net.npz", net)
    with pytest.raises(FileNotFoundError):
        weights.load(tmp_path / "nowhere.npz")
