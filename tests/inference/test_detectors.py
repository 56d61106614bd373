import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from keypoints import geometry
from keypoints.errors import InputError
from keypoints.inference import detectors, haar
from keypoints.inference.detections import fit_conversion, landmark_boxes, overlap
from keypoints.pretrained import resolve
from keypoints.synthetic.drawing import draw_face


@pytest.mark.parametrize("name", ["compact", "centerface", "haar"])
@pytest.mark.parametrize("shape", [(80, 120), (3, 5), (1, 1), (1, 3000), (2000, 1)])
def test_no_face_is_an_empty_answer(name, shape):
    found = detectors.detect(np.full(shape, 9, np.uint8), detector=name)
    assert found.boxes.shape == (0, 4) and found.boxes.dtype == np.float32
    assert found.scores.shape == (0,) and found.scores.dtype == np.float32 and len(found) == 0


@pytest.mark.parametrize(("name", "least"), [("compact", 20), ("centerface", 20), ("haar", 12)])
def test_drawn_faces_are_found_where_they_are(name, least):
    overlaps = []
    for seed in range(30):
        image, points = draw_face(seed)
        found = detectors.detect(image, detector=name)
        if len(found):
            assert 0.4 <= found.scores[0] <= 1
            overlaps.append(overlap(found.boxes[0], geometry.landmark_box(points)))
    assert len(overlaps) >= least and np.median(overlaps) > 0.6


@pytest.mark.parametrize("name", ["compact", "centerface", "haar"])
def test_a_large_picture_is_searched_small_and_answered_in_its_own_pixels(name):
    image, _ = draw_face(11)
    small = detectors.detect(image, detector=name).boxes[0]
    large = cv2.resize(image, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    found = detectors.detect(large, detector=name, smallest=detectors.MOVING).boxes
    assert len(found) == 1 and overlap(found[0] / 8, small) > 0.8


@pytest.mark.parametrize("name", ["compact", "centerface", "haar"])
def test_threads_may_share_a_detector(name):
    images = [draw_face(seed)[0] for seed in (0, 6, 10, 11, 15)] * 4
    detector = detectors.load_detector(name, smallest=detectors.MOVING)
    alone = [detector.detect(image) for image in images]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(detector.detect, images))
    for one, other in zip(alone, together):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("harr", "compact, centerface, haar, yunet or the path"),
        ("missing.onnx", "no such file; it can be downloaded from https://"),
        (str(resolve("pretrained-small") / "model-int8.onnx"), "OpenCV cannot read it as YuNet"),
    ],
)
def test_what_is_no_detector_is_named(name, message):
    with pytest.raises(InputError, match=message):
        detectors.load_detector(name)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif("KEYPOINTS_ARCHIVE" not in os.environ, reason="KEYPOINTS_ARCHIVE is not set")
def test_recall_and_constants_on_the_real_data(archive_data):
    from keypoints.data.sources import load_records

    records = load_records("youtube_faces_keypoints", "validation", data_dir=archive_data)
    truth = geometry.landmark_box(records.points)
    for name, centre, size in (
        *((name, network.centre, network.size) for name, network in detectors.NETWORKS.items()),
        ("haar", haar.CENTRE, haar.SIZE),
    ):
        detector, own, boxes = detectors.load_detector(name), [], []
        for i, box in enumerate(truth):
            faces, _ = detector.faces(records.image(i))
            overlaps = overlap(landmark_boxes(faces, centre, size), box)
            if overlaps.max(initial=0) > 0.4:
                own.append(faces[overlaps.argmax()])
                boxes.append(box)
        assert len(boxes) > (0.96 if name == "haar" else 0.99) * len(truth)
        fitted = fit_conversion(np.array(own), np.array(boxes))
        np.testing.assert_allclose(fitted, (centre, size), atol=0.04)
