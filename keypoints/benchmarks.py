"""How quick the pipeline, a training step, a prediction and the live loop are, beside a baseline.

Each function times a subject and its baselines in turns, sample by sample, in one process (PyTorch
in one of its own), so that whatever else the machine does falls on all of them alike. The ratio
to the baseline is what to read; the times are those of one machine at one moment.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keypoints import config as configs
from keypoints import runs
from keypoints.config import Config
from keypoints.errors import InputError
from keypoints.geometry import CROP, FRAME_SHORT_SIDE
from keypoints.pictures import encode_png
from keypoints.records import Records

TORCH_PROGRAM = Path(__file__).parent / "torch_baseline.py"  # run by an interpreter with PyTorch
LAYERS = {"quick layers": "quick", "Keras' own layers": "keras"}
OLD_LOADER_PICTURES = 100  # that one sample of the old loader reads
DEVICES, BATCHES, SIDES = (1, 2, 4), (4, 8, 16), (56, 112, 224)  # of the scaling table


@dataclass(frozen=True)
class Timing:
    """One line of a result. Without samples it was skipped, and `note` says why."""

    name: str
    unit: str  # "images/s", or "ms"
    median: float = float("nan")
    low: float = float("nan")  # quartiles
    high: float = float("nan")
    samples: int = 0
    ratio: float = float("nan")  # times as quick as the baseline, by medians
    note: str = ""


def timing(name: str, unit: str, samples: Iterable[float], *, note: str = "") -> Timing:
    """The median and the quartiles of `samples`."""
    samples = np.array(list(samples), np.float64)
    low, median, high = np.percentile(samples, [25, 50, 75]).tolist()
    return Timing(name, unit, median, low, high, len(samples), note=note)


def compared(rows: list[Timing], baseline: str) -> list[Timing]:
    """`rows` with their ratio to the row named `baseline`; without one where that was skipped."""
    base = next((row.median for row in rows if row.name == baseline), float("nan"))

    def ratio(row: Timing) -> float:
        return base / row.median if row.unit == "ms" else row.median / base

    return [Timing(**{**asdict(row), "ratio": ratio(row)}) for row in rows]


def in_turns(subjects: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of `repeats` calls of each subject, taken in turns.

    Each is called twice a turn and the second call is timed: the others have had caches and
    memory meanwhile. A subject that answers a float tells its own seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for call in subjects.values():
        call()  # compiles
    for _ in range(repeats):
        for name, call in subjects.items():
            call()
            start = time.perf_counter()
            told = call()
            passed = time.perf_counter() - start
            seconds[name].append(told if isinstance(told, float) else passed)
    return seconds


def environment() -> dict[str, Any]:
    """That of `runs`, with the processor's name, its vector units and the load at this moment."""
    facts = runs.environment()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    info = dict(line.replace("\t", "").split(": ", 1) for line in lines if ": " in line)
    units = [unit for unit in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
             if unit in info.get("flags", "").split()]  # fmt: skip
    name = info.get("model name", platform.processor() or "processor of unknown name")
    facts["machine"] = f"{name}, {facts['machine']}, {' '.join(units) or 'no vector units told'}"
    facts["load"] = round(os.getloadavg()[0], 1)
    return facts


def measure_pipeline(
    load: Callable[[], Records], config: Config, *, epochs: int = 3
) -> list[Timing]:
    """Images/s of our training pipeline, its first epoch with decoding, and the old loader."""
    from keypoints.data import training_pipeline

    load()  # imports TensorFlow, and brings the files into memory
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
    note = (
        f"pixels {records.pixels.nbytes / 2**20:.0f} MiB, process {before:.0f} MiB after the "
        f"first epoch, {peak_memory() - before:+.0f} MiB over the next {epochs}"
    )
    rows = [
        timing("training pipeline", "images/s", ours, note=note),
        timing("its first epoch, with decoding", "images/s", [first]),
        timing("old loader, one process", "images/s", old),
    ]
    return compared(rows, "old loader, one process")


