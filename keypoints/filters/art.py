"""Draw the art of all filters: `python -m keypoints.filters.art` writes the PNG files anew.

Everything here is drawn from formulas, so the art is the project's own.
"""

from pathlib import Path

import cv2
import numpy as np

from keypoints.files import replacing
from keypoints.filters import fruit, wear

FOLDER = Path(__file__).parent


def draw_all() -> dict[str, np.ndarray]:
    """All art: "FILTER/FILE.png" to RGBA `(h, w, 4)` uint8."""
    eye, pupil, glint = fruit.googly_eye()
    return {
        "googly_eyes/eye.png": eye,
        "googly_eyes/pupil.png": pupil,
        "googly_eyes/glint.png": glint,
        "googly_orange/orange.png": fruit.orange(),
        "googly_orange/eye.png": eye,
        "googly_orange/pupil.png": pupil,
        "googly_orange/lid.png": fruit.eye_lid(),
        "googly_orange/mouth.png": fruit.mouth(),
        "sunglasses/front.png": wear.glasses_front(),
        "sunglasses/temple.png": wear.glasses_temple(),
        "moustache/moustache.png": wear.moustache(),
        "crown/outside.png": wear.crown_outside(),
        "crown/inside.png": wear.crown_inside(),
    }


def write_all() -> None:
    """Write all art beside the specs that use it."""
    for name, art in draw_all().items():
        path = FOLDER / name
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as temporary:
            cv2.imwrite(str(temporary), cv2.cvtColor(art, cv2.COLOR_RGBA2BGRA),
                        [cv2.IMWRITE_PNG_COMPRESSION, 9])  # fmt: skip


if __name__ == "__main__":
    write_all()
