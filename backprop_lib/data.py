"""Sets of points to learn from: handwritten digits that ship with the book, and 3-D shapes.

The digits::

    data = digits()
    x, t = data.as_points(), data.labels
    train, test = split(t)

Shapes, from a folder in ModelNet's layout::

    x, t, classes = read_shapes("ModelNet10", 1024, np.random.default_rng(0))
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from backprop_lib.arguments import (
    ShapeError,
    check_array,
    check_choice,
    check_generator,
    check_number,
    describe_value,
    format_shape,
)
from backprop_lib.off import Mesh, OffError, read_off

__all__ = [
    "Digits",
    "Shapes",
    "as_points",
    "digits",
    "find_shapes",
    "normalise",
    "read_shapes",
    "sample",
    "split",
]

SIDE = 8
BRIGHTEST = 16
COMPRESSED = re.compile(r"(.*\.off)\.(gz|bz2|xz|zst|z|zip|7z)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Digits:
    """Handwritten digits, as images and what they show."""

    images: np.ndarray
    """Shape (N, 8, 8), uint8 from 0 (paper) to 16 (ink); the first row is the top one."""
    labels: np.ndarray
    """Shape (N,), int64 from 0 to 9."""

    def as_points(self, dtype: Any = np.float64, length: int | None = None) -> np.ndarray:
        """Return the images as sets of points, shape (N, 3, L): see `data.as_points`."""
        return as_points(self.images, dtype, length)


def digits() -> Digits:
    """Load the 1,797 handwritten digits that ship with the book.

    They are the test set of "Optical Recognition of Handwritten Digits": 13 people wrote them,
    and each pixel counts the ink in a block of 4 × 4 dots. The data are under CC BY 4.0;
    ``datasets/README.md`` says where they come from.

    Returns
    -------
    Digits
        New arrays: images of shape (1797, 8, 8) and labels of shape (1797,).

    References
    ----------
    E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository 1998, https://doi.org/10.24432/C50P49.
    """
    shipped = files("backprop_lib").joinpath("datasets", "digits.npz").read_bytes()
    with np.load(BytesIO(shipped), allow_pickle=False) as arrays:
        return Digits(arrays["images"], arrays["labels"].astype(np.int64))


def as_points(images: np.ndarray, dtype: Any = np.float64, length: int | None = None) -> np.ndarray:
    """Turn each lit pixel of an image into a point (x, y, intensity).

    The pixel in row i and column j, counted from 0 at the top left, with the value v > 0 becomes

    (x, y, intensity) = ((2j + 1)/8 − 1, 1 − (2i + 1)/8, v/16):

    its centre, in an image that fills the square [−1, 1] × [−1, 1] with y pointing up. For whole
    v, every precision holds these numbers exactly.

    All sets get the same number of points L. A digit with fewer lit pixels repeats its own, in
    their order, row by row from the top: p₁ p₂ p₃ p₁ p₂ ... A repeated point changes nothing for
    a max over the points. It does count for a mean over them, and so for the statistics of a
    batch normalisation in training.

    Parameters
    ----------
    images : array, shape (N, 8, 8)
        Numbers from 0 to 16, with at least one pixel lit in each image; N is at least 1.
    dtype : dtype
        The precision of the points.
    length : int, optional
        L, at least the number of lit pixels of each image. Without it L is the largest of them,
        42 for all digits of the book.

    Returns
    -------
    points : array, shape (N, 3, L)
        A new array.

    Raises
    ------
    ShapeError
        If images has another shape, or holds no image.
    TypeError
        If images is not an array of numbers, dtype not one of floats, or length not an integer.
    ValueError
        If a pixel is not from 0 to 16, an image has no lit pixel, or length is too small.

    References
    ----------
    C. R. Qi et al., PointNet, CVPR 2017, supplementary material: the digits of MNIST as sets of
    pixels.
    """
    check_array("data.as_points", "images", images, "iuf", ("N", SIDE, SIDE))
    _check_nonempty("as_points", "images", images)
    _check_pixels(images)
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"data.as_points: dtype is {np.dtype(dtype)}, expected one of floats")
    values = images.reshape(len(images), SIDE * SIDE)
    lit = values > 0
    counts = lit.sum(axis=1)
    length = _length_of_sets(counts, length)
    first_the_lit = np.argsort(~lit, axis=1, kind="stable")
    places = np.take_along_axis(first_the_lit, np.arange(length) % counts[:, None], axis=1)
    i, j = np.divmod(places, SIDE)
    v = np.take_along_axis(values, places, axis=1)
    x, y, intensity = (2 * j + 1) / SIDE - 1, 1 - (2 * i + 1) / SIDE, v / BRIGHTEST
    points: np.ndarray = np.stack([x, y, intensity], axis=1).astype(dtype)
    return points


def split(labels: np.ndarray, test: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Divide samples into two parts, with each class in the same proportion in both.

    Of the n samples of a class, round(test · n) are put into the test part. Which ones is
    decided by one permutation of all samples, drawn from PCG64 with this seed. A test holds it
    to the same one on every machine.

    Parameters
    ----------
    labels : array of integers, shape (N,)
        The class of each sample; N is at least 1.
    test : float
        The share of the test part, between 0 and 1.
    seed : int
        Another seed gives another split.

    Returns
    -------
    train, test : arrays of int64, shapes (N - M,) and (M,)
        Indices, ascending. Each of 0, ..., N - 1 is in exactly one of the two.

    Raises
    ------
    ShapeError, TypeError
        If labels is not an array of integers with one axis, or is empty; if test is no number, or
        seed no integer.
    ValueError
        If test is not between 0 and 1, a class is too small to have a sample in each part, or
        seed is negative.

    References
    ----------
    M. E. O'Neill, PCG, Harvey Mudd College 2014: the generator.
    """
    check_array("data.split", "labels", labels, "iu", ("N",))
    _check_nonempty("split", "labels", labels)
    seed = check_number("data.split: seed", seed, int, ">= 0")
    test = check_number("data.split: test", test, float, "> 0", "< 1")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(labels))
    is_test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        count = round(test * len(members))
        if not 0 < count < len(members):
            raise ValueError(
                f"data.split: class {label} has too few samples, {len(members)}: "
                f"test = {test} takes {count} of them"
            )
        is_test[members[:count]] = True
    train_indices, test_indices = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    return train_indices.astype(np.int64), test_indices.astype(np.int64)


