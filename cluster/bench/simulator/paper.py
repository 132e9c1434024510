"""A slot on paper: its keeper, leases and placement are real, its actors do nothing."""

from __future__ import annotations

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
from cluster.slot.timetable import Timetable

CAPACITY = Axes(infer_fps=4_200.0, decode_mpx_s=9_900.0)
"""What one H200 was measured to do: 140 cameras of 1080p30."""

SELDOM_S = 10.0
"""How often statuses are written where it does not matter: nobody decides by what they say."""

MAX_STREAMS = 256
STATE = bytes(4096)
"""What a stream takes along when it moves: as large as that of a camera with a few rules."""

_ENDING_TICK_S = 0.02


@dataclass(frozen=True, slots=True)
class Note:
    """A stream was opened or closed by a slot.

    Attributes:
        at: When the turn ended in which that was done, seconds; 0 until then.
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
    """Actors that open cameras at once and close them in the same time each, and note it.

    Args:
        slot: The slot's name.
        note: Gets what happens.
        ends_after_s: How long the frames of a camera take to end once it closes.

    Attributes:
        now: The time, seconds.
    """

    def __init__(self, slot: str, note: Callable[[Note], None], ends_after_s: float = 0.0) -> None:
        self.now = 0.0
        self._slot = slot
        self._note = note
        self._ends_after_s = ends_after_s
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
        return stream, self.now + self._ends_after_s

    def close_rules(self, stream: str, holding: Holding, state: bytes = b"") -> None:
        """There are none."""

    def export_rules(self, stream: str, holding: Holding) -> Any:
        """What goes along is always the same, and there at once."""
        return stream, self.now

    def exported(self, reference: Any) -> bytes:
        """As many bytes as a camera with a few rules takes along."""
        return STATE

    def ended(self, references: Sequence[Any]) -> list[Any]:
        """Those whose time has come."""
        return [reference for reference in references if reference[1] <= self.now]

    def report_states(self, changes: Sequence[StateChange]) -> list[StateChange]:
        """Nobody is told."""
        return list(changes)

    def _write(self, holding: Holding, *, is_open: bool, has_state: bool = False) -> None:
        stream, token = holding.assignment.spec.id, holding.token
        self._note(Note(0.0, self._slot, stream, token, is_open, has_state))


class PaperSlot:
    """Does what a slot's loop does, a turn at a time.

    Args:
        name: Unique among slots.
        registry: Shared by all slots.
        ttl_s: ``lease.ttl_s``.
        note: Gets what happens.
        ends_after_s: How long the frames of a camera take to end once it closes.

    Attributes:
        is_draining: Whether it gives its streams away.
        num_renewals: How often it has renewed its leases.
        publish_every_s: How often the status of its streams is written.
    """

    def __init__(
        self,
        name: str,
        registry: Registry,
        ttl_s: float,
        note: Callable[[Note], None],
        ends_after_s: float = 0.0,
    ) -> None:
        self.name = name
        self.is_draining = False
        self.num_renewals = 0
        self._ttl_s = ttl_s
        self.publish_every_s = SELDOM_S
        self._times = Timetable()
        self._registry = registry
        self._ledger = Ledger.create(MAX_STREAMS, name=f"{name}-ledger")
        self._ledger.unlink()
        self._holdings = Holdings(MAX_STREAMS, 1)
        self._crew = PaperCrew(name, note, ends_after_s)
        self._keeper = StreamKeeper(
            name,
            registry,
            self._crew,
            self._ledger,
            self._holdings,
            max_streams=MAX_STREAMS,
            ttl_ms=round(ttl_s * 1e3),
        )

    @property
    def num_streams(self) -> int:
        """Streams that it holds."""
        return len(self._holdings)

    def turn(self, now: float) -> float:
        """Do what is due; returns when the next turn is. ``now`` in seconds, never going back."""
        self._crew.now = now
        if self._times.is_due("renew", now, self._ttl_s / 3):
            self._times.lease_ends(now + self._keeper.renew())
            self.num_renewals += 1
        self._keeper.finish_closing(now)
        if self._times.is_look_due(now):
            self._times.looked(now)
            self._look(now)
        self._keeper.finish_closing(now)
        if self._times.is_due("publish", now, self.publish_every_s):
            self._keeper.publish(now)
        return self._next_turn_at

    @property
    def _next_turn_at(self) -> float:
        """Cameras that end are looked after more often, whatever else is due."""
        if not self._keeper.is_ending_some:
            return self._times.next_at
        return min(self._times.next_at, self._crew.now + _ENDING_TICK_S)

    def _look(self, now: float) -> None:
        more_s: float | None = 0.0
        if self.is_draining:
            self._keeper.drain(now, CAPACITY)
        else:
            more_s = self._keeper.place(CAPACITY)
        if more_s is not None:
            self._times.look_soon(now, more_s)

    def wake(self, changed: Collection[str], now: float) -> float:
        """Take a wake-up call; returns when the next turn is."""
        after_s = look_after_s(self.name, changed, self._keeper.num_others)
        if after_s is not None:
            self._times.look_soon(now, after_s)
        return self._next_turn_at

    def drain(self, now: float) -> float:
        """Give its streams away from now on; returns when the next turn is."""
        self.is_draining = True
        self._times.look_soon(now)
        return self._next_turn_at

    def leave(self) -> None:
        """End: it holds nothing any more."""
        self._keeper.abandon()
        self._registry.slots.remove(self.name)


def names(first: int, num: int) -> Iterable[str]:
    """Names of slots."""
    return (f"paper-{number:04d}" for number in range(first, first + num))
