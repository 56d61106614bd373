from keypoints.crop import Crop
from keypoints.filters import list_filters
from keypoints.filters.pipeline import Pipeline
from keypoints.inference.predictor import Predictor
from keypoints.live.keys import Keys
from keypoints.network import Network


def test_f_goes_through_all_filters_and_back_to_points():
    pipeline = Pipeline(Predictor(Network(None, Crop())))
    keys = Keys(pipeline)
    seen = []
    count = len(list_filters())
    for _ in range(count + 2):
        seen.append(pipeline.filter.spec.name if pipeline.filter else None)
        assert pipeline.landmarks == (pipeline.filter is None)
        keys.press("f", None)
    assert seen[0] is None and len(set(seen)) == count + 1 and seen[-1] is None