def sample(mesh: Mesh, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw points from a surface, each place as likely as any other.

    A triangle is drawn with a chance in proportion to its area. Within the triangle A B C, with
    r₁ and r₂ uniform in [0, 1), the point is

    P = (1 − √r₁) A + √r₁ (1 − r₂) B + √r₁ r₂ C.

    √r₁ is how far P is from A, on the way to the opposite side. The part of the triangle that
    is nearer to A than that has r₁ of the area; without the root too many points are near A.

    Parameters
    ----------
    mesh : Mesh
        At least one triangle must have an area.
    count : int
        How many points, at least 1.
    rng : numpy.random.Generator
        Where the random numbers come from.

    Returns
    -------
    points : array, shape (3, count)
        float64, drawn independently of each other.

    Raises
    ------
    ValueError
        If the mesh has no triangle or no area, or count is less than 1.
    TypeError
        If an argument is of another type.

    References
    ----------
    R. Osada, T. Funkhouser, B. Chazelle, D. Dobkin, Shape Distributions, ACM Transactions on
    Graphics 21(4), 2002, section 4.2.
    """
    if not isinstance(mesh, Mesh):
        raise TypeError(f"data.sample: mesh is of type {type(mesh).__name__}, expected a Mesh")
    count = check_number("data.sample: count", count, int, ">= 1")
    check_generator("data.sample", rng)
    if len(mesh.triangles) == 0:
        raise ValueError("data.sample: the mesh has no triangle")
    corners = mesh.vertices.astype(np.float64)[mesh.triangles]
    areas = _relative_areas(corners)
    if not areas.any():
        raise ValueError("data.sample: the mesh has no area: all its triangles are lines or points")
    A, B, C = corners[rng.choice(len(areas), size=count, p=areas / areas.sum())].swapaxes(0, 1)
    root = np.sqrt(rng.random((count, 1)))
    r2 = rng.random((count, 1))
    points = (1 - root) * A + root * (1 - r2) * B + root * r2 * C
    return np.ascontiguousarray(points.T)


def normalise(points: np.ndarray) -> np.ndarray:
    """Move a set of points to the origin, and scale it into the unit sphere.

    y[l] = (x[l] − m) / maxₖ ‖x[k] − m‖, with m the mean of all points.

    Parameters
    ----------
    points : array of floats, shape (3, L)
        One point per column, not all equal.

    Returns
    -------
    array, shape (3, L)
        A new array of the same precision. The mean is 0, and the point that is farthest from
        it has the distance 1, both up to rounding.

    Raises
    ------
    ShapeError, TypeError
        If points is not an array of floats of this shape.
    ValueError
        If a point is not finite, or all are equal, so that there is no scale.

    References
    ----------
    C. R. Qi et al., PointNet, CVPR 2017, section 5.1.
    """
    check_array("data.normalise", "points", points, "f", (3, "L"))
    with np.errstate(over="ignore", invalid="ignore"):
        # from the first point and not from 0, so that equal points give 0 without rounding
        offsets: np.ndarray = points - points[:, :1]
    if not np.isfinite(offsets).all():
        raise ValueError(
            "data.normalise: points holds numbers that are not finite, or too far apart"
        )
    spread = np.abs(offsets).max(initial=0)
    if spread == 0:
        raise ValueError(
            f"data.normalise: points has shape {format_shape(points.shape)}, but no two that differ"
        )
    offsets /= spread  # squares of what is very small or large would not be numbers
    offsets -= offsets.mean(axis=1, keepdims=True)
    offsets /= np.sqrt((offsets**2).sum(axis=0)).max()
    return offsets


class Shapes(NamedTuple):
    """Shapes as sets of points, and what they are."""

    points: np.ndarray
    """Shape (N, 3, L), float64."""
    labels: np.ndarray
    """Shape (N,), int64, the place of each shape's class in `classes`."""
    classes: list[str]
    """The names of the classes, sorted."""


def find_shapes(
    folder: str | os.PathLike[str], part: Literal["train", "test"] = "train"
) -> dict[str, list[Path]]:
    """Return the OFF files of one part of a data set, by class.

    The folder has ModelNet's layout, ``CLASS/train/*.off`` and ``CLASS/test/*.off``. Names that
    begin with a dot are left out, and so is ``__MACOSX``, which a Mac adds to zip files. A
    compressed file is refused if the same file is not there unpacked.

    Parameters
    ----------
    folder : path
        The folder that has one folder per class.
    part : "train" or "test"
        Which part.

    Returns
    -------
    dict of lists
        From the names of the classes to paths, both sorted.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder, it has no classes or another layout, or a class has no OFF
        file in this part.
    OffError
        If a file is compressed.
    ValueError, TypeError
        If part is another one, or folder no path.

    References
    ----------
    Z. Wu et al., 3D ShapeNets, CVPR 2015: ModelNet.
    """
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"data.find_shapes: folder is {describe_value(folder)}, expected a path")
    check_choice("data.find_shapes: part", part, ("train", "test"))
    class_folders = [path for path in _visible(Path(folder)) if path.is_dir()]
    if not class_folders:
        raise FileNotFoundError(f"{folder}: it has no folder, expected one per class")
    for path in class_folders:
        _check_layout(Path(folder), path, part)
    return {path.name: _off_files(path / part) for path in class_folders}


