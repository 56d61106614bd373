"""All annotations of a folder: its files, their pictures, and points in the order of a markup."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from keypoints.data import formats
from keypoints.data.annotations import Annotations
from keypoints.data.formats import pts
from keypoints.errors import InputError, near_miss
from keypoints.markup import FILE, IBUG68, Markup, bundled, read_content, read_markup
from keypoints.media.formats import is_picture
from keypoints.media.pictures import open_picture
from keypoints.system.paths import is_hidden, stays_inside

# Folders beside a list in which data sets and tools have their pictures: CVAT and COCO, WFLW.
PICTURE_FOLDERS = ("images", "WFLW_images")


class Face(NamedTuple):
    """One annotated face and its picture."""

    picture: str  # the file; for a picture inside an annotation file, that file
    name: str  # unique for each picture: its path in the folder
    points: np.ndarray  # (n, 2) float32, as in `annotations`
    covered: np.ndarray  # (n,) bool
    person: str  # "" where not told
    annotations: Annotations  # where it comes from

    @property
    def read(self) -> Callable[[], np.ndarray]:
        """Reads the picture, `(h, w, 3)` uint8 RGB; raises InputError that names it."""
        if self.annotations.read is not None:
            return partial(self.annotations.read, "/".join(self.name.rsplit("/", 2)[1:]))
        return lambda: next(open_picture(Path(self.picture), self.name).stills()).rgb()


@dataclass
class AnnotatedFolder:
    """The faces of a folder by picture, and what is wrong with its annotation files."""

    folder: Path
    faces: list[Face] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    known: set[tuple[str, bytes]] = field(default_factory=set)  # pictures and points of faces

    def markup(self) -> Markup:
        """What the points mean: as markup.toml says, else as the format does, else iBUG's 68."""
        if (self.folder / FILE).is_file():
            return read_markup(self.folder)
        name = next((face.annotations.markup for face in self.faces), "")
        return bundled(name) if name else IBUG68

    def own_markup(self) -> Markup:
        """The markup of `markup`, or if the points are not those, one of their names alone.

        Raises InputError where files differ in what their points are.
        """
        markup, names = self.markup(), self.names()
        try:
            for annotations in self.files():
                self.order(annotations, markup, names)
            return markup
        except ValueError:
            pass
        counts = {len(annotations.faces[0].points) for annotations in self.files()}
        named = {bool(annotations.names) for annotations in self.files()}
        if len(named) > 1 or (len(counts) > 1 and not all(named)):
            raise InputError(f"{self.folder}: the points of its files differ; give a markup.toml")
        return read_content({"name": "own", "points": names or max(counts)}, str(self.folder))

    def files(self) -> list[Annotations]:
        """The files that the faces come from."""
        return list({id(face.annotations): face.annotations for face in self.faces}.values())

    def names(self) -> list[str]:
        """The names of points in all files: numbers in their order, others as they come."""
        found = dict.fromkeys(name for annotations in self.files() for name in annotations.names)
        return sorted(found, key=int) if all(map(_is_number, found)) else list(found)

    def order(self, annotations: Annotations, markup: Markup, in_all: list[str]) -> np.ndarray:
        """The place in `markup` of each of a file's points; ValueError where it cannot be told.

        By their names, or by their order where the file has no names, or names in an order of its
        own. Numbers count from 0, or from 1 if the last of `in_all`, the names in all files, is the
        number of points.
        """
        names, count = annotations.names, len(annotations.faces[0].points)
        numbered = is_numbered(markup) or not set(in_all) <= set(markup.names)
        if annotations.keyed and all(map(_is_number, names)) and numbered:
            numbers = [int(name) for name in in_all if _is_number(name)]
            first = int(numbers[-1] == markup.count and numbers[0] > 0)
            beyond = numbers[-1] - first - (markup.count - 1)
            if beyond > 0 or (beyond < 0 and not (self.folder / FILE).is_file()):
                raise ValueError(_other_count(f"points up to {numbers[-1]}", markup))
            return np.array([int(name) - first for name in names])
        if names and set(names) <= set(markup.names):
            return np.array([markup.names.index(name) for name in names])
        if annotations.keyed:
            raise ValueError(_strange_name(names, markup))
        if count != markup.count:
            columns = annotations.columns
            row = f"{columns} columns: {count} points a row"
            raise ValueError(_other_count(row if columns else f"{count} points a face", markup))
        return np.arange(count)


