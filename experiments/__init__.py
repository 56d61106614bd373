"""Experiments: one file each, with command and result in the docstring, and a `config`."""
