"""Exported models read back, each with its runtime alone: ONNX Runtime, TensorFlow or LiteRT."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.checks import Table, json_object
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.estimate import UNCERTAINTY_AT_HALF_SCORE, Estimate
from keypoints.geometry import CROP
from keypoints.inference.safe_graph import safe_graph
from keypoints.markup import read_content
from keypoints.models.runs import BEST, CONFIG, load_network, weights_digest
from keypoints.network import Network
from keypoints.system.backend import onnx_session, tensorflow
from keypoints.system.paths import stays_inside

MANIFEST = "manifest.json"
# Formats of an export in the order in which one is chosen.
ORDER = ["onnx", "onnx-int8", "litert", "savedmodel", "litert-int8", "weights"]
# From crops `(b, 224, 224, 3)` float32 to flat points `(b, 2 k)` and uncertainties `(b, k)`.
Run = Callable[[np.ndarray], Sequence[np.ndarray]]
FILES = (".onnx", ".tflite")  # that can be named by themselves
EXPECTED = "a run of `keypoints train`, or an export of `keypoints export` or a file of it"


def load_exported(path: Path, *, format: str | None = None, threads: int | None = None) -> Network:
    """The network of an export's folder or of one of its .onnx and .tflite files.

    From a folder, `format` is read; default: the first of `ORDER`. ONNX Runtime and LiteRT use
    `threads` threads, by default one per core and one. Raises InputError without a manifest or a
    model, for a file whose SHA-256 differs from that in the manifest, and for a network whose
    input or outputs are not those of the manifest.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    folder = path if path.is_dir() else path.parent
    if path.is_file() and path.suffix not in FILES:
        raise InputError(f"model={path}: {EXPECTED} is expected")
    if path.is_file() and not (folder / MANIFEST).is_file():
        raise InputError(f"model={path}: it needs the {MANIFEST} of its export beside it")
    manifest = read_manifest(folder)
    file = path if path.is_file() else folder / _chosen(folder, manifest["formats"], format)
    if (file / BEST).exists():
        for part in (file / CONFIG, file / BEST):
            _check_digest(part, folder, manifest)
        return load_network(file)
    file = file / "saved_model.pb" if file.is_dir() else file
    _check_digest(file, folder, manifest)
    markup = read_content(manifest["markup"], "markup")
    reader = {".onnx": _onnx, ".tflite": _litert}.get(file.suffix, _savedmodel)
    run = reader(file, 2 * markup.count, threads)

    def predict(crops: np.ndarray) -> Estimate:
        points, uncertainty = run(crops.astype(np.float32))
        return Estimate(points.reshape(len(points), -1, 2), uncertainty)

    crop = Crop.read(Table("crop", manifest["crop"]))
    half_score = manifest.get("half_score", UNCERTAINTY_AT_HALF_SCORE)
    data = manifest["run"]["data"]
    return Network(predict, crop, file, data, markup=markup, half_score=half_score)


def _chosen(folder: Path, formats: dict[str, str], format: str | None) -> str:
    names = [format] if format else ORDER
    name = next((name for name in names if name in formats), None)
    if name is None:
        raise InputError(f"{folder} holds {', '.join(formats)}, not {' or '.join(names)}")
    return formats[name]


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an export; raises InputError where there is none, or a damaged one."""
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(
            f"{folder} is neither a run folder nor an export (it has no config.json and no "
            f"{MANIFEST}); {EXPECTED} is expected"
        )
    manifest = json_object(path.read_bytes(), str(path))
    damaged = Table(f"{path} is damaged", manifest)
    formats, run, crop = (damaged.table(name) for name in ("formats", "run", "crop"))
    damaged.table("sha256")
    run.text("data")
    for name in formats.content:
        if not stays_inside(file := formats.text(name)):
            raise InputError(f"{formats.name}: {name}={file!r} leads out of the folder")
    Crop.read(crop)
    read_content(damaged.take("markup"), f"{damaged.name}: markup")
    if "half_score" in manifest:  # an older one has the usual one
        damaged.number("half_score", low=1e-6, high=1e6)
    return manifest


def _check_digest(file: Path, folder: Path, manifest: dict[str, Any]) -> None:
    name = file.relative_to(folder).as_posix()
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    if name not in manifest["sha256"]:
        raise InputError(f"{folder / MANIFEST} has no entry for {name}")
    if weights_digest(file) != manifest["sha256"][name]:
        raise InputError(f"{file} is damaged: its SHA-256 is not that of {MANIFEST}")


def _onnx(path: Path, numbers: int, threads: int | None) -> Run:
    try:
        session = onnx_session(str(path), threads=threads)
    except ImportError:
        raise InputError(f"{path}: reading it needs `pip install onnxruntime`") from None
    except Exception as error:  # ONNX Runtime has no public base class of its errors
        raise InputError(f"{path}: ONNX Runtime cannot read it: {error}") from None
    inputs = {item.name: item.shape for item in session.get_inputs()}
    outputs = {item.name: item.shape for item in session.get_outputs()}
    _check_shapes(path, inputs, outputs, numbers)
    return lambda crops: session.run(["points", "uncertainty"], {"image": crops})


def _litert(path: Path, numbers: int, threads: int | None) -> Run:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise InputError(f"{path}: reading it needs `pip install ai-edge-litert`") from None
    try:
        interpreter = Interpreter(str(path), num_threads=threads)
        runner = interpreter.get_signature_runner()
        inputs, outputs = (
            {name: list(item["shape_signature"]) for name, item in details.items()}
            for details in (runner.get_input_details(), runner.get_output_details())
        )
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path}: LiteRT cannot read it: {error}") from None
    _check_shapes(path, inputs, outputs, numbers)
    one_at_a_time = threading.Lock()  # an interpreter holds one batch

    def run(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with one_at_a_time:
            found = runner(image=crops)
        return found["points"], found["uncertainty"]

    return run


def _savedmodel(path: Path, numbers: int, threads: int | None) -> Run:
    try:
        tf = tensorflow()
    except ImportError:
        raise InputError(f"{path}: reading it needs TensorFlow") from None
    graph, inputs, outputs = safe_graph(path)
    shapes = [{name: shape for name, (_, shape) in ends.items()} for ends in (inputs, outputs)]
    _check_shapes(path, shapes[0], shapes[1], numbers)
    try:
        loaded = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(graph, name=""), []
        )
        names = [outputs[name][0] for name in ("points", "uncertainty")]
        serve = loaded.prune(inputs["image"][0], names)
    except Exception as error:  # TensorFlow's errors have no common base
        raise InputError(f"{path}: TensorFlow cannot read it: {error}") from None
    return lambda crops: tuple(np.asarray(part) for part in serve(tf.constant(crops)))


def _check_shapes(
    path: Path, inputs: dict[str, list], outputs: dict[str, list], numbers: int
) -> None:
    """Raise InputError for a network of other input or outputs than the manifest's markup has."""
    expected = {
        "input": (inputs, {"image": [CROP, CROP, 3]}),
        "output": (outputs, {"points": [numbers], "uncertainty": [numbers // 2]}),
    }
    for kind, (found, wanted) in expected.items():
        for name, sizes in wanted.items():
            if name not in found:
                raise InputError(f"{path} has no {kind} {name!r}; it has {', '.join(found)}")
            if list(found[name][1:]) != sizes:
                raise InputError(
                    f"{path}: {kind} {name!r} has the shape {list(found[name])}; "
                    f"[batch, {', '.join(map(str, sizes))}] is expected"
                )
