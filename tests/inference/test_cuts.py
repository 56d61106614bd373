import cv2
import numpy as np

from keypoints.inference.cuts import Cuts
from keypoints.synthetic.clip import drawn_clip
from keypoints.synthetic.drawing import draw_face


def scene(seed, width=320, height=180):
    return cv2.resize(draw_face(seed)[0], (width, height))


def cuts(frames):
    watch = Cuts()
    return [watch.is_cut(frame) for frame in frames]


def test_another_scene_is_a_cut_and_the_same_one_is_none():
    frames = [scene(0), scene(0), scene(3), scene(3), scene(5)]
    assert cuts(frames) == [False, False, True, False, True]


def test_a_moving_face_noise_and_light_are_no_cuts():
    rng = np.random.default_rng(0)
    frames = []
    for (_, image), light in zip(drawn_clip(), 0.6 + 0.4 * (np.arange(60) % 15 < 8)):
        noisy = image * light + rng.normal(0, 12, image.shape)
        frames.append(np.clip(noisy, 0, 255).astype(np.uint8))
    assert not any(cuts(frames))


def test_a_quick_pan_is_no_cut():
    wide = scene(6, 900, 180)
    assert not any(cuts([wide[:, x : x + 320] for x in range(0, 500, 16)]))


def test_black_and_back_and_any_size():
    black = np.zeros((180, 320, 3), np.uint8)
    assert cuts([scene(0), black, black, scene(0)]) == [False, True, False, True]
    for shape in ((1, 1, 3), (1, 500, 3), (2000, 30, 3)):
        assert cuts([np.zeros(shape, np.uint8), np.full(shape, 200, np.uint8)]) == [False, True]
