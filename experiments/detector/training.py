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

from experiments.detector import crops, faces
from experiments.detector.network import Weights, keras_model, weights_of
from keypoints.system.atomic import replacing

SIDES = ((160, 32, 0.75), (256, 12, 0.25))  # side of the crops, how many, share of batches
MOMENTUM = 0.998  # of the averaged weights
AHEAD = 6  # batches that are made before they are needed


def batch(source: crops.Source, seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Batch `step` of a training: crops `(n, s, s, 3)` uint8 and maps `(n, s / 4, s / 4, 18)`."""
    rng = np.random.default_rng((seed, step))
    side, count, _ = SIDES[rng.choice(len(SIDES), p=[share for *_, share in SIDES])]
    images, wanted = zip(*(source.crop(rng, side) for _ in range(count)))
    return np.stack(images), np.stack(wanted)


def source_of(folder: Path) -> crops.Source:
    pictures = faces.read(folder / "train")
    shares = np.load(folder / "train" / "shares.npy")
    return crops.Source(pictures, faces.read(folder / "empty"), shares)


def _begin(folder: str, seed: int) -> None:
    global _source, _seed
    import cv2

    cv2.setNumThreads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    _source, _seed = source_of(Path(folder)), seed


def _make(step: int) -> tuple[np.ndarray, np.ndarray]:
    return batch(_source, _seed, step)


def batches(folder: Path, seed: int, first: int, last: int, processes: int) -> Iterator[Any]:
    """The batches from `first` to before `last`, in order, a few made ahead."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _begin, (str(folder), seed)) as pool:
        steps = iter(range(first, last))
        waiting = deque(pool.apply_async(_make, (step,)) for step in islice(steps, AHEAD))
        while waiting:
            yield waiting.popleft().get()
            waiting.extend(pool.apply_async(_make, (step,)) for step in islice(steps, 1))


def loss(wanted: Any, maps: Any) -> Any:
    """CenterNet's loss, for the logit of heat; sizes, offsets and points where a face is."""
    from keras import ops

    truth, counts, face = (wanted[..., i] for i in (crops.HEAT, crops.COUNTS, crops.FACE))
    logit = maps[..., 0]
    p = ops.sigmoid(logit)
    log_p, log_not = -ops.softplus(-logit), -ops.softplus(logit)
    hit = face * (1 - p) ** 2 * log_p
    miss = (1 - face) * counts * (1 - truth) ** 4 * p**2 * log_not
    number = ops.maximum(ops.sum(face), 1.0)
    heat = -ops.sum(hit + miss)

    def off(found: Any, known: Any, where: Any) -> Any:
        # Smooth L1 with its bend at 0.05.
        away = ops.abs(found - known)
        bent = ops.where(away < 0.05, away * away / 0.1, away - 0.025)
        return ops.sum(bent * where[..., None])

    size = off(maps[..., 1:3], wanted[..., crops.SIZE], face)
    place = off(maps[..., 3:5], wanted[..., crops.OFFSET], face)
    points = off(maps[..., 5:15], wanted[..., crops.POINTS], face * wanted[..., crops.KNOWN])
    return (heat + 1.0 * size + 1.0 * place + 0.3 * points) / number


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
    seed: int = 0,
    processes: int = 1,
    save_every: int = 250,
) -> None:
    """Train, and go on where a run stopped: `run` has `state.npz` and `log.csv`."""
    import keras

    from keypoints.models.cpu_layers import use_cpu_kernels

    run.mkdir(parents=True, exist_ok=True)
    model = use_cpu_kernels(keras_model(widths, start))
    optimizer = keras.optimizers.AdamW(peak, weight_decay=1e-4, clipnorm=5.0)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, loss)
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
        total += float(model.train_on_batch(images.astype(np.float32), wanted))
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
            with (run / "log.csv").open("a") as file:
                file.write(f"{step + 1},{crops_seen},{total / save_every:.4f},{speed:.1f}\n")
            began, since, total = time.monotonic(), crops_seen, 0.0


def averaged_weights(run: Path, widths: Sequence[int]) -> Weights:
    """The averaged weights of a run that trains a network of these inner widths."""
    model = keras_model(widths)
    state = np.load(run / "state.npz")
    for i, variable in enumerate(model.variables):
        variable.assign(state[f"a{i}"])
    return weights_of(model)
