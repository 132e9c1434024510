"""The ingest actor: Ray's side of ``Ingest``."""

from __future__ import annotations

import os
from typing import Any, cast

import ray
from ray.exceptions import RayError, RayTaskError

from actors.channel import Channel, ChannelAddress
from actors.errors import StaleGenerationError
from actors.ingest.config import IngestConfig
from actors.ingest.decode_cost import DecodeCapacity
from actors.ingest.status import IngestStatus
from actors.ledger import Ledger
from actors.messages import Assignment, PoolLease, SubmitReply, SubmitRequest

_CALL_TIMEOUT_S = 10.0


class EngineActorLink:
    """The way to an engine actor: found through Ray, fed through its channel.

    Keeps the EngineLink protocol.

    Args:
        engine: Handle of an actor with ``attach(ingest)`` and ``channel()``.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._channel: Channel | None = None

    def attach(self, ingest: str) -> PoolLease:
        """Get a lease of the engine's pool."""
        lease = cast(PoolLease, _result(self._engine.attach.remote(ingest)))
        if self._channel is not None:
            self._channel.close()
        address = cast(ChannelAddress, _result(self._engine.channel.remote()))
        self._channel = Channel(address, _CALL_TIMEOUT_S)
        return lease

    def submit(self, request: SubmitRequest) -> SubmitReply:
        """Bring tickets, fetch releases."""
        if self._channel is None:
            raise ConnectionError("not attached yet")
        return cast(SubmitReply, self._channel.call(request))


class IngestActor:
    """Cameras in a process of their own; wrap with ``ray.remote``, several calls at a time.

    Args:
        name: The actor's, unique at its engine.
        ledger_path: The slot's ledger.
        engine: Handle of the slot's engine actor.
        config: Time-outs.
    """

    def __init__(
        self, name: str, ledger_path: str, engine: Any, config: IngestConfig | None = None
    ) -> None:
        # Imported here, so that the slot, which only starts the actor, needs no codecs.
        from actors.ingest.fleet import Ingest

        self._config = config or IngestConfig()
        self._ingest = Ingest(
            name, Ledger.attach(ledger_path), EngineActorLink(engine), self._config
        )

    def open_stream(self, assignment: Assignment) -> None:
        """Take a stream on."""
        self._ingest.open_stream(assignment)

    def update_stream(self, assignment: Assignment) -> None:
        """Follow a changed spec."""
        self._ingest.update_stream(assignment)

    def close_stream(self, stream: str) -> None:
        """Close a camera and wait until its frames have ended."""
        self._ingest.close_stream(stream)

    def status(self) -> IngestStatus:
        """What each stream is doing."""
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
        self._ingest.stop()


def _result(reference: Any) -> object:
    try:
        return ray.get(reference, timeout=_CALL_TIMEOUT_S)
    except RayTaskError as error:
        if isinstance(error.cause, StaleGenerationError):
            raise StaleGenerationError(str(error.cause)) from error
        raise ConnectionError(f"the engine failed: {error.cause!r}") from error
    except RayError as error:
        raise ConnectionError(f"the engine does not answer: {error}") from error
