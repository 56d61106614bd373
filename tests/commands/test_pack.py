"""tools.pack: bad input is named and nothing is written; what it writes: test_shards."""

import pytest

from keypoints.commands.pack import pack
from keypoints.data.sources import load_records
from keypoints.errors import InputError
from tests.faces import write_folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": 0}, "--quality=0: a whole number from 1 to 100"),
        ({"resolution": 8}, "--resolution=8: a whole number from 16 to 1024"),
        ({"output": "taken"}, "--output=taken is a file; a folder"),
        ({"data": "folder:nowhere"}, "nowhere: no such folder"),
        ({"labels": "mine"}, "labels=mine: one of corrected, published"),
        ({"data": "folder:my_faces*0.5"}, r"--data=folder:my_faces\*0.5: shares are for training"),
        ({"data": "folder:a/faces+folder:b/faces"}, "two data sets have the name faces"),
        ({"data": "folder:.", "output": "new"}, "--output=new lies in the data set folder:."),
    ],
)
def test_bad_input_is_named(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=message):
        pack(**{"data": "folder:my_faces", **options})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "taken"]


def test_all_shards_or_none_and_never_those_that_are_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "faces")
    pack("folder:faces", output="packed")
    assert "done: '--data=shards:packed/faces-{split}.tar'" in capsys.readouterr().out
    written = {path: path.read_bytes() for path in (tmp_path / "packed").iterdir()}
    assert sorted(path.name for path in written) == ["faces-train.tar", "faces-validation.tar"]
    with pytest.raises(InputError, match=r"--output=packed/faces-train\.tar: would replace the in"):
        pack("shards:packed/faces-{split}.tar", output="packed")
    (tmp_path / "packed" / "faces-validation.tar").unlink()
    with pytest.raises(InputError, match="no such file"):
        pack("shards:packed/faces-{split}.tar", output="again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "packed"]
    train = load_records("shards:packed/faces-{split}.tar", "train")
    assert len(train) == len(load_records("folder:faces", "train"))
