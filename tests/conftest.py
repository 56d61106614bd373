import keypoints  # noqa: F401  (chooses Keras' backend, which must come before Keras)
