"""The pruned detector: the network in three forms, pruning, crops and their maps, by hand."""

from pathlib import Path

import cv2
import keras
import numpy as np
import onnx
import pytest

from experiments.detector import __main__ as steps
from experiments.detector import crops, faces, network, prune, training
from keypoints.errors import InputError
from keypoints.inference import centerface
from keypoints.synthetic.drawing import draw_face
from keypoints.system import backend

RNG = np.random.default_rng(0)


def run(model, image):
    session = backend.onnx_session(model.SerializeToString())
    return session.run(list(network.PARTS), {"image": image.transpose(0, 3, 1, 2)})


def test_the_network_is_centerface_in_onnx_and_in_keras():
    image = RNG.uniform(0, 255, (1, 64, 96, 3)).astype(np.float32)
    original = centerface.load_session(centerface.CENTERFACE).run(
        list(centerface.OUTPUTS), {"image": image.transpose(0, 3, 1, 2)}
    )
    widths, weights = network.read(centerface.model_bytes(centerface.CENTERFACE))
    assert tuple(widths) == network.FULL
    model = network.keras_model(widths, weights)
    maps = keras.ops.convert_to_numpy(model(image)[0]).transpose(0, 3, 1, 2)
    maps[:, :1] = 1 / (1 + np.exp(-maps[:, :1]))
    ours = run(network.onnx_model(widths, network.weights_of(model)), image)
    for found, again, part in zip(original, ours, np.split(maps, [1, 3, 5], axis=1)):
        np.testing.assert_allclose(again, found, atol=1e-4)
        np.testing.assert_allclose(part, found, atol=1e-3)


def test_files_are_valid_and_keep_their_weights():
    weights = network.read(centerface.model_bytes(centerface.CENTERFACE))
    half = network.onnx_model(*weights, half=True)
    onnx.checker.check_model(half)
    assert half.SerializeToString() == centerface.model_bytes(centerface.CENTERFACE)
    model = network.onnx_model(*weights)
    onnx.checker.check_model(model)
    again = network.read(model.SerializeToString())[1]
    np.testing.assert_array_equal(again["smooth"][0], weights[1]["smooth"][0])


def test_the_mean_of_two_files(tmp_path):
    weights = network.read(centerface.model_bytes(centerface.COMPACT))
    widths, other = weights[0], {name: (k + 1, b * 3) for name, (k, b) in weights[1].items()}
    paths = [str(tmp_path / f"{name}.onnx") for name in ("first", "second", "mean")]
    for path, values in zip(paths, (weights[1], other)):
        steps.write(Path(path), widths, values)
    steps.mean(*paths)
    _, averaged = network.read(Path(paths[2]).read_bytes())
    kernel, bias = weights[1]["block3_depth"]
    np.testing.assert_allclose(averaged["block3_depth"][0], kernel + 0.5, atol=2e-3)
    np.testing.assert_allclose(averaged["block3_depth"][1], bias * 2, rtol=1e-3)
    steps.write(Path(paths[1]), *network.read(centerface.model_bytes(centerface.CENTERFACE)))
    with pytest.raises(InputError, match=r"second\.onnx differ in their widths"):
        steps.mean(*paths)


def test_channels_that_others_make_up_for_go_first():
    """Of four inner channels two are equal, and one is not used; the outputs are a sum."""
    inner = RNG.normal(0, 1, (500, 4))
    inner[:, 3] = inner[:, 0]
    outputs = inner @ np.array([[1.0], [0.5], [0.0], [1.0]]) + 3
    known = np.concatenate([inner, np.ones((500, 1))], axis=1)
    gram, cross = known.T @ known / 500, known.T @ outputs / 500
    order = prune.removal_order(gram, cross, float((outputs**2).mean()))
    assert set(order.removed[:2]) in ({0, 2}, {2, 3}) and order.removed[2] == 1
    np.testing.assert_allclose(order.errors[:2], 0, atol=1e-3)
    # What is left without the channel of weight 0.5, of a variance of 4 + 0.25.
    assert order.errors[2] == pytest.approx(0.25 / 4.25, abs=0.02)
    name = {f"block1_{part}": (np.zeros((4, 1, 1, 1)), np.zeros(4)) for part in ("expand", "depth")}
    kept = np.array([0, 1])
    kernel, bias = prune.refit(name, 1, kept, gram, cross)["block1_project"]
    np.testing.assert_allclose(kernel[0, :, 0, 0], [2, 0.5], atol=1e-2)  # 0 stands for 3 as well
    np.testing.assert_allclose(bias, [3], atol=1e-2)


