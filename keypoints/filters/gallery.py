"""An overview image of all filters on the same few faces."""

import cv2
import numpy as np

from keypoints import geometry
from keypoints.crop import Crop
from keypoints.filters import list_filters, load_filter

# Synthetic faces without glasses, in different poses and expressions.
SEEDS = (7, 1, 15, 39)
TILE = 168  # side of the image of one face, pixels
CAPTION = 26
COLUMNS = 2
PAPER, INK, GRAY = (255, 255, 255), (24, 24, 28), (110, 112, 120)


def draw_sheet(faces: list[tuple[np.ndarray, np.ndarray]] | None = None) -> np.ndarray:
    """All bundled filters with their names, `(h, w, 3)` uint8 RGB.

    `faces`: pairs of an image `(h, w, 3)` uint8 RGB and points `(68, 2)`; the default is synthetic
    faces.
    """
    from PIL import Image, ImageDraw, ImageFont

    if faces is None:
        from keypoints.synthetic.drawing import draw_face

        faces = [draw_face(seed) for seed in SEEDS]
    tiles = [close_up(image, points) for image, points in faces]
    names = list_filters()
    rows = -(-len(names) // COLUMNS)
    wide, tall, gap = TILE * len(tiles), TILE + CAPTION, 12
    size = (COLUMNS * (wide + gap) + gap, rows * (tall + gap) + gap)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    bold, plain = ImageFont.load_default(17), ImageFont.load_default(14)
    for number, name in enumerate(names):
        left = gap + (number % COLUMNS) * (wide + gap)
        top = gap + (number // COLUMNS) * (tall + gap)
        loaded = load_filter(name)
        pen.text((left, top), name, INK, bold)
        if len(tiles) > 1:
            beside = left + pen.textlength(name, bold) + 10
            pen.text((beside, top + 3), loaded.spec.description, GRAY, plain)
        for place, (image, points) in enumerate(tiles):
            shown = loaded.apply(image, points[None])
            sheet.paste(Image.fromarray(shown), (left + place * TILE, top + CAPTION))
    return np.array(sheet)


def close_up(image: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A `TILE` square around a face with space above it, and the points `(68, 2)` in it."""
    box = geometry.landmark_box(points)
    # Landmarks end at the brows: the centre of the head is above theirs.
    box = box - [0, 0.27 * box[3], 0, 0]
    matrix = Crop(2.25, TILE).matrices(box)
    flags = cv2.INTER_AREA if geometry.scale_of(matrix) < 1 else cv2.INTER_CUBIC
    tile = cv2.warpAffine(image, matrix, (TILE, TILE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return tile, geometry.apply(matrix, points)
