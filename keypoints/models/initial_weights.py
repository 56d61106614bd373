"""The weights that a training starts from: those of another run, as far as they fit."""

import os
from pathlib import Path

import keras
import numpy as np

from keypoints import pretrained
from keypoints.config import Config
from keypoints.errors import InputError
from keypoints.geometry import CROP
from keypoints.markup import Markup
from keypoints.models import runs

# Crop pixels: an old point at least as near stands for a new one. The mean shape of faces in their
# boxes is about as far from their points.
NEAR = 10.0
OF_POINTS = ("log_sigma", "log_factor", "exponent")  # parameters of `SoftArgmax`, one a point


def run_folder(weights: str) -> Path | None:
    """The run folder that `Config.weights` names, or that of a bundled model; None for others."""
    if weights in pretrained.NAMES:
        return pretrained.weights_folder(weights)
    return Path(weights) if os.path.isdir(weights) else None


def take_weights(model: keras.Model, config: Config, markup: Markup, mean_face: np.ndarray) -> None:
    """Give `model` the weights of the run that `config.weights` names; no run: nothing happens.

    `model` finds the points of `markup`, with `mean_face` `(k, 2)` in crop pixels. Where the run
    finds others, a new point takes the heat map of the old one that stands for it
    (`Markup.stand_ins`), or of the nearest within `NEAR`; else it starts from the mean face.
    Raises InputError for a run of another network.
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
    for layer in (layer for layer in source.layers if layer.variables):
        for mine, other in zip(model.get_layer(layer.name).variables, layer.variables):
            if mine.shape == other.shape:
                mine.assign(other.numpy())
    before = runs.load_markup(folder)
    if config.head == "heatmap" and before.difference(markup):
        wider = config.crop_scale / found.crop_scale
        _take_heat_maps(model, source, before.stand_ins(markup), mean_face, wider)


def _take_heat_maps(
    model: keras.Model,
    source: keras.Model,
    stand_ins: np.ndarray,
    mean_face: np.ndarray,
    wider: float,
) -> None:
    """Heat maps of `source` for a network that finds other points: of `stand_ins`, or the nearest.

    `wider`: how much more of the picture the crop of `model` shows.
    """
    head, other = (network.get_layer("head_points") for network in (model, source))
    theirs = CROP / 2 + (CROP * other.centre.numpy() - CROP / 2) / wider
    away = np.linalg.norm(mean_face[:, None] - theirs, axis=-1)
    known = stand_ins >= 0
    taken = np.where(known, stand_ins, away.argmin(axis=1))
    near = known | (away.min(axis=1) <= NEAR)
    maps, other_maps = (network.get_layer("head_maps") for network in (model, source))
    head.centre.assign(mean_face / CROP)
    pairs = [(getattr(head, name), getattr(other, name)) for name in OF_POINTS]
    for mine, old in [*pairs, *zip(maps.variables, other_maps.variables)]:
        start = np.zeros(mine.shape) if mine.path.startswith("head_maps") else mine.numpy()
        mine.assign(np.where(near, old.numpy()[..., taken], start))
