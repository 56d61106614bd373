import dataclasses
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keypoints import geometry
from keypoints.data.sources import load_each, load_records, parse_sets, refuse_output
from keypoints.errors import InputError
from keypoints.markup import IBUG68, bundled
from keypoints.media.pictures import decode_picture
from tests.archives import ROOT, picture, points, write_archive


@pytest.fixture
def upstream(tmp_path):
    """A folder in the upstream layout."""
    with zipfile.ZipFile(write_archive(tmp_path / "a.zip")) as archive:
        archive.extractall(tmp_path)
    return tmp_path / ROOT


@pytest.fixture
def pts(tmp_path):
    """A folder with three pictures, each with its .pts file beside it."""
    folder = tmp_path / "faces"
    for index in range(3):
        path = folder / f"set{index % 2}" / f"person{index}_0.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + index, 30), (index, 2, 3)).save(path)
        rows = "\n".join(f"{x + 1} {y + 1}" for x, y in points(index))
        path.with_suffix(".pts").write_text(f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n")
    return folder


def test_a_folder_in_the_upstream_layout(upstream):
    records = load_records(f"folder:{upstream}", "all")
    assert (
        len(records) == 6
        and records.name == f"{upstream.name}/all"
        and "data/test/Di_Eco_50.jpg" in records.files
    )
    index = records.files.index("data/test/Ann_Lee_25.jpg")
    np.testing.assert_array_equal(records.points[index], points(4))
    expected = decode_picture(picture(4), "Ann_Lee_25.jpg")
    np.testing.assert_array_equal(records.image(index), expected)
    assert records.identities[index] == "Ann_Lee"


def test_pictures_with_pts_files_and_the_hash_as_split(pts):
    records = load_records(f"folder:{pts}", "all")
    assert records.files == ("set0/person0_0.png", "set0/person2_0.png", "set1/person1_0.png")
    np.testing.assert_array_equal(records.points[2], points(1))
    assert records.image(1)[0, 0].tolist() == [2, 2, 3]
    assert records.identities == records.files  # indoor_001 is not one person's name


def test_splits_csv_decides_where_there_is_one(pts):
    (pts / "splits.csv").write_text("set0/person0_0.png,train\nset1/person1_0.png,mine\n")
    assert load_records(f"folder:{pts}", "mine").files == ("set1/person1_0.png",)
    with pytest.raises(InputError, match=r"the split 'validation' is empty; say .* in splits\.csv"):
        load_records(f"folder:{pts}", "validation", splits=("mine",))
    (pts / "splits.csv").write_text("set0/person0_0.png\n")
    with pytest.raises(InputError, match="picture,split is expected"):
        load_records(f"folder:{pts}", "mine")


def test_xml_of_dlib_and_a_second_face_in_a_picture(pts):
    for path in pts.rglob("*.pts"):
        path.unlink()
    faces = [
        "".join(f"<part name='{i:02}' x='{x}' y='{y}'/>" for i, (x, y) in enumerate(points(k)))
        for k in range(2)
    ]
    boxes = "".join(f"<box top='0' left='0' width='9' height='9'>{face}</box>" for face in faces)
    image = f"<image file='set0/person0_0.png'>{boxes}</image>"
    outside = "<image file='../secret.png'><box>" + faces[0] + "</box></image>"
    (pts / "faces.xml").write_text(f"<dataset><images>{image}</images></dataset>")
    records = load_records(f"folder:{pts}", "all")
    assert records.files == ("set0/person0_0.png", "set0/person0_0.png#1")
    np.testing.assert_array_equal(records.points, np.stack([points(0), points(1)]))
    (pts / "faces.xml").write_text(f"<dataset><images>{image}{outside}</images></dataset>")
    with pytest.raises(InputError, match=r"faces\.xml: '\.\./secret\.png' leads out of the folder"):
        load_records(f"folder:{pts}", "all")


def test_what_is_known_of_a_folders_labels(pts):
    """Moved left by a tenth of the eyes' distance; no jaw beyond 30 degrees, but in the box."""
    (pts / "labels.json").write_text('{"x_offset": 0.1, "jaw_up_to_yaw": 30}')
    (pts / "yaw.csv").write_text(
        "picture,degrees\nset0/person0_0.png,-31\nset0/person2_0.png,30\nset1/person1_0.png,92\n"
    )
    records = load_records(f"folder:{pts}", "all")
    published = load_records(f"folder:{pts}", "all", labels="published")
    np.testing.assert_array_equal(records.yaw, [-31, 30, np.nan])
    jawless = np.isnan(records.points[:, :17]).all(axis=(1, 2))
    assert jawless.tolist() == [True, False, False] and np.isfinite(records.points[:, 17:]).all()
    eyes = np.linalg.norm(published.points[:, 45] - published.points[:, 36], axis=-1)
    moved = published.points - 0.1 * eyes[:, None, None] * [1, 0]
    np.testing.assert_allclose(records.points[1:], moved[1:], rtol=1e-5)
    np.testing.assert_allclose(records.points[0, 17:], moved[0, 17:], rtol=1e-5)
    np.testing.assert_allclose(
        records.boxes, published.boxes - 0.1 * eyes[:, None] * [1, 0, 0, 0], rtol=1e-5
    )
    np.testing.assert_array_equal(published.points[0], points(0))
    (pts / "labels.json").write_text('{"x_offsets": 0.1}')
    with pytest.raises(InputError, match=r"unknown field 'x_offsets'; did you mean 'x_offset'"):
        load_records(f"folder:{pts}", "all")


def test_a_half_labelled_face_has_the_box_of_a_whole_one(tmp_path):
    Image.new("RGB", (200, 200)).save(tmp_path / "a.png")
    face = IBUG68.mean * 100 + [90, 80]
    rows = [["nan", "nan"] if i < 17 else [x + 1, y + 1] for i, (x, y) in enumerate(face)]
    lines = "\n".join(" ".join(map(str, row)) for row in rows)
    (tmp_path / "a.pts").write_text(f"{{\n{lines}\n}}\n")
    records = load_records(f"folder:{tmp_path}", "all")
    assert np.isnan(records.points[0, :17]).all()
    np.testing.assert_allclose(records.boxes[0], geometry.landmark_box(face), atol=1e-3)


def test_sets_and_their_shares():
    assert parse_sets("shards:a/*.tar") == [("shards:a/*.tar", 1.0)]  # no share
    assert parse_sets("shards:a/*.tar*3") == [("shards:a/*.tar", 3.0)]
    assert parse_sets("synthetic_faces") == [("synthetic_faces", 1.0)]
    assert parse_sets("youtube_faces_keypoints*0.5+folder:/a+b/c+folder:d*2") == [
        ("youtube_faces_keypoints", 0.5),
        ("folder:/a+b/c", 1.0),
        ("folder:d", 2.0),
    ]
    for wrong in ("synthetic_faces*two", "synthetic_faces*0", "synthetic_faces*inf"):
        with pytest.raises(InputError, match="is expected"):
            parse_sets(wrong)


@pytest.mark.parametrize(("count", "share", "epoch"), [(10, 0.3, 3), (10, 0.35, 3), (7, 3.0, 21)])
def test_an_epoch_has_the_share_that_was_asked_for(upstream, count, share, epoch):
    """Ten times 0.3 add up to 2.9999999999999996."""
    records = load_records(f"folder:{upstream}", "all")
    faces = dataclasses.replace(records, repeats=np.full(count, share))
    assert faces.epoch_size == epoch


def test_two_sets_are_one(pts, upstream):
    data = f"folder:{pts}*2+folder:{upstream}*0.5"
    records = load_records(data, "all")
    assert records.name == f"faces+{upstream.name}/all" and len(records) == 9
    assert records.epoch_size == 9 and records.repeats.tolist() == [2.0] * 3 + [0.5] * 6
    one, two = (load_records(f"folder:{folder}", "all") for folder in (pts, upstream))
    assert records.files[0] == f"faces/{one.files[0]}" and len(set(records.identities)) == 3 + 4
    for index in range(3, 9):
        np.testing.assert_array_equal(records.image(index), two.image(index - 3))
    np.testing.assert_array_equal(records.points, np.concatenate([one.points, two.points]))
    with pytest.raises(InputError, match="two data sets have the same name: faces, faces"):
        load_records(f"folder:{pts}+folder:{pts}", "all")


def test_everything_wrong_is_told_at_once(pts):
    (pts / "set0" / "person0_0.png").write_bytes(b"no picture")
    (pts / "set1" / "person1_0.png").unlink()
    (pts / "set0" / "person2_0.pts").write_text("version: 1\n{\n1 2\n}\n")
    with pytest.raises(InputError) as error:
        load_records(f"folder:{pts}", "all")
    message = str(error.value)
    assert "3 bad entries" in message
    for reason in ("person0_0.png: not a whole picture", "person1_0.pts: no picture",
                   "person2_0.pts: fewer than two points are annotated"):  # fmt: skip
        assert reason in message


def test_a_picture_that_a_table_names_but_is_not_there(upstream):
    shutil.rmtree(upstream / "data" / "test")
    with pytest.raises(InputError, match=r"data/test/Ann_Lee_25\.jpg: No such file"):
        load_records(f"folder:{upstream}", "all")


def test_tables_that_are_no_text_and_rows_that_leave_the_folder(upstream):
    tables = sorted((upstream / "data").glob("*.csv"))
    tables[0].write_bytes(b"\xff\xfe")
    tables[1].write_text(tables[1].read_text().replace("Ann_Lee_00", "/etc/Ann_Lee_00"))
    with pytest.raises(InputError) as error:
        load_records(f"folder:{upstream}", "all")
    assert "test_frames_keypoints.csv: not a CSV file in UTF-8" in str(error.value)
    assert "'/etc/Ann_Lee_00.jpg' leads out of the folder" in str(error.value)


def test_point_files_that_are_no_text(pts):
    (pts / "set0" / "person0_0.pts").write_bytes(b"{\xff\n}")
    with pytest.raises(InputError, match=r"person0_0\.pts: .*: two numbers are expected"):
        load_records(f"folder:{pts}", "all")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("synthetic_face", "did you mean 'synthetic_faces'"),
        ("tfds:the300w", "did you mean 'the300w_lp'"),
        ("folder:/no/such/place", "no such folder"),
        ("folder:", "is not known"),
    ],
)
def test_unknown_data_is_refused_with_a_suggestion(data, message):
    with pytest.raises(InputError, match=message):
        load_records(data, "train")


