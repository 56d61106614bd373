"""Download a file: complete or not at all."""

import shutil
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path

from keypoints.errors import InputError
from keypoints.system.atomic import replacing

ATTEMPTS = 3
PAUSE = 1.0  # seconds before the second attempt; twice that before the third
TIMEOUT = 30.0  # seconds without data


def download(url: str, path: Path) -> Path:
    """Download `url` to `path` in up to `ATTEMPTS` attempts; returns `path`.

    Two processes may do so at once: each writes a file of its own, which becomes `path` when it is
    whole. Raises InputError with the last reason, and leaves no file, if each attempt failed or
    ended before the length that the server announced.
    """
    reason = ""
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE * attempt)
        try:
            with replacing(path) as part:
                _fetch(url, part)
            return path
        except InputError:  # the file cannot be written: the network is not to blame
            raise
        # URLError and HTTPError are OSErrors; a truncated response of unknown length is neither.
        except (OSError, ValueError, HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    raise InputError(f"{url}: {reason}, in {ATTEMPTS} attempts")


def _fetch(url: str, path: Path) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, open(path, "wb") as file:
        shutil.copyfileobj(answer, file)
        announced, received = answer.headers.get("Content-Length"), file.tell()
    if announced is not None and received != int(announced):
        raise OSError(f"the connection ended after {received} of {announced} bytes")
