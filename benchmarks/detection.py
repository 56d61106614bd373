"""What face detectors find of annotated faces, how well their boxes fit, and how long it takes."""

import math
import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.timings import Timing, interleaved, timing
from keypoints import geometry
from keypoints.crop import Crop
from keypoints.data.records import Example, Records, make_records
from keypoints.evaluation.matching import detected_boxes
from keypoints.evaluation.protocol import yaw_bins
from keypoints.inference.detections import Detections
from keypoints.inference.detectors import DEFAULT, MOVING, NETWORKS, load_detector

TURNS = (30, 45, 90, 180)  # degrees clockwise by which whole pictures are turned
TURNED_PICTURES = 60  # of the set, which are held in memory
SIZES = ((320, 240), (640, 480), (1280, 720))
HEIGHT = 0.25  # of the face in the pictures of these sizes, as a share of the picture's

Detect = Callable[[np.ndarray], Detections]


def measure_detectors(records: Records, *, repeats: int = 5) -> list[Timing]:
    """Milliseconds per picture by detector, with what was found in each row's note.

    First all pictures of `records` with each detector, then the first `TURNED_PICTURES` of them
    turned as a whole, then one picture at several sizes, by turns.
    """
    still = {name: load_detector(name).detect for name in NETWORKS}
    detectors: dict[str, Detect] = {
        **still,
        f"{DEFAULT}, no turned searches": load_detector(DEFAULT, rotations=False).detect,
        "haar": load_detector("haar").detect,
    }
    rows = [measure(name, detect, records) for name, detect in detectors.items()]
    for degrees in TURNS:
        turned = turn(records, degrees)
        for name, detect in still.items():
            rows.append(measure(f"{name}, turned by {degrees}°", detect, turned))
    moving = {
        f"{name}, video": load_detector(name, smallest=MOVING, rotations=False).detect
        for name in NETWORKS
    }
    kinds = {**still, **moving, "haar": detectors["haar"]}
    for width, height in SIZES:
        image = shown_at(records, width, height)
        subjects = {
            f"{name}, {width} x {height}": lambda detect=detect, image=image: detect(image)
            for name, detect in kinds.items()
        }
        seconds = interleaved(subjects, repeats)
        rows += [timing(name, "ms", np.array(s) * 1e3) for name, s in seconds.items()]
    return rows


def measure(name: str, detect: Detect, records: Records) -> Timing:
    """Milliseconds per picture; the note has recall by yaw, false faces, and errors of the boxes.

    Medians over the faces found, in shares of the annotated box's longer side: the distance of the
    centres, and the difference of the longer sides.
    """
    samples = []

    def timed(image: np.ndarray) -> Detections:
        start = time.perf_counter()
        found = detect(image)
        samples.append((time.perf_counter() - start) * 1e3)
        return found

    detected = detected_boxes(records, timed)
    found = np.isfinite(detected.boxes).all(axis=1)
    by_yaw = [
        f"{low:.0f}°+ {found[chosen].mean():.1%}"
        for low, _, chosen in yaw_bins(records)
        if chosen.any()
    ]
    note = f"recall {found.mean():.1%} ({', '.join(by_yaw)}), false {detected.false_faces:.3f}"
    if found.any():
        boxes, annotated = detected.boxes[found], detected.annotated[found]
        side = annotated[:, 2:].max(axis=1)
        apart = boxes[:, :2] + boxes[:, 2:] / 2 - annotated[:, :2] - annotated[:, 2:] / 2
        centre = np.median(np.linalg.norm(apart, axis=1) / side)
        size = np.median(np.abs(boxes[:, 2:].max(axis=1) / side - 1))
        note += f", centre {centre:.1%}, size {size:.1%}"
    return timing(name, "ms", samples, note=note)


def turn(records: Records, degrees: float) -> Records:
    """The first pictures, each turned clockwise about its middle with black in the corners."""

    def examples() -> Iterator[Example]:
        whole = records.completed_points()
        for index in range(min(TURNED_PICTURES, len(records))):
            image = records.image(index)
            height, width = image.shape[:2]
            side = math.ceil(math.hypot(width, height))
            frame = np.array([-0.5, -0.5, width, height])
            matrix = Crop(side / max(width, height), side).matrices(frame, -degrees)
            yield Example(
                records.files[index],
                records.identities[index],
                geometry.crop(image, matrix, size=side),
                geometry.apply(matrix, records.points[index]),
                geometry.landmark_box(geometry.apply(matrix, whole[index])),
                records.yaw[index],
            )

    return make_records(records.name, examples())


def shown_at(records: Records, width: int, height: int) -> np.ndarray:
    """The first face in the middle of a picture of this size, `HEIGHT` of it high."""
    matrix = Crop(width / (HEIGHT * height), width).matrices(records.boxes[0])
    top = (width - height) // 2
    return geometry.crop(records.image(0), matrix, size=width)[top : top + height]
