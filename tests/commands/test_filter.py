import csv
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keypoints import filters, geometry
from keypoints.commands import filter as tool
from keypoints.commands.cli import run_command
from keypoints.errors import InputError
from keypoints.filters import pipeline
from keypoints.head_shape import MEAN_SHAPE
from keypoints.inference import tracking
from keypoints.inference.face import Face
from keypoints.inference.predictor import Predictor
from keypoints.live.sources import Source
from keypoints.markup import IBUG68
from keypoints.media import cameras, videos
from keypoints.media.pictures import encode_png
from keypoints.synthetic.shape import pose_head
from keypoints.system.atomic import keep_apart
from tests.clips import write_clip

WIDTH, HEIGHT, RATE, COUNT = 192, 128, 10.0, 6


class MarkedFaces:
    """In place of a tracker: a face of 60 pixels around every dot of red or green.

    A blue dot is a face that the detector sees and in which no points are found, or with
    `max_faces` one beyond that.
    """

    def __init__(self, predictor=None, *, max_faces=None, **options):
        self.max_faces = max_faces
        self.unsure = self.left = np.empty((0, 4))
        self.shot = 0

    def update(self, image, timestamp):
        faces = []
        for number, channel in enumerate((0, 1)):
            mask = (image[..., channel] > 200) & (image[..., 2] < 100)
            mask &= image[..., 1 - channel] < 100
            if mask.any():
                rows, columns = np.nonzero(mask)
                centre = np.array([columns.mean(), rows.mean()])
                points = pose_head(MEAN_SHAPE, 0, 0, 0.2, 60, centre).points.astype(np.float32)
                box = geometry.landmark_box(points)
                spread, upright = np.ones(68, np.float32), np.eye(3)
                faces.append(Face(number + 4, box, points, spread, 0.9, upright))
        blue = (image[..., 2] > 200) & (image[..., :2] < 100).all(axis=2)
        rows, columns = np.nonzero(blue)
        box = np.array([[columns.mean() - 8, rows.mean() - 9, 17, 19]]) if blue.any() else None
        none = np.empty((0, 4))
        self.unsure, self.left = none, none if box is None else box
        if self.max_faces is None:
            self.unsure, self.left = self.left, none
        return faces[: self.max_faces]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(pipeline, "Tracker", MarkedFaces)
    monkeypatch.setattr(tracking, "Tracker", MarkedFaces)
    monkeypatch.setattr(Predictor, "load", lambda path: SimpleNamespace(markup=IBUG68))


def picture(x=80.0, *, colour=(255, 20, 20)):
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    cv2.circle(image, (int(x), 70), 9, colour, -1)
    return image


def save(path, image):
    cv2.imwrite(str(path), image[..., ::-1])
    return path


def load(path):
    return cv2.imread(str(path))[..., ::-1]


def run(*arguments):
    run_command(tool.filter, [str(argument) for argument in arguments])


def stop(code, *arguments):
    with pytest.raises(SystemExit) as end:
        run(*arguments)
    assert end.value.code == code


def fail(capsys, *arguments):
    stop(2, *arguments)
    return capsys.readouterr().err


def test_a_picture(tmp_path, capsys):
    path = save(tmp_path / "me.png", picture())
    run(path, "--filter=crown")
    shown = load(tmp_path / "me-crown.png")
    points = MarkedFaces().update(picture(), 0)[0].points
    assert (shown == filters.load_filter("crown").apply(picture(), points[None])).all()
    assert (load(path) == picture()).all()
    assert "me-crown.png: 1 face" in capsys.readouterr().out


def test_a_picture_with_transparency_and_another_output(tmp_path):
    path = tmp_path / "me.png"
    cv2.imwrite(
        str(path), np.dstack([picture()[..., ::-1], np.full((HEIGHT, WIDTH), 255, np.uint8)])
    )
    run(path, "--filter=blur", f"--output={tmp_path / 'hidden.jpg'}")
    hidden = load(tmp_path / "hidden.jpg").astype(int)
    assert hidden.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(hidden - picture())[:20].max() < 8  # far from the face, but for JPEG's error
    assert np.abs(hidden - picture())[65:75, 75:85].mean() > 20


