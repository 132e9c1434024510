"""Device memory that processes share by CUDA IPC."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from engines.cuda.context import DeviceContext, open_device
from engines.cuda.copy_rows import RowCopier, Rows
from engines.cuda.pool import DevicePlane
from engines.frames import Plane


class _Write(NamedTuple):
    offset_bytes: int
    shapes: Sequence[tuple[int, int]]
    planes: list[Plane | DevicePlane]


class CudaMemory:
    """One allocation, ours or another process's; safe to write from many threads.

    Copies run on streams that wait for the legacy default stream, where FFmpeg converts decoded
    surfaces: a copy never reads a surface that is still being made. Those that nobody waits for yet
    are not even begun: all surfaces are copied by one launch. What is written last into a slot is
    what stays there.
    """

    def __init__(self, context: DeviceContext, allocation: Any, *, is_owner: bool) -> None:
        self.name = f"GPU {context.index} ({context.name})"
        self.address = int(allocation)
        self._context = context
        self._allocation = allocation
        self._is_owner = is_owner
        self._idle_streams: list[Any] = []
        self._begun: deque[_Write] = deque()
        self._finishing = threading.Lock()
        self._copier: RowCopier | None = None
        with context:
            self._stream = context.cuda.Stream()

    @classmethod
    def allocate(cls, size_bytes: int, device: int) -> CudaMemory:
        """See ``Memory.allocate``."""
        context = open_device(device)
        return cls(context, context.allocate(size_bytes), is_owner=True)

    @classmethod
    def open(cls, handle: bytes, size_bytes: int, device: int) -> CudaMemory:
        """See ``Memory.open``; a process cannot open what it exported itself."""
        context = open_device(device)
        with context:
            # PyCUDA takes a bytearray only, which pickling has made bytes of.
            mapping = context.cuda.IPCMemoryHandle(bytearray(handle))
            opened = cls(context, mapping, is_owner=False)
        opened._copier = RowCopier(context)  # now, since it may have to be compiled
        return opened

    def export(self) -> bytes:
        """See ``Memory.export``."""
        with self._context:
            return bytes(self._context.cuda.mem_get_ipc_handle(self._allocation))

    def write(
        self,
        offset_bytes: int,
        shapes: Sequence[tuple[int, int]],
        planes: Sequence[Plane | DevicePlane],
    ) -> None:
        """See ``Memory.write``."""
        with self._context:
            stream, sources = self._take_stream(), _sources(shapes, planes)
            self._copy_all(offset_bytes, shapes, sources, stream)
            stream.synchronize()
            self._idle_streams.append(stream)

    def begin_write(
        self,
        offset_bytes: int,
        shapes: Sequence[tuple[int, int]],
        planes: Sequence[Plane | DevicePlane],
    ) -> list[Plane | DevicePlane]:
        """See ``Memory.begin_write``."""
        kept = _sources(shapes, planes)
        self._begun.append(_Write(offset_bytes, shapes, kept))
        return kept

    def finish_writes(self) -> None:
        """See ``Memory.finish_writes``."""
        with self._finishing:
            begun = [self._begun.popleft() for _ in range(len(self._begun))]
            if not begun:
                return
            try:
                self._copy_begun(begun)
            finally:
                for write in begun:
                    write.planes.clear()

    def close(self) -> None:
        """See ``Memory.close``."""
        self.finish_writes()
        with self._context:
            self._idle_streams.clear()
            del self._stream
            if self._copier is not None:
                self._copier.close()
            if self._is_owner:
                self._allocation.free()
            else:
                self._allocation.close()

    def _copy_begun(self, begun: Sequence[_Write]) -> None:
        latest = {write.offset_bytes: write for write in begun}
        surfaces: list[Rows] = []
        with self._context:
            for offset_bytes, shapes, planes in latest.values():
                if isinstance(planes[0], DevicePlane):
                    surfaces += _rows(self.address + offset_bytes, shapes, planes)
                else:
                    self._copy_all(offset_bytes, shapes, planes, self._stream)
            if surfaces:
                self._copier = self._copier or RowCopier(self._context)
                self._copier.enqueue(surfaces, self._stream)
            self._stream.synchronize()

    def _take_stream(self) -> Any:
        try:
            return self._idle_streams.pop()
        except IndexError:
            return self._context.cuda.Stream()

    def _copy_all(
        self,
        offset_bytes: int,
        shapes: Sequence[tuple[int, int]],
        sources: Sequence[Plane | DevicePlane],
        stream: Any,
    ) -> None:
        """Begin the copies; what they read has to stay until the stream has come to its end."""
        address = self.address + offset_bytes
        for (rows, row_bytes), source in zip(shapes, sources, strict=True):
            self._copy(source, rows, row_bytes, address, stream)
            address += rows * row_bytes

    def _copy(
        self, source: Plane | DevicePlane, rows: int, row_bytes: int, address: int, stream: Any
    ) -> None:
        copy = self._context.cuda.Memcpy2D()
        if isinstance(source, DevicePlane):
            copy.set_src_device(source.address)
            copy.src_pitch = source.pitch
        else:
            copy.set_src_host(source)
            copy.src_pitch = source.strides[0]
        copy.set_dst_device(address)
        copy.dst_pitch = copy.width_in_bytes = row_bytes
        copy.height = rows
        copy(stream)


def _sources(
    shapes: Sequence[tuple[int, int]], planes: Sequence[Plane | DevicePlane]
) -> list[Plane | DevicePlane]:
    """What is copied of planes: those of the host in rows that a pitch describes."""
    return [
        plane if isinstance(plane, DevicePlane) else host_rows(plane, *shape)
        for shape, plane in zip(shapes, planes, strict=True)
    ]


def _rows(
    address: int, shapes: Sequence[tuple[int, int]], planes: Sequence[Plane | DevicePlane]
) -> Iterator[Rows]:
    """Planes of a surface behind each other in a slot."""
    for (num_rows, row_bytes), plane in zip(shapes, planes, strict=True):
        source = cast(DevicePlane, plane)
        yield Rows(source.address, address, source.pitch, row_bytes, num_rows)
        address += num_rows * row_bytes


def host_rows(plane: Plane, rows: int, row_bytes: int) -> Plane:
    """The part of a plane that is copied, in rows that a pitch describes.

    Raises:
        ValueError: if the plane is smaller.
    """
    part = plane[:rows, :row_bytes]
    if part.shape != (rows, row_bytes):
        raise ValueError(f"a plane of {plane.shape} where {(rows, row_bytes)} is wanted")
    if part.strides[1] == 1 and part.strides[0] >= row_bytes:
        return part
    return np.ascontiguousarray(part)
