"""Decoded pictures in shared memory: one copy is made, every process of a slot reads it in place.

A pool is a raw ``mmap`` of a file under ``/dev/shm`` (``multiprocessing.shared_memory`` lets the
first process that exits unlink the segment before Python 3.13). Slots have one size; pictures lie
in them as tightly packed planes.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.errors import FramePoolError

Plane = NDArray[np.uint8]


class ColorMatrix(str, Enum):
    """Which YCbCr matrix a picture was coded with (ITU-R BT.601 or BT.709)."""

    BT601 = "bt601"
    BT709 = "bt709"


class Chroma(str, Enum):
    """How the two chroma planes lie: one after the other, or as pairs in one plane."""

    PLANAR = "planar"
    INTERLEAVED = "interleaved"


class ChromaSite(str, Enum):
    """Where chroma lies beside the two luma samples of a row; it is always between two rows."""

    LEFT = "left"
    CENTER = "center"


@dataclass(frozen=True, slots=True)
class Picture:
    """The layout of one decoded picture: YCbCr 4:2:0, 8 bits (``yuv420p`` or ``nv12``).

    Attributes:
        width: Pixels in a row of the luma plane.
        height: Rows of the luma plane.
        matrix: YCbCr matrix for the conversion to RGB.
        full_range: True where luma spans 0..255, False for 16..235.
        chroma: Planar is what decoders on the CPU give, interleaved what NVDEC gives.
        site: Left is the default of H.264, H.265 and MPEG-4 (chroma type 0 of ITU-T H.264, Annex
            E); JPEG has it in the centre.
    """

    width: int
    height: int
    matrix: ColorMatrix = ColorMatrix.BT709
    full_range: bool = False
    chroma: Chroma = Chroma.PLANAR
    site: ChromaSite = ChromaSite.LEFT

    @property
    def plane_shapes(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of Y, U and V; chroma is rounded up for odd sizes."""
        chroma = ((self.height + 1) // 2, (self.width + 1) // 2)
        return ((self.height, self.width), chroma, chroma)

    @property
    def chroma_shift(self) -> float:
        """How far chroma lies right of the left luma sample of its pair, in chroma samples."""
        return 0.25 if self.site is ChromaSite.CENTER else 0.0

    @property
    def stored_shapes(self) -> tuple[tuple[int, int], ...]:
        """(rows, bytes of a row) of the planes in memory: Y, U, V, or Y and U V in pairs."""
        luma, chroma, _ = self.plane_shapes
        if self.chroma is Chroma.INTERLEAVED:
            return (luma, (chroma[0], 2 * chroma[1]))
        return (luma, chroma, chroma)

    @property
    def size_bytes(self) -> int:
        """Bytes that the packed planes take."""
        return self.height * self.width + 2 * ((self.height + 1) // 2) * ((self.width + 1) // 2)

    def __reduce__(self) -> tuple[object, ...]:
        """Cross a process as plain values, to be one object there with all of its like."""
        kinds = self.matrix.value, self.chroma.value, self.site.value
        return _picture, (self.width, self.height, self.full_range, *kinds)


@lru_cache(maxsize=1024)
def _picture(width: int, height: int, full: bool, matrix: str, chroma: str, site: str) -> Picture:
    return Picture(width, height, ColorMatrix(matrix), full, Chroma(chroma), ChromaSite(site))


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A decoded picture, as views of its planes.

    Attributes:
        picture: The layout.
        planes: Y [H, W], U and V [ceil(H/2), ceil(W/2)], uint8, however they are stored; valid
            until the slot is released.
        source_width: Width in pixels of the camera's picture; the pool's copy may be smaller.
        source_height: Its height.
    """

    picture: Picture
    planes: tuple[Plane, ...]
    source_width: int
    source_height: int


@dataclass(frozen=True, slots=True)
class DeviceFrame:
    """A decoded picture in the memory of a GPU.

    Attributes:
        picture: The layout.
        address: Where its packed planes begin, as this process sees it; the planes follow each
            other without gaps, in the order of ``picture.stored_shapes``.
        source_width: Width in pixels of the camera's picture; the pool's copy may be smaller.
        source_height: Its height.
    """

    picture: Picture
    address: int
    source_width: int
    source_height: int


@dataclass(frozen=True, slots=True)
class PoolLayout:
    """How to open a pool: where it is, and how it is divided.

    Attributes:
        path: The file of a pool in host memory; the device's name for one on a GPU.
        num_slots: Pictures that it holds.
        slot_bytes: Room for each.
        ipc: What CUDA IPC opens; empty for host memory.
        device: Index of the GPU as the pool's owner counts; None for host memory.
    """

    path: str
    num_slots: int
    slot_bytes: int
    ipc: bytes = b""
    device: int | None = None


class FramePool:
    """Slots for decoded pictures in a file that several processes map.

    The pool knows no owner of a slot: whoever holds a slot's number may write it, and gives it up
    by passing the number on.
    """

    def __init__(self, layout: PoolLayout, memory: mmap.mmap) -> None:
        self.layout = layout
        self._memory = memory
        self._bytes: Plane | None = np.frombuffer(memory, dtype=np.uint8)

    @classmethod
    def create(
        cls, num_slots: int, slot_bytes: int, *, name: str = "pool", directory: str | None = None
    ) -> FramePool:
        """Make a new pool file; memory is only taken when a slot is first written.

        Raises:
            FramePoolError: if shared memory cannot hold it.
        """
        folder = directory or shared_memory_dir()
        size_bytes = num_slots * slot_bytes
        try:
            handle, path = tempfile.mkstemp(prefix=f"sightline-{name}-", dir=folder)
            with os.fdopen(handle, "r+b") as file:
                file.truncate(size_bytes)
                memory = mmap.mmap(file.fileno(), size_bytes)
        except (OSError, ValueError) as error:
            raise FramePoolError(
                f"cannot map {size_bytes} bytes ({num_slots} slots of {slot_bytes}) in {folder}: "
                f"{error}; free some of it or lower pool.num_slots"
            ) from error
        return cls(PoolLayout(path, num_slots, slot_bytes), memory)

    @classmethod
    def attach(cls, layout: PoolLayout) -> FramePool:
        """Map a pool that another process made.

        Raises:
            FramePoolError: if it is gone or has another size.
        """
        size_bytes = layout.num_slots * layout.slot_bytes
        try:
            with open(layout.path, "r+b") as file:
                memory = mmap.mmap(file.fileno(), size_bytes)
        except (OSError, ValueError) as error:
            raise FramePoolError(f"cannot open the pool {layout.path}: {error}") from error
        return cls(layout, memory)

    def write(self, slot: int, picture: Picture, planes: Sequence[Plane]) -> None:
        """Copy planes, as ``stored_shapes`` has them (rows may be padded), into a slot.

        Raises:
            FramePoolError: if there is no such slot or the picture does not fit.
        """
        for target, plane in zip(self._views(slot, picture), planes, strict=True):
            np.copyto(target, plane[: target.shape[0], : target.shape[1]])

    def begin_write(self, slot: int, picture: Picture, planes: Sequence[Plane]) -> Sequence[object]:
        """Copy planes as ``write`` does, at once, and keep none of them."""
        self.write(slot, picture, planes)
        return ()

    def finish_writes(self) -> None:
        """Nothing: a picture in host memory is there as soon as it is written."""

    def read(
        self, slot: int, picture: Picture, *, source_size: tuple[int, int] | None = None
    ) -> Frame:
        """View a slot as a picture, uncopied; ``source_size`` is (width, height) in pixels."""
        width, height = source_size or (picture.width, picture.height)
        planes = self._views(slot, picture)
        if picture.chroma is Chroma.INTERLEAVED:
            planes = (planes[0], planes[1][:, ::2], planes[1][:, 1::2])
        return Frame(picture, planes, width, height)

    def packed(self, slot: int, picture: Picture) -> bytes:
        """A copy of a slot's planes, one after the other, as ``unpacked`` takes it apart."""
        if self._bytes is None:
            raise FramePoolError(f"the pool {self.layout.path} is closed")
        offset = slot_offset(self.layout, slot, picture)
        return self._bytes[offset : offset + picture.size_bytes].tobytes()

    def close(self) -> None:
        """Unmap; views that are still held keep the memory until they are dropped."""
        self._bytes = None
        with suppress(BufferError):
            self._memory.close()

    def unlink(self) -> None:
        """Remove the file; processes that have it mapped keep their memory."""
        Path(self.layout.path).unlink(missing_ok=True)

    def _views(self, slot: int, picture: Picture) -> tuple[Plane, ...]:
        if self._bytes is None:
            raise FramePoolError(f"the pool {self.layout.path} is closed")
        return _plane_views(self._bytes, slot_offset(self.layout, slot, picture), picture)


def slot_offset(layout: PoolLayout, slot: int, picture: Picture) -> int:
    """Where a slot begins in its pool, in bytes.

    Raises:
        FramePoolError: if there is no such slot or the picture does not fit.
    """
    if not 0 <= slot < layout.num_slots:
        raise FramePoolError(f"slot {slot} of {layout.num_slots} does not exist")
    if picture.size_bytes > layout.slot_bytes:
        raise FramePoolError(
            f"a {picture.width}x{picture.height} picture takes {picture.size_bytes} bytes, "
            f"a slot has {layout.slot_bytes}"
        )
    return slot * layout.slot_bytes


def unpacked(data: bytes, picture: Picture) -> tuple[Plane, ...]:
    """The stored planes of a packed picture, as views of it.

    Raises:
        FramePoolError: if it is not as long as the picture.
    """
    if len(data) != picture.size_bytes:
        raise FramePoolError(
            f"{len(data)} bytes are no {picture.width}x{picture.height} picture, "
            f"which has {picture.size_bytes}"
        )
    return _plane_views(np.frombuffer(data, np.uint8), 0, picture)


def _plane_views(buffer: Plane, offset: int, picture: Picture) -> tuple[Plane, ...]:
    views = []
    for rows, columns in picture.stored_shapes:
        views.append(buffer[offset : offset + rows * columns].reshape(rows, columns))
        offset += rows * columns
    return tuple(views)


def shared_memory_dir() -> str:
    """Where pools live: ``/dev/shm`` on Linux, the temporary folder elsewhere."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()  # noqa: S108
