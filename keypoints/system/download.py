"""Download a file: complete or not at all."""

import os
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path

from keypoints.errors import InputError

ATTEMPTS = 3
PAUSE = 1.0  # seconds before the second attempt; twice that before the third
TIMEOUT = 30.0  # seconds without data
BLOCK = 1 << 20


def download(url: str, path: Path) -> Path:
    """Download `url` to `path` in up to `ATTEMPTS` attempts; returns `path`.

    Raises InputError with the last reason, and leaves no file, if each attempt failed or ended
    before the length that the server announced.
    """
    reason = ""
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE * attempt)
        part = path.with_name(path.name + ".part")
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, open(part, "wb") as file:
                announced = answer.headers.get("Content-Length")
                while block := answer.read(BLOCK):
                    file.write(block)
                received = file.tell()
            if announced is not None and received != int(announced):
                raise OSError(f"the connection ended after {received} of {announced} bytes")
            os.replace(part, path)
            return path
        # URLError and HTTPError are OSErrors; a truncated response of unknown length is neither.
        except (OSError, ValueError, HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        finally:
            part.unlink(missing_ok=True)
    raise InputError(f"{url}: {reason}, in {ATTEMPTS} attempts")
