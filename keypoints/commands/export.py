"""Export a trained run and check the files against it: `python -m tools.export RUN`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keypoints.errors import InputError
from keypoints.pretrained import DEFAULT, NAMES, weights_folder

if TYPE_CHECKING:
    from keypoints.data.records import Records

CALIBRATION = 250  # training crops for the calibration of int8
INT8 = "model-int8.onnx"  # of a bundled model


def export(
    run: str = DEFAULT,
    *,
    formats: str = "savedmodel,onnx,onnx-int8,litert,litert-int8",
    data: str | None = None,
    split: str | None = None,
    output: str | None = None,
    archive: str | None = None,
    data_dir: str | None = None,
) -> None:
    """Write a run's best weights as files for serving, check them, and print a table.

    They are checked on the run's validation images; on drawn faces for a bundled model, and where
    the run's data are not there. For onnx-int8, ranges are measured on the run's training images,
    or on drawn faces; a bundled model has its int8 file already. Nothing is written and the exit
    code is 1 if a float format differs from the run by more than 0.05 crop pixels, or if rounding
    raises the NME by more than 3 % of its value (onnx-int8), 10 % (litert-int8) or 0.5 % (weights).

    Args:
        run: a run folder, pretrained or pretrained-small
        formats: one or more of savedmodel, onnx, onnx-int8, litert, litert-int8 and weights
            (float16, to train on), separated by commas
        data: data set to check on, as in training; default: the first one of the run
        split: its split to check on; default: the validation split of the run
        output: folder to write; default: RUN/export, or runs/NAME/export for a bundled model
        archive: path of the YouTube Faces archive; or set KEYPOINTS_ARCHIVE
        data_dir: folder of prepared data sets; default: ~/tensorflow_datasets
    """
    wanted = formats.split(",")
    known = run in NAMES
    if known and split is not None and data is None:
        raise InputError(f"--split={split}: name the data set too, with --data")

    from keypoints.data.sources import load_records, parse_sets
    from keypoints.exports import parity
    from keypoints.exports import writer as exporter
    from keypoints.models import runs

    exporter.check_formats(wanted)
    source = weights_folder(run) if known else Path(run)
    config = runs.load_config(source)
    sources: dict[str, Any] = {"labels": config.labels, "archive": archive, "data_dir": data_dir}
    split = split or config.validation_split
    if data is not None:
        pictures = load_records(data, split, **sources)
    elif known:
        pictures = drawn(source)
    else:
        first = parse_sets(config.data)[0][0]
        pictures = load_or_draw("checked", source, first, split, **sources)
    calibration = None
    if "onnx-int8" in wanted and not known:
        training = load_or_draw("calibrated", source, config.data, config.train_split, **sources)
        calibration = exporter.calibration_crops(training, config, CALIBRATION)
    folder = (Path("runs") / run if known else source) / "export"
    folder = Path(output) if output is not None else folder

    def verify(written: Path) -> dict:
        rows = parity.check(source, written, pictures)
        print(parity.table(rows))
        faults = [reason for row in rows[1:] if (reason := parity.fault(row, rows[0]))]
        for reason in faults:
            print(f"error: {reason}; nothing was written", file=sys.stderr)
        if faults:
            sys.exit(1)
        return parity.summary(rows, pictures)

    int8 = NAMES[run] / INT8 if known else None
    exporter.export(source, folder, wanted, calibration=calibration, int8=int8, verify=verify)
    print(f"export: {folder}, checked on {len(pictures)} faces of {pictures.name}")


def load_or_draw(use: str, run: Path, data: str, split: str, **sources: Any) -> "Records":
    """The records of a split, or drawn faces and one line why, if it cannot be loaded."""
    from keypoints.data.sources import load_records

    try:
        return load_records(data, split, **sources)
    except InputError as error:
        reason = str(error).partition("\n")[0]
        print(f"the export is {use} on drawn faces, since {reason}", file=sys.stderr)
        return drawn(run)


def drawn(run: Path) -> "Records":
    """Drawn faces with the points of a run."""
    from keypoints.exports.pictures import drawn_faces
    from keypoints.models import runs

    return drawn_faces(runs.load_markup(run))
