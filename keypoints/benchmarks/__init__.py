"""Benchmarks: speed of the pipeline, training and inference, compared with baselines."""
