"""Folders of the user that the package keeps files in."""

import os
import tempfile
from pathlib import Path


def home_folder() -> Path | None:
    """The user's home folder; None where the system knows none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def cache_folder() -> Path:
    """Where downloads are kept: `keypoints` in XDG_CACHE_HOME, or else in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "keypoints"


def data_folder() -> Path:
    """Where prepared data sets are kept: TFDS_DATA_DIR, or else ~/tensorflow_datasets."""
    return Path(os.environ.get("TFDS_DATA_DIR") or _home() / "tensorflow_datasets").expanduser()


def _home() -> Path:
    """The home folder, or a folder for temporary files of this user where there is none."""
    own = f"keypoints-{os.getuid()}" if hasattr(os, "getuid") else "keypoints"  # Windows has none
    return home_folder() or Path(tempfile.gettempdir()) / own
