"""Models that come with the package, by name. README.md here is their card."""

from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = {"pretrained": FOLDER / "resnet50", "pretrained-small": FOLDER / "small"}
DEFAULT = "pretrained"


def resolve(model: str | Path) -> Path:
    """The export's folder for a name of `NAMES`; any other path as it is."""
    return NAMES.get(str(model), Path(str(model)))
