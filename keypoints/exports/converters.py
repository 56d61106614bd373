"""A run's network as SavedModel, ONNX and LiteRT, all of them from Keras' TensorFlow backend.

The weights are the same on each backend. From JAX, a SavedModel holds JAX's convolutions, which are
several times as slow, ONNX Runtime refuses the file of a ResNet50, and there is no LiteRT.
"""

from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keypoints.geometry import CROP
from keypoints.models import runs
from keypoints.system.backend import tensorflow
from keypoints.system.processes import run_python

if TYPE_CHECKING:
    import keras

ONNX_OPSET = 17


def convert(run: Path, files: dict[str, Path]) -> None:
    """Write `files`, a path for each of some formats of `WRITERS`, from a run's best weights.

    A process of its own does it, since Keras has one backend in a process. Raises InputError if it
    fails.
    """
    code = "import sys; from keypoints.exports.converters import in_child; in_child(*sys.argv[1:])"
    pairs = [text for name, path in files.items() for text in (name, str(path))]
    failure = f"{', '.join(files)} cannot be made"
    run_python(code, str(run), *pairs, failure=failure, KERAS_BACKEND="tensorflow")


def in_child(run: str, *pairs: str) -> None:
    """The child's part of `convert`: `pairs` are formats, each followed by its path."""
    tensorflow()
    model, _ = runs.load_model(Path(run))
    for name, path in zip(pairs[::2], pairs[1::2]):
        WRITERS[name](model, Path(path))


def _write_savedmodel(model: "keras.Model", folder: Path) -> None:
    """A SavedModel with the endpoint `serve`: a graph of constants, without variables."""
    tf = tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    outputs = itemgetter("points", "uncertainty")
    found = tf.function(lambda image: outputs(model(image, training=False)))
    frozen = convert_variables_to_constants_v2(found.get_concrete_function(_image()))

    @tf.function(input_signature=[_image()])
    def serve(image: Any) -> dict[str, Any]:
        points, uncertainty = frozen(image)
        return {"points": points, "uncertainty": uncertainty}

    served = tf.Module()
    served.serve = serve
    signatures = {"serve": serve, "serving_default": serve}
    tf.saved_model.save(served, str(folder), signatures=signatures)


def _write_onnx(model: "keras.Model", path: Path) -> None:
    import onnx
    import tf2onnx

    tf = tensorflow()
    serve = tf.function(lambda image: model(image, training=False))
    proto, _ = tf2onnx.convert.from_function(serve, [_image()], opset=ONNX_OPSET)
    onnx.checker.check_model(proto)
    onnx.save(proto, path)


def _write_litert(model: "keras.Model", path: Path, **options: Any) -> None:
    builtin = {"supported_ops": [tensorflow().lite.OpsSet.TFLITE_BUILTINS]}  # all that phones have
    model.export(path, format="litert", verbose=False, target_spec=builtin, **options)


def _write_litert_int8(model: "keras.Model", path: Path) -> None:
    """Weights in eight bits; the runtime rounds what enters a layer by the range it has then."""
    _write_litert(model, path, optimizations=[tensorflow().lite.Optimize.DEFAULT])


def _image() -> Any:
    tf = tensorflow()
    return tf.TensorSpec((None, CROP, CROP, 3), tf.float32, name="image")


WRITERS = {
    "savedmodel": _write_savedmodel,
    "onnx": _write_onnx,
    "litert": _write_litert,
    "litert-int8": _write_litert_int8,
}
