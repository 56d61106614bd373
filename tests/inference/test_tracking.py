import numpy as np
import pytest

from keypoints import geometry, landmarks
from keypoints.estimate import Estimate
from keypoints.inference import tracking
from keypoints.inference.detectors import Detections
from keypoints.inference.predictor import Predictor
from keypoints.inference.tracking import OneEuro, Tracker, face_score

RATE = 30  # frames a second


class Scene:
    """Faces on known paths: a predictor that sees the nearest one, and a detector of them all."""

    def __init__(self, noise=0.0, seed=0):
        self.faces = {}  # name: centre and side; the first is in front
        self.hidden = set()  # names of faces that no detector sees
        self.noise = noise
        self.rng = np.random.default_rng(seed)
        self.predictor = Predictor(None, margin=1.4)
        self.predictor.estimate = self.estimate

    def points(self, name):
        centre, side = self.faces[name]
        return (landmarks.MEAN_FACE * side + centre).astype(np.float32)

    def estimate(self, image, boxes):
        """The face that a box covers, with noise; on a wall, an uncertain one that fills it."""
        points, uncertainty = [], []
        for box in boxes:
            centre, side = box[:2] + box[2:] / 2, box[2:].max()
            face, error = landmarks.MEAN_FACE * side + centre, 0.1 * side
            for place, size in self.faces.values():
                if np.linalg.norm(place - centre) < 0.5 * size:
                    face = landmarks.MEAN_FACE * size + place
                    face = face + self.rng.normal(0, self.noise, face.shape)
                    error = 0.001 * size
                    break
            points.append(face)
            uncertainty.append(np.full(68, error))
        return Estimate(np.array(points, np.float32), np.array(uncertainty, np.float32))

    def detect(self, image):
        seen = [name for name in self.faces if name not in self.hidden]
        boxes = [geometry.landmark_box(self.points(name)) for name in seen]
        return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.ones(len(boxes), "f4"))


@pytest.fixture
def scene(monkeypatch):
    scene = Scene()
    monkeypatch.setattr(tracking, "load_detector", lambda **options: scene)
    return scene


IMAGE = np.zeros((480, 640, 3), np.uint8)


def test_a_face_keeps_its_id_and_its_points(scene):
    tracker, ids = Tracker(scene.predictor), set()
    for frame in range(60):
        scene.faces = {"a": (np.array([200.0 + 3 * frame, 240]), 120.0)}
        (face,) = tracker.update(IMAGE, frame / RATE)
        ids.add(face.id)
        assert face.score > 0.9 and face.points.dtype == np.float32
        assert np.abs(face.points - scene.points("a")).max() < 6
    assert len(ids) == 1


def test_two_faces_keep_their_ids_as_they_pass(scene):
    tracker, seen = Tracker(scene.predictor), []
    for frame in range(90):
        scene.faces = {
            "a": (np.array([120.0 + 4 * frame, 150]), 90.0),
            "b": (np.array([500.0 - 4 * frame, 300]), 90.0),
        }
        faces = tracker.update(IMAGE, frame / RATE)
        seen.append({face.id: face.points[30, 1] < 225 for face in faces})
    assert all(pair == seen[0] and len(pair) == 2 for pair in seen)


@pytest.mark.parametrize("front", ["a", "b"])
@pytest.mark.parametrize("sizes", [(90.0, 90.0), (110.0, 80.0)])
def test_two_faces_keep_their_ids_as_one_passes_behind_the_other(scene, front, sizes):
    tracker, ids = Tracker(scene.predictor), {}
    scene.noise = 0.3
    for frame in range(100):
        faces = {
            "a": (np.array([120.0 + 4 * frame, 200]), sizes[0]),
            "b": (np.array([520.0 - 4 * frame, 210]), sizes[1]),
        }
        near = np.linalg.norm(faces["a"][0] - faces["b"][0]) < 0.5 * max(sizes)
        scene.faces = {name: faces[name] for name in sorted(faces, key=lambda n: n != front)}
        scene.hidden = {"ab".replace(front, "")} if near else set()
        found = tracker.update(IMAGE, frame / RATE)
        for face in found:
            apart = {n: np.abs(face.points - scene.points(n)).mean() for n in faces}
            name = min(apart, key=apart.get)
            if apart[name] < 10 and not near:
                assert ids.setdefault(name, face.id) == face.id
        assert len(found) == 2 or near or 0 < frame - 48 < 20
    assert sorted(ids.values()) == [0, 1] and tracker._next_id == 2


