"""Exported models read back, each with its runtime alone: ONNX Runtime, TensorFlow or LiteRT."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keypoints.checks import Table, json_object
from keypoints.errors import InputError
from keypoints.estimate import Estimate
from keypoints.geometry import CROP
from keypoints.inference.model_facts import ModelFacts, read_facts
from keypoints.inference.safe_graph import safe_graph
from keypoints.models.runs import BEST, CONFIG, load_network, weights_digest
from keypoints.network import Network
from keypoints.system.backend import onnx_session, tensorflow
from keypoints.system.paths import stays_inside

MANIFEST, SAVED_MODEL = "manifest.json", "saved_model.pb"
# Formats of an export in the order in which one is chosen.
ORDER = ["onnx", "onnx-int8", "litert", "savedmodel", "litert-int8", "weights"]
# From crops `(b, 224, 224, 3)` float32 to flat points `(b, 2 k)` and uncertainties `(b, k)`.
Run = Callable[[np.ndarray], Sequence[np.ndarray]]
FILES = (".onnx", ".tflite")  # that can be named by themselves
EXPECTED = "a run of `keypoints train`, or an export of `keypoints export` or a file of it"


def load_exported(path: Path, *, format: str | None = None, threads: int | None = None) -> Network:
    """The network of an export's folder, or of a .onnx or .tflite file or a SavedModel in it.

    From a folder, `format` is read; default: the first of `ORDER`. ONNX Runtime and LiteRT use
    `threads` threads, by default one per core and one. A file or SavedModel without a manifest
    beside it says itself what its points are. Raises InputError where neither does or the two
    differ, without a model, for a file whose SHA-256 differs from that in the manifest, and for a
    network whose input or outputs are not those of its markup.
    """
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file or folder")
    if os.path.isfile(path) and path.suffix not in FILES:
        raise InputError(f"model={path}: {EXPECTED} is expected")
    one = os.path.isfile(path) or os.path.isfile(path / SAVED_MODEL)
    folder = path.parent if one else path
    told, file = None, path
    if os.path.isfile(folder / MANIFEST) or not one:
        manifest = read_manifest(folder)
        told = ModelFacts.read(Table(str(folder / MANIFEST), manifest))
        file = path if one else folder / _chosen(folder, manifest["formats"], format)
        if os.path.exists(file / BEST):
            for part in (file / CONFIG, file / BEST):
                _check_digest(part, folder, manifest)
            return load_network(file)
        _check_digest(_model_file(file), folder, manifest)
    file = _model_file(file)
    reader = {".onnx": _onnx, ".tflite": _litert}.get(file.suffix, _savedmodel)
    opened = reader(file, threads)
    own = opened.facts
    facts = told or own
    if facts is None:
        raise InputError(f"model={path}: it needs the {MANIFEST} of its export beside it")
    if own and (difference := facts.difference(own)):
        raise InputError(f"{folder / MANIFEST} does not belong to {file.name}: {difference}")
    _check_shapes(file, opened, 2 * facts.markup.count)
    run = opened.start()

    def predict(crops: np.ndarray) -> Estimate:
        points, uncertainty = run(crops.astype(np.float32))
        return Estimate(points.reshape(len(points), -1, 2), uncertainty)

    return Network(predict, facts.crop, file, facts.trained_on, facts.markup, facts.half_score)


def _model_file(path: Path) -> Path:
    return path / SAVED_MODEL if os.path.isdir(path) else path


def _chosen(folder: Path, formats: dict[str, str], format: str | None) -> str:
    names = [format] if format else ORDER
    name = next((name for name in names if name in formats), None)
    if name is None:
        raise InputError(f"{folder} holds {', '.join(formats)}, not {' or '.join(names)}")
    return formats[name]


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an export; raises InputError where there is none, or a damaged one."""
    path = folder / MANIFEST
    if not os.path.isfile(path):
        raise InputError(
            f"{folder} is neither a run folder nor an export (it has no config.json and no "
            f"{MANIFEST}); {EXPECTED} is expected"
        )
    manifest = json_object(path.read_bytes(), str(path))
    damaged = Table(f"{path} is damaged", manifest)
    formats = damaged.table("formats")
    damaged.table("sha256")
    for name in formats.content:
        if not stays_inside(file := formats.text(name)):
            raise InputError(f"{formats.name}: {name}={file!r} leads out of the folder")
    ModelFacts.read(damaged)
    return manifest


def _check_digest(file: Path, folder: Path, manifest: dict[str, Any]) -> None:
    name = file.relative_to(folder).as_posix()
    if not os.path.isfile(file):
        raise InputError(f"{file}: no such file")
    if name not in manifest["sha256"]:
        raise InputError(f"{folder / MANIFEST} has no entry for {name}")
    if weights_digest(file) != manifest["sha256"][name]:
        raise InputError(f"{file} is damaged: its SHA-256 is not that of {MANIFEST}")


class _Opened(NamedTuple):
    """A model file: shapes of its inputs and outputs by name, and what it says of itself."""

    inputs: dict[str, list]
    outputs: dict[str, list]
    facts: ModelFacts | None
    start: Callable[[], Run]


def _onnx(path: Path, threads: int | None) -> _Opened:
    try:
        session = onnx_session(str(path), threads=threads)
    except ImportError:
        raise InputError(f"{path}: reading it needs `pip install onnxruntime`") from None
    except Exception as error:  # ONNX Runtime has no public base class of its errors
        raise InputError(f"{path}: ONNX Runtime cannot read it: {error}") from None
    inputs = {item.name: item.shape for item in session.get_inputs()}
    outputs = {item.name: item.shape for item in session.get_outputs()}
    facts = read_facts(path, session.get_modelmeta().custom_metadata_map)
    names = ["points", "uncertainty"]
    return _Opened(inputs, outputs, facts, lambda: lambda x: session.run(names, {"image": x}))


def _litert(path: Path, threads: int | None) -> _Opened:
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
    one_at_a_time = threading.Lock()  # an interpreter holds one batch

    def run(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with one_at_a_time:
            found = runner(image=crops)
        return found["points"], found["uncertainty"]

    return _Opened(inputs, outputs, read_facts(path), lambda: run)


def _savedmodel(path: Path, threads: int | None) -> _Opened:
    try:
        tf = tensorflow()
    except ImportError:
        raise InputError(f"{path}: reading it needs TensorFlow") from None
    graph, inputs, outputs = safe_graph(path)

    def start() -> Run:
        try:
            loaded = tf.compat.v1.wrap_function(
                lambda: tf.graph_util.import_graph_def(graph, name=""), []
            )
            names = [outputs[name][0] for name in ("points", "uncertainty")]
            serve = loaded.prune(inputs["image"][0], names)
        except Exception as error:  # TensorFlow's errors have no common base
            raise InputError(f"{path}: TensorFlow cannot read it: {error}") from None
        return lambda crops: tuple(np.asarray(part) for part in serve(tf.constant(crops)))

    shapes = [{name: shape for name, (_, shape) in ends.items()} for ends in (inputs, outputs)]
    return _Opened(shapes[0], shapes[1], read_facts(path), start)


def _check_shapes(path: Path, opened: _Opened, numbers: int) -> None:
    """Raise InputError for a network of other input or outputs than its markup has."""
    expected = {
        "input": (opened.inputs, {"image": [CROP, CROP, 3]}),
        "output": (opened.outputs, {"points": [numbers], "uncertainty": [numbers // 2]}),
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
