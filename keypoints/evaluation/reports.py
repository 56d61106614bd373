"""An evaluation's report as text, files and pictures."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keypoints import metrics
from keypoints.checks import json_object
from keypoints.data.records import Records
from keypoints.errors import InputError
from keypoints.evaluation.matching import FOUND_IOU
from keypoints.evaluation.protocol import mean_face
from keypoints.system.atomic import replacing, write_rows, write_text

# The names of normalisers in a table, and on the axis of a plot.
NORMALISERS = {
    "inter_ocular": ("inter-ocular", "inter-ocular distance"),
    "inter_pupil": ("inter-pupil", "inter-pupil distance"),
    "box_diagonal": ("box diagonal", "the box's diagonal"),
    "box": ("sqrt(box area)", "the square root of the box's area"),
}
# What tells one report from another; `split_sha256` is of the data.
IDENTITY = (
    "split_sha256", "labels", "weights_sha256", "predictions_sha256", "boxes", "detector", "flip",
    "normaliser",
)  # fmt: skip
WORST = 24  # faces in the gallery of the worst
SPREAD = 12  # faces in the gallery that goes from the best to the worst in even steps


def table(report: dict[str, Any]) -> str:
    """The report as text for a terminal."""
    low, high = report["nme_interval"]
    chosen, interval = report["normaliser"], f"  (95 %: {low:.2f} to {high:.2f})"
    p = report["percentiles"]
    boxes, images = report.get("boxes", ""), report["images"]
    if "detector" in report:
        boxes += f" {report['detector']}"
    count = f"{images} images"
    if report["found"] < images:
        count += f", {report['found']} faces found"
    searched = report["found"] < images or "false_faces" in report
    recall = f"{report['recall']:.1f} %"
    if "false_faces" in report:
        recall += f"  (IoU {FOUND_IOU}; {report['false_faces']:.3f} false faces per picture)"
    rows = [
        ("model", report.get("model", "")),
        ("split", f"{report['split']} ({count})"),
        *([("labels", report["labels"])] if "labels" in report else []),
        ("boxes", boxes),
        *([("recall", recall)] if searched else []),
        *[
            (f"NME {NORMALISERS[name][0]}", f"{nme:.2f} %" + interval * (name == chosen))
            for name, nme in report["nme"].items()
        ],
        (
            "offset of all, x y",
            "  ".join(f"{value:+.2f}" for value in report["offset"])
            + f"  %  (NME without it: {report['nme_without_offset']:.2f} %)",
        ),
        ("AUC@0.08", f"{report['auc_at_0.08']:.3f}"),
        ("failures@0.08", f"{report['failures_at_0.08']:.1f} %"),
        ("P50 P90 P95 P99", "  ".join(f"{value:.2f}" for value in p.values()) + "  %"),
        ("SmoothL1, side 255", f"{report['smooth_l1_px_at_255']:.2f} px"),
        ("|error|, side 255", f"{report['mean_absolute_px_at_255']:.2f} px"),
    ]
    rows += [
        (f"  {part}", f"{value:.2f} %")
        for part, value in report["parts"].items()
        if value is not None
    ]
    rows += [
        (f"  yaw {name}°", _yaw_row(bin, searched))
        for name, bin in report["yaw"].items()
        if bin["images"]
    ]
    if (mean := report["mean_face"]) is not None:
        text = f"{mean['nme']:.2f} %, AUC {mean['auc_at_0.08']:.3f}, "
        text += f"failures {mean['failures_at_0.08']:.1f} % (in truth boxes)"
        rows.append(("mean face", text))
    if chosen != "inter_ocular":
        rows.append(("", f"all percentages and AUC are of the {NORMALISERS[chosen][0]}"))
    if report["found"] < images:
        rows.append(("", "AUC and failures are over all faces, the rest over the faces found"))
    return "\n".join(f"{name:20} {value}" for name, value in rows)


def _yaw_row(row: dict[str, Any], searched: bool) -> str:
    """What was measured at one yaw: NME of the found, then failures of all."""
    facts = [f"{row['images']} images"]
    if row["inner"] is not None:
        facts.append(f"inner {row['inner']:.2f} %")
    if searched:
        facts.append(f"recall {row['recall']:.1f} %")
    facts.append(f"failures {row['failures_at_0.08']:.1f} %")
    nme = "no face found" if row["nme"] is None else f"{row['nme']:.2f} %"
    return f"{nme}  ({'; '.join(facts)})"


def refuse_other(path: Path, facts: dict[str, Any]) -> None:
    """Raise InputError if `path` is a report of something else, which must not be lost.

    `facts` are those of the report to come. Of them those in `IDENTITY` are compared.
    """
    if not path.exists():
        return
    before = json_object(path.read_bytes(), str(path))
    for name in IDENTITY:
        if before.get(name) != facts.get(name):
            raise InputError(
                f"{path} is the report of {name}={before.get(name)}, this one would be of "
                f"{facts.get(name)}; name another folder with --output"
            )


def write_report(
    folder: str | Path, report: dict[str, Any], records: Records, predicted: np.ndarray
) -> None:
    """Write report.json, per_image.csv, ced.png, worst.jpg and faces.jpg into `folder`."""
    from keypoints.evaluation.plots import error_distribution, gallery

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    truth, mean = records.points, records.markup.mean
    size = metrics.sizes(truth, records.boxes, records.markup)[report["normaliser"]]
    nme = metrics.mean_error(truth, predicted) / size
    write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
    write_rows(folder / "per_image.csv", _rows_by_image(records, predicted, size))
    model = Path(str(report.get("model", "predictions"))).stem
    with replacing(folder / "ced.png") as temporary:
        curves = {model: nme}
        if mean is not None:
            curves["mean face"] = metrics.mean_error(truth, mean_face(records.boxes, mean)) / size
        error_distribution(curves, temporary, unit=NORMALISERS[report["normaliser"]][1])
    ranks = np.argsort(-np.nan_to_num(nme, nan=np.inf), kind="stable")
    spread = np.linspace(len(ranks) - 1, 0, min(SPREAD, len(ranks))).round().astype(int)
    for name, chosen in (("worst.jpg", ranks[:WORST]), ("faces.jpg", ranks[spread])):
        captions = [_caption(nme[i], records.files[i]) for i in chosen]
        with replacing(folder / name) as temporary:
            gallery(records, chosen, predicted, captions, temporary)


def _caption(nme: float, file: str) -> str:
    return f"{100 * nme:.1f} %  {Path(file).stem}" if nme >= 0 else f"no face  {Path(file).stem}"


def _rows_by_image(
    records: Records, predicted: np.ndarray, size: np.ndarray
) -> Iterator[list[str]]:
    """A header, then for each image the errors in percent of the face's `size`, and the points."""
    scaled = 100 * metrics.point_errors(records.points, predicted) / size[:, None]
    axes = [f"{axis}{i}" for i in range(records.markup.count) for axis in "xy"]
    yield ["file", "nme", *records.markup.parts, *axes]
    for file, errors, points in zip(records.files, scaled, predicted):
        parts = [errors, *(errors[list(part)] for part in records.markup.parts.values())]
        known = [part[np.isfinite(part)] for part in parts]
        cells = [*(part.mean() if part.size else np.nan for part in known), *points.ravel()]
        yield [file, *(f"{cell:.3f}" if np.isfinite(cell) else "" for cell in cells)]
