"""Training of the detector on crops made by processes of their own."""

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from experiments.detector import crops, faces, network
from experiments.detector.network import Weights, keras_model, weights_of
from keypoints.inference import centerface
from keypoints.system import backend
from keypoints.system.atomic import replacing

SIDES = ((160, 32, 0.75), (256, 12, 0.25))  # side of the crops, how many, share of batches
NOTHING = 0.1  # heat that may stay where no face is
MOMENTUM = 0.998  # of the averaged weights
AHEAD = 6  # batches that are made before they are needed


class Teacher:
    """CenterFace's answers, for crops whose cells of possible faces are known."""

    def __init__(self) -> None:
        _, weights = network.read(centerface.model_bytes(centerface.CENTERFACE))
        data = network.onnx_model(network.FULL, weights, inner=True).SerializeToString()
        self.session = backend.onnx_session(data, threads=1)
        self.names = [*network.PARTS, *network.HIDDEN]

    def answers(self, images: np.ndarray, possible: np.ndarray) -> list[np.ndarray]:
        """For `(n, s, s, 3)` uint8: the parts `(n, s / 4, s / 4, 15)` float32 and the hidden maps,
        float16. Heat where no face may be is a mistake, and is cut to `NOTHING`."""
        pixels = images.transpose(0, 3, 1, 2).astype(np.float32)
        found = self.session.run(self.names, {"image": pixels})
        maps = [part.transpose(0, 2, 3, 1) for part in found]
        parts = np.concatenate(maps[: len(network.PARTS)], axis=-1)
        heat = parts[..., 0]
        parts[..., 0] = np.where(possible, heat, np.minimum(heat, NOTHING))
        return [parts, *(hidden.astype(np.float16) for hidden in maps[len(network.PARTS) :])]


def batch(
    source: crops.Source, teacher: Teacher, seed: int, step: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Batch `step` of a training: crops `(n, s, s, 3)` uint8 and the teacher's answers."""
    rng = np.random.default_rng((seed, step))
    side, count, _ = SIDES[rng.choice(len(SIDES), p=[share for *_, share in SIDES])]
    images, possible = zip(*(source.crop(rng, side) for _ in range(count)))
    stacked = np.stack(images)
    return stacked, teacher.answers(stacked, np.stack(possible))


def source_of(folder: Path) -> crops.Source:
    pictures = faces.read(folder / "train")
    shares = np.load(folder / "train" / "shares.npy")
    return crops.Source(pictures, faces.read(folder / "empty"), shares)


def _begin(folder: str, seed: int) -> None:
    global _source, _teacher, _seed
    import cv2

    cv2.setNumThreads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    _source, _teacher, _seed = source_of(Path(folder)), Teacher(), seed


def _make(step: int) -> tuple[np.ndarray, list[np.ndarray]]:
    return batch(_source, _teacher, _seed, step)


def batches(folder: Path, seed: int, first: int, last: int, processes: int) -> Iterator[Any]:
    """The batches from `first` to before `last`, in order, a few made ahead."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _begin, (str(folder), seed)) as pool:
        steps = iter(range(first, last))
        waiting = deque(pool.apply_async(_make, (step,)) for step in islice(steps, AHEAD))
        while waiting:
            yield waiting.popleft().get()
            waiting.extend(pool.apply_async(_make, (step,)) for step in islice(steps, 1))


def parts_loss(wanted: Any, maps: Any) -> Any:
    """How far the parts are from the teacher's: cross entropy of heat, weighted with its error;
    sizes, offsets and points in proportion to the heat where there is some."""
    from keras import ops

    heat, logit = wanted[..., 0], maps[..., 0]
    p = ops.sigmoid(logit)
    entropy = heat * ops.softplus(-logit) + (1 - heat) * ops.softplus(logit)
    number = ops.sum(heat) + 1.0
    weight = ops.where(heat > 0.2, heat, 0.0)

    def off(part: slice) -> Any:
        # Smooth L1 with its bend at 0.05.
        away = ops.abs(wanted[..., part] - maps[..., part])
        bent = ops.where(away < 0.05, away * away / 0.1, away - 0.025)
        return ops.sum(bent * weight[..., None])

    total = ops.sum(ops.abs(heat - p) * entropy)
    return (total + off(slice(1, 3)) + off(slice(3, 5)) + 0.3 * off(slice(5, 15))) / number


def hidden_loss(wanted: Any, found: Any) -> Any:
    """The share of a hidden map's variance over the batch that is not explained."""
    from keras import ops

    wanted = ops.cast(wanted, "float32")
    middle = ops.mean(wanted, axis=(0, 1, 2), keepdims=True)
    return ops.sum((wanted - found) ** 2) / (ops.sum((wanted - middle) ** 2) + 1e-6)


def rate(step: int, steps: int, peak: float) -> float:
    """Learning rate: a short rise, then a cosine to a fiftieth."""
    rise = min(1.0, (step + 1) / 200)
    return peak * rise * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * min(step / steps, 1.0))))


