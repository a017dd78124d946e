"""Surfaces made of triangles, and the OFF files that hold them.

Used by `data.read_shapes`::

    mesh = read_off("chair_0001.off")
"""

import math
import os
import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from backprop_lib.arguments import check_array

__all__ = ["Mesh", "OffError", "read_off"]


@dataclass(frozen=True, eq=False)
class Mesh:
    """A surface made of triangles.

    Raises
    ------
    ShapeError, TypeError
        If an array has another shape than below, or does not hold floats and integers.
    ValueError
        If a coordinate is not finite, or a triangle names a vertex that is not there.
    """

    vertices: np.ndarray
    """Shape (V, 3), floats."""
    triangles: np.ndarray
    """Shape (T, 3), integers, the three vertices of each triangle, counted from 0."""

    def __post_init__(self) -> None:
        check_array("off.Mesh", "vertices", self.vertices, "f", ("V", 3))
        check_array("off.Mesh", "triangles", self.triangles, "iu", ("T", 3))
        if not np.isfinite(self.vertices).all():
            raise ValueError("off.Mesh: vertices holds numbers that are not finite")
        count = len(self.vertices)
        for triangle in np.flatnonzero(
            ((self.triangles < 0) | (self.triangles >= count)).any(axis=1)
        )[:1]:
            raise ValueError(
                f"off.Mesh: triangles[{triangle}] is {self.triangles[triangle].tolist()}, "
                f"but there are {count} vertices"
            )


class OffError(ValueError):
    """A file that holds no surface: the message names the file, and the line that is wrong."""


def read_off(source: str | os.PathLike[str] | IO[bytes]) -> Mesh:
    """Read a surface from an OFF file, the format of ModelNet.

    ::

        OFF
        4 2 0                  # counts of vertices, faces and edges (the last is not used)
        0 0 0                  # one line per vertex
        1 0 0
        1 1 0
        0 1 0
        3 0 1 2                # one line per face: how many corners, then which vertices
        3 0 2 3 255 0 0        # a colour may follow, and is left out

    Counts on the header's line, as in ``OFF4 2 0``, which many files of ModelNet have, a count of
    edges that is missing, comments from ``#`` to the end of the line, blank lines, all three kinds
    of line ends, the mark of UTF-8 at the beginning, and bytes that are 0 behind the last line are
    read. So are the headers ``[ST][C][N]OFF``: the normal (3 numbers), colour (3 or 4) and texture
    coordinates (2) that stand behind each vertex are left out, as is a colour behind the vertices
    of a plain ``OFF``, which some programs write. Not read are the variants in binary, those whose
    points have not three coordinates (``4OFF``, ``nOFF``), and headers in small letters, since
    ``NOFF`` and ``nOFF`` are different formats.

    A face with the corners v₀, ..., vₘ becomes the fan (v₀, v₁, v₂), (v₀, v₂, v₃), ...,
    (v₀, vₘ₋₁, vₘ), which covers it if it is flat and convex.

    Parameters
    ----------
    source : path, or a file that is open in binary mode
        Where to read. A file is left open.

    Returns
    -------
    Mesh
        vertices, float64, and triangles, int64, in the order of the file.

    Raises
    ------
    OffError
        If the file is not as above. Vertices and faces are counted from 0 in the message, as
        the format counts them, and lines from 1.
    OSError
        If there is no such file, or it cannot be read.
    TypeError
        If source is neither a path nor a file in binary mode.

    References
    ----------
    The Geomview Manual, chapter OOGL File Formats, OFF. Z. Wu et al., 3D ShapeNets, CVPR 2015:
    ModelNet.
    """
    lines = _Lines(*_name_and_contents(source))
    columns = _read_header(lines)
    vertex_count, face_count = _read_counts(lines)
    vertices = _read_vertices(lines, columns, vertex_count)
    triangles = [
        triangle
        for i in range(face_count)
        for triangle in _read_face(lines, i, face_count, vertex_count)
    ]
    if (words := lines.next_words()) is not None:
        raise lines.error(f"{_quoted(words)} where the file should end")
    return Mesh(
        np.array(vertices, dtype=np.float64).reshape(-1, 3),
        np.array(triangles, dtype=np.int64).reshape(-1, 3),
    )


