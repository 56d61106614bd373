"""Contents of a video file besides the picture: sound, subtitles, chapters, metadata, attachments.

Everything is copied unchanged if the new file can store it. Otherwise sound and text subtitles are
converted, and what must be left out is reported.
"""

import io
import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

from keypoints.media.videos import open_container

# The codec for sound that a container cannot store unchanged.
_SOUND = {"mp4": "aac", "mov": "aac", "matroska": "aac", "webm": "libopus", "avi": "libmp3lame"}
_OPUS_START = 0.1  # seconds
# The usual places of so many channels, where those of a track are not known or not usual.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
# AVI players support few codecs, though FFmpeg would write more.
_AVI_SOUND = {"mp3", "mp3float", "mp2", "mp2float", "ac3", "aac", "pcm_s16le", "pcm_u8"}
_TEXTS = {"ass", "ssa", "subrip", "srt", "mov_text", "webvtt", "text"}  # subtitles, not pictures
_SUBTITLES = {"mp4": "mov_text", "mov": "mov_text", "matroska": "ass", "webm": "webvtt"}
# Metadata that the muxer of MP4 and QuickTime writes.
_MP4_TAGS = re.compile(
    r"title|artist|album_artist|album|composer|date|comment|genre|copyright|description|synopsis|"
    r"lyrics|keywords|show|network|episode_id|grouping|(location|creation_time|timecode)(-.*)?"
)
# Metadata that a muxer writes by itself, or that only holds for the source.
_OWN = re.compile(
    r"major_brand|minor_version|compatible_brands|encoder|software|handler_name|vendor_id|alpha_mode"
    r"|(DURATION|BPS|NUMBER_OF_|_STATISTICS_).*",
    re.IGNORECASE,
)
# Metadata that names no one: times, language, the kind of camera.
_NAMELESS = re.compile(
    r"(com\.apple\.quicktime\.)?(creation_?(time|date)|make|model)|date|timecode|language",
    re.IGNORECASE,
)
_PICTURE_FILE = re.compile(r"image/|.*\.(jpe?g|png|webp|gif|bmp|tiff?|heic|avif)$", re.IGNORECASE)
_FONT_FILE = re.compile(r"font/|.*(font|opentype|\.[ot]t[fc])", re.IGNORECASE)
_PLACE = re.compile(rb"latitude|longitude|gps", re.IGNORECASE)  # drones write them as subtitles


def container_options(source: Any, format: str) -> dict[str, str]:
    """Options of the muxer of `format` that keep what `source` holds."""
    phone = any(key.startswith("com.apple.quicktime.") for key in source.metadata)
    # Tags of any name, which not all players read, where the source has them too.
    return {"movflags": "use_metadata_tags"} if phone and format in ("mp4", "mov") else {}


def copy_metadata(source: Any, output: Any, *, private: bool) -> list[str]:
    """Titles, dates and chapters of the container `source` for `output`.

    `private`: without what names people, places and things. Returns a line for each thing that is
    left out.
    """
    kept, lines = _lasting(source.metadata, private), []
    format, chapters = output.format.name, source.chapters()
    named = [key for key in _lasting(source.metadata, False) if key not in kept]
    for chapter in chapters if private else ():
        named += ["titles of chapters"] if chapter.pop("metadata", None) else []
        chapter["metadata"] = {}
    for stream in source.streams if private else ():
        named += [key for key in _lasting(stream.metadata, False) if not _NAMELESS.fullmatch(key)]
    if named:
        names = ", ".join(sorted(set(named)))
        lines.append(f"left out, since it may show or name people: {names}")
    if format in ("mp4", "mov") and not container_options(source, format):
        lost = sorted(key for key in kept if not _MP4_TAGS.fullmatch(key.lower()))
        if lost:
            lines.append(f"metadata that {format} has no name for is left out: {', '.join(lost)}")
    output.metadata.update(kept)
    output.set_chapters(chapters)
    if chapters and format == "avi":
        lines.append("chapters are left out: avi cannot hold them")
    return lines


def copy_stream_metadata(source: Any, output: Any, *, private: bool) -> None:
    """Copy language, title and disposition of one stream to another; `private`: no title."""
    output.metadata.update(_lasting(source.metadata, private))
    output.disposition = source.disposition


def _lasting(metadata: dict[str, str], private: bool) -> dict[str, str]:
    kept = {key: text for key, text in metadata.items() if not _OWN.fullmatch(key)}
    return {key: text for key, text in kept.items() if not private or _NAMELESS.fullmatch(key)}


