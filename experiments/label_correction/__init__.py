"""Systematic errors of annotations, measured with networks: how `data.correction` was fitted."""
