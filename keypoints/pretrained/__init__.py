"""Bundled models, by name. README.md here is their model card."""

import json
from pathlib import Path

from keypoints.system.digests import file_digest

FOLDER = Path(__file__).parent
NAMES = {"pretrained": FOLDER / "resnet50", "pretrained-small": FOLDER / "small"}
DEFAULT = "pretrained"


def resolve(model: str | Path) -> Path:
    """The folder of a bundled model for a name in `NAMES`; any other path unchanged."""
    return NAMES.get(str(model), Path(str(model)))


def weights_folder(name: str) -> Path:
    """The run folder with the float16 weights of a bundled model, to train on or to export."""
    return NAMES[name] / "weights"


def damaged_files(name: str) -> list[str]:
    """The files of a bundled model that are missing or have another SHA-256 than its manifest."""
    folder = NAMES[name]
    digests = json.loads((folder / "manifest.json").read_text("utf-8"))["sha256"]
    return [
        file
        for file, digest in digests.items()
        if not (folder / file).is_file() or file_digest(folder / file) != digest
    ]
