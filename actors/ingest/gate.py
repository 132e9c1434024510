"""Who decodes first where the cameras of a process ask for more processor time than there is.

The system's scheduler knows no cameras: with dozens of threads that all want to decode, each gets
its turn, and a frame of an important camera waits for those of all the others.
"""

from __future__ import annotations

import contextlib
import heapq
import threading
from collections.abc import Iterator

RANK_S = 0.25
"""A frame goes before those of the next rank unless it came so much later, seconds."""


class DecodeGate:
    """Lets a few threads through at once, the most urgent first.

    Urgent is what came first, where each rank counts as coming a quarter of a second later. So the
    ranks go one after the other as long as nobody has waited for long, and nobody waits for ever.

    Args:
        num_permits: Threads that may be inside at once; at least 1.
    """

    def __init__(self, num_permits: int) -> None:
        self._lock = threading.Lock()
        self._num_free = num_permits
        self._num_came = 0
        self._waiting: list[tuple[float, int, threading.Lock]] = []

    @contextlib.contextmanager
    def enter(self, came_at: float, rank: int) -> Iterator[None]:
        """Wait for a permit and hold it for the ``with``.

        Args:
            came_at: When the frame came, seconds of any clock that all threads share.
            rank: 0 for the most important frames.
        """
        turn = self._take(came_at + RANK_S * rank)
        if turn is not None:
            turn.acquire()
        try:
            yield
        finally:
            self._pass_on()

    def _take(self, due: float) -> threading.Lock | None:
        """Take a free permit; or what will be released when one is passed on to the caller."""
        with self._lock:
            if self._num_free:
                self._num_free -= 1
                return None
            turn = threading.Lock()
            turn.acquire()
            self._num_came += 1
            heapq.heappush(self._waiting, (due, self._num_came, turn))
            return turn

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[2].release()
            else:
                self._num_free += 1
