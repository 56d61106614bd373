"""Training: the loop, resume, logs."""
