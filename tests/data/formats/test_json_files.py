"""COCO, Label Studio and LabelMe: what their definitions say, and what no reader may trust."""

import json

import numpy as np
import pytest

from keypoints.data.formats import parse_bytes

NOTHING = [np.nan, np.nan]


def read(content):
    return parse_bytes(json.dumps(content).encode(), ".json", "f.json")


def coco(*annotations, names=("eye", "tip", "chin")):
    return {
        "images": [{"id": 7, "file_name": "a/b.jpg", "width": 90, "height": 80}],
        "categories": [{"id": 3, "name": "face", "keypoints": list(names), "skeleton": []}],
        "annotations": [{"image_id": 7, "category_id": 3, **each} for each in annotations],
    }


def test_coco_tells_points_by_their_visibility_not_by_their_numbers():
    """A point with v = 0 may have any numbers; an annotation without points is no face."""
    one = {"keypoints": [1.5, 2, 2, 3, 4, 1, 55, 66, 0], "num_keypoints": 2}
    found = read(coco(one, {"keypoints": [0] * 9}, {"bbox": [1, 2, 3, 4]}))
    (face,) = found.faces
    assert found.problems == [] and face.picture == "a/b.jpg"
    assert found.names == ("eye", "tip", "chin") and not found.keyed
    np.testing.assert_array_equal(face.points, [[1.5, 2], [3, 4], NOTHING])
    assert face.covered.tolist() == [False, True, False]


def test_the_skeleton_of_coco_counts_from_one():
    content = coco({"keypoints": [1, 2, 2, 3, 4, 2, 5, 6, 2]})
    content["categories"][0]["skeleton"] = [[1, 2], [2, 3], [1, 3]]
    assert read(content).lines == ((0, 1, 2), (0, 2))
    for skeleton in ([[0, 1]], [[1, 4]], [["1", 2]], [[1]], 3):
        content["categories"][0]["skeleton"] = skeleton
        assert "f.json: not as COCO has it" in read(content).problems[0]


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({"image_id": 8, "keypoints": [1, 2, 2, 3, 4, 2]}, "annotation 0"),
        ({"keypoints": [1, 2, 2, 3, 4, 5]}, "0, 1 or 2 are expected"),
        ({"keypoints": [1, 2, 2, 3, 4]}, "0, 1 or 2 are expected"),
        ({"keypoints": [1, 2, 2, None, 4, 2]}, "one coordinate without the other"),
        ({"keypoints": [1, 2, 2, 10**400, 4, 2]}, "lies beyond any picture"),
        ({"keypoints": "122342"}, "annotation 0"),
        ({"keypoints": {"a": 2}}, "annotation 0"),
        ({"keypoints": [1, 2, [2], 3, 4, [2]]}, "annotation 0"),
    ],
)
def test_bad_coco_annotations_are_named(annotation, reason):
    found = read(coco(annotation))
    assert found.faces == [] and len(found.problems) == 1 and reason in found.problems[0]


def test_coco_categories_with_other_points_do_not_mix():
    content = coco({"keypoints": [1, 2, 2, 3, 4, 2]}, names=("a", "b"))
    content["categories"].append({"id": 4, "keypoints": ["c", "d"]})
    other = {"image_id": 7, "category_id": 4, "keypoints": [1, 2, 2, 3, 4, 2]}
    content["annotations"].append(other)
    assert read(content).problems == ["f.json: the categories 3 and 4 have other points; keep one"]
    # Boxes of other categories, and one without points, are no faces.
    content["annotations"][1] = {"image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4]}
    found = read(content)
    assert found.problems == [] and len(found.faces) == 1 and found.names == ("a", "b")


def test_a_coco_face_with_fewer_points_is_named():
    content = coco({"keypoints": [1, 2, 2, 3, 4, 2, 5, 6, 2]}, {"keypoints": [1, 2, 2, 3, 4, 2]})
    found = read(content)
    assert len(found.faces) == 1
    reason = "a/b.jpg: 2 points; the faces before it have 3"
    assert found.problems == [f"f.json, annotation 1: {reason}"]


def point(name, x, y, parent=None):
    value = {"x": x, "y": y, "width": 0.5, "keypointlabels": [name]}
    sides = {"original_width": 200, "original_height": 50, "image_rotation": 0}
    result = {"type": "keypointlabels", "value": value, **sides}
    return result | ({"parentID": parent} if parent else {})


def task(*results, image="/data/local-files/?d=a%20b/c.jpg", **more):
    return {"data": {"image": image}, "annotations": [{"result": list(results), **more}]}


def test_label_studio_counts_percent_of_the_stored_picture():
    box = {"type": "rectanglelabels", "id": "r1", "value": {"x": 1, "y": 2, "rectanglelabels": []}}
    found = read([task(box, point("eye", 10, 20, "r1"), point("tip", 50, 100, "r1"),
                       point("tip", 1, 2, "r2"), point("eye", 3, 4, "r2"))])  # fmt: skip
    assert found.problems == [] and found.names == ("eye", "tip")
    assert [face.picture for face in found.faces] == ["a b/c.jpg"] * 2
    np.testing.assert_allclose(found.faces[0].points, [[20, 10], [100, 50]])
    np.testing.assert_allclose(found.faces[1].points, [[6, 2], [2, 1]])


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("/data/upload/3/1a2b3c4d-c.jpg", "/data/upload/3/1a2b3c4d-c.jpg"),
        ("https://example.com/x/c%20d.jpg?token=1", "/x/c d.jpg"),
        ("c.jpg", "c.jpg"),
        ("/data/local-files/?d=my%20set%2Fa%2Bb%20%26c.jpg", "my set/a+b &c.jpg"),
        ("s3://bucket/faces/c%20d.jpg", "/faces/c d.jpg"),
    ],
)
def test_addresses_of_label_studio_are_paths(image, name):
    found = read([task(point("eye", 10, 20), point("tip", 50, 100), image=image)])
    assert found.faces[0].picture == name