def _visible(folder: Path) -> list[Path]:
    """Return what is in a folder, by name, without what a system has put there for itself."""
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name != "__MACOSX"
    )


def _check_layout(folder: Path, class_folder: Path, part: str) -> None:
    """Say what a folder looks like that has not the files of this part where they belong."""
    if class_folder.name in ("train", "test"):
        has_classes = any(path.is_dir() for path in _visible(class_folder))
        found = f"{class_folder.name}/CLASS" if has_classes else "one class only"
        raise FileNotFoundError(
            f"{folder}: it has {found}, expected folders CLASS/train and CLASS/test"
        )
    if (class_folder / part).exists():
        return
    told = f"{class_folder / part}: there is no such folder"
    if any((path / part).is_dir() for path in _visible(class_folder)):
        raise FileNotFoundError(f"{told}; the classes seem to be in {class_folder}: name that one")
    raise FileNotFoundError(f"{told}, expected {folder}/CLASS/{part}/*.off")


def _off_files(folder: Path) -> list[Path]:
    files = _visible(folder)
    off_files = [file for file in files if file.suffix.lower() == ".off"]
    unpacked = {file.name for file in off_files}
    packed = [(file, COMPRESSED.fullmatch(file.name)) for file in files]
    compressed = [file for file, match in packed if match and match[1] not in unpacked]
    for file in compressed[:1]:
        more = f", and so are {len(compressed) - 1} more" if compressed[1:] else ""
        raise OffError(f"{file}: it is compressed{more}; unpack it, else it would be left out")
    if not off_files:
        raise FileNotFoundError(f"{folder}: it has no OFF file")
    return off_files


