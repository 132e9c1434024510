"""One timer for all cameras: a heap of what is due next, each time counted from its epoch."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import Protocol

SLACK_S = 0.0005
"""What is due this soon is sent now: the loop's timer has a resolution of a millisecond."""


class Source(Protocol):
    """Something that sends a picture when it is due."""

    def step(self, now: float) -> float | None:
        """Send what is due and return when the next is; None ends the schedule."""


class Scheduler:
    """Calls the ``step`` of every source when it is due."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Source]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, source: Source, when: float) -> None:
        """Begin with a source that is not scheduled now."""
        heapq.heappush(self._heap, (when, next(self._order), source))
        self._arm()

    def stop(self) -> None:
        """Call nothing more."""
        self._heap.clear()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._timer = self._loop.call_at(self._heap[0][0], self._run)

    def _run(self) -> None:
        try:
            horizon = self._loop.time() + SLACK_S
            while self._heap and self._heap[0][0] <= horizon:
                self._step()
        finally:
            self._arm()

    def _step(self) -> None:
        _, _, source = heapq.heappop(self._heap)
        next_due = source.step(self._loop.time())
        if next_due is not None:
            heapq.heappush(self._heap, (next_due, next(self._order), source))
