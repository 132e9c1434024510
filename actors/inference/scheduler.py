"""The batch scheduler: which tickets make the next batch, and when. Pure: time is an argument.

``submit`` brings tickets, ``next_batch`` takes a batch and says what was dropped, ``next_wakeup``
says when to ask again, ``complete`` returns the finished batch so that the cost is learned.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from actors.inference.cost import CostEstimate
from actors.inference.sharing import FairQueue, WaitingStream
from actors.inference.window import BatchWindow
from actors.messages import DropReason, Ticket
from actors.specs import QosSpec


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """What the scheduler must know of the engine.

    Attributes:
        batch_sizes: Sizes that the engine was built for, ascending, beginning with 1.
        max_queue_delay_s: Longest wait of a batch that is not full, seconds.
    """

    batch_sizes: tuple[int, ...] = (1,)
    max_queue_delay_s: float = 0.005


@dataclass(frozen=True, slots=True)
class Batch:
    """Tickets that go through the engine together; as many as one of its batch sizes."""

    number: int
    tickets: tuple[Ticket, ...]
    taken_at: float


@dataclass(frozen=True, slots=True)
class Drop:
    """A ticket that will not be inferred, and why."""

    ticket: Ticket
    reason: DropReason


@dataclass(frozen=True, slots=True)
class Decision:
    """What ``next_batch`` decided: a batch or none, and the tickets that it gave up."""

    batch: Batch | None
    drops: tuple[Drop, ...] = ()


@dataclass(frozen=True, slots=True)
class SchedulerSnapshot:
    """The scheduler's state for people: counts, and what a batch costs."""

    num_streams: int
    num_waiting: int
    num_in_flight: int
    num_batches: int
    num_batched: int
    batch_ms: dict[int, float]


