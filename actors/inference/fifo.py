"""Plain first in, first out: the policy without quality of service, to measure against.

It knows neither classes nor deadlines, keeps every frame in the order of arrival and refuses only
what its slots cannot hold, as a queue between two programs does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from actors.inference.policy import Batch, Decision, Drop, SchedulerConfig
from actors.inference.snapshot import SchedulerSnapshot
from actors.messages import DropReason, Ticket
from actors.specs import QosSpec


class Fifo:
    """Batches whatever waits, oldest first, as soon as the engine is free.

    Args:
        config: What the engine is; ``max_queue_delay_s`` is not used.
        max_waiting: Tickets that it holds; one more is dropped as ``overload``.
    """

    def __init__(self, config: SchedulerConfig, max_waiting: int) -> None:
        self._config = config
        self._max_waiting = max_waiting
        self._streams: set[str] = set()
        self._waiting: deque[Ticket] = deque()
        self._num_batches = 0
        self._num_batched = 0
        self._num_in_flight = 0

    def configure(self, config: SchedulerConfig) -> None:
        """Work for another engine from now on."""
        self._config = config

    def open(self, stream: str, qos: QosSpec, now: float) -> None:
        """A stream enters; what quality of service it asks for changes nothing."""
        self._streams.add(stream)

    def close(self, stream: str) -> tuple[Drop, ...]:
        """A stream leaves; its waiting frames are dropped as ``closed``."""
        self._streams.discard(stream)
        leaving = [ticket for ticket in self._waiting if ticket.stream == stream]
        self._waiting = deque(ticket for ticket in self._waiting if ticket.stream != stream)
        return tuple(Drop(ticket, DropReason.CLOSED) for ticket in leaving)

    def submit(self, tickets: Iterable[Ticket], now: float) -> tuple[Drop, ...]:
        """Queue tickets; those that find it full are dropped as ``overload``."""
        drops = []
        for ticket in tickets:
            if ticket.stream not in self._streams:
                drops.append(Drop(ticket, DropReason.CLOSED))
            elif len(self._waiting) >= self._max_waiting:
                drops.append(Drop(ticket, DropReason.OVERLOAD))
            else:
                self._waiting.append(ticket)
        return tuple(drops)

    def next_batch(self, now: float) -> Decision:
        """The oldest frames, as many as fill one of the engine's batch sizes."""
        fitting = [size for size in self._config.batch_sizes if size <= len(self._waiting)]
        if not fitting:
            return Decision(None)
        tickets = tuple(self._waiting.popleft() for _ in range(fitting[-1]))
        self._num_batches += 1
        self._num_batched += len(tickets)
        self._num_in_flight += len(tickets)
        return Decision(Batch(self._num_batches, tickets, now))

    def next_wakeup(self) -> float | None:
        """At once: what waits goes when the engine is free."""
        return 0.0 if self._waiting else None

    def complete(self, batch: Batch, now: float) -> None:
        """The engine has finished a batch; nothing is learned from it."""
        self._num_in_flight -= len(batch.tickets)

    @property
    def is_backlogged(self) -> bool:
        """Never: it takes what comes."""
        return False

    def snapshot(self, *, with_streams: bool = True) -> SchedulerSnapshot:
        """Counts alone: it measures neither costs nor deadlines."""
        return SchedulerSnapshot(
            num_streams=len(self._streams),
            num_waiting=len(self._waiting),
            num_in_flight=self._num_in_flight,
            num_batches=self._num_batches,
            num_batched=self._num_batched,
            batch_ms={},
        )
