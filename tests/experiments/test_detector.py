"""The pruned detector: the network in three forms, pruning, crops and their maps, by hand."""

import keras
import numpy as np
import onnx
import pytest

from experiments.detector import crops, faces, network, prune, training
from keypoints.inference import centerface
from keypoints.system import backend

RNG = np.random.default_rng(0)


def run(model, image):
    session = backend.onnx_session(model.SerializeToString())
    return session.run(list(network.PARTS), {"image": image.transpose(0, 3, 1, 2)})


def test_the_network_is_centerface_in_onnx_and_in_keras():
    image = RNG.uniform(0, 255, (1, 64, 96, 3)).astype(np.float32)
    original = centerface.load_session().run(
        list(centerface.OUTPUTS), {"image": image.transpose(0, 3, 1, 2)}
    )
    widths, weights = network.read(centerface.model_bytes())
    assert tuple(widths) == network.FULL
    model = network.keras_model(widths, weights)
    maps = keras.ops.convert_to_numpy(model(image)).transpose(0, 3, 1, 2)
    maps[:, :1] = 1 / (1 + np.exp(-maps[:, :1]))
    ours = run(network.onnx_model(widths, network.weights_of(model)), image)
    for found, again, part in zip(original, ours, np.split(maps, [1, 3, 5], axis=1)):
        np.testing.assert_allclose(again, found, atol=1e-4)
        np.testing.assert_allclose(part, found, atol=1e-3)


def test_files_are_valid_and_keep_their_weights():
    weights = network.read(centerface.model_bytes())
    model = network.onnx_model(*weights)
    onnx.checker.check_model(model)
    assert model.SerializeToString() == centerface.model_bytes()
    half = network.onnx_model(*weights, half=True)
    onnx.checker.check_model(half)
    kernel, _ = network.read(half.SerializeToString())[1]["smooth"]
    np.testing.assert_array_equal(kernel, weights[1]["smooth"][0].astype(np.float16))


def test_values_keep_their_first_bits():
    values = np.array([1.0, -1.03, 0.3, 0.0])
    np.testing.assert_array_equal(network.rounded(values, 4), np.float32([1, -1, 0.3125, 0]))
    _, weights = network.read(centerface.model_bytes())
    for kernel, _ in weights.values():
        np.testing.assert_array_equal(network.rounded(kernel, 12), kernel)


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


def test_maps_by_hand():
    """A face of 32 x 40 pixels with its middle at (50.5, 42.5): in row 10, column 12."""
    five = np.array([[[40, 35], [60, 35], [50, 45], [42, 55], [58, 55]]], float)
    sure = crops.Found(np.array([True]), np.array([[34.5, 22.5, 32, 40]]), five)
    maps = crops.maps(sure, 96)
    assert maps.shape == (24, 24, crops.CHANNELS)
    assert np.argwhere(maps[..., crops.FACE]).tolist() == [[10, 12]]
    assert maps[10, 12, crops.HEAT] == 1 and 0 < maps[10, 13, crops.HEAT] < 1
    np.testing.assert_allclose(maps[10, 12, crops.SIZE], np.log([10, 8]), rtol=1e-6)
    # (50.5 + 0.5) / 4 - 0.5 = 12.25 and (42.5 + 0.5) / 4 - 0.5 = 10.25.
    np.testing.assert_allclose(maps[10, 12, crops.OFFSET], [0.25, 0.25])
    np.testing.assert_allclose(maps[10, 12, crops.POINTS][:2], [12.5 / 40, 5.5 / 32], rtol=1e-6)
    assert maps[..., crops.COUNTS].all()
    doubtful = crops.maps(sure._replace(sure=np.array([False])), 96)
    assert not doubtful[..., crops.FACE].any() and not doubtful[10, 12, crops.COUNTS]
    assert doubtful[0, 0, crops.COUNTS] == 1
    # What is read from the maps is the face again.
    heat, sizes = maps[None, None, ..., crops.HEAT], maps[None, ..., crops.SIZE]
    offsets, points = maps[None, ..., crops.OFFSET], maps[None, ..., crops.POINTS]
    answers = [heat, *(part.transpose(0, 3, 1, 2) for part in (sizes, offsets, points))]
    session = type("Session", (), {"run": lambda self, names, inputs: answers})()
    boxes, _, read = centerface.find(session, np.zeros((96, 96, 3), np.uint8), threshold=0.99)
    np.testing.assert_allclose(boxes, sure.boxes, rtol=1e-5)
    np.testing.assert_allclose(read, five, rtol=1e-5)


def test_the_loss_by_hand():
    """Two cells: a face with a heat of a half, and one that is none with the same heat."""
    wanted = np.zeros((1, 1, 2, crops.CHANNELS), np.float32)
    wanted[..., crops.COUNTS] = 1
    wanted[0, 0, 0, [crops.HEAT, crops.FACE]] = 1
    maps = np.zeros((1, 1, 2, 15), np.float32)
    half = 0.25 * np.log(2)  # (1 - p)^2 log p of either
    assert float(training.loss(wanted, maps)) == pytest.approx(2 * half, rel=1e-5)
    wanted[0, 0, 1, crops.COUNTS] = 0
    assert float(training.loss(wanted, maps)) == pytest.approx(half, rel=1e-5)
    maps[0, 0, :, 1] = 1  # a size that is wrong by one counts where the face is: 1 - 0.025
    assert float(training.loss(wanted, maps)) == pytest.approx(half + 0.975, rel=1e-5)
    maps[0, 0, :, 5] = 1  # points that nobody annotated do not
    assert float(training.loss(wanted, maps)) == pytest.approx(half + 0.975, rel=1e-5)


@pytest.fixture
def folder(tmp_path):
    image = RNG.integers(0, 256, (120, 140, 3), np.uint8)
    face = FACE[:, 1:].astype(np.float64)
    faces.write(tmp_path / "train", [(image, face), (image[:, ::-1], np.zeros((0, 15)))])
    faces.write(tmp_path / "empty", [(image[:100], np.zeros((0, 15)))])
    np.save(tmp_path / "train" / "shares.npy", [1.0, 0.5])
    return tmp_path


def test_batches_are_drawn_by_their_number_alone(folder):
    source = training.source_of(folder)
    assert source.pictures.image(1).shape == (120, 140, 3)
    first, again, other = (training.batch(training.source_of(folder), 0, n) for n in (3, 3, 4))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert first[0].shape != other[0].shape or not np.array_equal(first[0], other[0])
    assert first[0].dtype == np.uint8 and first[1].shape[1] * 4 == first[0].shape[1]
    assert sum(training.batch(source, 0, n)[1][..., crops.FACE].sum() for n in range(4)) > 10


@pytest.mark.slow
def test_a_training_goes_on_where_it_stopped(folder, monkeypatch):
    monkeypatch.setattr(training, "SIDES", ((64, 2, 1.0),))
    monkeypatch.setattr(training, "batches", lambda folder, seed, first, last, processes: (
        training.batch(training.source_of(folder), seed, step) for step in range(first, last)
    ))  # fmt: skip
    widths = [8] * len(network.FULL)
    start = network.weights_of(network.keras_model(widths))
    options = {"peak": 1e-3, "save_every": 5}
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
