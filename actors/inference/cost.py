"""What a batch costs: the engine's seconds by batch size, learned from finished batches."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

_SMOOTHING = 0.2
_LARGEST_STEP = 2.0
_FIRST_GUESS_S = 0.01
_GAIN_WORTH_A_LARGER_BATCH = 1.05
_TRY_AGAIN_AFTER = 200
_DEVIATIONS = 2.0


class SizeCurve:
    """Smoothed seconds by batch size; sizes not seen follow from those that were."""

    def __init__(self) -> None:
        self._mean: dict[int, float] = {}
        self._deviation: dict[int, float] = {}
        self._num: dict[int, int] = {}
        self._sizes: list[int] = []

    def __contains__(self, size: int) -> bool:
        return size in self._mean

    def learn(self, size: int, seconds: float) -> None:
        """A batch of ``size`` frames took so long.

        One slow batch at most doubles what it is averaged with; the first of a size, which may have
        warmed something up, counts only until the second.
        """
        num = self._num[size] = self._num.get(size, 0) + 1
        before = self._mean.get(size)
        if before is None or num == 2:
            self._mean[size] = min(seconds, before or seconds)
            self._deviation.setdefault(size, 0.0)
            self._sizes = sorted(self._mean)
            return
        off = min(seconds, before * _LARGEST_STEP) - before
        self._mean[size] = before + _SMOOTHING * off
        self._deviation[size] += _SMOOTHING * (abs(off) - self._deviation[size])

    def seconds(self, size: int) -> float:
        """Expected seconds for a batch of ``size`` frames.

        Between two known sizes on the line through both, above the largest one no cheaper than
        itself and no dearer a frame, below the smallest one as much as that.
        """
        known = self._mean.get(size)
        if known is not None:
            return known
        if not self._sizes:
            return _FIRST_GUESS_S
        above = bisect_right(self._sizes, size)
        if above == 0:
            return self._mean[self._sizes[0]]
        if above < len(self._sizes):
            return self._on_line(self._sizes[above - 1], self._sizes[above], size)
        last = self._sizes[-1]
        dearest = self._mean[last] * size / last
        if len(self._sizes) == 1:
            return dearest
        line = self._on_line(self._sizes[-2], last, size)
        return min(max(line, self._mean[last]), dearest)

    def cautious_s(self, size: int) -> float:
        """Seconds that a batch of ``size`` frames seldom exceeds."""
        return self.seconds(size) + _DEVIATIONS * self._deviation.get(size, 0.0)

    def _on_line(self, low: int, high: int, size: int) -> float:
        slope = (self._mean[high] - self._mean[low]) / (high - low)
        return self._mean[low] + slope * (size - low)


class CostEstimate:
    """Which batch sizes are worth it.

    Two costs are learned. ``charged`` is the engine's time that a batch used up, which decides how
    many frames a second go through; ``lasted`` is from taking it to its result, which decides what
    is on time. They differ where two batches are in flight.

    Args:
        batch_sizes: Sizes that the engine was built for, ascending.

    Attributes:
        capacity_fps: Most frames a second over the sizes that were seen; 0 before the first batch.
    """

    def __init__(self, batch_sizes: Sequence[int]) -> None:
        self.capacity_fps = 0.0
        self._sizes = tuple(batch_sizes)
        # Of an engine that takes any size up to 32, six are tried; the others lie between.
        self._probes = _doubling(self._sizes)
        self._charged, self._lasted = SizeCurve(), SizeCurve()
        self._num_learned = 0
        self._learned_at: dict[int, int] = {}
        self._longest_s = float("inf")
        self._preferred = self._sizes[0]

    @property
    def preferred_size(self) -> int:
        """The size that gets most frames through; smaller ones where they do as well."""
        return self._preferred

    def best_size(self, limit: int) -> int:
        """How many of ``limit`` waiting frames to take.

        Where a frame costs the same in any batch, as on a CPU, a larger one only delays its first.
        The size above the preferred one is tried, and now and then again, since costs change.
        """
        wanted = self._preferred
        above = bisect_right(self._probes, wanted)
        if wanted in self._charged and above < len(self._probes):
            probe = self._probes[above]
            if self._is_due(probe) and self.lasts_s(probe) <= self._longest_s:
                wanted = probe
        return self.together(min(wanted, limit))

    def together(self, limit: int) -> int:
        """How many of ``limit`` frames to take at once, which fit into one batch.

        All of them, padded to the next size, where they are finished sooner on average than if the
        largest batch that they fill goes first and the others after it.
        """
        full = self.fitting(limit)
        return limit if full < limit and self.waiting_pays(full, limit - full, 0.0) else full

    def fitting(self, limit: int) -> int:
        """The largest size up to ``limit``; 0 where that is below the smallest."""
        above = bisect_right(self._sizes, limit)
        return self._sizes[above - 1] if above else 0

    def num_missing(self, num: int) -> int:
        """How many more frames than ``num`` the next size up takes; 0 where that gains nothing."""
        if num >= self._preferred:
            return 0
        return self._sizes[bisect_right(self._sizes, num)] - num

    def limit_duration(self, longest_s: float) -> None:
        """Prefer no batch that lasts longer, whatever it would gain."""
        self._longest_s = longest_s
        self._settle()

    def learn(self, size: int, charged_s: float, lasted_s: float) -> None:
        """A batch of ``size`` frames used so much of the engine, and took so long."""
        size = self._padded(size)
        self._num_learned += 1
        self._learned_at[size] = self._num_learned
        self._charged.learn(size, charged_s)
        self._lasted.learn(size, lasted_s)
        rates = (self._rate(size) for size in self._probes if size in self._charged)
        self.capacity_fps = max(rates, default=0.0)
        self._settle()

    def seconds(self, size: int) -> float:
        """Seconds of the engine that a batch of ``size`` frames uses up."""
        return self._charged.seconds(self._padded(size))

    def batch_ms(self) -> dict[int, float]:
        """The same of each size, milliseconds."""
        return {size: round(self.seconds(size) * 1e3, 3) for size in self._sizes}

    def lasts_s(self, size: int) -> float:
        """Seconds from taking a batch to its result, seldom exceeded."""
        return self._lasted.cautious_s(self._padded(size))

    def waiting_pays(self, num: int, num_more: int, wait_s: float) -> bool:
        """Whether ``num`` frames should wait so long for ``num_more``.

        They should where all of them together are then finished sooner on average than if the first
        go at once and the others after them. That also saves more of the engine's time than the
        wait leaves idle.
        """
        alone_s, together_s = self.seconds(num), self.seconds(num + num_more)
        lost_s = wait_s + together_s - alone_s
        won_s = alone_s + self.seconds(num_more) - together_s - wait_s
        return num * lost_s < num_more * won_s

    def _padded(self, num: int) -> int:
        """The smallest size that holds so many frames: what a batch of them costs."""
        return self._sizes[min(bisect_left(self._sizes, num), len(self._sizes) - 1)]

    def _is_due(self, probe: int) -> bool:
        learned_at = self._learned_at.get(probe)
        return learned_at is None or self._num_learned - learned_at >= _TRY_AGAIN_AFTER

    def _rate(self, size: int) -> float:
        return size / max(self._charged.seconds(size), 1e-9)

    def _settle(self) -> None:
        best = self._sizes[0]
        for size in self._probes[1:]:
            if size not in self._charged or self.lasts_s(size) > self._longest_s:
                break
            if self._rate(size) > _GAIN_WORTH_A_LARGER_BATCH * self._rate(best):
                best = size
        self._preferred = best


def _doubling(sizes: Sequence[int]) -> tuple[int, ...]:
    """Of ascending sizes the first, those at least twice the one before, and the last."""
    chosen = [sizes[0]]
    for size in sizes:
        if size >= 2 * chosen[-1]:
            chosen.append(size)
    return (*chosen, sizes[-1]) if chosen[-1] != sizes[-1] else tuple(chosen)
