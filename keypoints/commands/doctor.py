"""The command doctor."""

import os
import platform
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec

import keypoints
from keypoints import pretrained
from keypoints.system import backend, extras, folders


def doctor() -> None:
    """Print what a bug report needs: versions, backend, devices, cameras, codecs, folders.

    Nothing is changed or downloaded. A part that fails prints the reason on its line.
    """
    python = f"{platform.python_version()} {platform.python_implementation()}, {sys.executable}"
    parts: dict[str, Callable[[], list[str]]] = {
        "keypoints": lambda: [f"{keypoints.__version__} in {pretrained.FOLDER.parent}"],
        "Python": lambda: [python],
        "system": lambda: [f"{platform.platform()}, {os.cpu_count()} processors"],
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


def _packages() -> list[str]:
    lines = []
    for extra, names in {"": extras.BASE, **extras.DISTRIBUTIONS}.items():
        versions = {name: extras.installed_version(name) for name in names}
        line = ", ".join(f"{name} {found or 'missing'}" for name, found in versions.items())
        label = f"extra {extra}" if extra else "base"
        hint = f" ({extras.install_command(extra)})" if extra and "" in versions.values() else ""
        lines.append(f"{label}: {line}{hint}")
    return lines


def _backend() -> list[str]:
    if find_spec("keras") is None:
        return ["none: Keras is not installed; predictions do not need it"]
    return [backend.keras_backend()]


def _devices() -> list[str]:
    if find_spec("keras") is None or find_spec(backend.keras_backend()) is None:
        return ["none"]
    return backend.devices()


def _cameras() -> list[str]:
    from keypoints.media.cameras import local_cameras

    found = local_cameras()
    return [f"{n} {'opens' if good else 'does not open'}" for n, good in found.items()] or ["none"]


def _encoders() -> list[str]:
    from keypoints.media.video_writer import encoders

    return [", ".join(f"{name} {'ok' if good else 'missing'}" for name, good in encoders().items())]


def _detectors() -> list[str]:
    from keypoints.inference import yunet
    from keypoints.inference.detectors import NETWORKS, load_detector

    def read(name: str) -> list[str]:
        load_detector(name)
        return ["ok"]

    here = (folders.cache_folder() / yunet.FILE).is_file()
    return [
        *(f"{name} {_answer(partial(read, name))[0]}" for name in (*NETWORKS, "haar")),
        f"yunet {'downloaded' if here else 'not downloaded yet'}",
    ]


def _models() -> list[str]:
    damaged = {name: pretrained.damaged_files(name) for name in pretrained.NAMES}
    return [
        f"{name} {'missing or damaged: ' + ', '.join(files) if files else 'ok'}"
        for name, files in damaged.items()
    ]


def _folders() -> list[str]:
    lines = {
        "data sets": str(folders.data_folder()),
        "downloads": str(folders.cache_folder()),
        "compiled programs": os.environ.get("JAX_COMPILATION_CACHE_DIR", "not kept"),
    }
    return [f"{name}: {folder}" for name, folder in lines.items()]
