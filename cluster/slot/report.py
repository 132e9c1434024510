"""What a slot says of itself and of its streams: the words of its actors, put together."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.analytics.status import AnalyticsStatus
from actors.crop_counts import CropTally
from actors.inference.actor import EngineStatus
from actors.ingest.status import IngestStatus
from actors.ingest.status import StreamStatus as CameraStatus
from actors.latency import percentiles_ms
from actors.ledger import LedgerEntry
from actors.messages import DegradeStep, StreamState
from actors.specs import QosClass
from actors.stages import Stage, add_counts
from cluster.registry import (
    ClassLoad,
    CropStatus,
    GpuLoad,
    Ladder,
    LedgerStatus,
    SlotInfo,
    SlotState,
    SourceStatus,
    StageLatency,
    StreamStatus,
)
from cluster.slot.capacity import Capacity
from cluster.slot.child import Child
from cluster.slot.crew import Crew
from cluster.slot.decoding import SlotDecoding
from cluster.slot.holdings import Holding, Holdings
from cluster.slot.rates import Rates
from cluster.slot.sinks import sink_loads


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


def slot_info(
    name: str,
    crew: Crew,
    holdings: Holdings,
    capacity: Capacity,
    *,
    max_streams: int,
    error: str,
    started_at: float,
    device: str = "cpu",
    labels: Mapping[str, str] | None = None,
    gpu: GpuLoad | None = None,
    decoding: Mapping[str, Any] | None = None,
) -> SlotInfo:
    """The slot as the registry shows it.

    Args:
        name: The slot's.
        crew: Its actors.
        holdings: Its streams.
        capacity: What its engine does.
        max_streams: How many streams it may hold.
        error: Why its pipeline cannot be served; empty where it can.
        started_at: UTC, seconds since 1970.
        device: ``cpu`` or ``cuda``.
        labels: By which streams choose it.
        gpu: Gauges of its GPU.
        decoding: ``decode_fields``.
    """
    return SlotInfo(
        name=name,
        node=socket.gethostname(),
        device=device,
        labels=dict(labels or {}),
        max_streams=max_streams,
        num_streams=len(holdings),
        started_at=started_at,
        updated_at=time.time(),
        capacity_fps=capacity.fps,
        admission_fps=capacity.admission_fps,
        frame_ms=capacity.frame_ms,
        floors_fps=round(holdings.floors_fps, 3),
        gpu=gpu,
        details=_processes(crew),
        stages=_stages(crew),
        sinks=sink_loads(c.status for c in crew.shards if isinstance(c.status, AnalyticsStatus)),
        **(decoding or {}),
        **_health(crew, error),
        **_load(crew.engine_status),
    )


def decode_fields(axis: SlotDecoding, load_mpx_s: float) -> dict[str, Any]:
    """The slot's decoding, as fields of SlotInfo."""
    return {
        "decoder": axis.decoder,
        "decode_mpx_s": axis.mpx_s,
        "decode_1080p_fps": axis.full_hd_fps,
        "decode_admission_mpx_s": axis.limit_mpx_s,
        "decode_load_mpx_s": round(load_mpx_s, 1),
        "decode_ratio": round(load_mpx_s / axis.mpx_s, 3) if axis.mpx_s else 0.0,
    }


def _health(crew: Crew, error: str) -> dict[str, Any]:
    """Whether the slot serves, what, and why not, as fields of SlotInfo."""
    engine = crew.engine_status
    building = engine.building if engine else ""
    # While the next model is made ready, what was wrong with the one before is no news.
    fault = error or (engine.error if engine and not building else "")
    state = SlotState.FAILED if fault else SlotState.STARTING
    return {
        "state": SlotState.READY if crew.ready else state,
        "message": fault or building,
        "model": engine.model if engine else "",
    }


def _load(engine: EngineStatus | None) -> dict[str, Any]:
    """What the engine does, as fields of SlotInfo."""
    if engine is None or engine.scheduler is None:
        return {}
    scheduler = engine.scheduler
    fill = scheduler.num_batched / scheduler.num_batches if scheduler.num_batches else 0.0
    return {
        "utilisation": round(scheduler.utilisation, 3),
        "num_waiting": scheduler.num_waiting,
        "batch_fill": round(fill, 2),
        "batch_ms": scheduler.batch_ms if scheduler.num_batches else engine.start_ms,
        "batch_counts": scheduler.batch_counts,
        "classes": {
            qos: ClassLoad.model_validate(load, from_attributes=True)
            for qos, load in scheduler.classes.items()
        },
        "ladder": Ladder.model_validate(engine.ladder or {}, from_attributes=True),
    }


def _stages(crew: Crew) -> dict[Stage, dict[QosClass, StageLatency]]:
    """Latencies by stage and class, of the actors that answer."""
    told = [child.status for child in (crew.engine, *crew.shards)]
    counted = add_counts(s.stages for s in told if isinstance(s, EngineStatus | AnalyticsStatus))
    return {
        stage: {
            qos: StageLatency(latency_ms=percentiles_ms(counts), latency_counts=counts)
            for qos, counts in classes.items()
        }
        for stage, classes in counted.items()
    }


def _processes(crew: Crew) -> dict[str, Any]:
    engine = crew.engine_status
    return {
        "actors": [_process(child) for child in crew.all],
        "load_s": engine.load_s if engine else None,
    }


def _process(child: Child) -> dict[str, Any]:
    found = {
        "name": child.name,
        "pid": child.pid,
        "starts": child.num_starts,
        "ready": child.ready,
        "gpus": list(child.gpus),
    }
    if isinstance(child.status, IngestStatus) and child.status.is_attached:
        found["free_slots"] = child.status.num_free_slots
    return found


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
