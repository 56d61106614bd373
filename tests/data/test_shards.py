"""Tar shards: what is read, and that a set that is not held in memory gives the very batches."""

import dataclasses
import io
import json
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from keypoints import geometry
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.data import records as module
from keypoints.data import shards
from keypoints.data.annotations import split_of
from keypoints.data.pipeline import training_pipeline
from keypoints.data.sources import load_records, parse_sets
from keypoints.errors import InputError
from keypoints.markup import bundled
from keypoints.media.pictures import encode_png
from keypoints.training.hosts import Hosts
from tests.faces import dotted_faces, drawn_faces

CONFIG = Config(batch_size=4, seed=3)


def npy(points: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, points)
    return file.getvalue()


def pts(points: np.ndarray) -> bytes:
    rows = "\n".join(f"{x + 1} {y + 1}" for x, y in points.tolist())
    return f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n".encode()


def described(points: np.ndarray, **facts) -> bytes:
    return json.dumps({"points": points.tolist(), **facts}).encode()


def write_shard(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as shard:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))


@pytest.fixture
def faces(tmp_path):
    """Nine faces, and the folder of two shards of theirs: five with .npy, four with .json."""
    faces = dotted_faces(9)
    for number, (start, end) in enumerate(((0, 5), (5, 9))):
        members = {}
        for i in range(start, end):
            label = {
                f"a/{i}.npy": npy(faces.points[i]),
                f"a/{i}.json": described(faces.points[i], identity=f"p{i}"),
            }
            key = f"a/{i}.json" if number else f"a/{i}.npy"
            members |= {f"a/{i}.png": encode_png(faces.image(i)), key: label[key]}
        write_shard(tmp_path / f"train-{number}.tar", members)
    return faces, tmp_path


def test_pictures_points_names_and_people(faces):
    drawn, folder = faces
    records = load_records(f"shards:{folder}/train-*.tar", "all")
    assert records.name == "train/all" and len(records) == 9
    assert records.files[0] == "train-0.tar/a/0.png" and records.files[8] == "train-1.tar/a/8.png"
    np.testing.assert_array_equal(records.points, drawn.points)
    np.testing.assert_allclose(records.boxes, drawn.boxes, rtol=1e-6)
    assert all(np.array_equal(records.image(i), drawn.image(i)) for i in range(9))
    # Of .npy the name stands for the person.
    assert records.identities[4:6] == ("train-0.tar/a/4.npy", "p5")


def test_the_split_is_in_the_name_or_of_the_hash(faces):
    folder = faces[1]
    (folder / "train-1.tar").rename(folder / "validation-1.tar")
    named = f"shards:{folder}/{{split}}-?.tar"
    assert len(load_records(named, "train")) == 5 and len(load_records(named, "validation")) == 4
    hashed = [split_of(f"p{i}") for i in range(5, 9)]
    whole = f"shards:{folder}/validation-1.tar"
    assert len(load_records(whole, "train")) == hashed.count("train") > 0
    assert [name for name, _ in parse_sets(f"{named}*0.5+{whole}")] == [named, whole]


def test_points_of_300w_and_members_that_are_no_examples(tmp_path):
    drawn = dotted_faces(1)
    image = encode_png(drawn.image(0))
    members = {"0.pts": pts(drawn.points[0]), "readme.txt": b"x", "0.cls": b"3", "._0.png": b"x"}
    write_shard(tmp_path / "one.tar", {**members, "0.png": image})
    records = load_records(f"shards:{tmp_path}/one.tar", "all")
    np.testing.assert_allclose(records.points[0], drawn.points[0], atol=1e-4)


def batches(records: module.Records, **options) -> list:
    pipeline = training_pipeline(records, CONFIG, epoch=2, **options)
    return list(pipeline.as_numpy_iterator())


def test_a_set_that_is_not_held_gives_the_very_batches(faces, monkeypatch):
    """Two of four batches of nine pictures; so do the rows of each of two hosts."""
    data = f"shards:{faces[1]}/train-*.tar"
    held = load_records(data, "all")
    monkeypatch.setattr(module, "MEMORY_LIMIT", 0)
    streamed = load_records(data, "all")
    assert sum(picture.bytes for picture in held.pictures) > 9 * 90 * 140 * 3
    assert sum(picture.bytes for picture in streamed.pictures) == 0
    assert held.describe() == streamed.describe()
    expected, given = batches(held), batches(streamed)
    assert len(expected) == len(given) == 2
    for whole, streamed_one in zip(expected, given):
        for ours, other in zip(whole, streamed_one):
            np.testing.assert_array_equal(ours, other)
    for index in range(2):
        rows = Hosts(count=2, index=index).rows(4)
        for whole, share in zip(expected, batches(streamed, rows=rows)):
            np.testing.assert_array_equal(whole[0][rows], share[0])


