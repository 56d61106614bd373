"""Follow a region from one frame to the next by its pixels, where no detector sees a face."""

import cv2
import numpy as np

POINTS = 8  # a side of the grid of points that are followed
LEAST = 10  # of them that must be found again
RETURN = 1.0  # pixels within which a point followed there and back must end
SMALLEST = 16.0  # pixels: the side of what is looked at around a smaller region
PATCH = 24  # side of the patches that `likeness` compares, pixels
SCALES = (0.9, 1.1)  # by which a region may shrink or grow from frame to frame


def follow(before: np.ndarray, after: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """The box `(4,)` in the gray picture `after` of what is in `box` in `before`; None if lost.

    The median flow of a grid of points (Kalal, Mikolajczyk and Matas, "Forward-Backward Error",
    ICPR 2010), by which a part of the region may be hidden or of the background.
    """
    middle, size = box[:2] + box[2:] / 2, np.maximum(box[2:], SMALLEST)
    steps = (np.arange(POINTS) + 0.5) / POINTS - 0.5
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2) * size + middle
    start = grid.astype(np.float32)[:, None]
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, start, np.empty(0, np.float32))
    back, returned, _ = cv2.calcOpticalFlowPyrLK(after, before, there, np.empty(0, np.float32))
    apart = np.linalg.norm(back - start, axis=-1)[:, 0]
    good = (apart <= RETURN) & (found[:, 0] > 0) & (returned[:, 0] > 0)
    if good.sum() < LEAST:
        return None
    old, new = grid[good], there[good, 0].astype(np.float64)
    shift = np.median(new - old, axis=0)
    rim_old, rim_new = (np.linalg.norm(p - np.median(p, axis=0), axis=1) for p in (old, new))
    far = rim_old > rim_old.max() / 3
    scale = float(np.clip(np.median(rim_new[far] / rim_old[far]), *SCALES))
    sides = box[2:] * scale
    return np.concatenate([middle + shift - sides / 2, sides])


def patch(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The box `(4,)` of a gray picture as `(PATCH, PATCH)` float64 with mean 0 and length 1."""
    # Pixels beyond the picture are those of its border.
    sides = np.clip(np.ceil(box[2:]), 1, 4 * max(image.shape)).astype(int).tolist()
    middle = (box[:2] + box[2:] / 2).tolist()
    part = cv2.getRectSubPix(image, sides, middle)
    part = cv2.resize(part, (PATCH, PATCH), interpolation=cv2.INTER_AREA).astype(np.float64)
    part -= part.mean()
    return part / max(float(np.linalg.norm(part)), 1e-9)
