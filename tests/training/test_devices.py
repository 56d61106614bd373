"""What a config leaves to the device; the devices are made up, as JAX shows real ones."""

from types import SimpleNamespace

import pytest

from keypoints.config import Config, resolved
from keypoints.training import devices
from keypoints.training.devices import defaults, resolve

GPU = {"precision": "mixed_bfloat16", "batch_size": 64}


def device(platform: str, **facts) -> SimpleNamespace:
    return SimpleNamespace(platform=platform, **facts)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (device("cpu"), {}),
        (device("gpu", device_kind="NVIDIA H100", compute_capability="9.0"), GPU),
        (device("gpu", device_kind="NVIDIA RTX PRO", compute_capability="12.0"), GPU),
        (
            device("gpu", device_kind="Tesla T4", compute_capability="7.5"),
            {"precision": "float32", "batch_size": 64},
        ),
        (
            device("gpu", device_kind="AMD", compute_capability="gfx90a"),
            {"precision": "float32", "batch_size": 64},
        ),
    ],
)
def test_defaults_of_devices(of, expected):
    assert defaults(of) == expected


def test_what_is_set_stands_and_the_rest_is_for_the_device(monkeypatch):
    gpu = device("gpu", compute_capability="8.0")
    monkeypatch.setattr(devices, "_jax_devices", lambda: [gpu])
    monkeypatch.setattr(devices, "_on_jax", lambda: True)
    free = resolve(Config())
    assert (free.precision, free.batch_size) == ("mixed_bfloat16", 64)
    fixed = resolve(Config(precision="float32", batch_size=12))
    assert (fixed.precision, fixed.batch_size) == ("float32", 12)
    stages = ({"batch_size": 8}, {"precision": "auto", "epochs": 2})
    first, second = resolve(Config(precision="float32", stages=stages)).stage_configs()
    assert (first.precision, first.batch_size) == ("float32", 8)
    assert (second.precision, second.batch_size) == ("mixed_bfloat16", 64)


def test_bfloat16_on_a_cpu_needs_its_units_and_a_backend_that_uses_them(monkeypatch):
    monkeypatch.setattr(devices, "has_gpu", lambda: False)
    found = {}
    for backend in ("tensorflow", "jax"):
        for units in (("amx_bf16",), ("avx512_bf16",)):
            monkeypatch.setattr(devices.keras.backend, "backend", lambda name=backend: name)
            monkeypatch.setattr(devices, "has_units", lambda name, units=units: name in units)
            cpu = device("cpu")
            monkeypatch.setattr(devices, "_jax_devices", lambda cpu=cpu: [cpu])
            found[backend, units[0]] = resolve(Config()).precision, devices.hint()
            assert resolve(Config(backbone="lite")).precision == "float32"
    assert found["tensorflow", "amx_bf16"] == ("mixed_bfloat16", "")
    assert found["tensorflow", "avx512_bf16"] == ("float32", "")
    assert found["jax", "amx_bf16"][0] == found["jax", "avx512_bf16"][0] == "float32"
    assert "KERAS_BACKEND=tensorflow" in found["jax", "amx_bf16"][1]
    assert found["jax", "avx512_bf16"][1] == ""


def test_without_a_gpu():
    config = resolved(Config())
    assert (config.precision, config.batch_size) == ("float32", 32)
    assert resolved(config) == config
