"""The small network on three data sets, for faces in the wild: the bundled `pretrained-small`.

As `wild.py`, which tells of the data, with `wild_small` for its name.

Machine: one NVIDIA H100, shared with two other trainings, 33 to 38 s an epoch. Stopped in the sixth
epoch, when the time was over; the fifth is the best. Result: keypoints/pretrained/README.md. NME,
percent of the root of the box area, on `validation` of YouTube Faces, LFPW and AFLW, ground-truth
boxes: 2.47, 2.27, 2.63 after the first epoch, 2.42, 2.20, 2.38 after the fifth.
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
