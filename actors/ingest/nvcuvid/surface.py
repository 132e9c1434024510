"""A picture that lies in its decoder until it is copied."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from av.video.frame import VideoFrame

from actors.ingest.nvcuvid.copying import Copier
from actors.ingest.nvcuvid.hardware import Geometry, Hardware
from engines.errors import DeviceError

DEVICE_FORMAT = SimpleNamespace(name="cuda")
"""As FFmpeg calls the format of pictures in device memory."""

_FULL_RANGE, _LIMITED_RANGE = 2, 1  # AVColorRange


@dataclass(frozen=True, slots=True)
class Colors:
    """What a sequence header says of colours, in FFmpeg's numbers.

    Attributes:
        colorspace: ``AVColorSpace``, which are the matrix coefficients of ITU-T H.273.
        color_range: ``AVColorRange``.
    """

    colorspace: int
    color_range: int

    @classmethod
    def of(cls, signal_flags: int, matrix: int) -> Colors:
        """From the fields of a ``VideoFormat``."""
        return cls(matrix, _FULL_RANGE if signal_flags & 8 else _LIMITED_RANGE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream's pictures lie, and what fetches them.

    Attributes:
        hardware: The decoder.
        copier: Copies them.
        current: Makes the context current.
    """

    hardware: Hardware
    copier: Copier
    current: AbstractContextManager[object]


class Surface:
    """A decoded picture; to be copied before the decoder is given the next packet.

    It has what is asked of an FFmpeg frame that lies on the GPU.

    Args:
        place: Where it lies.
        index: Its number there.
        colors: Of its sequence.
        number: Of the packet that it came from.

    Attributes:
        format: ``cuda`` by name.
        width: Pixels.
        height: Pixels.
    """

    __slots__ = (
        "_geometry",
        "_kept",
        "_place",
        "color_range",
        "colorspace",
        "format",
        "height",
        "index",
        "is_over",
        "number",
        "width",
    )

    def __init__(self, place: Place, index: int, colors: Colors, number: int) -> None:
        geometry = place.hardware.geometry
        if geometry is None:
            raise DeviceError("NVDEC: a picture without a decoder")
        self.format = DEVICE_FORMAT
        self.width, self.height = geometry.width, geometry.height
        self.colorspace, self.color_range = colors.colorspace, colors.color_range
        self.index, self.number, self.is_over = index, number, False
        self._place = place
        self._geometry: Geometry = geometry
        self._kept = 0

    def copy_to(self, address: int) -> None:
        """Copy it to device memory: packed rows of luma, then of chroma; there on return.

        Raises:
            DeviceError: if the device failed, or the picture is gone.
        """
        self._copy(address, is_host_target=False)

    def to_host(self) -> VideoFrame:
        """The picture in host memory, ``nv12``."""
        pixels = np.empty((self.height * 3 // 2, self.width), np.uint8)
        self._copy(pixels.ctypes.data, is_host_target=True)
        return VideoFrame.from_ndarray(pixels, format="nv12")

    def keep(self) -> None:
        """Copy it aside, since its place in the decoder is wanted."""
        if self._kept or self.is_over:
            return
        address = self._place.copier.allocate(self.width * self.height * 3 // 2)
        try:
            self.copy_to(address)
        except BaseException:
            self._place.copier.free(address)
            raise
        self._kept = address

    def drop(self) -> None:
        """Let go of it."""
        self.is_over = True
        if self._kept:
            with self._place.current:
                self._place.copier.free(self._kept)
            self._kept = 0

    def _copy(self, target: int, *, is_host_target: bool) -> None:
        if self.is_over:
            raise DeviceError("NVDEC: a picture is gone, since the decoder has gone on")
        place, shape = self._place, (self.height * 3 // 2, self.width)
        with place.current:
            if self._kept:
                place.copier.copy(
                    self._kept, self.width, shape, target, is_host_target=is_host_target
                )
                return
            place.hardware.wait(self.index)
            with place.hardware.mapped(self.index, place.copier.stream) as found:
                place.copier.copy(
                    found.address, found.pitch, shape, target, is_host_target=is_host_target
                )
