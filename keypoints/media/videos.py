"""Video files: reading all frames with their times, and writing them back with everything else."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.errors import InputError
from keypoints.media import tracks
from keypoints.media.colours import SDR, Colours, ToneMapper, colours_of, conversion_matrix
from keypoints.media.orientation import Orientation, of_display_matrix, upright
from keypoints.media.pictures import MAX_PIXELS
from keypoints.system.atomic import replacing

FORMATS = {
    ".mp4": "mp4", ".mov": "mov", ".m4v": "mp4", ".mkv": "matroska", ".avi": "avi", ".webm": "webm"
}  # fmt: skip
SUFFIXES = tuple(FORMATS)
# FFmpeg's encoder for each format; H.264 for all others.
ENCODERS = {"webm": "libvpx-vp9", "avi": "mpeg4"}
H264 = "libx264"
# Also read.
INPUTS = SUFFIXES + (
    ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".3gp", ".flv", ".wmv", ".ogv", ".mxf"
)  # fmt: skip
# Constant rate factors of H.264 and VP9, quantiser of MPEG-4. `high` looks like the source.
QUALITIES = {"high": (15, 15, 2), "medium": (20, 25, 4), "small": (26, 36, 8)}
DEFAULT_RATE = 30.0  # frames/s, if a file does not state it
_UNTOLD = Colours(range=0, primaries=2, transfer=2, matrix=2)
_TIMEOUT = 10.0  # seconds in which a server must answer
_RETRIES = 20  # consecutive failed reads after which a file counts as ended
_FINE = Fraction(1, 16000)  # seconds: times of recordings are whole numbers of these
_FASTEST = 240  # frames/s of an AVI file
_ROUNDING = 0.001  # seconds by which a frame may move without a warning


def encoders() -> dict[str, bool]:
    """The encoders that videos are written with, and whether the installed FFmpeg has them."""
    import av

    found = {}
    for name in (H264, *ENCODERS.values()):
        try:
            found[name] = av.Codec(name, "w").is_encoder
        except av.codec.codec.UnknownCodecError:
            found[name] = False
    return found


def is_video(path: Path) -> bool:
    """Whether the extension of a file is that of a video format that can be read."""
    return path.suffix.lower() in INPUTS


def writable_name(name: str) -> str:
    """`name`, with `.mp4` appended if its extension is of a format that can only be read."""
    return name if Path(name).suffix.lower() in FORMATS else f"{name}.mp4"


@dataclass(frozen=True)
class Video:
    """Properties of a video file."""

    width: int  # pixels as shown: upright and square
    height: int
    rate: float  # frames/s, on average
    count: int  # frames according to the file; 0: unknown


def probe(source: Path | str) -> Video:
    """Size, rate and length of the video at `source`, a file or an http URL.

    Raises InputError for a file that is not there or holds no frame that can be decoded.
    """
    with reading(source) as frames:
        return frames.video


def read_frames(source: Path | str) -> Iterator[tuple[float, np.ndarray]]:
    """Every frame of a video in order: its time in seconds, and `(h, w, 3)` uint8 RGB."""
    with reading(source) as frames:
        yield from frames


@contextmanager
def reading(source: Path | str) -> Iterator["Reading"]:
    """The frames of a video file or an http URL, to iterate over once.

    Raises InputError for a file that does not exist or has no frame that can be decoded.
    """
    with _open(source) as container:
        yield Reading(container, str(source))


@contextmanager
def rewriting(source: Path | str, target: Path, *, quality: str = "high") -> Iterator["Rewriting"]:
    """The frames of `source`, each to be passed to `write`, for a video `target`.

    `target` gets each frame at the time it had, with the source's size, pixel aspect and colours,
    and with its sound, subtitles, chapters and metadata; it appears when the block ends well. A
    KeyboardInterrupt in the block ends the video there, and goes on once the file is in place.
    `quality` is one of `QUALITIES`. Raises InputError for another one, for a suffix that is no
    video's, for a source that is no video and a target that cannot be written.
    """
    _check_quality(quality)
    interrupt = None
    with _open(source) as container, _writing(target, container) as output:
        frames = Rewriting(container, str(source), output, quality)
        try:
            yield frames
        except KeyboardInterrupt as error:
            if not frames.written:
                raise
            interrupt = error
        frames.finish()
    if interrupt is not None:
        raise interrupt


@contextmanager
def recording(
    path: Path, width: int, height: int, rate: float = DEFAULT_RATE, *, quality: str = "high"
) -> Iterator[Callable[[np.ndarray, float], None]]:
    """A function that adds a frame `(height, width, 3)` uint8 RGB at a time in seconds to `path`.

    The first frame's time is the video's start, and each frame is shown from its own time on;
    `rate` is about how many frames arrive per second. The file appears when the block ends well.
    Raises InputError for another `quality` than `QUALITIES`, for a suffix that is no video's and
    where the file cannot be written.
    """
    _check_quality(quality)
    with _writing(path) as output:
        per_second = Fraction(rate).limit_denominator(1001)
        encoder = _Encoder(output, width, height, rate=per_second, tick=_FINE, quality=quality)
        start = None

        def add(image: np.ndarray, timestamp: float) -> None:
            nonlocal start
            start = timestamp if start is None else start
            encoder.write(image, Fraction(timestamp - start), 1 / per_second)

        yield add
        encoder.finish()


def _check_quality(quality: str) -> None:
    if quality not in QUALITIES:
        raise InputError(f"quality={quality!r}: one of {', '.join(QUALITIES)} is expected")


class Reading:
    """The frames of an open video file as displayed, with their times in seconds.

    Iterating yields `(seconds, image)`, `(h, w, 3)` uint8 RGB: upright, in square pixels, HDR
    converted to SDR as in `colours`, all of the first one's size. Damaged
    frames are left out.
    """

    def __init__(self, container: Any, name: str, other: Callable[[Any], None] | None = None):
        """`other` takes the packets of the other tracks."""
        from av.format import Flags
        from av.stream import Disposition
        from av.video.reformatter import VideoReformatter

        streams = container.streams.video
        streams = [s for s in streams if not s.disposition & Disposition.attached_pic]
        if not streams or streams[0].codec_context is None:
            raise InputError(f"{name}: no picture track that can be decoded")
        self.name = name
        self.other = other
        self.stream = streams[0]
        self.stream.thread_type = "AUTO"
        self.tick: Fraction = self.stream.time_base
        # Broadcast streams start at any number, other files at the time that they say.
        broadcast = bool(container.format.flags & Flags.ts_discont.value)
        self.start = Fraction(container.start_time or 0, 1_000_000) if broadcast else Fraction(0)
        self.time = self.duration = Fraction(0)  # of the frame yielded last, in seconds
        self._container = container
        self._reformatter = VideoReformatter()
        self._tone_mapper: ToneMapper | None = None
        self._packets = self._decoded = self._errors = self._corrupt = 0
        self._key: int | None = None  # time of the first key frame, in ticks
        self._read = 0  # time up to which packets could be read, in ticks
        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            raise InputError(f"{name}: not a video that can be decoded")
        self._first = first
        self._describe(first)

    def _describe(self, frame: Any) -> None:
        self.colours = colours_of(frame)
        if "yuvj" in frame.format.name:
            self.colours = dataclasses.replace(self.colours, range=2)
        self.depth = max(component.bits for component in frame.format.components)
        # Whether chroma has the resolution of luma.
        self.full_chroma = frame.format.is_rgb or (
            len(frame.format.components) > 1
            and frame.format.chroma_width(64) == frame.format.chroma_height(64) == 64
        )
        self.stored = (frame.width, frame.height)
        self.aspect = self.stream.sample_aspect_ratio or Fraction(1)  # width of a pixel to height
        width, height = self.stored
        if self.aspect > 1:
            width = round(width * self.aspect)
        else:
            height = round(height / self.aspect)
        if width * height > MAX_PIXELS:
            raise InputError(
                f"{self.name}: {width} x {height} pixels are more than "
                f"{MAX_PIXELS // 1_000_000} million"
            )
        self.square = (width, height)  # in square pixels, not yet turned
        sides = [side for side in frame.side_data if side.type.name == "DISPLAYMATRIX"]
        self.orientation = of_display_matrix(bytes(sides[0])) if sides else Orientation()
        if self.orientation.transposed:
            width, height = height, width
        rate = self.stream.average_rate or self.stream.guessed_rate or 0
        rate = float(rate) if 0 < rate <= 1000 else DEFAULT_RATE
        count = round((self.stream.duration or 0) * self.tick * Fraction(rate))
        self.video = Video(width, height, rate, count or self.stream.frames)

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        last = None
        frame: Any = self._first
        while frame is not None:
            self.duration = (frame.duration or 0) * self.tick
            if frame.pts is not None:
                self.time = frame.pts * self.tick - self.start
            elif last is not None:
                self.time = last + Fraction(1 / self.video.rate)
            if last is not None:  # times never go back
                self.time = max(self.time, last + self.tick)
            last = self.time
            yield float(self.time), self._show(frame)
            frame = next(self._frames, None)

    def _show(self, frame: Any) -> np.ndarray:
        import av

        width, height = self.square
        try:
            shown = self._reformatter.reformat(
                frame,
                width,
                height,
                "rgb48le" if self.colours.hdr else "rgb24",
                src_colorspace=conversion_matrix(self.colours, *self.stored),
                src_color_range=self.colours.range or 1,
                interpolation=_exact_interpolation(),
            )
            if self.colours.hdr:
                if self._tone_mapper is None:
                    self._tone_mapper = ToneMapper(self.colours.transfer)
                shown = self._tone_mapper.map(shown)
        except av.FFmpegError as error:
            raise InputError(f"{self.name}: {frame.format.name}: {error.strerror}") from None
        return np.ascontiguousarray(upright(shown.to_ndarray(), self.orientation))

    def _decode(self) -> Iterator[Any]:
        """The frames of the picture track; on the way, all other packets go to `other`."""
        import av

        for packet in self._demux():
            if packet.stream is not self.stream:
                if self.other is not None:
                    self.other(packet)
                continue
            self._count(packet)
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self._errors += 1
                continue
            yield from self._good(frames)
        with_rest = []
        try:
            with_rest = self.stream.decode(None)
        except av.FFmpegError:
            self._errors += 1
        yield from self._good(with_rest)

    def _good(self, frames: list[Any]) -> Iterator[Any]:
        for frame in frames:
            self._decoded += 1
            self._corrupt += frame.is_corrupt
            yield frame

    def _demux(self) -> Iterator[Any]:
        """All packets; packets that cannot be read are skipped."""
        import av

        failures = 0
        while failures < _RETRIES:
            try:
                for packet in self._container.demux():
                    failures = 0
                    if packet.size or packet.dts is not None:  # otherwise it only ends a track
                        yield packet
                return
            except av.FFmpegError:
                failures += 1

    def _count(self, packet: Any) -> None:
        """Count a packet that should give a frame: not one that a trimmed file leaves out, and not
        one that leads to a key frame before the first."""
        if packet.pts is not None:
            self._read = max(self._read, packet.pts + (packet.duration or 0))
        if self._key is None and packet.is_keyframe:
            self._key = packet.pts or 0
        leads = self._key is None or (packet.pts is not None and packet.pts < self._key)
        self._packets += not (packet.is_discard or leads)

    @property
    def notes(self) -> list[str]:
        """Losses, one line each; complete when the frames have ended."""
        # VP8 has packets without a picture of their own.
        hidden = self.stream.codec_context.name == "vp8"
        missing = self._errors if hidden else max(self._packets - self._decoded, 0)
        missing = missing if self._errors else 0
        notes = []
        if missing or self._corrupt:
            notes.append(
                f"{self.name}: frames are damaged: {missing} could not be decoded and are left "
                f"out, {self._corrupt} show errors"
            )
        end = (self.stream.start_time or 0) + (self.stream.duration or 0)
        if self._container.format.name == "avi":
            end = self.stream.frames  # its duration is of what is there
        if end and (end - self._read) * self.tick > 2 / Fraction(self.video.rate):
            notes.append(
                f"{self.name} breaks off at {float(self._read * self.tick):.2f} of "
                f"{float(end * self.tick):.2f} seconds"
            )
        return notes


class Rewriting:
    """The frames of `Reading`, and `write`, which puts each back. `video` describes the source."""

    def __init__(self, container: Any, name: str, output: Any, quality: str):
        held: list[Any] = []  # packets of other tracks from before the first frame
        self._reading = source = Reading(container, name, held.append)
        self.video = source.video
        self.written = 0  # frames
        self._lines: list[str] = []
        if source.colours.hdr:
            self._lines.append(f"{name}: HDR ({source.colours.hdr}) is written as SDR (BT.709)")
        elif source.depth > 8:
            self._lines.append(f"{name}: {source.depth} bits per colour are written as 8")
        size, aspect = source.stored, source.aspect
        if output.format.name == "webm":  # VP9 has no pixel aspect
            size, aspect = source.square, Fraction(1)
        if source.orientation.transposed:
            size, aspect = size[::-1], 1 / aspect
        rate = Fraction(source.video.rate)
        if output.format.name == "avi" and 0 < (source.stream.base_rate or 0) <= _FASTEST:
            rate = source.stream.base_rate  # of which the times are multiples, rather than the mean
        lines = tracks.copy_metadata(container, output)
        self._encoder = _Encoder(
            output,
            *size,
            rate=rate.limit_denominator(1001),
            tick=source.tick,
            aspect=aspect,
            colours=SDR if source.colours.hdr else source.colours,
            full_chroma=source.full_chroma,
            quality=quality,
        )
        tracks.copy_stream_metadata(source.stream, self._encoder.stream)
        self._tracks, left = tracks.open_tracks(container, output, source.stream, self._shift)
        self._lines += [f"{name}: {line}" for line in lines + left]
        for packet in held:
            self._feed(packet)
        source.other = self._feed

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        return iter(self._reading)

    def write(self, image: np.ndarray) -> None:
        """Write `image`, as large as the last yielded frame, at the time of that frame."""
        self._encoder.write(image, self._reading.time, self._reading.duration)
        self.written += 1

    def finish(self) -> None:
        """Write what is still buffered."""
        self._encoder.finish()
        ends = [track.finish() for track in self._tracks.values()]
        self._lines += [f"{self._reading.name}: {line}" for line in ends if line is not None]

    @property
    def notes(self) -> list[str]:
        """Losses in the new file, one line each; complete when the block has ended."""
        lines = [*self._reading.notes, *self._lines]
        if self._encoder.rounded:
            lines.append(
                "AVI starts with its first frame and has one frame rate: times are moved to "
                f"multiples of {self._encoder.tick} s"
            )
        return lines

    def _feed(self, packet: Any) -> None:
        track = self._tracks.get(packet.stream.index)
        if track is not None:
            track.feed(packet)

    def _shift(self, packet: Any) -> None:
        ticks = round(self._reading.start / packet.time_base)
        if packet.pts is not None:
            packet.pts -= ticks
        if packet.dts is not None:
            packet.dts -= ticks


class _Encoder:
    """Encodes RGB pictures with their times for the picture track of an open file."""

    def __init__(
        self,
        output: Any,
        width: int,
        height: int,
        *,
        rate: Fraction,
        tick: Fraction,
        aspect: Fraction = Fraction(1),
        colours: Colours = SDR,
        full_chroma: bool = False,
        quality: str = "high",
    ):
        """`width`, `height`: stored pixels, each `aspect` times as wide as high; `tick` in
        seconds divides the times; `full_chroma` keeps chroma at the resolution of luma."""
        from av.codec.context import Flags
        from av.video.reformatter import VideoReformatter

        # Frames are stored in the order in which they are shown ("bf"), so their times can be any.
        kind = output.format.name
        h264, vp9, mpeg4 = QUALITIES[quality]
        codec = ENCODERS.get(kind, H264)
        if kind == "webm":
            options = {"crf": str(vp9), "b": "0", "deadline": "realtime", "cpu-used": "7",
                       "row-mt": "1"}  # fmt: skip
        elif kind == "avi":
            options = {"qmin": str(mpeg4), "qmax": str(mpeg4)}
            tick, colours, full_chroma = 1 / rate, _UNTOLD, False  # AVI cannot store it
        else:
            options = {"crf": str(h264), "preset": "superfast", "bf": "0"}
            # Chroma of half the resolution needs even sides.
            full_chroma = full_chroma or bool(width % 2 or height % 2)
        if colours.matrix == 0:  # RGB
            colours = dataclasses.replace(colours, range=1, matrix=1)
        self.tick = tick
        self.rounded = False  # whether a time was not a whole number of ticks
        self.stream = output.add_stream(codec, rate=rate, options=options)
        self.stream.time_base = tick
        context = self.stream.codec_context
        context.time_base = tick
        context.width, context.height = width, height
        context.pix_fmt = "yuv444p" if full_chroma else "yuv420p"
        context.sample_aspect_ratio = aspect
        context.color_range, context.colorspace = colours.range, colours.matrix
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        context.flags |= Flags.frame_duration
        self._colours = colours
        self._output = output
        self._reformatter = VideoReformatter()
        self._last = -1  # time of the frame before, in ticks

    def write(self, image: np.ndarray, seconds: Fraction, duration: Fraction) -> None:
        """`image` `(h, w, 3)` uint8 RGB in square pixels, shown from `seconds` on."""
        from av import VideoFrame

        context = self.stream.codec_context
        size = (context.width, context.height)
        frame = self._reformatter.reformat(
            VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), "rgb24"),
            *size,
            context.pix_fmt,
            dst_colorspace=conversion_matrix(self._colours, *size),
            dst_color_range=self._colours.range or 1,
            interpolation=_exact_interpolation(),
        )
        ticks = seconds / self.tick
        first = self._last < 0
        self._last = max(round(ticks), self._last + 1)
        self.rounded |= abs(self._last - ticks) * self.tick > _ROUNDING
        self.rounded |= first and self._last > 0 and self._output.format.name == "avi"
        frame.pts, frame.time_base = self._last, self.tick
        frame.duration = round(duration / self.tick)
        self._output.mux(self.stream.encode(frame))

    def finish(self) -> None:
        self._output.mux(self.stream.encode(None))


def _exact_interpolation() -> int:
    """swscale's flags for exact conversions: its defaults darken values by one."""
    from av.video.reformatter import Interpolation

    exact = Interpolation.ACCURATE_RND
    return (
        Interpolation.BICUBIC | exact | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
    )


