import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from keypoints import geometry
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.inference.predictor import Predictor
from keypoints.inference.tracking import Tracker
from keypoints.markup import IBUG68
from keypoints.network import Network
from tests.faces import detections, estimated

IN_CROP = IBUG68.mean * 160 + 111.5


def mean_face(crops):
    """A network that answers the mean face, whatever it sees, and counts batch sizes."""
    sizes.add(len(crops))
    assert crops.dtype == np.uint8 and crops.shape[1:] == (224, 224, 3)
    return estimated(np.tile(IN_CROP, (len(crops), 1, 1)), uncertainty=2.0)


sizes: set[int] = set()
predictor = Predictor(Network(mean_face, Crop(1.4)))


def test_points_come_back_in_the_picture():
    boxes = np.array([[40.0, 20, 80, 60], [100, 50, 30, 40]])
    found = predictor.estimate(np.zeros((120, 200, 3), np.uint8), boxes)
    # 224 crop pixels are 1.4 longer sides: the mean face is 160 of 224 wide, about the side.
    for face, box in zip(found.points, boxes):
        centre, side = box[:2] + box[2:] / 2, box[2:].max()
        np.testing.assert_allclose(face, IBUG68.mean * side + centre, atol=0.01)
    # 2 crop pixels are 2 / 224 of a crop's side of 1.4 * 80 and 1.4 * 40.
    np.testing.assert_allclose(found.uncertainty, np.tile([[1.0], [0.5]], 68), rtol=1e-5)


def test_a_dot_is_found_where_it_is_on_a_picture_that_is_not_square():
    def brightest(crops):
        y, x = np.unravel_index(crops[..., 0].reshape(len(crops), -1).argmax(1), (224, 224))
        return estimated(np.tile(np.stack([x, y], -1), (1, 68)))

    image = np.zeros((90, 300, 3), np.uint8)
    image[30, 211] = 255
    found = Predictor(Network(brightest, Crop(1.4))).predict(image, np.array([[190.0, 20, 40, 30]]))
    np.testing.assert_allclose(found[0, 0], [211, 30], atol=0.5)


def test_a_rolled_crop_brings_its_points_back_rolled():
    boxes = np.array([[60.0, 20, 80, 60]])
    face = predictor.estimate(np.zeros((120, 200, 3), np.uint8), boxes, np.array([90.0])).points[0]
    # Clockwise by 90 degrees, x goes to y and y to -x about the box's centre (100, 50).
    expected = np.stack([-IBUG68.mean[:, 1], IBUG68.mean[:, 0]], 1) * 80 + [100, 50]
    np.testing.assert_allclose(face, expected, atol=0.01)


def test_few_batch_sizes_whatever_the_faces():
    sizes.clear()
    for count in range(12):
        assert predictor.predict(np.zeros((9, 9, 3), np.uint8), np.ones((count, 4))).shape == (
            count, 68, 2,
        )  # fmt: skip
    assert sizes == {1, 2, 4, 8, 16}
    sizes.clear()
    boxes = np.arange(75 * 4).reshape(75, 4) + 1.0
    image = np.zeros((9, 9, 3), np.uint8)
    alone = np.concatenate([predictor.predict(image, box[None]) for box in boxes])
    assert sizes == {1}
    np.testing.assert_array_equal(predictor.predict(image, boxes), alone)
    assert sizes == {1, 16}  # 75 = 4 * 16 + 11


def test_a_crowd_is_cut_into_batches_in_order():
    sizes.clear()
    boxes = np.tile([0.0, 0, 50, 50], (200, 1)) + np.arange(200)[:, None] * [3, 2, 0, 0]
    found = predictor.predict(np.zeros((9, 9, 3), np.uint8), boxes)
    expected = IBUG68.mean * 50 + (boxes[:, :2] + 25)[:, None]
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert sizes == {16, 8}  # twelve times 16, and 8


def test_none_and_boxes_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"is None, which is what cv2\.imread returns"):
        predictor.predict(None, [[1, 2, 3, 4]])
    for boxes in ([[1, 2, 3]], np.zeros((2, 6))):
        with pytest.raises(InputError, match=r"\(n, 4\) is expected"):
            predictor.predict(np.zeros((50, 60, 3), np.uint8), boxes)


def test_boxes_and_rolls_that_do_not_fit_are_refused():
    image = np.zeros((50, 60, 3), np.uint8)
    with pytest.raises(InputError, match="3 rolls for 1 boxes; one for each is expected"):
        predictor.estimate(image, [[1, 2, 30, 40]], [0.0, 1.0, 2.0])
    for boxes in ([["a", "b", "c", "d"]], "faces", [[1, 2, 3], [4]]):
        with pytest.raises(InputError, match="boxes: numbers are expected, not"):
            predictor.predict(image, boxes)
    with pytest.raises(InputError, match="rolls: numbers are expected, not 'up'"):
        predictor.estimate(image, [[1, 2, 30, 40]], "up")


def test_a_box_that_is_not_finite_stands_for_the_whole_picture():
    image = np.zeros((50, 80, 3), np.uint8)
    whole = predictor.predict(image, [[0, 0, 80, 50]])
    for box in ([np.nan, 0, 10, 10], [np.inf] * 4, [5, 5, -np.inf, 5]):
        np.testing.assert_array_equal(predictor.predict(image, [box]), whole)


