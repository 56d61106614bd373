"""A small network for slow machines: EfficientNet-Lite0 at 112 pixels.

    KERAS_BACKEND=tensorflow python -m tools.train small --weights=lite0.weights.h5
    python -m tools.export runs/small --formats=onnx-int8,weights

`lite0.weights.h5` holds ImageNet weights; see keypoints/pretrained/README.md for their source and
conversion. The default is random weights, `--weights=none`.

The last stage also learns from `pretrained` (distillation), with the strongest augmentation.

Machine: two shared cores of an x86 CPU with AVX2, about 3 minutes per epoch in the first stage and
1.5 minutes in the second; two cores with AVX-512, 80 s per epoch in the third.
Result: NME 4.10 % on `validation`, ground-truth boxes, float32; 5.31 % after the first stage,
4.22 % after the second. Each stage was run as a separate command, with `--weights` from the stage
before; the last one started from float16 weights.
"""

from keypoints.config import Config

config = Config(
    backbone="lite",
    resolution=112,
    stages=(
        {"epochs": 16, "ema": 0.995, "rotation": 25.0, "occlusion": 0.3},
        # No horizontal flips, for the reason in youtube_faces.py, and the same augmentation.
        {
            "epochs": 9,
            "batch_size": 16,
            "learning_rate": 7e-4,
            "warmup": 0.3,
            "ema": 0.998,
            "flip": 0.0,
            "rotation": 20.0,
            "scale": 0.12,
            "translation": 0.06,
            "occlusion": 0.25,
            "brightness": 0.2,
            "contrast": 0.25,
            "saturation": 0.25,
            "noise": 6.0,
            "blur": 0.15,
        },
        {
            "epochs": 10,
            "batch_size": 16,
            "learning_rate": 6e-4,
            "warmup": 0.3,
            "ema": 0.998,
            "flip": 0.0,
            "scale": 0.2,
            "translation": 0.1,
            "teacher": "pretrained",
        },
    ),
)
