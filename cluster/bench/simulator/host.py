"""A process that many slots on paper share, and the way to talk to it."""

from __future__ import annotations

import heapq
import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from cluster.bench.simulator.paper import Note, PaperSlot
from cluster.registry import Registry

_CALL_TIMEOUT_S = 60.0
_LONGEST_SLEEP_S = 0.02
_LISTEN_EVERY_S = 0.01
_TTL_BEFORE_S = 600.0
"""Life of leases while time is virtual: rounds take longer here than a lease may last."""


class Host:
    """Slots in a process of their own.

    Args:
        url: Of the registry's Redis.
        ttl_s: Life of a lease.
        publish_every_s: How often each slot writes the status of its streams.
    """

    def __init__(self, url: str, ttl_s: float, publish_every_s: float) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        arguments = (theirs, url, ttl_s, publish_every_s)
        self._process = spawn.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()

    def start(self, slots: Sequence[str]) -> None:
        """Let slots join."""
        self._ask("start", list(slots))

    def round(self) -> list[float]:
        """Let each slot look for streams once; processor seconds that each took.

        Between rounds nothing happens, until ``go``.
        """
        return list(self._ask("round", None))

    def go(self) -> None:
        """Let slots live in real time from now on, with leases of the length that is simulated."""
        self._ask("go", None)

    def kill(self, slot: str) -> float:
        """Let a slot stop where it is; returns when, ``time.monotonic()``."""
        return float(self._ask("kill", slot))

    def drain(self, slot: str) -> float:
        """Tell a slot to give its streams away; returns when, ``time.monotonic()``."""
        return float(self._ask("drain", slot))

    def counts(self) -> dict[str, int]:
        """How many streams each live slot holds."""
        return dict(self._ask("counts", None))

    def notes(self) -> list[Note]:
        """What has happened since the last call, in order."""
        return list(self._ask("notes", None))

    def cpu_s(self) -> float:
        """Processor seconds that its slots took so far."""
        return float(self._ask("cpu_s", None))

    def stop(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=5.0)
        if self._process.is_alive():
            self._process.kill()

    def _ask(self, what: str, value: Any) -> Any:
        self._pipe.send((what, value))
        if not self._pipe.poll(_CALL_TIMEOUT_S):
            raise TimeoutError(f"the slots did not answer '{what}' in {_CALL_TIMEOUT_S:g} s")
        return self._pipe.recv()


class _Slots:
    """The slots of this process, and whose turn it is."""

    def __init__(self, url: str, ttl_s: float, publish_every_s: float) -> None:
        self._registry = Registry.open(url, max_streams=100_000)
        self._wake = self._registry.subscribe()
        self._listen_at = 0.0
        self._ttl_s = ttl_s
        self._publish_every_s = publish_every_s
        self._slots: dict[str, PaperSlot] = {}
        self._queue: list[tuple[float, str]] = []
        self._notes: list[Note] = []
        self._is_live = False

    def turn(self) -> float:
        """Let the next slot have its turn, if it is due; returns for how long nobody is."""
        now = time.monotonic()
        if not self._queue or not self._is_live:
            return _LONGEST_SLEEP_S
        if now >= self._listen_at:
            self._listen(now)
        due, name = self._queue[0]
        if due > now:
            return min(due - now, _LONGEST_SLEEP_S)
        heapq.heappop(self._queue)
        slot = self._slots.get(name)
        if slot is not None:
            due = slot.turn(now)
            if slot.is_draining and not slot.num_streams:
                slot.leave()
                del self._slots[name]
            else:
                heapq.heappush(self._queue, (due, name))
        return 0.0

    def start(self, slots: Sequence[str]) -> None:
        for name in slots:
            ttl_s = self._ttl_s if self._is_live else _TTL_BEFORE_S
            slot = PaperSlot(name, self._registry, ttl_s, self._publish_every_s, self._notes.append)
            self._slots[name] = slot
            heapq.heappush(self._queue, (time.monotonic(), name))

    def round(self, _: None) -> list[float]:
        spent_s = []
        for slot in self._slots.values():
            began = time.process_time()
            slot.hurry()
            slot.turn(time.monotonic())
            spent_s.append(time.process_time() - began)
        return spent_s

    def go(self, _: None) -> None:
        self._is_live = True
        for slot in self._slots.values():
            slot.live(self._ttl_s)

    def _listen(self, now: float) -> None:
        self._listen_at = now + _LISTEN_EVERY_S
        changed = self._wake.wait(0.0)
        if changed:
            self._queue = [(slot.wake(changed, now), name) for name, slot in self._slots.items()]
            heapq.heapify(self._queue)

    def kill(self, slot: str) -> float:
        del self._slots[slot]
        return time.monotonic()

    def drain(self, slot: str) -> float:
        self._slots[slot].is_draining = True
        return time.monotonic()

    def counts(self, _: None) -> dict[str, int]:
        return {name: slot.num_streams for name, slot in self._slots.items()}

    def notes(self, _: None) -> list[Note]:
        notes, self._notes[:] = list(self._notes), []
        return notes

    def cpu_s(self, _: None) -> float:
        return time.process_time()


def _serve(pipe: Connection, url: str, ttl_s: float, publish_every_s: float) -> None:
    slots = _Slots(url, ttl_s, publish_every_s)
    pause_s = 0.0
    try:
        while True:
            while pipe.poll(pause_s):
                what, value = pipe.recv()
                pipe.send(getattr(slots, what)(value))
                pause_s = 0.0
            pause_s = slots.turn()
    except (EOFError, OSError):  # whoever started us has gone
        return
