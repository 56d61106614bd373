"""Which pictures `keypoints export` checks on."""

import json

import numpy as np
import pytest

from keypoints.commands.export import export
from keypoints.config import Config
from keypoints.errors import InputError
from keypoints.exports import parity, writer
from keypoints.markup import IBUG68
from keypoints.models import runs
from keypoints.models.network import build_model
from tests.faces import dotted_faces


@pytest.fixture
def run(tmp_path):
    run = tmp_path / "run"
    config = Config(backbone="tiny", resolution=56, data=f"folder:{tmp_path}/gone")
    runs.start_run(run, config, {})
    runs.write_weights(run / runs.BEST, build_model(config, IBUG68.mean * 160 + 111.5))
    return run


@pytest.mark.slow
def test_a_run_whose_data_are_gone_is_checked_on_drawn_faces(run, capsys):
    export(str(run), formats="weights")
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("the export is checked on drawn faces, since data=folder:")
    assert line.endswith("/gone: no such folder")
    assert "checked on 64 faces of drawn/validation" in printed.out


@pytest.mark.slow
def test_other_pictures_are_chosen_by_data_and_split(run, monkeypatch, capsys):
    asked = []

    def load(data, split, **options):
        asked.append((data, split))
        return dotted_faces(3, name="dots/test")

    monkeypatch.setattr("keypoints.data.sources.load_records", load)
    monkeypatch.setitem(parity.NME_RISE, "weights", 1.0)  # of three faces, by a network untrained
    export(str(run), formats="weights", data="folder:mine", split="test")
    assert asked == [("folder:mine", "test")]
    assert "checked on 3 faces of dots/test" in capsys.readouterr().out
    manifest = json.loads((run / "export" / writer.MANIFEST).read_text())
    assert manifest["metrics"]["split"] == "dots/test"


def test_the_split_of_a_bundled_model_needs_a_data_set():
    with pytest.raises(InputError, match="--split=test: name the data set too"):
        export("pretrained-small", split="test")


def test_drawn_faces_are_the_same_each_time():
    from keypoints.exports.pictures import drawn_faces
    from keypoints.markup import bundled

    first, again = drawn_faces(IBUG68), drawn_faces(IBUG68)
    assert len(first) == 64 and first.describe() == again.describe()
    assert np.isfinite(first.points).all()
    five = drawn_faces(bundled("five"))
    assert five.points.shape == (64, 5, 2) and np.isfinite(five.points).any()
