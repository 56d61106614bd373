"""The 68 points on YouTube Faces, from ImageNet weights where they can be had."""

from keypoints.config import Config

config = Config(weights="imagenet")
