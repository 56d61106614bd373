"""68 face landmarks: data, training, evaluation, live use and export."""

import os

# Keras reads its backend once, at import; a user's own choice stands.
os.environ.setdefault("KERAS_BACKEND", "jax")
# TensorFlow's start-up notes would drown the tools' own output. Where it only feeds data, its
# faster kernels are of no use, and without them it has less to say.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if os.environ["KERAS_BACKEND"] != "tensorflow":
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
