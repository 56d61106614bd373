"""Folders in any format: which pictures are meant, and which points are which."""

import json

import numpy as np
import pytest
from PIL import Image

from keypoints.data.annotation_files import arrange, read_annotations
from keypoints.errors import InputError
from keypoints.markup import IBUG68, Markup

FIVE = Markup("mine", ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth"))


def picture(path, width=60, height=50):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)


def rows(start=0.0, count=5):
    return [(start + 7 * i % 30, start + 5 * i) for i in range(count)]


def csv_row(name, start=0.0, count=5):
    return ",".join([name, *(f"{value}" for point in rows(start, count) for value in point)])


def pts(points):
    return "".join(f"{x + 1} {y + 1}\n" for x, y in points)


def test_one_bad_cause_is_one_line(tmp_path):
    """Forty rows of five points, and forty files: not a line for each."""
    lines = [csv_row(f"{i}.png", i) for i in range(40)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    found = read_annotations(tmp_path)
    arrange(found, IBUG68)
    expected = "ibug68 has 68. Give a markup.toml, or leave the other points empty"
    assert found.problems == [f"a.csv: 11 columns: 5 points a row; {expected}"]
    assert found.faces == []
    (tmp_path / "a.csv").unlink()
    for i in range(40):
        picture(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.pts").write_text(pts(rows(i)))
    found = read_annotations(tmp_path)
    arrange(found, IBUG68)
    assert found.problems == [f"0.pts and 39 more files: 5 points a face; {expected}"]


def test_points_are_put_in_the_order_of_the_markup_by_name(tmp_path):
    shapes = [
        {"label": name, "points": [[x, y]], "shape_type": "point", "flags": {"covered": i == 1}}
        for i, (name, (x, y)) in enumerate(zip(("nose", "left_eye"), rows(3)))
    ]
    picture(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps({"imagePath": "a.png", "shapes": shapes}))
    found = read_annotations(tmp_path)
    arrange(found, FIVE)
    (face,) = found.faces
    expected = np.full((5, 2), np.nan)
    expected[[2, 1]] = rows(3)[:2]
    np.testing.assert_array_equal(face.points, expected)
    assert face.covered.tolist() == [False, True, False, False, False]
    assert face.read().shape == (50, 60, 3) and face.name == "a.png"


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("nose", "left_eys"), "point 'left_eys' is not in the markup mine; did you mean 'left_e"),
        (("0", "7"), "points up to 7; mine has 5"),
    ],
)
def test_a_name_that_the_markup_lacks(tmp_path, names, problem):
    shapes = [{"label": name, "points": [[3, 4]]} for name in names]
    (tmp_path / "a.json").write_text(json.dumps({"imagePath": "a.png", "shapes": shapes}))
    found = read_annotations(tmp_path)
    arrange(found, FIVE)
    assert found.faces == [] and found.problems[0].startswith(f"a.json: {problem}")
    named = IBUG68
    found = read_annotations(tmp_path)
    arrange(found, named)
    if names[0] == "nose":
        assert found.problems == [
            "a.json: its points are called nose, left_eys, ..; those of ibug68 have no names. "
            "Give a markup.toml"
        ]
    else:
        assert found.problems[0].startswith("a.json: points up to 7; ibug68 has 68. Give a markup")


@pytest.mark.parametrize(("first", "order"), [(0, [0, 1, 2, 4]), (1, [0, 1, 3, 4])])
def test_numbers_may_start_at_zero_or_one(tmp_path, first, order):
    """Of five points four are there; counted from 1 there is a fifth."""
    parts = "".join(
        f"<part name='{number + first:02}' x='{number}' y='{9 - number}'/>" for number in order
    )
    image = f"<image file='a.png'><box>{parts}</box></image>"
    (tmp_path / "a.xml").write_text(f"<dataset><images>{image}</images></dataset>")
    found = read_annotations(tmp_path)
    arrange(found, FIVE)
    points = found.faces[0].points
    assert np.flatnonzero(np.isfinite(points[:, 0])).tolist() == order
    assert points[order, 0].tolist() == order


def labelme(path, numbers):
    shapes = [{"label": str(number), "points": [[number, 9 - number]]} for number in numbers]
    path.write_text(json.dumps({"imagePath": f"{path.stem}.png", "shapes": shapes}))


def test_numbers_are_counted_alike_in_all_files(tmp_path):
    """The second file lacks the fifth point, which tells that the first one is 1."""
    labelme(tmp_path / "a.json", [1, 2, 3, 4, 5])
    labelme(tmp_path / "b.json", [1, 2, 3, 4])
    found = read_annotations(tmp_path)
    arrange(found, FIVE)
    assert found.problems == []
    nothing = [np.nan] * 2
    np.testing.assert_array_equal(found.faces[0].points, [[i, 9 - i] for i in range(1, 6)])
    np.testing.assert_array_equal(
        found.faces[1].points, [*([i, 9 - i] for i in range(1, 5)), nothing]
    )


