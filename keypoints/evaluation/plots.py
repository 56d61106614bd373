"""Pictures of results: training curves, error distributions, faces with their points."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keypoints import geometry, metrics
from keypoints.crop import Crop
from keypoints.data.records import Records
from keypoints.markup import IBUG68, Markup
from keypoints.media.overlay import PREDICTED, TRUTH, draw_points, write

PICTURE = 320  # longer side of a whole picture in a contact sheet, pixels
TILE = 224  # side of one face in a contact sheet or gallery, pixels
COLUMNS = 6  # of a sheet of whole pictures or a gallery


def training_curves(rows: Sequence[dict[str, float]], path: Path) -> None:
    """Loss and NME over the epochs of a run's metrics."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    figure, (left, right) = _figure(1, 2, width=10, height=4)
    epochs = [row["epoch"] for row in rows]
    left.plot(epochs, [row["loss"] for row in rows], color="tab:gray")
    left.set(xlabel="epoch", ylabel="training loss, crop pixels", yscale="log")
    for name, label in (("training_nme", "training, augmented"), ("validation_nme", "validation")):
        right.plot(epochs, [row[name] for row in rows], label=label)
    best = min(rows, key=lambda row: row["validation_nme"])
    label = f"best: {best['validation_nme']:.2f} % in epoch {best['epoch']}"
    right.plot(best["epoch"], best["validation_nme"], "o", color="tab:orange", label=label)
    right.set(xlabel="epoch", ylabel="NME, % of the square root of the box's area", yscale="log")
    right.legend()
    for axis in (left, right):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.yaxis.set_minor_formatter(ScalarFormatter())
    figure.savefig(path, dpi=110)


def error_distribution(curves: dict[str, np.ndarray], path: Path, *, unit: str) -> None:
    """Share of images below each NME, one curve per named array of shares `(n,)` of the `unit`."""
    figure, axis = _figure(1, 1, width=6, height=4.5)
    for name, nme in curves.items():
        ordered = np.sort(np.nan_to_num(nme, nan=np.inf))
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        axis.step(
            100 * ordered, 100 * share, where="post", label=f"{name} (AUC {metrics.auc(nme):.3f})"
        )
    axis.axvline(100 * metrics.LIMIT, color="tab:gray", linestyle=":")
    axis.set(
        xlim=(0, 15),
        ylim=(0, 100),
        xlabel=f"NME, % of {unit}",
        ylabel="images below, %",
    )
    axis.legend(loc="center right")  # the curve of a good model fills the upper left
    figure.savefig(path, dpi=110)


def contact_sheet(
    crops: Sequence[np.ndarray],
    points: Sequence[np.ndarray],
    path: Path,
    *,
    columns: int = 8,
    markup: Markup = IBUG68,
) -> None:
    """Crops `(224, 224, 3)` uint8 RGB with their points `(k, 2)`, side by side."""
    tiles = [draw_points(crop, face, TRUTH, markup=markup) for crop, face in zip(crops, points)]
    write_tiles(tiles, path, columns)


def picture_sheet(records: Records, count: int, path: Path) -> None:
    """`count` whole pictures of `records`, spread evenly over them, with their points."""
    chosen = np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)
    tiles = []
    for index in chosen:
        image, points = records.image(index), records.points[index]
        scale = PICTURE / max(image.shape[:2])
        height, width = (max(round(side * scale), 1) for side in image.shape[:2])
        # Area interpolation keeps thin lines of a large picture.
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        tile = np.zeros((PICTURE, PICTURE, 3), np.uint8)
        tile[:height, :width] = image
        placed = (points + 0.5) * scale - 0.5
        placed = placed.clip(-PICTURE, 2 * PICTURE)
        tiles.append(draw_points(tile, placed, TRUTH, markup=records.markup))
    write_tiles(tiles, path, COLUMNS)


def gallery(
    records: Records, chosen: np.ndarray, predicted: np.ndarray, captions: Sequence[str], path: Path
) -> None:
    """The faces `chosen` `(m,)` of `records` with a caption each, cut out at their boxes.

    Annotated points are green, those of `predicted` `(n, k, 2)` red.
    """
    tiles, markup = [], records.markup
    for index, caption in zip(chosen, captions):
        matrix = Crop(1.5, TILE).matrices(records.boxes[index])
        tile = geometry.crop(records.image(index), matrix, size=TILE)
        points, found = geometry.apply(matrix, np.stack([records.points[index], predicted[index]]))
        tile = draw_points(tile, points, TRUTH, markup=markup)
        if np.isfinite(found).all():
            tile = draw_points(tile, found, PREDICTED, markup=markup)
        write(tile, caption, (5, TILE - 7), 0.42)
        tiles.append(tile)
    write_tiles(tiles, path, COLUMNS)


def write_tiles(tiles: Sequence[np.ndarray], path: Path, columns: int) -> None:
    """Pictures `(h, w, 3)` uint8 RGB of one size side by side in a picture file."""
    columns = min(columns, len(tiles))
    blank = np.zeros_like(tiles[0])
    padded = [*tiles, *[blank] * (-len(tiles) % columns)]
    rows = [np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)]
    if not cv2.imwrite(str(path), np.vstack(rows)[..., ::-1]):
        raise OSError(f"cannot write {path}")


def _figure(rows: int, columns: int, *, width: float, height: float) -> tuple[Any, Any]:
    """A figure without pyplot, whose global state would keep every figure alive."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns)
    for axis in np.ravel(axes):
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes
