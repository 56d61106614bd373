"""The labelling of one folder: its pictures, what is known of them, and what the model proposes."""

import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keypoints import geometry
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
from keypoints.evaluation import own_markup
from keypoints.inference.detectors import load_detector
from keypoints.inference.predictor import Predictor
from keypoints.label import rounds
from keypoints.label.proposals import Proposal, Proposer, face_size
from keypoints.label.table import LabelledFace, Table
from keypoints.markup import FILE as MARKUP_FILE
from keypoints.markup import IBUG68, Markup, read_content, read_markup
from keypoints.media.formats import is_picture
from keypoints.media.pictures import open_picture
from keypoints.system.atomic import replacing, write_text
from keypoints.system.paths import stays_inside

POINTS = "points.csv"
LARGEST = 1e6  # pixels: places beyond it are no points of a picture


class Conflict(Exception):
    """The file has other faces of a picture than those that were shown."""


class Session:
    """The state of a labelling, shared by the threads of the server."""

    def __init__(
        self,
        folder: Path,
        predictor: Predictor | None,
        model: str = "pretrained-small",
        digest: str = "",
        *,
        own: bool = False,
        naming: bool = False,
    ):
        """`model`, `digest`: what the predictor was loaded from, for `rounds`; `own`: not bundled.

        With `naming` the markup is made on the page first, by `write_markup`. Raises InputError for
        a folder without pictures, or annotations that cannot be kept.
        """
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        self.folder, self.path = folder, folder / POINTS
        markup = folder / MARKUP_FILE
        self.markup: Markup = read_markup(markup) if markup.is_file() else IBUG68
        if naming and markup.is_file():
            raise InputError(f"--markup=new: {markup} is there already; leave --markup out")
        self.pictures = list(filter(is_picture, visible_files(folder)))
        if not self.pictures:
            raise InputError(f"{folder}: no pictures in it")
        self._known = set(self.pictures)
        self._predictor, self._own = predictor, own
        self._writing = threading.Lock()
        self._model, self._digest = model, digest
        self._opened: dict[str, float] = {}  # when a picture was shown, seconds of a clock
        self._accepted = 0.0  # when faces were accepted last
        self._proposals: dict[str, list[Proposal]] = {}
        self._drawn: dict[str, list[Proposal]] = {}  # in boxes that somebody drew
        self._order: np.ndarray | None = None  # of the points in points.csv; None: the markup's
        self._passed: set[str] = set()  # accepted without faces
        self._named = threading.Event()
        self._imported = self._import()
        if naming:
            if self._imported or self.path.is_file():
                raise InputError(
                    f"--markup=new: {folder} has annotations; `keypoints markup` describes theirs"
                )
            self.markup = Markup("new", ())
        else:
            self._use(self.markup)
        self._names: dict[str, str] = {}

    def _use(self, markup: Markup) -> None:
        self.markup = markup
        self._proposer = Proposer(self._predictor, markup, twins=self._own)
        self._named.set()

    def _measure_mean(self, faces: list[np.ndarray]) -> None:
        """Give a markup without a mean face that of `faces`, if they have all points."""
        if self.markup.mean is None and faces:
            with suppress(InputError):
                self._use(own_markup.with_mean(self.markup, np.array(faces)))

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
            self._order = found.order(own[0], self.markup, names) if own else None
        arrange(found, self.markup)
        refuse(found.problems, str(self.folder))
        self._measure_mean([face.points for face in found.faces])
        if self._order is not None and len(self._order) != self.markup.count:
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
            if plain not in self._known and stays_inside(plain):
                plain = locate(self.folder, self.folder, plain)
            self._names[name] = plain
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
                "anchors": _anchors(self.markup),
            },
            "naming": not self._named.is_set(),
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
        fits = found is not None and (len(found.faces), found.columns) == (len(rows), columns)
        if found is None or found.problems or not fits:
            wrong = f"{POINTS}: {columns} columns are expected"
            raise InputError("; ".join(found.problems if found else ()) or wrong)
        back = slice(None) if self._order is None else np.argsort(self._order)
        return [_plain(face.points[back], face.covered[back]) for face in found.faces]

    def propose(self, picture: str) -> list[Proposal]:
        """The faces that the model finds in a picture, largest first; they are found once."""
        if not self._named.is_set():
            return []
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
        done |= self._passed
        left = [name for name in self.pictures if name not in done and name != after]
        if not left:
            return None
        ready = [name for name in left if name in self._proposals]
        return max(ready, key=lambda name: self._doubt(self._proposals[name])) if ready else left[0]

    def propose_all(self, stop: threading.Event) -> None:
        """Propose for all pictures without labels, so that the doubtful ones can come first."""
        self._named.wait()
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
            (self._passed.discard if faces else self._passed.add)(picture)
            self._measure_mean([face.points for face in new if not isinstance(face, int)])
            if not count:
                self._record(picture, [face for face in new if not isinstance(face, int)])
            return self.table().version_of(picture)

    def pairs(self, names: list[Any], places: list[Any]) -> list[tuple[int, int]]:
        """The mirror pairs that names and places of points tell, for `write_markup`."""
        mean = _placed(names, places)
        found, _ = own_markup.paired(Markup("new", tuple(map(str, names)), mean=mean))
        return list(found.pairs or ())

    def write_markup(
        self, picture: str, names: list[Any], places: list[Any], pairs: list[Any]
    ) -> dict[str, str]:
        """Write markup.toml: points that were named and placed on a face of a picture.

        Mean face and face box are those of this face. Raises InputError for what is no markup, and
        where there is one.
        """
        self._check(picture)
        _placed(names, places)
        path = self.folder / MARKUP_FILE
        own = read_content({"name": "new", "points": names, "pairs": pairs}, MARKUP_FILE)
        made = replace(own_markup.told_by_names(own.names, self.folder), pairs=own.pairs)
        made = own_markup.made_on(self.image(picture), _points(places), made, load_detector())
        with self._writing:
            if self._named.is_set() or path.exists():
                raise InputError(f"{path} is there already")
            write_text(path, made.to_toml())
            self._use(made)
        return {"path": str(path)}

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
        points = _points(value.get("points") if isinstance(value, dict) else None)
        if len(points) != self.markup.count:
            raise InputError(f"a face is {self.markup.count} points")
        if np.isfinite(points[:, 0]).sum() < 2:
            raise InputError("a face has two points or more")
        covered = self._covered(value.get("covered"))
        return LabelledFace(points, covered & np.isfinite(points[:, 0]))

    def _arranged(self, face: int | LabelledFace) -> int | LabelledFace:
        """A face with its points in the order of points.csv."""
        if isinstance(face, int) or self._order is None:
            return face
        return LabelledFace(face.points[self._order], face.covered[self._order])

    def _covered(self, value: Any) -> np.ndarray:
        covered = np.zeros(self.markup.count, bool)
        for number in value if isinstance(value, list) else [value]:
            if type(number) is not int or not 0 <= number < len(covered):
                raise InputError(f"covered: {number!r} is no number of a point")
            covered[number] = True
        return covered


