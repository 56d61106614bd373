"""Exported models read back. ONNX needs ONNX Runtime alone; SavedModel needs TensorFlow alone."""

from pathlib import Path
from typing import Any

import numpy as np

from keypoints.checks import Table, json_object
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.estimate import UNCERTAINTY_AT_HALF_SCORE, Estimate, Predict
from keypoints.markup import read_content
from keypoints.models.runs import BEST, CONFIG, load_network, weights_digest
from keypoints.network import Network
from keypoints.system.backend import onnx_session, tensorflow
from keypoints.system.paths import stays_inside

MANIFEST = "manifest.json"
EXPECTED = "a run of `keypoints train`, or an export of `keypoints export` or an .onnx file in it"
# Operations in a SavedModel of this project: compiled arithmetic (XlaCallModule) and reading of its
# own variables. A SavedModel is a program, and other operations could access files.
OPERATIONS = {
    "AssignVariableOp",
    "Const",
    "DisableCopyOnRead",
    "Identity",
    "IdentityN",
    "MergeV2Checkpoints",
    "NoOp",
    "Pack",
    "Placeholder",
    "ReadVariableOp",
    "RestoreV2",
    "SaveV2",
    "Select",
    "ShardedFilename",
    "StatefulPartitionedCall",
    "StaticRegexFullMatch",
    "StringJoin",
    "VarHandleOp",
    "XlaCallModule",
}


def load_exported(path: Path, *, format: str | None = None, threads: int | None = None) -> Network:
    """The network of an export's folder or of one of its .onnx files.

    From a folder, `format` is read; default: the first of ONNX, int8 ONNX, SavedModel and weights.
    ONNX Runtime uses `threads` threads, by default one per core. Raises InputError without a
    manifest or a model, and for a file whose SHA-256 differs from that in the manifest.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    folder = path if path.is_dir() else path.parent
    if path.is_file() and path.suffix != ".onnx":
        raise InputError(f"model={path}: {EXPECTED} is expected")
    if path.is_file() and not (folder / MANIFEST).is_file():
        raise InputError(f"model={path}: it needs the {MANIFEST} of its export beside it")
    manifest = read_manifest(folder)
    formats = manifest["formats"]
    if path.suffix == ".onnx":
        file = path
    else:
        names = [format] if format else ["onnx", "onnx-int8", "savedmodel", "weights"]
        name = next((name for name in names if name in formats), None)
        if name is None:
            raise InputError(f"{folder} holds {', '.join(formats)}, not {' or '.join(names)}")
        file = folder / formats[name]
    if file.suffix == ".onnx":
        _check_digest(file, folder, manifest)
        return _network(_onnx(file, threads), manifest, file)
    if (file / BEST).exists():
        for part in (file / CONFIG, file / BEST):
            _check_digest(part, folder, manifest)
        return load_network(file)
    weights = file / "variables" / "variables.data-00000-of-00001"
    for part in (weights, file / "saved_model.pb"):
        _check_digest(part, folder, manifest)
    return _network(_savedmodel(file), manifest, weights)


def _network(predict: Predict, manifest: dict[str, Any], file: Path) -> Network:
    crop = Crop.read(Table("crop", manifest["crop"]))
    markup = read_content(manifest["markup"], "markup")
    half_score = manifest.get("half_score", UNCERTAINTY_AT_HALF_SCORE)
    data = manifest["run"]["data"]
    return Network(predict, crop, file, data, markup=markup, half_score=half_score)


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


def _onnx(path: Path, threads: int | None) -> Predict:
    try:
        session = onnx_session(str(path), threads=threads)
    except ImportError:
        raise InputError(f"{path}: reading it needs `pip install onnxruntime`") from None
    except Exception as error:  # ONNX Runtime has no public base class of its errors
        raise InputError(f"{path}: ONNX Runtime cannot read it: {error}") from None

    def predict(crops: np.ndarray) -> Estimate:
        points, uncertainty = session.run(
            ["points", "uncertainty"], {"image": crops.astype(np.float32)}
        )
        return Estimate(points.reshape(len(points), -1, 2), uncertainty)

    return predict


def _savedmodel(folder: Path) -> Predict:
    try:
        tf = tensorflow()
        from tensorflow.core.protobuf import saved_model_pb2
    except ImportError:
        raise InputError(f"{folder}: reading it needs TensorFlow") from None
    try:
        program = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        graphs = [part.graph_def for part in program.meta_graphs]
        nodes = [node for graph in graphs for node in graph.node]
        nodes += [n for graph in graphs for f in graph.library.function for n in f.node_def]
        strange = {node.op for node in nodes} - OPERATIONS
        if strange:
            raise InputError(f"{folder} holds what no export of ours does: {', '.join(strange)}")
        model = tf.saved_model.load(str(folder))
    except InputError:
        raise
    except Exception as error:  # protobuf's and TensorFlow's errors share no other base
        raise InputError(f"{folder}: TensorFlow cannot read it: {error}") from None

    def predict(crops: np.ndarray) -> Estimate:
        found = model.serve(crops.astype(np.float32))
        points = np.asarray(found["points"])
        return Estimate(points.reshape(len(points), -1, 2), np.asarray(found["uncertainty"]))

    return predict
