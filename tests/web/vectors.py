"""What the Python code answers, for the tests of the browser page to compare with.

`python -m tests.web.vectors FOLDER` writes `vectors.json`, the pictures of drawn faces, one that
is damaged, and a clip of a moving face as Chromium's fake camera reads it.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from keypoints import expression, geometry, pose
from keypoints.crop import Crop
from keypoints.estimate import SCORE_THRESHOLD, Estimate, score_faces
from keypoints.filters import FOLDER, list_filters, load_filter
from keypoints.filters.head import find_head
from keypoints.filters.loose_pupil import Ball
from keypoints.filters.spec import Sticker
from keypoints.inference import tracking
from keypoints.inference.cuts import Cuts, small
from keypoints.inference.detectors import load_detector
from keypoints.inference.model_facts import write_facts
from keypoints.inference.predictor import Predictor
from keypoints.inference.smoothing import OneEuro, OneEuroRotation
from keypoints.inference.upright import upright_boxes
from keypoints.markup import IBUG68, Markup, bundled
from keypoints.media.landmark_csv import Row, writing
from keypoints.media.pictures import encode_png
from keypoints.network import Network
from keypoints.synthetic.clip import drawn_clip
from keypoints.synthetic.drawing import draw_face
from keypoints.web.models import model_constants
from tests.faces import FOUND, detections

FACES = 20
SEEDS = 40  # of drawn faces, from which the first that the detector finds are taken


def write_vectors(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    predictor, detector = Predictor.load("pretrained-small"), load_detector()
    faces = []
    for seed in range(SEEDS):
        image, _ = draw_face(seed)
        found = detector.detect(image)
        if len(found) != 1 or len(faces) == FACES:
            continue
        estimate = predictor.estimate(image)
        if estimate.scores[0] < SCORE_THRESHOLD:
            continue
        (folder / f"{seed}.png").write_bytes(encode_png(image))
        faces.append({
            "file": f"{seed}.png", "box": found.boxes[0], "roll": found.rolls[0],
            "points": estimate.points[0].ravel(), "score": estimate.scores[0],
        })  # fmt: skip
    assert len(faces) == FACES
    two = np.zeros((260, 520, 3), np.uint8)
    for left, seed in ((0, FOUND[0]), (260, FOUND[1])):
        image, _ = draw_face(seed)
        two[: image.shape[0], left : left + image.shape[1]] = image[:260, :260]
    (folder / "two.png").write_bytes(encode_png(two))
    group = np.full((900, 1200, 3), 96, np.uint8)  # searched at two sizes
    for number, seed in enumerate(FOUND[:6]):
        image, (top, left) = draw_face(seed)[0][:260, :260], divmod(number, 3)
        top, left = 60 + 420 * top, 40 + 390 * left
        group[top : top + image.shape[0], left : left + image.shape[1]] = image
    (folder / "group.png").write_bytes(encode_png(group))
    turned = []
    for turns in (1, 2, 3):
        image = np.rot90(draw_face(FOUND[3])[0], turns)
        large = np.full((700, 800, 3), 96, np.uint8)  # searched smaller
        large[300 : 300 + image.shape[0], 90 : 90 + image.shape[1]] = image
        (folder / f"turned{turns}.png").write_bytes(encode_png(large))
        points = predictor.predict(large)
        turned.append({"file": f"turned{turns}.png", "points": points[0].ravel()})
    (folder / "damaged.png").write_bytes((folder / faces[0]["file"]).read_bytes()[:400])
    # A slow film, in which a busy machine that sees few of its frames sees no cut, and back: where
    # it starts over there is none either.
    film = [frame for time, frame in drawn_clip() if time < 1]
    with open(folder / "camera.mjpeg", "wb") as clip:
        for frame in film + film[::-1]:
            clip.write(4 * cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes())
    half_score = predictor.network.half_score  # what the page has of this model
    values = {
        "faces": faces, "two": len(detector.detect(two)), "group": len(predictor.predict(group)),
        "turned": turned, **_geometry(folder, half_score), **_sequences(half_score),
        "cuts": _cuts(folder),
        "filters": _filters(folder), "cut": _cut(folder), "heads": _heads(),
        "model": model_constants(predictor.network), "own": _own(folder, predictor.network),
    }  # fmt: skip
    (folder / "vectors.json").write_text(json.dumps(_plain(values), allow_nan=False))


def _geometry(folder: Path, half_score: float) -> dict:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (37, 53, 3), np.uint8)
    crops = []
    boxes = [((8, 5, 20, 26), 0.0), ((-9, 3, 30, 24), 40.0), ((-300, -200, 700, 600), 0)]
    # The whole picture is less than a block of 50 x 50 pixels, near sample (112, 117).
    boxes.append(((-4005.5, -4255.5, 8010, 8010), 0))
    for box, roll in boxes:
        matrix = Crop(1.4).matrices(box, roll)
        crops.append({"box": box, "roll": roll, "matrix": matrix.ravel(),
                      "pixels": geometry.crop(image, matrix)[::9, ::7].ravel()})  # fmt: skip
    tilted = _turned(draw_face(FOUND[2])[1], 50)
    box, roll = upright_boxes(tilted[None])
    rotation, size = pose.fit_rotation(tilted)
    estimate = Estimate(tilted[None], np.linspace(1, 4, 68, dtype=np.float32)[None])
    smooth = cv2.resize(rng.integers(0, 256, (35, 45, 3), np.uint8), (900, 700))
    (folder / "smooth.raw").write_bytes(smooth.tobytes())
    reduced = []
    # In the middle, and in corners, where x and y differ most.
    places = [((300, 210, 500, 430), 0.0), ((-90, 333, 640, 500), 30.0)]
    places += [((10, 360, 330, 330), 0.0), ((500, 75, 330, 330), 0.0)]
    for place, turn in places:
        matrix = Crop(1.4).matrices(place, turn)
        reduced.append({"box": place, "roll": turn, "matrix": matrix.ravel(),
                        "pixels": geometry.crop(smooth, matrix)[::9, ::7].ravel()})  # fmt: skip
    openings = [float(expression.eye_opening(tilted)), float(expression.mouth_opening(tilted))]
    flat = []
    tiny = 1 / float(size)  # of which a head unit is a pixel
    shares = [(share, 1) for share in (0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.3)]
    for share in (*shares, (1.8 * tiny, 1.8 * tiny), (2.2 * tiny, 2.2 * tiny)):
        squeezed = tilted * share
        found = pose.fit_rotation(squeezed)[0]
        fit = None if np.isnan(found).any() else found.ravel()
        flat.append({"points": squeezed.ravel(), "rotation": fit})
    scattered = []  # the fit takes all its rounds
    for seed in (7, 20, 29):
        loose = tilted + np.random.default_rng(seed).normal(0, 20, tilted.shape)
        found, scale = pose.fit_rotation(loose)
        scattered.append({"points": loose.ravel(), "rotation": found.ravel(), "size": scale})
    scores = []
    for shift, grown in ((0, 1), (50, 1), (200, 1), (0, 1.7), (0, 1.9), (0, 0.5)):
        made = geometry.landmark_box(tilted)
        made = np.array([[made[0] + shift, made[1], made[2] * grown, made[3] * grown]])
        score = score_faces(estimate, made, (250, 240, 3), half_score=half_score)[0]
        scores.append({"box": made[0], "score": score})
    return {
        "image": {"width": 53, "height": 37, "data": image.ravel()},
        "crops": crops,
        "reduced": reduced,
        "resized": cv2.resize(image, (20, 13), interpolation=cv2.INTER_AREA).ravel(),
        "flat": flat,
        "scattered": scattered,
        "scores": scores,
        "tilted": {"points": tilted.ravel(), "openings": openings,
                   "box": box[0], "roll": roll[0],
                   "rotation": rotation.ravel(), "size": size, "angles": pose.angles(rotation),
                   "uncertainty": estimate.uncertainty[0],
                   "relative_uncertainty": estimate.relative_uncertainty()[0]},
    }  # fmt: skip


def _own(folder: Path, network: Network) -> dict:
    """A tilted face of five points with roles, and one of points of which only the mean is known.

    The table of the first has no pose and no openings; both are hidden by their boxes.
    """
    mean = bundled("five").mean
    five = replace(bundled("five"), name="mine", maps={})
    lone = Markup("lone", tuple("abcde"), mean=mean, face_box=(0.4, 0.7, 2.2, 1.9))
    found = {}
    for markup in (five, lone):
        points = _turned(mean * [120, 110] + [125, 115], 40)
        box, roll = upright_boxes(points[None], markup)
        estimate = Estimate(points[None], np.linspace(1, 3, 5, dtype=np.float32)[None])
        score = score_faces(estimate, box, (240, 250, 3), markup=markup, half_score=0.05)[0]
        face = tracking.Face(3, box[0], points, estimate.uncertainty[0], float(score),
                             np.full((3, 3), np.nan), markup=markup)  # fmt: skip
        with writing(folder / "own.csv", markup) as write:
            write(Row(7, 0.25, [face]))
        own = replace(network, markup=markup, half_score=0.05)
        found[str(markup.name)] = {
            "model": model_constants(own), "points": points.ravel(), "box": box[0],
            "roll": roll[0], "face_box": markup.face_boxes(points), "score": score,
            "uncertainty": estimate.uncertainty[0],
            "csv": (folder / "own.csv").read_bytes().decode(),
        }  # fmt: skip
    write_own_model(folder / "own.onnx", five)
    image, _ = draw_face(FOUND[0])
    (folder / "face-own.png").write_bytes(encode_png(image))
    own = Predictor.load(folder / "own.onnx").predict(image)
    (folder / "own.raw").write_bytes(np.ascontiguousarray(image).tobytes())
    for name in ("blur", "pixelate"):  # of the second frame: the face is gone, and still hidden
        filter = load_filter(name, five)
        filter.apply(image, own, ids=[4], timestamp=0.0)
        shown = filter.apply(image, [], ids=[], timestamp=0.1)
        (folder / f"own-{name}.raw").write_bytes(shown.tobytes())
    return {
        "five": found["mine"], "lone": found["lone"], "points": own[0].ravel(),
        "width": image.shape[1], "height": image.shape[0],
    }  # fmt: skip


def write_own_model(path: Path, markup: Markup) -> None:
    """An ONNX file that is sure to see the mean face in every crop."""
    import onnx
    from onnx import helper, numpy_helper

    crop = Crop(1.4)
    assert markup.mean is not None
    mean = markup.mean * (geometry.CROP / crop.scale) + (geometry.CROP - 1) / 2
    outputs = {"points": mean.reshape(1, -1), "uncertainty": np.full((1, markup.count), 1.5)}
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["colour"], axes=[1, 2], keepdims=0),
        helper.make_node("ReduceMean", ["colour"], ["light"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["light", "none"], ["nothing"]),
        *(helper.make_node("Add", ["nothing", f"{n}s"], [n]) for n in outputs),
    ]
    graph = helper.make_graph(
        nodes,
        "own",
        [helper.make_tensor_value_info("image", 1, ["batch", geometry.CROP, geometry.CROP, 3])],
        [helper.make_tensor_value_info(n, 1, ["batch", v.shape[1]]) for n, v in outputs.items()],
        [
            numpy_helper.from_array(np.zeros(1, np.float32), "none"),
            *(numpy_helper.from_array(np.float32(v), f"{n}s") for n, v in outputs.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    facts = {"crop": vars(crop), "half_score": 0.05, "run": {"data": "drawn"}}
    write_facts(path, facts | {"markup": markup.name}, markup)


def _turned(points: np.ndarray, degrees: float) -> np.ndarray:
    centre = points.mean(axis=0)
    return ((points - centre) @ geometry.rotation(degrees).T + centre).astype(np.float32)


class Script:
    """A predictor and a detector that know where the faces of each frame are."""

    markup = IBUG68

    def __init__(self, half_score: float) -> None:
        self.half_score = half_score
        self.faces = np.empty((0, 68, 2), np.float32)

    def detect(self, image: np.ndarray):
        return detections(geometry.landmark_box(self.faces).astype(np.float32))

    def estimate(self, image, boxes, rolls=None) -> Estimate:
        """The face whose centre is nearest to a box's, unsure where it is far away."""
        points, uncertainty = [], []
        for box in np.asarray(boxes, np.float64):
            centres = self.faces.mean(axis=1)
            away = np.linalg.norm(centres - (box[:2] + box[2:] / 2), axis=1)
            near = len(away) and away.min() < 40
            points.append(self.faces[away.argmin()] if near else np.zeros((68, 2)))
            uncertainty.append(np.full(68, 1.0 if near else 99.0))
        estimate = Estimate(np.float32(points), np.float32(uncertainty))
        boxes = np.asarray(boxes, np.float64)
        scores = score_faces(estimate, boxes, image.shape, half_score=self.half_score)
        return Estimate(estimate.points, estimate.uncertainty, scores)


