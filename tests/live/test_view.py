from keypoints.filters import list_filters
from keypoints.live.view import View


def test_f_goes_through_all_filters_and_back_to_points():
    view = View(None)
    seen = []
    count = len(list_filters())
    for _ in range(count + 2):
        seen.append(view.filter.spec.name if view.filter else None)
        view.press("f", None)
    assert seen[0] is None and len(set(seen)) == count + 1 and seen[-1] is None
