import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from keypoints.data import sources
from keypoints.data.sources import load_records
from keypoints.errors import InputError
from tests.archives import ROOT, points, write_archive


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
    assert len(records) == 6 and "data/test/Di_Eco_50.jpg" in records.files
    index = records.files.index("data/test/Ann_Lee_25.jpg")
    np.testing.assert_array_equal(records.points[index], points(4))
    assert records.image(index).shape == (40, 34, 3) and records.identities[index] == "Ann_Lee"


def test_pictures_with_pts_files_and_the_hash_as_split(pts):
    records = load_records(f"folder:{pts}", "all")
    assert records.files == ("set0/person0_0.png", "set0/person2_0.png", "set1/person1_0.png")
    np.testing.assert_array_equal(records.points[2], points(1))
    assert records.image(1)[0, 0].tolist() == [2, 2, 3]


def test_splits_csv_decides_where_there_is_one(pts):
    (pts / "splits.csv").write_text("set0/person0_0.png,train\nset1/person1_0.png,mine\n")
    assert load_records(f"folder:{pts}", "mine").files == ("set1/person1_0.png",)
    with pytest.raises(InputError, match=r"the split 'validation' is empty; say .* in splits\.csv"):
        load_records(f"folder:{pts}", "validation")
    (pts / "splits.csv").write_text("set0/person0_0.png\n")
    with pytest.raises(InputError, match="picture,split is expected"):
        load_records(f"folder:{pts}", "mine")


def test_everything_wrong_is_told_at_once(pts):
    (pts / "set0" / "person0_0.png").write_bytes(b"no picture")
    (pts / "set1" / "person1_0.png").unlink()
    (pts / "set0" / "person2_0.pts").write_text("version: 1\n{\n1 2\n}\n")
    with pytest.raises(InputError) as error:
        load_records(f"folder:{pts}", "all")
    message = str(error.value)
    assert "3 bad entries" in message
    for reason in ("person0_0.png: not a whole picture", "person1_0.pts: no picture",
                   "person2_0.pts: 1 points, 68 are expected"):  # fmt: skip
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
    assert "/etc/Ann_Lee_00.jpg: not in the folder" in str(error.value)


def test_point_files_that_are_no_text(pts):
    (pts / "set0" / "person0_0.pts").write_bytes(b"{\xff\n}")
    with pytest.raises(InputError, match=r"person0_0\.pts: 1 points, 68 are expected"):
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
    with pytest.raises(InputError, match=r"neither annotation CSVs nor \.pts files"):
        load_records(f"folder:{tmp_path}", "all")


@pytest.mark.parametrize("name", sources.TFDS_NAMES)
def test_tfds_points_are_shares_of_width_and_height(name):
    import tensorflow_datasets as tfds

    def examples(self, *_, **__):
        import tensorflow as tf

        shares = np.tile(np.array([[0.5, 0.25]], np.float32), (68, 1))
        example = {"image": np.zeros((450, 450, 3), np.uint8), "landmarks_2d": shares}
        example["image"] = example["image"][:300]  # not square: x and y must not be swapped
        return tf.data.Dataset.from_tensors(example).repeat(2)

    with tfds.testing.mock_data(as_dataset_fn=examples):
        records = load_records(f"tfds:{name}", "train")
    assert len(records) == 2
    np.testing.assert_allclose(records.points, np.tile([[225.0, 75.0]], (2, 68, 1)))