class Scheduler:
    """Batches the newest frame of each stream by deadline, class weight and floor."""

    def __init__(self, config: SchedulerConfig) -> None:
        self.configure(config)
        self._queue = FairQueue()
        self._streams: dict[str, WaitingStream] = {}
        self._deadlines: list[tuple[float, int, WaitingStream]] = []
        self._waits: deque[tuple[float, int, WaitingStream]] = deque()
        self._num_tickets = 0
        self._in_flight: dict[int, Batch] = {}
        self._num_batches = 0
        self._num_batched = 0
        self._now = 0.0

    def configure(self, config: SchedulerConfig) -> None:
        """Schedule for another engine from now on; its costs are learned anew."""
        self._config = config
        self._cost = CostEstimate(config.batch_sizes)
        self._window = BatchWindow(config.max_queue_delay_s)

    def open(self, stream: str, qos: QosSpec, now: float) -> None:
        """A stream enters, or its quality of service changes; its waiting frame stays."""
        known = self._streams.get(stream)
        if known is None:
            known = WaitingStream(stream, qos.class_name, 1.0, float("inf"), served_at=now)
            self._streams[stream] = known
        if known.ticket is None:
            known.apply(qos)
            return
        self._queue.leave(known)
        known.apply(qos)
        self._enter(known, now)

    def close(self, stream: str) -> tuple[Drop, ...]:
        """A stream leaves; its waiting frame is dropped as ``closed``."""
        known = self._streams.pop(stream, None)
        if known is None or known.ticket is None:
            return ()
        return (self._drop(known, DropReason.CLOSED),)

    def submit(self, tickets: Iterable[Ticket], now: float) -> tuple[Drop, ...]:
        """Bring tickets; the waiting frame of the same stream is superseded by its newer one."""
        drops = []
        for ticket in tickets:
            self._window.arrived(now)
            drop = self._admit(ticket, now)
            if drop is not None:
                drops.append(drop)
        return tuple(drops)

    def next_batch(self, now: float) -> Decision:
        """Close a batch if one is due, and give up the frames that can no longer be on time."""
        self._now = now
        drops = self._expire(now)
        num_waiting = len(self._queue)
        if num_waiting == 0 or now < self._closes_at(num_waiting, now):
            return Decision(None, drops)
        return Decision(self._fill(self._cost.best_size(num_waiting), now), drops)

    def next_wakeup(self) -> float | None:
        """When ``next_batch`` could decide otherwise by itself; None where nothing waits."""
        num_waiting = len(self._queue)
        if num_waiting == 0:
            return None
        return min(self._closes_at(num_waiting, self._now), self._expires_at())

    def complete(self, batch: Batch, now: float) -> None:
        """The engine has finished a batch; what it took is learned."""
        self._in_flight.pop(batch.number, None)
        self._cost.learn(len(batch.tickets), now - batch.taken_at)

    @property
    def is_backlogged(self) -> bool:
        """Whether two full batches wait already."""
        return len(self._queue) >= 2 * self._config.batch_sizes[-1]

    def snapshot(self) -> SchedulerSnapshot:
        """Counts and costs as they are now."""
        sizes = self._config.batch_sizes
        return SchedulerSnapshot(
            num_streams=len(self._streams),
            num_waiting=len(self._queue),
            num_in_flight=sum(len(batch.tickets) for batch in self._in_flight.values()),
            num_batches=self._num_batches,
            num_batched=self._num_batched,
            batch_ms={size: round(self._cost.seconds(size) * 1e3, 3) for size in sizes},
        )

    def _admit(self, ticket: Ticket, now: float) -> Drop | None:
        stream = self._streams.get(ticket.stream)
        if stream is None:
            return Drop(ticket, DropReason.CLOSED)
        older, stream.ticket = stream.ticket, ticket
        self._num_tickets += 1
        stream.ticket_number = self._num_tickets
        heapq.heappush(self._deadlines, (ticket.deadline, self._num_tickets, stream))
        if older is not None:
            return Drop(older, DropReason.SUPERSEDED)
        self._enter(stream, now)
        return None

    def _enter(self, stream: WaitingStream, now: float) -> None:
        self._queue.enter(stream)
        self._waits.append((now, stream.entry, stream))

    def _drop(self, stream: WaitingStream, reason: DropReason) -> Drop:
        self._queue.leave(stream)
        return Drop(_take_ticket(stream), reason)

    def _expire(self, now: float) -> tuple[Drop, ...]:
        """Drop what cannot be on time even in a batch of its own that starts now."""
        drops = []
        while self._expires_at() < now:
            drops.append(self._drop(self._deadlines[0][2], DropReason.DEADLINE))
        return tuple(drops)

    def _expires_at(self) -> float:
        """When the earliest deadline among the waiting frames can no longer be met."""
        heap = self._deadlines
        while heap and heap[0][2].ticket_number != heap[0][1]:
            heapq.heappop(heap)
        return _latest_start(heap[0][2].ticket, self._cost.seconds(1)) if heap else float("inf")

    def _closes_at(self, num_waiting: int, now: float) -> float:
        """When the batch that could be made of the waiting frames must start."""
        largest = self._config.batch_sizes[-1]
        if num_waiting >= min(largest, len(self._streams)) or not self._cost.batching_pays():
            return now
        delay_s = self._window.delay_s(largest - num_waiting)
        extra_s = self._cost.seconds(largest) - self._cost.seconds(1)
        return min(self._oldest_wait() + delay_s, self._expires_at() - extra_s)

    def _oldest_wait(self) -> float:
        while self._waits and self._waits[0][2].entry != self._waits[0][1]:
            self._waits.popleft()
        return self._waits[0][0] if self._waits else float("inf")

    def _fill(self, size: int, now: float) -> Batch:
        tickets: list[Ticket] = []
        while len(tickets) < size:
            stream = self._queue.pop(now)
            if stream is None:
                break
            tickets.append(_take_ticket(stream))
        self._num_batches += 1
        self._num_batched += len(tickets)
        batch = Batch(self._num_batches, tuple(tickets), now)
        self._in_flight[batch.number] = batch
        return batch


def _latest_start(ticket: Ticket | None, cost_s: float) -> float:
    """When a ticket is given up; half its time is always its own, whatever one slow batch cost."""
    if ticket is None:
        return float("inf")
    return ticket.deadline - min(cost_s, (ticket.deadline - ticket.arrival) / 2)


def _take_ticket(stream: WaitingStream) -> Ticket:
    ticket = stream.ticket
    if ticket is None:
        raise AssertionError(f"{stream.stream} was queued without a ticket")
    stream.ticket, stream.ticket_number = None, 0
    return ticket
