"""The split of the old project with the recipe of this one, without horizontal flips.

    KERAS_BACKEND=tensorflow python -m tools.train seed_lite --weights=lite0.weights.h5
    python -m tools.evaluate --model=runs/seed_lite --split=seed_test --labels=published

`lite0.weights.h5` holds ImageNet weights; see keypoints/pretrained/README.md for their source. The
split is leaky (every person of `seed_test` is also in `seed_train`): compare the result only with
the 2.31 px of the old project. The best epoch is chosen on `seed_train`, not on `seed_test`.

Machine: two cores of an x86 CPU with AVX-512; 55 s per epoch, 22 minutes in total.
Result: SmoothL1 1.05 px (NME 3.71 %) on `seed_test`, ground-truth boxes, float32; 3.46 % on
`seed_train` without augmentation.
"""

from keypoints.config import Config

config = Config(
    train_split="seed_train",
    validation_split="seed_train",
    labels="published",
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
    hue=0.03,
    brightness=0.2,
    contrast=0.25,
    saturation=0.25,
    noise=6.0,
    blur=0.15,
)
