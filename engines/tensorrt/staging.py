"""Pictures of the host on their way to the device, where an engine is given host frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.cuda.context import DeviceContext
from engines.frames import Chroma, DeviceFrame, Frame, Picture, Plane

ALIGNMENT_BYTES = 256


class Staging:
    """Room on the device for the host frames of one batch; grows to the largest that came.

    Args:
        context: Of the device.
        stream: What the copies are enqueued on, before the kernels that read them.
    """

    def __init__(self, context: DeviceContext, stream: Any) -> None:
        self._context = context
        self._stream = stream
        self._pinned: Plane | None = None
        self._on_device: Any = None

    def upload(self, frames: Sequence[Frame | DeviceFrame]) -> list[DeviceFrame]:
        """Frames on the device, in order; those that are there already stay where they are.

        The stream must be through with the batch before.

        Raises:
            DeviceMemoryError: if the device has no room for them.
        """
        sizes = [_room(frame) for frame in frames]
        total_bytes = sum(sizes)
        if not total_bytes:
            return [frame for frame in frames if isinstance(frame, DeviceFrame)]
        pinned, address = self._reserve(total_bytes)
        uploaded, offset = [], 0
        for frame, size in zip(frames, sizes, strict=True):
            if isinstance(frame, Frame):
                uploaded.append(_pack(frame, pinned[offset:], address + offset))
            else:
                uploaded.append(frame)
            offset += size
        with self._context:
            self._context.cuda.memcpy_htod_async(address, pinned[:total_bytes], self._stream)
        return uploaded

    def close(self) -> None:
        """Give the memory back."""
        with self._context:
            if self._pinned is not None:
                free_pinned(self._pinned)
            if self._on_device is not None:
                self._on_device.free()
            self._pinned = self._on_device = None

    def _reserve(self, num_bytes: int) -> tuple[Plane, int]:
        pinned = self._pinned
        if pinned is None or len(pinned) < num_bytes:
            self.close()
            self._on_device = self._context.allocate(num_bytes)
            with self._context:
                pinned = self._pinned = self._context.cuda.pagelocked_empty(num_bytes, np.uint8)
        return pinned, int(self._on_device)


def free_pinned(array: NDArray[Any]) -> None:
    """Give back what PyCUDA's ``pagelocked_empty`` gave; the array must not be used any more."""
    allocation: Any = array.base
    allocation.free()


def _room(frame: Frame | DeviceFrame) -> int:
    if isinstance(frame, DeviceFrame):
        return 0
    return -(-frame.picture.size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _pack(frame: Frame, target: Plane, address: int) -> DeviceFrame:
    """Copy the planes behind each other; a frame gives U and V apart, however they were stored."""
    picture: Picture = replace(frame.picture, chroma=Chroma.PLANAR)
    offset = 0
    for (rows, columns), plane in zip(picture.stored_shapes, frame.planes, strict=True):
        np.copyto(target[offset : offset + rows * columns].reshape(rows, columns), plane)
        offset += rows * columns
    return DeviceFrame(picture, address, frame.source_width, frame.source_height)
