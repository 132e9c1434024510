"""The frame pool of a slot as its actors see it: in host memory, or on the GPU of its engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from engines.frames import DeviceFrame, Frame, FramePool, Picture, PoolLayout


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """The frame pool of a slot.

    Attributes:
        num_slots: Pictures that it can hold.
        slot_bytes: Bytes of the largest picture.
        max_ingests: Ingest actors among which it is divided.
        name: Begins the name of its file, so that the slot can find what a dead engine left.
        device: Index of the GPU that holds it, as the engine's process counts; None for the host.
    """

    num_slots: int
    slot_bytes: int
    max_ingests: int = 1
    name: str = "pool"
    device: int | None = None


class Pool(Protocol):
    """What ``FramePool`` and ``DevicePool`` have in common.

    Attributes:
        layout: How to open it; its ``device`` is None in host memory.
    """

    layout: PoolLayout

    def write(self, slot: int, picture: Picture, planes: Sequence[Any]) -> None:
        """Copy planes into a slot: arrays, or on a GPU also a decoder's surface."""

    def begin_write(self, slot: int, picture: Picture, planes: Sequence[Any]) -> Sequence[object]:
        """Begin to copy planes into a slot, where they are after ``finish_writes``.

        Returns:
            What is kept of them; empty once they are there.
        """

    def finish_writes(self) -> None:
        """Wait until all that was begun is there."""

    def read(
        self, slot: int, picture: Picture, *, source_size: tuple[int, int] | None = None
    ) -> Frame | DeviceFrame:
        """Look at a slot as a picture."""

    def close(self) -> None:
        """Let go of the memory."""

    def unlink(self) -> None:
        """Give the memory back, if it is ours."""


def create_pool(config: PoolConfig) -> Pool:
    """The pool of an engine, on the device that the engine runs on.

    Raises:
        FramePoolError: if shared memory cannot hold it.
        DeviceError: if the GPU cannot.
    """
    if config.device is None:
        return FramePool.create(config.num_slots, config.slot_bytes, name=config.name)
    from engines.cuda.pool import DevicePool

    return DevicePool.create(config.num_slots, config.slot_bytes, device=config.device)


def attach_pool(layout: PoolLayout) -> Pool:
    """Open the pool that an engine made.

    Raises:
        FramePoolError: if it is gone.
    """
    if layout.device is None:
        return FramePool.attach(layout)
    from engines.cuda.pool import DevicePool

    return DevicePool.attach(layout)
