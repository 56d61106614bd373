"""Estimate how exact annotations are: `python -m tools.label_noise`."""


def label_noise(
    *,
    data: str = "youtube_faces_keypoints",
    split: str = "train",
    archive: str | None = None,
    data_dir: str | None = None,
) -> None:
    """Compare the points of video frames in which a face looks the same; prints a table.

    The frames are aligned by their pixels. Each row has the pairs whose faces then correlate so
    well, and the NME between their points over the root of two: the error of one annotation.

    Args:
        data: the data set; its files are named NAME_vf.jpg, frame f of video v
        split: the split to look at
        archive: the YouTube Faces archive, where it is already on disk; or set KEYPOINTS_ARCHIVE
        data_dir: where prepared data sets are kept; ~/tensorflow_datasets unless given
    """
    from keypoints.data.sources import load_records
    from keypoints.evaluation import label_noise

    records = load_records(data, split, archive=archive, data_dir=data_dir)
    print(label_noise.table(label_noise.measure(records)))
