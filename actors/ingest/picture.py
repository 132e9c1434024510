"""Lays decoded pictures out as 4:2:0 that fits a slot, converting only where it must.

That is planar, except for pictures of NVDEC on their way into a slot of the same GPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from engines.cuda.pool import DevicePlane
from engines.frames import Chroma, ColorMatrix, Picture, Plane

# AVColorSpace of FFmpeg: BT.709, SMPTE 240M and BT.2020 are near to BT.709;
# FCC, BT.470BG and SMPTE 170M are, or are near to, BT.601. The rest does not say.
_BT709_LIKE = frozenset((1, 7, 9, 10))
_BT601_LIKE = frozenset((4, 5, 6))
_MIN_HD_HEIGHT_PX = 720

_SWS_MATRIX = {ColorMatrix.BT601: Colorspace.ITU601, ColorMatrix.BT709: Colorspace.ITU709}
_AS_IT_IS = ("yuv420p", "yuvj420p")
_ON_DEVICE = "cuda"


class _Kind(NamedTuple):
    width: int
    height: int
    format_name: str
    colorspace: int
    color_range: int
    max_bytes: int
    is_device_slot: bool


class PictureLayout:
    """Chooses the layout of a stream's pictures and gives their planes in it.

    Keeps the answer for pictures of the same kind; size, format and colour may change at any time.

    Attributes:
        source_size: (width, height) in pixels of the picture that was laid out last.
    """

    def __init__(self) -> None:
        self.source_size = (0, 0)
        self._reformatter = VideoReformatter()
        self._kind = _Kind(0, 0, "", 0, 0, 0, False)
        self._picture = Picture(0, 0)

    def picture(
        self, frame: VideoFrame, max_bytes: int, *, is_device_slot: bool = False
    ) -> Picture:
        """The layout for a picture: its own size, or the largest of its shape that fits.

        Args:
            frame: In any pixel format of FFmpeg.
            max_bytes: What a slot holds.
            is_device_slot: Whether the slot lies on the GPU.
        """
        kind = (
            frame.width,
            frame.height,
            frame.format.name,
            frame.colorspace,
            frame.color_range,
            max_bytes,
            is_device_slot,
        )
        if kind != self._kind:
            self._kind = _Kind(*kind)
            self.source_size, self._picture = kind[:2], _picture(self._kind)
        return self._picture

    def planes(self, frame: VideoFrame, picture: Picture) -> Sequence[Plane | DevicePlane]:
        """The stored planes of a layout, uint8, rows padded; valid as long as ``frame`` is.

        Formats other than 8-bit planar 4:2:0 are converted, larger pictures scaled by area; those
        of a GPU come to the host for it.
        """
        if picture.chroma is Chroma.INTERLEAVED:
            return [DevicePlane(plane.buffer_ptr, plane.line_size, frame) for plane in frame.planes]
        is_size = (frame.width, frame.height) == (picture.width, picture.height)
        if frame.format.name in _AS_IT_IS and is_size:
            return [_array(plane) for plane in frame.planes]
        return [_array(plane) for plane in self._convert(frame, picture).planes]

    def _convert(self, frame: VideoFrame, picture: Picture) -> VideoFrame:
        matrix = _SWS_MATRIX[picture.matrix]
        color_range = ColorRange.JPEG if picture.full_range else ColorRange.MPEG
        return self._reformatter.reformat(
            frame,
            width=picture.width,
            height=picture.height,
            format="yuv420p",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=color_range,
            dst_color_range=color_range,
            interpolation=Interpolation.AREA,
            threads=1,
        )


def fitted_size(width: int, height: int, max_bytes: int) -> tuple[int, int]:
    """Width and height, pixels, of a 4:2:0 picture scaled down to ``max_bytes``.

    The ratio is kept, up to even numbers; a picture that fits keeps its size.
    """
    size_bytes = Picture(width, height).size_bytes
    if size_bytes <= max_bytes:
        return width, height
    scale = math.sqrt(max_bytes / size_bytes)
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def _picture(kind: _Kind) -> Picture:
    width, height = fitted_size(kind.width, kind.height, kind.max_bytes)
    chroma = Chroma.INTERLEAVED if _stays_on_device(kind, width) else Chroma.PLANAR
    return Picture(width, height, _matrix(kind), _is_full_range(kind), chroma)


def _stays_on_device(kind: _Kind, width: int) -> bool:
    return kind.is_device_slot and kind.format_name == _ON_DEVICE and width == kind.width


def _matrix(kind: _Kind) -> ColorMatrix:
    if kind.colorspace in _BT709_LIKE:
        return ColorMatrix.BT709
    if kind.colorspace in _BT601_LIKE or kind.height < _MIN_HD_HEIGHT_PX:
        return ColorMatrix.BT601
    return ColorMatrix.BT709


def _is_full_range(kind: _Kind) -> bool:
    name = kind.format_name
    return kind.color_range == ColorRange.JPEG or name.startswith(("yuvj", "gray"))


def _array(plane: VideoPlane) -> Plane:
    stride = plane.line_size
    buffer = np.frombuffer(cast(Any, plane), np.uint8)
    rows: Plane = buffer.reshape(plane.height, abs(stride))
    return rows if stride > 0 else rows[::-1]