def _sequences(half_score: float) -> dict:
    """Two faces, one of which is gone for some frames, through the tracker and the filters."""
    face, rng = draw_face(FOUND[0])[1], np.random.default_rng(5)
    face = face - face.mean(axis=0)
    script = Script(half_score)
    tracker = tracking.Tracker(script, detector=script)  # type: ignore[arg-type]
    euro, turn, frames, smooth = OneEuro(), OneEuroRotation(), [], []
    for number in range(60):
        time = number / 25
        first = _turned(face, 10 * np.sin(time)) + [150 + 60 * time, 120]
        shown = [first + rng.normal(0, 0.4, (68, 2))]
        if not 20 <= number < 26 and number < 50:
            shown.append(face * 0.8 + [450, 200 + 30 * time] + rng.normal(0, 0.4, (68, 2)))
        script.faces = np.float32(shown)
        found = tracker.update(np.zeros((480, 640, 3), np.uint8), time)
        frames.append({"time": time, "faces": [f.ravel() for f in script.faces],
                       "found": [{"id": f.id, "points": f.points.ravel(), "score": f.score,
                                  "rotation": f.rotation.ravel()} for f in found]})  # fmt: skip
        points = euro.smooth(script.faces[0], time)
        rotation = turn.smooth(pose.fit_rotation(script.faces[0])[0], time)
        smooth.append({"points": points.ravel(), "rotation": rotation.ravel()})
    return {
        "frames": frames,
        "smooth": smooth,
        "crossing": _crossing(face, half_score),
        "hidden": _hidden(face, half_score),
    }