def peak_memory() -> float:
    """The most memory this process ever held, MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def write_pictures(records: Records, folder: Path) -> list[Path]:
    """The first pictures of `records` as PNG files, as they lay on the old project's disk."""
    files = []
    for i in range(min(OLD_LOADER_PICTURES, len(records))):
        files.append(folder / f"{i}.png")
        files[-1].write_bytes(encode_png(records.image(i)))
    return files


def old_loader(file: Path, rng: np.random.Generator) -> np.ndarray:
    """What the project that this one grew from did with each picture, one at a time."""
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


def measure_steps(
    config: Config, *, repeats: int = 5, torch_python: str | None = None
) -> list[Timing]:
    """Images/s of training steps with quick layers and with Keras' own, and of PyTorch's.

    PyTorch runs where the interpreter `torch_python` has it, with the same network (ResNet50 with
    the pooled head alone), in channels-last order.
    """
    batch = config.batch_size
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (batch, CROP, CROP, 3), dtype=np.uint8)
    targets = rng.uniform(0, CROP, (batch, 136)).astype(np.float32)
    subjects, skipped = {}, []
    with ExitStack() as stack:
        for name, layers in LAYERS.items():
            if config.layers not in ("auto", layers):
                skipped.append(Timing(name, "images/s", note=f"--layers={config.layers} is given"))
                continue
            model = training_model(configs.replace(config, {"layers": layers}))
            subjects[name] = lambda model=model: (model.train_on_batch(crops, targets), None)[1]
        if (config.backbone, config.head) != ("resnet50", "pooled"):
            note = "only resnet50 with the pooled head"
        elif torch_python is None:
            note = "--torch_python=PATH is not given"
        else:
            note = ""
            subjects["PyTorch"] = torch_step(config, torch_python, stack)
        if note:
            skipped.append(Timing("PyTorch", "images/s", note=note))
        rows = [
            timing(name, "images/s", batch / np.array(seconds))
            for name, seconds in in_turns(subjects, repeats).items()
        ]
    baseline = "PyTorch" if "PyTorch" in subjects else "Keras' own layers"
    return compared(rows + skipped, baseline)


def training_model(config: Config):
    """A compiled model of `config`, as a run trains it, that starts from a face of no one."""
    from keypoints import landmarks
    from keypoints.records import make_records
    from keypoints.training import compiled_model

    points = landmarks.MEAN_FACE * 150 + 112
    face = ("face.png", "", np.zeros((CROP, CROP, 3), np.uint8), points)
    return compiled_model(
        configs.replace(config, {"weights": "none"}), make_records("none", [face])
    )


def torch_step(config: Config, python: str, stack: ExitStack) -> Callable[[], float]:
    """A function that lets PyTorch, in a process that ends with `stack`, do one step."""
    settings = {name: getattr(config, name) for name in ("batch_size", "resolution", "trainable")}
    command = [python, str(TORCH_PROGRAM), json.dumps(settings)]
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
    except OSError as error:
        raise InputError(f"--torch_python={python}: {error}") from None
    stack.callback(child.wait)

    def end() -> None:
        with suppress(OSError):  # what could not be written to a dead child is still to be written
            child.stdin.close()

    stack.callback(end)  # runs first, and ends the child

    def step() -> float:
        try:
            child.stdin.write("step\n")
            answer = child.stdout.readline()
        except OSError:
            answer = ""
        if not answer:
            raise InputError(f"--torch_python={python}: it ended; has it PyTorch?")
        return float(answer)

    return step


