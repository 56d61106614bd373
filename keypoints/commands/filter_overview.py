"""`keypoints filter --filter=list`: the names of the filters, and a picture of them."""

from collections.abc import Sequence
from pathlib import Path

from keypoints.errors import InputError
from keypoints.system.atomic import keep_apart


def list_filters(input: Sequence[str], output: str | None, model: str, detector: str) -> None:
    """Print the filters and write an overview image, on drawn faces or on those of a picture."""
    from keypoints import filters
    from keypoints.filters.gallery import draw_sheet
    from keypoints.inference.detectors import load_detector
    from keypoints.inference.predictor import Predictor
    from keypoints.inference.tracking import Tracker
    from keypoints.media import formats, picture_writer, pictures

    if len(input) > 1:
        raise InputError(f"{input[1]!r}: one picture at most is expected with --filter=list")
    target = Path(output) if output is not None else Path("filters.png")
    if target.suffix.lower() not in formats.PICTURES:
        known = ", ".join(formats.PICTURES)
        raise InputError(f"--output={target}: a picture's name ends in {known}")
    faces = None
    if input:
        path = Path(input[0])
        if not path.is_file():
            raise InputError(f"{path}: no such picture; --filter=list shows filters on a picture")
        keep_apart([path], [("--output", target)])
        image = next(pictures.open_picture(path).stills()).rgb()
        tracker = Tracker(Predictor.load(model), max_faces=4, detector=load_detector(detector))
        faces = [(image, face.points) for face in tracker.update(image, 0.0)]
        if not faces:
            raise InputError(f"{path}: no face was found to show the filters on")
    for name in filters.list_filters():
        print(f"{name:<15}{filters.load_filter(name).spec.description}")
    picture_writer.save(target, [pictures.Still(draw_sheet(faces))], quality="medium")
    print(f"a picture of them: {target}")