def test_a_folder_says_what_became_of_each_file(tmp_path, capsys):
    folder = tmp_path / "in"
    (folder / "deep" / "er").mkdir(parents=True)
    save(folder / "a.png", picture())
    save(folder / "b.jpg", picture(120, colour=(20, 255, 20)))
    save(folder / "c.png", np.full((HEIGHT, WIDTH, 3), 7, np.uint8))  # nobody in it
    clip(folder / "deep" / "v.mp4", [50, 60, 70])
    save(folder / "deep" / "er" / "e.png", picture())
    save(folder / "deep" / ".hidden.png", picture())
    for name in ("notes.txt", "deep/x.TXT", "README"):
        (folder / name).write_text("hello")
    (folder / "d.png").write_bytes(b"no picture")
    stop(2, folder, "--filter=pixelate", f"--points={tmp_path / 'p.csv'}")
    out, error = capsys.readouterr()
    lines = out.splitlines()
    assert lines[:4] == [
        "a.png: 1 face covered",
        "b.jpg: 1 face covered",
        "c.png: no face found",
        "deep/er/e.png: 1 face covered",
    ] or lines[3].startswith("deep/v.mp4: 3 frames, 192 x 128")
    assert lines[5:8] == [
        "done: 4 pictures and 1 video, 4 faces covered; no face found in 1",
        "left alone: 2 .txt, 1 without extension",
        "failed: 1",
    ]
    assert lines[8].startswith("  d.png: ") and "d.png: not a whole picture" in lines[8]
    assert "d.png: left out; " in error and "d.png: not a whole picture" in error
    target = tmp_path / "in-pixelate"
    made = sorted(str(path.relative_to(target)) for path in target.rglob("*.*"))
    assert made == ["a.png", "b.jpg", "c.png", "deep/er/e.png", "deep/v.mp4"]
    assert (load(target / "c.png") == 7).all()
    rows = list(csv.DictReader((tmp_path / "p.csv").open()))
    assert [row["file"] for row in rows if "v.mp4" not in row["file"]] == [
        "a.png", "b.jpg", "deep/er/e.png",
    ]  # fmt: skip
    assert [row["frame"] for row in rows if row["file"] == "deep/v.mp4"] == ["0", "1", "2"]
    (folder / "d.png").unlink()
    (folder / "c.png").unlink()
    run(folder, "--filter=pixelate")  # exit code 0
    assert "done: 3 pictures and 1 video, 4 faces covered\n" in capsys.readouterr().out


