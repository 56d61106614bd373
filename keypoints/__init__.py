"""68 face landmarks: data, training, evaluation, live use and export."""

import os
from importlib.util import find_spec
from pathlib import Path

# Keras reads its backend once, at import; a user's own choice stands.
os.environ.setdefault("KERAS_BACKEND", "jax")
# TensorFlow's start-up notes would drown the tools' own output. Where it only feeds data, its
# faster kernels are of no use, and without them it has less to say; where it trains, it would
# leave them off on CPUs without AVX-512, which need them as much.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
_TRAINS = os.environ["KERAS_BACKEND"] == "tensorflow"
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1" if _TRAINS else "0")

# Where CUDA's plugin finds no NVIDIA driver (/dev/dxg: Linux inside Windows), JAX would print a
# traceback before it takes the CPU.
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg")
if find_spec("jax_cuda12_plugin") and not any(Path(driver).exists() for driver in _DRIVERS):
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
