"""Epoch metrics as TensorBoard event files; TensorBoard itself is not needed."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keypoints.system.backend import tensorflow


def event_writer(folder: Path) -> Callable[[dict[str, float]], None]:
    """A function that appends one row of metrics.csv to a new event file in `folder`.

    An event file is a TFRecord file of `Event` messages; the first one states the version of the
    format. TensorBoard merges the files of a folder by step, which is the epoch here.
    """
    tf = tensorflow()
    event, summary = tf.compat.v1.Event, tf.compat.v1.Summary
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{time.time_ns()}.keypoints"
    writer = tf.io.TFRecordWriter(str(path))

    def write(message: Any) -> None:
        writer.write(message.SerializeToString())
        writer.flush()

    def write_row(row: dict[str, float]) -> None:
        values = [
            summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if name != "epoch"
        ]
        write(event(wall_time=time.time(), step=row["epoch"], summary=summary(value=values)))

    write(event(wall_time=time.time(), file_version="brain.Event:2"))
    return write_row
