"""The small network on three data sets, for faces in the wild: the bundled `pretrained-small`.

Two trainings: on a GPU as `wild.py`, which tells of the data, and then on a CPU with `pretrained`
as teacher and lower shares (one line):

    KERAS_BACKEND=tensorflow python -m tools.train wild_small --run=runs/wild_small_distilled
    --weights=runs/wild_small --teacher=pretrained --pipeline=host --precision=float32
    --data=youtube_faces_keypoints*0.6+folder:data/lfpw*2+folder:data/aflw*1.3 --batch_size=32
    --learning_rate=3e-4 --schedule=cosine --warmup=0.1 --ema=0.998 --epochs=9

Machine: one NVIDIA H100, shared with two other trainings, 33 to 38 s an epoch; stopped in the sixth
epoch, when the time was over, and the fifth is the best. Then two shared cores, 145 to 281 s an
epoch; the seventh is the best. Result: keypoints/pretrained/README.md. NME, percent of the root of
the box area, on `validation` of YouTube Faces, LFPW and AFLW, ground-truth boxes: 2.42, 2.20, 2.38
after the first training, 2.37, 2.15, 2.34 after the second.
"""

from keypoints.config import Config

config = Config(
    data="youtube_faces_keypoints*9+folder:data/lfpw*27+folder:data/aflw*18",
    pipeline="device",
    backbone="lite",
    resolution=112,
    batch_size=128,
    learning_rate=1e-3,
    warmup=0.3,
    schedule="exponential",
    decay=0.84,
    ema=0.999,
    weight_decay=0.01,
    rotation=35.0,
    occlusion=0.35,
    mask=0.25,
    precision="mixed_bfloat16",
    epochs=6,
)
