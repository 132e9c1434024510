"""What the cameras of one ingest actor share."""

from __future__ import annotations

from dataclasses import dataclass

from actors.ingest.config import IngestConfig
from actors.ingest.gate import DecodeGate
from actors.ingest.giving_way import Lateness
from actors.ingest.outbox import Outbox
from actors.ingest.rounds import Rounds


@dataclass(frozen=True, slots=True)
class Facilities:
    """What the cameras of one ingest actor share.

    Attributes:
        outbox: Where pictures go.
        config: Time-outs.
        gate: Through which the CPU decodes.
        rounds: In which cameras are read whose pictures a GPU decodes.
        lateness: Of these cameras.
    """

    outbox: Outbox
    config: IngestConfig
    gate: DecodeGate
    rounds: Rounds
    lateness: Lateness

    @classmethod
    def of(cls, config: IngestConfig) -> Facilities:
        """Those of a new actor."""
        return cls(
            Outbox(config.max_waiting),
            config,
            DecodeGate(config.max_decoding),
            Rounds(config.beat_s / 2),
            Lateness(),
        )
