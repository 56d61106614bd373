"""Errors and face scores by conditions of the faces, and by groups that a file tells.

A group whose faces are smaller, or turned away more, has larger errors for that reason alone. So
groups are compared at equal size and yaw: each face is weighted such that all groups have the same
share of each class of size and yaw (direct standardisation, as in epidemiology).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keypoints import metrics
from keypoints.crop import Crop
from keypoints.data.formats.tables import read_pairs
from keypoints.data.records import Records
from keypoints.errors import InputError, refuse
from keypoints.estimate import SCORE_THRESHOLD
from keypoints.evaluation.protocol import predict_points, yaw_bins
from keypoints.network import Network
from keypoints.system.digests import file_digest

CONDITIONS = "conditions"  # in place of a file: no groups but those of `conditions`
SIDE = 112  # of the crops on which sharpness and brightness are measured, pixels
UNITS = {"size": " px", "yaw": "°"}

Class = tuple[str, np.ndarray]  # what it is called, and the faces in it, `(n,)` bool


def group_facts(groups: str) -> dict[str, str]:
    """What a report says of `--groups`, known before anything is measured."""
    if groups == CONDITIONS:
        return {"groups": groups}
    if not Path(groups).is_file():
        raise InputError(f"--groups={groups}: no such file; conditions or a CSV file is expected")
    return {"groups": groups, "groups_sha256": file_digest(Path(groups))}


def measure(network: Network, records: Records, *, groups: str, **facts: Any) -> dict[str, Any]:
    """`facts`, then errors and scores by `conditions`, and by the groups of a file if one is given.

    Truth boxes. NME in percent of the root of the area of the tight box, valid for profiles too.
    `groups`: a CSV file as of `read_groups`, or `conditions` for none. Raises InputError for a file
    that is wrong, and where no class of size and yaw has faces of each group.
    """
    records = records.seen_by(network.markup)
    known = None if groups == CONDITIONS else read_groups(Path(groups), records)
    estimate = predict_points(network, records, records.boxes)
    size = metrics.sizes(records.points, records.boxes, records.markup)["box"]
    nme = metrics.mean_error(records.points, estimate.points) / size
    scores = estimate.scores
    people = records.people

    def row(faces: np.ndarray, weights: np.ndarray | None = None) -> dict[str, Any]:
        weights = faces[faces].astype(float) if weights is None else weights[faces]
        low, high = metrics.bootstrap_interval(nme[faces], people[faces], weights=weights)
        share = weights / weights.sum()
        return {
            "faces": int(faces.sum()),
            "nme": float(100 * share @ nme[faces]),
            "nme_interval": [100 * low, 100 * high],
            "score": float(share @ scores[faces]),
            "dropped": float(100 * share @ (scores[faces] < SCORE_THRESHOLD)),
        }

    classes = conditions(records)
    report = {
        **facts,
        "groups": groups,
        "split": records.name,
        "split_sha256": records.digest(),
        "images": len(records),
        "conditions": {
            name: [{"class": label, **row(faces)} for label, faces in each if faces.any()]
            for name, each in classes.items()
        },
    }
    if known is None:
        return report
    weights = equal_weights(known, [classes["size"], classes.get("yaw", [])])
    return {
        **report,
        "compared": int((weights > 0).sum()),
        "by_group": {
            group: {
                "as_they_are": row(known == group),
                "equal": row((known == group) & (weights > 0), weights),
            }
            for group in _names(known)
        },
    }


def conditions(records: Records) -> dict[str, list[Class]]:
    """Classes of the faces by size (longer side of the box), yaw, sharpness and brightness.

    Yaw as in `yaw_bins`; of the others the lowest, middle and highest third. Sharpness is the
    variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy",
    ICPR 2000) and brightness the mean, of a gray crop of the face in `SIDE` pixels.
    """
    values: dict[str, list[float]] = {"sharpness": [], "brightness": []}
    for index, matrix in enumerate(Crop(1.0, SIDE).matrices(records.boxes)):
        gray = cv2.cvtColor(records.crop(index, matrix, size=SIDE), cv2.COLOR_RGB2GRAY)
        values["sharpness"].append(float(cv2.Laplacian(gray, cv2.CV_64F).var()))
        values["brightness"].append(float(gray.mean()))
    turned = [
        (f"{low:g} to {high:g}" if np.isfinite(high) else f"over {low:g}", faces)
        for low, high, faces in yaw_bins(records)
    ]
    return {
        "size": _thirds(records.boxes[:, 2:].max(axis=1)),
        **({"yaw": turned} if turned else {}),
        **{name: _thirds(np.array(each)) for name, each in values.items()},
    }


def read_groups(path: Path, records: Records) -> np.ndarray:
    """The group of each face `(n,)`, "" where the file names none.

    Rows are as of `read_pairs`. Raises InputError for a file that cannot be read, for pictures that
    the records do not have, and for fewer than two groups.
    """
    found, problems = read_pairs(path, set(records.files), "group", f"picture of {records.name}")
    refuse(problems, f"--groups={path}")
    groups = np.array([found.get(file, "") for file in records.files])
    if len(_names(groups)) < 2:
        raise InputError(f"--groups={path}: two groups or more are expected, of {records.name}")
    return groups


def equal_weights(groups: np.ndarray, classes: Sequence[Sequence[Class]]) -> np.ndarray:
    """Weights of the faces `(n,)` with which all groups `(n,)` have the same shares of all classes.

    The shares are those of all faces with a group, over the combinations of `classes` in which each
    group has a face; others weigh 0. Raises InputError where there are none.
    """
    names, weights = _names(groups), np.zeros(len(groups))
    for cell in _cells(classes, len(groups)):
        members = [cell & (groups == name) for name in names]
        if all(faces.any() for faces in members):
            share = (cell & (groups != "")).sum()
            for faces in members:
                weights[faces] = share / faces.sum()
    if not weights.any():
        raise InputError("--groups: no class of size and yaw has faces of each group")
    return weights


def table(report: dict[str, Any]) -> str:
    """The report of `measure` as text for a terminal."""
    lines = [f"{report['images']} faces, truth boxes, NME in percent of the root of the box's area"]
    for name, rows in report["conditions"].items():
        unit = UNITS.get(name, "")
        lines += ["", _head(name), *[_line(row["class"] + unit, row) for row in rows]]
    if "by_group" in report:
        for title, key in (("group", "as_they_are"), ("at equal size and yaw", "equal")):
            lines += ["", _head(title)]
            lines += [_line(group, rows[key]) for group, rows in report["by_group"].items()]
    return "\n".join(lines)


def _thirds(values: np.ndarray) -> list[Class]:
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    places = (values > low).astype(int) + (values > high)
    return [
        (
            f"{values[places == third].min():.0f} to {values[places == third].max():.0f}",
            places == third,
        )
        for third in range(3)
        if (places == third).any()
    ]


def _cells(classes: Sequence[Sequence[Class]], count: int) -> Iterator[np.ndarray]:
    """The faces in each combination of classes `(n,)`."""
    cells = [np.ones(count, bool)]
    for each in classes:
        cells = [cell & faces for cell in cells for _, faces in each] if each else cells
    yield from cells


def _names(groups: np.ndarray) -> list[str]:
    return sorted(set(groups.tolist()) - {""})


def _head(name: str) -> str:
    below = f"below {SCORE_THRESHOLD}"
    return f"{name:24}{'faces':>7}{'NME':>9}{'95 %':>16}{'score':>8}{below:>12}"


def _line(label: str, row: dict[str, Any]) -> str:
    low, high = row["nme_interval"]
    return (
        f"{label:24}{row['faces']:>7}{row['nme']:>7.2f} %{f'{low:.2f} to {high:.2f}':>16}"
        f"{row['score']:>8.2f}{row['dropped']:>10.1f} %"
    )
