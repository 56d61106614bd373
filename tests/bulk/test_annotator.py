"""Pictures to rows: the points of one process, in batches that cross pictures."""

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keypoints.bulk import plan, tables, work
from keypoints.bulk.annotator import Annotator
from keypoints.bulk.inputs import list_sources, make_units, read_unit
from keypoints.bulk.store import Store
from keypoints.crop import Crop
from keypoints.filters import filter_digest
from keypoints.inference.detectors import MOVING, load_detector
from keypoints.inference.predictor import Predictor
from keypoints.media import pictures, videos
from keypoints.media.pictures import encode_png
from keypoints.network import Network
from keypoints.synthetic.drawing import draw_face
from tests.bulk.stand_ins import ODD, Answers, Detector, make_annotator, write_pictures
from tests.clips import write_clip
from tests.faces import FOUND


def test_batches_cross_pictures(tmp_path):
    """14 pictures with 1, 2, 3, 1, .. faces, 27 in all: one batch of 16, and what is left."""
    network = Answers()
    sources = write_pictures(tmp_path / "in", 14)
    (unit,) = make_units(sources, 100)
    rows = list(make_annotator(network).annotate(read_unit(unit)))
    assert [len(row.faces) for row in rows] == [1 + number % 3 for number in range(14)]
    scores = [[face["detector_score"] for face in row.faces] for row in rows]
    for number, found in enumerate(scores):  # each face has its own
        assert found == pytest.approx([0.9, 0.7, 0.5][: 1 + number % 3])
    # The ninth picture, the 18th face, fills the first group; 16 and 2 of it, then 9 in 16.
    assert network.batches == [16, 2, 16]


def test_few_pixels_are_kept_while_their_crops_wait(tmp_path, monkeypatch):
    monkeypatch.setattr("keypoints.bulk.annotator.GROUP_PIXELS", 2 * 24 * 32)
    network = Answers()
    sources = write_pictures(tmp_path / "in", 5)  # with 1, 2, 3, 1 and 2 faces
    write_clip(tmp_path / "clip.mp4", [np.zeros((24, 32, 3), np.uint8)] * 5)
    for unit in make_units(sources, 100):
        assert len(list(make_annotator(network).annotate(read_unit(unit)))) == 5
    assert network.batches == [4, 4, 2]  # 3 and 4 faces, and the last picture
    for unit in make_units([str(tmp_path / "clip.mp4")], 100):
        assert len(list(make_annotator(network).annotate(read_unit(unit)))) == 5
    assert network.batches[3:] == [8]  # frames are not kept


def test_a_picture_on_which_a_search_fails_is_a_row_with_the_reason(tmp_path):
    image = np.zeros((5, 7, 3), np.uint8)
    image[0, 0, 0] = ODD
    paths = [tmp_path / f"{name}.png" for name in ("a", "b", "c")]
    paths[0].write_bytes(encode_png(image))
    paths[1].write_bytes(b"no picture")
    paths[2].write_bytes(encode_png(np.zeros((5, 7, 3), np.uint8)))
    (unit,) = make_units(map(str, paths), 100)
    rows = list(make_annotator(Answers()).annotate(read_unit(unit)))
    first, second, third = (row.picture for row in rows)
    assert first["error"] == "an odd picture" and first["width"] is None
    assert second["error"].startswith(f"{paths[1]}: not a whole picture")
    assert third["error"] is None
    assert (third["width"], third["height"], third["faces"]) == (7, 5, 1)


def test_pictures_and_frames_have_a_detector_each(tmp_path):
    sources = write_pictures(tmp_path / "in", 2)
    write_clip(tmp_path / "clip.mp4", [np.zeros((24, 32, 3), np.uint8)] * 3)
    asked = {"still": 0, "moving": 0}

    class Counted(Detector):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def detect(self, image):
            asked[self.name] += 1
            return super().detect(image)

    predictor = Predictor(Network(Answers(), Crop(1.4)))
    detectors = Counted("still"), Counted("moving")
    annotator = Annotator(predictor, *detectors, model="stand-in", version="1")
    for unit in make_units([*sources, str(tmp_path / "clip.mp4")], 9):
        rows = list(annotator.annotate(read_unit(unit)))
        assert not any(row.picture["error"] for row in rows)
    assert asked == {"still": 2, "moving": 3}


class Wide(Answers):
    """Sees each face half as wide as its box."""

    def __call__(self, crops):
        found = super().__call__(crops)
        found.points[..., 0] = (found.points[..., 0] - 111.5) / 2 + 111.5
        return found


