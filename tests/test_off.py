"""OFF files are read, or refused in words that name the cause."""

import bz2
import gzip
import io
import lzma
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_lib.off import Mesh, OffError, read_off
from backprop_lib.shapes import ShapeError

TETRAHEDRON = """\
OFF
4 4 6
0 0 0
1 0 0
0 2 0
0 0 3
3 0 2 1
3 0 1 3
3 1 2 3
3 0 3 2
"""
CUBE = """\
OFF
8 6 12
0 0 0
1 0 0
1 1 0
0 1 0
0 0 1
1 0 1
1 1 1
0 1 1
4 0 3 2 1
4 4 5 6 7
4 0 1 5 4
4 1 2 6 5
4 2 3 7 6
4 3 0 4 7
"""


def changed(text, lines):
    """Replace lines of a text, counted from 1; None takes one away."""
    replaced = [lines.get(i, line) for i, line in enumerate(text.splitlines(), 1)]
    return "\n".join(line for line in replaced if line is not None) + "\n"


def read(contents):
    return read_off(io.BytesIO(contents.encode("latin-1")))


def areas(mesh):
    """Return the areas of the triangles by Heron's formula."""
    sides = mesh.vertices[mesh.triangles] - mesh.vertices[np.roll(mesh.triangles, 1, axis=1)]
    lengths = np.sqrt((sides**2).sum(axis=2))
    half = lengths.sum(axis=1) / 2
    return np.sqrt(half * (half[:, None] - lengths).prod(axis=1))


def test_a_tetrahedron_is_read_as_it_is_written(tmp_path):
    path = tmp_path / "tetrahedron.off"
    path.write_text(TETRAHEDRON)
    mesh = read_off(path)
    assert (mesh.vertices.dtype, mesh.triangles.dtype) == (np.float64, np.int64)
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]]
    assert mesh.triangles.tolist() == [[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]
    np.testing.assert_allclose(areas(mesh), [1, 1.5, 3.5, 3])


def test_faces_with_more_corners_become_fans():
    mesh = read(CUBE)
    assert mesh.triangles[:3].tolist() == [[0, 3, 2], [0, 2, 1], [4, 5, 6]]
    np.testing.assert_allclose(areas(mesh), [0.5] * 12)
    pentagon = "OFF 5 2 0\n0 0 0\n2 0 0\n3 1 0\n2 2 0\n0 2 0\n3 0 1 2\n5 0 1 2 3 4\n"
    mesh = read(pentagon)
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 1, 2], [0, 2, 3], [0, 3, 4]]
    assert areas(mesh)[1:].sum() == pytest.approx(5)


@pytest.mark.parametrize(
    "lines",
    [
        {1: "OFF4 4 6", 2: None},
        {1: "OFF 4 4 6", 2: None},
        {1: "# made by hand\n\n  OFF  # header"},
        {2: "+4 4 0"},
        {2: "4 4 6 # counts"},
        {2: "4 4"},
        {1: "OFF4 4", 2: None},
        {1: "\xef\xbb\xbfOFF"},
        {1: "\xef\xbb\xbfOFF4 4 6", 2: None},
        {2: "\n4 4 6\n \t\n# vertices, in \xe9l\xe9ments"},
        {3: "0 0 0# the origin", 4: "  1.0\t0e5 -.0  ", 5: "0. +2E0 0", 6: "0 0 30e-1"},
        {7: "3 0 2 1 255 0 0", 8: "3 0 1 3 0.5 0.25 1 1.", 9: "3 1 2 3 7", 10: "3  0 3 2 # last"},
        {10: "3 0 3 2\n\n# the end\n  "},
    ],
)
def test_other_ways_to_write_it_are_read_as_well(lines):
    text = changed(TETRAHEDRON, lines)
    expected = read(TETRAHEDRON)
    for way in (text, text.replace("\n", "\r\n"), text.replace("\n", "\r"), text.rstrip("\n")):
        mesh = read(way)
        assert np.array_equal(mesh.vertices, expected.vertices)
        assert np.array_equal(mesh.triangles, expected.triangles)


NORMAL, COLOUR, OPAQUE, TEXTURE = "0 -.6 .8", "255 0 17", "1 0.5 0 1", "0.25 1"


