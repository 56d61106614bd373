"""Which extra of the package brings an optional dependency, and what of it is installed."""

from pathlib import Path

# Distributions of the base install and of each extra for users, without their versions.
BASE = ("numpy", "opencv-python", "onnxruntime", "pillow", "av", "fire")
DISTRIBUTIONS = {
    "train": (
        "keras", "jax", "tensorflow-cpu", "tensorflow-datasets", "importlib_resources",
        "matplotlib",
    ),
    "cuda": ("jax-cuda12-plugin",),
    "export": ("onnx", "tf2onnx", "ai-edge-litert"),
    "scale": ("ray", "pyarrow", "fsspec"),
    "heic": ("pillow-heif",),
    "camera": ("pyvirtualcam",),
}  # fmt: skip
# Top-level packages that the base install lacks, and the extra with each.
EXTRAS = {
    distribution.replace("-", "_"): extra
    for extra, distributions in DISTRIBUTIONS.items()
    for distribution in distributions
} | {"tensorflow": "train", "h5py": "train"}


def install_command(extra: str) -> str:
    """The command that installs an extra, wherever the package comes from.

    The package is on no index: in a checkout the command names its folder. An installed one is
    known to pip, which installs what its extra asks for.
    """
    root = Path(__file__).parents[2]
    if not (root / "pyproject.toml").is_file():
        return f'pip install "keypoints[{extra}]"'
    return f'pip install "{"." if root == Path.cwd() else root}[{extra}]"'


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """The command that installs what `error` misses, or None if no extra has it."""
    extra = EXTRAS.get((error.name or "").partition(".")[0])
    return extra and install_command(extra)


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