def read_shapes(
    folder: str | os.PathLike[str],
    count: int,
    rng: np.random.Generator,
    part: Literal["train", "test"] = "train",
    progress: Callable[[int, int], object] | None = None,
) -> Shapes:
    """Read all shapes of one part of a data set, as sets of points.

    The files are those of `find_shapes`. Each is read by `off.read_off`, its surface is sampled
    by `sample`, and the points are brought into the unit sphere by `normalise`.

    Parameters
    ----------
    folder : path
        The folder that has one folder per class.
    count : int
        Points per shape, at least 2.
    rng : numpy.random.Generator
        Where the random numbers come from. Classes and files are read in the order of their
        names, so equal generators give equal points.
    part : "train" or "test"
        Which part.
    progress : function, optional
        Called after each file with the numbers of files that are read, and of all.

    Returns
    -------
    Shapes
        points of shape (N, 3, count), labels of shape (N,), and classes: one set per file.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        As `find_shapes`.
    OffError
        If a file is not an OFF file, or its surface has no area.
    ValueError, TypeError
        If count, rng or part is not as above.

    References
    ----------
    As for `off.read_off`.
    """
    count = check_number("data.read_shapes: count", count, int, ">= 2")
    check_generator("data.read_shapes", rng)
    found = find_shapes(folder, part)
    off_files = [file for files in found.values() for file in files]
    labels = np.repeat(np.arange(len(found), dtype=np.int64), [*map(len, found.values())])
    points = []
    for file in off_files:
        points.append(_read_points(file, count, rng))
        if progress is not None:
            progress(len(points), len(off_files))
    return Shapes(np.stack(points), labels, list(found))


def _read_points(file: Path, count: int, rng: np.random.Generator) -> np.ndarray:
    mesh = read_off(file)
    try:
        return normalise(sample(mesh, count, rng))
    except ValueError as error:
        _, _, problem = str(error).partition(": ")  # the file is named, and not our function
        raise OffError(f"{file}: {problem}") from None


def _relative_areas(corners: np.ndarray) -> np.ndarray:
    """Return the areas of triangles, in a unit in which none is too large for a float."""
    A, B, C = (corners / (np.abs(corners).max() or 1)).swapaxes(0, 1)
    areas: np.ndarray = np.linalg.norm(np.cross(B - A, C - A), axis=1)
    return areas


def _check_nonempty(function: str, name: str, array: np.ndarray) -> None:
    if len(array) == 0:
        raise ShapeError(
            f"data.{function}: {name} has shape {format_shape(array.shape)}, expected N at least 1"
        )


def _check_pixels(images: np.ndarray) -> None:
    for place in np.argwhere(~((images >= 0) & (images <= BRIGHTEST)))[:1]:
        raise ValueError(
            f"data.as_points: images{place.tolist()} is {images[tuple(place)]}, "
            f"expected a number from 0 to {BRIGHTEST}"
        )
    for image in np.flatnonzero(~images.any(axis=(1, 2)))[:1]:
        raise ValueError(f"data.as_points: images[{image}] has no lit pixel, expected at least one")


def _length_of_sets(counts: np.ndarray, length: int | None) -> int:
    """Return how many points each set gets."""
    if length is None:
        return int(counts.max())
    length = check_number("data.as_points: length", length, int, ">= 1")
    for image in np.flatnonzero(counts > length)[:1]:
        raise ValueError(
            f"data.as_points: length is {length}, expected at least the {counts[image]} lit pixels "
            f"of images[{image}]"
        )
    return length
