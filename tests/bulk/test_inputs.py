"""Which files there are, and what of them cannot be read."""

import functools
import http.server
import io
import re
import tarfile
import threading

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from keypoints.bulk import inputs
from keypoints.bulk.inputs import Unit, list_sources, make_units, read_unit
from keypoints.errors import InputError
from keypoints.media.pictures import encode_png

PNG = encode_png(np.full((3, 5, 3), 90, np.uint8))


def test_files_folders_and_globs_are_listed_once(tmp_path):
    for name in (
        "b.PNG",
        "a.jpg",
        "sub/c.tar",
        "notes.txt",
        ".d.png",
        "__MACOSX/e.png",
        "x[1].png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    names = ["a.jpg", "b.PNG", "sub/c.tar", "x[1].png"]
    whole = [str(tmp_path / name) for name in names]
    assert list_sources([str(tmp_path)]) == whole
    assert list_sources([f"file://{tmp_path}", f"{tmp_path}/a.jpg"]) == whole
    assert list_sources([f"{tmp_path}/*.jpg", f"{tmp_path}/x[1].png"]) == [whole[0], whole[3]]


def test_all_that_is_read_is_found_in_folders_and_shards(tmp_path):
    """Formats that are read and not written, of which some have several names."""
    picture = Image.fromarray(np.full((20, 30, 3), 90, np.uint8))
    kinds = {"a.jfif": "JPEG", "b.ppm": "PPM", "c.PGM": "PPM", "d.tga": "TGA", "e.mpo": "MPO",
             "f.jp2": "JPEG2000", "g.dib": "DIB"}  # fmt: skip
    folder, shard = tmp_path / "photos", tmp_path / "mix.tar"
    folder.mkdir()
    with tarfile.open(shard, "w") as archive:
        for name, kind in kinds.items():
            shown = picture.convert("L") if name.endswith("PGM") else picture
            shown.save(folder / name, kind)
            archive.add(folder / name, name)
    sources = list_sources([str(folder)])
    assert sources == [str(folder / name) for name in kinds]
    for units in ([Unit(tuple(sources))], [Unit((str(shard),))]):
        images = [found.load() for unit in units for found in read_unit(unit)]
        assert [image.shape for image in images] == [(20, 30, 3)] * len(kinds)


@pytest.mark.parametrize("spelt", ["photos/out", "./photos/../photos/out/", "link"])
def test_annotations_in_a_folder_are_no_inputs(tmp_path, monkeypatch, spelt):
    """The output that is written, however its path is spelt, and others that are there."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "out/filtered/0/0.jpg", "out/faces/0.parquet", "outer/b.png",
                 "sub/old/annotation.json", "sub/old/pictures/1.parquet", "sub/c.png"):  # fmt: skip
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(PNG)
    (tmp_path / "link").symlink_to("photos/out")
    names = ["a.png", "outer/b.png", "sub/c.png"]
    whole = [str(tmp_path / "photos" / name) for name in names]
    assert list_sources(["photos"], output=spelt) == whole
    assert list_sources([f"{tmp_path}/photos/**"], output=spelt) == whole
    with pytest.raises(InputError, match="photos/out/filtered: no picture"):
        list_sources(["photos/out/filtered"], output=spelt)
    # Another output may be made from it, if it is named.
    assert list_sources(["photos/out/filtered"]) == [f"{tmp_path}/photos/out/filtered/0/0.jpg"]


def test_an_output_at_a_url_is_no_input_either():
    for name in ("a.png", "out/faces/b.parquet"):
        with fsspec.open(f"memory://shots/{name}", "wb") as file:
            file.write(PNG)
    found = list_sources(["memory://shots"], output="memory://shots/out")
    assert found == ["memory:///shots/a.png"]


def test_all_formats_that_are_read_are_listed(tmp_path):
    """Also those that are not written, in folders and in tar shards."""
    image = Image.fromarray(np.full((3, 5, 3), 90, np.uint8))
    names = ["a.jfif", "b.ppm", "c.pgm", "d.tga", "e.mpo"]
    for name in names:
        image.convert("L" if "pgm" in name else "RGB").save(
            tmp_path / name, format="JPEG" if "mpo" in name else None
        )
    with tarfile.open(tmp_path / "s.tar", "w") as shard:
        for name in names:
            shard.add(tmp_path / name, name)
    *files, tar = list_sources([str(tmp_path)])
    assert files == [str(tmp_path / name) for name in names]
    assert [picture.member for picture in read_unit(Unit((tar,)))] == names
    assert errors(Unit(tuple(files))) == errors(Unit((tar,))) == [""] * 5


@pytest.mark.parametrize(
    "name, message",
    [
        ("gone", "no picture, video, .tar or .parquet file is there"),
        ("*.gif", "no picture, video"),
        ("notes.txt", "a picture, a video, .tar or .parquet is expected"),
        ("nowhere://bucket", "Protocol not known: nowhere"),
    ],
)
def test_inputs_without_a_picture_are_refused(tmp_path, monkeypatch, name, message):
    (tmp_path / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        list_sources([name])
    assert str(error.value).startswith(name)


def test_units_are_some_pictures_or_one_container(tmp_path):
    table = tmp_path / "t.parquet"
    pq.write_table(pa.table({"bytes": [PNG] * 5}), table, row_group_size=2)
    names = ["a.png", "b.png", "c.png", "d.mp4", str(table)]
    units = make_units(names, 2)
    groups = [Unit((str(table),), group) for group in range(3)]
    assert units == [Unit(("a.png", "b.png")), Unit(("c.png",)), Unit(("d.mp4",)), *groups]
    assert len({unit.name for unit in units}) == 6
    assert [picture.member for picture in read_unit(groups[1])] == ["2", "3"]


def errors(unit: Unit, **options: bool) -> list[str]:
    """Why the pictures of a unit could not be read; "" for those that could."""
    found = []
    for picture in read_unit(unit, **options):
        try:
            picture.load()
            found.append("")
        except (InputError, OSError) as error:
            found.append(str(error))
    return found


def test_a_tar_shard_that_breaks_off_costs_what_is_missing(tmp_path):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as shard:
        for name in ("a.png", "b.png"):
            member = tarfile.TarInfo(name)
            member.size = 2000
            shard.addfile(member, io.BytesIO(PNG.ljust(2000, b"\0")))
    (tmp_path / "s.tar").write_bytes(data.getvalue()[:3500])
    first, second = errors(Unit((str(tmp_path / "s.tar"),)))
    assert first == "" and second.startswith(f"{tmp_path}/s.tar breaks off: ")


def test_what_cannot_be_read_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "MAX_BYTES", 1_000_000)
    (tmp_path / "large.png").write_bytes(bytes(1_000_001))
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    (tmp_path / "empty.tar").write_bytes(bytes(10240))
    pq.write_table(pa.table({"other": [1]}), tmp_path / "other.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"path": ["large.png", None]}), tmp_path / "paths.parquet")
    data = (tmp_path / "paths.parquet").read_bytes()  # neither a name nor a path is text
    (tmp_path / "name.parquet").write_bytes(data.replace(b"path", b"\x80ath"))
    (tmp_path / "cell.parquet").write_bytes(data.replace(b"large.png", b"\x80arge.png"))
    reasons = {
        "gone.png": ["No such file"],
        "large.png": ["more than 1 MB"],
        "clip.mp4": ["not a video"],
        "empty.tar": ["no picture is in it"],
        "other.parquet": ["a column image, bytes, path is expected"],
        "broken.parquet": ["not a whole Parquet table"],
        "name.parquet": ["not a whole Parquet table: 'utf-8'"],
        "cell.parquet": ["not a whole Parquet table: 'utf-8'"],
        "paths.parquet": ["large.png: .*more than 1 MB", "row 1: the bytes or the path"],
    }
    for name, expected in reasons.items():
        path = str(tmp_path / name)
        found = errors(make_units([path], 9)[0])
        assert len(found) == len(expected)
        for reason, wanted in zip(found, expected):
            assert re.search(wanted, reason) and str(tmp_path) in reason


def test_a_table_of_little_data_that_would_fill_the_memory_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "MAX_BYTES", 1_000_000)
    path = str(tmp_path / "t.parquet")
    for cells, named in (
        ([bytes(2_000_000)], r"t\.parquet: \d+ bytes that unpack to 2 MB"),
        ([bytes(900_000)], "row 0: not a whole picture"),  # less than a picture may have
    ):
        pq.write_table(pa.table({"bytes": cells}), path, compression="zstd", use_dictionary=False)
        assert (tmp_path / "t.parquet").stat().st_size < 2_000
        (reason,) = errors(Unit((path,), 0))
        assert re.search(named, reason)


def test_other_groups_of_a_table_do_not_hide_one_that_would_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "MAX_BYTES", 1_000_000)
    path, rng = str(tmp_path / "t.parquet"), np.random.default_rng(0)
    cells = [bytes(2_000_000), *(rng.bytes(1_000) for _ in range(30))]
    table = pa.table({"bytes": cells})
    pq.write_table(table, path, row_group_size=1, compression="zstd", use_dictionary=False)
    # A hundredth of the 2 MB is less than the file, but more than a group of it.
    assert (tmp_path / "t.parquet").stat().st_size > 20_000
    (reason,) = errors(Unit((path,), 0))
    assert re.search(r"\d+ bytes that unpack to 2 MB", reason)
    (reason,) = errors(Unit((path,), 1))
    assert "not a picture" in reason or "row 1" in reason


class Address(str):
    """The URL of a server, with the paths that it was asked for."""

    asked: list[str]


@pytest.fixture
def server(tmp_path):
    """A local http server of a folder with one picture; it fails at the first read of `/late`."""
    (tmp_path / "a.png").write_bytes(PNG)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if asked.count(self.path) == 1 and "late" in self.path:
                self.send_error(503)
            else:
                self.path = self.path.replace("late", "a")
                super().do_GET()

        def log_message(self, *arguments):
            pass

    handler = functools.partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        address = Address(f"http://127.0.0.1:{running.server_port}")
        address.asked = asked
        yield address
        running.shutdown()


def test_a_table_reaches_nothing_outside_of_its_folder(server, tmp_path):
    folder = tmp_path / "tables"
    (folder / "sub").mkdir(parents=True)
    for path in (tmp_path / "private.png", folder / "sub" / "own.png"):
        path.write_bytes(PNG)
    outside = [str(tmp_path / "private.png"), "../private.png", f"{server}/a.png",
               f"file://{tmp_path}/private.png", "sub/../../private.png"]  # fmt: skip
    cells = ["sub/own.png", *outside, "simplecache::private.png"]
    pq.write_table(pa.table({"path": cells}), folder / "t.parquet")
    unit = Unit((str(folder / "t.parquet"),), 0)
    own, *others = errors(unit)
    assert own == ""
    for row, (cell, reason) in enumerate(zip(cells[1:], others), 1):
        name = f"{folder}/t.parquet, row {row}: {cell}"
        assert reason == (
            f"{name}: is not in the folder of the table; --outside=True reads it all the same"
        )
    assert server.asked == []
    assert errors(unit, outside=True)[:-1] == [""] * 6 and server.asked == ["/a.png"]


def test_pictures_of_a_server(server, monkeypatch):
    monkeypatch.setattr(inputs, "PAUSES", (0.01,))
    assert list_sources([f"{server}/a.png?size=1"]) == [f"{server}/a.png?size=1"]
    assert errors(Unit((f"{server}/a.png", f"{server}/late.png"))) == ["", ""]
    (gone,) = errors(Unit((f"{server}/gone.png",)))
    assert "gone.png" in gone


def test_pictures_of_another_file_system():
    with fsspec.open("memory://pictures/a.png", "wb") as file:
        file.write(PNG)
    (source,) = list_sources(["memory://pictures"])
    assert source == "memory:///pictures/a.png" and errors(Unit((source,))) == [""]
