"""Face filters: stickers, warps and privacy filters; each is a folder with a `filter.toml`."""

from pathlib import Path

from keypoints.errors import InputError, near_miss
from keypoints.filters.engine import Filter
from keypoints.filters.spec import FILE, read_spec

__all__ = ["Filter", "list_filters", "load_filter"]

FOLDER = Path(__file__).parent / "bundled"


def list_filters() -> list[str]:
    """Names of the bundled filters in alphabetical order."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{FILE}"))


def load_filter(name_or_folder: str | Path) -> Filter:
    """Load a filter by its name (see `list_filters`) or from a folder.

    Raises InputError for an unknown name and for a folder with an invalid `filter.toml` or art.
    """
    names = list_filters()
    if str(name_or_folder) in names:
        return Filter(read_spec(FOLDER / str(name_or_folder)))
    folder = Path(name_or_folder)
    if folder.is_dir():
        return Filter(read_spec(folder))
    hint = near_miss(str(name_or_folder), names)
    raise InputError(f"filter {str(name_or_folder)!r}: no such filter or folder{hint}")
