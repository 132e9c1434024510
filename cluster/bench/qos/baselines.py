"""How others batch: the policies that ours is compared with, as their published sources have it.

They get the queue delay that ours gets, take as much as the largest batch holds, and are configured
as somebody would who has measured his engine (``compare.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from actors.inference.policy import Batch, Decision, Drop, SchedulerConfig
from actors.messages import DropReason, Ticket
from actors.specs import QosClass, QosSpec

_ONE_LEVEL = dict.fromkeys(QosClass, 0)
_LEVELS = {qos_class: level for level, qos_class in enumerate(QosClass)}


class DynamicBatching:
    """Triton's dynamic batcher: queues by level, a queue delay, a time-out for each request.

    As in ``dynamic_batch_scheduler.cc`` and ``scheduler_utils.cc`` of triton-inference-server/core:
    a batch closes when it is full or its oldest request has waited ``max_queue_delay``; a request
    whose time-out (here: its deadline) has passed is rejected when a batch is formed, whatever the
    engine would still take; a level's queue of ``max_queue_size`` refuses more; and with
    ``priority_levels`` each level is emptied before the next one gets anything. It sees requests,
    not streams: nothing replaces a waiting frame.

    Args:
        config: Engine and queue delay.
        max_waiting: ``max_queue_size`` of each level.
        levels: Level by class, 0 first. All on one level is Triton's default.
    """

    def __init__(
        self, config: SchedulerConfig, max_waiting: int, levels: Mapping[QosClass, int]
    ) -> None:
        self._config = config
        self._max_waiting = max_waiting
        self._level_of = levels
        self._queues = [deque[Ticket]() for _ in range(max(levels.values()) + 1)]
        self._streams: dict[str, int] = {}
        self._num_batches = 0
        self._wakeup: float | None = None

    def open(self, stream: str, qos: QosSpec, now: float) -> None:
        """The stream's requests will go to the level of its class."""
        self._streams[stream] = self._level_of[qos.class_name]

    def close(self, stream: str) -> tuple[Drop, ...]:
        """Requests of the stream are cancelled."""
        level = self._streams.pop(stream)
        leaving = [ticket for ticket in self._queues[level] if ticket.stream == stream]
        self._queues[level] = deque(t for t in self._queues[level] if t.stream != stream)
        return tuple(Drop(ticket, DropReason.CLOSED) for ticket in leaving)

    def submit(self, tickets: Iterable[Ticket], now: float) -> tuple[Drop, ...]:
        """Queue requests; a full level refuses."""
        drops = []
        for ticket in tickets:
            queue = self._queues[self._streams[ticket.stream]]
            if len(queue) >= self._max_waiting:
                drops.append(Drop(ticket, DropReason.OVERLOAD))
            else:
                queue.append(ticket)
        return tuple(drops)

    def next_batch(self, now: float) -> Decision:
        """A full batch, or one whose oldest request has waited long enough."""
        pending, drops = self._pending(now)
        self._wakeup = None
        if not pending:
            return Decision(None, drops)
        closes_at = min(ticket.arrival for ticket in pending) + self._config.max_queue_delay_s
        if len(pending) < self._config.batch_sizes[-1] and now < closes_at:
            self._wakeup = closes_at
            return Decision(None, drops)
        for ticket in pending:
            self._queues[self._streams[ticket.stream]].popleft()
        self._num_batches += 1
        return Decision(Batch(self._num_batches, tuple(pending), now), drops)

    def next_wakeup(self) -> float | None:
        """When the queue delay of the oldest request has passed."""
        return self._wakeup

    def complete(self, batch: Batch, now: float) -> None:
        """Nothing is learned from a finished batch."""

    def _pending(self, now: float) -> tuple[list[Ticket], tuple[Drop, ...]]:
        """The requests that come next, and those before them that are rejected as timed out."""
        pending: list[Ticket] = []
        drops: list[Drop] = []
        for queue in self._queues:
            position = 0
            while position < len(queue) and len(pending) < self._config.batch_sizes[-1]:
                if queue[position].deadline < now:
                    drops.append(Drop(queue[position], DropReason.DEADLINE))
                    del queue[position]
                else:
                    pending.append(queue[position])
                    position += 1
        return pending, tuple(drops)


