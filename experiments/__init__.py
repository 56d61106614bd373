"""Experiments: one file each, a docstring with command and result, and a `config`."""
