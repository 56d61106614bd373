"""Records to tf.data: a training pipeline and an evaluation pipeline, two plain functions.

A picture is decoded once, when records are loaded, and sampled once, with
one matrix that also moves its points.
"""

from typing import Any

import numpy as np

from keypoints import geometry, landmarks
from keypoints.backend import tensorflow
from keypoints.config import Config, settled
from keypoints.data import augment
from keypoints.data.records import Records
from keypoints.errors import InputError

ALL = slice(None)


def view_matrices(
    records: Records,
    boxes: np.ndarray | None = None,
    rolls: np.ndarray | None = None,
    *,
    view: str,
    margin: float,
) -> np.ndarray:
    """Picture-to-crop matrices `(n, 2, 3)` of all records.

    `boxes` `(n, 4)`: left, top, width, height; those of the records unless given. `rolls` `(n,)`:
    degrees by which crops are turned, 0 unless given. The `frame` view does not look at boxes.
    """
    if view == "frame":
        return np.array([geometry.frame_matrix(w, h) for h, w in records.shapes])
    if boxes is None:
        boxes = records.boxes
    return geometry.crop_matrix(boxes, margin=margin, roll=0.0 if rolls is None else rolls)


def evaluation_pipeline(records: Records, matrices: np.ndarray, *, batch_size: int = 32) -> Any:
    """Crops `(b, 224, 224, 3)` uint8 of all records by `matrices` `(n, 2, 3)`.

    In order, each exactly once; the last batch holds what is left.
    """
    tf = tensorflow()

    def crops(indices: np.ndarray) -> np.ndarray:
        return np.stack([records.crop(i, matrices[i]) for i in indices])

    def batch(indices: Any) -> Any:
        images = tf.numpy_function(crops, [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(images, (None, geometry.CROP, geometry.CROP, 3))

    return (
        tf.data.Dataset.range(len(records))
        .batch(batch_size)
        .map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(2)
    )


def training_pipeline(
    records: Records,
    config: Config,
    *,
    epoch: int,
    skip: int = 0,
    rows: slice = ALL,
) -> Any:
    """One epoch of jittered batches: crops `(b, 224, 224, 3)` uint8, targets `(b, 136)` float32.

    Order and jitter are functions of (config.seed, epoch, example): the same call gives the same
    bits, however many workers there are. `skip` batches are left out at the start, to go on with
    an epoch that was stopped. `rows` are the rows of each batch that are made, for one of several
    hosts. The last partial batch is dropped, so that every step has one shape; the order changes,
    so no picture is always left out. `records.repeats` says how often a picture is shown, each time
    with a jitter of its own. Targets of missing points are NaN. Raises InputError for an epoch of
    fewer pictures than one batch.
    """
    tf = tensorflow()
    config = settled(config)
    if records.shown < config.batch_size:
        raise InputError(
            f"{records.name} has {records.shown} pictures an epoch, fewer than "
            f"batch_size={config.batch_size}"
        )
    rng = np.random.default_rng((config.seed, epoch, 1))
    order = rng.permutation(records.shown)
    # Systematic sampling: a face of repeats 2.5 is shown twice or three times.
    ends = np.cumsum(records.repeats)
    places = (np.arange(records.shown) + rng.random()) * (ends[-1] / records.shown)
    faces = np.searchsorted(ends[:-1], places, side="right")
    draws = augment.draw(records.shown, seed=config.seed, epoch=epoch)
    jitter, mirrored = augment.jitter_matrices(draws, config)
    matrices = geometry.compose(
        jitter, view_matrices(records, view=config.view, margin=config.margin)[faces]
    )
    targets = geometry.apply(matrices, records.points[faces])
    targets[mirrored] = targets[mirrored][:, landmarks.MIRROR]

    def crops(indices: np.ndarray) -> np.ndarray:
        sampled = (records.crop(faces[i], matrices[i]) for i in indices)
        return np.stack(
            [
                augment.jitter_pixels(crop, draws[i], config, targets[i])
                for crop, i in zip(sampled, indices)
            ]
        )

    count = len(range(config.batch_size)[rows])
    flat_targets = tf.constant(targets.reshape(records.shown, -1))

    def batch(indices: Any) -> tuple[Any, Any]:
        indices = indices[rows]
        images = tf.numpy_function(crops, [indices], tf.uint8, stateful=False)
        images = tf.ensure_shape(images, (count, geometry.CROP, geometry.CROP, 3))
        return images, tf.gather(flat_targets, indices)

    return (
        tf.data.Dataset.from_tensor_slices(order)
        .batch(config.batch_size, drop_remainder=True)
        .skip(skip)
        .map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(2)  # one batch in use, two under way: more would only hold memory
    )