def _open(source: Path | str) -> Any:
    """The open container of a file or an http URL; raises InputError where there is none."""
    import av

    remote = "://" in str(source)
    # The prefix keeps a name such as "a:b.mp4" from being read as a protocol. Files, of which some
    # are playlists, may name files only; what comes from a server may not name files.
    name = str(source) if remote else f"file:{source}"
    allowed = "http,https,tcp,tls,crypto" if remote else "file"
    timeout = (_TIMEOUT, _TIMEOUT) if remote else None
    try:
        return av.open(
            name,
            options={"protocol_whitelist": allowed},
            metadata_errors="surrogateescape",
            timeout=timeout,
        )
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise InputError(f"{source}: {reason}") from None
    except av.FFmpegError as error:
        raise InputError(f"{source}: not a video that can be decoded: {error.strerror}") from None


@contextmanager
def _writing(path: Path, source: Any = None) -> Iterator[Any]:
    """An open container for `path`, which appears when the block ends well.

    `source`: the container whose metadata it is to hold.
    """
    import av

    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: a video's name ends in {', '.join(SUFFIXES)}")
    with replacing(path) as temporary:
        temporary.touch()  # fails here if the folder does not exist or cannot be written
        format = FORMATS[path.suffix.lower()]
        options = tracks.container_options(source, format) if source is not None else {}
        try:
            with av.open(
                f"file:{temporary}",
                "w",
                format=format,
                options=options,
                metadata_errors="surrogateescape",
            ) as output:
                yield output
        except OSError:
            raise
        except av.FFmpegError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from error
