"""Pictures of the host on their way to the device, where an engine is given such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engines.crops import Crop, View, frame_of
from engines.cuda.buffers import Buffers
from engines.cuda.context import DeviceContext
from engines.cuda.descriptors import DeviceView
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
        self._buffers = Buffers(context)
        self._pinned: Plane = np.empty(0, np.uint8)
        self._address = 0

    def upload(self, views: Sequence[View]) -> list[DeviceView]:
        """The views of pictures on the device, in order; a picture of several is copied once.

        Pictures that are there already stay where they are. The stream must be through with the
        batch before.

        Raises:
            DeviceMemoryError: if the device has no room for them.
        """
        frames = {id(frame): frame for frame in map(frame_of, views) if isinstance(frame, Frame)}
        if not frames:
            return [view for view in views if not isinstance(view, Frame)]
        copies = dict(zip(frames, self._copied(list(frames.values())), strict=True))
        return [_on_device(view, copies) for view in views]

    def close(self) -> None:
        """Give the memory back."""
        self._pinned = np.empty(0, np.uint8)
        self._buffers.close()

    def _copied(self, frames: Sequence[Frame]) -> list[DeviceFrame]:
        ends = np.cumsum([_room(frame.picture) for frame in frames]).tolist()
        self._make_room(ends[-1])
        copies = [
            _pack(frame, self._pinned[start:], self._address + start)
            for frame, start in zip(frames, [0, *ends], strict=False)
        ]
        with self._context:
            used = self._pinned[: ends[-1]]
            self._context.cuda.memcpy_htod_async(self._address, used, self._stream)
        return copies

    def _make_room(self, num_bytes: int) -> None:
        if len(self._pinned) < num_bytes:
            self.close()
            self._address = self._buffers.reserve(num_bytes)
            self._pinned = self._buffers.pinned((num_bytes,), np.uint8)


def _on_device(view: View, copies: Mapping[int, DeviceFrame]) -> DeviceView:
    frame = frame_of(view)
    on_device = copies[id(frame)] if isinstance(frame, Frame) else frame
    return replace(view, frame=on_device) if isinstance(view, Crop) else on_device


def _room(picture: Picture) -> int:
    return -(-picture.size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _pack(frame: Frame, target: Plane, address: int) -> DeviceFrame:
    """Copy the planes behind each other; a frame gives U and V apart, however they were stored."""
    picture: Picture = replace(frame.picture, chroma=Chroma.PLANAR)
    offset = 0
    for (rows, columns), plane in zip(picture.stored_shapes, frame.planes, strict=True):
        np.copyto(target[offset : offset + rows * columns].reshape(rows, columns), plane)
        offset += rows * columns
    return DeviceFrame(picture, address, frame.source_width, frame.source_height)
