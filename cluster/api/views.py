"""What the API answers with, and how it is put together from the registry's records."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from actors.messages import DropReason
from actors.specs import QosClass, StreamSpec
from cluster.config.pipelines import PipelineSpec
from cluster.redaction import redacted_url
from cluster.registry import (
    CropStatus,
    Lease,
    PipelineRecord,
    SlotInfo,
    SourceStatus,
    StateView,
    StreamRecord,
    StreamStatus,
)
from cluster.registry.scaling import ScalingInfo

_SHOWN = {
    *("session", "fps", "offered_fps", "inferred_fps", "queue_age_ms"),
    *("source", "crops", "last_event", "updated_at"),
}
"""What the statistics take over from a status as it is."""


class StreamView(BaseModel):
    """A stream job and what it is doing."""

    id: str
    spec: StreamSpec = Field(description="The job; credentials in the URL show as `***`.")
    generation: int = Field(description="Version of the job; also the ETag.")
    created_at: float = Field(description="UTC, seconds since 1970.")
    updated_at: float = Field(description="UTC, seconds since 1970.")
    status: StateView


class StreamList(BaseModel):
    """Stream jobs in order of their ids."""

    streams: list[StreamView]
    total: int = Field(description="How many there are, before `limit` and `after`.")
    next: str | None = Field(None, description="`after` of the next page; null on the last.")


class QosView(BaseModel):
    """Quality of service, with the defaults of the class filled in."""

    model_config = ConfigDict(populate_by_name=True)

    class_name: QosClass = Field(alias="class", description="critical, high, normal or low.")
    weight: float = Field(description="Share of the engine under overload.")
    deadline_ms: float = Field(description="Arrival to detections, milliseconds.")
    min_fps: float = Field(description="Floor: `min_fps`, and no more than `max_fps`.")


class StatsView(StateView):
    """Where the frames of a stream went, and how fast."""

    id: str
    qos: QosView
    generation: int = Field(description="Version of the job that is asked for.")
    running_generation: int | None = Field(None, description="Version that runs.")
    session: int = Field(
        0,
        description="Names the last open of the camera: counts up from its UTC second, so that it "
        "differs across restarts, too.",
    )
    fps: float = Field(0.0, description="Decoded frames a second, lately.")
    offered_fps: float = Field(
        0.0, description="Of these, how many it would have inferred: whole and within `max_fps`."
    )
    inferred_fps: float = Field(0.0, description="Of these, how many were.")
    queue_age_ms: float | None = Field(
        None, description="How long its waiting frame has waited; null where none waits."
    )
    source: SourceStatus | None = Field(None, description="The camera's picture.")
    decoded: int = Field(0, description="Frames that came out of the decoder.")
    inferred: int = Field(0, description="Of these, how many went through the model.")
    on_time: int = Field(0, description="Of the inferred, how many before their deadline.")
    late: int = Field(0, description="Of the inferred, how many after their deadline.")
    dropped: dict[DropReason, int] = Field(
        {}, description="Of the decoded, how many did not go through the model, and why."
    )
    in_flight: int = Field(0, description="Of the decoded, how many have not ended yet.")
    analysed: int = Field(0, description="Of the inferred, how many went through the rules.")
    events: int = Field(0, description="Events written.")
    reconnects: int = Field(0, description="Times that the camera was opened again.")
    decode_errors: int = Field(0, description="Packets that the decoder refused.")
    skipped: int = Field(
        0,
        description="Packets that were not decoded: to catch up with the camera where processor "
        "time is short, or because the degrade ladder leaves key frames only.",
    )
    latency_ms: dict[str, float] = Field({}, description="p50, p95, p99, arrival to detections.")
    latency_counts: dict[float, int] = Field(
        {}, description="Inferred frames by latency, each bucket by its middle in ms."
    )
    crops: dict[str, CropStatus] = Field(
        {}, description="What became of crops of its objects, by secondary model."
    )
    last_event: dict[str, Any] | None = None
    updated_at: float | None = Field(None, description="UTC, seconds since 1970, of these counts.")


class SlotList(BaseModel):
    """The live slots in order of their names."""

    slots: list[SlotInfo]
    autoscaling: ScalingInfo | None = Field(
        None,
        description="How many slots are wanted, and why; null where that does not follow the "
        "streams.",
    )


class PipelineView(BaseModel):
    """A pipeline by name."""

    name: str
    spec: PipelineSpec
    generation: int = Field(description="Version of the pipeline; also the ETag.")
    created_at: float = Field(description="UTC, seconds since 1970.")
    updated_at: float = Field(description="UTC, seconds since 1970.")


class PipelineList(BaseModel):
    """Pipelines in order of their names."""

    pipelines: list[PipelineView]


def stream_view(record: StreamRecord, state: StateView) -> StreamView:
    """A stream for an answer, without credentials."""
    return StreamView(
        id=record.spec.id,
        spec=record.spec.model_copy(update={"url": redacted_url(record.spec.url)}),
        generation=record.generation,
        created_at=record.created_at,
        updated_at=record.updated_at,
        status=state,
    )


def stats_view(
    record: StreamRecord, lease: Lease | None, state: StateView, status: StreamStatus | None
) -> StatsView:
    """The counts of a stream under its lease; a stream that is disabled keeps its last ones."""
    head = {"id": record.spec.id, "generation": record.generation, **state.model_dump()}
    head["qos"] = _qos_view(record.spec)
    is_current = lease is not None and status is not None and status.token == lease.token
    if status is None or (record.spec.enabled and not is_current):
        return StatsView.model_validate(head)
    ledger = status.ledger
    head |= {"running_generation": status.generation, "late": ledger.late}
    head["deadline_hits"] = ledger.deadline_hits
    return StatsView.model_validate(
        {**ledger.model_dump(), **status.model_dump(include=_SHOWN), **head}
    )


def _qos_view(spec: StreamSpec) -> QosView:
    qos = spec.qos.resolved()
    return QosView(
        class_name=spec.qos.class_name,
        weight=qos.weight,
        deadline_ms=qos.deadline_ms,
        min_fps=spec.floor_fps,
    )


def pipeline_view(name: str, record: PipelineRecord) -> PipelineView:
    """A pipeline for an answer."""
    return PipelineView(
        name=name,
        spec=record.spec,
        generation=record.generation,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )
