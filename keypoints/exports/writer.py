"""A trained run as files for serving: SavedModel, ONNX, LiteRT, int8 versions, float16 weights.

Each takes RGB crops `(b, 224, 224, 3)` with values 0 to 255 under the name `image`, any batch size,
and returns `points` `(b, 136)` in crop pixels and `uncertainty` `(b, 68)`, the expected absolute
error of the coordinates of each point.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from keypoints import config as configs
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.data.records import Records
from keypoints.errors import InputError
from keypoints.exports import converters
from keypoints.exports.int8 import quantise
from keypoints.geometry import CROP
from keypoints.inference.exported import MANIFEST
from keypoints.inference.model_facts import write_facts
from keypoints.models import runs
from keypoints.system.atomic import write_text
from keypoints.system.extras import install_command, installed_version

# File or folder of each format within an export.
FORMATS = {
    "savedmodel": "savedmodel",
    "onnx": "model.onnx",
    "onnx-int8": "model-int8.onnx",
    "litert": "model.tflite",
    "litert-int8": "model-int8.tflite",
    "weights": "weights",
}


def export(
    run: str | Path,
    output: str | Path,
    formats: Iterable[str],
    *,
    calibration: np.ndarray | None = None,
    int8: Path | None = None,
    verify: Callable[[Path], dict[str, Any]] = lambda folder: {},
) -> dict[str, Any]:
    """Write `formats` of a run's best weights and their manifest into the folder `output`.

    The folder appears when everything is written and `verify(folder)` has returned the `metrics` of
    the manifest. An older export is replaced at that moment, and kept if anything fails. For the
    format onnx-int8, `calibration` are `(n, 224, 224, 3)` uint8 training crops, or `int8` is the
    finished file of these weights. Returns the manifest. Raises InputError for an unknown format,
    a damaged run, and an `output` that holds something else.
    """
    run, output, formats = Path(run), Path(output), list(formats)
    check_formats(formats)
    config = runs.load_config(run)
    if output.exists() and not (output / MANIFEST).is_file():
        raise InputError(f"output={output} is there already and is no export; name another")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as name:
        folder = Path(name) / "export"
        folder.mkdir()
        _write(run, folder, formats, calibration, int8)
        manifest = _manifest(run, config, formats)
        for kind in formats:
            if kind != "weights":  # a run folder, with its own markup.toml
                write_facts(folder / FORMATS[kind], manifest, runs.load_markup(run))
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        manifest["sha256"] = {
            p.relative_to(folder).as_posix(): runs.weights_digest(p) for p in files
        }
        write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
        manifest["metrics"] = verify(folder)
        write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
        _replace(output, folder, aside=Path(name) / "older")
    return manifest


def check_formats(formats: list[str]) -> None:
    """Raise InputError for a name that is not of `FORMATS`, and for packages that are missing."""
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"formats={name}: some of {', '.join(FORMATS)} are expected")
    needed = ["tensorflow"]
    if any(name.startswith("onnx") for name in formats):
        needed += ["tf2onnx", "onnx", "onnxruntime"]
    if any(name.startswith("litert") for name in formats):
        needed += ["ai_edge_litert"]
    missing = [package for package in needed if find_spec(package) is None]
    if missing:
        raise InputError(
            f"formats={','.join(formats)} needs {', '.join(missing)}: {install_command('export')}"
        )


def _write(
    run: Path,
    folder: Path,
    formats: list[str],
    calibration: np.ndarray | None,
    int8: Path | None,
) -> None:
    """Write all of `formats` into `folder`."""
    converted = [name for name in converters.WRITERS if name in formats]
    round_here = "onnx-int8" in formats and int8 is None
    if round_here and "onnx" not in formats:
        converted.append("onnx")
    if converted:
        converters.convert(run, {name: folder / FORMATS[name] for name in converted})
    if round_here:
        quantise(folder / FORMATS["onnx"], folder / FORMATS["onnx-int8"], calibration)
    elif "onnx-int8" in formats and int8 is not None:
        shutil.copy(int8, folder / FORMATS["onnx-int8"])
    if "weights" in formats:
        write_half_weights(run, folder / FORMATS["weights"])
    if "onnx" not in formats:
        (folder / FORMATS["onnx"]).unlink(missing_ok=True)


def _replace(output: Path, folder: Path, *, aside: Path) -> None:
    """Rename `folder` to `output`; an older `output` goes to `aside`, or stays if that fails."""
    older = output.exists()
    if older:
        os.replace(output, aside)
    try:
        os.replace(folder, output)
    except OSError as error:
        if older:
            os.replace(aside, output)
        kept = "; the older export is kept" if older else ""
        raise InputError(f"cannot write {output}: {error.strerror}{kept}") from error


def calibration_crops(records: Records, config: Config, count: int) -> np.ndarray:
    """Up to `count` crops `(n, 224, 224, 3)` uint8, spread evenly over `records`, not augmented."""
    matrices = Crop.of(config).matrices(records.boxes, shapes=records.shapes)
    chosen = np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)
    return np.stack([records.crop(i, matrices[i]) for i in chosen])


def write_half_weights(run: Path, folder: Path) -> None:
    """A run folder with only the config and the best weights, in float16: a third of the size.

    Weights are rounded to eight significant bits, as in bfloat16, and compressed. The initial
    weights of the run are not named: they may be a path of this machine.
    """
    import h5py

    folder.mkdir()
    config = configs.replace(runs.load_config(run), {"weights": "none"})
    write_text(folder / runs.CONFIG, configs.to_json(config))
    write_text(folder / runs.MARKUP, runs.load_markup(run).to_toml())
    runs.write_half_score(folder, runs.load_half_score(run))
    with h5py.File(run / runs.BEST) as source, h5py.File(folder / runs.BEST, "w") as target:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                pressed = {"compression": "gzip", "shuffle": True} if item.shape else {}
                target.create_dataset(name, data=_rounded(item[()], name), **pressed)
            else:
                target.require_group(name)
            target[name].attrs.update(item.attrs)

        source.visititems(copy)


def _rounded(values: np.ndarray, name: str) -> np.ndarray:
    """`values` to the nearest with eight significant bits, as float16.

    Raises InputError, with the `name` of the variable, where one is beyond float16 or not finite.
    """
    bits = np.asarray(values, np.float32).view(np.uint32)
    rounded = ((bits + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)
    beyond = ~(np.abs(rounded) <= np.finfo(np.float16).max)
    if beyond.any():
        raise InputError(
            f"weights cannot be made: {name} holds {np.asarray(values)[beyond][0]:g}, and float16 "
            f"ends at {np.finfo(np.float16).max:g}; export another format"
        )
    return rounded.astype(np.float16)


def _manifest(run: Path, config: Config, formats: list[str]) -> dict[str, Any]:
    packages = ("keras", "tensorflow-cpu", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")
    markup = runs.load_markup(run)
    return {
        "formats": {name: FORMATS[name] for name in formats},
        "input": {"name": "image", "shape": ["batch", CROP, CROP, 3], "type": "float32",
                  "values": "RGB, 0 to 255; the model normalises them itself"},
        "output": {"name": "points", "shape": ["batch", 2 * markup.count], "type": "float32",
                   "values": "x0, y0, x1, y1, .. of the markup, pixels of the crop"},
        "uncertainty": {"name": "uncertainty", "shape": ["batch", markup.count], "type": "float32",
                        "values": "mean absolute error to expect of a point's x and y, pixels of "
                                  "the crop"},
        "markup": markup.stated(),
        "crop": {**vars(Crop.of(config)),
                 "box": "left, top, width, height of the face; the crop is a square around "
                        "its centre, scale times its longer side"},
        "half_score": runs.load_half_score(run),
        "normaliser": markup.normaliser,
        "run": {"name": run.name, "data": config.data, "train_split": config.train_split,
                "weights_sha256": runs.weights_digest(run)},
        "onnx": {"opset": converters.ONNX_OPSET,
                 "producer": f"tf2onnx {installed_version('tf2onnx')}"},
        "versions": {name: installed_version(name) for name in packages},
        "licence": "code MIT; weights as the terms of the training images allow: those of YouTube "
                   "Faces, 300-W (LFPW, HELEN, AFW) and AFLW2000-3D, with points of MERL-RAV, are "
                   "for research only",
    }  # fmt: skip
