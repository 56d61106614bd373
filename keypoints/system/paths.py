"""Relative paths: which are hidden, and which leave the folder of the file that names them."""

import re


def is_hidden(path: str) -> bool:
    """Whether a part of a relative path starts with a dot, or is of the resource forks of macOS."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def stays_inside(name: str) -> bool:
    """Whether the relative path `name` stays within its folder, on any operating system.

    Backslashes count as slashes. False for a path with `..` in any place, an absolute path, a drive
    letter or a NUL character.
    """
    path = name.replace("\\", "/")
    named = "\0" not in path and not path.startswith("/") and not re.match(r"[A-Za-z]:", path)
    return named and ".." not in map(str.strip, path.split("/"))
