"""A slot on paper: its keeper, leases and placement are real, its actors do nothing.

Registry and leases go by the clock of the server, so slots on paper live in real time, and each has
its turn as often as a real one. Only where all of them work at once, which here they do one after
the other, time is virtual (``Host.round``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from actors.analytics.stream_state import StateChange
from actors.ledger import Ledger
from cluster.placement import Axes
from cluster.registry import Registry
from cluster.slot.child import Child
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holding, Holdings
from cluster.slot.keeper import StreamKeeper
from cluster.slot.role import Role
from cluster.slot.surroundings import look_after_s
from cluster.slot.worker import PLACE_AT_MOST_EVERY_S, PLACE_EVERY_S

CAPACITY = Axes(infer_fps=4_200.0, decode_mpx_s=9_900.0)
"""What one H200 was measured to do: 140 cameras of 1080p30."""

MAX_STREAMS = 256
STATE = bytes(4096)
"""What a stream takes along when it moves: as large as that of a camera with a few rules."""


@dataclass(frozen=True, slots=True)
class Note:
    """A stream was opened or closed by a slot.

    Attributes:
        at: ``time.monotonic()``, seconds: the same clock in all processes of the machine.
        slot: Who.
        stream: Which.
        token: Of the lease.
        is_open: Whether it was opened.
        has_state: Whether it came with what its last owner knew.
    """

    at: float
    slot: str
    stream: str
    token: int
    is_open: bool
    has_state: bool = False


class PaperCrew(Crew):
    """Actors that open and close cameras at once, and note it.

    Args:
        slot: The slot's name.
        note: Gets what happens.
    """

    def __init__(self, slot: str, note: Callable[[Note], None]) -> None:
        self._slot = slot
        self._note = note
        self._engines = Role([Child("engine", None, lambda _: None)])
        self._shards = self._ingests = Role([])

    def open(self, holding: Holding, state: bytes = b"") -> None:
        """Note the beginning of a stream."""
        self._write(holding, is_open=True, has_state=bool(state))

    def update(self, holding: Holding) -> None:
        """A changed spec changes nothing here."""

    def close_camera(self, stream: str, holding: Holding) -> Any:
        """Note the end of a stream."""
        self._write(holding, is_open=False)
        return stream

    def close_rules(self, stream: str, holding: Holding) -> None:
        """There are none."""

    def export_rules(self, stream: str, holding: Holding) -> Any:
        """What goes along is always the same."""
        return stream

    def exported(self, reference: Any) -> bytes:
        """As many bytes as a camera with a few rules takes along."""
        return STATE

    def ended(self, references: Sequence[Any]) -> list[Any]:
        """Everything ends at once."""
        return list(references)

    def report_states(self, changes: Sequence[StateChange]) -> list[StateChange]:
        """Nobody is told."""
        return list(changes)

    def _write(self, holding: Holding, *, is_open: bool, has_state: bool = False) -> None:
        stream, token = holding.assignment.spec.id, holding.token
        self._note(Note(time.monotonic(), self._slot, stream, token, is_open, has_state))


class PaperSlot:
    """Does what a slot's loop does, a turn at a time.

    Args:
        name: Unique among slots.
        registry: Shared by the slots of a process.
        ttl_s: Life of a lease.
        publish_every_s: How often the status of its streams is written.
        note: Gets what happens.
    """

    def __init__(
        self,
        name: str,
        registry: Registry,
        ttl_s: float,
        publish_every_s: float,
        note: Callable[[Note], None],
    ) -> None:
        self.name = name
        self.is_draining = False
        self._publish_every_s = publish_every_s
        self._due: dict[str, float] = {"place": 0.0}
        self._placed_at = 0.0
        self._registry = registry
        self._ledger = Ledger.create(MAX_STREAMS, name=f"{name}-ledger")
        self._ledger.unlink()
        self._holdings = Holdings(MAX_STREAMS, 1)
        self._keeper = StreamKeeper(
            name,
            registry,
            PaperCrew(name, note),
            self._ledger,
            self._holdings,
            max_streams=MAX_STREAMS,
            ttl_ms=round(ttl_s * 1e3),
        )

    @property
    def num_streams(self) -> int:
        """Streams that it holds."""
        return len(self._holdings)

    def live(self, ttl_s: float) -> None:
        """Hold leases for so long from now on."""
        self._keeper.ttl_ms = round(ttl_s * 1e3)
        self._due["renew"] = 0.0

    def turn(self, now: float) -> float:
        """Do what is due; returns when the next turn is. ``now`` in seconds, never going back."""
        if self._is_due("renew", now, self._keeper.ttl_ms / 3e3):
            self._keeper.renew()
        self._keeper.finish_closing()
        if self._is_due("place", now, PLACE_EVERY_S):
            self._placed_at = now
            if self.is_draining:
                self._keeper.drain(CAPACITY)
                self._due["place"] = now + PLACE_AT_MOST_EVERY_S
            else:
                more_s = self._keeper.place(CAPACITY)
                if more_s is not None:
                    self._due["place"] = now + max(PLACE_AT_MOST_EVERY_S, more_s)
        self._keeper.finish_closing()
        if self._is_due("publish", now, self._publish_every_s):
            self._keeper.publish(now)
        return min(self._due.values())

    def hurry(self) -> None:
        """Look for streams with the next turn."""
        self._due["place"] = 0.0

    def wake(self, changed: Collection[str], now: float) -> float:
        """Take a wake-up call; returns when the next turn is."""
        after_s = look_after_s(self.name, changed, self._keeper.num_others)
        if after_s is not None:
            due = max(now, self._placed_at + after_s)
            self._due["place"] = min(self._due["place"], due)
        return min(self._due.values())

    def leave(self) -> None:
        """End: it holds nothing any more."""
        self._keeper.abandon()
        self._registry.slots.remove(self.name)

    def _is_due(self, what: str, now: float, every_s: float) -> bool:
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every_s
        return True


def names(first: int, num: int) -> Iterable[str]:
    """Names of slots."""
    return (f"paper-{number:04d}" for number in range(first, first + num))
