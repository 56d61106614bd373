"""The small network on five data sets, for faces in the wild: the bundled `pretrained-small`.

    KERAS_BACKEND=tensorflow python -m tools.train wild_small --weights=BEFORE
    python -m tools.export runs/wild_small --formats=onnx-int8,weights

experiments/README.md tells how `data/` is made. BEFORE is the run folder of the model before this
one (keypoints/pretrained/small/weights at commit b2647fa), which was trained on YouTube Faces, LFPW
and AFLW2000-3D.

The bundled file was made stage by stage. The first ran for 19 epochs of 22, since nothing changed
any more, on two cores of a Xeon, 119 s an epoch; then 0.85 of its weights and 0.15 of those before
were taken (`experiments.mean_weights`; the result is keypoints/pretrained/small/weights at commit
254914f). The second began with them, on two cores of an AMD EPYC with AVX2, 160 s an epoch alone.
The ranges of the int8 file are those of 200 training crops, 40 of each set.

Result: keypoints/pretrained/README.md. NME, percent of the root of the box area, on `validation` of
YouTube Faces, LFPW, HELEN, AFW and AFLW2000-3D, ground-truth boxes, float32: 2.37, 2.14, 2.46,
2.39, 2.88 before, 2.36, 2.07, 2.13, 2.23, 2.58 after the first stage, 2.31, 2.06, 2.10, 2.21, 2.56
after the second.
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
    weight_decay=0.01,
    precision="float32",
    stages=(
        {
            "epochs": 22, "learning_rate": 8e-4, "warmup": 0.5, "ema": 0.998,
            "rotation": 35.0, "occlusion": 0.4, "mask": 0.35,
        },
        # Crops that are more like those in use: what the network can learn goes to them.
        {
            "epochs": 4, "learning_rate": 3e-4, "warmup": 0.1, "ema": 0.997,
            "rotation": 15.0, "scale": 0.12, "translation": 0.06, "brightness": 0.2,
            "contrast": 0.2, "blur": 0.1, "noise": 4.0, "occlusion": 0.15, "mask": 0.1,
        },
    ),
)  # fmt: skip
