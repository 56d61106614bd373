"""All annotations of a folder: its files, their pictures, and points in the order of a markup."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from keypoints.data import formats
from keypoints.data.annotations import Annotations
from keypoints.data.formats import pts
from keypoints.errors import InputError, near_miss
from keypoints.media.formats import MAX_BYTES, is_picture
from keypoints.media.pictures import decode_picture
from keypoints.system.paths import stays_inside

# Folders beside a list in which data sets and tools have their pictures: CVAT and COCO, WFLW.
PICTURE_FOLDERS = ("images", "WFLW_images")


@dataclass(frozen=True)
class Points:
    """What is needed of a markup here."""

    name: str
    count: int
    names: tuple[str, ...] = ()


IBUG68 = Points("ibug68", 68)


class Face(NamedTuple):
    """One annotated face and its picture."""

    picture: Path  # the file; for a picture inside an annotation file, that file
    name: str  # unique for each picture: its path in the folder
    points: np.ndarray  # (n, 2) float32, as in `annotations`
    covered: np.ndarray  # (n,) bool
    person: str  # "" where not told
    annotations: Annotations  # where it comes from

    @property
    def read(self) -> Callable[[], np.ndarray]:
        """Reads the picture, `(h, w, 3)` uint8 RGB; raises InputError that names it."""
        if self.annotations.read is not None:
            return partial(self.annotations.read, self.name.partition("/")[2])
        return partial(_read_picture, self.picture, self.name)


@dataclass
class AnnotatedFolder:
    """The faces of a folder by picture, and what is wrong with its annotation files."""

    folder: Path
    faces: list[Face] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def markup(self) -> str:
        """The markup that its formats have of themselves; empty for others."""
        return next((face.annotations.markup for face in self.faces), "")


def read_annotations(folder: Path, *, passed_over: tuple[str, ...] = ()) -> AnnotatedFolder:
    """All faces of a folder, with points as its files have them.

    Hidden files, `__MACOSX` and files of the names `passed_over` are passed over. Of annotation
    files of several kinds, those of the first kind in `formats.SUFFIXES` are read. Raises
    InputError where there are none.
    """
    files = list(_visible(folder, passed_over))
    found = AnnotatedFolder(folder)
    for suffix in formats.SUFFIXES:
        parsed = [
            (path, annotations)
            for path in files
            if path.suffix.lower() == suffix
            and (annotations := formats.parse(path, path.relative_to(folder).as_posix()))
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
        raise InputError(f"data=folder:{folder}: no annotations in it: {kinds} files")
    found.faces.sort(key=lambda face: PurePosixPath(face.name))
    return found


def _read_picture(path: Path, name: str) -> np.ndarray:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{name}: a picture file of more than {MAX_BYTES / 1e6:.0f} MB")
        return decode_picture(path.read_bytes(), name)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{name}: {error.strerror}") from None
    except ValueError as error:  # a name that no file can have
        raise InputError(f"{name!a}: {error}") from None


def _visible(folder: Path, passed_over: tuple[str, ...]) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
        if not hidden and path.name not in passed_over and path.is_file():
            yield path


def _add_table(found: AnnotatedFolder, path: Path, annotations: Annotations) -> None:
    """Add the faces of a file that names their pictures.

    The pictures of DIR/NAME_frames_keypoints.csv are in DIR/NAME, as upstream has them, and their
    names are PERSON_vf. A face that an earlier file has too is the same face.
    """
    found.problems += annotations.problems
    stem, upstream, _ = path.name.partition("_frames_keypoints")
    known = {(face.name, face.points.tobytes()) for face in found.faces}
    for face in annotations.faces:
        if not stays_inside(face.picture):
            reason = f"{annotations.file}: {face.picture!r} leads out of the folder"
            found.problems.append(reason)
            continue
        if annotations.read is not None:
            picture, name = path, f"{annotations.file}/{face.picture}"
        else:
            beside = path.parent / stem if upstream else path.parent
            picture = _locate(found.folder, beside, face.picture.replace("\\", "/"))
            name = picture.relative_to(found.folder).as_posix()
        if (name, face.points.tobytes()) in known:
            continue
        person = picture.stem.rpartition("_")[0] if upstream else face.person
        found.faces.append(Face(picture, name, face.points, face.covered, person, annotations))


def _locate(folder: Path, beside: Path, name: str) -> Path:
    """The picture that a file in `beside` calls `name`.

    It leads from there, from a folder above it, or from a folder of pictures in one of these; last,
    the picture of that name may lie beside the file, also without Label Studio's mark of an upload.
    """
    above = [beside, *beside.parents]
    above = above[: above.index(folder) + 1] if folder in above else [folder]
    roots = [root / inner for root in above for inner in ("", *PICTURE_FOLDERS)]
    last = name.rpartition("/")[2]
    candidates = [root / name for root in roots]
    candidates += [root / last for root in roots]
    candidates += [root / re.sub(r"^[0-9a-f]{8}-", "", last) for root in roots]
    try:
        return next((path for path in candidates if path.is_file()), candidates[0])
    except (OSError, ValueError):  # too long a name, or one that no file can have
        return candidates[0]


def _add_point_files(
    found: AnnotatedFolder, parsed: list[tuple[Path, Annotations]], files: list[Path]
) -> None:
    """Add the faces of .pts files, whose pictures have their name, or it without `_1`, `_2`, .."""
    pictures: dict[Path, list[Path]] = {}
    for path in files:
        if is_picture(path):
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
        found.faces.append(Face(picture, name, face.points, face.covered, "", annotations))


def arrange(found: AnnotatedFolder, markup: Points) -> None:
    """Put the points of all faces in the order of `markup`; those that a file lacks are missing.

    Faces for which this is not possible are left out, with one problem for each cause.
    """
    orders: dict[int, np.ndarray | None] = {}
    causes: dict[str, list[str]] = {}
    faces = []
    for face in found.faces:
        annotations = face.annotations
        if id(annotations) not in orders:
            count = len(face.points)
            try:
                orders[id(annotations)] = _order(annotations, count, markup)
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


def _order(annotations: Annotations, count: int, markup: Points) -> np.ndarray:
    """The place in `markup` of each of a file's points; ValueError where that cannot be told."""
    names = annotations.names
    if names and set(names) <= set(markup.names):
        return np.array([markup.names.index(name) for name in names])
    if annotations.keyed and names:
        return _order_of_names(names, markup)
    if count != markup.count:
        columns = annotations.columns
        has = f"{columns} columns: {count} points a row" if columns else f"{count} points a face"
        raise ValueError(
            f"{has}; {markup.name} has {markup.count}. Give a markup.toml, or leave the other "
            "points empty"
        )
    return np.arange(count)


def _order_of_names(names: tuple[str, ...], markup: Points) -> np.ndarray:
    if all(name.isdecimal() and len(name) < 10 for name in names):
        # Counted from 1 if the last point's number is the count.
        numbers = np.array([int(name) for name in names])
        numbers -= int(numbers.max() == markup.count and numbers.min() > 0)
        if numbers.max() >= markup.count:
            raise ValueError(f"points up to {names[-1]}; {markup.name} has {markup.count}")
        return numbers
    if not markup.names:
        some = ", ".join(names[:3])
        raise ValueError(
            f"its points are called {some}, ..; {markup.name} has no names. Give a markup.toml"
        )
    strange = next(name for name in names if name not in markup.names)
    hint = near_miss(strange, markup.names)
    raise ValueError(f"point {strange!r} is not in the markup {markup.name}{hint}")
