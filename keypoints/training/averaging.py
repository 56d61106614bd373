"""Moving averages of the weights, and the batch statistics that belong to them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

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
    measure_statistics(model, batches)
    try:
        yield
    finally:
        for variable, value in zip(model.variables, raw):
            variable.assign(value)


def measure_statistics(model: keras.Model, batches: Iterable[np.ndarray]) -> None:
    """Set the moving statistics of batch normalisation to their mean over `batches`."""
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    usual = [norm.momentum for norm in norms]
    for count, images in enumerate(batches):
        for norm in norms:
            norm.momentum = count / (count + 1)  # gives each batch the same weight
        model(ops.convert_to_tensor(images), training=True)
    for norm, momentum in zip(norms, usual):
        norm.momentum = momentum
