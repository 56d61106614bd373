"""Average the weights of networks: `python -m experiments.mean_weights`."""

from pathlib import Path

from keypoints.commands.cli import run_command
from keypoints.errors import InputError
from keypoints.models import runs
from keypoints.pretrained import NAMES, weights_folder


def mean_weights(*, of: str, shares: str, output: str) -> None:
    """Write a run folder whose weights are a weighted mean of those of several networks.

    For a network and the one that it was trained on from. Between the two lie networks that are
    about as good at the new data as the one and at the old data as the other (Wortsman et al.,
    "Robust fine-tuning of zero-shot models", CVPR 2022). Fit the uncertainties afterwards, with
    `keypoints recalibrate`.

    Args:
        of: run folders or bundled models of one architecture, separated by commas; the config and
            the points are those of the first
        shares: the share of each, separated by commas; together 1
        output: folder to write
    """
    folders = [weights_folder(name) if name in NAMES else Path(name) for name in of.split(",")]
    parts = [float(share) for share in shares.split(",")]
    if len(parts) != len(folders) or abs(sum(parts) - 1) > 1e-6:
        raise InputError(f"--shares={shares}: {len(folders)} numbers are expected, together 1")
    models, configs = zip(*(runs.load_model(folder) for folder in folders), strict=True)
    weights = zip(*(model.get_weights() for model in models), strict=True)
    models[0].set_weights(
        [sum(part * each for part, each in zip(parts, arrays, strict=True)) for arrays in weights]
    )
    runs.start_run(Path(output), configs[0], {}, markup=runs.load_markup(folders[0]))
    runs.write_weights(Path(output) / runs.BEST, models[0])


if __name__ == "__main__":
    run_command(mean_weights)
