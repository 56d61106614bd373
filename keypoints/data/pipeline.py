"""Crops of records: a training pipeline of tf.data, and an evaluation pipeline of threads.

A picture is decoded once, when records are loaded, and sampled once, with
one matrix that also moves its points.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np

from keypoints import geometry
from keypoints.config import Config, replace, resolved
from keypoints.crop import Crop
from keypoints.data import augment
from keypoints.data.records import Records
from keypoints.errors import InputError
from keypoints.markup import IBUG68
from keypoints.system.backend import tensorflow

ALL = slice(None)
# Side of the part of a picture that augmented crops show, in sides of the plain crop. A crop that
# is turned by 30 degrees, shows 1.2 times as much and is shifted by a tenth reaches 1.9.
WINDOW_SIDE = 2.0


def windows(records: Records, side: int, crop: Crop) -> np.ndarray:
    """Matrices `(n, 2, 3)` from pictures to square windows of `side` pixels around the crops.

    A window has the centre of the plain crop and `WINDOW_SIDE` times its side.
    """
    scale, middle = side / (WINDOW_SIDE * crop.size), (WINDOW_SIDE - 1) / 2 * crop.size
    moved = np.array([[1, 0, middle], [0, 1, middle]], np.float64)
    shrunk = geometry.invert(geometry.enlargement(1 / scale))
    plain = crop.matrices(records.boxes, shapes=records.shapes)
    return geometry.compose(geometry.compose(shrunk, moved), plain)


def evaluation_pipeline(
    records: Records, matrices: np.ndarray, *, size: int = geometry.CROP, batch_size: int = 32
) -> Iterator[np.ndarray]:
    """Crops `(b, size, size, 3)` uint8 of all records by `matrices` `(n, 2, 3)`.

    In order, each exactly once; the last batch holds what is left. Two batches are made ahead.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def start(first: int) -> list[Future[np.ndarray]]:
            indices = range(first, min(first + batch_size, len(records)))
            return [pool.submit(records.crop, i, matrices[i], size=size) for i in indices]

        starts = iter(range(0, len(records), batch_size))
        under_way = deque(map(start, islice(starts, 2)))
        while under_way:
            batch = np.stack([crop.result() for crop in under_way.popleft()])
            under_way.extend(map(start, islice(starts, 1)))
            yield batch


def epoch_steps(records: Records, config: Config) -> int:
    """Training steps in an epoch of `config`; 0 if it has fewer pictures than a batch."""
    return max(records.epoch_size // resolved(config).batch_size, config.epoch_steps)


class Epoch:
    """The plan of one epoch: which faces are shown, in which order, how each is augmented.

    A function of (config.seed, epoch) and the records alone. Where these have fewer pictures than
    `config.epoch_steps` batches, each is shown several times, with an augmentation of its own.
    Nothing is flipped where the markup has no mirror pairs. Raises InputError for an epoch without
    a step.
    """

    def __init__(self, records: Records, config: Config, epoch: int):
        self.batch_size = resolved(config).batch_size
        steps = epoch_steps(records, config)
        if not steps:
            raise InputError(
                f"{records.name} has {records.epoch_size} pictures an epoch, fewer than "
                f"batch_size={self.batch_size}"
            )
        count = max(records.epoch_size, steps * self.batch_size)
        rng = np.random.default_rng((config.seed, epoch, 1))
        self.order = rng.permutation(count)
        # Systematic sampling: a face of repeats 2.5 is shown twice or three times.
        ends = np.cumsum(records.repeats)
        places = (np.arange(count) + rng.random()) * (ends[-1] / count)
        self.faces = np.searchsorted(ends[:-1], places, side="right")  # (count,), of the records
        self.draws = augment.draw(count, seed=config.seed, epoch=epoch)
        mirror = records.markup.mirror
        if mirror is None:
            config = replace(config, {"flip": 0.0})
        augmentation, flips = augment.augmentation_matrices(self.draws, config)
        plain = Crop.of(config).matrices(records.boxes, shapes=records.shapes)
        # (count, 2, 3), from the picture to the crop.
        self.matrices = geometry.compose(augmentation, plain[self.faces])
        self.targets = geometry.apply(self.matrices, records.points[self.faces])  # (count, k, 2)
        if mirror is not None:
            self.targets[flips] = self.targets[flips][:, mirror]
        self._order = records.markup.order_of(IBUG68)

    def worn_points(self, indices: np.ndarray) -> np.ndarray:
        """The points of iBUG `(m, 68, 2)`, which say where a drawn mask lies; NaN: not known."""
        if self._order is None:
            return np.full((len(indices), IBUG68.count, 2), np.nan, np.float32)
        return self.targets[indices][:, self._order]


def training_pipeline(
    records: Records,
    config: Config,
    *,
    epoch: int,
    skip: int = 0,
    rows: slice = ALL,
) -> Any:
    """One epoch of augmented batches: crops `(b, 224, 224, 3)` uint8, targets `(b, 2 k)` float32.

    Order and augmentation are functions of (config.seed, epoch, example): the same call gives the
    same bits, however many workers there are. `skip` batches are left out at the start, to go on
    with an epoch that was stopped. `rows` are the rows of each batch that are made, for one of
    several hosts. The last partial batch is dropped, so that every step has one shape; the order
    changes, so no picture is always left out. `records.repeats` says how often a picture is shown,
    each time with an augmentation of its own. Targets of missing points are NaN. Raises InputError
    for an epoch of fewer pictures than one batch.
    """
    tf = tensorflow()
    plan = Epoch(records, config, epoch)

    def crops(indices: np.ndarray) -> np.ndarray:
        sampled = (records.crop(plan.faces[i], plan.matrices[i]) for i in indices)
        return np.stack(
            [
                augment.augment_pixels(crop, plan.draws[i], config, worn)
                for crop, i, worn in zip(sampled, indices, plan.worn_points(indices))
            ]
        )

    count = len(range(plan.batch_size)[rows])
    flat_targets = tf.constant(plan.targets.reshape(len(plan.order), -1))

    def batch(indices: Any) -> tuple[Any, Any]:
        indices = indices[rows]
        images = tf.numpy_function(crops, [indices], tf.uint8, stateful=False)
        images = tf.ensure_shape(images, (count, geometry.CROP, geometry.CROP, 3))
        return images, tf.gather(flat_targets, indices)

    return (
        tf.data.Dataset.from_tensor_slices(plan.order)
        .batch(plan.batch_size, drop_remainder=True)
        .skip(skip)
        .map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(2)  # one batch in use, two under way: more would only hold memory
    )
