"""Annotations of a folder, written anew in another format, with their pictures."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from keypoints.checks import one_of
from keypoints.data.annotated_folder import LABELS, SPLITS, YAWS
from keypoints.data.annotation_files import (
    AnnotatedFolder,
    Face,
    arrange,
    is_numbered,
    read_annotations,
    visible_files,
)
from keypoints.data.annotations import AnnotatedPicture, Annotation, Annotations
from keypoints.data.formats import FORMATS, Format
from keypoints.errors import InputError, refuse
from keypoints.markup import FILE, Markup
from keypoints.media.formats import is_picture
from keypoints.media.pictures import decode_picture, encode_png


@dataclass(frozen=True)
class Conversion:
    """What was written, and what the format cannot hold."""

    pictures: int
    faces: int
    markup: Markup
    notes: tuple[str, ...]


class Propose(NamedTuple):
    """A model that proposes faces."""

    markup: Markup
    faces: Callable[[np.ndarray], Iterable[np.ndarray]]  # RGB (h, w, 3) uint8 to points (n, 2)


def convert(
    source: Path, target: Path, format: str, *, propose: Propose | None = None
) -> Conversion:
    """Write the annotations and pictures of folder `source` into the new folder `target`.

    `format` is one of `FORMATS`. Pictures without faces get those of `propose`. Pictures are copied
    as they are; those inside COFW's files become PNG. splits.csv, yaw.csv, labels.json and
    markup.toml go along. Raises InputError for what is wrong with the annotations, all at once, and
    where the format has another number of points; `target` is there whole or not at all.
    """
    form = FORMATS[one_of(format, "format", list(FORMATS))]
    if not source.is_dir():
        raise InputError(f"{source}: no such folder")
    if target.exists():
        raise InputError(f"{target} is there already; choose another folder")
    if target.resolve().is_relative_to(source.resolve()):
        raise InputError(f"{target} lies in {source}, whose files are read; choose another folder")
    found, faceless = AnnotatedFolder(source), []
    try:
        found = read_annotations(source, passed_over=(SPLITS, YAWS, LABELS))
    except InputError:
        if propose is None:
            raise
    if propose is not None:
        faceless = _add_proposals(found, propose)
    markup = found.own_markup() if found.faces else found.markup()
    arrange(found, markup)
    refuse(found.problems, str(source))
    if form.points not in (0, markup.count):
        raise InputError(f"format={format} has {form.points} points; {source} has {markup.count}")
    if form.stems:
        _check_stems(found.faces)
    notes = _losses(format, form, found.faces, markup)
    if faceless:
        more = f" and {len(faceless) - 3} more" if len(faceless) > 3 else ""
        notes += (f"left out, as no face is found: {', '.join(faceless[:3])}{more}",)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".convert-", dir=target.parent) as temporary:
        folder = Path(temporary) / target.name
        pictures = _copy_pictures(found.faces, folder)
        for name in (SPLITS, YAWS, LABELS, FILE):
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
        names = markup.names
        form.write(folder, pictures, names)
        folder.rename(target)
    return Conversion(len(pictures), len(found.faces), markup, notes)


def _add_proposals(found: AnnotatedFolder, propose: Propose) -> list[str]:
    """Add the faces of pictures that have none; returns the pictures in which none is found."""
    known, faceless = {face.name for face in found.faces}, []
    proposals = Annotations("proposals", propose.markup.names, keyed=True)
    for name in visible_files(found.folder):
        if name in known or not is_picture(name):
            continue
        path = found.folder / name
        before = len(proposals.faces)
        for points in propose.faces(decode_picture(path.read_bytes(), name)):
            proposals.add(name, points)
        new = proposals.faces[before:]
        found.faces += [Face(str(path), *face, proposals) for face in new]
        faceless += [] if new else [name]
    if not found.faces:
        raise InputError(f"{found.folder}: no face found in its pictures")
    return faceless


def _copy_pictures(faces: Sequence[Face], folder: Path) -> list[AnnotatedPicture]:
    """Copy the pictures of the faces; all must be whole ones."""
    pictures: dict[str, AnnotatedPicture] = {}
    problems = []
    for face in faces:
        if face.name not in pictures:
            path = folder / face.name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                image = face.read()
            except InputError as error:
                problems.append(str(error))
                continue
            if face.annotations.read is None:
                shutil.copyfile(face.picture, path)
            else:
                path.write_bytes(encode_png(image))
            height, width = image.shape[:2]
            pictures[face.name] = AnnotatedPicture(face.name, width, height, [])
        annotation = Annotation(face.name, face.points, face.covered, face.person)
        pictures[face.name].faces.append(annotation)
    refuse(list(dict.fromkeys(problems)), str(folder.name))
    return list(pictures.values())


def _check_stems(faces: Sequence[Face]) -> None:
    """Raise InputError where two pictures would have one file of points."""
    counts = Counter(face.name for face in faces)
    files: dict[PurePosixPath, str] = {}
    problems = []
    for name, count in counts.items():
        stem = PurePosixPath(name).with_suffix("")
        for number in range(count):
            file = stem.with_name(f"{stem.name}_{number}") if number else stem
            other = files.setdefault(file, name)
            if other != name:
                problems.append(f"{other} and {name} would both have the points {file}")
    refuse(problems, "a format of one file for each picture")


def _losses(format: str, form: Format, faces: Sequence[Face], markup: Markup) -> tuple[str, ...]:
    """What the format cannot hold of these faces, a line each."""
    notes = []
    covered = sum(int(face.covered.any()) for face in faces)
    if covered and not form.covered:
        notes.append(
            f"{format} has no mark for covered points: those of {covered} faces become visible"
        )
    gaps = [face.name for face in faces if np.isnan(face.points).any()]
    if gaps and not form.missing:
        named = ", ".join(gaps[:3])
        notes.append(
            f"{format} has no missing points: {len(gaps)} faces that lack some are left out "
            f"({named}{', ..' if len(gaps) > 3 else ''})"
        )
    if format == "merl-rav":
        lost = sum(int((face.points < -1).all(axis=1).any()) for face in faces)
        if lost:
            notes.append(
                f"{format} marks hidden points with negative numbers: points above and left of "
                f"the picture are left out in {lost} faces"
            )
    if not form.names and not is_numbered(markup):
        notes.append(f"{format} has no names of points: only their order is kept")
    if any(face.person for face in faces):
        notes.append(f"{format} has no names of persons: without {SPLITS}, splits go by picture")
    return tuple(notes)
