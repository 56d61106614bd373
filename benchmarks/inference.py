"""Benchmarks of the data pipeline, of predictions and of live tracking against baselines.

Each function interleaves samples of a subject and of its baselines in one process, so that other
load on the machine affects all of them alike. Compare the ratios to the baseline: the times hold
for one machine at one moment.
"""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timings import Timing, compared, interleaved, peak_memory, timing
from keypoints.config import Config
from keypoints.data.records import Records
from keypoints.errors import InputError
from keypoints.geometry import CROP, FRAME_SHORT_SIDE
from keypoints.media.pictures import encode_png
from keypoints.models import runs

MOST_SEARCHES = 50  # frames in which the detector is timed alone
OLD_LOADER_PICTURES = 100  # per sample of the old loader
NEEDS = (500, 1000, 2000, 4000)  # images/s of training steps on GPUs that the pipeline may feed


def measure_pipeline(
    load: Callable[[], Records], config: Config, *, epochs: int = 3
) -> list[Timing]:
    """Images/s of the training pipeline, its first epoch with decoding, and the old loader.

    Further rows tell what steps would get that need so many images/s, and which share of it.
    """
    from keypoints.data.pipeline import training_pipeline

    load()  # imports TensorFlow and fills the file cache
    start = time.perf_counter()
    records = load()
    count = len(records) // config.batch_size * config.batch_size

    def epoch(number: int) -> None:
        for _ in training_pipeline(records, config, epoch=number).as_numpy_iterator():
            pass

    epoch(0)
    first = count / (time.perf_counter() - start)
    before = peak_memory()
    ours, old = [], []
    fed: dict[int, list[float]] = {need: [] for need in NEEDS}
    with tempfile.TemporaryDirectory() as folder:
        files = write_pictures(records, Path(folder))
        for number in range(1, epochs + 1):
            start = time.perf_counter()
            epoch(number)
            ours.append(count / (time.perf_counter() - start))
            start = time.perf_counter()
            for draw, file in enumerate(files):
                old_loader(file, np.random.default_rng((number, draw)))
            old.append(len(files) / (time.perf_counter() - start))
            for need, samples in fed.items():
                batches = training_pipeline(records, config, epoch=number).as_numpy_iterator()
                samples.append(feed(batches, config.batch_size, need))
    pixels = sum(picture.bytes for picture in records.pictures)
    note = (
        f"pixels {pixels / 2**20:.0f} MiB, process {before:.0f} MiB after the "
        f"first epoch, {peak_memory() - before:+.0f} MiB over the next {epochs}"
    )
    rows = [
        timing("training pipeline", "images/s", ours, note=note),
        timing("its first epoch, with decoding", "images/s", [first]),
        timing("old loader, one process", "images/s", old),
    ]
    sinks = [
        replace(row, ratio=row.median / need)
        for need, samples in fed.items()
        for row in [timing(f"into steps that need {need} images/s", "images/s", samples)]
    ]
    return compared(rows, "old loader, one process") + sinks


def feed(batches: Iterable, batch_size: int, need: float) -> float:
    """Images/s that a step gets which needs no CPU and `batch_size / need` seconds for a batch.

    From the first batch on, for which the pipeline starts.
    """
    count, start = 0, time.perf_counter()
    for count, _ in enumerate(batches, 1):
        if count == 1:
            start = time.perf_counter()
        time.sleep(batch_size / need)
    return count * batch_size / (time.perf_counter() - start)


def write_pictures(records: Records, folder: Path) -> list[Path]:
    """The first images of `records` as PNG files, the format of the old project."""
    files = []
    for i in range(min(OLD_LOADER_PICTURES, len(records))):
        files.append(folder / f"{i}.png")
        files[-1].write_bytes(encode_png(records.image(i)))
    return files


