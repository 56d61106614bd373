"""Pruning of the inner channels of CenterFace's blocks, and a refit of what is left."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.detector.network import FULL, STAGES, Weights, onnx_model
from keypoints.system import backend

RIDGE = 1e-4  # of the mean square of the inner channels
CELLS = 200  # of a map, drawn from each crop
BATCH = 8


class Order(NamedTuple):
    """In which order the inner channels of a block go, and what that costs."""

    removed: np.ndarray  # channels, the first to go first
    errors: np.ndarray  # share of the outputs' variance that is lost, after each


def is_residual() -> list[bool]:
    """For each block, whether its input is added to its output."""
    return [repeat > 0 for _, _, repeats in STAGES for repeat in range(repeats)]


def session_of(widths: Sequence[int], weights: Weights) -> Any:
    onnxruntime = backend.onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Otherwise outputs of layers inside would be merged away.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    data = onnx_model(widths, weights, inner=True).SerializeToString()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def samples(session: Any, names: list[str], crops: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Values `(n, channels)` of the tensors in the same drawn cells."""
    rng = np.random.default_rng(0)
    for first in range(0, len(crops), BATCH):
        part = crops[first : first + BATCH].transpose(0, 3, 1, 2).astype(np.float32)
        found = dict(zip(names, session.run(names, {"image": part})))
        count, _, height, width = found[names[0]].shape
        chosen = rng.integers(height * width, size=(count, min(CELLS, height * width)))
        yield {
            name: np.concatenate([
                values[i].reshape(values.shape[1], -1)[:, chosen[i]].T for i in range(count)
            ])
            for name, values in found.items()
        }  # fmt: skip


def output_names(block: int) -> list[str]:
    """The block's output, and its input where it is added."""
    name = f"block{block}_project"
    if not is_residual()[block]:
        return [name]
    before = f"block{block - 1}_project"
    return [f"{name}_added", before + "_added" * is_residual()[block - 1]]


def inner_moments(
    widths: Sequence[int],
    weights: Weights,
    teacher: list[np.ndarray],
    block: int,
    crops: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Moments of a block's inner values, with a constant, and of them with its wanted outputs.

    `teacher`: CenterFace's outputs of the block in the same cells. Where the block adds its input,
    it is wanted to make up for that input's own error.
    """
    session = session_of(widths, weights)
    names = [f"block{block}_depth", *output_names(block)[1:]]
    gram = cross = 0.0
    square, count = 0.0, 0
    for found, wanted in zip(samples(session, names, crops), teacher):
        inner = np.pad(found[names[0]].astype(np.float64), ((0, 0), (0, 1)), constant_values=1)
        goal = wanted - found[names[1]] if len(names) > 1 else wanted
        gram = gram + inner.T @ inner
        cross = cross + inner.T @ goal
        square += float((goal.astype(np.float64) ** 2).sum())
        count += len(inner)
    return gram / count, cross / count, square / count


def ridge_of(gram: np.ndarray) -> np.ndarray:
    """What is added to the moments, on the diagonal; nothing for the constant, which is last."""
    ridge = np.full(len(gram), RIDGE * np.diag(gram)[:-1].mean())
    ridge[-1] = 0
    return np.diag(ridge)


def removal_order(gram: np.ndarray, cross: np.ndarray, square: float) -> Order:
    """Backward elimination: the channel goes without which the refitted outputs are nearest."""
    inverse = np.linalg.inv(gram + ridge_of(gram))
    solution = inverse @ cross
    mean = cross[-1]
    variance = square - (mean**2).sum()
    left = np.ones(len(gram), bool)
    left[-1] = False  # the constant stays
    error = square - (cross * solution).sum()
    removed, errors = [], []
    while left.any():
        costs = (solution**2).sum(axis=1) / np.diag(inverse)
        costs[~left] = np.inf
        worst = int(costs.argmin())
        error += costs[worst]
        column, pivot = inverse[:, worst].copy(), inverse[worst, worst]
        solution = solution - np.outer(column, solution[worst]) / pivot
        inverse = inverse - np.outer(column, column) / pivot
        inverse[worst, worst] = 1.0
        left[worst] = False
        removed.append(worst)
        errors.append(error / variance)
    return Order(np.array(removed), np.array(errors))


def refit(
    weights: Weights, block: int, kept: np.ndarray, gram: np.ndarray, cross: np.ndarray
) -> Weights:
    """The weights with the block's `kept` channels alone, its projection fitted anew."""
    chosen = np.append(kept, len(gram) - 1)
    ridged = gram + ridge_of(gram)
    solution = np.linalg.solve(ridged[np.ix_(chosen, chosen)], cross[chosen])
    name = f"block{block}"
    expand, depth = weights[f"{name}_expand"], weights[f"{name}_depth"]
    return {
        **weights,
        f"{name}_expand": (expand[0][kept], expand[1][kept]),
        f"{name}_depth": (depth[0][kept], depth[1][kept]),
        f"{name}_project": (
            np.ascontiguousarray(solution[:-1].T[..., None, None], np.float32),
            np.ascontiguousarray(solution[-1], np.float32),
        ),
    }


def teacher_outputs(full: Weights, block: int, crops: np.ndarray) -> list[np.ndarray]:
    name = output_names(block)[0]
    return [found[name] for found in samples(session_of(FULL, full), [name], crops)]


def prune(full: Weights, widths: Sequence[int], crops: np.ndarray) -> Weights:
    """CenterFace with blocks of these inner widths, pruned from the first block to the last."""
    weights, now = dict(full), list(FULL)
    for block, width in enumerate(widths):
        teacher = teacher_outputs(full, block, crops)
        gram, cross, square = inner_moments(now, weights, teacher, block, crops)
        order = removal_order(gram, cross, square)
        gone = FULL[block] - width
        kept = np.setdiff1d(np.arange(FULL[block]), order.removed[:gone])
        weights = refit(weights, block, kept, gram, cross)
        now[block] = width
        lost = order.errors[gone - 1] if gone else 0.0
        print(f"block {block}: {FULL[block]} to {width}, lost {lost:.3f}", flush=True)
    return weights
