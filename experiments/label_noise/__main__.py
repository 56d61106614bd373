"""Annotation noise: `keypoints label_noise` or `python -m experiments.label_noise`."""

from keypoints.commands.cli import run_command


def label_noise(
    *,
    data: str = "youtube_faces_keypoints",
    split: str = "train",
    archive: str | None = None,
    data_dir: str | None = None,
) -> None:
    """Estimate the annotation noise of a data set from frames of the same video.

    Frames in which a face looks the same are aligned by their pixels. Each row of the table has a
    minimum correlation of the aligned faces, the number of pairs, and the NME between their points
    divided by the square root of two: the error of one annotation.

    Args:
        data: data set whose files are named NAME_vf.jpg, frame f of video v
        split: the split to measure
        archive: path of the YouTube Faces archive; or set KEYPOINTS_ARCHIVE
        data_dir: folder of prepared data sets; default: ~/tensorflow_datasets
    """
    from experiments.label_noise import pairs
    from keypoints.data.sources import load_records

    records = load_records(data, split, archive=archive, data_dir=data_dir)
    print(pairs.table(pairs.measure(records)))


if __name__ == "__main__":
    run_command(label_noise)
