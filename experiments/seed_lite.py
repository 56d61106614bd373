"""The old project's split with this project's recipe: `small` without its mirrored stage.

    KERAS_BACKEND=tensorflow python -m tools.train seed_lite --weights=lite0.weights.h5
    python -m tools.evaluate --model=runs/seed_lite --split=seed_test

`lite0.weights.h5` holds ImageNet weights; keypoints/pretrained/README.md says where they come from.
The split is leaky (every person of `seed_test` is in `seed_train`): what it yields is comparable
with the old project's 2.31 px and with nothing else. The epoch is chosen on `seed_train` itself, so
that `seed_test` has no say in it.

Machine: two cores of an x86 CPU with AVX-512; 55 s an epoch, 22 minutes in all.
Result: SmoothL1 1.05 px (NME 3.71 %) on `seed_test`, truth boxes, in float32; 3.46 % on
`seed_train` without jitter.
"""

from keypoints.config import Config

config = Config(
    train_split="seed_train",
    validation_split="seed_train",
    backbone="lite",
    resolution=112,
    epochs=22,
    batch_size=16,
    learning_rate=7e-4,
    ema=0.998,
    flip=0.0,
    rotation=20.0,
    scale=0.12,
    translation=0.06,
    occlusion=0.25,
    brightness=0.2,
    contrast=0.25,
    saturation=0.25,
    noise=6.0,
    blur=0.15,
)
