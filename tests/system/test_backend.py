import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from keypoints.errors import InputError
from keypoints.system import backend, folders

ROOT = Path(__file__).parents[2]


def python(script: str, **environment: str) -> str:
    """What a script prints in a process that has nothing of the environment but PATH."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_importing_is_quick_and_changes_nothing(tmp_path):
    script = """
import os, time
before, start = dict(os.environ), time.process_time()
import keypoints
print(time.process_time() - start < 0.1, dict(os.environ) == before)
"""
    assert python(script, HOME=str(tmp_path)) == "True True"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_backend_is_named(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jaks")
    with pytest.raises(InputError, match="KERAS_BACKEND=jaks: one of jax, tensorflow, torch"):
        backend.configure()


@pytest.mark.parametrize(
    ("variable", "keras_json", "expected"),
    [
        ("", None, "jax"),
        ("", backend.KERAS_OWN_CHOICE, "jax"),
        ("", {**backend.KERAS_OWN_CHOICE, "backend": "torch"}, "torch"),
        ("", {"backend": "tensorflow"}, "tensorflow"),
        ("", [], "jax"),
        ("tensorflow", {"backend": "torch"}, "tensorflow"),
    ],
)
def test_jax_unless_the_user_chose_otherwise(variable, keras_json, expected, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", variable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if keras_json is not None:
        (tmp_path / "keras.json").write_text(json.dumps(keras_json))
    backend.configure()
    assert backend.keras_backend() == expected


def test_the_users_folder_of_keras_is_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    for name in ("KERAS_BACKEND", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text('{"backend": "torch"}')
    backend.configure()
    assert backend.keras_backend() == "torch" and "KERAS_BACKEND" not in os.environ


def test_a_keras_that_is_imported_already_stands(monkeypatch):
    keras = SimpleNamespace(config=SimpleNamespace(backend=lambda: "torch"))
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    backend.configure()
    assert backend.keras_backend() == "torch" and "KERAS_BACKEND" not in os.environ


def test_settings_of_the_user_stand(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "7")
    backend.configure()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0" and os.environ["TF_ENABLE_ONEDNN_OPTS"] == "7"


def test_keras_runs_on_what_configure_chose_and_its_own_file_is_no_choice(tmp_path):
    script = "from keypoints.system import backend; backend.configure(); import keras; "
    script += "print(keras.config.backend())"
    assert python(script, KERAS_HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path)) == "jax"
    written = json.loads((tmp_path / "keras.json").read_text())
    assert written == backend.KERAS_OWN_CHOICE


@pytest.mark.parametrize(
    ("name", "hidden"), [("jax", ["GPU"]), ("torch", ["GPU"]), ("tensorflow", [])]
)
def test_tensorflow_sees_no_gpu_where_keras_runs_on_another(name, hidden, monkeypatch):
    calls = []
    module = SimpleNamespace(
        config=SimpleNamespace(set_visible_devices=lambda devices, kind: calls.append(kind))
    )
    monkeypatch.setitem(sys.modules, "tensorflow", module)
    monkeypatch.setattr(backend, "keras_backend", lambda: name)
    assert backend.tensorflow() is module and calls == hidden


def test_a_tensorflow_that_runs_already_keeps_its_devices(monkeypatch):
    def refuse(devices, kind):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    module = SimpleNamespace(config=SimpleNamespace(set_visible_devices=refuse))
    monkeypatch.setitem(sys.modules, "tensorflow", module)
    monkeypatch.setattr(backend, "keras_backend", lambda: "jax")
    assert backend.tensorflow() is module


def test_onnx_runtime_reports_nothing_to_its_maker(tmp_path):
    model = ROOT / "keypoints" / "pretrained" / "small" / "model-int8.onnx"
    script = (
        "from keypoints.system import backend; "
        f"backend.onnxruntime().InferenceSession({str(model)!r})"
    )
    python(script, HOME=str(tmp_path))
    assert list(tmp_path.iterdir()) == []  # it keeps an identifier of the user there


def test_a_machine_without_a_home_folder(tmp_path, monkeypatch):
    def none():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    monkeypatch.setattr(folders.tempfile, "gettempdir", lambda: str(tmp_path))
    for name in ("XDG_CACHE_HOME", "TFDS_DATA_DIR", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    own = tmp_path / f"keypoints-{os.getuid()}"
    assert folders.cache_folder() == own / ".cache" / "keypoints"
    assert folders.data_folder() == own / "tensorflow_datasets"
    backend.configure()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ and list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jax", "tensorflow", "torch"])
def test_devices_of_every_backend(name, monkeypatch):
    pytest.importorskip(name)
    monkeypatch.setattr(backend, "keras_backend", lambda: name)
    assert "cpu" in [device.lower() for device in backend.devices(timeout=120)]


def test_devices_of_a_backend_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(backend, "keras_backend", lambda: "jax")
    monkeypatch.setitem(backend._DEVICES, "jax", "1 / 0")
    with pytest.raises(InputError, match=r"^no devices of jax: ZeroDivisionError"):
        backend.devices()