def with_columns(header, more):
    """Return the tetrahedron with more numbers behind each vertex."""
    lines = TETRAHEDRON.splitlines()
    vertices = {i: f"{lines[i - 1]} {more}" for i in range(3, 7)}
    return changed(TETRAHEDRON, {1: header, **vertices})


@pytest.mark.parametrize(
    ("header", "more"),
    [
        ("OFF", COLOUR),
        ("OFF", OPAQUE),
        ("COFF", COLOUR),
        ("COFF", OPAQUE),
        ("NOFF", NORMAL),
        ("STOFF", TEXTURE),
        ("CNOFF", f"{NORMAL} {COLOUR}"),
        ("STCNOFF", f"{NORMAL} {OPAQUE} {TEXTURE}"),
    ],
)
def test_what_stands_behind_the_vertices_is_left_out(header, more):
    expected = read(TETRAHEDRON)
    text = with_columns(header, more)
    for way in (text, text.replace("OFF\n", "OFF", 1)):
        mesh = read(way)
        assert np.array_equal(mesh.vertices, expected.vertices)
        assert np.array_equal(mesh.triangles, expected.triangles)


@pytest.mark.parametrize(
    ("header", "more", "expected"),
    [
        ("OFF", TEXTURE, "three finite numbers"),
        ("OFF", "255 0 red", "three finite numbers"),
        ("COFF", "", "three finite numbers and 3 or 4 more, as the header is COFF"),
        ("COFF", "7", "three finite numbers and 3 or 4 more, as the header is COFF"),
        ("NOFF", OPAQUE, "three finite numbers and 3 more, as the header is NOFF"),
        ("NOFF", "0 nan 1", "three finite numbers and 3 more, as the header is NOFF"),
        ("STOFF", NORMAL, "three finite numbers and 2 more, as the header is STOFF"),
        ("CNOFF", NORMAL, "three finite numbers and 6 or 7 more, as the header is CNOFF"),
    ],
)
def test_what_does_not_fit_the_header_is_told(header, more, expected):
    with pytest.raises(OffError) as raised:
        read(with_columns(header, more))
    shown = repr(f"0 0 0 {more}".strip())
    assert str(raised.value) == f"OFF file, line 3: vertex 0 is {shown}, expected {expected}"


def test_all_vertices_have_as_many_numbers_as_the_first():
    text = with_columns("COFF", OPAQUE).replace("1 0 0 1 0.5 0 1", "1 0 0 1 0.5 0")
    with pytest.raises(OffError) as raised:
        read(text)
    expected = "vertex 1 is '1 0 0 1 0.5 0', expected 7 finite numbers, as vertex 0 has"
    assert str(raised.value) == f"OFF file, line 4: {expected}"
    text = changed(TETRAHEDRON, {4: f"1 0 0 {COLOUR}"})
    with pytest.raises(OffError, match="line 4: vertex 1 is '1 0 0 255 0 17', expected three"):
        read(text)


