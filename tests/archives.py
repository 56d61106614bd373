"""A small archive in the layout of the upstream one, with drawn pictures."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from keypoints.synthetic.drawing import draw_face
from tests.faces import FOUND

ROOT = "P1_Facial_Keypoints-master"
PEOPLE = {  # by their hash: train, validation, test
    "training": ["Ann_Lee_00.jpg", "Ann_Lee_13.jpg", "Bo_Chan_01.jpg", "Cy_Diaz_02.jpg"],
    "test": ["Ann_Lee_25.jpg", "Di_Eco_50.jpg"],
}


def picture(index: int) -> bytes:
    """An RGBA PNG of a drawn face, as upstream has them behind names in .jpg."""
    image, _ = draw_face(FOUND[index])
    file = io.BytesIO()
    Image.fromarray(image).convert("RGBA").save(file, "PNG")
    return file.getvalue()


def points(index: int) -> np.ndarray:
    """The points of that face in whole pixels, as upstream has them."""
    return np.rint(draw_face(FOUND[index])[1]).astype(int)


def write_archive(path: Path, *, changes: dict[str, bytes | None] | None = None) -> Path:
    """The archive with entries replaced, added, or (None) left out, by name below its root."""
    entries: dict[str, bytes | None] = {"LICENSE": b"MIT"}
    index = 0
    for source, names in PEOPLE.items():
        rows = ["," + ",".join(map(str, range(136)))]
        for name in names:
            entries[f"data/{source}/{name}"] = picture(index)
            rows.append(f"{name}," + ",".join(map(str, points(index).ravel())))
            index += 1
        entries[f"data/{source}_frames_keypoints.csv"] = "\n".join(rows).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**entries, **(changes or {})}.items():
            if data is not None:
                archive.writestr(f"{ROOT}/{name}", data)
    return path
