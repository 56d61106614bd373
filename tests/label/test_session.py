import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from keypoints.data.sources import load_records
from keypoints.errors import InputError
from keypoints.inference.predictor import Predictor
from keypoints.label import rounds
from keypoints.label import session as label_session
from keypoints.label.session import Conflict, Session
from keypoints.markup import IBUG68, read_markup
from keypoints.media.pictures import encode_png
from keypoints.synthetic.drawing import draw_face
from tests.faces import FOUND


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load("pretrained-small")


@pytest.fixture
def folder(tmp_path):
    for number, seed in enumerate(FOUND[:3]):
        (tmp_path / f"{number}.png").write_bytes(encode_png(draw_face(seed)[0]))
    return tmp_path


def plain(points, covered=()):
    return {"points": [[float(x), float(y)] for x, y in points], "covered": list(covered)}


def test_the_model_proposes_and_what_is_accepted_is_read_by_training(folder, predictor):
    session = Session(folder, predictor)
    shown = session.faces("1.png")
    assert not shown["labelled"] and len(shown["faces"]) == 1
    truth = draw_face(FOUND[1])[1]
    assert np.abs(np.array(shown["faces"][0]["points"]) - truth).mean() < 8
    corrected = plain(truth, covered=[5, 7])
    corrected["points"][5] = None
    version = session.accept("1.png", shown["version"], [corrected])
    again = session.faces("1.png")
    assert again["labelled"] and again["version"] == version
    assert again["faces"][0]["covered"] == [7]  # 5 has no place
    records = load_records(f"folder:{folder}", "all")
    assert list(records.files) == ["1.png"] and np.isnan(records.points[0, 5]).all()
    assert np.flatnonzero(records.covered[0]).tolist() == [7]
    rest = np.arange(68) != 5
    assert np.abs(records.points[0, rest] - truth[rest]).max() < 1e-3


def test_the_picture_in_doubt_comes_first(folder, predictor):
    session = Session(folder, predictor)
    doubts = {name: session.propose(name)[0].doubt for name in session.pictures}
    order = sorted(doubts, key=lambda name: -doubts[name])
    assert session.next_picture(None) == order[0]
    assert session.next_picture(order[0]) == order[1]
    version = session.faces(order[0])["version"]
    session.accept(order[0], version, [plain(session.propose(order[0])[0].points)])
    assert session.next_picture(order[1]) == order[2]
    listed = {entry["name"]: entry for entry in session.overview()["pictures"]}
    assert [listed[name]["faces"] for name in order] == [1, 0, 0]
    assert listed[order[1]]["doubt"] == pytest.approx(doubts[order[1]])


