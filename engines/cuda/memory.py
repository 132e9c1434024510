"""Device memory that processes share by CUDA IPC."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from engines.cuda.context import DeviceContext, open_device
from engines.cuda.pool import DevicePlane
from engines.frames import Plane


class CudaMemory:
    """One allocation, ours or another process's; safe to write from many threads.

    Copies run on streams that wait for the legacy default stream, where FFmpeg converts decoded
    surfaces: a copy never reads a surface that is still being made. Those that nobody waits for yet
    share one stream, so that what is written last into a slot is what stays there.
    """

    def __init__(self, context: DeviceContext, allocation: Any, *, is_owner: bool) -> None:
        self.name = f"GPU {context.index} ({context.name})"
        self.address = int(allocation)
        self._context = context
        self._allocation = allocation
        self._is_owner = is_owner
        self._idle_streams: list[Any] = []
        self._begun: deque[list[Plane | DevicePlane]] = deque()
        self._finishing = threading.Lock()
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
            return cls(context, mapping, is_owner=False)

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
            stream = self._take_stream()
            self._copy_all(offset_bytes, shapes, planes, stream)
            stream.synchronize()
            self._idle_streams.append(stream)

    def begin_write(
        self,
        offset_bytes: int,
        shapes: Sequence[tuple[int, int]],
        planes: Sequence[Plane | DevicePlane],
    ) -> list[Plane | DevicePlane]:
        """See ``Memory.begin_write``."""
        with self._context:
            sources = self._copy_all(offset_bytes, shapes, planes, self._stream)
        self._begun.append(sources)  # last: all that is in there has been begun
        return sources

    def finish_writes(self) -> None:
        """See ``Memory.finish_writes``."""
        with self._finishing:
            num_begun = len(self._begun)
            if num_begun:
                with self._context:
                    self._stream.synchronize()
            for _ in range(num_begun):
                self._begun.popleft().clear()

    def close(self) -> None:
        """See ``Memory.close``."""
        self.finish_writes()
        with self._context:
            self._idle_streams.clear()
            del self._stream
            if self._is_owner:
                self._allocation.free()
            else:
                self._allocation.close()

    def _take_stream(self) -> Any:
        try:
            return self._idle_streams.pop()
        except IndexError:
            return self._context.cuda.Stream()

    def _copy_all(
        self,
        offset_bytes: int,
        shapes: Sequence[tuple[int, int]],
        planes: Sequence[Plane | DevicePlane],
        stream: Any,
    ) -> list[Plane | DevicePlane]:
        """Begin the copies; what they read has to stay until the stream has come to its end."""
        address = self.address + offset_bytes
        sources = [
            plane if isinstance(plane, DevicePlane) else host_rows(plane, *shape)
            for shape, plane in zip(shapes, planes, strict=True)
        ]
        for (rows, row_bytes), source in joined(shapes, sources):
            self._copy(source, rows, row_bytes, address, stream)
            address += rows * row_bytes
        return sources

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


def joined(
    shapes: Sequence[tuple[int, int]], planes: Sequence[Plane | DevicePlane]
) -> list[tuple[tuple[int, int], Plane | DevicePlane]]:
    """What is copied in one go: the planes of a decoded surface follow each other in its memory."""
    parts: list[tuple[tuple[int, int], Plane | DevicePlane]] = []
    for shape, plane in zip(shapes, planes, strict=True):
        if parts:
            (rows, row_bytes), before = parts[-1]
            if shape[1] == row_bytes and _follows(plane, before, rows):
                parts[-1] = (rows + shape[0], row_bytes), before
                continue
        parts.append((shape, plane))
    return parts


def _follows(plane: Plane | DevicePlane, before: Plane | DevicePlane, rows: int) -> bool:
    return (
        isinstance(plane, DevicePlane)
        and isinstance(before, DevicePlane)
        and plane.pitch == before.pitch
        and plane.address == before.address + rows * before.pitch
    )


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
