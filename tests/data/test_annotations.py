import hashlib

import numpy as np
import pytest

from keypoints.data.annotations import parse_pts, parse_rows, parse_xml, split_of
from keypoints.errors import InputError, refuse

HEADER = "," + ",".join(map(str, range(136)))


def row(name, values=None):
    return f"{name}," + ",".join(str(v) for v in (range(136) if values is None else values))


def table(*lines):
    return "\n".join([HEADER, *lines]).encode()


def pts(rows):
    return "version: 1\nn_points: 68\n{\n" + "\n".join(rows) + "\n}\n"


def test_rows_become_points():
    found, problems = parse_rows(table(row("b.jpg"), "", row("a.jpg")), "t.csv")
    assert problems == [] and [name for name, _ in found] == ["b.jpg", "a.jpg"]
    np.testing.assert_array_equal(found[1][1], np.arange(136).reshape(68, 2))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a.jpg,1,2", "3 columns, 137 are expected"),
        (row("a.jpg", [*range(135), "x"]), "'x' is not a number"),
        (row("a.jpg", [*range(135), "nan"]), "point 67 has one coordinate without the other"),
        (row("a.jpg", ["inf", *range(135)]), "'inf' is not finite"),
        (row("a.jpg", ["", *range(135)]), "point 0 has one coordinate without the other"),
        (row("a.jpg", [1, 2, *[""] * 134]), "fewer than two points are annotated"),
        (row("a.jpg", [*range(135), "1e300"]), "'1e300' lies beyond any picture"),
        (row("ok.jpg"), "ok.jpg: the same row is in line 2 already"),
    ],
)
def test_a_bad_row_is_named_with_its_line(line, reason):
    found, problems = parse_rows(table(row("ok.jpg"), line), "t.csv")
    assert [name for name, _ in found] == ["ok.jpg"]
    assert (
        len(problems) == 1 and problems[0].startswith("t.csv, line 3: ") and reason in problems[0]
    )


@pytest.mark.parametrize("data", ["é".encode("latin-1"), b"a," + b"9" * 140_000])
def test_what_is_no_table_is_named(data):
    found, problems = parse_rows(data, "t.csv")
    assert found == [] and problems[0].startswith("t.csv: not a CSV file in UTF-8: ")


def test_points_may_be_missing():
    cells = list(map(str, range(136)))
    cells[6:8], cells[10:12] = ["", " "], ["NaN", "nan"]
    found, problems = parse_rows(table(row("a.jpg", cells)), "t.csv")
    expected = np.arange(136.0).reshape(68, 2)
    expected[[3, 5]] = np.nan
    assert problems == []
    np.testing.assert_array_equal(found[0][1], expected)
    lines = [f"{x + 1} {y + 1}" for x, y in expected]  # NaN is written as nan
    np.testing.assert_array_equal(parse_pts(pts(lines), "a.pts"), expected)


def imglab(*boxes):
    faces = "".join(f"<box top='1' left='2' width='3' height='4'>{box}</box>" for box in boxes)
    return f"<dataset><images><image file='b/a.jpg'>{faces}</image></images></dataset>".encode()


def part(index, x, y):
    return f"<part name='{index:02}' x='{x}' y='{y}'/>"


def test_xml_of_dlib_has_several_faces_in_a_picture():
    whole = "".join(part(i, i, 3 * i) for i in reversed(range(68)))
    few = part(36, 5, 6) + part(45, 50, 7)
    (first, second), problems = parse_xml(imglab(whole, few), "l.xml")
    assert problems == [] and first[0] == second[0] == "b/a.jpg"
    np.testing.assert_array_equal(first[1], [[i, 3 * i] for i in range(68)])
    known = np.flatnonzero(np.isfinite(second[1]).all(axis=1))
    assert known.tolist() == [36, 45] and second[1][45].tolist() == [50, 7]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<dataset><images>", "l.xml: not an XML file"),
        (imglab(part(0, 1, 2) + part(68, 1, 2)), "a.jpg: part '68': 00 to 67"),
        (imglab(part(0, 1, 2) + part(1, "x", 2)), "a.jpg: 'x' is not a number"),
        (imglab(part(0, 1, 2)), "a.jpg: fewer than two points"),
    ],
)
def test_bad_xml_is_named(data, reason):
    found, problems = parse_xml(data, "l.xml")
    assert found == [] and len(problems) == 1 and reason in problems[0]


def test_pts_counts_pixels_from_one():
    found = parse_pts(pts(f"{i + 1} {2 * i + 1.5}" for i in range(68)), "a.pts")
    np.testing.assert_allclose(found, [[i, 2 * i + 0.5] for i in range(68)])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 2\n3 4", "no points between braces"),
        (pts(["1 2"] * 67), "67 points, 68 are expected"),
        (pts(["1 2"] * 67 + ["1 x"]), "'x' is not a number"),
        (pts(["1 2"] * 67 + ["1 2 3"]), "'1 2 3': two numbers"),
        (pts(["1 2"] * 67 + ["nan 2"]), "point 67 has one coordinate"),
    ],
)
def test_a_bad_pts_file_is_named(text, reason):
    with pytest.raises(InputError, match=rf"a\.pts: {reason}"):
        parse_pts(text, "a.pts")


def test_people_fall_into_splits_by_their_hash():
    names = [f"Person_{i}" for i in range(400)]
    splits = [split_of(name) for name in names]
    for name, split in zip(names, splits):
        bucket = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") % 100
        assert split == ("test" if bucket < 10 else "validation" if bucket < 20 else "train")
    assert {"train", "validation", "test"} == set(splits)


def test_problems_are_reported_all_at_once_up_to_twenty():
    refuse([], "folder")
    with pytest.raises(InputError) as error:
        refuse([f"row {i}" for i in range(23)], "folder")
    lines = str(error.value).splitlines()
    assert lines[0] == "folder has 23 bad entries:" and len(lines) == 22
    assert lines[20] == "  row 19" and lines[21] == "  and 3 more"
