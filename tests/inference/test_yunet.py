from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keypoints import geometry
from keypoints.errors import InputError
from keypoints.inference import detectors, upright
from keypoints.inference import yunet as network
from keypoints.markup import IBUG68
from keypoints.system import download


class FakeYuNet:
    """What `cv2.FaceDetectorYN` is to us: one face, whose five points are those of `face`."""

    face = (IBUG68.mean * 200 + [500, 420]).astype(np.float32)

    def setInputSize(self, size):
        self.size = size

    def detect(self, image):
        assert image.shape[1::-1] == tuple(self.size)
        assert image[0, 0].tolist() in ([3, 2, 1], [0, 0, 0])  # black: the first try
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
        assert url == network.URL
        path.write_bytes(b"network")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cv2, "FaceDetectorYN", SimpleNamespace(create=create))
    monkeypatch.setattr(download, "download", fetch)
    monkeypatch.setattr(
        network,
        "SHA256",
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
        found.detect(image).boxes, geometry.landmark_box(FakeYuNet.face)[None], atol=0.01
    )
    assert yunet == [str(path)] and detectors.load_detector(path) is found


def test_yunet_without_a_face(yunet, tmp_path, monkeypatch):
    monkeypatch.setattr(FakeYuNet, "detect", lambda self, image: (1, None))
    (tmp_path / "mine.onnx").write_bytes(b"a network")
    boxes = detectors.detect(np.zeros((9, 9), np.uint8), detector=tmp_path / "mine.onnx").boxes
    assert boxes.shape == (0, 4) and boxes.dtype == np.float32


def test_yunet_is_downloaded_once_and_only_the_right_file(yunet, tmp_path, monkeypatch):
    kept = tmp_path / "keypoints" / network.FILE
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
    with pytest.raises(InputError, match=r"no route.*put the file into .*detector=haar needs"):
        detectors.load_detector("yunet")


def test_a_damaged_model_file_is_named(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(InputError, match=r"bad.onnx: OpenCV cannot read it as YuNet"):
        detectors.load_detector(tmp_path / "bad.onnx")


def test_the_five_points_carry_the_mean_face():
    turn = 90 * geometry.rotation(35.0)
    face = IBUG68.mean @ turn.T + [120, 80]
    five = np.array([face[36:42].mean(0), face[42:48].mean(0), *face[[30, 48, 54]]])
    for found, expected in zip(
        network.boxes_of_five(five[None]), upright.upright_boxes(face[None])
    ):
        np.testing.assert_allclose(found, expected, atol=1e-3)
