"""Colours of videos: their encoding, and conversion of HDR to SDR."""

import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.media.filter_graph import filter_graph

PQ, HLG = 16, 18  # transfer characteristics of HDR
_PEAK = 1000.0  # cd/m2, assumed peak of the display that HDR was made for
_WHITE = 203.0  # cd/m2, reference white of HDR (ITU-R BT.2408), mapped to the peak of SDR
_GRID = 33  # nodes per axis of the colour table


@dataclass(frozen=True)
class Colours:
    """Colour encoding of a video, in codes of ITU-T H.273; 2 (`range`: 0) means not specified."""

    range: int  # 1: Y' from 16 to 235, 2: from 0 to 255
    primaries: int
    transfer: int
    matrix: int

    @property
    def hdr(self) -> str:
        """The name of the HDR transfer, or "" for SDR."""
        return {PQ: "PQ", HLG: "HLG"}.get(self.transfer, "")


SDR = Colours(range=1, primaries=1, transfer=1, matrix=1)  # all of BT.709


def colours_of(codec: Any) -> Colours:
    """The colour encoding of a codec context or a frame of PyAV."""
    return Colours(codec.color_range, codec.color_primaries, codec.color_trc, codec.colorspace)


def conversion_matrix(colours: Colours, width: int, height: int) -> int:
    """The matrix between Y'CbCr and RGB, as swscale numbers it.

    If it is not specified, as in players: BT.709 for HD, BT.601 for smaller videos.
    """
    named = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
    return named.get(colours.matrix, 1 if width >= 1280 or height > 576 else 5)


def to_sdr(signal: np.ndarray, transfer: int) -> np.ndarray:
    """HDR signal `(..., 3)` 0 to 1, R'G'B' of BT.2020, as an SDR signal, R'G'B' of BT.709.

    `transfer` is `PQ` or `HLG`. The light of a display of 1000 cd/m2 (BT.2100: inverse PQ, or
    HLG's OOTF with gamma 1.2) is converted to BT.709's primaries, colours outside are clipped; its
    largest component goes through the EETF of ITU-R BT.2390 (section 5.4.1) onto 203 cd/m2, the
    others with it in proportion; the result is encoded for a BT.1886 display (gamma 2.4).
    """
    signal = np.asarray(signal, np.float64)
    light = _pq_light(signal) if transfer == PQ else _hlg_light(signal)
    from_2020 = np.array(
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    )  # ITU-R BT.2087, its inverse
    light = np.maximum(light @ from_2020.T, 0)
    largest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    shown = _pq_light(_eetf(_pq_signal(np.minimum(largest, _PEAK))))
    return np.clip(light * (shown / largest) / _WHITE, 0, 1) ** (1 / 2.4)


def _eetf(signal: np.ndarray) -> np.ndarray:
    """PQ signals of up to `_PEAK` compressed to `_WHITE`: equal below a knee, then a spline."""
    peak, top = _pq_signal(np.array([_PEAK, _WHITE]))
    top = top / peak
    value = signal / peak
    knee = 1.5 * top - 0.5
    t = np.clip((value - knee) / (1 - knee), 0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee)
    spline += (3 * t**2 - 2 * t**3) * top
    return np.where(value < knee, value, spline) * peak


_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128  # of PQ, SMPTE ST 2084
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def _pq_light(signal: np.ndarray) -> np.ndarray:
    """Light in cd/m2 of a PQ signal."""
    power = np.clip(signal, 0, 1) ** (1 / _M2)
    return 10000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def _pq_signal(light: np.ndarray) -> np.ndarray:
    power = (np.asarray(light) / 10000) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _hlg_light(signal: np.ndarray) -> np.ndarray:
    """Light in cd/m2 of HLG signals `(..., 3)` on a display of `_PEAK`; ITU-R BT.2100."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    signal = np.clip(signal, 0, 1)
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    return _PEAK * np.maximum(luminance, 1e-9)[..., None] ** 0.2 * scene


class ToneMapper:
    """`to_sdr` for whole frames: a colour table of 33 x 33 x 33 with tetrahedral interpolation."""

    def __init__(self, transfer: int) -> None:
        self._transfer = transfer
        self._graph: Any = None
        self._size = (0, 0)

    def map(self, frame: Any) -> Any:
        """A 16-bit RGB frame (rgb48le) of HDR as an 8-bit one (rgb24) of SDR."""
        if self._size != (frame.width, frame.height):
            self._open(frame)
            self._size = (frame.width, frame.height)
        self._graph.push(frame)
        return self._graph.pull()

    def _open(self, frame: Any) -> None:
        axis = np.linspace(0, 1, _GRID)
        blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")  # red changes fastest
        table = to_sdr(np.stack([red, green, blue], axis=-1).reshape(-1, 3), self._transfer)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "table.cube"
            np.savetxt(file, table, fmt="%.6f", header=f"LUT_3D_SIZE {_GRID}", comments="")
            lut = {"file": str(file), "interp": "tetrahedral"}
            steps = {"lut3d": lut, "format": {"pix_fmts": "rgb24"}}
            self._graph = filter_graph(frame, frame.time_base or Fraction(1, 1000), steps)
