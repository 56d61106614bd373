"""Video files: all frames as a player displays them, with their times."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.errors import InputError
from keypoints.media.display import Deinterlacer, Display
from keypoints.media.pictures import MAX_PIXELS
from keypoints.media.timeline import Timeline

DEFAULT_RATE = 30.0  # frames/s, if a file does not state it
_LIKELY = 240  # frames/s: of more than these, a file's word is not taken
_MEASURED = 200  # packets whose times are looked at instead
_TIMEOUT = 10.0  # seconds in which a server must answer
_RETRIES = 20  # consecutive failed reads after which a file counts as ended
# FFmpeg's own decoders of VP8 and VP9 leave out transparency.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


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
    with open_container(source) as container:
        yield Reading(container, str(source))


class Reading:
    """The frames of an open video file as displayed, with their times in seconds.

    Iterating yields `(seconds, image)`, `(h, w, 3)` uint8 RGB, as `Display` shows them, all of the
    first one's size: deinterlaced, and at the times of `Timeline`. Damaged frames are left out.
    """

    def __init__(self, container: Any, name: str, other: Callable[[Any], None] | None = None):
        """`other` takes the packets of the other tracks."""
        from av.stream import Disposition

        streams = container.streams.video
        streams = [s for s in streams if not s.disposition & Disposition.attached_pic]
        if not streams or streams[0].codec_context is None:
            raise InputError(f"{name}: no picture track that can be decoded")
        self.name = name
        self.other = other
        self.stream = streams[0]
        self.tick: Fraction = self.stream.time_base
        self.time = self.duration = Fraction(0)  # of the frame yielded last, in seconds
        self.timeline = Timeline(container)
        self._container = container
        self._decoder = _decoder(self.stream, name)
        self._deinterlacer = Deinterlacer(self.stream)
        # Of the file, which may be closed when `damage` is asked for. VP8 has packets without a
        # picture of their own; the duration of an AVI file is of what is there.
        self._hidden = self.stream.codec_context.name == "vp8"
        self._end = (self.stream.start_time or 0) + (self.stream.duration or 0)
        self._end -= round(self.timeline.start / self.tick)
        if container.format.name == "avi":
            self._end = self.stream.frames
        self._packets = self._decoded = self._errors = self._corrupt = 0
        self._key: int | None = None  # time of the first key frame, in ticks
        self._read = 0  # time up to which packets could be read, in ticks
        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            raise InputError(f"{name}: not a video that can be decoded")
        self._first = first
        aspect = self.stream.sample_aspect_ratio
        if self.timeline.broadcast:  # the stream has that of any part that was looked at
            aspect = self._decoder.sample_aspect_ratio or aspect
        with self._named():
            self.display = Display(first, self._decoder, aspect)
        rate = _rate(self.stream, name)
        count = round((self.stream.duration or 0) * self.tick * Fraction(rate))
        self.video = Video(*self.display.size, rate, count or self.stream.frames)

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        last = None
        frame: Any = self._first
        while frame is not None:
            self.duration = (frame.duration or 0) * frame.time_base
            if frame.pts is not None:
                self.time = frame.pts * frame.time_base
            elif last is not None:
                self.time = last + Fraction(1 / self.video.rate)
            if last is not None:  # times never go back
                self.time = max(self.time, last + self.tick)
            last = self.time
            with self._named():
                image = self.display.show(frame, float(self.time))
            yield float(self.time), image
            frame = next(self._frames, None)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None

    def _decode(self) -> Iterator[Any]:
        """The frames of the picture track; on the way, all other packets go to `other`."""
        import av

        for packet in chain(self._demux(), [None]):  # None: what the decoder still holds
            if packet is not None and packet.stream is not self.stream:
                if self.other is not None:
                    self.other(packet)
                continue
            if packet is not None:
                self._count(packet)
            try:
                frames = self._decoder.decode(packet)
            except av.FFmpegError:
                self._errors += 1
                continue
            for frame in frames:
                self._decoded += 1
                self._corrupt += frame.is_corrupt
                frame.time_base = self.tick
                yield from self._deinterlacer.feed(frame)
        yield from self._deinterlacer.finish()

    def _demux(self) -> Iterator[Any]:
        """All packets at their times; packets that cannot be read are skipped."""
        import av

        failures = 0
        while failures < _RETRIES:
            try:
                for packet in self._container.demux():
                    failures = 0
                    if packet.size or packet.dts is not None:  # otherwise it only ends a track
                        self.timeline.place(packet)
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
    def damage(self) -> list[str]:
        """What could not be read, one line each; complete when the frames have ended."""
        missing = self._errors if self._hidden else max(self._packets - self._decoded, 0)
        missing = missing if self._errors else 0
        lines = []
        if missing or self._corrupt:
            lines.append(
                f"{self.name}: frames are damaged: {missing} could not be decoded and are left "
                f"out, {self._corrupt} show errors"
            )
        end = self._end
        short = end and (end - self._read) * self.tick > 2 / Fraction(self.video.rate)
        if short and not self.timeline.joins:
            lines.append(
                f"{self.name} breaks off at {float(self._read * self.tick):.2f} of "
                f"{float(end * self.tick):.2f} seconds"
            )
        return lines

    @property
    def changes(self) -> list[str]:
        """What is shown in another way than it is stored; complete when the frames have ended."""
        lines = list(self.display.changes)
        if self._deinterlacer.used:
            lines.append("interlaced frames are deinterlaced: one picture from two fields")
        joins = [f"{seconds:.2f} s" for seconds in self.timeline.joins]
        if joins:
            lines.append(f"its times restart or jump: what follows goes on at {', '.join(joins)}")
        return [f"{self.name}: {line}" for line in lines]


def _decoder(stream: Any, name: str) -> Any:
    """The codec context that decodes a picture track; raises InputError for one too large."""
    import av

    context = stream.codec_context
    if context.width * context.height > MAX_PIXELS:
        raise InputError(
            f"{name}: {context.width} x {context.height} pixels are more than "
            f"{MAX_PIXELS // 1_000_000} million"
        )
    alpha = _ALPHA_DECODERS.get(context.name)
    if alpha is not None and stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")):
        with suppress(av.codec.codec.UnknownCodecError):  # without it, transparency is not seen
            context = av.CodecContext.create(alpha, "r")
    context.options = {"max_pixels": str(MAX_PIXELS)}
    context.thread_type = "AUTO"
    return context


def _rate(stream: Any, name: str) -> float:
    """Frames/s on average.

    Recorders of browsers and screens state 1000, the resolution of their times: then the times of
    the first packets decide.
    """
    rate = stream.average_rate or stream.guessed_rate or 0
    if rate > _LIKELY:
        with open_container(name) as container:
            packets = container.demux(container.streams[stream.index])
            known = (packet.pts for packet in packets if packet.pts is not None)
            times = list(islice(known, _MEASURED))
        span = (max(times) - min(times)) * stream.time_base if times else 0
        rate = (len(times) - 1) / span if span else 0
    return float(rate) if 0 < rate <= 1000 else DEFAULT_RATE


def open_container(source: Path | str) -> Any:
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
