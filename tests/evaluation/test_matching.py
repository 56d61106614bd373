import dataclasses

import numpy as np
import pytest

from keypoints import geometry
from keypoints.evaluation import matching
from tests.faces import detections, dotted_faces

FILES = ("a.png", "a.png#1", "b.png", "c#1.png")


@pytest.fixture(scope="module")
def records():
    """Two faces of a.png, side by side, and one each of b.png and c#1.png."""
    records = dotted_faces(4)
    points = records.points.copy()
    points[1] = points[0] + np.float32([200, 30])
    boxes = geometry.landmark_box(points)
    return dataclasses.replace(records, files=FILES, points=points, boxes=boxes)


def test_pictures_have_their_faces(records):
    assert matching.pictures(records) == {"a.png": [0, 1], "b.png": [2], "c#1.png": [3]}


@pytest.mark.parametrize(
    ("overlaps", "matched"),
    [
        ([[0.9, 0.8], [0.85, 0.1]], [0, -1]),  # 0.9 goes first, and takes what fits the second
        ([[0.5, 0.6], [0.7, 0.65]], [1, 0]),
        ([[0.34, 0.0, 0.36]], [2]),
        ([[0.34], [0.35]], [-1, 0]),
        (np.zeros((2, 0)), [-1, -1]),
    ],
)
def test_the_pair_that_overlaps_most_goes_first(overlaps, matched):
    assert matching.match(np.array(overlaps)).tolist() == matched


def test_each_annotated_face_has_its_own_box(records):
    first, second, third, fourth = records.boxes
    left = third * [1, 1, 0.5, 1]  # half of it: an overlap of 0.5
    thin = fourth * [1, 1, 0.3, 1]  # 0.3: another face
    answers = [[second, first, [900, 9, 50, 50]], [left], [thin]]
    shown = []

    def detect(image):
        shown.append(image)
        return detections(np.array(answers[len(shown) - 1], np.float32))

    found = matching.detected_boxes(records, detect)
    assert len(shown) == 3 and (shown[0] == records.image(0)).all()
    np.testing.assert_allclose(found.boxes[:3], [first, second, left], rtol=1e-6)
    assert np.isnan(found.boxes[3]).all() and found.rolls.tolist() == [0, 0, 0, 0]
    assert found.false_faces == pytest.approx(2 / 3)  # the third box of a.png, and the thin one


def test_boxes_of_tilted_heads_are_compared_in_the_picture_turned_back(records):
    """A box twice as high as wide on a face that lies: upright it would overlap by a third."""
    middle = np.array([60.0, 50.0])
    face = (records.points[2] - records.points[2].mean(axis=0)) * [0.5, 1]  # high and thin
    lying = (face @ geometry.rotation(90).T + middle).astype(np.float32)
    high = geometry.landmark_box(face + middle).astype(np.float32)
    one = dataclasses.replace(
        records,
        files=("b.png",),
        points=lying[None],
        boxes=geometry.landmark_box(lying)[None],
        pictures=records.pictures[2:3],
    )
    for roll, recall in ((90, True), (0, False)):
        found = matching.detected_boxes(one, lambda _, r=roll: detections(high[None], [r]))
        assert np.isfinite(found.boxes).all() == recall and found.false_faces == 1 - recall
        assert found.rolls[0] == (roll if recall else 0)


def test_what_a_tilted_box_was_compared_with(records):
    """The box of the annotated points in the picture turned back about the found box."""
    middle = np.array([60.0, 50.0])
    face = (records.points[2] - records.points[2].mean(axis=0)) * [0.5, 1]
    tilted = (face @ geometry.rotation(30).T + middle).astype(np.float32)
    one = dataclasses.replace(
        records,
        files=("b.png",),
        points=tilted[None],
        boxes=geometry.landmark_box(tilted)[None],
        pictures=records.pictures[2:3],
    )
    low = face.min(axis=0)
    box = np.array([*(middle + low), *(-2 * low)], np.float32)  # its centre is `middle`
    found = matching.detected_boxes(one, lambda _: detections(box[None], [30]))
    expected = geometry.landmark_box(face + middle)
    np.testing.assert_allclose(found.annotated[0], expected, atol=1e-3)


def test_faces_of_others_are_found_by_overlap(records):
    points = records.points
    answers = {"a.png": points[[1, 3, 0]], "b.png": points[:0], "c#1.png": points[3:] + 1000}
    found, false_faces = matching.matched_points(records, answers)
    np.testing.assert_array_equal(found[:2], points[:2])
    assert np.isnan(found[2:]).all()
    assert false_faces == pytest.approx(2 / 3)  # one in a.png, one far away in c#1.png
