"""The digits are the ones that UCI counts, points are uniform, folders are read or refused."""

import hashlib
import math
import os
import shutil
import subprocess
import sys
import types
import zipfile

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from test_off import CUBE, TETRAHEDRON, areas, changed

from backprop_lib.data import (
    Digits,
    as_points,
    digits,
    find_shapes,
    normalise,
    read_shapes,
    sample,
    split,
)
from backprop_lib.off import Mesh, OffError, read_off
from backprop_lib.shapes import ShapeError

SHIPPED = ROOT / "backprop_lib" / "datasets" / "digits.npz"
COUNTED_BY_UCI = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
"""How often each digit is in the test set, by the table in UCI's description."""
FOUR = """\
    =
   --
   =-
  -# =-
 -#= #-
 -##=#
   -#=
    #-
"""
A_GENERATOR = "expected a numpy.random.Generator, such as numpy.random.default_rng(0)"
SHA256 = "65e5b4619795efb40c1082f4c350c049e4ad552200d369b6ae99e21eef5e72c5"


def image(pixels):
    """Return one image from {(row, column): value}."""
    values = np.zeros((1, 8, 8), dtype=np.uint8)
    for place, value in pixels.items():
        values[0][place] = value
    return values


def chances(n, p):
    """Return the chance of each number of successes in n tries, exactly but for rounding."""
    logs = [
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(p)
        + (n - k) * math.log(1 - p)
        for k in range(n + 1)
    ]
    return np.exp(logs)


def bounds(n, p, chance=1e-6):
    """Return the least and the largest number of successes that are not rarer than that."""
    below = np.cumsum(chances(n, p))
    above = np.cumsum(chances(n, p)[::-1])[::-1]
    return int(np.argmax(below > chance)), int(np.flatnonzero(above > chance)[-1])


# The digits


def test_digits_are_as_many_as_uci_counts():
    data = digits()
    assert data.images.shape == (1797, 8, 8)
    assert data.images.dtype == np.uint8
    assert (data.images.min(), data.images.max()) == (0, 16)
    assert data.labels.shape == (1797,)
    assert data.labels.dtype == np.int64
    assert np.bincount(data.labels).tolist() == COUNTED_BY_UCI