def _other_count(what: str, markup: Markup) -> str:
    give = "Give a markup.toml, or leave the other points empty"
    return f"{what}; {markup.name} has {markup.count}. {give}"


def _strange_name(names: tuple[str, ...], markup: Markup) -> str:
    if is_numbered(markup):
        some = ", ".join(names[:3])
        has = f"those of {markup.name} have no names"
        return f"its points are called {some}, ..; {has}. Give a markup.toml"
    strange = next(name for name in names if name not in markup.names)
    hint = near_miss(strange, markup.names)
    return f"point {strange!r} is not in the markup {markup.name}{hint}"


def is_numbered(markup: Markup) -> bool:
    """Whether the points of a markup have no other names than their numbers."""
    return markup.names == tuple(map(str, range(markup.count)))


def _is_number(name: str) -> bool:
    return name.isdecimal() and len(name) < 10


def read_annotations(folder: Path, *, passed_over: tuple[str, ...] = ()) -> AnnotatedFolder:
    """All faces of a folder, with points as its files have them.

    Hidden files, `__MACOSX` and files of the names `passed_over` are passed over. Of annotation
    files of several kinds, those of the first kind in `formats.SUFFIXES` are read. Raises
    InputError where there are none.
    """
    files = visible_files(folder, passed_over)
    found = AnnotatedFolder(folder)
    for suffix in formats.SUFFIXES:
        parsed = [
            (folder / name, annotations)
            for name in files
            if name.lower().endswith(suffix) and (annotations := formats.parse(folder / name, name))
        ]
        if not parsed:
            continue
        if suffix == ".pts":
            _add_point_files(found, parsed, files)
        else:
            for path, annotations in parsed:
                _add_table(found, path, annotations)
        break
    else:
        kinds = ", ".join(formats.SUFFIXES[:-1]) + f" or {formats.SUFFIXES[-1]}"
        other = [name for name in files if name.lower().endswith(".csv")]
        hint = f"; no row of {other[0]} begins with the name of a picture" if other else ""
        raise InputError(f"data=folder:{folder}: no annotations in it: {kinds} files{hint}")
    found.faces.sort(key=lambda face: face.name.split("/"))
    return found


def visible_files(folder: Path, passed_over: tuple[str, ...] = ()) -> list[str]:
    """The paths in a folder of its files and those below it, sorted.

    Without hidden ones, `__MACOSX` and files of the names `passed_over`.
    """
    paths = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        inside = _inside(folder, Path(place))
        paths += [
            inside + name
            for name in names
            if not is_hidden(name)
            and name not in passed_over
            and os.path.isfile(os.path.join(place, name))
        ]
    return sorted(paths, key=lambda path: path.split("/"))


def _add_table(found: AnnotatedFolder, path: Path, annotations: Annotations) -> None:
    """Add the faces of a file that names their pictures.

    The pictures of DIR/NAME_frames_keypoints.csv are in DIR/NAME, as upstream has them, and their
    names are PERSON_vf. A face that an earlier file has too is the same face.
    """
    found.problems += annotations.problems
    marks = []
    stem, upstream, _ = path.name.partition("_frames_keypoints")
    beside = path.parent / stem if upstream else path.parent
    for face in annotations.faces:
        if not stays_inside(face.picture):
            reason = f"{annotations.file}: {face.picture!r} leads out of the folder"
            found.problems.append(reason)
            continue
        if annotations.read is not None:
            inner = PurePosixPath(annotations.file).with_suffix("") / face.picture
            picture, name = str(path), inner.as_posix()
        else:
            name = locate(found.folder, beside, face.picture.replace("\\", "/"))
            picture = os.path.join(found.folder, name)
        marks.append((name, face.points.tobytes()))
        if marks[-1] in found.known:
            continue
        person = PurePosixPath(name).stem.rpartition("_")[0] if upstream else face.person
        found.faces.append(Face(picture, name, face.points, face.covered, person, annotations))
    found.known.update(marks)


