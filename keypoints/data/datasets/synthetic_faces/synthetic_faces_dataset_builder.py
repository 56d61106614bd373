"""TFDS builder of synthetic faces: no download, the same images on each machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keypoints.media.pictures import encode_png
from keypoints.synthetic.drawing import draw_face

# First seed of each split: no two splits, of any size, share a face.
SEEDS = {"train": 0, "validation": 1_000_000, "test": 2_000_000}


@dataclass(kw_only=True)
class FacesConfig(tfds.core.BuilderConfig):
    """Number of faces per split."""

    train: int
    validation: int
    test: int


class Builder(tfds.core.GeneratorBasedBuilder):
    """Faces drawn from a three-dimensional shape, with exact landmarks."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012 (TFDS reads a plain class attribute)
        FacesConfig(name="small", train=1200, validation=200, test=200),
        FacesConfig(name="large", train=20_000, validation=1000, test=1000),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                    "points": tfds.features.Tensor(shape=(68, 2), dtype=np.float32),
                    "file": tfds.features.Text(),  # "train/000123"
                    "identity": tfds.features.Text(),  # each face is another person
                }
            ),
            supervised_keys=None,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        del dl_manager
        return {split: self._generate_examples(split) for split in SEEDS}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict]]:
        for index in range(getattr(self.builder_config, split)):
            image, points = draw_face(SEEDS[split] + index)
            file = f"{split}/{index:06d}"
            yield (
                index,
                {"image": encode_png(image), "points": points, "file": file, "identity": file},
            )
