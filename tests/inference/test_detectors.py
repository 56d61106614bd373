import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keypoints import download, geometry, landmarks
from keypoints.errors import InputError
from keypoints.inference import detectors, upright
from keypoints.synthetic.drawing import draw_face
from tests.faces import detections


@pytest.mark.parametrize("name", ["centerface", "haar"])
@pytest.mark.parametrize("shape", [(80, 120), (3, 5), (1, 1), (1, 3000), (2000, 1)])
def test_no_face_is_an_empty_answer(name, shape):
    found = detectors.detect(np.full(shape, 9, np.uint8), detector=name)
    assert found.boxes.shape == (0, 4) and found.boxes.dtype == np.float32
    assert found.scores.shape == (0,) and found.scores.dtype == np.float32 and len(found) == 0


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


@pytest.mark.parametrize(("name", "least"), [("centerface", 20), ("haar", 12)])
def test_drawn_faces_are_found_where_they_are(name, least):
    overlaps = []
    for seed in range(30):
        image, points = draw_face(seed)
        found = detectors.detect(image, detector=name)
        if len(found):
            assert 0.4 <= found.scores[0] <= 1
            overlaps.append(detectors.overlap(found.boxes[0], geometry.landmark_box(points)))
    assert len(overlaps) >= least and np.median(overlaps) > 0.6


@pytest.mark.parametrize("name", ["centerface", "haar"])
def test_a_large_picture_is_searched_small_and_answered_in_its_own_pixels(name):
    image, _ = draw_face(11)
    small = detectors.detect(image, detector=name).boxes[0]
    large = cv2.resize(image, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    found = detectors.detect(large, detector=name, smallest=detectors.MOVING).boxes
    assert len(found) == 1 and detectors.overlap(found[0] / 8, small) > 0.8


@pytest.fixture(scope="module")
def crowd():
    """24 drawn faces, of which CenterFace finds each, in a picture of 1300 x 700, and their boxes.

    The smallest is 30 pixels wide, and the largest 300.
    """
    picture, boxes = np.full((700, 1300, 3), 90, np.uint8), []

    def paste(seed, left, top, side):
        image, points = draw_face(seed)
        box = geometry.landmark_box(points)
        centre, scale = box[:2] + box[2:] / 2, side / box[2:].max()
        reach = 0.9 * box[2:].max()  # of the cut square, from its centre
        low = np.maximum(np.floor(centre - reach), 0).astype(int)
        high = np.minimum(np.ceil(centre + reach), image.shape[1::-1]).astype(int)
        cut = image[low[1] : high[1], low[0] : high[0]]
        cut = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
        boxes.append(np.append((box[:2] - low) * scale + (left, top), box[2:] * scale))

    for number in range(20):
        paste((11, 15)[number % 2], 20 + 62 * number, 20 + 7 * (number % 3), 30 + number % 4)
    for number, side in enumerate((60, 120, 200, 300)):
        paste(11, 20 + (0, 130, 350, 720)[number], 120, side)
    return picture, np.array(boxes)


def matched(found, boxes):
    """Whether each of the boxes has just one that was found on it, and none is left over."""
    overlaps = detectors.overlap(found.boxes[:, None], boxes)
    return len(found) == len(boxes) and ((overlaps > 0.35).sum(axis=0) == 1).all()


def test_faces_of_all_sizes_are_found_once(crowd):
    assert matched(detectors.detect(crowd[0]), crowd[1])


def test_the_smallest_faces_are_left_out_where_they_are_not_asked_for(crowd):
    found = detectors.detect(crowd[0], smallest=0.15)  # 143 pixels become 18
    assert 2 <= len(found) <= 3
    assert (detectors.overlap(found.boxes[:2], crowd[1][[-1, -2]]) > 0.35).all()


def test_tiles_give_what_the_whole_gives(crowd, monkeypatch):
    whole = detectors.detect(crowd[0])
    monkeypatch.setattr(detectors, "TILE", 416)
    tiled = detectors.detect(crowd[0])
    assert matched(tiled, crowd[1])
    assert detectors.overlap(tiled.boxes[:, None], whole.boxes).max(axis=0).min() > 0.75


def scene(seed, degrees):
    """A drawn face tilted clockwise, in a picture of 300 x 360, and its upright box."""
    image, points = draw_face(seed)
    matrix = geometry.crop_matrix(
        geometry.landmark_box(points), margin=1.8, roll=-degrees, size=300
    )
    matrix[1, 2] += 30
    picture = cv2.warpAffine(image, matrix, (300, 360), borderMode=cv2.BORDER_REPLICATE)
    return picture, upright.upright_boxes(geometry.apply(matrix, points)[None])


@pytest.mark.parametrize("degrees", [-45, 45, 90, -90, 180])
def test_tilted_and_turned_faces_are_found_with_their_roll(degrees):
    picture, ((box,), (roll,)) = scene(11, degrees)
    found = detectors.detect(picture)
    assert len(found) == 1 and detectors.overlap(found.boxes[0], box) > 0.6
    # The detector's points tell the tilt of a drawn face to 30 degrees.
    assert abs((found.rolls[0] - roll + 180) % 360 - 180) < 30


def test_only_an_upright_search_without_rotations():
    picture, _ = scene(11, 180)
    assert len(detectors.detect(picture, rotations=False)) == 0


def test_boxes_of_turned_pictures_by_hand():
    """A box around (12, 7) in a picture of 30 x 20; rot90 turns it counter-clockwise."""
    image = np.zeros((20, 30), np.uint8)
    image[7, 12] = 1
    for turns, roll in ((0, 5), (1, 95), (2, -175), (3, -85)):
        y, x = np.argwhere(np.rot90(image, turns))[0]
        seen = detections(np.array([[x - 4.0, y - 3, 8, 6]]), [5])
        back = detectors._turned_back(seen, turns, image.shape)
        assert back.boxes.tolist() == [[8, 4, 8, 6]] and back.rolls.tolist() == [roll]


def test_tiles_by_hand():
    # 1024 to a tile, of which 160 are shared with the next.
    assert detectors._spans(1) == [(0, 1)] and detectors._spans(1024) == [(0, 1024)]
    assert detectors._spans(1025) == [(0, 1024), (1, 1025)]
    assert detectors._spans(1889) == [(0, 1024), (432, 1456), (865, 1889)]


def test_of_two_boxes_on_one_face_the_surer_stays():
    boxes = np.array([[0.0, 0, 10, 10], [2, 0, 10, 10], [40, 0, 10, 10], [6, 0, 10, 10]])
    scores = np.array([0.7, 0.9, 0.5, 0.6])
    # 8 x 10 of 120 with the second, 0.67; of the fourth and the second 6 x 10 of 140, 0.43.
    assert detectors.distinct(boxes, scores).tolist() == [1, 2]
    assert detectors.distinct(boxes[:0], scores[:0]).tolist() == []


@pytest.mark.parametrize("name", ["centerface", "haar"])
def test_threads_may_share_a_detector(name):
    images = [draw_face(seed)[0] for seed in (0, 6, 10, 11, 15)] * 4
    detector = detectors.load_detector(name, smallest=detectors.MOVING)
    alone = [detector.detect(image) for image in images]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(detector.detect, images))
    for one, other in zip(alone, together):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.slow