def _crossing(face: np.ndarray, half_score: float) -> list[dict]:
    """A face that goes behind another one, which then leaves; at last the clip starts over."""
    scenes = []
    for number in range(100):
        time = number % 90 / 25
        behind = [] if 27 <= number < 41 else [face + [80 + 180 * time, 200]]
        scenes.append((time, behind + ([face * 0.9 + [325, 205]] if number < 60 else [])))
    return _followed(scenes, half_score)


def _hidden(face: np.ndarray, half_score: float) -> list[dict]:
    """A face stops before another one for longer than that is remembered, and goes on."""
    scenes = []
    for number in range(90):
        walker = 80 + 8 * (min(number, 30) + max(number - 65, 0))
        behind = [] if abs(walker - 320) < 50 else [face * 0.9 + [320, 205]]
        scenes.append((number / 25, [face + [walker, 200], *behind]))
    return _followed(scenes, half_score)


def _followed(scenes: list[tuple[float, list[np.ndarray]]], half_score: float) -> list[dict]:
    """Times and faces, with some noise, and what the tracker makes of them."""
    script, rng, frames = Script(half_score), np.random.default_rng(6), []
    tracker = tracking.Tracker(script, detector=script)  # type: ignore[arg-type]
    for time, shown in scenes:
        script.faces = np.float32([points + rng.normal(0, 0.4, (68, 2)) for points in shown])
        found = tracker.update(np.zeros((480, 640, 3), np.uint8), time)
        frames.append({"time": time, "faces": [f.ravel() for f in script.faces],
                       "found": [{"id": f.id, "points": f.points.ravel(), "score": f.score,
                                  "rotation": f.rotation.ravel()} for f in found]})  # fmt: skip
    return frames


