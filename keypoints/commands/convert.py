"""The command convert."""

import sys

from keypoints.commands.progress import count_of


def convert(source: str, target: str, *, format: str, model: str | None = None) -> None:
    """Write the annotations of a folder in another format, with its pictures, into a new folder.

    SOURCE may hold any format that `folder:` reads; the result can be read as `folder:TARGET`.
    What the format cannot hold is said. With a model, pictures without faces get those that it
    proposes, for a person to correct.

    Args:
        source: source folder with pictures and annotations
        target: target folder, which is made
        format: 300w, coco, cofw, csv, cvat, deeplabcut, imglab, labelme, labelstudio,
            labelstudio-proposals (for a person to accept), merl-rav or wflw
        model: bundled model, run folder or export that proposes faces; default: none
    """
    from pathlib import Path

    from keypoints.data import conversion

    folder, propose = Path(source).expanduser(), None
    if model is not None:
        from keypoints.inference.predictor import Predictor
        from keypoints.label.proposals import Proposer
        from keypoints.markup import FILE, read_markup

        predictor = Predictor.load(model)
        markup = read_markup(folder) if (folder / FILE).is_file() else predictor.markup
        proposer = Proposer(predictor, markup)
        propose = conversion.Propose(
            markup, lambda image: [face.points for face in proposer.faces(image)]
        )
    done = conversion.convert(folder, Path(target).expanduser(), format, propose=propose)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    print(
        f"{target}: {count_of(done.pictures, 'picture')}, {count_of(done.faces, 'face')}, "
        f"{count_of(done.markup.count, 'point')} ({done.markup.name})"
    )
