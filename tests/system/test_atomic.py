import os

import pytest

from keypoints.errors import InputError
from keypoints.system.atomic import replacing, write_text


def test_a_failed_write_keeps_what_was_there(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "first")
    with (
        pytest.raises(InputError, match=r"No space left.*; its previous content"),
        replacing(path) as temporary,
    ):
        temporary.write_text("half")
        raise OSError(28, os.strerror(28))
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]


def test_a_block_that_raises_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*file/a\.txt: Not a directory$"):
        write_text(tmp_path / "file" / "a.txt", "x")
