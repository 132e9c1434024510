"""What the demo sees of the running system: its events, as they come over HTTP."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

from cluster.client import ApiClient
from cluster.errors import ClusterError


class EventWatch:
    """Reads server-sent events on a thread of its own, from its start until ``close``.

    Args:
        client: Closed with it.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._events: list[dict[str, Any]] = []
        self._known: set[str | None] = set()
        self._last: dict[str, dict[str, Any]] = {}
        self._first_at: float | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read, name="events", daemon=True)
        self._thread.start()

    @property
    def first_at(self) -> float | None:
        """Wall clock at which the first event of a rule was read; None before."""
        return self._first_at

    def events(self) -> list[dict[str, Any]]:
        """All events so far."""
        with self._lock:
            return list(self._events)

    def last(self, stream: str) -> dict[str, Any] | None:
        """The newest event of a stream."""
        with self._lock:
            return self._last.get(stream)

    def counts(self) -> dict[str, int]:
        """How many events of each type."""
        return dict(sorted(Counter(e["type"] for e in self.events()).items()))

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()
        self._client.close()

    def _read(self) -> None:
        """A connection that breaks is opened again; ``since`` makes sure that nothing is missed.

        What was read before then comes again, and is known by its id.
        """
        since = str(round(time.time() * 1e3))
        while not self._closed.is_set():
            try:
                for event in self._client.events(since=since):
                    self._note(event)
            except (ClusterError, RuntimeError):  # httpx: RuntimeError once the client is closed
                self._closed.wait(0.2)

    def _note(self, event: dict[str, Any]) -> None:
        with self._lock:
            name = event.get("id")
            if name is not None and name in self._known:
                return
            self._known.add(name)
            if self._first_at is None and event.get("rule"):
                self._first_at = time.time()
            self._events.append(event)
            self._last[str(event["stream"])] = event