def test_digits_are_upright_and_belong_to_their_labels():
    data = digits()
    drawn = ["".join(" -=#"[(int(v) + 3) // 6] for v in row).rstrip() for row in data.images[4]]
    assert "\n".join(drawn) + "\n" == FOUR
    assert data.labels[:20].tolist() == [*range(10), *range(10)]


def test_digits_are_the_ones_that_were_exported():
    data = digits()
    contents = data.images.tobytes() + data.labels.astype("<i8").tobytes()
    assert hashlib.sha256(contents).hexdigest() == SHA256


def test_each_call_loads_new_arrays():
    first = digits()
    first.images[:], first.labels[:] = 0, 0
    assert digits().images.any()
    assert digits().labels.any()


def test_digits_cannot_be_exchanged_in_place():
    data = digits()
    with pytest.raises(AttributeError):
        data.labels = data.labels[:5]


EPOCH = (1980, 1, 1, 0, 0, 0)


def dates(path):
    with zipfile.ZipFile(path) as archive:
        return {member.filename: member.date_time for member in archive.infolist()}


def test_the_file_is_small_and_the_same_whenever_it_is_made():
    assert SHIPPED.stat().st_size < 60_000
    assert dates(SHIPPED) == {"images.npy": EPOCH, "labels.npy": EPOCH}


def test_the_package_says_whose_digits_they_are():
    text = SHIPPED.with_name("README.md").read_text(encoding="utf8")
    for part in ("E. Alpaydin, C. Kaynak", "10.24432/C50P49", "CC BY 4.0", "Changed"):
        assert part in text


def test_digits_load_from_a_package_in_a_zip_file(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__", "proof", "recorded")
    shutil.copytree(ROOT / "backprop_lib", tmp_path / "wheel" / "backprop_lib", ignore=ignored)
    wheel = shutil.make_archive(str(tmp_path / "book"), "zip", tmp_path / "wheel")
    code = (
        f"import sys; sys.path.insert(0, {wheel!r}); from backprop_lib import data; "
        "print(data.__file__.startswith(sys.path[0]), data.digits().images.sum())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (run.stdout, run.stderr) == (f"True {digits().images.sum()}\n", "")


# The script that exported them


@pytest.fixture
def export(monkeypatch):
    """Return the script, with scikit-learn played by a module that has our digits as floats."""
    data = digits()
    found = types.SimpleNamespace(images=data.images.astype(float), target=data.labels)
    sklearn = types.ModuleType("sklearn")
    sklearn.__version__ = "0"
    sklearn.datasets = types.ModuleType("sklearn.datasets")
    sklearn.datasets.load_digits = lambda: found
    monkeypatch.setitem(sys.modules, "sklearn", sklearn)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", sklearn.datasets)
    monkeypatch.delitem(sys.modules, "export_digits", raising=False)
    import export_digits

    yield export_digits, found
    sys.modules.pop("export_digits", None)


def test_check_tells_whether_what_is_shipped_is_what_is_exported(export, monkeypatch, capsys):
    script, found = export
    monkeypatch.setattr(sys, "argv", ["export_digits.py", "--check"])
    script.main()
    assert capsys.readouterr().out.startswith("digits.npz: as shipped")
    found.images[1796, 7, 3] += 1
    with pytest.raises(SystemExit, match=r"digits.npz is not what scikit-learn 0 has"):
        script.main()


def test_export_writes_the_same_content_again(export, monkeypatch, tmp_path):
    script, _ = export
    target = tmp_path / "digits.npz"
    monkeypatch.setattr(script, "SHIPPED", target)
    monkeypatch.setattr(sys, "argv", ["export_digits.py"])
    script.main()
    first = target.read_bytes()
    script.main()
    assert target.read_bytes() == first
    assert dates(target) == {"images.npy": EPOCH, "labels.npy": EPOCH}
    with np.load(target, allow_pickle=False) as ours, np.load(SHIPPED, allow_pickle=False) as old:
        assert ours.files == old.files
        for name in ours.files:
            assert ours[name].dtype == old[name].dtype
            assert np.array_equal(ours[name], old[name])


@pytest.mark.parametrize(("name", "value"), [("images", 0.5), ("target", 256), ("target", -1)])
def test_export_loses_nothing(export, name, value):
    script, found = export
    getattr(found, name)[5] = value
    with pytest.raises(SystemExit, match="of scikit-learn 0 are not bytes"):
        script.export()


# Images as points


def test_a_pixel_becomes_its_centre_with_y_up_and_its_intensity():
    assert as_points(image({(0, 5): 4})).tolist() == [[[0.375], [0.875], [0.25]]]
    assert as_points(image({(7, 0): 16})).tolist() == [[[-0.875], [-0.875], [1.0]]]


def test_points_are_repeated_in_their_order():
    points = as_points(image({(0, 5): 4, (2, 1): 16, (2, 6): 1}), length=7)
    x = [0.375, -0.625, 0.625]
    assert points[0, 0].tolist() == [*x, *x, x[0]]
    assert points[0, 1].tolist() == [0.875, 0.375, 0.375, 0.875, 0.375, 0.375, 0.875]
    assert points[0, 2].tolist() == [0.25, 1, 0.0625, 0.25, 1, 0.0625, 0.25]


def test_all_digits_are_what_loops_make_of_them():
    data = digits()
    expected = np.empty((1797, 3, 42))
    for n, pixels in enumerate(data.images):
        own = [
            ((2 * j + 1) / 8 - 1, 1 - (2 * i + 1) / 8, pixels[i, j] / 16)
            for i in range(8)
            for j in range(8)
            if pixels[i, j]
        ]
        for place in range(42):
            expected[n, :, place] = own[place % len(own)]
    assert np.array_equal(as_points(data.images), expected)
    assert np.array_equal(data.as_points(length=42), expected)


def test_without_a_length_it_is_the_largest_number_of_lit_pixels():
    two = np.concatenate([image({(0, 0): 1}), image({(i, i): 9 for i in range(5)})])
    assert as_points(two).shape == (2, 3, 5)
    assert as_points(two[:1]).shape == (1, 3, 1)
    assert as_points(two, length=np.int32(9)).shape == (2, 3, 9)
    assert Digits(two, np.zeros(2, dtype=np.int64)).as_points().shape == (2, 3, 5)


def test_a_repeated_point_is_nothing_to_a_max_and_something_to_a_mean():
    pixels = image({(0, 5): 4, (2, 1): 16, (2, 6): 1})
    few, many = as_points(pixels), as_points(pixels, length=7)
    assert np.array_equal(few.max(axis=2), many.max(axis=2))
    assert not np.allclose(few.mean(axis=2), many.mean(axis=2))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_every_precision_holds_the_points_exactly(dtype):
    images = digits().images[:50]
    points = as_points(images, dtype)
    assert points.dtype == dtype
    assert np.array_equal(points, as_points(images))
    assert digits().as_points(dtype, 50).dtype == dtype


def test_numbers_of_any_kind_and_layout_give_the_same_points():
    images = digits().images[:3]
    images.flags.writeable = False
    expected = as_points(images)
    for same in (images.astype(float), images.astype(np.int32), np.asfortranarray(images)):
        assert np.array_equal(as_points(same), expected)
    assert np.array_equal(as_points(np.repeat(images, 2, axis=2)[:, :, ::2]), expected)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (np.ones((2, 64)),),
            ShapeError,
            "images has shape (2, 64), expected numbers of shape (N, 8, 8)",
        ),
        (
            (np.ones((2, 8, 9)),),
            ShapeError,
            "images has shape (2, 8, 9), expected numbers of shape (N, 8, 8)",
        ),
        ((np.ones((0, 8, 8)),), ShapeError, "images has shape (0, 8, 8), expected N at least 1"),
        (([[1]],), TypeError, "images is of type list, expected a NumPy array of numbers"),
        (
            (np.ones((1, 8, 8), dtype=bool),),
            TypeError,
            "images holds bool, expected numbers of shape (N, 8, 8)",
        ),
        (
            (image({(3, 2): 17}),),
            ValueError,
            "images[0, 3, 2] is 17, expected a number from 0 to 16",
        ),
        (
            (np.where(image({(3, 2): 1}), -1, 5),),
            ValueError,
            "images[0, 3, 2] is -1, expected a number from 0 to 16",
        ),
        (
            (np.where(image({(3, 2): 1}), np.nan, 5),),
            ValueError,
            "images[0, 3, 2] is nan, expected a number from 0 to 16",
        ),
        (
            (np.concatenate([image({(3, 2): 1}), image({})]),),
            ValueError,
            "images[1] has no lit pixel, expected at least one",
        ),
        ((image({(3, 2): 1}), np.int64), TypeError, "dtype is int64, expected one of floats"),
        (
            (np.concatenate([image({(3, 2): 1}), image({(0, 0): 1, (1, 1): 2})]), float, 1),
            ValueError,
            "length is 1, expected at least the 2 lit pixels of images[1]",
        ),
        (
            (image({(3, 2): 1}), float, 0),
            ValueError,
            "length is 0, expected a whole number of at least 1",
        ),
        (
            (image({(3, 2): 1}), float, 2.0),
            TypeError,
            "length is 2.0, expected a whole number of at least 1",
        ),
        (
            (image({(3, 2): 1}), float, True),
            TypeError,
            "length is True, expected a whole number of at least 1",
        ),
    ],
)
def test_as_points_names_what_is_wrong(arguments, error, message):
    with pytest.raises(error) as raised:
        as_points(*arguments)
    assert str(raised.value) == f"data.as_points: {message}"


# The split


def test_the_split_of_the_digits_is_the_same_everywhere():
    train, test = split(digits().labels)
    assert (train.dtype, test.dtype) == (np.int64, np.int64)
    assert (len(train), len(test)) == (1438, 359)
    assert train[:12].tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13]
    assert test[:12].tolist() == [2, 12, 20, 28, 44, 53, 60, 68, 72, 77, 90, 91]
    digest = hashlib.sha256(test.astype("<i8").tobytes()).hexdigest()
    assert digest == "4a7776a49cc46ed41abfb69191fea38014f383140e733c1699854a0004257e32"


@given(
    st.lists(st.integers(2, 30), min_size=1, max_size=5),
    st.floats(0.3, 0.7),
    st.integers(0, 2**32 - 1),
)
def test_a_split_is_disjoint_exhaustive_and_in_proportion(sizes, test_share, seed):
    labels = np.repeat(np.arange(len(sizes)) * 3 - 4, sizes)
    labels = np.random.default_rng(seed).permutation(labels)
    train, test = split(labels, test_share, seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert train.tolist() == sorted(train)
    assert test.tolist() == sorted(test)
    for label, size in zip(np.arange(len(sizes)) * 3 - 4, sizes, strict=True):
        assert abs((labels[test] == label).sum() - test_share * size) <= 0.5


def test_a_split_depends_on_the_seed_and_on_nothing_else():
    labels = digits().labels
    np.random.default_rng(0).random(7)
    assert np.array_equal(split(labels, seed=1)[1], split(labels, 0.2, 1)[1])
    assert not np.array_equal(split(labels, seed=1)[1], split(labels)[1])
    assert np.array_equal(split(labels.astype(np.uint8))[1], split(labels)[1])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (np.zeros((3, 1), dtype=int),),
            ShapeError,
            "labels has shape (3, 1), expected integers of shape (N,)",
        ),
        ((np.zeros(0, dtype=int),), ShapeError, "labels has shape (0,), expected N at least 1"),
        ((np.zeros(3),), TypeError, "labels holds float64, expected integers of shape (N,)"),
        (([0, 0, 1, 1],), TypeError, "labels is of type list, expected a NumPy array of integers"),
        (
            (np.array([0, 0, 0, 4, 0]), 0.4),
            ValueError,
            "class 4 has too few samples, 1: test = 0.4 takes 0 of them",
        ),
        (
            (np.zeros(5, dtype=int), 0.95),
            ValueError,
            "class 0 has too few samples, 5: test = 0.95 takes 5 of them",
        ),
        (
            (np.zeros(5, dtype=int), 1),
            ValueError,
            "test is 1, expected a number above 0 and below 1",
        ),
        (
            (np.zeros(5, dtype=int), 0),
            ValueError,
            "test is 0, expected a number above 0 and below 1",
        ),
        (
            (np.zeros(5, dtype=int), math.nan),
            ValueError,
            "test is nan, expected a number above 0 and below 1",
        ),
        (
            (np.zeros(5, dtype=int), "a"),
            TypeError,
            "test is 'a', expected a number above 0 and below 1",
        ),
        (
            (np.zeros(5, dtype=int), 0.2, None),
            TypeError,
            "seed is None, expected a whole number of at least 0",
        ),
        (
            (np.zeros(5, dtype=int), 0.2, -1),
            ValueError,
            "seed is -1, expected a whole number of at least 0",
        ),
    ],
)
def test_split_names_what_is_wrong(arguments, error, message):
    with pytest.raises(error) as raised:
        split(*arguments)
    assert str(raised.value) == f"data.split: {message}"


