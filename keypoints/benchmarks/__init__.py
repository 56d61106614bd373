"""Benchmarks: speed of the pipeline, inference and annotation, compared with baselines."""