def test_an_interrupted_folder_goes_on(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abcd":
        save(folder / f"{name}.png", picture())
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        stop(130, folder, "--filter=crown")
    out, error = capsys.readouterr()
    assert "done: 2 pictures, 2 faces" in out and "not begun: 2" in error
    changed = {p: p.stat().st_mtime_ns for p in (tmp_path / "in-crown").iterdir()}
    run(folder, "--filter=crown", "--skip_existing=True")
    out = capsys.readouterr().out.splitlines()
    assert out == ["c.png: 1 face", "d.png: 1 face", "done: 2 pictures, 2 faces",
                   "already there: 2"]  # fmt: skip
    assert all(path.stat().st_mtime_ns == when for path, when in changed.items())
    run(folder / "a.png", f"--output={tmp_path / 'in-crown' / 'a.png'}", "--skip_existing=True")
    assert "a.png is already there" in capsys.readouterr().out


def test_several_inputs_go_to_a_folder_or_beside_each(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("x/1.png", "x/2.png", "y/1.png", "z.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save(tmp_path / name, picture())
    run("z.png", "x", "y", "--filter=crown", "--output=o")
    made = sorted(str(p.relative_to("o")) for p in Path("o").rglob("*.png"))
    assert made == ["x/1.png", "x/2.png", "y/1.png", "z.png"]
    assert "y/1.png: 1 face\n" in capsys.readouterr().out
    run("x/1.png", "x/2.png", "--filter=crown")
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == [
        "1-crown.png", "1.png", "2-crown.png", "2.png",
    ]  # fmt: skip
    assert "would replace the file of --output" in fail(
        capsys, "x/1.png", "y/1.png", "--output=p", "--filter=crown"
    )
    assert "a camera or a stream must be the only input" in fail(capsys, "z.png", "0")


def test_an_output_in_the_folder_is_not_read_again(tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "a.png", picture())
    for _ in range(3):
        run(folder, "--filter=crown", f"--output={folder / 'out'}")
        assert "done: 1 picture, 1 face\n" in capsys.readouterr().out


def test_a_folder_of_10000_pictures_starts_in_two_seconds(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    data = encode_png(np.zeros((2, 2, 3), np.uint8))
    for number in range(10_000):
        (folder / f"{number}.png").write_bytes(data)
    begin = time.process_time()
    tasks, _ = tool.plan([Source.parse(str(folder))], "crown", None)
    keep_apart([Path(t.source) for t in tasks], [("--output", t.target) for t in tasks])
    assert len(tasks) == 10_000 and time.process_time() - begin < 2


def test_points_as_lines_on_standard_output(tmp_path, capsys):
    path = clip(tmp_path / "clip.mp4", [50, None, 70])
    run(path, "--filter=crown", "--points=-")
    out, error = capsys.readouterr()
    frames = [json.loads(line) for line in out.splitlines()]
    assert [frame["frame"] for frame in frames] == [0, 1, 2]
    assert [frame["time"] for frame in frames] == pytest.approx([0, 0.1, 0.2], abs=0.01)
    assert {(frame["width"], frame["height"]) for frame in frames} == {(WIDTH, HEIGHT)}
    assert [len(frame["faces"]) for frame in frames] == [1, 0, 1]
    face = frames[2]["faces"][0]
    assert (face["id"], face["origin"], face["score"]) == (4, "found", 0.9)
    assert np.shape(face["points"]) == (68, 2)
    assert face["points"][30][0] == pytest.approx(70, abs=12) and face["eye_opening"] > 0.1
    assert "clip-crown.mp4: 3 frames" in error


def test_a_picture_without_a_face_exits_1(tmp_path, capsys):
    path = save(tmp_path / "wall.png", np.full((HEIGHT, WIDTH, 3), 120, np.uint8))
    stop(1, path)
    assert capsys.readouterr().out == f"{tmp_path / 'wall-sunglasses.png'}: no face found\n"
    assert (load(tmp_path / "wall-sunglasses.png") == 120).all()


def crowd():
    """Two faces, and one that only the detector sees."""
    image = picture(50)
    cv2.circle(image, (130, 70), 9, (20, 255, 20), -1)
    cv2.circle(image, (180, 20), 5, (20, 20, 255), -1)
    return image


def test_a_face_without_points_is_covered_by_its_box(tmp_path, capsys):
    path = save(tmp_path / "crowd.png", crowd())
    table = tmp_path / "p.csv"
    run(path, "--filter=blur", f"--points={table}")
    assert capsys.readouterr().out.endswith("crowd-blur.png: 3 faces covered\n")
    assert np.abs(load(tmp_path / "crowd-blur.png")[20, 180].astype(int) - (20, 20, 255)).max() > 25
    rows = list(csv.DictReader(table.open()))
    assert [row["origin"] for row in rows] == ["found", "found", "box"]
    assert (rows[2]["left"], rows[2]["width"], rows[2]["x0"]) == ("172.00", "17.00", "nan")
    run(path, "--filter=crown", f"--points={table}")  # a sticker needs points
    assert capsys.readouterr().out.endswith("crowd-crown.png: 2 faces\n")
    assert [row["origin"] for row in csv.DictReader(table.open())] == ["found", "found"]


def test_a_face_that_stays_uncovered_is_said_with_its_place(tmp_path, capsys):
    path = save(tmp_path / "crowd.png", crowd())
    stop(1, path, "--filter=blur", "--max_faces=2", f"--points={tmp_path / 'p.csv'}")
    said = "crowd-blur.png: 2 faces covered; 1 more seen and NOT covered: 17 x 19 pixels at (172, "
    assert said in capsys.readouterr().out
    assert (load(tmp_path / "crowd-blur.png")[16:25, 176:185] == crowd()[16:25, 176:185]).all()
    rows = list(csv.DictReader((tmp_path / "p.csv").open()))
    assert [row["origin"] for row in rows] == ["found", "found", "left"]
    run(path, "--filter=crown", "--max_faces=2")  # a sticker protects nobody
    assert capsys.readouterr().out.endswith("crowd-crown.png: 2 faces\n")


def test_faces_limits_how_many_are_drawn_on(tmp_path, capsys):
    path = save(tmp_path / "crowd.png", crowd())
    run(path, "--filter=crown", "--max_faces=1")
    assert capsys.readouterr().out.endswith("crowd-crown.png: 1 face\n")
    assert "--max_faces=0: a whole number of at least 1" in fail(capsys, path, "--max_faces=0")


def test_a_video_says_when_faces_stay_uncovered(tmp_path, capsys):
    path = tmp_path / "clip.avi"
    write_clip(path, [picture(50), picture(55), crowd(), crowd()], codec="mpeg4")
    stop(1, path, "--filter=pixelate", "--max_faces=2")
    last = capsys.readouterr().out.splitlines()[-1]
    assert "at most 2 faces covered at once; 1 more seen and NOT covered in 2 frames" in last
    assert ", first at 0.2 s: " in last


def clip(path, positions):
    gray = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    images = [gray if x is None else picture(x) for x in positions]
    codec = "mpeg4" if path.suffix == ".avi" else "libx264"
    return write_clip(path, images, codec=codec, options={"g": "1"})


def test_a_video_keeps_size_rate_and_length(tmp_path, capsys):
    path = clip(tmp_path / "clip.mp4", [50, 60, 70, None, 90, 100])
    table = tmp_path / "faces.csv"
    run(path, "--filter=googly_eyes", f"--points={table}")
    made = tmp_path / "clip-googly_eyes.mp4"
    assert videos.probe(made) == videos.Video(WIDTH, HEIGHT, RATE, COUNT)
    before, after = ([image for _, image in videos.read_frames(p)] for p in (path, made))
    differences = [np.abs(a.astype(int) - b).mean() for a, b in zip(before, after)]
    assert differences[3] < 0.7 * min(differences[:3] + differences[4:])
    rows = list(csv.DictReader(table.open()))
    assert [row["frame"] for row in rows] == ["0", "1", "2", "4", "5"]
    assert {row["id"] for row in rows} == {"4"}
    assert float(rows[3]["timestamp"]) == pytest.approx(0.4, abs=0.01)
    assert float(rows[2]["x30"]) == pytest.approx(70, abs=12)
    out, error = capsys.readouterr()
    assert "6 frames, 192 x 128, 10 a second; at most" in out
    assert out.endswith("; at most 1 face at once, none found in 1 frame\n") and not error


def test_a_video_that_breaks_off_is_done_as_far_as_it_goes(tmp_path, capsys):
    path = clip(tmp_path / "clip.avi", [50 + 2 * k for k in range(20)])
    data = path.read_bytes()
    path.write_bytes(data[: (data.index(b"movi") + data.index(b"idx1")) // 2])
    run(path, "--filter=moustache")
    out, error = capsys.readouterr()
    done = int(out.split(".avi: ")[1].split(" frames")[0])
    assert 5 < done < 15
    assert "breaks off at " in error and " of 2.00 seconds" in error
    assert videos.probe(tmp_path / "clip-moustache.avi").count == done


def test_a_camera_is_recorded_at_its_own_speed_until_ctrl_c(tmp_path, monkeypatch, capsys):
    def live_frames(source, idle):
        assert source == "0"
        for seconds in (0.0, 0.1, 0.5, 1.0):
            yield seconds, picture()
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cameras, "live_frames", live_frames)
    run("0", "--filter=moustache", "--points=p.csv")
    times, images = zip(*videos.read_frames(tmp_path / "camera-moustache.mp4"))
    assert times == pytest.approx([0.0, 0.1, 0.5, 1.0], abs=1e-3)
    assert images[0].shape == (HEIGHT, WIDTH, 3)
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 1 + 4
    assert "1.0 seconds" in capsys.readouterr().out


def test_a_camera_that_is_not_there_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "77: no frame comes from this camera" in fail(capsys, "77")
    assert list(tmp_path.iterdir()) == []


def interrupt_at(monkeypatch, frame):
    calls = []
    update = MarkedFaces.update

    def interrupted(self, image, timestamp):
        calls.append(timestamp)
        if len(calls) == frame:
            raise KeyboardInterrupt
        return update(self, image, timestamp)

    monkeypatch.setattr(MarkedFaces, "update", interrupted)


def test_ctrl_c_leaves_the_video_and_the_table_so_far(tmp_path, monkeypatch, capsys):
    path = clip(tmp_path / "clip.mp4", [50, 60, 70, 80])
    interrupt_at(monkeypatch, 3)
    stop(130, path, f"--output={tmp_path / 'out.mp4'}", f"--points={tmp_path / 'p.csv'}")
    assert len(list(videos.read_frames(tmp_path / "out.mp4"))) == 2
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 1 + 2
    out, error = capsys.readouterr()
    assert "out.mp4: 2 frames" in out and "out.mp4 ends at 0.1 seconds" in error


def test_ctrl_c_before_the_first_frame_keeps_what_was_there(tmp_path, monkeypatch):
    path = clip(tmp_path / "clip.mp4", [50, 60])
    (tmp_path / "out.mp4").write_bytes(b"precious")
    interrupt_at(monkeypatch, 1)
    stop(130, path, f"--output={tmp_path / 'out.mp4'}")
    assert (tmp_path / "out.mp4").read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]


def test_a_camera_that_fails_keeps_what_was_recorded(tmp_path, monkeypatch, capsys):
    def live_frames(source, idle):
        yield 0.0, picture()
        yield 0.1, picture()
        raise InputError("0: reading failed: the cable is loose")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cameras, "live_frames", live_frames)
    stop(2, "0", "--filter=moustache")
    assert len(list(videos.read_frames("camera-moustache.mp4"))) == 2
    assert "error: 0: reading failed: the cable is loose" in capsys.readouterr().err


def test_list_prints_all_and_writes_a_picture(tmp_path, capsys):
    sheet = tmp_path / "sheet.jpg"
    run("--filter=list", f"--output={sheet}")
    out = capsys.readouterr().out
    assert all(f"\n{name} " in "\n" + out for name in filters.list_filters())
    assert str(sheet) in out
    assert load(sheet).shape[1] > 1000
    assert sheet.stat().st_size < 400_000  # small enough for the README


def test_list_on_a_picture_of_ones_own(tmp_path, capsys):
    path = save(tmp_path / "me.png", picture())
    run(path, "--filter=list", f"--output={tmp_path / 'sheet.png'}")
    assert load(tmp_path / "sheet.png").shape[1] < 500  # one face, not four drawn ones
    wall = save(tmp_path / "wall.png", np.full((50, 60, 3), 90, np.uint8))
    assert "no face was found" in fail(capsys, wall, "--filter=list", "--output=x.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--filter=crown"], "INPUT is missing"),
        (["gone.png"], "gone.png: no such file or folder"),
        (["me.png", "--filter=crwn"], "did you mean 'crown'?"),
        (["me.png", "--fliter=crown"], "unknown flag --fliter; did you mean '--filter'?"),
        (["me.png", "--output=me.png"], "--output=me.png: would replace the input"),
        (["me.png", "--output=./x/../me.png"], "would replace the input"),
        (["me.png", "--output=link.png"], "would replace the input"),
        (["me.png", "--output=hard.png"], "would replace the input"),
        (["me.png", "--points=me.png"], "--points=me.png: would replace the input"),
        (["me.png", "--output=a.png", "--points=a.png"], "would replace the file of --output"),
        (["me.png", "--filter=crown", "--points=me-crown.png"], "replace the file of --output"),
        (["full", "--points=full/me.png"], "--points=full/me.png: would replace the input"),
        (["full", "--output=full"], "would replace the input"),
        (["full", "--output=me.png"], "--output=me.png is a file; a folder is expected"),
        (["me.png", "--points=p.png"], "--points=p.png: a .csv file is expected"),
        (["full", "--output=o", "--points=o/me.png"], "would replace the file of --output"),
        (["me.png", "--output=folder.png"], "cannot write folder.png: Is a directory"),
        (["me.png", "--quality=best"], "--quality=best: one of high, medium, small"),
        (["--filter=list", "me.png", "--output=me.png"], "would replace the input"),
        (["me.png", "--output=me.txt"], "me.txt: a picture's name ends in .jpg"),
        (["me.png", "--output=gone/me.png"], "cannot write gone/me.png"),
        (["me.png", "--points=gone/p.csv"], "cannot write gone/p.csv"),
        (["me.txt"], "me.txt: neither a picture nor a video"),
        (["broken.png"], "broken.png: not a whole picture"),
        (["broken.mp4"], "broken.mp4: not a video"),
        (["empty"], "empty: no picture or video in this folder"),
        (["--filter=list", "--points=p.csv"], "--points=p.csv: is of no use with --filter=list"),
        (["--filter=list", "--max_faces=-4"], "--max_faces=-4: is of no use with --filter=list"),
        (["--filter=list", "--quality=foo"], "--quality=foo: is of no use with --filter=list"),
        (["--filter=list", "me.png", "me.txt"], "'me.txt': one picture at most"),
        (["--filter=list", "--output=sheet.txt"], "--output=sheet.txt: a picture's name"),
    ],
)
def test_errors_name_the_cause_and_exit_2(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "me.png", picture())
    for name in ("me.txt", "broken.png", "broken.mp4"):
        (tmp_path / name).write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "full").mkdir()
    save(tmp_path / "full" / "me.png", picture())
    (tmp_path / "link.png").symlink_to("me.png")
    (tmp_path / "hard.png").hardlink_to("me.png")
    before = sorted(tmp_path.rglob("*"))
    assert message in fail(capsys, *arguments)
    assert sorted(tmp_path.rglob("*")) == before


def test_without_a_model_it_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.undo()  # the real loading
    path = save(tmp_path / "me.png", picture())
    assert "gone" in fail(capsys, path, f"--model={tmp_path / 'gone'}")


def test_progress_goes_to_a_terminal_only(capsys, monkeypatch):
    progress = tool.Progress("frames")
    progress.show(3, 10)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress.show(5, 10)
    assert "5/10 frames" in capsys.readouterr().err
