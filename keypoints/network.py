"""A trained network as a value: all that is needed to use one, wherever it was read from."""

from dataclasses import dataclass
from pathlib import Path

from keypoints.crop import Crop
from keypoints.estimate import Predict


@dataclass(frozen=True)
class Network:
    """A function from crops to points, and how to make its crops.

    Evaluation, export, predictor, benchmarks and distillation take this one value, so that none of
    them can use a network with the crop of another.
    """

    predict: Predict
    crop: Crop
    source: Path | None = None  # file that its weights were read from
    trained_on: str = ""  # data sets, as in `Config.data`
