"""A sheet of faces with numbered points: wrong mirror pairs are seen on it at once."""

from pathlib import Path

import cv2
import numpy as np

from keypoints import geometry
from keypoints.crop import Crop
from keypoints.data.records import Records
from keypoints.evaluation.plots import write_tiles
from keypoints.markup import Markup

FACES = 4
TILE = Crop(1.5, 440)
# RGB of the points of a pair that lies on the left and on the right of the sheet, and of others.
LEFT, RIGHT, MIDDLE = (255, 150, 40), (70, 170, 255), (255, 255, 255)
LINE = (120, 230, 120)


def draw_sheet(records: Records, markup: Markup, path: Path) -> None:
    """Draw `FACES` faces, and below each its flipped twin by `markup`, into a picture file.

    Points have their numbers, and are coloured by the side on which the face above has them; lines
    join pairs. Where a pair is right, each number of the twin is at the same place of the face, and
    the colours are on the same sides as above. Without pairs there are no twins.
    """
    boxes = markup.face_boxes(markup.complete(records.points))
    known = np.isfinite(records.points).all(axis=-1).sum(axis=1)
    most = np.flatnonzero(known == known.max())
    chosen = most[np.linspace(0, len(most) - 1, min(FACES, len(most))).round().astype(int)]
    faces, twins = [], []
    for index in chosen:
        matrix = TILE.matrices(boxes[index])
        crop = records.crop(index, matrix, size=TILE.size)
        points = geometry.apply(matrix, records.points[index])
        faces.append(_draw(crop, points, markup))
        if markup.mirror is not None:
            twin = (points * [-1, 1] + [TILE.size - 1, 0])[markup.mirror]
            twins.append(_draw(crop[:, ::-1], twin, markup))
    write_tiles([*faces, *twins], path, len(faces))


def _draw(image: np.ndarray, points: np.ndarray, markup: Markup) -> np.ndarray:
    image = np.ascontiguousarray(image // 2)  # dark, so that numbers can be read
    known = np.isfinite(points).all(axis=1)
    places = np.rint(np.where(known[:, None], points, -99)).astype(int).tolist()
    for outline in markup.outlines.values():
        if known[list(outline.points)].all():
            line = np.array([places[point] for point in outline.points], np.int32)
            cv2.polylines(image, [line], outline.closed, (90, 90, 90), 1, cv2.LINE_AA)
    colours = [MIDDLE] * markup.count
    for one, other in markup.pairs or ():
        if known[one] and known[other]:
            cv2.line(image, places[one], places[other], LINE, 1, cv2.LINE_AA)
        colours[one], colours[other] = LEFT, RIGHT
    for number in np.flatnonzero(known):
        place = places[number]
        cv2.circle(image, place, 2, colours[number], -1, cv2.LINE_AA)
        corner = (place[0] + 3, place[1] - 3)
        cv2.putText(
            image, str(number), corner, cv2.FONT_HERSHEY_SIMPLEX, 0.33, colours[number], 1,
            cv2.LINE_AA,
        )  # fmt: skip
    return image
