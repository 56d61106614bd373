"""Benchmarks: how fast the pipeline, training and inference are, beside baselines."""