def test_a_face_that_moves_while_it_is_unsure_keeps_its_id(scene):
    tracker, ids = Tracker(scene.predictor), []
    for frame in range(60):
        here = {"a": (np.array([100.0 + 6 * frame, 240]), 120.0)}
        scene.faces = {} if 20 <= frame < 31 else here
        ids += [face.id for face in tracker.update(IMAGE, frame / RATE)]
    assert set(ids) == {0} and len(ids) == 60


def test_two_tracks_never_sit_on_one_face(scene):
    """A detector that answers one face twice, as cascades do."""
    tracker = Tracker(scene.predictor)
    scene.faces = {"a": (np.array([300.0, 240]), 120.0)}
    detect = scene.detect

    def detect_twice(image):
        boxes = detect(image).boxes
        return Detections(np.concatenate([boxes, boxes + [30, 30, 40, 40]]), np.ones(2, "f4"))

    scene.detect = detect_twice
    for frame in range(40):
        (face,) = tracker.update(IMAGE, frame / RATE)
        assert face.id == 0


def test_a_short_dip_is_bridged_and_a_long_loss_drops_the_face(scene):
    tracker = Tracker(scene.predictor)
    here = {"a": (np.array([300.0, 240]), 120.0)}
    counts, ids = [], set()
    for frame in range(60):
        scene.faces = here if not (20 <= frame < 26 or frame >= 40) else {}
        faces = tracker.update(IMAGE, frame / RATE)
        counts.append(len(faces))
        ids |= {face.id for face in faces}
    assert all(counts[:50]) and ids == {0} and counts[-1] == 0


def test_a_wall_is_no_face(scene):
    boxes = np.array([[100.0, 100, 120, 110]])
    _, score = face_score(scene.predictor, IMAGE, boxes)
    assert score[0] < tracking.SCORE_THRESHOLD
    scene.faces = {"a": (np.array([160.0, 155]), 120.0)}
    _, score = face_score(scene.predictor, IMAGE, boxes)
    assert score[0] > 0.95


def test_no_more_faces_than_asked_for(scene):
    scene.faces = {str(i): (np.array([100.0 + 150 * i, 200]), 90.0) for i in range(4)}
    assert len(Tracker(scene.predictor, faces=2).update(IMAGE, 0.0)) == 2


def test_smoothing_halves_the_noise_of_a_still_face_and_does_not_lag_a_fast_one():
    rng = np.random.default_rng(0)
    truth = landmarks.MEAN_FACE * 120 + 200
    still, moving = OneEuro(), OneEuro()
    errors = {"raw": [], "still": [], "moving": []}
    for frame in range(120):
        noise = rng.normal(0, 1.0, truth.shape)
        errors["raw"].append(noise)
        errors["still"].append(still.smooth(truth + noise, frame / RATE) - truth)
        place = truth + [8.0 * frame, 0]  # 240 pixels, two face sides, a second
        errors["moving"].append(moving.smooth(place + noise, frame / RATE) - place)
    flicker = {name: np.diff(values[30:], axis=0).std() for name, values in errors.items()}
    assert flicker["still"] < 0.5 * flicker["raw"]
    lag = -np.mean(errors["moving"][30:], axis=(0, 1))[0]
    assert lag < 8.0  # less than the way of one frame


def test_smoothing_by_hand():
    filter = OneEuro()
    first = np.zeros((68, 2), np.float32)
    assert (filter.smooth(first, 1.0) == 0).all()
    assert (filter.smooth(first + 9, 1.0) == 0).all()  # no time has passed
    # A face of one spot has a side of 1: 4 px in 0.5 s are 8 sides a second, low-passed at 2 Hz.
    share = 1 / (1 + 1 / (2 * np.pi * tracking.SPEED_CUTOFF * 0.5))
    cutoff = tracking.MIN_CUTOFF + tracking.SPEED_GAIN * 8 * share
    expected = 4 / (1 + 1 / (2 * np.pi * cutoff * 0.5))
    np.testing.assert_allclose(filter.smooth(first + [4, 0], 1.5)[:, 0], expected, rtol=1e-5)


def test_lids_are_not_held_back_on_a_still_face():
    filter, face = OneEuro(), landmarks.MEAN_FACE * 120 + 200
    for frame in range(30):
        filter.smooth(face, frame / RATE)
    shut = face.copy()
    shut[[37, 38, 43, 44], 1] += 5  # the upper lids
    found = [filter.smooth(shut, frame / RATE) for frame in (30, 31)]
    assert found[0][37, 1] - face[37, 1] > 2.5 and found[1][37, 1] - face[37, 1] > 4
    assert np.abs(found[1][:17] - face[:17]).max() < 0.01  # the jaw does not move with them