@pytest.mark.parametrize("padding", ["\0", "\0\0\n", " \0 \r\n\0" * 2000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_zeros_behind_the_last_line_are_left_out(padding, end):
    mesh = read(TETRAHEDRON.replace("\n", end) + padding)
    assert np.array_equal(mesh.triangles, read(TETRAHEDRON).triangles)


def test_zeros_behind_half_a_line_are_refused():
    """The place of what was not written is often filled with zeros: 12 may have been 123."""
    for zeros in ("\0", "\0\0\n", " \0\n\0\r\n"):
        with pytest.raises(OffError) as raised:
            read(TETRAHEDRON.rstrip() + zeros)
        told = "the last line ends in bytes that are 0: was the file cut off?"
        assert str(raised.value) == f"OFF file, line 10: {told}"
    with pytest.raises(OffError, match="line 9: the last line ends in bytes that are 0"):
        read(changed(TETRAHEDRON, {9: "3 1\0\0", 10: None}))
    with pytest.raises(OffError, match="line 9: a byte that is 0, expected text"):
        read(changed(TETRAHEDRON, {9: "3 1\0\0", 10: "3 0 3 2\0"}))
    with pytest.raises(OffError, match="line 1: a byte that is 0, expected text"):
        read("\0\0\n")
    with pytest.raises(OffError, match="line 9: the file ends after 3 of 4 faces"):
        read(changed(TETRAHEDRON, {10: None}) + "\0" * 8)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (gzip.compress(TETRAHEDRON.encode(), mtime=0), "it is compressed by gzip: unpack it"),
        (bz2.compress(TETRAHEDRON.encode()), "it is compressed by bzip2: unpack it"),
        (lzma.compress(TETRAHEDRON.encode()), "it is compressed by xz: unpack it"),
        (b"\x28\xb5\x2f\xfd\x04", "it is compressed by zstd: unpack it"),
        (b"\x1f\x9d\x90", "it is compressed by compress: unpack it"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "it is a 7z file: unpack it"),
        (b"PK\x03\x04" + bytes(20), "it is a zip file: unpack it"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            "it is a pointer of Git LFS, and not the file: fetch that with git lfs pull",
        ),
        (TETRAHEDRON.encode("utf-32"), "the text is in UTF-32, expected ASCII or UTF-8"),
        (
            b"\0\0\xfe\xff" + TETRAHEDRON.encode("utf-32-be"),
            "the text is in UTF-32, expected ASCII or UTF-8",
        ),
        (TETRAHEDRON.encode("utf-16"), "the text is in UTF-16, expected ASCII or UTF-8"),
        (b"\xfe\xff\0O\0F\0F", "the text is in UTF-16, expected ASCII or UTF-8"),
        (b"OFF BINARY\n\0\0\0\4", "OFF BINARY: numbers in binary are not read, only those in text"),
        (b"4OFF\n1 0 0\n0 0 0 1\n", "4OFF: points that have not three coordinates are not read"),
        (b"nOFF 2\n1 0 0\n0 0\n", "nOFF: points that have not three coordinates are not read"),
        (b"C4nOFF 2\n1 0 0\n", "C4nOFF: points that have not three coordinates are not read"),
    ],
)
def test_variants_that_are_not_read_are_told(contents, message):
    with pytest.raises(OffError) as raised:
        read_off(io.BytesIO(contents))
    assert str(raised.value) == f"OFF file, line 1: {message}"


def test_the_example_in_the_documentation_is_an_off_file():
    example = read_off.__doc__.partition("::")[2].partition("Counts on")[0]
    mesh = read(example)
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_a_surface_may_be_empty():
    assert read("OFF\n0 0 0\n").vertices.shape == (0, 3)
    mesh = read("OFF\n1 0 0\n1 2 3")
    assert mesh.vertices.tolist() == [[1, 2, 3]]
    assert (mesh.triangles.shape, mesh.triangles.dtype) == ((0, 3), np.int64)


def refusal(path, lines):
    """Return what is said of a tetrahedron with other lines, behind the name of the file."""
    path.write_bytes(changed(TETRAHEDRON, lines).encode("latin-1"))
    with pytest.raises(OffError) as raised:
        read_off(str(path))
    file, message = str(raised.value).split(", ", 1)
    assert file == str(path)
    return message


