"""The network of a config, compiled with its loss, its optimizer and its learning rate."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keypoints import geometry
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.data.pipeline import epoch_steps
from keypoints.data.records import Records
from keypoints.models import runs
from keypoints.models.cpu_layers import have_cpu_kernels, use_cpu_kernels
from keypoints.models.initial_weights import take_weights
from keypoints.models.losses import POINT_LOSSES, nme_of_outputs, training_loss
from keypoints.models.network import build_model
from keypoints.training import devices


def compiled_model(config: Config, training: Records) -> keras.Model:
    """The compiled network of `config` with a built optimizer.

    Its initial output is the mean face of `training`. It has one flat output `(b, 204)`, which both
    the loss and the metric need.
    """
    config = devices.resolve(config)
    matrices = Crop.of(config).matrices(training.boxes, shapes=training.shapes)
    targets = geometry.apply(matrices, training.completed_points())
    mean_face = np.nanmean(targets, axis=0)
    model = build_model(config, mean_face)
    if config.kernels == "cpu" or (config.kernels == "auto" and have_cpu_kernels()):
        model = use_cpu_kernels(model)
    take_weights(model, config, training.markup, mean_face)
    model = runs.flattened(model)
    steps = max(epoch_steps(training, config), 1)
    options = {
        "learning_rate": LearningRate(config, steps),
        "global_clipnorm": config.clip_norm or None,
        "use_ema": config.ema > 0,
        "ema_momentum": config.ema or None,
    }
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(weight_decay=config.weight_decay, **options)
        optimizer.exclude_from_weight_decay(
            var_names=["bias", "beta", "gamma", "centre", "log_sigma", "log_factor", "exponent"]
        )
    else:
        optimizer = keras.optimizers.Adam(**options)
    optimizer.build(model.trainable_variables)
    # XLA compiles JAX's step anyway; TensorFlow's own CPU kernels are faster than XLA's.
    model.compile(
        optimizer,
        training_loss(POINT_LOSSES[config.loss]),
        metrics=[nme_of_outputs],
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over `config.warmup` epochs, multiplied by `config.schedule`."""

    def __init__(self, config: Config, steps: int):
        self.config = config
        self.steps = steps  # per epoch

    def __call__(self, step: Any) -> Any:
        config = self.config
        epoch = ops.cast(step, "float32") / self.steps
        rise = 1.0
        if config.warmup:
            rise = ops.minimum(1.0, (epoch + 1 / self.steps) / config.warmup)
        fall = 1.0
        if config.schedule == "cosine":
            fall = 0.5 * (1 + ops.cos(math.pi * ops.minimum(1.0, epoch / config.epochs)))
        elif config.schedule == "exponential":
            fall = config.decay ** ops.floor(epoch)
        return config.learning_rate * rise * fall
