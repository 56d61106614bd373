import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from keypoints import geometry
from keypoints.estimate import SCORE_THRESHOLD, Estimate, score_faces
from keypoints.inference import tracking
from keypoints.inference.face import FOUND
from keypoints.inference.tracking import Tracker
from keypoints.markup import IBUG68, bundled
from tests.faces import detections

RATE = 30  # frames a second


class Scene:
    """Faces on known paths: a predictor that sees the nearest one, and a detector of them all."""

    markup = IBUG68

    def __init__(self, noise=0.0, seed=0):
        self.faces = {}  # name: centre and side; the first is in front
        self.hidden = set()  # names of faces that no detector sees
        self.noise = noise
        self.rng = np.random.default_rng(seed)
        self.predictor = self  # all that a tracker needs of one

    def points(self, name):
        centre, side = self.faces[name]
        return (IBUG68.mean * side + centre).astype(np.float32)

    def estimate(self, image, boxes, rolls=None):
        """The face that a box covers, with noise; on a wall, an uncertain one that fills it."""
        points, uncertainty = [], []
        for box in boxes:
            centre, side = box[:2] + box[2:] / 2, box[2:].max()
            face, error = IBUG68.mean * side + centre, 0.1 * side
            for place, size in self.faces.values():
                if np.linalg.norm(place - centre) < 0.5 * size:
                    face = IBUG68.mean * size + place
                    face = face + self.rng.normal(0, self.noise, face.shape)
                    error = 0.001 * size
                    break
            points.append(face)
            uncertainty.append(np.full(68, error))
        found = Estimate(np.array(points, np.float32), np.array(uncertainty, np.float32))
        return replace(found, scores=score_faces(found, np.array(boxes), image.shape))

    def detect(self, image):
        seen = [name for name in self.faces if name not in self.hidden]
        boxes = [geometry.landmark_box(self.points(name)) for name in seen]
        return detections(np.array(boxes, np.float32).reshape(-1, 4))


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
        return detections(np.concatenate([boxes, boxes + [30, 30, 40, 40]]))

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
    assert scene.estimate(IMAGE, boxes).scores[0] < SCORE_THRESHOLD
    scene.faces = {"a": (np.array([160.0, 155]), 120.0)}
    assert scene.estimate(IMAGE, boxes).scores[0] > 0.95


def test_no_more_faces_than_asked_for(scene):
    scene.faces = {str(i): (np.array([100.0 + 150 * i, 200]), 90.0) for i in range(4)}
    tracker = Tracker(scene.predictor, max_faces=2)
    assert len(tracker.update(IMAGE, 0.0)) == 2 and len(ignored(tracker)) == 2
    tracker.max_faces = None  # from now on all
    assert len(tracker.update(IMAGE, 1.0)) == 4 and len(ignored(tracker)) == 0


def test_a_box_that_is_no_sure_face_is_told(scene):
    scene.faces = {"a": (np.array([300.0, 240]), 120.0)}
    wall = np.array([[500.0, 60, 70, 80]], np.float32)
    detect = scene.detect

    def detect_a_wall_too(image):
        return detections(np.concatenate([detect(image).boxes, wall]))

    scene.detect = detect_a_wall_too
    tracker = Tracker(scene.predictor)
    assert len(tracker.update(IMAGE, 0.0)) == 1
    np.testing.assert_array_equal(ignored(tracker), wall)
    scene.detect = detect
    tracker.update(IMAGE, 1.0)
    assert ignored(tracker).shape == (0, 4)


@pytest.mark.parametrize("rate", [10, 20, 30, 60])
def test_a_second_face_is_followed_within_three_tenths_of_a_second(scene, rate):
    for enters in (1.0, 1.09, 1.17):
        tracker, found = Tracker(scene.predictor), None
        for frame in range(2 * rate):
            scene.faces = {"a": (np.array([200.0, 240]), 120.0)}
            if frame / rate >= enters:
                scene.faces["b"] = (np.array([450.0, 200]), 90.0)
            if len(tracker.update(IMAGE, frame / rate)) == 2:
                found = frame / rate
                break
        assert found is not None and found - enters < 0.3


