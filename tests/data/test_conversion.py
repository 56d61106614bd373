"""Every format written and read again: points, covered and missing ones, names, pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from keypoints.data import conversion, formats
from keypoints.data.annotated_folder import LABELS, SPLITS, YAWS
from keypoints.data.annotation_files import arrange, read_annotations
from keypoints.data.sources import load_records
from keypoints.errors import InputError
from keypoints.markup import bundled

NAMES = ("right eye", "nose", "chin", "left_eye", "tip & <end>")


def points_of(seed: int, count: int) -> np.ndarray:
    """Points with fractions, some beyond the right edge of a picture of 60 pixels."""
    return np.random.default_rng(seed).uniform(1, 75, (count, 2)).astype(np.float32).round(2)


@pytest.fixture(params=[name for name in formats.FORMATS if name != "labelstudio-proposals"])
def form(request):
    return request.param


def labelme(folder, picture: str, faces: list[np.ndarray], names, covered=(), missing=()):
    """A picture of its own size with LabelMe's file; the first face has covered, missing points."""
    path = folder / picture
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(picture))
    pixels = rng.integers(0, 256, (50 + len(picture), 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    shapes = [
        {
            "label": name,
            "points": [[float(x), float(y)]],
            "group_id": number,
            "shape_type": "point",
            "flags": {"covered": number == 0 and i in covered},
        }
        for number, points in enumerate(faces)
        for i, (name, (x, y)) in enumerate(zip(names, points))
        if not (number == 0 and i in missing)
    ]
    content = {"imagePath": path.name, "shapes": shapes, "imageData": None}
    path.with_suffix(".json").write_text(json.dumps(content))


def source(folder, names, *, missing):
    """Three pictures in two folders, of two, one and one faces."""
    count = len(names)
    labelme(folder, "a.png", [points_of(1, count), points_of(2, count)], names)
    labelme(folder, "b/c.jpg", [points_of(3, count)], names, covered=(1,), missing=missing)
    labelme(folder, "b/longer name.png", [points_of(4, count)], names)
    (folder / SPLITS).write_text("a.png,train\n")
    return folder


def read(folder):
    found = read_annotations(folder, passed_over=(SPLITS, YAWS, LABELS))
    markup = found.own_markup()
    arrange(found, markup)
    assert found.problems == []
    return found.faces, markup


def test_nothing_moves_and_visibility_is_kept(tmp_path, form):
    """The source has each format's number of points; a missing one where the format has it."""
    kind = formats.FORMATS[form]
    markups = {98: "wflw98", 68: "ibug68", 29: "cofw29"}
    names = bundled(markups[kind.points]).names if kind.points else NAMES
    missing = (2,) if kind.missing else ()
    ours = source(tmp_path / "ours", names, missing=missing)
    before, markup = read(ours)
    done = conversion.convert(ours, tmp_path / "theirs", form)
    assert (done.pictures, done.faces, done.markup) == (3, 4, markup)
    after, _ = read(tmp_path / "theirs")
    if form == "cofw":  # a picture for each face, inside the file
        assert [face.name for face in after] == [f"cofw/train/{i:04}.png" for i in range(1, 5)]
    else:
        assert [face.name for face in after] == [face.name for face in before]
    for old, new in zip(before, after):
        np.testing.assert_allclose(new.points, old.points, atol=0.01)
        np.testing.assert_array_equal(np.isnan(new.points), np.isnan(old.points))
        if kind.covered:
            assert new.covered.tolist() == old.covered.tolist()
        np.testing.assert_array_equal(new.read(), old.read())
    if kind.covered:
        assert sum(face.covered.sum() for face in after) == 1
    assert [face for face in before if np.isnan(face.points).any()] or not missing
    assert (tmp_path / "theirs" / SPLITS).read_text() == "a.png,train\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "theirs"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("csv", []),
        ("deeplabcut", ["deeplabcut has no mark for covered points: those of 1 faces become vis"]),
        ("300w", ["no mark for covered points", "300w has no names of points"]),
        ("coco", []),
        ("labelstudio", ["no mark for covered points"]),
    ],
)
def test_what_a_format_cannot_hold_is_said(tmp_path, name, words):
    ours = source(tmp_path / "ours", NAMES, missing=(2,))
    notes = conversion.convert(ours, tmp_path / "theirs", name).notes
    assert len(notes) == len(words) and all(map(str.__contains__, notes, words))


def test_faces_with_missing_points_are_left_out_where_there_are_none(tmp_path):
    ours = source(tmp_path / "ours", bundled("wflw98").names, missing=(2,))
    done = conversion.convert(ours, tmp_path / "theirs", "wflw")
    assert done.notes[1] == (
        "wflw has no missing points: 1 faces that lack some are left out (b/c.jpg)"
    )
    after, markup = read(tmp_path / "theirs")
    assert len(after) == 3 and markup.name == "wflw98"


