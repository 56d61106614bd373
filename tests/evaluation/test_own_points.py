"""A first markup: pairs by names and by symmetry, and a sheet whose twins keep their numbers."""

import numpy as np
import pytest
from PIL import Image

from keypoints import geometry
from keypoints.commands import cli
from keypoints.data.annotation_files import read_annotations
from keypoints.errors import InputError
from keypoints.evaluation import own_points
from keypoints.inference.detections import Detections
from keypoints.markup import bundled, read_markup


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (("right eye", "left eye", "nose"), ((0, 1),)),
        (("Eye_L", "nose", "Eye_R", "lips"), ((0, 2),)),
        (("l1", "r1", "l2", "r2"), ((0, 1), (2, 3))),
        (("LeftEye", "upper lip", "RightEye"), ((0, 2),)),
        (("left ear", "nose"), None),
        (("0", "1", "2"), None),
        (("pupil", "curl", "rim"), None),
    ],
)
def test_pairs_by_name(names, pairs):
    assert own_points.pairs_by_name(names) == pairs


def noisy(markup, count: int, seed: int = 0) -> np.ndarray:
    """Faces of the mean shape, tilted by up to 15 degrees, each point moved by 1 % of the face."""
    rng = np.random.default_rng(seed)
    faces = markup.mean + 0.01 * rng.standard_normal((count, markup.count, 2))
    turned = faces @ geometry.rotation(rng.uniform(-15, 15, count)).swapaxes(-1, -2)
    return turned * rng.uniform(50, 300, (count, 1, 1)) + rng.uniform(0, 500, (count, 1, 2))


@pytest.mark.parametrize("name", ["ibug68", "five"])
def test_pairs_by_symmetry(name):
    """From 20 faces, some with missing points: those of the markup itself."""
    markup = bundled(name)
    faces = noisy(markup, 20)
    faces[3, :2] = faces[4, 3] = np.nan
    shape = own_points.mean_shape(faces)
    assert own_points.pairs_by_symmetry(shape) == tuple(
        sorted(tuple(sorted(pair)) for pair in markup.pairs)
    )


def test_no_symmetry_no_pairs():
    for seed in range(20):
        shape = np.random.default_rng(seed).uniform(-1, 1, (9, 2))
        assert own_points.pairs_by_symmetry(shape) is None
    assert own_points.pairs_by_symmetry(np.full((5, 2), np.nan)) is None


def test_the_mean_shape_has_the_form_of_its_faces():
    five = bundled("five")
    shape = own_points.mean_shape(noisy(five, 50))
    fit = np.column_stack([shape @ [1, 1j], np.ones(5)])
    expected = five.mean @ [1, 1j]
    solved, *_ = np.linalg.lstsq(fit, expected, rcond=None)
    np.testing.assert_allclose(fit @ solved, expected, atol=0.01)


NAMES = ("right eye", "left eye", "nose tip", "right mouth corner", "left mouth corner")


def write_faces(folder, names, count=8):
    """Faces of five points, each in a gray picture of its own, in a CSV of named columns."""
    folder.mkdir(exist_ok=True)
    faces = noisy(bundled("five"), count)
    rows = ["picture," + ",".join(f"{name}_{axis}" for name in names for axis in "xy")]
    for number, face in enumerate(faces):
        Image.new("RGB", (900, 850), (90, 90, 90)).save(folder / f"{number}.png")
        rows.append(f"{number}.png," + ",".join(f"{value:.2f}" for value in face.ravel()))
    (folder / "faces.csv").write_text("\n".join(rows))
    return faces


class Finder:
    """Finds in each picture a box that is the tight one of the points, moved and enlarged."""

    def __init__(self, faces):
        self.left = iter(faces)

    def detect(self, image):
        x, y, w, h = geometry.landmark_box(next(self.left))
        boxes = np.array([[x - 0.5 * w, y - h, 2 * w, 3 * h], [0, 0, 5, 5]], np.float32)
        return Detections(boxes, np.ones(2, np.float32), np.zeros(2, np.float32))


