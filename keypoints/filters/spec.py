"""Filter definitions: reads and checks a `filter.toml` and its art."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from keypoints.checks import Table, shown, toml_table
from keypoints.errors import InputError
from keypoints.filters.warp import FITS, pyramid, triangulate
from keypoints.markup import IBUG68
from keypoints.system.paths import stays_inside

FILE = "filter.toml"
KINDS = ("sticker", "bulge", "blur", "pixelate", "outlines")
# Limits: filters come from other people, and each is read whole before the first frame.
MAX_FILE = 1_000_000  # bytes of a filter.toml
MAX_LAYERS = 100
MAX_ANCHORS = 64  # of a layer: the memory of a triangulation grows with the fourth power
MAX_ART = 16_000_000  # pixels of one layer's art
MOST = 1e6  # of positions and angles, in whatever unit
LINE_WIDTH = 0.01  # of outlines unless given, in longer sides of the face box; the page's too


@dataclass(frozen=True)
class Anchor:
    """A pixel of the art that is attached to a position on the head."""

    points: tuple[int, ...]  # landmarks; the anchor follows their mean
    offset: np.ndarray  # (3,) from their mean, head units: right (viewer's), down, to the viewer
    at: np.ndarray  # (2,) pixel of the art


@dataclass(frozen=True)
class Loose:
    """Loose art in a round dish."""

    radius: float  # largest distance from its centre, pixels of the art
    start: float  # initial direction, degrees clockwise from the viewer's right


@dataclass(frozen=True)
class Sticker:
    """Art drawn on the face."""

    art: str  # name of its file in the filter's folder
    # image pyramid, (h, w, 4) uint8 RGBA, premultiplied
    levels: list[np.ndarray] = field(repr=False)
    fit: str
    anchors: tuple[Anchor, ...]
    triangles: np.ndarray | None  # (m, 3) anchor indices, only for the piecewise fit
    grow: float  # scales the anchor positions around their mean
    opacity: float
    normal: np.ndarray | None  # (3,) outward; the head hides art that faces away
    loose: Loose | None


@dataclass(frozen=True)
class Bulge:
    """Magnification around some landmarks."""

    points: tuple[int, ...]
    radius: float  # head units
    strength: float  # 0: none, 0.5: twice the size in the middle


@dataclass(frozen=True)
class Blur:
    """The face and a margin around it, blurred until it cannot be recognised."""

    margin: float  # head units around the face
    sigma: float  # of the blur, head units


@dataclass(frozen=True)
class Pixelate:
    """The face and a margin around it in coarse squares."""

    margin: float  # head units around the face
    blocks: float  # squares along the longer side of the landmark box


@dataclass(frozen=True)
class Outlines:
    """The 68 landmarks and the lines between them."""

    colour: np.ndarray  # (3,) RGB, 0 to 255
    width: float  # of the lines, head units; a dot is twice as wide


Layer = Sticker | Bulge | Blur | Pixelate | Outlines


@dataclass(frozen=True)
class Spec:
    name: str
    description: str
    layers: tuple[Layer, ...]  # in drawing order


def read_spec(folder: Path) -> Spec:
    """Read the filter in `folder`; raises InputError that names file, field and value."""
    path = folder / FILE
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise InputError(f"{folder}: not a filter folder: {FILE} is missing") from None
    if len(data) > MAX_FILE:
        raise InputError(f"{path}: more than {MAX_FILE // 1000} kB")
    table = Table(f"{path}", toml_table(data, f"{path}"))
    description = table.text("description")
    tables = table.tables("layers", "layer", most=MAX_LAYERS)
    table.close()
    layers = [_read_layer(folder, layer) for layer in tables]
    layers.sort(key=lambda pair: pair[0])
    return Spec(folder.name, description, tuple(layer for _, layer in layers))


def _read_layer(folder: Path, table: Table) -> tuple[float, Layer]:
    kind = table.one_of("kind", KINDS, "sticker")
    z = table.number("z", default=0.0, low=-MOST, high=MOST)
    layer: Layer
    if kind == "sticker":
        layer = _read_sticker(folder, table)
    elif kind == "bulge":
        layer = Bulge(
            points=table.indices("points", IBUG68.count),
            radius=table.number("radius", low=0.01, high=2),
            strength=table.number("strength", low=0, high=0.9),
        )
    elif kind == "blur":
        layer = Blur(
            margin=table.number("margin", default=0.15, low=0, high=2),
            sigma=table.number("sigma", default=0.15, low=0.05, high=2),
        )
    elif kind == "pixelate":
        layer = Pixelate(
            margin=table.number("margin", default=0.15, low=0, high=2),
            blocks=table.number("blocks", default=6, low=1, high=16),
        )
    else:
        layer = Outlines(
            colour=np.array(table.numbers("colour", 3, default=(70, 220, 90), low=0, high=255)),
            width=table.number("width", default=LINE_WIDTH, low=0.001, high=0.1),
        )
    table.close()
    return z, layer


def _read_sticker(folder: Path, table: Table) -> Sticker:
    name = table.text("art")
    art = _read_art(table.name, folder, name)
    fit = table.one_of("fit", list(FITS), "similarity")
    anchors = []
    for anchor in table.tables("anchors", "anchor", most=MAX_ANCHORS):
        points = anchor.indices("points", IBUG68.count)
        offset, at = _vector(anchor, "offset", 3, (0, 0, 0)), _vector(anchor, "at", 2)
        anchors.append(Anchor(points, offset, at))
        anchor.close()
    if len(anchors) < FITS[fit]:
        raise InputError(
            f"{table.name}: {len(anchors)} anchors; fit = {fit!r} needs at least {FITS[fit]}"
        )
    source = np.array([anchor.at for anchor in anchors])
    spread = np.linalg.svd(source - source.mean(axis=0), compute_uv=False)
    if spread[0] < 1e-6 or (fit != "similarity" and spread[1] < 1e-6):
        raise InputError(f"{table.name}: the anchors' `at` pixels all lie on one spot or one line")
    loose = None
    if "loose" in table.content:
        inner = table.table("loose")
        start = inner.number("start", 90.0, low=-MOST, high=MOST)
        loose = Loose(inner.number("radius", low=0, high=MOST), start)
        inner.close()
        if fit == "piecewise":
            raise InputError(f"{table.name}: loose: art with fit = 'piecewise' cannot be loose")
    normal = _vector(table, "normal", 3) if "normal" in table.content else None
    return Sticker(
        art=name,
        levels=pyramid(art),
        fit=fit,
        anchors=tuple(anchors),
        triangles=triangulate(source) if fit == "piecewise" else None,
        grow=table.number("grow", default=1.0, low=0.01, high=100),
        opacity=table.number("opacity", default=1.0, low=0, high=1),
        normal=normal,
        loose=loose,
    )


def _vector(
    table: Table, key: str, count: int, default: tuple[float, ...] | None = None
) -> np.ndarray:
    return np.array(table.numbers(key, count, default, low=-MOST, high=MOST))


def _read_art(layer: str, folder: Path, name: str) -> np.ndarray:
    """The PNG `name` in `folder` as RGBA `(h, w, 4)` uint8 with premultiplied colours."""
    from PIL import Image, UnidentifiedImageError

    path = folder / name
    if not stays_inside(name) or not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{layer}: art={shown(name)}: a file in the filter's folder is expected")
    art, pixels = None, 0
    try:
        # The size is read before the pixels, which may take gigabytes.
        with warnings.catch_warnings(action="error"), Image.open(path, formats=["PNG"]) as header:
            pixels = header.width * header.height
        if pixels <= MAX_ART:
            art = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pixels = MAX_ART + 1
    except UnidentifiedImageError:
        pass
    except OSError as error:
        raise InputError(f"{path}: cannot read the art: {error.strerror or error}") from None
    if pixels > MAX_ART:
        raise InputError(f"{path}: more than {MAX_ART // 1_000_000} million pixels")
    if art is None or art.dtype != np.uint8 or art.ndim != 3 or art.shape[2] != 4:
        raise InputError(f"{path}: the art must be a PNG with 8-bit red, green, blue and alpha")
    alpha = art[..., 3:].astype(np.float32) / 255
    return np.dstack([np.rint(art[..., 2::-1] * alpha).astype(np.uint8), art[..., 3]])
