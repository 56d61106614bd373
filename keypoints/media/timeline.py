"""One line of time for all packets of a file, also where its own times restart or jump."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_JUMP = 10  # seconds from where a track should go on
_BACK = Fraction(1, 10)  # seconds before its last packet


@dataclass
class _Track:
    segment: int
    last: Fraction | None = None  # time of the last packet by the file, in seconds
    next: Fraction = Fraction(0)  # where the packet after it is expected
    delay: int = 0  # ticks from decoding to showing, of the last packet


class Timeline:
    """Moves the times of packets so that they start at 0 and go on where the file's restart.

    That is so in MPEG transport and program streams, whose times start at any number: recordings
    that were joined, cells of a DVD, or segments of a live stream. As in the ffmpeg program, a
    packet more than 10 s from where its track should go on, or more than 0.1 s before the last one,
    starts a segment, which is moved to that place; the other tracks follow with the same distance.
    Times of other formats are left as they are.
    """

    def __init__(self, container: Any):
        from av.format import Flags

        self.joins: list[float] = []  # starts of later segments, in seconds
        self.broadcast = bool(container.format.flags & Flags.ts_discont.value)
        start = Fraction(container.start_time or 0, 1_000_000) if self.broadcast else Fraction(0)
        self.start = start
        self._shifts = [-start]  # seconds that are added, by segment
        self._tracks: dict[int, _Track] = {}

    def place(self, packet: Any) -> None:
        """Change the times of the next packet of the file."""
        if not self.broadcast:
            return
        index = packet.stream.index
        track = self._tracks.setdefault(index, _Track(len(self._shifts) - 1))
        if packet.pts is not None and packet.dts is not None:
            delay = packet.pts - packet.dts
            if not 0 <= delay * packet.time_base <= _JUMP:
                # The last picture of a part, whose time was taken from the part after it.
                packet.pts = packet.dts + track.delay
            track.delay = packet.pts - packet.dts
        ticks = packet.dts if packet.dts is not None else packet.pts
        if packet.stream.type not in ("video", "audio"):  # these are sparse
            track.segment = len(self._shifts) - 1
        elif ticks is not None:
            new = self._follow(
                track, *(t * packet.time_base for t in (ticks, packet.duration or 0))
            )
            if new:
                shown = packet.pts if packet.pts is not None else ticks
                self.joins.append(float(shown * packet.time_base + self._shifts[-1]))
        shift = round(self._shifts[track.segment] / packet.time_base)
        if packet.pts is not None:
            packet.pts += shift
        if packet.dts is not None:
            packet.dts += shift

    def _follow(self, track: _Track, time: Fraction, duration: Fraction) -> bool:
        """Find the segment of the next packet of a track; returns whether it is a new one."""
        new = False
        if track.last is not None:
            if abs(time - track.next) > _JUMP or time < track.last - _BACK:
                target = track.next + self._shifts[track.segment]
                for segment in range(track.segment + 1, len(self._shifts)):
                    if abs(time + self._shifts[segment] - target) <= _JUMP:
                        track.segment = segment  # another track came to it before
                        break
                else:
                    self._shifts.append(target - time)
                    track.segment, new = len(self._shifts) - 1, True
            elif not duration:
                duration = max(time - track.last, Fraction(0))
        track.last, track.next = time, time + duration
        return new