def test_a_first_markup_from_names_and_detected_boxes(tmp_path):
    faces = write_faces(tmp_path / "my faces!", NAMES)
    found = read_annotations(tmp_path / "my faces!")
    plain = found.own_markup()
    proposal = own_points.propose("my faces!", found.faces, plain, Finder(faces))
    markup = proposal.markup
    assert proposal.pairs == "from the names" and proposal.notes == ()
    assert markup.name == "my_faces_" and markup.names == NAMES
    assert markup.pairs == ((0, 1), (3, 4)) and markup.normaliser == "inter_pupil"
    assert markup.parts == {"eyes": (0, 1), "nose": (2,), "mouth": (3, 4)}
    assert markup.roles["mouth_corners"] == (3, 4) and markup.roles["nose_tip"] == (2,)
    np.testing.assert_allclose(markup.face_box, [0.5, 0.5, 2, 3], atol=0.01)
    np.testing.assert_allclose(markup.mean[[0, 3]], markup.mean[[1, 4]] * [-1, 1], atol=1e-4)


def test_names_without_sides_and_faces_that_no_detector_finds(tmp_path):
    faces = write_faces(tmp_path / "mine", ("a", "b", "c", "d", "e"), count=4)
    found = read_annotations(tmp_path / "mine")
    proposal = own_points.propose("mine", found.faces, found.own_markup(), Finder(faces))
    assert proposal.pairs == "from the symmetry of the mean shape"
    assert proposal.markup.pairs == ((0, 1), (3, 4)) and proposal.markup.face_box is None
    assert "the detector found 4 of the faces" in proposal.notes[0]


def test_the_sheet_numbers_a_face_and_its_twin_alike(tmp_path):
    """The only red pixels are around point 3; its twin has them under point 3, too."""
    five = bundled("five")
    face = five.mean * 100 + [150, 160]
    image = np.zeros((300, 310, 3), np.uint8)
    x, y = np.rint(face[0]).astype(int)
    image[y - 9 : y + 10, x - 9 : x + 10] = [250, 0, 0]
    folder = tmp_path / "mine"
    folder.mkdir()
    Image.fromarray(image).save(folder / "0.png")
    row = ",".join(f"{value:.2f}" for value in face.ravel())
    (folder / "faces.csv").write_text(f"0.png,{row}\n")
    (folder / "markup.toml").write_text(five.to_toml())
    found = read_annotations(folder)
    sheet = own_points.sheet(found.faces, found.markup())
    tile = own_points.TILE
    assert sheet.shape[0] == 2 * tile and sheet.shape[1] > tile
    red = (sheet[..., 0] > 100) & (sheet[..., 2] < 20) & (sheet[..., 1] < 20)
    above, below = red[:tile, :tile], red[tile:, :tile]
    assert above.sum() > 300 and below.sum() > 300
    assert abs(np.flatnonzero(above.any(axis=0)).mean() - np.flatnonzero(
        below[:, ::-1].any(axis=0)).mean()) < 3  # fmt: skip


def run(*argv):
    cli.run_command(cli.load_command("markup"), list(argv), name="keypoints markup")


def test_the_command_writes_once_and_draws_again(tmp_path, capsys):
    write_faces(tmp_path / "mine", NAMES)
    run(str(tmp_path / "mine"))
    out, err = capsys.readouterr()
    assert f"{tmp_path / 'mine/markup.toml'}: 5 points\n" in out and "2 mirror pairs" in out
    assert "note: the detector found 0 of the faces" in err
    path = tmp_path / "mine/markup.toml"
    written = read_markup(path)
    assert written.names == NAMES and (tmp_path / "mine/markup.png").is_file()
    path.write_text(path.read_text().replace("[3, 4],", ""))
    run(str(tmp_path / "mine"), f"--output={tmp_path}/other.png")
    assert "1 mirror pair, as markup.toml says" in capsys.readouterr().out
    assert read_markup(path).pairs == ((0, 1),) and (tmp_path / "other.png").is_file()


@pytest.mark.parametrize("argv", [["nowhere"], ["mine", "--output=a.jpg"]])
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, argv):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    with pytest.raises(SystemExit) as stop:
        run(*argv)
    assert stop.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_names_that_no_markup_can_have_are_refused(tmp_path):
    write_faces(tmp_path / "mine", ("a*", "b", "c", "d", "e"))
    found = read_annotations(tmp_path / "mine")
    with pytest.raises(InputError, match=r"mine: its points: points: 'a\*' is no name of a point"):
        own_points.propose("mine", found.faces, found.own_markup(), Finder([[[0, 0], [1, 1]]] * 9))
