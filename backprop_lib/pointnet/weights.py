"""Networks and training runs as files: arrays by name, a version, and no code.

A file is NumPy's npz. Beside the arrays it holds one text, JSON, that says what it is; nothing in
it is pickled, so reading a file runs nothing.
"""

import errno
import io
import json
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from backprop_lib.pointnet.network import PointNet, Settings

FORMAT = "backprop_lib.pointnet"
VERSION = 1
HEADER = "header"
Arrays = dict[str, np.ndarray]
Buffer = bytes | memoryview


class WeightsError(ValueError):
    """A file that does not hold what it should."""


def save(path: str | Path, network: PointNet) -> None:
    """Write a network's settings, names of classes, parameters and running statistics.

    The file is there whole, or the one that was there before stays. A symbolic link stays as
    well: the file is written where it leads to.

    Parameters
    ----------
    path : str or Path
        By convention NAME.npz.
    network : PointNet

    Raises
    ------
    OSError
        If the file cannot be written, or what is there is no file, such as a device.
    """
    write(path, "network", described(network), arrays_of(network))


def load(path: str | Path, *, derived: bool = False) -> PointNet:
    """Return the network that `save` wrote.

    Parameters
    ----------
    path : str or Path
    derived : bool
        As for `PointNet`: how it computes is no part of the file.

    Raises
    ------
    WeightsError
        If the file is no such file, is damaged, of a later version, or its arrays do not fit its
        settings.
    OSError
        If the file cannot be read.
    """
    told, arrays = read(path)
    network = network_from(path, told, derived)
    fill(path, network, arrays)
    return network


def described(network: PointNet) -> dict[str, Any]:
    """Return what a network is, but for its numbers."""
    return {
        "settings": asdict(network.settings),
        "class_names": list(network.class_names),
        "dtype": network.dtype.name,
    }


def arrays_of(network: PointNet) -> Arrays:
    """Return a network's numbers, by name."""
    return {
        **{f"parameters/{name}": value for name, value in network.parameters.items()},
        **{f"running/{name}": value for name, value in network.running.items()},
    }


def network_from(path: str | Path, told: Mapping[str, Any], derived: bool) -> PointNet:
    """Return a network of the size that a file describes."""
    try:
        settings = Settings(**told["settings"])
        names = told.get("class_names", ())  # files from before they were saved have none
        return PointNet(settings, class_names=names, dtype=told["dtype"], derived=derived)
    except (KeyError, TypeError, ValueError, MemoryError) as why:
        raise WeightsError(f"{path}: its settings describe no PointNet: {why}") from None


def fill(path: str | Path, network: PointNet, arrays: Mapping[str, np.ndarray]) -> None:
    """Put a file's numbers in the place of a network's own.

    Raises
    ------
    WeightsError
        If one is missing, too many, of another shape or dtype, or not finite.
    """
    own = arrays_of(network)
    given = {name: a for name, a in arrays.items() if name.startswith(("parameters/", "running/"))}
    for name in sorted(own.keys() ^ given.keys()):
        problem = "is missing" if name in own else "is too much"
        raise WeightsError(f"{path}: {name} {problem} for the network that its settings describe")
    for name, array in given.items():
        shape, dtype = own[name].shape, own[name].dtype
        if (array.shape, array.dtype) != (shape, dtype):
            raise WeightsError(
                f"{path}: {name} is {array.dtype} of shape {array.shape}, expected {dtype} of "
                f"shape {shape}"
            )
        if not np.isfinite(array).all():
            raise WeightsError(f"{path}: {name} has entries that are not finite")
    for name, array in given.items():
        own[name][...] = array


