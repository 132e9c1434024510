"""The events that lie in Redis, read as they come, and held against what the slots made."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import redis

from cluster.bench.failover.tally import Arrival, Tally, tally
from cluster.events import event_of

_QUIET_S = 0.06
_ARRIVE_TIMEOUT_S = 15.0


class Arrivals:
    """Reads one event stream from its beginning.

    Args:
        url: Redis.
        key: The stream.
    """

    def __init__(self, url: str, key: str) -> None:
        self._client = redis.Redis.from_url(url, decode_responses=True)
        self._key = key
        self._after = "-"
        self.all: list[Arrival] = []

    def read(self) -> None:
        """Take what has come since."""
        entries: Any = self._client.xrange(self._key, min=self._after)
        for entry, fields in entries:
            data = event_of(entry, fields).data
            self.all.append(Arrival(data["id"], data["stream"], int(data["ts"])))
            self._after = f"({entry}"

    def settled(self, num_made: Callable[[], int], num_lost: int = 0) -> Tally:
        """What became of the events, once those on their way had time to arrive.

        Looked at between two events: what is made meanwhile would count neither way.

        Args:
            num_made: Events so far, 20 ms late at most.
            num_lost: So many were lost before: fewer cannot be.
        """
        deadline = time.monotonic() + _ARRIVE_TIMEOUT_S
        best: Tally | None = None
        while best is None or (best.num_lost > num_lost and time.monotonic() < deadline):
            before = num_made()
            time.sleep(_QUIET_S)
            self.read()
            time.sleep(_QUIET_S)
            if num_made() != before and time.monotonic() < deadline:
                continue
            found = tally(before, self.all)
            best = found if best is None or found.num_lost < best.num_lost else best
        return best

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
