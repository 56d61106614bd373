"""From a predict function, or anybody's predictions, and a split to one report."""

import csv
import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keypoints import geometry, landmarks, metrics
from keypoints.annotations import refuse
from keypoints.errors import InputError
from keypoints.files import replacing, write_text
from keypoints.records import Records

BOX_SOURCES = ("truth", "jittered", "detector")
# Spread of jittered boxes, in shares of the longer side: about what a detector does to them.
CENTRE_SIGMA, SIZE_SIGMA = 0.05, 0.08
WORST = 24  # faces in the gallery of the worst
SPREAD = 12  # faces in the gallery that goes from the best to the worst in even steps


def boxes_for(
    records: Records,
    source: str,
    *,
    seed: int = 0,
    detect: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Face boxes `(n, 4)` of all records, and whether each was found `(n,)`.

    `truth`: the tight box of the annotated points. `jittered`: the same, moved by a seeded
    Gaussian of 5 % of the longer side and resized by a log-normal of 8 %. `detector`: the largest
    box that `detect(image)` answers; where it answers none, the whole picture is the box, so that
    such an image is still scored, and counted as not found.
    """
    truth = geometry.landmark_box(records.points)
    found = np.ones(len(records), bool)
    if source == "truth":
        return truth, found
    if source == "jittered":
        rng = np.random.default_rng(seed)
        side = truth[:, 2:].max(axis=1, keepdims=True)
        centre = truth[:, :2] + truth[:, 2:] / 2
        centre = centre + side * CENTRE_SIGMA * rng.standard_normal((len(records), 2))
        size = truth[:, 2:] * np.exp(SIZE_SIGMA * rng.standard_normal((len(records), 1)))
        return np.concatenate([centre - size / 2, size], axis=1).astype(np.float32), found
    if source != "detector" or detect is None:
        raise InputError(f"--boxes={source}: one of {', '.join(BOX_SOURCES)} is expected")
    boxes = np.zeros((len(records), 4), np.float32)
    for i in range(len(records)):
        height, width = records.shapes[i]
        detected = detect(records.image(i))
        found[i] = len(detected) > 0
        boxes[i] = (0, 0, width, height)
        if found[i]:
            boxes[i] = detected[np.argmax(detected[:, 2] * detected[:, 3])]
    return boxes, found


def predict_points(
    predict: Callable[[np.ndarray], np.ndarray],
    records: Records,
    boxes: np.ndarray,
    *,
    view: str,
    margin: float,
    batch_size: int = 32,
    flip: bool = False,
) -> np.ndarray:
    """Points `(n, 68, 2)` float32 in picture pixels, every record exactly once, in order.

    `predict` takes `(batch_size, 224, 224, 3)` uint8 crops to `(batch_size, 136)`; the last batch
    is filled up with black, so that a compiled model sees one shape. `flip` averages with the
    prediction for the mirrored crop.
    """
    if view == "frame":
        matrices = np.array([geometry.frame_matrix(w, h) for h, w in records.shapes])
    else:
        matrices = geometry.crop_matrix(boxes, margin=margin)
    points = np.empty((len(records), landmarks.COUNT, 2), np.float32)
    crops = np.zeros((batch_size, geometry.CROP, geometry.CROP, 3), np.uint8)
    for start in range(0, len(records), batch_size):
        chosen = range(start, min(start + batch_size, len(records)))
        for row, i in enumerate(chosen):
            crops[row] = geometry.crop(records.image(i), matrices[i])
        crops[len(chosen) :] = 0
        batch = predict(crops).reshape(-1, landmarks.COUNT, 2)
        if flip:
            mirrored = predict(crops[:, :, ::-1]).reshape(-1, landmarks.COUNT, 2)
            mirrored = (mirrored * [-1, 1] + [geometry.CROP - 1, 0])[:, landmarks.MIRROR]
            batch = (batch + mirrored) / 2
        points[chosen] = geometry.apply(geometry.invert(matrices[chosen]), batch[: len(chosen)])
    return points


def mean_face(boxes: np.ndarray) -> np.ndarray:
    """The mean face put into each box `(n, 4)`: the baseline that looks at no pixel."""
    centre = boxes[:, None, :2] + boxes[:, None, 2:] / 2
    side = boxes[:, 2:].max(axis=1)[:, None, None]
    return (centre + side * landmarks.MEAN_FACE).astype(np.float32)


def read_predictions(path: str | Path, records: Records) -> np.ndarray:
    """Anybody's points `(n, 68, 2)` for the records from a CSV file; NaN where all cells are empty.

    One header row, then rows `file, x0, y0, .., x67, y67` in picture pixels. Files that are not
    in the split are passed over. Raises InputError for a file of the split without a row or with
    two, and for cells that are not finite numbers: up to 20 of them by line and reason.
    """
    path = Path(str(path))
    index = {file: i for i, file in enumerate(records.files)}
    points = np.full((len(records), 2 * landmarks.COUNT), np.nan, np.float32)
    seen: set[str] = set()
    problems = []
    try:
        with open(path, newline="") as file:
            rows = list(csv.reader(file))[1:]
    except OSError as error:
        raise InputError(f"--predictions={path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"--predictions={path} is not a CSV file: {error}") from None
    for line, row in enumerate(rows, 2):
        if not row or row[0] not in index:
            continue
        if row[0] in seen:
            problems.append(f"line {line}: {row[0]} has a second row")
        seen.add(row[0])
        if len(row) != 1 + points.shape[1]:
            problems.append(f"line {line}: {len(row)} columns, 137 are expected")
        elif any(cell.strip() for cell in row[1:]):
            try:
                face = np.array(row[1:], np.float32)
            except ValueError as error:
                problems.append(f"line {line}: {row[0]}: {error}")
                continue
            if not np.isfinite(face).all():
                problems.append(f"line {line}: {row[0]}: not finite; a missing face is empty cells")
            points[index[row[0]]] = face
    problems += [f"{file} has no row" for file in records.files if file not in seen]
    refuse(problems, f"--predictions={path}, against {records.name},")
    return points.reshape(-1, landmarks.COUNT, 2)


def evaluate(records: Records, predicted: np.ndarray, **facts: Any) -> dict[str, Any]:
    """The report: `facts` as they are (model, box source, ...), then what was measured.

    `predicted` `(n, 68, 2)` in picture pixels; NaN where no face was found. Means are over the
    faces found; AUC and failures are over all images. NME values are percent. The mean face is
    put into truth boxes. Raises InputError where there is nothing to measure, or to measure by.
    """
    truth = records.points
    if len(predicted) != len(records):
        raise InputError(f"{len(predicted)} predictions for {len(records)} images")
    found = np.isfinite(predicted).all(axis=(1, 2))
    if not found.any():
        raise InputError(f"{records.name}: no face was found in any of the {len(records)} images")
    sizes = [normaliser(truth) for normaliser in metrics.NORMALISERS.values()]
    flat = np.flatnonzero(np.min(sizes, axis=0) == 0)
    refuse([f"{records.files[i]}: the annotated eyes coincide" for i in flat], records.name)
    errors = metrics.point_errors(truth, predicted)
    nme = metrics.inter_ocular_nme(truth, predicted)
    differences = metrics.pixel_differences(truth, predicted, records.shapes)[found]
    per_point = errors[found] / metrics.inter_ocular(truth)[found, None]
    turn = np.abs(metrics.yaw(truth))
    edges = (0.0, *metrics.YAW_BINS, np.inf)
    bins = [found & (low <= turn) & (turn < high) for low, high in itertools.pairwise(edges)]
    people = np.array(records.identities) if all(records.identities) else np.arange(len(records))
    baseline = metrics.inter_ocular_nme(truth, mean_face(geometry.landmark_box(truth)))
    return {
        **facts,
        "split": records.name,
        "split_sha256": records.digest(),
        "images": len(records),
        "found": int(found.sum()),
        "nme": {
            name: _percent(errors.mean(axis=1)[found] / normaliser(truth)[found])
            for name, normaliser in metrics.NORMALISERS.items()
        },
        "nme_interval": [
            100 * end for end in metrics.bootstrap_interval(nme[found], people[found])
        ],
        "auc_at_0.08": metrics.auc(nme),
        "failures_at_0.08": 100 * metrics.failure_rate(nme),
        "percentiles": {
            f"P{rank}": float(100 * np.percentile(nme[found], rank)) for rank in (50, 90, 95, 99)
        },
        "smooth_l1_px_at_255": float(metrics.smooth_l1(differences).mean()),
        "mean_absolute_px_at_255": float(np.abs(differences).mean()),
        "parts": {
            part: _percent(per_point[:, where]) for part, where in landmarks.REPORT_PARTS.items()
        },
        "yaw": {
            f"{low:.0f} to {high:.0f}" if high < np.inf else f"over {low:.0f}": {
                "images": int(chosen.sum()),
                "nme": _percent(nme[chosen]) if chosen.any() else None,
            }
            for low, high, chosen in zip(edges, edges[1:], bins)
        },
        "mean_face": {
            "nme": _percent(baseline),
            "auc_at_0.08": metrics.auc(baseline),
            "failures_at_0.08": 100 * metrics.failure_rate(baseline),
        },
    }


def table(report: dict[str, Any]) -> str:
    """The report as text for a terminal."""
    low, high = report["nme_interval"]
    p = report["percentiles"]
    boxes, images = report.get("boxes", ""), report["images"]
    if report.get("boxes_found", images) < images:
        boxes += f" (in {report['boxes_found']} images; the whole image in the others)"
    count = f"{images} images"
    if report["found"] < images:
        count += f", {report['found']} faces found"
    rows = [
        ("model", report.get("model", "")),
        ("split", f"{report['split']} ({count})"),
        ("boxes", boxes),
        (
            "NME inter-ocular",
            f"{report['nme']['inter_ocular']:.2f} %  (95 %: {low:.2f} to {high:.2f})",
        ),
        ("NME inter-pupil", f"{report['nme']['inter_pupil']:.2f} %"),
        ("NME box diagonal", f"{report['nme']['box_diagonal']:.2f} %"),
        ("AUC@0.08", f"{report['auc_at_0.08']:.3f}"),
        ("failures@0.08", f"{report['failures_at_0.08']:.1f} %"),
        ("P50 P90 P95 P99", "  ".join(f"{value:.2f}" for value in p.values()) + "  %"),
        ("SmoothL1, side 255", f"{report['smooth_l1_px_at_255']:.2f} px"),
        ("|error|, side 255", f"{report['mean_absolute_px_at_255']:.2f} px"),
    ]
    rows += [(f"  {part}", f"{value:.2f} %") for part, value in report["parts"].items()]
    rows += [
        (f"  yaw {name}°", f"{bin['nme']:.2f} %  ({bin['images']} images)")
        for name, bin in report["yaw"].items()
        if bin["images"]
    ]
    mean = report["mean_face"]
    rows.append(
        (
            "mean face",
            f"{mean['nme']:.2f} %, AUC {mean['auc_at_0.08']:.3f}, "
            f"failures {mean['failures_at_0.08']:.1f} % (in truth boxes)",
        )
    )
    if report["found"] < images:
        rows.append(("", "AUC and failures are over all images, the rest over the faces found"))
    return "\n".join(f"{name:20} {value}" for name, value in rows)


def _percent(shares: np.ndarray) -> float:
    return float(100 * np.mean(shares))


def write_report(
    folder: Path, report: dict[str, Any], records: Records, predicted: np.ndarray
) -> None:
    """Write report.json, per_image.csv, ced.png, worst.jpg and faces.jpg into `folder`."""
    from keypoints.plots import error_distribution, gallery

    folder.mkdir(parents=True, exist_ok=True)
    truth = records.points
    nme = metrics.inter_ocular_nme(truth, predicted)
    baseline = metrics.inter_ocular_nme(truth, mean_face(geometry.landmark_box(truth)))
    write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
    write_text(folder / "per_image.csv", _per_image_csv(records, predicted))
    model = Path(str(report.get("model", "predictions"))).stem
    with replacing(folder / "ced.png") as temporary:
        error_distribution({model: nme, "mean face": baseline}, temporary)
    ranks = np.argsort(-np.nan_to_num(nme, nan=np.inf), kind="stable")
    spread = np.linspace(len(ranks) - 1, 0, min(SPREAD, len(ranks))).round().astype(int)
    for name, chosen in (("worst.jpg", ranks[:WORST]), ("faces.jpg", ranks[spread])):
        with replacing(folder / name) as temporary:
            gallery(
                [records.image(i) for i in chosen],
                truth[chosen],
                predicted[chosen],
                [_caption(nme[i], records.files[i]) for i in chosen],
                temporary,
            )


def _caption(nme: float, file: str) -> str:
    return f"{100 * nme:.1f} %  {Path(file).stem}" if nme >= 0 else f"no face  {Path(file).stem}"


def _per_image_csv(records: Records, predicted: np.ndarray) -> str:
    """One row per image: errors in percent of the inter-ocular distance, then the points."""
    scaled = 100 * metrics.point_errors(records.points, predicted)
    scaled /= metrics.inter_ocular(records.points)[:, None]
    axes = [f"{axis}{i}" for i in range(landmarks.COUNT) for axis in "xy"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "nme", *landmarks.REPORT_PARTS, *axes])
    for file, errors, points in zip(records.files, scaled, predicted):
        shares = [errors.mean(), *(errors[part].mean() for part in landmarks.REPORT_PARTS.values())]
        cells = [*shares, *points.ravel()]
        writer.writerow([file, *(f"{cell:.3f}" if np.isfinite(cell) else "" for cell in cells)])
    return text.getvalue()