def open_tracks(
    source: Any, output: Any, picture: Any, name: str, private: bool
) -> tuple[dict[int, "Track"], list[str]]:
    """A track in `output` for every stream of `source` but `picture`, by the stream's index.

    `name`: the file of `source`. `private`: without tracks of data and attached pictures. Also
    returns a line for each stream that cannot be kept.
    """
    tracks: dict[int, Track] = {}
    lines = []
    for stream in source.streams:
        if stream is picture:
            continue
        reason = ""
        if stream.type == "attachment":
            reason = _attach(stream, output, private)
        elif stream.type == "data" and source.chapters():
            continue  # that track names the chapters
        else:
            kind, reason = _choose(stream, output.format.name, name, private)
            if kind is not None:
                tracks[stream.index] = kind(stream, output, private)
        if reason:
            label = "" if stream.type == "video" else f" ({_label(source, stream)})"
            lines.append(f"{stream.type} track {stream.index}{label} is left out: {reason}")
    return tracks, lines


def _choose(
    stream: Any, format: str, name: str, private: bool
) -> tuple[Callable[..., "Track"] | None, str]:
    """How a stream comes into a file of `format`; None with the reason why it does not."""
    context, kind = stream.codec_context, stream.type
    if kind == "video":
        return None, "it would show what the filter covers"
    if kind == "data" and private:
        return None, "it may name people or places"
    if kind == "audio" and context is None:
        return None, "there is no decoder for it"
    if kind == "audio" and not (context.rate and context.channels):
        # Announced, but not in the part of the file that was looked at so far.
        first = _first_sound(name, stream.index)
        return (None, "it holds no sound") if first is None else (partial(_Sound, like=first), "")
    odd = kind == "audio" and _is_odd(format, context)
    if not odd and _holds(format, stream):
        return Track, ""
    if kind == "audio":
        return _Sound, ""
    readable = context is not None and context.name in _TEXTS
    if kind == "subtitle" and readable and format in _SUBTITLES:
        return _Subtitles, ""
    return None, f"{format} cannot hold it"


def _is_odd(format: str, context: Any) -> bool:
    """Whether players do not expect a kind of sound in a format, or its muxer fails at the end."""
    if format == "avi":
        return context.name not in _AVI_SOUND
    # MP4 says where the channels of raw sound are, which a track may leave open.
    unplaced = context.layout.name.endswith("channels")
    return format == "mp4" and context.name.startswith("pcm_") and unplaced


def _attach(stream: Any, output: Any, private: bool) -> str:
    """Copy an attachment; returns the reason if it is left out."""
    kind = stream.mimetype or ""
    if _PICTURE_FILE.match(kind) or _PICTURE_FILE.match(stream.name or ""):
        return "it may show what the filter covers"
    if private and not _FONT_FILE.match(kind) and not _FONT_FILE.match(stream.name or ""):
        return "it may name people or places"
    if output.format.name != "matroska":
        return "only .mkv holds attachments"
    output.add_attachment(stream.name or "attachment", kind, stream.data)
    return ""


def _first_sound(name: str, index: int) -> Any:
    """The first frame of a sound track of the file `name`; None without one."""
    import av

    with open_container(name) as container:
        try:
            return next(container.decode(container.streams[index]), None)
        except av.FFmpegError:
            return None


def _label(container: Any, stream: Any) -> str:
    """The name of a stream's codec, or of its kind in the file where there is no decoder."""
    import av.logging

    if stream.type == "attachment":
        return stream.name or "no name"
    if stream.codec_context is not None:
        return stream.codec_context.name
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)  # the description is empty below it
    try:
        text = container.dumps_format()
    finally:
        av.logging.set_level(level)
    found = re.search(rf"Stream #0:{stream.index}\D.*?: \w+: \w+ \(([^ /)]+)", text)
    return found.group(1) if found else "of unknown codec"


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


