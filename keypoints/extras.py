"""Which extra of the package brings an optional dependency."""

# Top-level packages that the base install lacks, and the extra of pyproject.toml with each.
EXTRAS = {
    "h5py": "train",
    "jax": "train",
    "keras": "train",
    "matplotlib": "train",
    "onnx": "export",
    "tensorflow": "train",
    "tensorflow_datasets": "train",
    "tf2onnx": "export",
}


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """The command that installs what `error` misses, or None if no extra has it."""
    extra = EXTRAS.get((error.name or "").partition(".")[0])
    return extra and f"pip install 'keypoints[{extra}]'"
