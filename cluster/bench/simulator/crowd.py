"""Slots on paper that live side by side in virtual time, one turn after another."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from cluster.bench.simulator.paper import Note, PaperSlot
from cluster.bench.simulator.virtual_server import VirtualServer
from cluster.registry import Registry

_CALL_S = 0.0002
"""A call's way to the server and back, within a data centre."""


class Crowd:
    """Slots of which each has a machine of its own, and all together one server.

    A turn lasts for the processor time that it takes here, and until the server is done with what
    it asked; the server serves one turn after another. So times do not depend on how many slots
    share this machine, and little on what else runs on it.

    Args:
        url: Of the registry's Redis.
        ttl_s: ``lease.ttl_s``.
        ends_after_s: How long the frames of a camera take to end once it closes.

    Attributes:
        now: Seconds since 1970.
        registry: On the same clock.
        slots_cpu_s: Processor time of all turns.
    """

    def __init__(self, url: str, ttl_s: float, ends_after_s: float = 0.0) -> None:
        self.now = time.time()
        self.slots_cpu_s = 0.0
        self._client: Any = VirtualServer(url, lambda: self.now)
        self.registry = Registry(self._client, max_streams=100_000)
        self._wake = self.registry.subscribe()
        self._wake.wait(1.0)  # until the server has confirmed
        self._ttl_s = ttl_s
        self._ends_after_s = ends_after_s
        self._slots: dict[str, PaperSlot] = {}
        self._busy_until: dict[str, float] = {}
        self._queue: list[tuple[float, str]] = []
        self._notes: list[Note] = []
        self._notes_of_turn: list[Note] = []
        self._server_s = self._spent_s()
        self._server_free_at = 0.0

    def start(self, slots: Sequence[str]) -> None:
        """Let slots join, one after another within a second, as they would by chance."""
        for number, name in enumerate(slots):
            self._slots[name] = PaperSlot(
                name,
                self.registry,
                self._ttl_s,
                self._notes_of_turn.append,
                self._ends_after_s,
            )
            heapq.heappush(self._queue, (self.now + number / len(slots), name))

    def run(self, for_s: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass.

        Args:
            for_s: How much at most.
            until: Asked after each turn.

        Returns:
            Whether ``until`` has come true.
        """
        end = self.now + for_s
        while self._queue and self._queue[0][0] <= end:
            self._turn()
            if until():
                return True
        self.now = end
        return False

    def publish_every(self, seconds: float) -> None:
        """Let each slot write the status of its streams so often."""
        for slot in self._slots.values():
            slot.publish_every_s = seconds

    def kill(self, slot: str, after_renewal_s: float) -> float:
        """Let a slot stop where it is, so long after it renews its leases; returns when."""
        renewed = self._slots[slot].num_renewals
        self.run(self._ttl_s, lambda: self._slots[slot].num_renewals > renewed)
        self.run(after_renewal_s)
        return self.stop(slot)

    def stop(self, slot: str) -> float:
        """Let a slot stop where it is; returns when."""
        del self._slots[slot]
        return self.now

    def drain(self, slot: str) -> float:
        """Tell a slot to give its streams away; returns when."""
        due = max(self._slots[slot].drain(self.now), self._busy_until.get(slot, 0.0))
        self._queue = [(due if name == slot else at, name) for at, name in self._queue]
        heapq.heapify(self._queue)
        return self.now

    def has(self, slot: str) -> bool:
        """Whether a slot lives."""
        return slot in self._slots

    def counts(self) -> dict[str, int]:
        """How many streams each live slot holds."""
        return {name: slot.num_streams for name, slot in self._slots.items()}

    def notes(self) -> list[Note]:
        """What has happened since the last call, in order."""
        notes, self._notes[:] = list(self._notes), []
        return notes

    def close(self) -> None:
        """End the connections."""
        self._wake.close()
        self.registry.close()

    def _turn(self) -> None:
        """The next slot's."""
        due, name = heapq.heappop(self._queue)
        slot = self._slots.get(name)
        if slot is None:
            return
        self.now = max(self.now, due)
        began_s = time.thread_time()
        next_due = slot.turn(self.now)
        own_s = time.thread_time() - began_s
        self.slots_cpu_s += own_s
        busy_until = max(self.now + own_s, self._served_at()) + _CALL_S
        self._busy_until[name] = busy_until
        self._notes += [replace(note, at=busy_until) for note in self._notes_of_turn]
        self._notes_of_turn.clear()
        if slot.is_draining and not slot.num_streams:
            slot.leave()
            del self._slots[name]
        else:
            heapq.heappush(self._queue, (max(next_due, busy_until), name))
        self._hear(busy_until)

    def _served_at(self) -> float:
        """When the server is done with what this turn asked."""
        spent_s, before_s = self._spent_s(), self._server_s
        self._server_s = spent_s
        self._server_free_at = max(self._server_free_at, self.now) + spent_s - before_s
        return self._server_free_at

    def _spent_s(self) -> float:
        info = self._client.info("cpu")
        return float(info["used_cpu_user"] + info["used_cpu_sys"])

    def _hear(self, at: float) -> None:
        changed = self._wake.wait(0.0)
        if changed:
            self._queue = [
                (max(slot.wake(changed, at), self._busy_until.get(name, 0.0)), name)
                for name, slot in self._slots.items()
            ]
            heapq.heapify(self._queue)