def train(
    folder: Path,
    run: Path,
    widths: Sequence[int],
    start: Weights,
    *,
    steps: int,
    peak: float,
    hidden: float,
    seed: int = 0,
    processes: int = 1,
    save_every: int = 250,
) -> None:
    """Train, and go on where a run stopped: `run` has `state.npz` and `log.csv`.

    `peak`: highest learning rate; `hidden`: weight of each hidden map in the loss.
    """
    import keras

    from keypoints.models.cpu_layers import use_cpu_kernels

    run.mkdir(parents=True, exist_ok=True)
    model = use_cpu_kernels(keras_model(widths, start))
    optimizer = keras.optimizers.AdamW(peak, weight_decay=1e-4, clipnorm=5.0)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    losses = [parts_loss] + [hidden_loss] * len(network.HIDDEN)
    model.compile(optimizer, losses, loss_weights=[1.0] + [hidden] * len(network.HIDDEN))
    optimizer.build(model.trainable_variables)
    values = [*model.variables, *optimizer.variables]
    first, crops_seen, averaged = 0, 0, [np.array(v) for v in model.variables]
    if (run / "state.npz").is_file():
        state = np.load(run / "state.npz")
        for i, variable in enumerate(values):
            variable.assign(state[f"v{i}"])
        averaged = [state[f"a{i}"] for i in range(len(averaged))]
        first, crops_seen = int(state["step"]), int(state["crops"])
    began, since, total = time.monotonic(), crops_seen, 0.0
    for step, (images, wanted) in enumerate(batches(folder, seed, first, steps, processes), first):
        optimizer.learning_rate = rate(step, steps, peak)
        total += np.array(model.train_on_batch(images.astype(np.float32), wanted))
        crops_seen += len(images)
        if (step + 1) % 5 == 0:
            share = min(MOMENTUM**5, (step + 1) / (step + 50))
            now = [np.asarray(v) for v in model.variables]
            averaged = [share * a + (1 - share) * n for a, n in zip(averaged, now)]
        if (step + 1) % save_every == 0 or step + 1 == steps:
            state = {f"v{i}": np.asarray(v) for i, v in enumerate(values)}
            state |= {f"a{i}": a for i, a in enumerate(averaged)}
            with replacing(run / "state.npz") as temporary:
                np.savez(temporary, **state, step=step + 1, crops=crops_seen)
            speed = (crops_seen - since) / (time.monotonic() - began)
            told = ",".join(f"{value / save_every:.4f}" for value in total)
            with (run / "log.csv").open("a") as file:
                file.write(f"{step + 1},{crops_seen},{speed:.1f},{told}\n")
            began, since, total = time.monotonic(), crops_seen, 0.0


def averaged_weights(run: Path, widths: Sequence[int]) -> Weights:
    """The averaged weights of a run that trains a network of these inner widths."""
    model = keras_model(widths)
    state = np.load(run / "state.npz")
    for i, variable in enumerate(model.variables):
        variable.assign(state[f"a{i}"])
    return weights_of(model)
