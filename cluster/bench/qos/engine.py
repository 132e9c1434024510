"""Engines that exist only as costs: what a batch takes, by its size."""

from __future__ import annotations

from dataclasses import dataclass

from engines.fake import CostModel

_NEARLY = 0.99


@dataclass(frozen=True, slots=True)
class SimulatedEngine:
    """An engine that is known by its costs alone.

    Attributes:
        name: For the table.
        cost: What a batch takes.
        batch_sizes: Sizes that it was built for, ascending.
    """

    name: str
    cost: CostModel
    batch_sizes: tuple[int, ...]

    @property
    def capacity_fps(self) -> float:
        """The most frames a second that any batch size gives."""
        return max(size / self.batch_s(size) for size in self.batch_sizes)

    @property
    def tuned_sizes(self) -> tuple[int, ...]:
        """Sizes up to the smallest that is worth it: what somebody who measured would allow."""
        enough = _NEARLY * self.capacity_fps
        best = next(size for size in self.batch_sizes if size / self.batch_s(size) >= enough)
        return tuple(size for size in self.batch_sizes if size <= best)

    @property
    def turn_s(self) -> float:
        """Seconds of the batch that an overloaded engine runs; nobody is served between two."""
        return self.batch_s(self.tuned_sizes[-1])

    def batch_s(self, num_frames: int) -> float:
        """Seconds of a batch, charged as the smallest built size that holds it."""
        size = next(size for size in self.batch_sizes if size >= num_frames)
        return self.cost.batch_ms(size) / 1e3


SMALL_GPU = SimulatedEngine("small GPU", CostModel(6.0, 1.5), tuple(range(1, 17)))
"""6 ms + 1.5 ms a frame, any batch up to 16: 533 frames/s."""

LARGE_GPU = SimulatedEngine("large GPU", CostModel(1.0, 0.4), (1, 2, 4, 8, 16, 32))
"""1 ms + 0.4 ms a frame, captured for batches of powers of two up to 32: 2,319 frames/s."""

CPU = SimulatedEngine("CPU", CostModel(0.0, 8.0), (1, 2, 4, 8))
"""8 ms a frame in any batch: 125 frames/s, nothing gained from batching."""
