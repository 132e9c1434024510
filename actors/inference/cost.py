"""What a batch costs: the engine's seconds by batch size, learned from finished batches."""

from __future__ import annotations

from collections.abc import Sequence

_SMOOTHING = 0.2
_FIRST_GUESS_S = 0.01
_GAIN_WORTH_WAITING = 0.9


class CostEstimate:
    """Smoothed seconds a batch, by size; a size not seen yet follows from its nearest neighbour."""

    def __init__(self, batch_sizes: Sequence[int]) -> None:
        self._sizes = tuple(batch_sizes)
        self._seconds: dict[int, float] = {}

    def learn(self, size: int, seconds: float) -> None:
        """A batch of ``size`` frames took so long."""
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