# Points on a surface

SLANTED = Mesh(
    np.array([[1.0, 2, 3], [4, 0, 3], [2, 5, -1], [10, 10, 10], [13, 8, 10], [13, 19, -2]]),
    np.array([[0, 1, 2], [3, 4, 5]]),
)
"""Two triangles apart from each other. One side is the same, the other of the second is three
times as long: (3, -2, 0) with (1, 3, -4), and with (3, 9, -12). So the areas are as 1 to 3."""


def weights(points, triangle):
    """Return the weights of the corners of which each point is the mean, shape (3, count)."""
    A, B, C = SLANTED.vertices[triangle]
    system = np.array([[*A, 1], [*B, 1], [*C, 1]]).T
    found, *_ = np.linalg.lstsq(system, np.vstack([points, np.ones(points.shape[1])]), rcond=None)
    np.testing.assert_allclose(system[:3] @ found, points, atol=1e-9)
    return found


def drawn(count, seed=0):
    """Return points of SLANTED, by triangle."""
    points = sample(SLANTED, count, np.random.default_rng(seed))
    is_second = points[0] > 9
    return points[:, ~is_second], points[:, is_second]


def test_the_bounds_are_exact():
    assert chances(3, 0.25) == pytest.approx([27 / 64, 27 / 64, 9 / 64, 1 / 64])
    assert bounds(3, 0.25, 0.02) == (0, 2)
    assert bounds(3, 0.25, 0.01) == (0, 3)
    assert bounds(10, 0.5, 0.01) == (1, 9)
    assert bounds(10, 0.5, 0.02) == (2, 8)


