"""Fit the correction of annotations: `python -m tools.label_correction`."""


def label_correction(
    *,
    model: str,
    reference: str,
    data: str = "youtube_faces_keypoints",
    split: str = "train",
    archive: str | None = None,
    data_dir: str | None = None,
) -> None:
    """Measure how far a data set's published points lie from what they mark; prints constants.

    They are those of keypoints/data/correction.py. Points of the networks are averaged with those
    of mirrored pictures. The table of the markup is only of worth with networks that have learned
    from published points of this data set and from nothing else.

    Args:
        model: networks trained with --labels=published on this data alone, with commas between
        reference: hand-labelled faces in the same markup, folder:PATH
        data: the data set to correct
        split: the split to look at, of both
        archive: the YouTube Faces archive, where it is already on disk; or set KEYPOINTS_ARCHIVE
        data_dir: where prepared data sets are kept; ~/tensorflow_datasets unless given
    """
    from keypoints.data.sources import load_records
    from keypoints.evaluation import correction_fit
    from keypoints.inference.predictor import Predictor

    predictors = [Predictor.load(name) for name in model.split(",")]
    sources = {"archive": archive, "data_dir": data_dir, "labels": "published"}
    records = load_records(data, split, **sources)
    print(
        correction_fit.table(
            correction_fit.fit(predictors, records, load_records(reference, split, **sources))
        )
    )