def _cuts(folder: Path) -> list[dict]:
    """Frames, and whether another scene begins with each."""
    cuts, frames = Cuts(), []
    scenes = [cv2.resize(draw_face(seed)[0], (213, 120)) for seed in (0, 3, 5)]
    dark = (scenes[0] * 0.6).astype(np.uint8)
    moved = np.roll(scenes[1], 12, axis=1)
    black = np.zeros_like(dark)
    for number, image in enumerate(
        (scenes[0], scenes[0], dark, scenes[1], moved, scenes[2], 255 - scenes[2], black)
    ):
        (folder / f"scene-{number}.raw").write_bytes(image.tobytes())
        file = {"file": f"scene-{number}.raw", "width": 213, "height": 120}
        frames.append({**file, "cut": cuts.is_cut(image), "gray": small(image).ravel()})
    large = cv2.resize(draw_face(3)[0], (500, 410))
    (folder / "scene-large.raw").write_bytes(large.tobytes())
    file = {"file": "scene-large.raw", "width": 500, "height": 410}
    frames.append({**file, "cut": cuts.is_cut(large), "gray": small(large).ravel()})
    return frames


def _filters(folder: Path) -> list[dict]:
    """Each filter on a drawn face, whole and cut by two borders, three frames each."""
    image, points = draw_face(FOUND[0])
    image, points = cv2.resize(image, None, fx=2, fy=2), points * 2 + 0.5
    (folder / "face.png").write_bytes(encode_png(image))
    left, top = (int(side) for side in points.min(axis=0) + [0.3, -0.25] * np.ptp(points, axis=0))
    assert left > 0 and top > 0
    views = {"face": (image, points), "part": (image[top:, left:], points - [left, top])}
    for view, (shown, _) in views.items():
        (folder / f"{view}.raw").write_bytes(np.ascontiguousarray(shown).tobytes())
    drawn = []
    for name in list_filters():
        if name == "landmarks":  # drawn by the page itself
            continue
        art = _art(folder, name)
        for view, (before, place) in views.items():
            filter, shown = load_filter(name), before
            for number in range(3):
                moved = place + [2 * number, 0]
                shown = filter.apply(before, moved[None], ids=[0], timestamp=number / 30)
            after = f"filter-{name}-{view}.raw"
            (folder / after).write_bytes(shown.tobytes())
            drawn.append({
                "name": name, "before": f"{view}.raw", "after": after, "sizes": art,
                "width": shown.shape[1], "height": shown.shape[0], "points": place.ravel(),
            })  # fmt: skip
    return drawn


