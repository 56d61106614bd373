"""The command doctor."""

from collections.abc import Callable


def doctor() -> None:
    """Print what a bug report needs: versions, backend, devices, cameras, codecs, folders.

    Nothing is changed or downloaded. A part that fails prints the reason on its line.
    """
    from concurrent.futures import ThreadPoolExecutor

    parts = {
        "keypoints": _version,
        "Python": _python,
        "system": _system,
        "packages": _packages,
        "backend": _backend,
        "devices": _devices,
        "cameras": _cameras,
        "video encoders": _encoders,
        "detectors": _detectors,
        "models": _models,
        "folders": _folders,
    }
    width = max(map(len, parts))
    with ThreadPoolExecutor(len(parts)) as pool:
        for name, lines in zip(parts, pool.map(_answer, parts.values())):
            for line in lines:
                print(f"{name:<{width}}  {line}")
                name = ""


def _answer(part: Callable[[], list[str]]) -> list[str]:
    """The lines of a part; in a broken installation the error that it raised."""
    try:
        return part()
    except Exception as error:  # any error: the other parts must still be printed
        lines = str(error).splitlines() or [""]
        return [f"failed: {type(error).__name__}: {lines[0]}"]


def _version() -> list[str]:
    import keypoints
    from keypoints import pretrained

    return [f"{keypoints.__version__} in {pretrained.FOLDER.parent}"]


def _python() -> list[str]:
    import platform
    import sys

    return [f"{platform.python_version()} {platform.python_implementation()}, {sys.executable}"]


def _system() -> list[str]:
    import os
    import platform

    return [f"{platform.platform()}, {os.cpu_count()} processors"]


def _packages() -> list[str]:
    from keypoints.system.extras import (
        BASE,
        DISTRIBUTIONS,
        install_command,
        installed_version,
    )

    lines = []
    for extra, names in {"": BASE, **DISTRIBUTIONS}.items():
        versions = {name: installed_version(name) for name in names}
        line = ", ".join(f"{name} {found or 'missing'}" for name, found in versions.items())
        label = f"extra {extra}" if extra else "base"
        hint = f" ({install_command(extra)})" if extra and "" in versions.values() else ""
        lines.append(f"{label}: {line}{hint}")
    return lines


def _backend() -> list[str]:
    from importlib.util import find_spec

    from keypoints.system.backend import keras_backend

    if find_spec("keras") is None:
        return ["none: Keras is not installed; predictions do not need it"]
    return [keras_backend()]


def _devices() -> list[str]:
    from importlib.util import find_spec

    from keypoints.system.backend import devices, keras_backend

    if find_spec("keras") is None or find_spec(keras_backend()) is None:
        return ["none"]
    return devices()


def _cameras() -> list[str]:
    from keypoints.media.cameras import local_cameras

    found = local_cameras()
    return [f"{n} {'opens' if good else 'does not open'}" for n, good in found.items()] or ["none"]


def _encoders() -> list[str]:
    from keypoints.media.video_writer import encoders

    return [", ".join(f"{name} {'ok' if good else 'missing'}" for name, good in encoders().items())]


def _detectors() -> list[str]:
    from functools import partial

    from keypoints.inference import yunet
    from keypoints.inference.detectors import load_detector
    from keypoints.system.folders import cache_folder

    def read(name: str) -> list[str]:
        load_detector(name)
        return ["ok"]

    here = (cache_folder() / yunet.FILE).is_file()
    return [
        *(f"{name} {_answer(partial(read, name))[0]}" for name in ("centerface", "haar")),
        f"yunet {'downloaded' if here else 'not downloaded yet'}",
    ]


def _models() -> list[str]:
    from keypoints.pretrained import NAMES, damaged_files

    damaged = {name: damaged_files(name) for name in NAMES}
    return [
        f"{name} {'missing or damaged: ' + ', '.join(files) if files else 'ok'}"
        for name, files in damaged.items()
    ]


def _folders() -> list[str]:
    import os

    from keypoints.system.folders import cache_folder, data_folder

    lines = {
        "data sets": str(data_folder()),
        "downloads": str(cache_folder()),
        "compiled programs": os.environ.get("JAX_COMPILATION_CACHE_DIR", "not kept"),
    }
    return [f"{name}: {folder}" for name, folder in lines.items()]
