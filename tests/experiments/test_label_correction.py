import dataclasses
import os
import tomllib

import numpy as np
import pytest

from experiments.label_correction import fit
from keypoints import metrics
from keypoints.data.correction import Correction
from keypoints.markup import IBUG68
from tests.faces import dotted_faces

MARKUP = np.zeros((68, 2))
MARKUP[30] = 0, 0.06  # the tip of the nose is lower,
MARKUP[0], MARKUP[16] = (0.03, 0.01), (-0.03, 0.01)  # the ends of the jaw are nearer


def test_a_known_fault_is_found_again(monkeypatch):
    """A network that sees the faces in their markup, with errors that mirror images share."""
    records, reference = dotted_faces(40, name="auto/train"), dotted_faces(30, seed=7)
    rng = np.random.default_rng(0)
    mistakes = rng.normal(0, 0.3, (40, 68, 2))
    mistakes = (mistakes + mistakes[:, IBUG68.mirror] * [-1, 1]) / 2
    truth = Correction(markup=-MARKUP)
    seen = np.stack([truth.apply(face) for face in records.points])
    wrong = seen + [[[0.4, 0]]] + 0.02 * metrics.inter_ocular(seen)[:, None, None] * [1, 0]
    by_hand = np.stack([truth.apply(face) for face in reference.points])
    answers = {"auto/train": seen + mistakes, "dots/train": by_hand}
    monkeypatch.setattr(fit, "mirrored_points", lambda predictor, given: answers[given.name])
    # Hand labels have a side of their own: it is left out.
    shifted = dataclasses.replace(reference, points=reference.points + np.float32([0.2, 0]))
    found = fit.fit([None], dataclasses.replace(records, points=wrong.astype(np.float32)), shifted)
    assert found.pixel_shift == pytest.approx(0.4, abs=0.05)
    assert found.inter_ocular_shift == pytest.approx(0.02, abs=0.002)
    np.testing.assert_allclose(found.markup, MARKUP, atol=2e-3)
    printed = tomllib.loads(fit.table(found))
    assert printed["pixel_shift"] == round(found.pixel_shift, 2) and len(printed) == 3
    np.testing.assert_allclose(printed["markup"], found.markup, atol=6e-4)
    corrected = np.stack([found.apply(face) for face in wrong])
    np.testing.assert_allclose(corrected, records.points, atol=0.2)
    again = dataclasses.replace(records, points=corrected)
    answers["auto/train"] = records.points + mistakes
    offset = fit.remaining_offset(None, again)
    assert np.abs(offset).max() < 0.3  # percent


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif("KEYPOINTS_ARCHIVE" not in os.environ, reason="KEYPOINTS_ARCHIVE is not set")
@pytest.mark.parametrize("name", ["pretrained", "pretrained-small"])
def test_corrected_labels_have_no_side(name, archive_data):
    """Without the correction the labels lie 2.5 to 3 % to the right."""
    from keypoints.data.sources import load_records
    from keypoints.inference.predictor import load_network

    network = load_network(name)
    records = load_records("youtube_faces_keypoints", "validation", data_dir=archive_data)
    x, _ = fit.remaining_offset(network, records)
    assert abs(x) < 0.3
    published = load_records(
        "youtube_faces_keypoints", "validation", labels="published", data_dir=archive_data
    )
    x, _ = fit.remaining_offset(network, published)
    assert x < -2