def test_marks_of_merl_rav(tmp_path):
    """(-x, -y) is covered and (-1, -1) missing, in the numbers of the file, which start at 1."""
    names = bundled("ibug68").names
    ours = source(tmp_path / "ours", names, missing=(2,))
    conversion.convert(ours, tmp_path / "theirs", "merl-rav")
    lines = (tmp_path / "theirs/b/c.pts").read_text().splitlines()
    x, y = points_of(3, 68)[1]
    assert lines[4] == f"{-x - 1:.3f} {-y - 1:.3f}" and lines[5] == "-1.000 -1.000"
    assert (tmp_path / "theirs/a_1.pts").is_file()


def test_a_visible_point_that_would_look_hidden_is_missing_and_said(tmp_path):
    """Above and left of the picture both numbers of the file would be negative."""
    names = bundled("ibug68").names
    points = points_of(1, 68)
    points[7] = [-9, -6]
    labelme(tmp_path / "ours", "a.png", [points], names)
    done = conversion.convert(tmp_path / "ours", tmp_path / "theirs", "merl-rav")
    assert "points above and left of the picture are left out in 1 faces" in done.notes[0]
    assert (tmp_path / "theirs/a.pts").read_text().splitlines()[10] == "-1.000 -1.000"


def test_proposals_wait_for_a_person(tmp_path):
    ours = source(tmp_path / "ours", NAMES, missing=(2,))
    conversion.convert(ours, tmp_path / "theirs", "labelstudio-proposals")
    assert read(tmp_path / "theirs")[0] == []
    tasks = json.loads((tmp_path / "theirs/tasks.json").read_text())
    assert all("annotations" not in task for task in tasks)
    first = tasks[0]["predictions"][0]["result"]
    assert [each["type"] for each in first[:2]] == ["rectanglelabels", "keypointlabels"]
    x, y = points_of(1, 5)[0]
    assert first[1]["value"]["x"] == pytest.approx(100 * x / 60)
    assert first[1]["value"]["y"] == pytest.approx(100 * y / 55)
    assert 'value="tip &amp; &lt;end&gt;"' in (tmp_path / "theirs/labels.xml").read_text()


def test_names_of_pictures_survive_the_addresses_of_label_studio(tmp_path):
    for name in ("a+b & c#1.png", "50%25.png", "d e/ü?.png"):
        labelme(tmp_path / "ours", name, [points_of(1, 5)], NAMES)
    conversion.convert(tmp_path / "ours", tmp_path / "theirs", "labelstudio")
    assert {face.name for face in read(tmp_path / "theirs")[0]} == {
        face.name for face in read(tmp_path / "ours")[0]
    }


def test_converted_faces_are_a_data_set(tmp_path):
    """68 points from .pts to COCO and CVAT and back to records: the same."""
    folder = tmp_path / "pts"
    folder.mkdir()
    face = bundled("ibug68").mean * 40 + [30, 28]
    for i in range(3):
        Image.new("RGB", (60 + i, 50)).save(folder / f"{i}.png")
        rows = "".join(f"{x + 1 + i} {y + 1}\n" for x, y in face)
        (folder / f"{i}.pts").write_text(rows)
    ours = load_records(f"folder:{folder}", "all")
    for name in ("coco", "cvat", "labelstudio"):
        conversion.convert(folder, tmp_path / name, name)
        theirs = load_records(f"folder:{tmp_path / name}", "all")
        assert theirs.files == ours.files
        np.testing.assert_allclose(theirs.points, ours.points, atol=0.001)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"format": "coko"}, "format='coko' is not known; did you mean 'coco'"),
        ({"format": "wflw"}, "format=wflw has 98 points; .* has 5"),
        ({"target": "ours/inner"}, "lies in .*, whose files are read"),
        ({"target": "there"}, "is there already"),
        ({"source": "nowhere"}, "nowhere: no such folder"),
    ],
)
def test_bad_arguments_are_named(tmp_path, options, reason):
    source(tmp_path / "ours", NAMES, missing=())
    (tmp_path / "there").mkdir()
    given = {"source": "ours", "target": "theirs", "format": "coco"} | options
    with pytest.raises(InputError, match=reason):
        conversion.convert(tmp_path / given["source"], tmp_path / given["target"], given["format"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "there"]


def test_bad_sources_leave_nothing(tmp_path):
    ours = source(tmp_path / "ours", NAMES, missing=())
    (ours / "a.png").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"a\.png: not a whole picture"):
        conversion.convert(ours, tmp_path / "theirs", "coco")
    (ours / "a.json").write_text('{"shapes": 3}')
    with pytest.raises(InputError, match=r"a\.json: not as LabelMe has it"):
        conversion.convert(ours, tmp_path / "theirs", "coco")
    assert [path.name for path in tmp_path.iterdir()] == ["ours"]


@pytest.mark.parametrize("name", ["300w", "labelme"])
def test_two_pictures_that_would_share_a_file_are_named(tmp_path, name):
    folder = tmp_path / "ours"
    folder.mkdir()
    rows = ["a.png,1,2,3,4", "a.jpg,5,6,7,8"]
    for picture in ("a.png", "a.jpg"):
        Image.new("RGB", (20, 20)).save(folder / picture)
    (folder / "faces.csv").write_text("\n".join(rows))
    with pytest.raises(InputError, match=r"a\.jpg and a\.png would both have the points a"):
        conversion.convert(folder, tmp_path / "theirs", name)