def dynamic_batching(config: SchedulerConfig, max_waiting: int) -> DynamicBatching:
    """Triton as it is by default: one level, so the class decides only the time-out."""
    return DynamicBatching(config, max_waiting, _ONE_LEVEL)


def strict_priority(config: SchedulerConfig, max_waiting: int) -> DynamicBatching:
    """Triton with ``priority_levels: 4``, a level a class: the strongest strict priority there is.

    Time-outs keep stale frames from clogging its levels, which plain priority queues suffer from.
    """
    return DynamicBatching(config, max_waiting, _LEVELS)


class RoundRobin:
    """DeepStream's ``nvstreammux`` (the new one): sources in turn, in the order of ``priority``.

    As in ``BatchPolicy::form_batch`` of its sources: the sources are a ring ordered by priority,
    each gives at most one frame a batch (``max-same-source-frames=1``), and the next batch goes on
    where the last one stopped. So priority says who is visited before whom, not how often. A batch
    closes when it is full, when every source has given a frame (``adaptive-batching``), or after a
    push time-out. Before each source stands the queue that its users put there: ``leaky`` with room
    for one frame, which keeps the newest. There are no deadlines.

    Args:
        config: Engine, and the queue delay as push time-out.
    """

    def __init__(self, config: SchedulerConfig) -> None:
        self._config = config
        self._ring: list[tuple[int, str]] = []
        self._position = 0
        self._waiting: dict[str, Ticket] = {}
        self._num_batches = 0
        self._wakeup: float | None = None

    def open(self, stream: str, qos: QosSpec, now: float) -> None:
        """A source joins the ring behind those of its priority."""
        self._ring.append((_LEVELS[qos.class_name], stream))
        self._ring.sort(key=lambda entry: entry[0])

    def close(self, stream: str) -> tuple[Drop, ...]:
        """A source leaves the ring."""
        self._ring = [entry for entry in self._ring if entry[1] != stream]
        ticket = self._waiting.pop(stream, None)
        return (Drop(ticket, DropReason.CLOSED),) if ticket else ()

    def submit(self, tickets: Iterable[Ticket], now: float) -> tuple[Drop, ...]:
        """Each source's leaky queue keeps its newest frame."""
        drops = []
        for ticket in tickets:
            older = self._waiting.pop(ticket.stream, None)
            self._waiting[ticket.stream] = ticket
            if older is not None:
                drops.append(Drop(older, DropReason.SUPERSEDED))
        return tuple(drops)

    def next_batch(self, now: float) -> Decision:
        """Go round from where the last batch stopped."""
        self._wakeup = None
        if not self._waiting:
            return Decision(None)
        most = min(self._config.batch_sizes[-1], len(self._ring))
        closes_at = min(t.arrival for t in self._waiting.values()) + self._config.max_queue_delay_s
        if len(self._waiting) < most and now < closes_at:
            self._wakeup = closes_at
            return Decision(None)
        return Decision(self._fill(min(most, len(self._waiting)), now))

    def next_wakeup(self) -> float | None:
        """When the push time-out of the oldest frame has passed."""
        return self._wakeup

    def complete(self, batch: Batch, now: float) -> None:
        """Nothing is learned from a finished batch."""

    def _fill(self, size: int, now: float) -> Batch:
        tickets: list[Ticket] = []
        while len(tickets) < size:
            self._position %= len(self._ring)
            ticket = self._waiting.pop(self._ring[self._position][1], None)
            self._position += 1
            if ticket is not None:
                tickets.append(ticket)
        self._num_batches += 1
        return Batch(self._num_batches, tuple(tickets), now)