def test_memory_does_not_grow_with_the_pictures(tmp_path, monkeypatch):
    """40 pictures of 1.2 MB: less than two of them are held while and after they are listed."""
    monkeypatch.setattr(module, "MEMORY_LIMIT", 0)
    image = encode_png(np.zeros((500, 800, 3), np.uint8))
    points = dotted_faces(1).points[0]
    members = {}
    for i in range(40):
        members |= {f"{i}.png": image, f"{i}.json": described(points, identity=str(i))}
    write_shard(tmp_path / "large.tar", members)
    load_records(f"shards:{tmp_path}/large.tar", "all")  # imports
    tracemalloc.start()
    try:
        records = load_records(f"shards:{tmp_path}/large.tar", "all")
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(records) == 40
    assert held < 1e6 and peak < 8e6


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.png": b""}, "bad.tar/a.png: no points of that name"),
        ({"a.npy": b"1"}, "bad.tar/a.npy: no picture of that name"),
        ({"a.png": b"", "a.npy": b"1"}, "bad.tar/a.npy: EOF: reading magic"),
        ({"a.png": b"", "a.json": b"[]"}, "bad.tar/a.json holds list"),
        (
            {"a.png": b"", "a.npy": npy(np.zeros((5, 2)))},
            "a.npy: 5 points, 68 are expected",
        ),
        ({"a.png": b"x", "a.npy": npy(np.zeros((68, 2)))}, "bad.tar/a.png: not a"),
        ({"a.png": b"x", "a.npy": npy(np.full((68, 2), np.nan))}, "fewer than two points"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, members, message):
    write_shard(tmp_path / "bad.tar", members)
    with pytest.raises(InputError, match=message):
        load_records(f"shards:{tmp_path}/bad.tar", "all")


def test_shards_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(InputError, match=r"no\.tar: no such file"):
        load_records(f"shards:{tmp_path}/no.tar", "all")
    (tmp_path / "bad.tar").write_bytes(b"no tar")
    with pytest.raises(InputError, match=r"bad\.tar: not a whole \.tar file"):
        load_records(f"shards:{tmp_path}/bad.tar", "all")


def test_packed_faces_give_the_crops_points_and_facts_of_their_pictures(tmp_path):
    """Windows of 448 pixels: what a network of 224 pixels sees, bar the losses of WebP."""
    drawn = drawn_faces(5)
    points = drawn.points.copy()
    points[1, :17] = np.nan
    yaw = np.array([-31.5, np.nan, 0.0, 5.25, 60.0], np.float32)
    records = dataclasses.replace(drawn, points=points, yaw=yaw)
    shards.write_shard(tmp_path / "faces-train.tar", records, resolution=224, quality=100)
    packed = load_records(f"shards:{tmp_path}/faces-{{split}}.tar", "train")
    assert packed.name == "faces/train" and packed.identities == records.identities
    np.testing.assert_array_equal(packed.yaw, yaw)
    ours, theirs = (Crop(1.4).matrices(faces.boxes) for faces in (records, packed))
    np.testing.assert_allclose(
        geometry.apply(theirs, packed.points), geometry.apply(ours, records.points), atol=0.01
    )
    for i in range(5):
        assert packed.shapes[i].tolist() == [448, 448]
        away = packed.crop(i, theirs[i]).astype(float) - records.crop(i, ours[i])
        assert np.abs(away).mean() < 3


def test_a_box_that_is_none_is_refused(tmp_path):
    drawn = dotted_faces(1)
    image, label = encode_png(drawn.image(0)), described(drawn.points[0], box=[4, 5, -1, 20])
    write_shard(tmp_path / "one.tar", {"0.json": label, "0.png": image})
    with pytest.raises(InputError, match=r"one.tar/0.json: box=\[4, 5, -1, 20\]: left, top, width"):
        load_records(f"shards:{tmp_path}/one.tar", "all")


