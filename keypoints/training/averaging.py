"""Moving averages of the weights, and the batch statistics that belong to them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops


@contextmanager
def averaged_weights(model: keras.Model, batches: Iterable[np.ndarray]) -> Iterator[None]:
    """Inside the block the model has its moving-average weights, if it keeps any.

    Batch statistics belong to the weights that they were computed with, so they are computed again
    on `batches` of training crops (Izmailov et al., "Averaging Weights Leads to Wider Optima and
    Better Generalization", 2018, section 3.2). Otherwise the averaged weights do worse than the
    last ones.
    """
    if not model.optimizer.use_ema:
        yield
        return
    raw = [variable.numpy() for variable in model.variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    for variable in model.trainable_variables:
        # A copy: JAX would donate the buffers of the averages with those of the model.
        variable.assign(variable.numpy())
    statistics_of = _statistics_function(model)
    found = [statistics_of(images) for images in batches]
    for variable, values in zip(_statistics(model), zip(*found)):
        variable.assign(np.mean(values, axis=0))
    try:
        yield
    finally:
        for variable, value in zip(model.variables, raw):
            variable.assign(value)


def _norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]


def _statistics(model: keras.Model) -> list[keras.Variable]:
    return [v for norm in _norms(model) for v in (norm.moving_mean, norm.moving_variance)]


@lru_cache(maxsize=1)  # a training measures after each epoch; a program is compiled once
def _statistics_function(model: keras.Model) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function of a batch of crops: its own `_statistics`. It may change those of the model."""

    def forward(call: Callable[..., Any], *arguments: Any) -> Any:
        norms = _norms(model)
        usual = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.0  # nothing of the batches before
        found = call(*arguments, training=True)
        for norm, momentum in zip(norms, usual):
            norm.momentum = momentum
        return found

    if keras.backend.backend() != "jax":

        def run(images: np.ndarray) -> list[np.ndarray]:
            forward(model, ops.convert_to_tensor(images))
            return [variable.numpy() for variable in _statistics(model)]

        return run
    import jax

    place_of = {id(variable): i for i, variable in enumerate(model.non_trainable_variables)}
    places = [place_of[id(variable)] for variable in _statistics(model)]

    @jax.jit
    def compiled(trained: list, others: list, images: jax.Array) -> list[jax.Array]:
        _, others = forward(model.stateless_call, trained, others, images)
        return [others[place] for place in places]

    def run_compiled(images: np.ndarray) -> list[np.ndarray]:
        trained, others = model.trainable_variables, model.non_trainable_variables
        values = ([variable.value for variable in each] for each in (trained, others))
        return [np.asarray(x) for x in compiled(*values, ops.convert_to_tensor(images))]

    return run_compiled
