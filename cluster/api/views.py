"""What the API answers with, and how it is put together from the registry's records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
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
    SlotState,
    Snapshot,
    SourceStatus,
    StreamRecord,
    StreamStatus,
)


class ShownState(str, Enum):
    """What a stream is doing, as the API shows it."""

    DISABLED = "disabled"
    PENDING = "pending"
    CONNECTING = "connecting"
    RUNNING = "running"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    FAILED = "failed"


class StateView(BaseModel):
    """What a stream is doing, and why."""

    state: ShownState
    reason: str = Field("", description="Short word: `no_slot`, `full`, `timeout`, `refused`.")
    message: str = Field("", description="For people, with the remedy where there is one.")
    since: float | None = Field(None, description="UTC, seconds since 1970.")
    slot: str | None = Field(None, description="Slot that holds the stream.")


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
    session: int = Field(0, description="Counts the successful opens of the camera.")
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


def stats_view(record: StreamRecord, state: StateView, status: StreamStatus | None) -> StatsView:
    """The counts of a stream; those of its last slot while it waits for another."""
    head = {"id": record.spec.id, "generation": record.generation, **state.model_dump()}
    if status is None:
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


def state_in(snapshot: Snapshot, stream: str) -> StateView:
    """The state of one stream of a snapshot."""
    return state_of(
        snapshot.streams[stream],
        snapshot.leases.get(stream),
        snapshot.statuses.get(stream),
        snapshot.slots,
    )


def state_of(
    record: StreamRecord,
    lease: Lease | None,
    status: StreamStatus | None,
    slots: Mapping[str, SlotInfo],
) -> StateView:
    """What a stream is doing: what its slot says, or why it has none."""
    if not record.spec.enabled:
        return StateView(
            state=ShownState.DISABLED,
            reason="disabled",
            message="the stream is switched off: set enabled to true",
        )
    if lease is None:
        return _pending(record, slots.values())
    if status is None or status.token != lease.token:
        message = f"slot {lease.slot} has just claimed the stream"
        return StateView(
            state=ShownState.CONNECTING, reason="claimed", message=message, slot=lease.slot
        )
    return StateView(
        state=ShownState(status.state.value),
        reason=status.reason,
        message=redacted(status.message),
        since=status.since,
        slot=status.slot,
    )


def _pending(record: StreamRecord, slots: Iterable[SlotInfo]) -> StateView:
    reason, message = _why_pending(record.spec.pipeline, list(slots))
    return StateView(
        state=ShownState.PENDING, reason=reason, message=message, since=record.updated_at
    )


def _why_pending(pipeline: str, slots: list[SlotInfo]) -> tuple[str, str]:
    if not slots:
        return "no_slot", "no slot is alive: start one with `sightline up`"
    serving = [slot for slot in slots if pipeline in slot.pipelines]
    if not serving:
        return "no_pipeline", f"no slot serves the pipeline '{pipeline}': choose another"
    ready = [slot for slot in serving if slot.state is SlotState.READY]
    if not ready:
        first = serving[0]
        about = f" ({redacted(first.message)})" if first.message else ""
        return "no_slot_ready", f"no slot is ready: {first.name} is {first.state.value}{about}"
    if all(slot.num_streams >= slot.max_streams for slot in ready):
        room = sum(slot.max_streams for slot in ready)
        return "full", f"all slots are full ({room} streams): add a slot or remove a stream"
    return "unclaimed", "waits for a slot to claim it"
