"""A small network for weak machines."""

from keypoints.config import Config

config = Config(
    backbone="lite",
    resolution=112,
    rotation=25.0,
    occlusion=0.3,
    epochs=16,
    ema=0.995,
    learning_rate=1e-3,
    weights="none",
)
