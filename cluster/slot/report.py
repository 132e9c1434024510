"""What a slot says of itself: the words of its actors, put together."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.analytics.status import AnalyticsStatus
from actors.inference.actor import EngineStatus
from actors.ingest.status import IngestStatus
from actors.latency import percentiles_ms
from actors.specs import QosClass
from actors.stages import Stage, add_counts
from cluster.registry import ClassLoad, Ladder, SlotInfo, SlotState, StageLatency
from cluster.slot.capacity import Capacity
from cluster.slot.child import Child
from cluster.slot.crew import Crew
from cluster.slot.decoding import SlotDecoding
from cluster.slot.holdings import Holdings
from cluster.slot.sinks import sink_loads


@dataclass(frozen=True, slots=True)
class Nameplate:
    """What a slot says of itself that stays the same.

    Attributes:
        name: The slot's.
        max_streams: How many streams it may hold.
        started_at: UTC, seconds since 1970.
        device: ``cpu`` or ``cuda``.
        labels: By which streams choose it.
    """

    name: str
    max_streams: int
    started_at: float
    device: str = "cpu"
    labels: Mapping[str, str] = field(default_factory=dict)


def slot_info(
    plate: Nameplate,
    crew: Crew,
    holdings: Holdings,
    capacity: Capacity,
    *,
    error: str = "",
    **more: Any,
) -> SlotInfo:
    """The slot as the registry shows it.

    Args:
        plate: What stays the same.
        crew: Its actors.
        holdings: Its streams.
        capacity: What its engine does.
        error: Why its pipeline cannot be served; empty where it can.
        more: Further fields: ``gpu``, those of ``decode_fields``.
    """
    shards = [c.status for c in crew.shards if isinstance(c.status, AnalyticsStatus)]
    return SlotInfo(
        name=plate.name,
        node=socket.gethostname(),
        device=plate.device,
        labels=dict(plate.labels),
        max_streams=plate.max_streams,
        num_streams=len(holdings),
        started_at=plate.started_at,
        updated_at=time.time(),
        capacity_fps=capacity.fps,
        admission_fps=capacity.admission_fps,
        frame_ms=capacity.frame_ms,
        floors_fps=round(holdings.floors_fps, 3),
        details=_processes(crew),
        stages=_stages(crew),
        sinks=sink_loads(shards),
        **more,
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
