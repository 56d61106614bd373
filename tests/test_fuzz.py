"""Damaged files: nothing but InputError, no hang, nothing outside the folder, nothing half-written.

Whole files of every kind are truncated, have bytes changed, and get strange words put into them. In
every test run each kind is damaged a fixed number of times, always in the same ways; `make fuzz`
does it in others, FUZZ times as often (docs/robustness.md).
"""

import faulthandler
import io
import json
import os
import signal
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from keypoints import config as configs
from keypoints.bulk import inputs
from keypoints.config import Config
from keypoints.data.annotations import AnnotatedPicture, Annotation
from keypoints.data.datasets.youtube_faces_keypoints import (
    youtube_faces_keypoints_dataset_builder as builder,
)
from keypoints.data.formats import cofw, parse_bytes
from keypoints.data.plausibility import check_records
from keypoints.data.sources import load_records
from keypoints.errors import InputError
from keypoints.evaluation.matching import matched_points
from keypoints.evaluation.protocol import read_predictions
from keypoints.filters import load_filter
from keypoints.inference.exported import MANIFEST, read_manifest
from keypoints.markup import bundled, parse_markup
from keypoints.media import picture_writer, pictures, video_writer, videos
from keypoints.models import runs
from keypoints.training.checkpoints import Progress, read_progress
from tests.archives import write_archive
from tests.clips import write_clip
from tests.faces import dotted_faces

FUZZ = int(os.environ.get("FUZZ", 1))
SECONDS = 20.0  # that one input may take
WORDS = [
    b"nan", b"-inf", b"1e999", b"9" * 400, b"../secret.png", b"/etc/passwd", b"\0", b"\xff\xfe",
    b"", b'"', b",", b";\t", b"{}", b"[" * 2000, b"null", b"\r", b"&#0;", b"<!DOCTYPE a>", b"-1",
]  # fmt: skip


def fuzz(examples: int) -> Callable:
    """Run a test on so many drawn inputs, FUZZ times as many in the long run."""
    return settings(
        max_examples=examples * FUZZ,
        derandomize=FUZZ == 1,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


# What headers say in 1 to 8 bytes, in both orders: the least, the most, and what overflows.
NUMBERS = [
    value.to_bytes(size, order)
    for size in (1, 2, 4, 8)
    for value in (0, 1, 256**size - 1, 256**size // 2, 256**size // 2 - 1)
    for order in ("big", "little")
]


@st.composite
def damaged(draw: Callable, samples: list[bytes], *, words: bool = False) -> bytes:
    """One of `samples`, cut off, with bytes changed and strange words (in text) or numbers (in
    other files) put in; or as it is."""
    place = st.floats(0, 1, exclude_max=True)
    data = bytearray(draw(st.sampled_from(samples)))
    for where, value in draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=8)):
        data[int(where * len(data))] = value
    if words:
        for where, word in draw(st.lists(st.tuples(place, st.sampled_from(WORDS)), max_size=3)):
            start = int(where * len(data))
            data[start : start + draw(st.integers(0, 8))] = word
    else:
        for where, number in draw(st.lists(st.tuples(place, st.sampled_from(NUMBERS)), max_size=3)):
            start = int(where * min(len(data), draw(st.sampled_from([64, 512, 1 << 30]))))
            data[start : start + len(number)] = number
    if draw(st.booleans()):
        del data[int(draw(place) * len(data)) :]
    return bytes(data)


@contextmanager
def in_time() -> Iterator[None]:
    """Fail where the block takes too long; end the process where even that is not heard."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"an input took more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(function: Callable, *arguments: Any) -> Any:
    """What `function` answers in time, or None where it says what is wrong with the input."""
    with in_time():
        try:
            return function(*arguments)
        except InputError as error:
            assert str(error)
            return None


def picture(kind: str, **options: Any) -> bytes:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (21, 26, 3), dtype=np.uint8))
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def many_frames(kind: str) -> bytes:
    frames = [Image.new("RGB", (9, 7), (0, 80 * i, 9)) for i in range(3)]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


BARE = picture("JPEG")  # a preview of the face as it was


def with_previews(kind: str) -> bytes:
    """A picture whose EXIF holds a maker's note, a comment, names and a place."""
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "Jane"
    exif.get_ifd(0x8769).update({0x927C: b"OLYMP\0" + BARE, 0x9286: b"Jane", 0xA431: "S-1"})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0)})
    xmp = b'<x:xmpmeta><a tiff:Orientation="6"/></x:xmpmeta>'
    return picture(kind, exif=exif, xmp=xmp) if kind != "TIFF" else picture(kind, exif=exif)


