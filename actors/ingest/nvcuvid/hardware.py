"""One of the GPU's decoders: made for a size of pictures, and remade for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref, c_uint, c_ulonglong, c_void_p
from dataclasses import dataclass

from actors.ingest.nvcuvid import structs
from actors.ingest.nvcuvid.library import Library
from actors.ingest.nvcuvid.waiting import Patience, Waiting

_NUM_SPARE = 2  # surfaces for pictures that are shown while the next is decoded
_NUM_MAPPED = 2
_MAX_OPENING = 4
"""Opening takes 0.2 s and twice that beside many others; those that run should not feel it."""

_opening = threading.Semaphore(_MAX_OPENING)


@dataclass(frozen=True, slots=True)
class Geometry:
    """The pictures of a sequence.

    Attributes:
        coded: Width and height, pixels, in whole macroblocks.
        area: Left, top, right and bottom of what is shown.
        num_surfaces: Pictures that the decoder holds at once.
    """

    coded: tuple[int, int]
    area: tuple[int, int, int, int]
    num_surfaces: int

    @classmethod
    def of(cls, form: structs.VideoFormat) -> Geometry:
        """What a sequence header says."""
        return cls(
            (form.coded_width, form.coded_height),
            (form.left, form.top, form.right, form.bottom),
            form.min_num_surfaces + _NUM_SPARE,
        )

    @property
    def width(self) -> int:
        """Pixels of a row that are shown."""
        return self.area[2] - self.area[0]

    @property
    def height(self) -> int:
        """Rows that are shown."""
        return self.area[3] - self.area[1]


@dataclass(frozen=True, slots=True)
class Mapped:
    """A picture in NV12 where CUDA can read it: rows of luma, and directly below those of chroma.

    Attributes:
        address: Of the first row.
        pitch: Bytes from one row to the next.
    """

    address: int
    pitch: int


class Hardware:
    """A decoder of the GPU. All is called with the context current.

    Args:
        library: Functions.
        codec: ``h264`` or ``hevc``.
        waiting: How to wait.
    """

    def __init__(self, library: Library, codec: str, waiting: Waiting) -> None:
        self.geometry: Geometry | None = None
        self._library = library
        self._codec = structs.CODECS[codec]
        self._waiting = waiting
        self._patience = Patience("decoding a picture", waiting)
        self._handle = c_void_p()
        self._limits = (0, 0, 0)
        self._begun: dict[int, float] = {}
        self._status = structs.DecodeStatus()
        self._processing = structs.ProcessingParams(is_progressive=1)

    def adopt(self, geometry: Geometry) -> None:
        """Decode such pictures from now on; what was decoded before is gone if they differ.

        Raises:
            DeviceError: if the GPU has no room for it.
        """
        if geometry == self.geometry:
            return
        self._begun.clear()
        wanted = (*geometry.coded, geometry.num_surfaces)
        if self._handle and all(a <= b for a, b in zip(wanted, self._limits, strict=True)):
            self._reconfigure(geometry)
        else:
            self.close()
            with _opening:
                self._create(geometry)
            self._limits = wanted
        self.geometry = geometry

    def decode(self, params: int) -> int:
        """Begin to decode what the parser has found; gives CUDA's status."""
        index = structs.PictureParams.from_address(params).picture_index
        status = self._library.decode(self._handle, params)
        self._begun[index] = time.monotonic()
        return status

    def wait(self, index: int) -> None:
        """Wait until a picture is decoded, unless the driver is to do that."""
        if self._waiting.decode == "poll":
            self._patience.wait(self._begun.get(index, 0.0), lambda: self._is_decoded(index))

    @contextmanager
    def mapped(self, index: int, stream: c_void_p) -> Iterator[Mapped]:
        """Lay a picture out for CUDA, as work of a stream; no longer than the ``with`` lasts.

        Raises:
            DeviceError: if the GPU failed.
        """
        library, address, pitch = self._library, c_ulonglong(), c_uint()
        self._processing.stream = stream.value
        status = library.map_frame(
            self._handle, index, byref(address), byref(pitch), byref(self._processing)
        )
        library.check(status, "fetching a picture")
        try:
            yield Mapped(address.value, pitch.value)
        finally:
            library.check(library.unmap_frame(self._handle, address), "releasing a picture")

    def close(self) -> None:
        """Give the decoder back; another may be adopted."""
        if self._handle:
            self._library.destroy_decoder(self._handle)
        self._handle, self.geometry = c_void_p(), None

    def _is_decoded(self, index: int) -> bool:
        # A GPU that does not tell: the driver waits for it.
        is_unknown = self._library.get_status(self._handle, index, byref(self._status))
        return bool(is_unknown) or self._status.status != structs.STATUS_IN_PROGRESS

    def _create(self, geometry: Geometry) -> None:
        width, height = geometry.coded
        info = structs.CreateInfo(
            width=width,
            height=height,
            max_width=width,
            max_height=height,
            num_surfaces=geometry.num_surfaces,
            codec=self._codec,
            chroma_format=structs.CHROMA_420,
            flags=structs.USE_VIDEO_ENGINE,
            display_area=structs.Rect(*geometry.area),
            output_format=structs.NV12,
            deinterlacing=structs.WEAVE,
            target_width=geometry.width,
            target_height=geometry.height,
            num_output_surfaces=_NUM_MAPPED,
        )
        status = self._library.create_decoder(byref(self._handle), byref(info))
        self._library.check(status, f"opening a decoder for {width}x{height}")

    def _reconfigure(self, geometry: Geometry) -> None:
        width, height = geometry.coded
        info = structs.ReconfigureInfo(
            width=width,
            height=height,
            target_width=geometry.width,
            target_height=geometry.height,
            num_surfaces=geometry.num_surfaces,
            display_area=structs.Rect(*geometry.area),
        )
        status = self._library.reconfigure_decoder(self._handle, byref(info))
        self._library.check(status, f"changing a decoder to {width}x{height}")
