"""The batch scheduler: which tickets make the next batch, and when. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Iterable

from actors.inference.cost import CostEstimate
from actors.inference.deadlines import Deadlines, latest_start
from actors.inference.load import EngineLoad
from actors.inference.policy import Batch, Decision, Drop, SchedulerConfig
from actors.inference.punctuality import Punctuality
from actors.inference.sharing import FairQueue
from actors.inference.snapshot import SchedulerSnapshot, Tally, stream_snapshot
from actors.inference.waiting import WaitingStream
from actors.inference.window import BatchWindow, Cadence
from actors.messages import DropReason, Ticket
from actors.specs import QosSpec


class Scheduler:
    """Batches the newest frame of each stream by deadline, class weight and floor.

    Out of overload a frame that waits is not given up for the next one of its stream, which waits
    behind it, unless that comes at less than half of the usual time after it.

    Bound for ``critical``: while its frames come at less than 8/15 of those that the engine does,
    and at most two a stream at once, each is in the first batch that is taken after it came, so it
    waits for one batch in flight and for the window. Three things can come before it: other frames
    of ``critical`` that fill the batch; its own stream's frame before it, while that is in flight;
    and floors, where these have had to leave a quarter of a second's work to others. Out of
    overload it may also wait its turn, where all that waits is done within 40 ms.

    Bound for all: a stream whose frames wait is picked when its floor is due, after a minute where
    it has none, or after that within as many frames as the engine does in half a second and four
    for each stream of its class by the class's part of the weights.
    """

    def __init__(self, config: SchedulerConfig) -> None:
        self._queue = FairQueue()
        self._load = EngineLoad()
        self._tally = Tally()
        self._streams: dict[str, WaitingStream] = {}
        self._deadlines = Deadlines()
        self._punctuality = Punctuality()
        self._in_flight: dict[int, Batch] = {}
        self._num_batches = 0
        self._waits_since: float | None = None
        self._now = 0.0
        self.configure(config)

    def configure(self, config: SchedulerConfig) -> None:
        """Schedule for another engine from now on; its costs are learned anew."""
        self._config = config
        self._cost = CostEstimate(config.batch_sizes)
        self._punctuality.forget()
        self._window = BatchWindow(config.max_queue_delay_s)
        self._learn_after = self._num_batches
        for stream in self._streams.values():
            stream.cadence = Cadence()
        self._limit_batches()

    def open(self, stream: str, qos: QosSpec, now: float) -> None:
        """A stream enters, or its quality of service changes; its waiting frame stays."""
        known = self._streams.get(stream)
        if known is None:
            known = self._streams[stream] = WaitingStream(stream, qos.class_name)
            known.is_in_flight = self._has_in_flight(stream)
            self._join(known, qos, now)
            return
        can_be_taken = known.ticket is not None and not known.is_in_flight
        if can_be_taken:
            self._queue.leave(known)
        self._quit(known)
        self._join(known, qos, now)
        if can_be_taken:
            self._queue.entitle(known)
            self._queue.enter(known, now)

    def close(self, stream: str) -> tuple[Drop, ...]:
        """A stream leaves; what waits of it is dropped as ``closed``."""
        known = self._streams.pop(stream, None)
        if known is None:
            return ()
        drops = tuple(self._drop(known, DropReason.CLOSED) for _ in range(known.num_waiting))
        self._window.forget(known.cadence)
        self._quit(known)
        return drops

    def submit(self, tickets: Iterable[Ticket], now: float) -> tuple[Drop, ...]:
        """Bring tickets; in overload what waits of their streams is superseded by them."""
        self._now = max(self._now, now)
        drops: list[Drop] = []
        for ticket in tickets:
            drops += self._admit(ticket, now)
        return tuple(drops)

    def next_batch(self, now: float) -> Decision:
        """Close a batch if one is due, and give up the frames that can no longer be on time."""
        self._now = max(self._now, now)
        drops = self._expire(now)
        num_waiting = len(self._queue)
        if num_waiting and now < self._closes_at(num_waiting, now):
            if self._waits_since is None:
                self._waits_since = now
            return Decision(None, tuple(drops))
        self._waits_since = None
        size = self._size(now, drops)
        return Decision(self._fill(size, now) if size else None, tuple(drops))

    def next_wakeup(self) -> float | None:
        """When ``next_batch`` could decide otherwise by itself; None where nothing waits."""
        if not self._deadlines:
            return None
        late_at = self._deadlines.latest_start(self._lasts_s(1))
        num_waiting = len(self._queue)
        return min(late_at, self._closes_at(num_waiting, self._now)) if num_waiting else late_at

    def complete(self, batch: Batch, now: float) -> None:
        """The engine has finished a batch, not always the oldest; what it took is learned."""
        if self._in_flight.pop(batch.number, None) is None:
            return
        self._now = max(self._now, now)
        charged_s = self._load.ended(batch.number, now)
        if batch.number > self._learn_after:
            self._cost.learn(len(batch.tickets), charged_s, now - batch.taken_at)
            self._queue.reserve(self._cost.capacity_fps)
        for ticket in batch.tickets:
            stream = self._streams.get(ticket.stream)
            if stream is not None:
                self._tally.inferred(stream, ticket, now)
                self._punctuality.learn(stream, ticket, now)
                self._release(stream, now)

    @property
    def is_backlogged(self) -> bool:
        """Whether two full batches wait already."""
        return len(self._queue) >= 2 * self._config.batch_sizes[-1]

    def snapshot(self, *, with_streams: bool = True) -> SchedulerSnapshot:
        """Counts, costs and streams as of the last call; see ``BatchPolicy.snapshot``."""
        shown = self._streams.items() if with_streams else ()
        streams = {name: stream_snapshot(s, self._now) for name, s in shown}
        return SchedulerSnapshot(
            num_streams=len(self._streams),
            num_waiting=sum(stream.num_waiting for stream in self._streams.values()),
            num_in_flight=sum(len(batch.tickets) for batch in self._in_flight.values()),
            num_batches=self._num_batches,
            num_batched=self._tally.num_batched,
            batch_ms=self._cost.batch_ms(),
            capacity_fps=round(self._cost.capacity_fps, 3),
            utilisation=round(self._load.utilisation(self._now), 4),
            classes=self._tally.classes(streams.values()),
            batch_counts=self._tally.batch_counts(),
            streams=streams,
        )

    def _join(self, stream: WaitingStream, qos: QosSpec, now: float) -> None:
        self._queue.join(stream, qos, now)
        self._punctuality.join(stream)
        self._limit_batches()

    def _quit(self, stream: WaitingStream) -> None:
        self._queue.quit(stream)
        self._punctuality.quit(stream)
        self._limit_batches()

    def _limit_batches(self) -> None:
        """A frame that just missed a batch must wait for it, and its own takes as long again."""
        shortest_s = self._punctuality.shortest_s
        self._cost.limit_duration((shortest_s - self._config.max_queue_delay_s) / 2.0)

    def _lasts_s(self, size: int) -> float:
        """Seconds to a batch's result, as seldom exceeded as frames with a deadline need it."""
        return self._cost.lasts_s(size) + self._punctuality.margin_s

    def _has_in_flight(self, stream: str) -> bool:
        return any(t.stream == stream for b in self._in_flight.values() for t in b.tickets)

    def _admit(self, ticket: Ticket, now: float) -> Iterable[Drop]:
        stream = self._streams.get(ticket.stream)
        if stream is None:
            return (Drop(ticket, DropReason.CLOSED),)
        if stream.ticket is None:
            self._window.arrived(stream.cadence, now)
            stream.ticket, stream.waiting_since = ticket, now
            self._wait(stream, now)
            return ()
        only_newest = self._queue.is_overloaded(now) or stream.cadence.is_early(now)
        self._window.arrived(stream.cadence, now)
        pushed_out = stream.put(ticket, now, only_newest=only_newest)
        if not pushed_out:
            return ()
        self._deadlines.put(stream)
        if not stream.is_in_flight:
            self._queue.renew(stream)
        for _ in pushed_out:
            self._tally.dropped(stream)
        return [Drop(older, DropReason.SUPERSEDED) for older in pushed_out]

    def _wait(self, stream: WaitingStream, now: float) -> None:
        """A frame is now the next one of its stream."""
        self._deadlines.put(stream)
        self._queue.entitle(stream)
        if not stream.is_in_flight:
            self._queue.enter(stream, now)

    def _drop(self, stream: WaitingStream, reason: DropReason) -> Drop:
        self._deadlines.remove(stream)
        if not stream.is_in_flight:
            self._queue.leave(stream)
        self._tally.dropped(stream)
        drop = Drop(stream.take(), reason)
        if stream.ticket is not None:
            self._wait(stream, self._now)
        return drop

    def _release(self, stream: WaitingStream, now: float) -> None:
        """The stream's frame is done: its next one, if it is here already, can be taken."""
        if stream.ticket is None:
            stream.is_in_flight = False
            return
        self._deadlines.remove(stream)
        stream.is_in_flight = False
        self._deadlines.put(stream)
        self._queue.enter(stream, now)

    def _expire(self, now: float) -> list[Drop]:
        """Drop what cannot be on time even in a batch of its own that starts now."""
        drops = []
        shortest_s = self._lasts_s(1)
        while (stream := self._deadlines.late(shortest_s, now)) is not None:
            drops.append(self._drop(stream, DropReason.DEADLINE))
        return drops

    def _closes_at(self, num_waiting: int, now: float) -> float:
        """When the batch that could be made of the waiting frames must start."""
        num_more = self._cost.num_missing(num_waiting)
        if not num_more:
            return now
        since = now if self._waits_since is None else self._waits_since
        longest = since + self._config.max_queue_delay_s
        until = min(longest, self._deadlines.half_time())
        if crowd := self._window.crowd(num_waiting, now, until, self._cost.capacity_fps):
            return crowd
        arrival = self._window.arrival(num_more, now)
        latest = min(longest, self._deadlines.latest_take(self._lasts_s(num_waiting + num_more)))
        if arrival > latest or not self._cost.waiting_pays(num_waiting, num_more, arrival - now):
            return now
        return arrival

    def _size(self, now: float, drops: list[Drop]) -> int:
        """How many frames to take; 0 for none. Gives up those that the batch would make late.

        For one that is entitled to be served, because its class has had much less than its share or
        its floor is due, the batch is made as small as it must be. Where others could do that too,
        overload would shrink every batch, and with them what the engine can do.
        """
        size = self._cost.best_size(len(self._queue))
        lasts_s = self._lasts_s(size)
        while (stream := self._deadlines.late_if_taken(lasts_s, now)) is not None:
            if self._queue.is_entitled(stream, now):
                while size > 1 and latest_start(stream, self._lasts_s(size)) < now:
                    size = self._cost.fitting(size - 1)
                break
            drops.append(self._drop(stream, DropReason.DEADLINE))
        return self._cost.together(min(size, len(self._queue)))

    def _fill(self, size: int, now: float) -> Batch:
        tickets: list[Ticket] = []
        for stream in self._queue.take(size, now):
            self._deadlines.remove(stream)
            stream.is_in_flight = True
            tickets.append(stream.take())
            if stream.ticket is None:
                self._window.taken(stream.cadence, now)
            else:
                self._wait(stream, now)
        self._num_batches += 1
        self._tally.batch(size)
        batch = Batch(self._num_batches, tuple(tickets), now)
        self._in_flight[batch.number] = batch
        self._load.began(batch.number, now)
        return batch
