"""Training batches made on the accelerator by JAX, from faces that lie in its memory.

The draws, matrices and targets are those of `pipeline.training_pipeline`; only the pixels are
sampled and augmented elsewhere, so they differ by rounding. It needs neither TensorFlow nor the
cores of the host, which cannot feed a fast GPU.
"""

from collections.abc import Callable, Iterator
from functools import cache, cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np

from keypoints import geometry
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.data import augment
from keypoints.data.augment import BLUR_SIGMA, COLUMN, between
from keypoints.data.pipeline import ALL, WINDOW_SIDE, Epoch, windows
from keypoints.data.records import Records
from keypoints.errors import InputError
from keypoints.geometry import CROP

TAPS = 17  # of the longest blur, as in OpenCV for the largest sigma
Augment = Callable[..., jax.Array]


class DevicePipeline:
    """The training faces of `records` in the memory of the accelerator.

    Each face takes `WINDOW_SIDE * config.resolution` pixels a side: 150 kB at a resolution of 112.
    Raises InputError for JPEG artefacts, which the accelerator cannot make.
    """

    def __init__(self, records: Records, config: Config):
        if any(stage.jpeg for stage in config.stage_configs()):
            raise InputError("jpeg: pipeline=device has no JPEG compression; set jpeg=0")
        self.records = records
        self.side = round(WINDOW_SIDE * max(stage.resolution for stage in config.stage_configs()))
        self.to_window = windows(records, self.side, Crop.of(config))

    @cached_property
    def windows(self) -> jax.Array:
        """The faces `(n, side, side, 3)`, uint8 RGB."""
        crops = [
            self.records.crop(i, matrix, size=self.side) for i, matrix in enumerate(self.to_window)
        ]
        return jnp.asarray(np.stack(crops))

    def batches(
        self, config: Config, *, epoch: int, skip: int = 0, rows: slice = ALL
    ) -> Iterator[tuple[jax.Array, np.ndarray]]:
        """As `pipeline.training_pipeline`, with crops `(b, 224, 224, 3)` float32 of the device.

        The next batch is under way while one is used.
        """
        plan = Epoch(self.records, config, epoch)
        size = plan.batch_size
        matrices = geometry.compose(plan.matrices, geometry.invert(self.to_window[plan.faces]))
        augment_batch = _augmentation(_settings(config))
        made: list[tuple[jax.Array, np.ndarray]] = []
        for first in range(skip * size, len(plan.order) - size + 1, size):
            indices = plan.order[first : first + size][rows]
            targets = plan.targets[indices]
            crops = augment_batch(
                self.windows,
                plan.faces[indices],
                geometry.invert(matrices[indices]).astype(np.float32),
                plan.draws[indices].astype(np.float32),
                augment.noise_starts(plan.draws[indices]),
                plan.worn_points(indices),
            )
            made.append((crops, targets.reshape(len(indices), -1)))
            if len(made) == 2:
                yield made.pop(0)
        yield from made


def _settings(config: Config) -> tuple[tuple[str, float], ...]:
    names = (
        "brightness", "contrast", "saturation", "hue", "grayscale", "blur", "noise", "occlusion",
        "mask",
    )  # fmt: skip
    return tuple((name, getattr(config, name)) for name in names)


@cache
def _augmentation(settings: tuple[tuple[str, float], ...]) -> Augment:
    """The compiled augmentation of a batch."""
    one = partial(_augmented_crop, dict(settings), jnp.asarray(augment.NOISE))
    return jax.jit(jax.vmap(one, in_axes=(None, 0, 0, 0, 0, 0)))


def _augmented_crop(
    limits: dict[str, float],
    noise: jax.Array,
    windows: jax.Array,
    face: jax.Array,
    to_window: jax.Array,
    draws: jax.Array,
    noise_start: jax.Array,
    points: jax.Array,
) -> jax.Array:
    """One crop `(224, 224, 3)` float32 0..255; the steps are those of `augment.augment_pixels`."""
    u = {name: draws[column] for name, column in COLUMN.items()}
    crop = jnp.round(_sample(windows, face, to_window))
    crop = _whole(_colours(crop, u, limits))
    worn = (u["mask"] < limits["mask"]) & jnp.isfinite(points).all()
    crop = jnp.where(worn, _add_mask(crop, points, u), crop)
    crop = jnp.where(u["occlusion"] < limits["occlusion"], _occlude(crop, u), crop)
    crop = jnp.where(u["blur"] < limits["blur"], _whole(_blur(crop, u)), crop)
    grain = jax.lax.dynamic_slice(noise, (noise_start,), (CROP * CROP * 3,))
    return _whole(crop + limits["noise"] * u["noise"] * grain.reshape(crop.shape))


def _whole(crop: jax.Array) -> jax.Array:
    return jnp.clip(jnp.round(crop), 0, 255)


def _grid() -> tuple[jax.Array, jax.Array]:
    """x and y of the pixels of a crop, `(224, 224)` each."""
    steps = jnp.arange(CROP, dtype=jnp.float32)
    x, y = jnp.meshgrid(steps, steps)
    return x, y