KINDS = [bool, np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64,
         np.float16, np.float32, np.float64]  # fmt: skip


@pytest.mark.parametrize(
    "count", [120, pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.long])]
)
def test_random_pictures_and_boxes_never_crash_and_never_give_nan(count):
    rng = np.random.default_rng(0)
    largest = (4000, 3000) if count > 1000 else (300, 500)
    tracker = Tracker(predictor)
    for number in range(count):
        height, width = (int(np.exp(rng.uniform(0, np.log(side + 1)))) for side in largest)
        if number < 2:
            height, width = [(1, 1), largest][number]
        shape = [(height, width), (height, width, int(rng.integers(1, 5)))][rng.integers(2)]
        rows = 10.0 ** rng.integers(0, 6) * rng.standard_normal((height, *[1] * (len(shape) - 1)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # noise beyond a type's range
            image = np.broadcast_to(rows.astype(KINDS[number % len(KINDS)]), shape).copy()
        if image.dtype.kind == "f":
            image[rng.random(height) < 0.05] = rng.choice([np.nan, np.inf, -np.inf])
        boxes = rng.normal(0, 10.0 ** rng.integers(0, 12), (int(rng.integers(0, 4)), 4))
        boxes[rng.random(boxes.shape) < 0.1] = rng.choice([np.nan, np.inf, 0.0, -np.inf])
        rolls = rng.normal(0, 90, len(boxes)) * rng.choice([1, np.nan, np.inf], len(boxes))
        points = predictor.estimate(image, boxes, rolls).points
        assert points.shape == (len(boxes), 68, 2) and np.isfinite(points).all()
        if number < 30 or number % 100 == 0:  # a look for faces takes longer than all the rest
            assert np.isfinite(predictor.predict(image)).all()
            for face in tracker.update(image, number / 30):
                assert np.isfinite(face.points).all() and np.isfinite(face.score)


def test_without_boxes_it_looks_for_faces():
    from keypoints.inference.detectors import load_detector
    from keypoints.synthetic.drawing import draw_face

    image, _ = draw_face(11)
    found = load_detector().detect(image)
    points = predictor.predict(image)
    assert len(points) == len(found)
    assert predictor.predict(np.zeros((50, 60, 3), np.uint8)).shape == (0, 68, 2)
    assert geometry.landmark_box(points).shape == (len(found), 4)


class Shrunk:
    """A network that answers a face of three quarters of the crop's box, and its uncertainties.

    The box of the points is 0.75 ** 2 of the crop's: each face is estimated again.
    """

    def __init__(self, *uncertainties: float):
        self.uncertainties, self.sizes = iter(uncertainties), []

    def __call__(self, crops):
        self.sizes.append(len(crops))
        points = np.tile(IBUG68.mean * 120 + 111.5, (len(crops), 1, 1))
        return estimated(points, uncertainty=next(self.uncertainties))


def test_a_face_that_is_not_where_its_detector_says_is_estimated_again(monkeypatch):
    box, image = np.array([[40.0, 20, 80, 60]], np.float32), np.zeros((120, 200, 3), np.uint8)
    detector = SimpleNamespace(detect=lambda image: detections(box))
    monkeypatch.setattr("keypoints.inference.predictor.load_detector", lambda: detector)
    once = IBUG68.mean * 80 * 0.75
    side = np.ptp(once, axis=0).max()  # the longer side of the box of these points
    middle = (once.min(axis=0) + once.max(axis=0)) / 2
    twice = IBUG68.mean * side * 0.75 + middle

    network = Shrunk(1, 2)
    found = Predictor(Network(network, Crop(1.4))).estimate(image)
    np.testing.assert_allclose(found.points[0], twice + [80, 50], atol=0.01)
    np.testing.assert_allclose(found.uncertainty, 2 * 1.4 * side / 224, rtol=1e-4)
    assert network.sizes == [1, 1] and 0.5 < found.scores[0] < 1
    # Boxes that a caller gives are believed; and a crop in which no face is seen tells nothing.
    for found in (
        Predictor(Network(Shrunk(1), Crop(1.4))).estimate(image, box),
        Predictor(Network(Shrunk(1, 60), Crop(1.4))).estimate(image),
    ):
        np.testing.assert_allclose(found.points[0], once + [80, 50], atol=0.01)
        np.testing.assert_allclose(found.uncertainty, 1.4 * 80 / 224, rtol=1e-4)
    # A face may be seen only where its points were; a crop of a whole frame is always the same.
    found = Predictor(Network(Shrunk(60, 1), Crop(1.4))).estimate(image)
    np.testing.assert_allclose(found.points[0], twice + [80, 50], atol=0.01)
    network = Shrunk(1)
    assert len(Predictor(Network(network, Crop(frame=True))).estimate(image)) == 1
    assert network.sizes == [1]


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(InputError, match="neither a run folder nor an export"):
        Predictor.load(tmp_path)
    with pytest.raises(InputError, match=r"missing\.onnx is neither"):
        Predictor.load(tmp_path / "missing.onnx")
    with pytest.raises(InputError, match="did you mean 'pretrained-small'"):
        Predictor.load("pretraned-small")
    (tmp_path / "best.weights.h5").write_text("")
    with pytest.raises(InputError, match=r"best\.weights\.h5: a run of `keypoints train`"):
        Predictor.load(tmp_path / "best.weights.h5")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="is damaged"):
        Predictor.load(tmp_path)
