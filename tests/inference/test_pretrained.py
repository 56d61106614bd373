"""The models that come with the package: whole, small enough, and right about faces."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from keypoints import metrics, pretrained
from keypoints.geometry import landmark_box
from keypoints.inference.exported import MANIFEST
from keypoints.inference.predictor import Predictor
from keypoints.media.pictures import decode_picture
from keypoints.models import runs
from keypoints.pretrained import NAMES, damaged_files
from keypoints.synthetic.drawing import draw_face

MEGABYTE = 2**20
# A few points of the demo's picture, read off it by eye: chin, nose, outer eye corners, mouth.
ASTRONAUT = {8: (135, 178), 33: (135, 131), 36: (103, 100), 45: (168, 103), 48: (113, 140),
             54: (153, 141)}  # fmt: skip


@pytest.mark.parametrize("folder", pretrained.NAMES.values(), ids=list(pretrained.NAMES))
def test_files_are_those_of_the_manifest_and_not_too_large(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    del files[MANIFEST]
    assert set(files) == set(manifest["sha256"])
    for name, path in files.items():
        assert path.stat().st_size < 48 * MEGABYTE
        assert runs.weights_digest(path) == manifest["sha256"][name]
    assert set(manifest["formats"]) == {"onnx-int8", "weights"}
    assert "research only" in manifest["licence"]


def test_all_of_them_together_are_not_too_large():
    files = [path for folder in pretrained.NAMES.values() for path in folder.rglob("*")]
    assert sum(path.stat().st_size for path in files) < 75 * MEGABYTE


@pytest.mark.parametrize("name", pretrained.NAMES)
def test_drawn_faces_which_they_have_never_seen(name):
    predictor = Predictor.load(name)
    found, truth = [], []
    for seed in range(12):
        image, points = draw_face(seed)
        truth.append(points)
        found.append(predictor.predict(image, landmark_box(points)[None])[0])
    nme = 100 * metrics.inter_ocular_nme(np.array(truth), np.array(found))
    assert np.median(nme) < 12  # the mean face is about 20 % off


@pytest.mark.parametrize("name", pretrained.NAMES)
def test_a_real_face_that_is_found_by_itself(name):
    file = Path(__file__).parents[2] / "docs" / "astronaut.jpg"
    image = decode_picture(file.read_bytes(), file.name)
    (face,) = Predictor.load(name).predict(image)
    away = np.linalg.norm(face[list(ASTRONAUT)] - list(ASTRONAUT.values()), axis=1)
    assert (away < 0.1 * np.hypot(65, 3)).all()  # of the distance of the outer eye corners


def test_damaged_and_missing_files_are_named(tmp_path, monkeypatch):
    assert damaged_files("pretrained-small") == []
    shutil.copy(NAMES["pretrained-small"] / MANIFEST, tmp_path / MANIFEST)
    monkeypatch.setitem(NAMES, "pretrained-small", tmp_path)
    (tmp_path / "model-int8.onnx").write_bytes(b"cut off")
    digests = json.loads((tmp_path / MANIFEST).read_text())["sha256"]
    assert damaged_files("pretrained-small") == list(digests)
