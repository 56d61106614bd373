"""A small network for weak machines: EfficientNet-Lite0 at 112 pixels.

    KERAS_BACKEND=tensorflow python -m tools.train small --weights=lite0.weights.h5
    python -m tools.export runs/small --formats=onnx-int8,weights

`lite0.weights.h5` holds ImageNet weights; keypoints/pretrained/README.md says where they come from
and how they are made into that file. From random weights it is `--weights=none`, the default.

Machine: two cores of an x86 CPU with AVX2, shared with other work; 52 minutes for 16 epochs.
Result: NME 5.31 % on `validation`, truth boxes, in float32; the int8 file 5.30 %. It underfits:
training crops with all jitter end at 5.19 %, and the curve is flat from epoch 10 on.
"""

from keypoints.config import Config

config = Config(
    backbone="lite",
    resolution=112,
    rotation=25.0,
    occlusion=0.3,
    epochs=16,
    ema=0.995,
)