def write(path: str | Path, kind: str, told: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a file beside its place, and move it there when it is whole."""
    header = json.dumps({"format": FORMAT, "version": VERSION, "kind": kind, **told})
    contents = io.BytesIO()  # to a full disk, zipfile would try to write again when it is closed
    with _errors_name(path):
        np.savez(contents, allow_pickle=False, **{HEADER: np.array(header)}, **arrays)
        _replace(_place(path), contents.getbuffer())


def check_place(path: str | Path, size: int = 0) -> None:
    """Find out whether a file of so many bytes could be written, and leave all as it is.

    Raises
    ------
    OSError
        If it could not: there is no such folder, the disk is full, what is there may not be
        replaced, ...
    """
    with _errors_name(path), _part(_place(path), bytes(size)):
        pass


@contextmanager
def _errors_name(path: str | Path) -> Iterator[None]:
    """Let errors of the system name the file that the user has named, and no other."""
    try:
        yield
    except OSError as why:
        raise OSError(why.errno, why.strerror or str(why), str(path)) from None


def _place(path: str | Path) -> Path:
    """Return where a file is to be written: behind symbolic links, so that they stay.

    Raises
    ------
    OSError
        If something is there that must not be replaced.
    """
    place = Path(os.path.realpath(path))
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        if place.parent.exists():
            return place
        link = f"it is a symbolic link to {place}, but " if os.path.islink(path) else ""
        raise FileNotFoundError(errno.ENOENT, f"{link}there is no folder {place.parent}") from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, expected the name of a file")
    if not stat.S_ISREG(mode):
        raise FileExistsError(errno.EEXIST, "it is a device or a pipe, which is never replaced")
    if not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected")
    return place


def _replace(place: Path, contents: Buffer) -> None:
    """Put a file in its place, with the mode of the one that was there."""
    try:
        mode = stat.S_IMODE(place.stat().st_mode)
    except FileNotFoundError:
        mode = 0o600 | 0o666 & ~_umask()  # the browser's mask forbids all
    with _part(place, contents) as part:
        part.chmod(mode)
        part.replace(place)


@contextmanager
def _part(place: Path, contents: Buffer) -> Iterator[Path]:
    """Write a file beside its place; at the end it is gone, unless it was moved there."""
    descriptor, name = tempfile.mkstemp(".part", f".{place.name[:20]}.", place.parent)
    part = Path(name)
    try:
        with open(descriptor, "wb", buffering=0) as stream:
            rest = memoryview(contents)
            while rest:
                rest = rest[stream.write(rest) :]
            os.fsync(stream.fileno())
        yield part
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    """Return the user's mask for new files, which can be read by setting it only."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def read(path: str | Path, kind: str = "network") -> tuple[dict[str, Any], Arrays]:
    """Return what a file says of itself, and its arrays.

    Raises
    ------
    WeightsError
        If it is no such file, is damaged, or of a later version.
    OSError
        If it cannot be read.
    """
    _check_is_file(path)
    with Path(path).open("rb") as stream, _damage_is_told(path):
        file = np.load(stream, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise WeightsError(f"{path}: it holds one array, expected a file of `save`")
        arrays = {name: file[name] for name in file.files}
    try:
        told = json.loads(str(arrays.pop(HEADER)))
        told_format, version = told.pop("format"), int(told.pop("version"))
        told_kind = told.pop("kind")
    except (KeyError, ValueError, TypeError, AttributeError):
        raise WeightsError(
            f"{path}: it does not say what it is; expected a file of {FORMAT}"
        ) from None
    if told_format != FORMAT:
        raise WeightsError(f"{path}: it says that it is {told_format!r}, expected {FORMAT!r}")
    if version > VERSION:
        raise WeightsError(
            f"{path}: it is of version {version}, and this library reads up to {VERSION}: update it"
        )
    if told_kind != kind and not (kind == "network" and told_kind == "training"):
        raise WeightsError(f"{path}: it holds a {told_kind}, expected a {kind}")
    return told, arrays


def _check_is_file(path: str | Path) -> None:
    """Refuse a folder, and what might be waited for without an end, such as a pipe."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        if not os.path.islink(path):
            raise
        problem = f"it is a symbolic link to {os.path.realpath(path)}, and nothing is there"
        raise FileNotFoundError(errno.ENOENT, problem, str(path)) from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, expected a file", str(path))
    if not stat.S_ISREG(mode):
        raise WeightsError(f"{path}: it is a device or a pipe, expected a file")


@contextmanager
def _damage_is_told(path: str | Path) -> Iterator[None]:
    try:
        yield
    # zipfile says RuntimeError of what is encrypted, NotImplementedError (which is one) of a
    # compression that it does not know, and EINVAL where a place is before the file's beginning.
    except (zipfile.BadZipFile, EOFError, ValueError, KeyError, RuntimeError, OSError) as why:
        is_of_the_system = isinstance(why, OSError) and why.errno != errno.EINVAL
        if isinstance(why, WeightsError) or is_of_the_system:
            raise
        size = Path(path).stat().st_size
        raise WeightsError(
            f"{path}: it cannot be read as npz ({size} bytes; {why}): it is another kind of file, "
            "or was cut off or damaged"
        ) from None
