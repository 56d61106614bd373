"""The filter engine: draws the layers of a filter on all faces, the farthest face first."""

import math
from collections.abc import Sequence

import numpy as np

from keypoints.errors import InputError
from keypoints.filters import effects, warp
from keypoints.filters.head import Area, Head, box_area, find_head
from keypoints.filters.loose_pupil import Ball
from keypoints.filters.spec import Blur, Bulge, Outlines, Pixelate, Spec, Sticker
from keypoints.inference.cuts import Cuts

HOLD = 0.5  # seconds for which a lost face stays hidden at its last position


class Filter:
    """A loaded filter. Per face id it keeps the state of loose parts and the last position."""

    def __init__(self, spec: Spec):
        self.spec = spec
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

        `image`: `(h, w, 3)` uint8 RGB. `points`: `(n, 68, 2)`, pixels of the image; faces whose
        points are not finite or do not form a face are skipped. `boxes` `(m, 4)`: landmark boxes
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
        points = _checked("points", points, (68, 2))
        boxes = _checked("boxes", boxes, (4,))
        if ids is not None and len(ids) != len(points):
            raise InputError(f"ids: {len(ids)} for {len(points)} faces; one per face is expected")
        shown = image.copy()
        found = enumerate(map(find_head, points))
        heads = {number: head for number, head in found if head is not None}
        faces = sorted(heads, key=lambda number: heads[number].size)
        for box in boxes:
            self._hide(shown, box_area(box))
        if ids is not None:
            alive = {ids[number] for number in faces}
            self._balls = {id: balls for id, balls in self._balls.items() if id in alive}
            if self.protects:
                if self._cuts.is_cut(image):
                    self._hidden = {}
                areas = {ids[number]: heads[number].area() for number in faces}
                self._hold(shown, areas, timestamp, hold)
        for place, number in enumerate(faces):
            balls = {} if ids is None else self._balls.setdefault(ids[number], {})
            nearer = [heads[other] for other in faces[place + 1 :]]
            self._draw(shown, heads[number], nearer, balls, timestamp)
        return shown

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
        head: Head,
        nearer: list[Head],
        balls: dict[int, Ball],
        timestamp: float,
    ) -> None:
        for number, layer in enumerate(self.spec.layers):
            if isinstance(layer, Sticker):
                patch = _warped(layer, head, image.shape, balls, number, timestamp)
                if patch is not None:
                    warp.blend(image, patch, _weight(layer, head, nearer, patch))
            elif isinstance(layer, Bulge):
                effects.bulge(image, head, layer)
            elif isinstance(layer, Outlines):
                effects.outlines(image, head, layer)
            else:
                effects.hide(image, head.area(), layer)


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
    for other in nearer:
        hiding.append(other.face_outline())
    if not hiding:
        return layer.opacity
    hidden = effects.outline_mask(hiding, patch.left, patch.top, patch.pixels.shape)
    return layer.opacity * (1 - hidden)
