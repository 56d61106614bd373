import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from keypoints.commands import cli
from keypoints.data.sources import load_records
from keypoints.media.pictures import encode_png
from keypoints.synthetic.drawing import draw_face
from tests.faces import FOUND


def run(*argv):
    cli.run_command(cli.load_command("convert"), list(argv), name="keypoints convert")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "photos/a.png")
    (tmp_path / "photos/faces.csv").write_text("picture,eye_x,eye_y,tip_x,tip_y\na.png,1,2,3.5,4\n")
    return tmp_path / "photos"


def test_the_result_and_what_is_lost_are_printed(folder, capsys):
    target = folder.parent / "out"
    run(str(folder), str(target), "--format=300w")
    out, err = capsys.readouterr()
    assert out == f"{target}: 1 picture, 1 face, 2 points (own)\n"
    assert err == "note: 300w has no names of points: only their order is kept\n"
    assert (target / "a.pts").read_text().splitlines()[3:5] == ["2.000 3.000", "4.500 5.000"]
    assert (target / "a.png").read_bytes() == (folder / "a.png").read_bytes()


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["--format=cocoa"], "error: format='cocoa' is not known; did you mean 'coco'?\n"),
        ([], "--format"),
        (["--format=wflw"], "error: format=wflw has 98 points; "),
    ],
)
def test_bad_input_is_one_line(folder, capsys, argv, reason):
    with pytest.raises(SystemExit) as stop:
        run(str(folder), str(folder.parent / "out"), *argv)
    err = capsys.readouterr().err
    assert stop.value.code == 2 and reason in err and err.count("\n") == 1
    assert not (folder.parent / "out").exists()


def test_proposals_can_be_accepted(folder):
    """What a person accepts in Label Studio moves from predictions to annotations."""
    run(str(folder), str(folder.parent / "out"), "--format=labelstudio-proposals")
    path = folder.parent / "out/tasks.json"
    tasks = [{**task, "annotations": task["predictions"]} for task in json.loads(path.read_text())]
    path.write_text(json.dumps(tasks))
    run(str(folder.parent / "out"), str(folder.parent / "csv"), "--format=csv")
    lines = (folder.parent / "csv/faces.csv").read_text().splitlines()
    assert lines == ["picture,eye_x,eye_y,tip_x,tip_y", "a.png,1.000,2.000,3.500,4.000"]


@pytest.fixture
def drawn(tmp_path):
    """Two drawn faces, and a picture without a face."""
    folder = tmp_path / "drawn"
    folder.mkdir()
    for seed in FOUND[:2]:
        (folder / f"{seed}.png").write_bytes(encode_png(draw_face(seed)[0]))
    Image.new("RGB", (90, 60)).save(folder / "sky.png")
    return folder


def test_a_model_proposes_for_cvat_and_the_corrections_come_back(drawn, capsys):
    out, back = drawn.parent / "cvat", drawn.parent / "csv"
    run(str(drawn), str(out), "--format=cvat", "--model=pretrained-small")
    printed, notes = capsys.readouterr()
    assert printed == f"{out}: 2 pictures, 2 faces, 68 points (ibug68)\n"
    assert notes == "note: left out, as no face is found: sky.png\n"
    (path,) = out.glob("*.xml")
    tree = ElementTree.parse(path)
    first = tree.find(f"image[@name='{FOUND[0]}.png']/skeleton[@label='face']")
    tip = first.find("points[@label='30']")
    x, y = map(float, tip.get("points").split(","))
    assert np.abs(np.array([x, y]) - draw_face(FOUND[0])[1][30]).max() < 8
    tip.set("points", f"{x + 4.5:.3f},{y:.3f}")  # a person drags the tip of the nose
    tree.write(path)
    run(str(out), str(back), "--format=csv")
    points = load_records(f"folder:{back}", "all").points
    assert len(points) == 2
    assert np.abs(points[0, 30] - [x + 4.5, y]).max() < 1e-3


def test_a_model_proposes_for_label_studio_and_the_corrections_come_back(drawn):
    out, back = drawn.parent / "studio", drawn.parent / "csv"
    run(str(drawn), str(out), "--format=labelstudio-proposals", "--model=pretrained-small")
    path = out / "tasks.json"
    tasks = json.loads(path.read_text())
    person = tasks[1].pop("predictions")  # the second is accepted, with the chin 10 % lower
    (chin,) = [r for r in person[0]["result"] if r["value"].get("keypointlabels") == ["8"]]
    before = chin["value"]["y"] * chin["original_height"] / 100
    chin["value"]["y"] += 10
    tasks[1]["annotations"] = person
    path.write_text(json.dumps(tasks))
    run(str(out), str(back), "--format=csv")
    records = load_records(f"folder:{back}", "all")
    assert list(records.files) == [f"{FOUND[1]}.png"]
    height = draw_face(FOUND[1])[0].shape[0]
    assert records.points[0, 8, 1] == pytest.approx(before + height / 10, abs=1e-3)


def test_faces_that_are_there_stay(drawn, capsys):
    points = draw_face(FOUND[0])[1]
    cells = ",".join(f"{value:.3f}" for value in points.ravel())
    (drawn / "points.csv").write_text(f"{FOUND[0]}.png,{cells}\n")
    run(str(drawn), str(drawn.parent / "out"), "--format=csv", "--model=pretrained-small")
    found = load_records(f"folder:{drawn.parent / 'out'}", "all").points
    assert np.abs(found[0] - points).max() < 2e-3
    assert 0.1 < np.abs(found[1] - draw_face(FOUND[1])[1]).mean() < 8


def test_pictures_without_any_face_are_refused(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (90, 60)).save(tmp_path / "in" / "sky.png")
    with pytest.raises(SystemExit):
        run(str(tmp_path / "in"), str(tmp_path / "out"), "--format=csv", "--model=pretrained-small")
    assert "no face found in its pictures" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
