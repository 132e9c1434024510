"""What follows the network in a lane: suppression on the GPU, or outputs for the CPU to read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.cuda.buffers import Buffers
from engines.cuda.context import DeviceContext
from engines.cuda.ranges import SUPPRESS
from engines.cuda.suppress import Suppressor
from engines.errors import ModelError
from engines.graph.best_candidates import BOXES, CLASSES, SCORES
from engines.signature import Signature
from engines.tensorrt.lane import Outputs

BOX_COLUMNS = 4
VALUE_BYTES = 4
"""Of a float32 or an int32."""


class Tail(Protocol):
    """Takes a batch from the network's outputs to pinned memory; of one lane.

    Attributes:
        addresses: Where the network is to write each of its outputs, device memory.
    """

    addresses: Mapping[str, int]

    def enqueue(self, size: int, stream: Any) -> None:
        """Enqueue that for a batch, in the current context; a CUDA graph captures it."""

    def outputs(self, num_views: int) -> Outputs:
        """What came of the first views of the batch, once the stream is through."""


class SuppressedTail:
    """Best candidates are suppressed, and the few that are kept are copied: ``Records``.

    Args:
        context: Of the GPU.
        buffers: Of the lane.
        suppressor: May be shared by lanes.
        num_candidates: Of each picture.
        largest: Batch size.
    """

    def __init__(
        self,
        context: DeviceContext,
        buffers: Buffers,
        suppressor: Suppressor,
        num_candidates: int,
        largest: int,
    ) -> None:
        self._context = context
        self._suppressor = suppressor
        num = largest * num_candidates
        self._boxes = buffers.reserve(num * BOX_COLUMNS * VALUE_BYTES)
        self._scores = buffers.reserve(num * VALUE_BYTES)
        self._classes = buffers.reserve(num * VALUE_BYTES)
        self._records = buffers.pinned((largest, *suppressor.record_shape), np.float32)
        self._kept = buffers.reserve(self._records.nbytes)
        self.addresses: Mapping[str, int] = {
            BOXES: self._boxes,
            SCORES: self._scores,
            CLASSES: self._classes,
        }

    def enqueue(self, size: int, stream: Any) -> None:
        """See ``Tail.enqueue``."""
        with SUPPRESS:
            self._suppressor.enqueue(
                self._boxes, self._scores, self._classes, self._kept, size, stream
            )
        self._context.cuda.memcpy_dtoh_async(self._records[:size], self._kept, stream)

    def outputs(self, num_views: int) -> Outputs:
        """See ``Tail.outputs``."""
        return [self._records[:num_views]]


class CopyingTail:
    """All outputs are copied as they are, for the code of the model's family to read.

    Args:
        context: Of the GPU.
        buffers: Of the lane.
        signature: Of the plan.
        largest: Batch size.

    Raises:
        ModelError: if an output has no fixed size.
    """

    def __init__(
        self, context: DeviceContext, buffers: Buffers, signature: Signature, largest: int
    ) -> None:
        self._context = context
        self._pinned: dict[str, NDArray[Any]] = {}
        addresses: dict[str, int] = {}
        for tensor in signature.outputs:
            sizes = [size for size in tensor.shape[1:] if size is not None]
            if not tensor.shape or len(sizes) < len(tensor.shape) - 1:
                raise ModelError(
                    f"the output {tensor} has no fixed size for each picture",
                    remedy="Export the model with fixed sizes but for the batch.",
                )
            dtype = np.dtype(tensor.dtype)
            self._pinned[tensor.name] = buffers.pinned((largest, *sizes), dtype)
            num_bytes = max(1, largest * math.prod(sizes) * dtype.itemsize)
            addresses[tensor.name] = buffers.reserve(num_bytes)
        self.addresses: Mapping[str, int] = addresses

    def enqueue(self, size: int, stream: Any) -> None:
        """See ``Tail.enqueue``."""
        for name, array in self._pinned.items():
            self._context.cuda.memcpy_dtoh_async(array[:size], self.addresses[name], stream)

    def outputs(self, num_views: int) -> Outputs:
        """See ``Tail.outputs``."""
        return [array[:num_views] for array in self._pinned.values()]