def test_own_numbers_may_have_gaps(tmp_path):
    labelme(tmp_path / "a.json", [3, 7, 9])
    labelme(tmp_path / "b.json", [9, 3])
    found = read_annotations(tmp_path)
    own = found.own_markup()
    assert own.names == ("3", "7", "9")
    arrange(found, own)
    assert found.problems == []
    np.testing.assert_array_equal(found.faces[0].points, [[3, 6], [7, 2], [9, 0]])
    np.testing.assert_array_equal(found.faces[1].points, [[3, 6], [np.nan] * 2, [9, 0]])


def test_a_markup_of_the_folder_may_lack_its_last_points(tmp_path):
    labelme(tmp_path / "a.json", [0, 1, 2])
    found = read_annotations(tmp_path)
    arrange(found, FIVE)
    assert found.problems[0].startswith("a.json: points up to 2; mine has 5. Give a markup.toml")
    (tmp_path / "markup.toml").write_text(FIVE.to_toml())
    found = read_annotations(tmp_path)
    arrange(found, found.markup())
    assert found.problems == [] and found.markup() == FIVE
    np.testing.assert_array_equal(np.isfinite(found.faces[0].points[:, 0]), np.arange(5) < 3)
    labelme(tmp_path / "a.json", [1, 2, 3])  # without a fifth point the first one is 0
    found = read_annotations(tmp_path)
    arrange(found, found.markup())
    assert found.faces[0].points[1].tolist() == [1, 8] and np.isnan(found.faces[0].points[0]).all()


def test_two_pictures_of_one_stem_are_named_both(tmp_path):
    picture(tmp_path / "b/a.jpg")
    picture(tmp_path / "b/a.png")  # a mask, say
    picture(tmp_path / "b/c.jpg")
    for name in ("a", "c", "d"):
        (tmp_path / f"b/{name}.pts").write_text(pts(rows(1)))
    found = read_annotations(tmp_path)
    assert [face.name for face in found.faces] == ["b/c.jpg"]
    assert found.problems == [
        "b/a.pts: a.jpg and a.png are beside it; one is expected",
        "b/d.pts: no picture of that name beside it",
    ]


@pytest.mark.parametrize("suffix", [".jfif", ".ppm", ".pgm"])
def test_pictures_of_every_format_that_is_read(tmp_path, suffix):
    kind = "JPEG" if suffix == ".jfif" else "PPM"
    Image.new("L" if suffix == ".pgm" else "RGB", (60, 50)).save(tmp_path / f"a{suffix}", kind)
    (tmp_path / "a.pts").write_text(pts(rows(1)))
    (face,) = read_annotations(tmp_path).faces
    assert face.name == f"a{suffix}" and face.read().shape == (50, 60, 3)


def test_further_faces_of_a_picture_have_numbered_files(tmp_path):
    for name in ("a.png", "b_1.png"):
        picture(tmp_path / name)
    for name in ("a", "a_1", "a_2", "b_1"):
        (tmp_path / f"{name}.pts").write_text(pts(rows(len(name))))
    found = read_annotations(tmp_path)
    assert [face.name for face in found.faces] == ["a.png"] * 3 + ["b_1.png"]
    assert found.problems == []


@pytest.mark.parametrize(
    ("file", "named", "place"),
    [
        ("lists/train/l.csv", "a/b.png", "lists/train/a/b.png"),
        ("lists/train/l.csv", "a/b.png", "a/b.png"),
        ("lists/train/l.csv", "a/b.png", "WFLW_images/a/b.png"),
        ("default/l.csv", "b.png", "default/images/b.png"),
        ("labeled-data/x/l.csv", "labeled-data/x/b.png", "labeled-data/x/b.png"),
        ("l.csv", "labeled-data/x/b.png", "b.png"),
        ("l.csv", "data/upload/2/0a1b2c3d-b.png", "b.png"),
    ],
)
def test_where_pictures_lie(tmp_path, file, named, place):
    picture(tmp_path / place)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(csv_row(named, 2))
    (face,) = read_annotations(tmp_path).faces
    assert face.name == place and face.read().shape == (50, 60, 3)


def test_a_picture_outside_is_never_found(tmp_path):
    picture(tmp_path / "b.png")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/l.csv").write_text(csv_row("a/b.png", 2))
    (face,) = read_annotations(tmp_path / "mine").faces
    with pytest.raises(InputError, match=r"^a/b\.png: No such file"):
        face.read()


