"""Benchmarks: speed of pipeline, models, annotation and training, compared with baselines.

They are for developers, and of this source tree: the package does not install them.
"""