def old_loader(file: Path, rng: np.random.Generator) -> np.ndarray:
    """The loader of the old project: decode and augment one image at a time."""
    import cv2
    from matplotlib.image import imread
    from PIL import Image, ImageEnhance

    image = imread(file)[..., :3]
    scale = FRAME_SHORT_SIDE / min(image.shape[:2])
    size = [round(side * scale) for side in image.shape[1::-1]]
    image = cv2.resize(image, size)
    top, left = (rng.integers(0, side - CROP + 1) for side in image.shape[:2])
    image = image[top : top + CROP, left : left + CROP]
    middle = (CROP / 2, CROP / 2)
    turn = cv2.getRotationMatrix2D(middle, rng.uniform(-30, 30), 1.0)
    picture = Image.fromarray((cv2.warpAffine(image, turn, (CROP, CROP)) * 255).astype(np.uint8))
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = kind(picture).enhance(rng.uniform(0.7, 1.3))
    hue, *others = picture.convert("HSV").split()
    turned = np.array(hue) + np.uint8(rng.integers(0, 16))
    picture = Image.merge("HSV", [Image.fromarray(turned), *others]).convert("RGB")
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return ((np.asarray(picture) / 255.0 - mean) / deviation).astype(np.float32)


def measure_predictions(run: Path, *, export: Path, repeats: int = 30) -> list[Timing]:
    """Milliseconds per crop of the network of a run in Keras and of its ONNX exports."""
    from keypoints.inference.exported import load_exported, read_manifest

    crop = np.random.default_rng(0).integers(0, 256, (1, CROP, CROP, 3), dtype=np.uint8)
    live = f"Keras on {runs.environment()['backend']}"
    networks, skipped = {live: runs.load_network(run)}, []
    for name, format in (("ONNX", "onnx"), ("int8 ONNX", "onnx-int8")):
        if export.is_dir() and format in read_manifest(export)["formats"]:
            networks[name] = load_exported(export, format=format)
        else:
            note = f"{export} has no {format}; run keypoints export {run}"
            skipped.append(Timing(name, "ms", note=note))
    subjects: dict[str, Callable[[], Any]] = {
        name: partial(network.predict, crop) for name, network in networks.items()
    }
    rows = [timing(n, "ms", np.array(s) * 1e3) for n, s in interleaved(subjects, repeats).items()]
    return compared(rows + skipped, live)


def measure_webcam(
    predictor: Any, frames: Iterable[tuple[float, np.ndarray]], *, most: int = 200
) -> list[Timing]:
    """Milliseconds a frame of the live tracker, of that for files, and of a search of each frame.

    Live frames come at their own times, forwards and backwards through `frames` until there are
    `most`, and the search for new faces runs beside them; the others come one after the other.
    """
    from keypoints.inference.tracking import Tracker

    clip = list(itertools.islice(frames, most))
    if len(clip) < 2:
        raise InputError("two frames at least are expected")
    trackers = {
        "live, new faces looked for beside": (Tracker(predictor, background=True), True),
        "a file, new faces looked for between": (Tracker(predictor), False),
    }
    rows = []
    for name, (tracker, live) in trackers.items():
        for _ in range(3):  # the first calls compile and warm up
            tracker.update(clip[0][1], clip[0][0])
        samples, faces = [], []
        begin = time.perf_counter()
        for timestamp, image in itertools.islice(to_and_fro(clip), 1, most + 1):
            if live:
                time.sleep(max(begin + timestamp - clip[0][0] - time.perf_counter(), 0))
            start = time.perf_counter()
            faces.append(len(tracker.update(image, timestamp)))
            samples.append((time.perf_counter() - start) * 1e3)
        note = f"95 %: {np.percentile(samples, 95):.1f} ms, {np.mean(faces):.1f} faces a frame"
        rows.append(timing(name, "ms", samples, note=note))
    anew = []
    for _, image in clip[:MOST_SEARCHES]:
        start = time.perf_counter()
        predictor.predict(image)
        anew.append((time.perf_counter() - start) * 1e3)
    rows.append(timing("detector in every frame", "ms", anew))
    return compared(rows, "detector in every frame")


def to_and_fro(
    frames: Sequence[tuple[float, np.ndarray]],
) -> Iterator[tuple[float, np.ndarray]]:
    """`frames` forwards and backwards without an end; their times go on rising."""
    timestamp = last = frames[0][0]
    yield frames[0]
    for number in itertools.count(1):
        place = number % (2 * len(frames) - 2)
        place = min(place, 2 * len(frames) - 2 - place)
        told, image = frames[place]
        timestamp += abs(told - last)
        last = told
        yield timestamp, image