def test_lists_of_subsets_add_no_faces(tmp_path):
    for name in ("all", "blur"):
        numbers = " ".join(f"{i % 50}" for i in range(196))
        (tmp_path / f"{name}.txt").write_text(f"{numbers} a.png\n")
    found = read_annotations(tmp_path)
    assert len(found.faces) == 1 and found.markup().name == "wflw98"


def test_readme_files_and_other_json_are_no_annotations(tmp_path):
    (tmp_path / "README.txt").write_text("read me")
    (tmp_path / "package.json").write_text("{}")
    with pytest.raises(InputError, match=r"no annotations in it: \.csv, \.xml, .* or \.pts files"):
        read_annotations(tmp_path)


def test_tables_that_name_no_pictures_are_no_annotations(tmp_path):
    """Lists of pairs and of outlines beside the points."""
    (tmp_path / "pairs.csv").write_text("0,1\n3,4\n")
    (tmp_path / "outlines.csv").write_text("closed,0,1,2\nopen,3,4\n")
    with pytest.raises(InputError, match=r"no row of outlines\.csv begins with the name of a pict"):
        read_annotations(tmp_path)
    (tmp_path / "points.csv").write_text(csv_row("a.png", 2))
    found = read_annotations(tmp_path)
    assert len(found.faces) == 1 and found.problems == []


def test_a_picture_file_beyond_the_limit_is_not_read(tmp_path):
    with open(tmp_path / "a.png", "wb") as file:
        file.truncate(600_000_000)
    (tmp_path / "l.csv").write_text(csv_row("a.png", 2))
    (face,) = read_annotations(tmp_path).faces
    with pytest.raises(InputError, match=r"a\.png: a picture file of more than 500 MB"):
        face.read()


def named_by(name: str) -> dict[str, str | bytes]:
    """Annotation files of each kind whose picture is called `name`."""
    quoted = json.dumps(name)
    flat = " ".join(["3", "4"] * 98)
    points = "<part name='0' x='1' y='2'/><part name='1' x='3' y='4'/>"
    skeleton = "<points label='0' points='1,2'/><points label='1' points='3,4'/>"
    point = '{"original_width": 9, "original_height": 8, "value": {"x": %d, "y": 2, %s}}'
    labels = [point % (i, f'"keypointlabels": ["{i}"]') for i in range(2)]
    return {
        "a.csv": f'"{name}",1,2,3,4\n',
        "dlc.csv": f'scorer,M,M,M,M\nbodyparts,a,a,b,b\ncoords,x,y,x,y\n"{name}",1,2,3,4\n',
        "a.xml": f"<dataset><image file='{name}'><box>{points}</box></image></dataset>",
        "cvat.xml": f"<annotations><image name='{name}'><skeleton>{skeleton}</skeleton></image>"
        "</annotations>",
        "coco.json": f'{{"images": [{{"id": 1, "file_name": {quoted}}}], "annotations": '
        '[{"image_id": 1, "keypoints": [1, 2, 2, 3, 4, 2]}]}',
        "tasks.json": f'[{{"data": {{"image": {quoted}}}, "annotations": [{{"result": '
        f"[{', '.join(labels)}]}}]}}]",
        "list.txt": f"{flat} {name}\n",
    }


@pytest.mark.parametrize("file", named_by(""))
@pytest.mark.parametrize("name", ["../secret.png", "x/../../secret.png", "C:secret.png", "a\0.png"])
def test_no_format_leads_out_of_the_folder(tmp_path, file, name):
    if ("\0" in name and file.endswith(".xml")) or ("C:" in name and file == "tasks.json"):
        return  # no XML, and an address of the scheme C, whose path stays inside
    (tmp_path / "mine").mkdir()
    picture(tmp_path / "secret.png")
    (tmp_path / "mine" / file).write_text(named_by(name)[file])
    found = read_annotations(tmp_path / "mine")
    assert found.faces == [] and len(found.problems) == 1
    assert found.problems[0].startswith(file)


@pytest.mark.parametrize("file", named_by(""))
def test_names_that_no_file_can_have_are_errors_of_their_picture(tmp_path, file):
    """Too long a name, and half of a character, which JSON can hold."""
    for name in ("x" * 3000 + ".png", "\ud800.png"):
        if name.startswith("\ud800") and not file.endswith(".json"):
            continue
        (tmp_path / file).write_text(named_by(name)[file])
        (face,) = read_annotations(tmp_path).faces
        with pytest.raises(InputError, match=r"^('|x)"):
            face.read()
