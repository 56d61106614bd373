import numpy as np
import pytest

from keypoints.evaluation import masks
from keypoints.markup import IBUG68
from tests.faces import dotted_faces

POINTS = (IBUG68.mean * 80 + [70, 60]).astype(np.float32)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (120, 150, 3), dtype=np.uint8)


def test_a_mask_lies_over_mouth_and_nose_alone(image):
    for seed in range(5):
        before = image.copy()
        worn = masks.draw_mask(image, POINTS, seed=seed)
        assert worn.shape == image.shape and worn.dtype == np.uint8 and (image == before).all()
        changed = (worn != image).any(axis=-1)
        x, y = np.rint(POINTS).astype(int).T
        assert changed[y[48:], x[48:]].all() and changed[y[31:36], x[31:36]].all()
        assert not changed[y[17:27], x[17:27]].any() and not changed[y[36:48], x[36:48]].any()
        assert not changed[:, :25].any() and not changed[:20].any()


def test_masks_are_drawn_by_their_seed(image):
    assert (masks.draw_mask(image, POINTS, seed=3) == masks.draw_mask(image, POINTS, seed=3)).all()
    assert (masks.draw_mask(image, POINTS, seed=3) != masks.draw_mask(image, POINTS, seed=4)).any()


def test_every_face_gets_one_and_points_stay():
    records = dotted_faces(3)
    worn = masks.masked(records)
    np.testing.assert_array_equal(worn.points, records.points)
    for index in range(3):
        assert worn.image(index).shape == records.image(index).shape
        share = (worn.image(index) != records.image(index)).any(axis=-1).mean()
        assert 0.05 < share < 0.4
