"""A small network on synthetic faces, for `make demo` and the tests."""

from keypoints.config import Config

config = Config(
    data="synthetic_faces",
    backbone="tiny",
    resolution=112,
    epochs=6,
    batch_size=32,
    learning_rate=2e-3,
    ema=0.98,
)
