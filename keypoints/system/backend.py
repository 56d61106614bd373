"""The backend that Keras runs on, and the settings that JAX, TensorFlow and ONNX Runtime need."""

import contextlib
import json
import os
import sys
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from keypoints.errors import InputError
from keypoints.system import folders
from keypoints.system.processes import run_python

DEFAULT = "jax"
BACKENDS = ("jax", "tensorflow", "torch")
# What Keras writes into a user's keras.json by itself when it is first imported, whatever backend
# it runs on then.
KERAS_OWN_CHOICE = {
    "floatx": "float32",
    "epsilon": 1e-07,
    "backend": "tensorflow",
    "image_data_format": "channels_last",
}
# Programs that print the devices of a backend, one a line.
_DEVICES = {
    "jax": "import jax; print(*[d.device_kind for d in jax.devices()], sep='\\n')",
    "tensorflow": (
        "import tensorflow as tf\n"
        "for d in tf.config.list_physical_devices():\n"
        "    print(tf.config.experimental.get_device_details(d).get('device_name', d.device_type))"
    ),
    "torch": (
        "import torch; print('cpu')\n"
        "for i in range(torch.cuda.device_count()): print(torch.cuda.get_device_name(i))"
    ),
}
COMPILED_PROGRAMS = 2**30  # bytes of JAX's compiled programs that are kept
# Devices of an NVIDIA driver; /dev/dxg is that of Linux inside Windows.
DRIVERS = ("/dev/nvidiactl", "/dev/dxg")


def configure() -> None:
    """Set up Keras, JAX and TensorFlow for a command, before any of them is imported.

    Keras runs on JAX unless the user chose another backend: by KERAS_BACKEND, by a keras.json
    that is not the one that Keras writes by itself, or by importing Keras first. JAX keeps its
    compiled programs for the next command. Environment variables that are set stay as they are.
    Raises InputError for a KERAS_BACKEND that is none of `BACKENDS`.
    """
    given = os.environ.get("KERAS_BACKEND")
    if given and given not in BACKENDS:
        raise InputError(f"KERAS_BACKEND={given}: one of {', '.join(BACKENDS)} is expected")
    if "keras" not in sys.modules and not _chosen_backend():
        os.environ["KERAS_BACKEND"] = DEFAULT
    # TensorFlow's start-up notes would drown a command's own output. Where it only feeds data, its
    # faster kernels are of no use, and without them it has less to say; where it trains, it would
    # leave them off on CPUs without AVX-512, which need them as much.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1" if keras_backend() == "tensorflow" else "0")
    # Where CUDA's plugin finds no driver, JAX would print a traceback before it takes the CPU.
    if find_spec("jax_cuda12_plugin") and not any(Path(driver).exists() for driver in DRIVERS):
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    _keep_compiled_programs()


def keras_backend() -> str:
    """The backend Keras runs on: `jax`, `tensorflow` or `torch`.

    Before Keras is imported, the one that it will run on.
    """
    keras = sys.modules.get("keras")
    if keras is not None:
        return keras.config.backend()
    return os.environ.get("KERAS_BACKEND") or _keras_json().get("backend") or "tensorflow"


def devices(timeout: float = 20.0) -> list[str]:
    """The devices that Keras' backend finds, such as `cpu` or `NVIDIA H100`.

    A process of its own asks for them, for at most `timeout` seconds: a backend takes seconds to
    start, and some drivers hang. Raises InputError where there is no answer.
    """
    name = keras_backend()
    printed = run_python(
        _DEVICES[name],
        failure=f"no devices of {name}",
        timeout=timeout,
        XLA_PYTHON_CLIENT_PREALLOCATE="false",  # a GPU may be in use
    )
    return printed.splitlines()


def tensorflow() -> Any:
    """The module `tensorflow`, which takes no GPU unless Keras runs on it.

    Its only import, so that no operation of TensorFlow can run before.
    """
    import tensorflow as tf

    if keras_backend() != "tensorflow":
        # RuntimeError: the user's own code has started TensorFlow with its devices already.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    return tf


@contextlib.contextmanager
def quiet_opencv() -> Iterator[None]:
    """In the block OpenCV prints nothing: its errors are raised or found in other ways."""
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def onnxruntime() -> Any:
    """The module `onnxruntime`, which sends nothing to its maker.

    Since 1.29 it reports each model that it loads to Microsoft, by an identifier that it keeps in
    the user's cache folder, unless this variable is set before its import.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as runtime

    return runtime


def onnx_session(
    model: bytes | str, *, threads: int | None = None, keep_memory: bool = True
) -> Any:
    """ONNX Runtime's session of a model, the bytes of a file or its path.

    It computes on an NVIDIA GPU where the installed ONNX Runtime has CUDA (onnxruntime-gpu) and a
    driver is there, and else on the CPU, with `threads` threads: one for each core unless given.
    Without `keep_memory`, what one large input needed on the CPU is given back after it.
    """
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # it would warn of each input that is not of the declared size
    options.intra_op_num_threads = threads or 0
    # Waiting threads would go on spinning, and take the cores from the other network.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = keep_memory
    return runtime.InferenceSession(model, options, providers=onnx_providers())


def onnx_providers() -> list[str]:
    """What ONNX Runtime computes on, the first choice first."""
    available = onnxruntime().get_available_providers()
    driver = any(Path(driver).exists() for driver in DRIVERS)
    cuda = ["CUDAExecutionProvider"] if driver else []
    return [name for name in [*cuda, "CPUExecutionProvider"] if name in available]


def _chosen_backend() -> str:
    """The backend that the user chose for Keras; "" where there is no choice."""
    settings = _keras_json()
    written = settings.get("backend", "") if settings != KERAS_OWN_CHOICE else ""
    return os.environ.get("KERAS_BACKEND") or written


def _keras_json() -> dict[str, Any]:
    """The user's settings of Keras; empty where there are none that Keras could read."""
    home = os.path.expanduser("~")
    home = home if os.access(home, os.W_OK) else "/tmp"  # as Keras has it
    folder = os.environ.get("KERAS_HOME") or os.path.join(home, ".keras")
    try:
        settings = json.loads(Path(os.path.expanduser(folder), "keras.json").read_text())
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _keep_compiled_programs() -> None:
    """Let JAX keep them from one process to the next: compiling is most of a command's start.

    Without a home folder, or in one that cannot be written, there is no cache: programs must lie
    where no other user can write.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    if not os.environ.get("XDG_CACHE_HOME") and folders.home_folder() is None:
        return
    # A program made for one processor may crash another that shares the folder.
    info = Path("/proc/cpuinfo").read_bytes() if Path("/proc/cpuinfo").exists() else b""
    processor = zlib.crc32(info.partition(b"flags")[2].partition(b"\n")[0])
    folder = folders.cache_folder() / f"jax-{processor:08x}"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        prune(folder, COMPILED_PROGRAMS)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
        # A network starts by hundreds of small programs, each too quick for JAX's limit of 1 s.
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def prune(folder: Path, limit: int) -> None:
    """Delete the files of `folder` that were not used for the longest time, down to `limit` bytes.

    JAX could bound its cache itself, but reads all of it before it adds a program.
    """
    with os.scandir(folder) as entries:
        files = [(entry.stat(), entry.path) for entry in entries]
    total = sum(found.st_size for found, _ in files)
    for found, path in sorted(files, key=lambda file: max(file[0].st_atime, file[0].st_mtime)):
        if total <= limit:
            return
        Path(path).unlink(missing_ok=True)  # another process may prune as well
        total -= found.st_size
