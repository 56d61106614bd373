import numpy as np
import pytest

from keypoints.data.annotations import Annotation
from keypoints.data.formats.pts import hidden_points, parse


def pts(rows):
    return ("version: 1\nn_points: 68\n{\n" + "\n".join(rows) + "\n}\n").encode()


def test_pts_counts_pixels_from_one():
    found = parse(pts(f"{i + 1} {2 * i + 1.5}" for i in range(68)), "a.pts")
    np.testing.assert_allclose(found.faces[0].points, [[i, 2 * i + 0.5] for i in range(68)])
    assert found.problems == []


def test_pts_may_lack_points_and_the_header():
    expected = np.arange(136.0).reshape(68, 2)
    expected[[3, 5]] = np.nan
    lines = [f"{x + 1} {y + 1}" for x, y in expected]  # NaN is written as nan
    bare = ("\ufeff" + "\r\n".join(["", *lines, ""])).encode()
    notes = b"# by hand\n" + pts(["// nose", *lines]).replace(b"{", b"{ # points")
    headed = ("version: 1\nn_points:  68\n" + "\n".join(lines)).encode()
    for data in (pts(lines), bare, notes, headed):
        np.testing.assert_array_equal(parse(data, "a.pts").faces[0].points, expected)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no points in it"),
        (b"{\n}\n", "no points in it"),
        (b"{\n1 2\n3 4", "one brace without the other"),
        (b"1 2", "fewer than two points"),
        (pts(["1 2"] * 67), "67 points; its n_points says 68"),
        (pts(["1 2"] * 67 + ["1 x"]), "'x' is not a number"),
        (pts(["1 2"] * 67 + ["1 2 3"]), "'1 2 3': two numbers"),
        (pts(["1 2"] * 67 + ["nan 2"]), "point 67 has one coordinate"),
        (b"version: 1\nn_points: 68\n1 2\n3 4", "2 points; its n_points says 68"),
        (b"size: 1\n1 2\n3 4", "'size:' is not a number"),
        (b"\0\xff\xfe", "two numbers are expected"),
    ],
)
def test_a_bad_pts_file_is_named(data, reason):
    found = parse(data, "a.pts")
    assert found.faces == [] and len(found.problems) == 1
    assert found.problems[0].startswith("a.pts: ") and reason in found.problems[0]


def face(*rows):
    return Annotation("", np.array(rows, np.float32) - 1, np.zeros(len(rows), bool))


def test_the_marks_of_merl_rav_are_read():
    """In the file's numbers: covered at (40, 50), hidden by the head, and visible."""
    marked = face((30, 20), (-40, -50), (-1, -1), (90.5, 80))
    (read,) = hidden_points([marked])
    nothing = [np.nan, np.nan]
    np.testing.assert_array_equal(read.points, [[29, 19], [39, 49], nothing, [89.5, 79]])
    assert read.covered.tolist() == [False, True, False, False]


def test_one_file_with_marks_tells_of_the_whole_set():
    """(-3, -2) may be above and left of its picture; beside marked files it is covered."""
    near, marked = face((-3, -2), (30, 20), (40, 60)), face((5, 5), (-1, -1), (9, 9))
    np.testing.assert_array_equal(hidden_points([near])[0].points, near.points)
    assert not hidden_points([near])[0].covered.any()
    read = hidden_points([near, marked])[0]
    np.testing.assert_array_equal(read.points[0], [2, 1])
    assert read.covered.tolist() == [True, False, False]