def _art(folder: Path, name: str) -> dict[str, list[int]]:
    """Width and height of the art of a filter by its place in the page, written as bytes."""
    sizes = {}
    for layer in load_filter(name).spec.layers:
        if isinstance(layer, Sticker):
            pixels = cv2.imread(str(FOLDER / name / layer.art), cv2.IMREAD_UNCHANGED)
            raw = np.ascontiguousarray(pixels[..., [2, 1, 0, 3]])
            (folder / f"{name}-{layer.art}.raw").write_bytes(raw.tobytes())
            sizes[f"filters/{name}/{layer.art}"] = [raw.shape[1], raw.shape[0]]
    return sizes


def _heads() -> dict:
    """Outlines of a tilted head, rotations, and a loose pupil that is thrown against its rim."""
    head = find_head(_turned(draw_face(FOUND[2])[1], 50))
    assert head is not None
    normals = [[0, 0, 1], [0, 0, -1], [1, 0, 0.02], [-1, 0, 0.02], [0.3, 1, 0.05], [0, -1, 0.05]]
    axes = [[0, 0, 0], [1e-7, 0, 0], [0.3, -0.2, 0.5], [0, 2.9, 0], [np.pi, 0, 0], [0, np.pi, 0],
            [0, 0, np.pi], [0.6 * np.pi, 0, 0.8 * np.pi],
            [0.48 * np.pi, -0.6 * np.pi, 0.64 * np.pi]]  # fmt: skip
    ball, places = Ball(np.array([0.6, 0.8])), []
    to_dish = np.array([[0.03, 0.02], [-0.015, 0.04]])
    for number in range(40):
        time = number / 30 + (0.9 if number > 32 else 0)  # at last a pause
        jerk = 400 * (number >= 27)  # faster than any pupil may roll
        centre = [50 + 25 * np.sin(number / 2) + jerk, 40 + 12 * np.cos(number / 3)]
        place = ball.step(time, np.array(centre), to_dish)
        places.append({"time": time, "centre": centre, "place": place})
    return {
        "face": head.face_outline(), "skull": head.skull_outline(),
        "away": [{"normal": n, "away": bool(head.faces_away(np.array(n)))} for n in normals],
        "rotations": [
            {"axis": axis, "matrix": cv2.Rodrigues(np.array(axis, np.float64))[0].ravel()}
            for axis in axes
        ],
        "ball": {"start": [0.6, 0.8], "to_dish": to_dish.ravel(), "places": places},
    }  # fmt: skip


