"""tools.pack: bad input is named and nothing is written; what it writes: test_shards."""

import pytest

from keypoints.commands.pack import pack
from keypoints.errors import InputError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": 0}, "--quality=0: 1 to 100"),
        ({"resolution": 8}, "--resolution=8: 16 to 1024"),
        ({"output": "taken"}, "--output=taken is a file; a folder"),
        ({"data": "folder:nowhere"}, "nowhere: no such folder"),
    ],
)
def test_bad_input_is_named(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=message):
        pack(**{"data": "folder:my_faces", **options})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "taken"]
