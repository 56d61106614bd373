"""The pipeline of the accelerator makes what that of the host makes, on JAX's CPU here."""

import cv2
import numpy as np
import pytest

from keypoints.config import Config, replace
from keypoints.data.pipeline import training_pipeline
from keypoints.data.records import make_records
from keypoints.errors import InputError
from keypoints.training.device_pipeline import DevicePipeline
from tests.faces import dotted_faces

PLAIN = Config(
    batch_size=4, rotation=25.0, scale=0.15, translation=0.05, brightness=0.0, contrast=0.0,
    saturation=0.0, hue=0.0, grayscale=0.0, blur=0.0, noise=0.0, occlusion=0.0, mask=0.0,
)  # fmt: skip
CHANGES = {
    "colours": ({"brightness": 0.25, "contrast": 0.3, "saturation": 0.3, "hue": 0.04}, 0.6),
    "gray": ({"grayscale": 1.0}, 0.6),
    "blur": ({"blur": 1.0}, 0.6),
    "noise": ({"noise": 30.0}, 0.6),
    "blocks": ({"occlusion": 1.0}, 0.6),
    "masks": ({"mask": 1.0}, 1.2),  # whose edges are hard on the device
    "all": (
        {"brightness": 0.25, "contrast": 0.3, "saturation": 0.3, "hue": 0.04, "grayscale": 0.1,
         "blur": 0.5, "noise": 6.0, "occlusion": 0.5, "mask": 0.5}, 1.2
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def faces():
    """Blurred pictures, of which a window of another scale shows the same."""
    dotted = dotted_faces(11)
    examples = (
        (file, "", cv2.GaussianBlur(dotted.image(i), (0, 0), 3.0), points)
        for i, (file, points) in enumerate(zip(dotted.files, dotted.points))
    )
    return make_records("smooth/train", examples)


def both(records, config, **options):
    host = list(training_pipeline(records, config, **options).as_numpy_iterator())
    device = list(DevicePipeline(records, config).batches(config, **options))
    return host, device


@pytest.mark.parametrize("name", CHANGES)
def test_crops_are_those_of_the_host(faces, name):
    changes, bound = CHANGES[name]
    host, device = both(faces, replace(PLAIN, changes), epoch=3)
    assert len(host) == len(device) > 1
    before, _ = both(faces, PLAIN, epoch=3)
    differences = []
    for (crops, targets), (ours, our_targets), (plain, _) in zip(host, device, before):
        np.testing.assert_array_equal(our_targets, targets)
        assert np.abs(crops.astype(float) - plain).mean() > 0.1  # the change is one
        differences.append(np.abs(np.asarray(ours) - crops))
    assert np.mean(differences) < bound


def test_an_epoch_goes_on_where_it_stopped_and_hosts_take_their_rows(faces):
    config = replace(PLAIN, {"noise": 6.0, "batch_size": 4})
    pipeline = DevicePipeline(faces, config)
    first, second = pipeline.batches(config, epoch=2)
    (rest,) = pipeline.batches(config, epoch=2, skip=1)
    np.testing.assert_array_equal(rest[0], second[0])
    np.testing.assert_array_equal(rest[1], second[1])
    part, _ = pipeline.batches(config, epoch=2, rows=slice(1, 3))
    np.testing.assert_array_equal(part[0], first[0][1:3])
    np.testing.assert_array_equal(part[1], first[1][1:3])


def test_jpeg_artefacts_are_refused(faces):
    with pytest.raises(InputError, match=r"jpeg.*pipeline=device.*jpeg=0"):
        DevicePipeline(faces, replace(PLAIN, {"stages": ({"jpeg": 0.5},)}))
