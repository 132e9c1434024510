"""How busy the engine is, and which part of its time each batch had."""

from __future__ import annotations

from collections import deque

_HISTORY_S = 5.0
_SAMPLE_S = 0.25


class EngineLoad:
    """Divides the engine's time among the batches in flight.

    Of two batches that overlap each is charged half of the time that they share, so that the
    charges add up to the time in which the engine worked, whatever it does side by side.
    """

    def __init__(self) -> None:
        self._began: dict[int, float] = {}
        self._share_s = 0.0
        self._busy_s = 0.0
        self._now = 0.0
        self._samples: deque[tuple[float, float]] = deque(maxlen=int(_HISTORY_S / _SAMPLE_S) + 1)

    def began(self, number: int, now: float) -> None:
        """A batch goes to the engine."""
        self._advance(now)
        self._began[number] = self._share_s

    def ended(self, number: int, now: float) -> float:
        """A batch is done; returns the seconds of the engine that it is charged."""
        self._advance(now)
        return self._share_s - self._began.pop(number)

    def utilisation(self, now: float) -> float:
        """Share of the last five seconds in which a batch was in flight, 0 to 1."""
        self._advance(now)
        then, busy_s = self._samples[0]
        for sample in self._samples:
            if sample[0] <= now - _HISTORY_S:
                then, busy_s = sample
        return min(1.0, (self._busy_s - busy_s) / (now - then)) if now > then else 0.0

    def _advance(self, now: float) -> None:
        passed_s = max(0.0, now - self._now)
        if self._began:
            self._busy_s += passed_s
            self._share_s += passed_s / len(self._began)
        self._now = max(self._now, now)
        if not self._samples or now - self._samples[-1][0] >= _SAMPLE_S:
            self._samples.append((self._now, self._busy_s))
