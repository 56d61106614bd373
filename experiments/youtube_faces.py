"""The 68 points on YouTube Faces: a ResNet50, from ImageNet weights where they can be had.

    KERAS_BACKEND=tensorflow python -m tools.train youtube_faces --weights=none

Machine: two cores of an x86 CPU with AVX2; about 4 minutes an epoch at 112 pixels, 6 with batches
of 8, 100 s at 56.
Result: NME 3.92 % on `validation`, truth boxes, in float32. It is `pretrained`, whose card says
in what these stages differ from the run that was made.
"""

from keypoints.config import Config

config = Config(
    weights="imagenet",
    resolution=112,
    batch_size=16,
    learning_rate=7e-4,
    ema=0.998,
    # The network underfits: its error on training faces is close to that on others. So the jitter
    # is milder than the defaults.
    rotation=20.0,
    scale=0.12,
    translation=0.06,
    occlusion=0.25,
    brightness=0.2,
    contrast=0.25,
    saturation=0.25,
    noise=6.0,
    blur=0.15,
    stages=(
        # Low resolution first: an epoch costs a third, and finds the face and its parts.
        {"resolution": 56, "epochs": 12, "batch_size": 32, "learning_rate": 1e-3, "ema": 0.99},
        {"epochs": 18},
        # The annotations lie a pixel to the right of what they mark, and in mirrored pictures a
        # pixel to the left: a network that sees both can learn neither.
        {"epochs": 9, "batch_size": 8, "learning_rate": 4e-4, "warmup": 0.3, "flip": 0.0},
    ),
)