def with_texts() -> bytes:
    info = PngImagePlugin.PngInfo()
    for name in ("exif", "APP1", "8bim"):
        digits = (b"Exif\0\0II*\0\x08\0\0\0\0\0" + BARE).hex()
        info.add_text(f"Raw profile type {name}", f"\n{name}\n{len(digits) // 2:8}\n{digits}\n")
    return picture("PNG", pnginfo=info, transparency=(1, 2, 3))


def rgba() -> bytes:
    file = io.BytesIO()
    Image.new("RGBA", (26, 21), (200, 0, 0, 128)).save(file, "PNG")
    return file.getvalue()


PLAIN = picture("PNG")
PREVIEWS = [
    *(with_previews(kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")),
    with_texts(),
]
PICTURES = [
    *PREVIEWS,
    *(picture(kind) for kind in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "AVIF")),
    picture("TIFF", compression="tiff_lzw"),
    picture("JPEG", progressive=True, exif=Image.Exif()),
    *(many_frames(kind) for kind in ("PNG", "GIF", "WEBP", "TIFF")),
]
ROW = ",".join(f"{20 + i % 17}.{i % 10}" for i in range(136))
TABLES = [
    f"file,{','.join(map(str, range(136)))}\na.png,{ROW}\nb.png,{ROW[:-1]}7\n".encode(),
    f"a.png,{ROW}\n".replace(",", ";").encode(),
]
PTS = f"version: 1\nn_points: 68\n{{\n{ROW}\n}}\n".replace(",", "\n", 1)
PTS = "version: 1\nn_points: 68\n{\n" + "\n".join(f"{i}.5 {2 * i}" for i in range(68)) + "\n}\n"
PARTS = "".join(f"<part name='{i:02}' x='{i}' y='{2 * i}'/>" for i in range(68))
BOX = f"<box top='1' left='2' width='3' height='4'>{PARTS}</box>"
XML = f"<?xml version='1.0'?><dataset><images><image file='a.png'>{BOX}</image></images></dataset>"


def cofw_file() -> bytes:
    """A file of COFW with two faces in one picture."""
    points = np.arange(58.0).reshape(29, 2).astype(np.float32)
    face = Annotation("a.png", points, np.arange(29) > 20)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.png").write_bytes(PLAIN)
        cofw.write(Path(folder), [AnnotatedPicture("a.png", 26, 21, [face, face])], ())
        return (Path(folder) / "cofw.mat").read_bytes()


def shard() -> bytes:
    rows = [[i, 2 * i] for i in range(68)]
    members = {"a.json": json.dumps({"points": rows, "yaw": 3}).encode(), "a.png": PLAIN}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


FACES = dotted_faces(2)
CONFIG = configs.to_json(Config(stages=({"epochs": 3}, {"flip": 0.1}))).encode()
MANIFESTS = [
    json.dumps(
        {
            "formats": {"onnx": "model.onnx"},
            "sha256": {"model.onnx": "0" * 64},
            "crop": {"frame": False, "scale": 1.4, "size": 224},
            "run": {"data": "mine"},
        }
    ).encode()
]


@fuzz(150)
@given(damaged(PICTURES))
def test_pictures(data):
    image = attempt(pictures.decode_picture, data, "a.png")
    assert image is None or (image.dtype == np.uint8 and image.ndim == 3 and image.size)


@fuzz(100)
@given(damaged(PICTURES), st.sampled_from([".jpg", ".png", ".webp", ".tif", ".gif"]), st.booleans())
def test_edited_pictures(folder, data, suffix, private):
    """The copy is whole or not there, and has no preview of the face as it was."""
    fill(folder)
    target = folder / f"target{suffix}"
    attempt(edit, data, target, private)
    assert {path.name for path in folder.iterdir()} <= {target.name}
    if target.exists():
        assert attempt(pictures.decode_picture, target.read_bytes(), "target") is not None
        written = target.read_bytes()
        assert BARE not in written and BARE.hex().encode() not in written


def edit(data: bytes, target: Path, private: bool) -> None:
    picture = pictures.Picture(data, "source")
    stills = [still.painted(lambda image: 255 - image) for still in picture.stills()]
    picture_writer.save(target, stills, source=picture, private=private)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder to write damaged files into, with nothing but a picture beside it."""
    parent = tmp_path_factory.mktemp("fuzz")
    (parent / "secret.png").write_bytes(PLAIN)
    (parent / "folder").mkdir()
    yield parent / "folder"
    assert sorted(path.name for path in parent.iterdir()) == ["folder", "secret.png"]
    assert (parent / "secret.png").read_bytes() == PLAIN


def fill(folder: Path, **files: bytes) -> None:
    """Leave nothing but `files` in `folder`; `a_csv` is a.csv."""
    for path in folder.iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / name.replace("_", ".")).write_bytes(data)


ANNOTATIONS = [
    (suffix, data)
    for suffix, samples in {
        ".csv": [*TABLES, b"scorer,M,M,M,M\nbodyparts,a,a,b,b\ncoords,x,y,x,y\na.png,1,2,3,4\n"],
        ".xml": [
            XML.encode(),
            b"<annotations><image name='a.png'><skeleton><points label='1' points='2.5,3'/>"
            b"<points label='2' occluded='1' points='4,5'/></skeleton></image></annotations>",
        ],
        ".json": [
            b'{"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "keypoints": '
            b'["a", "b"]}], "annotations": [{"image_id": 1, "category_id": 1, "keypoints": '
            b"[1.5, 2, 2, 3, 4, 1]}]}",
            b'[{"data": {"image": "a.png"}, "annotations": [{"result": [{"original_width": 9, '
            b'"original_height": 8, "value": {"x": 1, "y": 2, "keypointlabels": ["a"]}}, '
            b'{"original_width": 9, "original_height": 8, "value": {"x": 3, "y": 2.5, '
            b'"keypointlabels": ["b"]}}]}]}]',
            b'{"imagePath": "a.png", "shapes": [{"label": "a", "points": [[1, 2]], "group_id": '
            b'null, "shape_type": "point"}, {"label": "b", "points": [[3, 4]]}]}',
        ],
        ".txt": [" ".join([*map(str, range(196)), *"1234000100", "a.png"]).encode()],
        ".pts": [PTS.encode(), b"1.5 2\n3 4\nnan nan\n-5 -6\n"],
    }.items()
    for data in samples
]


@pytest.mark.parametrize(("suffix", "sample"), ANNOTATIONS)
def test_annotation_files(suffix, sample):
    whole = parse_bytes(sample, suffix, "f")
    assert whole is not None and whole.faces and not whole.problems

    @fuzz(60)
    @given(damaged([sample], words=True))
    def check(data):
        found = attempt(parse_bytes, data, suffix, "f")
        for face in found.faces if found else []:
            assert face.points.ndim == 2 and face.points.shape[1] == 2
            assert len(face.covered) == len(face.points) and not np.isinf(face.points).any()
        assert found is None or all(found.problems)

    check()


@fuzz(60)
@given(damaged([cofw_file()]))
def test_files_of_matlab(folder, data):
    fill(folder, a_mat=data)
    found = attempt(cofw.parse, folder / "a.mat", "a.mat")
    for face in found.faces[:1] if found else []:
        assert face.points.shape == (29, 2)
        attempt(found.read, face.picture)


@fuzz(60)
@given(damaged([shard()], words=True))
def test_shards(folder, data):
    fill(folder, a_tar=data)
    attempt(load_records, f"shards:{folder}/a.tar", "all")


@fuzz(150)
@given(damaged([CONFIG], words=True))
def test_configs(data):
    config = attempt(configs.from_json, data, "config.json")
    assert config is None or attempt(configs.from_json, configs.to_json(config), "x") == config


@fuzz(100)
@given(damaged(MANIFESTS, words=True))
def test_manifests(folder, data):
    fill(folder, **{MANIFEST.replace(".", "_"): data})
    manifest = attempt(read_manifest, folder)
    assert manifest is None or all(manifest[name] for name in ("crop", "run"))


FILTER = b"""
description = "all kinds"
[[layers]]
art = "art.png"
fit = "affine"
normal = [0, 0, -1]
anchors = [
    { points = [36, 39], offset = [0.1, -0.2, 0], at = [2, 3] }, { points = [45], at = [20, 3] },
    { points = [8], at = [12.5, 18] },
]
[[layers]]
kind = "blur"
[[layers]]
kind = "bulge"
points = [36, 37]
radius = 0.2
strength = 0.5
[[layers]]
kind = "outlines"
colour = [1, 2, 3]
"""
MARKUP = bundled("five").to_toml().encode()


@fuzz(100)
@given(damaged([FILTER], words=True), damaged([rgba()]))
def test_filters(folder, text, art):
    fill(folder, filter_toml=text, art_png=art)
    loaded = attempt(load_filter, folder)
    if loaded is not None:
        image = np.full((90, 120, 3), 128, np.uint8)
        assert attempt(loaded.apply, image, FACES.points[:1]).shape == image.shape


@fuzz(100)
@given(damaged([MARKUP], words=True))
def test_markups(data):
    markup = attempt(parse_markup, data, "markup.toml")
    if markup is not None and markup.mirror is not None:
        assert (np.sort(markup.mirror) == np.arange(markup.count)).all()
        assert attempt(parse_markup, markup.to_toml().encode(), "again") == markup


def parquet() -> bytes:
    """Two pictures, one of them by its path."""
    file = io.BytesIO()
    cells = [{"bytes": PLAIN, "path": None}, {"bytes": None, "path": "a.png"}]
    pq.write_table(pa.table({"image": cells}), file)
    return file.getvalue()


@fuzz(100)
@given(damaged([parquet()]))
def test_tables_of_pictures(folder, data):
    fill(folder, a_png=PLAIN, t_parquet=data)

    def read() -> None:
        for unit in inputs.make_units([str(folder / "t.parquet")], 9):
            for found in inputs.read_unit(unit):
                with suppress(OSError):  # of a path that no file has
                    attempt(found.load)

    attempt(read)


@fuzz(20)
@given(
    damaged(TABLES, words=True),
    damaged(PICTURES[len(PREVIEWS) :][:4]),
    damaged([b"a.png,train\nb.png,validation\n"], words=True),
    damaged([b"a.png,12\nb.png,-40.5\n"], words=True),
    damaged([b'{"x_offset": 0.1, "jaw_up_to_yaw": 30}'], words=True),
)
def test_folders(folder, table, image, splits, yaw, labels):
    fill(folder, faces_csv=table, a_png=image, b_png=PLAIN, splits_csv=splits, yaw_csv=yaw,
         labels_json=labels)  # fmt: skip
    for split in ("all", "train"):
        records = attempt(load_records, f"folder:{folder}", split)
        if records is not None:
            assert {file.partition("#")[0] for file in records.files} <= {"a.png", "b.png"}
            attempt(check_records, records)


@fuzz(30)
@given(st.data())
def test_archives(folder, data):
    fill(folder)
    whole = write_archive(folder / "whole.zip").read_bytes()
    (folder / "whole.zip").write_bytes(data.draw(damaged([whole])))
    attempt(builder.read_archive, folder / "whole.zip")
    assert [path.name for path in folder.iterdir()] == ["whole.zip"]


@fuzz(60)
@given(st.data())
def test_checkpoints(folder, data):
    fill(folder)
    whole = io.BytesIO()
    progress = json.dumps(asdict(Progress(epoch=1)))
    np.savez(whole, progress=np.array(progress), network_0=np.zeros(3, np.float32))
    (folder / runs.CHECKPOINT).write_bytes(data.draw(damaged([whole.getvalue()])))
    attempt(read_progress, folder)


@fuzz(40)
@given(damaged(TABLES, words=True))
def test_predictions(folder, data):
    fill(folder, found_csv=data)
    answers = attempt(read_predictions, folder / "found.csv", FACES)
    if answers is not None:
        points, _ = matched_points(FACES, answers)
        assert points.shape == (2, 68, 2)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Short videos, one of each kind of file that can be written."""
    path = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for suffix in (".mp4", ".mkv", ".avi"):
        with video_writer.recording(path / f"clip{suffix}", 64, 48, 10.0) as write:
            for number in range(8):
                write(np.roll(image, 2 * number, axis=1), number / 10)
    for suffix, codec, sound in ((".ts", "libx264", "aac"), (".mpg", "mpeg2video", "mp2")):
        # A restart, a gap of an hour, and another size.
        parts = [
            write_clip(
                path / f"part{suffix}", [np.resize(image, (*size, 3))] * 5, tick=Fraction(1, 25),
                rate=25, codec=codec, times=[25 * start + k for k in range(5)], sound=sound,
                sound_seconds=0.2, sound_start=start, options={"bf": "0"},
            ).read_bytes()
            for start, size in ((0, (48, 64)), (0, (48, 64)), (3600, (48, 64)), (0, (64, 48)))
        ]  # fmt: skip
        (path / f"part{suffix}").write_bytes(b"".join(parts))
    write_clip(
        path / "all.mov", [image] * 4, codec="qtrle", pixels="argb", sound="aac",
        subtitles="mov_text", metadata={"title": "Jane", "location": "+48.1+011.5/"},
        options={}, sound_seconds=0.4,
    )  # fmt: skip
    return {clip.suffix: clip.read_bytes() for clip in path.iterdir()}


@fuzz(40)
@given(st.data())
def test_videos(folder, clips, data):
    """Each is read to its end, and rewritten: to a whole file, or to none at all."""
    fill(folder)
    suffix = data.draw(st.sampled_from(sorted(clips)))
    source, target = folder / f"source{suffix}", folder / f"target{suffix}"
    target = target.with_suffix({".ts": ".mp4", ".mpg": ".mkv"}.get(suffix, suffix))
    source.write_bytes(data.draw(damaged([clips[suffix]])))
    attempt(rewrite, source, target, data.draw(st.booleans()))
    left = {path.name for path in folder.iterdir()}
    assert left <= {source.name, target.name}
    if target.exists():
        assert attempt(count_frames, target)


def rewrite(source: Path, target: Path, private: bool) -> None:
    with video_writer.rewriting(source, target, private=private) as frames:
        for _, image in frames:
            frames.write(image)


def count_frames(path: Path) -> int:
    return sum(1 for _ in videos.read_frames(path))
