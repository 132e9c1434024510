"""What a slot's engine can do, steady enough to promise by: medians of what it measures."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

from actors.inference.actor import EngineStatus

_WINDOW_S = 10.0
_KNOWN_AFTER_S = 5.0
_BUSY = 0.9
_MOST_IN_FLIGHT = 2


class SteadyValue:
    """The median of the last ten seconds; a hiccup of the machine does not move it.

    Attributes:
        value: 0 until five seconds have been seen: what is measured first is no promise. It stays
            while nothing new is measured.
    """

    def __init__(self) -> None:
        self.value = 0.0
        self._seen: deque[tuple[float, float]] = deque()
        self._ascending: list[float] = []  # the same values: every camera has such a median

    def add(self, value: float, now: float) -> None:
        """Take a measurement; ``now`` in seconds, never going back."""
        seen, ascending = self._seen, self._ascending
        seen.append((now, value))
        insort(ascending, value)
        while now - seen[0][0] > _WINDOW_S:
            del ascending[bisect_left(ascending, seen.popleft()[1])]
        if now - seen[0][0] >= _KNOWN_AFTER_S:
            half = len(ascending) // 2
            self.value = (ascending[half] + ascending[-half - 1]) / 2.0


class Capacity:
    """Frames a second and cost of a frame, as the engine's scheduler learns them.

    While the engine is away they stay as they were; another model is measured anew.

    Attributes:
        model: Whose they are.
    """

    def __init__(self) -> None:
        self._start_ms: dict[int, float] = {}
        self._begin("")

    @property
    def fps(self) -> float:
        """Frames a second at the best batch size, as measured lately; 0 until it is known.

        Before batches of cameras tell, it is what was measured when the model was loaded.
        """
        at_start = max((size * 1e3 / ms for size, ms in self._start_ms.items()), default=0.0)
        return round(self._fps.value or at_start, 2)

    @property
    def admission_fps(self) -> float:
        """Frames a second against which floors are admitted; 0 until it is known.

        That is what a busy engine was measured to do. One at rest runs its batches one by one and
        measures less than it can do with two in flight: at most half. So twice as much is admitted
        until it has been busy, and what it measures at rest afterwards takes nothing back. What was
        measured at the start, beside all that starts, refuses nobody.
        """
        return round(self._busy_fps.value or self._fps.value * _MOST_IN_FLIGHT, 2)

    @property
    def frame_ms(self) -> float:
        """Milliseconds of the shortest batch, which has one frame; 0 until it is known."""
        at_start = self._start_ms.get(min(self._start_ms, default=0), 0.0)
        return round(self._frame_ms.value or at_start, 2)

    def observe(self, engine: EngineStatus | None, now: float) -> None:
        """Take what the engine says; ``now`` in seconds, never going back."""
        if engine is None or engine.scheduler is None:
            return
        if engine.model != self.model:
            self._begin(engine.model)
        self._start_ms = engine.start_ms
        if engine.scheduler.capacity_fps <= 0:
            return
        scheduler = engine.scheduler
        self._fps.add(scheduler.capacity_fps, now)
        self._frame_ms.add(scheduler.batch_ms[min(scheduler.batch_ms)], now)
        if scheduler.utilisation >= _BUSY:
            self._busy_fps.add(scheduler.capacity_fps, now)

    def _begin(self, model: str) -> None:
        self.model = model
        self._start_ms = {}
        self._fps = SteadyValue()
        self._busy_fps = SteadyValue()
        self._frame_ms = SteadyValue()
