"""The recipe of the old project on its split: 10 epochs of mild and 50 of strong augmentation.

Its settings: short side of the image scaled to 255 and a 224 crop, ResNet50 with ImageNet weights
of which conv5 and one dense layer are trained, Adam with learning rate 5e-4 and a decay of 1 % per
epoch, SmoothL1, batches of 16. Its hue jitter was a constant shift; here it is random. The split is
leaky (every person of `seed_test` is also in `seed_train`): compare the result only with the
2.31 px of the old project (SmoothL1, short side 255).

    python -m tools.train seed_recipe
    python -m tools.evaluate --model=runs/seed_recipe --split=seed_test

Machine, time, result: not run. It starts from ImageNet weights, which were not available on the
machine of the other results.
"""

from keypoints.config import Config

config = Config(
    train_split="seed_train",
    validation_split="seed_test",
    labels="published",
    crop="frame",
    head="pooled",
    weights="imagenet",
    trainable="conv5",
    loss="smooth_l1",
    optimizer="adam",
    learning_rate=5e-4,
    schedule="exponential",
    decay=0.99,
    warmup=0.0,
    batch_size=16,
    flip=0.0,
    scale=0.0,
    translation=0.07,  # the 224 crop may be anywhere in the 255 image
    grayscale=0.0,
    blur=0.0,
    noise=0.0,
    occlusion=0.0,
    stages=(
        {"epochs": 10, "rotation": 10.0, "brightness": 0.1, "contrast": 0.1, "saturation": 0.1,
         "hue": 0.0},
        {"epochs": 50, "rotation": 45.0, "brightness": 0.3, "contrast": 0.3, "saturation": 0.3,
         "hue": 0.05},
    ),
)  # fmt: skip
