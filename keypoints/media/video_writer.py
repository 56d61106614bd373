"""Writing of video files: recordings, and edited copies with everything besides the picture."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.errors import InputError
from keypoints.media import formats, tracks
from keypoints.media.colours import SDR, Colours, conversion_matrix
from keypoints.media.display import exact_interpolation
from keypoints.media.videos import DEFAULT_RATE, Reading, open_container
from keypoints.system.atomic import replacing

# FFmpeg's encoder for each format; H.264 for all others.
ENCODERS = {"webm": "libvpx-vp9", "avi": "mpeg4"}
H264 = "libx264"
# Constant rate factors of H.264 and VP9, quantiser of MPEG-4.
_QUALITIES = {"high": (15, 15, 2), "medium": (20, 25, 4), "small": (26, 36, 8)}
_UNTOLD = Colours(range=0, primaries=2, transfer=2, matrix=2)
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


@contextmanager
def rewriting(
    source: Path | str, target: Path, *, quality: str = "high", private: bool = False
) -> Iterator["Rewriting"]:
    """The frames of `source`, each to be passed to `write`, for a video `target`.

    `target` gets each frame at the time it had, with the source's size, pixel aspect and colours,
    and with its sound, subtitles, chapters and metadata, without those that name people if
    `private`; it appears when the block ends well. A KeyboardInterrupt in the block ends the video
    there, and goes on once the file is in place. `quality` is one of `formats.QUALITIES`. Raises
    InputError for another one, for a suffix that is no video's, for a source that is no video and a
    target that cannot be written.
    """
    formats.check_quality(quality)
    interrupt = None
    with open_container(source) as container, _writing(target, container) as output:
        frames = Rewriting(container, str(source), output, quality, private)
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
    `rate` is about how many frames arrive per second. Odd sides lose their last pixels, except in
    .webm: many players need even ones. The file appears when the block ends well.
    Raises InputError for another `quality` than `formats.QUALITIES`, for a suffix that is no
    video's and where the file cannot be written.
    """
    formats.check_quality(quality)
    with _writing(path) as output:
        per_second = Fraction(rate).limit_denominator(1001)
        if output.format.name != "webm":
            width, height = (max(side // 2 * 2, 1) for side in (width, height))
        encoder = _Encoder(output, width, height, rate=per_second, tick=_FINE, quality=quality)
        start = None

        def add(image: np.ndarray, timestamp: float) -> None:
            nonlocal start
            start = timestamp if start is None else start
            shown = image[:height, :width]
            encoder.write(shown, Fraction(timestamp - start), 1 / per_second)

        yield add
        encoder.finish()


class Rewriting:
    """The frames of `Reading`, and `write`, which puts each back. `video` describes the source."""

    def __init__(self, container: Any, name: str, output: Any, quality: str, private: bool):
        held: list[Any] = []  # packets of other tracks from before the first frame
        self._reading = source = Reading(container, name, held.append)
        self.video = source.video
        self.written = 0  # frames
        self._encoder = _encoder_like(source, output, quality)
        lines = tracks.copy_metadata(container, output, private=private)
        tracks.copy_stream_metadata(source.stream, self._encoder.stream, private=private)
        self._tracks, left = tracks.open_tracks(container, output, source.stream, name, private)
        self._lines = [f"{name}: {line}" for line in [*self._losses(), *lines, *left]]
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
        for track in self._tracks.values():
            self._lines += [f"{self._reading.name}: {line}" for line in track.finish()]

    @property
    def notes(self) -> list[str]:
        """Losses in the new file, one line each; complete when the block has ended."""
        lines = [*self._reading.damage, *self._reading.changes, *self._lines]
        if self._encoder.rounded:
            lines.append(
                "AVI starts with its first frame and has one frame rate: times are moved to "
                f"multiples of {self._encoder.tick} s"
            )
        return lines

    def _losses(self) -> Iterator[str]:
        """What the encoder leaves out of the picture."""
        display, context = self._reading.display, self._encoder.stream.codec_context
        if display.colours.hdr:
            yield f"HDR ({display.colours.hdr}) is written as SDR (BT.709)"
        elif display.depth > 8:
            yield f"{display.depth} bits per colour are written as 8"
        if context.name == H264 and self._encoder.full_chroma:
            odd = context.width % 2 or context.height % 2
            reason = f"{context.width} x {context.height} is odd" if odd else "the input has it"
            yield (
                f"chroma of full resolution is written, since {reason}: H.264 High 4:4:4, which "
                "browsers and phones may not play; .webm plays there"
            )

    def _feed(self, packet: Any) -> None:
        track = self._tracks.get(packet.stream.index)
        if track is not None:
            track.feed(packet)


def _encoder_like(source: Reading, output: Any, quality: str) -> "_Encoder":
    """The encoder for pictures with the size, aspect, rate and colours of `source`."""
    display = source.display
    size, aspect = display.stored, display.aspect
    if output.format.name == "webm":  # VP9 has no pixel aspect
        size, aspect = display.square, Fraction(1)
    if display.orientation.transposed:
        size, aspect = size[::-1], 1 / aspect
    rate = Fraction(source.video.rate)
    if output.format.name == "avi" and 0 < (source.stream.base_rate or 0) <= _FASTEST:
        rate = source.stream.base_rate  # of which the times are multiples, rather than the mean
    return _Encoder(
        output,
        *size,
        rate=rate.limit_denominator(1001),
        tick=source.tick,
        aspect=aspect,
        colours=SDR if display.colours.hdr else display.colours,
        full_chroma=display.full_chroma,
        quality=quality,
    )


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

        kind = output.format.name
        if kind == "avi":  # it cannot store these
            tick, colours, full_chroma = 1 / rate, _UNTOLD, False
        elif kind != "webm":
            # Chroma of half the resolution needs even sides.
            full_chroma = full_chroma or bool(width % 2 or height % 2)
        if colours.matrix == 0:  # RGB
            colours = dataclasses.replace(colours, range=1, matrix=1)
        self.tick = tick
        self.full_chroma = full_chroma
        self.rounded = False  # whether a time was not a whole number of ticks
        self.stream = output.add_stream(
            ENCODERS.get(kind, H264), rate=rate, options=_options(kind, quality)
        )
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
            interpolation=exact_interpolation(),
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


def _options(format: str, quality: str) -> dict[str, str]:
    """Options of the encoder. Frames are stored in the order in which they are shown ("bf"), so
    their times can be any."""
    h264, vp9, mpeg4 = _QUALITIES[quality]
    if format == "webm":
        speed = {"deadline": "realtime", "cpu-used": "7", "row-mt": "1"}
        return {"crf": str(vp9), "b": "0"} | speed
    if format == "avi":
        return {"qmin": str(mpeg4), "qmax": str(mpeg4)}
    return {"crf": str(h264), "preset": "superfast", "bf": "0"}


@contextmanager
def _writing(path: Path, source: Any = None) -> Iterator[Any]:
    """An open container for `path`, which appears when the block ends well.

    `source`: the container whose metadata it is to hold.
    """
    import av

    format = formats.video_format(path)
    with replacing(path) as temporary:
        temporary.touch()  # fails here if the folder does not exist or cannot be written
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
