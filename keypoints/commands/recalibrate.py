"""Fit what a run tells of its errors: `keypoints recalibrate RUN`."""

from pathlib import Path
from typing import Any


def recalibrate(
    run: str,
    *,
    data: str | None = None,
    split: str | None = None,
    archive: str | None = None,
    data_dir: str | None = None,
) -> None:
    """Fit the uncertainties and the face score of a run to its validation data.

    `keypoints train` does so at its end; this command is for other data, and for runs of before.
    The points that the network finds stay the same.

    Args:
        run: run folder
        data: data sets, several with +, each with the same weight; default: those of the run
        split: their split; default: the validation split of the run
        archive: path of the YouTube Faces archive; or set KEYPOINTS_ARCHIVE
        data_dir: folder of prepared data sets; default: ~/tensorflow_datasets
    """
    from keypoints.data.sources import load_each
    from keypoints.models import runs
    from keypoints.training import recalibration

    config = runs.load_config(Path(run))
    split = split or config.validation_split
    sources: dict[str, Any] = {"labels": config.labels, "archive": archive, "data_dir": data_dir}
    sets = load_each(data or config.data, split, **sources)
    print(recalibration.recalibrate(Path(run), sets))
