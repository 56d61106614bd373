"""Benchmarks for developers, of this source tree: training steps beside PyTorch, and GPUs.

Those of what users run are `keypoints benchmark`.
"""
