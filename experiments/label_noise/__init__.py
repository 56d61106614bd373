"""Annotation noise of a data set, measured on frames of the same video."""