FACE = np.array([[0, 1, 40, 20, 30, 40, 48, 30, 62, 30, 55, 40, 50, 50, 60, 50]], np.float32)


def test_a_moved_face_by_hand():
    """Turned by 90 degrees about its middle (55, 40), doubled, and brought to (100, 80)."""
    found = crops.moved(FACE, np.array([55.0, 40]), np.array([100.0, 80]), 2.0, 90.0)
    assert found.sure.tolist() == [True]
    np.testing.assert_allclose(found.boxes, [[60, 50, 80, 60]], atol=1e-6)  # wider than high
    # The eye on the left, 7 left of the middle and 10 above, is 10 right and 7 above, doubled.
    np.testing.assert_allclose(found.five[0, 0], [120, 66], atol=1e-5)
    back = crops.mirrored(np.zeros((160, 160, 3), np.uint8), found)[1]
    np.testing.assert_allclose(back.boxes, [[159 - 60 - 80, 50, 80, 60]])
    np.testing.assert_allclose(back.five[0, 1], [159 - 120, 66], atol=1e-5)


def test_where_faces_may_be_by_hand():
    """A face from (34.5, 22.5) to (66.5, 62.5): columns 8 to 17 and rows 5 to 16, all or partly."""
    found = crops.Found(np.array([False]), np.array([[34.5, 22.5, 32, 40]]), np.zeros((1, 5, 2)))
    possible = crops.possible(found, 96)
    assert possible.shape == (24, 24)
    rows, columns = np.nonzero(possible)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 16, 8, 17)
    assert possible.sum() == 12 * 10
    outside = found._replace(boxes=np.array([[96.0, 10, 5, 5], [-9, 10, 5, 5], [94, -3, 9, 9]]))
    kept = crops.inside(outside._replace(sure=np.ones(3, bool), five=np.zeros((3, 5, 2))), 96)
    assert kept.boxes.tolist() == [[94, -3, 9, 9]]


def test_the_teacher_answers_as_centerface_but_where_nothing_is():
    image, _ = draw_face(11)
    crop = cv2.resize(image, (160, 160), interpolation=cv2.INTER_AREA)
    teacher = training.Teacher()
    everywhere = np.ones((1, 40, 40), bool)
    parts, *hidden = teacher.answers(crop[None], everywhere)
    session = centerface.load_session(centerface.CENTERFACE)
    feed = {"image": crop.transpose(2, 0, 1)[None].astype(np.float32)}
    expected = np.concatenate(session.run(list(centerface.OUTPUTS), feed), axis=1)
    np.testing.assert_allclose(parts, expected.transpose(0, 2, 3, 1), atol=1e-3)
    assert parts[..., 0].max() > 0.4
    cut, *_ = teacher.answers(crop[None], ~everywhere)
    assert cut[..., 0].max() == pytest.approx(training.NOTHING)
    np.testing.assert_array_equal(cut[..., 1:], parts[..., 1:])
    # What a network of the same weights has inside is what the teacher has.
    model = network.keras_model(*network.read(centerface.model_bytes(centerface.CENTERFACE)))
    maps, *own = (np.array(value) for value in model(crop[None].astype(np.float32)))
    assert [h.shape for h in hidden] == [h.shape for h in own]
    for name, theirs, ours in zip(network.HIDDEN, hidden, own):
        assert float(training.hidden_loss(theirs, ours)) < 1e-4, name
    # Nothing is lost where the answers are the teacher's.
    maps[..., 0] = np.log(parts[..., 0] / (1 - parts[..., 0]))
    assert float(training.parts_loss(parts, maps)) < 1e-3


