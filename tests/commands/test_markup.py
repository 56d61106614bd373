import csv
import json

import cv2
import numpy as np
import pytest

from keypoints.commands.markup import markup
from keypoints.data.sources import load_records
from keypoints.errors import InputError
from keypoints.evaluation.markup_sheet import LEFT, RIGHT
from keypoints.markup import read_markup
from keypoints.media.pictures import encode_png
from keypoints.synthetic.drawing import draw_face
from tests.faces import FOUND

PLACES = [36, 45, 30, 48, 54]  # of the 68: eye corners, nose, mouth corners


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my faces"
    folder.mkdir()
    with open(folder / "points.csv", "w", newline="") as file:
        rows = csv.writer(file)
        for seed in FOUND[:6]:
            image, points = draw_face(seed)
            (folder / f"{seed}.png").write_bytes(encode_png(image))
            rows.writerow([f"{seed}.png", *points[PLACES].ravel().round(2)])
    return folder


def test_a_first_markup_has_pairs_mean_and_face_box(folder, tmp_path, capsys):
    markup(str(folder))
    found = read_markup(folder)
    assert found.name == "my faces" and found.count == 5
    assert found.pairs == ((0, 1), (3, 4)) and found.mean.shape == (5, 2)
    assert found.face_box[2] > 1.3 and found.face_box[3] > 1.3  # wider than eyes to mouth
    said = capsys.readouterr().out
    assert "written: 5 points, 2 mirror pairs, by the symmetry of the mean face" in said
    assert load_records(f"folder:{folder}", "all").markup == found
    sheet = cv2.imread(str(tmp_path / "markup-my faces.png"))[..., ::-1].astype(int)
    assert sheet.shape == (880, 1760, 3)
    for row in (sheet[:440], sheet[440:]):  # in the twins too, sides keep their colours
        for face in range(4):
            tile = row[:, 440 * face : 440 * (face + 1)]
            x = [
                np.flatnonzero((np.abs(tile - colour).sum(axis=-1) < 12).any(axis=0)).mean()
                for colour in (LEFT, RIGHT)
            ]
            assert x[0] < x[1] - 40


def test_wrong_pairs_are_seen_and_a_file_that_is_there_is_kept(folder, tmp_path, capsys):
    text = 'name = "mine"\npoints = 5\npairs = [[0, 3], [1, 4]]\n'
    (folder / "markup.toml").write_text(text)
    markup(str(folder), sheet="look.png")
    assert (folder / "markup.toml").read_text() == text
    assert "kept: 5 points, 2 mirror pairs, as before" in capsys.readouterr().out
    sheet = cv2.imread(str(tmp_path / "look.png"))
    assert sheet.shape == (880, 1760, 3)


def test_mistakes_are_said(folder, tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        markup("nowhere")
    with pytest.raises(InputError, match=r"--sheet=a\.txt"):
        markup(str(folder), sheet="a.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no annotations"):
        markup(str(tmp_path / "empty"))


def test_lines_that_a_file_draws_are_outlines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "coco"
    folder.mkdir()
    names = ["right eye", "left eye", "nose", "right mouth", "left mouth"]
    images, annotations = [], []
    for number, seed in enumerate(FOUND[:2]):
        image, points = draw_face(seed)
        (folder / f"{seed}.png").write_bytes(encode_png(image))
        images.append({"id": number, "file_name": f"{seed}.png"})
        values = [value for x, y in points[PLACES].tolist() for value in (x, y, 2)]
        annotations.append({"image_id": number, "category_id": 1, "keypoints": values})
    category = {"id": 1, "keypoints": names, "skeleton": [[1, 3], [3, 2], [4, 5]]}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    (folder / "coco.json").write_text(json.dumps(content))
    markup(str(folder))
    found = read_markup(folder)
    assert found.names == tuple(names) and found.pairs == ((0, 1), (3, 4))
    assert found.normaliser == "inter_pupil" and found.roles["nose_tip"] == (2,)
    assert found.outlines == {"line 1": ((0, 2, 1), False), "line 2": ((3, 4), False)}
