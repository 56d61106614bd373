"""Evaluation: reports, plots, stability on video, calibration."""
