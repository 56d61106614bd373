from dataclasses import replace

import numpy as np

from experiments.label_loop import measure
from experiments.label_loop.measure import Face
from keypoints.data.sources import load_records
from keypoints.label.proposals import Proposal, face_size
from keypoints.markup import IBUG68
from keypoints.synthetic.drawing import draw_face

NINE = measure.nine()
POINTS = NINE.mean @ [[0, 100], [-80, 0]] + [200, 150]  # turned by a quarter, and stretched
FACE = Face(7, np.zeros((4, 4, 3), np.uint8), POINTS)
SIZE = face_size(NINE, POINTS)


class Proposes:
    markup = NINE

    def __init__(self, *points):
        self.points = points

    def faces(self, image):
        return [Proposal(points, 0.1 * i) for i, points in enumerate(self.points)]

    def face_in(self, image, box):
        np.testing.assert_allclose(box, NINE.face_boxes(POINTS))
        return Proposal(POINTS + 1, 0.7)


def test_the_nine_points_are_in_the_face_box_of_ibug():
    mean = np.asarray(IBUG68.mean, float) * 300 + 500
    nine = mean[list(measure.POINTS.values())]
    np.testing.assert_allclose(NINE.face_boxes(nine), IBUG68.face_boxes(mean), atol=0.3)
    swapped = [name.replace("left", "*").replace("right", "left").replace("*", "right")
               for name in NINE.names]  # fmt: skip
    assert [NINE.names[i] for i in NINE.mirror] == swapped


def test_two_clicks_on_the_eyes_lay_the_mean_face():
    turned = NINE.mean @ [[60, 80], [-80, 60]] + [30, 40]  # 100 times, by 53 degrees
    face = replace(FACE, points=turned)
    np.testing.assert_allclose(measure.from_scratch(face, NINE), turned, atol=1e-4)


def test_points_that_are_off_by_more_than_two_percent_are_moved():
    away = np.zeros((9, 2))
    away[2, 0], away[3, 1], away[4] = 0.021 * SIZE, 0.019 * SIZE, (-0.015 * SIZE, 0.015 * SIZE)
    off = measure.is_off(POINTS + away, FACE, NINE)
    assert off.tolist() == [False, False, True, False, True, False, False, False, False]
    accepted = measure.labelled(FACE, POINTS + away, NINE)
    away[[2, 4]] = 0
    np.testing.assert_allclose(accepted, POINTS + away)


def test_the_nearest_proposal_counts_and_a_missed_face_is_drawn():
    points, doubt = measure.proposed(FACE, Proposes(POINTS + 900, POINTS + 2, POINTS + 5))
    np.testing.assert_allclose(points, POINTS + 2)
    assert doubt == 0.1
    for proposer in (Proposes(), Proposes(POINTS + 900)):
        assert measure.proposed(FACE, proposer)[1] == 0.7


def test_the_table_counts_points_and_faces():
    off = POINTS.copy()
    off[[0, 5, 8], 1] += 0.09 * SIZE
    line = measure.row("x", [FACE, FACE], [off, POINTS])
    assert line == "| x | 1.5 | 50 % | 1.50 % |"  # of 2 faces; 3 x 9 % / 9 points / 2


def test_the_folder_is_read_by_training(tmp_path):
    (face,) = measure.drawn(range(5, 6))
    measure.write_folder(tmp_path / "faces", [face], [face.points])
    records = load_records(f"folder:{tmp_path / 'faces'}", "all")
    assert records.markup.names == NINE.names and records.files == ("5.png",)
    np.testing.assert_allclose(records.points[0], face.points, atol=1e-3)


def test_faces_in_doubt_come_first(monkeypatch):
    doubts = {1: 0.1, 2: 0.4, 3: 0.2}
    monkeypatch.setattr(measure, "proposed", lambda face, _: (POINTS, doubts[face.seed]))
    faces = [replace(FACE, seed=seed) for seed in doubts]
    assert [face.seed for face in measure.in_doubt_first(faces, Proposes())] == [2, 3, 1]


def test_drawn_points_are_those_of_ibug():
    (face,) = measure.drawn(range(2000, 2001))
    assert NINE.names[4] == "nose tip" and NINE.names[6] == "left mouth corner"
    np.testing.assert_array_equal(face.points[[4, 6]], draw_face(2000)[1][[30, 54]])
