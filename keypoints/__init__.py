"""68 face landmarks: data, training, evaluation, live use and export.

The public names below are loaded on first use, so that `import keypoints` is quick.
"""

import contextlib
import importlib
import os
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keypoints import geometry, landmarks, metrics
    from keypoints.config import Config
    from keypoints.data.sources import load_records
    from keypoints.evaluation.protocol import evaluate
    from keypoints.exports.writer import export
    from keypoints.filters import list_filters, load_filter
    from keypoints.inference.detectors import load_detector
    from keypoints.inference.predictor import Predictor
    from keypoints.inference.tracking import Tracker
    from keypoints.training.loop import train

__version__ = "0.2.0"
__all__ = [
    "Config",
    "Predictor",
    "Tracker",
    "__version__",
    "evaluate",
    "export",
    "geometry",
    "landmarks",
    "list_filters",
    "load_detector",
    "load_filter",
    "load_records",
    "metrics",
    "train",
]

# Where each public name that is not a module of the package comes from.
_HOMES = {
    "Config": "keypoints.config",
    "Predictor": "keypoints.inference.predictor",
    "Tracker": "keypoints.inference.tracking",
    "evaluate": "keypoints.evaluation.protocol",
    "export": "keypoints.exports.writer",
    "list_filters": "keypoints.filters",
    "load_detector": "keypoints.inference.detectors",
    "load_filter": "keypoints.filters",
    "load_records": "keypoints.data.sources",
    "train": "keypoints.training.loop",
}
_MODULES = ("geometry", "landmarks", "metrics")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"keypoints.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'keypoints' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        from keypoints.extras import missing_extra

        command = missing_extra(error)
        if command is None:
            raise
        raise ModuleNotFoundError(
            f"keypoints.{name} needs {error.name}: {command}", name=error.name
        ) from error


def __dir__() -> list[str]:
    return sorted(__all__)


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


def _keep_compiled_programs() -> None:
    """Let JAX keep them from one process to the next: compiling is most of a tool's start.

    JAX bounds the cache's size only where it finds filelock; without it, or in a home that cannot
    be written, there is no cache.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ or not find_spec("filelock"):
        return
    # A program made for one processor may crash another that shares the folder.
    info = Path("/proc/cpuinfo").read_bytes() if Path("/proc/cpuinfo").exists() else b""
    processor = zlib.crc32(info.partition(b"flags")[2].partition(b"\n")[0])
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    folder = cache / "keypoints" / f"jax-{processor:08x}"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
        os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(2**30))
        # A network starts by hundreds of small programs, each too quick for JAX's limit of 1 s.
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


_keep_compiled_programs()
