"""A virtual camera: what is shown becomes a camera for calls and other programs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from keypoints.errors import InputError
from keypoints.system.extras import install_command

# What brings the driver, which the Python package does not have, by `sys.platform`.
DRIVERS = {
    "linux": "sudo apt install v4l2loopback-dkms && sudo modprobe v4l2loopback exclusive_caps=1",
    "darwin": "install OBS Studio 30 or newer, start its virtual camera once and end OBS",
    "win32": "install OBS Studio, which brings a virtual camera",
}


def require_package() -> None:
    """Raise InputError if the package pyvirtualcam is not installed."""
    try:
        import pyvirtualcam  # noqa: F401
    except ImportError:
        raise InputError(
            f"--virtual_camera needs pyvirtualcam: {install_command('camera')}"
        ) from None


@contextmanager
def virtual_camera(
    width: int, height: int, rate: float
) -> Iterator[tuple[str, Callable[[np.ndarray], None]]]:
    """The name of a device, and a function that sends it a frame `(height, width, 3)` uint8 RGB.

    `rate` is about how many frames arrive per second. Raises InputError where the system has no
    driver of a virtual camera.
    """
    require_package()
    import pyvirtualcam

    try:
        camera = pyvirtualcam.Camera(width, height, rate, fmt=pyvirtualcam.PixelFormat.RGB)
    except (RuntimeError, ValueError, OSError) as error:
        how = DRIVERS.get(sys.platform, "see the documentation of pyvirtualcam")
        reason = " ".join(str(error).split())
        raise InputError(f"no virtual camera of {width} x {height}: {reason}; {how}") from None
    with camera:
        yield camera.device, lambda image: camera.send(np.ascontiguousarray(image))
