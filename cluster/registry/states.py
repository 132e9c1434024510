"""What a stream is doing, and why, from all that the registry knows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from pydantic import BaseModel, Field

from actors.messages import DegradeStep
from actors.specs import StreamSpec
from cluster.redaction import redacted
from cluster.registry.admission import HEADROOM, Axes, need_of, room
from cluster.registry.records import Lease, SlotInfo, SlotState, StreamRecord, StreamStatus


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
    reason: str = Field("", description="Short word: `no_slot`, `capacity`, `timeout`, `refused`.")
    message: str = Field("", description="For people, with the remedy where there is one.")
    since: float | None = Field(None, description="UTC, seconds since 1970.")
    slot: str | None = Field(None, description="Slot that holds the stream.")
    degrade_step: DegradeStep = Field(
        DegradeStep.NONE, description="What long overload takes from it."
    )
    deadline_hits: float | None = Field(
        None,
        description="Share on time, of the frames that were inferred or given up for their "
        "deadline; null before the first.",
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
            slot=lease.slot if lease else None,  # until its last frames have ended
        )
    if lease is None:
        return _pending(record, status, slots.values())
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
        degrade_step=status.degrade_step,
        deadline_hits=status.ledger.deadline_hits,
    )


def _pending(
    record: StreamRecord, status: StreamStatus | None, slots: Iterable[SlotInfo]
) -> StateView:
    is_known = status is not None and status.generation == record.generation
    need = need_of(record, status.decode_mpx_s if status is not None and is_known else None)
    reason, message = _why_pending(record.spec, need, list(slots))
    return StateView(
        state=ShownState.PENDING, reason=reason, message=message, since=record.updated_at
    )


def _why_pending(spec: StreamSpec, need: Axes, slots: list[SlotInfo]) -> tuple[str, str]:
    if not slots:
        return "no_slot", "no slot is alive: start one with `sightline up`"
    serving = [slot for slot in slots if spec.pipeline in slot.pipelines]
    if not serving:
        return "no_pipeline", f"no slot serves the pipeline '{spec.pipeline}': choose another"
    ready = [slot for slot in serving if slot.state is SlotState.READY]
    if not ready:
        first = serving[0]
        about = f" ({redacted(first.message)})" if first.message else ""
        return "no_slot_ready", f"no slot is ready: {first.name} is {first.state.value}{about}"
    free = [slot for slot in ready if slot.num_streams < slot.max_streams]
    if not free:
        room = sum(slot.max_streams for slot in ready)
        return "full", f"all slots are full ({room} streams): add a slot or remove a stream"
    if any(need.fits(_room(slot)) for slot in free):
        return "unclaimed", "waits for a slot to claim it"
    roomiest = max(free, key=lambda slot: _room(slot).infer_fps)
    if _room(roomiest).infer_fps < need.infer_fps:
        return "capacity", _over_capacity(need.infer_fps, roomiest)
    roomiest = max(free, key=lambda slot: _room(slot).decode_mpx_s)
    return "decoding", _over_decoding(need.decode_mpx_s, roomiest)


def _room(slot: SlotInfo) -> Axes:
    capacity = Axes(slot.admission_fps, slot.decode_admission_mpx_s)
    return room(capacity, Axes(slot.floors_fps, slot.decode_load_mpx_s))


def _over_capacity(floor_fps: float, slot: SlotInfo) -> str:
    return (
        f"the floors of {slot.num_streams + 1} streams ask for {slot.floors_fps + floor_fps:.1f} "
        f"frames/s, slot {slot.name} infers {slot.admission_fps:.1f} and promises "
        f"{HEADROOM:.0%} of them: lower min_fps or max_fps, disable a stream, or add a slot"
    )


def _over_decoding(mpx_s: float, slot: SlotInfo) -> str:
    return (
        f"decoding it takes {mpx_s:.1f} Mpx/s, slot {slot.name} takes streams up to "
        f"{slot.decode_admission_mpx_s:.1f} and has {slot.decode_load_mpx_s:.1f}: give a smaller "
        "picture or fewer frames a second (a camera's sub-stream), disable a stream, or add cores "
        "or a slot"
    )
