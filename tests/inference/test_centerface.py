import subprocess
import sys
from itertools import pairwise
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keypoints import geometry
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.inference import centerface, upright
from keypoints.inference.centerface import CENTERFACE, COMPACT
from keypoints.inference.detections import overlap
from keypoints.inference.detectors import detect
from keypoints.synthetic.drawing import draw_face
from tests.faces import detections


def test_maps_to_boxes_by_hand():
    """One face in row 3, column 5: 24 pixels wide and 32 high, its centre a quarter cell on."""
    heat, sizes, offsets = np.zeros((1, 1, 8, 16)), np.zeros((1, 2, 8, 16)), np.zeros((1, 2, 8, 16))
    points = np.zeros((1, 10, 8, 16))
    heat[0, 0, 3, 4:7] = 0.5, 0.9, 0.6  # its neighbours are no faces of their own
    sizes[0, :, 3, 5] = np.log(8), np.log(6)  # in cells, height first
    offsets[0, :, 3, 5] = 0, 0.25
    points[0, :, 3, 5] = 0.3, 0.25, 0.3, 0.75, 0.5, 0.5, 0.8, 0.25, 0.8, 0.75  # y first
    maps = [part.astype(np.float32) for part in (heat, sizes, offsets, points)]

    def run(names, inputs):
        (padded,) = inputs.values()
        assert names == centerface.OUTPUTS and padded.shape == (1, 3, 32, 64)  # multiples of 32
        assert padded[0, :, 29, 60].tolist() == [1, 2, 3] and not padded[0, :, 30].any()
        return maps

    image = np.full((30, 61, 3), (1, 2, 3), np.uint8)
    boxes, scores, five = centerface.find(SimpleNamespace(run=run), image, threshold=0.4)
    # Centre: (5 + 0.25 + 0.5) x 4 - 0.5 = 22.5 and (3 + 0.5) x 4 - 0.5 = 13.5.
    np.testing.assert_allclose(boxes, [[10.5, -2.5, 24, 32]], rtol=1e-6)
    np.testing.assert_allclose(scores, [0.9])
    expected = [[16.5, 7.1], [28.5, 7.1], [22.5, 13.5], [16.5, 23.1], [28.5, 23.1]]
    np.testing.assert_allclose(five[0], expected, rtol=1e-5)


def test_the_same_maps_as_opencv_at_any_size():
    """Of 64 pixels at least: at 32 OpenCV answers something else, even from a new network."""
    session = centerface.load_session(CENTERFACE)
    names = list(centerface.OUTPUTS)
    for height, width in ((96, 128), (64, 64), (160, 96), (96, 128)):
        image = cv2.resize(draw_face(11)[0], (width, height)).astype(np.float32)
        blob = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
        network = cv2.dnn.readNetFromONNX(str(CENTERFACE.file))  # a new one for each size
        network.setInput(blob)
        for ours, theirs in zip(session.run(names, {"image": blob}), network.forward(names)):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(("data", "state"), [(b"half a network", "damaged"), (None, "missing")])
def test_another_file_is_refused(tmp_path, data, state):
    path = tmp_path / "model.onnx"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=f"model.onnx is {state}.*install the package"):
        centerface.model_bytes(CENTERFACE._replace(file=path))


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
    overlaps = overlap(found.boxes[:, None], boxes)
    return len(found) == len(boxes) and ((overlaps > 0.35).sum(axis=0) == 1).all()


def test_faces_of_all_sizes_are_found_once(crowd):
    assert matched(detect(crowd[0]), crowd[1])


def test_the_smallest_faces_are_left_out_where_they_are_not_asked_for(crowd):
    found = detect(crowd[0], smallest=0.15)  # 143 pixels become 18
    assert 2 <= len(found) <= 3
    assert (overlap(found.boxes[:2], crowd[1][[-1, -2]]) > 0.35).all()


def test_tiles_give_what_the_whole_gives(crowd, monkeypatch):
    whole = detect(crowd[0])
    monkeypatch.setattr(centerface, "TILE", 416)
    tiled = detect(crowd[0])
    assert matched(tiled, crowd[1])
    assert overlap(tiled.boxes[:, None], whole.boxes).max(axis=0).min() > 0.75


def scene(seed, degrees):
    """A drawn face tilted clockwise, in a picture of 300 x 360, and its upright box."""
    image, points = draw_face(seed)
    matrix = Crop(1.8, 300).matrices(geometry.landmark_box(points), -degrees)
    matrix[1, 2] += 30
    picture = cv2.warpAffine(image, matrix, (300, 360), borderMode=cv2.BORDER_REPLICATE)
    return picture, upright.upright_boxes(geometry.apply(matrix, points)[None])


