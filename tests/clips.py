"""Video files made for tests: any times, colours, tracks and damage."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from keypoints.media import video_writer, videos

WIDTH, HEIGHT = 64, 48
MILLISECOND = Fraction(1, 1000)


def bar(number: int, *, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Frame `number`: its left part is red, 4 (number + 1) pixels wide; uint8 RGB."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : 4 * (number + 1), 0] = 250
    return image


def bar_widths(path: Path) -> list[int]:
    """The number of red pixels in the middle row of every frame."""
    return [int((i[i.shape[0] // 2, :, 0] > 128).sum()) for _, i in videos.read_frames(path)]


def write_clip(
    path: Path,
    images: Sequence[np.ndarray],
    *,
    times: Sequence[int] | None = None,
    tick: Fraction = MILLISECOND,
    rate: int = 10,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    colours: tuple[int, int, int, int] = (0, 2, 2, 2),
    aspect: Fraction | None = None,
    turned: dict[str, Any] | None = None,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    chapters: Sequence[dict] = (),
    sound: str | None = None,
    sound_seconds: float = 1.0,
    sound_start: float = 0.0,
    subtitles: str | None = None,
) -> Path:
    """`images` `(h, w, 3)`, uint8 or uint16 RGB, at `times` in ticks (else 100 ms each).

    `rate`: frames/s that the file states. `colours`: range, primaries, transfer and matrix, codes
    of H.273. `turned`: arguments of `set_display_rotation`. `sound`, `subtitles`: codecs of further
    tracks: a tone of 440 Hz, and the text "hello" from 0.2 to 0.5 s.
    """
    times = [round(0.1 / tick) * k for k in range(len(images))] if times is None else times
    with av.open(str(path), "w") as file:
        file.metadata.update(metadata or {})
        if chapters:
            file.set_chapters(list(chapters))
        stream = file.add_stream(codec, rate=rate, options=options or {})
        context = stream.codec_context
        context.height, context.width = images[0].shape[:2]
        context.pix_fmt, context.time_base, stream.time_base = pixels, tick, tick
        context.color_range, context.color_primaries, context.color_trc = colours[:3]
        context.colorspace = colours[3]
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        if turned is not None:
            stream.set_display_rotation(**turned)
        tone = _add_tone(file, sound) if sound else None
        text = _add_text(file, subtitles) if subtitles else None
        for image, time in zip(images, times):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(image), "rgb24" if image.dtype == np.uint8 else "rgb48le"
            )
            frame = frame.reformat(
                format=pixels,
                dst_colorspace=colours[3] if colours[3] in (1, 9) else 5,
                dst_color_range=colours[0] or 1,
                interpolation=0x4 | 0x40000 | 0x2000 | 0x4000,
            )
            frame.pts, frame.time_base = time, tick
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if tone is not None:
            _write_tone(file, tone, sound_seconds, sound_start)
        if text is not None:
            file.mux(_text_packet(text))
    return path


def _add_tone(file: Any, codec: str) -> Any:
    rate = 48000 if codec == "libopus" else 44100
    return file.add_stream(codec, rate=rate, layout="mono")


def _write_tone(file: Any, stream: Any, seconds: float, start: float) -> None:
    rate = stream.rate
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
    frame.sample_rate, frame.pts = rate, round(start * rate)
    frame.time_base = Fraction(1, rate)
    context = stream.codec_context
    resampler = av.AudioResampler(context.format, "mono", rate, context.frame_size or 1024)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        file.mux(stream.encode(piece))
    file.mux(stream.encode(None))


_HEADER = b"[Script Info]\r\n\r\n[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize\r\n"
_HEADER += b"Style: Default,Arial,16\r\n\r\n[Events]\r\n"
_HEADER += b"Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"


def _add_text(file: Any, codec: str) -> Any:
    stream = file.add_stream(codec)
    stream.codec_context.subtitle_header = _HEADER
    stream.time_base = stream.codec_context.time_base = MILLISECOND
    return stream


def _text_packet(stream: Any) -> Any:
    from av.subtitles.subtitle import SubtitleSet

    line = b"0,0,Default,,0,0,0,,hello"
    packet = stream.codec_context.encode_subtitle(SubtitleSet.create(line, 0, 300))
    packet.pts = packet.dts = 200
    packet.duration, packet.time_base, packet.stream = 300, MILLISECOND, stream
    return packet


def rewrite(
    source: Path | str,
    target: Path,
    paint: Callable[[np.ndarray], np.ndarray] = lambda image: image,
    **options: Any,
) -> list[str]:
    """Write the frames of `source` after `paint` to `target`; returns what is said of it."""
    with video_writer.rewriting(source, target, **options) as frames:
        for _, image in frames:
            frames.write(paint(image))
    return frames.notes


def remux(source: Path, target: Path, **options: str) -> Path:
    """The packets of `source` in another file, as they are."""
    with av.open(str(source)) as read, av.open(str(target), "w", options=options) as write:
        streams = {s.index: write.add_stream_from_template(s, opaque=True) for s in read.streams}
        for packet in read.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                write.mux(packet)
    return target


def damage(path: Path, *, kind: str, packets: range) -> Path:
    """Overwrite the inner bytes of some packets of the first track of a `kind`, in place."""
    with av.open(str(path)) as read:
        stream = next(s for s in read.streams if s.type == kind)
        places = [(p.pos, p.size) for p in read.demux(stream) if p.size]
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place, size in places[packets.start : packets.stop]:
        data[place + 4 : place + size] = rng.integers(0, 256, size - 4, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    return path
