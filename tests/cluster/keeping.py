"""Slots whose actors are played: a real keeper on a real registry, without processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.analytics.stream_state import StateChange
from actors.ingest.properties import SourceProperties
from actors.ingest.status import IngestStatus
from actors.ingest.status import StreamStatus as CameraStatus
from actors.ledger import Ledger
from actors.messages import StreamState
from cluster.placement import NOTHING, Axes
from cluster.registry import Registry
from cluster.slot.child import Child
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holding, Holdings
from cluster.slot.keeper import StreamKeeper
from cluster.slot.role import Role
from tests.cluster.builders import stream_spec


class Actors(Crew):
    """A crew without processes: remembers what it was told."""

    def __init__(self) -> None:
        self._ingests = Role([])
        self._shards = Role([])
        self._engines = Role([Child("engine", None, lambda _: None)])
        self.opened: list[str] = []
        self.adopted: dict[str, bytes] = {}
        self.closed: list[str] = []
        self.ended_of: dict[str, bytes] = {}
        self.updated: list[int] = []
        self.told: list[StateChange] = []
        self.hears = True

    def open(self, holding: Holding, state: bytes = b"") -> None:
        stream = holding.assignment.spec.id
        self.opened.append(stream)
        if state:
            self.adopted[stream] = state

    def update(self, holding: Holding) -> None:
        self.updated.append(holding.assignment.generation)

    def report_states(self, changes: Sequence[StateChange]) -> list[StateChange]:
        self.told += changes if self.hears else []
        return list(changes) if self.hears else []

    def close_camera(self, stream: str, holding: Holding) -> Any:
        return stream

    def close_rules(self, stream: str, holding: Holding, state: bytes = b"") -> None:
        self.closed.append(stream)
        if state:
            self.ended_of[stream] = state

    def ended(self, references: Sequence[Any]) -> list[Any]:
        return list(references)

    def export_rules(self, stream: str, holding: Holding) -> Any:
        return f"state of {stream}"

    def exported(self, reference: Any) -> bytes:
        return str(reference).encode()


class Slot:
    """A keeper with all that it works on."""

    def __init__(
        self,
        registry: Registry,
        name: str = "slot-a",
        max_streams: int = 2,
        crew: Actors | None = None,
        **options: Any,
    ) -> None:
        self.name = name
        self.registry = registry
        self.crew = crew or Actors()
        self.holdings = Holdings(max_streams, 1)
        self.ledger = Ledger.create(max_streams, name=f"sightline-test-keeper-{name}")
        self.keeper = StreamKeeper(
            name,
            registry,
            self.crew,
            self.ledger,
            self.holdings,
            max_streams=max_streams,
            **{"ttl_ms": 60_000, **options},
        )

    def turn(self, capacity: Axes = NOTHING) -> None:
        """What the slot's loop does again and again."""
        self.keeper.renew()
        self.keeper.place(capacity)

    def drain(self) -> bool:
        """What the slot's loop does again and again once it ends, long after the first time."""
        self.keeper.drain(0.0)
        return self.keeper.drain(1.0)

    def end(self) -> None:
        """Nothing is left of it in shared memory."""
        self.ledger.unlink()

    @property
    def held(self) -> set[str]:
        return {stream for stream, holding in self.holdings.items() if not holding.closing}

    def see(
        self,
        stream: str,
        state: StreamState,
        since: float = 5.0,
        source: SourceProperties | None = None,
    ) -> None:
        """The ingest actor says this of a camera."""
        seen = CameraStatus(stream, state, "", "", since, source, 25.0, 1, 1)
        ingest = Child("ingest-0", None, lambda _: None)
        ingest.status = IngestStatus("ingest-0", "a", True, 8, (seen,))
        self.crew._ingests = Role([ingest])

    @property
    def told(self) -> list[tuple[str | None, str]]:
        """States before and after, of the changes that were handed on."""
        return [(c.previous and c.previous.value, c.state.value) for c in self.crew.told]


def add(slot: Slot, *streams: str, **fields: Any) -> None:
    for stream in streams:
        slot.registry.streams.put(stream_spec(stream, **fields))
