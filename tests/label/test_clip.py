import re
from pathlib import Path

import numpy as np
import pytest

from keypoints.commands.cli import run_command
from keypoints.commands.label import label
from keypoints.data.sources import load_records
from keypoints.errors import InputError
from keypoints.inference.predictor import Predictor
from keypoints.label import clip, server
from keypoints.label.proposals import Proposer
from keypoints.label.session import Session
from keypoints.markup import IBUG68, Markup
from keypoints.media.pictures import decode_picture
from keypoints.media.videos import read_frames
from keypoints.synthetic.clip import drawn_clip
from tests.clips import write_clip

TWO = Markup("two", ("left", "right"))
SQUARE = np.array([[0.0, 0.0], [50.0, 50.0]])  # a face of 50 pixels


def test_frames_that_moved_and_are_in_doubt_are_chosen():
    # Moved by 0, 10, 20, 30 and 30.5 pixels: 0, 0.2, 0.4, 0.6 and 0.61 of the face.
    points = SQUARE + np.array([0, 10, 20, 30, 30.5])[:, None, None] * [0, 1]
    doubts = np.array([0.04, 0.02, 0.01, 0.01, 0.01])
    # First the most doubtful, 0; then 0.61 * 0.01 is more than 0.2 * 0.02. From 0 and 4 then,
    # 0.2 * 0.02 is more than 0.21 * 0.01. Then 2 is as far from 1 as 1 from 0, and 3 is like 4.
    assert clip.chosen(points, doubts, TWO, 1) == [0]
    assert clip.chosen(points, doubts, TWO, 2) == [0, 4]
    assert clip.chosen(points, doubts, TWO, 3) == [0, 1, 4]
    assert clip.chosen(points, doubts, TWO, 9) == [0, 1, 2, 4]


def test_a_still_clip_gives_one_frame():
    points = SQUARE + np.linspace(0, 0.6, 30)[:, None, None]  # below 2 % of the face
    assert clip.chosen(points, np.ones(30), TWO, 20) == [0]


@pytest.fixture(scope="module")
def proposer():
    return Proposer(Predictor.load("pretrained-small"), IBUG68)


@pytest.fixture
def film(tmp_path):
    """A face that stands still for 12 frames, and moves in 18."""
    frames = [image for _, image in drawn_clip()][::8]
    return write_clip(tmp_path / "ada.mp4", [frames[0]] * 12 + frames[:18])


@pytest.mark.parametrize("count, stored", [(6, 6), (30, 18)])
def test_frames_of_a_clip_are_stored_as_shown(film, proposer, count, stored):
    seen = []
    folder = clip.take_frames(film, proposer, count=count, on_frame=lambda *at: seen.append(at))
    assert folder == film.with_name("ada.mp4-frames")
    shown = [image for _, image in read_frames(film)]
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == stored and seen[-1] == (29, 30)
    numbers = [int(re.fullmatch(r"ada-(\d{6})\.png", name)[1]) for name in names]
    # The first 13 frames show the same, and the others something else: 18 pictures, none twice.
    assert len({max(number, 12) for number in numbers}) == stored
    for number, name in zip(numbers, names):
        image = decode_picture((folder / name).read_bytes(), name)
        np.testing.assert_array_equal(image, shown[number])
    assert [path.name for path in film.parent.iterdir() if path.name.startswith(".")] == []


def test_places_are_those_of_a_turned_clip_as_shown(tmp_path, proposer):
    image = next(image for _, image in drawn_clip())
    turned = write_clip(tmp_path / "a.mp4", [np.rot90(image).copy()] * 3, turned={"degrees": -90})
    folder = clip.take_frames(turned, proposer)
    own = Session(folder, Predictor.load("pretrained-small"))
    (name,) = own.pictures
    assert own.image(name).shape == image.shape
    shown = own.faces(name)
    own.accept(name, shown["version"], shown["faces"])
    (points,) = load_records(f"folder:{folder}", "all").points
    expected = proposer.faces(image)[0].points
    assert np.abs(points - expected).max() < 6  # of a face of 300 pixels, after the encoder


def test_frames_that_are_there_stay_and_those_of_a_killed_run_go(film, proposer):
    part = film.with_name(".ada.mp4-frames.part")
    part.mkdir()
    (part / "old.png").write_bytes(b"half")
    folder = clip.take_frames(film, proposer, count=2)
    assert not part.exists() and len(list(folder.iterdir())) == 2
    (folder / "points.csv").write_text("")
    before = sorted(folder.iterdir())
    clip.take_frames(film, proposer, count=9)
    assert sorted(folder.iterdir()) == before


def test_a_clip_without_a_face_is_refused(tmp_path, proposer):
    path = write_clip(tmp_path / "a.mp4", [np.zeros((48, 64, 3), np.uint8)] * 3)
    with pytest.raises(InputError, match=r"a\.mp4: no face found in it"):
        clip.take_frames(path, proposer)
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


class Ended:
    """A server that ends at once."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass

    def serve_forever(self) -> None:
        pass


def test_the_command_takes_frames_once_and_goes_on(film, monkeypatch, capsys):
    opened: list[Session] = []
    monkeypatch.setattr(
        server, "open_server", lambda session, port: (opened.append(session), (Ended(), "at"))[1]
    )
    monkeypatch.setattr(Session, "propose_all", lambda self, stop: None)
    for argv in (["--frames=3"], []):
        run_command(label, [str(film), *argv])
        out = capsys.readouterr().out.splitlines()
        assert out == [f"{film}-frames: 3 frames of ada.mp4", "at"]
    assert [session.folder for session in opened] == [Path(f"{film}-frames")] * 2
    for argv, reason in (
        ([str(film), "--frames=4"], "-frames is there; leave it out to go on with it"),
        ([str(film.parent), "--frames=4"], "it is for a video"),
        ([str(film.with_name("b.mp4")), "--frames=0"], "1 or more is expected"),
        ([str(film.with_name("b.mp4"))], "b.mp4: No such file"),
    ):
        with pytest.raises(SystemExit):
            run_command(label, argv)
        assert reason in capsys.readouterr().err