def _sample(windows: jax.Array, face: jax.Array, matrix: jax.Array) -> jax.Array:
    """Bilinear samples of `windows[face]` at `matrix`, from the crop to the window; black outside.

    `geometry.crop` is the same on the host.
    """
    x, y = _grid()
    x, y = (row[0] * x + row[1] * y + row[2] for row in matrix)
    left, top = jnp.floor(x), jnp.floor(y)
    right_share, bottom_share = x - left, y - top
    side, total = windows.shape[1], jnp.zeros((CROP, CROP, 3))
    for dy, share_y in ((0, 1 - bottom_share), (1, bottom_share)):
        for dx, share_x in ((0, 1 - right_share), (1, right_share)):
            column, row = (left + dx).astype(jnp.int32), (top + dy).astype(jnp.int32)
            inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
            values = windows[face, row.clip(0, side - 1), column.clip(0, side - 1)]
            weight = jnp.where(inside, share_x * share_y, 0.0)
            total = total + values.astype(jnp.float32) * weight[..., None]
    return total


def _colours(crop: jax.Array, u: dict[str, jax.Array], limits: dict[str, float]) -> jax.Array:
    """`augment.colour_matrix` applied."""
    with jax.default_matmul_precision("highest"):
        matrix = augment.colour_matrix(jnp, crop.mean(axis=(0, 1)), u, limits)
        return crop @ matrix[:, :3].T + matrix[:, 3]


def _occlude(crop: jax.Array, u: dict[str, jax.Array]) -> jax.Array:
    """`augment.occlude`."""
    x, y = _grid()
    left, top, width, height, colour, shift, turn = augment.Block.draw(jnp, u)
    block = (x >= left) & (x < left + width) & (y >= top) & (y < top + height)
    plain = jnp.where(block[..., None], colour, crop)
    dx, dy = x - left - jnp.floor(width / 2), y - top - jnp.floor(height / 2)
    along, across = dx * jnp.cos(turn) + dy * jnp.sin(turn), dy * jnp.cos(turn) - dx * jnp.sin(turn)
    ellipse = (along / jnp.floor(width / 2)) ** 2 + (across / jnp.floor(height / 2)) ** 2 <= 1
    rows, columns = ((jnp.arange(CROP) - way) % CROP for way in shift)
    other = jnp.where(ellipse[..., None], crop[rows][:, columns], crop)
    return jnp.where(u["block_kind"] < 0.5, plain, other)


def _add_mask(crop: jax.Array, points: jax.Array, u: dict[str, jax.Array]) -> jax.Array:
    """`augment.add_mask`, with hard edges."""
    outline = augment.mask_outline(jnp, points, u)
    colour, cloth = augment.mask_cloth(jnp, u)
    covered = jnp.floor(jnp.where(_inside(outline)[..., None], cloth, crop))
    straps = _near(points[0], outline[0]) | _near(points[16], outline[16])
    strapped = (u["mask_red"] < 0.5) & straps
    return jnp.where(strapped[..., None], _whole(colour), covered)


def _inside(outline: jax.Array) -> jax.Array:
    """Which pixels `(224, 224)` lie in the polygon `(k, 2)`: a ray to the right crosses it."""
    x, y = _grid()
    crossings = jnp.zeros((CROP, CROP), bool)
    for start, end in zip(outline, jnp.roll(outline, -1, axis=0)):
        spans = (start[1] > y) != (end[1] > y)
        height = jnp.where(start[1] == end[1], 1.0, end[1] - start[1])
        crossings ^= spans & (x < start[0] + (end[0] - start[0]) * (y - start[1]) / height)
    return crossings


def _near(start: jax.Array, end: jax.Array) -> jax.Array:
    """Which pixels `(224, 224)` lie within a pixel of the line from `start` to `end`."""
    x, y = _grid()
    along = end - start
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / jnp.maximum(
        along @ along, 1e-6
    )
    share = share.clip(0, 1)
    away = (x - start[0] - share * along[0]) ** 2 + (y - start[1] - share * along[1]) ** 2
    return away <= 1.0


def _blur(crop: jax.Array, u: dict[str, jax.Array]) -> jax.Array:
    """A Gaussian blur with OpenCV's kernel size and borders."""
    sigma = between(BLUR_SIGMA, u["blur_sigma"])
    away = jnp.arange(TAPS) - TAPS // 2
    radius = jnp.round(6 * sigma + 1).astype(jnp.int32) // 2
    weights = jnp.where(jnp.abs(away) <= radius, jnp.exp(-0.5 * (away / sigma) ** 2), 0.0)
    weights = weights / weights.sum()
    reach = TAPS // 2
    padded = jnp.pad(crop, [(reach, reach), (reach, reach), (0, 0)], mode="reflect")
    none = jnp.zeros(())
    rows = sum((weights[tap] * padded[tap : tap + CROP] for tap in range(TAPS)), none)
    return sum((weights[tap] * rows[:, tap : tap + CROP] for tap in range(TAPS)), none)
