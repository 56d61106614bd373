"""Pictures of a prepared TFDS data set, read again by their place in its TFRecord files."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.errors import InputError

LENGTH, SUMS = 8, 4  # bytes: of a record's length, and of each of its two checksums


def reader(builder: Any, place: bytes) -> Callable[[], np.ndarray] | None:
    """A function that decodes the `image` of the example at `place`, TFDS's `FILE__NUMBER`.

    The pixels are those that `builder.as_dataset` gives. None where the file is no TFRecord file.
    """
    name, _, number = place.decode().rpartition("__")
    path = Path(builder.data_dir) / name
    if ".tfrecord" not in name or not path.is_file():
        return None
    return partial(_read, builder.info.features, path, int(number))


def _read(features: Any, path: Path, number: int) -> np.ndarray:
    start, length = _places(path)[number].tolist()
    try:
        with open(path, "rb") as file:
            file.seek(start)
            data = file.read(length)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    return features.deserialize_example(data)["image"].numpy()


@cache
def _places(path: Path) -> np.ndarray:
    """Start and length in bytes `(n, 2)` of the records in a file."""
    places, at, size = [], 0, path.stat().st_size
    with open(path, "rb") as file:
        while at < size:
            file.seek(at)
            length = int.from_bytes(file.read(LENGTH), "little")
            places.append((at + LENGTH + SUMS, length))
            at += LENGTH + SUMS + length + SUMS
    return np.array(places, np.int64).reshape(-1, 2)
