from dataclasses import dataclass, replace

import numpy as np
import pytest

from keypoints import experiment
from keypoints.errors import InputError
from keypoints.experiment import load_experiment
from keypoints.markup import IBUG68, Markup, bundled


def test_names_are_those_of_the_first_folder_that_is_there(tmp_path, monkeypatch):
    for folder, epochs in (("package", 5), ("here", 7)):
        (tmp_path / folder).mkdir()
        text = f"from keypoints.config import Config\nconfig = Config(epochs={epochs})\n"
        (tmp_path / folder / "mine.py").write_text(text)
    folders = (tmp_path / "checkout", tmp_path / "package", tmp_path / "here")
    monkeypatch.setattr(experiment, "FOLDERS", folders)
    assert load_experiment("mine").config.epochs == 5
    assert load_experiment(str(tmp_path / "here" / "mine.py")).config.epochs == 7
    with pytest.raises(InputError, match="unknown experiment 'mime'; did you mean 'mine'"):
        load_experiment("mime")


def test_a_file_may_adapt_its_config_to_the_data(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from keypoints.config import Config\nconfig = Config()\n"
        "def adapt(training):\n    return {'epochs': len(training)}\n"
    )
    assert load_experiment(str(path)).adapt([1, 2, 3]) == {"epochs": 3}
    assert load_experiment("smoke").adapt([1, 2, 3]) == {}


def test_finetuning_follows_the_number_of_pictures():
    """40 steps of 16 pictures or more, and an average over half of an epoch."""
    finetune = load_experiment("finetune")
    assert finetune.config.weights == "pretrained-small" and finetune.config.batch_size == 16
    few = finetune.adapt(Faces(40, IBUG68))
    assert few["epoch_steps"] == 40 and few["ema"] == pytest.approx(0.95)
    many = finetune.adapt(Faces(3200, IBUG68))
    assert many["epoch_steps"] == 200 and many["ema"] == pytest.approx(0.99)


def test_finetuning_learns_the_points_that_are_known_already_with_smaller_steps():
    finetune = load_experiment("finetune")
    assert finetune.adapt(Faces(40, IBUG68))["learning_rate"] == finetune.config.learning_rate / 10
    assert "learning_rate" not in finetune.adapt(Faces(40, bundled("five")))


def test_finetuning_shows_all_points_in_the_crop():
    """The mean face and a tenth more: points at 0.9 sides of the box need 2 * 1.1 * 0.9 sides."""
    finetune = load_experiment("finetune")
    mean = np.zeros((5, 2), np.float32)
    assert finetune.adapt(Faces(40, IBUG68))["crop_scale"] == finetune.config.crop_scale == 1.4
    mean[3] = 0.2, -0.9  # the top of the hair
    high = replace(bundled("five"), mean=mean)
    assert finetune.adapt(Faces(40, high))["crop_scale"] == pytest.approx(1.98)


def test_finetuning_does_not_make_faces_smaller_than_the_bundled_network_knows_them():
    """In a crop of 1.4 sides at 112 pixels a side has 80; in one of 1.98 it would have 57."""
    finetune = load_experiment("finetune")
    mean = np.zeros((5, 2), np.float32)
    mean[3] = 0.2, -0.79
    near = finetune.adapt(Faces(400, replace(bundled("five"), mean=mean)))
    assert near["crop_scale"] == pytest.approx(1.74) and "resolution" not in near
    mean[3] = 0.2, -0.9
    far = finetune.adapt(Faces(400, replace(bundled("five"), mean=mean)))
    assert (far["resolution"], far["batch_size"], far["epoch_steps"]) == (224, 8, 50)
    assert far["resolution"] / far["crop_scale"] > 80


@dataclass
class Faces:
    """As much of records as an experiment looks at."""

    count: int
    markup: Markup

    def __len__(self):
        return self.count


def test_a_file_without_a_config_is_no_experiment(tmp_path):
    (tmp_path / "mine.py").write_text("config = {}\n")
    with pytest.raises(InputError, match=r"mine.py is no experiment: it has no `config`"):
        load_experiment(str(tmp_path / "mine.py"))
