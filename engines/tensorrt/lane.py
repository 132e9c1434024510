"""What the engine asks of the device: lanes, each of which computes one batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engines.frames import DeviceFrame, Frame

Records = NDArray[np.float32]
"""[batch size, 1 + max detections, 6]: how many were kept, then box, score and class of each."""


class Lane(Protocol):
    """Buffers and a stream for one batch in flight; for one thread at a time."""

    def run(self, frames: Sequence[Frame | DeviceFrame], batch_size: int) -> Records:
        """Compute a batch and wait for it.

        Args:
            frames: At least one, at most ``batch_size``; the rest of the batch is padded.
            batch_size: One that the plan was built for.

        Returns:
            A record a frame; valid until this lane runs again.

        Raises:
            DeviceError: if the device failed.
        """


class Runtime(Protocol):
    """A plan on a device."""

    @property
    def lanes(self) -> Sequence[Lane]:
        """As many as batches may be in flight."""

    def close(self) -> None:
        """Give back all memory of the device; may be called twice."""


def padded_size(num_frames: int, batch_sizes: Sequence[int]) -> int:
    """The smallest of the ascending sizes that holds so many frames.

    Raises:
        ValueError: if none does.
    """
    for size in batch_sizes:
        if size >= num_frames:
            return size
    raise ValueError(f"{num_frames} frames in a batch, at most {batch_sizes[-1]}")


def padded(frames: Sequence[DeviceFrame], batch_size: int) -> list[DeviceFrame]:
    """Frames, the last of them again and again up to the batch size.

    What pads a batch must be memory that can be read: a slot of earlier may be gone by now.
    """
    return [*frames, *[frames[-1]] * (batch_size - len(frames))]
