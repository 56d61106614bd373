"""Write what the page's build needs: `python -m tools.page FOLDER`.

FOLDER gets `constants.json`, and in `public/` the models, what the page must know of them, and the
art of the filters, which the build copies as they are.
"""

import json
import sys
from pathlib import Path

from keypoints.filters import FOLDER
from keypoints.system.atomic import replacing, write_text
from keypoints.web.models import models
from tools.page.constants import constants


def write_assets(folder: Path) -> None:
    """Write all of it; raises InputError where a model's file is missing or damaged."""
    public = folder / "public"
    values = constants()
    art = {
        layer["art"]: (FOLDER / layer["art"].removeprefix("filters/")).read_bytes()
        for spec in values["filters"]
        for layer in spec["layers"]
        if "art" in layer
    }
    for name, data in (art | models()).items():
        path = public / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    write_text(folder / "constants.json", json.dumps(values) + "\n")


if __name__ == "__main__":
    write_assets(Path(sys.argv[1]))
