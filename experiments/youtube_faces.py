"""68 landmarks on YouTube Faces with a ResNet50, from ImageNet weights if available.

    KERAS_BACKEND=tensorflow python -m tools.train youtube_faces --weights=none

Machine: two cores of an x86 CPU with AVX2; about 4 minutes per epoch at 112 pixels, 6 with batches
of 8, 100 s at 56 pixels.
Result: NME 3.92 % on `validation`, ground-truth boxes, float32. This is `pretrained`; its model
card lists the differences between these stages and the run that was made.
"""

from keypoints.config import Config

config = Config(
    weights="imagenet",
    resolution=112,
    batch_size=16,
    learning_rate=7e-4,
    ema=0.998,
    # The network underfits: its error on training faces is close to that on other faces. So the
    # augmentation is milder than the default.
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
        # Low resolution first: an epoch takes a third of the time and learns the coarse positions.
        {"resolution": 56, "epochs": 12, "batch_size": 32, "learning_rate": 1e-3, "ema": 0.99},
        {"epochs": 18},
        # The annotations are biased by a pixel to the right, and by a pixel to the left in flipped
        # images. A network that is trained on both can fit neither.
        {"epochs": 9, "batch_size": 8, "learning_rate": 4e-4, "warmup": 0.3, "flip": 0.0},
    ),
)