@pytest.mark.parametrize("degrees", [-45, 45, 90, -90, 180])
def test_tilted_and_turned_faces_are_found_with_their_roll(degrees):
    picture, ((box,), (roll,)) = scene(11, degrees)
    found = detect(picture)
    assert len(found) == 1 and overlap(found.boxes[0], box) > 0.6
    # The detector's points tell the tilt of a drawn face to 30 degrees.
    assert abs((found.rolls[0] - roll + 180) % 360 - 180) < 30


def test_only_an_upright_search_without_rotations():
    picture, _ = scene(11, 180)
    assert len(detect(picture, rotations=False)) == 0


def test_a_lying_face_in_a_large_picture_by_hand(monkeypatch):
    """A white square of 160 pixels around (1000, 400) is seen as a face where black is top right.

    That is once the picture, whose black is top left, is turned clockwise. It is searched at a
    fifteenth of its size.
    """
    picture = np.full((1200, 1600, 3), 90, np.uint8)
    picture[320:480, 920:1080] = 255
    picture[:150, :150] = 0

    def find(session, image, threshold):
        if image[1, -2].max() > 40:
            return np.empty((0, 4), "f4"), np.empty(0, "f4"), np.empty((0, 5, 2), "f4")
        rows, columns = np.nonzero(image[..., 0] > 170)
        left, top, side = columns.min(), rows.min(), np.ptp(columns) + 1
        five = np.array([[0.2, 0.2], [0.8, 0.2], [0.5, 0.5], [0.3, 0.8], [0.7, 0.8]]) * side
        box = np.array([[left, top, side, side]], "f4")
        return box, np.float32([0.9]), np.float32(five + [left, top])[None]

    monkeypatch.setattr(centerface, "find", find)
    found = centerface.CenterFaceDetector(CENTERFACE, 0.2).detect(picture)
    assert len(found) == 1 and found.rolls.tolist() == [-90]
    left, top, width, height = found.boxes[0]
    # Down in the turned picture is to the right in this one.
    expected = 1000 + 160 * (CENTERFACE.centre[1] - 0.5), 400
    np.testing.assert_allclose([left + width / 2, top + height / 2], expected, atol=9)
    np.testing.assert_allclose([width, height], np.multiply(CENTERFACE.size, 160), rtol=0.12)


@pytest.mark.parametrize(
    ("scores", "roll", "searches"), [((0.55, 0.65), 180, 4), ((0.65, 0.9), 0, 1)]
)
def test_a_doubtful_face_may_be_upside_down(monkeypatch, scores, roll, searches):
    """A face looks upright in the picture and turned by 180 degrees; a sure one is not turned."""
    asked = []

    def find(session, image, threshold):
        asked.append(image.shape)
        seen = len(asked) % 2  # as it is, and turned twice
        box, five = np.array([[40.0, 30, 60, 60]], "f4")[:seen], np.zeros((seen, 5, 2), "f4")
        five += np.array([[52, 42], [88, 42], [70, 60], [58, 78], [82, 78]], "f4")
        return box, np.full(seen, scores[len(asked) > 1], "f4"), five

    monkeypatch.setattr(centerface, "find", find)
    picture = np.zeros((120, 140, 3), np.uint8)  # with the face in its middle
    found = centerface.CenterFaceDetector(CENTERFACE, 0.1).detect(picture)
    assert len(asked) == searches and len(found) == 1
    assert abs(found.rolls[0]) == roll
    assert found.scores[0] == np.float32(scores[searches > 1])


@pytest.mark.parametrize(("network", "last"), [(CENTERFACE, 4), (COMPACT, 5)])
def test_of_answers_on_one_face_the_upright_one_stays_though_it_is_less_sure(
    monkeypatch, network, last
):
    """In the middle of a square: lying on its left side, upright in the third turned picture.

    Where there is a second network, that one turns the picture, after a search as it is.
    """
    asked = []

    def find(session, image, threshold):
        asked.append(image.shape)
        seen = int(len(asked) in (1, last))
        box = np.array([[40.0, 40, 60, 60]], "f4")[:seen]
        upright = np.array([[52, 52], [88, 52], [70, 70], [58, 88], [82, 88]], "f4")
        five = upright[:, ::-1] if len(asked) == 1 else upright
        return box, np.full(seen, 0.9 if len(asked) == 1 else 0.65, "f4"), five[None][:seen]

    monkeypatch.setattr(centerface, "find", find)
    found = centerface.CenterFaceDetector(network, 0.1).detect(np.zeros((140, 140, 3), np.uint8))
    assert found.scores.tolist() == [np.float32(0.65)] and found.rolls.tolist() == [-90]