def test_the_same_frames_give_the_same_faces(scene):
    def play():
        scene.rng = np.random.default_rng(3)
        scene.noise = 0.5
        tracker, found = Tracker(scene.predictor), []
        for frame in range(40):
            scene.faces = {"a": (np.array([200.0 + 5 * frame, 240]), 120.0)}
            if frame > 15:
                scene.faces["b"] = (np.array([450.0, 100]), 90.0)
            found += [
                (face.id, face.points.tobytes()) for face in tracker.update(IMAGE, frame / 30)
            ]
        return found

    assert play() == play()


class Doorkeeper:
    """A detector that answers when it is let, in another thread; and says which frame it had."""

    def __init__(self, scene):
        self.scene, self.gate = scene, threading.Semaphore(0)
        self.threads, self.frames = set(), []

    def detect(self, image):
        seen = self.scene.detect(image)  # of the moment at which the look began
        self.threads.add(threading.current_thread())
        self.frames.append(int(image[0, 0, 0]))
        assert self.gate.acquire(timeout=10)
        return seen


def numbered(frame):
    image = IMAGE.copy()
    image[0, 0] = frame
    return image


def ignored(tracker):
    """Boxes that the last search found and that are not followed."""
    return np.concatenate([tracker.unsure, tracker.left])


def settle(tracker):
    """Wait until the look that runs has its result, which the next frame takes up."""
    if tracker._background.pending is not None:
        tracker._background.pending.result(10)


def test_in_the_background_no_frame_waits_and_a_face_is_met_where_it_went(scene):
    keeper = Doorkeeper(scene)
    tracker = Tracker(scene.predictor, detector=keeper, background=True)
    found = []
    for frame in range(6):  # a fast face: 12 pixels a frame, a tenth of its side
        scene.faces = {"a": (np.array([100.0 + 12 * frame, 240]), 120.0)}
        if frame == 4:
            keeper.gate.release()  # the look at frame 0 takes four frames
            settle(tracker)
        found.append(tracker.update(numbered(frame), frame / RATE))
    assert [len(faces) for faces in found] == [0, 0, 0, 0, 1, 1]
    assert keeper.frames[0] == 0 and keeper.threads.isdisjoint({threading.current_thread()})
    points = found[-1][0].points
    assert np.abs(points - scene.points("a")).max() < 8  # and not where it was at frame 0
    keeper.gate.release(5)


def test_in_the_background_the_newest_frame_is_searched(scene):
    keeper = Doorkeeper(scene)
    tracker = Tracker(scene.predictor, detector=keeper, background=True)
    for frame in range(5):
        tracker.update(numbered(frame), frame / RATE)
    keeper.gate.release()
    settle(tracker)
    tracker.update(numbered(5), 5 / RATE)
    keeper.gate.release()
    settle(tracker)
    assert keeper.frames == [0, 5]


def test_in_the_background_a_known_face_that_moved_is_not_found_twice(scene):
    keeper = Doorkeeper(scene)
    tracker = Tracker(scene.predictor, detector=keeper, background=True)
    scene.faces = {"a": (np.array([100.0, 240]), 120.0)}
    ids = set()
    for frame in range(60):
        scene.faces = {"a": (np.array([100.0 + 6 * frame, 240]), 120.0)}
        if frame % 5 == 4:  # looks take five frames, in which it moves by a quarter of its side
            keeper.gate.release()
            settle(tracker)
        ids |= {face.id for face in tracker.update(numbered(frame), frame / RATE)}
    keeper.gate.release(5)
    assert ids == {0} and len(keeper.frames) > 5


def test_trackers_in_several_threads_share_a_predictor_and_a_detector():
    """Eight videos at once give what each gives alone."""

    def play(start):
        scene = scenes[start]
        tracker, found = Tracker(shared, detector=shared), []
        for frame in range(30):
            image = IMAGE.copy()
            image[0, 0, 0] = start  # whose frame it is
            scene.faces = {"a": (np.array([100.0 + 40 * start + frame, 240]), 120.0)}
            found += [
                (face.id, face.points.tobytes()) for face in tracker.update(image, frame / 30)
            ]
        return found

    scenes = [Scene() for _ in range(8)]
    shared = SimpleNamespace(
        markup=IBUG68,
        estimate=lambda image, boxes, rolls: scenes[image[0, 0, 0]].estimate(image, boxes),
        detect=lambda image: scenes[image[0, 0, 0]].detect(image),
    )
    alone = [play(start) for start in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(play, range(8))) == alone


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priorities of their own")
@pytest.mark.parametrize(("background", "threads"), [(True, 1), (False, None)])
def test_the_search_in_the_background_computes_in_its_own_thread_alone(
    scene, monkeypatch, background, threads
):
    made = []
    monkeypatch.setattr(tracking, "load_detector", lambda **options: made.append(options))
    Tracker(scene.predictor, background=background)
    assert [options["threads"] for options in made] == [threads]


