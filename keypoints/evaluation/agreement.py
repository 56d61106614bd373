"""Comparison of annotations with the predictions of a bundled network.

It finds errors that the points alone do not show: points that are all shifted, mirrored without
their pictures, or that belong to another picture. In longer sides of the landmark box, on 64 faces
each, the offset of LFPW is 0.01 and of AFLW2000-3D 0.02, the median distances are 0.03 and 0.05.
With mirrored points, or those of the next picture, the distances are 0.18 to 0.25.
"""

import numpy as np

from keypoints import geometry
from keypoints.data.plausibility import Finding
from keypoints.data.records import Records
from keypoints.errors import InputError
from keypoints.inference.predictor import Predictor
from keypoints.markup import IBUG68

MODEL = "pretrained-small"
SAMPLE = 32  # faces that are compared
ROUNDS = 3  # each uses the box of the points before: a shifted box moves to the face
OFFSET = 0.05  # largest allowed common offset of all annotations, in longer sides
DISTANCE = 0.1  # median over faces of the mean distance, longer sides


def check_against(records: Records) -> list[Finding]:
    """Findings from a sample of `records`, spread evenly, compared with `pretrained-small`.

    None for points of which it finds none.
    """
    try:
        IBUG68.map_to(records.markup)
    except InputError:
        return []
    predictor = Predictor.load(MODEL)
    chosen = np.linspace(0, len(records) - 1, min(SAMPLE, len(records))).round().astype(int)
    offsets, distances = np.zeros((len(chosen), 2)), np.zeros(len(chosen))
    for row, index in enumerate(chosen):
        image, box = records.image(index), records.boxes[index]
        for _ in range(ROUNDS):
            found = predictor.predict(image, box[None])[0]
            box = geometry.landmark_box(found)
        found = IBUG68.converted(found, records.markup)
        apart = (records.points[index] - found) / max(records.boxes[index, 2:].max(), 1.0)
        offsets[row] = np.nanmean(apart, axis=0)
        distances[row] = np.nanmean(np.linalg.norm(apart, axis=-1))
    middle = np.median(offsets, axis=0)
    around = np.linalg.norm(offsets - middle, axis=1)
    files = tuple(records.files[i] for i in chosen)
    if np.linalg.norm(middle) > OFFSET and np.median(around) < OFFSET:
        x, y = np.round(100 * middle)
        reason = (
            f"the points lie {abs(x):.0f} % of the face {'right' if x > 0 else 'left'} and "
            f"{abs(y):.0f} % {'below' if y > 0 else 'above'} of where {MODEL} "
            "sees them, all alike: is there a shift, by a margin or a crop that was cut off?"
        )
        return [Finding(reason, files, len(records), False)]
    if np.median(distances) > DISTANCE:
        far = tuple(name for name, away in zip(files, distances) if away > DISTANCE)
        reason = (
            f"{MODEL} sees the points elsewhere: are they mirrored, scaled, or those of "
            "other pictures? a preview of the training draws them"
        )
        return [Finding(reason, far, len(files), False)]
    return []
