"""The 68 points on YouTube Faces, from ImageNet weights where they can be had."""

from keypoints.config import Config

config = Config(
    weights="imagenet",
    precision="mixed_bfloat16",
    stages=(
        # Low resolution first: an epoch costs a third, and finds the face and its parts.
        {"resolution": 56, "epochs": 14, "ema": 0.99},
        {
            "resolution": 112,
            "epochs": 28,
            "ema": 0.998,
            "batch_size": 16,
            "learning_rate": 7e-4,
            "rotation": 25.0,
            "occlusion": 0.3,
        },
        # The network still underfits: its error on training faces is close to that on others.
        {
            "resolution": 112,
            "epochs": 48,
            "ema": 0.998,
            "learning_rate": 1e-3,
            "rotation": 25.0,
            "occlusion": 0.3,
        },
    ),
)
