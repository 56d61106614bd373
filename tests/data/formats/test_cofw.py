"""COFW's files as MATLAB writes them, made by hand with h5py."""

import re

import numpy as np
import pytest

from keypoints.data.formats import cofw, parse

h5py = pytest.importorskip("h5py")
COLOUR = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)  # 4 rows, 5 columns
GRAY = np.arange(100, 130, dtype=np.uint8).reshape(6, 5)


def mat(path, *, names=("IsTr", "phisTr"), rows=None, pictures=(COLOUR, GRAY)):
    """MATLAB counts axes from the other end: all arrays are stored transposed."""
    if rows is None:  # x are 1, 2, .., y are 2, 4, ..; of the second face the last two are covered
        x, y = np.arange(1.0, 30), np.arange(2.0, 60, 2)
        covered = np.zeros((2, 29))
        covered[1, 27:] = 1
        rows = [[*x, *y, *covered[0]], [*(x + 0.25), *y, *covered[1]]]
    with h5py.File(path, "w", userblock_size=512) as file:
        references = file.create_dataset(names[0], (1, len(pictures)), h5py.ref_dtype)
        for number, picture in enumerate(pictures):
            references[0, number] = file.create_dataset(f"#refs#/{number}", data=picture.T).ref
        file[names[1]] = np.array(rows, float).T
    return path


@pytest.mark.parametrize(
    ("names", "kind"), [(("IsTr", "phisTr"), "train"), (("IsT", "phisT"), "test")]
)
def test_points_count_from_one_and_pictures_are_gray_or_colour(tmp_path, names, kind):
    found = parse(mat(tmp_path / "a.mat", names=names), "a.mat")
    assert found.problems == [] and found.markup == "cofw29"
    assert [face.picture for face in found.faces] == [f"{kind}/0001.png", f"{kind}/0002.png"]
    assert found.faces[0].points[[0, 28]].tolist() == [[0, 1], [28, 57]]
    assert found.faces[1].points[0].tolist() == [0.25, 1]
    assert np.flatnonzero(found.faces[1].covered).tolist() == [27, 28]
    np.testing.assert_array_equal(found.read(f"{kind}/0001.png"), COLOUR)
    np.testing.assert_array_equal(found.read(f"{kind}/0002.png"), np.dstack([GRAY] * 3))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"rows": [[1.0] * 87]}, r"phisTr of 2 pictures has the shape \(87, 1\)"),
        ({"rows": [[1.0] * 86] * 2}, r"phisTr of 2 pictures has the shape \(86, 2\)"),
        ({"names": ("IsTr", "points")}, "it has no phisTr or phisT"),
        ({"rows": [[np.nan] * 87] * 2}, "fewer than two points"),
    ],
)
def test_other_contents_are_named(tmp_path, options, reason):
    found = parse(mat(tmp_path / "a.mat", **options), "a.mat")
    assert found.faces == []
    assert found.problems[0].startswith("a.mat") and re.search(reason, found.problems[0])


def test_more_pictures_than_any_set_has_are_not_read(tmp_path):
    """A few kilobytes, whose points would fill the memory."""
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        for name, shape in (("IsTr", (1, 10**7)), ("phisTr", (87, 10**7))):
            file.create_dataset(name, shape, "f8", chunks=(1, 10**6), compression="gzip")
    found = parse(path, "a.mat")
    assert path.stat().st_size < 100_000
    assert "phisTr of 10000000 pictures" in found.problems[0]
    assert cofw.MOST > 10_000  # both files of COFW have fewer than 1,500
