"""Face filters: stickers, warps and privacy filters; each is a folder with a `filter.toml`."""

import hashlib
import os
from pathlib import Path

from keypoints.errors import InputError, near_miss
from keypoints.filters.engine import Filter, fits_any
from keypoints.filters.spec import FILE, Sticker, read_spec
from keypoints.markup import IBUG68, Markup
from keypoints.system.digests import file_digest

__all__ = ["Filter", "list_filters", "load_filter"]

FOLDER = Path(__file__).parent / "bundled"


def list_filters(markup: Markup = IBUG68) -> list[str]:
    """Names of the bundled filters that can be drawn on faces of `markup`, sorted."""
    names = sorted(path.parent.name for path in FOLDER.glob(f"*/{FILE}"))
    if markup.order_of(IBUG68) is not None:
        return names
    return [name for name in names if fits_any(read_spec(FOLDER / name))]


def load_filter(name_or_folder: str | Path, markup: Markup = IBUG68) -> Filter:
    """Load a filter by its name (see `list_filters`) or from a folder, for faces of `markup`.

    Raises InputError for an unknown name, for a folder with an invalid `filter.toml` or art, and
    for a filter that needs points which the markup does not have.
    """
    return Filter(read_spec(filter_folder(name_or_folder)), markup)


def filter_digest(name_or_folder: str | Path) -> str:
    """SHA-256 over the definition and the art of a filter: all that its drawing depends on."""
    folder = filter_folder(name_or_folder)
    layers = read_spec(folder).layers
    art = {layer.art for layer in layers if isinstance(layer, Sticker)}
    files = [file_digest(folder / name) for name in (FILE, *sorted(art))]
    return hashlib.sha256("".join(files).encode()).hexdigest()


def filter_folder(name_or_folder: str | Path) -> Path:
    """The folder of a filter. Raises InputError where there is none."""
    names = list_filters()
    if str(name_or_folder) in names:
        return FOLDER / str(name_or_folder)
    folder = Path(name_or_folder)
    if os.path.isdir(folder):
        return folder
    hint = near_miss(str(name_or_folder), names)
    raise InputError(f"filter {str(name_or_folder)!r}: no such filter or folder{hint}")