def test_the_environment_names_the_folder_of_prepared_data_at_any_time(tmp_path, monkeypatch):
    archive = write_archive(tmp_path / "a.zip")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    assert len(load_records("youtube_faces_keypoints", "seed_test", archive=archive)) == 2
    assert (tmp_path / "data" / "youtube_faces_keypoints").is_dir()


def test_a_folder_without_annotations(tmp_path):
    with pytest.raises(InputError, match=r"no annotations in it: \.csv, \.xml, .*\.mat or \.pts"):
        load_records(f"folder:{tmp_path}", "all")


@pytest.mark.parametrize(
    ("name", "feature"),
    [("the300w_lp", "landmarks_2d"), ("aflw2k3d", "landmarks_68_3d_xy_normalized")],
)
def test_tfds_points_are_shares_of_width_and_height(name, feature):
    """The features are those of TFDS's own builder; the points' one alone holds these shares."""
    import tensorflow_datasets as tfds

    def examples(self, *_, **__):
        import tensorflow as tf

        assert type(self) is tfds.builder_cls(name)
        example = {
            key: np.zeros([side or 1 for side in each.shape], each.dtype.as_numpy_dtype)
            for key, each in self.info.features.items()
        }
        assert example[feature].shape == (68, 2)
        example[feature] += [0.5, 0.25]
        example["tfds_id"] = b"made.tfrecord-00000-of-00001__0"
        example["image"] = example["image"][:300]  # not square: x and y must not be swapped
        return tf.data.Dataset.from_tensors(example).repeat(2)

    with tfds.testing.mock_data(as_dataset_fn=examples):
        records = load_records(f"tfds:{name}", "train")
    assert len(records) == 2
    np.testing.assert_allclose(records.points, np.tile([[225.0, 75.0]], (2, 68, 1)))


