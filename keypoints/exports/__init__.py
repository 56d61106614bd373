"""Export: a run as SavedModel, ONNX, int8 ONNX or half-precision weights, and its parity check."""
