"""Who decodes first where the cameras of a process ask for more processor time than there is.

The system's scheduler knows no cameras: with dozens of threads that all want to decode, each gets
its turn, and a frame of an important camera waits for those of all the others.
"""

from __future__ import annotations

import contextlib
import heapq
import threading
from collections.abc import Iterator


class DecodeGate:
    """Lets a few threads through at once; those that wait go on by rank, then in order of coming.

    A rank that waits behind others for long is late, which its session tells as lag, and from that
    the degrade ladder takes work from it.

    Args:
        num_permits: Threads that may be inside at once; at least 1.
    """

    def __init__(self, num_permits: int) -> None:
        self._lock = threading.Lock()
        self._num_free = num_permits
        self._num_came = 0
        self._waiting: list[tuple[int, int, threading.Lock]] = []

    @contextlib.contextmanager
    def enter(self, rank: int) -> Iterator[None]:
        """Wait for a permit and hold it for the ``with``; rank 0 comes first."""
        turn = self._take(rank)
        if turn is not None:
            turn.acquire()
        try:
            yield
        finally:
            self._pass_on()

    def _take(self, rank: int) -> threading.Lock | None:
        """Take a free permit; or what will be released when one is passed on to the caller."""
        with self._lock:
            if self._num_free:
                self._num_free -= 1
                return None
            turn = threading.Lock()
            turn.acquire()
            self._num_came += 1
            heapq.heappush(self._waiting, (rank, self._num_came, turn))
            return turn

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[2].release()
            else:
                self._num_free += 1
