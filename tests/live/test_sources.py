from pathlib import Path

import pytest

from keypoints.errors import InputError
from keypoints.live.sources import Source
from tests.clips import bar, write_clip


@pytest.mark.parametrize(
    ("text", "kind", "live", "name"),
    [
        ("0", "camera", True, "camera-crown.mp4"),
        ("rtsp://host/a.mp4", "stream", True, "camera-crown.mp4"),
        ("http://host/a%20b.mkv?x=1", "url", False, "a b-crown.mkv"),
        ("a.mp4", "video", False, "{here}/a-crown.mp4"),
        ("a.ts", "video", False, "{here}/a-crown.ts.mp4"),
        ("a.png", "picture", False, "{here}/a-crown.png"),
        ("a.ppm", "picture", False, "{here}/a-crown.ppm.png"),
        (".", "folder", False, "{here}-crown"),
        ("synthetic", "synthetic", False, "{here}/synthetic-crown.mp4"),
        ("3", "video", False, ""),
    ],
)
def test_what_a_source_is(tmp_path, monkeypatch, text, kind, live, name):
    monkeypatch.chdir(tmp_path)
    for file in ("a.mp4", "a.ts", "a.png", "a.ppm"):
        Path(file).touch()
    if text == "3":
        Path("3").touch()  # a file of that name is no camera
        with pytest.raises(InputError, match="3: neither a picture nor a video"):
            Source.parse(text)
        return
    source = Source.parse(text)
    assert (source.kind, source.live) == (kind, live)
    assert str(source.default_name("crown")) == name.format(here=tmp_path)


def test_a_file_url_is_the_path_in_it(tmp_path):
    path = write_clip(tmp_path / "a b.mp4", [bar(0), bar(1)])
    source = Source.parse(path.as_uri())
    assert "%20" in path.as_uri() and source == Source.parse(str(path))
    assert len(list(source.frames())) == 2 and source.rate == pytest.approx(10)
    with pytest.raises(InputError, match=r"gone\.mp4: no such file"):
        Source.parse((tmp_path / "gone.mp4").as_uri())