def test_the_search_in_the_background_gives_way_to_the_frames(scene):
    keeper = Doorkeeper(scene)
    tracker = Tracker(scene.predictor, detector=keeper, background=True)
    before = os.getpriority(os.PRIO_PROCESS, 0)  # of this thread
    keeper.gate.release()
    tracker.update(numbered(0), 0.0)
    settle(tracker)
    (searcher,) = keeper.threads
    assert os.getpriority(os.PRIO_PROCESS, searcher.native_id) == min(before + 10, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_a_clip_that_starts_over_brings_no_ghosts(scene):
    """150 black frames in the tracker of a clip that ended with a face."""
    tracker = Tracker(scene.predictor)
    scene.faces = {"a": (np.array([300.0, 240]), 120.0)}
    before = [tracker.update(IMAGE, 10 + frame / RATE)[0].id for frame in range(5)]
    scene.faces = {}
    assert not any(tracker.update(IMAGE, frame / RATE) for frame in range(150))
    scene.faces = {"b": (np.array([300.0, 240]), 120.0)}
    (face,) = tracker.update(IMAGE, 6.0)
    assert face.id not in before and tracker.shot == 1


def test_nothing_goes_on_over_a_cut(scene):
    tracker = Tracker(scene.predictor)
    scene.faces = {"a": (np.array([300.0, 240]), 120.0)}
    (face,) = tracker.update(IMAGE, 0.0)
    ramp = np.broadcast_to(np.linspace(0, 255, 640)[:, None], IMAGE.shape).astype(np.uint8)
    scene.faces = {}
    assert tracker.update(ramp, 1 / RATE) == []  # and not for the 0.4 s of a lost face
    scene.faces = {"a": (np.array([300.0, 240]), 120.0)}
    assert tracker.update(IMAGE, 2 / RATE)[0].id != face.id and tracker.shot == 2


def test_a_face_says_whether_it_was_found_or_is_held(scene):
    tracker, origins = Tracker(scene.predictor), []
    for frame in range(20):
        scene.faces = {} if 5 <= frame < 9 else {"a": (np.array([300.0, 240]), 120.0)}
        (face,) = tracker.update(IMAGE, frame / RATE)
        origins.append(face.origin)
        assert (face.score >= SCORE_THRESHOLD) == (face.origin == FOUND)
    assert origins == 5 * ["found"] + 4 * ["held"] + 11 * ["found"]


def test_without_smoothing_points_are_those_of_the_network(scene):
    tracker = Tracker(scene.predictor, smooth=False)
    for frame in range(10):
        scene.faces = {"a": (np.array([300.0 + 9 * frame, 240]), 120.0)}
        (face,) = tracker.update(IMAGE, frame / RATE)
        np.testing.assert_array_equal(face.points, scene.points("a"))


def test_boxes_without_points_and_those_beyond_the_limit_are_told_apart(scene):
    scene.faces = {str(i): (np.array([100.0 + 150 * i, 200]), 90.0) for i in range(3)}
    wall = np.array([[500.0, 400, 30, 40]], np.float32)
    detect = scene.detect
    scene.detect = lambda image: detections(np.concatenate([wall, detect(image).boxes]))
    tracker = Tracker(scene.predictor, max_faces=3)
    assert len(tracker.update(IMAGE, 0.0)) == 2
    np.testing.assert_array_equal(tracker.unsure, wall)
    assert len(tracker.left) == 1 and len(ignored(tracker)) == 2


def test_any_points_are_followed_by_their_face_box_and_without_a_pose():
    """Five points, whose tight box is less than half of the face, on a face that moves."""

    class Five(Scene):
        markup = bundled("five")

        def estimate(self, image, boxes, rolls=None):
            found = super().estimate(image, boxes, rolls)
            points = np.stack([self.markup.mean * size + place for place, size in self.here()])
            return replace(found, points=np.float32(points), uncertainty=np.zeros((1, 5), "f4"))

        def here(self):
            return list(self.faces.values())

    scene = Five()
    tracker = Tracker(scene, detector=scene)
    for frame in range(20):
        scene.faces = {"a": (np.array([150.0 + 4 * frame, 200]), 100.0)}
        (face,) = tracker.update(IMAGE, frame / RATE)
        assert face.id == 0 and face.points.shape == (5, 2) and face.markup == scene.markup
    whole = geometry.landmark_box(scene.points("a"))
    np.testing.assert_allclose(face.box, whole, atol=3)
    assert np.isnan(face.rotation).all()


def test_a_lost_face_is_searched_for_more_often(scene):
    """Every tenth of a second instead of, here, every ten seconds."""
    tracker, searches, times = Tracker(scene.predictor, detect_every=10.0), [], []
    detect = scene.detect
    scene.detect = lambda image: searches.append(times[-1]) or detect(image)
    for frame in range(40):
        scene.faces = {} if frame >= 20 else {"a": (np.array([300.0, 240]), 120.0)}
        times.append(frame / 20)
        tracker.update(IMAGE, times[-1])
    assert searches[0] == 0 and 1.05 <= searches[1] <= 1.1
    lost = [time for time in searches[1:] if time < 1.4]  # afterwards there is no face at all
    assert lost == pytest.approx([lost[0] + 0.1 * n for n in range(len(lost))]) and len(lost) > 2


def test_no_points_are_looked_for_beyond_the_limit(scene):
    scene.faces = {"a": (np.array([100.0, 200]), 90.0)}
    tracker = Tracker(scene.predictor, max_faces=2)
    tracker.update(IMAGE, 0.0)
    scene.faces |= {str(i): (np.array([250.0 + 130 * i, 200]), 90.0) for i in range(3)}
    asked, estimate = [], scene.estimate
    scene.estimate = lambda image, boxes, rolls=None: (
        asked.append(len(boxes)) or estimate(image, boxes, rolls)
    )
    assert len(tracker.update(IMAGE, 1.0)) == 2 and len(tracker.left) == 2
    assert asked == [1, 2]  # the one that is left, then both that are followed


def test_in_the_background_the_caller_may_reuse_its_frame(scene):
    gate, seen = threading.Event(), []

    class Late:
        def detect(self, image):
            assert gate.wait(10)
            seen.append(int(image[0, 0, 0]))
            return scene.detect(image)

    tracker = Tracker(scene.predictor, detector=Late(), background=True)
    frame = numbered(7)
    tracker.update(frame, 0.0)
    frame[:] = 9  # the next frame, in the same memory
    gate.set()
    settle(tracker)
    assert seen == [7]


def test_a_face_that_is_hidden_for_long_is_forgotten(scene):
    """One walks before another, who stands still, and stops there."""
    tracker, followed = Tracker(scene.predictor), []
    for frame in range(90):
        walker = np.array([min(100.0 + 25 * max(frame - 25, 0), 300), 240])
        scene.faces = {"a": (walker, 120.0), "b": (np.array([300.0, 240]), 120.0)}
        scene.hidden = {"b"} if frame > 30 else set()
        shown = tracker.update(IMAGE, frame / RATE)
        followed.append(len(tracker._tracks))
        if 30 < frame < 60:  # both are followed, the one behind is not shown
            assert (followed[-1], [face.origin for face in shown]) == (2, [FOUND])
    hidden = (followed.index(1) - 30) / RATE  # 50 pixels from the walker it is seen no more
    assert followed[30] == 2 and followed[-1] == len(shown) == 1
    assert hidden == pytest.approx(tracking.HIDDEN_FOR, abs=1.5 / RATE)


def test_a_new_face_is_cropped_with_the_roll_of_its_detection(scene):
    scene.faces = {"a": (np.array([300.0, 240]), 120.0)}
    detect, rolls, estimate = scene.detect, [], scene.estimate
    scene.detect = lambda image: detections(detect(image).boxes, np.array([25.0]))
    scene.estimate = lambda image, boxes, roll=None: (
        rolls.append(np.array(roll).tolist()) or estimate(image, boxes)
    )
    Tracker(scene.predictor).update(IMAGE, 0.0)
    assert rolls[0] == [25.0]


def test_a_face_far_from_a_lost_one_is_another(scene):
    tracker = Tracker(scene.predictor)
    scene.faces = {"a": (np.array([120.0, 240]), 100.0)}
    for frame in range(10):
        (before,) = tracker.update(IMAGE, frame / RATE)
    scene.faces = {"b": (np.array([420.0, 240]), 100.0)}  # three sides away
    found = [face for n in (10, 13, 16) for face in tracker.update(IMAGE, n / RATE)]
    ids = {face.id for face in found if abs(face.points[30, 0] - 420) < 30}
    assert ids and before.id not in ids


def test_of_two_lost_faces_the_nearer_one_is_found_again(scene):
    here = {name: (np.array([x, 240.0]), 100.0) for name, x in (("a", 150), ("b", 230 + 150))}
    scene.faces = here
    tracker = Tracker(scene.predictor)
    for frame in range(10):
        faces = tracker.update(IMAGE, frame / RATE)
    ids = {"a" if face.points[30, 0] < 250 else "b": face.id for face in faces}
    scene.faces = {}
    for frame in range(10, 13):
        tracker.update(IMAGE, frame / RATE)
    scene.faces = {"b": (np.array([380.0 - 62, 240]), 100.0)}  # 0.62 sides from where it was
    found = [face for n in (14, 17) for face in tracker.update(IMAGE, n / RATE)]
    assert {face.id for face in found if abs(face.points[30, 0] - 318) < 30} == {ids["b"]}


@pytest.mark.parametrize("enters", [0, 24])
def test_a_lost_face_does_not_take_the_face_of_another(scene, enters):
    """A is gone, and b walks to where it was, be it an old face or one that is new itself."""
    tracker, ids = Tracker(scene.predictor), set()
    for frame in range(36):
        scene.faces = {"a": (np.array([200.0, 240]), 120.0)} if frame < 28 else {}
        if frame >= enters:
            scene.faces["b"] = (np.array([330.0 - 13 * max(frame - 26, 0), 240]), 120.0)
        faces = tracker.update(IMAGE, frame / RATE)
        if frame >= 27:
            apart = {f.id: np.abs(f.points - scene.points("b")).mean() for f in faces}
            ids.add(min(apart, key=apart.get))
    assert len(ids) == 1 and ids != {0}


def test_points_and_rotation_are_steadier_than_those_of_the_network(scene):
    scene.noise, moved = 1.5, {}
    for smooth in (True, False):
        scene.rng = np.random.default_rng(0)
        tracker = Tracker(scene.predictor, smooth=smooth)
        scene.faces = {"a": (np.array([300.0, 240]), 120.0)}
        faces = [tracker.update(IMAGE, frame / RATE)[0] for frame in range(60)]
        for part in ("points", "rotation"):
            values = np.array([getattr(face, part) for face in faces[30:]])
            moved[part, smooth] = np.diff(values, axis=0).std()
    assert moved["points", True] < 0.6 * moved["points", False]
    assert moved["rotation", True] < 0.4 * moved["rotation", False]


def test_a_search_that_fails_once_is_told_once_and_the_next_one_goes_on(scene):
    scene.faces = {"a": (np.array([200.0, 240]), 120.0)}
    detect, failures = scene.detect, [RuntimeError("no memory")]

    def failing(image):
        if failures:
            raise failures.pop()
        return detect(image)

    scene.detect = failing
    tracker = Tracker(scene, detector=scene, background=True)
    tracker.update(IMAGE, 0.0)
    while tracker._background.pending is not None and not tracker._background.pending.done():
        pass
    with pytest.raises(RuntimeError, match="no memory"):
        tracker.update(IMAGE, 1 / RATE)
    counts = []
    for frame in range(10, 30):
        counts.append(len(tracker.update(IMAGE, frame / RATE)))
        settle(tracker)
    assert counts[-1] == 1
