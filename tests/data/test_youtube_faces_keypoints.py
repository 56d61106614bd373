import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from keypoints.data.annotations import split_of
from keypoints.data.correction import YOUTUBE_FACES
from keypoints.data.datasets.youtube_faces_keypoints import (
    youtube_faces_keypoints_dataset_builder as module,
)
from keypoints.data.sources import load_records
from keypoints.errors import InputError
from keypoints.media.pictures import decode_picture
from keypoints.system import download as system_download
from keypoints.system.download import download
from tests.archives import PEOPLE, picture, points, write_archive

FILES = [f"{source}/{name}" for source, names in PEOPLE.items() for name in names]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.delenv(module.ARCHIVE_VARIABLE, raising=False)
    monkeypatch.setattr("keypoints.system.download.PAUSE", 0)


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "archive.zip")


@pytest.fixture
def server():
    """A local HTTP server; its `cuts` first answers end half-way."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.server.requests += 1
            self.send_response(200)
            cut = self.server.requests <= self.server.cuts
            sent = self.server.data[: len(self.server.data) // 2 if cut else None]
            if self.server.chunked:  # as GitHub sends archives: no length is announced
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(self.server.data), sent))
                self.wfile.write(b"" if cut else b"0\r\n\r\n")
            else:
                self.send_header("Content-Length", str(len(self.server.data)))
                self.end_headers()
                self.wfile.write(sent)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.cuts, server.data, server.chunked = 0, 0, b"", False
    server.url = f"http://127.0.0.1:{server.server_port}/master.zip"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_every_split_holds_its_people_and_every_feature_is_right(archive, tmp_path):
    builder = module.Builder(archive=archive, data_dir=tmp_path)
    builder.download_and_prepare()
    found = {}
    for split in ("train", "validation", "test"):
        for example in builder.as_dataset(split=split).as_numpy_iterator():
            identity = example["identity"].decode()
            assert split_of(identity) == split
            found[example["file"].decode()] = example
    assert sorted(found) == sorted(FILES)
    for index, file in enumerate(FILES):
        np.testing.assert_array_equal(found[file]["published"], points(index))
        corrected = YOUTUBE_FACES.apply(points(index).astype(np.float32))
        np.testing.assert_array_equal(found[file]["corrected"], corrected)
        np.testing.assert_array_equal(found[file]["image"], decode_picture(picture(index), file))
    example = found["test/Ann_Lee_25.jpg"]
    assert (example["identity"], example["video"], example["frame"]) == (b"Ann_Lee", 2, 5)
    for split, source in (("seed_train", "training"), ("seed_test", "test")):
        records = load_records("youtube_faces_keypoints", split, data_dir=tmp_path)
        assert list(records.files) == [file for file in FILES if file.startswith(f"{source}/")]
        assert records.points.dtype == np.float32
        for labels, name in ({}, "corrected"), ({"labels": "published"}, "published"):
            chosen = load_records("youtube_faces_keypoints", split, data_dir=tmp_path, **labels)
            np.testing.assert_array_equal(chosen.points[0], found[chosen.files[0]][name])


def test_the_environment_variable_names_the_archive(archive, tmp_path, monkeypatch):
    monkeypatch.setenv(module.ARCHIVE_VARIABLE, str(archive))
    assert len(load_records("youtube_faces_keypoints", "seed_test", data_dir=tmp_path)) == 2
    # Prepared once, the archive is not needed again.
    archive.unlink()
    assert len(load_records("youtube_faces_keypoints", "seed_train", data_dir=tmp_path)) == 4


def test_another_archive_is_not_taken_for_the_one_that_was_prepared(archive, tmp_path, monkeypatch):
    def load(**options):
        return load_records("youtube_faces_keypoints", "seed_test", data_dir=tmp_path, **options)

    load(archive=archive)
    changed = {"data/test/Di_Eco_50.jpg": picture(9)}
    other = write_archive(tmp_path / "other.zip", changes=changed)
    prepared = tmp_path / "youtube_faces_keypoints"
    message = rf"{prepared}.* was prepared from another archive than {other}; delete"
    with pytest.raises(InputError, match=message):
        load(archive=other)
    monkeypatch.setenv(module.ARCHIVE_VARIABLE, str(other))
    with pytest.raises(InputError, match=message):
        load()
    copy = shutil.copy(archive, tmp_path / "copy.zip")  # of another name and time
    assert len(load(archive=copy)) == 2


def test_an_archive_that_is_not_there_is_refused_though_the_data_are_prepared(archive, tmp_path):
    load_records("youtube_faces_keypoints", "seed_test", archive=archive, data_dir=tmp_path)
    for data in ("youtube_faces_keypoints", "synthetic_faces"):
        with pytest.raises(InputError, match=r"archive=.*missing\.zip: no such file"):
            load_records(data, "train", archive=tmp_path / "missing.zip", data_dir=tmp_path)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("cuts", [0, 2])
def test_the_download_is_tried_again_when_cut_half_way(archive, tmp_path, server, cuts, chunked):
    server.data, server.cuts, server.chunked = archive.read_bytes(), cuts, chunked
    path = download(server.url, tmp_path / "fetched.zip")
    assert path.read_bytes() == server.data and server.requests == cuts + 1
    assert sorted(tmp_path.iterdir()) == sorted([archive, path])


def test_two_downloads_of_one_file_at_once_do_not_mix(archive, tmp_path, server, monkeypatch):
    """Both are under way together, each in a file of its own."""
    server.data = archive.read_bytes()
    path, parts, together = tmp_path / "fetched.zip", [], threading.Barrier(2, timeout=30)
    fetch = system_download._fetch

    def fetch_together(url, part):
        parts.append(part)
        fetch(url, part)
        together.wait()

    monkeypatch.setattr(system_download, "_fetch", fetch_together)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(download, server.url, path) for _ in range(2)]:
            assert done.result() == path
    assert len(set(parts)) == 2
    assert path.read_bytes() == server.data and sorted(tmp_path.iterdir()) == sorted(
        [archive, path]
    )


def test_a_builder_downloads_what_it_does_not_find(archive, tmp_path, server, monkeypatch):
    server.data = archive.read_bytes()
    builder = module.Builder(url=server.url, data_dir=tmp_path / "data")
    builder.download_and_prepare()
    assert builder.info.splits["seed_train"].num_examples == 4


def test_a_download_that_never_ends_names_every_way_and_leaves_nothing(
    archive, tmp_path, server, monkeypatch
):
    monkeypatch.setattr(module, "URL", server.url)
    server.data, server.cuts = archive.read_bytes(), 99
    with pytest.raises(InputError) as error:
        load_records("youtube_faces_keypoints", "train", data_dir=tmp_path / "data")
    message = str(error.value)
    for word in ("`archive`", "KEYPOINTS_ARCHIVE", server.url, "synthetic_faces", "bytes"):
        assert word in message
    assert f"{tmp_path / 'data' / 'youtube_faces_keypoints'}, no archive" in message
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    server.cuts = 0
    assert (
        len(load_records("youtube_faces_keypoints", "seed_test", data_dir=tmp_path / "data")) == 2
    )


def test_nobody_listening_is_an_error_too(tmp_path):
    with pytest.raises(InputError, match="in 3 attempts"):
        download("http://127.0.0.1:9/x.zip", tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"../../outside.txt": b"x"}, ["would leave its folder"]),
        ({"data/test/Di_Eco_50.jpg": None}, ["test/Di_Eco_50.jpg: cannot be read"]),
        (
            {"data/test/Di_Eco_50.jpg": picture(5)[:300]},
            ["test/Di_Eco_50.jpg: not a whole picture"],
        ),
        ({"data/test_frames_keypoints.csv": None}, ["0 files data/test_frames_keypoints.csv"]),
        (
            {
                "data/test_frames_keypoints.csv": b",0\nAnn_Lee_25.jpg,1,2\n",
                "data/training/Bo_Chan_01.jpg": b"",
            },
            [
                "2 bad entries",
                "line 2: Ann_Lee_25.jpg: fewer than two",
                "training/Bo_Chan_01.jpg: not a whole picture",
            ],
        ),
    ],
)
def test_a_bad_archive_is_refused_with_all_reasons_and_nothing_prepared(tmp_path, changes, reasons):
    archive = write_archive(tmp_path / "bad.zip", changes=changes)
    with pytest.raises(InputError) as error:
        load_records("youtube_faces_keypoints", "train", archive=archive, data_dir=tmp_path / "d")
    for reason in reasons:
        assert reason in str(error.value)
    assert not [path for path in (tmp_path / "d").rglob("*") if path.is_file()]


def test_a_member_that_unpacks_to_more_than_any_is_refused_unread(tmp_path, monkeypatch):
    archive = write_archive(tmp_path / "bad.zip")
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    monkeypatch.setattr(module.zipfile.ZipFile, "read", lambda *_: 1 / 0)
    with pytest.raises(InputError, match=r"data/training_frames_keypoints\.csv: 0 MB unpacked"):
        module.read_archive(archive)


def test_what_is_no_zip_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"not a zip")
    for path in (tmp_path / "a.zip", tmp_path / "missing.zip"):
        with pytest.raises(InputError, match=rf"{path} is not a ZIP archive"):
            module.read_archive(path)
