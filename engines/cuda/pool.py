"""The frame pool in device memory: decoded pictures that never leave the GPU.

The engine makes one allocation and exports it by CUDA IPC; ingest opens it, copies each decoded
surface into a slot and sends a ticket. It has the methods of ``FramePool`` and likewise knows no
owner of a slot. To wait for each copy would cost every camera a sleep a picture, so ingest only
begins them and waits for all of them together, before it sends their tickets: no ticket overtakes
its picture.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from engines.cuda.ranges import COPY
from engines.errors import DeviceError, DeviceMemoryError, FramePoolError
from engines.frames import DeviceFrame, Picture, Plane, PoolLayout, slot_offset


class DevicePlane(NamedTuple):
    """One plane of a picture on the device, a decoder's surface for example.

    Attributes:
        address: Its first byte.
        pitch: Bytes from one row to the next.
        owner: What keeps the memory as it is for as long as somebody holds it.
    """

    address: int
    pitch: int
    owner: object = None


class Memory(Protocol):
    """What a pool lies in: device memory, or the stand-in of ``engines.cuda.stand_in``.

    Attributes:
        name: For messages.
        address: Its first byte, as this process sees it.
    """

    name: str
    address: int

    @classmethod
    def allocate(cls, size_bytes: int, device: int) -> Memory:
        """New memory that other processes can open; raises DeviceError."""

    @classmethod
    def open(cls, handle: bytes, size_bytes: int, device: int) -> Memory:
        """Memory of another process; raises DeviceError."""

    def export(self) -> bytes:
        """What other processes open it with."""

    def write(
        self,
        offset_bytes: int,
        shapes: Sequence[tuple[int, int]],
        planes: Sequence[Plane | DevicePlane],
    ) -> None:
        """Pack planes of (rows, bytes of a row) behind each other; they are there on return."""

    def begin_write(
        self,
        offset_bytes: int,
        shapes: Sequence[tuple[int, int]],
        planes: Sequence[Plane | DevicePlane],
    ) -> list[Plane | DevicePlane]:
        """The same, but they are there after ``finish_writes``; gives what is kept until then."""

    def finish_writes(self) -> None:
        """Wait for all writes that have begun before the call."""

    def close(self) -> None:
        """Give it back, or let go of another's; once."""


class DevicePool:
    """Slots for decoded pictures in the memory of a GPU, shared among processes.

    The memory goes when its owner closes it or dies. What others have opened stays addressable for
    them, but nobody reads it any more: the generation of the lease says so.
    """

    def __init__(self, layout: PoolLayout, memory: Memory, *, is_owner: bool) -> None:
        self.layout = layout
        self._memory = memory
        self._is_owner = is_owner
        self._lock = threading.Lock()
        self._num_users = 0
        self._is_closed = False
        self._is_released = False

    @classmethod
    def create(
        cls,
        num_slots: int,
        slot_bytes: int,
        *,
        device: int = 0,
        memory: type[Memory] | None = None,
    ) -> DevicePool:
        """Take the memory of all slots at once.

        Raises:
            DeviceMemoryError: if the GPU has not so much free.
            DeviceError: if it cannot be used.
        """
        try:
            owned = (memory or _cuda_memory()).allocate(num_slots * slot_bytes, device)
        except DeviceMemoryError as error:
            raise DeviceMemoryError(
                f"no room for a pool of {num_slots} slots of {slot_bytes} bytes: {error}; "
                "lower pool.num_slots"
            ) from error
        layout = PoolLayout(owned.name, num_slots, slot_bytes, owned.export(), device)
        return cls(layout, owned, is_owner=True)

    @classmethod
    def attach(cls, layout: PoolLayout, *, memory: type[Memory] | None = None) -> DevicePool:
        """Open a pool that another process made.

        Raises:
            FramePoolError: if it is gone.
        """
        size_bytes = layout.num_slots * layout.slot_bytes
        try:
            opened = (memory or _cuda_memory()).open(layout.ipc, size_bytes, layout.device or 0)
        except DeviceError as error:
            raise FramePoolError(f"cannot open the pool {layout.path}: {error}") from error
        return cls(layout, opened, is_owner=False)

    @COPY
    def write(self, slot: int, picture: Picture, planes: Sequence[Plane | DevicePlane]) -> None:
        """Copy planes, as ``stored_shapes`` has them (rows may be padded), into a slot.

        They lie on the host or on the device; the picture is in the slot when this returns.

        Raises:
            FramePoolError: if the slot does not exist or is too small, or the pool is closed.
            DeviceError: if the device failed.
        """
        offset_bytes = slot_offset(self.layout, slot, picture)
        memory = self._enter()
        try:
            memory.write(offset_bytes, picture.stored_shapes, planes)
        finally:
            self._leave()

    @COPY
    def begin_write(
        self, slot: int, picture: Picture, planes: Sequence[Plane | DevicePlane]
    ) -> Sequence[object]:
        """Begin a copy as that of ``write``: the picture is in the slot after ``finish_writes``.

        The planes are kept until then, and must not change. Of two pictures in one slot the later
        one stays.

        Returns:
            What is kept; empty once the write is finished.

        Raises:
            FramePoolError: as ``write`` does.
            DeviceError: as ``write`` does.
        """
        offset_bytes = slot_offset(self.layout, slot, picture)
        memory = self._enter()
        try:
            return memory.begin_write(offset_bytes, picture.stored_shapes, planes)
        finally:
            self._leave()

    def finish_writes(self) -> None:
        """Wait until all pictures that were begun before the call are in their slots.

        Raises:
            FramePoolError: if the pool is closed.
            DeviceError: if the device failed; they may never arrive.
        """
        memory = self._enter()
        try:
            memory.finish_writes()
        finally:
            self._leave()

    def read(
        self, slot: int, picture: Picture, *, source_size: tuple[int, int] | None = None
    ) -> DeviceFrame:
        """Point to a slot as a picture; ``source_size`` is (width, height) in pixels."""
        width, height = source_size or (picture.width, picture.height)
        offset_bytes = slot_offset(self.layout, slot, picture)
        if self._is_closed:
            raise FramePoolError(f"the pool {self.layout.path} is closed")
        return DeviceFrame(picture, self._memory.address + offset_bytes, width, height)

    def close(self) -> None:
        """Let go of the memory, at once or when the last write that runs has ended."""
        with self._lock:
            self._is_closed = True
        self._release_if_unused()

    def unlink(self) -> None:
        """Give the memory back if it is ours."""
        if self._is_owner:
            self.close()

    def _enter(self) -> Memory:
        """The memory, which is there until ``_leave``."""
        with self._lock:
            if self._is_closed:
                raise FramePoolError(f"the pool {self.layout.path} is closed")
            self._num_users += 1
        return self._memory

    def _leave(self) -> None:
        with self._lock:
            self._num_users -= 1
            is_closed = self._is_closed
        if is_closed:
            self._release_if_unused()

    def _release_if_unused(self) -> None:
        with self._lock:
            if not self._is_closed or self._num_users or self._is_released:
                return
            self._is_released = True
        self._memory.close()


def _cuda_memory() -> type[Memory]:
    from engines.cuda.memory import CudaMemory

    return CudaMemory
