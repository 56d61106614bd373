"""TensorFlow Datasets builders, one folder each."""
