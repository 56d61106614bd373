"""Head pose from 68 points: positions on and around the head, and its outline in the image."""

from dataclasses import dataclass

import numpy as np

from keypoints.head_shape import FOREHEAD, MEAN_SHAPE
from keypoints.markup import IBUG68
from keypoints.pose import fit_rotation

UPPER_FACE = IBUG68.roles["upper_face"]  # points that position the forehead
DISTANCE = 6.0  # camera distance in head units: about a metre
SKULL_CENTRE = np.array([0.0, -0.22, -0.35])
SKULL_RADII = np.array([0.53, 0.58, 0.53])
SKULL_CORNERS = 32  # of the polygon of its outline
# Of the ellipse that stands for a face without trusted landmarks, in longer sides of its box: it
# holds the forehead of an upright face, and the chin and temples of a tilted one.
BOX_CENTRE, BOX_RADII = np.array([0.0, -0.1]), np.array([0.62, 0.72])
BOX_CORNERS = 24  # of the polygon


@dataclass(frozen=True)
class Area:
    """What a privacy filter hides of one face."""

    outline: np.ndarray  # (n, 2) polygon around the face, pixels of the image
    size: float  # longer side of the landmark box, pixels


def box_area(box: np.ndarray) -> Area:
    """The area of a face of which only the landmark box `(4,)` is known: for any pose and roll."""
    middle, size = box[:2] + box[2:] / 2, float(max(box[2:]))
    angles = np.linspace(0, 2 * np.pi, BOX_CORNERS, endpoint=False)
    ellipse = np.column_stack([np.cos(angles), np.sin(angles)]) * BOX_RADII
    return Area(middle + (ellipse + BOX_CENTRE) * size, size)


@dataclass(frozen=True)
class Head:
    """The pose of one face.

    Positions are in the head frame: for a face that looks at the camera, x to the viewer's right,
    y down, z towards the viewer. The unit is the longer side of the frontal landmark box.
    """

    points: np.ndarray  # (68, 2) float64, pixels of the image
    turn: np.ndarray  # (3, 3), rotation from the head frame to the camera
    size: float  # pixels per unit

    def place(self, points: tuple[int, ...], offset: np.ndarray) -> np.ndarray:
        """Image position `(2,)` of the mean of some landmarks plus `offset` `(3,)`, pixels.

        The landmarks are taken from the image and the offset rotates with the head, so art stays
        on the eyes of this person and still follows the pose.
        """
        index = list(points)
        base = MEAN_SHAPE[index].mean(axis=0)
        reach = self.project(base + offset) - self.project(base)
        return self.points[index].mean(axis=0) + reach

    def project(self, places: np.ndarray) -> np.ndarray:
        """Positions `(..., 3)` on the average head to pixels `(..., 2)`, up to a translation."""
        turned = places @ self.turn.T
        closer = DISTANCE / (DISTANCE - turned[..., 2:])
        return turned[..., :2] * self.size * closer

    def faces_away(self, normal: np.ndarray) -> bool:
        """Whether a surface with this outward normal `(3,)` faces away from the camera."""
        return float(self.turn[2] @ normal) < 0

    def face_outline(self) -> np.ndarray:
        """Polygon `(n, 2)` of the face: the jaw and the forehead up to the hair."""
        base = MEAN_SHAPE[list(UPPER_FACE)].mean(axis=0)
        forehead = [self.place(UPPER_FACE, place - base) for place in FOREHEAD[::-1]]
        return np.concatenate([self.points[:17], forehead])

    def skull_outline(self) -> np.ndarray:
        """Polygon `(n, 2)` of the skull behind the face, without hair."""
        base = MEAN_SHAPE[list(UPPER_FACE)].mean(axis=0)
        centre = self.place(UPPER_FACE, SKULL_CENTRE - base)
        # An ellipsoid with semi-axes r seen along z: a point of its outline in the direction d
        # lies at M d / |d M d|^(1/2), with M the upper left of turn diag(r^2) turn'.
        shadow = (self.turn * SKULL_RADII**2 @ self.turn.T)[:2, :2]
        angles = np.linspace(0, 2 * np.pi, SKULL_CORNERS, endpoint=False)
        directions = np.column_stack([np.cos(angles), np.sin(angles)])
        reach = directions @ shadow
        return centre + self.size * reach / np.sqrt((reach * directions).sum(1, keepdims=True))


def find_head(points: np.ndarray) -> Head | None:
    """The head of `points` `(68, 2)`, or None if `fit_rotation` finds no face in them."""
    rotation, size = fit_rotation(points)
    if np.isnan(size):
        return None
    return Head(np.asarray(points, np.float64), rotation, float(size))
