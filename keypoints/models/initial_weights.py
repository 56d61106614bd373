"""The weights that a training starts from: those of another run, as far as they fit."""

from pathlib import Path

import keras
import numpy as np

from keypoints import pretrained
from keypoints.config import Config
from keypoints.errors import InputError
from keypoints.models import runs
from keypoints.models.network import SoftArgmax

# Crop pixels: an old point at least as near stands for a new one. The mean shape of faces in their
# boxes is about as far from their points.
NEAR = 10.0


def run_folder(weights: str) -> Path | None:
    """The run folder that `Config.weights` names, or that of a bundled model; None for others.

    Raises InputError for a bundled model without its weights.
    """
    if weights in pretrained.NAMES:
        return pretrained.weights_folder(weights)
    return Path(weights) if Path(weights).is_dir() else None


def take_weights(model: keras.Model, config: Config, mean_face: np.ndarray) -> None:
    """Give `model`, built of `config` and `mean_face`, the weights of the run in `config.weights`.

    A network for other points takes all layers but the last from it. Of the last one, a new point
    takes the heat map of the nearest old one, `NEAR` by; further away it starts from the mean face.
    Nothing happens where `config.weights` is no run. Raises InputError for a run of another
    network.
    """
    folder = run_folder(config.weights)
    if folder is None:
        return
    source, found = runs.load_model(folder)
    for name in ("backbone", "head"):
        theirs, ours = getattr(found, name), getattr(config, name)
        if theirs != ours:
            raise InputError(
                f"weights={config.weights}: its {name} is {theirs}, but {name}={ours} is given"
            )
    for layer in source.layers:
        ours, theirs = model.get_layer(layer.name).variables, layer.variables
        for mine, other in zip(ours, theirs):
            if mine.shape == other.shape:
                mine.assign(other.numpy())
    head = source.get_layer("head_points")
    if isinstance(head, SoftArgmax) and len(head.mean_face) != len(mean_face):
        _take_heat_maps(model, source, mean_face)


def _take_heat_maps(model: keras.Model, source: keras.Model, mean_face: np.ndarray) -> None:
    """Heat maps of the nearest old points, for a network with other points."""
    ours, theirs = (network.get_layer("head_points") for network in (model, source))
    old = theirs.centre.numpy() * (mean_face_size := model.input_shape[1])
    away = np.linalg.norm(mean_face[:, None] - old, axis=-1)
    nearest, near = away.argmin(axis=1), away.min(axis=1) <= NEAR
    maps, their_maps = (network.get_layer("head_maps") for network in (model, source))
    maps.kernel.assign(np.where(near, their_maps.kernel.numpy()[..., nearest], 0.0))
    maps.bias.assign(np.where(near, their_maps.bias.numpy()[nearest], 0.0))
    for name in ("log_sigma", "log_factor", "exponent"):
        mine = getattr(ours, name)
        mine.assign(np.where(near, getattr(theirs, name).numpy()[nearest], mine.numpy()))
