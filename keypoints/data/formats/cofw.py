"""COFW's .mat files (MATLAB 7.3, which is HDF5): pictures and 29 points with their occlusion.

`IsTr` refers to the pictures, gray or colour; `phisTr` has a row for each, 29 x, 29 y and 29 marks
of covered points; the first pixel is 1, ours 0. Test files have `IsT` and `phisT`. MATLAB and HDF5
count axes from opposite ends. Source: the data set's own files (Burgos-Artizzu et al., 2013).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.data.annotations import AnnotatedPicture, Annotations
from keypoints.errors import InputError
from keypoints.system.atomic import replacing

POINTS = 29
KINDS = (("IsTr", "phisTr", "bboxesTr"), ("IsT", "phisT", "bboxesT"))
MAX_SIDE = 10_000  # pixels of a picture
MOST = 100_000  # pictures; compressed zeros cost a file nothing
HEADER = 512  # bytes before the HDF5 file that say it is MATLAB's


def parse(path: Path, file: str) -> Annotations:
    """The faces of a file; its pictures are `train/0001.png`, `test/0001.png`, .."""
    import h5py

    found = Annotations(file, markup="cofw29", read=lambda name: _picture(path, name))
    try:
        with h5py.File(path) as content:
            for pictures, points, _ in KINDS:
                if points not in content:
                    continue
                values = _dataset(content, points)
                count = _dataset(content, pictures).size
                good = values.shape == (3 * POINTS, count) and count <= MOST
                if not good or values.dtype.kind not in "fiu":
                    raise ValueError(f"{points} of {count} pictures has the shape {values.shape}")
                for number, row in enumerate(np.asarray(values[:], np.float64).T):
                    x, y, covered = row.reshape(3, POINTS)
                    rows = np.column_stack([x, y]) - 1
                    found.add(_name(points, number), rows, covered > 0.5, where=points)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        found.problems.append(f"{file}: no .mat file of COFW: {error}")
        return found
    if not found.faces and not found.problems:
        found.problems.append(f"{file}: no .mat file of COFW: it has no phisTr or phisT")
    return found


def _name(points: str, number: int) -> str:
    return f"{'train' if points == 'phisTr' else 'test'}/{number + 1:04d}.png"


def _dataset(content: Any, name: str) -> Any:
    """A data set that lies in the file itself; ValueError for another."""
    import h5py

    found = content[name]
    link = content.get(name, getlink=True) if isinstance(name, str) else h5py.HardLink()
    inside = isinstance(link, h5py.HardLink) and isinstance(found, h5py.Dataset)
    if not inside or found.external or found.is_virtual:
        raise ValueError(f"{name} is no data set of the file itself")
    return found


def _picture(path: Path, name: str) -> np.ndarray:
    """A picture of the file at `path`, `(h, w, 3)` uint8 RGB."""
    import h5py

    kind, _, number = name.removesuffix(".png").partition("/")
    try:
        with h5py.File(path) as content:
            references = _dataset(content, KINDS[0 if kind == "train" else 1][0])
            stored = _dataset(content, references[:].ravel()[int(number) - 1])
            sides = stored.shape[-2:]
            gray = len(stored.shape) == 2
            if not (gray or (stored.shape[:1] == (3,) and len(stored.shape) == 3)):
                raise ValueError(f"a picture of shape {stored.shape}")
            if stored.dtype != np.uint8 or not all(0 < side <= MAX_SIDE for side in sides):
                raise ValueError(f"a picture of shape {stored.shape} and type {stored.dtype}")
            pixels = np.asarray(stored[:]).T
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: {name}: {error}") from None
    return np.dstack([pixels] * 3) if gray else np.ascontiguousarray(pixels)


def write(folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str]) -> None:
    """Write `cofw.mat` with the pictures that are in `folder`, one for each face.

    Faces with missing points are left out.
    """
    import h5py

    from keypoints.media.pictures import decode_picture

    faces = [
        (picture.name, face)
        for picture in pictures
        for face in picture.faces
        if np.isfinite(face.points).all()
    ]
    images, points, boxes = KINDS[0]
    rows = [np.concatenate([*(face.points.T + 1), face.covered]) for _, face in faces]
    tight = [[*face.points.min(axis=0) + 1, *np.ptp(face.points, axis=0)] for _, face in faces]
    with replacing(folder / "cofw.mat") as temporary:
        with h5py.File(temporary, "w", userblock_size=HEADER) as content:
            references = content.create_dataset(images, (1, len(faces)), h5py.ref_dtype)
            references.attrs["MATLAB_class"] = np.bytes_("cell")
            for number, (name, _) in enumerate(faces):
                pixels = decode_picture((folder / name).read_bytes(), name)
                stored = content.create_dataset(f"#refs#/{number:06d}", data=pixels.T)
                stored.attrs["MATLAB_class"] = np.bytes_("uint8")
                references[0, number] = stored.ref
            for name, values, width in ((points, rows, 3 * POINTS), (boxes, tight, 4)):
                data = np.array(values, np.float64).reshape(-1, width).T
                content.create_dataset(name, data=data).attrs["MATLAB_class"] = np.bytes_("double")
        header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
        with open(temporary, "r+b") as file:
            file.write(header)
