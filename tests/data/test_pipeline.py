import dataclasses

import numpy as np
import pytest

from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.data.pipeline import Epoch, epoch_steps, training_pipeline
from keypoints.errors import InputError
from keypoints.geometry import apply
from keypoints.markup import IBUG68
from tests.faces import dotted_faces

PLAIN = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0, "grayscale": 0, "blur": 0,
         "noise": 0, "occlusion": 0}  # fmt: skip


@pytest.fixture(scope="module")
def records():
    return dotted_faces(11)


def batches(records, config, **options):
    return list(training_pipeline(records, config, **options).as_numpy_iterator())


def dot_contrast(images, targets):
    """Mean brightness under the targets that lie inside the crop, minus that of the crops."""
    values = []
    for image, points in zip(images, targets.reshape(-1, 68, 2)):
        inside = points[((points > 2) & (points < 221)).all(axis=1)]
        x, y = np.rint(inside).astype(int).T
        values.append(image[y, x].mean() - image.mean())
    return np.array(values)


@pytest.mark.parametrize("crop", ["face", "frame"])
def test_dots_stay_under_their_points_after_every_augmentation(records, crop):
    config = Config(crop=crop, rotation=180.0, scale=0.3, translation=0.1, batch_size=5, **PLAIN)
    for epoch in range(3):
        for images, targets in batches(records, config, epoch=epoch):
            assert images.dtype == np.uint8 and images.shape == (5, 224, 224, 3)
            assert targets.dtype == np.float32 and targets.shape == (5, 136)
            on, off = dot_contrast(images, targets), dot_contrast(images, targets + 9)
            assert on.min() > 60 and (on > off + 20).all()


def test_a_mirrored_face_has_its_right_eye_on_the_other_points(records):
    config = Config(flip=1.0, rotation=0, scale=0, translation=0, batch_size=11, **PLAIN)
    ((_, targets),) = batches(records, config, epoch=0)
    points = targets.reshape(-1, 68, 2)
    # In the crop the right eye is still on the viewer's left: names moved with the sides.
    assert (points[:, 36, 0] < points[:, 45, 0]).all()
    plain = apply(Crop.of(config).matrices(records.boxes, shapes=records.shapes), records.points)
    mirrored = (plain * [-1, 1] + [223, 0])[:, IBUG68.mirror]
    found = points[np.lexsort(points[:, 8].T)]
    np.testing.assert_allclose(found, mirrored[np.lexsort(mirrored[:, 8].T)], atol=1e-3)


def test_same_seed_same_bits_other_epoch_other_bits(records):
    config = Config(batch_size=4, jpeg=0.5)
    first, again = (batches(records, config, epoch=1) for _ in range(2))
    for (images, targets), (images2, targets2) in zip(first, again):
        assert (images == images2).all() and (targets == targets2).all()
    other = batches(records, config, epoch=2)
    assert (first[0][0] != other[0][0]).any() and (first[0][1] != other[0][1]).any()


def test_bits_do_not_depend_on_parallelism(records):
    import tensorflow as tf

    config = Config(batch_size=4)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    alone = training_pipeline(records, config, epoch=0).with_options(options)
    for (images, _), (images2, _) in zip(batches(records, config, epoch=0), alone):
        assert (images == images2.numpy()).all()


def test_skip_goes_on_in_the_same_epoch(records):
    config = Config(batch_size=3)
    whole, rest = batches(records, config, epoch=5), batches(records, config, epoch=5, skip=2)
    assert len(whole) == 3 and len(rest) == 1
    assert (whole[2][0] == rest[0][0]).all()


def test_every_picture_once_an_epoch_but_for_the_partial_batch(records):
    config = Config(batch_size=11, rotation=0, scale=0, translation=0, flip=0, **PLAIN)
    ((_, targets),) = batches(records, config, epoch=0)
    expected = apply(
        Crop.of(config).matrices(records.boxes, shapes=records.shapes), records.points
    ).reshape(11, -1)
    np.testing.assert_allclose(np.sort(targets, 0), np.sort(expected, 0), atol=1e-3)


def test_a_share_says_how_often_a_face_is_shown(records):
    """3 of 11 faces 2.5 times, 8 of them every other epoch: 11.5, so 11 an epoch."""
    repeats = np.array([2.5] * 3 + [0.5] * 8)
    given = dataclasses.replace(records, repeats=repeats)
    config = Config(batch_size=11, rotation=0, scale=0, translation=0, flip=0, **PLAIN)
    plain = apply(Crop.of(config).matrices(records.boxes, shapes=records.shapes), records.points)
    counts = np.zeros(11)
    for epoch in range(40):
        ((_, targets),) = batches(given, config, epoch=epoch)
        apart = np.abs(targets[:, None] - plain.reshape(1, 11, 136)).max(axis=2)
        assert (apart.min(axis=1) < 1e-3).all()
        shown = np.bincount(apart.argmin(axis=1), minlength=11)
        assert set(shown[:3]) <= {2, 3} and set(shown[3:]) <= {0, 1}
        counts += shown
    np.testing.assert_allclose(counts / 40, repeats, atol=0.25)


def test_few_faces_are_shown_several_times_an_epoch(records):
    """Eleven faces in seven batches of four: each is shown two or three times, all differently."""
    few = Config(batch_size=4, epoch_steps=7, seed=3)
    plan = Epoch(records, few, 0)
    assert sorted({*np.bincount(plan.faces)}) == [2, 3] and len(plan.order) == 28
    assert len(np.unique(plan.draws, axis=0)) == 28
    batches = list(training_pipeline(records, few, epoch=0).as_numpy_iterator())
    assert len(batches) == 7 == epoch_steps(records, few)
    assert epoch_steps(records, Config(batch_size=1, epoch_steps=7)) == 11  # each is shown once
    assert epoch_steps(records, Config(batch_size=16, epoch_steps=7)) == 7


def test_faces_of_one_picture_have_each_an_augmentation_of_its_own(records):
    given = dataclasses.replace(records, repeats=np.array([11.0] + [0.0] * 10))
    ((_, targets),) = batches(given, Config(batch_size=11), epoch=0)
    assert len(np.unique(targets[:, 0])) == 11


def test_missing_points_stay_missing_and_move_to_the_other_side_in_the_mirror(records):
    points = records.points.copy()
    points[:, 36] = np.nan
    given = dataclasses.replace(records, points=points)
    for flip, index in ((0.0, 36), (1.0, 45)):
        config = Config(batch_size=11, flip=flip, **PLAIN)
        ((_, targets),) = batches(given, config, epoch=0)
        missing = np.isnan(targets.reshape(-1, 68, 2)).all(axis=2)
        assert (np.flatnonzero(missing[0]) == [index]).all() and missing.sum() == 11


def test_fewer_pictures_than_a_batch(records):
    with pytest.raises(
        InputError, match=r"dots/train has 11 pictures an epoch, fewer than batch_size=12"
    ):
        training_pipeline(records, Config(batch_size=12), epoch=0)
