"""Fit the correction of annotations: `python -m experiments.label_correction`."""

from experiments.label_correction import fit
from keypoints.commands.cli import run_command
from keypoints.data.sources import load_records
from keypoints.inference.predictor import load_network


def label_correction(
    *,
    model: str,
    reference: str,
    data: str = "youtube_faces_keypoints",
    split: str = "train",
    archive: str | None = None,
    data_dir: str | None = None,
) -> None:
    """Measure the systematic errors of a data set's published points; prints constants.

    They are those of keypoints/data/youtube_faces.toml. Predictions of the networks are averaged
    with those of flipped pictures. The offsets per point are only valid for networks that were
    trained on published points of this data set and on nothing else.

    Args:
        model: networks trained with --labels=published on this data only, separated by commas
        reference: hand-labelled faces in the same markup, folder:PATH
        data: the data set to correct
        split: the split of both data sets
        archive: path of the YouTube Faces archive; or set KEYPOINTS_ARCHIVE
        data_dir: folder of prepared data sets; default: ~/tensorflow_datasets
    """
    networks = [load_network(name) for name in model.split(",")]
    sources = {"archive": archive, "data_dir": data_dir, "labels": "published"}
    records = load_records(data, split, **sources)
    by_hand = load_records(reference, split, **sources)
    print(fit.table(fit.fit(networks, records, by_hand)))


if __name__ == "__main__":
    run_command(label_correction)
