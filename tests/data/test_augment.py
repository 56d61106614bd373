import numpy as np
import pytest

from keypoints import geometry
from keypoints.config import Config
from keypoints.data import augment
from keypoints.data.augment import COLUMN
from keypoints.markup import IBUG68

STILL = {
    "rotation": 0, "scale": 0, "translation": 0, "flip": 0, "brightness": 0, "contrast": 0,
    "saturation": 0, "hue": 0, "grayscale": 0, "blur": 0, "noise": 0, "jpeg": 0, "occlusion": 0,
    "mask": 0,
}  # fmt: skip

FACE = (IBUG68.mean * 160 + 111.5).astype(np.float32)


def row(**values: float) -> np.ndarray:
    """One row of draws: 0.5, the middle of every range, but for the named columns."""
    draws = np.full((1, len(augment.DRAWS)), 0.5)
    for name, value in values.items():
        draws[0, COLUMN[name]] = value
    return draws


@pytest.fixture
def crop():
    return np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)


def test_draws_depend_on_seed_and_epoch_and_nothing_else():
    table = augment.draw(50, seed=3, epoch=2)
    assert (table == augment.draw(50, seed=3, epoch=2)).all()
    assert (table[:20] == augment.draw(20, seed=3, epoch=2)).all()
    assert (table != augment.draw(50, seed=3, epoch=1)).all()
    assert (table != augment.draw(50, seed=2, epoch=2)).all()
    assert table.min() >= 0 and table.max() < 1


@pytest.mark.parametrize(
    ("fields", "draws", "point", "moved"),
    [
        # Coordinates from the centre (111.5, 111.5); y points down, so +90 degrees takes x to y.
        ({"rotation": 180.0}, {"rotation": 0.75}, (10, 3), (-3, 10)),
        ({"scale": 0.5}, {"scale": 1.0}, (10, 4), (15, 6)),
        ({"scale": 0.5}, {"scale": 0.0}, (15, 6), (10, 4)),
        ({"translation": 0.25}, {"translation_x": 1.0, "translation_y": 0.25}, (1, 2), (57, -26)),
        ({"flip": 1.0}, {}, (10, 4), (-10, 4)),
        ({"flip": 1.0, "rotation": 180.0}, {"rotation": 0.75}, (10, 3), (-3, -10)),
    ],
)
def test_augmentation_by_hand(fields, draws, point, moved):
    config = Config(**{**STILL, **fields})
    matrices, flips = augment.augmentation_matrices(row(**draws), config)
    found = geometry.apply(matrices, np.array([[point]]) + 111.5)[0, 0] - 111.5
    np.testing.assert_allclose(found, moved, atol=1e-4)
    assert flips[0] == (config.flip == 1)


def test_without_strength_nothing_changes(crop):
    config = Config(**STILL)
    matrices, flips = augment.augmentation_matrices(augment.draw(9, seed=0, epoch=0), config)
    np.testing.assert_allclose(matrices, np.tile([[1, 0, 0], [0, 1, 0]], (9, 1, 1)), atol=1e-12)
    assert not flips.any()
    same = augment.augment_pixels(crop, augment.draw(1, seed=0, epoch=0)[0], config, FACE)
    np.testing.assert_array_equal(same, crop)


def test_brightness_adds(crop):
    crop = crop // 4 + 60
    config = Config(**{**STILL, "brightness": 0.2})
    brighter = augment.augment_pixels(crop, row(brightness=0.75)[0], config, FACE)
    np.testing.assert_allclose(brighter.astype(int) - crop, 0.1 * 255, atol=0.51)


def test_contrast_keeps_the_mean_and_scales_the_spread(crop):
    crop = crop // 4 + 60
    config = Config(**{**STILL, "contrast": 0.5})
    harder = augment.augment_pixels(crop, row(contrast=1.0)[0], config, FACE).astype(float)
    np.testing.assert_allclose(harder.mean((0, 1)), crop.mean((0, 1)), atol=0.2)
    np.testing.assert_allclose(harder.std() / crop.std(), 1.5, atol=0.02)


