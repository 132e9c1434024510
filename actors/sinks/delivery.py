"""Delivery to a server that may be away: in order, each event at least once.

A writer thread takes events from a bounded queue and sends them in batches. What cannot be sent
goes to the spool, and so does all that follows, until the spool has been replayed.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Sequence

from actors.analytics.events import Event
from actors.sinks.sink import SinkStatus, Transport
from actors.sinks.spool import Spool

_FIRST_RETRY_S = 0.05
_MAX_RETRY_S = 2.0


class DeliveringSink:
    """A sink over a transport and a spool, both of which it owns and closes.

    Args:
        transport: The way to the server; used by the writer thread alone.
        spool: Where events wait while the server is away.
        max_queue: Events in memory; with more the oldest are dropped and counted.
        max_batch: Events that are sent at once.
    """

    def __init__(
        self, transport: Transport, spool: Spool, *, max_queue: int, max_batch: int
    ) -> None:
        self._transport = transport
        self._spool = spool
        self._max_queue = max_queue
        self._max_batch = max_batch
        self._queue: deque[Event] = deque()
        self._num_in_hand = 0
        self._num_written = 0
        self._num_spooled = len(spool)
        self._num_dropped = 0
        self._num_fenced = 0
        self._error = ""
        self._retry_s = _FIRST_RETRY_S
        self._retry_at = 0.0
        self._stop_at: float | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=self._run, name=f"sink-{transport.kind}", daemon=True
        )
        self._thread.start()

    def write(self, events: Sequence[Event]) -> None:
        """Take events; see ``Sink``. After ``close`` they are dropped and counted."""
        with self._changed:
            if self._stop_at is not None:
                self._num_dropped += len(events)
                return
            self._queue.extend(events)
            while len(self._queue) > self._max_queue:
                self._queue.popleft()
                self._num_dropped += 1
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until the server has all that was taken."""
        with self._changed:
            return self._changed.wait_for(lambda: self._num_waiting() == 0, timeout_s)

    def status(self) -> SinkStatus:
        """Counts so far."""
        with self._changed:
            return SinkStatus(
                kind=self._transport.kind,
                is_connected=not self._error,
                num_written=self._num_written,
                num_spooled=self._num_spooled,
                num_dropped=self._num_dropped + self._spool.num_dropped,
                num_fenced=self._num_fenced,
                num_waiting=self._num_waiting(),
                error=self._error,
            )

    def close(self, timeout_s: float = 2.0) -> None:
        """Deliver in time what the server takes; the rest stays in the spool."""
        with self._changed:
            self._stop_at = time.monotonic() + timeout_s
            self._changed.notify_all()
        self._thread.join()

    def _num_waiting(self) -> int:
        return len(self._queue) + self._num_in_hand + len(self._spool)

    def _run(self) -> None:
        while not self._is_done():
            self._replay()
            self._pass_on(self._take_batch())
            self._wait()
        self._transport.close()
        self._spool.close()

    def _is_done(self) -> bool:
        """Once closing: when nothing is left, the server is away, or time is up."""
        with self._changed:
            if self._stop_at is None:
                return False
            if time.monotonic() >= self._stop_at or self._error:
                self._store(list(self._queue))
                self._queue.clear()
                return True
            return self._num_waiting() == 0

    def _wait(self) -> None:
        """Until there is something to do."""
        with self._changed:
            if not self._queue and not len(self._spool):
                self._changed.wait_for(lambda: self._queue or self._stop_at is not None)
            elif not self._queue and self._error:
                self._changed.wait_for(
                    lambda: self._queue or self._stop_at is not None,
                    max(self._retry_at - time.monotonic(), 0.0),
                )

    def _take_batch(self) -> list[Event]:
        with self._changed:
            num = min(len(self._queue), self._max_batch)
            self._num_in_hand = num
            return [self._queue.popleft() for _ in range(num)]

    def _pass_on(self, batch: list[Event]) -> None:
        """Send the batch, or store it behind what waits already."""
        is_sent = not len(self._spool) and (not batch or self._send(batch))
        if not is_sent:
            self._store(batch)
        with self._changed:
            self._num_in_hand = 0
            self._changed.notify_all()

    def _replay(self) -> None:
        """Send the oldest stored events, if it is time to try."""
        if not len(self._spool) or time.monotonic() < self._retry_at:
            return
        lines = self._spool.peek(self._max_batch)
        events = [event for line in lines if (event := _parse(line)) is not None]
        if self._send(events):
            with self._changed:
                self._num_dropped += len(lines) - len(events)
                self._spool.commit(lines)
                self._changed.notify_all()

    def _send(self, events: list[Event]) -> bool:
        try:
            num_fenced = self._transport.send(events)
        except Exception as error:  # the writer must outlive whatever a client library raises
            with self._changed:
                self._error = str(error) or type(error).__name__
            self._retry_at = time.monotonic() + self._retry_s
            self._retry_s = min(2 * self._retry_s, _MAX_RETRY_S)
            return False
        with self._changed:
            self._error = ""
            self._num_written += len(events) - num_fenced
            self._num_fenced += num_fenced
        self._retry_s = _FIRST_RETRY_S
        self._retry_at = 0.0
        return True

    def _store(self, events: Sequence[Event]) -> None:
        self._num_spooled += len(events)
        self._spool.append([event.to_line().encode() + b"\n" for event in events])


def _parse(line: bytes) -> Event | None:
    """The event of a stored line; None where the disk gave back something else."""
    try:
        return Event.from_dict(json.loads(line))
    except (ValueError, KeyError, TypeError):
        return None
