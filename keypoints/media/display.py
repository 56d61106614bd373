"""Frames of a video as a player displays them: upright, in square pixels, in SDR, in one size."""

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from keypoints.errors import InputError
from keypoints.media.colours import ToneMapper, colours_of, conversion_matrix
from keypoints.media.filter_graph import filter_graph
from keypoints.media.orientation import Orientation, of_display_matrix, upright
from keypoints.media.pictures import MAX_PIXELS


class Display:
    """The display of a picture track, as its first frame has it."""

    def __init__(self, frame: Any, decoder: Any, aspect: Fraction | None):
        """`decoder`: the codec context that gave `frame`; `aspect`: of its pixels, by the file.

        Raises InputError for frames of more than `MAX_PIXELS`.
        """
        from av.video.reformatter import VideoReformatter

        self.changes: list[str] = []  # what is displayed in another way than it is stored
        self.colours = colours_of(frame)
        if "yuvj" in frame.format.name:
            self.colours = dataclasses.replace(self.colours, range=2)
        parts = frame.format.components
        self.depth = max(component.bits for component in parts)
        # Whether chroma has the resolution of luma.
        self.full_chroma = frame.format.is_rgb or (
            len(parts) > 1 and frame.format.chroma_width(64) == frame.format.chroma_height(64) == 64
        )
        self.stored = (frame.width, frame.height)
        self.aspect = aspect or Fraction(1)  # width of a pixel to height
        self.square = self._square(frame)  # in square pixels, not yet turned
        sides = [side for side in frame.side_data if side.type.name == "DISPLAYMATRIX"]
        self.orientation = of_display_matrix(bytes(sides[0])) if sides else Orientation()
        self.size = self.square[::-1] if self.orientation.transposed else self.square
        self._decoder = decoder
        self._first_aspect = decoder.sample_aspect_ratio
        self._reformatter = VideoReformatter()
        self._tone_mapper: ToneMapper | None = None

    def show(self, frame: Any, seconds: float) -> np.ndarray:
        """The frame `(h, w, 3)` uint8 RGB; one of another size is fitted, with black bars.

        Raises InputError for a frame that cannot be converted.
        """
        import av

        now, first = self._decoder.sample_aspect_ratio, self._first_aspect
        square = self._square(frame, now / first if now and first else Fraction(1))
        try:
            image = self._colours(frame, square)
        except av.FFmpegError as error:
            raise InputError(f"{frame.format.name}: {error.strerror}") from None
        image = np.ascontiguousarray(upright(image, self.orientation))
        if square != self.square:
            self._say(
                f"from {seconds:.2f} s on, {square[0]} x {square[1]} pixels are fitted into "
                f"{self.square[0]} x {self.square[1]}, with black bars",
                once="are fitted into",
            )
            image = fitted(image, *self.size)
        return image

    def _square(self, frame: Any, change: Fraction = Fraction(1)) -> tuple[int, int]:
        width, height, aspect = frame.width, frame.height, self.aspect * change
        if aspect > 1:
            width = max(round(width * aspect), 1)
        else:
            height = max(round(height / aspect), 1)
        if width * height > MAX_PIXELS:
            limit = MAX_PIXELS // 1_000_000
            raise InputError(f"{width} x {height} pixels are more than {limit} million")
        return width, height

    def _colours(self, frame: Any, size: tuple[int, int]) -> np.ndarray:
        """`frame` in `size`, `(h, w, 3)` uint8 RGB of SDR, over white where it is transparent."""

        def in_format(name: str) -> Any:
            return self._reformatter.reformat(
                frame,
                *size,
                name,
                src_colorspace=conversion_matrix(self.colours, *self.stored),
                src_color_range=self.colours.range or 1,
                interpolation=exact_interpolation(),
            )

        if self.colours.hdr:
            if self._tone_mapper is None:
                self._tone_mapper = ToneMapper(self.colours.transfer)
            image = self._tone_mapper.map(in_format("rgb48le")).to_ndarray()
        else:
            image = in_format("rgb24").to_ndarray()
        if frame.format.has_palette or any(part.is_alpha for part in frame.format.components):
            share = in_format("rgba").to_ndarray()[..., 3:].astype(np.uint16)
            if share.min() < 255:
                self._say("transparency is laid over white", once="transparency")
                image = ((image * share + 255 * (255 - share) + 127) // 255).astype(np.uint8)
        return image

    def _say(self, line: str, *, once: str) -> None:
        if not any(once in said for said in self.changes):
            self.changes.append(line)


def fitted(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """`image` `(h, w, 3)` uint8 scaled into `(height, width, 3)`, with black bars."""
    scale = min(width / image.shape[1], height / image.shape[0])
    size = (
        min(max(round(image.shape[1] * scale), 1), width),
        min(max(round(image.shape[0] * scale), 1), height),
    )
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[top : top + size[1], left : left + size[0]] = cv2.resize(
        image, size, interpolation=method
    )
    return canvas


def exact_interpolation() -> int:
    """swscale's flags for exact conversions: its defaults darken values by one."""
    from av.video.reformatter import Interpolation

    exact = Interpolation.ACCURATE_RND
    return (
        Interpolation.BICUBIC | exact | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
    )


class Deinterlacer:
    """Whole pictures of interlaced ones, whose two fields are of two moments.

    FFmpeg's bwdif: one picture, of the first field's moment, from each frame that is marked as
    interlaced; it looks at the frames before and after. Others are passed on as they are.
    """

    def __init__(self, stream: Any):
        self.used = False
        self._stream = stream
        self._graph: Any = None
        self._kind: tuple = ()

    def feed(self, frame: Any) -> Iterator[Any]:
        """The frames that are ready after the next one."""
        kind = (frame.width, frame.height, frame.format.name)
        if self._graph is not None and kind != self._kind:
            yield from self.finish()
        if self._graph is None:
            if not frame.interlaced_frame:
                yield frame
                return
            step = {"mode": "send_frame", "parity": "auto", "deint": "interlaced"}
            self._graph = filter_graph(frame, self._stream.time_base, {"bwdif": step})
            self.used, self._kind = True, kind
        self._graph.push(frame)
        yield from self._ready()

    def finish(self) -> Iterator[Any]:
        """The frames that are left."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._ready()
            self._graph = None

    def _ready(self) -> Iterator[Any]:
        import av

        while True:
            try:
                yield self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
