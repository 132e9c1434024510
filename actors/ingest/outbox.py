"""The slots and tickets of one ingest actor: what is free, being filled, waiting, at the engine.

Every frame of the actor is booked here, under one lock, into exactly one column of its ledger row.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from actors.ingest.lane import Entry, Lane
from actors.ingest.slot_use import Slot, SlotUse
from actors.ingest.steps import Steps
from actors.ingest.waiting_room import WaitingRoom
from actors.messages import DropReason, PoolLease, Release, StreamQos, Ticket
from actors.pools import Pool

_PATIENCE_S = 0.024
"""So long do nearly all frames wait at the engine at most."""


@dataclass(frozen=True, slots=True)
class Batch:
    """All that waited for the next call to the engine; see SubmitRequest."""

    tickets: tuple[Ticket, ...]
    opened: tuple[StreamQos, ...]
    closed: tuple[str, ...]
    num_given_up: int
    num_left: int = 0
    """Frames that wait for a later call."""


class Outbox:
    """Between the camera threads, which fill slots, and the feeder, which sends the tickets.

    Args:
        max_waiting: Frames of a stream that may wait for the next call; see WaitingRoom.

    Attributes:
        steps: What the engine takes from streams, on the way back to the cameras.
    """

    def __init__(self, max_waiting: int = 1) -> None:
        self.steps = Steps()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._pool: Pool | None = None
        self._leased = range(0)
        self._free: list[int] = []
        self._held: dict[int, Lane] = {}
        self._waiting: WaitingRoom[Entry] = WaitingRoom(max_waiting)
        self._max_waiting = max_waiting
        self._sent_at: dict[str, float] = {}
        self._outstanding: dict[int, Entry] = {}
        self._streams: dict[str, StreamQos] = {}
        self._news: dict[str, StreamQos | None] = {}
        self._num_given_up = 0
        self._is_resting = False
        self._is_ending = False

    # Camera threads

    def count_dropped(self, lane: Lane, reason: DropReason) -> None:
        """A decoded frame ends here."""
        with self._lock:
            if not lane.is_closed:
                lane.row.count_decoded()
                lane.row.count_dropped(reason)

    def count_decode_errors(self, lane: Lane, num: int) -> None:
        """The decoder refused packets."""
        with self._lock:
            for _ in range(0 if lane.is_closed else num):
                lane.row.count_decode_error()

    def count_skipped(self, lane: Lane) -> None:
        """A packet was not decoded."""
        with self._lock:
            if not lane.is_closed:
                lane.row.count_skipped()

    def take_slot(self, lane: Lane) -> Slot | None:
        """A slot for a decoded frame; it must come back through ``put`` or ``give_back``.

        Where none is free the stream's oldest waiting frame makes room; without one the frame is
        booked as ``overload`` and None returned. A closed lane gets None and books nothing.
        """
        with self._lock:
            if lane.is_closed:
                return None
            lane.row.count_decoded()
            if not self._free:
                self._give_up(self._waiting.pop(lane.stream))
            if not self._free or self._pool is None:
                self._num_given_up += 1
                lane.row.count_dropped(DropReason.OVERLOAD)
                return None
            number = self._free.pop()
            self._held[number] = lane
            return Slot(self._pool, number)

    def put(self, lane: Lane, slot: Slot, ticket: Ticket) -> None:
        """The slot is filled; frames of the stream that still wait may be superseded."""
        with self._lock:
            if not self._unhold(slot):
                lane.row.count_dropped(DropReason.LOST)
                return
            if lane.is_closed:
                self._free.append(slot.number)
                lane.row.count_dropped(DropReason.CLOSED)
                return
            if self._is_resting:
                self._changed.notify_all()
            pushed_out = self._waiting.put(lane.stream, Entry(ticket, lane))
            if pushed_out is not None:
                self._give_up(pushed_out)

    def give_back(self, lane: Lane, slot: Slot, reason: DropReason) -> None:
        """The slot could not be filled."""
        with self._lock:
            lane.row.count_dropped(reason)
            if self._unhold(slot):
                self._free.append(slot.number)

    def close_lane(self, lane: Lane) -> None:
        """Take nothing more from a session; what it has put stays."""
        with self._lock:
            lane.is_closed = True

    # Streams

    def open_stream(self, qos: StreamQos) -> None:
        """Tell the engine of a stream, or of its new quality of service, with the next call."""
        with self._lock:
            self._streams[qos.stream] = self._news[qos.stream] = qos
            self._changed.notify_all()

    def close_stream(self, stream: str) -> None:
        """Drop the stream's waiting frames and tell the engine, with the next call."""
        with self._lock:
            while (entry := self._waiting.pop(stream)) is not None:
                self._withdraw(entry, DropReason.CLOSED)
            self.steps.forget(stream)
            self._sent_at.pop(stream, None)
            if self._streams.pop(stream, None) is not None:
                self._news[stream] = None
            self._changed.notify_all()

    def drain(self, stream: str, timeout_s: float) -> None:
        """Wait until all frames of a closed stream have ended.

        Those that the engine still has after the time-out are booked as ``closed``; their slots
        come back when it releases them.
        """
        with self._lock:
            self._changed.wait_for(lambda: not self._has_frames(stream), timeout_s)
            for entry in self._outstanding.values():
                if _is_of(entry.lane, stream):
                    entry.drop(DropReason.CLOSED)

    # The feeder

    def wait(self, idle_s: float, poll_s: float) -> None:
        """Sleep until there is news to send, or for so long.

        Args:
            idle_s: Longest sleep when nothing is at the engine.
            poll_s: Longest sleep when something is.
        """
        with self._lock:
            if not self._waiting and not self._news and not self._is_ending:
                self._is_resting = True
                self._changed.wait(poll_s if self._outstanding else idle_s)
                self._is_resting = False

    def end(self) -> None:
        """Let no ``wait`` last any longer."""
        with self._lock:
            self._is_ending = True
            self._changed.notify_all()

    def collect(self, now: float) -> Batch:
        """Take the first frame of each stream; the tickets are outstanding from now on.

        Where more may wait, a frame does not follow the one before it at once, unless that has come
        back: the engine might give it up for the newer one.

        Args:
            now: Monotonic, seconds.
        """
        with self._lock:
            entries = self._waiting.pop_each(but=self._patient(now))
            self._sent_at.update((entry.ticket.stream, now) for entry in entries)
            self._outstanding.update((entry.ticket.slot, entry) for entry in entries)
            batch = Batch(
                tickets=tuple(entry.ticket for entry in entries),
                opened=tuple(qos for qos in self._news.values() if qos is not None),
                closed=tuple(stream for stream, qos in self._news.items() if qos is None),
                num_given_up=self._num_given_up,
                num_left=len(self._waiting),
            )
            self._num_given_up = 0
            self._news.clear()
            return batch

    def settle(self, releases: Iterable[Release]) -> None:
        """Book what became of frames at the engine, and free their slots."""
        with self._lock:
            for release in releases:
                entry = self._outstanding.get(release.slot)
                if entry is not None:
                    entry.finish(release)
                    del self._outstanding[release.slot]
                    self._free.append(release.slot)
            self._changed.notify_all()

    def adopt(self, pool: Pool, lease: PoolLease) -> None:
        """Work with a new lease, and tell the engine of all streams anew.

        What was outstanding or waiting under the lease before is lost. A slot that is just being
        filled stays held where the pool is the same one.
        """
        with self._lock:
            self._lose_frames()
            if pool is not self._pool:
                self._held.clear()
            self._pool, self._leased = pool, lease.slots
            self._free = [number for number in reversed(lease.slots) if number not in self._held]
            self._news = {**dict.fromkeys(self._news), **self._streams}
            self._num_given_up = 0
            self._changed.notify_all()

    def lose_all(self) -> None:
        """The engine is gone: book what it had as lost, and take nothing until the next lease."""
        with self._lock:
            self._lose_frames()
            self.steps.clear()
            self._free.clear()
            self._leased = range(0)
            self._changed.notify_all()

    def slot_use(self) -> SlotUse:
        """Where each slot is at this moment."""
        with self._lock:
            return SlotUse(
                frozenset(self._free),
                frozenset(self._held),
                frozenset(entry.ticket.slot for entry in self._waiting),
                frozenset(self._outstanding),
            )

    # Under the lock

    def _patient(self, now: float) -> set[str]:
        """The streams whose frames wait for the one before."""
        if self._max_waiting == 1:
            return set()
        latest = now - _PATIENCE_S
        patient = {s for s in self._waiting.streams() if self._sent_at.get(s, latest) > latest}
        if patient:
            patient &= {entry.ticket.stream for entry in self._outstanding.values()}
        return patient

    def _give_up(self, entry: Entry | None) -> None:
        """A newer frame takes its place."""
        if entry is not None:
            self._num_given_up += 1
            self._withdraw(entry, DropReason.SUPERSEDED)

    def _withdraw(self, entry: Entry, reason: DropReason) -> None:
        entry.drop(reason)
        self._free.append(entry.ticket.slot)

    def _unhold(self, slot: Slot) -> bool:
        """Whether the slot is still of use: its pool and its place in the lease still stand."""
        if slot.pool is not self._pool:
            return False
        if self._held.pop(slot.number).is_closed:
            self._changed.notify_all()  # somebody may wait for its frames to end
        return slot.number in self._leased

    def _lose_frames(self) -> None:
        for entry in (*self._waiting, *self._outstanding.values()):
            entry.drop(DropReason.LOST)
        self._waiting.clear()
        self._outstanding.clear()

    def _has_frames(self, stream: str) -> bool:
        return any(_is_of(lane, stream) for lane in self._held.values()) or any(
            _is_of(entry.lane, stream) for entry in self._outstanding.values()
        )


def _is_of(lane: Lane, stream: str) -> bool:
    # A stream may have been opened again meanwhile; its new lane is nothing to wait for.
    return lane.is_closed and lane.stream == stream
