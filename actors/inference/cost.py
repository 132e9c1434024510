"""What a batch costs: the engine's seconds by batch size, learned from finished batches."""

from __future__ import annotations

from collections.abc import Sequence

_SMOOTHING = 0.2
_FIRST_GUESS_S = 0.01
_GAIN_WORTH_WAITING = 0.9
_TRY_AGAIN_AFTER = 100


class CostEstimate:
    """Smoothed seconds a batch, by size; a size not seen yet follows from its nearest neighbour."""

    def __init__(self, batch_sizes: Sequence[int]) -> None:
        self._sizes = tuple(batch_sizes)
        self._seconds: dict[int, float] = {}
        self._num_learned = 0

    def best_size(self, limit: int) -> int:
        """How many of ``limit`` waiting frames to take: all where that is cheaper, else one.

        Where a frame costs the same in any batch, as on a CPU, a larger one only delays its first.
        One is tried first, and the largest now and then again, since costs change.
        """
        fitting = [size for size in self._sizes if size <= limit]
        if fitting[0] not in self._seconds:
            return fitting[0]
        if self.batching_pays() or self._num_learned % _TRY_AGAIN_AFTER == 0:
            return fitting[-1]
        return fitting[0]

    def learn(self, size: int, seconds: float) -> None:
        """A batch of ``size`` frames took so long."""
        self._num_learned += 1
        before = self._seconds.get(size)
        self._seconds[size] = (
            seconds if before is None else before + _SMOOTHING * (seconds - before)
        )

    def seconds(self, size: int) -> float:
        """Expected seconds for a batch of ``size`` frames."""
        known = self._seconds.get(size)
        if known is not None:
            return known
        if not self._seconds:
            return _FIRST_GUESS_S
        nearest = min(self._seconds, key=lambda other: abs(other - size))
        return self._seconds[nearest] * max(1.0, size / nearest)

    def batching_pays(self) -> bool:
        """True where a frame is cheaper in a larger batch, so that waiting for company can pay.

        Unknown larger sizes count as cheaper: they are tried before they are ruled out.
        """
        if len(self._sizes) == 1:
            return False
        single = self.seconds(self._sizes[0]) / self._sizes[0]
        seen = [size for size in self._seconds if size > self._sizes[0]]
        if not seen:
            return True
        return min(self.seconds(size) / size for size in seen) < single * _GAIN_WORTH_WAITING