def test_grayscale_is_luma(crop):
    gray = augment.augment_pixels(crop, row()[0], Config(**{**STILL, "grayscale": 1.0}), FACE)
    luma = crop @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(gray, np.repeat(luma[..., None], 3, -1), atol=1)


def test_hue_turns_colours_and_keeps_luma(crop):
    crop = crop // 4 + 90
    turned = augment.augment_pixels(crop, row(hue=1.0)[0], Config(**{**STILL, "hue": 0.5}), FACE)
    luma = [0.299, 0.587, 0.114]
    np.testing.assert_allclose(turned @ luma, crop @ luma, atol=1.5)
    # Half a turn negates the chroma axes I and Q.
    chroma = augment.RGB_TO_YIQ[1:].T
    np.testing.assert_allclose(turned @ chroma, -(crop @ chroma), atol=2)


def test_noise_has_its_sigma(crop):
    flat = np.full_like(crop, 128)
    noisy = augment.augment_pixels(
        flat, row(noise=0.5)[0], Config(**{**STILL, "noise": 20.0}), FACE
    )
    assert abs(noisy.std() - 10) < 0.2 and abs(noisy.mean() - 128) < 0.2


def test_blur_smooths_jpeg_and_block_change_what_they_should(crop):
    blurred = augment.augment_pixels(crop, row()[0], Config(**{**STILL, "blur": 1.0}), FACE)
    assert blurred.std() < 0.4 * crop.std()
    packed = augment.augment_pixels(crop, row()[0], Config(**{**STILL, "jpeg": 1.0}), FACE)
    assert 1 < np.abs(packed.astype(int) - crop).mean() < 60
    before = crop.copy()
    draws = row(block_x=0.0, block_y=1.0, block_red=0.999, block_kind=0.2)[0]
    blocked = augment.augment_pixels(crop, draws, Config(**{**STILL, "occlusion": 1.0}), FACE)
    assert (crop == before).all()  # the input is not written to
    side = int(224 * 0.25)
    assert (blocked[224 - side :, :side] == (254, 127, 127)).all()
    blocked[224 - side :, :side] = crop[224 - side :, :side]
    np.testing.assert_array_equal(blocked, crop)


def test_a_mask_covers_mouth_and_nose_and_leaves_eyes_and_background(crop):
    worn = augment.augment_pixels(
        crop, row(mask_red=0.9)[0], Config(**{**STILL, "mask": 1.0}), FACE
    )
    changed = (worn != crop).any(axis=-1)

    def share(points):
        x, y = np.rint(points).astype(int).T
        return changed[y, x].mean()

    assert share(FACE[48:68]) == 1 and share(FACE[31:36]) == 1 and share(FACE[5:12]) > 0.5
    assert share(FACE[17:27]) == 0 and share(FACE[36:48]) == 0
    assert not changed[:20].any() and not changed[:, :20].any()
    assert worn[changed].std(axis=0).max() < 0.5 * crop[changed].std(axis=0).max()


def test_a_face_without_its_jaw_wears_no_mask(crop):
    points = FACE.copy()
    points[:17] = np.nan
    worn = augment.augment_pixels(crop, row()[0], Config(**{**STILL, "mask": 1.0}), points)
    np.testing.assert_array_equal(worn, crop)


def test_half_of_the_blocks_are_of_what_is_around(crop):
    """A block of the picture's own pixels: its colours all occur in the picture."""
    crop[..., 2] = 7  # a blue that no painted block has
    config = Config(**{**STILL, "occlusion": 1.0})
    draws = row(block_kind=0.9, block_red=0.1, block_green=0.8)[0]
    blocked = augment.augment_pixels(crop, draws, config, FACE)
    changed = (blocked != crop).any(axis=-1)
    assert 0.02 < changed.mean() < 0.1 and (blocked[..., 2] == 7).all()
