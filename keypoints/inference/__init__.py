"""Inference: pictures to boxes, boxes to points, points to tracked faces; no Keras needed."""
