"""How long a batch that is not full may wait for company: as far as arrivals can be foreseen."""

from __future__ import annotations

from dataclasses import dataclass

_SMOOTHING = 0.25
_LONGEST_STEP = 2.0
_TOGETHER = 0.5
"""Part of the usual time between two frames."""
_BUCKETS = 5
_SPAN_S = 0.5
_LIGHT = 0.7
"""Part of what the engine can do: with less to do it may wait for a crowd."""
_MANY = 8
"""Frames within the longest delay: of fewer, each costs too little to be worth the wait."""


@dataclass(slots=True)
class Cadence:
    """When the next frame of one stream is expected.

    Attributes:
        last_s: When its last frame came; None before the first.
        period_s: Usual time between two frames; 0 before the second. A pause counts as little.
        bucket: Where it is counted as expected; None while it is not.
    """

    last_s: float | None = None
    period_s: float = 0.0
    bucket: int | None = None

    def is_early(self, now: float) -> bool:
        """Whether a frame that comes now is one of several that come together, held up before."""
        return self.last_s is not None and now - self.last_s < _TOGETHER * self.period_s


class BatchWindow:
    """Foresees arrivals stream by stream.

    A frame is expected one usual period after the last one of its stream, once that was taken. A
    camera that pauses is past its time, is not expected any more and so is not waited for.

    Args:
        max_delay_s: Nothing further ahead counts.
    """

    def __init__(self, max_delay_s: float) -> None:
        self._max_delay_s = max_delay_s
        self._width_s = max_delay_s / _BUCKETS
        self._expected: dict[int, int] = {}
        self._rate_fps = float("inf")
        self._num_arrived, self._counts_since = 0, float("-inf")

    def arrived(self, cadence: Cadence, now: float) -> None:
        """A frame of the stream came: none is expected while it waits."""
        if cadence.bucket is not None:
            self.forget(cadence)
        if now - self._counts_since >= _SPAN_S:
            self._begin_span(now)
        self._num_arrived += 1
        last_s, cadence.last_s = cadence.last_s, now
        if last_s is None:
            return
        gap_s, period_s = now - last_s, cadence.period_s
        if period_s == 0.0:
            cadence.period_s = gap_s
        else:
            step_s = min(gap_s, _LONGEST_STEP * period_s) - period_s
            cadence.period_s += _SMOOTHING * step_s

    def taken(self, cadence: Cadence, now: float) -> None:
        """The stream's frame waits no longer: the next one would be company."""
        if self._width_s <= 0.0 or cadence.last_s is None or cadence.period_s == 0.0:
            return
        expected_at = cadence.last_s + cadence.period_s
        if expected_at <= now:
            return
        bucket = cadence.bucket = int(expected_at / self._width_s)
        self._expected[bucket] = self._expected.get(bucket, 0) + 1

    def forget(self, cadence: Cadence) -> None:
        """Expect nothing of the stream."""
        bucket, cadence.bucket = cadence.bucket, None
        if bucket is None:
            return
        self._expected[bucket] -= 1
        if not self._expected[bucket]:
            del self._expected[bucket]

    def crowd(
        self, num_waiting: int, now: float, until: float, capacity_fps: float
    ) -> float | None:
        """When the last frame that is expected until then should have come, where they are many.

        The processor pays for each batch, so many frames are worth waiting for, whatever that gains
        for a device that has little to do. One with more to do must not stand idle for it.

        Args:
            num_waiting: Frames that wait; they count.
            now: Seconds.
            until: Nothing after that counts.
            capacity_fps: What the engine can do.
        """
        num, last = 0, None
        if until <= now or self._width_s <= 0.0 or self._rate_fps > _LIGHT * capacity_fps:
            return None
        first = int(now / self._width_s)
        for bucket in range(first, min(first + _BUCKETS, int(until / self._width_s)) + 1):
            if expected := self._expected.get(bucket, 0):
                num, last = num + expected, min((bucket + 1) * self._width_s, until)
        return last if num_waiting + num >= _MANY else None

    def arrival(self, num: int, now: float) -> float:
        """When ``num`` more frames should have come; infinite if not within the longest delay."""
        if self._width_s <= 0.0:
            return float("inf")
        first = int(now / self._width_s)
        for bucket in range(first, first + _BUCKETS):
            num -= self._expected.get(bucket, 0)
            if num <= 0:
                return (bucket + 1) * self._width_s
        return float("inf")

    def _begin_span(self, now: float) -> None:
        """The frame that begins a span counts in it, not in the one before."""
        elapsed_s = now - self._counts_since
        self._rate_fps = self._num_arrived / elapsed_s or self._rate_fps
        self._num_arrived, self._counts_since = 0, now
