"""The models that come with the package: whole, small enough, and right about faces."""

import json

import numpy as np
import pytest

from keypoints import metrics, pretrained, runs
from keypoints.datasets.synthetic_faces.drawing import draw_face
from keypoints.exported import MANIFEST
from keypoints.geometry import landmark_box
from keypoints.predictor import Predictor

MEGABYTE = 2**20


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
