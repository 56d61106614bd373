"""The check that tests leave nothing behind: it sees what it should."""

import os
import subprocess
from pathlib import Path

import cv2
import numpy as np

from tests.conftest import HOME, Written, contents, left_in


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def test_new_files_in_the_source_tree_are_seen(tmp_path):
    write(tmp_path, "keypoints/a.py", "runs/mine/config.json")
    before = contents(tmp_path)
    write(tmp_path, "keypoints/out/b.png", "c.zip", "runs/yours/config.json")
    write(tmp_path, "runs/mine/metrics.csv", "keypoints/__pycache__/a.pyc", ".git/index")
    assert contents(tmp_path) - before == {"keypoints/out/b.png", "c.zip", "runs/yours"}


def test_new_files_in_the_home_folder_are_seen(tmp_path):
    write(tmp_path, ".keras/keras.json", ".cache/keypoints/jax-0/program", ".cache/keypoints/net")
    write(tmp_path, "tensorflow_datasets/faces/1.0.0/data")
    assert left_in(tmp_path) == {".cache/keypoints/net", "tensorflow_datasets/faces/1.0.0/data"}


def test_what_this_process_writes_is_told_from_what_others_write(tmp_path, monkeypatch):
    written = Written(tmp_path)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "a.png", "runs/mine/config.json")
    Path("b.tmp").touch()
    os.replace("b.tmp", "b.png")
    cv2.imwrite("half.png", np.zeros((2, 2)))
    os.replace("half.png", "whole.png")
    subprocess.run(["touch", "users.png"])
    (tmp_path / "a.png").read_text()
    (tmp_path / "users.png").read_text()
    assert contents(tmp_path) - written.names == {"users.png"}
    assert {"a.png", "b.png", "whole.png", "runs/mine"} <= written.names


def test_the_home_folder_of_the_tests_is_not_the_users():
    assert Path.home() == HOME and Path("~").expanduser() == HOME
