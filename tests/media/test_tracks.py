"""Sound, subtitles, metadata and attachments of odd and of private files."""

import av
import numpy as np
import pytest

from keypoints.media import video_writer, videos
from tests.clips import MILLISECOND, bar, rewrite, write_clip

BARS = [bar(k) for k in range(9)]


def renamed(path, before, after):
    """The codec of a track gets a name that nobody knows."""
    data = path.read_bytes()
    assert before in data and len(before) == len(after)
    path.write_bytes(data.replace(before, after))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".webm"])
@pytest.mark.parametrize("kind", [".mp4", ".mkv"])
def test_sound_without_a_decoder_is_left_out_and_named(tmp_path, kind, suffix):
    """As the spatial sound of phones; the picture and the other tracks are there."""
    clip = write_clip(tmp_path / f"a{kind}", BARS, sound="aac")
    if kind == ".mp4":
        renamed(renamed(clip, b"mp4a", b"apac"), b"esds", b"free")
    else:
        renamed(clip, b"A_AAC", b"A_XYZ")
    (note,) = rewrite(clip, tmp_path / f"out{suffix}")
    label = "apac" if kind == ".mp4" else "of unknown codec"
    assert note == f"{clip}: audio track 1 ({label}) is left out: there is no decoder for it"
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        assert not file.streams.audio
    assert len(list(videos.read_frames(tmp_path / f"out{suffix}"))) == 9


def announced(path, *, sound_start):
    """A broadcast of 12 s with a track of sound that starts late, or never (None)."""
    with av.open(str(path), "w") as file:
        picture = file.add_stream("libx264", rate=5, options={"g": "5", "bf": "0"})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = file.add_stream("aac", rate=44100, layout="mono")
        wave = 0.3 * np.sin(2 * np.pi * 10 * np.arange(1024) / 1024).astype(np.float32)
        number = 0
        for k in range(60):
            frame = av.VideoFrame.from_ndarray(bar(k % 14), "rgb24")
            file.mux(picture.encode(frame))
            while sound_start is not None and sound_start + number * 1024 / 44100 < k / 5:
                tone = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
                tone.sample_rate, tone.pts = 44100, round(44100 * sound_start) + 1024 * number
                file.mux(sound.encode(tone))
                number += 1
        file.mux(picture.encode(None))
        if number:
            file.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi"])
def test_announced_sound_that_never_comes_is_left_out(tmp_path, suffix):
    source = announced(tmp_path / "muted.ts", sound_start=None)
    (note,) = rewrite(source, tmp_path / f"out{suffix}")
    assert note.endswith("audio track 1 (aac) is left out: it holds no sound")
    assert len(list(videos.read_frames(tmp_path / f"out{suffix}"))) == 60


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_sound_that_comes_late_is_kept_from_its_start_on(tmp_path, suffix):
    source = announced(tmp_path / "late.ts", sound_start=9.0)
    assert rewrite(source, tmp_path / f"out{suffix}") == []
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        frames = list(file.decode(audio=0))
    assert frames[0].time == pytest.approx(9.0, abs=0.1)
    assert frames[-1].time == pytest.approx(11.8, abs=0.2)
    wave = np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(float)
    rate = frames[0].sample_rate
    assert np.abs(np.fft.rfft(wave[rate : 2 * rate])).argmax() == pytest.approx(
        10 * 44100 / 1024, abs=2
    )


NAMES = {"title": "Jane's birthday", "artist": "Jane Doe", "comment": "at Jane's",
         "location": "+48.1+011.5/", "date": "2020-01-02"}  # fmt: skip
CHAPTERS = [{"id": 1, "start": 0, "end": 900, "time_base": MILLISECOND,
             "metadata": {"title": "Jane"}}]  # fmt: skip


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi"])
@pytest.mark.parametrize("kind", [".mp4", ".mkv"])
def test_what_names_people_and_places_is_dropped_and_said(tmp_path, kind, suffix):
    clip = write_clip(tmp_path / f"a{kind}", BARS, sound="aac", metadata=NAMES, chapters=CHAPTERS)
    notes = rewrite(clip, tmp_path / f"out{suffix}", private=True)
    (line,) = [note for note in notes if "left out, since it may show or name people" in note]
    for name in ("title", "artist", "comment", "location", "titles of chapters"):
        assert name in line.lower()
    assert b"Jane" not in (tmp_path / f"out{suffix}").read_bytes()
    assert b"48.1" not in (tmp_path / f"out{suffix}").read_bytes()
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        kept = {key.lower(): text for key, text in file.metadata.items()}
        assert not {"title", "artist", "comment", "location"} & set(kept)
        assert kept.get("date", "2020-01-02").startswith("2020")
        assert [(c["start"], c["end"]) for c in file.chapters()] != [] or suffix == ".avi"
    rewrite(clip, tmp_path / f"out{suffix}")
    assert b"Jane Doe" in (tmp_path / f"out{suffix}").read_bytes()


