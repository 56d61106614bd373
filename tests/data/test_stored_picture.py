import cv2
import numpy as np
import pytest

from keypoints import geometry
from keypoints.crop import Crop
from keypoints.data import records as module
from keypoints.data.records import make_records
from keypoints.data.stored_picture import PART_SIDE, WHOLE, Part, store

BOX = np.array([700.0, 350.0, 410.0, 500.0])  # of a face in a picture of 1600 x 1200


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """Blurs of 20 pixels: they look alike however they are averaged."""
    rng = np.random.default_rng(0)
    spots = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    return cv2.resize(spots, (1600, 1200), interpolation=cv2.INTER_CUBIC)


def kept(photograph, **options):
    """What is stored of it, and how often it was read again."""
    reads = []

    def read():
        reads.append(1)
        return photograph

    return store(photograph, BOX, read=read, **options), reads


def test_a_photograph_keeps_what_crops_of_its_face_show(photograph):
    picture, reads = kept(photograph)
    # The window of 3 x 500 pixels ends at the picture's edges; the face has 2 x 184 pixels, so
    # blocks of 2 x 2 become one.
    assert max(picture.pixels.shape[:2]) <= PART_SIDE * 500 / 2 + 1
    assert picture.bytes < photograph.nbytes / 3 and picture.shape == (1200, 1600)
    rng = np.random.default_rng(1)
    for _ in range(20):
        matrix = Crop(1.4).matrices(BOX)
        turn, scale = rng.uniform(-np.pi, np.pi), 1.15 ** rng.uniform(-1, 1)
        turned = np.zeros((2, 3))
        turned[:, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        turned[:, :2] *= scale
        turned[:, 2] = 111.5 - turned[:, :2] @ [111.5, 111.5] + rng.uniform(-18, 18, 2)
        matrix = geometry.compose(turned, matrix)
        shown, whole = picture.crop(matrix), geometry.crop(photograph, matrix)
        # Other blocks are averaged: the same picture, not the same bits.
        assert shown.any() and np.abs(shown.astype(int) - whole).mean() < 1
    assert reads == []


def test_points_lie_on_the_same_pixels_in_the_part(photograph):
    """A smooth ramp shows a shift of a tenth of a pixel."""
    down, across = np.mgrid[:1200, :1600]
    ramp = np.dstack([across / 8, down / 8, down / 8]).astype(np.uint8)
    picture = store(ramp, BOX, read=lambda: ramp)
    assert picture.pixels.shape != ramp.shape
    matrix = Crop(1.2).matrices(BOX + [13, 7, 0, 0])
    difference = picture.crop(matrix).astype(int) - geometry.crop(ramp, matrix)
    assert np.abs(difference).max() <= 1 and abs(difference.mean()) < 0.1


@pytest.mark.parametrize(
    "matrix",
    [
        Crop(3.9).matrices(BOX),  # more of the picture than the part has
        Crop(0.4).matrices(BOX),  # finer than the part is
        Crop(1.4).matrices(np.array([20.0, 20, 300, 300])),  # another place
    ],
)
def test_other_crops_read_the_picture_again(photograph, matrix):
    picture, reads = kept(photograph)
    np.testing.assert_array_equal(picture.crop(matrix), geometry.crop(photograph, matrix))
    np.testing.assert_array_equal(picture.whole(), photograph)
    assert len(reads) == 2


def test_small_pictures_and_those_that_cannot_be_read_again_stay_whole(photograph):
    small = photograph[: WHOLE // 1600]
    for picture in (store(small, BOX, read=lambda: 1 / 0), store(photograph, BOX)):
        assert picture.part is None
        np.testing.assert_array_equal(picture.whole(), picture.pixels)


def test_a_set_beyond_the_limit_is_read_again_whenever_it_is_shown(monkeypatch):
    """Three pictures where there is memory for two: the third is decoded for each crop."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (90, 80, 3), dtype=np.uint8) for _ in range(3)]
    points = np.stack([np.arange(68) % 9 * 3 + 20, np.arange(68) // 9 * 4 + 30], -1)
    reads = []

    def read(index):
        reads.append(index)
        return pictures[index]

    def examples():
        for index, picture in enumerate(pictures):
            yield (
                f"{index}.png", "", picture, points, None, np.nan, lambda index=index: read(index)
            )  # fmt: skip

    monkeypatch.setattr(module, "MEMORY_LIMIT", 2 * pictures[0].nbytes)
    few = make_records("few/train", examples())
    assert [picture.bytes for picture in few.pictures] == [21600, 21600, 0]
    monkeypatch.setattr(module, "MEMORY_LIMIT", 10**9)
    many = make_records("few/train", examples())
    assert few.describe() == many.describe() and few.shapes.tolist() == [[90, 80]] * 3
    matrix = Crop(1.4).matrices(few.boxes[2])
    assert reads == []
    for index in (0, 2, 2):
        np.testing.assert_array_equal(few.crop(index, matrix), many.crop(index, matrix))
    assert reads == [2, 2]


def test_a_large_picture_gives_the_same_crops_from_memory_and_read_again():
    """Blocks of 2 x 2 of random pixels: other blocks, or none, would give other numbers."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (1201, 1603, 3), dtype=np.uint8)
    held = store(picture, BOX, read=lambda: picture)
    again = store(picture, BOX, read=lambda: picture, room=False)
    assert held.bytes and not again.bytes and held.digest == again.digest
    for _ in range(20):
        box = BOX + [*rng.uniform(-60, 60, 2), *rng.uniform(-40, 40, 2)]
        matrix = Crop(1.4).matrices(box, rng.uniform(-30, 30))
        np.testing.assert_array_equal(held.crop(matrix), again.crop(matrix))


@pytest.mark.parametrize("factor", [2, 3, 5])
@pytest.mark.parametrize("right", [True, False])
def test_a_face_at_the_edge_of_a_picture_has_no_dark_pixels_in_it(factor, right):
    """A gray picture whose sides are no multiples of the blocks that are averaged."""
    picture = np.full((1601, 1999, 3), 130, np.uint8)
    side = factor * 190.0
    box = (
        np.array([1999 - side, 1601 - side, side, side]) if right else np.array([0, 0, side, side])
    )
    stored = store(picture, box, read=lambda: picture)
    assert stored.part.factor == factor
    rng = np.random.default_rng(factor)
    for _ in range(20):
        moved = box + [*rng.uniform(-0.2 * side, 0.2 * side, 2), 0, 0]
        matrix = Crop(1.4).matrices(moved)
        shown, whole = (
            x.astype(int) for x in (stored.crop(matrix), geometry.crop(picture, matrix))
        )
        assert (shown >= whole - 2).all()


def test_an_unfinished_block_repeats_the_pixels_at_the_edge():
    """Blocks of 2 x 2 of a picture of 3 x 3: (2 + 4 + 10 + 14) / 4, (6 + 6 + 20 + 20) / 4, .."""
    image = np.uint8([[2, 4, 6], [10, 14, 20], [30, 50, 90]])[..., None].repeat(3, axis=2)
    cut = Part(0, 0, 3, 3, 2).cut(image)
    np.testing.assert_array_equal(cut[..., 1], [[8, 13], [40, 90]])
