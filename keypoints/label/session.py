"""The labelling of one folder: its pictures, what is known of them, and what the model proposes."""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.data.annotated_folder import LABELS, SPLITS, YAWS
from keypoints.data.annotation_files import (
    AnnotatedFolder,
    Face,
    arrange,
    locate,
    read_annotations,
    visible_files,
)
from keypoints.data.formats import tables
from keypoints.errors import InputError, refuse
from keypoints.inference.predictor import Predictor
from keypoints.label import rounds
from keypoints.label.proposals import Proposal, Proposer, face_size
from keypoints.label.table import LabelledFace, Table
from keypoints.markup import FILE as MARKUP_FILE
from keypoints.markup import IBUG68, Markup, read_markup
from keypoints.media.formats import is_picture
from keypoints.media.pictures import open_picture
from keypoints.system.atomic import replacing

POINTS = "points.csv"
LARGEST = 1e6  # pixels: places beyond it are no points of a picture


class Conflict(Exception):
    """The file has other faces of a picture than those that were shown."""


class Session:
    """The state of a labelling, shared by the threads of the server."""

    def __init__(
        self,
        folder: Path,
        predictor: Predictor,
        model: str = "pretrained-small",
        digest: str = "",
        *,
        own: bool = False,
    ):
        """`model`, `digest`: what the predictor was loaded from, for `rounds`; `own`: not bundled.

        Raises InputError for a folder without pictures, or annotations that cannot be kept.
        """
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        self.folder, self.path = folder, folder / POINTS
        markup = folder / MARKUP_FILE
        self.markup: Markup = read_markup(markup) if markup.is_file() else IBUG68
        self.pictures = [
            path.relative_to(folder).as_posix()
            for path in visible_files(folder)
            if is_picture(path)
        ]
        if not self.pictures:
            raise InputError(f"{folder}: no pictures in it")
        self._known = set(self.pictures)
        self._proposer = Proposer(predictor, self.markup, twins=own)
        self._writing = threading.Lock()
        self._model, self._digest = model, digest
        self._opened: dict[str, float] = {}  # when a picture was shown, seconds of a clock
        self._accepted = 0.0  # when faces were accepted last
        self._proposals: dict[str, list[Proposal]] = {}
        self._drawn: dict[str, list[Proposal]] = {}  # in boxes that somebody drew
        self._order = np.arange(self.markup.count)  # of the points in points.csv
        self._imported = self._import()
        self._names: dict[str, str] = {}

    def _import(self) -> bytes:
        """What points.csv begins with where there is none: the faces of other formats."""
        found = AnnotatedFolder(self.folder)
        try:
            found = read_annotations(self.folder, passed_over=(SPLITS, YAWS, LABELS))
        except InputError:
            if self.path.is_file():
                raise
        own = [file for file in found.files() if file.file == POINTS]
        names = found.names()
        with suppress(ValueError):  # which is a problem of `arrange` too
            self._order = found.order(own[0], self.markup, names) if own else self._order
        arrange(found, self.markup)
        refuse(found.problems, str(self.folder))
        if len(self._order) != self.markup.count:
            raise InputError(
                f"{self.path}: {len(self._order)} points a row; all {self.markup.count} of "
                f"{self.markup.name} are expected"
            )
        others = {face.annotations.file for face in found.faces} - {POINTS}
        tables = [name for name in others if name.lower().endswith(".csv")]
        if tables:
            raise InputError(
                f"{self.folder}: {min(tables)} has annotations; labels are written to {POINTS}: "
                "rename the file, or take it out of the folder"
            )
        data = b""
        if not self.path.is_file():
            for face in found.faces:
                data = self._appended(data, face)
        return data

    @staticmethod
    def _appended(data: bytes, face: Face) -> bytes:
        table = Table(data, lambda name: "")
        return table.replaced(face.name, [LabelledFace(face.points, face.covered)])

    def table(self) -> Table:
        """What points.csv has now; raises InputError where it cannot be read."""
        try:
            data = self.path.read_bytes() if self.path.exists() else self._imported
            return Table(data, self._picture_of)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: {error}") from None

    def _picture_of(self, name: str) -> str:
        if name not in self._names:
            plain = name.replace("\\", "/")
            found = plain if plain in self._known else ""
            if not found:
                place = locate(self.folder, self.folder, plain)
                inside = place.is_relative_to(self.folder)
                found = place.relative_to(self.folder).as_posix() if inside else plain
            self._names[name] = found
        return self._names[name]

    def overview(self) -> dict[str, Any]:
        """The markup, and for each picture the number of its faces and how doubtful it is."""
        table = self.table()
        faces: dict[str, int] = {}
        for row in table.rows:
            if row.name:
                picture = self._picture_of(row.name)
                faces[picture] = faces.get(picture, 0) + 1
        doubts = {name: self._doubt(found) for name, found in list(self._proposals.items())}
        return {
            "folder": self.folder.name,
            "markup": {
                "name": self.markup.name,
                "names": list(self.markup.names),
                "pairs": [list(pair) for pair in self.markup.pairs or ()],
                "outlines": [[list(o.points), o.closed] for o in self.markup.outlines.values()],
                "parts": {name: list(part) for name, part in self.markup.parts.items()},
                "mean": None if self.markup.mean is None else self.markup.mean.tolist(),
            },
            "pictures": [
                {"name": name, "faces": faces.get(name, 0), "doubt": doubts.get(name)}
                for name in self.pictures
            ],
        }

    @staticmethod
    def _doubt(found: list[Proposal]) -> float:
        return max((proposal.doubt for proposal in found), default=0.0)

    def image(self, picture: str) -> np.ndarray:
        """The pixels `(h, w, 3)` of a picture as trainings see them: its orientation is applied."""
        self._check(picture)
        return next(open_picture(self.folder / picture).stills()).rgb()

    def _check(self, picture: str) -> None:
        if picture not in self._known:
            raise InputError(f"{picture!r} is no picture of the folder")

    def faces(self, picture: str) -> dict[str, Any]:
        """The faces of a picture that are labelled, or else those that the model proposes."""
        self._check(picture)
        table = self.table()
        own = [table.rows[number].data for number in table.rows_of(picture)]
        version = table.version_of(picture)
        if own:
            return {"version": version, "faces": self._read(own), "labelled": True}
        proposals = self.propose(picture)
        faces = [_plain(proposal.points) for proposal in proposals]
        self._opened[picture] = time.monotonic()
        return {"version": version, "faces": faces, "labelled": False}

    def _read(self, rows: list[bytes]) -> list[dict[str, Any]]:
        found, columns = tables.parse(b"".join(rows), POINTS), 1 + 2 * self.markup.count
        if found.problems or len(found.faces) != len(rows) or found.columns != columns:
            wrong = f"{POINTS}: {columns} columns are expected"
            raise InputError("; ".join(found.problems) or wrong)
        back = np.argsort(self._order)
        return [_plain(face.points[back], face.covered[back]) for face in found.faces]

    def propose(self, picture: str) -> list[Proposal]:
        """The faces that the model finds in a picture, largest first; they are found once."""
        if picture not in self._proposals:
            self._proposals[picture] = self._proposer.faces(self.image(picture))
        return self._proposals[picture]

    def propose_in(self, picture: str, box: np.ndarray) -> dict[str, Any]:
        """The face in a box `(4,)` that somebody drew."""
        proposal = self._proposer.face_in(self.image(picture), box)
        self._drawn.setdefault(picture, []).append(proposal)
        return _plain(proposal.points)

    def next_picture(self, after: str | None) -> str | None:
        """The picture without labels that is most in doubt, of those proposed; None: all are done.

        `after` is left out: the person goes on.
        """
        table = self.table()
        done = {self._picture_of(row.name) for row in table.rows if row.name}
        left = [name for name in self.pictures if name not in done and name != after]
        if not left:
            return None
        ready = [name for name in left if name in self._proposals]
        return max(ready, key=lambda name: self._doubt(self._proposals[name])) if ready else left[0]

    def propose_all(self, stop: threading.Event) -> None:
        """Propose for all pictures without labels, so that the doubtful ones can come first."""
        table = self.table()
        done = {self._picture_of(row.name) for row in table.rows if row.name}
        for name in self.pictures:
            if stop.is_set():
                return
            if name not in done:
                try:
                    self.propose(name)
                except InputError:
                    self._proposals[name] = []  # told where it is opened

    def accept(self, picture: str, version: str, faces: list[Any]) -> str:
        """Write `faces` as those of a picture; returns the new version.

        A face is the number of one that the file has, which keeps its bytes, or a dictionary:
        `points`, each [x, y] or null, and `covered`, numbers of points. Raises Conflict where the
        file has another version, and InputError for what is no face. Of a picture without faces so
        far, a line for each goes into `rounds.FILE`.
        """
        self._check(picture)
        with self._writing:
            table = self.table()
            if table.version_of(picture) != version:
                raise Conflict
            count = len(table.rows_of(picture))
            new = [self._face(face, count) for face in faces]
            data = table.replaced(picture, [self._arranged(face) for face in new])
            with replacing(self.path) as temporary:
                temporary.write_bytes(data)
            if not count:
                self._record(picture, [face for face in new if not isinstance(face, int)])
            return self.table().version_of(picture)

    def _record(self, picture: str, faces: list[LabelledFace]) -> None:
        now = time.monotonic()
        since = max(self._opened.get(picture, now), self._accepted)
        self._accepted = now
        seconds = round((now - since) / max(len(faces), 1), 1)
        rows = [
            rounds.Accepted(
                self._model, self._digest, picture, self._correction(picture, face.points), seconds
            )
            for face in faces
        ]
        rounds.add(self.folder, rows)

    def _correction(self, picture: str, points: np.ndarray) -> float | None:
        """How far `points` are from the nearest proposal, in percent of the face; None: no such."""
        size, known = face_size(self.markup, points), np.isfinite(points[:, 0])
        away = [
            np.nanmean(np.linalg.norm(proposal.points - points, axis=1))
            for proposal in self._proposals.get(picture, []) + self._drawn.get(picture, [])
            if (np.isfinite(proposal.points[:, 0]) & known).any()
        ]
        nearest = float(min(away, default=np.inf))
        return round(100 * nearest / size, 3) if nearest < size else None

    def _face(self, value: Any, count: int) -> int | LabelledFace:
        if isinstance(value, int) and not isinstance(value, bool):
            if not 0 <= value < count:
                raise InputError(f"face {value}: the picture has {count}")
            return value
        places = value.get("points") if isinstance(value, dict) else None
        if not isinstance(places, list) or len(places) != self.markup.count:
            raise InputError(f"a face is {self.markup.count} points")
        points = np.full((self.markup.count, 2), np.nan)
        for number, place in enumerate(places):
            if place is None:
                continue
            numbers = isinstance(place, list) and len(place) == 2
            if not numbers or not all(type(v) in (int, float) and abs(v) <= LARGEST for v in place):
                raise InputError(f"point {number}: two numbers of at most {LARGEST:.0f}, or null")
            points[number] = place
        if np.isfinite(points[:, 0]).sum() < 2:
            raise InputError("a face has two points or more")
        covered = self._covered(value.get("covered"))
        return LabelledFace(points, covered & np.isfinite(points[:, 0]))

    def _arranged(self, face: int | LabelledFace) -> int | LabelledFace:
        """A face with its points in the order of points.csv."""
        if isinstance(face, int):
            return face
        return LabelledFace(face.points[self._order], face.covered[self._order])

    def _covered(self, value: Any) -> np.ndarray:
        covered = np.zeros(self.markup.count, bool)
        for number in value if isinstance(value, list) else [value]:
            if type(number) is not int or not 0 <= number < len(covered):
                raise InputError(f"covered: {number!r} is no number of a point")
            covered[number] = True
        return covered


def _plain(points: np.ndarray, covered: np.ndarray | bool = False) -> dict[str, Any]:
    return {
        "points": [None if np.isnan(p).any() else [round(float(v), 3) for v in p] for p in points],
        "covered": np.flatnonzero(covered).tolist(),
    }
