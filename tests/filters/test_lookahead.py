"""What the two passes over a file cover, on a clip that is made for it: see `walk`."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keypoints import filters
from keypoints.filters.following import follow
from keypoints.filters.lookahead import FOLLOW, HOLD, lookahead
from keypoints.filters.pipeline import FOLLOWED, Pipeline, boxed_face
from keypoints.inference import detectors
from keypoints.inference.face import FOUND
from keypoints.inference.predictor import Predictor
from keypoints.markup import IBUG68
from tests.faces import detections
from tests.filters.walk import HEIGHT, RATE, WIDTH, walk


@pytest.fixture(scope="module")
def clip():
    return walk()


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load("pretrained-small")


def find(predictor, frames, name="blur"):
    pipeline = Pipeline(predictor, filters.load_filter(name))
    pipeline.restart(moving=True, ahead=True)
    return pipeline, list(lookahead(frames, pipeline))


def detail_left(before, after, where):
    """Correlation of the Laplacians of two pictures on a mask."""
    one, other = (cv2.Laplacian(i.astype(np.float32), cv2.CV_32F)[where] for i in (before, after))
    if np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def seen_faces(clip, pipeline, found, *, without=()):
    """Frames in which most of the face is to be seen and more than half of its detail stands."""
    seen = []
    for number, (moment, faces) in enumerate(zip(clip, found)):
        faces = [face for face in faces if face.origin not in without]
        shown = pipeline.draw(moment.image, faces, moment.time)
        if moment.share >= 0.5 and detail_left(moment.image, shown, moment.face) > 0.5:
            seen.append(number)
    return seen


@pytest.mark.parametrize("name", ["blur", "pixelate"])
def test_no_face_is_seen_of_who_walks_in_turns_away_is_hidden_and_leaves(clip, predictor, name):
    pipeline, found = find(predictor, ((m.time, m.image) for m in clip), name)
    assert len(found) == len(clip)
    assert seen_faces(clip, pipeline, found) == []
    # While her face is not to be seen, 3.7 % (blur) and 2.7 % (pixelate) of the picture is covered.
    covered = [
        (pipeline.draw(moment.image, faces, moment.time) != moment.image).any(axis=-1).mean()
        for moment, faces in zip(clip, found)
        if moment.share < 0.1
    ]
    assert 0.001 < np.mean(covered) < 0.05


def test_a_face_is_covered_before_it_is_first_found_and_after_it_was_last_found(
    clip, predictor, monkeypatch
):
    """With a detector that only sees faces that are wholly in view, and a network as timid."""
    whole = [moment.share > 0.94 for moment in clip]
    real, number = detectors.load_detector(smallest=0.02, rotations=False), itertools.count()
    none = detections(np.empty((0, 4), np.float32))

    class Timid:
        def detect(self, image):
            return real.detect(image) if whole[next(number)] else none

    monkeypatch.setattr("keypoints.filters.policy.SearchPolicy.load", lambda *a, **b: Timid())
    for module in ("tracking", "face_search"):
        monkeypatch.setattr(f"keypoints.inference.{module}.SCORE_THRESHOLD", 0.9)
    pipeline, found = find(predictor, ((m.time, m.image) for m in clip))
    assert len(seen_faces(clip, pipeline, found, without=[FOLLOWED])) > 5
    assert seen_faces(clip, pipeline, found) == []


def test_two_places_where_a_lost_face_may_be_are_covered_and_not_what_lies_between():
    """Pixels that stay where they are, and a face that is found at the other end of the picture."""
    image = np.random.default_rng(0).integers(0, 256, (120, 480, 3), np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 2)
    lefts = {0: 20.0, 1: 20.0, 9: 340.0}  # of the face, in the frames in which it is found

    def at(image, time):
        left = lefts.get(round(time * RATE))
        if left is None:
            return []
        points = (IBUG68.mean * 60 + [left, 20]).astype(np.float32)
        face = boxed_face(IBUG68.face_boxes(points), FOUND, 1)
        return [replace(face, points=points, score=1.0)]

    pipeline = SimpleNamespace(find=at, shot=0, protects=True, markup=IBUG68)
    found = list(lookahead(((number / RATE, image) for number in range(10)), pipeline))
    width = found[0][0].box[2]
    for number in range(2, 9):
        stays, moves = sorted(face.box.tolist() for face in found[number])
        assert stays[0] == pytest.approx(found[0][0].box[0], abs=0.5)
        assert moves[0] - stays[0] == pytest.approx((number - 1) * 320 / 8, abs=0.5)
        assert [stays[2], moves[2]] == pytest.approx([width, width], abs=0.5)


def test_nothing_is_followed_over_a_cut(clip, predictor):
    """Her face, an empty room, her face again: the room is left as it is."""
    ramp = np.broadcast_to(np.linspace(0, 255, WIDTH), (HEIGHT, WIDTH))
    room = np.repeat(ramp.astype(np.uint8)[..., None], 3, axis=2)
    images = [*[m.image for m in clip[20:30]], *[room] * 10, *[m.image for m in clip[22:30]]]
    times = [number / RATE for number in range(len(images))]
    pipeline, found = find(predictor, zip(times, images))
    assert [bool(faces) for faces in found] == [True] * 10 + [False] * 10 + [True] * 8
    assert pipeline.shot == 2


def test_a_region_is_followed_as_it_moves_and_grows_and_lost_when_it_is_gone():
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 256, (120, 160), np.uint8), (0, 0), 2)
    before = cv2.equalizeHist(scene)
    matrix = np.array([[1.05, 0, 4.0], [0, 1.05, -3.0]])
    after = cv2.warpAffine(before, matrix, (160, 120))
    box = np.array([50.0, 40, 30, 36])
    moved = follow(before, after, box)
    np.testing.assert_allclose(moved, [56.5, 39, 31.5, 37.8], atol=0.7)
    assert follow(before, rng.integers(0, 256, (120, 160), np.uint8), box) is None
    assert FOLLOW > HOLD


def test_ctrl_c_gives_the_faces_so_far(clip, predictor):
    def frames():
        yield from ((m.time, m.image) for m in clip[20:24])
        raise KeyboardInterrupt

    pipeline = Pipeline(predictor, filters.load_filter("blur"))
    pipeline.restart(moving=True, ahead=True)
    found = lookahead(frames(), pipeline)
    assert len([next(found) for _ in range(4)]) == 4
    with pytest.raises(KeyboardInterrupt):
        next(found)


def test_stickers_are_not_drawn_where_no_face_is(clip, predictor):
    """Not while she has turned away, is behind the pillar or has left, nor a moment later."""
    frames = [(m.time, m.image) for m in clip[::2]]
    pipeline, found = find(predictor, frames, "sunglasses")
    for moment, faces in zip(clip[::2], found):
        shown = pipeline.draw(moment.image, faces, moment.time)
        if moment.share == 0:
            assert (shown == moment.image).all(), moment.time
    assert any(faces for faces in found)


def test_times_that_stand_still_take_no_memory(monkeypatch):
    """As of damaged files: no more than `MOST` frames wait, and all come out in order."""
    monkeypatch.setattr("keypoints.filters.lookahead.MOST", 20)
    read = []

    def frames():
        for number in range(100):
            read.append(number)
            yield 1.0, np.zeros((8, 8, 3), np.uint8)

    pipeline = SimpleNamespace(find=lambda image, time: [], shot=0, protects=False)
    ahead = [len(read) - number for number, _ in enumerate(lookahead(frames(), pipeline))]
    assert len(ahead) == 100 and max(ahead) == 21