class Track:
    """A track that is copied from one file to another.

    Its packets stay as they are. Sound is also decoded, to leave out damaged packets.
    """

    def __init__(self, source: Any, output: Any, private: bool):
        self.source, self.output, self.private = source, output, private
        self._lost = self._doubled = 0.0  # seconds
        self._places = 0  # subtitles that are left out
        self._last: int | None = None  # time of the last packet of sound, in ticks
        self.stream = self._open()
        copy_stream_metadata(source, self.stream, private=private)

    def feed(self, packet: Any) -> None:
        """Take the next packet of the source, at its time in the new file."""
        import av

        seconds = float((packet.duration or 0) * packet.time_base)
        if self.source.type == "audio" and packet.dts is not None:
            if self._last is not None and packet.dts <= self._last:
                self._doubled += seconds
                return
            self._last = packet.dts
        elif self.source.type == "subtitle" and self.private and _PLACE.search(bytes(packet)):
            self._places += 1
            return
        try:
            decoded = self._decode(packet)
        except av.FFmpegError:  # decoders raise any of them on damaged packets
            self._lost += seconds
            return
        try:
            self._write(packet, decoded)
        except av.error.InvalidDataError:
            self._lost += seconds
        except av.error.ArgumentError:  # of the muxer: times that go back
            self._doubled += seconds

    def finish(self) -> list[str]:
        """Write what is still buffered; returns a line about each loss."""
        self._flush()
        name = f"{self.source.type} track {self.source.index}"
        lines = []
        if self._lost:
            lines.append(f"{name}: {self._lost:.2f} s are damaged and left out")
        if self._doubled:
            lines.append(f"{name}: {self._doubled:.2f} s overlap what was before and are left out")
        if self._places:
            lines.append(f"{name}: {self._places} texts with positions are left out")
        return lines

    def _open(self) -> Any:
        """The new stream."""
        return self.output.add_stream_from_template(self.source, opaque=True)

    def _decode(self, packet: Any) -> Any:
        return packet.decode() if self.source.type == "audio" else []

    def _write(self, packet: Any, decoded: Any) -> None:
        """Write a packet, or what was decoded from it."""
        if self._shown(packet):
            packet.stream = self.stream
            self.output.mux(packet)

    def _flush(self) -> None:
        pass

    def _shown(self, packet: Any) -> bool:
        """Whether a packet is played, or is needed to decode the start of what is played.

        Sound is decoded from a packet before its start; MP4 can say "play from here" then.
        """
        if packet.pts is None:
            return not packet.is_discard
        if self.output.format.name not in ("mp4", "mov"):
            # Opus starts with some silence before zero, which its decoders leave out.
            context = self.source.codec_context
            early = -_OPUS_START if context is not None and context.name == "opus" else 0
            return not packet.is_discard and packet.pts * packet.time_base >= early
        return not packet.is_discard or packet.pts + 2 * (packet.duration or 0) > 0


class _Sound(Track):
    """Sound decoded and encoded again."""

    def __init__(self, source: Any, output: Any, private: bool, like: Any = None):
        """`like`: a frame of it, where the track does not say its rate and channels."""
        self._like = like
        super().__init__(source, output, private)

    def _open(self) -> Any:
        import av

        rate, layout = self.source.rate, self.source.layout
        if self._like is not None:
            rate, layout = self._like.sample_rate, self._like.layout
        codec = _SOUND[self.output.format.name]
        rate, self._layout = _encodable(codec, rate, layout)
        self._mixed = layout.nb_channels if self._layout.nb_channels < layout.nb_channels else 0
        stream = self.output.add_stream(codec, rate=rate, layout=self._layout)
        stream.bit_rate = 96_000 * max(self._layout.nb_channels, 1)
        context = stream.codec_context
        self._resampler = av.AudioResampler(context.format, context.layout, rate, 1024)
        return stream

    def _write(self, packet: Any, decoded: Any) -> None:
        for frame in decoded:
            self._encode(frame)

    def _encode(self, frame: Any) -> None:
        for piece in self._resampler.resample(frame):
            self.output.mux(self.stream.encode(piece))

    def _flush(self) -> None:
        self._encode(None)
        self.output.mux(self.stream.encode(None))

    def finish(self) -> list[str]:
        lines = super().finish()
        if self._mixed:
            channels = f"{self._mixed} channels are mixed to {self._layout.nb_channels}"
            lines.append(f"audio track {self.source.index}: {channels}")
        return lines


def _encodable(codec: str, rate: int, layout: Any) -> tuple[int, Any]:
    """The rate and channels nearest to those of a track that an encoder takes."""
    import av

    encoder = av.Codec(codec, "w")
    rates, formats = encoder.audio_rates or [rate, 48000], encoder.audio_formats or []
    standard = _LAYOUTS.get(layout.nb_channels, "stereo")
    for kept in (layout, av.AudioLayout(standard), av.AudioLayout("stereo")):
        for number in dict.fromkeys((rate if rate in rates else 48000, 48000)):
            trial: Any = av.CodecContext.create(codec, "w")
            trial.sample_rate, trial.layout, trial.time_base = number, kept, Fraction(1, number)
            trial.format = formats[0] if formats else "fltp"
            try:
                trial.open()
                return number, kept
            except (av.FFmpegError, ValueError):
                continue
    return 48000, av.AudioLayout("stereo")


class _Subtitles(Track):
    """Text subtitles decoded and encoded again."""

    def _open(self) -> Any:
        stream = self.output.add_stream(_SUBTITLES[self.output.format.name])
        self.source.codec_context.open()
        stream.codec_context.subtitle_header = self.source.codec_context.subtitle_header
        stream.time_base = self.source.time_base
        return stream

    def _decode(self, packet: Any) -> Any:
        return self.source.codec_context.decode2(packet)

    def _write(self, packet: Any, decoded: Any) -> None:
        if decoded is None:
            return
        coded = self.stream.codec_context.encode_subtitle(decoded)
        coded.pts = coded.dts = packet.pts
        coded.duration, coded.time_base = packet.duration, packet.time_base
        coded.stream = self.stream
        self.output.mux(coded)
