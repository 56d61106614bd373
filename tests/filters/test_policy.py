from types import SimpleNamespace

from keypoints import filters
from keypoints.filters import policy
from keypoints.filters.pipeline import Pipeline
from keypoints.filters.policy import search_policy
from keypoints.inference.detectors import MOVING, STILL
from keypoints.inference.tracking import DETECT_EVERY
from keypoints.markup import IBUG68

BLUR, CROWN = filters.load_filter("blur"), filters.load_filter("crown")


def test_a_privacy_filter_looks_for_small_faces_in_every_frame_wherever_it_is_drawn():
    for live in (False, True):
        search = search_policy(BLUR, moving=True, live=live)
        assert search.smallest * (1920 * 1080) ** 0.5 < 30 and search.detect_every == 0
        assert search.max_faces is None
    assert search_policy(BLUR, moving=False).smallest == STILL  # smaller still in pictures


def test_others_look_for_larger_faces_now_and_then():
    for filter in (None, CROWN):
        search = search_policy(filter, moving=True, live=True)
        assert (search.smallest, search.detect_every) == (MOVING, DETECT_EVERY)
        assert search.max_faces == policy.LIVE_FACES
        assert search_policy(filter, moving=True).max_faces is None
        assert search_policy(filter, moving=True, live=True, max_faces=7).max_faces == 7
        assert search_policy(filter, moving=False).rotations


def test_the_search_changes_with_the_filter_between_two_frames(monkeypatch):
    made = []
    monkeypatch.setattr(policy.detectors, "load_detector", lambda name, **o: made.append(o))
    monkeypatch.setattr("keypoints.filters.pipeline.Tracker.update", lambda *frame: [])
    pipeline = Pipeline(SimpleNamespace(markup=IBUG68), CROWN, live=True)
    for filter in (CROWN, CROWN, BLUR, BLUR, None):
        pipeline.filter = filter
        pipeline.find(None, 0.0)
    assert [options["smallest"] for options in made] == [MOVING, policy.PROTECTED, MOVING]
