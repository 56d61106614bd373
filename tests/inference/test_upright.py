import numpy as np
import pytest

from keypoints import geometry
from keypoints.crop import Crop
from keypoints.inference import upright
from keypoints.markup import IBUG68

FACE = IBUG68.mean * 200
# 50 degrees clockwise: the chin goes to the left, the brow to the right.
TILTED = FACE @ np.array([[0.642788, 0.766044], [-0.766044, 0.642788]]) + [300, 200]


def test_rolls_by_hand():
    eyes, mouth = np.zeros((6, 2)), np.array(
        [[0, 9], [-9, 0], [9, 0], [0, -9], [-5, 5], [-1, 9.0]]
    )  # fmt: skip
    found = upright.crop_rolls(eyes, mouth)
    # 0, 90, -90, 180, 45 and 6 degrees, of which 15 are left to the network.
    np.testing.assert_allclose(np.abs(found), [0, 75, 75, 165, 30, 0], atol=1e-6)
    np.testing.assert_array_equal(np.sign(found[:3]), [0, 1, -1])


def test_the_box_of_an_upright_face_is_its_tight_one():
    boxes, rolls = upright.upright_boxes(np.stack([FACE + 90, FACE - [7, 3]]))
    np.testing.assert_allclose(boxes[0], geometry.landmark_box(FACE + 90), atol=1e-3)
    assert rolls.tolist() == [0, 0]


def test_the_crop_of_a_tilted_face_shows_it_at_15_degrees_and_in_the_middle():
    boxes, rolls = upright.upright_boxes(TILTED[None])
    assert rolls[0] == pytest.approx(35, abs=0.1)  # the mean face's mouth is below its eyes
    matrix = Crop(1.4).matrices(boxes, rolls)
    shown = geometry.apply(matrix, TILTED[None])
    left, top, width, height = geometry.landmark_box(shown)[0]
    assert left + width / 2 == pytest.approx(111.5, abs=0.01)
    assert top + height / 2 == pytest.approx(111.5, abs=0.01)
    assert max(width, height) == pytest.approx(160, abs=0.01)  # 224 / 1.4
    across = shown[0, 45] - shown[0, 36]
    assert np.degrees(np.arctan2(across[1], across[0])) == pytest.approx(15, abs=0.1)
    assert len(upright.upright_boxes(TILTED[None][:0])[0]) == 0
