"""Relative paths that are read from a file: they must not leave the folder of that file."""

import re
from pathlib import PurePosixPath


def stays_inside(name: str) -> bool:
    """Whether the relative path `name` stays within its folder, on any operating system.

    Backslashes count as slashes. False for a path with `..` in any place, an absolute path, a drive
    letter or a NUL character.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    named = "\0" not in name and not re.match(r"[A-Za-z]:", name)
    return named and not path.is_absolute() and ".." not in [part.strip() for part in path.parts]
