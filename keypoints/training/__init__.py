"""Training: the training loop with resume, and logs."""
