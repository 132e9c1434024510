"""Who is next: classes share by weight, streams of a class alike, and floors go first.

Start-time fair queueing (Goyal, Vin, Cheng 1996) at two levels. Each class and each stream has a
virtual time that advances by 1 / weight with each frame served; the one furthest behind is next.
Who comes back from idleness starts where the last one served began, so unused share goes to others
and is not saved up. A stream not served for 1 / min_fps seconds goes before all shares.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from actors.messages import Ticket
from actors.specs import CLASS_DEFAULTS, QosClass, QosSpec


@dataclass(slots=True)
class WaitingStream:
    """A stream's place in the queue; at most one ticket of it waits.

    Attributes:
        stream: Stream id.
        qos_class: The class whose share it uses.
        weight: Its share within the class, relative to the class's usual weight.
        floor_s: Longest time between two served frames, seconds; infinite without a floor.
        served_at: When its last frame was picked.
        ticket: The frame that waits, if any.
        ticket_number: Which ticket that is; entries of earlier ones in the heaps are void.
        entry: Number of its present wait, 0 while it does not wait; earlier entries are void.
    """

    stream: str
    qos_class: QosClass
    weight: float
    floor_s: float
    served_at: float
    virtual_time: float = 0.0
    ticket: Ticket | None = None
    ticket_number: int = 0
    entry: int = 0

    def apply(self, qos: QosSpec) -> None:
        """Take over a changed quality of service."""
        values = qos.resolved()
        self.qos_class = qos.class_name
        self.weight = values.weight / CLASS_DEFAULTS[qos.class_name].weight
        self.floor_s = 1.0 / values.min_fps if values.min_fps else float("inf")


@dataclass(slots=True)
class _ClassQueue:
    weight: float
    virtual_time: float = 0.0
    clock: float = 0.0
    num_waiting: int = 0
    heap: list[tuple[float, int, WaitingStream]] = field(default_factory=list)


class FairQueue:
    """Streams with a waiting frame, in the order in which the engine should take them."""

    def __init__(self) -> None:
        self._classes = {name: _ClassQueue(d.weight) for name, d in CLASS_DEFAULTS.items()}
        self._floors: list[tuple[float, int, WaitingStream]] = []
        self._clock = 0.0
        self._num_entries = 0

    def __len__(self) -> int:
        return sum(queue.num_waiting for queue in self._classes.values())

    def enter(self, stream: WaitingStream) -> None:
        """The stream's first waiting frame has come."""
        queue = self._classes[stream.qos_class]
        if queue.num_waiting == 0:
            queue.virtual_time = max(queue.virtual_time, self._clock)
        stream.virtual_time = max(stream.virtual_time, queue.clock)
        queue.num_waiting += 1
        self._num_entries += 1
        stream.entry = self._num_entries
        heapq.heappush(queue.heap, (stream.virtual_time, stream.entry, stream))
        if stream.floor_s != float("inf"):
            due = stream.served_at + stream.floor_s
            heapq.heappush(self._floors, (due, stream.entry, stream))

    def leave(self, stream: WaitingStream) -> None:
        """The stream's frame was dropped or its service changes."""
        self._classes[stream.qos_class].num_waiting -= 1
        stream.entry = 0

    def pop(self, now: float) -> WaitingStream | None:
        """Take the next stream and charge it for one frame; None where nothing waits."""
        stream = self._overdue(now) or self._by_share()
        if stream is None:
            return None
        queue = self._classes[stream.qos_class]
        self.leave(stream)
        self._clock, queue.clock = queue.virtual_time, stream.virtual_time
        queue.virtual_time += 1.0 / queue.weight
        stream.virtual_time += 1.0 / stream.weight
        stream.served_at = now
        return stream

    def _overdue(self, now: float) -> WaitingStream | None:
        while self._floors:
            due, entry, stream = self._floors[0]
            if stream.entry != entry:
                heapq.heappop(self._floors)
            elif due <= now:
                return heapq.heappop(self._floors)[2]
            else:
                return None
        return None

    def _by_share(self) -> WaitingStream | None:
        waiting = [queue for queue in self._classes.values() if queue.num_waiting]
        if not waiting:
            return None
        queue = min(waiting, key=lambda q: q.virtual_time)
        while True:
            _, entry, stream = heapq.heappop(queue.heap)
            if stream.entry == entry:
                return stream
