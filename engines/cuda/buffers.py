"""Memory of the device and pinned memory of the host, taken bit by bit, given back together."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from engines.cuda.context import DeviceContext


class Buffers:
    """What a lane of a model has taken.

    Args:
        context: Of the device.

    Attributes:
        num_bytes: Of the device, as of now.
    """

    def __init__(self, context: DeviceContext) -> None:
        self._context = context
        self._on_device: list[Any] = []
        self._pinned: list[NDArray[Any]] = []
        self.num_bytes = 0

    def reserve(self, num_bytes: int) -> int:
        """Address of new memory of the device.

        Raises:
            DeviceMemoryError: if it has not so much, with the figures.
        """
        self._on_device.append(self._context.allocate(num_bytes))
        self.num_bytes += num_bytes
        return int(self._on_device[-1])

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """New memory of the host that the device copies to and from; unspecified content."""
        with self._context:
            self._pinned.append(self._context.cuda.pagelocked_empty(shape, dtype))
        return self._pinned[-1]

    def close(self) -> None:
        """Give all of it back; nothing of it must be in use."""
        with self._context:
            while self._on_device:
                self._on_device.pop().free()
            while self._pinned:
                allocation: Any = self._pinned.pop().base
                allocation.free()
        self.num_bytes = 0