def test_label_studio_reads_what_people_decided():
    """A cancelled annotation, a prediction and an empty task are no faces; truth goes first."""
    good, other = [point("a", 10, 20), point("b", 30, 40)], [point("a", 1, 1), point("b", 2, 2)]
    predicted = {"data": {"image": "p.jpg"}, "predictions": [{"result": good}], "annotations": []}
    assert read([predicted, task(*good, was_cancelled=True)]).faces == []
    two = task(*other)
    two["annotations"].append({"result": good, "ground_truth": True})
    assert read([two]).faces[0].points[0].tolist() == [20, 10]
    two["annotations"][1]["ground_truth"] = False
    assert "task 1: 2 annotations of one picture" in read([two]).problems[0]


def test_a_picture_is_found_among_other_fields():
    content = task(point("eye", 10, 20), point("tip", 50, 100), image="/data/upload/3/c.jpg")
    content["data"] = {"caption": "a face", "photo": content["data"].pop("image")}
    assert read([content]).faces[0].picture == "/data/upload/3/c.jpg"


def test_the_small_export_of_label_studio():
    sides = {"original_width": 200, "original_height": 50}
    points = [{"x": 10, "y": 20, "keypointlabels": ["a"], **sides},
              {"x": 30, "y": 40, "keypointlabels": ["b"], **sides}]  # fmt: skip
    found = read([{"image": "/data/upload/1/c.jpg", "id": 1, "points": points}])
    assert found.problems == [] and found.names == ("a", "b")
    np.testing.assert_allclose(found.faces[0].points, [[20, 10], [60, 20]])
    two = [{"image": "/data/upload/1/c.jpg", "id": 1, "annotator": i, "points": points}
           for i in (1, 2)]  # fmt: skip
    assert read(two).problems == ["f.json, task 2: a second annotation of the task 1; export one"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([task(point("a", 1, 2), point("a", 3, 4))], "task 1: two points are called 'a'"),
        ([task(point("a", 1, 2))], "fewer than two points"),
        ([task({"value": {"x": 1, "y": 2, "keypointlabels": ["a"]}})], "original_width and"),
        ([task(point("a", 1, 2) | {"image_rotation": 90})], "image_rotation=90"),
        ([{"data": {}, "annotations": [{"result": []}]}], "task 1: no picture is named"),
        ([{"data": {"image": "a"}, "annotations": 3}], "task 1"),
        ([3, "keypointlabels"], "task 1"),
    ],
)
def test_bad_tasks_are_named(content, reason):
    found = read(content)
    assert found.faces == [] and reason in found.problems[0]


def shape(label, x, y, group=None, kind="point", **flags):
    return {"label": label, "points": [[x, y]], "group_id": group, "shape_type": kind,
            "flags": flags}  # fmt: skip


def labelme(*shapes, path="..\\photos\\a.jpg"):
    return {"imagePath": path, "imageData": "ignored", "shapes": list(shapes)}


def test_labelme_groups_points_to_faces():
    found = read(labelme(shape("eye", 1, 2, 0), shape("tip", 3, 4, 0, covered=True),
                         shape("tip", 5, 6, 1), shape("eye", 7, 8, 1, occluded=False),
                         shape("box", 9, 9, 0, kind="rectangle")))  # fmt: skip
    assert found.problems == [] and found.names == ("eye", "tip")
    assert [face.picture for face in found.faces] == ["a.jpg"] * 2
    assert found.faces[0].points.tolist() == [[1, 2], [3, 4]]
    assert found.faces[1].points.tolist() == [[7, 8], [5, 6]]
    assert [face.covered.tolist() for face in found.faces] == [[False, True], [False, False]]


@pytest.mark.parametrize(
    "content",
    [
        labelme(shape("eye", 1, 2), shape("eye", 3, 4)),
        labelme(shape("eye", 1, "x"), shape("tip", 3, 4)),
        {"shapes": []},
        {"imagePath": "a.jpg", "shapes": [3]},
        {"imagePath": "a.jpg", "shapes": [{"label": "eye", "points": []}]},
    ],
)
def test_bad_labelme_files_are_named(content):
    found = read(content)
    assert found.faces == [] and found.problems[0].startswith("f.json: ")


def test_json_of_other_programs_is_passed_over_and_half_a_file_is_not():
    assert read({"name": "page", "version": 3}) is None
    assert read({"annotations": "see below"}) is None
    for data in (b'{"shapes": [', b'{"keypoints": ' + b"[" * 100_000, b'"shapes"\xff'):
        assert "f.json is not JSON" in parse_bytes(data, ".json", "f.json").problems[0]
