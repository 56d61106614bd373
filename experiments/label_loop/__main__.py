"""Count the points that a labeller corrects, from scratch and as the model learns.

    python -m experiments.label_loop FOLDER

FOLDER gets the labelled faces and two runs. These are short trainings of the last layers alone, not
the 15 epochs of all layers that `keypoints train finetune` makes by itself.
"""

import subprocess
import sys
from pathlib import Path

from experiments.label_loop import measure

LABELLED = range(1000, 1040)  # seeds of the faces that are labelled
MEASURED = range(2000, 2060)  # seeds of other faces, on which the points are counted
ROUNDS = (20, 40)  # faces after which the model is fine-tuned
SHORT = ("--epochs=5", "--trainable=head")


def main(folder: Path) -> None:
    """Label, train and count; prints a table."""
    models = {"the bundled model": "pretrained-small"}
    proposer = measure.proposer_of("pretrained-small")
    left, done = measure.drawn(LABELLED), []
    points = []
    for count in ROUNDS:
        order = measure.in_doubt_first(left, proposer)
        now, left = order[: count - len(done)], order[count - len(done) :]
        starts = (measure.proposed(face, proposer)[0] for face in now)
        points += [measure.labelled(f, start, proposer.markup) for f, start in zip(now, starts)]
        done += now
        measure.write_folder(folder / f"faces-{count}", done, points)
        run = folder / f"run-{count}"
        data = f"--data=folder:{folder / f'faces-{count}'}"
        command = [sys.executable, "-m", "tools.train", "finetune", data, f"--run={run}", *SHORT]
        subprocess.run(command, check=True)
        models[f"the model after {count} faces"] = str(run)
        proposer = measure.proposer_of(str(run))
    faces = measure.drawn(MEASURED)
    print("| points start from | corrected points a face | faces without any | mean distance |")
    print("| --- | --- | --- | --- |")
    laid = [measure.from_scratch(face, proposer.markup) for face in faces]
    print(measure.row("the mean face by two eyes", faces, laid))
    for name, model in models.items():
        proposer = measure.proposer_of(model)
        print(measure.row(name, faces, [measure.proposed(f, proposer)[0] for f in faces]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
