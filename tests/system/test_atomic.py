import os
import time

import pytest

from keypoints.errors import InputError
from keypoints.system.atomic import keep_apart, replacing, reserve, write_text
from keypoints.system.processes import run_python


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


def test_an_output_never_replaces_an_input_or_another_output(tmp_path):
    (tmp_path / "a.png").write_text("a")
    (tmp_path / "link.png").symlink_to("a.png")
    os.link(tmp_path / "a.png", tmp_path / "hard.png")
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/../a.png", "link.png", "hard.png"):
        message = rf"^--output={tmp_path}/{name}: would replace the input; give another name$"
        with pytest.raises(InputError, match=message):
            keep_apart([tmp_path / "a.png"], [("--output", tmp_path / name)])
    outputs = [
        ("--output", tmp_path / "new.csv"),
        ("--points", tmp_path / "sub" / ".." / "new.csv"),
    ]
    with pytest.raises(InputError, match=r"^--points=.*: would replace the file of --output; give"):
        keep_apart([tmp_path / "a.png"], outputs)
    keep_apart([tmp_path / "a.png", tmp_path / "link.png"], [("--output", tmp_path / "b.png")])


def test_ten_thousand_files_are_kept_apart_at_once(tmp_path):
    """Linear: at the quadratic rate of a comparison of each with each this took an hour."""
    inputs = [tmp_path / f"{number}.png" for number in range(10_000)]
    start = time.process_time()
    keep_apart(inputs, [("--output", tmp_path / "out" / path.name) for path in inputs])
    assert time.process_time() - start < 3


def test_a_place_is_kept_on_systems_without_a_call_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr("keypoints.system.atomic.BLOCK", 1000)
    for name in ("with", "without"):
        reserve(tmp_path / name, 2500)
        assert (tmp_path / name).read_bytes() == bytes(2500)
        monkeypatch.delattr(os, "posix_fallocate", raising=False)


def test_what_is_synced_is_open_for_writing(tmp_path, monkeypatch):
    """Windows refuses to sync what is open for reading alone."""
    fcntl = pytest.importorskip("fcntl")
    modes = []
    monkeypatch.setattr(os, "fsync", lambda file: modes.append(fcntl.fcntl(file, fcntl.F_GETFL)))
    write_text(tmp_path / "a.txt", "x")
    assert [mode & os.O_ACCMODE for mode in modes] == [os.O_RDWR]


def test_text_is_utf_8_whatever_the_system_is_set_to(tmp_path):
    code = (
        "import sys; from keypoints.system.atomic import *\n"
        "write_text(Path(sys.argv[1]), 'Zo\\xeb')"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run_python(code, str(tmp_path / "a.txt"), failure="not written", **plain)
    assert (tmp_path / "a.txt").read_bytes() == "Zoë".encode()