def test_positions_in_subtitles_and_attachments_are_dropped(tmp_path):
    """Drones write the position of each second as a subtitle."""
    clip = tmp_path / "a.mkv"
    texts = [b"hello", b"[latitude: 48.1] [longitude: 11.5]", b"GPS(11.5,48.1)", b"world"]
    with av.open(str(clip), "w") as file:
        picture = file.add_stream("libx264", rate=10, options={"bf": "0"})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        text = file.add_stream("subrip")
        text.codec_context.subtitle_header = b"[Script Info]\r\n\r\n[Events]\r\n"
        text.time_base = text.codec_context.time_base = MILLISECOND
        for name, mime in (("font.ttf", "font/ttf"), ("jane.txt", "text/plain")):
            file.add_attachment(name, mime, b"letters")
        for image in BARS:
            file.mux(picture.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        file.mux(picture.encode(None))
        for number, words in enumerate(texts):
            packet = av.Packet(words)
            packet.pts = packet.dts = 200 * number
            packet.duration, packet.time_base, packet.stream = 100, MILLISECOND, text
            file.mux(packet)
    for suffix in (".mkv", ".mp4"):
        notes = rewrite(clip, tmp_path / f"out{suffix}", private=True)
        assert any("subtitle track 1: 2 texts with positions are left out" in n for n in notes)
        assert any("jane.txt" in n and "it may name people or places" in n for n in notes)
        data = (tmp_path / f"out{suffix}").read_bytes()
        assert b"hello" in data and b"world" in data and b"48.1" not in data
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert [stream.name for stream in file.streams.attachments] == ["font.ttf"]


def test_attached_pictures_are_never_copied(tmp_path):
    """They may show the picture as it was; Matroska keeps them as attachments, too."""
    clip = tmp_path / "a.mkv"
    with av.open(str(clip), "w") as file:
        picture = file.add_stream("libx264", rate=10, options={"bf": "0"})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        for name, mime in (("cover.jpg", "image/jpeg"), ("cover.png", "application/x-any")):
            file.add_attachment(name, mime, b"\xff\xd8\xff the bare face")
        for image in BARS:
            file.mux(picture.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        file.mux(picture.encode(None))
    for private in (False, True):
        notes = rewrite(clip, tmp_path / "out.mkv", private=private)
        assert b"the bare face" not in (tmp_path / "out.mkv").read_bytes()
        assert sum("what the filter covers" in note for note in notes) == 2


def write_sound(path, codec, layout, rate):
    """Nine frames, and a second of a tone in the first channel of `layout`, the others silent."""
    with av.open(str(path), "w") as file:
        picture = file.add_stream("libx264", rate=10, options={"bf": "0"})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = file.add_stream(codec, rate=rate, layout=layout)
        for image in BARS:
            file.mux(picture.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        file.mux(picture.encode(None))
        wave = np.zeros((rate, sound.codec_context.layout.nb_channels), np.float32)
        wave[:, 0] = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), "flt", layout)
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(sound.codec_context.format, layout, rate, 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(sound.encode(piece))
        file.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "layout", "rate", "suffix", "channels"),
    [
        ("ac3", "5.1(side)", 48000, ".webm", 6),
        ("flac", "5.1", 48000, ".avi", 2),
        ("pcm_s16le", "hexadecagonal", 48000, ".webm", 2),
        ("pcm_s16le", "hexadecagonal", 48000, ".mp4", 2),
        ("pcm_s16le", "quad", 44100, ".mp4", 4),
        ("pcm_s24le", "stereo", 192000, ".mp4", 2),
        ("pcm_s24le", "stereo", 192000, ".avi", 2),
    ],
)
def test_sound_that_an_encoder_does_not_take_is_fitted(
    tmp_path, codec, layout, rate, suffix, channels
):
    """More channels, unusual places of them, or a higher rate: the video does not fail by it."""
    clip = write_sound(tmp_path / "a.mkv", codec, layout, rate)
    notes = rewrite(clip, tmp_path / f"out{suffix}")
    before = av.AudioLayout(layout).nb_channels
    mixed = [f"{clip}: audio track 1: {before} channels are mixed to {channels}"]
    assert notes == (mixed if channels < before else [])
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        track = file.streams.audio[0]
        assert track.channels == channels
        wave = np.concatenate([f.to_ndarray()[0] for f in file.decode(track)]).astype(float)
        loudest = np.abs(np.fft.rfft(wave[4096 : 4096 + track.rate // 2])).argmax() * 2
    assert loudest == pytest.approx(440, abs=4)


def test_notes_can_be_asked_for_when_the_file_is_closed(tmp_path):
    """They do not look into the memory of a file that is gone."""
    clip = write_clip(tmp_path / "a.mkv", BARS)
    with video_writer.rewriting(clip, tmp_path / "out.mp4") as frames:
        for _, image in frames:
            frames.write(image)
        inside = frames.notes
    del image
    assert [frames.notes for _ in range(20)] == [inside] * 20 == [[]] * 20
