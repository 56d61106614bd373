"""The bundled small network fitted to own pictures, from forty on.

    python -m tools.train finetune --data=folder:my_faces

Start, steps and moving average follow the number of pictures. Other weights, such as a run folder
or --weights=pretrained with --backbone=resnet50, are given as flags. Where the points are those of
the start, a quarter of an epoch are drawn faces with its own answers, against forgetting.
"""

from keypoints.config import Config

REACH = 1.1  # how much more than the mean face a crop shows
# A crop so much wider than that of the bundled network is seen at twice its pixels: faces would be
# smaller than those that the network knows. Its steps take four times as long.
WIDE = 1.25
TWICE = {"resolution": 224, "batch_size": 8, "epochs": 8}
# With the bundled network's own points there is less to learn, and more to forget.
KNOWN, SAME = "ibug68", {"learning_rate": 1e-4, "epochs": 8}

config = Config(
    weights="pretrained-small",
    backbone="lite",
    resolution=112,
    batch_size=16,
    epochs=15,
    learning_rate=1e-3,
    warmup=0.5,
    rehearsal=0.25,
)


def adapt(training) -> dict[str, int | float]:
    """40 steps or more an epoch, so that each picture is shown; the average is over half of one.

    Without an average that is short against the training, its result would be the start. The crop
    is as large as the points need: some markups have the hair line or the neck. With such a crop,
    and with the points of the bundled network, 320 steps are enough.
    """
    reach = 2 * REACH * float(abs(training.markup.mean).max())
    scale = max(config.crop_scale, round(reach, 2))
    same = SAME if training.markup.name == KNOWN else {}
    size = TWICE if scale > WIDE * config.crop_scale else {}
    steps = max(40, len(training) // size.get("batch_size", config.batch_size))
    average = max(0.0, 1 - 2 / steps)
    return {"epoch_steps": steps, "ema": average, "crop_scale": scale, **same, **size}