def measure_scaling(config: Config, *, repeats: int = 5) -> list[Timing]:
    """Images/s of the training step by devices, batch size and side, each in a process of its own.

    The host stands for 1, 2 and 4 devices, among which a batch is divided. The ratio is to the
    first line of each kind; for sides, images/s are multiplied with the pixels' share, so that 1
    means a cost that grows as the work does.
    """
    rows = []
    for field, values in (("devices", DEVICES), ("batch_size", BATCHES), ("resolution", SIDES)):
        first = None
        for value in values:
            fields = {} if field == "devices" else {field: value}
            devices = value if field == "devices" else 1
            cell = _in_child(configs.replace(config, fields), repeats, devices)
            work = (value / values[0]) ** 2 if field == "resolution" else 1.0
            first = first or cell.median
            named = {
                "name": f"{field.replace('_', ' ')} {value}",
                "ratio": cell.median * work / first,
            }
            rows.append(Timing(**{**asdict(cell), **named}))
    return rows


def scaling_cell(config: Config, repeats: int) -> Timing:
    """Images/s of the training step on all devices of this process."""
    from keypoints.training import use_all_devices

    use_all_devices(config)
    model = training_model(config)
    batch = config.batch_size
    crops = np.zeros((batch, CROP, CROP, 3), np.uint8)
    targets = np.zeros((batch, 136), np.float32)
    seconds = in_turns({"": lambda: (model.train_on_batch(crops, targets), None)[1]}, repeats)[""]
    return timing("", "images/s", batch / np.array(seconds))


def _in_child(config: Config, repeats: int, devices: int) -> Timing:
    program = (
        "import sys, json, dataclasses; from keypoints import benchmarks, config; "
        "cell = benchmarks.scaling_cell(config.from_json(sys.argv[1], 'argv'), int(sys.argv[2])); "
        "print(json.dumps(dataclasses.asdict(cell)))"
    )
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    done = subprocess.run(
        [sys.executable, "-c", program, configs.to_json(config), str(repeats)],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise InputError(f"the step failed on {devices} devices: {done.stderr[-500:]}")
    return Timing(**json.loads(done.stdout.splitlines()[-1]))


def measure_predictions(run: Path, *, export: Path, repeats: int = 30) -> list[Timing]:
    """Milliseconds for one crop by a run's network in Keras, and by its ONNX exports."""
    from keypoints.exported import load_exported, read_manifest

    crop = np.random.default_rng(0).integers(0, 256, (1, CROP, CROP, 3), dtype=np.uint8)
    live = f"Keras on {runs.environment()['backend']}"
    networks, skipped = {live: runs.load_predict(run)[0]}, []
    for name, format in (("ONNX", "onnx"), ("int8 ONNX", "onnx-int8")):
        if export.is_dir() and format in read_manifest(export)["formats"]:
            networks[name] = load_exported(export, format=format)[0]
        else:
            note = f"{export} has no {format}; python -m tools.export {run} makes it"
            skipped.append(Timing(name, "ms", note=note))
    subjects = {name: lambda network=network: network(crop) for name, network in networks.items()}
    rows = [timing(n, "ms", np.array(s) * 1e3) for n, s in in_turns(subjects, repeats).items()]
    return compared(rows + skipped, live)


def measure_webcam(
    predictor: Any, frames: Iterable[tuple[float, np.ndarray]], *, most: int = 200
) -> list[Timing]:
    """Milliseconds a frame of the tracker, and of looking for faces anew in each frame."""
    from keypoints.tracking import Tracker

    tracker = Tracker(predictor)
    tracked, anew, faces = [], [], []
    for number, (timestamp, image) in zip(range(most + 1), frames):
        start = time.perf_counter()
        found = tracker.update(image, timestamp)
        middle = time.perf_counter()
        predictor.predict(image)
        if number:  # the first frame compiles
            tracked.append((middle - start) * 1e3)
            anew.append((time.perf_counter() - middle) * 1e3)
            faces.append(len(found))
    if not tracked:
        raise InputError("two frames at least are expected")
    note = f"{np.mean(faces):.1f} faces a frame"
    rows = [timing("tracker", "ms", tracked, note=note),
            timing("detector in every frame", "ms", anew)]  # fmt: skip
    return compared(rows, "detector in every frame")