def test_a_triangle_is_drawn_by_its_area():
    np.testing.assert_allclose(areas(SLANTED)[1] / areas(SLANTED)[0], 3)
    low, high = bounds(2000, 3 / 4)
    assert chances(2000, 1 / 2)[low : high + 1].sum() < 1e-50  # by number, not by area
    assert chances(2000, 9 / 10)[low : high + 1].sum() < 1e-20  # by the square of the area
    assert low <= drawn(2000)[1].shape[1] <= high


@pytest.mark.parametrize("which", [0, 1])
def test_points_are_uniform_in_a_triangle(which):
    points = drawn(8000)[which]
    found = weights(points, SLANTED.triangles[which])
    assert found.min() >= -1e-9
    low, high = bounds(points.shape[1], 1 / 16)
    # lines parallel to the sides cut the triangle into 16 of the same size
    places = np.floor(4 * found).astype(int)
    cells, counts = np.unique(places, axis=1, return_counts=True)
    assert cells.shape[1] == 16
    assert low <= counts.min() <= counts.max() <= high


def test_points_do_not_depend_on_those_before_them():
    found = weights(drawn(8000)[1], SLANTED.triangles[1])
    pairs = np.corrcoef(np.vstack([found[:2, :-1], found[:2, 1:]]))
    assert np.abs(pairs[:2, 2:]).max() < 5 / math.sqrt(found.shape[1])


