"""keypoints doctor, in this environment and in a broken one."""

import subprocess
import sys
from pathlib import Path

import keypoints
from keypoints.commands import doctor
from keypoints.system.extras import install_command

ROOT = Path(__file__).parents[2]
PARTS = ("keypoints", "Python", "system", "packages", "backend", "devices", "cameras",
         "video encoders", "detectors", "models", "folders")  # fmt: skip


def parts(printed: str) -> dict[str, list[str]]:
    """The lines of each part."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in printed.splitlines():
        name = line[:14].strip() or name
        found.setdefault(name, []).append(line[16:])
    return found


def test_it_tells_what_is_installed(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("keypoints.system.backend.devices", lambda: ["cpu", "NVIDIA H100"])
    monkeypatch.setattr("keypoints.media.cameras.local_cameras", lambda: {0: True, 3: False})
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    doctor.doctor()
    found = parts(capsys.readouterr().out)
    assert tuple(found) == PARTS
    assert found["keypoints"] == [f"{keypoints.__version__} in {ROOT / 'keypoints'}"]
    assert found["devices"] == ["cpu", "NVIDIA H100"]
    assert found["cameras"] == ["0 opens", "3 does not open"]
    assert found["video encoders"] == ["libx264 ok, libvpx-vp9 ok, mpeg4 ok"]
    detectors = ["compact ok", "centerface ok", "haar ok", "yunet not downloaded yet"]
    assert found["detectors"] == detectors
    assert found["models"] == ["pretrained ok", "pretrained-small ok"]
    assert found["folders"][:2] == [
        f"data sets: {tmp_path / 'sets'}", f"downloads: {tmp_path / 'cache' / 'keypoints'}"
    ]  # fmt: skip


def test_a_broken_installation_is_told_and_is_no_failure(tmp_path):
    """Nothing that is compiled can be imported, no model is where it should be."""
    code = (
        "import sys\n"
        "for name in ('numpy', 'cv2', 'av', 'onnxruntime', 'keras', 'jax'):\n"
        "    sys.modules[name] = None\n"
        "from pathlib import Path; from keypoints import pretrained\n"
        "pretrained.NAMES = {'pretrained': Path('nowhere')}\n"
        "from keypoints.commands.cli import main\n"
        "sys.argv = ['keypoints', 'doctor']\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""
    found = parts(done.stdout)
    assert tuple(found) == PARTS
    assert found["backend"] == ["none: Keras is not installed; predictions do not need it"]
    assert found["devices"] == ["none"]
    for name in ("cameras", "video encoders", "detectors"):
        assert found[name][0].startswith("failed: ModuleNotFoundError: import of "), name
    assert found["models"][0].startswith("failed: FileNotFoundError: ")
    assert found["folders"][0] == f"data sets: {tmp_path / 'tensorflow_datasets'}"


def test_missing_packages_name_their_extra(monkeypatch, capsys):
    monkeypatch.setattr(
        "keypoints.system.extras.installed_version", lambda name: "1" * (name != "onnx")
    )
    (line,) = [line for line in doctor._packages() if line.startswith("extra export")]
    found = "onnx missing, tf2onnx 1, ai-edge-litert 1"
    assert line == f"extra export: {found} ({install_command('export')})"
