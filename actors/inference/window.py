"""How long a batch that is not full may wait for company."""

from __future__ import annotations

from collections import deque

_HISTORY_S = 0.5


class BatchWindow:
    """Waits only as long as the arrivals of the last half second promise to fill the batch.

    A camera that paused adds no arrivals, so nobody waits for it.
    """

    def __init__(self, max_delay_s: float) -> None:
        self._max_delay_s = max_delay_s
        self._arrivals: deque[float] = deque()

    def arrived(self, now: float) -> None:
        """A ticket came."""
        self._arrivals.append(now)
        while self._arrivals[0] < now - _HISTORY_S:
            self._arrivals.popleft()

    def delay_s(self, num_missing: int) -> float:
        """Seconds to wait for ``num_missing`` more tickets; 0 where not even one is likely.

        Changes only with an arrival, so that a wait once begun has a fixed end.
        """
        rate = len(self._arrivals) / _HISTORY_S
        if rate * self._max_delay_s < 1.0:
            return 0.0
        return min(self._max_delay_s, num_missing / rate)