def test_the_same_generator_gives_the_same_points():
    points = sample(SLANTED, 5, np.random.default_rng(3))
    assert (points.shape, points.dtype) == ((3, 5), np.float64)
    assert points.flags.c_contiguous
    assert np.array_equal(points, sample(SLANTED, 5, np.random.default_rng(3)))
    assert not np.array_equal(points, sample(SLANTED, 5, np.random.default_rng(4)))
    assert sample(SLANTED, np.int32(1), np.random.default_rng(3)).shape == (3, 1)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_the_unit_of_length_does_not_matter(scale):
    mesh = Mesh(SLANTED.vertices * scale, SLANTED.triangles)
    points = sample(mesh, 100, np.random.default_rng(0)) / scale
    np.testing.assert_allclose(points, sample(SLANTED, 100, np.random.default_rng(0)), rtol=1e-9)


def test_triangles_without_an_area_get_no_points():
    triangles = np.array([[0, 0, 1], [0, 1, 2], [5, 5, 5]])
    points = sample(Mesh(SLANTED.vertices, triangles), 500, np.random.default_rng(0))
    assert weights(points, [0, 1, 2]).min() >= -1e-9


def test_areas_and_points_are_computed_in_double_precision():
    far_away = SLANTED.vertices + 1000
    short = Mesh(far_away.astype(np.float16), SLANTED.triangles.astype(np.uint8))
    points = sample(short, 200, np.random.default_rng(0))
    assert points.dtype == np.float64
    long = Mesh(far_away, SLANTED.triangles)
    assert np.array_equal(points, sample(long, 200, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"mesh": Mesh(SLANTED.vertices, np.zeros((0, 3), dtype=int))},
            ValueError,
            "the mesh has no triangle",
        ),
        (
            {"mesh": Mesh(SLANTED.vertices, np.array([[0, 0, 1], [2, 2, 2]]))},
            ValueError,
            "the mesh has no area: all its triangles are lines or points",
        ),
        (
            {"mesh": Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))},
            ValueError,
            "the mesh has no area: all its triangles are lines or points",
        ),
        ({"mesh": SLANTED.vertices}, TypeError, "mesh is of type ndarray, expected a Mesh"),
        ({"count": 0}, ValueError, "count is 0, expected a whole number of at least 1"),
        ({"count": 2.0}, TypeError, "count is 2.0, expected a whole number of at least 1"),
        ({"rng": 0}, TypeError, "rng is of type int, " + A_GENERATOR),
    ],
)
def test_sample_names_what_is_wrong(change, error, message):
    arguments = {"mesh": SLANTED, "count": 3, "rng": np.random.default_rng(0)} | change
    with pytest.raises(error) as raised:
        sample(**arguments)
    assert str(raised.value) == f"data.sample: {message}"