def _placed(names: list[Any], places: list[Any]) -> np.ndarray:
    """Named places `(n, 2)` in units of the longer side of their box; raises InputError."""
    points = _points(places)
    box = geometry.landmark_box(points) if len(points) else np.zeros(4)
    if len(names) != len(points) or not box[2:].max() > 0:  # also where one is missing
        raise InputError("two points or more are expected, each with a name and a place")
    return ((points - box[:2]) / box[2:].max()).astype(np.float32)


def _points(value: Any) -> np.ndarray:
    """Points `(n, 2)` float64 from a list of [x, y] or None, which is NaN; raises InputError."""
    places = value if isinstance(value, list) else []
    points = np.full((len(places), 2), np.nan)
    for number, place in enumerate(places):
        if place is None:
            continue
        numbers = isinstance(place, list) and len(place) == 2
        if not numbers or not all(type(v) in (int, float) and abs(v) <= LARGEST for v in place):
            raise InputError(f"point {number}: two numbers of at most {LARGEST:.0f}, or null")
        points[number] = place
    return points


def _anchors(markup: Markup) -> list[dict[str, Any]] | None:
    """Two places of the mean face that a new one is laid on: the eyes, else the farthest points."""
    if markup.mean is None or markup.count < 2:
        return None
    if markup.has("right_eye", "left_eye"):
        eyes = ("right_eye", "left_eye")
        return [{"name": e.replace("_", " "), "points": list(markup.roles[e])} for e in eyes]
    away = np.linalg.norm(markup.mean[:, None] - markup.mean, axis=-1)
    ends = np.unravel_index(away.argmax(), away.shape)
    return [{"name": markup.names[end], "points": [int(end)]} for end in ends]


def _plain(points: np.ndarray, covered: np.ndarray | bool = False) -> dict[str, Any]:
    return {
        "points": [None if np.isnan(p).any() else [round(float(v), 3) for v in p] for p in points],
        "covered": np.flatnonzero(covered).tolist(),
    }
