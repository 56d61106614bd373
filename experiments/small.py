"""A small network for weak machines: EfficientNet-Lite0 at 112 pixels.

    KERAS_BACKEND=tensorflow python -m tools.train small --weights=lite0.weights.h5
    python -m tools.export runs/small --formats=onnx-int8,weights

`lite0.weights.h5` holds ImageNet weights; keypoints/pretrained/README.md says where they come from
and how they are made into that file. From random weights it is `--weights=none`, the default.

The last stage learns from `pretrained` as well (distillation), under the strongest jitter.

Machine: two cores of an x86 CPU with AVX2; shared with other work; about 3 minutes an epoch of the
first stage, a minute and a half of the second; one with AVX-512, 80 s an epoch of the third.
Result: NME 4.10 % on `validation`, truth boxes, in float32; 5.31 % after the first stage, 4.22 %
after the second. Each stage was a command of its own, with `--weights` from the one before, the
last one from float16.
"""

from keypoints.config import Config

config = Config(
    backbone="lite",
    resolution=112,
    stages=(
        {"epochs": 16, "ema": 0.995, "rotation": 25.0, "occlusion": 0.3},
        # Without mirrored pictures, for the reason in youtube_faces.py, and with its jitter.
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
