"""The recipe of this project on the split of the old one: EfficientNet-Lite0 at 112 pixels.

    KERAS_BACKEND=tensorflow python -m tools.train seed_lite --weights=lite0.weights.h5
    python -m tools.evaluate --model=runs/seed_lite --split=seed_test

The split is leaky (every person of `seed_test` is in `seed_train`): what it yields is comparable
with the old project's 2.31 px (SmoothL1, short side 255) and with nothing else. The start is that
of `small.py`.

Machine: two cores of an x86 CPU with AVX2; @TIME@.
Result: @RESULT@
"""

from keypoints.config import Config

config = Config(
    train_split="seed_train",
    validation_split="seed_test",
    backbone="lite",
    resolution=112,
    epochs=14,
    batch_size=16,
    learning_rate=7e-4,
    ema=0.998,
    mirror=0.0,
    rotation=20.0,
    scale=0.12,
    shift=0.06,
    occlusion=0.25,
    brightness=0.2,
    contrast=0.25,
    saturation=0.25,
    noise=6.0,
    blur=0.15,
)
