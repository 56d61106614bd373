"""Names of files that a file tells of: relative paths, which must stay within their folder."""

import re
from pathlib import PurePosixPath


def stays_inside(name: str) -> bool:
    """Whether `name`, a relative path in the spelling of any system, stays within its folder.

    Backslashes separate as slashes do; no `..` however it is mixed in, no absolute path, no drive,
    no NUL.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    named = "\0" not in name and not re.match(r"[A-Za-z]:", name)
    return named and not path.is_absolute() and ".." not in [part.strip() for part in path.parts]
