"""What a slot says of its streams: the words of its actors, put together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.analytics.status import AnalyticsStatus, StreamAnalytics
from actors.crop_counts import CropTally
from actors.inference.actor import EngineStatus
from actors.ingest.properties import SourceProperties
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


def analytics_of(crew: Crew) -> dict[str, StreamAnalytics]:
    """What the analytics actors that answer say of their streams."""
    found: dict[str, StreamAnalytics] = {}
    for child in crew.shards:
        if isinstance(child.status, AnalyticsStatus):
            found |= child.status.streams
    return found


def queue_age_ms(engine: EngineStatus | None, stream: str) -> float | None:
    """How long a stream's waiting frame has waited; None where none waits."""
    if engine is None or engine.scheduler is None:
        return None
    known = engine.scheduler.streams.get(stream)
    return None if known is None or known.waiting_ms is None else round(known.waiting_ms, 1)


@dataclass(frozen=True, slots=True)
class Doing:
    """What a stream does, without its counts: all that is told of at once when it changes.

    Attributes:
        token: Fencing token of its lease.
        generation: Version of the spec that runs.
        state: What it is doing.
        reason: Short word for the state.
        message: For people.
        since: UTC of the last change of state, seconds since 1970.
        updated_at: UTC of now.
        degrade_step: What long overload takes from it.
        session: Number of the last source session; 0 before the first.
        source: What the camera says of itself; None before it has first opened.
        decode_mpx_s: What decoding it takes; None while that is not known.
    """

    token: int
    generation: int
    state: StreamState
    reason: str
    message: str
    since: float
    updated_at: float
    degrade_step: DegradeStep
    session: int
    source: SourceProperties | None
    decode_mpx_s: float | None

    @property
    def has_source(self) -> bool:
        """Whether the camera has told what it sends."""
        return self.source is not None


@dataclass(frozen=True, slots=True)
class StreamNews:
    """What is known of one stream.

    Attributes:
        doing: What it does.
        fps: Pictures a second, lately.
        entry: Its ledger row.
        rates: Frames a second, lately.
        queue_age_ms: How long its waiting frame has waited; None where none waits.
        last_event: The newest event, as fields.
        crops: What became of crops, by secondary model.
    """

    doing: Doing
    fps: float
    entry: LedgerEntry
    rates: Rates
    queue_age_ms: float | None = None
    last_event: Mapping[str, Any] | None = None
    crops: Mapping[str, CropTally] = field(default_factory=dict)


def doing(
    holding: Holding,
    camera: CameraStatus | None,
    *,
    was_seen: bool = True,
    decode_mpx_s: float | None = None,
) -> Doing:
    """What a stream does.

    Args:
        holding: The slot's lease and assignment.
        camera: What its ingest actor says; None while that is away.
        was_seen: Whether its camera has been seen since the stream was claimed.
        decode_mpx_s: What decoding it takes; None while that is not known.
    """
    now, assignment = time.time(), holding.assignment
    state, reason, message = _state(camera, was_seen)
    return Doing(
        assignment.token,
        assignment.generation,
        state,
        reason,
        message,
        camera.since if camera else now,
        now,
        camera.degrade_step if camera else DegradeStep.NONE,
        camera.session if camera else 0,
        camera.properties if camera else None,
        None if decode_mpx_s is None else round(decode_mpx_s, 2),
    )


def stream_status(news: StreamNews, slot: str) -> StreamStatus:
    """One stream as the registry shows it.

    Args:
        news: What is known of it.
        slot: Name of the slot.
    """
    known = news.doing
    return StreamStatus(
        state=known.state,
        reason=known.reason,
        message=known.message,
        since=known.since,
        slot=slot,
        token=known.token,
        generation=known.generation,
        degrade_step=known.degrade_step,
        fps=round(news.fps, 2),
        offered_fps=round(news.rates.offered, 2),
        inferred_fps=round(news.rates.inferred, 2),
        decode_mpx_s=known.decode_mpx_s,
        queue_age_ms=news.queue_age_ms,
        source=_source(known.source),
        session=known.session,
        ledger=LedgerStatus.from_entry(news.entry),
        crops={
            name: CropStatus.model_validate(tally, from_attributes=True)
            for name, tally in news.crops.items()
        },
        last_event=dict(news.last_event) if news.last_event else None,
        updated_at=known.updated_at,
    )


def _state(camera: CameraStatus | None, was_seen: bool) -> tuple[StreamState, str, str]:
    if camera is not None:
        return camera.state, camera.reason, camera.message
    if not was_seen:
        return StreamState.CONNECTING, "claimed", "its slot has just claimed the stream"
    return StreamState.RECONNECTING, "restarting", "its ingest process is being started"


def _source(found: SourceProperties | None) -> SourceStatus | None:
    if found is None:
        return None
    return SourceStatus(
        codec=found.codec,
        width=found.width,
        height=found.height,
        fps=found.fps or 0.0,
        decoder=found.decoder,
        fallback=found.fallback,
    )
