"""Who is next: classes share by weight, streams of a class alike, and floors are kept.

Start-time fair queueing (Goyal, Vin, Cheng 1996) at two levels. Each class and each stream has a
virtual time that advances by 1 / weight with each frame served; the one furthest behind is next.

To that four things are added.

- A class that is within its share goes before all others, the most important one first (rate-
  controlled static priority, Zhang, Ferrari 1993). What its share is a token bucket says: of each
  frame served, whose ever it is, a class earns its weight's part; it saves up two frames a stream.
- Streams of a class that are within one frame of each other are equally entitled: the earliest
  deadline goes first.
- Shares are for overload. As long as everything that waited was taken within the last 0.2 s, frames
  go in the order of arrival, so that nobody pays for a class without need; but ``critical`` still
  goes first, unless all that waits is done within 40 ms.
- Floors are kept: see ``FloorQueue``.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from operator import itemgetter

from actors.inference.floors import FloorQueue
from actors.inference.lazy_heap import LazyHeap
from actors.inference.waiting import LONGEST_FLOOR_S, WaitingStream
from actors.specs import CLASS_DEFAULTS, QosClass, QosSpec

_ALL_WEIGHTS = sum(defaults.weight for defaults in CLASS_DEFAULTS.values())
_FRAMES_AHEAD = 4.0
_OVERLOADED_AFTER_S = 0.2
_SHORT_S = 0.04
_CATCH_UP_S = 1.0
_FIRST = itemgetter(0)
_NO_LIMIT = float("inf")


@dataclass(slots=True)
class _ClassQueue:
    name: QosClass
    weight: float
    virtual_time: float = 0.0
    clock: float = 0.0
    num_streams: int = 0
    tokens: float = 0.0
    refilled_at: int = 0
    heap: LazyHeap[WaitingStream] = field(default_factory=LazyHeap)

    @property
    def depth(self) -> float:
        """How many frames it may be behind its share, or ahead of it."""
        return 2.0 * self.num_streams

    def refill(self, num_picked: int) -> float:
        """Its tokens when so many frames of all classes were picked."""
        earned = (num_picked - self.refilled_at) * self.weight / _ALL_WEIGHTS
        tokens, most = self.tokens + earned, self.depth
        self.tokens = tokens = tokens if tokens < most else most
        self.refilled_at = num_picked
        return tokens

    def charge(self, most: float, num: int = 1) -> None:
        """It has had so many frames more; its virtual time comes to ``most`` at most."""
        tokens, least = self.tokens - num, -self.depth
        self.tokens = tokens if tokens > least else least
        time = self.virtual_time
        later, most = time + num / self.weight, most if most > time else time
        self.virtual_time = later if later < most else most


class FairQueue:
    """Streams with a frame that can be taken, in the order in which the engine should take them."""

    def __init__(self) -> None:
        self._classes = {name: _ClassQueue(name, d.weight) for name, d in CLASS_DEFAULTS.items()}
        self._floors = FloorQueue()
        self._floors_fps = 0.0
        self._clock = 0.0
        self._num_waiting = 0
        self._empty_at = 0.0
        self._capacity_fps = 0.0
        self._num_picked = 0

    def __len__(self) -> int:
        return self._num_waiting

    def reserve(self, capacity_fps: float) -> None:
        """Tell the floors what the engine can do, frames a second; 0 where not known."""
        self._capacity_fps = capacity_fps
        self._floors.reserve(self._floors_fps, capacity_fps)

    def join(self, stream: WaitingStream, qos: QosSpec, now: float) -> None:
        """A stream that is in no class comes into the one that its quality of service names."""
        values = qos.resolved()
        queue = self._classes[qos.class_name]
        is_same = stream.qos_class is qos.class_name
        stream.qos_class = qos.class_name
        stream.weight = values.weight / queue.weight
        stream.deadline_s = values.deadline_ms / 1e3
        stream.floor_s = min(LONGEST_FLOOR_S, 1.0 / max(values.min_fps, 1e-9))
        stream.due = min(stream.due, now + stream.floor_s)
        # Virtual times of two classes have nothing to do with each other, nor those of two weights.
        most = queue.clock + 1.0 / stream.weight
        stream.virtual_time = min(stream.virtual_time, most) if is_same else queue.clock
        queue.num_streams += 1
        self._floors_fps += stream.min_fps

    def quit(self, stream: WaitingStream) -> None:
        """A stream that does not wait leaves its class."""
        self._classes[stream.qos_class].num_streams -= 1
        self._floors_fps -= stream.min_fps

    def entitle(self, stream: WaitingStream) -> None:
        """A frame of the stream came after a time without: little unused share is saved up."""
        queue = self._classes[stream.qos_class]
        if queue.virtual_time < self._clock:
            queue.virtual_time = self._clock
        if stream.virtual_time < queue.clock - 1.0:
            stream.virtual_time = queue.clock - 1.0

    def enter(self, stream: WaitingStream, now: float) -> None:
        """The stream's waiting frame can be taken."""
        if not self._num_waiting:
            self._begin_anew(now)
        self._num_waiting += 1
        self._floors.enter(stream)
        self.renew(stream)

    def renew(self, stream: WaitingStream) -> None:
        """Another frame of the stream waits in the same place."""
        if stream.ticket is None:
            raise ValueError(f"{stream.stream} has no frame that waits")
        heap = self._classes[stream.qos_class].heap
        heap.put(stream, (stream.virtual_time // 1.0, stream.ticket.deadline))

    def leave(self, stream: WaitingStream) -> None:
        """The stream's frame cannot be taken any more."""
        self._num_waiting -= 1
        self._classes[stream.qos_class].heap.remove(stream)
        self._floors.leave(stream)

    def take(self, num: int, now: float) -> list[WaitingStream]:
        """Take the next ``num`` streams and charge each for one frame.

        Raises:
            ValueError: if fewer wait.
        """
        if num > self._num_waiting:
            raise ValueError(f"{num} frames were asked for, {self._num_waiting} wait")
        if num == self._num_waiting:
            return self._take_all(now)
        if not self.is_overloaded(now) and self._is_short() and self._floors.is_kept(now):
            return self._take_oldest(num, now)
        return [self._take_next(now) for _ in range(num)]

    def _take_oldest(self, num: int, now: float) -> list[WaitingStream]:
        """As ``_take_next`` so many times, where nobody goes first: for half of the cost."""
        queues = list(self._classes.values())
        fronts = [
            (first.ticket.arrival, at)
            for at, queue in enumerate(queues)
            if (first := queue.heap.first()) is not None and first.ticket is not None
        ]
        heapq.heapify(fronts)
        taken = []
        for _ in range(num):
            at = fronts[0][1]
            queue = queues[at]
            taken.append(stream := self._charge_share(queue, queue.heap.pop()))
            self._floors.leave(stream)
            self._num_picked += 1
            _put_off(stream, now)
            first = queue.heap.first()
            if first is None or first.ticket is None:
                heapq.heappop(fronts)
            else:
                heapq.heapreplace(fronts, (first.ticket.arrival, at))
        self._num_waiting -= num
        return taken

    def _take_next(self, now: float) -> WaitingStream:
        queue = self._next_class(now)
        stream = self._floors.pick(now, is_within_share=self._has_tokens(queue))
        if stream is not None:
            self._charge_floor(stream)
        else:
            stream = self._charge_share(queue, queue.heap.first())
        self.leave(stream)
        self._num_picked += 1
        _put_off(stream, now)
        return stream

    def _take_all(self, now: float) -> list[WaitingStream]:
        """In the order of arrival, for a third of the cost.

        Where nobody is left behind, neither shares nor floors prefer anybody.
        """
        taken: list[tuple[float, WaitingStream]] = []
        for queue in self._classes.values():
            queue.refill(self._num_picked)
            streams = queue.heap.clear()
            queue.charge(_NO_LIMIT, len(streams))
            for stream in streams:
                if stream.ticket is not None:
                    taken.append((stream.ticket.arrival, stream))
                queue.clock = max(queue.clock, stream.virtual_time)
                stream.virtual_time += 1.0 / stream.weight
                _put_off(stream, now)
        self._floors.clear()
        self._num_picked += len(taken)
        self._num_waiting = 0
        taken.sort(key=_FIRST)
        return [stream for _, stream in taken]

    def is_entitled(self, stream: WaitingStream, now: float) -> bool:
        """Whether the stream's class has had much less than its share, or its floor is due."""
        queue = self._classes[stream.qos_class]
        return queue.refill(self._num_picked) >= max(1.0, queue.depth / 2.0) or stream.due <= now

    def is_overloaded(self, now: float) -> bool:
        """Whether something has waited all the time for so long that shares count."""
        return now - self._empty_at >= _OVERLOADED_AFTER_S

    def _has_tokens(self, queue: _ClassQueue) -> bool:
        """Whether the class may have a frame more and is still within its share."""
        return queue.refill(self._num_picked) >= 1.0

    def _begin_anew(self, now: float) -> None:
        """All that waited was taken: nobody has had too little, or too much."""
        self._empty_at = now
        self._clock = max(self._clock, *(queue.virtual_time for queue in self._classes.values()))
        for queue in self._classes.values():
            queue.virtual_time = self._clock

    def _next_class(self, now: float) -> _ClassQueue:
        queue = self._by_share() if self.is_overloaded(now) else self._by_arrival()
        if queue is None:
            raise ValueError(f"{self._num_waiting} frames wait, and none in any class")
        return queue

    def _is_short(self) -> bool:
        """Whether all that waits is soon done."""
        return self._num_waiting <= self._capacity_fps * _SHORT_S

    def _by_share(self) -> _ClassQueue | None:
        chosen = None
        for queue in self._classes.values():
            if not queue.heap:
                continue
            if self._has_tokens(queue):
                return queue
            if chosen is None or queue.virtual_time < chosen.virtual_time:
                chosen = queue
        return chosen

    def _by_arrival(self) -> _ClassQueue | None:
        critical = self._classes[QosClass.CRITICAL]
        if critical.heap and not self._is_short() and critical.tokens > -critical.depth:
            return critical
        chosen, oldest = None, float("inf")
        for queue in self._classes.values():
            first = queue.heap.first()
            if first is not None and first.ticket is not None and first.ticket.arrival < oldest:
                chosen, oldest = queue, first.ticket.arrival
        return chosen

    def _charge_share(self, queue: _ClassQueue, stream: WaitingStream | None) -> WaitingStream:
        if stream is None:
            raise ValueError(f"no stream of class {queue.name.value} waits")
        if not self._has_tokens(queue) and self._clock < queue.virtual_time:
            self._clock = queue.virtual_time
        if queue.clock < stream.virtual_time:
            queue.clock = stream.virtual_time
        queue.charge(_NO_LIMIT)
        stream.virtual_time += 1.0 / stream.weight
        return stream

    def _charge_floor(self, stream: WaitingStream) -> None:
        """Floors count towards the share, but what exceeds it is no debt for ever."""
        queue = self._classes[stream.qos_class]
        queue.charge(self._clock + queue.depth / queue.weight)
        most = max(stream.virtual_time, queue.clock + _FRAMES_AHEAD / stream.weight)
        stream.virtual_time = min(stream.virtual_time + 1.0 / stream.weight, most)


def _put_off(stream: WaitingStream, now: float) -> None:
    """A frame of the stream is taken; what came late is caught up, a second of it."""
    next_due, latest = stream.due + stream.floor_s, now + stream.floor_s
    # Written out: this is done for every frame.
    due = next_due if next_due > now - _CATCH_UP_S else now - _CATCH_UP_S
    stream.due = due if due < latest else latest
