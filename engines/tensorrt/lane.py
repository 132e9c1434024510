"""What an engine asks of the device: lanes, each of which computes one batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.crops import View
from engines.cuda.descriptors import DeviceView
from engines.frames import Frame, Picture
from engines.signature import Signature

Records = NDArray[np.float32]
"""[views, 1 + max detections, 6]: how many were kept, then box, score and class of each."""

Outputs = Sequence[NDArray[Any]]
"""[views, ...] each. Of a detector that was cut to its best candidates only the ``Records``, of any
other model the outputs of the network, in the order of the runtime's signature."""


class Lane(Protocol):
    """Buffers and a stream for one batch in flight; for one thread at a time."""

    def run(self, views: Sequence[View], batch_size: int) -> Outputs:
        """Compute a batch and wait for it.

        Args:
            views: At least one, at most ``batch_size``; the rest of the batch is padded.
            batch_size: One that the plan was built for.

        Returns:
            What came of each view; valid until this lane runs again.

        Raises:
            DeviceError: if the device failed.
        """


class Runtime(Protocol):
    """A plan on a device."""

    @property
    def lanes(self) -> Sequence[Lane]:
        """As many as batches may be in flight."""

    @property
    def signature(self) -> Signature:
        """The tensors of the plan."""

    def close(self) -> None:
        """Give back all memory of the device; may be called twice."""


def padded_size(num_views: int, batch_sizes: Sequence[int]) -> int:
    """The smallest of the ascending sizes that holds so many views.

    Raises:
        ValueError: if none does.
    """
    for size in batch_sizes:
        if size >= num_views:
            return size
    raise ValueError(f"{num_views} frames in a batch, at most {batch_sizes[-1]}")


def padded(views: Sequence[DeviceView], batch_size: int) -> list[DeviceView]:
    """Views, the last of them again and again up to the batch size.

    What pads a batch must be memory that can be read: a slot of earlier may be gone by now.
    """
    return [*views, *[views[-1]] * (batch_size - len(views))]


def grey_frame() -> Frame:
    """A picture of 2 x 2 pixels to warm up with."""
    picture = Picture(2, 2)
    planes = tuple(np.full(shape, 128, np.uint8) for shape in picture.plane_shapes)
    return Frame(picture, planes, 2, 2)
