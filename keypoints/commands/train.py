"""Train a network: `python -m tools.train [EXPERIMENT] [--field=value ...]`."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keypoints.commands.fields import show_fields
from keypoints.commands.progress import overwrite
from keypoints.config import Config, override, replace, resolved
from keypoints.errors import InputError
from keypoints.experiment import load_experiment

if TYPE_CHECKING:
    from keypoints.data.records import Records
    from keypoints.training.hosts import Hosts


def train(
    experiment: str = "youtube_faces",
    *,
    run: str | None = None,
    archive: str | None = None,
    data_dir: str | None = None,
    preview: int = 0,
    tensorboard: bool = False,
    hosts: str | None = None,
    **fields: Any,
) -> None:
    """Train a network into a run folder; the same command resumes an interrupted run.

    Flags change fields of the experiment's config, in all of its stages. The defaults shown for
    fields are those of an empty config; an experiment sets some of them to other values.

    Args:
        experiment: name of a file in experiments/, or the path of a .py file with a `config`
        run: folder of the run; default: runs/EXPERIMENT
        archive: path of the YouTube Faces archive; or set KEYPOINTS_ARCHIVE
        data_dir: folder of prepared data sets; default: ~/tensorflow_datasets
        preview: draw this many training pictures with their points to RUN/preview-pictures.png, and
            augmented crops to RUN/preview.png, and do not train
        tensorboard: also write the metrics as TensorBoard events into RUN/tensorboard
        hosts: train on several hosts, each with this command: ADDRESS:PORT,COUNT,INDEX: the address
            of host 0, the number of hosts, the index of this host from 0; or auto, which asks
            SLURM, Open MPI, Kubernetes or a cloud TPU
    """
    found = load_experiment(experiment)
    config = override(found.config, fields)
    folder = Path(run) if run is not None else Path("runs") / Path(experiment).stem
    if preview < 0:
        raise InputError(f"--preview={preview}: a number of pictures is expected")
    if preview and hosts:
        raise InputError("--preview is drawn by one host; leave --hosts out")
    with several(hosts) as connected:
        training, validation = load_sets(
            config, folder, archive=archive, data_dir=data_dir, validated=not preview
        )
        config = override(replace(found.config, found.adapt(training)), fields)
        if preview:
            draw_preview(config, training, preview, folder)
            return
        check_annotations(training, validation)
        train_into(folder, config, training, validation, tensorboard, connected)


def load_sets(
    config: Config, folder: Path, *, validated: bool = True, **sources: Any
) -> tuple["Records", list["Records"]]:
    """The training set, its markup measured, and, if `validated`, the validation sets."""
    from keypoints.data.sources import load_each, load_records, refuse_output
    from keypoints.evaluation.own_markup import measured

    refuse_output(config.data, "--run", folder)
    splits = (config.train_split, config.validation_split)
    sources = {"labels": config.labels, "splits": splits, **sources}
    training = load_records(config.data, config.train_split, **sources)
    training = training.seen_by(measured(training))
    if not validated:
        return training, []
    return training, load_each(config.data, config.validation_split, **sources)


def train_into(
    folder: Path,
    config: Config,
    training: "Records",
    validation: list["Records"],
    tensorboard: bool,
    hosts: "Hosts",
) -> None:
    """Train, and print what happens, on the host that writes the folder."""
    from keypoints.training import devices
    from keypoints.training import loop as trainer

    config = devices.resolve(config)
    shows = hosts.index == 0
    told: dict[str, Callable] = {}
    if shows:
        show_start(folder, config, training, validation)
        told = {"on_step": show_step, "on_epoch": show_epoch}
    if tensorboard and shows:
        from keypoints.training.tensorboard import event_writer

        write = event_writer(folder / "tensorboard")

        def tell(row: dict[str, float]) -> None:
            show_epoch(row)
            write(row)

        told["on_epoch"] = tell
    try:
        rows = trainer.train(config, folder, training, validation, hosts=hosts, **told)
    except KeyboardInterrupt:
        if not hosts.closed:
            raise
        print(f"\nstopped; the same command goes on from {folder}", file=sys.stderr)
        sys.exit(130)
    if shows:
        from keypoints.training.recalibration import recalibrate

        print(recalibrate(folder, validation))
        show_end(folder, rows)


def show_start(
    folder: Path, config: Config, training: "Records", validation: list["Records"]
) -> None:
    """What is trained on what, and warnings about settings that cannot work well."""
    import numpy as np

    from keypoints.data.pipeline import epoch_steps
    from keypoints.training import devices

    count = sum(len(records) for records in validation)
    print(f"{folder}: {len(training)} pictures to train on, {count} to validate on")
    print(f"{', '.join(devices.names())}; {config.precision}, batch size {config.batch_size}")
    if hint := devices.hint():
        print(hint)
    if training.markup.pairs is None and any(stage.flip for stage in config.stage_configs()):
        print(f"the markup {training.markup.name} has no mirror pairs: nothing is flipped")
    gaps = np.isnan(training.points).any(axis=-1).sum(axis=1)
    if gaps.any():
        print(
            f"{np.count_nonzero(gaps)} of {len(gaps)} faces lack points, {gaps.sum()} in all: "
            "nothing is learned from those"
        )
    for stage in config.stage_configs():
        steps = epoch_steps(training, stage) * stage.epochs
        if 0 < steps * (1 - stage.ema) < 1:
            print(
                f"warning: there are {steps} steps, and ema={stage.ema:g} averages the weights "
                f"over {1 / (1 - stage.ema):.0f}: the result will be near the start; give a lower "
                "--ema or --batch_size, or --epoch_steps",
                file=sys.stderr,
            )


def show_end(folder: Path, rows: list[dict[str, float]]) -> None:
    """The best epoch; if that is the start, a warning."""
    best = min(rows, key=lambda row: row["validation_nme"])
    if best["epoch"] == 0:
        print(
            "warning: no epoch is better than the start, whose weights are kept as the result",
            file=sys.stderr,
        )
    elif rows[0]["epoch"] == 0:
        print(
            f"validation NME of the start {rows[0]['validation_nme']:.2f} %, of epoch "
            f"{best['epoch']} {best['validation_nme']:.2f} %"
        )
    print(f"{folder}: weights, config.json, metrics.csv and curves.png")
    print(f"done: keypoints evaluate --model={folder}")


@contextmanager
def several(hosts: str | None) -> Iterator["Hosts"]:
    """The hosts of `--hosts`; one that is alone without the flag.

    Where others wait for this one, an error in the block ends the process at once, and by that
    theirs: at its usual exit JAX would wait for them.
    """
    from keypoints.training.hosts import Hosts, connect

    connected = connect(hosts) if hosts else Hosts()
    try:
        yield connected
    except BaseException as error:
        if connected.count == 1 or connected.closed:
            raise
        reason = str(error) or "interrupted"
        if "Gloo" in reason:  # of JAX on CPUs, when a connection has ended
            other = f"host {1 - connected.index}" if connected.count == 2 else "another host"
            reason = (
                f"{other} ended or cannot be reached, so all hosts stop; the same commands go on "
                "from the last checkpoint"
            )
        elif not isinstance(error, InputError | OSError | KeyboardInterrupt):
            traceback.print_exc()
        print(f"error: {reason}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(2)


def check_annotations(training: Any, validation: list[Any]) -> None:
    """Print warnings about annotations; raise InputError for annotations that cannot be right."""
    from keypoints.data import plausibility
    from keypoints.evaluation import agreement

    for records in (training, *validation):
        findings = plausibility.check_records(records)
        plausibility.refuse(findings, records.name)
        if records is training:
            findings += agreement.check_against(records)
        else:
            findings += plausibility.check_leakage(training, records)
        show_findings(findings, records.name)


def show_findings(findings: list[Any], name: str) -> None:
    for finding in findings:
        print(f"warning: {name}: {finding}", file=sys.stderr)


def draw_preview(config: Config, training: Any, count: int, folder: Path) -> None:
    """Write contact sheets of `count` whole pictures and of the crops that each stage trains on.

    Errors of the annotations are printed and not refused: the pictures show them.
    """
    import itertools

    from keypoints.data.pipeline import training_pipeline
    from keypoints.data.plausibility import check_records
    from keypoints.evaluation.agreement import check_against
    from keypoints.evaluation.plots import contact_sheet, picture_sheet

    findings = check_records(training)
    if not any(finding.refused for finding in findings):
        findings += check_against(training)
    show_findings(findings, training.name)
    folder.mkdir(parents=True, exist_ok=True)
    picture_sheet(training, count, folder / "preview-pictures.png")
    print(folder / "preview-pictures.png")
    for number, stage in enumerate(config.stage_configs()):
        size = min(resolved(stage).batch_size, training.epoch_size)
        stage = replace(stage, {"batch_size": size})
        batches = training_pipeline(training, stage, epoch=number).unbatch().take(count)
        images, targets = zip(*itertools.islice(batches.as_numpy_iterator(), count))
        name = "preview.png" if len(config.stage_configs()) == 1 else f"preview-{number + 1}.png"
        points = [target.reshape(-1, 2) for target in targets]
        contact_sheet(images, points, folder / name, markup=training.markup)
        print(folder / name)


def show_step(step: Any) -> None:
    """The progress line on a terminal; logs get one line per epoch instead."""
    if sys.stderr.isatty():
        seconds = int(step.seconds_left)
        bar = "=" * int(10 * step.step / step.steps)
        line = (
            f"epoch {step.epoch}/{step.epochs} [{bar:<10}] loss {step.loss:.2f} px, "
            f"NME {step.nme:.2f} %, {step.images_per_second:.0f} images/s, "
            f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left"
        )
        overwrite(line)


def show_epoch(row: dict[str, float]) -> None:
    if sys.stderr.isatty():
        overwrite("")
    if row["epoch"] == 0:
        print(f"start: validation NME {row['validation_nme']:.2f} %", flush=True)
        return
    print(
        f"epoch {row['epoch']}: loss {row['loss']:.3f} px, training NME "
        f"{row['training_nme']:.2f} %, validation NME {row['validation_nme']:.2f} % of the root of "
        f"the box's area, {row['seconds']:.0f} s",
        flush=True,
    )


show_fields(train)
