"""What a slot says of its streams: the words of its actors, put together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.analytics.status import AnalyticsStatus
from actors.crop_counts import CropTally
from actors.ingest.status import IngestStatus
from actors.ingest.status import StreamStatus as CameraStatus
from actors.ledger import LedgerEntry
from actors.messages import DegradeStep, StreamState
from cluster.registry import CropStatus, LedgerStatus, SourceStatus, StreamStatus
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holding
from cluster.slot.rates import Rates


def cameras_of(crew: Crew) -> dict[str, CameraStatus]:
    """What the ingest actors that answer say of their cameras."""
    return {
        camera.stream: camera
        for child in crew.cameras
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


def crops_of(crew: Crew) -> dict[str, Mapping[str, CropTally]]:
    """What became of each stream's crops, as the analytics actors that answer know it."""
    return {
        stream: known.crops
        for child in crew.shards
        if isinstance(child.status, AnalyticsStatus)
        for stream, known in child.status.streams.items()
    }


def queue_ages_of(crew: Crew) -> dict[str, float]:
    """How long each stream's waiting frame has waited, in ms; streams without one are left out."""
    engine = crew.engine_status
    if engine is None or engine.scheduler is None:
        return {}
    streams = engine.scheduler.streams.items()
    return {s: round(known.waiting_ms, 1) for s, known in streams if known.waiting_ms is not None}


@dataclass(frozen=True, slots=True)
class StreamNews:
    """What is known of one stream.

    Attributes:
        camera: What its ingest actor says; None while that is away.
        entry: Its ledger row.
        rates: Frames a second, lately.
        queue_age_ms: How long its waiting frame has waited; None where none waits.
        last_event: The newest event, as fields.
        was_seen: Whether its camera has been seen since the stream was claimed.
        decode_mpx_s: What decoding it takes; None while that is not known.
        crops: What became of crops, by secondary model.
    """

    camera: CameraStatus | None
    entry: LedgerEntry
    rates: Rates
    queue_age_ms: float | None = None
    last_event: Mapping[str, Any] | None = None
    was_seen: bool = True
    decode_mpx_s: float | None = None
    crops: Mapping[str, CropTally] = field(default_factory=dict)


def stream_status(holding: Holding, news: StreamNews, slot: str) -> StreamStatus:
    """One stream as the registry shows it.

    Args:
        holding: The slot's lease and assignment.
        news: What is known of it.
        slot: Name of the slot.
    """
    assignment, camera = holding.assignment, news.camera
    state, reason, message = _state(camera, news.was_seen)
    return StreamStatus(
        state=state,
        reason=reason,
        message=message,
        since=camera.since if camera else time.time(),
        slot=slot,
        token=assignment.token,
        generation=assignment.generation,
        degrade_step=camera.degrade_step if camera else DegradeStep.NONE,
        fps=round(camera.fps, 2) if camera else 0.0,
        offered_fps=round(news.rates.offered, 2),
        inferred_fps=round(news.rates.inferred, 2),
        decode_mpx_s=None if news.decode_mpx_s is None else round(news.decode_mpx_s, 2),
        queue_age_ms=news.queue_age_ms,
        source=_source(camera),
        session=camera.session if camera else 0,
        ledger=LedgerStatus.from_entry(news.entry),
        crops={
            name: CropStatus.model_validate(tally, from_attributes=True)
            for name, tally in news.crops.items()
        },
        last_event=dict(news.last_event) if news.last_event else None,
        updated_at=time.time(),
    )


def _state(camera: CameraStatus | None, was_seen: bool) -> tuple[StreamState, str, str]:
    if camera is not None:
        return camera.state, camera.reason, camera.message
    if not was_seen:
        return StreamState.CONNECTING, "claimed", "its slot has just claimed the stream"
    return StreamState.RECONNECTING, "restarting", "its ingest process is being started"


def _source(camera: CameraStatus | None) -> SourceStatus | None:
    if camera is None or camera.properties is None:
        return None
    found = camera.properties
    return SourceStatus(
        codec=found.codec,
        width=found.width,
        height=found.height,
        fps=found.fps or 0.0,
        decoder=found.decoder,
        fallback=found.fallback,
    )
