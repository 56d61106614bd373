from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from keypoints.errors import InputError
from keypoints.estimate import Estimate
from keypoints.inference.predictor import Predictor
from keypoints.label.proposals import Proposer, face_size
from keypoints.markup import IBUG68, Markup
from keypoints.synthetic.drawing import draw_face
from tests.faces import FOUND, detections

BOX = np.array([10.0, 20.0, 50.0, 40.0])
MEAN = np.array([[-0.3, -0.2], [0.3, -0.2], [0.0, 0.3]], np.float32)
THREE = Markup("three", ("right eye", "left eye", "chin"), ((0, 1),), mean=MEAN)


class Sees:
    """A network of three points in a picture 101 pixels wide, and what it sees in its twin."""

    def __init__(self, markup: Markup = THREE, shift: float = 0.0):
        self.network, self.shift = SimpleNamespace(markup=markup), shift
        self.settled_in = []

    def estimate(self, image, boxes, rolls):
        points = np.array([[20, 30], [50, 30], [35, 60]], np.float32)
        if image[0, 0, 0]:  # flipped: x' = 100 - x, and the pair changes its order
            points = np.array([[50, 30 + self.shift], [80, 30], [65, 60]], np.float32)
            np.testing.assert_array_equal(boxes, [[40, 20, 50, 40]])  # 100 - 10 - 50
            np.testing.assert_array_equal(rolls, [-7])
        else:
            rolls = np.full(1, 7.0)
        return Estimate(points[None], np.full((1, 3), 0.6, np.float32))

    def settled(self, image, boxes, found):
        self.settled_in.append(boxes[0].tolist())
        return found


def doubt(predictor, *, twins):
    image = np.zeros((80, 101, 3), np.uint8)
    image[:, -1] = 255
    proposer = Proposer(predictor, predictor.network.markup, twins=twins)
    _, (proposal,) = proposer._estimated(image, BOX[None], np.full(1, 7.0))
    return proposal.doubt


def test_doubt_is_uncertainty_and_the_distance_to_the_twin_over_the_size_of_the_face():
    # The points span 30 x 30 pixels: the face has a size of 30. One of three is off by 3 pixels.
    assert doubt(Sees(shift=3), twins=False) == pytest.approx(0.6 / 30)
    assert doubt(Sees(shift=0), twins=True) == pytest.approx(0.6 / 30)
    assert doubt(Sees(shift=3), twins=True) == pytest.approx(0.6 / 30 + 1 / 30)
    unpaired = replace(THREE, pairs=None)
    assert doubt(Sees(unpaired, shift=3), twins=True) == pytest.approx(0.6 / 30)


def test_what_a_detector_finds_is_settled_and_a_box_drawn_by_hand_is_believed(monkeypatch):
    box = np.float32([BOX])
    detector = SimpleNamespace(detect=lambda image: detections(box, np.full(1, 7)))
    monkeypatch.setattr("keypoints.label.proposals.load_detector", lambda: detector)
    image, sees = np.zeros((80, 101, 3), np.uint8), Sees()
    image[:, -1] = 255
    proposer = Proposer(sees, THREE, twins=True)
    proposer.faces(image)
    assert sees.settled_in == [[10, 20, 50, 40], [40, 20, 50, 40]]  # the face and its twin
    proposer = Proposer(sees, THREE)
    assert len(proposer.face_in(image, BOX).points) == 3
    assert len(sees.settled_in) == 2


def test_a_real_network_hardly_disagrees_with_its_twin():
    image, _ = draw_face(FOUND[0])
    predictor = Predictor.load("pretrained-small")
    alone, twin = (Proposer(predictor, IBUG68, twins=t).faces(image)[0].doubt for t in (0, 1))
    assert 0.001 < twin - alone < 0.05


def test_points_that_the_model_lacks_are_laid_by_the_mean_face():
    mean = np.array([[-0.3, -0.2], [0.3, -0.2], [0.0, 0.1]], np.float32)
    own = Markup("own", ("right eye", "left eye", "nose"), mean=mean)
    found = Proposer(Sees(), own).face_in(np.zeros((80, 101, 3), np.uint8), BOX).points
    # Eyes 30 pixels apart, 0.6 in the mean: the nose is 0.3 * 50 pixels below their middle.
    np.testing.assert_allclose(found, [[20, 30], [50, 30], [35, 45]], atol=1e-4)


def test_a_model_that_knows_none_of_the_points_proposes_nothing():
    proposer = Proposer(Predictor.load("pretrained-small"), Markup("own", ("a", "b")))
    image, _ = draw_face(FOUND[0])
    assert proposer.faces(image) == []
    with pytest.raises(InputError, match=r"knows none of the points of own, .* one by one"):
        proposer.face_in(image, BOX)


def test_without_a_model_the_mean_face_is_laid_in_the_box():
    proposer, image = Proposer(None, THREE), np.zeros((80, 101, 3), np.uint8)
    assert proposer.faces(image) == []
    assert THREE.mean is not None
    # The longer side is 40; the middle of the box is (30, 35).
    found = proposer.face_in(image, np.array([20.0, 15, 20, 40])).points
    np.testing.assert_allclose(found, 40 * THREE.mean + [30, 35], atol=1e-4)


def test_the_size_of_a_face_is_that_of_its_known_points():
    points = np.array([[0, 0], [40, 0], [20, 90]], np.float32)
    assert face_size(THREE, points) == pytest.approx(60)  # the root of 40 x 90
    points[2] = np.nan
    # The mean of 0.6 x 0.5 is laid over the eyes, 40 pixels apart.
    assert face_size(THREE, points) == pytest.approx(40 * np.sqrt(0.5 / 0.6), rel=1e-5)
