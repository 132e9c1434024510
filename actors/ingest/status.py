"""What an ingest actor says of its streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from actors.ingest.properties import SourceProperties
from actors.messages import DegradeStep, StreamState


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream as of now.

    Attributes:
        stream: Its id.
        state: What it is doing.
        reason: One word for why it is not running (that of SourceError, or ``disabled``), or empty.
        message: The same for people, with the remedy and without credentials, or empty.
        since: UTC of the last change of state or reason, seconds since 1970.
        properties: What the source says of itself; None before it has first opened.
        fps: Pictures a second over the last second or so.
        session: Number of the current or last source session; 0 before the first.
        generation: Version of the spec that is in force.
        degrade_step: What the engine's degrade ladder takes from it.
        decode_lag_s: How far it is behind for want of processor time, seconds.
    """

    stream: str
    state: StreamState
    reason: str
    message: str
    since: float
    properties: SourceProperties | None
    fps: float
    session: int
    generation: int
    degrade_step: DegradeStep = DegradeStep.NONE
    decode_lag_s: float = 0.0


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """One ingest actor as of now.

    Attributes:
        name: The actor's.
        incarnation: Differs each time that the actor is started.
        is_attached: Whether it has a lease of an engine's pool.
        num_free_slots: Slots of that lease which are free.
        streams: One entry for each stream that it was given.
        cpu_s: Processor time that its process has used so far, seconds.
        counts: What its own ledger says of each stream, where it is on another machine than its
            slot; see ``LedgerRow.take``.
    """

    name: str
    incarnation: str
    is_attached: bool
    num_free_slots: int
    streams: tuple[StreamStatus, ...]
    cpu_s: float = 0.0
    counts: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def waiting(cls, incarnation: str) -> IngestStatus:
        """Of an actor that has not been told yet which of its slot's it is."""
        return cls("", incarnation, is_attached=False, num_free_slots=0, streams=())
