from types import SimpleNamespace

import numpy as np
import pytest

from keypoints.commands.cli import run_command
from keypoints.commands.label import label
from keypoints.data.sources import load_records
from keypoints.errors import InputError
from keypoints.label import rounds, session
from keypoints.label.proposals import Proposal
from keypoints.label.rounds import Accepted
from keypoints.label.session import Session
from keypoints.markup import IBUG68
from keypoints.media.pictures import encode_png

# A face of 40 x 90 pixels: its size is 60.
FACE = np.full((68, 2), 50.0)
FACE[0], FACE[1] = (30, 5), (70, 95)


@pytest.fixture
def opened(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(encode_png(np.zeros((100, 100, 3), np.uint8)))
    own = Session(tmp_path, None, "runs/one", "1234")  # type: ignore[arg-type]
    moved = FACE.copy()
    moved[5] += (0, 68 * 3)  # the mean over the points is 3 pixels, 5 % of the face
    moved[6] = np.nan
    own._proposals = {"a.png": [Proposal(moved, 0.1)], "b.png": [], "c.png": []}
    return own, clock


def plain(points):
    return {"points": points.tolist(), "covered": []}


def accept(own, name, faces):
    own.accept(name, own.faces(name)["version"], [plain(face) for face in faces])


def test_the_first_acceptance_records_correction_and_seconds(opened):
    own, clock = opened
    version = own.faces("a.png")["version"]
    clock[0] += 12
    version = own.accept("a.png", version, [plain(FACE)])
    expected = [Accepted("runs/one", "1234", "a.png", pytest.approx(5 * 68 / 67, abs=1e-3), 12.0)]
    assert rounds.read(own.folder) == expected
    own.accept("a.png", version, [plain(FACE + 1)])  # a second thought is not counted
    assert rounds.read(own.folder) == expected


def test_two_faces_share_the_seconds_and_a_far_proposal_is_none(opened):
    own, clock = opened
    versions = {name: own.faces(name)["version"] for name in ("a.png", "b.png")}
    clock[0] += 10
    own.accept("a.png", versions["a.png"], [plain(FACE), plain(FACE + 99)])
    clock[0] += 7  # b.png was fetched before; its time begins when a.png was done
    own.accept("b.png", versions["b.png"], [plain(FACE)])
    found = [(face.correction is None, face.seconds) for face in rounds.read(own.folder)]
    assert found == [(False, 5.0), (True, 5.0), (True, 7.0)]


def test_a_face_in_a_drawn_box_counts_too(opened, monkeypatch):
    own, _ = opened
    monkeypatch.setattr(own._proposer, "face_in", lambda image, box: Proposal(FACE + [6, 0], 0.1))
    own.propose_in("b.png", np.array([0, 0, 9, 9]))
    accept(own, "b.png", [FACE])
    assert [face.correction for face in rounds.read(own.folder)] == [10.0]


def test_readers_of_annotations_pass_the_file_over(opened):
    own, _ = opened
    accept(own, "a.png", [FACE])
    assert (own.folder / "rounds.tsv").is_file()
    assert list(load_records(f"folder:{own.folder}", "all").files) == ["a.png"]


def test_no_face_leaves_no_line(opened):
    own, _ = opened
    accept(own, "a.png", [])
    assert rounds.read(own.folder) == []


FACES = [
    Accepted("small", "aa", "a.png", 4.0, 30.0),
    Accepted("small", "aa", "b, c.png", 2.0, 20.0),
    Accepted("small", "aa", "d\t.png", None, 600.0),
    Accepted("runs/x", "bb", "e.png", 1.0, None),
]


def test_the_summary_is_a_mean_and_a_median_by_weights(tmp_path, capsys):
    rounds.add(tmp_path, FACES[:2])
    rounds.add(tmp_path, FACES[2:])
    assert rounds.read(tmp_path) == FACES
    run_command(label, [str(tmp_path), "--summary"])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["round", "faces", "correction", "seconds", "a", "face", "model"],
        ["1", "3", "3.00", "%", "30.0", "small"],
        ["2", "1", "1.00", "%", "-", "runs/x"],
    ]
    # The same folder of a run with other weights is another round.
    assert len(rounds.summary([*FACES, Accepted("runs/x", "cc", "f.png", None, 1.0)])) == 4


@pytest.mark.parametrize("line", ["small\taa\ta.png\t4.0", "small\taa\ta.png\t4.0\tlong", "x"])
def test_a_damaged_line_is_named(tmp_path, line):
    rounds.add(tmp_path, FACES[:1])
    with open(tmp_path / rounds.FILE, "a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=r"rounds.tsv: line 3: 5 cells are expected"):
        rounds.read(tmp_path)


def test_a_folder_without_rounds_says_so(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_command(label, [str(tmp_path), "--summary"])
    assert "rounds.tsv: no face was accepted on the page yet" in capsys.readouterr().err


def test_the_markup_decides_the_size(opened):
    own, _ = opened
    assert own._correction("a.png", FACE) == pytest.approx(100 * 3 * 68 / 67 / 60, abs=1e-3)
    assert IBUG68.face_boxes(FACE).tolist() == [30, 5, 40, 90]
