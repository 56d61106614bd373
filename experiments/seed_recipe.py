"""The old project's recipe on its own split: 10 light epochs, then 50 heavy ones.

Its settings: the picture's short side to 255 and a 224 crop of that, ResNet50 with ImageNet
weights of which conv5 and one dense layer are trained, Adam at 5e-4 falling by 1 % an epoch,
SmoothL1, batches of 16. Its hue jitter was a constant shift in training only; here it is a jitter.
The split is leaky (every person of `seed_test` is in `seed_train`): what it yields is comparable
with the old project's 2.31 px (SmoothL1, short side 255) and with nothing else.

    python -m tools.train seed_recipe
    python -m tools.evaluate --model=runs/seed_recipe --split=seed_test

Machine, time, result: not run to the end, since it starts from ImageNet weights, which could not be
had on the machine of the other results.
"""

from keypoints.config import Config

config = Config(
    train_split="seed_train",
    validation_split="seed_test",
    view="frame",
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
    translation=0.07,  # the 224 crop may lie anywhere in the 255 picture
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
