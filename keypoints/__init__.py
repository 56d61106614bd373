"""68 face landmarks: data, training, evaluation, live use and export."""

import os

# Keras reads its backend once, at import; a user's own choice stands.
os.environ.setdefault("KERAS_BACKEND", "jax")
# TensorFlow only feeds data here: its start-up notes would drown the tools' own output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