@pytest.mark.parametrize(
    ("lines", "place", "counts"),
    [
        ({2: None, 3: "0 0 .5"}, 2, "'0 0 .5'"),
        ({2: "4"}, 2, "4"),
        ({2: "4 4 6 0"}, 2, "'4 4 6 0'"),
        ({2: "4 -4 6"}, 2, "'4 -4 6'"),
        ({2: "4 4 -6"}, 2, "'4 4 -6'"),
        ({1: "OFF-4 4 6", 2: None}, 1, "'-4 4 6'"),
        ({1: "OFF4", 2: None}, 1, "4"),
        ({2: "4 4.0 6"}, 2, "'4 4.0 6'"),
        ({2: "4 four 6"}, 2, "'4 four 6'"),
        ({2: "4 4 1_2"}, 2, "'4 4 1_2'"),
        ({2: "4 4 " + "9" * 5000}, 2, "'4 4 999999999999999999999999999999999...'"),
    ],
)
def test_wrong_counts_are_told(lines, place, counts, tmp_path):
    expected = "expected three whole numbers from 0: vertices, faces, edges"
    message = f"line {place}: the counts are {counts}, {expected}"
    assert refusal(tmp_path / "chair.off", lines) == message


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("1 0", "'1 0'"),
        ("1", "1"),
        ("1 0 0 0", "'1 0 0 0'"),
        ("1 zero 0", "'1 zero 0'"),
        ("1 0 0 red", "'1 0 0 red'"),
        ("1 0 1_0", "'1 0 1_0'"),
        ("1 0 0x1", "'1 0 0x1'"),
        ("1 0 1,5", "'1 0 1,5'"),
        ("1 0 \xb2", r"'1 0 \xb2'"),
        ("1 nan 0", "'1 nan 0'"),
        ("1 -inf 0", "'1 -inf 0'"),
        ("1 0 1e999", "'1 0 1e999'"),
        ("1 0 1.#QNAN", "'1 0 1.#QNAN'"),
        ("\x01\xff", r"'\x01\xff'"),
    ],
)
def test_a_wrong_vertex_is_told(line, shown, tmp_path):
    message = f"line 4: vertex 1 is {shown}, expected three finite numbers"
    assert refusal(tmp_path / "chair.off", {4: line}) == message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3 0 1 4", "names vertex 4, expected 0 to 3"),
        ("3 0 -1 3", "names vertex -1, expected 0 to 3"),
        ("3 0 1.5 3", "names vertex 1.5, expected 0 to 3"),
        ("3 0 one 3", "names vertex 'one', expected 0 to 3"),
        ("3 0 10000000000000000000 3", "names vertex 10000000000000000000, expected 0 to 3"),
        ("2 0 1", "has 2 corners, expected at least 3"),
        ("-3 0 1 3", "has -3 corners, expected at least 3"),
        ("three 0 1 3", "has 'three' corners, expected at least 3"),
        ("3 0 1", "has 3 corners, but names 2 vertices"),
        ("3 0 1 3 red", "has 'red' behind its 3 corners, expected a colour: at most 4 numbers"),
        (
            "3 0 1 3 1 2 3 4 5",
            "has '1 2 3 4 5' behind its 3 corners, expected a colour: at most 4 numbers",
        ),
    ],
)
def test_a_wrong_face_is_told(line, message, tmp_path):
    assert refusal(tmp_path / "chair.off", {8: line}) == f"line 8: face 1 {message}"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({1: "ply"}, "line 1: the header is 'ply', expected OFF"),
        ({1: "off"}, "line 1: the header is 'off', expected capital letters: OFF"),
        ({1: "Coff4 4 6"}, "line 1: the header is 'Coff4 4 6', expected capital letters: COFF"),
        ({1: "NCOFF"}, "line 1: the header is 'NCOFF', expected OFF"),
        ({1: "OFFICE"}, "line 1: the header is 'OFFICE', expected OFF"),
        ({1: "\n# none\n4 4 6"}, "line 3: the header is '4 4 6', expected OFF"),
        ({1: "\x89PNG\x1a"}, r"line 1: the header is '\x89PNG\x1a', expected OFF"),
        ({4: "1 0 \0"}, "line 4: a byte that is 0, expected text"),
        ({5: "# \0", 6: "0 2 0\n0 0 3"}, "line 5: a byte that is 0, expected text"),
        ({6: None}, "line 6: vertex 3 is '3 0 2 1', expected three finite numbers"),
        ({10: None}, "line 9: the file ends after 3 of 4 faces"),
        ({2: "4 99999999999 6"}, "line 10: the file ends after 4 of 99999999999 faces"),
        ({10: "3 0 3 2\n\n3 0 1 2"}, "line 12: '3 0 1 2' where the file should end"),
        ({10: "3 0 3 2\nend"}, "line 11: 'end' where the file should end"),
        ({10: "3 0 3 2\n\x1a\0z"}, "line 11: a byte that is 0, expected text"),
    ],
)
def test_what_is_no_off_file_is_told(lines, message, tmp_path):
    assert refusal(tmp_path / "chair.off", lines) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the file ends before the header OFF"),
        ("\n# nothing\n", "line 2: the file ends before the header OFF"),
        ("OFF\n\n", "line 2: the file ends before the counts"),
        ("OFF 2 0 0\n1 2 3\n", "line 2: the file ends after 1 of 2 vertices"),
        ("OFF 0 1 0\n3 0 1 2\n", "line 2: face 0 names vertex 0, but there is none"),
        ("OFF 0 0 0\n1 2 3\n", "line 2: '1 2 3' where the file should end"),
        ("OFF 1 0 0\n1 2 3\n3 0 0 0\n", "line 3: '3 0 0 0' where the file should end"),
    ],
)
def test_short_files_are_told_as_well(text, message):
    with pytest.raises(OffError) as raised:
        read(text)
    assert str(raised.value) == f"OFF file, {message}"


