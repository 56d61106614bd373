import os
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keypoints import download, geometry, landmarks
from keypoints.errors import InputError
from keypoints.inference import detectors
from keypoints.synthetic.drawing import draw_face


def test_no_face_is_an_empty_answer():
    for image in (np.zeros((80, 120, 3), np.uint8), np.full((3, 5, 3), 9, np.uint8)):
        found = detectors.load_detector().detect(image)
        assert found.shape == (0, 4) and found.dtype == np.float32


def test_overlap_by_hand():
    a, b = np.array([0.0, 0, 4, 2]), np.array([2.0, 1, 4, 2])
    assert detectors.overlap(a, b) == pytest.approx(2 / 14)  # 2 x 1 shared of 8 + 8 - 2
    assert detectors.overlap(a, a) == 1 and detectors.overlap(a, a + [9, 9, 0, 0]) == 0


def test_conversion_by_hand():
    squares = np.array([[10.0, 20, 100, 100], [0, 0, 50, 50]])
    boxes = np.array([[20.0, 40, 80, 60], [5, 10, 40, 30]])  # the same at another size
    centre, size = detectors.fit_conversion(squares, boxes)
    np.testing.assert_allclose(centre, [0.5, 0.5])
    np.testing.assert_allclose(size, [0.8, 0.6])


def test_drawn_faces_are_found_where_they_are():
    overlaps = []
    for seed in range(30):
        image, points = draw_face(seed)
        found = detectors.load_detector().detect(image)
        if len(found):
            overlaps.append(detectors.overlap(found[0], geometry.landmark_box(points)))
    assert len(overlaps) >= 12 and np.median(overlaps) > 0.6


def test_a_large_picture_is_searched_small_and_answered_in_its_own_pixels():
    image, _ = draw_face(2)
    (small,) = detectors.load_detector().detect(image)[:1]
    times = -(-2 * detectors.SHORT_SIDE // min(image.shape[:2]))
    large = cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
    (found,) = detectors.load_detector().detect(large)[:1]
    assert detectors.overlap(found / times, small) > 0.8


class FakeYuNet:
    """What `cv2.FaceDetectorYN` is to us: one face, whose five points are those of `face`."""

    face = (landmarks.MEAN_FACE * 200 + [500, 420]).astype(np.float32)

    def setInputSize(self, size):
        self.size = size

    def detect(self, image):
        assert image.shape[1::-1] == tuple(self.size) and image[0, 0].tolist() == [3, 2, 1]
        face = (self.face + 0.5) * image.shape[0] / 960 - 0.5
        eyes = [face[36:42].mean(0), face[42:48].mean(0)]
        five = np.array([*eyes, face[30], face[48], face[54]])
        return 1, np.concatenate([np.zeros(4), five.ravel(), [0.9]])[None].astype(np.float32)


@pytest.fixture
def yunet(tmp_path, monkeypatch):
    """A cache folder of the test's own, a fake network, and a server that sends `b"network"`."""
    made = []

    def create(path, config, size, score):
        made.append(path)
        return FakeYuNet()

    def fetch(url, path):
        assert url == detectors.YUNET_URL
        path.write_bytes(b"network")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cv2, "FaceDetectorYN", SimpleNamespace(create=create))
    monkeypatch.setattr(download, "download", fetch)
    monkeypatch.setattr(
        detectors,
        "YUNET_SHA256",
        "3009be769fb8f956e8413ee9f3e0836e34968bc40457d0a10c549d2edcf00cc1",
    )
    detectors._load.cache_clear()
    yield made
    detectors._load.cache_clear()


def test_yunet_of_a_file_answers_landmark_boxes(yunet, tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"a network")
    found = detectors.load_detector(path)
    image = np.full((960, 1280, 3), (1, 2, 3), np.uint8)  # searched at half the size
    np.testing.assert_allclose(
        found.detect(image), geometry.landmark_box(FakeYuNet.face)[None], atol=0.01
    )
    assert yunet == [str(path)] and detectors.load_detector(path) is found


def test_yunet_without_a_face(yunet, tmp_path, monkeypatch):
    monkeypatch.setattr(FakeYuNet, "detect", lambda self, image: (1, None))
    (tmp_path / "mine.onnx").write_bytes(b"a network")
    boxes = detectors.load_detector(tmp_path / "mine.onnx").detect(np.zeros((9, 9, 3), np.uint8))
    assert boxes.shape == (0, 4) and boxes.dtype == np.float32


def test_yunet_is_downloaded_once_and_only_the_right_file(yunet, tmp_path, monkeypatch):
    kept = tmp_path / "keypoints" / detectors.YUNET_FILE
    detectors.load_detector("yunet")
    assert yunet == [str(kept)] and kept.read_bytes() == b"network"
    detectors._load.cache_clear()
    monkeypatch.setattr(download, "download", None)  # it would not be callable
    detectors.load_detector("yunet")
    detectors._load.cache_clear()
    kept.write_bytes(b"<html>log in to the hotel's network")
    with pytest.raises(InputError, match="another SHA-256"):
        detectors.load_detector("yunet")
    assert not kept.exists()


def test_yunet_offline_says_what_to_do(yunet, tmp_path, monkeypatch):
    def fetch(url, path):
        raise InputError(f"{url}: no route to host, in 3 attempts")

    monkeypatch.setattr(download, "download", fetch)
    with pytest.raises(InputError, match=r"no route.*put the file into .*--detector=haar needs"):
        detectors.load_detector("yunet")


@pytest.mark.parametrize(
    ("name", "message"),
    [("harr", "haar, yunet or the path"), ("missing.onnx", "no such file; https://")],
)
def test_what_is_no_detector_is_named(name, message):
    with pytest.raises(InputError, match=message):
        detectors.load_detector(name)


def test_a_damaged_model_file_is_named(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(InputError, match=r"bad.onnx: OpenCV cannot read it as YuNet"):
        detectors.load_detector(tmp_path / "bad.onnx")


def test_the_five_points_carry_the_mean_face():
    angle, scale = 0.4, 90.0
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    face = landmarks.MEAN_FACE @ turn.T + [120, 80]
    five = np.array([face[36:42].mean(0), face[42:48].mean(0), *face[[30, 48, 54]]])
    np.testing.assert_allclose(
        detectors.boxes_of_five(five[None])[0], geometry.landmark_box(face), atol=1e-3
    )


@pytest.mark.slow
@pytest.mark.skipif("KEYPOINTS_ARCHIVE" not in os.environ, reason="KEYPOINTS_ARCHIVE is not set")
def test_recall_and_constants_on_the_real_data(tmp_path):
    from keypoints.data.sources import load_records

    folder = os.environ.get("TFDS_DATA_DIR", tmp_path)
    records = load_records("youtube_faces_keypoints", "validation", data_dir=folder)
    truth = geometry.landmark_box(records.points)
    haar = detectors.load_detector()
    squares, boxes, overlaps = [], [], []
    for i, box in enumerate(truth):
        image = records.image(i)
        found = haar.detect(image)
        overlaps.append(detectors.overlap(found[0], box) if len(found) else 0)
        if overlaps[-1] > 0.4:
            squares.append(haar.squares(image)[0])
            boxes.append(box)
    assert np.mean(np.array(overlaps) > 0.4) > 0.96
    centre, size = detectors.fit_conversion(np.array(squares), np.array(boxes))
    np.testing.assert_allclose(centre, detectors.HAAR_CENTRE, atol=0.02)
    np.testing.assert_allclose(size, detectors.HAAR_SIZE, atol=0.03)