@pytest.mark.parametrize(
    ("score", "rotations", "searches"),
    [(0.55, True, [COMPACT, CENTERFACE]), (0.65, True, [COMPACT]), (0.55, False, [COMPACT])],
)
def test_where_a_face_is_doubtful_the_second_network_decides(
    monkeypatch, score, rotations, searches
):
    """Both see a face on the left, and the second one is surer of the other, which it has lower."""
    loaded, asked = [], []
    monkeypatch.setattr(
        centerface, "load_session", lambda network, threads: loaded.append(network) or network
    )

    def find(session, image, threshold):
        asked.append(session)
        second = session is CENTERFACE
        assert threshold == session.min_score and len(asked) <= 2
        boxes = np.array([[20.0, 30, 60, 70], [120, 33 if second else 30, 50, 60]], "f4")
        shares = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], "f4")
        five = shares * boxes[:, None, 2:] + boxes[:, None, :2]
        return boxes, np.float32([0.8, 0.9] if second else [0.9, score]), five

    monkeypatch.setattr(centerface, "find", find)
    detector = centerface.CenterFaceDetector(COMPACT, 0.05, rotations=rotations)
    assert loaded == [COMPACT]  # the other one only where it is needed
    found = detector.detect(np.zeros((120, 240, 3), np.uint8))
    assert asked == searches and loaded == searches
    decided = len(searches) == 2
    assert found.scores.tolist() == np.float32([0.9, 0.9 if decided else score]).tolist()
    network, top = (CENTERFACE, 33) if decided else (COMPACT, 30)
    centre = found.boxes[:, :2] + found.boxes[:, 2:] / 2
    expected = [[50, 30 + 70 * COMPACT.centre[1]], [145, top + 60 * network.centre[1]]]
    np.testing.assert_allclose(centre, expected, rtol=1e-6)
    np.testing.assert_allclose(found.boxes[1, 2:], np.multiply(network.size, [50, 60]), rtol=1e-6)


def test_the_second_network_searches_for_large_faces_and_turns_the_picture(monkeypatch):
    """In 2000 x 1000 pixels, faces of 0.03: 18 of 849, or 864 = 27 x 32 pixels."""
    asked = []

    def find(session, image, threshold):
        asked.append((session, *image.shape[1::-1]))
        return np.empty((0, 4), "f4"), np.empty(0, "f4"), np.empty((0, 5, 2), "f4")

    monkeypatch.setattr(centerface, "load_session", lambda network, threads: network)
    monkeypatch.setattr(centerface, "find", find)
    detector = centerface.CenterFaceDetector(COMPACT, 0.02)
    assert len(detector.detect(np.zeros((1000, 2000, 3), np.uint8))) == 0
    own = [(width, height) for network, width, height in asked if network is COMPACT]
    assert own == [(736, 640), (736, 640), (320, 160), (80, 40)]  # 1280 x 640, in two tiles
    second = [(width, height) for network, width, height in asked if network is CENTERFACE]
    assert second == 2 * [(864, 432), (216, 108), (432, 864), (108, 216)]


def test_the_box_of_a_tilted_face_lies_along_its_tilt(monkeypatch):
    """The eyes of a face of 90 pixels are to the upper right of its mouth; its box is below."""
    up = np.array([np.sin(np.radians(30)), -np.cos(np.radians(30))])
    middle = np.array([150.0, 150])
    five = np.array([up, up, 0 * up, -up, -up]) * 20 + middle
    box = np.array([[105.0, 105, 90, 90]], "f4")
    monkeypatch.setattr(
        centerface, "find", lambda *_, **__: (box.copy(), np.float32([0.9]), np.float32([five]))
    )
    found = centerface.CenterFaceDetector(CENTERFACE, 0.06, rotations=False).detect(
        np.zeros((300, 300, 3))
    )
    assert found.rolls[0] == pytest.approx(30, abs=16)  # what is left of a small tilt
    height = 90 * np.sqrt(centerface.ASPECT)
    turn = geometry.rotation(float(found.rolls[0]))
    expected = middle + turn @ [0, height * (CENTERFACE.centre[1] - 0.5)]
    centre = found.boxes[0, :2] + found.boxes[0, 2:] / 2
    np.testing.assert_allclose(centre, expected, atol=0.01)
    assert centre[0] < 150 < centre[1]


def test_boxes_between_sizes_by_hand():
    """The first pixel of a picture that is 4 and 2 times smaller lies at 1.5, 0.5 of the other."""
    box = np.array([[0.0, 0, 2, 3], [10, 20, 1, 1]])
    assert geometry.scaled_boxes(box, np.array([4, 2])).tolist() == [
        [1.5, 0.5, 8, 6],
        [41.5, 40.5, 4, 2],
    ]
    # Faces of 0.09 sides of a picture of 200 x 200 pixels have the 18 that are needed.
    assert centerface._factor(np.zeros((100, 400)), 0.09) == 1
    # Of 640 pixels 260 are needed, and 256 = 8 x 32 searched; of 40 none more than there are.
    assert centerface._factor(np.zeros((480, 640)), 0.08) == 2.5
    assert centerface._factor(np.zeros((40, 40)), 0.46) == 1.25
    assert centerface._factor(np.zeros((20, 20)), 0.95) == 1


