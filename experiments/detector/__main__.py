"""The pruned detector, step by step: `python -m experiments.detector STEP`."""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from experiments.detector import faces, network, prune, training
from keypoints.commands.cli import run_command
from keypoints.data.sources import load_records, parse_sets
from keypoints.errors import InputError
from keypoints.evaluation.matching import pictures
from keypoints.inference import centerface
from keypoints.inference.detectors import STILL
from keypoints.media.formats import is_picture
from keypoints.system.atomic import replacing

# Inner widths: a third of the network's time, where each block by itself loses 4 to 15 % of the
# variance of its outputs. Chosen by eye from `prune.removal_order` of each block.
WIDTHS = (16, 32, 56, 48, 80, 88, 56, 144, 176, 168, 136, 216, 184, 152, 248, 248, 160)
CALIBRATION = 120, 256  # crops to prune with, and their side
TURNED, TURNED_SHARE = 45.0, 4.0  # degrees of yaw from which on a picture is drawn more often


def bundle(source: str, output: str = "model.onnx") -> None:
    """Write CenterFace's published file as the package bundles it, for pictures of any size.

    Its weights are float16.

    Args:
        source: centerface_bnmerged.onnx of https://github.com/Star-Clouds/CenterFace
        output: file to write
    """
    import onnx

    weights = network.read_published(onnx.load(source))
    write(Path(output), network.FULL, weights, half=True)


def data(empty: str, data: str, output: str = "detector_data") -> None:
    """Write the training pictures and their faces.

    Args:
        empty: folder of pictures without people
        data: data sets of faces, joined with +, each with its share: SET*2
        output: folder to write
    """
    folder, shares = Path(output), list[float]()
    session = centerface.load_session(centerface.CENTERFACE)

    def drawn() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for name, share in parse_sets(data):
            records = load_records(name, "train")
            for rows in pictures(records).values():
                turned = np.abs(records.yaw[rows[0]]) > TURNED  # false where it is not told
                shares.append(share * (TURNED_SHARE if turned else 1.0))
                yield faces.annotated(records, rows, session)
            print(f"{name}: {len(shares)} pictures so far", flush=True)

    faces.write(folder / "train", drawn())
    np.save(folder / "train" / "shares.npy", shares)
    paths = [path for path in Path(empty).rglob("*") if is_picture(path)]
    nothing = np.zeros((0, 15), np.float32)
    faces.write(folder / "empty", ((image, nothing) for image in faces.faceless(paths)))


def start(folder: str = "detector_data", output: str = "detector_start.onnx") -> None:
    """Prune CenterFace, without training.

    Args:
        folder: what `data` wrote
        output: file of weights to write
    """
    count, side = CALIBRATION
    source, rng = training.source_of(Path(folder)), np.random.default_rng(7)
    images = np.stack([source.crop(rng, side)[0] for _ in range(count)])
    _, full = network.read(centerface.model_bytes(centerface.CENTERFACE))
    write(Path(output), WIDTHS, prune.prune(full, WIDTHS, images))


def train(
    folder: str = "detector_data",
    start: str = "detector_start.onnx",
    run: str = "runs/detector",
    steps: int = 4500,
    rate: float = 1e-3,
    hidden: float = 0.3,
) -> None:
    """Train, and go on where a run was stopped.

    Args:
        folder: what `data` wrote
        start: file of weights, as `start` wrote it
        run: folder of checkpoint, log.csv and model.onnx
        steps: batches in all
        rate: highest learning rate
        hidden: weight of each hidden map in the loss
    """
    widths, weights = network.read(Path(start).read_bytes())
    training.train(Path(folder), Path(run), widths, weights, steps=steps, peak=rate, hidden=hidden)
    averaged = training.averaged_weights(Path(run), widths)
    write(Path(run) / "model.onnx", widths, averaged, half=True)


def mean(first: str, second: str, output: str = "model.onnx") -> None:
    """Write the mean of two files of weights, of which one was trained on from the other.

    Args:
        first: file of weights
        second: file of weights of the same widths
        output: file to write
    """
    (widths, one), (others, two) = (
        network.read(Path(name).read_bytes()) for name in (first, second)
    )
    if widths != others:
        raise InputError(f"{first} and {second} differ in their widths: {widths} and {others}")
    averaged = {n: ((one[n][0] + two[n][0]) / 2, (one[n][1] + two[n][1]) / 2) for n in one}
    write(Path(output), widths, averaged, half=True)


def measure(
    data: str,
    model: str = "runs/detector/model.onnx",
    split: str = "validation",
    scores: Sequence[float] = (0.35, 0.4, 0.45),
) -> None:
    """Print recall and false faces of a file of weights.

    Args:
        data: data sets of faces, joined with +
        model: file of weights
        split: split of the data sets
        scores: least scores of a face
    """
    from benchmarks import detection

    path = Path(model)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    network = centerface.COMPACT._replace(file=path, sha256=digest, second=None)
    for name, _ in parse_sets(data):
        records = load_records(name, split)
        for score in scores:
            detector = centerface.CenterFaceDetector(network._replace(min_score=score), STILL)
            found = detection.measure(name, detector.detect, records)
            print(f"{name}, score {score}: {found.note}", flush=True)


def write(path: Path, widths: Sequence[int], weights: network.Weights, half: bool = False) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(network.onnx_model(widths, weights, half=half).SerializeToString())


STEPS = {step.__name__: step for step in (bundle, data, start, train, mean, measure)}

if __name__ == "__main__":
    words = sys.argv[1:]
    if not words or words[0] not in STEPS:
        sys.exit(f"a step is expected: {', '.join(STEPS)}")
    run_command(STEPS[words[0]], words[1:], name=f"detector {words[0]}")
