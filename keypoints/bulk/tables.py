"""The two tables that an annotation writes: faces, and the pictures that they were searched in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from keypoints.bulk.store import Store
from keypoints.errors import InputError
from keypoints.markup import IBUG68, Markup

FACES, PICTURES = "faces", "pictures"  # folders of an output
ROWS = 2000  # of a row group: about 2 MB

_PLACE = [
    pa.field("source", pa.string(), nullable=False),  # file or URL
    pa.field("member", pa.string(), nullable=False),  # name in a tar shard, or row of a table
    pa.field("frame", pa.int32(), nullable=False),  # of a video; 0 otherwise
    pa.field("time", pa.float64()),  # seconds into a video
]


# Coordinates are pixels of the picture, upright as a viewer shows it; the centre of its first
# pixel is (0, 0).
def schema(table: str, markup: Markup = IBUG68) -> pa.Schema:
    """The columns of a table; that of the faces has their markup, as JSON, in its metadata."""
    if table != FACES:
        return pa.schema(_PICTURE_COLUMNS)
    return pa.schema(_face_columns(markup.count), {"markup": json.dumps(markup.content())})


def _face_columns(points: int) -> list[pa.Field]:
    """One row a face."""
    return [
        *_PLACE,
        pa.field("face", pa.int32(), nullable=False),  # number in the picture, largest first
        pa.field("left", pa.float32(), nullable=False),  # face box of the points
        pa.field("top", pa.float32(), nullable=False),
        pa.field("width", pa.float32(), nullable=False),
        pa.field("height", pa.float32(), nullable=False),
        # x0, y0, x1, y1, ..
        pa.field("points", pa.list_(pa.float32(), 2 * points), nullable=False),
        # expected absolute error of each point's x and y, pixels
        pa.field("uncertainty", pa.list_(pa.float32(), points), nullable=False),
        pa.field("score", pa.float32(), nullable=False),  # 0..1: how likely it is a face
        pa.field("detector_score", pa.float32(), nullable=False),  # 0..1, the detector's own
        pa.field("yaw", pa.float32(), nullable=False),  # degrees; NaN: the points span no face
        pa.field("pitch", pa.float32(), nullable=False),
        pa.field("roll", pa.float32(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),  # SHA-256 of the model's file
    ]


# One row a picture, with or without faces, or that could not be read.
_PICTURE_COLUMNS = [
    *_PLACE,
    pa.field("width", pa.int32()),  # pixels; null where it could not be read
    pa.field("height", pa.int32()),
    pa.field("faces", pa.int32(), nullable=False),  # rows in the table of faces
    pa.field("filtered", pa.string()),  # file in the output with the filter on it
    pa.field("error", pa.string()),  # why it could not be read; null otherwise
]


@dataclass
class Annotated:
    """A picture with its faces, as rows of the two tables."""

    picture: dict[str, Any]
    faces: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Counts:
    """What became of some pictures."""

    pictures: int = 0
    faces: int = 0
    unreadable: int = 0
    errors: list[str] = field(default_factory=list)  # the first ones' reasons

    def add(self, annotated: Annotated, keep: int) -> None:
        """Count a picture; of the errors, `keep` reasons are kept."""
        self.pictures += 1
        self.faces += len(annotated.faces)
        error = annotated.picture["error"]
        self.unreadable += error is not None
        if error is not None and len(self.errors) < keep:
            self.errors.append(error)


def part_name(table: str, unit: str) -> str:
    """The file of a unit's rows in a table."""
    return f"{table}/{unit}.parquet"


def write_parts(
    store: Store, unit: str, rows: Iterable[Annotated], keep: int, *, markup: Markup = IBUG68
) -> Counts:
    """Write a unit's rows while they come; returns their counts, with `keep` reasons of errors.

    The part of the pictures appears last: where it is, that of the faces is as well.
    """
    counts = Counts()
    # Closed in the opposite order: the faces' first.
    with (
        _part(store, PICTURES, unit, markup) as add_picture,
        _part(store, FACES, unit, markup) as add_face,
    ):
        for annotated in rows:
            counts.add(annotated, keep)
            add_picture(annotated.picture)
            for face in annotated.faces:
                add_face(face)
    return counts


@contextmanager
def _part(store: Store, table: str, unit: str, markup: Markup) -> Iterator[Callable[[dict], None]]:
    """A function that adds a row to a Parquet file, which appears whole when the block ends."""
    columns, rows = schema(table, markup), list[dict[str, Any]]()

    def flush() -> None:
        writer.write_table(pa.Table.from_pylist(rows, columns))
        rows.clear()

    def add(row: dict[str, Any]) -> None:
        rows.append(row)
        if len(rows) == ROWS:
            flush()

    with (
        store.replacing(part_name(table, unit)) as path,
        pq.ParquetWriter(path, columns, compression="zstd") as writer,
    ):
        yield add
        flush()


def read_table(output: str, table: str = FACES) -> pa.Table:
    """All rows of one of the two tables of an output folder, a path or a URL.

    Only of units that are finished. Raises InputError where there is none.
    """
    store = Store(output)
    names = sorted(store.names(PICTURES))
    if not names:
        raise InputError(f"output={output}: no annotation is there")
    return pa.concat_tables([_read_part(store, f"{table}/{name}") for name in names])


def read_counts(store: Store, unit: str, keep: int) -> Counts | None:
    """The counts of a unit as in `write_parts`; None where it is not finished."""
    table = _read_part(store, part_name(PICTURES, unit), ["faces", "error"])
    if table is None:
        return None
    errors = table["error"].drop_null().to_pylist()
    return Counts(len(table), sum(table["faces"].to_pylist()), len(errors), errors[:keep])


def _read_part(store: Store, name: str, columns: list[str] | None = None) -> pa.Table | None:
    data = store.read(name)
    return None if data is None else pq.read_table(pa.BufferReader(data), columns=columns)


def text_of(name: str) -> str:
    """A name of a file as text that a table can hold, whatever its bytes are."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
