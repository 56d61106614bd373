"""68 landmarks on YouTube Faces with a ResNet50, from ImageNet weights if available.

    KERAS_BACKEND=tensorflow python -m tools.train youtube_faces --weights=none

Machine: two cores of an x86 CPU with AVX2; about 4 minutes per epoch at 112 pixels, 100 s at 56
pixels.
Result: not run as it stands. An earlier version of it made the weights from which `wild.py` starts:
the same stages with published labels and milder augmentation, then 9 epochs without horizontal
flips; NME 3.92 % on `validation` against published labels, ground-truth boxes, float32.
"""

from keypoints.config import Config

config = Config(
    weights="imagenet",
    resolution=112,
    batch_size=16,
    learning_rate=7e-4,
    ema=0.998,
    stages=(
        # Low resolution first: an epoch takes a third of the time and learns the coarse positions.
        {"resolution": 56, "epochs": 12, "batch_size": 32, "learning_rate": 1e-3, "ema": 0.99},
        {"epochs": 18},
    ),
)