def test_the_losses_by_hand():
    """Two cells: the teacher's heat is 1 and 0, where the network has one half."""
    wanted, maps = np.zeros((1, 1, 2, 15), np.float32), np.zeros((1, 1, 2, 15), np.float32)
    wanted[0, 0, 0, 0] = 1
    entropy = 2 * 0.5 * np.log(2) / (1 + 1)  # by the sum of heat, and one
    assert float(training.parts_loss(wanted, maps)) == pytest.approx(entropy, rel=1e-5)
    maps[0, 0, :, 1] = 1  # a size that is wrong by one counts where the face is: 1 - 0.025
    off = 0.975 / 2
    assert float(training.parts_loss(wanted, maps)) == pytest.approx(entropy + off, rel=1e-5)
    maps[0, 0, :, 5] = 0.05  # a point, by three tenths: 0.05 ** 2 / 0.1, or 0.05 - 0.025
    off += 0.3 * 0.025 / 2
    assert float(training.parts_loss(wanted, maps)) == pytest.approx(entropy + off, rel=1e-5)
    # A map of 0 and 2 has a variance of 1; half of it is not explained by 0 and 1.
    hidden = np.array([0.0, 2]).reshape(1, 1, 2, 1).astype(np.float16)
    found = np.array([0.0, 1], np.float32).reshape(1, 1, 2, 1)
    assert float(training.hidden_loss(hidden, found)) == pytest.approx(0.5, rel=1e-4)


@pytest.fixture
def folder(tmp_path):
    image = RNG.integers(0, 256, (120, 140, 3), np.uint8)
    face = FACE[:, 1:].astype(np.float64)
    faces.write(tmp_path / "train", [(image, face), (image[:, ::-1], np.zeros((0, 15)))])
    faces.write(tmp_path / "empty", [(image[:100], np.zeros((0, 15)))])
    np.save(tmp_path / "train" / "shares.npy", [1.0, 0.5])
    return tmp_path


def test_batches_are_drawn_by_their_number_alone(folder):
    source, teacher = training.source_of(folder), training.Teacher()
    assert source.pictures.image(1).shape == (120, 140, 3)
    first, again, other = (
        training.batch(training.source_of(folder), teacher, 0, n) for n in (3, 3, 4)
    )
    assert np.array_equal(first[0], again[0])
    assert all(np.array_equal(*answers) for answers in zip(first[1], again[1]))
    assert first[0].shape != other[0].shape or not np.array_equal(first[0], other[0])
    assert first[0].dtype == np.uint8 and first[1][0].shape[1] * 4 == first[0].shape[1]
    rng = np.random.default_rng(0)
    assert sum(source.crop(rng, 160)[1].any() for _ in range(20)) > 10


@pytest.mark.slow
def test_a_training_goes_on_where_it_stopped(folder, monkeypatch):
    monkeypatch.setattr(training, "SIDES", ((64, 2, 1.0),))
    source, teacher = training.source_of(folder), training.Teacher()
    monkeypatch.setattr(training, "batches", lambda folder, seed, first, last, processes: (
        training.batch(source, teacher, seed, step) for step in range(first, last)
    ))  # fmt: skip
    widths = [8] * len(network.FULL)
    start = network.weights_of(network.keras_model(widths))
    options = {"peak": 1e-3, "hidden": 0.3, "save_every": 5}
    training.train(folder, folder / "whole", widths, start, steps=10, **options)

    def stop(step, steps, peak):
        if step == 7:
            raise KeyboardInterrupt
        return rate(step, steps, peak)

    rate = training.rate
    monkeypatch.setattr(training, "rate", stop)
    with pytest.raises(KeyboardInterrupt):
        training.train(folder, folder / "parts", widths, start, steps=10, **options)
    monkeypatch.setattr(training, "rate", rate)
    training.train(folder, folder / "parts", widths, start, steps=10, **options)
    for run in ("whole", "parts"):
        assert (folder / run / "log.csv").read_text().count("\n") == 2
    found = [training.averaged_weights(folder / run, widths) for run in ("whole", "parts")]
    for name, (kernel, _) in found[0].items():
        np.testing.assert_allclose(found[1][name][0], kernel, atol=1e-6)
    moved = np.abs(found[0]["smooth"][0] - start["smooth"][0]).max()
    assert moved > 1e-5
