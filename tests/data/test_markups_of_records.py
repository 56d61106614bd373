import dataclasses

import numpy as np
import pytest

from keypoints import geometry
from keypoints.config import Config
from keypoints.data.pipeline import Epoch
from keypoints.data.records import join
from keypoints.errors import InputError
from keypoints.markup import IBUG68, bundled
from tests.faces import dotted_faces

FIVE = bundled("five")


def test_records_carry_their_markup_and_its_face_boxes():
    records = dotted_faces(4, markup=FIVE)
    assert records.points.shape == (4, 5, 2) and records.markup == FIVE
    tight = geometry.landmark_box(records.points)
    np.testing.assert_allclose(records.boxes[:, 2] / tight[:, 2], FIVE.face_box[2], rtol=1e-5)
    holes = dataclasses.replace(records, points=records.points.copy())
    holes.points[2, 4] = np.nan
    assert np.isfinite(holes.completed_points()).all()


def test_sets_of_different_markups_join_at_the_points_that_they_share():
    wflw = dotted_faces(3, name="a/train").converted(bundled("wflw98"))
    wflw.covered[:, 60] = True  # 36 of the 68
    ibug = dotted_faces(2, seed=1, name="b/train")
    both = join([ibug, wflw], [1.0, 0.5])
    assert both.markup == IBUG68 and both.points.shape == (5, 68, 2)
    np.testing.assert_array_equal(both.points[2:, 36:], dotted_faces(3).points[:, 36:])
    assert np.isfinite(both.points).all()  # WFLW has all of the 68
    assert both.covered[2:, 36].all() and both.covered.sum() == 3
    back = join([wflw, ibug], [1.0, 1.0])
    assert np.isnan(back.points[3:, [1, 62, 96]]).all() and np.isfinite(back.points[3:, 60]).all()
    few = join([ibug, dotted_faces(2, name="c/train", markup=FIVE)], [1.0, 1.0])
    known = np.isfinite(few.points[2:]).all(axis=(0, 2))
    assert np.flatnonzero(known).tolist() == [30, 48, 54]  # nose tip and corners of the mouth
    mine = dataclasses.replace(FIVE, name="mine", maps={})
    with pytest.raises(InputError, match="mine and ibug68 share no names of points"):
        join([ibug, dotted_faces(2, name="d/train", markup=mine)], [1.0, 1.0])


def test_a_flip_swaps_the_pairs_and_without_pairs_there_is_none():
    config = Config(flip=1.0, rotation=0, scale=0, translation=0, batch_size=4)
    records = dotted_faces(4, markup=FIVE)
    plan = Epoch(records, config, 0)
    plain = Epoch(records, dataclasses.replace(config, flip=0.0), 0)
    mirrored = plain.targets * [-1, 1] + [223, 0]
    np.testing.assert_allclose(plan.targets, mirrored[:, FIVE.mirror], atol=1e-3)
    lone = dataclasses.replace(records, markup=dataclasses.replace(FIVE, pairs=None))
    np.testing.assert_array_equal(Epoch(lone, config, 0).targets, plain.targets)


def test_masks_are_drawn_only_where_the_points_of_ibug_are(monkeypatch):
    from keypoints.data import augment
    from keypoints.data.pipeline import training_pipeline

    drawn = []
    monkeypatch.setattr(augment, "add_mask", lambda crop, points, u: drawn.append(points) or crop)
    config = Config(mask=1.0, flip=0.0, batch_size=4, occlusion=0.0)
    for records in (dotted_faces(4), dotted_faces(4).converted(bundled("wflw98"))):
        drawn.clear()
        images, _ = next(training_pipeline(records, config, epoch=0).as_numpy_iterator())
        whole = np.isfinite(records.points).all()
        assert images.shape == (4, 224, 224, 3) and len(drawn) == 4
        assert all(points.shape == (68, 2) for points in drawn) and (whole or len(drawn) == 4)
    drawn.clear()
    five = dotted_faces(4, markup=FIVE)
    next(training_pipeline(five, config, epoch=0).as_numpy_iterator())
    assert not drawn
