"""Pictures that an export is checked on: drawn faces, which need no data set."""

from keypoints.data.records import Example, Records, make_records
from keypoints.markup import Markup
from keypoints.synthetic.drawing import draw_face

DRAWN = 64
FIRST = 3_000_000  # seed; those of the data set of drawn faces are below


def drawn_faces(markup: Markup) -> Records:
    """`DRAWN` faces with exact points, the same each time.

    Their points are those of `markup` as far as they can be derived from the 68 of iBUG.
    """
    names = [f"drawn/{index:06d}" for index in range(DRAWN)]
    examples = [Example(name, name, *draw_face(FIRST + i)) for i, name in enumerate(names)]
    return make_records("drawn/validation", examples).converted(markup)
