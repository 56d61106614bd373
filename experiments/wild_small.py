"""The small network on three data sets, for faces in the wild: the bundled `pretrained-small`.

    KERAS_BACKEND=tensorflow python -m tools.train wild_small --weights=WEIGHTS
    python -m tools.export runs/wild_small --formats=onnx-int8,weights

`data/lfpw` and `data/aflw` are folders; experiments/README.md tells what is in them. The run was
made as two commands, one for each stage. The first stage started from the bundled weights of
version 0.1 (YouTube Faces alone, published labels) and took 0.7, 2 and 1.25 as shares.

Machine: two shared cores of an x86 CPU with AVX-512, 100 to 180 s per epoch without other load.
Result: keypoints/pretrained/README.md. NME, percent of the root of the box area, on `validation` of
YouTube Faces, LFPW and AFLW, float32, ground-truth boxes: 2.46, 2.37, 2.82 after the first stage,
2.47, 2.25, 2.63 after the second, whose best epoch is the seventh.
"""

from keypoints.config import Config

config = Config(
    data="youtube_faces_keypoints*0.5+folder:data/lfpw*3+folder:data/aflw*1.5",
    backbone="lite",
    resolution=112,
    batch_size=16,
    learning_rate=8e-4,
    warmup=0.3,
    ema=0.998,
    rotation=35.0,
    occlusion=0.35,
    mask=0.25,
    stages=({"epochs": 11}, {"epochs": 11}),
)