def locate(folder: Path, beside: Path, name: str) -> str:
    """The path in `folder` of the picture that a file in `beside` calls `name`.

    It leads from there, from a folder above it, or from a folder of pictures in one of these; last,
    the picture of that name may lie beside the file, also without Label Studio's mark of an upload.
    """
    inner = _folders(folder, beside)
    last = name.rpartition("/")[2]
    names = (name, last, re.sub(r"^[0-9a-f]{8}-", "", last))
    places = (place + each for each in names for place in inner)
    found = (place for place in places if os.path.isfile(f"{folder}/{place}"))
    # Plain text, for a table may name a million pictures.
    path = next(found, inner[0] + name)
    return PurePosixPath(path).as_posix() if "//" in path or "./" in path else path


@lru_cache(maxsize=64)
def _folders(folder: Path, beside: Path) -> list[str]:
    """The folders of `locate`, in its order, as `_inside`."""
    above = [beside, *beside.parents]
    above = above[: above.index(folder) + 1] if folder in above else [folder]
    return [_inside(folder, root / name) for root in above for name in ("", *PICTURE_FOLDERS)]


def _inside(folder: Path, place: Path) -> str:
    """The path in `folder` of the folder `place`, to put names behind: "" or with a slash."""
    return "" if place == folder else f"{place.relative_to(folder).as_posix()}/"


def _add_point_files(
    found: AnnotatedFolder, parsed: list[tuple[Path, Annotations]], files: list[str]
) -> None:
    """Add the faces of .pts files, whose pictures have their name, or it without `_1`, `_2`, .."""
    pictures: dict[Path, list[Path]] = {}
    for path in map(found.folder.joinpath, filter(is_picture, files)):
        pictures.setdefault(path.with_suffix(""), []).append(path)
    faces = []
    for path, annotations in parsed:
        found.problems += annotations.problems
        stem = path.with_suffix("")
        first = stem.with_name(re.sub(r"(?<=.)_\d+$", "", stem.name))
        beside = pictures.get(stem) or pictures.get(first)
        if not beside:
            found.problems.append(f"{annotations.file}: no picture of that name beside it")
        elif len(beside) > 1:
            names = " and ".join(picture.name for picture in beside)
            found.problems.append(f"{annotations.file}: {names} are beside it; one is expected")
        else:
            faces += [(beside[0], annotations, face) for face in annotations.faces]
    read = pts.hidden_points([face for _, _, face in faces])
    for (picture, annotations, _), face in zip(faces, read):
        name = picture.relative_to(found.folder).as_posix()
        found.faces.append(Face(str(picture), name, face.points, face.covered, "", annotations))


def arrange(found: AnnotatedFolder, markup: Markup) -> None:
    """Put the points of all faces in the order of `markup`; those that a file lacks are missing.

    Faces for which this is not possible are left out, with one problem for each cause.
    """
    orders: dict[int, np.ndarray | None] = {}
    causes: dict[str, list[str]] = {}
    names = found.names()
    faces = []
    for face in found.faces:
        annotations = face.annotations
        if id(annotations) not in orders:
            try:
                orders[id(annotations)] = found.order(annotations, markup, names)
            except ValueError as error:
                orders[id(annotations)] = None
                causes.setdefault(str(error), []).append(annotations.file)
        order = orders[id(annotations)]
        if order is not None:
            points = np.full((markup.count, 2), np.nan, np.float32)
            covered = np.zeros(markup.count, bool)
            points[order], covered[order] = face.points, face.covered
            faces.append(face._replace(points=points, covered=covered))
    found.faces = faces
    for cause, files in causes.items():
        more = f" and {len(files) - 1} more files" if len(files) > 1 else ""
        found.problems.append(f"{files[0]}{more}: {cause}")
