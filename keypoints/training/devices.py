"""The devices that Keras trains on, and what a config leaves to them."""

from typing import Any

import keras

from keypoints import config as configs
from keypoints.config import Config
from keypoints.errors import InputError
from keypoints.models.cpu_layers import has_gpu
from keypoints.system.processor import has_units

GPU_BATCH = 64
DEPTHWISE = {"lite"}  # backbones whose depthwise convolutions TensorFlow slows down in bfloat16
BFLOAT16_SINCE = 8.0  # compute capability of the first NVIDIA GPUs with bfloat16 units, Ampere


def resolve(config: Config) -> Config:
    """`config` with the precision and batch size for the device in use, where it sets none."""
    found = defaults(_jax_devices()[0]) if _on_jax() else {}
    if uses_amx() and config.backbone not in DEPTHWISE:
        found = {"precision": "mixed_bfloat16"}
    return configs.resolved(config, **found)


def uses_amx() -> bool:
    """Whether Keras runs on TensorFlow on a CPU with matrix units for bfloat16, which it uses.

    On such a processor mixed_bfloat16 trains faster than float32, but for networks of `DEPTHWISE`;
    on others it is slower.
    """
    return keras.backend.backend() == "tensorflow" and not has_gpu() and has_units("amx_bf16")


def hint() -> str:
    """What another backend would bring on this device, in a line; "" where nothing was measured."""
    if not _on_jax() or has_gpu() or not has_units("amx_bf16"):
        return ""
    return (
        "this processor has AMX: training with KERAS_BACKEND=tensorflow is about 2.4 times as fast "
        "as with JAX (ResNet50, 224 pixels, mixed_bfloat16)"
    )


def defaults(device: Any) -> dict[str, Any]:
    """Precision and batch size for a device of JAX."""
    if device.platform != "gpu":
        return {}
    try:
        modern = float(device.compute_capability) >= BFLOAT16_SINCE
    except (AttributeError, ValueError):  # not NVIDIA's
        modern = False
    return {
        "precision": "mixed_bfloat16" if modern else "float32",
        "batch_size": GPU_BATCH,
    }


def names() -> list[str]:
    """The devices that a batch is split over, such as `cpu` or `NVIDIA H100`."""
    if _on_jax():
        return [device.device_kind for device in _jax_devices()]
    return ["gpu"] * has_gpu() or ["cpu"]


def peak_memory() -> float:
    """MiB of the first JAX device's memory that were used at most; 0 where it does not tell."""
    return (_jax_devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 2**20


def use_all(config: Config) -> None:
    """Split each batch over all JAX devices if there are several."""
    if not _on_jax():
        return
    devices = keras.distribution.list_devices()
    if len(devices) > 1:
        if config.batch_size % len(devices):
            raise InputError(
                f"batch_size={config.batch_size} does not divide over {len(devices)} devices"
            )
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))


def _on_jax() -> bool:
    return keras.backend.backend() == "jax"


def _jax_devices() -> list[Any]:
    import jax

    return jax.devices()
