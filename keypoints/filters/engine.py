"""The filter engine: draws the layers of a filter on all faces, the farthest face first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keypoints.errors import InputError
from keypoints.filters import effects, warp
from keypoints.filters.head import Area, Head, box_area, find_head
from keypoints.filters.loose_pupil import Ball
from keypoints.filters.spec import Blur, Bulge, Outlines, Pixelate, Spec, Sticker
from keypoints.inference.cuts import Cuts
from keypoints.markup import IBUG68, Markup

HOLD = 0.5  # seconds for which a lost face stays hidden at its last position


@dataclass(frozen=True)
class _Face:
    """One face to draw on."""

    points: np.ndarray  # (k, 2), pixels of the image
    area: Area  # that a privacy filter hides
    head: Head | None = None  # None: the points of iBUG are not among these


def fits_any(spec: Spec) -> bool:
    """Whether a filter can be drawn on faces of any markup."""
    return not any(isinstance(layer, Sticker | Bulge) for layer in spec.layers)


class Filter:
    """A loaded filter. Per face id it keeps the state of loose parts and the last position.

    What is drawn on parts of a face needs the points of iBUG, or a markup that has them all. A
    filter that only hides faces, or draws their points, works with any: where the points of iBUG
    are missing it hides an ellipse around the face box, for any pose.
    """

    def __init__(self, spec: Spec, markup: Markup = IBUG68):
        """Raises InputError for a filter that needs points that `markup` does not have."""
        self.spec, self.markup = spec, markup
        self._order = markup.order_of(IBUG68)
        if self._order is None and not fits_any(spec):
            raise InputError(
                f"filter {spec.name} is drawn on the points of ibug68, which the markup "
                f"{markup.name} of this model does not have"
            )
        self._hiding = [layer for layer in spec.layers if isinstance(layer, Blur | Pixelate)]
        self.reset()

    @property
    def protects(self) -> bool:
        """Whether it is a privacy filter: then no face may be left out."""
        return bool(self._hiding)

    def reset(self) -> None:
        """Forget all faces: another video begins."""
        self._balls: dict[int, dict[int, Ball]] = {}
        self._hidden: dict[int, tuple[float, Area]] = {}  # time and area of the last detection
        self._cuts = Cuts()

    def apply(
        self,
        image: np.ndarray,
        points: np.ndarray | Sequence[np.ndarray],
        *,
        boxes: np.ndarray | Sequence[np.ndarray] = (),
        ids: Sequence[int] | None = None,
        timestamp: float = 0.0,
        hold: float = HOLD,
    ) -> np.ndarray:
        """A copy of `image` with the filter on all faces.

        `image`: `(h, w, 3)` uint8 RGB. `points`: `(n, k, 2)`, pixels of the image; faces whose
        points are not finite or do not form a face are skipped. `boxes` `(m, 4)`: face boxes
        of faces whose points are not known, left, top, width, height; only layers that blur or
        pixelate are drawn there. `ids`: for video, one number per face of `points` that stays the
        same from frame to frame; `timestamp`: the time of the frame in seconds.
        With `ids`, loose parts move, and are reset when an id is missing in a frame. A blurred or
        pixelated face stays hidden for `hold` seconds after its id is gone, because trackers can
        lose a face for a few frames; not over a cut. Larger faces count as nearer and cover smaller
        ones. Raises InputError for arrays of another shape or type.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputError(f"image: {image.dtype} {image.shape}; (h, w, 3) uint8 is expected")
        points = _checked("points", points, (self.markup.count, 2))
        boxes = _checked("boxes", boxes, (4,))
        if ids is not None and len(ids) != len(points):
            raise InputError(f"ids: {len(ids)} for {len(points)} faces; one per face is expected")
        shown = image.copy()
        found = enumerate(map(self._find, points))
        drawn = {number: face for number, face in found if face is not None}
        faces = sorted(drawn, key=lambda number: drawn[number].area.size)
        for box in boxes:
            self._hide(shown, box_area(box))
        if ids is not None:
            alive = {ids[number] for number in faces}
            self._balls = {id: balls for id, balls in self._balls.items() if id in alive}
            if self.protects:
                if self._cuts.is_cut(image):
                    self._hidden = {}
                areas = {ids[number]: drawn[number].area for number in faces}
                self._hold(shown, areas, timestamp, hold)
        for place, number in enumerate(faces):
            balls = {} if ids is None else self._balls.setdefault(ids[number], {})
            nearer = [drawn[other].head for other in faces[place + 1 :]]
            self._draw(shown, drawn[number], nearer, balls, timestamp)
        return shown

    def _find(self, points: np.ndarray) -> _Face | None:
        """The face of some points; None if they form no face."""
        if self._order is not None:
            head = find_head(points[self._order])
            if head is None:
                return None
            return _Face(points, Area(head.face_outline(), head.size), head)
        if not np.isfinite(points).all():
            return None
        return _Face(points, box_area(self.markup.face_boxes(points)))

    def _hold(
        self, image: np.ndarray, areas: dict[int, Area], timestamp: float, hold: float
    ) -> None:
        """Hide the faces that were lost less than `hold` seconds ago."""
        recent = {
            id: (seen, area)
            for id, (seen, area) in self._hidden.items()
            if id not in areas and 0 <= timestamp - seen <= hold
        }
        for _, area in recent.values():
            self._hide(image, area)
        self._hidden = recent | {id: (timestamp, area) for id, area in areas.items()}

    def _hide(self, image: np.ndarray, area: Area) -> None:
        for layer in self._hiding:
            effects.hide(image, area, layer)

    def _draw(
        self,
        image: np.ndarray,
        face: _Face,
        nearer: list[Head | None],
        balls: dict[int, Ball],
        timestamp: float,
    ) -> None:
        for number, layer in enumerate(self.spec.layers):
            if isinstance(layer, Blur | Pixelate):
                effects.hide(image, face.area, layer)
            elif isinstance(layer, Outlines):
                effects.outlines(image, face.points, face.area.size, layer, self.markup)
            elif face.head is not None and isinstance(layer, Bulge):
                effects.bulge(image, face.head, layer)
            elif face.head is not None and isinstance(layer, Sticker):
                patch = _warped(layer, face.head, image.shape, balls, number, timestamp)
                others = [head for head in nearer if head is not None]
                if patch is not None:
                    warp.blend(image, patch, _weight(layer, face.head, others, patch))


