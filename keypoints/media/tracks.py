"""Contents of a video file besides the picture: sound, subtitles, chapters, metadata, attachments.

Everything is copied unchanged if the new file can store it. Otherwise sound and text subtitles are
converted, and what must be left out is reported.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

# The codec for sound that a container cannot store unchanged.
_SOUND = {"mp4": "aac", "mov": "aac", "matroska": "aac", "webm": "libopus", "avi": "libmp3lame"}
_OPUS_START = 0.1  # seconds
# AVI players support few codecs, though FFmpeg would write more.
_AVI_SOUND = {"mp3", "mp3float", "mp2", "mp2float", "ac3", "aac", "pcm_s16le", "pcm_u8"}
_SUBTITLES = {"mp4": "mov_text", "mov": "mov_text", "matroska": "ass", "webm": "webvtt"}
# Metadata that the muxer of MP4 and QuickTime writes.
_MP4_TAGS = re.compile(
    r"title|artist|album_artist|album|composer|date|comment|genre|copyright|description|synopsis|"
    r"lyrics|keywords|show|network|episode_id|grouping|(location|creation_time|timecode)(-.*)?"
)
# Metadata that a muxer writes by itself, or that only holds for the source.
_OWN = re.compile(
    r"major_brand|minor_version|compatible_brands|encoder|software|handler_name|vendor_id"
    r"|(DURATION|BPS|NUMBER_OF_|_STATISTICS_).*",
    re.IGNORECASE,
)


class Track(Protocol):
    """A track that is copied from one file to another."""

    def feed(self, packet: Any) -> None:
        """Take the next packet of the source."""

    def finish(self) -> str | None:
        """Write what is still buffered; returns a line about losses, if any."""


def container_options(source: Any, format: str) -> dict[str, str]:
    """Options of the muxer of `format` that keep what `source` holds."""
    phone = any(key.startswith("com.apple.quicktime.") for key in source.metadata)
    # Tags of any name, which not all players read, where the source has them too.
    return {"movflags": "use_metadata_tags"} if phone and format in ("mp4", "mov") else {}


def copy_metadata(source: Any, output: Any) -> list[str]:
    """Titles, dates and chapters of the container `source` for `output`.

    Returns a line for each thing that the output cannot store.
    """
    kept, lines = _lasting(source.metadata), []
    format = output.format.name
    if format in ("mp4", "mov") and not container_options(source, format):
        lost = sorted(key for key in kept if not _MP4_TAGS.fullmatch(key.lower()))
        if lost:
            lines.append(f"metadata that {format} has no name for is left out: {', '.join(lost)}")
    output.metadata.update(kept)
    output.set_chapters(source.chapters())
    if source.chapters() and format == "avi":
        lines.append("chapters are left out: avi cannot hold them")
    return lines


def copy_stream_metadata(source: Any, output: Any) -> None:
    """Copy language, title and disposition of one stream to another."""
    output.metadata.update(_lasting(source.metadata))
    output.disposition = source.disposition


def _lasting(metadata: dict[str, str]) -> dict[str, str]:
    return {key: text for key, text in metadata.items() if not _OWN.fullmatch(key)}


def open_tracks(
    source: Any, output: Any, picture: Any, shift: Callable[[Any], None]
) -> tuple[dict[int, Track], list[str]]:
    """A track in `output` for every stream of `source` but `picture`, by the stream's index.

    `shift` moves the times of a packet to those of `output`. Also returns a line for each stream
    that cannot be kept.
    """
    tracks: dict[int, Track] = {}
    lines = []
    for stream in source.streams:
        if stream is picture:
            continue
        name = f"{stream.type} track {stream.index}"
        if stream.type == "attachment":
            if output.format.name == "matroska":
                output.add_attachment(stream.name or "attachment", stream.mimetype, stream.data)
            else:
                lines.append(f"{name} ({stream.name}) is left out: only .mkv holds attachments")
        elif stream.type == "video":
            lines.append(f"{name} is left out: it would show what the filter covers")
        elif _holds(output.format.name, stream) and not _is_odd_sound(output.format.name, stream):
            tracks[stream.index] = _Copy(stream, output, shift)
        elif stream.type == "audio" and stream.codec_context is not None:
            tracks[stream.index] = _Sound(stream, output, shift)
        elif stream.type == "subtitle" and _is_text(stream) and output.format.name in _SUBTITLES:
            tracks[stream.index] = _Subtitles(stream, output, shift)
        elif not (stream.type == "data" and source.chapters()):  # that track names the chapters
            codec = stream.codec_context.name if stream.codec_context else stream.codec_tag
            lines.append(f"{name} ({codec}) is left out: {output.format.name} cannot hold it")
    return tracks, lines


def _holds(format: str, stream: Any) -> bool:
    """Whether a file of `format` can store the stream unchanged: tested in memory."""
    import av

    try:
        with av.open(io.BytesIO(), "w", format=format) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (av.FFmpegError, ValueError, TypeError):
        return False
    return True


def _is_odd_sound(format: str, stream: Any) -> bool:
    known = stream.codec_context is not None and stream.codec_context.name in _AVI_SOUND
    return format == "avi" and stream.type == "audio" and not known


def _is_text(stream: Any) -> bool:
    return stream.codec_context is not None and stream.codec_context.name in (
        "ass", "ssa", "subrip", "srt", "mov_text", "webvtt", "text",
    )  # fmt: skip


@dataclass
class _Copy:
    """Copies packets. Sound is also decoded, to leave out damaged packets."""

    source: Any
    output: Any
    shift: Callable[[Any], None]
    lost: float = 0.0  # seconds

    def __post_init__(self) -> None:
        self.stream = self.output.add_stream_from_template(self.source, opaque=True)
        copy_stream_metadata(self.source, self.stream)
        context = self.source.codec_context
        self.codec = context.name if context is not None else ""
        self.checked = self.source.type == "audio" and context is not None

    def feed(self, packet: Any) -> None:
        import av

        duration = float((packet.duration or 0) * packet.time_base)
        try:
            if self.checked:
                packet.decode()
            self.shift(packet)
            if not self._shown(packet):
                return
            packet.stream = self.stream
            self.output.mux(packet)
        except (av.error.InvalidDataError, av.error.ArgumentError):
            self.lost += duration

    def _shown(self, packet: Any) -> bool:
        """Whether a packet is played, or is needed to decode the start of what is played.

        Sound is decoded from a packet before its start; MP4 can say "play from here" then.
        """
        if packet.pts is None:
            return not packet.is_discard
        if self.output.format.name not in ("mp4", "mov"):
            # Opus starts with some silence before zero, which its decoders leave out.
            early = -_OPUS_START if self.codec == "opus" else 0
            return not packet.is_discard and packet.pts * packet.time_base >= early
        return not packet.is_discard or packet.pts + 2 * (packet.duration or 0) > 0

    def finish(self) -> str | None:
        return _damaged(self.source, self.lost)


def _damaged(stream: Any, seconds: float) -> str | None:
    if not seconds:
        return None
    return f"{stream.type} track {stream.index}: {seconds:.2f} s are damaged and left out"


@dataclass
class _Sound:
    """Sound decoded and encoded again."""

    source: Any
    output: Any
    shift: Callable[[Any], None]
    lost: float = 0.0  # seconds

    def __post_init__(self) -> None:
        import av

        codec = _SOUND[self.output.format.name]
        rates = av.Codec(codec, "w").audio_rates or [self.source.rate]
        rate = self.source.rate if self.source.rate in rates else 48000
        self.stream = self.output.add_stream(codec, rate=rate, layout=self.source.layout)
        self.stream.bit_rate = 96_000 * max(self.source.channels, 1)
        copy_stream_metadata(self.source, self.stream)
        context = self.stream.codec_context
        self.resampler = av.AudioResampler(context.format, context.layout, rate, 1024)

    def feed(self, packet: Any) -> None:
        import av

        self.shift(packet)
        try:
            for frame in packet.decode():
                self._encode(frame)
        except av.error.InvalidDataError:
            self.lost += float((packet.duration or 0) * packet.time_base)

    def _encode(self, frame: Any) -> None:
        for piece in self.resampler.resample(frame):
            self.output.mux(self.stream.encode(piece))

    def finish(self) -> str | None:
        self._encode(None)
        self.output.mux(self.stream.encode(None))
        return _damaged(self.source, self.lost)


@dataclass
class _Subtitles:
    """Text subtitles decoded and encoded again."""

    source: Any
    output: Any
    shift: Callable[[Any], None]
    lost: float = 0.0  # seconds

    def __post_init__(self) -> None:
        self.stream = self.output.add_stream(_SUBTITLES[self.output.format.name])
        self.source.codec_context.open()
        self.stream.codec_context.subtitle_header = self.source.codec_context.subtitle_header
        self.stream.time_base = self.source.time_base
        copy_stream_metadata(self.source, self.stream)

    def feed(self, packet: Any) -> None:
        import av

        self.shift(packet)
        try:
            subtitle = self.source.codec_context.decode2(packet)
            if subtitle is None:
                return
            coded = self.stream.codec_context.encode_subtitle(subtitle)
            coded.pts = coded.dts = packet.pts
            coded.duration, coded.time_base = packet.duration, packet.time_base
            coded.stream = self.stream
            self.output.mux(coded)
        except (av.error.InvalidDataError, av.error.ArgumentError):
            self.lost += float((packet.duration or 0) * packet.time_base)

    def finish(self) -> str | None:
        return _damaged(self.source, self.lost)
