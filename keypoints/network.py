"""A trained network as a value: all that is needed to use one, wherever it was read from."""

from dataclasses import dataclass
from pathlib import Path

from keypoints.crop import Crop
from keypoints.estimate import UNCERTAINTY_AT_HALF_SCORE, Predict
from keypoints.markup import IBUG68, Markup
from keypoints.system.digests import file_digest


@dataclass(frozen=True)
class Network:
    """A function from crops to points, how to make its crops, and what its points mean.

    Evaluation, export, predictor, benchmarks and distillation take this one value, so that none of
    them can use a network with the crop of another.
    """

    predict: Predict
    crop: Crop
    source: Path | None = None  # file that its weights were read from
    trained_on: str = ""  # data sets, as in `Config.data`
    markup: Markup = IBUG68
    half_score: float = UNCERTAINTY_AT_HALF_SCORE  # `Estimate.relative_uncertainty` of a score 0.5

    @property
    def digest(self) -> str:
        """SHA-256 of the file that its weights were read from; empty where there is none."""
        return file_digest(self.source) if self.source else ""