def test_an_output_does_not_lie_in_a_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("faces", "faces/out", "./faces/../faces/x"):
        with pytest.raises(InputError, match=r"^--run=.* lies in the data set folder:faces"):
            refuse_output("synthetic_faces+folder:faces", "--run", Path(path))
    refuse_output("folder:faces+shards:faces/*.tar", "--run", Path("faces2/out"))


def test_labels_of_another_name_are_named(tmp_path):
    with pytest.raises(InputError, match="labels=mine: one of corrected, published is expected"):
        load_records(f"folder:{tmp_path}", "all", labels="mine")


def test_a_split_that_a_prepared_set_lacks_is_named(tmp_path):
    archive = write_archive(tmp_path / "archive.zip")
    with pytest.raises(InputError, match="has no split 'tran'; did you mean 'train'"):
        load_records("youtube_faces_keypoints", "tran", archive=archive, data_dir=tmp_path)


def test_sets_of_different_points_have_those_of_the_first(tmp_path):
    """The second has five, of which the maps of `five` tell three: for training and validation."""
    five = bundled("five")
    for name, markup in (("a", IBUG68), ("b", five)):
        folder = tmp_path / name
        folder.mkdir()
        Image.new("RGB", (90, 80)).save(folder / "1.png")
        if markup is five:
            (folder / "markup.toml").write_text(five.to_toml())
        row = markup.mean * 60 + [45, 40]
        (folder / "points.csv").write_text(",".join(["1.png", *map(str, row.ravel())]))
    both = f"folder:{tmp_path / 'a'}+folder:{tmp_path / 'b'}"
    sets = load_each(both, "all")
    assert [records.name for records in sets] == ["a/all", "b/all"]
    assert [records.markup for records in sets] == [IBUG68, IBUG68]
    known = np.isfinite(sets[1].points[0]).all(axis=1)
    assert np.flatnonzero(known).tolist() == [30, 48, 54]
    np.testing.assert_array_equal(load_records(both, "all").points[1], sets[1].points[0])
    first = load_each(f"folder:{tmp_path / 'b'}+folder:{tmp_path / 'a'}", "all")[1]
    assert first.markup == five and np.isfinite(first.points[0, 2:]).all()
    assert np.isnan(first.points[0, :2]).all()
