import cv2
import numpy as np
import pytest

from experiments.label_noise import pairs
from keypoints import geometry, metrics
from keypoints.data.records import make_records
from keypoints.errors import InputError
from keypoints.synthetic.drawing import draw_face


def test_pairs_are_frames_of_one_video():
    files = ("a/Ann_Lee_01.jpg", "a/Ann_Lee_11.jpg", "b/Ann_Lee_02.jpg", "a/Bo_00.jpg")
    assert list(pairs.frame_pairs(files)) == [(0, 2)]


def records_of(*frames):
    return make_records("made/up", [(f"x/Ann_0{i}.jpg", "Ann", *f) for i, f in enumerate(frames)])


def test_disagreement_is_what_the_points_differ_by_beyond_the_motion():
    image, points = draw_face(3)
    motion = np.array([[1.08, 0.12, 4.0], [-0.10, 1.02, 9.0]])
    height, width = image.shape[:2]
    moved = cv2.warpAffine(image, motion, (width + 20, height), borderMode=cv2.BORDER_REPLICATE)
    wrong = geometry.apply(motion, points) + np.float32([3, -4]) * (np.arange(68) % 2)[:, None]
    correlation, error = pairs.disagreement(records_of((image, points), (moved, wrong)), 0, 1)
    assert correlation > 0.98
    # Every other point is 5 pixels off.
    expected = 2.5 / metrics.inter_ocular(wrong[None])[0] / np.sqrt(2)
    assert error == pytest.approx(expected, rel=0.1)


def test_other_pictures_do_not_count():
    image, points = draw_face(3)
    noise = np.random.default_rng(0).integers(0, 256, image.shape, dtype=np.uint8)
    with pytest.raises(InputError, match="in no two frames of a video does a face look the same"):
        pairs.measure(records_of((image, points), (noise, points)))
    rows = pairs.measure(records_of((image, points), (image, points), (noise, points)))
    assert [row["pairs"] for row in rows] == [1] * len(pairs.LEVELS)


def test_data_without_videos_are_refused():
    with pytest.raises(InputError, match=r"made/up: no two files are frames of one video"):
        pairs.measure(records_of(draw_face(1)))
