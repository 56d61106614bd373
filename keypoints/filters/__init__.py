"""Face filters: stickers, warps and privacy, each a folder with art and a `filter.toml`."""

from pathlib import Path

from keypoints.config import near_miss
from keypoints.errors import InputError
from keypoints.filters.engine import Filter
from keypoints.filters.spec import FILE, read_spec

__all__ = ["Filter", "list_filters", "load_filter"]

FOLDER = Path(__file__).parent


def list_filters() -> list[str]:
    """Names of the filters that come with the package, in alphabetical order."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{FILE}"))


def load_filter(name_or_folder: str | Path) -> Filter:
    """A filter by the name of one of `list_filters` or by the path of a folder of one's own.

    Raises InputError for a name that is not there and for a folder whose spec or art is wrong.
    """
    names = list_filters()
    if str(name_or_folder) in names:
        return Filter(read_spec(FOLDER / str(name_or_folder)))
    folder = Path(name_or_folder)
    if folder.is_dir():
        return Filter(read_spec(folder))
    hint = near_miss(str(name_or_folder), names) or f"; there are {', '.join(names)}"
    raise InputError(f"filter {str(name_or_folder)!r}: no such filter or folder{hint}")
