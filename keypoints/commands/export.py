"""Export a trained run and check the files against it: `python -m tools.export RUN`."""

import sys
from pathlib import Path
from typing import Any

from keypoints.pretrained import DEFAULT, NAMES, weights_folder

CALIBRATION = 128  # training crops for the calibration of int8


def export(
    run: str = DEFAULT,
    *,
    formats: str = "savedmodel,onnx,onnx-int8",
    output: str | None = None,
    archive: str | None = None,
    data_dir: str | None = None,
) -> None:
    """Write a run's best weights as files for serving, check them, and print a table.

    Nothing is written and the exit code is 1 if a float format differs from the run by more than
    0.05 crop pixels, or if rounding raises the NME by more than 3 % of its value (onnx-int8) or
    0.5 % (weights).

    Args:
        run: a run folder, pretrained or pretrained-small
        formats: one or more of savedmodel, onnx, onnx-int8 and weights (float16, to train on),
            separated by commas
        output: folder to write; default: RUN/export, or runs/NAME/export for a bundled model
        archive: path of the YouTube Faces archive; or set KEYPOINTS_ARCHIVE
        data_dir: folder of prepared data sets; default: ~/tensorflow_datasets
    """
    wanted = formats.split(",")

    from keypoints.data.sources import load_records, load_set, parse_sets
    from keypoints.exports import parity
    from keypoints.exports import writer as exporter
    from keypoints.models import runs

    exporter.check_formats(wanted)
    known = run in NAMES
    source = weights_folder(run) if known else Path(run)
    config = runs.load_config(source)
    sources: dict[str, Any] = {"labels": config.labels, "archive": archive, "data_dir": data_dir}
    first = parse_sets(config.data)[0][0]
    validation = load_set(first, config.validation_split, **sources)
    calibration = None
    if "onnx-int8" in wanted:
        training = load_records(config.data, config.train_split, **sources)
        calibration = exporter.calibration_crops(training, config, CALIBRATION)
    folder = (Path("runs") / run if known else source) / "export"
    folder = Path(output) if output is not None else folder

    def verify(written: Path) -> dict:
        rows = parity.check(source, written, validation)
        print(parity.table(rows))
        faults = [reason for row in rows[1:] if (reason := parity.fault(row, rows[0]))]
        for reason in faults:
            print(f"error: {reason}; nothing was written", file=sys.stderr)
        if faults:
            sys.exit(1)
        return parity.summary(rows, validation)

    exporter.export(source, folder, wanted, calibration=calibration, verify=verify)
    print(f"export: {folder}")
