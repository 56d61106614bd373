"""Draw the art of all filters: `python -m tools.filter_art` writes the PNG files again.

All art is drawn by code, so the project owns it.
"""

import cv2
import numpy as np

from keypoints.filters import FOLDER
from keypoints.system.atomic import replacing
from tools.filter_art import accessories, comic


def draw_all() -> dict[str, np.ndarray]:
    """All art: "FILTER/FILE.png" to RGBA `(h, w, 4)` uint8."""
    eye, pupil, glint = comic.googly_eye()
    return {
        "googly_eyes/eye.png": eye,
        "googly_eyes/pupil.png": pupil,
        "googly_eyes/glint.png": glint,
        "googly_orange/orange.png": comic.orange(),
        "googly_orange/eye.png": eye,
        "googly_orange/pupil.png": pupil,
        "googly_orange/lid.png": comic.eye_lid(),
        "googly_orange/mouth.png": comic.mouth(),
        "sunglasses/front.png": accessories.glasses_front(),
        "sunglasses/temple.png": accessories.glasses_temple(),
        "moustache/moustache.png": accessories.moustache(),
        "crown/outside.png": accessories.crown_outside(),
        "crown/inside.png": accessories.crown_inside(),
    }


def write_all() -> None:
    """Write all art into the filter folders."""
    for name, art in draw_all().items():
        path = FOLDER / name
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as temporary:
            cv2.imwrite(str(temporary), cv2.cvtColor(art, cv2.COLOR_RGBA2BGRA),
                        [cv2.IMWRITE_PNG_COMPRESSION, 9])  # fmt: skip


if __name__ == "__main__":
    write_all()
