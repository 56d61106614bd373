"""The ResNet50 on three data sets, for faces in the wild: the bundled `pretrained`.

    KERAS_BACKEND=tensorflow python -m tools.train wild --weights=WEIGHTS
    python -m tools.export runs/wild --formats=onnx-int8,weights

`data/lfpw` and `data/aflw` are folders; experiments/README.md tells what is in them. The run was
made as three commands, one for each stage. The first stage started from the bundled weights of
version 0.1 (`youtube_faces.py`); its shares were 0.7, 2 and 1.25, and those of the second 0.5, 3
and 1.5. The teachers were the two stages of `wild_small`.

Machine: two shared cores of an x86 CPU with AVX-512, about 400 s per epoch without other load.
Result: keypoints/pretrained/README.md. NME, percent of the root of the box area, on `validation` of
YouTube Faces, LFPW and AFLW, float32, ground-truth boxes, after each stage: 2.45, 2.39, 3.16; 2.46,
2.30, 3.03; 2.49, 2.31, 2.75.
"""

from keypoints.config import Config

config = Config(
    data="youtube_faces_keypoints*0.4+folder:data/lfpw*3+folder:data/aflw*3",
    resolution=112,
    batch_size=16,
    learning_rate=4e-4,
    warmup=0.3,
    ema=0.997,
    mask=0.25,
    stages=(
        {"epochs": 7},
        {"epochs": 5, "teacher": "runs/wild_small"},
        {"epochs": 6, "teacher": "runs/wild_small", "learning_rate": 5e-4},
    ),
)
