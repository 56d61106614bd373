"""The command convert."""

import sys

from keypoints.commands.progress import count_of


def convert(source: str, target: str, *, format: str) -> None:
    """Write the annotations of a folder in another format, with its pictures, into a new folder.

    SOURCE may hold any format that `folder:` reads; the result can be read as `folder:TARGET`.
    What the format cannot hold is said.

    Args:
        source: source folder with pictures and annotations
        target: target folder, which is made
        format: 300w, coco, cofw, csv, cvat, deeplabcut, imglab, labelme, labelstudio,
            labelstudio-proposals (for a person to accept), merl-rav or wflw
    """
    from pathlib import Path

    from keypoints.data import conversion

    done = conversion.convert(Path(source).expanduser(), Path(target).expanduser(), format)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    print(
        f"{target}: {count_of(done.pictures, 'picture')}, {count_of(done.faces, 'face')}, "
        f"{count_of(done.markup.count, 'point')} ({done.markup.name})"
    )
