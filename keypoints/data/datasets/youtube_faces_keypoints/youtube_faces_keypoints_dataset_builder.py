"""The YouTube Faces keypoint data of Udacity's P1_Facial_Keypoints as a TFDS builder."""

import hashlib
import json
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keypoints.data.annotations import split_of
from keypoints.data.correction import YOUTUBE_FACES
from keypoints.data.formats import tables
from keypoints.errors import InputError, refuse
from keypoints.markup import IBUG68
from keypoints.media.pictures import decode_picture, encode_png
from keypoints.system.download import download
from keypoints.system.paths import stays_inside

URL = "https://github.com/udacity/P1_Facial_Keypoints/archive/refs/heads/master.zip"
ARCHIVE_VARIABLE = "KEYPOINTS_ARCHIVE"
MAX_BYTES = 100_000_000  # of a member, unpacked: upstream's tables have 3 MB
SOURCES = ("training", "test")  # the upstream files; `test` shares its people with `training`


class Builder(tfds.core.GeneratorBasedBuilder):
    """Faces of public figures with 68 points. Splits by person, and upstream's own two.

    `published` points are upstream's, `corrected` ones those without their offset and the
    differences of their markup (`keypoints.data.correction`).
    """

    VERSION = tfds.core.Version("2.0.0")

    def __init__(
        self, *, archive: str | Path | None = None, url: str | None = None, **options: Any
    ):
        """`archive`: the ZIP on disk; else KEYPOINTS_ARCHIVE, else `url` is downloaded."""
        self.archive = archive or os.environ.get(ARCHIVE_VARIABLE)
        self.url = url or URL
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                    "published": tfds.features.Tensor(shape=(68, 2), dtype=np.float32),
                    "corrected": tfds.features.Tensor(shape=(68, 2), dtype=np.float32),
                    "file": tfds.features.Text(),  # "training/NAME_vf.jpg"
                    "identity": tfds.features.Text(),
                    "video": np.int32,
                    "frame": np.int32,
                    "source": tfds.features.ClassLabel(names=SOURCES),
                }
            ),
            supervised_keys=None,
            homepage="https://github.com/udacity/P1_Facial_Keypoints",
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),  # of the archive: see `check_archive`
        )

    def check_archive(self) -> None:
        """Raise InputError if the prepared data are of another archive than the one named.

        An archive that is named by KEYPOINTS_ARCHIVE may be gone once the data are prepared.
        """
        if self.archive is None or not Path(self.archive).is_file():
            return
        if archive_digest(Path(self.archive)) != self.info.metadata.get("archive"):
            raise InputError(
                f"{self.data_dir} was prepared from another archive than {self.archive}; delete "
                "that folder to prepare it anew, or name another data_dir"
            )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        del dl_manager  # its cache would keep 200 MB that are of no use afterwards
        with tempfile.TemporaryDirectory() as folder:
            archive = self._archive(Path(folder))
            examples = read_archive(archive)
            self.info.metadata["archive"] = archive_digest(archive)
        names = ("train", "validation", "test", "seed_train", "seed_test")
        splits: dict[str, list[dict]] = {name: [] for name in names}
        for example in examples:
            splits[split_of(example["identity"])].append(example)
            splits["seed_train" if example["source"] == "training" else "seed_test"].append(example)
        return {name: self._generate_examples(chosen) for name, chosen in splits.items()}

    def _generate_examples(self, examples: list[dict]) -> Iterator[tuple[int, dict]]:
        yield from enumerate(examples)

    def _archive(self, folder: Path) -> Path:
        if self.archive:
            if not Path(self.archive).is_file():  # an `archive` was looked for before
                raise InputError(f"{ARCHIVE_VARIABLE}={self.archive}: no such file")
            return Path(self.archive)
        try:
            return download(self.url, folder / "archive.zip")
        except InputError as error:
            raise InputError(
                f"the YouTube Faces keypoint data is not here: it is in no prepared data set under "
                f"{Path(self.data_dir).parent}, no archive is named by `archive` or "
                f"{ARCHIVE_VARIABLE}, and the download failed ({error}). Fetch {self.url} where "
                "there is a network and name it with archive=PATH, or use "
                "data=synthetic_faces, which needs none"
            ) from None


def archive_digest(path: Path) -> str:
    """SHA-256 over names, sizes and CRC-32s of an archive's entries, as its directory lists them.

    It differs between archives as the hash of the whole file does, without reading 200 MB.
    """
    with _open(path) as archive:
        entries = sorted((entry.filename, entry.file_size, entry.CRC) for entry in archive.filelist)
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


def read_archive(path: Path) -> list[dict[str, Any]]:
    """All annotated examples of the upstream archive, features as of the builder.

    Raises one InputError for everything that is wrong: not a ZIP, entries that would leave their
    folder, rows that are not 68 points, pictures that are missing or damaged.
    """
    with _open(path) as archive:
        names = archive.namelist()
        escaping = [name for name in names if not stays_inside(name)]
        refuse([f"{name!r} would leave its folder" for name in escaping], str(path))
        paths = {source: f"data/{source}_frames_keypoints.csv" for source in SOURCES}
        roots = {n.removesuffix(paths["test"]) for n in names if n.endswith(paths["test"])}
        if len(roots) != 1:
            raise InputError(f"{path} holds {len(roots)} files {paths['test']}, one is expected")
        root = roots.pop()
        problems: list[str] = []
        examples = []
        for source, table in paths.items():
            if root + table not in names:
                raise InputError(f"{path} has no {root + table}")
            found = tables.parse(_read(archive, root + table), table)
            if found is None:
                raise InputError(f"{table}: no row begins with the name of a picture")
            problems += found.problems
            for face in found.faces:
                try:
                    if len(face.points) != IBUG68.count:
                        raise InputError(
                            f"{table}: {len(face.points)} points a row, not {IBUG68.count}"
                        )
                    examples.append(_example(archive, root, source, face.picture, face.points))
                except InputError as error:
                    problems.append(str(error))
        refuse(list(dict.fromkeys(problems)), str(path))
    return examples


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a ZIP archive that can be read: {error}") from None


def _example(
    archive: zipfile.ZipFile, root: str, source: str, name: str, points: np.ndarray
) -> dict[str, Any]:
    data = _read(archive, f"{root}data/{source}/{name}")
    match = re.fullmatch(r"(.+)_(\d)(\d+)\.\w+", name)
    if not match:
        raise InputError(f"{source}/{name}: the name is not IDENTITY_vf, video digit, frame digit")
    identity, video, frame = match.groups()
    return {
        "image": encode_png(decode_picture(data, f"{source}/{name}")),
        "published": points,
        "corrected": YOUTUBE_FACES.apply(points),
        "file": f"{source}/{name}",
        "identity": identity,
        "video": int(video),
        "frame": int(frame),
        "source": source,
    }


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        size = archive.getinfo(name).file_size
        if size > MAX_BYTES:
            raise InputError(f"{name}: {size / 1e6:.0f} MB unpacked, {MAX_BYTES / 1e6:.0f} at most")
        return archive.read(name)
    # RuntimeError: an entry with a password, or packed in a way that Python does not know.
    except (KeyError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{name}: cannot be read from the archive: {error}") from None