REAL = re.compile(rb"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
WHOLE = re.compile(rb"\+?\d{1,18}")
COMMENT = re.compile(rb"(?<!\.)#.*")  # not in 1.#QNAN, a NaN in the words of some programs
PADDING = b"\0 \t\r\n"
COLOUR = 4
"""At most red, green, blue and opacity."""
COLOUR_OF_VERTEX = (3, 4)
HEADER = re.compile(
    rb"(?P<texture>ST)?(?P<colour>C)?(?P<normal>N)?(?P<dimensions>4?n?)OFF(?=[+-]?\d|$)"
)
BEGINNINGS = {
    b"\x1f\x8b": "it is compressed by gzip: unpack it",
    b"BZh": "it is compressed by bzip2: unpack it",
    b"\xfd7zXZ\0": "it is compressed by xz: unpack it",
    b"\x28\xb5\x2f\xfd": "it is compressed by zstd: unpack it",
    b"\x1f\x9d": "it is compressed by compress: unpack it",
    b"7z\xbc\xaf\x27\x1c": "it is a 7z file: unpack it",
    b"PK\x03\x04": "it is a zip file: unpack it",
    b"version https://git-lfs.github.com/spec/": (
        "it is a pointer of Git LFS, and not the file: fetch that with git lfs pull"
    ),
    b"\xff\xfe\0\0": "the text is in UTF-32, expected ASCII or UTF-8",
    b"\0\0\xfe\xff": "the text is in UTF-32, expected ASCII or UTF-8",
    b"\xff\xfe": "the text is in UTF-16, expected ASCII or UTF-8",
    b"\xfe\xff": "the text is in UTF-16, expected ASCII or UTF-8",
}
"""How files begin that are not read, and why. UTF-32 stands first, as it begins as UTF-16 does."""


class _Lines:
    """The lines of a file that hold more than a comment, one after the other."""

    def __init__(self, name: str, contents: bytes) -> None:
        self.name = name
        self.number = 0
        self.waiting: list[bytes] = []
        for beginning, problem in BEGINNINGS.items():
            if contents.startswith(beginning):
                raise self.error(problem)
        self.lines = _without_padding(contents.removeprefix(BOM_UTF8)).splitlines()

    def error(self, what: str) -> OffError:
        """Return an error that names the file and the line that was read last."""
        return OffError(f"{self.name}, line {max(self.number, 1)}: {what}")

    def next_words(self) -> list[bytes] | None:
        """Return the words of the next line, or None at the end of the file."""
        if self.waiting:
            words, self.waiting = self.waiting, []
            return words
        while self.number < len(self.lines):
            line = self.lines[self.number]
            self.number += 1
            if b"\0" in line:
                raise self.error(self._problem_of_zeros())
            if b"#" in line:
                line = COMMENT.sub(b"", line)
            if words := line.split():
                return words
        return None

    def _problem_of_zeros(self) -> str:
        rest = b"".join(self.lines[self.number - 1 :]).rstrip(PADDING)
        if rest and b"\0" not in rest:
            return "the last line ends in bytes that are 0: was the file cut off?"
        return "a byte that is 0, expected text"

    def put_back(self, words: list[bytes]) -> None:
        """Let words of this line, if there are any, be those that are read next."""
        self.waiting = words

    def expect_words(self, ending: str) -> list[bytes]:
        """Return the words of the next line, which must be there."""
        if (words := self.next_words()) is None:
            raise self.error(f"the file ends {ending}")
        return words


def _without_padding(contents: bytes) -> bytes:
    """Take away bytes that are 0 at the end, if there is a whole line in front of them."""
    text = contents.rstrip(PADDING)
    end = contents[len(text) :]
    return text + b"\n" if b"\0" in end and end[0] in b"\r\n" else contents


def _name_and_contents(source: Any) -> tuple[str, bytes]:
    if isinstance(source, str | os.PathLike):
        return str(source), Path(source).read_bytes()
    contents = source.read() if hasattr(source, "read") else None
    if not isinstance(contents, bytes):
        raise TypeError(
            f"off.read_off: source is of type {type(source).__name__}, "
            "expected a path or a file that is open in binary mode"
        )
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "OFF file", contents


class _Columns(NamedTuple):
    """What stands in the line of a vertex."""

    counts: tuple[int, ...]
    """How many numbers there may be."""
    expected: str
    """The same in words."""


def _read_header(lines: _Lines) -> _Columns:
    """Return what the header says of the vertices, and leave the counts to be read."""
    words = lines.expect_words("before the header OFF")
    header = HEADER.match(words[0])
    if header is None:
        capitals = HEADER.match(words[0].upper())
        expected = f"capital letters: {capitals[0].decode()}" if capitals else "OFF"
        raise lines.error(f"the header is {_quoted(words)}, expected {expected}")
    keyword = header[0].decode()
    if header["dimensions"]:
        raise lines.error(f"{keyword}: points that have not three coordinates are not read")
    if words[1:2] == [b"BINARY"]:
        raise lines.error(f"{keyword} BINARY: numbers in binary are not read, only those in text")
    counts = [words[0][header.end() :], *words[1:]]
    lines.put_back(counts if counts[0] else counts[1:])
    return _columns(keyword, header)


def _columns(keyword: str, header: re.Match[bytes]) -> _Columns:
    if keyword == "OFF":
        return _Columns((3, *(3 + count for count in COLOUR_OF_VERTEX)), "three finite numbers")
    least = 3 * bool(header["normal"]) + 2 * bool(header["texture"])
    more = [least + count for count in (COLOUR_OF_VERTEX if header["colour"] else (0,))]
    told = " or ".join(map(str, more))
    expected = f"three finite numbers and {told} more, as the header is {keyword}"
    return _Columns(tuple(3 + count for count in more), expected)


def _read_counts(lines: _Lines) -> tuple[int, int]:
    """Return how many vertices and faces the file says it has."""
    counts = lines.expect_words("before the counts")
    if len(counts) not in (2, 3) or not all(WHOLE.fullmatch(word) for word in counts):
        raise lines.error(
            f"the counts are {_quoted(counts)}, "
            "expected three whole numbers from 0: vertices, faces, edges"
        )
    return int(counts[0]), int(counts[1])


def _read_vertices(lines: _Lines, columns: _Columns, count: int) -> list[list[float]]:
    vertices: list[list[float]] = []
    for i in range(count):
        numbers = _read_vertex(lines, columns, i, count)
        if i == 0:  # a line that is longer or shorter than the first is damaged
            expected = f"{len(numbers)} finite numbers, as vertex 0 has"
            columns = _Columns((len(numbers),), expected if len(numbers) > 3 else columns.expected)
        vertices.append(numbers[:3])
    return vertices


def _read_vertex(lines: _Lines, columns: _Columns, i: int, count: int) -> list[float]:
    words = lines.expect_words(f"after {i} of {count} vertices")
    numbers = [float(word) for word in words if REAL.fullmatch(word)]
    are_numbers = len(numbers) == len(words) and all(map(math.isfinite, numbers))
    if not are_numbers or len(words) not in columns.counts:
        raise lines.error(f"vertex {i} is {_quoted(words)}, expected {columns.expected}")
    return numbers


def _read_face(lines: _Lines, i: int, count: int, vertex_count: int) -> list[tuple[int, int, int]]:
    """Return the triangles of the next face."""
    first, *words = lines.expect_words(f"after {i} of {count} faces")
    size = int(first) if WHOLE.fullmatch(first) else 0
    if size < 3:
        raise lines.error(f"face {i} has {_quoted([first])} corners, expected at least 3")
    if len(words) < size:
        raise lines.error(f"face {i} has {size} corners, but names {len(words)} vertices")
    names, colour = words[:size], words[size:]
    v = [int(word) for word in names if WHOLE.fullmatch(word)]
    if len(v) < size or max(v) >= vertex_count:
        wrong = next(w for w in names if not (WHOLE.fullmatch(w) and int(w) < vertex_count))
        expected = f"expected 0 to {vertex_count - 1}" if vertex_count else "but there is none"
        raise lines.error(f"face {i} names vertex {_quoted([wrong])}, {expected}")
    if len(colour) > COLOUR or not all(map(REAL.fullmatch, colour)):
        raise lines.error(
            f"face {i} has {_quoted(colour)} behind its {size} corners, "
            f"expected a colour: at most {COLOUR} numbers"
        )
    return [(v[0], v[k], v[k + 1]) for k in range(1, size - 1)]


def _quoted(words: Iterable[bytes]) -> str:
    """Return words as they are if they are one number, else quoted; not all if they are long."""
    text = b" ".join(words).decode("latin-1")
    if len(text) > 40:
        text = text[:37] + "..."
    return text if REAL.fullmatch(text.encode("latin-1")) else ascii(text)