# The unit sphere


def test_points_are_centred_and_scaled_by_the_farthest():
    points = np.array([[1.0, 3, 1, 3], [5, 5, 5, 5], [0, 0, 0, 8]])
    expected = np.array([[-1, 1, -1, 1], [0, 0, 0, 0], [-2, -2, -2, 6]]) / math.sqrt(37)
    np.testing.assert_allclose(normalise(points), expected, rtol=1e-15, atol=1e-15)
    assert points[0, 0] == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-30, 1, 1e30])
def test_the_mean_is_0_and_the_largest_distance_1(dtype, scale):
    points = np.random.default_rng(0).standard_normal((3, 7)) * scale + 2 * scale
    found = normalise(points.astype(dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=0).max(), 1, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_squares_need_not_be_numbers(scale):
    points = np.random.default_rng(0).standard_normal((3, 7))
    np.testing.assert_allclose(normalise(points * scale), normalise(points), atol=1e-12)


def test_two_points_are_enough_however_close():
    points = np.array([[1, 1 + 2**-52], [0, 0], [0, 0]])
    np.testing.assert_allclose(normalise(points), [[-1, 1], [0, 0], [0, 0]])


@pytest.mark.parametrize(
    ("points", "error", "message"),
    [
        (np.full((3, 3), 0.1), ValueError, "points has shape (3, 3), but no two that differ"),
        (np.ones((3, 1)), ValueError, "points has shape (3, 1), but no two that differ"),
        (np.ones((3, 0)), ValueError, "points has shape (3, 0), but no two that differ"),
        (
            np.array([[0, np.nan], [0, 0], [0, 0]]),
            ValueError,
            "points holds numbers that are not finite, or too far apart",
        ),
        (
            np.array([[1e308, -1e308], [0, 0], [0, 0]]),
            ValueError,
            "points holds numbers that are not finite, or too far apart",
        ),
        (np.ones((4, 3)), ShapeError, "points has shape (4, 3), expected floats of shape (3, L)"),
        (
            np.ones((3, 2), dtype=np.int32),
            TypeError,
            "points holds int32, expected floats of shape (3, L)",
        ),
    ],
)
def test_normalise_names_what_is_wrong(points, error, message):
    with pytest.raises(error) as raised:
        normalise(points)
    assert str(raised.value) == f"data.normalise: {message}"


# A folder of shapes


@pytest.fixture
def folder(tmp_path):
    """Make two classes with three files to learn from and two to test with, and what is not one."""
    for name, text in {
        "solid/train/b.off": TETRAHEDRON,
        "solid/train/a.OFF": changed(CUBE, {1: "OFF8 6 12", 2: None}),
        "solid/test/c.off": TETRAHEDRON,
        "flat/train/d.off": "OFF 3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
        "flat/test/e.off": "OFF 3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
        "flat/train/._d.off": "\0",
        "flat/train/notes.txt": "none",
        ".cache/train/f.off": "none",
        "README": "none",
    }.items():
        path = tmp_path / "shapes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "shapes"


@pytest.mark.parametrize("is_reversed", [False, True])
def test_shapes_are_read_by_class_and_by_name(folder, is_reversed, monkeypatch):
    def listed(path):  # a file system has an order of its own
        return (path / name for name in sorted(os.listdir(path), reverse=is_reversed))

    monkeypatch.setattr(type(folder), "iterdir", listed)
    points, labels, classes = read_shapes(str(folder), 6, np.random.default_rng(0))
    assert classes == ["flat", "solid"]
    assert labels.tolist() == [0, 1, 1]
    assert labels.dtype == np.int64
    rng = np.random.default_rng(0)
    for found, name in zip(points, ["flat/train/d", "solid/train/a", "solid/train/b"], strict=True):
        path = next(folder.glob(f"{name}.*"))
        assert np.array_equal(found, normalise(sample(read_off(path), 6, rng)))


def test_the_test_part_has_the_same_classes(folder):
    shapes = read_shapes(folder, 4, np.random.default_rng(0), "test")
    assert shapes.points.shape == (2, 3, 4)
    assert shapes.points.dtype == np.float64
    assert shapes.labels.tolist() == [0, 1]
    assert shapes.classes == ["flat", "solid"]
    assert np.array_equal(np.isclose(shapes.points[:, 2], 0).all(axis=1), [True, False])


def test_a_file_that_is_wrong_is_named(folder):
    file = folder / "solid" / "train" / "b.off"
    file.write_text(changed(TETRAHEDRON, {8: "3 0 1 9"}))
    with pytest.raises(OffError) as raised:
        read_shapes(folder, 5, np.random.default_rng(0))
    assert str(raised.value) == f"{file}, line 8: face 1 names vertex 9, expected 0 to 3"
    file.write_text("OFF 1 0 0\n0 0 0\n")
    with pytest.raises(OffError) as raised:
        read_shapes(folder, 5, np.random.default_rng(0))
    assert str(raised.value) == f"{file}: the mesh has no triangle"


def test_what_is_not_there_is_named(folder):
    rng = np.random.default_rng(0)
    with pytest.raises(FileNotFoundError, match="none"):
        read_shapes(folder / "none", 5, rng)
    with pytest.raises(NotADirectoryError, match="README"):
        read_shapes(folder / "README", 5, rng)
    with pytest.raises(FileNotFoundError) as raised:
        read_shapes(folder / "flat" / "test", 5, rng)
    test = folder / "flat" / "test"
    assert str(raised.value) == f"{test}: it has no folder, expected one per class"
    (test / "e.off").unlink()
    with pytest.raises(FileNotFoundError) as raised:
        read_shapes(folder, 5, rng, "test")
    assert str(raised.value) == f"{test}: it has no OFF file"
    test.rmdir()
    with pytest.raises(FileNotFoundError) as raised:
        read_shapes(folder, 5, rng, "test")
    expected = f"{test}: there is no such folder, expected {folder}/CLASS/test/*.off"
    assert str(raised.value) == expected


FLAT = "OFF 3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"


def laid_out(root, *names):
    """Make a folder of surfaces with these names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(FLAT)
    return root


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["train/lamp/a.off", "test/lamp/b.off"],
            "{root}: it has test/CLASS, expected folders CLASS/train and CLASS/test",
        ),
        (
            ["train/a.off", "test/b.off"],
            "{root}: it has one class only, expected folders CLASS/train and CLASS/test",
        ),
        (
            ["Net/lamp/train/a.off", "Net/lamp/test/a.off", "__MACOSX/Net/lamp/train/._a.off"],
            "{root}/Net/train: there is no such folder; the classes seem to be in {root}/Net: "
            "name that one",
        ),
        (
            ["lamp/a.off", "sofa/b.off"],
            "{root}/lamp/train: there is no such folder, expected {root}/CLASS/train/*.off",
        ),
        (
            ["lamp/train/a.off", "sofa/test/a.off"],
            "{root}/sofa/train: there is no such folder, expected {root}/CLASS/train/*.off",
        ),
        (["__MACOSX/lamp/train/a.off"], "{root}: it has no folder, expected one per class"),
    ],
)
def test_another_layout_is_told(tmp_path, names, message):
    root = laid_out(tmp_path / "root", *names)
    with pytest.raises(FileNotFoundError) as raised:
        find_shapes(root)
    assert str(raised.value) == message.format(root=root)


def test_what_a_mac_adds_is_no_class(folder):
    laid_out(folder, "__MACOSX/flat/train/._d.off", "__MACOSX/flat/test/._e.off")
    assert read_shapes(folder, 4, np.random.default_rng(0)).classes == ["flat", "solid"]


@pytest.mark.parametrize("ending", ["gz", "GZ", "zip", "xz"])
def test_compressed_files_are_never_left_out(folder, ending):
    train = folder / "solid" / "train"
    laid_out(train, f"b.off.{ending}", "notes.off.txt")  # b.off is there as well
    assert find_shapes(folder)["solid"] == [train / "a.OFF", train / "b.off"]
    laid_out(train, f"c.off.{ending}")
    told = "it is compressed; unpack it, else it would be left out"
    with pytest.raises(OffError) as raised:
        find_shapes(folder)
    assert str(raised.value) == f"{train / 'c.off'}.{ending}: {told}"
    assert len(find_shapes(folder, "test")["solid"]) == 1
    laid_out(train, f"d.OFF.{ending}", f"e.off.{ending}")
    with pytest.raises(OffError, match=r"c\.off.*: it is compressed, and so are 2 more; unpack it"):
        read_shapes(folder, 4, np.random.default_rng(0))


def test_another_part_is_refused(folder):
    with pytest.raises(
        ValueError, match="find_shapes: part is 'valid', expected 'train' or 'test'"
    ):
        read_shapes(folder, 4, np.random.default_rng(0), "valid")
    with pytest.raises(TypeError, match="find_shapes: part is 3, expected 'train' or 'test'"):
        find_shapes(folder, 3)


def test_a_folder_that_is_no_path_is_refused():
    for wrong in (None, 3, b"."):
        with pytest.raises(TypeError, match=f"^data.find_shapes: folder is {wrong!r}, expected a"):
            find_shapes(wrong)


def test_progress_is_told_after_each_file(folder):
    seen = []
    read_shapes(folder, 4, np.random.default_rng(0), progress=lambda *n: seen.append(n))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"count": 1}, ValueError, "count is 1, expected a whole number of at least 2"),
        ({"count": "9"}, TypeError, "count is '9', expected a whole number of at least 2"),
        ({"rng": None}, TypeError, "rng is of type NoneType, " + A_GENERATOR),
    ],
)
def test_read_shapes_names_what_is_wrong(folder, change, error, message):
    arguments = {"count": 5, "rng": np.random.default_rng(0), "part": "train"} | change
    with pytest.raises(error) as raised:
        read_shapes(folder, **arguments)
    assert str(raised.value) == f"data.read_shapes: {message}"
