"""The ResNet50 on five data sets, for faces in the wild: the bundled `pretrained`.

    KERAS_BACKEND=tensorflow python -m tools.train wild --weights=BEFORE
    python -m tools.export runs/wild --formats=onnx-int8,weights

experiments/README.md tells how `data/` is made. BEFORE is the run folder of the model before this
one (keypoints/pretrained/resnet50/weights at commit 5d18b3e), which was trained on YouTube Faces,
LFPW and AFLW2000-3D, on a GPU. The small network, which is better at the sets that are new here,
has half of the point loss in the first stage.

The bundled file was made stage by stage. After the first 0.85 of its weights and 0.15 of those
before were taken (`experiments.mean_weights`; the result is keypoints/pretrained/resnet50/weights
at commit 254914f); the second began with them, the third with the result at commit 7da5197
(keypoints/pretrained/resnet50/weights), and the fourth with the best weights of the third: a rate
that rises and falls again finds better ones. Of the fourth and of those at 7da5197 half each were
taken, since the fourth flickers more. The ranges of the int8 file are those of 200 training crops,
40 of each set.

Machine: two cores of an AMD EPYC, 380 (AVX-512) to 540 s (AVX2) an epoch where nothing else ran.
Result:
keypoints/pretrained/README.md. NME, percent of the root of the box area, on `validation` of YouTube
Faces, LFPW, HELEN, AFW and AFLW2000-3D, ground-truth boxes, float32: 2.33, 2.16, 2.44, 2.33, 2.91
before, 2.34, 2.11, 2.26, 2.24, 2.67 after the first stage, 2.27, 2.05, 2.15, 2.19, 2.57 after the
second, 2.26, 2.02, 2.12, 2.16, 2.57 after the third, 2.26, 2.02, 2.11, 2.16, 2.53 after the fourth,
and 2.26, 2.03, 2.12, 2.17, 2.53 of the mean.
"""

from keypoints.config import Config

# Crops that are more like those in use: what the network can learn goes to them.
WEAK = {
    "epochs": 4, "ema": 0.996,
    "rotation": 15.0, "scale": 0.12, "translation": 0.06, "brightness": 0.2,
    "contrast": 0.2, "blur": 0.1, "noise": 4.0, "occlusion": 0.15, "mask": 0.1,
}  # fmt: skip

config = Config(
    data=(
        "youtube_faces_keypoints*0.9+folder:data/lfpw*1.2+folder:data/helen*1.5"
        "+folder:data/afw*1.5+folder:data/aflw*1.4"
    ),
    resolution=112,
    batch_size=16,
    warmup=0.1,
    weight_decay=0.02,
    precision="float32",
    stages=(
        {
            "epochs": 4, "learning_rate": 3e-4, "ema": 0.997, "teacher": "pretrained-small",
            "rotation": 35.0, "occlusion": 0.4, "mask": 0.35,
        },
        WEAK | {"learning_rate": 3e-4},
        WEAK | {"learning_rate": 4e-4},
        WEAK | {"learning_rate": 5e-4},
    ),
)  # fmt: skip
