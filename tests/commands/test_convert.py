import json

import pytest
from PIL import Image

from keypoints.commands import cli


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
