"""The command markup."""

import sys
from pathlib import Path

from keypoints.commands.progress import count_of
from keypoints.errors import InputError


def markup(folder: str, *, output: str | None = None) -> None:
    """Write a first markup.toml for the points of a folder, and a numbered sheet to check it by.

    The sheet shows four faces with their points over their flipped twins: there every number must
    be at the same part of the face as above, or training with flips learns wrong points. Correct
    the pairs in markup.toml, and run the command again: a markup.toml that is there is drawn, and
    kept as it is.

    Args:
        folder: pictures with annotations of any format that `folder:` reads
        output: .png file of the sheet; default: markup.png in the folder
    """
    from keypoints.data.annotated_folder import LABELS, SPLITS, YAWS
    from keypoints.data.annotation_files import arrange, read_annotations
    from keypoints.errors import refuse
    from keypoints.evaluation import own_points
    from keypoints.inference.detectors import load_detector
    from keypoints.markup import FILE
    from keypoints.media.pictures import encode_png
    from keypoints.system.atomic import replacing, write_text

    path = Path(folder).expanduser()
    if not path.is_dir():
        raise InputError(f"{folder}: no such folder")
    target = Path(output).expanduser() if output else path / "markup.png"
    if target.suffix.lower() != ".png":
        raise InputError(f"--output={output}: a .png file is expected")
    found = read_annotations(path, passed_over=(SPLITS, YAWS, LABELS))
    chosen = found.own_markup() if found.faces else found.markup()
    arrange(found, chosen)
    refuse(found.problems, folder)
    how = f"as {FILE} says" if (path / FILE).is_file() else f"those of {chosen.name}"
    if chosen.name == "own" and not (path / FILE).is_file():
        proposal = own_points.propose(path.resolve().name, found.faces, chosen, load_detector())
        chosen, how = proposal.markup, proposal.pairs
        write_text(path / FILE, chosen.to_toml())
        print(f"{path / FILE}: {count_of(chosen.count, 'point')}")
        for note in proposal.notes:
            print(f"note: {note}", file=sys.stderr)
    with replacing(target) as temporary:
        temporary.write_bytes(encode_png(own_points.sheet(found.faces, chosen)))
    pairs = count_of(len(chosen.pairs or ()), "mirror pair")
    print(f"{target}: {pairs}, {how}; look at the flipped twins before you train")