def _checked(
    name: str, values: np.ndarray | Sequence[np.ndarray], shape: tuple[int, ...]
) -> np.ndarray:
    """`values` `(n, *shape)` as an array; no faces may be any empty sequence."""
    array = np.asarray(values)
    if not len(array):
        return np.empty((0, *shape), np.float32)
    if array.shape[1:] != shape:
        expected = ", ".join(map(str, ("n", *shape)))
        raise InputError(f"{name}: {array.shape}; ({expected}) is expected")
    return array


def _warped(
    layer: Sticker,
    head: Head,
    shape: tuple[int, ...],
    balls: dict[int, Ball],
    number: int,
    timestamp: float,
) -> warp.Patch | None:
    """The art of a layer warped to this head; None if nothing of it is visible."""
    height, width = shape[:2]
    source = np.array([anchor.at for anchor in layer.anchors])
    target = np.array([head.place(anchor.points, anchor.offset) for anchor in layer.anchors])
    middle = target.mean(axis=0)
    target = middle + (target - middle) * layer.grow
    if layer.triangles is not None:
        return warp.draw_mesh(layer.levels, layer.triangles, source, target, width, height)
    matrix = warp.fit_matrix(layer.fit, source, target)
    if matrix is None:
        return None
    if layer.loose is not None:
        start = math.radians(layer.loose.start)
        ball = balls.setdefault(number, Ball(np.array([math.cos(start), math.sin(start)])))
        to_dish = np.linalg.inv(matrix[:2, :2] * max(layer.loose.radius, 1e-3))
        centre = warp.move(matrix, source.mean(axis=0)[None])[0]
        shift = np.eye(3)
        shift[:2, 2] = ball.step(timestamp, centre, to_dish) * layer.loose.radius
        matrix = matrix @ shift
    return warp.draw_plane(layer.levels, matrix, width, height)


def _weight(
    layer: Sticker, head: Head, nearer: list[Head], patch: warp.Patch
) -> np.ndarray | float:
    """Opacity of the patch, 0 where the head or a nearer face hides it."""
    hiding = []
    if layer.normal is not None and head.faces_away(layer.normal):
        hiding += [head.face_outline(), head.skull_outline()]
    hiding += [other.face_outline() for other in nearer]
    if not hiding:
        return layer.opacity
    hidden = effects.outline_mask(hiding, patch.left, patch.top, patch.pixels.shape)
    return layer.opacity * (1 - hidden)