def test_a_face_near_the_edge_of_a_tile_is_of_its_neighbour(monkeypatch):
    """Two tiles of 608 pixels share 191 in the middle; each sees a face at its inner edge."""
    asked = []

    def find(session, tile, threshold):
        asked.append(tile.shape)
        left = 570 if len(asked) == 1 else 10  # in the tile: the centre is 590 or 30
        box = np.array([[left, 100, 40, 40]], "f4")
        return box, np.float32([0.9]), np.zeros((1, 5, 2), "f4")

    monkeypatch.setattr(centerface, "find", find)
    network = CENTERFACE._replace(small_picture=2000)
    detector = centerface.CenterFaceDetector(network, 1e-3, rotations=False)
    boxes, _ = detector.faces(np.zeros((300, 1025, 3), np.uint8))
    assert asked == [(300, 608, 3)] * 2 and len(boxes) == 0


def test_each_size_of_a_picture_is_searched_once(monkeypatch):
    """Its own, though smaller faces are asked for than there can be, then a quarter of it."""
    asked = []

    def find(session, tile, threshold):
        asked.append(tile.shape[:2])
        return np.empty((0, 4), "f4"), np.empty(0, "f4"), np.empty((0, 5, 2), "f4")

    monkeypatch.setattr(centerface, "find", find)
    detector = centerface.CenterFaceDetector(CENTERFACE, 1e-3, rotations=False)
    detector.faces(np.zeros((300, 1000, 3), np.uint8))
    assert asked == [(300, 1000), (75, 250)]


def test_a_face_of_the_second_size_in_pixels_of_the_picture(monkeypatch):
    """Searched at 640 x 480 and 160 x 120; the face is seen in the second."""

    def find(session, tile, threshold):
        seen = np.array([[10.0, 20, 30, 40]], "f4")[: tile.shape[1] == 160]
        return seen, np.full(len(seen), 0.9, "f4"), np.zeros((len(seen), 5, 2), "f4") + 7

    monkeypatch.setattr(centerface, "find", find)
    smallest = 2.5 * centerface.SMALLEST_SIDE / np.sqrt(1600 * 1200)
    detector = centerface.CenterFaceDetector(CENTERFACE, smallest, rotations=False)
    boxes, _, five = detector._faces(np.zeros((1200, 1600, 3), np.uint8), smallest)
    np.testing.assert_allclose(boxes, [[104.5, 204.5, 300, 400]])  # (10 + 0.5) x 10 - 0.5
    np.testing.assert_allclose(five, np.full((1, 5, 2), 74.5))


def test_boxes_of_turned_pictures_by_hand():
    """A box around (12, 7) in a picture of 30 x 20; rot90 turns it counter-clockwise."""
    image = np.zeros((20, 30), np.uint8)
    image[7, 12] = 1
    for turns, roll in ((0, 5), (1, 95), (2, -175), (3, -85)):
        y, x = np.argwhere(np.rot90(image, turns))[0]
        seen = detections(np.array([[x - 4.0, y - 3, 8, 6]]), [5])
        back = centerface._turned_back(seen, turns, image.shape)
        assert back.boxes.tolist() == [[8, 4, 8, 6]] and back.rolls.tolist() == [roll]


def test_tiles_by_hand():
    # 1024 to a tile, of which 160 are shared with the next.
    assert centerface._spans(1) == [(0, 1)] and centerface._spans(1024) == [(0, 1024)]
    # Two tiles that overlap by 160 pixels have (1025 + 160) / 2 pixels or more, a multiple of 32.
    assert centerface._spans(1025) == [(0, 608), (417, 1025)]
    assert centerface._spans(1889) == [(0, 768), (560, 1328), (1121, 1889)]
    for length in range(1, 5000, 7):
        spans = centerface._spans(length)
        assert spans[0][0] == 0 and spans[-1][1] == length
        assert all(end - start <= centerface.TILE for start, end in spans)
        overlaps = [a[1] - b[0] for a, b in pairwise(spans)]
        assert all(overlap >= centerface.TILE_OVERLAP for overlap in overlaps)


@pytest.mark.slow
def test_a_hundred_megapixels_take_bounded_memory():
    code = """
import resource, sys
import numpy as np
from keypoints.inference.detectors import detect
image = np.random.default_rng(0).integers(0, 256, (10_000, 10_000, 3), np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
detect(image)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 700  # megabytes
