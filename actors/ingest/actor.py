"""The ingest actor: Ray's side of ``Ingest``."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, cast

from actors.channel import ChannelAddress, Route
from actors.ingest.config import IngestConfig
from actors.ingest.decode_cost import DecodeCapacity
from actors.ingest.far import FarRoute
from actors.ingest.status import IngestStatus
from actors.ledger import Ledger
from actors.messages import Assignment, AttachRequest, PoolLease, SubmitReply, SubmitRequest

if TYPE_CHECKING:
    from actors.ingest.fleet import Ingest

_CALL_TIMEOUT_S = 10.0
_INTRODUCTION_TIMEOUT_S = 1.0


class EngineRoute:
    """The way to the engine of the slot, whichever process that is now.

    Keeps the EngineLink protocol.
    """

    def __init__(self) -> None:
        self._route = Route("the engine", _CALL_TIMEOUT_S)

    def lead_to(self, engine: ChannelAddress) -> None:
        """The engine is there now."""
        self._route.lead_to(engine)

    def attach(self, ingest: str) -> PoolLease:
        """Get a lease of the engine's pool."""
        self._route.close()
        self._route.wait_until_known(_INTRODUCTION_TIMEOUT_S)
        return cast(PoolLease, self._route.call(AttachRequest(ingest)))

    def submit(self, request: SubmitRequest) -> SubmitReply:
        """Bring tickets, fetch releases."""
        return cast(SubmitReply, self._route.call(request))


class IngestActor:
    """Cameras in a process of their own; wrap with ``ray.remote``, several calls at a time.

    It waits, with all that it needs imported, until it is told which of the slot's it is.

    Args:
        ledger_path: The slot's ledger.
        config: Time-outs.
        engine: The way to the engine; None where that is on the same machine.
    """

    def __init__(
        self,
        ledger_path: str,
        config: IngestConfig | None = None,
        engine: EngineRoute | FarRoute | None = None,
    ) -> None:
        # Imported here, so that the slot, which only starts the actor, needs no codecs.
        from actors.ingest.fleet import Ingest

        self._config = config or IngestConfig()
        self._ledger_path = ledger_path
        self._incarnation = uuid.uuid4().hex
        self._engine = engine or EngineRoute()
        self._make = Ingest
        self._ingest: Ingest | None = None

    def begin(self, name: str) -> None:
        """Take the place of this name, unique at its engine; once."""
        ledger = Ledger.attach(self._ledger_path)
        self._ingest = self._make(name, ledger, self._engine, self._config, self._incarnation)

    def use_engine(self, engine: ChannelAddress) -> None:
        """The slot's engine is there from now on."""
        self._engine.lead_to(engine)

    def open_stream(self, assignment: Assignment) -> None:
        """Take a stream on."""
        self._begun().open_stream(assignment)

    def update_stream(self, assignment: Assignment) -> None:
        """Follow a changed spec."""
        self._begun().update_stream(assignment)

    def close_stream(self, stream: str) -> bytes:
        """Close a camera and wait until its frames have ended.

        Returns:
            Its last counts, where they are not in the slot's own ledger.
        """
        self._begun().close_stream(stream)
        return b""

    def status(self) -> IngestStatus:
        """What each stream is doing."""
        if self._ingest is None:
            return IngestStatus.waiting(self._incarnation)
        if self._ingest.has_lost_device():
            os._exit(1)  # CUDA is only clean again in a new process: Ray starts it
        return self._ingest.status()

    def decode_capacity(self, num_cores: int) -> DecodeCapacity:
        """See ``measuring.decode_capacity``; takes seconds where it is not known yet.

        Raises:
            DecodeMeasurementError: if it cannot be measured.
        """
        from actors.ingest.measuring import decode_capacity

        return decode_capacity(self._config.decoder, num_cores)

    def stop(self) -> None:
        """Close all cameras and wait for their frames."""
        if self._ingest is not None:
            self._ingest.stop()

    def _begun(self) -> Ingest:
        if self._ingest is None:
            raise ConnectionError("this ingest actor has no place yet")
        return self._ingest
