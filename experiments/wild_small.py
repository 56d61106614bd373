"""The small network on five data sets, for faces in the wild: the bundled `pretrained-small`.

    KERAS_BACKEND=tensorflow python -m tools.train wild_small --weights=BEFORE
    python -m experiments.mean_weights --of=runs/wild_small,BEFORE --shares=0.85,0.15 --output=MEAN
    python -m tools.recalibrate MEAN
    python -m tools.export MEAN --formats=onnx-int8,weights

experiments/README.md tells how `data/` is made. BEFORE is the run folder of the
model before this one (keypoints/pretrained/small/weights at commit b2647fa), which was trained on
YouTube Faces, LFPW and AFLW2000-3D.

Machine: two cores of a Xeon, 119 s an epoch where nothing else ran. Stopped after epoch 19 of 22,
since nothing changed any more; the eighteenth is the best. Result: keypoints/pretrained/README.md.
NME, percent of the root of the box area, on `validation` of YouTube Faces, LFPW, HELEN, AFW and
AFLW2000-3D, ground-truth boxes, float32: 2.37, 2.14, 2.46, 2.39, 2.88 before, 2.37, 2.08, 2.13,
2.23, 2.58 after epoch 18, 2.36, 2.07, 2.14, 2.23, 2.58 for the mean with the model before.
"""

from keypoints.config import Config

config = Config(
    data=(
        "youtube_faces_keypoints*1.0+folder:data/lfpw*1.5+folder:data/helen*1.5"
        "+folder:data/afw*1.5+folder:data/aflw*1.5"
    ),
    backbone="lite",
    resolution=112,
    batch_size=32,
    learning_rate=8e-4,
    warmup=0.5,
    ema=0.998,
    weight_decay=0.01,
    rotation=35.0,
    occlusion=0.4,
    mask=0.35,
    precision="float32",
    epochs=22,
)
