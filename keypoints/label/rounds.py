"""What each model's proposals were worth: a line for each face that was accepted.

The file lies beside points.csv. Readers of annotations pass it over, by its ending.
"""

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import mean, median

from keypoints.errors import InputError
from keypoints.system.atomic import replacing

FILE = "rounds.tsv"


@dataclass(frozen=True)
class Accepted:
    """One line of the file: a face that had no annotation before."""

    model: str  # as the user named it
    digest: str  # of its file: other weights are another round
    picture: str
    correction: float | None  # percent of the face, mean of its points; None: nothing was proposed
    seconds: float | None  # from opening the picture, over the number of its faces


def add(folder: Path, faces: list[Accepted]) -> None:
    """Add lines to the file of a folder; atomic."""
    path, text = folder / FILE, io.StringIO()
    rows = csv.writer(text, delimiter="\t", lineterminator="\n")
    before = path.read_bytes() if path.exists() else b""
    if not before:
        rows.writerow([field.name for field in fields(Accepted)])
    rows.writerows(astuple(face) for face in faces)  # None is an empty cell
    with replacing(path) as temporary:
        temporary.write_bytes(before + text.getvalue().encode())


def read(folder: Path) -> list[Accepted]:
    """All lines of the file of a folder; raises InputError for one that is none."""
    path = folder / FILE
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t"))
    except FileNotFoundError:
        return []
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: {error}") from None
    faces = []
    for number, row in enumerate(rows[1:], 2):
        try:
            model, digest, picture, *values = row
            correction, seconds = (float(value) if value else None for value in values)
        except ValueError:
            raise InputError(
                f"{path}: line {number}: {len(fields(Accepted))} cells are expected, "
                "the last two are numbers or empty"
            ) from None
        faces.append(Accepted(model, digest, picture, correction, seconds))
    return faces


def summary(faces: list[Accepted]) -> list[str]:
    """The lines of a table with a row for each round, in the order in which they began.

    The mean of the corrections, and the median of the seconds, which a break does not change.
    """
    rounds: dict[str, list[Accepted]] = {}
    for face in faces:
        rounds.setdefault(face.digest, []).append(face)
    lines = ["round  faces  correction  seconds a face  model"]
    for number, found in enumerate(rounds.values(), 1):
        corrections = [face.correction for face in found if face.correction is not None]
        seconds = [face.seconds for face in found if face.seconds is not None]
        moved = f"{mean(corrections):.2f} %" if corrections else "-"
        took = f"{median(seconds):.1f}" if seconds else "-"
        lines.append(f"{number:5}  {len(found):5}  {moved:>10}  {took:>14}  {found[-1].model}")
    return lines
