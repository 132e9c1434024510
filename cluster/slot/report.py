"""What a slot says of itself and of its streams: the words of its actors, put together."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

from actors.analytics.status import AnalyticsStatus
from actors.ingest.status import IngestStatus
from actors.ingest.status import StreamStatus as CameraStatus
from actors.ledger import LedgerEntry
from actors.messages import StreamState
from cluster.registry import LedgerStatus, SlotInfo, SlotState, SourceStatus, StreamStatus
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holding


def cameras_of(crew: Crew) -> dict[str, CameraStatus]:
    """What the ingest actors that answer say of their cameras."""
    return {
        camera.stream: camera
        for child in crew.ingests
        if isinstance(child.status, IngestStatus)
        for camera in child.status.streams
    }


def last_events_of(crew: Crew) -> dict[str, Mapping[str, Any]]:
    """The newest event of each stream, as the analytics actors that answer know it."""
    return {
        stream: known.last_event.to_dict()
        for child in crew.shards
        if isinstance(child.status, AnalyticsStatus)
        for stream, known in child.status.streams.items()
        if known.last_event is not None
    }


def stream_status(
    holding: Holding,
    camera: CameraStatus | None,
    entry: LedgerEntry,
    last_event: Mapping[str, Any] | None,
    slot: str,
) -> StreamStatus:
    """One stream as the registry shows it.

    Args:
        holding: The slot's lease and assignment.
        camera: What its ingest actor says; None while that is away.
        entry: Its ledger row.
        last_event: The newest event, as fields.
        slot: Name of the slot.
    """
    assignment = holding.assignment
    state, reason, message = _state(camera)
    return StreamStatus(
        state=state,
        reason=reason,
        message=message,
        since=camera.since if camera else time.time(),
        slot=slot,
        token=assignment.token,
        generation=assignment.generation,
        fps=round(camera.fps, 2) if camera else 0.0,
        source=_source(camera),
        session=camera.session if camera else 0,
        ledger=LedgerStatus.from_entry(entry),
        last_event=dict(last_event) if last_event else None,
        updated_at=time.time(),
    )


def slot_info(
    name: str,
    crew: Crew,
    *,
    num_streams: int,
    max_streams: int,
    error: str,
    started_at: float,
) -> SlotInfo:
    """The slot as the registry shows it; ``error`` says why its pipeline cannot be served."""
    engine = crew.engine_status
    message = error or (engine.error if engine else "")
    state = SlotState.FAILED if message else SlotState.STARTING
    return SlotInfo(
        name=name,
        state=SlotState.READY if crew.ready else state,
        message=message,
        node=socket.gethostname(),
        max_streams=max_streams,
        num_streams=num_streams,
        started_at=started_at,
        updated_at=time.time(),
        details=_details(crew),
    )


def _details(crew: Crew) -> dict[str, Any]:
    engine = crew.engine_status
    scheduler = engine.scheduler if engine else None
    batches = scheduler.num_batches if scheduler else 0
    return {
        "model": engine.model if engine else "",
        "batch_ms": scheduler.batch_ms if scheduler else {},
        "batch_fill": round(scheduler.num_batched / batches, 2) if scheduler and batches else 0.0,
        "num_waiting": scheduler.num_waiting if scheduler else 0,
        "actors": [
            {"name": c.name, "pid": c.pid, "starts": c.num_starts, "ready": c.ready}
            for c in crew.all
        ],
    }


def _state(camera: CameraStatus | None) -> tuple[StreamState, str, str]:
    if camera is None:
        return StreamState.RECONNECTING, "restarting", "its ingest process is being started"
    return camera.state, camera.reason, camera.message


def _source(camera: CameraStatus | None) -> SourceStatus | None:
    if camera is None or camera.properties is None:
        return None
    found = camera.properties
    return SourceStatus(
        codec=found.codec, width=found.width, height=found.height, fps=found.fps or 0.0
    )
