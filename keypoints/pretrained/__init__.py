"""Bundled models, by name. README.md here is their model card."""

import json
from pathlib import Path

from keypoints.errors import InputError
from keypoints.system.digests import file_digest

FOLDER = Path(__file__).parent
NAMES = {"pretrained": FOLDER / "resnet50", "pretrained-small": FOLDER / "small"}
DEFAULT = "pretrained"


def resolve(model: str | Path) -> Path:
    """The folder of a bundled model for a name in `NAMES`; any other path unchanged."""
    return NAMES.get(str(model), Path(str(model)))


def weights_folder(name: str) -> Path:
    """The run folder with the float16 weights of a bundled model, to train on or to export.

    Raises InputError if they are missing: they are in a source checkout, not in the wheel.
    """
    folder = NAMES[name] / "weights"
    if not (folder / "best.weights.h5").is_file():
        digests = json.loads((NAMES[name] / "manifest.json").read_text())["sha256"]
        raise InputError(
            f"{name}: its float16 weights are not in the wheel; the source repository has "
            f"keypoints/pretrained/{folder.parent.name}/weights/best.weights.h5 "
            f"(SHA-256 {digests['weights/best.weights.h5']}): copy that folder to {folder}, or "
            "work in a checkout"
        )
    return folder


def damaged_files(name: str) -> list[str]:
    """The files of a bundled model that are missing or have another SHA-256 than its manifest.

    The float16 weights count only where their folder is: the wheel leaves it out.
    """
    folder = NAMES[name]
    digests = json.loads((folder / "manifest.json").read_text())["sha256"]
    damaged = []
    for file, digest in digests.items():
        path = folder / file
        if file.startswith("weights/") and not path.parent.exists():
            continue
        if not path.is_file() or file_digest(path) != digest:
            damaged.append(file)
    return damaged