def crafted(size: int, name: str = "a.json") -> bytes:
    """A shard of one picture and a member whose header says that it has `size` bytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as shard:
        picture = tarfile.TarInfo("a.png")
        picture.size = 4
        shard.addfile(picture, io.BytesIO(b"\x89PNG"))
        member = tarfile.TarInfo(name)
        member.size = size
        shard.fileobj.write(member.tobuf())
    return file.getvalue() + b"[]" * 300


@pytest.mark.parametrize("size", [10_000, 10**13, 2**63, 2**64])
@pytest.mark.parametrize("name", ["a.json", "b.png"])
def test_a_member_larger_than_its_shard_is_not_read(tmp_path, size, name):
    (tmp_path / "bad.tar").write_bytes(crafted(size, name))
    with pytest.raises(InputError, match=rf"{name}: {size} bytes: the shard is cut off or damaged"):
        load_records(f"shards:{tmp_path}/bad.tar", "all")


def header(shape: tuple[int, ...], kind: str = "<f8") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


ROWS = [[i % 9 * 3.0, i // 9 * 4.0] for i in range(68)]
CRAFTED = {
    "a.npy": (header((10**6, 10**6)), "in 128 bytes"),
    "b.npy": (header((68, 2), "|O"), "type object"),
    "c.npy": (header((68,) * 5), "shape"),
    "d.json": (b'{"points": ' + b"[" * 100_000, "is not JSON"),
    "e.json": (json.dumps({"points": ROWS, "yaw": 10**400}).encode(), "beyond any picture"),
    "f.json": (json.dumps({"points": ROWS, "box": [1, 2, 3, 10**400]}).encode(), "4 numbers"),
    "g.json": (json.dumps({"points": [[10**400, 1], *ROWS[1:]]}).encode(), "beyond any picture"),
    "h.json": (json.dumps({"points": [[1e30, 1], *ROWS[1:]]}).encode(), "beyond any picture"),
    "i.json": (json.dumps({"points": [[1, None], *ROWS[1:]]}).encode(), "one coordinate"),
    "j.json": (b'{"points": [[Infinity, 1], [1, 2]]}', "inf is not finite"),
    "k.json": (b"{}", "a list of points is expected"),
    "l.json": (json.dumps({"points": ROWS, "covered": [68]}).encode(), "numbers from 0 to 67"),
    "m.pts": (b"1 2\n3 4\n", "2 points, 68 are expected"),
    "n.pts": (b"{", "one brace"),
}


def test_crafted_labels_are_named_all_at_once(tmp_path):
    members = {name: data for name, (data, _) in CRAFTED.items()}
    pictures = {f"{name.partition('.')[0]}.png": b"" for name in members}
    write_shard(tmp_path / "bad.tar", {**members, **pictures})
    with pytest.raises(InputError) as error:
        load_records(f"shards:{tmp_path}/bad.tar", "all")
    message = str(error.value)
    assert f"has {len(CRAFTED)} bad entries" in message
    for line, (name, (_, reason)) in zip(message.splitlines()[1:], CRAFTED.items()):
        assert line.strip().startswith(f"bad.tar/{name}") and reason in line


def test_two_pictures_or_labels_of_one_name_are_named_both(tmp_path):
    drawn = dotted_faces(1)
    image, label = encode_png(drawn.image(0)), described(drawn.points[0])
    members = {"0.json": label, "0.png": image, "0.jpg": image, "0.npy": npy(drawn.points[0])}
    write_shard(tmp_path / "two.tar", members)
    with pytest.raises(InputError) as error:
        load_records(f"shards:{tmp_path}/two.tar", "all")
    assert "two.tar/0.png and two.tar/0.jpg: two pictures of one name" in str(error.value)
    assert "two.tar/0.json and two.tar/0.npy: two files of points of one name" in str(error.value)


def test_the_split_of_a_face_does_not_depend_on_its_shard(tmp_path):
    """Forty faces without identity in one shard, and in two of other names."""
    drawn = dotted_faces(1)
    image, label = encode_png(drawn.image(0)), npy(drawn.points[0])
    members = [{f"a/{i:04}.npy": label, f"a/{i:04}.png": image} for i in range(40)]
    groups = {"one": members, "first": members[:13], "second": members[13:]}
    for name, group in groups.items():
        write_shard(tmp_path / f"{name}.tar", {k: v for each in group for k, v in each.items()})
    for split in ("train", "validation", "test"):
        expected = {f"a/{i:04}" for i in range(40) if split_of(f"a/{i:04}") == split}
        together = load_records(f"shards:{tmp_path}/one.tar", split)
        apart = load_records(f"shards:{tmp_path}/[fs]*.tar", split)
        for records in (together, apart):
            found = {file.partition("/")[2].removesuffix(".png") for file in records.files}
            assert found == expected and expected


def test_covered_points_are_kept(tmp_path):
    drawn = drawn_faces(2)
    covered = np.zeros((2, 68), bool)
    covered[1, [3, 40]] = True
    records = dataclasses.replace(drawn, covered=covered)
    shards.write_shard(tmp_path / "f-train.tar", records, resolution=56, quality=50)
    packed = load_records(f"shards:{tmp_path}/f-{{split}}.tar", "train")
    np.testing.assert_array_equal(packed.covered, covered)


def test_a_shard_may_hold_its_markup(tmp_path):
    five = bundled("five")
    points = five.mean * 40 + [50, 40]
    image, label = encode_png(np.zeros((90, 110, 3), np.uint8)), described(points)
    first = {"markup.toml": five.to_toml().encode(), "0.json": label, "0.png": image}
    write_shard(tmp_path / "a.tar", first)
    records = load_records(f"shards:{tmp_path}/a.tar", "all")
    assert records.markup == five
    np.testing.assert_allclose(records.points[0], points, atol=1e-4)
    shards.write_shard(tmp_path / "packed-train.tar", records, resolution=56, quality=80)
    assert load_records(f"shards:{tmp_path}/packed-{{split}}.tar", "train").markup == five
    write_shard(tmp_path / "b.tar", {"0.json": label, "0.png": image})
    with pytest.raises(InputError, match=r"a\.tar and b\.tar: five has 5 points, ibug68 has 68"):
        load_records(f"shards:{tmp_path}/[ab].tar", "all")
    write_shard(tmp_path / "c.tar", {"markup.toml": b"name = 3", "0.json": label})
    with pytest.raises(InputError, match=r"c\.tar/markup\.toml: name=3: text is expected"):
        load_records(f"shards:{tmp_path}/c.tar", "all")
