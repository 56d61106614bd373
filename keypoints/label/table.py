"""points.csv, row by row: the faces of one picture are replaced, all other bytes stay."""

import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keypoints.data.formats.tables import COVERED, are_points, covered_mark, separator_of

BYTE_ORDER_MARK = "\ufeff"


class LabelledFace(NamedTuple):
    """The points of a face, in pixels of the picture."""

    points: np.ndarray  # (n, 2); NaN: not to be seen
    covered: np.ndarray  # (n,) bool


@dataclass(frozen=True)
class Row:
    """One line of the file."""

    data: bytes  # with its end
    name: str  # first cell: the picture, as the file names it; "" for a header or an empty line


class Table:
    """The text of a CSV file with one face a row, as `data.formats.tables` reads it."""

    def __init__(self, data: bytes, picture_of: Callable[[str], str]):
        """`picture_of`: the picture that a first cell means, by which rows are found.

        Raises ValueError for text that is not UTF-8, and for a row of several lines.
        """
        text = data.decode("utf-8")
        self.separator = separator_of(text, are_points)
        self._end = next((end for end in ("\r\n", "\n", "\r") if end in text), "\n")
        lines = io.StringIO(text, newline="").readlines()  # ends as they are
        self.rows = [self._row(number, line) for number, line in enumerate(lines)]
        header = lines[0].rstrip("\r\n").rpartition(self.separator)[2] if lines else ""
        self._marks = header.strip(' "').lower() == COVERED  # all rows have this cell
        self._picture_of = picture_of

    def _row(self, number: int, line: str) -> Row:
        plain = line.removeprefix(BYTE_ORDER_MARK) if number == 0 else line
        if plain.count('"') % 2:
            raise ValueError(f"line {number + 1}: a quoted cell of several lines")
        plain = plain.rstrip("\r\n")
        first = plain.partition(self.separator)[0]  # quicker than all cells, of many rows
        if '"' in plain:
            first = next(csv.reader([plain], delimiter=self.separator))[0]
        return Row(line.encode(), first.strip())

    def rows_of(self, picture: str) -> list[int]:
        """The numbers of the rows of a picture."""
        return [
            number
            for number, row in enumerate(self.rows)
            if row.name and self._picture_of(row.name) == picture
        ]

    def version_of(self, picture: str) -> str:
        """A digest of what the file has of a picture: it changes where somebody else writes it."""
        return hashlib.sha256(
            b"".join(self.rows[i].data for i in self.rows_of(picture))
        ).hexdigest()

    def replaced(self, picture: str, faces: Sequence[int | LabelledFace]) -> bytes:
        """The file with `faces` as those of a picture.

        A face is the number, from 0, of a row of the picture that stays as it is, or its points.
        """
        own = self.rows_of(picture)
        name = self.rows[own[0]].name if own else picture
        kept = [row.data for row in self.rows]
        if kept and not kept[-1].endswith((b"\n", b"\r")):
            kept[-1] += self._end.encode()
        new = [
            kept[own[face]] if isinstance(face, int) else self._written(name, face)
            for face in faces
        ]
        start = own[0] if own else len(kept)
        before = [line for number, line in enumerate(kept[:start]) if number not in own]
        after = [line for number, line in enumerate(kept[start:], start) if number not in own]
        return b"".join([*before, *new, *after])

    def _written(self, name: str, face: LabelledFace) -> bytes:
        cells = ["" if np.isnan(value) else f"{value:.3f}" for value in face.points.ravel()]
        if self._marks or face.covered.any():
            cells.append(covered_mark(face.covered))
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.separator, lineterminator=self._end)
        writer.writerow([name, *cells])
        return text.getvalue().encode()
