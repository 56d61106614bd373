"""Data: annotations and pictures to records in memory, and records to tf.data pipelines."""
