"""What the API answers with, and how it is put together from the registry's records."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from actors.messages import DropReason
from actors.specs import StreamSpec
from cluster.config.pipelines import PipelineSpec
from cluster.redaction import redacted
from cluster.registry import (
    Lease,
    PipelineRecord,
    SlotInfo,
    SourceStatus,
    StateView,
    StreamRecord,
    StreamStatus,
)


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


class StatsView(StateView):
    """Where the frames of a stream went, and how fast."""

    id: str
    generation: int = Field(description="Version of the job that is asked for.")
    running_generation: int | None = Field(None, description="Version that runs.")
    session: int = Field(
        0,
        description="Names the last open of the camera: counts up from its UTC second, so that it "
        "differs across restarts, too.",
    )
    fps: float = Field(0.0, description="Decoded frames a second, lately.")
    source: SourceStatus | None = Field(None, description="The camera's picture.")
    decoded: int = Field(0, description="Frames that came out of the decoder.")
    inferred: int = Field(0, description="Of these, how many went through the model.")
    dropped: dict[DropReason, int] = Field({}, description="Of these, how many did not, and why.")
    in_flight: int = Field(0, description="Of these, how many have not ended yet.")
    analysed: int = Field(0, description="Of the inferred, how many went through the rules.")
    events: int = Field(0, description="Events written.")
    reconnects: int = Field(0, description="Times that the camera was opened again.")
    decode_errors: int = Field(0, description="Packets that the decoder refused.")
    latency_ms: dict[str, float] = Field({}, description="p50, p95, p99, arrival to detections.")
    latency_counts: dict[float, int] = Field(
        {}, description="Inferred frames by latency, each bucket by its middle in ms."
    )
    last_event: dict[str, Any] | None = None
    updated_at: float | None = Field(None, description="UTC, seconds since 1970, of these counts.")


class SlotList(BaseModel):
    """The live slots in order of their names."""

    slots: list[SlotInfo]


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
        spec=record.spec.model_copy(update={"url": redacted(record.spec.url)}),
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
    is_current = lease is not None and status is not None and status.token == lease.token
    if status is None or (record.spec.enabled and not is_current):
        return StatsView.model_validate(head)
    counts = status.model_dump(include={"session", "fps", "source", "last_event", "updated_at"})
    return StatsView.model_validate(
        {**status.ledger.model_dump(), **counts, **head, "running_generation": status.generation}
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
