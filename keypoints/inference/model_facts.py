"""What an exported file says of itself, so that it can be read without the manifest beside it.

Some entries of the manifest, with the whole markup: in an ONNX file as `metadata_props`, one for
each entry, in JSON; with a LiteRT file as `keypoints.json` in a ZIP archive behind its end, which
is how the files that belong to a LiteRT model go along with it; in a SavedModel as
`assets.extra/keypoints.json`, in the folder that TensorFlow leaves to others.
"""

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from keypoints.checks import Table, json_object, json_value
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.estimate import UNCERTAINTY_AT_HALF_SCORE
from keypoints.markup import MOST_BYTES, Markup, read_content
from keypoints.system.atomic import replacing, write_text

ENTRIES = ("markup", "crop", "half_score", "run")  # of a manifest
FILE = "keypoints.json"
EXTRA = "assets.extra"


class ModelFacts(NamedTuple):
    """What must be known of a network to use it."""

    markup: Markup
    crop: Crop
    half_score: float
    trained_on: str

    @classmethod
    def read(cls, table: Table) -> "ModelFacts":
        """From a manifest, or from the entries of a file; raises InputError for wrong ones."""
        half_score = UNCERTAINTY_AT_HALF_SCORE  # of older files
        if "half_score" in table.content:
            half_score = table.number("half_score", low=1e-6, high=1e6)
        markup = read_content(table.take("markup"), f"{table.name}: markup")
        crop = Crop.read(table.table("crop"))
        return cls(markup, crop, half_score, table.table("run").text("data"))

    def difference(self, other: "ModelFacts") -> str:
        """In which of the facts `other` is not the same, in words; "" if in none."""
        if self.markup != other.markup:
            return self.markup.difference(other.markup) or "another markup of that name"
        names = [n for n in ("crop", "half_score") if getattr(self, n) != getattr(other, n)]
        return f"another {names[0]}" if names else ""


def write_facts(path: Path, manifest: Mapping[str, Any], markup: Markup) -> None:
    """Write the entries of a manifest into an .onnx or .tflite file or a SavedModel's folder."""
    entries = {name: manifest[name] for name in ENTRIES} | {"markup": markup.content()}
    if os.path.isdir(path):
        (path / EXTRA).mkdir()
        write_text(path / EXTRA / FILE, json.dumps(entries, indent=2) + "\n")
    elif path.suffix == ".onnx":
        import onnx

        model = onnx.load(path)
        onnx.helper.set_model_props(model, {key: json.dumps(v) for key, v in entries.items()})
        with replacing(path) as temporary:
            onnx.save(model, temporary)
    else:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(FILE, json.dumps(entries))


def read_facts(path: Path, properties: Mapping[str, str] | None = None) -> ModelFacts | None:
    """What a file says of itself; None where it says nothing, as older ones.

    `path`: a .tflite file or the saved_model.pb of a SavedModel; that of an .onnx file, with its
    metadata as `properties`. Raises InputError for facts that are damaged.
    """
    source = f"{path}: what it says of itself"
    if properties is not None:
        if "markup" not in properties:
            return None
        entries = {n: json_value(properties[n], source) for n in ENTRIES if n in properties}
        return ModelFacts.read(Table(source, entries))
    data = _zipped(path, source) if path.suffix == ".tflite" else _beside(path, source)
    return None if data is None else ModelFacts.read(Table(source, json_object(data, source)))


def _zipped(path: Path, source: str) -> bytes | None:
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(FILE).file_size
            _check_size(size, source)
            return archive.read(FILE)
    except KeyError:
        return None
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{source}: {error}") from None


def _beside(path: Path, source: str) -> bytes | None:
    file = path.parent / EXTRA / FILE
    if not os.path.isfile(file):
        return None
    _check_size(file.stat().st_size, source)
    return file.read_bytes()


def _check_size(size: int, source: str) -> None:
    if size > MOST_BYTES:
        raise InputError(f"{source}: {size} bytes; it has up to {MOST_BYTES}")
