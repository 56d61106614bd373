"""The 68 points on YouTube Faces: a ResNet50, from ImageNet weights where they can be had.

    KERAS_BACKEND=tensorflow python -m tools.train youtube_faces --weights=none

Machine: two cores of an x86 CPU with AVX2; about 4 minutes an epoch at 112 pixels, 100 s at 56.
Result: NME 4.84 % on `validation`, truth boxes, in float32, 4.85 % in int8; the first stage
was left after 6 epochs there, at 6.7 %. It is `pretrained`, whose card says the rest.
"""

from keypoints.config import Config

config = Config(
    weights="imagenet",
    stages=(
        # Low resolution first: an epoch costs a third, and finds the face and its parts.
        {"resolution": 56, "epochs": 12, "ema": 0.99, "rotation": 25.0, "occlusion": 0.3},
        # The network underfits: its error on training faces is close to that on others. So the
        # jitter is milder than the defaults.
        {
            "resolution": 112,
            "epochs": 18,
            "ema": 0.998,
            "batch_size": 16,
            "learning_rate": 7e-4,
            "rotation": 20.0,
            "scale": 0.12,
            "shift": 0.06,
            "occlusion": 0.25,
            "brightness": 0.2,
            "contrast": 0.25,
            "saturation": 0.25,
            "noise": 6.0,
            "blur": 0.15,
        },
    ),
)