def test_a_file_that_is_cut_anywhere_between_two_lines_is_refused():
    lines = CUBE.splitlines()
    for count in range(len(lines)):
        with pytest.raises(OffError, match=rf"line {max(count, 1)}: the file ends"):
            read("\n".join(lines[:count]))


def is_surface_or_refused(contents):
    try:
        mesh = read_off(io.BytesIO(contents))
    except OffError as error:
        return re.match(r"OFF file, line \d+: ", str(error)) is not None
    return bool(np.isfinite(mesh.vertices).all())


@given(st.binary(max_size=60))
def test_any_bytes_are_a_surface_or_refused(contents):
    for start in (b"", b"OFF", b"OFF 1 1 0\n", b"OFF 3 1 0\n0 0 0\n1 0 0\n0 1 0\n"):
        assert is_surface_or_refused(start + contents)


@given(st.integers(0, len(TETRAHEDRON)), st.integers(0, 5), st.sampled_from(["", " ", "\n", "-"]))
def test_a_damaged_file_is_a_surface_or_refused(place, count, instead):
    text = TETRAHEDRON[:place] + instead + TETRAHEDRON[place + count :]
    assert is_surface_or_refused(text.encode())


def test_a_file_is_left_open_and_named_if_it_has_a_name(tmp_path):
    path = tmp_path / "chair.off"
    path.write_text(changed(TETRAHEDRON, {8: "3 0 1 9"}))
    with path.open("rb") as file:
        with pytest.raises(OffError) as raised:
            read_off(file)
        assert not file.closed
    assert str(raised.value) == f"{path}, line 8: face 1 names vertex 9, expected 0 to 3"


def test_what_is_no_path_and_no_binary_file_is_refused(tmp_path):
    expected = "expected a path or a file that is open in binary mode"
    with pytest.raises(TypeError, match=f"source is of type StringIO, {expected}"):
        read_off(io.StringIO(TETRAHEDRON))
    with pytest.raises(TypeError, match=f"source is of type int, {expected}"):
        read_off(5)
    with pytest.raises(FileNotFoundError, match=r"none\.off"):
        read_off(tmp_path / "none.off")


@pytest.mark.parametrize(
    ("vertices", "triangles", "error", "message"),
    [
        (
            np.zeros((3, 2)),
            np.array([[0, 1, 2]]),
            ShapeError,
            "vertices has shape (3, 2), expected floats of shape (V, 3)",
        ),
        (
            np.zeros((3, 3)),
            np.array([0, 1, 2]),
            ShapeError,
            "triangles has shape (3,), expected integers of shape (T, 3)",
        ),
        (
            np.zeros((3, 3), dtype=np.int32),
            np.array([[0, 1, 2]]),
            TypeError,
            "vertices holds int32, expected floats of shape (V, 3)",
        ),
        (
            np.zeros((3, 3)),
            np.array([[0.0, 1, 2]]),
            TypeError,
            "triangles holds float64, expected integers of shape (T, 3)",
        ),
        (
            np.array([[0, 0, np.inf]]),
            np.zeros((0, 3), dtype=int),
            ValueError,
            "vertices holds numbers that are not finite",
        ),
        (
            np.zeros((3, 3)),
            np.array([[0, 1, 2], [0, 3, 1]]),
            ValueError,
            "triangles[1] is [0, 3, 1], but there are 3 vertices",
        ),
        (
            np.zeros((3, 3)),
            np.array([[0, -1, 2]]),
            ValueError,
            "triangles[0] is [0, -1, 2], but there are 3 vertices",
        ),
    ],
)
def test_a_mesh_names_what_is_wrong(vertices, triangles, error, message):
    with pytest.raises(error) as raised:
        Mesh(vertices, triangles)
    assert str(raised.value) == f"off.Mesh: {message}"