def test_faces_of_pictures_are_settled_and_those_of_frames_are_not(tmp_path):
    sources = write_pictures(tmp_path / "in", 2)
    write_clip(tmp_path / "clip.mp4", [np.zeros((24, 32, 3), np.uint8)] * 2)
    predictor = Predictor(Network(Wide(), Crop(1.4)))
    widths = [[], []]
    for source, found in zip((*sources, str(tmp_path / "clip.mp4")), (*[widths[0]] * 2, widths[1])):
        (unit,) = make_units([source], 9)
        for row in make_annotator(Wide()).annotate(read_unit(unit)):
            found += [face["width"] for face in row.faces]
            if found is widths[1]:
                continue
            image = next(pictures.open_picture(Path(source)).stills()).rgb()
            seen = Detector().detect(image)
            first = predictor.estimate(image, seen.boxes, seen.rolls)
            expected = predictor.settled(image, seen.boxes, first)
            points = [np.reshape(face["points"], (68, 2)) for face in row.faces]
            np.testing.assert_allclose(points, expected.points, atol=1e-3)
            scores = [face["score"] for face in row.faces]
            np.testing.assert_allclose(scores, expected.scores, atol=1e-4)
    # Boxes of 10 x 8 become 5 x 8, and those 4 x 6.4: 8 instead of 10 is the longer side.
    np.testing.assert_allclose(widths[0], [4, 4, 4], atol=1e-3)
    assert widths[1] == pytest.approx([5, 5], abs=1e-2)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Four drawn faces as files, in a tar shard, in a table and as frames; and the images."""
    folder = tmp_path_factory.mktemp("inputs")
    images = [draw_face(seed)[0] for seed in FOUND[:4]]
    files = [encode_png(image) for image in images]
    for number, data in enumerate(files[:2]):
        (folder / f"{number}.png").write_bytes(data)
    with tarfile.open(folder / "shard.tar", "w") as shard:
        for name, data in (("../../2.png", files[2]), ("2.json", b"{}"), ("._2.png", b"fork")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))
    (folder / ".hidden.png").write_bytes(files[3])
    cells = [{"bytes": files[3], "path": None}, {"bytes": None, "path": "0.png"}]
    pq.write_table(pa.table({"image": cells}), folder / "table.parquet", row_group_size=1)
    frames = [cv2.resize(image, (160, 160), interpolation=cv2.INTER_AREA) for image in images[:2]]
    write_clip(folder / "clip.mp4", frames)
    return folder, images


@pytest.fixture(scope="module")
def annotated(inputs, tmp_path_factory):
    """The output of the bundled small model for all of them, made in this process."""
    folder, _ = inputs
    output = tmp_path_factory.mktemp("annotated") / "out"
    store, predictor = Store(str(output)), Predictor.load("pretrained-small")
    facts = {"model": "pretrained-small", "filter_sha256": filter_digest("crown")}
    plan.write_facts(store, facts)
    job = work.Work(
        output=str(output),
        facts=tuple(facts.items()),
        model="pretrained-small",
        version=predictor.network.digest,
        filter="crown",
    )
    for unit in plan.plan_units(store, list_sources([str(folder)]), workers=1):
        work.annotate_unit(job, unit)
    return output


def test_all_kinds_of_inputs_have_the_points_of_one_process(inputs, annotated):
    folder, images = inputs
    predictor = Predictor.load("pretrained-small")
    found = {
        (row["source"], row["member"], row["frame"]): row
        for row in tables.read_table(str(annotated)).to_pylist()
    }
    expected = {
        (str(folder / "0.png"), "", 0): images[0],
        (str(folder / "1.png"), "", 0): images[1],
        (str(folder / "shard.tar"), "../../2.png", 0): images[2],
        (str(folder / "table.parquet"), "0", 0): images[3],
        (str(folder / "table.parquet"), "1", 0): images[0],
    }
    # Threads change the order of sums, and so a box by some 1e-5 pixels and rounded points by more.
    still = load_detector(threads=1)
    moving = load_detector(smallest=MOVING, rotations=False, threads=1)
    for number, (_, image) in enumerate(videos.read_frames(folder / "clip.mp4")):
        expected[str(folder / "clip.mp4"), "", number] = image
    assert found.keys() == expected.keys()
    for place, image in expected.items():
        row = found[place]
        assert row["time"] == (pytest.approx(0.1 * place[2]) if "clip" in place[0] else None)
        seen = (still if row["time"] is None else moving).detect(image)
        estimate = predictor.estimate(image, seen.boxes, seen.rolls)
        if row["time"] is None:
            estimate = predictor.settled(image, seen.boxes, estimate)
        points = np.reshape(row["points"], (68, 2))
        np.testing.assert_allclose(points, estimate.points[0], atol=1e-3)
        np.testing.assert_allclose(row["uncertainty"], estimate.uncertainty[0], atol=1e-3)
        box = [row[side] for side in ("left", "top", "width", "height")]
        np.testing.assert_allclose(box, [*points.min(0), *np.ptp(points, axis=0)], atol=1e-3)
        assert row["score"] > 0.5 and row["detector_score"] > 0.4 and abs(row["roll"]) < 40


def test_pictures_with_a_filter_stay_in_the_output(inputs, annotated):
    rows = tables.read_table(str(annotated), tables.PICTURES).to_pylist()
    assert len(rows) == 7 and not [row for row in rows if row["error"]]
    whole = set(annotated.parent.rglob("*.jpg"))
    assert whole == {annotated / row["filtered"] for row in rows}
    (row,) = [row for row in rows if row["member"] == "../../2.png"]
    drawn = pictures.decode_picture((annotated / row["filtered"]).read_bytes(), "drawn")
    assert drawn.shape == inputs[1][2].shape
    assert np.abs(drawn.astype(int) - inputs[1][2]).max() > 50