def test_five_thousand_pictures_are_listed_before_any_is_read(tmp_path, monkeypatch):
    (tmp_path / "0000.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    for number in range(1, 5000):
        os.link(tmp_path / "0000.png", tmp_path / f"{number:04}.png")
    rows = "".join(f"{number:04}.png,{','.join(['1.5'] * 136)}\n" for number in range(2500))
    (tmp_path / "points.csv").write_text(rows)
    monkeypatch.setattr(label_session, "open_picture", lambda path: pytest.fail("it was read"))
    session = Session(tmp_path, None)  # type: ignore[arg-type]
    listed = session.overview()["pictures"]
    assert [entry["faces"] for entry in listed] == [1] * 2500 + [0] * 2500
    assert session.next_picture(None) == "2500.png"


def test_a_file_that_changed_meanwhile_is_not_overwritten(folder, predictor):
    session, other = Session(folder, predictor), Session(folder, predictor)
    points = plain(draw_face(FOUND[0])[1])
    first, second = (s.faces("0.png")["version"] for s in (session, other))
    session.accept("0.png", first, [points])
    written = (folder / "points.csv").read_bytes()
    with pytest.raises(Conflict):
        other.accept("0.png", second, [plain(draw_face(FOUND[1])[1])])
    assert (folder / "points.csv").read_bytes() == written
    # Rows of other pictures may change: they are kept.
    (folder / "points.csv").write_bytes(b"elsewhere.png,1,2\n" + written)
    session.accept("1.png", session.faces("1.png")["version"], [points])
    assert (folder / "points.csv").read_bytes().startswith(b"elsewhere.png,1,2\n" + written)


def test_annotations_of_other_formats_are_kept(folder, predictor):
    points = draw_face(FOUND[0])[1]
    lines = [f"{x + 1} {y + 1}" for x, y in points]
    (folder / "0.pts").write_text("version: 1\nn_points: 68\n{\n" + "\n".join(lines) + "\n}\n")
    session = Session(folder, predictor)
    assert session.faces("0.png")["labelled"] and not (folder / "points.csv").exists()
    found = session.faces("1.png")
    session.accept("1.png", found["version"], found["faces"])
    records = load_records(f"folder:{folder}", "all")
    assert list(records.files) == ["0.png", "1.png"]
    assert np.abs(records.points[0] - points).max() < 2e-3


def test_points_of_a_file_in_another_order(tmp_path):
    (tmp_path / "a.png").write_bytes(encode_png(np.zeros((9, 9, 3), np.uint8)))
    (tmp_path / "markup.toml").write_text('name = "three"\npoints = ["a", "b", "c"]\n')
    header, row = "f,c_x,c_y,a_x,a_y,b_x,b_y\n", "a.png,5,6,1,2,3,4,covered 0\n"
    (tmp_path / "points.csv").write_text(header + row)
    session = Session(tmp_path, None)  # type: ignore[arg-type]
    shown = session.faces("a.png")
    assert shown["faces"] == [{"points": [[1, 2], [3, 4], [5, 6]], "covered": [2]}]
    face = {"points": [[1, 2.5], [3, 4], [5, 6]], "covered": [0]}
    session.accept("a.png", shown["version"], [face])
    expected = "a.png,5.000,6.000,1.000,2.500,3.000,4.000,covered 1\n"
    assert (tmp_path / "points.csv").read_text() == header + expected
    (tmp_path / "points.csv").write_text("f,c_x,c_y,a_x,a_y\na.png,5,6,1,2\n")
    with pytest.raises(InputError, match="2 points a row; all 3 of three are expected"):
        Session(tmp_path, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_places_are_those_of_the_picture_as_shown(tmp_path, predictor, orientation):
    image, points = draw_face(FOUND[0])
    turns = {1: (0, 0), 2: (0, 1), 3: (2, 0), 4: (2, 1), 5: (1, 1), 6: (1, 0), 7: (3, 1), 8: (3, 0)}
    quarters, flip = turns[orientation]
    stored = np.rot90(image[:, ::-1] if flip else image, quarters)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    session = Session(tmp_path, predictor)
    assert (session.image("a.png") == image).all()
    session.accept("a.png", session.faces("a.png")["version"], [plain(points)])
    records = load_records(f"folder:{tmp_path}", "all")
    assert np.abs(records.points[0] - points).max() < 1e-3


def test_what_cannot_be_kept_is_refused(folder, predictor):
    with pytest.raises(InputError, match="no such folder"):
        Session(folder / "none", predictor)
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        Session(folder / "empty", predictor)
    cells = ",".join(["1", "2"] * 34 + ["5", "6"] * 34)
    (folder / "faces.csv").write_text(f"0.png,{cells}\n")
    with pytest.raises(InputError, match=r"faces.csv has annotations; .* written to points.csv"):
        Session(folder, predictor)
    (folder / "faces.csv").rename(folder / "points.csv")
    (folder / "points.csv").write_text("0.png,1,2,3,4\n")
    with pytest.raises(InputError, match="points"):
        Session(folder, predictor)


@pytest.mark.parametrize(
    "face",
    [3, -1, True, "a", None, [[1, 2]], *({"points": points, "covered": []} for points in (
        [[1, 2]], [[1, 2]] * 67 + [[1]], [None] * 68, [[1e9, 0]] * 68, [["1", 2]] * 68)),
     *({"points": [[1, 2]] * 68, "covered": wrong} for wrong in (None, [68], [-1], [True], 1.0))],
)  # fmt: skip
def test_no_other_faces_are_written(folder, predictor, face):
    session = Session(folder, predictor)
    with pytest.raises(InputError):
        session.accept("0.png", session.faces("0.png")["version"], [face])
    for name in ("../0.png", "/etc/passwd", "none.png", ""):
        with pytest.raises(InputError, match="no picture of the folder"):
            session.accept(name, "", [])
    assert not (folder / "points.csv").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from keypoints.label import session
from keypoints.system import atomic
real, count = os.replace, int(sys.argv[2])
def dying(source, target):
    global count
    count -= str(target).endswith(sys.argv[3])
    if not count:
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)
os.replace = dying
class Nobody:
    pass
s = session.Session(Path(sys.argv[1]), Nobody())
s._proposals = {name: [] for name in s.pictures}
for number, name in enumerate(s.pictures):
    face = {"points": [[float(number), float(i)] for i in range(68)], "covered": []}
    print(s.accept(name, s.faces(name)["version"], [face]), flush=True)
"""


@pytest.mark.parametrize(("killed_at", "more"), [("points.csv", 0), ("rounds.tsv", 1)])
def test_a_kill_loses_at_most_the_face_in_hand(tmp_path, killed_at, more):
    """Of rounds.tsv, which is written after points.csv, also the line of a face that is there."""
    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((8, 8, 3), np.uint8))
    for written in range(3):
        for path in tmp_path.glob("*.?sv"):
            path.unlink()
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(written + 1), killed_at]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
        assert done.returncode == -9 and done.stdout.count("\n") == written, done.stderr
        path = tmp_path / "points.csv"
        rows = path.read_text().splitlines() if path.exists() else []
        expected = [f"{i}.png" for i in range(written + more)]
        assert [row.partition(",")[0] for row in rows] == expected
        assert [face.picture for face in rounds.read(tmp_path)] == expected[:written]


def test_a_picture_without_faces_is_not_shown_again(folder):
    session = Session(folder, None)
    assert session.next_picture(None) == "0.png"
    session.accept("0.png", session.faces("0.png")["version"], [])
    assert session.next_picture(None) == "1.png"
    assert [session.next_picture(name) for name in ("1.png", "2.png")] == ["2.png", "1.png"]


def test_without_a_model_a_face_begins_with_the_mean_face(folder):
    session = Session(folder, None)
    assert session.faces("0.png")["faces"] == []
    overview = session.overview()["markup"]
    right, left = overview["anchors"]
    assert (right["name"], left["name"]) == ("right eye", "left eye")
    assert (right["points"], left["points"]) == ([*range(36, 42)], [*range(42, 48)])
    drawn = np.array(session.propose_in("0.png", np.array([10.0, 20, 60, 100]))["points"])
    np.testing.assert_allclose(drawn, 100 * IBUG68.mean + [40, 70], atol=2e-3)
    (folder / "markup.toml").write_text(
        'name = "m"\npoints = ["a", "b", "c"]\nmean = [[0.1, 0], [0, 0], [0, 0.4]]\n'
    )
    anchors = Session(folder, None).overview()["markup"]["anchors"]
    assert anchors == [{"name": "a", "points": [0]}, {"name": "c", "points": [2]}]


def test_points_without_a_mean_face_have_that_of_the_first_face(folder):
    (folder / "markup.toml").write_text('name = "m"\npoints = ["a", "b", "c"]\n')
    session = Session(folder, None)
    assert session.overview()["markup"]["anchors"] is None
    faces = [{"points": [[10, 20], None, [50, 100]], "covered": []}]
    session.accept("0.png", session.faces("0.png")["version"], faces)
    assert session.overview()["markup"]["mean"] is None  # it has not all points
    faces = [{"points": [[10, 20], [30, 40], [50, 100]], "covered": []}]
    session.accept("1.png", session.faces("1.png")["version"], faces)
    for each in (session, Session(folder, None)):
        mean = each.overview()["markup"]["mean"]
        np.testing.assert_allclose(mean, [[-0.25, -0.5], [0, -0.25], [0.25, 0.5]], atol=1e-6)


NAMES = ["right eye", "left eye", "tip", "chin"]
PLACES = [[20.0, 30.0], [50.0, 30.0], [35.0, 45.0], [35.0, 70.0]]


def test_a_new_markup_is_written_and_labelling_goes_on_with_it(folder):
    session = Session(folder, None, naming=True)
    overview = session.overview()
    assert overview["naming"] and overview["markup"]["names"] == []
    assert session.faces("0.png")["faces"] == []
    assert session.pairs(NAMES, PLACES) == [(0, 1)]
    assert session.pairs(["a", "b", "c", "d"], PLACES) == [(0, 1)]  # by their symmetry
    session.write_markup("0.png", NAMES, PLACES, [[0, 1]])
    markup = read_markup(folder)
    assert markup.names == tuple(NAMES) and markup.pairs == ((0, 1),)
    assert markup.roles["right_eye"] == (0,) and markup.parts["eyes"] == (0, 1)
    assert markup.normaliser == "inter_pupil"
    assert not session.overview()["naming"] and session.markup == markup
    face = {"points": PLACES, "covered": []}
    session.accept("0.png", session.faces("0.png")["version"], [face])
    records = load_records(f"folder:{folder}", "all")
    np.testing.assert_allclose(records.points[0], PLACES)
    assert records.markup == markup
    with pytest.raises(InputError, match=r"markup.toml is there already"):
        session.write_markup("0.png", NAMES, PLACES, [])
    with pytest.raises(InputError, match=r"markup.toml is there already"):
        Session(folder, None, naming=True)


@pytest.mark.parametrize(
    ("names", "places", "pairs", "message"),
    [
        (["a", "a"], PLACES[:2], [], "'a' stands there twice"),
        (["a", ""], PLACES[:2], [], "'' is no name of a point"),
        (["a", 5], PLACES[:2], [], "5 is no name of a point"),
        (["a", "b"], PLACES[:2], [[0, 0]], "two points are expected"),
        (["a", "b"], PLACES[:2], [[0, 7]], "7 is no point"),
        (["a", "b", "c"], PLACES[:3], [[0, 1], [1, 2]], "point b is in"),
        (["a", "b"], PLACES[:1], [], "each with a name and a place"),
        (["a", "b"], [PLACES[0], None], [], "each with a name and a place"),
        (["a", "b"], [PLACES[0]] * 2, [], "two points or more"),
        ([], [], [], "two points or more"),
        (["a", "b"], [PLACES[0], [1e9, 0]], [], "two numbers of at most"),
    ],
)
def test_what_is_no_markup_is_refused(folder, names, places, pairs, message):
    session = Session(folder, None, naming=True)
    with pytest.raises(InputError, match=message):
        session.write_markup("0.png", names, places, pairs)
    assert not (folder / "markup.toml").exists() and session.overview()["naming"]
    with pytest.raises(InputError, match="no picture of the folder"):
        session.write_markup("../0.png", NAMES, PLACES, [])


def test_a_new_markup_is_for_a_folder_without_annotations(folder):
    (folder / "points.csv").write_text("0.png," + ",".join(["1,2", "3,4"] * 34) + "\n")
    with pytest.raises(InputError, match="has annotations; `keypoints markup` describes theirs"):
        Session(folder, None, naming=True)