def test_a_hundred_megapixels_take_bounded_memory():
    code = """
import resource, sys
import numpy as np
from keypoints.inference import detectors, upright
image = np.random.default_rng(0).integers(0, 256, (10_000, 10_000, 3), np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
detectors.detect(image)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 700  # megabytes


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
        found.detect(image).boxes, geometry.landmark_box(FakeYuNet.face)[None], atol=0.01
    )
    assert yunet == [str(path)] and detectors.load_detector(path) is found


def test_yunet_without_a_face(yunet, tmp_path, monkeypatch):
    monkeypatch.setattr(FakeYuNet, "detect", lambda self, image: (1, None))
    (tmp_path / "mine.onnx").write_bytes(b"a network")
    boxes = detectors.detect(np.zeros((9, 9), np.uint8), detector=tmp_path / "mine.onnx").boxes
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
    with pytest.raises(InputError, match=r"no route.*put the file into .*detector=haar needs"):
        detectors.load_detector("yunet")


@pytest.mark.parametrize(
    ("name", "message"),
    [("harr", "centerface, haar, yunet or the path"), ("missing.onnx", "no such file; https://")],
)
def test_what_is_no_detector_is_named(name, message):
    with pytest.raises(InputError, match=message):
        detectors.load_detector(name)


def test_a_damaged_model_file_is_named(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(InputError, match=r"bad.onnx: OpenCV cannot read it as YuNet"):
        detectors.load_detector(tmp_path / "bad.onnx")


def test_the_five_points_carry_the_mean_face():
    turn = 90 * geometry.rotation(35.0)
    face = landmarks.MEAN_FACE @ turn.T + [120, 80]
    five = np.array([face[36:42].mean(0), face[42:48].mean(0), *face[[30, 48, 54]]])
    for found, expected in zip(
        detectors.boxes_of_five(five[None]), upright.upright_boxes(face[None])
    ):
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.skipif("KEYPOINTS_ARCHIVE" not in os.environ, reason="KEYPOINTS_ARCHIVE is not set")
def test_recall_and_constants_on_the_real_data(tmp_path):
    from keypoints.data.sources import load_records

    folder = os.environ.get("TFDS_DATA_DIR", tmp_path)
    records = load_records("youtube_faces_keypoints", "validation", data_dir=folder)
    truth = geometry.landmark_box(records.points)
    for name, centre, size in (
        ("centerface", detectors.CENTERFACE_CENTRE, detectors.CENTERFACE_SIZE),
        ("haar", detectors.HAAR_CENTRE, detectors.HAAR_SIZE),
    ):
        detector, own, boxes = detectors.load_detector(name), [], []
        for i, box in enumerate(truth):
            faces, _ = detector.faces(records.image(i))
            corners, sides = faces[:, :2] + faces[:, 2:] * centre, faces[:, 2:] * size
            overlaps = detectors.overlap(np.concatenate([corners - sides / 2, sides], 1), box)
            if overlaps.max(initial=0) > 0.4:
                own.append(faces[overlaps.argmax()])
                boxes.append(box)
        assert len(boxes) > {"centerface": 0.99, "haar": 0.96}[name] * len(truth)
        fitted = detectors.fit_conversion(np.array(own), np.array(boxes))
        np.testing.assert_allclose(fitted, (centre, size), atol=0.04)
