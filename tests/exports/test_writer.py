import errno
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from keypoints import pretrained
from keypoints.checks import Table
from keypoints.commands.evaluate import evaluate
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.exports import parity, writer
from keypoints.exports.int8 import quantise
from keypoints.geometry import landmark_box
from keypoints.inference.exported import load_exported
from keypoints.inference.predictor import Predictor, load_network
from keypoints.markup import IBUG68
from keypoints.models import runs
from keypoints.models.network import build_model
from keypoints.system import backend
from tests.faces import dotted_faces

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
CONFIG = Config(backbone="tiny", resolution=56, crop_scale=1.3)
RECORDS = dotted_faces(9, name="dots/validation")

BROKEN_PARTS = [
    ("formats", ["onnx"]),
    ("sha256", None),
    ("run", "me"),
    ("run", {"data": 3}),
    ("crop", {}),
    ("crop", {"frame": False, "scale": "1.4", "size": 224}),
    ("crop", {"frame": "moon", "scale": 1.4, "size": 224}),
    ("crop", {"frame": False, "scale": 1e99, "size": 224}),
    ("crop", {"frame": False, "scale": 1.4, "size": 0}),
    ("crop", {"frame": False, "scale": 1.4, "size": 112.5}),
    ("crop", {"frame": False, "scale": 1.4, "size": 10**9}),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose heat maps are random, so that its answers depend on what it sees."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    runs.start_run(run, CONFIG, {})
    model = build_model(CONFIG, IBUG68.mean * 160 + 111.5)
    kernel = model.get_layer("head_maps").kernel
    kernel.assign(np.random.default_rng(0).normal(0, 0.5, kernel.shape))
    runs.write_weights(run / runs.BEST, model)
    runs.write_half_score(run, 0.05)
    return run


@pytest.fixture(scope="module")
def exported(run):
    crops = writer.calibration_crops(RECORDS, CONFIG, 6)
    writer.export(run, run / "export", writer.FORMATS, calibration=crops)
    return run / "export"


@pytest.mark.long
def test_every_format_answers_as_the_live_model_does(run, exported):
    rows = {row.format: row for row in parity.check(run, exported, RECORDS)}
    assert set(rows) == {"live", *writer.FORMATS}
    assert not any(parity.fault(row, rows["live"]) for row in rows.values())
    assert 0 < rows["onnx"].difference < 0.01 < rows["onnx-int8"].difference < 15
    assert rows["onnx-int8"].megabytes < 0.6 * rows["onnx"].megabytes
    assert 0 < rows["weights"].difference < 0.5
    assert rows["weights"].nme == pytest.approx(rows["live"].nme, rel=1e-3)
    assert rows["weights"].megabytes < 0.6 * rows["live"].megabytes
    assert rows["savedmodel"].nme == pytest.approx(rows["live"].nme, rel=1e-3)
    assert 0 < rows["savedmodel"].difference < 0.01 and 0 < rows["litert"].difference < 0.01
    assert rows["litert"].difference < rows["litert-int8"].difference < 15
    assert rows["litert-int8"].megabytes < 0.6 * rows["litert"].megabytes
    assert 0 < rows["onnx"].rms < rows["onnx-int8"].rms < rows["onnx-int8"].difference
    text = parity.table(list(rows.values()))
    assert text.count("\n") == 7 and "onnx-int8" in text


def test_int8_rounds_what_passes_a_rectifier_once(exported):
    import onnx

    graph = onnx.load(exported / "model-int8.onnx").graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("QuantizeLinear") > 5
    for node in graph.node:
        if node.op_type in ("Relu", "Clip"):
            assert made_by[node.input[0]] != "DequantizeLinear", node.name


def test_manifest_tells_what_a_server_needs(run, exported):
    manifest = json.loads((exported / writer.MANIFEST).read_text())
    assert (
        Crop.read(Table("crop", manifest["crop"]))
        == Crop(1.3, 224)
        == Predictor.load(exported).network.crop
    )
    assert manifest["input"]["shape"] == ["batch", 224, 224, 3]
    assert manifest["run"]["weights_sha256"] == runs.weights_digest(run)
    for file, digest in manifest["sha256"].items():
        assert runs.weights_digest(exported / file) == digest
    assert "model.onnx" in manifest["sha256"] and manifest["versions"]["keras"] == keras.__version__


def test_the_face_score_of_the_run_goes_along(exported):
    for name in ("weights", "onnx"):
        assert load_exported(exported, format=name).half_score == 0.05


def test_files_alone_say_what_their_points_are(exported, tmp_path):
    """Each format, taken away from its manifest; the crop and the face score go along."""
    image, boxes = RECORDS.image(4), landmark_box(RECORDS.points[3:6])
    for name, file in writer.FORMATS.items():
        alone = tmp_path / name / file
        if (exported / file).is_dir():
            shutil.copytree(exported / file, alone)
        else:
            alone.parent.mkdir()
            shutil.copy(exported / file, alone)
        network = load_network(alone)
        assert network.markup == IBUG68 and network.crop == Crop(1.3, 224), name
        assert network.half_score == 0.05
        found = Predictor(network).predict(image, boxes)
        ours = Predictor(load_exported(exported, format=name)).predict(image, boxes)
        np.testing.assert_array_equal(found, ours)


def test_the_markup_in_a_file_is_whole_for_other_programs(exported):
    import onnx

    properties = {p.key: p.value for p in onnx.load(exported / "model.onnx").metadata_props}
    assert json.loads(properties["markup"]) == IBUG68.content()
    assert json.loads(properties["crop"])["scale"] == 1.3
    with zipfile.ZipFile(exported / "model.tflite") as archive:
        assert json.loads(archive.read("keypoints.json"))["markup"] == IBUG68.content()
    extra = exported / "savedmodel" / "assets.extra" / "keypoints.json"
    assert json.loads(extra.read_text())["markup"] == IBUG68.content()


@pytest.mark.parametrize(("entry", "value", "difference"), [
    ("markup", "wflw98", "ibug68 has 68 points, wflw98 has 98|wflw98 has 98 points, ibug68 has 68"),
    ("crop", {"frame": False, "scale": 1.4, "size": 224}, "another crop"),
    ("half_score", 0.04, "another half_score"),
])  # fmt: skip
def test_a_manifest_of_another_network_is_refused(exported, tmp_path, entry, value, difference):
    for file in ("model.onnx", "model.tflite"):
        shutil.copy(exported / file, tmp_path / file)
    manifest = json.loads((exported / writer.MANIFEST).read_text()) | {entry: value}
    (tmp_path / writer.MANIFEST).write_text(json.dumps(manifest))
    for file in ("model.onnx", "model.tflite"):
        with pytest.raises(InputError, match=f"json does not belong to {file}: ({difference})"):
            load_exported(tmp_path / file)


def test_damaged_words_in_a_file_are_refused(exported, tmp_path):
    import onnx

    model = onnx.load(exported / "model.onnx")
    for value, reason in (("{", "is not JSON"), ('{"name": "a"}', "points is missing")):
        next(p for p in model.metadata_props if p.key == "markup").value = value
        onnx.save(model, tmp_path / "model.onnx")
        with pytest.raises(InputError, match=rf"model\.onnx: what it says of itself.*{reason}"):
            load_exported(tmp_path / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(InputError, match=r"it needs the manifest\.json of its export beside it"):
        load_exported(tmp_path / "model.onnx")


def test_half_weights_are_a_run_folder_of_half_the_size(run, exported):
    half = exported / "weights"
    assert (half / runs.BEST).stat().st_size < 0.7 * (run / runs.BEST).stat().st_size
    model, config = runs.load_model(half)
    whole, _ = runs.load_model(run)
    assert config == CONFIG  # which starts from no weights
    for rounded, weight in zip(model.get_weights(), whole.get_weights()):
        assert rounded.dtype == np.float32
        np.testing.assert_allclose(rounded, weight, rtol=2**-8, atol=1e-6)  # eight bits


def test_models_that_come_along_are_known_by_name(exported, monkeypatch):
    monkeypatch.setitem(pretrained.NAMES, "pretrained", exported)
    image, boxes = RECORDS.image(4), landmark_box(RECORDS.points[3:6])
    found = Predictor.load("pretrained").predict(image, boxes)
    np.testing.assert_array_equal(found, Predictor.load(exported).predict(image, boxes))


def test_predictor_takes_the_run_the_folder_and_the_file(run, exported):
    image, boxes = RECORDS.image(4), landmark_box(RECORDS.points[3:6])
    live = Predictor.load(run).predict(image, boxes)
    for path in (exported, exported / "model.onnx", exported / "model.tflite"):
        found = Predictor.load(path).predict(image, boxes)
        np.testing.assert_allclose(found, live, atol=0.05)


def test_onnx_needs_neither_keras_nor_jax_nor_tensorflow(exported):
    code = (
        "import sys, numpy as np\n"
        "from keypoints.inference.predictor import Predictor\n"
        "predictor = Predictor.load(sys.argv[1])\n"
        "predictor.predict(np.zeros((90, 120, 3), np.uint8), np.array([[9, 9, 50, 60.0]]))\n"
        "print(sorted({'keras', 'jax', 'tensorflow'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, str(exported)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_savedmodel_needs_tensorflow_alone(exported):
    """TensorFlow itself imports JAX where it finds it, so here neither it nor Keras is found."""
    code = (
        "import sys\n"
        "sys.modules['keras'] = sys.modules['jax'] = None\n"  # any import of them now fails
        "import numpy as np, tensorflow as tf\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "for batch in (1, 5):\n"
        "    crops = np.zeros((batch, 224, 224, 3), np.float32)\n"
        "    names = sorted(model.signatures['serve'](image=crops))\n"
        "    print(model.serve(crops)['points'].shape, *names)\n"
    )
    command = [sys.executable, "-c", code, str(exported / "savedmodel")]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["(1, 136) points uncertainty", "(5, 136) points uncertainty"], done.stderr


def as_export(folder: Path, formats: dict[str, str]) -> Path:
    """`folder` with a manifest that has the right sum of each file: what anybody can write."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    manifest = {
        "crop": {"frame": False, "scale": 1.3, "size": 224},
        "formats": formats,
        "half_score": 0.05,
        "markup": IBUG68.stated(),
        "run": {"data": "mine"},
        "sha256": {p.relative_to(folder).as_posix(): runs.weights_digest(p) for p in files},
    }
    (folder / writer.MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("operation", ["WriteFile", "SaveV2", "PrintV2"])
def test_a_savedmodel_that_would_write_files_is_refused(tmp_path, operation):
    tf = backend.tensorflow()
    sprung = tmp_path / "sprung"
    act = {
        "WriteFile": lambda: tf.io.write_file(str(sprung), "sprung"),
        "SaveV2": lambda: tf.raw_ops.SaveV2(
            prefix=str(sprung), tensor_names=["t"], shape_and_slices=[""], tensors=[b"sprung"]
        ),
        "PrintV2": lambda: tf.print("sprung", output_stream=f"file://{sprung}"),
    }[operation]

    class Trap(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 224, 224, 3), tf.float32, "image")])
        def serve(self, image):
            act()
            flat = tf.reshape(image, (-1, 224 * 224 * 3))
            return {"points": flat[:, :136], "uncertainty": flat[:, :68]}

    trap = Trap()
    trap.variable = tf.Variable(1.0)
    tf.saved_model.save(trap, str(tmp_path / "savedmodel"), signatures={"serve": trap.serve})
    with pytest.raises(InputError, match=operation):
        Predictor.load(as_export(tmp_path, {"savedmodel": "savedmodel"}))
    assert not list(tmp_path.glob("sprung*"))


def test_networks_with_other_outputs_are_refused_when_they_are_loaded(exported, tmp_path):
    import onnx

    def changed(change):
        model = onnx.load(exported / "model.onnx")
        change(model.graph)
        onnx.save(model, tmp_path / "model.onnx")
        return as_export(tmp_path, {"onnx": "model.onnx"})

    def rename(**names):
        def change(graph):
            for node in [*graph.node, *graph.output]:
                if hasattr(node, "output"):
                    node.output[:] = [names.get(name, name) for name in node.output]
                else:
                    node.name = names.get(node.name, node.name)

        return change

    with pytest.raises(InputError, match="has no output 'points'; it has corners, uncertainty"):
        Predictor.load(changed(rename(points="corners")))
    swapped = changed(rename(points="uncertainty", uncertainty="points"))
    with pytest.raises(InputError, match=r"'points' has the shape \[.*68\]; \[batch, 136\] is"):
        Predictor.load(swapped)
    shutil.copy(exported / "model.tflite", tmp_path / "model.tflite")
    as_export(tmp_path, {"litert": "model.tflite"})
    assert len(Predictor.load(tmp_path / "model.tflite").predict(RECORDS.image(0), [[1, 2, 9, 9]]))
    (tmp_path / "model.tflite").write_bytes(b"no flatbuffer")
    as_export(tmp_path, {"litert": "model.tflite"})
    with pytest.raises(InputError, match=r"model\.tflite: LiteRT cannot read it"):
        Predictor.load(tmp_path)


def test_an_export_is_scored_like_a_run(run, exported, tmp_path, monkeypatch):
    monkeypatch.setattr("keypoints.data.sources.load_records", lambda *_, **__: RECORDS)
    reports = {}
    for name, model in (("run", run), ("file", exported / "model.onnx"), ("folder", exported)):
        evaluate(str(model), output=str(tmp_path / name))
        reports[name] = json.loads((tmp_path / name / "report.json").read_text())
    nme = [report["nme"]["inter_ocular"] for report in reports.values()]
    assert nme == pytest.approx([nme[0]] * 3, rel=1e-3)
    assert reports["folder"]["weights_sha256"] == reports["file"]["weights_sha256"]
    assert reports["file"]["weights_sha256"] == runs.weights_digest(exported / "model.onnx")


def test_a_failed_export_leaves_the_older_one_and_nothing_else(run, exported, tmp_path):
    output = tmp_path / "export"
    shutil.copytree(exported, output)
    before = (output / writer.MANIFEST).read_text()

    def fail(*_):
        raise InputError("no")

    with pytest.raises(InputError):
        writer.export(run, output, ["weights"], verify=fail)
    assert (output / writer.MANIFEST).read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_an_export_that_cannot_be_renamed_leaves_the_older_one(
    run, exported, tmp_path, monkeypatch
):
    output = tmp_path / "export"
    shutil.copytree(exported, output)
    before = (output / writer.MANIFEST).read_text()
    rename = os.replace

    def full(source, target):
        if Path(source).name == "export" and Path(target) == output:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(source, target)

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="No space left on device; the older export is kept"):
        writer.export(run, output, ["weights"])
    assert (output / writer.MANIFEST).read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


@pytest.mark.parametrize(
    ("format", "difference", "nme", "reason"),
    [
        ("onnx", 0.04, 5.0, ""),
        ("onnx", 0.06, 5.0, "onnx is 0.060 px off on a.png, 0.05 are allowed"),
        ("savedmodel", np.nan, np.nan, "savedmodel is nan px off"),
        ("onnx-int8", 2.0, 5.14, ""),
        ("onnx-int8", 2.0, 4.0, ""),
        ("onnx-int8", 2.0, 5.16, "has an NME of 5.16 %, the live model 5.00 %; a rise of 3 %"),
        ("onnx-int8", np.nan, np.nan, "onnx-int8 has an NME of nan %"),
        ("litert", 0.06, 5.0, "litert is 0.060 px off"),
        ("litert-int8", 2.0, 5.49, ""),
        ("litert-int8", 2.0, 5.51, "litert-int8 has an NME of 5.51 %"),
        ("weights", 0.2, 5.02, ""),
        ("weights", 0.2, 5.03, "weights has an NME of 5.03 %"),
    ],
)
def test_floats_are_judged_by_pixels_and_rounded_formats_by_their_nme(
    format, difference, nme, reason
):
    live = parity.Row("live", 1.0, 0.0, "a.png", 1.0, 5.0)
    found = parity.fault(parity.Row(format, 1.0, difference, "a.png", 1.0, nme), live)
    assert reason in found and bool(found) == bool(reason)


@pytest.mark.parametrize("value", [7e4, np.inf, np.nan])
def test_weights_beyond_float16_are_refused_by_name(tmp_path, value):
    run = tmp_path / "run"
    runs.start_run(run, CONFIG, {})
    model = build_model(CONFIG, IBUG68.mean * 160 + 111.5)
    kernel = model.get_layer("head_maps").kernel
    kernel.assign(np.full(kernel.shape, value))
    runs.write_weights(run / runs.BEST, model)
    with pytest.raises(
        InputError, match=rf"^weights cannot be made: layers/.*/vars/0 holds {value:g}"
    ):
        writer.export(run, tmp_path / "export", ["weights"])
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_missing_package_is_named_before_anything_is_done(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # as if it were not installed
    with pytest.raises(InputError, match="formats=savedmodel needs tensorflow: pip install"):
        writer.export(run, tmp_path / "x", ["savedmodel"])
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_weights_are_damaged_is_named_in_one_line(run, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(run, broken, ignore=shutil.ignore_patterns("export"))
    whole = (broken / runs.BEST).read_bytes()
    (broken / runs.BEST).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"^savedmodel cannot be made: .*best\.weights\.h5 does"):
        writer.export(broken, tmp_path / "x", ["savedmodel"])
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def test_bad_input_is_named(run, exported, tmp_path):
    with pytest.raises(InputError, match="formats=onxx: some of savedmodel, onnx, onnx-int8"):
        writer.export(run, tmp_path / "x", ["onxx"])
    with pytest.raises(InputError, match="is not a run folder"):
        writer.export(tmp_path, tmp_path / "x", ["savedmodel"])
    with pytest.raises(InputError, match="needs crops to measure ranges on"):
        quantise(exported / "model.onnx", tmp_path / "x.onnx", None)
    manifest = json.loads((exported / "manifest.json").read_text())
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"model\.onnx is damaged: its SHA-256"):
        Predictor.load(tmp_path)
    manifest["sha256"]["model.onnx"] = runs.weights_digest(tmp_path / "model.onnx")
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"model\.onnx: ONNX Runtime cannot read it"):
        Predictor.load(tmp_path)
    for file in ("../model.onnx", "/etc/passwd", "a\0b", 3):
        (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "formats": {"onnx": file}}))
        with pytest.raises(InputError, match=r"onnx=.* (leads out of the folder|text is expected)"):
            Predictor.load(tmp_path)
    for name, part in BROKEN_PARTS:
        (tmp_path / "manifest.json").write_text(json.dumps({**manifest, name: part}))
        with pytest.raises(InputError, match=rf"manifest\.json is damaged: {name}"):
            Predictor.load(tmp_path)
    for text in (b"{", b"[]", b"\xff", b"[" * 100_000):
        (tmp_path / "manifest.json").write_bytes(text)
        with pytest.raises(InputError, match=r"manifest\.json (is not JSON|holds list)"):
            Predictor.load(tmp_path)
    with pytest.raises(InputError, match="is there already and is no export"):
        (tmp_path / "mine").mkdir()
        writer.export(run, tmp_path / "mine", ["savedmodel"])