def _cut(folder: Path) -> list[dict]:
    """The privacy filters on a face that the right and bottom border cut, in noise."""
    _, points = draw_face(FOUND[0])
    middle = points.mean(axis=0) * 2
    drawn = []
    for number, (x, y) in enumerate(((7, 4), (-40, 31), (90, -55), (-70, 90), (21, 18))):
        width, height = (int(side) for side in middle + [x, y])
        image = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
        (folder / f"cut-{number}.raw").write_bytes(image.tobytes())
        for name in ("blur", "pixelate"):
            shown = load_filter(name).apply(image, points[None] * 2, ids=[0], timestamp=0)
            file = f"cut-{number}-{name}.raw"
            (folder / file).write_bytes(shown.tobytes())
            drawn.append({
                "name": name, "before": f"cut-{number}.raw", "after": file,
                "width": width, "height": height, "points": points.ravel() * 2, "boxes": [],
            })  # fmt: skip
    for number, (width, height, *box) in enumerate(
        (
            (26, 22, 8, 7, 4, 4.6), (140, 110, -5, 30, 40, 52), (140, 110, 70, 20, 61, 50),
            # Above, below and beside the picture: what is inside is the edge.
            (60, 9, 5, -73, 50, 60), (60, 9, 5, 34, 50, 60),
            (9, 60, -64, 5, 50, 60), (9, 60, 24, 5, 50, 60),
            (90, 12, -60, -90, 200, 190), (12, 90, -90, -60, 190, 200),  # larger than the picture
        )
    ):  # fmt: skip
        image = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
        (folder / f"box-{number}.raw").write_bytes(image.tobytes())
        for name in ("blur", "pixelate"):
            file = f"box-{number}-{name}.raw"
            shown = load_filter(name).apply(image, [], boxes=[np.array(box)])
            (folder / file).write_bytes(shown.tobytes())
            drawn.append({
                "name": name, "before": f"box-{number}.raw", "after": file,
                "width": width, "height": height, "points": [], "boxes": [box],
            })  # fmt: skip
    return drawn


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


if __name__ == "__main__":
    write_vectors(Path(sys.argv[1]))
